//! From the merged tree to the typed model, collecting all problems on the way.
//!
//! Each file reads one part of the model. A reader never stops at a problem: it reports it and goes
//! on with what is left, so that one load says everything.

mod artifacts;
mod build;
pub(super) mod context;
mod environment;
mod extension;
mod health;
mod hooks;
mod image;
mod in_memory;
pub(super) mod injected;
mod lifecycle;
pub(super) mod mounts;
mod networks;
mod options;
mod ports;
mod reachability;
mod ready;
mod reports;
mod resources;
mod scalar;
mod service;
mod sharing;
mod suite;
mod to_mask;

use std::collections::BTreeSet;

pub(super) use self::service::{SHORT, is_short};
pub(super) use context::Context;
pub(super) use networks::{read_networks, read_volumes};
pub(super) use service::ReadService;

use super::keys;
use super::model::Settings;
use super::suggest::nearest;
use super::yaml::{Mapping, Node, shorten};
use crate::name::ServiceName;

/// Reads `services:`, as far as they are active.
pub(super) fn read_services<'n>(
    context: &mut Context<'n>,
    root: &'n Mapping,
    active: &BTreeSet<String>,
) -> Vec<ReadService> {
    context.secrets = root.get("secrets").and_then(Node::mapping);
    let Some(entry) = root.entry("services") else {
        return Vec::new();
    };
    let Some(services) = context.mapping(&entry.value, "services") else {
        return Vec::new();
    };
    let mut read = Vec::new();
    for entry in &services.entries {
        if entry.key.text.starts_with("x-") && nearest(&entry.key.text, ["x-envrun"]).is_some() {
            let message = format!("`{}` is read as the name of a service", entry.key.text);
            let help = "on the services, it belongs one level deeper";
            context.warn(&entry.key.place, message, Some(help));
        }
        check_name(context, &entry.key, "a service");
        let name = ServiceName::new(entry.key.text.clone());
        if active.contains(&entry.key.text) {
            read.extend(service::read_service(context, &name, entry));
        }
    }
    read
}

/// Reads the top-level `x-envrun`.
pub(super) fn read_settings(
    context: &mut Context<'_>,
    root: &Mapping,
    active: &BTreeSet<String>,
) -> Settings {
    let all = reachability::names(root);
    let names = reachability::Names { all: &all, active };
    root.get(keys::EXTENSION)
        .map(|node| extension::read_project_extension(context, node, &names))
        .unwrap_or_default()
}

/// Names of services, networks and volumes become parts of names in the engine.
fn check_name(context: &mut Context<'_>, key: &super::yaml::Key, of: &str) {
    let is_valid = !key.text.is_empty()
        && key
            .text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if !is_valid {
        let message = format!("`{}` cannot be the name of {of}", shorten(&key.text));
        let help = "a name has letters, digits, `.`, `_` and `-`";
        context.error_help(&key.place, message, help);
    }
}

/// True for a value that asks for something: anything but null and `false`.
fn is_set(node: &Node) -> bool {
    match &node.value {
        super::yaml::Value::Null => false,
        super::yaml::Value::Scalar(scalar) => scalar.text != "false",
        _ => true,
    }
}
