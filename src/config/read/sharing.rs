//! What a service shares with other containers: namespaces, volumes, names.

use std::collections::HashSet;

use super::super::model::{Peer, Sharing, VolumesFrom};
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, shorten};
use super::context::Context;
use crate::name::ServiceName;

/// What is shared, and where each service is named with whom it is.
#[derive(Default)]
pub(super) struct ReadSharing {
    pub(super) sharing: Sharing,
    pub(super) places: Vec<(ServiceName, Place)>,
}

const SERVICE: &str = "service:";
const CONTAINER: &str = "container:";

/// Reads `network_mode`, `ipc`, `pid`, `volumes_from`, `links` and `external_links`.
pub(super) fn read_sharing(context: &mut Context<'_>, map: &Mapping) -> ReadSharing {
    let mut read = ReadSharing::default();
    read.sharing.network_mode = read_network_mode(context, map, &mut read.places);
    let ipc = ["host", "none", "private", "shareable"];
    read.sharing.ipc = read_namespace(context, (map, "ipc", &ipc), &mut read.places);
    read.sharing.pid = read_namespace(context, (map, "pid", &["host"]), &mut read.places);
    for (text, node) in texts(context, map, "volumes_from") {
        let Some(from) = volumes_from(context, &text, node) else {
            continue;
        };
        if let Peer::Service(name) = &from.peer {
            read.places.push((name.clone(), node.place.clone()));
        }
        read.sharing.volumes_from.push(from);
    }
    for (text, node) in texts(context, map, "links") {
        let (service, name) = text.split_once(':').unwrap_or((&text, &text));
        let service = ServiceName::from(service);
        read.places.push((service.clone(), node.place.clone()));
        read.sharing.links.push((service, name.to_owned()));
    }
    for (text, _) in texts(context, map, "external_links") {
        let (container, name) = text.split_once(':').unwrap_or((&text, &text));
        read.sharing
            .external_links
            .push(format!("{container}:{name}"));
    }
    read
}

/// The distinct texts of a list, each with its place.
fn texts<'n>(context: &mut Context<'_>, map: &'n Mapping, key: &str) -> Vec<(String, &'n Node)> {
    let Some(node) = map.get(key) else {
        return Vec::new();
    };
    let mut seen = HashSet::new();
    context
        .list(node, key)
        .iter()
        .filter_map(|item| Some((context.filled_text(item, key)?, item)))
        .filter(|(text, _)| seen.insert(text.clone()))
        .collect()
}

/// `network_mode:`. A word that is no mode is the name of a network of the engine.
fn read_network_mode(
    context: &mut Context<'_>,
    map: &Mapping,
    places: &mut Vec<(ServiceName, Place)>,
) -> Option<Peer> {
    const KEY: &str = "network_mode";
    let node = map.get(KEY)?;
    let text = context.filled_text_or_null(node, KEY)?;
    if text.starts_with(SERVICE) || text.starts_with(CONTAINER) {
        for entry in &map.entries {
            if NOT_OF_ANOTHER.contains(&entry.key.text.as_str()) && !entry.value.is_null() {
                let message = format!(
                    "`{}` cannot be said of a service that uses the network of another",
                    entry.key.text
                );
                let help = "say it of the other, whose network it is";
                context.error_help(&entry.key.place, message, help);
            }
        }
    }
    if text == "host"
        && let Some(entry) = map.entry("ports")
    {
        let message = "`ports` has no effect with `network_mode: host`";
        let help = "its ports are the host's own, and no two runs can have the same";
        context.warn(&entry.key.place, message, Some(help));
    }
    Some(peer(&text, node, places))
}

/// What belongs to a network, and the engine refuses to a container that uses another's.
const NOT_OF_ANOTHER: [&str; 7] = [
    "dns",
    "expose",
    "extra_hosts",
    "hostname",
    "links",
    "mac_address",
    "ports",
];

/// `ipc:` or `pid:`: one of the modes, or the namespace of another container.
fn read_namespace(
    context: &mut Context<'_>,
    (map, key, modes): (&Mapping, &str, &[&str]),
    places: &mut Vec<(ServiceName, Place)>,
) -> Option<Peer> {
    let node = map.get(key)?;
    let text = context.filled_text_or_null(node, key)?;
    let named = [SERVICE, CONTAINER];
    let is_named = named
        .iter()
        .filter_map(|prefix| text.strip_prefix(prefix))
        .any(|name| !name.is_empty());
    if !is_named && !modes.contains(&text.as_str()) {
        let message = format!("`{key}` cannot be `{}`", shorten(&text));
        let help = format!(
            "it is one of `{}`, `service:NAME`, `container:NAME`",
            modes.join("`, `")
        );
        context.error_help(&node.place, message, help);
        return None;
    }
    Some(peer(&text, node, places))
}

fn peer(text: &str, node: &Node, places: &mut Vec<(ServiceName, Place)>) -> Peer {
    match text.strip_prefix(SERVICE) {
        Some(name) => {
            let name = ServiceName::from(name);
            places.push((name.clone(), node.place.clone()));
            Peer::Service(name)
        }
        None => Peer::Engine(text.to_owned()),
    }
}

/// `service[:ro]` or `container:name[:ro]`.
fn volumes_from(context: &mut Context<'_>, text: &str, node: &Node) -> Option<VolumesFrom> {
    let (is_container, rest) = match text.strip_prefix(CONTAINER) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (name, mode) = rest.split_once(':').unwrap_or((rest, "rw"));
    let read_only = match mode {
        "ro" => true,
        "rw" => false,
        _ => {
            let message = format!("`{}` is not `service[:ro]`", shorten(text));
            let help = "write `service`, `service:ro` or `container:name`";
            context.error_help(&node.place, message, help);
            return None;
        }
    };
    let peer = if is_container {
        Peer::Engine(name.to_owned())
    } else {
        Peer::Service(ServiceName::from(name))
    };
    Some(VolumesFrom { peer, read_only })
}
