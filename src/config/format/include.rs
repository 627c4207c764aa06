//! `include`: other projects whose services, networks, volumes, secrets, configs and models become
//! part of this one.

use std::path::PathBuf;

use super::super::diagnostic::Problem;
use super::super::files::{clean_path, shown_name};
use super::super::source::Place;
use super::super::variables::{EnvFile, add_files};
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::{Loader, Scope};

/// The sections that are imported.
const SECTIONS: [&str; 6] = [
    "services", "volumes", "networks", "secrets", "configs", "models",
];

/// One entry of `include`.
#[derive(Default)]
struct Include {
    paths: Vec<(String, Place)>,
    project_directory: Option<(String, Place)>,
    env_files: Vec<(String, Place)>,
}

/// Loads what a document includes, and adds it to the document.
pub(super) fn apply(loader: &mut Loader<'_>, tree: &mut Node, scope: &Scope, included: &[PathBuf]) {
    let Some(root) = tree.mapping_mut() else {
        return;
    };
    let Some(entry) = root.remove("include") else {
        return;
    };
    let items = match &entry.value.value {
        Value::Null => return,
        Value::Sequence(items) => items,
        _ => {
            let message = format!("`include` must be a list, found {}", entry.value.describe());
            let problem = Problem::error(message).at(&entry.value.place);
            return loader.problems.push(problem);
        }
    };
    for item in items {
        let Some(include) = read(loader, item) else {
            continue;
        };
        let Some(imported) = load(loader, include, scope, included) else {
            continue;
        };
        import(loader, imported, root, &item.place);
    }
}

fn read(loader: &mut Loader<'_>, item: &Node) -> Option<Include> {
    let mut include = Include::default();
    match &item.value {
        Value::Mapping(map) => {
            include.paths = texts(loader, map, "path");
            include.env_files = texts(loader, map, "env_file");
            include.project_directory = texts(loader, map, "project_directory")
                .pop()
                .filter(|(text, _)| !text.is_empty());
        }
        _ => include.paths.extend(
            item.as_text()
                .map(|text| (text.to_owned(), item.place.clone())),
        ),
    }
    if include.paths.is_empty() {
        let message = "an entry of `include` names no file, and has no effect";
        let problem = Problem::warning(message).at(&item.place);
        loader
            .problems
            .push(problem.help("write a path, or `path:` with a path or a list of paths"));
        return None;
    }
    Some(include)
}

/// One text or a list of texts.
fn texts(loader: &mut Loader<'_>, map: &Mapping, key: &str) -> Vec<(String, Place)> {
    let Some(node) = map.filled(key) else {
        return Vec::new();
    };
    let nodes = match &node.value {
        Value::Sequence(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut texts = Vec::new();
    for node in nodes {
        match node.as_text() {
            Some(text) => texts.push((text.to_owned(), node.place.clone())),
            None => {
                let message = format!("`{key}` must be text, found {}", node.describe());
                loader
                    .problems
                    .push(Problem::error(message).at(&node.place));
            }
        }
    }
    texts
}

/// Loads one entry: its files as layers, under its own directory and with its own `.env`.
fn load(
    loader: &mut Loader<'_>,
    include: Include,
    scope: &Scope,
    included: &[PathBuf],
) -> Option<Node> {
    let under = |text: &str| clean_path(&scope.directory.join(text));
    let (main, place) = include.paths.first()?;
    let main = under(main);
    if included.contains(&main) {
        let names: Vec<String> = included
            .iter()
            .chain(std::iter::once(&main))
            .map(|path| shown_name(path, loader.shown_from))
            .collect();
        let message = format!("files include each other: `{}`", names.join(" → "));
        loader.problems.push(Problem::error(message).at(place));
        return None;
    }
    // All of them are asked for before anything is said of one.
    let files = include.paths.iter().chain(&include.project_directory);
    let mut admitted = true;
    for (text, place) in files {
        let path = under(text);
        if let Err(problem) = scope.admits(&path, &shown_name(&path, loader.shown_from)) {
            loader.problems.push(problem.label(place, "included here"));
            admitted = false;
        }
    }
    if !admitted {
        return None;
    }
    let directory = match &include.project_directory {
        // A directory that does not exist is taken for a file, as the reference does it.
        Some((directory, _)) => {
            let directory = under(directory);
            match directory.parent() {
                Some(parent) if !directory.is_dir() => parent.to_owned(),
                _ => directory,
            }
        }
        None => main.parent().unwrap_or(&main).to_owned(),
    };
    let mut scope_inside = Scope {
        variables: scope.variables.clone(),
        directory,
        confines: scope.confines.clone(),
    };
    read_variables(loader, &include, scope, &mut scope_inside);
    let mut files = Vec::new();
    for (text, place) in &include.paths {
        let path = under(text);
        let shown = shown_name(&path, loader.shown_from);
        if !path.exists() {
            let message = format!("cannot read `{shown}`: it does not exist");
            let problem = Problem::error(message).label(place, "included here");
            loader.problems.push(problem);
            return None;
        }
        files.push(loader.read(&path, &shown)?);
    }
    loader.layers(files, &scope_inside, included)
}

/// The variables of what is included: those of who includes it win over its own files.
fn read_variables(loader: &mut Loader<'_>, include: &Include, scope: &Scope, inside: &mut Scope) {
    let named = include.env_files.iter().map(|(text, place)| EnvFile {
        path: clean_path(&scope.directory.join(text)),
        named: true,
        place: Some(place),
    });
    let mut files: Vec<EnvFile<'_>> = named.collect();
    if files.is_empty() {
        files.push(EnvFile {
            path: inside.directory.join(".env"),
            named: false,
            place: None,
        });
    }
    let confines = scope.confines.as_deref();
    let reading = (loader.shown_from, &mut loader.order, confines);
    add_files(&mut inside.variables, &files, reading, loader.problems);
}

/// Adds the sections of what is included. A name that is there already must mean the same.
fn import(loader: &mut Loader<'_>, imported: Node, root: &mut Mapping, place: &Place) {
    let Value::Mapping(mut imported) = imported.value else {
        return;
    };
    for section in SECTIONS {
        let Some(from) = imported.remove(section) else {
            continue;
        };
        let Value::Mapping(from_entries) = from.value.value else {
            continue;
        };
        if root.filled(section).is_none() {
            root.set(
                section,
                Node::new(Value::Mapping(Mapping::default()), &from.key.place),
            );
        }
        let Some(to) = root.get_mut(section).and_then(Node::mapping_mut) else {
            continue;
        };
        let known: std::collections::HashMap<String, usize> = to
            .entries
            .iter()
            .map(|entry| entry.key.text.clone())
            .zip(0..)
            .collect();
        for entry in from_entries.entries {
            let existing = known
                .get(&entry.key.text)
                .and_then(|index| to.entries.get(*index));
            match existing {
                None => to.entries.push(entry),
                Some(existing) if same(&existing.value, &entry.value) => {}
                Some(existing) => {
                    let name = shorten(&entry.key.text);
                    let message = format!(
                        "`{section}.{name}` is defined here and in a file that is included"
                    );
                    loader.problems.push(
                        Problem::error(message)
                            .label(&existing.key.place, "defined here")
                            .label(&entry.key.place, "and here")
                            .label(place, "included here")
                            .help("to change what is included, list an override file: `path: [FILE, OVERRIDE]`"),
                    );
                }
            }
        }
    }
}

/// Whether two trees say the same, wherever they stand.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(one), Value::Scalar(other)) => {
            one.resolve() == other.resolve() && one.printed() == other.printed()
        }
        (Value::Sequence(ones), Value::Sequence(others)) => {
            ones.len() == others.len()
                && ones.iter().zip(others).all(|(one, other)| same(one, other))
        }
        (Value::Mapping(ones), Value::Mapping(others)) => {
            let others: std::collections::HashMap<&str, &Node> = others
                .entries
                .iter()
                .map(|entry| (entry.key.text.as_str(), &entry.value))
                .collect();
            ones.entries.len() == others.len()
                && ones.entries.iter().all(|entry| {
                    others
                        .get(entry.key.text.as_str())
                        .is_some_and(|other| same(&entry.value, other))
                })
        }
        _ => false,
    }
}
