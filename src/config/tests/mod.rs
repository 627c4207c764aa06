//! Tests of the whole layer: files in, a project or the rendered problems out, as text.

mod artifacts;
mod binds;
mod builds;
mod coverage;
mod hostile;
mod images;
mod injected;
mod lifecycle;
mod masking;
mod merging;
mod options;
mod portable;
mod problems;
mod projects;
mod reachability;
mod ready;
mod reports;
mod sharing;
mod untrusted;
mod values;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::model::{
    Build, BuildContext, BuildOptions, Dockerfile, Healthcheck, Mount, MountSource, Project,
    PublishedPort, ReadyHttp, ReadyKind, ReadyTree, Role, Service,
};
use super::{Loaded, Problems, Request, load};

/// A directory called `demo` with some files, and what is asked for.
struct Case {
    directory: tempfile::TempDir,
    request: Request,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("demo");
        std::fs::create_dir(&root).unwrap();
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let environment = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
        let request = Request {
            directory: root,
            environment,
            ..Request::default()
        };
        Self { directory, request }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.request
            .environment
            .insert(name.to_owned(), value.to_owned());
        self
    }

    fn files(mut self, files: &[&str]) -> Self {
        self.request.files = files.iter().map(Into::into).collect();
        self
    }

    /// As strangers' code, under limits that a file reaches easily.
    fn untrusted(mut self) -> Self {
        self.request.untrusted.get_or_insert_default();
        self
    }

    fn profiles(mut self, profiles: &[&str]) -> Self {
        self.request.profiles = profiles.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(&self.request)
    }

    /// The project and the warnings, or the problems.
    fn show(&self) -> String {
        let text = match self.load() {
            Ok(loaded) => {
                let mut text = describe(&loaded.project);
                if !loaded.warnings.is_empty() {
                    text.push('\n');
                    text.push_str(&Problems::from(loaded.warnings).render(false, 90));
                }
                text
            }
            Err(problems) => problems.render(false, 90),
        };
        let directory = std::fs::canonicalize(self.directory.path()).unwrap();
        text.replace(&directory.display().to_string(), "/PARENT")
            .replace(&self.directory.path().display().to_string(), "/PARENT")
    }
}

/// What one file gives.
fn show(text: &str) -> String {
    Case::new(&[("compose.yaml", text)]).show()
}

/// What one service gives; its lines stand two levels deep.
fn show_service(lines: &str) -> String {
    let lines: String = lines
        .lines()
        .flat_map(|line| ["    ", line, "\n"])
        .collect();
    show(&format!("services:\n  web:\n{lines}"))
}

/// A project with everything that is not a default.
fn describe(project: &Project) -> String {
    let mut out = format!(
        "project {} in {}\n",
        project.name,
        project.directory.display()
    );
    for service in project.services.values() {
        describe_service(service, &mut out);
    }
    for (key, network) in &project.networks {
        let shown = format!("{network:?}");
        let shown = shown.strip_prefix("Network ").unwrap_or(&shown);
        let is_default = *network == Default::default();
        writeln!(out, "network {key} {}", if is_default { "" } else { shown }).unwrap();
    }
    for (key, volume) in &project.volumes {
        let is_default = *volume == Default::default();
        let shown = if is_default {
            String::new()
        } else {
            format!("{volume:?}")
        };
        writeln!(out, "volume {key} {shown}").unwrap();
    }
    if let Some(timeout) = project.settings.timeout {
        writeln!(out, "timeout {timeout:?}").unwrap();
    }
    let rows = project
        .settings
        .reachability
        .iter()
        .flat_map(|matrix| &matrix.rows);
    for (source, targets) in rows {
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        writeln!(out, "reaches {source}: {}", targets.join(", ")).unwrap();
    }
    if let Some(address) = &project.settings.internet {
        writeln!(out, "internet {address}").unwrap();
    }
    out.lines()
        .map(str::trim_end)
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// The first four parts of a build, and whatever else it has.
fn describe_build(build: &Build) -> String {
    let context = match &build.context {
        BuildContext::Directory(path) => format!("{path:?}"),
        remote => format!("{remote:?}"),
    };
    let dockerfile = match &build.dockerfile {
        Dockerfile::File(path) => format!("{path:?}"),
        inline => format!("{inline:?}"),
    };
    let mut text = format!(
        "Build {{ context: {context}, dockerfile: {dockerfile}, args: {:?}, target: {:?} }}",
        build.args, build.target
    );
    let mut more = |key: &str, value: String, nothing: &str| {
        if value != nothing {
            write!(text, "\n    {key} {value}").unwrap();
        }
    };
    more("contexts", format!("{:?}", build.additional_contexts), "{}");
    more("labels", format!("{:?}", build.labels), "{}");
    more("tags", format!("{:?}", build.tags), "[]");
    more("secrets", format!("{:?}", build.secrets), "{}");
    more("ssh", format!("{:?}", build.ssh), "{}");
    let nothing = format!("{:?}", BuildOptions::default());
    more("options", format!("{:?}", build.options), &nothing);
    text
}

fn describe_service(service: &Service, out: &mut String) {
    let role = match service.role {
        Role::Service => "service",
        Role::Job => "job",
        Role::Suite => "suite",
    };
    writeln!(out, "{role} {}", service.name).unwrap();
    let mut line = |key: &str, value: String| writeln!(out, "  {key} {value}").unwrap();
    let texts = [
        ("image", &service.image),
        ("working_dir", &service.working_dir),
        (
            "platform",
            &service.platform.as_ref().map(ToString::to_string),
        ),
        ("user", &service.user),
        ("hostname", &service.hostname),
        ("container_name", &service.container_name),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            line(key, text.clone());
        }
    }
    if let Some(build) = &service.build {
        line("build", describe_build(build));
    }
    for (key, words) in [
        ("entrypoint", &service.entrypoint),
        ("command", &service.command),
    ] {
        if let Some(words) = words {
            line(key, format!("{words:?}"));
        }
    }
    for (name, value) in &service.environment {
        line("env", format!("{name}={value}"));
    }
    for name in &service.unset_environment {
        line("env", format!("{name} unset"));
    }
    for (key, attachment) in &service.networks {
        line(
            "on",
            format!(
                "{key} {:?} {}",
                attachment.aliases,
                differing(&attachment.options).join(", ")
            )
            .replace(" {}", ""),
        );
    }
    for mount in &service.mounts {
        line("mount", describe_mount(mount));
    }
    for file in &service.injected {
        let at = format!("{} `{}` at {}", file.kind, file.source, file.target);
        line("file", at);
    }
    for (name, how) in &service.depends_on {
        line(
            "after",
            format!("{name} {:?} required={}", how.condition, how.required),
        );
    }
    match &service.healthcheck {
        None => {}
        Some(Healthcheck::Disabled) => line("healthcheck", "disabled".to_owned()),
        Some(check) => line("healthcheck", format!("{check:?}")),
    }
    for port in &service.ports {
        line("port", describe_port(port));
    }
    for shared in differing(&service.sharing) {
        line("shares", shared);
    }
    if !service.expose.is_empty() {
        let expose = service.expose.iter();
        let expose: Vec<String> = expose.map(|(port, of)| format!("{port}/{of}")).collect();
        line("expose", expose.join(" "));
    }
    for (name, value) in &service.labels {
        line("label", format!("{name}={value}"));
    }
    if let Some(ready) = &service.ready {
        let tree = ready.tree.as_ref().map(describe_ready).unwrap_or_default();
        line("ready", format!("{tree} deadline {:?}", ready.deadline));
    }
    if let Some(suite) = &service.suite {
        line(
            "suite",
            format!("junit {:?} timeout {:?}", suite.junit, suite.timeout),
        );
        for (name, lines) in [("tap", &suite.tap), ("go_test", &suite.go_test)] {
            if lines.is_expected() {
                line(name, format!("{:?} stdout {}", lines.globs, lines.stdout));
            }
        }
        if !suite.paths.is_empty() {
            line("paths", format!("{:?}", suite.paths));
        }
    }
    if let Some(artifacts) = &service.artifacts {
        line(
            "artifacts",
            format!("{:?} {:?}", artifacts.paths, artifacts.when),
        );
    }
    let lifecycle = &service.lifecycle;
    if lifecycle.replicas != 1 {
        line("replicas", lifecycle.replicas.to_string());
    }
    if lifecycle.restart != Default::default() {
        line("restart", format!("{:?}", lifecycle.restart));
    }
    for hook in &lifecycle.pre_start {
        line("pre_start", format!("{hook:?}"));
    }
    for (key, hooks) in [
        ("post_start", &lifecycle.post_start),
        ("pre_stop", &lifecycle.pre_stop),
    ] {
        for hook in hooks {
            line(key, format!("{hook:?}"));
        }
    }
    for (key, limit) in [
        ("pre_stop limit", lifecycle.pre_stop_limit),
        ("stop_grace", lifecycle.stop_grace),
    ] {
        if let Some(limit) = limit {
            line(key, format!("{limit:?}"));
        }
    }
    let mut options = service.options.clone();
    let resources = std::mem::take(&mut options.resources);
    for option in differing(&options).into_iter().chain(differing(&resources)) {
        line("option", option);
    }
}

/// The fields that are not as they are by default.
fn differing<T: Default + std::fmt::Debug>(value: &T) -> Vec<String> {
    let fields = |value: &T| {
        let shown = format!("{value:#?}");
        let mut fields: Vec<String> = Vec::new();
        for line in shown.lines() {
            // A field begins with exactly one level of indentation; what is deeper belongs to it.
            match (line.strip_prefix("    "), fields.last_mut()) {
                (Some(rest), Some(field)) if rest.starts_with([' ', '}', ']', ')']) => {
                    field.push_str(rest.trim());
                    field.push(' ');
                }
                (Some(rest), _) => fields.push(format!("{rest} ")),
                (None, _) => {}
            }
        }
        fields
    };
    let usual = fields(&T::default());
    let mut fields = fields(value);
    fields.retain(|field| !usual.contains(field));
    let tidy = |field: String| {
        let field = field.trim_end_matches([',', ' ']);
        let field = field
            .replace("[ ", "[")
            .replace("( ", "(")
            .replace("{ ", "{");
        field
            .replace(", ]", "]")
            .replace(", )", ")")
            .replace(", }", "}")
    };
    fields.into_iter().map(tidy).collect()
}

fn describe_mount(mount: &Mount) -> String {
    let source = match &mount.source {
        MountSource::Bind {
            path, create: true, ..
        } => format!("{} (created)", path.display()),
        MountSource::Bind {
            path,
            create: false,
            ..
        } => path.display().to_string(),
        MountSource::Volume(key) => format!("volume {key}"),
        MountSource::Anonymous => "anonymous".to_owned(),
        MountSource::Tmpfs => "tmpfs".to_owned(),
        MountSource::Image(reference) => format!("image {reference}"),
    };
    format!(
        "{source} at {}{}{}{}",
        mount.target,
        match mount.source {
            MountSource::Bind { copy: true, .. } => " as a copy",
            _ => "",
        },
        if mount.read_only { " read-only" } else { "" },
        differing(&mount.options)
            .into_iter()
            .map(|option| format!(", {option}"))
            .collect::<String>()
    )
}

fn describe_port(port: &PublishedPort) -> String {
    let published = port.published.as_deref().unwrap_or("-");
    let host_ip = port.host_ip.as_deref().unwrap_or("*");
    let protocol = port.protocol;
    format!("{}/{protocol} from {host_ip} {published}", port.target)
}

fn describe_ready(tree: &ReadyTree) -> String {
    let parts = |parts: &[ReadyTree]| {
        let parts: Vec<String> = parts.iter().map(describe_ready).collect();
        parts.join(", ")
    };
    match tree {
        ReadyTree::All(all) => parts(all),
        ReadyTree::Any(any) => format!("any [{}]", parts(any)),
        ReadyTree::Probe(probe) => {
            let kind = match &probe.kind {
                ReadyKind::Tcp { port } => format!("tcp {port}"),
                ReadyKind::Http(http) => describe_http(http),
                ReadyKind::Server { protocol, port } => match port {
                    Some(port) => format!("{protocol:?} {port}"),
                    None => format!("{protocol:?}"),
                },
                kind => format!("{kind:?}"),
            };
            let pace = differing(&probe.pace);
            match pace.as_slice() {
                [] => kind,
                pace => format!("{kind} ({})", pace.join(" ")),
            }
        }
    }
}

fn describe_http(http: &ReadyHttp) -> String {
    let usual = ReadyHttp {
        port: http.port,
        path: http.path.clone(),
        head_only: false,
        headers: Vec::new(),
        status: Vec::new(),
        body: None,
        redirects: 0,
        tls: None,
    };
    let shown = |http: &ReadyHttp| format!("{http:?}");
    if shown(http) == shown(&usual) {
        format!("http {}{}", http.port, http.path)
    } else {
        shown(http)
    }
}
