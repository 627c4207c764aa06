//! `build:` of a service.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::keys;
use super::super::model::{
    AdditionalContext, Build, BuildContext, BuildOptions, BuildSecret, Dockerfile, Hidden,
};
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::context::Context;
use super::options::read_extra_hosts;
use super::resources::read_ulimits;
use crate::name::ServiceName;

/// The services that a build takes files from, each with the place that says so.
pub(super) type ContextPlaces = Vec<(ServiceName, Place)>;

/// Reads `build:` of a service.
pub(super) fn read_build(
    context: &mut Context<'_>,
    service: &Mapping,
) -> Option<(Build, ContextPlaces)> {
    let node = service.get("build")?;
    let map = context.mapping(node, "build")?;
    context.check_keys(map, &keys::BUILD);
    let files = match map.get("context") {
        Some(node) => context
            .filled_text(node, "context")
            .map(|text| context_of(context, &text)),
        // Without a context the directory of the project is it.
        None => Some(BuildContext::Directory(context.path("."))),
    };
    let dockerfile = read_dockerfile(context, map);
    let args = map
        .get("args")
        .map(|node| context.resolved_pairs(node, "args"))
        .unwrap_or_default();
    let target = map
        .get("target")
        .and_then(|node| context.text(node, "target"))
        .filter(|target| !target.is_empty());
    let (additional_contexts, places) = read_contexts(context, map);
    let build = Build {
        context: files?,
        dockerfile,
        args,
        target,
        additional_contexts,
        labels: map
            .get("labels")
            .map(|node| context.labels(node, "labels"))
            .unwrap_or_default(),
        tags: texts(context, map, "tags"),
        secrets: read_secrets(context, map),
        ssh: read_ssh(context, map),
        options: read_options(context, service, map),
    };
    refuse_beside_remote(context, map, &build);
    Some((build, places))
}

/// A context is a directory unless it is something that an engine fetches.
fn context_of(context: &Context<'_>, text: &str) -> BuildContext {
    if is_remote(text) {
        BuildContext::Remote(text.to_owned())
    } else {
        BuildContext::Directory(context.path(text))
    }
}

fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/")
}

/// The stage `format` refuses both beside each other.
fn read_dockerfile(context: &mut Context<'_>, map: &Mapping) -> Dockerfile {
    let mut text = |key: &str| {
        map.get(key)
            .and_then(|node| context.text(node, key))
            .filter(|text| !text.is_empty())
    };
    match (text("dockerfile_inline"), text("dockerfile")) {
        (Some(text), _) => Dockerfile::Inline(text),
        (None, file) => Dockerfile::File(PathBuf::from(file.as_deref().unwrap_or("Dockerfile"))),
    }
}

fn texts(context: &mut Context<'_>, map: &Mapping, key: &str) -> Vec<String> {
    let node = map.get(key);
    node.map(|node| context.texts(node, key))
        .unwrap_or_default()
}

fn read_contexts(
    context: &mut Context<'_>,
    map: &Mapping,
) -> (BTreeMap<String, AdditionalContext>, ContextPlaces) {
    const KEY: &str = "additional_contexts";
    let (mut contexts, mut places) = (BTreeMap::new(), Vec::new());
    let Some(node) = map.get(KEY) else {
        return (contexts, places);
    };
    for pair in context.pairs(node, KEY) {
        let Some(value) = pair.value.filter(|value| !value.is_empty()) else {
            context.error(&pair.place, format!("context `{}` has no value", pair.key));
            continue;
        };
        let additional = if let Some(service) = value.strip_prefix("service:") {
            let name = ServiceName::new(service);
            places.push((name.clone(), pair.place));
            AdditionalContext::Service(name)
        } else if let Some(reference) = value.strip_prefix("docker-image://") {
            AdditionalContext::Image(reference.to_owned())
        } else if is_remote(&value) || value.starts_with("oci-layout:") {
            let message = format!(
                "context `{}` is `{}`, which is not supported",
                shorten(&pair.key),
                shorten(&value)
            );
            let help = "an additional context is a directory, `docker-image://…` or `service:…`";
            context.error_help(&pair.place, message, help);
            continue;
        } else {
            AdditionalContext::Directory(context.path(&value))
        };
        contexts.insert(pair.key, additional);
    }
    (contexts, places)
}

/// A Dockerfile that only the engine sees can neither be replaced nor changed.
fn refuse_beside_remote(context: &mut Context<'_>, map: &Mapping, build: &Build) {
    if !matches!(build.context, BuildContext::Remote(_)) {
        return;
    }
    for key in [
        "dockerfile_inline",
        "additional_contexts",
        "no_cache_filter",
    ] {
        if let Some(entry) = map.entry(key) {
            let message = format!("`{key}` is not supported beside a remote `context`");
            let help =
                "the engine reads the Dockerfile there by itself; clone the repository first";
            context.error_help(&entry.key.place, message, help);
        }
    }
}

fn read_secrets(context: &mut Context<'_>, map: &Mapping) -> BTreeMap<String, BuildSecret> {
    const KEY: &str = "secrets";
    let mut secrets = BTreeMap::new();
    let Some(node) = map.get(KEY) else {
        return secrets;
    };
    for item in context.list(node, KEY) {
        let Some(map) = context.mapping(item, KEY) else {
            continue;
        };
        context.check_keys(map, &keys::BUILD_SECRET);
        let mut text = |key: &str| map.get(key).and_then(|node| context.text(node, key));
        let (source, target) = (text("source"), text("target"));
        let Some(source) = source else { continue };
        let id = target
            .filter(|target| !target.is_empty())
            .unwrap_or_else(|| source.clone());
        let secret = read_secret(context, (&source, item));
        secrets.extend(secret.map(|secret| (id, secret)));
    }
    secrets
}

/// The secret of a name, from the top level of the project.
fn read_secret(context: &mut Context<'_>, (name, item): (&str, &Node)) -> Option<BuildSecret> {
    // The stage `format` refuses names that are not declared.
    let map = context.secrets?.get(name).and_then(Node::mapping)?;
    if let Some(node) = map.get("file") {
        let text = context.filled_text(node, "file")?;
        let path = context.path(&text);
        context.mask_file(name, &path, &node.place);
        return Some(BuildSecret::File(path));
    }
    let Some(node) = map.get("environment") else {
        let message = format!("secret `{}` cannot be used by a build", shorten(name));
        let help = "a secret of a build has `file` or `environment`";
        context.error_help(&item.place, message, help);
        return None;
    };
    let variable = context.filled_text(node, "environment")?;
    let value = context.variables.get(&variable).cloned();
    if value.is_none() {
        let message = format!("variable `{}` is not set", shorten(&variable));
        let help = format!("the build goes without secret `{}`", shorten(name));
        context.warn(&node.place, message, Some(&help));
    }
    let value = value?;
    context.mask_secret(name, value.as_str());
    Some(BuildSecret::Value(Hidden::new(value)))
}

fn read_ssh(context: &mut Context<'_>, map: &Mapping) -> BTreeMap<String, PathBuf> {
    const KEY: &str = "ssh";
    let mut agents = BTreeMap::new();
    let Some(node) = map.get(KEY) else {
        return agents;
    };
    for pair in context.pairs(node, KEY) {
        let path = match pair.value.filter(|path| !path.is_empty()) {
            Some(path) => context.path(&path),
            None => match context.variables.get("SSH_AUTH_SOCK") {
                Some(path) => PathBuf::from(path),
                None => {
                    let id = shorten(&pair.key);
                    let message = format!("`{id}` of `ssh` needs an agent, and there is none");
                    let help = "start `ssh-agent`, which sets SSH_AUTH_SOCK";
                    context.error_help(&pair.place, message, help);
                    continue;
                }
            },
        };
        if path.is_file() {
            let message = format!("`{}` is a file, not the socket of an agent", path.display());
            let help = "add the key to an agent with `ssh-add`, and name the agent here";
            context.error_help(&pair.place, message, help);
        }
        agents.insert(pair.key, path);
    }
    agents
}

fn read_options(context: &mut Context<'_>, service: &Mapping, map: &Mapping) -> BuildOptions {
    let mut boolean = |key: &str| {
        let node = map.get(key).filter(|node| !node.is_null());
        node.and_then(|node| context.boolean(node, key))
            .unwrap_or(false)
    };
    let (pull, no_cache) = (boolean("pull"), boolean("no_cache"));
    let network = map
        .get("network")
        .and_then(|node| context.text(node, "network"))
        .filter(|network| !network.is_empty());
    BuildOptions {
        cache_from: read_cache(context, map),
        network,
        shm_size: map
            .get("shm_size")
            .and_then(|node| context.bytes(node, "shm_size")),
        platform: read_platform(context, service, map),
        pull,
        no_cache,
        no_cache_filter: map
            .get("no_cache_filter")
            .map(|node| context.text_or_list(node, "no_cache_filter"))
            .unwrap_or_default()
            .into_iter()
            .map(|(stage, _)| stage)
            .collect(),
        extra_hosts: read_extra_hosts(context, map),
        ulimits: read_ulimits(context, map),
    }
}

/// `cache_from:`: references of images, also as `type=registry,ref=…`.
fn read_cache(context: &mut Context<'_>, map: &Mapping) -> Vec<String> {
    const KEY: &str = "cache_from";
    let Some(node) = map.get(KEY) else {
        return Vec::new();
    };
    let mut references = Vec::new();
    for (text, node) in context.text_or_list(node, KEY) {
        if !text.contains('=') {
            references.push(text);
            continue;
        }
        let fields: BTreeMap<&str, &str> = text
            .split(',')
            .filter_map(|field| field.split_once('='))
            .collect();
        match (fields.get("type"), fields.get("ref")) {
            (Some(&"registry") | None, Some(reference)) => references.push((*reference).to_owned()),
            _ => {
                let message = format!("`{}` of `cache_from` has no effect", shorten(&text));
                context.warn(&node.place, message, Some("only images can be a cache"));
            }
        }
    }
    references
}

/// The platform of a build is the service's; else the only one of `platforms`; else the engine's.
fn read_platform(context: &mut Context<'_>, service: &Mapping, map: &Mapping) -> Option<String> {
    let platforms = texts(context, map, "platforms");
    // Whether the text is one is said where the service's other keys are read.
    let own = match service.get("platform").map(|node| &node.value) {
        Some(Value::Scalar(scalar)) if !scalar.text.is_empty() => Some(scalar.text.clone()),
        _ => None,
    };
    let Some(entry) = map.entry("platforms").filter(|_| !platforms.is_empty()) else {
        return own;
    };
    match own {
        Some(own) => {
            if !platforms.contains(&own) {
                let shown = shorten(&own);
                let message = format!("`platforms` lacks `{shown}`, the platform of the service");
                context.error(&entry.key.place, message);
            }
            Some(own)
        }
        None if platforms.len() == 1 => platforms.into_iter().next(),
        None => {
            let message = "of `platforms`, only the engine's own is built";
            let help =
                "a run has one image of a service; `platform` of the service chooses another";
            context.warn(&entry.key.place, message, Some(help));
            None
        }
    }
}
