//! What the engine shows, without what differs from one tool, run and moment to the next.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The beginning of the one name that the file asks for.
pub(crate) const GLOBAL_NAME: &str = "never-global";

/// The names that a tool gives, and what they stand for.
pub(crate) struct Names {
    before: String,
    after: &'static str,
    project: String,
    /// Ids of containers and networks by what they stand for.
    ids: BTreeMap<String, String>,
}

impl Names {
    /// Of a run of envrun.
    pub(crate) fn of_envrun(run: &str, project: &str) -> Self {
        let short: String = run.chars().filter(|digit| *digit != '-').take(12).collect();
        Self {
            before: format!("envrun-{short}-"),
            after: "",
            project: project.to_owned(),
            ids: BTreeMap::new(),
        }
    }

    /// Of the reference.
    pub(crate) fn of_reference(project: &str) -> Self {
        Self {
            before: project.to_owned(),
            after: "-1",
            project: project.to_owned(),
            ids: BTreeMap::new(),
        }
    }

    /// What the name of a resource stands for: the key in the file.
    pub(crate) fn of(&self, name: &str) -> String {
        let name = name.trim_start_matches('/');
        if name.starts_with(GLOBAL_NAME) {
            return "process".to_owned();
        }
        match name.strip_prefix(&self.before) {
            Some(rest) => rest
                .trim_start_matches(['-', '_'])
                .trim_end_matches(self.after)
                .to_owned(),
            None => name.to_owned(),
        }
    }

    /// Notes the id of a resource.
    pub(crate) fn learn(&mut self, kind: &str, shown: &Value) {
        if let (Some(id), Some(name)) = (shown["Id"].as_str(), shown["Name"].as_str()) {
            let name = self.of(name);
            self.ids.insert(id.to_owned(), format!("{kind} {name}"));
        }
    }

    /// Whether a volume has a name of the tool or of the engine only.
    pub(crate) fn is_nameless(&self, name: &str) -> bool {
        let is_of_engine = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_of_engine || name.contains("-volume-")
    }

    /// A text in which names and ids are what they stand for.
    fn replaced(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, name) in &self.ids {
            text = text.replace(id, name);
        }
        let words: Vec<String> = text.split(':').map(|word| self.of(word)).collect();
        words.join(":")
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.replaced(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.replace(field)),
            _ => {}
        }
    }
}

/// A container.
pub(crate) fn container(shown: &Value, names: &Names) -> Value {
    let id = shown["Id"].as_str().unwrap_or_default();
    let short = id.get(..12).unwrap_or_default();
    let mut config = shown["Config"].clone();
    // An image is named by its id: tags race.
    config["Image"] = shown["Image"].clone();
    if config["Hostname"] == short {
        config["Hostname"] = Value::Null;
    }
    labels(&mut config["Labels"]);
    config["ExposedPorts"] = exposed(&config["ExposedPorts"]);
    sort(&mut config["Env"]);
    let mut host = shown["HostConfig"].clone();
    // Restarts are performed by envrun, and ports of the host are chosen by the engine.
    host["RestartPolicy"] = Value::Null;
    if let Some(ports) = host["PortBindings"].as_object_mut() {
        for binding in ports.values_mut().filter_map(Value::as_array_mut).flatten() {
            binding["HostPort"] = Value::Null;
        }
    }
    binds_to_mounts(&mut host);
    if let Some(mounts) = host["Mounts"].as_array_mut() {
        for mount in mounts.iter_mut() {
            // Volumes without a name get one, with the labels of the run.
            let source = mount["Source"].as_str().unwrap_or_default();
            if names.is_nameless(source) {
                mount["Source"] = Value::Null;
            }
            labels(&mut mount["VolumeOptions"]["Labels"]);
        }
        mounts.sort_by_key(|mount| mount["Target"].to_string());
    }
    for list in ["Binds", "ExtraHosts", "Ulimits", "Devices"] {
        sort(&mut host[list]);
    }
    let mut mounts = shown["Mounts"].clone();
    if let Some(mounts) = mounts.as_array_mut() {
        for mount in mounts.iter_mut() {
            if mount["Type"] == "volume" {
                mount["Source"] = Value::Null;
                // This one tells the older form of a mount from the newer.
                mount["Mode"] = Value::Null;
            }
            let name = mount["Name"].as_str().unwrap_or_default();
            if names.is_nameless(name) {
                mount["Name"] = json!("nameless");
            }
        }
        mounts.sort_by_key(|mount| mount["Destination"].to_string());
    }
    let mut networks = Map::new();
    for (name, endpoint) in shown["NetworkSettings"]["Networks"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let mut endpoint = endpoint.clone();
        endpoint["NetworkID"] = Value::Null;
        let mut aliases = texts(&endpoint["Aliases"]);
        // Its own names: of the tool, of the file, of the engine.
        aliases.retain(|alias| alias != short);
        endpoint["Aliases"] = distinct(aliases, names);
        endpoint["Links"] = distinct(texts(&endpoint["Links"]), names);
        let name = names
            .ids
            .get(name)
            .cloned()
            .unwrap_or_else(|| names.of(name));
        networks.insert(name.trim_start_matches("network ").to_owned(), endpoint);
    }
    let mut all = json!({
        "Config": config, "HostConfig": host, "Mounts": mounts, "Networks": networks,
    });
    names.replace(&mut all);
    sort(&mut all["HostConfig"]["Binds"]);
    let mode = all["HostConfig"]["NetworkMode"]
        .as_str()
        .unwrap_or_default();
    all["HostConfig"]["NetworkMode"] = json!(mode.trim_start_matches("network "));
    tidy(&mut all);
    all
}

/// Volumes of the run are mounted in the engine's newer form, which carries their labels.
fn binds_to_mounts(host: &mut Value) {
    let binds = texts(&host["Binds"]);
    let (paths, volumes): (Vec<_>, Vec<_>) =
        binds.into_iter().partition(|bind| bind.starts_with('/'));
    host["Binds"] = json!(paths);
    let mut mounts = host["Mounts"].as_array().cloned().unwrap_or_default();
    for volume in volumes {
        let parts: Vec<&str> = volume.split(':').collect();
        mounts.push(json!({
            "Type": "volume", "Source": parts[0], "Target": parts[1],
            "ReadOnly": if parts[2] == "ro" { json!(true) } else { Value::Null },
        }));
    }
    host["Mounts"] = json!(mounts);
}

/// A network.
pub(crate) fn network(shown: &Value, names: &Names) -> Value {
    let mut all = shown.clone();
    labels(&mut all["Labels"]);
    let name = names.of(shown["Name"].as_str().unwrap_or_default());
    for key in ["Name", "Id", "Created", "Containers"] {
        all[key] = Value::Null;
    }
    // Which subnet a network gets when the file fixes none is the tool's business.
    if name == "plain" {
        all["IPAM"]["Config"] = Value::Null;
    }
    tidy(&mut all);
    all
}

/// A volume.
pub(crate) fn volume(shown: &Value) -> Value {
    let mut all = shown.clone();
    labels(&mut all["Labels"]);
    for key in ["Name", "CreatedAt", "Mountpoint"] {
        all[key] = Value::Null;
    }
    tidy(&mut all);
    all
}

/// Leaves the labels of the file.
fn labels(labels: &mut Value) {
    if let Some(labels) = labels.as_object_mut() {
        labels.retain(|name, _| {
            !name.starts_with("com.docker.compose.") && !name.starts_with("dev.envrun.")
        });
    }
}

/// The reference hands ranges and ports without a protocol to the engine as they are written, where
/// they mean the same.
fn exposed(ports: &Value) -> Value {
    let mut all = Map::new();
    for port in ports
        .as_object()
        .into_iter()
        .flatten()
        .map(|(port, _)| port)
    {
        let (range, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        for number in first.parse::<u16>().unwrap()..=last.parse().unwrap() {
            all.insert(format!("{number}/{protocol}"), json!({}));
        }
    }
    Value::Object(all)
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Texts in order, each once, with names as what they stand for.
fn distinct(texts: Vec<String>, names: &Names) -> Value {
    let mut texts: Vec<String> = texts
        .into_iter()
        .map(|text| match text.split_once(':') {
            // A link: the name of a container, and one that is found in it only.
            Some((container, name)) => {
                let name = name.replace(&names.project, "project");
                format!("{}:{name}", names.of(container))
            }
            None => names.of(&text),
        })
        .collect();
    texts.sort();
    texts.dedup();
    json!(texts)
}

/// Puts a list in order where its order says nothing.
fn sort(list: &mut Value) {
    if let Some(items) = list.as_array_mut() {
        items.sort_by_key(Value::to_string);
    }
}

/// Drops what says nothing: null, empty text, list or mapping. A command that is empty says that the
/// image's is cleared, so commands stay.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for field in fields.values_mut() {
                tidy(field);
            }
            fields.retain(|name, field| {
                matches!(name.as_str(), "Cmd" | "Entrypoint") || !is_empty(field)
            });
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
