//! `environment:` and `env_file:` of a service.

use std::collections::BTreeMap;

use super::super::diagnostic::Problem;
use super::super::dotenv;
use super::super::files::{read, shown_name};
use super::super::keys;
use super::super::yaml::{Mapping, Node, Value};
use super::context::Context;

/// Reads both keys: `environment:` wins over `env_file:`, a later file over an earlier one. The
/// files of a service that is not active are not read.
pub(super) fn read_environment(
    context: &mut Context<'_>,
    map: &Mapping,
    active: bool,
) -> BTreeMap<String, String> {
    let pairs = match map.get("environment") {
        Some(node) => context.pairs(node, "environment"),
        None => Vec::new(),
    };
    let mut own: BTreeMap<String, Option<String>> = BTreeMap::new();
    for pair in pairs {
        let value = pair
            .value
            .or_else(|| context.variables.get(&pair.key).cloned());
        own.insert(pair.key, value);
    }
    let mut environment = BTreeMap::new();
    if let Some(node) = map.get("env_file") {
        for (path, required, node) in read_paths(context, node) {
            if active {
                read_env_file(context, (&path, required, node), &own, &mut environment);
            }
        }
    }
    for (name, value) in own {
        match value {
            Some(value) => environment.insert(name, value),
            // A name without any value removes what a file says.
            None => environment.remove(&name),
        };
    }
    environment
}

/// The files, each with whether it must exist.
fn read_paths<'n>(context: &mut Context<'_>, node: &'n Node) -> Vec<(String, bool, &'n Node)> {
    const KEY: &str = "env_file";
    let nodes = match &node.value {
        Value::Sequence(nodes) => nodes.as_slice(),
        Value::Null => &[],
        Value::Scalar(_) => std::slice::from_ref(node),
        Value::Mapping(_) => {
            context.expected(node, KEY, "text or a list");
            &[]
        }
    };
    let mut paths = Vec::new();
    for item in nodes {
        let Value::Mapping(map) = &item.value else {
            paths.extend(
                context
                    .filled_text(item, KEY)
                    .map(|path| (path, true, item)),
            );
            continue;
        };
        context.check_keys(map, &keys::ENV_FILE);
        let required = map
            .get("required")
            .and_then(|node| context.boolean(node, "required"));
        match map.get("path") {
            Some(path) => {
                let text = context.filled_text(path, "path");
                paths.extend(text.map(|text| (text, required.unwrap_or(true), path)));
            }
            None => context.error(&item.place, "an entry of `env_file` has no `path`"),
        }
    }
    paths
}

fn read_env_file(
    context: &mut Context<'_>,
    (path, required, node): (&str, bool, &Node),
    own: &BTreeMap<String, Option<String>>,
    environment: &mut BTreeMap<String, String>,
) {
    let path = context.path(path);
    if !required && !path.exists() {
        return;
    }
    let shown = shown_name(&path, context.directory);
    let source = match read(&path, &shown, context.next_order) {
        Ok(source) => source,
        Err(problem) => return context.problems.push(problem.at(&node.place)),
    };
    context.next_order += 1;
    let variables = context.variables;
    let lookup = |name: &str| {
        let own = || own.get(name).and_then(Option::as_deref);
        variables.get(name).map(String::as_str).or_else(own)
    };
    match dotenv::parse(source.text(), &lookup) {
        Ok(found) => {
            environment.extend(found.variables);
            for (name, range) in found.unset {
                let message = format!("variable `{name}` is not set; it becomes an empty text");
                context.warn(&source.place(range), message, None);
            }
        }
        Err(errors) => {
            for error in errors {
                let place = source.place(error.range);
                context
                    .problems
                    .push(Problem::error(error.message).at(&place));
            }
        }
    }
}
