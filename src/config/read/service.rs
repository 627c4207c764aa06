//! One service: the keys that need no file of their own, and the hand-over to the other readers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::diagnostic::Problem;
use super::super::keys;
use super::super::model::{Condition, Dependency, Role, Service, Shards};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::words;
use super::super::yaml::{Entry, Mapping, Node, Value, shorten};
use super::context::Context;
use super::injected::FileUse;
use super::mounts::BindPlace;
use super::networks::read_attachments;
use super::{
    build, environment, extension, health, image, in_memory, injected, lifecycle, mounts, options,
    ports, sharing,
};
use crate::name::{NetworkKey, ServiceName};

/// A service with the places that cross checks point at. Its role is not decided yet.
pub(in crate::config) struct ReadService {
    pub(in crate::config) service: Service,
    pub(in crate::config) places: Places,
    /// `secrets:` and `configs:`, not looked up at the top level yet.
    pub(in crate::config) uses: Vec<FileUse>,
    /// `x-envrun.bind`, whether its bind mounts are copies.
    pub(in crate::config) copy_binds: Option<bool>,
}

/// Where a service says what it needs from the rest of the project.
pub(in crate::config) struct Places {
    pub(in crate::config) binds: Vec<BindPlace>,
    pub(in crate::config) depends_on: BTreeMap<ServiceName, Place>,
    pub(in crate::config) addresses: Vec<(NetworkKey, IpAddr, Place)>,
    pub(in crate::config) sharing: Vec<(ServiceName, Place)>,
    /// The services whose images are contexts of its build.
    pub(in crate::config) contexts: Vec<(ServiceName, Place)>,
    pub(in crate::config) ready_healthcheck: Option<Place>,
    pub(in crate::config) healthcheck: Option<Place>,
}

/// Reads one service; `None` when it is no mapping at all.
pub(super) fn read_service(
    context: &mut Context<'_>,
    name: &ServiceName,
    entry: &Entry,
) -> Option<ReadService> {
    let empty = Mapping::default();
    let map = match &entry.value.value {
        Value::Null => &empty,
        _ => context.mapping(&entry.value, name.as_str())?,
    };
    context.check_keys(map, &keys::SERVICE);
    let options = options::read_options(context, map);
    let volumes = mounts::read_mounts(context, map);
    let attachments = read_attachments(context, map);
    let depends_on = read_depends_on(context, map);
    let shared = sharing::read_sharing(context, map);
    let extension = extension::read_service_extension(context, map);
    if let Some(Shards::Count(count @ 2..)) = extension.suite.as_ref().map(|suite| suite.shards) {
        let several = format!("the suite has {count} shards");
        let help = "leave the address out, or do not divide the suite";
        lifecycle::check_addresses(context, map, (&several, help));
    }
    let mut text = |key: &str| {
        map.get(key)
            .and_then(|node| context.filled_text_or_null(node, key))
    };
    let image_name = text("image");
    let working_dir = text("working_dir");
    let user = text("user");
    let hostname = text("hostname");
    let container_name = text("container_name");
    image::check_reference(context, map, image_name.as_deref());
    let environment = environment::read_environment(context, map);

    let (build, contexts) = build::read_build(context, map).unzip();

    let service = Service {
        name: name.clone(),
        role: Role::Service,
        image: image_name,
        platform: image::read_platform(context, map),
        pull_policy: image::read_pull_policy(context, map),
        build,
        command: read_words(context, map, "command"),
        entrypoint: read_words(context, map, "entrypoint"),
        environment: environment.variables,
        unset_environment: environment.unset,
        networks: attachments.networks,
        mounts: volumes.mounts,
        injected: Vec::new(),
        depends_on,
        healthcheck: map
            .get("healthcheck")
            .and_then(|node| health::read_healthcheck(context, node)),
        working_dir,
        user,
        hostname,
        container_name,
        ports: ports::read_ports(context, map),
        expose: ports::read_expose(context, map),
        labels: map
            .get("labels")
            .map(|node| context.labels(node, "labels"))
            .unwrap_or_default(),
        lifecycle: lifecycle::read_lifecycle(context, map, extension.suite.is_some()),
        ready: extension.ready,
        suite: extension.suite,
        artifacts: extension.artifacts,
        sharing: shared.sharing,
        options,
    };
    in_memory::check(context, &service, &extension.kept);
    if map.get("image").is_none_or(Node::is_null) && map.get("build").is_none_or(Node::is_null) {
        let message = format!("service `{name}` has neither `image` nor `build`");
        context.error(&entry.key.place, message);
    }
    let dependencies = map.get("depends_on").and_then(Node::mapping);
    let dependencies = dependencies.iter().flat_map(|map| &map.entries);
    let places = Places {
        binds: volumes.binds,
        depends_on: dependencies
            .map(|entry| {
                let name = ServiceName::new(entry.key.text.clone());
                (name, entry.key.place.clone())
            })
            .collect(),
        addresses: attachments.addresses,
        sharing: shared.places,
        contexts: contexts.unwrap_or_default(),
        ready_healthcheck: extension.ready_healthcheck,
        healthcheck: map
            .entry("healthcheck")
            .map(|entry| entry.key.place.clone()),
    };
    Some(ReadService {
        service,
        places,
        uses: injected::read_uses(context, map),
        copy_binds: extension.copy_binds,
    })
}

/// `command:` and `entrypoint:`: a list as it is, a text split into words, null as absent.
pub(super) fn read_words(
    context: &mut Context<'_>,
    map: &Mapping,
    key: &str,
) -> Option<Vec<String>> {
    let node = map.get(key)?;
    match &node.value {
        Value::Null => None,
        Value::Sequence(_) => Some(context.texts(node, key)),
        Value::Scalar(_) => {
            let text = context.text(node, key)?;
            match words::split(&text) {
                Ok(split) => {
                    if let Some(at) = split.operator {
                        warn_operator(context, node, key, text.get(at..).unwrap_or_default());
                    }
                    Some(split.words)
                }
                Err(error) => {
                    context.error(
                        &node.place,
                        format!("`{key}` cannot be split into words: {error}"),
                    );
                    None
                }
            }
        }
        Value::Mapping(_) => {
            context.expected(node, key, "text or a list of texts");
            None
        }
    }
}

fn warn_operator(context: &mut Context<'_>, node: &Node, key: &str, lost: &str) {
    let message = format!("no shell runs `{key}`, so `{}` is dropped", shorten(lost));
    let help = format!("as Compose does; for a shell, write `{key}: [\"sh\", \"-c\", \"…\"]`");
    context.warn(&node.place, message, Some(&help));
}

/// `depends_on:`.
fn read_depends_on(context: &mut Context<'_>, map: &Mapping) -> BTreeMap<ServiceName, Dependency> {
    let Some(node) = map.get("depends_on") else {
        return BTreeMap::new();
    };
    let Some(mapping) = context.mapping(node, "depends_on") else {
        return BTreeMap::new();
    };
    let entries = mapping.entries.iter();
    entries
        .map(|entry| {
            let name = ServiceName::new(entry.key.text.clone());
            (name, read_dependency(context, entry))
        })
        .collect()
}

const CONDITIONS: [(&str, Condition); 3] = [
    ("service_started", Condition::Started),
    ("service_healthy", Condition::Healthy),
    (
        "service_completed_successfully",
        Condition::CompletedSuccessfully,
    ),
];

fn read_dependency(context: &mut Context<'_>, entry: &Entry) -> Dependency {
    let mut dependency = Dependency {
        condition: Condition::Ready,
        required: true,
    };
    let Some(map) = context.mapping(&entry.value, &entry.key.text) else {
        return dependency;
    };
    context.check_keys(map, &keys::DEPENDENCY);
    if let Some(node) = map.get("required") {
        dependency.required = context.boolean(node, "required").unwrap_or(true);
    }
    let is_written = |node: &&Node| node.scalar().is_some_and(|scalar| !scalar.implied);
    if let Some(node) = map.get("restart").filter(is_written)
        && context.boolean(node, "restart") == Some(true)
    {
        let message = "`restart` of a dependency has no effect";
        let help = "it is about restarts by hand, and nobody makes any in a run";
        context.warn(&node.place, message, Some(help));
    }
    let Some(node) = map.get("condition") else {
        let message = format!("the dependency on `{}` has no `condition`", entry.key.text);
        context.error_help(
            &entry.key.place,
            message,
            "add `condition: service_healthy`",
        );
        return dependency;
    };
    let Some(text) = context.filled_text(node, "condition") else {
        return dependency;
    };
    match CONDITIONS.iter().find(|(name, _)| *name == text) {
        // The short form waits for readiness; only what is written out means no more than a start.
        Some(_) if node.scalar().is_some_and(|scalar| scalar.implied) || is_short(map) => {}
        Some((_, condition)) => dependency.condition = *condition,
        None => {
            let names = CONDITIONS.map(|(name, _)| name);
            let help = did_you_mean(&text, names)
                .unwrap_or_else(|| format!("the conditions are `{}`", names.join("`, `")));
            let message = format!("unknown condition `{}`", shorten(&text));
            context
                .problems
                .push(Problem::error(message).at(&node.place).help(help));
        }
    }
    dependency
}

/// Whether a dependency that is written out was written in its short form before a model was made of
/// it, which notes this: see [`replay`](super::super::replay).
pub(in crate::config) fn is_short(dependency: &Mapping) -> bool {
    let mark = dependency.get(SHORT).and_then(Node::scalar);
    mark.is_some_and(|scalar| scalar.text == "true")
}

/// The key that notes it. Compose takes no notice of keys like it.
pub(in crate::config) const SHORT: &str = "x-envrun-short";
