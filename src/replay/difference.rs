//! What differs between the run of a bundle and what there is here: said before anything starts.

use std::collections::BTreeMap;

use super::{BuildInputs, Bundle, Facts, Machine};

/// What there is here.
#[derive(Debug, Clone, Default)]
pub struct Present {
    /// Version of envrun.
    pub envrun: String,
    /// The machine.
    pub host: Machine,
    /// Files, builds, git and engine, looked at as for the run.
    pub facts: Facts,
    /// Ids of the images that are here under the names of the bundle; `None` for those that are not
    /// here.
    pub images: BTreeMap<String, Option<String>>,
}

/// Files of one kind that are named.
const MOST_NAMED: usize = 10;

/// Everything that differs, one line each; the same for the same input.
#[must_use]
pub fn differences(bundle: &Bundle, present: &Present) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, then: &str, now: &str| {
        if then != now {
            found.push(format!(
                "{what}: {} in the bundle, {} here",
                shown(then),
                shown(now)
            ));
        }
    };
    differ("envrun", &bundle.envrun, &present.envrun);
    differ("system of this machine", &bundle.host.os, &present.host.os);
    differ(
        "processor of this machine",
        &bundle.host.architecture,
        &present.host.architecture,
    );
    if let (Some(then), Some(now)) = (&bundle.facts.engine, &present.facts.engine) {
        differ("engine", &then.product, &now.product);
        differ("version of the engine", &then.version, &now.version);
        differ("API of the engine", &then.api, &now.api);
        differ("system of the engine", &then.os, &now.os);
        differ(
            "processor of the engine",
            &then.architecture,
            &now.architecture,
        );
        differ("kernel of the engine", &then.kernel, &now.kernel);
        differ("control groups of the engine", &then.cgroup, &now.cgroup);
        differ(
            "storage driver of the engine",
            &then.storage_driver,
            &now.storage_driver,
        );
    }
    if let (Some(then), Some(now)) = (&bundle.facts.git, &present.facts.git) {
        differ("git commit", &then.commit, &now.commit);
    }
    if let (Some(then), Some(now)) = (&bundle.facts.git, &present.facts.git)
        && then.dirty
        && then.diff != now.diff
    {
        let what = "the run had changes that were not committed; `git.diff` of the bundle has them";
        found.push(format!("git: {what}"));
    }
    found.extend(images(bundle, present));
    let then = bundle.facts.files.iter();
    let then: BTreeMap<&String, &Option<String>> = then.collect();
    found.extend(files("file", &then, &present.facts.files.iter().collect()));
    for (name, inputs) in &bundle.facts.builds {
        match present.facts.builds.get(name) {
            None => found.push(format!("build of {name}: its files cannot be read here")),
            Some(now) if now.sha256 == inputs.sha256 => {}
            Some(now) => found.extend(build(name, inputs, now)),
        }
    }
    found
}

fn shown(text: &str) -> String {
    match text {
        "" => "unknown".to_owned(),
        text => format!("`{text}`"),
    }
}

fn images(bundle: &Bundle, present: &Present) -> Vec<String> {
    let used = bundle.images.iter().filter(|image| !image.built);
    used.filter_map(|image| match present.images.get(&image.image)? {
        Some(id) if *id == image.id => None,
        Some(id) => Some(format!(
            "image {}: `{}` in the bundle, `{id}` here",
            image.image, image.id
        )),
        None => Some(format!("image {}: it is not here yet", image.image)),
    })
    .collect()
}

/// Changed, missing and further files, by name.
fn files(
    kind: &str,
    then: &BTreeMap<&String, &Option<String>>,
    now: &BTreeMap<&String, &Option<String>>,
) -> Vec<String> {
    let mut found = Vec::new();
    let (mut changed, mut missing) = (Vec::new(), Vec::new());
    for (name, hash) in then {
        match now.get(*name) {
            None => missing.push(name.as_str()),
            Some(other) if other != hash => changed.push(name.as_str()),
            Some(_) => {}
        }
    }
    let further: Vec<&str> = now
        .keys()
        .filter(|name| !then.contains_key(**name))
        .map(|name| name.as_str())
        .collect();
    for (what, names) in [
        ("changed", changed),
        ("missing here", missing),
        ("new here", further),
    ] {
        if names.is_empty() {
            continue;
        }
        let listed: Vec<String> = names
            .iter()
            .take(MOST_NAMED)
            .map(|name| format!("`{name}`"))
            .collect();
        let more = match names.len().checked_sub(MOST_NAMED) {
            Some(more) if more > 0 => format!(" and {more} more"),
            _ => String::new(),
        };
        found.push(format!("{kind} {what}: {}{more}", listed.join(", ")));
    }
    found
}

fn build(name: &str, then: &BuildInputs, now: &BuildInputs) -> Vec<String> {
    let kind = format!("build of {name}: file");
    let known = |inputs: &BuildInputs| -> BTreeMap<String, Option<String>> {
        let files = inputs.files.iter();
        files
            .map(|(name, hash)| (name.clone(), Some(hash.clone())))
            .collect()
    };
    let (before, after) = (known(then), known(now));
    let mut found = match before.is_empty() || after.is_empty() {
        true => Vec::new(),
        false => files(&kind, &before.iter().collect(), &after.iter().collect()),
    };
    if then.dockerfile != now.dockerfile && found.is_empty() {
        found.push(format!("build of {name}: its Dockerfile has changed"));
    }
    if found.is_empty() {
        found.push(format!("build of {name}: its files have changed"));
    }
    found
}
