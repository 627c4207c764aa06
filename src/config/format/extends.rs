//! `extends`: a service that begins as a copy of another one, of this file or of another.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::super::diagnostic::Problem;
use super::super::files::{clean_path, shown_name};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::reset::MarkedPath;
use super::{Loader, Scope, canonical, merge, paths, reset, unique};

/// Longest chain of services that extend each other.
const MAX_CHAIN: usize = 100;

/// The services of a file that others extend, in canonical form, with its marks.
pub(super) struct Base {
    services: Services,
    marks: Vec<MarkedPath>,
}

/// Services by name, since files may be large.
struct Services {
    mapping: Mapping,
    positions: HashMap<String, usize>,
}

impl Services {
    fn new(mapping: Mapping) -> Self {
        let keys = mapping.entries.iter().map(|entry| entry.key.text.clone());
        let positions = keys.zip(0..).collect();
        Self { mapping, positions }
    }

    fn get(&self, name: &str) -> Option<&Node> {
        let entry = self.mapping.entries.get(*self.positions.get(name)?);
        entry.map(|entry| &entry.value)
    }
}

/// What one step of a chain may look at.
struct Origin<'o> {
    services: &'o Services,
    file: &'o Path,
    marks: &'o [MarkedPath],
}

/// A step of a chain, for the check of circles and for messages.
struct Step {
    file: PathBuf,
    service: String,
    place: Place,
}

/// Resolves `extends` of all services of one document.
pub(super) fn apply(
    loader: &mut Loader<'_>,
    tree: &mut Node,
    scope: &Scope,
    (file, marks): (&Path, &[MarkedPath]),
) {
    let Some(services) = tree
        .mapping_mut()
        .and_then(|root| root.get_mut("services")?.mapping_mut())
    else {
        return;
    };
    let extends = |entry: &super::super::yaml::Entry| entry.value.get("extends").is_some();
    if !services.entries.iter().any(extends) {
        return;
    }
    let before = Services::new(services.clone());
    let origin = Origin {
        services: &before,
        file,
        marks,
    };
    for entry in &mut services.entries {
        if !extends(entry) {
            continue;
        }
        let name = entry.key.text.clone();
        if let Some(merged) = resolve(loader, &origin, &name, scope, &mut Vec::new()) {
            entry.value = merged;
        }
    }
}

/// The service with everything that it extends. The recursion is bounded by [`MAX_CHAIN`].
fn resolve(
    loader: &mut Loader<'_>,
    origin: &Origin<'_>,
    name: &str,
    scope: &Scope,
    chain: &mut Vec<Step>,
) -> Option<Node> {
    let service = origin.services.get(name)?;
    if !loader.afford(service) {
        return None;
    }
    let Some(extends) = service.mapping().and_then(|map| map.entry("extends")) else {
        return Some(service.clone());
    };
    let without = |mut service: Node| {
        if let Some(map) = service.mapping_mut() {
            map.remove("extends");
        }
        Some(service)
    };
    let (wanted, file) = match &extends.value.value {
        Value::Mapping(map) => (map.filled("service"), map.filled("file")),
        _ => (Some(&extends.value), None),
    };
    let Some((wanted, place)) = wanted.and_then(|node| Some((node.as_text()?, &node.place))) else {
        let message = format!("`extends` of service `{}` names no service", shorten(name));
        let problem = Problem::error(message).at(&extends.key.place);
        loader
            .problems
            .push(problem.help("write `extends: { service: NAME }`"));
        return without(service.clone());
    };

    let found = match file {
        None => None,
        Some(node) => match node.as_text() {
            Some(path) => {
                let path = paths::absolute(path, scope);
                let base = base_of(loader, (Path::new(&path), &node.place), scope)?;
                Some((PathBuf::from(path), base))
            }
            None => {
                let message = format!("`file` must be text, found {}", node.describe());
                loader
                    .problems
                    .push(Problem::error(message).at(&node.place));
                return without(service.clone());
            }
        },
    };
    let read = found.as_ref().map(|(file, base)| Origin {
        services: &base.services,
        file,
        marks: &base.marks,
    });
    let other = read.as_ref().unwrap_or(origin);
    if other.services.get(wanted).is_none() {
        let shown = shown_name(other.file, loader.shown_from);
        let message = format!(
            "service `{}` extends `{}`, which does not exist in `{shown}`",
            shorten(name),
            shorten(wanted)
        );
        let names = other.services.mapping.entries.iter();
        let names = names.map(|entry| entry.key.text.as_str());
        let help = match loader.problems.is_full() {
            true => None,
            false => did_you_mean(wanted, names.filter(|other| *other != name)),
        };
        let problem = Problem::error(message).at(place);
        loader.problems.push(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
        return without(service.clone());
    }
    let step = Step {
        file: origin.file.to_owned(),
        service: name.to_owned(),
        place: place.clone(),
    };
    if !enter(loader, chain, step) {
        return None;
    }
    let base = resolve(loader, other, wanted, scope, chain);
    chain.pop();
    let mut base = base?;
    if base.is_null() {
        // There is nothing to extend; the reference goes on to show the key.
        return Some(service.clone());
    }
    reset::apply_to_service(&mut base, name, origin.marks);
    let mut merged = merge::merge_service(base, service.clone(), loader.problems);
    if let Some(map) = merged.mapping_mut() {
        map.remove("extends");
    }
    Some(merged)
}

/// Adds a step to the chain, unless it would close a circle or the chain is too long.
fn enter(loader: &mut Loader<'_>, chain: &mut Vec<Step>, step: Step) -> bool {
    let same = |other: &Step| other.file == step.file && other.service == step.service;
    if let Some(start) = chain.iter().position(same) {
        let names: Vec<String> = chain
            .iter()
            .skip(start)
            .chain(std::iter::once(&step))
            .map(|step| shorten(&step.service))
            .collect();
        let names = names.join(" → ");
        let mut problem = Problem::error(format!("services extend each other: `{names}`"));
        for step in chain.iter().skip(start).take(8) {
            problem = problem.at(&step.place);
        }
        loader
            .problems
            .push_shared(problem.help("none of them has a beginning; take one `extends` out"));
        return false;
    }
    if chain.len() >= MAX_CHAIN {
        let message = format!("more than {MAX_CHAIN} services extend each other in a row");
        loader
            .problems
            .push(Problem::error(message).at(&step.place));
        return false;
    }
    chain.push(step);
    true
}

/// The services of another file, read once for each directory that asks.
fn base_of(
    loader: &mut Loader<'_>,
    (path, place): (&Path, &Place),
    scope: &Scope,
) -> Option<Rc<Base>> {
    let path = clean_path(path);
    let key = (path.clone(), scope.directory.clone());
    if let Some(base) = loader.bases.get(&key) {
        return base.clone();
    }
    let base = read_base(loader, (&path, place), scope).map(Rc::new);
    loader.bases.insert(key, base.clone());
    base
}

fn read_base(
    loader: &mut Loader<'_>,
    (path, place): (&Path, &Place),
    scope: &Scope,
) -> Option<Base> {
    let shown = shown_name(path, loader.shown_from);
    if let Err(problem) = scope.admits(path, &shown) {
        loader.problems.push(problem.label(place, "extended here"));
        return None;
    }
    if !path.exists() {
        let message = format!("cannot read `{shown}`: it does not exist");
        let problem = Problem::error(message).label(place, "extended here");
        loader
            .problems
            .push(problem.help("the path is relative to the directory of the project"));
        return None;
    }
    let file = loader.read(path, &shown)?;
    let scope = Scope {
        variables: scope.variables.clone(),
        directory: path.parent().unwrap_or(path).to_owned(),
        confines: scope.confines.clone(),
    };
    let mut tree: Option<Node> = None;
    let mut all_marks = Vec::new();
    for mut document in file.documents {
        let marks = reset::take(&mut document);
        loader
            .replacer
            .replace(&mut document, &scope, loader.problems);
        tree = Some(match tree {
            Some(mut base) => {
                reset::apply(&mut base, &marks);
                merge::merge(base, document, loader.problems)
            }
            None => document,
        });
        all_marks = marks;
    }
    let mut tree = tree?;
    unique::enforce(&mut tree);
    let root = tree.mapping_mut()?;
    canonical::apply(root, loader.problems);
    paths::resolve(root, &scope);
    unique::enforce(&mut tree);
    let services = match tree.mapping_mut()?.remove("services") {
        Some(entry) => entry.value,
        None => {
            let message = format!("`{shown}` has no services to extend");
            loader
                .problems
                .push(Problem::error(message).label(place, "extended here"));
            return None;
        }
    };
    match services.value {
        Value::Mapping(services) => Some(Base {
            services: Services::new(services),
            marks: all_marks,
        }),
        _ => None,
    }
}
