//! `x-envrun`: what the Compose specification has no words for.

use globset::GlobBuilder;

use super::super::keys;
use super::super::model::{Ready, ReadyProbe, Settings, Suite};
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::context::Context;

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
pub(super) fn read_project_extension(context: &mut Context<'_>, node: &Node) -> Settings {
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
        read_ready(context, node, &mut extension);
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

fn read_ready(context: &mut Context<'_>, node: &Node, extension: &mut ServiceExtension) {
    // `ready: healthcheck` is short for `ready: {healthcheck: true}`.
    if let Value::Scalar(scalar) = &node.value
        && scalar.text == "healthcheck"
    {
        extension.ready = Some(Ready {
            probes: vec![ReadyProbe::Healthcheck],
            deadline: None,
        });
        extension.ready_healthcheck = Some(node.place.clone());
        return;
    }
    let Some(map) = context.mapping(node, "ready") else {
        return;
    };
    context.check_keys(map, &keys::READY);
    let mut probes = Vec::new();
    let mut is_named = false;
    for entry in &map.entries {
        let value = &entry.value;
        is_named |= matches!(entry.key.text.as_str(), "tcp" | "postgres" | "http");
        match entry.key.text.as_str() {
            "tcp" => {
                let port = read_probe_port(context, value, "tcp");
                probes.extend(port.map(|port| ReadyProbe::Tcp { port }));
            }
            "postgres" => {
                let port = read_probe_port(context, value, "postgres");
                probes.extend(port.map(|port| ReadyProbe::Postgres { port }));
            }
            "http" => probes.extend(read_http(context, value)),
            "healthcheck" => {
                let wanted = context.boolean(value, "healthcheck");
                is_named |= wanted != Some(false);
                if wanted == Some(true) {
                    probes.push(ReadyProbe::Healthcheck);
                    extension.ready_healthcheck = Some(entry.key.place.clone());
                }
            }
            _ => {}
        }
    }
    let deadline = map
        .get("deadline")
        .and_then(|node| context.duration(node, "deadline"));
    // A deadline alone leaves the choice of the probe to the plan.
    if !is_named && map.get("deadline").is_none() {
        let help = "name `tcp`, `http`, `postgres` or `healthcheck`, or leave `ready` out";
        context.error_help(&node.place, "`ready` names no probe", help);
    }
    if !probes.is_empty() || (!is_named && deadline.is_some()) {
        extension.ready = Some(Ready { probes, deadline });
    }
}

/// A port, or `{port: …}`.
fn read_probe_port(context: &mut Context<'_>, node: &Node, what: &str) -> Option<u16> {
    let Value::Mapping(map) = &node.value else {
        return context.port(node, what);
    };
    context.check_keys(map, &keys::PORT_PROBE);
    match map.get("port") {
        Some(port) => context.port(port, "port"),
        None => {
            context.error(&node.place, format!("`{what}` has no `port`"));
            None
        }
    }
}

fn read_http(context: &mut Context<'_>, node: &Node) -> Option<ReadyProbe> {
    let Value::Mapping(map) = &node.value else {
        let port = context.port(node, "http")?;
        return Some(ReadyProbe::Http {
            port,
            path: "/".to_owned(),
            status: None,
        });
    };
    context.check_keys(map, &keys::HTTP_PROBE);
    let port = match map.get("port") {
        Some(port) => context.port(port, "port"),
        None => {
            context.error(&node.place, "`http` has no `port`");
            None
        }
    };
    let path = match map.get("path") {
        Some(node) => read_http_path(context, node),
        None => Some("/".to_owned()),
    };
    let status = map
        .get("status")
        .and_then(|node| context.integer(node, "status", 100..=599))
        .and_then(|status| u16::try_from(status).ok());
    Some(ReadyProbe::Http {
        port: port?,
        path: path?,
        status,
    })
}

/// The path goes into a request line, so nothing in it may end that line.
fn read_http_path(context: &mut Context<'_>, node: &Node) -> Option<String> {
    let path = context.filled_text(node, "path")?;
    if !path.starts_with('/') {
        let message = format!("`path` does not start with `/`: `{}`", shorten(&path));
        context.error(&node.place, message);
        return None;
    }
    if path.contains(|c: char| c.is_control() || c.is_whitespace()) {
        let help = "write a space as `%20`";
        context.error_help(
            &node.place,
            "`path` has a space or a control character",
            help,
        );
        return None;
    }
    Some(path)
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
    Some(suite)
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
