//! `pre_start:`, `post_start:` and `pre_stop:` of a service.

use std::collections::BTreeMap;

use super::super::keys;
use super::super::model::{Hook, PreStart};
use super::super::yaml::{Mapping, Node};
use super::context::Context;
use super::service::read_words;

/// Reads `post_start:` or `pre_stop:`.
pub(super) fn read_hooks(context: &mut Context<'_>, map: &Mapping, key: &str) -> Vec<Hook> {
    let nodes = mappings(context, map, key);
    nodes
        .into_iter()
        .filter_map(|(node, map)| {
            context.check_keys(map, &keys::HOOK);
            let command = read_words(context, map, "command");
            let is_given = map.get("command").is_some_and(|node| !node.is_null());
            if !is_given || command.as_ref().is_some_and(Vec::is_empty) {
                let message = format!("a hook of `{key}` has no command");
                let help = "write `command: [\"sh\", \"-c\", \"…\"]`";
                context.error_help(&node.place, message, help);
            }
            Some(Hook {
                user: text(context, map, "user"),
                working_dir: text(context, map, "working_dir"),
                command: command?,
                privileged: boolean(context, map, "privileged"),
                environment: environment(context, map),
            })
        })
        .collect()
}

/// Reads `pre_start:`.
pub(super) fn read_pre_start(context: &mut Context<'_>, map: &Mapping) -> Vec<PreStart> {
    let nodes = mappings(context, map, "pre_start");
    nodes
        .into_iter()
        .map(|(_, map)| {
            context.check_keys(map, &keys::PRE_START);
            PreStart {
                image: text(context, map, "image"),
                command: read_words(context, map, "command"),
                user: text(context, map, "user"),
                privileged: boolean(context, map, "privileged"),
                working_dir: text(context, map, "working_dir"),
                environment: environment(context, map),
                per_replica: boolean(context, map, "per_replica"),
            }
        })
        .collect()
}

/// The entries of a list of mappings.
fn mappings<'n>(
    context: &mut Context<'_>,
    map: &'n Mapping,
    key: &str,
) -> Vec<(&'n Node, &'n Mapping)> {
    let Some(node) = map.get(key) else {
        return Vec::new();
    };
    let nodes = context.list(node, key);
    nodes
        .iter()
        .filter_map(|node| {
            if node.is_null() {
                context.expected(node, key, "a list of mappings");
            }
            Some((node, context.mapping(node, key)?))
        })
        .collect()
}

fn text(context: &mut Context<'_>, map: &Mapping, key: &str) -> Option<String> {
    let node = map.get(key).filter(|node| !node.is_null())?;
    context.filled_text(node, key)
}

fn boolean(context: &mut Context<'_>, map: &Mapping, key: &str) -> bool {
    let node = map.get(key).filter(|node| !node.is_null());
    let value = node.and_then(|node| context.boolean(node, key));
    value.unwrap_or(false)
}

fn environment(context: &mut Context<'_>, map: &Mapping) -> BTreeMap<String, String> {
    map.get("environment")
        .map(|node| context.resolved_pairs(node, "environment"))
        .unwrap_or_default()
}
