//! The resolved model as JSON, of exactly the shape that `docker compose config --format json`
//! shows.
//!
//! Owns the table of what each key is printed as, and the checks of values that come with reading
//! them: sizes, durations, modes, commands. What the table does not name is not printed.

mod table;
mod value;
mod yaml;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::diagnostic::{Problem, Problems};
use super::yaml::{Mapping, Node, Value, shorten};
pub(super) use table::SERVICE;
use table::{CONFIG, Field, Kind, NETWORK, SECRET, VOLUME};
pub(super) use yaml::to_yaml;

/// Prints a whole project: its active services and the resources that they use.
pub(super) fn print(
    root: &Mapping,
    name: &str,
    active: &BTreeSet<String>,
    problems: &mut Problems,
) -> Json {
    let mut printer = Printer { problems };
    let mut printed = Map::new();
    for entry in &root.entries {
        if entry.key.text.starts_with("x-") {
            printed.insert(entry.key.text.clone(), any(&entry.value));
        }
    }
    let mut services = Map::new();
    for entry in entries(root.get("services")) {
        if active.contains(&entry.key.text) {
            let mut service = match &entry.value.value {
                Value::Null => printer.fields(&Mapping::default(), SERVICE),
                Value::Mapping(map) => printer.fields(map, SERVICE),
                _ => continue,
            };
            // One number of containers is shown in both places.
            let scale = service.get("scale").cloned();
            if let Some(scale) = scale
                && let Some(Json::Object(deploy)) = service.get_mut("deploy")
            {
                deploy.insert("replicas".to_owned(), scale);
            }
            services.insert(entry.key.text.clone(), Json::Object(service));
        }
    }
    let used = Used::by(&services);
    let sections = [
        ("networks", NETWORK, &used.networks),
        ("volumes", VOLUME, &used.volumes),
        ("secrets", SECRET, &used.secrets),
        ("configs", CONFIG, &used.configs),
    ];
    for (section, fields, used) in sections {
        let mut resources = Map::new();
        for entry in entries(root.get(section)) {
            // What nobody uses is read too, so that its mistakes are found.
            let Some(map) = entry.value.mapping() else {
                continue;
            };
            let mut resource = printer.fields(map, fields);
            if section == "configs" && resource.contains_key("environment") {
                resource.remove("content");
            }
            if used.contains(&entry.key.text) {
                resources.insert(entry.key.text.clone(), Json::Object(resource));
            }
        }
        if !resources.is_empty() {
            printed.insert(section.to_owned(), Json::Object(resources));
        }
    }
    printed.insert("name".to_owned(), Json::String(name.to_owned()));
    printed.insert("services".to_owned(), Json::Object(services));
    escape(Json::Object(printed))
}

/// An extension as it stands in the file, of which Compose prints nothing.
pub(super) fn extension(node: &Node) -> Json {
    escape(any(node))
}

/// The resources that services use.
#[derive(Default)]
struct Used {
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    secrets: BTreeSet<String>,
    configs: BTreeSet<String>,
}

impl Used {
    fn by(services: &Map<String, Json>) -> Self {
        let mut used = Self::default();
        for service in services.values() {
            let networks = service.get("networks").and_then(Json::as_object);
            used.networks
                .extend(networks.into_iter().flat_map(Map::keys).cloned());
            let sources = |list: Option<&Json>, wanted: fn(&Json) -> bool| -> Vec<String> {
                let items = list.and_then(Json::as_array).into_iter().flatten();
                items
                    .filter(|item| wanted(item))
                    .filter_map(|item| Some(item.get("source")?.as_str()?.to_owned()))
                    .collect()
            };
            let is_volume = |item: &Json| item.get("type").is_some_and(|kind| kind == "volume");
            used.volumes
                .extend(sources(service.get("volumes"), is_volume));
            let any = |_: &Json| true;
            used.secrets.extend(sources(service.get("secrets"), any));
            used.secrets
                .extend(sources(service.pointer("/build/secrets"), any));
            used.configs.extend(sources(service.get("configs"), any));
        }
        used
    }
}

fn entries(node: Option<&Node>) -> &[super::yaml::Entry] {
    node.and_then(Node::mapping)
        .map_or(&[], |mapping| &mapping.entries)
}

/// A value as it is, for extensions that nobody reads.
fn any(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => value::any_scalar(scalar),
        // The reference has no empty lists here.
        Value::Sequence(items) if items.is_empty() => Json::Null,
        Value::Sequence(items) => Json::Array(items.iter().map(any).collect()),
        Value::Mapping(mapping) => Json::Object(
            mapping
                .entries
                .iter()
                .map(|entry| (entry.key.text.clone(), any(&entry.value)))
                .collect(),
        ),
    }
}

/// Writes `$` so that reading the result as a Compose file gives it back.
fn escape(json: Json) -> Json {
    let text = super::interpolate::escape;
    match json {
        Json::String(string) => Json::String(text(&string)),
        Json::Array(items) => Json::Array(items.into_iter().map(escape).collect()),
        Json::Object(map) => Json::Object(
            map.into_iter()
                .map(|(key, value)| (text(&key), escape(value)))
                .collect(),
        ),
        other => other,
    }
}

struct Printer<'p> {
    problems: &'p mut Problems,
}

impl Printer<'_> {
    /// The keys of a mapping that the table names.
    fn fields(&mut self, map: &Mapping, fields: &[Field]) -> Map<String, Json> {
        let mut printed = Map::new();
        for field in fields {
            let value = map
                .filled(field.key)
                .and_then(|node| self.value(node, field.key, &field.kind));
            let value = match value {
                Some(value) if field.always || !is_left_out(&value, &field.kind) => value,
                _ if field.always => self.empty(&field.kind),
                _ => continue,
            };
            printed.insert(field.shown.to_owned(), value);
        }
        printed
    }

    /// What is printed for a key that is always there.
    fn empty(&mut self, kind: &Kind) -> Json {
        match kind {
            Kind::Struct(fields) => Json::Object(self.fields(&Mapping::default(), fields)),
            _ => Json::Null,
        }
    }

    /// A value in its printed form; `None` when it is wrong, which is reported.
    fn value(&mut self, node: &Node, key: &str, kind: &Kind) -> Option<Json> {
        match kind {
            Kind::Struct(fields) => match &node.value {
                Value::Mapping(map) => Some(Json::Object(self.fields(map, fields))),
                _ => self.wrong(node, key, "a mapping"),
            },
            Kind::List(of) => match &node.value {
                Value::Sequence(items) => {
                    let items = items.iter().filter_map(|item| self.value(item, key, of));
                    Some(Json::Array(items.collect()))
                }
                _ => self.wrong(node, key, "a list"),
            },
            Kind::Map(of) => match &node.value {
                Value::Mapping(map) => {
                    let mut printed = Map::new();
                    for entry in &map.entries {
                        let value = match &entry.value.value {
                            Value::Null => Some(Json::Null),
                            _ => self.value(&entry.value, key, of),
                        };
                        printed.extend(value.map(|value| (entry.key.text.clone(), value)));
                    }
                    Some(Json::Object(printed))
                }
                _ => self.wrong(node, key, "a mapping"),
            },
            Kind::Leaf(read) | Kind::Optional(read) => match read(node) {
                Ok(value) => Some(value),
                Err(wrong) => {
                    let place = wrong.place.unwrap_or_else(|| node.place.clone());
                    let problem = Problem::error(format!("`{key}` {}", wrong.message)).at(&place);
                    self.problems.push(match wrong.help {
                        Some(help) => problem.help(help),
                        None => problem,
                    });
                    self.problems.silence(&place);
                    None
                }
            },
        }
    }

    fn wrong(&mut self, node: &Node, key: &str, wanted: &str) -> Option<Json> {
        let message = format!(
            "`{}` must be {wanted}, found {}",
            shorten(key),
            node.describe()
        );
        self.problems.push(Problem::error(message).at(&node.place));
        self.problems.silence(&node.place);
        None
    }
}

/// Whether a value is left out of the print: empty texts, lists and mappings, zero and false, but
/// never what is optional and was given.
fn is_left_out(value: &Json, kind: &Kind) -> bool {
    match kind {
        Kind::Struct(_) => false,
        Kind::Optional(_) => value.is_null(),
        Kind::Leaf(_) | Kind::List(_) | Kind::Map(_) => match value {
            Json::Null => true,
            Json::Bool(value) => !value,
            Json::Number(number) => number.as_f64() == Some(0.0),
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(map) => map.is_empty(),
        },
    }
}
