//! A project as it can be taken elsewhere: the resolved model without the values of secrets and without
//! the paths of this machine.
//!
//! Owns what of a model depends on where it was loaded, and what takes its place. A secret becomes
//! `${NAME}`, so whoever loads the model gives it from an environment of theirs, and the model stays a
//! Compose file that other tools read. It must never contain the value of a variable that counts as
//! secret: one that is taken by its name alone (`environment: [NAME]`), one that the caller says to be
//! secret, and one whose name says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::diagnostic::Problems;
use super::keys::EXTENSION;
use super::read::{SHORT, is_short};
use super::yaml::{Entry, Mapping, Node};
use super::{Canonical, Request, canonical, interpolate, print};

/// A project as it can be taken elsewhere.
#[derive(Clone)]
pub struct Portable {
    /// The model, of the shape of `docker compose config --format json`: secrets as `${NAME}`, paths in
    /// the project relative to its directory.
    pub model: Json,
    /// Name of the project.
    pub name: String,
    /// Directory of the project, absolute.
    pub directory: PathBuf,
    /// Every file of the configuration that was read, absolute, in order.
    pub files: Vec<PathBuf>,
    /// Variables that stand in the files, with their values; `None` for those that are secret or not
    /// set.
    pub variables: BTreeMap<String, Option<String>>,
    /// The variables without which the model cannot be loaded, by name.
    pub secrets: BTreeSet<String>,
    /// The values of the secrets, for whoever has to keep them out of something else.
    pub values: Vec<String>,
}

/// Makes a project portable. `None` where it cannot be loaded, which loading it for a run tells better.
/// `masked` are names of variables that are secret whatever they are called.
#[must_use]
pub fn portable(request: &Request, masked: &BTreeSet<String>) -> Option<Portable> {
    let first = canonical(request, &mut Problems::default())?;
    let secrets: BTreeSet<String> = first
        .asked
        .used
        .iter()
        .filter(|name| is_secret(name) || masked.contains(*name))
        .chain(&first.asked.named)
        .filter(|name| first.variables.contains_key(*name))
        .cloned()
        .collect();
    let value = |name: &String| first.variables.get(name).cloned().unwrap_or_default();
    let model = marked(&first, request, &secrets);
    let variables = first.asked.used.iter();
    let variables = variables.map(|name| {
        let said = first
            .variables
            .get(name)
            .filter(|_| !secrets.contains(name));
        (name.clone(), said.cloned())
    });
    Some(Portable {
        model: relative(model, &first.directory),
        name: first.name.clone(),
        variables: variables.collect(),
        values: secrets
            .iter()
            .map(value)
            .filter(|one| !one.is_empty())
            .collect(),
        files: first.asked.read.clone(),
        directory: first.directory,
        secrets,
    })
}

/// Words in names of variables whose values nobody publishes.
const SECRET_WORDS: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "CREDENTIALS",
    "KEY",
    "APIKEY",
    "PRIVATE",
    "PAT",
];

/// Whether the name of a variable says that its value is secret: one of its words does.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    // The working directory has this name everywhere.
    upper != "PWD"
        && upper
            .split(['_', '-', '.'])
            .any(|word| SECRET_WORDS.contains(&word))
}

/// The model with references in the place of secrets. It is loaded once more with marks for values, so
/// that a reference stands exactly where a secret went, whatever the files have made of it, and nowhere
/// else where the same text happens to be.
fn marked(first: &Canonical, request: &Request, secrets: &BTreeSet<String>) -> Json {
    let mut request = request.clone();
    let mut marks = Vec::new();
    for (number, name) in secrets.iter().enumerate() {
        let Some(value) = first.variables.get(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let mark = format!("xenvrun{number}secretx");
        request.environment.insert(name.clone(), mark.clone());
        marks.push((mark, format!("${{{name}}}"), value));
    }
    if marks.is_empty() {
        return shortened(first);
    }
    // Standard input can be read once.
    let from_input = request.files.iter().any(|file| file.as_os_str() == "-");
    let mut problems = Problems::default();
    let second = match from_input {
        true => None,
        false => canonical(&request, &mut problems).filter(|_| !problems.has_errors()),
    };
    // Where a mark cannot stand, such as in a number, or does not arrive, as in strangers' files, the
    // value itself is looked for.
    let (model, by_mark) = match &second {
        Some(second) if arrived(second, &marks) => (shortened(second), true),
        _ => (shortened(first), false),
    };
    replaced(model, &|text| {
        let mut text = text.to_owned();
        for (mark, reference, value) in &marks {
            let value = interpolate::escape(value);
            if by_mark {
                text = text.replace(mark.as_str(), reference);
            } else if text == value || value.len() >= SHORTEST {
                text = text.replace(&value, reference);
            }
        }
        text
    })
}

/// Characters of a value that is looked for within others: a shorter one is there by chance.
const SHORTEST: usize = 8;

fn arrived(second: &Canonical, marks: &[(String, String, &String)]) -> bool {
    let variables: BTreeSet<&String> = second.variables.values().collect();
    marks.iter().all(|(mark, ..)| variables.contains(mark))
}

/// The printed model, with notes of what was written in a short form that means something else.
fn shortened(canonical: &Canonical) -> Json {
    let mut json = canonical.json.clone();
    let services = canonical.root.get("services").and_then(Node::mapping);
    for service in services.into_iter().flat_map(|map| &map.entries) {
        extend(&mut json, service);
        let dependencies = service.value.get("depends_on").and_then(Node::mapping);
        for dependency in dependencies.into_iter().flat_map(|map| &map.entries) {
            let is_short = dependency.value.mapping().is_some_and(is_implied);
            let printed = json
                .get_mut("services")
                .and_then(|all| all.get_mut(&service.key.text))
                .and_then(|one| one.get_mut("depends_on"))
                .and_then(|all| all.get_mut(&dependency.key.text))
                .and_then(Json::as_object_mut);
            if let Some(printed) = printed.filter(|_| is_short) {
                printed.insert(SHORT.to_owned(), Json::Bool(true));
            }
        }
    }
    json
}

/// What is said to envrun alone, which the printed model leaves out: of a service, and of its mounts.
fn extend(json: &mut Json, service: &Entry) {
    let printed = json
        .get_mut("services")
        .and_then(|all| all.get_mut(&service.key.text));
    let Some(printed) = printed.and_then(Json::as_object_mut) else {
        return;
    };
    if let Some(extension) = service.value.get(EXTENSION) {
        printed.insert(EXTENSION.to_owned(), print::extension(extension));
    }
    let mounts = printed.get_mut("volumes").and_then(Json::as_array_mut);
    let written = service.value.get("volumes").and_then(Node::sequence);
    for (mount, written) in mounts
        .into_iter()
        .flatten()
        .zip(written.unwrap_or_default())
    {
        if let (Some(mount), Some(extension)) = (mount.as_object_mut(), written.get(EXTENSION)) {
            mount.insert(EXTENSION.to_owned(), print::extension(extension));
        }
    }
}

fn is_implied(dependency: &Mapping) -> bool {
    let condition = dependency.get("condition").and_then(Node::scalar);
    condition.is_some_and(|scalar| scalar.implied) || is_short(dependency)
}

/// The same with other texts, keys included.
fn replaced(json: Json, with: &dyn Fn(&str) -> String) -> Json {
    match json {
        Json::String(text) => Json::String(with(&text)),
        Json::Array(items) => {
            Json::Array(items.into_iter().map(|item| replaced(item, with)).collect())
        }
        Json::Object(map) => Json::Object(
            map.into_iter()
                .map(|(key, value)| (with(&key), replaced(value, with)))
                .collect(),
        ),
        other => other,
    }
}

/// The model with the paths in a directory relative to it: the keys are those whose paths the format
/// makes absolute.
fn relative(mut model: Json, directory: &Path) -> Json {
    let below = |value: &mut Json| {
        if let Json::String(text) = value
            && let Ok(rest) =
                Path::new(text).strip_prefix(interpolate::escape(&directory.to_string_lossy()))
        {
            *text = match rest.as_os_str().is_empty() {
                true => ".".to_owned(),
                false => format!("./{}", rest.display()),
            };
        }
    };
    for service in each(&mut model, "services") {
        if let Some(build) = service.get_mut("build").and_then(Json::as_object_mut) {
            build.get_mut("context").into_iter().for_each(below);
            build.get_mut("dockerfile").into_iter().for_each(below);
            values(build.get_mut("additional_contexts")).for_each(below);
        }
        let mounts = service.get_mut("volumes").and_then(Json::as_array_mut);
        for mount in mounts.into_iter().flatten() {
            if mount.get("type").is_some_and(|kind| kind == "bind") {
                mount.get_mut("source").into_iter().for_each(below);
            }
        }
        let watches = service
            .get_mut("develop")
            .and_then(|develop| develop.get_mut("watch"));
        for watch in watches.and_then(Json::as_array_mut).into_iter().flatten() {
            watch.get_mut("path").into_iter().for_each(below);
        }
    }
    for section in ["configs", "secrets"] {
        for resource in each(&mut model, section) {
            resource.get_mut("file").into_iter().for_each(below);
        }
    }
    for volume in each(&mut model, "volumes") {
        let device = volume
            .get_mut("driver_opts")
            .and_then(|options| options.get_mut("device"));
        device.into_iter().for_each(below);
    }
    model
}

/// The mappings below a key of the model.
fn each<'json>(
    model: &'json mut Json,
    key: &str,
) -> impl Iterator<Item = &'json mut Map<String, Json>> {
    values(model.get_mut(key)).filter_map(Json::as_object_mut)
}

fn values(json: Option<&mut Json>) -> impl Iterator<Item = &mut Json> {
    let map = json.and_then(Json::as_object_mut);
    map.into_iter().flat_map(Map::values_mut)
}
