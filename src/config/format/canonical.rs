//! From the short forms of the specification to the long ones.

use std::collections::HashMap;

use super::super::diagnostic::{Problem, Problems};
use super::super::source::Place;
use super::super::yaml::{Entry, Mapping, Node, Resolved, Scalar, Value, shorten};
use super::merge::{names_to_mapping, short_dependency};
use super::{each_item, each_mapping, ports, volume};

/// Ports of one document together, ranges expanded; more is a mistake, or meant to exhaust memory.
const MAX_PORTS: usize = 200_000;

/// Turns all short forms of a tree into long ones.
pub(super) fn apply(root: &mut Mapping, problems: &mut Problems) {
    let mut canonical = Canonical {
        problems,
        ports_left: MAX_PORTS,
    };
    for (_, service) in each_mapping(root, "services") {
        canonical.service(service);
    }
    for section in ["networks", "volumes", "secrets", "configs"] {
        for (key, resource) in each_mapping(root, section) {
            canonical.external(section, &key.text, resource);
        }
    }
}

struct Canonical<'p> {
    problems: &'p mut Problems,
    ports_left: usize,
}

/// Changes the value of a key, if it is there.
fn change(map: &mut Mapping, key: &str, with: impl FnOnce(Node) -> Node) {
    if let Some(node) = map.get_mut(key) {
        let taken = Node::null(&node.place);
        *node = with(std::mem::replace(node, taken));
    }
}

/// A text becomes a list of one.
fn list_of_one(node: Node) -> Node {
    match &node.value {
        Value::Scalar(_) => {
            let place = node.place.clone();
            Node::new(Value::Sequence(vec![node]), &place)
        }
        _ => node,
    }
}

/// A text becomes a mapping with one key.
fn mapping_of_one(node: Node, key: &str) -> Node {
    match &node.value {
        Value::Scalar(_) => {
            let place = node.place.clone();
            Node::of_entries(vec![(key, node)], &place)
        }
        _ => node,
    }
}

/// A node at the place of another that is text.
fn derived(node: &Node, text: impl Into<String>) -> Node {
    Node::text(text, &node.place)
}

impl Canonical<'_> {
    fn service(&mut self, service: &mut Mapping) {
        change(service, "build", |node| mapping_of_one(node, "context"));
        if let Some(build) = service.get_mut("build").and_then(Node::mapping_mut) {
            self.build(build);
        }
        change(service, "depends_on", dependencies);
        change(service, "env_file", list_of_one);
        for item in each_item(service, "env_file") {
            env_file(item);
        }
        for key in ["label_file", "dns"] {
            change(service, key, list_of_one);
        }
        if let Some(Value::Sequence(nodes)) = service.get_mut("dns").map(|node| &mut node.value) {
            nodes.retain(|node| !node.is_null() && node.as_text() != Some(""));
        }
        change(service, "extends", |node| mapping_of_one(node, "service"));
        change(service, "gpus", all_gpus);
        for key in ["networks", "models"] {
            change(service, key, |node| names_to_mapping(node, &Node::null));
        }
        for item in each_item(service, "volumes") {
            self.volume(item);
        }
        for item in each_item(service, "devices") {
            self.device(item);
        }
        for key in ["secrets", "configs"] {
            for item in each_item(service, key) {
                *item = mapping_of_one(std::mem::replace(item, Node::null(&item.place)), "source");
            }
        }
        if let Some(node) = service.get_mut("ports") {
            self.ports(node);
        }
        let develop = service.get_mut("develop").and_then(Node::mapping_mut);
        if let Some(develop) = develop {
            for watch in each_item(develop, "watch") {
                if let Some(watch) = watch.mapping_mut() {
                    change(watch, "ignore", list_of_one);
                    change(watch, "include", list_of_one);
                }
            }
        }
    }

    fn build(&mut self, build: &mut Mapping) {
        for item in each_item(build, "secrets") {
            *item = mapping_of_one(std::mem::replace(item, Node::null(&item.place)), "source");
        }
        for key in ["provenance", "sbom"] {
            change(build, key, |node| match &node.value {
                Value::Scalar(scalar) => derived(&node, scalar.printed()),
                _ => node,
            });
        }
        if let Some(node) = build.get_mut("additional_contexts") {
            self.key_values(node);
        }
        if let Some(node) = build.get_mut("ssh") {
            self.ssh(node);
        }
    }

    /// A list of `key=value` becomes a mapping.
    fn key_values(&mut self, node: &mut Node) {
        self.split_list(node, "`NAME=VALUE`", |_| false);
    }

    /// A list of `id=path` becomes a mapping; `default` stands alone.
    fn ssh(&mut self, node: &mut Node) {
        self.split_list(node, "`ID=PATH`, nor `default`", |text| text == "default");
    }

    /// Splits the entries of a list at `=`; the last one of a name counts. Texts without `=` are
    /// wrong, unless they may stand alone.
    fn split_list(&mut self, node: &mut Node, wanted: &str, alone: impl Fn(&str) -> bool) {
        let Value::Sequence(items) = &node.value else {
            return;
        };
        let mut mapping = Mapping::default();
        let mut positions: HashMap<&str, usize> = HashMap::new();
        for item in items {
            let Some(text) = item.as_text() else { continue };
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key, derived(item, value)),
                None if alone(text) => (text, Node::null(&item.place)),
                None => {
                    let message = format!("`{}` is not {wanted}", shorten(text));
                    self.problems.push(Problem::error(message).at(&item.place));
                    continue;
                }
            };
            match positions.get(key) {
                Some(position) => mapping.entries[*position].value = value,
                None => {
                    positions.insert(key, mapping.entries.len());
                    mapping.entries.push(Entry::new(key, value));
                }
            }
        }
        node.value = Value::Mapping(mapping);
    }

    fn volume(&mut self, node: &mut Node) {
        let Some(text) = node.as_text() else { return };
        let short = match volume::parse(text) {
            Ok(short) => short,
            Err(why) => {
                let message = format!("`{}` is not a mount: {why}", shorten(text));
                let problem = Problem::error(message).at(&node.place);
                self.problems
                    .push(problem.help("write `SOURCE:TARGET` or `SOURCE:TARGET:ro`"));
                return self.problems.silence(&node.place);
            }
        };
        let place = node.place.clone();
        let text = |text: &str| Node::text(text, &place);
        let yes = || Node::implied("true", &place);
        let kind = if short.is_bind() { "bind" } else { "volume" };
        let mut entries = vec![("type", text(kind))];
        if !short.source.is_empty() {
            entries.push(("source", text(&short.source)));
        }
        entries.push(("target", text(&clean_target(&short.target))));
        if short.read_only {
            entries.push((
                "read_only",
                Node::new(Value::Scalar(Scalar::plain("true")), &place),
            ));
        }
        let mut bind = Vec::new();
        if short.is_bind() {
            bind.push(("create_host_path", yes()));
        }
        bind.extend(
            short
                .propagation
                .iter()
                .map(|how| ("propagation", text(how))),
        );
        bind.extend(short.selinux.iter().map(|how| ("selinux", text(how))));
        if !bind.is_empty() {
            entries.push(("bind", Node::of_entries(bind, &place)));
        }
        let nocopy = match short.nocopy {
            true => vec![("nocopy", yes())],
            false => Vec::new(),
        };
        // A target alone, of one or two characters, is not looked at further by the reference.
        let is_looked_at = node.as_text().is_some_and(|text| text.len() > 2);
        if short.nocopy || (!short.is_bind() && is_looked_at) {
            entries.push(("volume", Node::of_entries(nocopy, &place)));
        }
        *node = Node::of_entries(entries, &place);
    }

    fn device(&mut self, node: &mut Node) {
        let Some(text) = node.as_text() else { return };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, permissions) = match parts.as_slice() {
            [source] => (*source, *source, "rwm"),
            [source, target] => (*source, *target, "rwm"),
            [source, target, permissions] => (*source, *target, *permissions),
            _ => {
                let message = format!("`{}` is not a device", shorten(text));
                let problem = Problem::error(message).at(&node.place);
                let help = "write `SOURCE:TARGET:PERMISSIONS`, or the long form with `source` and `target`";
                return self.problems.push(problem.help(help));
            }
        };
        let target = if target.is_empty() { source } else { target };
        let entries = vec![
            ("source", derived(node, source)),
            ("target", derived(node, target)),
            ("permissions", derived(node, permissions)),
        ];
        *node = Node::of_entries(entries, &node.place);
    }

    fn ports(&mut self, node: &mut Node) {
        let Value::Sequence(items) = &mut node.value else {
            return;
        };
        let mut ports = Vec::with_capacity(items.len());
        for item in std::mem::take(items) {
            let Value::Scalar(scalar) = &item.value else {
                ports.push(item);
                continue;
            };
            if let Resolved::Float(_) = scalar.resolve() {
                let text = shorten(&scalar.text);
                let message = format!("`{text}` is not a port: it is not a whole number");
                self.problems.push(Problem::error(message).at(&item.place));
                continue;
            }
            match ports::parse(&scalar.printed()) {
                Ok(short) => {
                    if !self.take_ports(short.len(), &item.place) {
                        break;
                    }
                    ports.extend(short.iter().map(|port| long_port(port, &item.place)));
                }
                Err(why) => {
                    let text = shorten(&scalar.text);
                    let message = format!("`{text}` is not a port: {why}");
                    let help = "write `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, such as `8080:80`";
                    let problem = Problem::error(message).at(&item.place);
                    self.problems.push(problem.help(help));
                }
            }
        }
        *items = ports;
    }

    /// Takes ports from the budget; false when there are too many.
    fn take_ports(&mut self, count: usize, place: &Place) -> bool {
        match self.ports_left.checked_sub(count) {
            Some(rest) => {
                self.ports_left = rest;
                true
            }
            None => {
                if self.ports_left > 0 {
                    let message = format!("the project has more than {MAX_PORTS} ports");
                    self.problems.push(Problem::error(message).at(place));
                }
                self.ports_left = 0;
                false
            }
        }
    }

    /// `external: { name: x }` of old files becomes `external: true` and `name: x`.
    fn external(&mut self, section: &str, key: &str, resource: &mut Mapping) {
        let Some(external) = resource
            .get("external")
            .filter(|node| node.mapping().is_some())
        else {
            return;
        };
        let place = external.place.clone();
        let outer = resource.filled("name").and_then(Node::as_text);
        let inner = external.get("name").cloned();
        if let Some(inner) = &inner {
            if outer.is_some() && outer != inner.as_text() {
                let message = format!("`{section}.{key}` has two names");
                let problem = Problem::error(message).at(&inner.place);
                self.problems
                    .push(problem.help("leave `external.name` out"));
            }
            let problem = Problem::warning("`external.name` is deprecated").at(&inner.place);
            self.problems
                .push_shared(problem.help("write `external: true` and `name` beside it"));
        }
        if let Some(inner) = inner
            && outer.is_none()
        {
            resource.set("name", inner);
        }
        let yes = Node::new(Value::Scalar(Scalar::plain("true")), &place);
        resource.set("external", yes);
    }
}

fn long_port(port: &ports::ShortPort, place: &Place) -> Node {
    let text = |text: &str| Node::text(text, place);
    let number = Node::new(Value::Scalar(Scalar::plain(port.target.to_string())), place);
    let mut entries = vec![("mode", text("ingress"))];
    entries.extend(
        port.host_ip
            .iter()
            .map(|address| ("host_ip", text(address))),
    );
    entries.push(("target", number));
    entries.extend(port.published.iter().map(|port| ("published", text(port))));
    entries.push(("protocol", text(&port.protocol)));
    Node::of_entries(entries, place)
}

fn dependencies(node: Node) -> Node {
    let mut node = names_to_mapping(node, &short_dependency);
    if let Value::Mapping(mapping) = &mut node.value {
        for Entry { key, value, .. } in &mut mapping.entries {
            let Some(dependency) = value.mapping_mut() else {
                continue;
            };
            let short = short_dependency(&key.place);
            for name in ["condition", "required"] {
                if dependency.get(name).is_none()
                    && let Some(default) = short.get(name)
                {
                    dependency.set(name, default.clone());
                }
            }
        }
    }
    node
}

fn env_file(item: &mut Node) {
    let place = item.place.clone();
    if item.mapping().is_none() {
        *item = mapping_of_one(std::mem::replace(item, Node::null(&place)), "path");
    }
    if let Some(map) = item.mapping_mut()
        && map.get("required").is_none()
    {
        map.set("required", Node::implied("true", &place));
    }
}

fn all_gpus(node: Node) -> Node {
    match &node.value {
        Value::Scalar(_) => {
            let all = Node::of_entries(vec![("count", derived(&node, "all"))], &node.place);
            Node::new(Value::Sequence(vec![all]), &node.place)
        }
        _ => node,
    }
}

/// An absolute or relative path of the container without `.`, `..` and double slashes, as Go's
/// `path.Clean` does it.
pub(super) fn clean_target(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") | None if !is_absolute => parts.push(".."),
                _ => {
                    parts.pop();
                }
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (is_absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
