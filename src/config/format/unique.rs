//! Entries of a list that mean the same thing: the last one counts, at the place of the first.

use std::collections::HashMap;

use super::super::yaml::{Mapping, Node, Value};
use super::volume;

/// What makes two entries of a list the same; `None` for an entry that is alone in any case.
type Identity = fn(&Node) -> Option<String>;

/// The lists of a service.
const SERVICE: [(&str, Identity); 21] = [
    ("annotations", name),
    ("cap_add", name),
    ("cap_drop", name),
    ("configs", config_target),
    ("devices", device_target),
    ("dns", name),
    ("dns_opt", name),
    ("dns_search", name),
    ("env_file", env_file),
    ("environment", name),
    ("expose", printed),
    ("labels", name),
    ("links", name),
    ("ports", port),
    ("profiles", name),
    ("secrets", secret_target),
    ("sysctls", name),
    ("tmpfs", name),
    ("volumes", volume_target),
    // Below a service.
    ("build", nothing),
    ("deploy", nothing),
];
const BUILD: [(&str, Identity); 5] = [
    ("additional_contexts", name),
    ("args", name),
    ("labels", name),
    ("platform", name),
    ("tags", name),
];
const ATTACHMENT: [(&str, Identity); 2] = [("aliases", name), ("link_local_ips", name)];

/// Makes the lists of a tree unique.
pub(super) fn enforce(tree: &mut Node) {
    let Some(root) = tree.mapping_mut() else {
        return;
    };
    for (_, service) in super::each_mapping(root, "services") {
        lists(service, &SERVICE);
        if let Some(build) = service.get_mut("build").and_then(Node::mapping_mut) {
            lists(build, &BUILD);
        }
        if let Some(deploy) = service.get_mut("deploy").and_then(Node::mapping_mut) {
            lists(deploy, &[("labels", name)]);
        }
        for (_, attachment) in super::each_mapping(service, "networks") {
            lists(attachment, &ATTACHMENT);
        }
    }
    for (_, network) in super::each_mapping(root, "networks") {
        lists(network, &[("labels", name)]);
        if let Some(ipam) = network.get_mut("ipam").and_then(Node::mapping_mut) {
            lists(ipam, &[("options", name)]);
        }
    }
}

fn lists(map: &mut Mapping, keys: &[(&str, Identity)]) {
    for (key, identity) in keys {
        if let Some(Value::Sequence(nodes)) = map.get_mut(key).map(|node| &mut node.value) {
            let before = std::mem::take(nodes);
            *nodes = unique(before, *identity);
        }
    }
}

fn unique(nodes: Vec<Node>, identity: Identity) -> Vec<Node> {
    let mut kept: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut positions: HashMap<String, usize> = HashMap::new();
    for node in nodes {
        let known = identity(&node).map(|key| (positions.get(&key).copied(), key));
        match known {
            Some((Some(position), _)) => kept[position] = node,
            Some((None, key)) => {
                positions.insert(key, kept.len());
                kept.push(node);
            }
            None => kept.push(node),
        }
    }
    kept
}

fn nothing(_: &Node) -> Option<String> {
    None
}

/// `name` of `name=value`.
fn name(node: &Node) -> Option<String> {
    let text = node.as_text()?;
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    Some(name.to_owned())
}

fn printed(node: &Node) -> Option<String> {
    node.scalar().map(|scalar| scalar.printed())
}

fn env_file(node: &Node) -> Option<String> {
    let path = node.get("path").unwrap_or(node);
    path.as_text().map(str::to_owned)
}

fn volume_target(node: &Node) -> Option<String> {
    match node.as_text() {
        Some(text) => volume::parse(text).ok().map(|volume| volume.target),
        None => node.get("target")?.as_text().map(str::to_owned),
    }
}

fn device_target(node: &Node) -> Option<String> {
    match node.as_text() {
        Some(text) => {
            let mut parts = text.split(':');
            let first = parts.next()?;
            Some(parts.next().unwrap_or(first).to_owned())
        }
        None => node.get("target")?.as_text().map(str::to_owned),
    }
}

fn config_target(node: &Node) -> Option<String> {
    file_target(node, "")
}

fn secret_target(node: &Node) -> Option<String> {
    file_target(node, "/run/secrets")
}

fn file_target(node: &Node, directory: &str) -> Option<String> {
    if let Some(target) = node.get("target") {
        return target.as_text().map(str::to_owned);
    }
    let source = node.get("source").unwrap_or(node);
    Some(format!("{directory}/{}", source.as_text()?))
}

fn port(node: &Node) -> Option<String> {
    let Some(map) = node.mapping() else {
        return printed(node);
    };
    let part = |key: &str, otherwise: &str| {
        map.get(key)
            .and_then(Node::scalar)
            .map_or_else(|| otherwise.to_owned(), |scalar| scalar.printed())
    };
    let target = part("target", "");
    // The reference takes the number 80 and the text `80` for different ports of the host.
    let published = match map.get("published") {
        Some(node) if node.as_text().is_none() => format!("number {}", part("published", "")),
        _ => part("published", ""),
    };
    let (host, protocol) = (part("host_ip", "0.0.0.0"), part("protocol", "tcp"));
    Some(format!("{host}:{published}:{target}/{protocol}"))
}
