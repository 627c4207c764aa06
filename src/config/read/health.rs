//! `healthcheck:` of a service.

use super::super::keys;
use super::super::model::Healthcheck;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Node, Value, shorten};
use super::context::Context;

/// Reads `healthcheck:`; null leaves the image's in force.
pub(super) fn read_healthcheck(context: &mut Context<'_>, node: &Node) -> Option<Healthcheck> {
    let map = context.mapping(node, "healthcheck")?;
    context.check_keys(map, &keys::HEALTHCHECK);
    let disabled = match map.get("disable") {
        Some(node) => context.boolean(node, "disable").unwrap_or(false),
        None => false,
    };
    let test = map.get("test").and_then(|node| read_test(context, node));
    let mut duration = |key: &str| map.get(key).and_then(|node| context.duration(node, key));
    let interval = duration("interval");
    let timeout = duration("timeout");
    let start_period = duration("start_period");
    let start_interval = duration("start_interval");
    let retries = map
        .get("retries")
        .filter(|node| !node.is_null())
        .and_then(|node| context.integer(node, "retries", 0..=u64::from(u32::MAX)))
        .and_then(|retries| u32::try_from(retries).ok());
    let is_none = test
        .as_ref()
        .is_some_and(|test| test.first().is_some_and(|kind| kind == "NONE"));
    if disabled || is_none {
        return Some(Healthcheck::Disabled);
    }
    Some(Healthcheck::Check {
        test,
        interval,
        timeout,
        retries,
        start_period,
        start_interval,
    })
}

/// A text is run by a shell; a list starts with its kind.
fn read_test(context: &mut Context<'_>, node: &Node) -> Option<Vec<String>> {
    const KINDS: [&str; 3] = ["CMD", "CMD-SHELL", "NONE"];
    match &node.value {
        Value::Null => None,
        Value::Scalar(_) => {
            let text = context.text(node, "test")?;
            Some(vec!["CMD-SHELL".to_owned(), text])
        }
        Value::Sequence(nodes) => {
            let problems_before = context.problems.iter().count();
            let test = context.texts(node, "test");
            if context.problems.iter().count() > problems_before {
                return None;
            }
            // An empty list keeps the image's test, as in Compose.
            let kind = test.first()?;
            if !KINDS.contains(&kind.as_str()) {
                let place = nodes.first().map_or(&node.place, |node| &node.place);
                let help = did_you_mean(kind, KINDS).unwrap_or_else(|| {
                    "write `[\"CMD\", …]`, or the command as one text".to_owned()
                });
                let message = format!(
                    "the list of `test` must start with `CMD`, `CMD-SHELL` or `NONE`, found `{}`",
                    shorten(kind)
                );
                context.error_help(place, message, help);
                return None;
            }
            if test.len() == 1 && kind != "NONE" {
                let message = format!("`test` is `{kind}` without a command");
                context.error(&node.place, message);
                return None;
            }
            Some(test)
        }
        Value::Mapping(_) => {
            context.expected(node, "test", "text or a list of texts");
            None
        }
    }
}
