//! What the specification adds to a merged project: the default network, names of resources,
//! dependencies that follow from other keys, and variables without a value.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::source::Place;
use super::super::yaml::{Entry, Key, Mapping, Node, Scalar, Value};
use super::canonical::clean_target;
use super::{each_item, each_mapping};

/// The network of a service that names none.
const DEFAULT_NETWORK: &str = "default";

/// Takes the values of what is named without a value from the variables of the file's own scope:
/// `environment` in its list form, and the contents of secrets and configs.
pub(super) fn resolve_variables(root: &mut Mapping, variables: &BTreeMap<String, String>) {
    for (_, service) in each_mapping(root, "services") {
        for item in each_item(service, "environment") {
            if let Some(name) = item.as_text()
                && let Some(value) = variables.get(name)
            {
                *item = Node::text(format!("{name}={value}"), &item.place);
            }
        }
    }
    for (_, config) in each_mapping(root, "configs") {
        if let Some(node) = config.filled("environment")
            && let Some(value) = node.as_text().and_then(|name| variables.get(name))
        {
            let content = Node::text(value, &node.place);
            config.set("content", content);
        }
    }
}

/// Notes which variables are taken by their names alone, before their values are: in `environment` and
/// `build.args`, and as the contents of secrets and configs.
pub(super) fn named(root: &mut Mapping, found: &mut BTreeSet<String>) {
    let mut note = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::Sequence(items)) => found.extend(
            items
                .iter()
                .filter_map(Node::as_text)
                .filter(|text| !text.contains('='))
                .map(str::to_owned),
        ),
        Some(Value::Mapping(map)) => found.extend(
            map.entries
                .iter()
                .filter(|entry| entry.value.is_null())
                .map(|entry| entry.key.text.clone()),
        ),
        _ => {}
    };
    for (_, service) in each_mapping(root, "services") {
        note(service.get("environment"));
        note(service.get("build").and_then(|build| build.get("args")));
    }
    for section in ["configs", "secrets"] {
        for (_, resource) in each_mapping(root, section) {
            let name = resource.get("environment").and_then(Node::as_text);
            found.extend(name.map(str::to_owned));
        }
    }
}

/// Completes a merged project.
pub(in crate::config) fn normalise(
    root: &mut Mapping,
    name: &str,
    variables: &BTreeMap<String, String>,
) {
    networks(root);
    for (key, service) in each_mapping(root, "services") {
        let place = key.place.clone();
        if let Some(Value::Scalar(policy)) =
            service.get_mut("pull_policy").map(|node| &mut node.value)
            && policy.text == "if_not_present"
        {
            *policy = Scalar::text("missing");
        }
        build(service, variables);
        if let Some(node) = service.get_mut("environment") {
            fill(node, variables, true);
        }
        dependencies(service, &place);
        for mount in each_item(service, "volumes") {
            if let Some(node) = mount.mapping_mut().and_then(|map| map.get_mut("target"))
                && let Value::Scalar(target) = &mut node.value
            {
                target.text = clean_target(&target.text);
            }
        }
    }
    for section in ["networks", "volumes", "configs", "secrets"] {
        names(root, section, name);
    }
}

fn networks(root: &mut Mapping) {
    let mut default = None;
    for (key, service) in each_mapping(root, "services") {
        if service.get("provider").is_some() || service.get("network_mode").is_some() {
            continue;
        }
        let named = service.get("networks").and_then(Node::mapping);
        match named {
            Some(networks) if !networks.entries.is_empty() => {
                if let Some(entry) = networks.entry(DEFAULT_NETWORK) {
                    default.get_or_insert_with(|| entry.key.place.clone());
                }
            }
            _ => {
                default.get_or_insert_with(|| key.place.clone());
                let none = Node::null(&key.place);
                let networks = Node::of_entries(vec![(DEFAULT_NETWORK, none)], &key.place);
                service.set("networks", networks);
            }
        }
    }
    let Some(place) = default else { return };
    if root.filled("networks").is_none() {
        let empty = Value::Mapping(Mapping::default());
        root.set("networks", Node::new(empty, &place));
    }
    if let Some(networks) = root.get_mut("networks").and_then(Node::mapping_mut)
        && networks.get(DEFAULT_NETWORK).is_none()
    {
        networks.set(DEFAULT_NETWORK, Node::null(&place));
    }
}

fn build(service: &mut Mapping, variables: &BTreeMap<String, String>) {
    let Some(node) = service.get_mut("build") else {
        return;
    };
    let place = node.place.clone();
    let Some(build) = node.mapping_mut() else {
        return;
    };
    if build.filled("context").is_none() {
        build.set("context", Node::implied(".", &place));
    }
    if build.filled("dockerfile").is_none() && build.filled("dockerfile_inline").is_none() {
        build.set("dockerfile", Node::implied("Dockerfile", &place));
    }
    if let Some(args) = build.get_mut("args") {
        fill(args, variables, false);
    }
}

/// Gives names without a value that of their variable; those that have none are kept or dropped.
fn fill(node: &mut Node, variables: &BTreeMap<String, String>, keep: bool) {
    match &mut node.value {
        Value::Mapping(mapping) => {
            mapping.entries.retain_mut(|entry| {
                if !entry.value.is_null() {
                    return true;
                }
                match variables.get(&entry.key.text) {
                    Some(value) => {
                        entry.value = Node::text(value, &entry.key.place);
                        true
                    }
                    None => keep,
                }
            });
        }
        Value::Sequence(items) => items.retain_mut(|item| {
            let Some(text) = item.as_text().filter(|text| !text.contains('=')) else {
                return true;
            };
            match variables.get(text) {
                Some(value) => {
                    *item = Node::text(format!("{text}={value}"), &item.place);
                    true
                }
                None => keep,
            }
        }),
        Value::Null | Value::Scalar(_) => {}
    }
}

/// Links, shared namespaces and shared volumes are dependencies too.
fn dependencies(service: &mut Mapping, place: &Place) {
    let mut wanted: Vec<(String, &str, Place)> = Vec::new();
    for item in each_item(service, "links") {
        if let Some(text) = item.as_text() {
            let parts: Vec<&str> = text.split(':').collect();
            let name = match parts.as_slice() {
                [name, _] => name,
                _ => text,
            };
            wanted.push((name.to_owned(), "true", item.place.clone()));
        }
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        if let Some(node) = service.get(key)
            && let Some(name) = node
                .as_text()
                .and_then(|text| text.strip_prefix("service:"))
        {
            wanted.push((name.to_owned(), "true", node.place.clone()));
        }
    }
    for item in each_item(service, "volumes_from") {
        if let Some(text) = item
            .as_text()
            .filter(|text| !text.starts_with("container:"))
        {
            let name = text.split(':').next().unwrap_or_default();
            wanted.push((name.to_owned(), "false", item.place.clone()));
        }
    }
    if wanted.is_empty() {
        return;
    }
    if service.filled("depends_on").is_none() {
        let empty = Value::Mapping(Mapping::default());
        service.set("depends_on", Node::new(empty, place));
    }
    let Some(depends_on) = service.get_mut("depends_on").and_then(Node::mapping_mut) else {
        return;
    };
    let keys = depends_on.entries.iter();
    let mut known: HashSet<String> = keys.map(|entry| entry.key.text.clone()).collect();
    for (name, restart, place) in wanted {
        if !known.insert(name.clone()) {
            continue;
        }
        // The other container must run, and no more is said: as if it were written.
        let value = Node::of_entries(
            vec![
                ("condition", Node::text("service_started", &place)),
                ("restart", Node::implied(restart, &place)),
                ("required", Node::implied("true", &place)),
            ],
            &place,
        );
        depends_on.entries.push(Entry {
            key: Key { text: name, place },
            value,
            mark: None,
        });
    }
}

/// Resources without a name are called after the project and their key.
fn names(root: &mut Mapping, section: &str, project: &str) {
    let Some(resources) = root.get_mut(section).and_then(Node::mapping_mut) else {
        return;
    };
    for entry in &mut resources.entries {
        let place = entry.key.place.clone();
        if entry.value.is_null() {
            entry.value = Node::new(Value::Mapping(Mapping::default()), &place);
        }
        let Some(resource) = entry.value.mapping_mut() else {
            continue;
        };
        if resource.filled("name").is_some() {
            continue;
        }
        let key = &entry.key.text;
        let is_external = resource
            .get("external")
            .and_then(Node::scalar)
            .is_some_and(|scalar| is_true(&scalar.printed()));
        let name = if is_external {
            key.clone()
        } else {
            format!("{project}_{key}")
        };
        let name = Node::new(Value::Scalar(Scalar::text(name).implied()), &place);
        resource.set("name", name);
    }
}

/// The texts that Go's `strconv.ParseBool` takes for true.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}
