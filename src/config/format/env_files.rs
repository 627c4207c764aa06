//! `env_file` and `label_file` of a service: their contents become part of `environment` and
//! `labels`.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::super::diagnostic::{Problem, Problems};
use super::super::dotenv::{self, DotenvError};
use super::super::files::{read, shown_name};
use super::super::source::Source;
use super::super::yaml::{Entry, Key, Mapping, Node, Value, shorten};
use super::{Asked, cast};

/// What reading needs to know.
pub(in crate::config) struct Reading<'r> {
    pub(in crate::config) variables: &'r BTreeMap<String, String>,
    /// The directory that files are shown relative to.
    pub(in crate::config) shown_from: &'r Path,
    /// Order of the next file.
    pub(in crate::config) order: &'r mut usize,
    /// What the files ask for, and which they are.
    pub(in crate::config) asked: &'r mut Asked,
    pub(in crate::config) problems: &'r mut Problems,
}

/// A variable as it stands in the tree.
struct Own {
    key: Key,
    value: Node,
}

impl Reading<'_> {
    /// Replaces the file keys of a service by what the files say.
    pub(in crate::config) fn resolve(&mut self, service: &mut Mapping) {
        self.environment(service);
        self.labels(service);
    }

    /// `environment` wins over the files, a later file over an earlier one.
    fn environment(&mut self, service: &mut Mapping) {
        let Some(files) = service.remove("env_file") else {
            return;
        };
        let own = own_entries(service.get("environment"));
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        for entry in &own {
            if let Some(scalar) = entry.value.scalar() {
                values.insert(&entry.key.text, scalar.printed());
            }
        }
        for (name, value) in &values {
            found.insert((*name).to_owned(), value.clone());
        }
        let Value::Sequence(items) = &files.value.value else {
            return;
        };
        for item in items {
            let required = item
                .get("required")
                .and_then(Node::scalar)
                .and_then(|scalar| cast::boolean(&scalar.printed()))
                .is_none_or(|(required, _)| required);
            let format = item.get("format").filter(|node| node.as_text() != Some(""));
            let Some(path) = item.get("path") else {
                continue;
            };
            let Some(source) = self.open(path, required) else {
                continue;
            };
            let variables = self.variables;
            let used = RefCell::new(Vec::new());
            let lookup = |name: &str| {
                used.borrow_mut().push(name.to_owned());
                let known = variables.get(name).or_else(|| values.get(name));
                known.map(String::as_str)
            };
            let before = found.clone();
            let parsed = match format.and_then(Node::as_text) {
                None | Some(".env") => {
                    dotenv::parse_after(source.text(), before, &lookup).map(|parsed| {
                        for (name, range) in parsed.unset {
                            let message =
                                format!("variable `{name}` is not set; it becomes an empty text");
                            let problem = Problem::warning(message).at(&source.place(range));
                            self.problems.push_shared(problem);
                        }
                        parsed.variables
                    })
                }
                Some("raw") => dotenv::parse_raw(source.text(), before, &lookup),
                Some(other) => {
                    let message = format!("unknown format `{}` of `env_file`", shorten(other));
                    let place = format.map_or(&item.place, |node| &node.place);
                    let problem = Problem::error(message).at(place);
                    let help = "write `raw`, or leave it out for the format of `.env`";
                    self.problems.push(problem.help(help));
                    continue;
                }
            };
            self.asked.used.extend(used.into_inner());
            match parsed {
                Ok(variables) => found = variables,
                Err(errors) => self.report(&source, errors),
            }
        }
        let place = files.key.place.clone();
        let mut environment = Mapping::default();
        let named: HashSet<String> = own.iter().map(|entry| entry.key.text.clone()).collect();
        for (name, value) in found {
            if !named.contains(&name) {
                environment
                    .entries
                    .push(Entry::new(name, Node::text(value, &place)));
            }
        }
        environment.entries.extend(own.into_iter().map(|own| Entry {
            key: own.key,
            value: own.value,
            mark: None,
        }));
        service.set(
            "environment",
            Node::new(Value::Mapping(environment), &place),
        );
    }

    /// `labels` wins over the files.
    fn labels(&mut self, service: &mut Mapping) {
        let Some(files) = service.remove("label_file") else {
            return;
        };
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let items = match &files.value.value {
            Value::Sequence(items) => items.as_slice(),
            _ => &[],
        };
        for path in items {
            let Some(source) = self.open(path, true) else {
                continue;
            };
            let known = found.clone();
            let lookup = |name: &str| known.get(name).map(String::as_str);
            match dotenv::parse(source.text(), &lookup) {
                Ok(parsed) => found.extend(parsed.variables),
                Err(errors) => self.report(&source, errors),
            }
        }
        let place = files.key.place.clone();
        let mut labels = Mapping::default();
        let own = own_entries(service.get("labels"));
        let named: HashSet<String> = own.iter().map(|own| own.key.text.clone()).collect();
        for (name, value) in found {
            if !named.contains(&name) {
                labels
                    .entries
                    .push(Entry::new(name, Node::text(value, &place)));
            }
        }
        labels.entries.extend(own.into_iter().map(|own| Entry {
            key: own.key,
            value: own.value,
            mark: None,
        }));
        service.set("labels", Node::new(Value::Mapping(labels), &place));
    }

    fn open(&mut self, path: &Node, required: bool) -> Option<std::sync::Arc<Source>> {
        let file = Path::new(path.as_text()?);
        if !required && !file.exists() {
            return None;
        }
        let shown = shown_name(file, self.shown_from);
        match read(file, &shown, *self.order) {
            Ok(source) => {
                *self.order += 1;
                self.asked.read.push(file.to_owned());
                Some(source)
            }
            Err(problem) => {
                self.problems.push(problem.at(&path.place));
                None
            }
        }
    }

    fn report(&mut self, source: &std::sync::Arc<Source>, errors: Vec<DotenvError>) {
        for error in errors {
            let place = source.place(error.range);
            self.problems.push(Problem::error(error.message).at(&place));
        }
    }
}

/// The entries of a mapping, or of a list of `name=value`; a later one replaces an earlier one.
fn own_entries(node: Option<&Node>) -> Vec<Own> {
    let Some(node) = node else { return Vec::new() };
    let entries: Vec<Own> = match &node.value {
        Value::Mapping(map) => map
            .entries
            .iter()
            .map(|entry| Own {
                key: entry.key.clone(),
                value: entry.value.clone(),
            })
            .collect(),
        Value::Sequence(items) => items
            .iter()
            .filter_map(|item| {
                let text = item.scalar()?.printed();
                let (name, value) = match text.split_once('=') {
                    Some((name, value)) => (name, Node::text(value, &item.place)),
                    None => (text.as_str(), Node::null(&item.place)),
                };
                let key = Key {
                    text: name.to_owned(),
                    place: item.place.clone(),
                };
                Some(Own { key, value })
            })
            .collect(),
        _ => Vec::new(),
    };
    let mut positions = HashMap::new();
    let mut unique: Vec<Own> = Vec::with_capacity(entries.len());
    for entry in entries {
        match positions.get(&entry.key.text) {
            Some(&position) => unique[position] = entry,
            None => {
                positions.insert(entry.key.text.clone(), unique.len());
                unique.push(entry);
            }
        }
    }
    unique
}
