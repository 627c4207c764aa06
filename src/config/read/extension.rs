//! `x-envrun`: what the Compose specification has no words for.

use super::super::keys;
use super::super::model::{Artifacts, Ready, Settings, Suite};
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, shorten};
use super::artifacts::read_artifacts;
use super::context::Context;
use super::in_memory::Kept;
use super::reachability::{Names, read_internet, read_reachability};
use super::ready::read_ready;
use super::suite::read_suite;

/// `x-envrun` of one service.
#[derive(Default)]
pub(super) struct ServiceExtension {
    pub(super) ready: Option<Ready>,
    pub(super) suite: Option<Suite>,
    pub(super) artifacts: Option<Artifacts>,
    /// The files that are read from its container, each with its place.
    pub(super) kept: Vec<Kept>,
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
        parallel: map
            .get("parallel")
            .and_then(|node| read_parallel(context, node)),
        fail_fast: map
            .get("fail_fast")
            .and_then(|node| context.boolean(node, "fail_fast"))
            .unwrap_or(false),
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
        extension.suite = read_suite(context, &entry.value, &mut extension.kept);
    }
    extension.artifacts = read_artifacts(context, map, &mut extension.kept);
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

/// Most suites at once that can be asked for; more is a mistake.
const MOST_AT_ONCE: u64 = 1000;

/// How many suites run at once; null and zero are any number.
fn read_parallel(context: &mut Context<'_>, node: &Node) -> Option<u32> {
    if node.is_null() {
        return None;
    }
    let count = context.integer(node, "parallel", 0..=MOST_AT_ONCE)?;
    u32::try_from(count).ok().filter(|count| *count > 0)
}

/// The limit of a run or of a suite. Null and zero are none.
pub(super) fn read_timeout(context: &mut Context<'_>, node: &Node) -> Option<std::time::Duration> {
    context.duration(node, "timeout")
}
