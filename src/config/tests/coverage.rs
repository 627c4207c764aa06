//! No key of the published schema vanishes silently.
//!
//! For each key a project is loaded with it and without it. Either the model of the run differs, or
//! a problem names the key and its line, or the key stands below with the reason why it changes
//! nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::super::format::schema::{resolve, root};
use super::super::{Problem, Request, Severity, load};

/// Keys that change nothing about a run, with the reason. `*` stands for any name.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "services.*.attach",
        "no output is shown while a run goes on, all of it is captured",
    ),
    (
        "secrets.*.name",
        "a secret is a file in containers, and no object of the engine",
    ),
    ("secrets.*.labels", "the same"),
    ("secrets.*.driver_opts", "the same"),
    (
        "configs.*.name",
        "a config is a file in containers, and no object of the engine",
    ),
    ("configs.*.labels", "the same"),
    (
        "services.*.profiles",
        "they decide which services take part, before the model",
    ),
    (
        "services.*.extends",
        "resolved into what the other service says",
    ),
    ("services.*.env_file", "resolved into `environment`"),
    ("services.*.label_file", "resolved into `labels`"),
    ("include", "resolved into what the other file says"),
    (
        "services.*.ports.[].app_protocol",
        "it only describes the port",
    ),
    ("services.*.ports.[].name", "it only describes the port"),
    ("services.*.ports.[].mode", "it matters to Swarm only"),
];

/// One key of the schema: the names on the way to it, and a value that it takes.
pub(super) struct Key {
    pub(super) path: Vec<String>,
    value: Json,
}

impl Key {
    pub(super) fn name(&self) -> String {
        self.path.join(".")
    }

    /// A project with the key, or with everything on the way to it only.
    fn project(&self, with: bool) -> Json {
        let mut project = json!({
            "name": "demo",
            "services": { "app": { "image": "i" }, "other": { "image": "o" } },
            "networks": { "net": {} },
            "volumes": { "vol": {} },
            "secrets": { "sec": { "environment": "HOME" } },
            "configs": { "con": { "content": "c" } },
            "models": { "mod": { "model": "m" } },
        });
        // What is declared must be used, or it is left out.
        if self.path.first().is_some_and(|first| first != "services") {
            project["services"]["app"] = json!({
                "image": "i", "networks": ["net"], "volumes": ["vol:/v"],
                "secrets": ["sec"], "configs": ["con"], "models": ["mod"],
            });
        }
        put(&mut project, &self.path, with.then_some(&self.value), "");
        project
    }
}

/// Sets a value below a path, making what is missing on the way; `None` makes only the way.
fn put(node: &mut Json, path: &[String], value: Option<&Json>, at: &str) {
    let [first, rest @ ..] = path else { return };
    let key = match first.as_str() {
        "*" => match at {
            "services" => "app",
            "networks" | "services.networks" => "net",
            "volumes" => "vol",
            "secrets" => "sec",
            "configs" => "con",
            "models" | "services.models" => "mod",
            "services.depends_on" => "other",
            _ => "nofile",
        },
        other => other,
    };
    let at = match (at, first.as_str()) {
        ("", first) => first.to_owned(),
        (at, "*" | "[]") => at.to_owned(),
        (at, first) => format!("{at}.{first}"),
    };
    if first == "[]" {
        if !node.is_array() {
            *node = json!([beside(&at)]);
        }
        return put(&mut node[0], rest, value, &at);
    }
    if !node.is_object() {
        *node = beside(&at);
    }
    if rest.is_empty() {
        if let Some(value) = value {
            // These exclude what stands beside them in the other projects.
            let map = node.as_object_mut().unwrap();
            for other in excluded(&at) {
                map.remove(*other);
            }
            map.insert(key.to_owned(), value.clone());
        }
        return;
    }
    let map = node.as_object_mut().unwrap();
    let inner = map.entry(key).or_insert_with(|| beside(&at));
    put(inner, rest, value, &at);
}

/// What must stand in a mapping beside the key that is tried.
fn beside(at: &str) -> Json {
    match at {
        "services.depends_on" => json!({ "condition": "service_started" }),
        "services.ports" => json!({ "target": 80 }),
        "services.volumes" => json!({ "type": "bind", "source": "/s", "target": "/t" }),
        "services.volumes.volume" | "services.volumes.tmpfs" | "services.volumes.image" => {
            json!({})
        }
        "services.devices" => json!({ "source": "/dev/null", "target": "/dev/x" }),
        "services.secrets" | "services.build.secrets" => json!({ "source": "sec" }),
        "services.configs" => json!({ "source": "con" }),
        "services.env_file" => json!({ "path": "f.env" }),
        "services.build" => json!({ "context": "." }),
        "services.healthcheck" => json!({ "test": "true" }),
        "services.ulimits" | "services.build.ulimits" => json!({ "soft": 1, "hard": 2 }),
        "services.post_start" | "services.pre_stop" | "services.develop.watch.exec" => {
            json!({ "command": "true" })
        }
        "services.develop.watch" => json!({ "path": ".", "action": "rebuild", "target": "/t" }),
        "services.provider" => json!({ "type": "x" }),
        "services.gpus" | "services.deploy.resources.reservations.devices" => {
            json!({ "capabilities": ["gpu"] })
        }
        "services.blkio_config.weight_device" => json!({ "path": "/dev/sda", "weight": 10 }),
        "services.blkio_config.device_read_bps"
        | "services.blkio_config.device_read_iops"
        | "services.blkio_config.device_write_bps"
        | "services.blkio_config.device_write_iops" => json!({ "path": "/dev/sda", "rate": 10 }),
        "networks.ipam.config" => json!({ "subnet": "10.9.0.0/24" }),
        "services.extends" => json!({ "service": "other" }),
        "include" => json!({ "path": "other.yaml" }),
        "models" => json!({ "model": "m" }),
        _ => json!({}),
    }
}

/// What cannot stand beside a key.
fn excluded(at: &str) -> &'static [&'static str] {
    match at {
        "services.network_mode" => &["networks"],
        "services.build.dockerfile_inline" => &["dockerfile"],
        "secrets.file" | "secrets.external" => &["environment"],
        "configs.file" | "configs.environment" | "configs.external" => &["content"],
        "services.gpus.count" => &["device_ids"],
        _ => &[],
    }
}

/// A value for a key where the schema's type alone would not do.
fn value_for(path: &str) -> Option<Json> {
    let last = path.rsplit('.').next().unwrap_or_default();
    Some(match path {
        "services.*.healthcheck.test" => json!(["CMD", "x"]),
        "services.*.healthcheck.retries" => json!(7),
        "services.*.network_mode" => json!("none"),
        "services.*.networks" => json!(["net"]),
        "services.*.volumes" => json!(["vol:/v"]),
        "services.*.volumes.[].type" => json!("tmpfs"),
        "services.*.volumes.[].source" => json!("/other"),
        "services.*.volumes.[].bind.propagation" => json!("rshared"),
        "services.*.volumes.[].bind.selinux" => json!("z"),
        "services.*.volumes.[].bind.recursive" => json!("readonly"),
        "services.*.secrets" | "services.*.build.secrets" => json!(["sec"]),
        "services.*.configs" => json!(["con"]),
        "services.*.depends_on" => json!({ "other": { "condition": "service_healthy" } }),
        "services.*.depends_on.*.condition" => json!("service_healthy"),
        "services.*.depends_on.*.required" => json!(false),
        "services.*.links" => json!(["other:alias"]),
        "services.*.volumes_from" => json!(["other"]),
        "services.*.external_links" => json!(["other_container:alias"]),
        "services.*.extends" => json!("other"),
        "services.*.env_file" => json!("f.env"),
        "services.*.label_file" => json!("f.env"),
        "services.*.ports" => json!(["8080:80"]),
        "services.*.ports.[].target" => json!(81),
        "services.*.ports.[].published" => json!("8080"),
        "services.*.ports.[].protocol" => json!("udp"),
        "services.*.ports.[].host_ip" => json!("127.0.0.1"),
        "services.*.expose" => json!(["90"]),
        "services.*.dns" => json!(["10.0.0.1"]),
        "services.*.extra_hosts" | "services.*.build.extra_hosts" => json!(["h=10.0.0.1"]),
        "services.*.restart" => json!("on-failure:2"),
        "services.*.pull_policy" => json!("always"),
        "services.*.platform" => json!("linux/arm64"),
        "services.*.pid"
        | "services.*.ipc"
        | "services.*.uts"
        | "services.*.userns_mode"
        | "services.*.cgroup" => json!("host"),
        "services.*.mac_address" | "services.*.networks.*.mac_address" => {
            json!("02:42:ac:11:00:02")
        }
        "services.*.networks.*.ipv4_address" => json!("10.9.0.5"),
        "services.*.networks.*.ipv6_address" => json!("fd00::5"),
        "services.*.networks.*.link_local_ips" => json!(["169.254.0.5"]),
        "services.*.security_opt" => json!(["no-new-privileges:true"]),
        "services.*.devices" => json!(["/dev/null:/dev/x"]),
        "services.*.device_cgroup_rules" => json!(["c 1:3 r"]),
        "services.*.tmpfs" => json!("/tmp"),
        "services.*.ulimits" | "services.*.build.ulimits" => json!({ "nofile": 10 }),
        "services.*.logging.driver" => json!("none"),
        "services.*.stop_signal" => json!("SIGINT"),
        "services.*.scale" | "services.*.deploy.replicas" => json!(2),
        "services.*.gpus" => json!("all"),
        "services.*.init" => json!(true),
        "services.*.attach" => json!(false),
        "services.*.build" => json!("."),
        "services.*.build.additional_contexts" => json!({ "extra": "docker-image://x" }),
        "services.*.build.platforms" => json!(["linux/amd64"]),
        "services.*.build.network" => json!("host"),
        "services.*.cpuset" => json!("0"),
        "services.*.runtime" => json!("runc"),
        "services.*.sysctls" => json!({ "net.core.somaxconn": "10" }),
        "services.*.user" => json!("1000"),
        "services.*.working_dir" => json!("/w"),
        "services.*.models" => json!(["mod"]),
        "services.*.secrets.[].mode" | "services.*.configs.[].mode" => json!("0400"),
        "services.*.secrets.[].uid"
        | "services.*.secrets.[].gid"
        | "services.*.configs.[].uid"
        | "services.*.configs.[].gid" => json!("1000"),
        "services.*.secrets.[].target" | "services.*.configs.[].target" => json!("/other"),
        "services.*.deploy.restart_policy.condition" => json!("on-failure"),
        "services.*.deploy.mode" => json!("global"),
        "networks.*.ipam.config.[].subnet" => json!("10.8.0.0/24"),
        "networks.*.ipam.config.[].ip_range" => json!("10.9.0.0/28"),
        "networks.*.ipam.config.[].gateway" => json!("10.9.0.9"),
        "networks.*.ipam.config.[].aux_addresses" => json!({ "host": "10.9.0.8" }),
        "networks.*.enable_ipv4" => json!(false),
        "secrets.*.file" | "configs.*.file" => json!("f.env"),
        "secrets.*.environment" | "configs.*.environment" => json!("PATH_OF"),
        "version" => json!("3"),
        "name" => json!("other"),
        "include" => json!(["other.yaml"]),
        _ if matches!(
            last,
            "interval"
                | "timeout"
                | "start_period"
                | "start_interval"
                | "stop_grace_period"
                | "delay"
                | "window"
                | "monitor"
        ) =>
        {
            json!("7s")
        }
        _ if last.ends_with("_limit")
            || matches!(last, "shm_size" | "memory" | "size" | "mem_reservation") =>
        {
            json!("64m")
        }
        _ if matches!(last, "cpus" | "cpu_percent") => json!("0.5"),
        _ => return None,
    })
}

/// A value that a part of the schema takes.
fn value_of(part: &'static Json, path: &str) -> Json {
    if let Some(value) = value_for(path) {
        return value;
    }
    let part = resolve(part);
    if let Some(branches) = part.get("oneOf").and_then(Json::as_array) {
        let fitting = branches
            .iter()
            .find(|branch| resolve(branch).get("type") != Some(&json!("null")));
        return value_of(fitting.unwrap(), path);
    }
    if let Some(first) = part.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    let kind = match part.get("type") {
        Some(Json::Array(kinds)) => kinds[0].as_str().unwrap(),
        Some(Json::String(kind)) => kind,
        _ => "string",
    };
    match kind {
        "boolean" => json!(true),
        "integer" | "number" => json!(5),
        "array" => match part.get("items") {
            Some(items) => json!([value_of(items, &format!("{path}.[]"))]),
            None => json!(["x"]),
        },
        "object" => {
            let required = part.get("required").and_then(Json::as_array);
            let mut map = Map::new();
            for key in required.into_iter().flatten().filter_map(Json::as_str) {
                let of = &part["properties"][key];
                map.insert(key.to_owned(), value_of(of, &format!("{path}.{key}")));
            }
            if map.is_empty() && part.get("properties").is_none() {
                map.insert("k".to_owned(), json!("v"));
            }
            Json::Object(map)
        }
        _ => json!("value"),
    }
}

/// Collects all keys below a part of the schema.
pub(super) fn walk(part: &'static Json, path: &[String], keys: &mut Vec<Key>) {
    let part = resolve(part);
    for branch in part
        .get("oneOf")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        walk(branch, path, keys);
    }
    let below =
        |name: &str| -> Vec<String> { path.iter().cloned().chain([name.to_owned()]).collect() };
    if let Some(items) = part.get("items") {
        walk(items, &below("[]"), keys);
    }
    for (name, of) in part
        .get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let path = below(name);
        let value = value_of(of, &path.join("."));
        walk(of, &path, keys);
        keys.push(Key { path, value });
    }
    let patterns = part.get("patternProperties").and_then(Json::as_object);
    for (pattern, of) in patterns.into_iter().flatten() {
        if pattern != "^x-" {
            walk(of, &below("*"), keys);
        }
    }
}

/// Whether a value holds nothing that could have an effect: its keys are tried one by one.
fn says_nothing(value: &Json) -> bool {
    match value {
        Json::Object(map) => map.is_empty(),
        Json::Array(items) => items.iter().all(says_nothing),
        _ => false,
    }
}

#[test]
fn no_key_vanishes_silently() {
    let mut keys = Vec::new();
    walk(root(), &[], &mut keys);
    assert!(keys.len() > 250, "only {} keys", keys.len());
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("f.env", "FROM_FILE=1\n");
    write("Dockerfile", "FROM scratch\n");
    write("other.yaml", "services: { third: { image: t } }\n");
    let loaded = |project: &Json| {
        write("compose.json", &project.to_string());
        load(&Request {
            directory: directory.path().to_owned(),
            files: vec!["compose.json".into()],
            environment: [("HOME", "/home/me"), ("PATH_OF", "p")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Request::default()
        })
    };
    let names = |problems: &[Problem], key: &str| {
        let quoted = |problem: &Problem| {
            problem.message.contains(&format!("`{key}`"))
                || problem.message.contains(&format!("`{key}."))
                || problem.message.contains(&format!("{key}:"))
        };
        problems
            .iter()
            .any(|problem| quoted(problem) && problem.place().is_some())
    };
    let mut report = String::new();
    let mut used = BTreeSet::new();
    for key in &keys {
        let name = key.name();
        let last = key.path.last().unwrap();
        let excused = WITHOUT_EFFECT
            .iter()
            .find(|(path, _)| *path == name || name.starts_with(&format!("{path}.")));
        let told = match (loaded(&key.project(true)), loaded(&key.project(false))) {
            (Ok(with), Ok(without)) => {
                // A warning about a key speaks for all that stands below it.
                with.project != without.project
                    || key.path.iter().any(|part| names(&with.warnings, part))
            }
            (Ok(with), Err(_)) => {
                // Only with the key it is a project.
                names(&with.warnings, last) || with.warnings.is_empty()
            }
            // An error says where it is; nothing is silent about it.
            (Err(problems), _) => problems
                .iter()
                .any(|problem| problem.severity == Severity::Error && problem.place().is_some()),
        };
        if says_nothing(&key.value) {
            continue;
        }
        match excused {
            Some((path, _)) => drop(used.insert(*path)),
            None if !told => writeln!(report, "{name}: vanishes ({})", key.value).unwrap(),
            None => {}
        }
    }
    for (path, _) in WITHOUT_EFFECT {
        if !used.contains(path) {
            writeln!(report, "{path}: there is no such key").unwrap();
        }
    }
    assert!(report.is_empty(), "\n{report}");
}
