//! Networks and volumes: of the project, and how a service is attached to networks.

use std::collections::BTreeMap;

use super::super::diagnostic::Problem;
use super::super::keys::{self, Section};
use super::super::model::{Attachment, Network, Volume};
use super::super::yaml::{Entry, Mapping, Node, Value};
use super::context::Context;
use super::{check_name, is_set};
use crate::name::{NetworkKey, VolumeKey};

/// Reads `networks:` of a service.
pub(super) fn read_attachments(
    context: &mut Context<'_>,
    map: &Mapping,
) -> BTreeMap<NetworkKey, Attachment> {
    let Some(node) = map.get("networks") else {
        return BTreeMap::new();
    };
    let Some(mapping) = context.mapping(node, "networks") else {
        return BTreeMap::new();
    };
    let entries = mapping.entries.iter();
    entries
        .map(|entry| {
            let key = NetworkKey::from(entry.key.text.as_str());
            (key, read_attachment(context, entry))
        })
        .collect()
}

fn read_attachment(context: &mut Context<'_>, entry: &Entry) -> Attachment {
    let mut attachment = Attachment::default();
    let Some(map) = context.mapping(&entry.value, &entry.key.text) else {
        return attachment;
    };
    context.check_keys(map, &keys::ATTACHMENT);
    if let Some(node) = map.get("aliases") {
        attachment.aliases = context.texts(node, "aliases").into_iter().collect();
    }
    attachment
}

/// What networks and volumes have in common.
struct Common {
    driver: Option<String>,
    driver_opts: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    external: Option<String>,
}

/// Reads the top-level `networks:`.
pub(in crate::config) fn read_networks(
    context: &mut Context<'_>,
    root: &Mapping,
) -> BTreeMap<NetworkKey, Network> {
    let mut networks = BTreeMap::new();
    let Some(node) = root.get("networks") else {
        return networks;
    };
    let Some(mapping) = context.mapping(node, "networks") else {
        return networks;
    };
    for entry in &mapping.entries {
        let common = read_common(context, entry, &keys::NETWORK);
        let internal = match entry.value.mapping().and_then(|map| map.get("internal")) {
            Some(node) => context.boolean(node, "internal").unwrap_or(false),
            None => false,
        };
        let Common {
            driver,
            driver_opts,
            labels,
            external,
        } = common;
        let network = Network {
            driver,
            driver_opts,
            internal,
            labels,
            external,
        };
        networks.insert(NetworkKey::new(entry.key.text.clone()), network);
    }
    networks
}

/// Reads the top-level `volumes:`.
pub(in crate::config) fn read_volumes(
    context: &mut Context<'_>,
    root: &Mapping,
) -> BTreeMap<VolumeKey, Volume> {
    let mut volumes = BTreeMap::new();
    let Some(node) = root.get("volumes") else {
        return volumes;
    };
    let Some(mapping) = context.mapping(node, "volumes") else {
        return volumes;
    };
    for entry in &mapping.entries {
        let common = read_common(context, entry, &keys::VOLUME);
        let Common {
            driver,
            driver_opts,
            labels,
            external,
        } = common;
        let volume = Volume {
            driver,
            driver_opts,
            labels,
            external,
        };
        volumes.insert(VolumeKey::new(entry.key.text.clone()), volume);
    }
    volumes
}

fn read_common(context: &mut Context<'_>, entry: &Entry, section: &Section) -> Common {
    check_name(context, &entry.key, section.owner);
    let empty = Mapping::default();
    let map = context
        .mapping(&entry.value, &entry.key.text)
        .unwrap_or(&empty);
    context.check_keys(map, section);
    let driver = match map.get("driver") {
        Some(node) => context
            .text(node, "driver")
            .filter(|driver| !driver.is_empty()),
        None => None,
    };
    let driver_opts = match map.get("driver_opts") {
        Some(node) => read_driver_opts(context, node),
        None => BTreeMap::new(),
    };
    let labels = match map.get("labels") {
        Some(node) => context.labels(node, "labels"),
        None => BTreeMap::new(),
    };
    let external = read_external(context, entry, map, section);
    Common {
        driver,
        driver_opts,
        labels,
        external,
    }
}

fn read_driver_opts(
    context: &mut Context<'_>,
    node: &super::super::yaml::Node,
) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    if let Some(map) = context.mapping(node, "driver_opts") {
        for entry in &map.entries {
            let value = context.printed(&entry.value, &entry.key.text);
            options.insert(entry.key.text.clone(), value.unwrap_or_default());
        }
    }
    options
}

/// The engine's name of an external resource: `name:`, else the key. `external: {name: …}` is an
/// old spelling of the same.
fn read_external(
    context: &mut Context<'_>,
    entry: &Entry,
    map: &Mapping,
    section: &Section,
) -> Option<String> {
    let name = map.get("name").filter(|node| !node.is_null());
    let name_text = name.and_then(|node| context.filled_text(node, "name"));
    let external = map.entry("external");
    let (is_external, old_name) = match external.map(|entry| &entry.value) {
        None => (false, None),
        Some(node) => match &node.value {
            Value::Mapping(old) => {
                let help = "write `external: true`, and `name:` beside it";
                context.warn(
                    &node.place,
                    "`external` with a name inside is obsolete",
                    Some(help),
                );
                let old_name = old
                    .get("name")
                    .and_then(|node| context.filled_text(node, "name"));
                (true, old_name)
            }
            Value::Null => (false, None),
            _ => (context.boolean(node, "external").unwrap_or(false), None),
        },
    };
    if !is_external {
        // A name that the file format adds is nothing that the user asked for.
        let is_written = |node: &&Node| node.scalar().is_none_or(|scalar| !scalar.implied);
        if let Some(node) = name.filter(is_written) {
            let message = format!("`name` of {} has no effect", section.owner);
            let help = "each run has networks and volumes of its own, with names of its own";
            context.warn(&node.place, message, Some(help));
        }
        return None;
    }
    let refused = ["driver", "driver_opts", "internal", "labels", "ipam"];
    for other in &map.entries {
        if refused.contains(&other.key.text.as_str()) && is_set(&other.value) {
            let message = format!(
                "`{}` cannot be said of {} that is external",
                other.key.text, section.owner
            );
            let problem = Problem::error(message).at(&other.key.place);
            let problem = match external {
                Some(external) => problem.label(&external.key.place, "external here"),
                None => problem,
            };
            context.problems.push(problem);
        }
    }
    Some(
        name_text
            .or(old_name)
            .unwrap_or_else(|| entry.key.text.clone()),
    )
}
