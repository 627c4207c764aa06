//! Checks across the keys of a project: what the reference implementation refuses beyond the schema.

use std::collections::{BTreeSet, HashMap};

use super::super::diagnostic::{Problem, Problems};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Entry, Mapping, Node, Value, shorten};

pub(super) fn entries(node: Option<&Node>) -> &[Entry] {
    node.and_then(Node::mapping)
        .map_or(&[], |mapping| &mapping.entries)
}

pub(super) fn items(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::sequence).unwrap_or_default()
}

pub(super) fn is_true(node: Option<&Node>) -> bool {
    node.and_then(Node::scalar)
        .is_some_and(|scalar| scalar.printed() == "true")
}

/// What a whole project is checked against.
struct Names<'r> {
    /// The entries of each section by name, since projects may be large.
    sections: HashMap<&'static str, HashMap<&'r str, &'r Entry>>,
    /// The services whose profiles are active.
    active: &'r BTreeSet<String>,
}

impl<'r> Names<'r> {
    fn new(root: &'r Mapping, active: &'r BTreeSet<String>) -> Self {
        const SECTIONS: [&str; 6] = [
            "services", "networks", "volumes", "secrets", "configs", "models",
        ];
        let index = |section: &str| -> HashMap<&'r str, &'r Entry> {
            let entries = entries(root.get(section)).iter();
            entries
                .map(|entry| (entry.key.text.as_str(), entry))
                .collect()
        };
        Self {
            sections: SECTIONS.map(|section| (section, index(section))).into(),
            active,
        }
    }

    fn find(&self, section: &str, name: &str) -> Option<&'r Entry> {
        self.sections.get(section)?.get(name).copied()
    }

    /// All names of a section, in order, so that suggestions do not depend on chance.
    fn all(&self, section: &str) -> BTreeSet<&'r str> {
        let names = self.sections.get(section).into_iter();
        names.flat_map(|names| names.keys().copied()).collect()
    }
}

/// Checks the active services of a whole project.
pub(in crate::config) fn check(root: &Mapping, active: &BTreeSet<String>, problems: &mut Problems) {
    let names = Names::new(root, active);
    let services = || {
        entries(root.get("services"))
            .iter()
            .filter(|entry| active.contains(&entry.key.text))
    };
    let mut container_names: HashMap<&str, &Node> = HashMap::new();
    let empty = Mapping::default();
    for entry in services() {
        let service = match &entry.value.value {
            Value::Mapping(service) => service,
            Value::Null => &empty,
            _ => continue,
        };
        let mut checking = Checking {
            names: &names,
            entry,
            service,
            problems,
        };
        checking.source();
        checking.networks();
        checking.references();
        checking.healthcheck();
        checking.dependencies();
        checking.scale_and_limits();
        checking.mounts();
        checking.watches();
        if let Some(node) = service.get("container_name")
            && let Some(name) = node.as_text().filter(|name| !name.is_empty())
        {
            match container_names.get(name) {
                Some(first) => problems.push(
                    Problem::error(format!("two services have `container_name: {name}`"))
                        .at(&node.place)
                        .label(&first.place, "the other one"),
                ),
                None => {
                    container_names.insert(name, node);
                }
            }
        }
    }
}

/// The checks of one service.
struct Checking<'c> {
    names: &'c Names<'c>,
    entry: &'c Entry,
    service: &'c Mapping,
    problems: &'c mut Problems,
}

impl Checking<'_> {
    fn name(&self) -> String {
        shorten(&self.entry.key.text)
    }

    fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem::error(message).at(place));
    }

    fn source(&mut self) {
        let filled = |key: &str| {
            self.service.filled(key).is_some_and(|node| {
                node.as_text() != Some("") || self.problems.is_silenced(&node.place)
            })
        };
        if !filled("image") && !filled("build") && !filled("provider") {
            let message = format!("service `{}` has neither `image` nor `build`", self.name());
            self.error(&self.entry.key.place.clone(), message);
        }
        let Some(build) = self.service.get("build").and_then(Node::mapping) else {
            return;
        };
        if let (Some(_), Some(inline)) = (
            build.filled("dockerfile"),
            build.filled("dockerfile_inline"),
        ) {
            let message = "`dockerfile` and `dockerfile_inline` exclude each other";
            self.error(&inline.place, message);
        }
        for context in entries(build.get("additional_contexts")) {
            if let Some(target) = context
                .value
                .as_text()
                .and_then(|text| text.strip_prefix("service:"))
            {
                self.built_service(target, &context.value.place);
            }
        }
        let platform = self.service.get("platform").and_then(Node::as_text);
        if let Some(platform) = platform.filter(|text| !text.is_empty()) {
            let platforms = items(build.get("platforms"));
            let is_named = platforms.iter().any(|one| one.as_text() == Some(platform));
            if !platforms.is_empty() && !is_named {
                let message = format!(
                    "`platforms` of `build` leaves out `{}`, the platform of service `{}`",
                    shorten(platform),
                    self.name()
                );
                let place = self.service.get("platform").map(|node| node.place.clone());
                if let Some(place) = place {
                    self.error(&place, message);
                }
            }
        }
    }

    fn built_service(&mut self, target: &str, place: &Place) {
        let name = self.name();
        let shown = shorten(target);
        let other = self.names.find("services", target);
        let message = match other {
            Some(other) if self.names.active.contains(target) => {
                if other.value.get("build").is_some() {
                    return;
                }
                format!("service `{name}` builds upon `{shown}`, which has no `build`")
            }
            _ => format!("service `{name}` builds upon `{shown}`, which does not exist"),
        };
        self.error(place, message);
    }

    fn networks(&mut self) {
        let networks = entries(self.service.get("networks"));
        if let Some(mode) = self.service.get("network_mode")
            && let Some(text) = mode.as_text().filter(|text| !text.is_empty())
        {
            if let Some(first) = networks.first() {
                let message = "`network_mode` and `networks` exclude each other";
                let problem = Problem::error(message).at(&mode.place);
                self.problems.push(problem.at(&first.key.place));
            }
            if let Some(target) = text.strip_prefix("service:")
                && !self.names.active.contains(target)
            {
                let message = format!(
                    "service `{}` shares the network of `{}`, which does not exist",
                    self.name(),
                    shorten(target)
                );
                self.unknown((message, target), &mode.place, "services", None);
            }
        }
        for network in networks {
            let key = network.key.text.as_str();
            let message = format!(
                "service `{}` uses the network `{}`, which does not exist",
                self.name(),
                shorten(key)
            );
            let otherwise = "declare it under the top-level `networks`";
            self.declared("networks", (key, message), &network.key.place, otherwise);
        }
    }

    /// Checks that something is declared at the top level.
    fn declared(
        &mut self,
        section: &str,
        (key, message): (&str, String),
        place: &Place,
        otherwise: &str,
    ) {
        if self.names.find(section, key).is_none() {
            self.unknown((message, key), place, section, Some(otherwise));
        }
    }

    /// An error about a name that is not there, with the nearest that is.
    fn unknown(
        &mut self,
        (message, name): (String, &str),
        place: &Place,
        section: &str,
        otherwise: Option<&str>,
    ) {
        let help = match self.problems.is_full() {
            true => None,
            false => {
                let known = self.names.all(section).into_iter();
                did_you_mean(name, known.filter(|other| *other != self.entry.key.text))
            }
        };
        let problem = Problem::error(message).at(place);
        self.problems
            .push(match help.or_else(|| otherwise.map(str::to_owned)) {
                Some(help) => problem.help(help),
                None => problem,
            });
    }

    fn references(&mut self) {
        let name = self.name();
        for mount in items(self.service.get("volumes")) {
            if mount.get("type").and_then(Node::as_text) != Some("volume") {
                continue;
            }
            if let Some(source) = mount.get("source")
                && let Some(key) = source.as_text().filter(|key| !key.is_empty())
            {
                let shown = shorten(key);
                let message =
                    format!("service `{name}` mounts the volume `{shown}`, which does not exist");
                let otherwise = if shown.contains('/') {
                    format!("a path of the host starts with `./` or `/`: `./{shown}`")
                } else {
                    format!(
                        "declare it under the top-level `volumes`, or write `./{shown}` for a directory"
                    )
                };
                self.declared("volumes", (key, message), &source.place, &otherwise);
            }
        }
        let build = self.service.get("build");
        for (section, what, list) in [
            ("configs", "config", self.service.get("configs")),
            ("secrets", "secret", self.service.get("secrets")),
            (
                "secrets",
                "build secret",
                build.and_then(|node| node.get("secrets")),
            ),
        ] {
            for item in items(list) {
                if let Some(source) = item.get("source")
                    && let Some(key) = source.as_text()
                {
                    let shown = shorten(key);
                    let message =
                        format!("service `{name}` uses the {what} `{shown}`, which does not exist");
                    let otherwise = format!("declare it under the top-level `{section}`");
                    self.declared(section, (key, message), &source.place, &otherwise);
                }
            }
        }
        for model in entries(self.service.get("models")) {
            let key = model.key.text.as_str();
            let shown = shorten(key);
            let message =
                format!("service `{name}` uses the model `{shown}`, which does not exist");
            let otherwise = "declare it under the top-level `models`";
            self.declared("models", (key, message), &model.key.place, otherwise);
        }
    }

    fn healthcheck(&mut self) {
        const KINDS: [&str; 3] = ["CMD", "CMD-SHELL", "NONE"];
        let test = self
            .service
            .get("healthcheck")
            .and_then(|node| node.get("test"));
        let Some(first) = items(test).first() else {
            return;
        };
        let Some(kind) = first.as_text().filter(|kind| !KINDS.contains(kind)) else {
            return;
        };
        let message = format!(
            "`test` starts with `CMD`, `CMD-SHELL` or `NONE`, found `{}`",
            shorten(kind)
        );
        let help = did_you_mean(kind, KINDS)
            .unwrap_or_else(|| "write `[\"CMD\", …]`, or a text for a shell".to_owned());
        self.problems
            .push(Problem::error(message).at(&first.place).help(help));
    }

    fn dependencies(&mut self) {
        let name = self.name();
        for dependency in entries(self.service.get("depends_on")) {
            let key = dependency.key.text.as_str();
            let place = &dependency.key.place;
            if key == self.entry.key.text {
                let message = format!("service `{name}` depends on itself");
                self.error(place, message);
                continue;
            }
            if self.names.active.contains(key) {
                continue;
            }
            let shown = shorten(key);
            if let Some(declared) = self.names.find("services", key) {
                if is_true(dependency.value.get("required")) {
                    self.problems.push(
                        Problem::error(format!(
                            "service `{name}` depends on `{shown}`, which no active profile enables"
                        ))
                        .at(place)
                        .label(&declared.key.place, "declared here")
                        .help("activate its profile, or write `required: false`"),
                    );
                }
                continue;
            }
            let message = format!("service `{name}` depends on `{shown}`, which does not exist");
            let otherwise = "a dependency is the name of a service of this project";
            self.unknown((message, key), place, "services", Some(otherwise));
        }
    }

    fn scale_and_limits(&mut self) {
        let number =
            |node: Option<&Node>| -> Option<f64> { node?.scalar()?.printed().parse().ok() };
        let deploy = self.service.get("deploy");
        let resources = deploy.and_then(|node| node.get("resources"));
        let limits = resources.and_then(|node| node.get("limits"));
        let reservations = resources.and_then(|node| node.get("reservations"));
        let scale = self.service.filled("scale");
        let replicas = deploy.and_then(|node| node.get("replicas"));
        for (node, key) in [(scale, "scale"), (replicas, "replicas")] {
            if let Some(node) = node
                && number(Some(node)).is_some_and(|number| number < 0.0)
            {
                self.error(&node.place, format!("`{key}` must not be negative"));
            }
        }
        if let (Some(scale), Some(replicas)) = (scale, replicas)
            && let (Some(one), Some(other)) = (number(Some(scale)), number(Some(replicas)))
            && one != other
        {
            let message = format!("`scale` is {one} and `deploy.replicas` is {other}");
            let problem = Problem::error(message).at(&scale.place);
            self.problems.push(problem.at(&replicas.place));
        }
        let copies = number(scale).or_else(|| number(replicas)).unwrap_or(1.0);
        if copies > 1.0
            && let Some(node) = self.service.filled("container_name")
            && node.as_text() != Some("")
        {
            let message = format!(
                "service `{}` has a `container_name` and {copies} containers",
                self.name()
            );
            self.error(&node.place, message);
        }
        for (key, other, path) in [
            (
                "cpus",
                limits.and_then(|node| node.get("cpus")),
                "limits.cpus",
            ),
            (
                "mem_limit",
                limits.and_then(|node| node.get("memory")),
                "limits.memory",
            ),
            (
                "pids_limit",
                limits.and_then(|node| node.get("pids")),
                "limits.pids",
            ),
            (
                "mem_reservation",
                reservations.and_then(|node| node.get("memory")),
                "reservations.memory",
            ),
        ] {
            let Some(node) = self.service.filled(key) else {
                continue;
            };
            let section = if path.starts_with("limits") {
                limits
            } else {
                reservations
            };
            // A section that says nothing of this limit sets it to zero, for the reference.
            if section.is_none() {
                continue;
            }
            let (one, two) = (amount(Some(node)), amount(other));
            if one != 0.0 && one != two {
                let message = format!("`{key}` and `deploy.resources.{path}` differ");
                let problem = Problem::error(message).at(&node.place);
                let problem = match other {
                    Some(other) => problem.at(&other.place),
                    None => problem.help(format!(
                        "`deploy.resources.{path}` is not set: set both, or one"
                    )),
                };
                self.problems.push(problem);
            }
        }
    }

    fn mounts(&mut self) {
        let mut targets: HashMap<String, Place> = HashMap::new();
        let tmpfs = self.service.get("tmpfs");
        let tmpfs = match tmpfs.map(|node| &node.value) {
            Some(Value::Sequence(nodes)) => nodes.as_slice(),
            Some(Value::Scalar(_)) => tmpfs.map_or(&[][..], std::slice::from_ref),
            _ => &[],
        };
        let tmpfs = tmpfs.iter().filter_map(|node| {
            let text = node.as_text()?;
            let target = text.split_once(':').map_or(text, |(target, _)| target);
            Some((target.to_owned(), node))
        });
        let volumes = items(self.service.get("volumes"))
            .iter()
            .filter_map(|node| {
                let target = node.get("target")?;
                Some((target.as_text()?.to_owned(), target))
            });
        for (target, node) in tmpfs.chain(volumes) {
            match targets.get(&target) {
                Some(first) => {
                    let message = format!("two mounts have the target `{}`", shorten(&target));
                    let problem = Problem::error(message).at(&node.place);
                    self.problems.push(problem.label(first, "the other one"));
                }
                None => {
                    targets.insert(target, node.place.clone());
                }
            }
        }
        for mount in items(self.service.get("volumes")) {
            let is_bind = mount.get("type").and_then(Node::as_text) == Some("bind");
            if is_bind && mount.get("source").is_none() {
                self.error(&mount.place, "a mount of type `bind` has no `source`");
            }
        }
    }

    fn watches(&mut self) {
        let watches = self
            .service
            .get("develop")
            .and_then(|node| node.get("watch"));
        for watch in items(watches) {
            let action = watch
                .get("action")
                .and_then(Node::as_text)
                .unwrap_or_default();
            let has_target = watch
                .get("target")
                .and_then(Node::as_text)
                .is_some_and(|target| !target.is_empty());
            if !has_target && !matches!(action, "rebuild" | "restart") {
                let message = format!("`watch` with action `{}` has no `target`", shorten(action));
                self.error(&watch.place, message);
            }
        }
    }
}

/// A number or a size, zero where there is none.
fn amount(node: Option<&Node>) -> f64 {
    let Some(scalar) = node.and_then(Node::scalar) else {
        return 0.0;
    };
    let text = scalar.printed();
    match text.parse::<f64>() {
        Ok(number) => number,
        Err(_) => super::super::size::parse(&text).map_or(0.0, |bytes| bytes as f64),
    }
}
