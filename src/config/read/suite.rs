//! `x-envrun.suite`: what makes a service a suite.

use std::collections::BTreeSet;

use super::super::keys;
use super::super::model::{Isolation, Shards, Suite, SuiteFaults};
use super::super::suggest::did_you_mean;
use super::super::yaml::{Node, Value, shorten};
use super::context::Context;
use super::extension::read_timeout;
use super::in_memory::Kept;
use super::reports::read_reports;
use super::scalar::whole;
use crate::fault::kind::Kind;

/// `true` and `{}` are a suite without reports; `false` and null are none. The files that are read from
/// its container are added to `kept`.
pub(super) fn read_suite(
    context: &mut Context<'_>,
    node: &Node,
    kept: &mut Vec<Kept>,
) -> Option<Suite> {
    let map = match &node.value {
        Value::Mapping(map) => map,
        Value::Null => {
            let help = "write `suite: true` for a suite without reports";
            context.error_help(&node.place, "`suite` is empty", help);
            return None;
        }
        Value::Scalar(_) => {
            return context
                .boolean(node, "suite")
                .unwrap_or(false)
                .then(Suite::default);
        }
        Value::Sequence(_) => {
            context.expected(node, "suite", "a mapping or `true`");
            return None;
        }
    };
    context.check_keys(map, &keys::SUITE);
    let mut suite = Suite::default();
    read_reports(context, map, &mut suite, kept);
    if let Some(node) = map.get("test_command") {
        suite.test_command = read_test_command(context, node);
    }
    suite.timeout = map
        .get("timeout")
        .and_then(|node| read_timeout(context, node));
    if let Some(node) = map.get("retries") {
        suite.retries = read_retries(context, node).unwrap_or_default();
    }
    if let Some(node) = map.get("shards") {
        suite.shards = read_shards(context, node).unwrap_or_default();
    }
    if let Some(node) = map.get("flaky") {
        suite.flaky_fails = read_flaky(context, node).unwrap_or_default();
    }
    suite.faults = map
        .get("faults")
        .and_then(|node| read_faults(context, node));
    suite.isolation = map
        .get("isolation")
        .map(|node| read_isolation(context, node))
        .unwrap_or_default();
    Some(suite)
}

/// Most retries of a suite. More would hide what is broken.
const MOST_RETRIES: u64 = 10;

/// How often a suite that has not passed is run once more; null is never.
fn read_retries(context: &mut Context<'_>, node: &Node) -> Option<u32> {
    if node.is_null() {
        return None;
    }
    let retries = context.integer(node, "retries", 0..=MOST_RETRIES)?;
    u32::try_from(retries).ok()
}

/// Most parts of a suite; more is a mistake.
const MOST_SHARDS: u64 = 256;

/// A number of parts, or `ci`; null is none.
fn read_shards(context: &mut Context<'_>, node: &Node) -> Option<Shards> {
    if node.is_null() {
        return None;
    }
    if matches!(&node.value, Value::Scalar(scalar) if scalar.text == "ci") {
        return Some(Shards::Ci);
    }
    if matches!(&node.value, Value::Scalar(scalar) if whole(scalar).is_none()) {
        let wanted = format!("a whole number from 1 to {MOST_SHARDS}, or `ci`");
        context.expected(node, "shards", &wanted);
        return None;
    }
    let count = context.integer(node, "shards", 1..=MOST_SHARDS)?;
    u32::try_from(count).ok().map(Shards::Count)
}

/// Whether a pass after a retry is a failure: `fail`, or else `pass`.
fn read_flaky(context: &mut Context<'_>, node: &Node) -> Option<bool> {
    let text = context.filled_text(node, "flaky")?;
    match text.as_str() {
        "pass" => Some(false),
        "fail" => Some(true),
        _ => {
            let message = format!("unknown value `{}` of `flaky`", shorten(&text));
            let help =
                "`pass` counts a suite that passes after a retry as passed, `fail` as failed";
            context.error_help(&node.place, message, help);
            None
        }
    }
}

/// `shared`, which is also what nothing means, or `own`.
fn read_isolation(context: &mut Context<'_>, node: &Node) -> Isolation {
    match &node.value {
        Value::Null => Isolation::Shared,
        Value::Scalar(scalar) => match scalar.text.as_str() {
            "shared" => Isolation::Shared,
            "own" => Isolation::Own,
            other => {
                let message = format!("unknown isolation `{}`", shorten(other));
                let help = did_you_mean(other, ["own", "shared"]);
                let help = help.unwrap_or_else(|| {
                    "`own` gives the suite a copy of what it depends on, `shared` is the environment of all suites"
                        .to_owned()
                });
                context.error_help(&node.place, message, &help);
                Isolation::Shared
            }
        },
        _ => {
            context.expected(node, "isolation", "`own` or `shared`");
            Isolation::Shared
        }
    }
}

/// The command of one test: a list, since no shell reads it and the name of a test may hold anything.
fn read_test_command(context: &mut Context<'_>, node: &Node) -> Vec<String> {
    if node.sequence().is_none() {
        context.expected(node, "test_command", "a list of texts");
        return Vec::new();
    }
    let words = context.texts(node, "test_command");
    if !words.iter().any(|word| word.contains("{name}")) {
        let message = "`test_command` does not say which test it runs";
        let help = "write `{name}` where the name of the test goes, such as `[pytest, \"{file}::{name}\"]`";
        context.error_help(&node.place, message, help);
        return Vec::new();
    }
    words
}

/// `true`, or the kinds that the suite asks for; `false`, null and an empty list are none.
fn read_faults(context: &mut Context<'_>, node: &Node) -> Option<SuiteFaults> {
    match &node.value {
        Value::Null => return None,
        Value::Scalar(scalar) if Kind::from_name(&scalar.text).is_none() => {
            let wanted = context.boolean(node, "faults").unwrap_or(false);
            return wanted.then_some(SuiteFaults::Any);
        }
        _ => {}
    }
    let mut kinds = BTreeSet::new();
    for (name, node) in context.text_or_list(node, "faults") {
        let Some(kind) = Kind::from_name(&name) else {
            let message = format!("unknown kind of fault `{}`", shorten(&name));
            let names = Kind::ALL.map(Kind::name);
            let help = did_you_mean(&name, names);
            let help = help.unwrap_or_else(|| format!("there are {}", Kind::names()));
            context.error_help(&node.place, message, &help);
            continue;
        };
        kinds.insert(kind);
    }
    (!kinds.is_empty()).then_some(SuiteFaults::Only(kinds))
}
