//! What to change in the Compose file, spelt as it would stand there.

use std::collections::BTreeSet;

use super::topology::{Node, Topology};
use crate::name::{NetworkKey, ServiceName};

/// The service as the file calls it: all replicas are one there.
pub(super) fn in_file<'topology>(
    topology: &'topology Topology,
    name: &'topology ServiceName,
) -> &'topology str {
    match topology.node(name) {
        Some(node) if !node.of.is_empty() => &node.of,
        _ => name.as_str(),
    }
}

/// The line that puts a service on one more network.
pub(super) fn join(topology: &Topology, name: &ServiceName, network: &NetworkKey) -> String {
    let service = in_file(topology, name);
    let node = topology.node(name);
    if node.is_some_and(|node| node.has_options) {
        return format!("under `services: {service}: networks:` add `{network}: {{}}`");
    }
    let mut keys: Vec<&str> = node.map(networks).unwrap_or_default();
    keys.push(network.as_str());
    format!(
        "under `services: {service}:` write `networks: [{}]`",
        keys.join(", ")
    )
}

/// The line that puts a service on one network, without what it had before.
pub(super) fn stand_on(
    topology: &Topology,
    name: &ServiceName,
    networks: &BTreeSet<&NetworkKey>,
) -> String {
    let service = in_file(topology, name);
    let keys: Vec<&str> = networks.iter().map(|key| key.as_str()).collect();
    if keys.is_empty() || keys == ["default"] {
        return format!("under `services: {service}:` take `network_mode` away");
    }
    format!(
        "under `services: {service}:` write `networks: [{}]` in place of `network_mode`",
        keys.join(", ")
    )
}

fn networks(node: &Node) -> Vec<&str> {
    node.networks.keys().map(NetworkKey::as_str).collect()
}

/// The line that lets a service wait for another one.
pub(super) fn wait_for(topology: &Topology, name: &ServiceName, target: &ServiceName) -> String {
    let service = in_file(topology, name);
    let target_name = in_file(topology, target);
    let completes = topology.node(target).is_some_and(|node| node.completes);
    let condition = if completes {
        "service_completed_successfully"
    } else {
        "service_healthy"
    };
    format!(
        "under `services: {service}: depends_on:` write `{target_name}: {{ condition: {condition} }}`"
    )
}

/// The line that brings a service into the own environment of a suite.
pub(super) fn needs_too(suite: &str, name: &str) -> String {
    format!("under `services: {suite}: depends_on:` add `{name}`")
}

/// The change of what names a host or a port: a variable, or wherever else it stands.
pub(super) fn say(service: &str, variable: Option<&str>, what: &str, to: &str) -> String {
    match variable {
        Some(variable) => format!(
            "in `{variable}` under `services: {service}: environment:` make the {what} `{to}`"
        ),
        None => format!("let `{service}` use the {what} `{to}`"),
    }
}

/// A list of names in backticks.
pub(super) fn listed<'name>(names: impl IntoIterator<Item = &'name str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "no network".to_owned(),
        _ => names.join(", "),
    }
}
