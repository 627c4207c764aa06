//! `x-envrun`: what the Compose specification has no words for.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use super::super::keys;
use super::super::model::{Ready, Settings, Suite, SuiteFaults};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::context::Context;
use super::reachability::{Names, read_internet, read_reachability};
use super::ready::read_ready;
use crate::fault::kind::Kind;

/// `x-envrun` of one service.
#[derive(Default)]
pub(super) struct ServiceExtension {
    pub(super) ready: Option<Ready>,
    pub(super) suite: Option<Suite>,
    pub(super) ready_healthcheck: Option<Place>,
    /// `bind:`, whether bind mounts are copies.
    pub(super) copy_binds: Option<bool>,
}

/// Reads the top-level `x-envrun`.
pub(super) fn read_project_extension(
    context: &mut Context<'_>,
    node: &Node,
    names: &Names<'_>,
) -> Settings {
    let Some(map) = context.mapping(node, keys::EXTENSION) else {
        return Settings::default();
    };
    context.check_keys(map, &keys::PROJECT_EXTENSION);
    Settings {
        copy_binds: map
            .get("bind")
            .and_then(|node| read_bind_mode(context, node))
            .unwrap_or(false),
        timeout: map
            .get("timeout")
            .and_then(|node| read_timeout(context, node)),
        reachability: map
            .get("reachability")
            .and_then(|node| read_reachability(context, node, names)),
        internet: map
            .get("internet")
            .and_then(|node| read_internet(context, node)),
    }
}

/// Reads `x-envrun` of a service.
pub(super) fn read_service_extension(context: &mut Context<'_>, map: &Mapping) -> ServiceExtension {
    let mut extension = ServiceExtension::default();
    let Some(node) = map.get(keys::EXTENSION) else {
        return extension;
    };
    let Some(map) = context.mapping(node, keys::EXTENSION) else {
        return extension;
    };
    context.check_keys(map, &keys::SERVICE_EXTENSION);
    extension.copy_binds = map
        .get("bind")
        .and_then(|node| read_bind_mode(context, node));
    if let Some(node) = map.get("ready") {
        let read = read_ready(context, node);
        extension.ready = read.ready;
        extension.ready_healthcheck = read.healthcheck;
    }
    if let Some(entry) = map.entry("suite") {
        extension.suite = read_suite(context, &entry.value);
    }
    // A suite is waited for until it ends, so its readiness would be asked for by nobody.
    if let Some(node) = map.get("ready").filter(|_| extension.suite.is_some()) {
        let help = "a suite is waited for until it ends; its limit is `suite.timeout`";
        context.warn(&node.place, "`ready` has no effect on a suite", Some(help));
    }
    extension
}

/// Reads `x-envrun` of a mount: whether it is a copy.
pub(super) fn read_mount_extension(context: &mut Context<'_>, map: &Mapping) -> Option<bool> {
    let map = context.mapping(map.get(keys::EXTENSION)?, keys::EXTENSION)?;
    context.check_keys(map, &keys::MOUNT_EXTENSION);
    read_bind_mode(context, map.get("bind")?)
}

/// `copy` or `mount`.
fn read_bind_mode(context: &mut Context<'_>, node: &Node) -> Option<bool> {
    let text = context.filled_text(node, "bind")?;
    match text.as_str() {
        "copy" => Some(true),
        "mount" => Some(false),
        _ => {
            let message = format!("unknown value `{}` of `bind`", shorten(&text));
            let help = "`copy` gives each run a copy of its own, `mount` is the host's path itself";
            context.error_help(&node.place, message, help);
            None
        }
    }
}

fn read_timeout(context: &mut Context<'_>, node: &Node) -> Option<std::time::Duration> {
    let timeout = context.duration(node, "timeout")?;
    if timeout.is_zero() {
        context.error_help(
            &node.place,
            "`timeout` is zero",
            "leave it out for no limit",
        );
        return None;
    }
    Some(timeout)
}

/// `true` and `{}` are a suite without reports; `false` and null are none.
fn read_suite(context: &mut Context<'_>, node: &Node) -> Option<Suite> {
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
    if let Some(node) = map.get("junit") {
        for (glob, node) in context.text_or_list(node, "junit") {
            if check_glob(context, &glob, &node.place) {
                suite.junit.push(glob);
            }
        }
    }
    suite.timeout = map
        .get("timeout")
        .and_then(|node| read_timeout(context, node));
    suite.faults = map
        .get("faults")
        .and_then(|node| read_faults(context, node));
    Some(suite)
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

/// Globs are matched against paths below the working directory, so others can never match.
fn check_glob(context: &mut Context<'_>, glob: &str, place: &Place) -> bool {
    let help = "globs are relative to the working directory of the container";
    if glob.starts_with('/') {
        let message = format!("the glob `{}` is absolute", shorten(glob));
        context.error_help(place, message, help);
        return false;
    }
    if glob.split('/').any(|part| part == "..") {
        let message = format!("the glob `{}` leaves the working directory", shorten(glob));
        context.error_help(place, message, help);
        return false;
    }
    if let Err(error) = GlobBuilder::new(glob).literal_separator(true).build() {
        let message = format!(
            "the glob `{}` is not valid: {}",
            shorten(glob),
            error.kind()
        );
        context.error(place, message);
        return false;
    }
    true
}
