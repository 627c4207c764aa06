//! Judgements of builds: what of this host travels to the engine, and what the engine fetches.
//!
//! Beside the Dockerfile, the builder is sent the rules of what is left out; a link in their place
//! would be read like any file.

use std::path::{Path, PathBuf};

use super::super::files::MAX_FILE_SIZE;
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::confines::absolute;
use super::judge::{Asked, Judging};
use super::values::{name, texts};
use crate::image::dockerfile::shared;

const IGNORE_FILE: &str = ".dockerignore";

/// The name that a Dockerfile has where nothing is said; it may be written in lower case.
const DOCKERFILE: &str = "Dockerfile";

const FETCHED: &str = "the engine would fetch it from the network of its host";

/// `build` of a service: its context with its rules, and its Dockerfile with its own.
pub(super) fn build(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let Some(map) = asked.entry.value.mapping() else {
        return;
    };
    let context = map.get("context");
    let place = context.map_or(&asked.entry.value.place, |node| &node.place);
    let text = text_of(map, "context").unwrap_or_else(|| ".".to_owned());
    let shown = format!("{}.context", asked.shown);
    if is_remote(&text) {
        let why = format!("`{}`: {FETCHED}", shorten(&text));
        return judging.refuse(place, &shown, why);
    }
    let root = absolute(&text, judging.directory);
    if !directory(judging, (&text, &root), place, &shown) {
        return;
    }
    if let Some(text) = text_of(map, "dockerfile_inline") {
        let place = map
            .get("dockerfile_inline")
            .map_or(place, |node| &node.place);
        let shown = format!("{}.dockerfile_inline", asked.shown);
        return instructions(judging, ("the Dockerfile", &text), place, &shown);
    }
    let name = text_of(map, "dockerfile").unwrap_or_else(|| DOCKERFILE.to_owned());
    let place = map.get("dockerfile").map_or(place, |node| &node.place);
    let file = root.join(&name);
    let mut files = vec![file.clone()];
    if file.file_name().is_some_and(|name| name == DOCKERFILE) {
        files.push(file.with_file_name(DOCKERFILE.to_lowercase()));
    }
    let dockerfiles = files.clone();
    let rules: Vec<PathBuf> = files.iter().map(|file| with_suffix(file)).collect();
    files.extend(rules);
    let shown = format!("{}.dockerfile", asked.shown);
    for file in files {
        if !is_inside(judging, &file, place, &shown) {
            return;
        }
    }
    for file in dockerfiles {
        let Ok(real) = judging.confines.resolve(&file) else {
            continue;
        };
        let name = shown_path(judging, &file);
        match text_at(&real) {
            Ok(Some(text)) => {
                let name = format!("`{name}`");
                instructions(judging, (&name, &text), place, &shown);
            }
            // That there is none is for the build to say.
            Ok(None) => {}
            Err(why) => judging.refuse(place, &shown, format!("`{name}`: {why}")),
        }
    }
}

/// The text of a Dockerfile, whose links are all followed.
fn text_at(path: &Path) -> Result<Option<String>, &'static str> {
    match std::fs::symlink_metadata(path) {
        Err(_) => return Ok(None),
        Ok(found) if !found.is_file() => return Err("it is not a regular file"),
        Ok(found) if found.len() > MAX_FILE_SIZE => return Err("it is too large to be looked at"),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path);
    text.map(Some).map_err(|_| "it cannot be looked at")
}

/// The instructions of a build: what lasts in the engine beyond it is there for the builds of others.
fn instructions(judging: &mut Judging<'_>, (name, text): (&str, &str), place: &Place, shown: &str) {
    for what in shared(text) {
        let why = format!(
            "{name} {}, which the engine shares with the builds of others",
            shorten(&what)
        );
        judging.refuse(place, shown, why);
    }
}

/// `build.args`. Those of proxies are no part of what the engine's cache goes by, and another one names
/// the program that reads the Dockerfile.
pub(super) fn args(judging: &mut Judging<'_>, asked: Asked<'_>) {
    for (text, place) in texts(&asked.entry.value) {
        let name = name(&text).to_ascii_uppercase();
        if name.ends_with("_PROXY") || name.starts_with("BUILDKIT_") {
            let why = format!(
                "`{}` changes what the engine has for the builds of others",
                shorten(&name)
            );
            judging.refuse(place, &asked.shown, why);
        }
    }
}

/// `build.additional_contexts`.
pub(super) fn contexts(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let found: Vec<(String, Place)> = match &asked.entry.value.value {
        Value::Mapping(map) => map
            .entries
            .iter()
            .filter_map(|entry| {
                Some((
                    entry.value.scalar()?.text.clone(),
                    entry.value.place.clone(),
                ))
            })
            .collect(),
        Value::Sequence(items) => items
            .iter()
            .filter_map(|item| {
                let text = &item.scalar()?.text;
                let value = text
                    .split_once('=')
                    .map_or(text.as_str(), |(_, value)| value);
                Some((value.to_owned(), item.place.clone()))
            })
            .collect(),
        _ => Vec::new(),
    };
    for (text, place) in found {
        if text.starts_with("service:") || text.starts_with("docker-image://") || text.is_empty() {
            continue;
        }
        if is_remote(&text) || text.starts_with("oci-layout:") {
            let why = format!("`{}`: {FETCHED}", shorten(&text));
            judging.refuse(&place, &asked.shown, why);
            continue;
        }
        let root = absolute(&text, judging.directory);
        directory(judging, (&text, &root), &place, &asked.shown);
    }
}

/// `build.network`.
pub(super) fn network(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let text = asked.text();
    if !matches!(text.as_str(), "" | "default" | "none") {
        let why = "the network belongs to the host, or to containers of others";
        let help = "it may be `default` or `none`";
        judging.refuse_help(&asked.entry.value.place, &asked.shown, why, Some(help));
    }
}

/// Judges a directory and its rules. False when it is refused.
fn directory(
    judging: &mut Judging<'_>,
    (text, root): (&str, &Path),
    place: &Place,
    shown: &str,
) -> bool {
    if let Err(why) = judging.confines.resolve_text(text, judging.directory) {
        judging.refuse(place, shown, format!("`{}`: {why}", shorten(text)));
        return false;
    }
    is_inside(judging, &root.join(IGNORE_FILE), place, shown)
}

fn is_inside(judging: &mut Judging<'_>, file: &Path, place: &Place, shown: &str) -> bool {
    let Err(why) = judging.confines.resolve(file) else {
        return true;
    };
    let name = shown_path(judging, file);
    judging.refuse(place, shown, format!("`{name}`: {why}"));
    false
}

fn shown_path(judging: &Judging<'_>, file: &Path) -> String {
    let name = file.strip_prefix(judging.directory).unwrap_or(file);
    shorten(&name.display().to_string())
}

/// The text of a key, unless there is none or it is empty.
fn text_of(map: &Mapping, key: &str) -> Option<String> {
    let scalar = map.get(key).and_then(Node::scalar)?;
    (!scalar.text.is_empty()).then(|| scalar.text.clone())
}

/// What a builder fetches, in the widest sense: of two readings, the one that is refused.
fn is_remote(text: &str) -> bool {
    const STARTS: [&str; 3] = ["git@", "github.com/", "service:"];
    text.contains("://") || STARTS.iter().any(|start| text.starts_with(start))
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(IGNORE_FILE);
    PathBuf::from(name)
}
