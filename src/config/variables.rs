//! The variables of a project, and their use in the values of a tree.
//!
//! Owns the order of precedence: the host's environment wins over `.env`. The host's environment is
//! given; it is never read here.

use std::collections::BTreeMap;
use std::path::Path;

use super::diagnostic::{Problem, Problems};
use super::dotenv;
use super::files::{read, shown_name};
use super::interpolate::{InterpolationErrorKind, interpolate};
use super::source::Place;
use super::yaml::{Node, Scalar, Value};

/// All values of a project together, once their variables are replaced, in bytes.
const MAX_TOTAL: usize = 32 << 20;

/// Adds the `.env` of a directory below what is known already; a missing file is fine.
pub(super) fn add_dotenv(
    variables: &mut BTreeMap<String, String>,
    (directory, shown_from): (&Path, &Path),
    order: &mut usize,
    problems: &mut Problems,
) {
    let path = directory.join(".env");
    if !path.is_file() {
        return;
    }
    let source = match read(&path, &shown_name(&path, shown_from), *order) {
        Ok(source) => source,
        Err(problem) => return problems.push(problem),
    };
    *order += 1;
    match dotenv::parse(source.text(), &|name| {
        variables.get(name).map(String::as_str)
    }) {
        Ok(found) => {
            for (name, range) in found.unset {
                problems.push_shared(unset(&name, &source.place(range)));
            }
            for (name, value) in found.variables {
                variables.entry(name).or_insert(value);
            }
        }
        Err(errors) => {
            for error in errors {
                let place = source.place(error.range);
                problems.push(Problem::error(error.message).at(&place));
            }
        }
    }
}

fn unset(name: &str, place: &Place) -> Problem {
    Problem::warning(format!(
        "variable `{name}` is not set; it becomes an empty text"
    ))
    .at(place)
    .help(format!("set it, or write a default: `${{{name}:-…}}`"))
}

/// Replaces the variables in all values of one file's tree; keys are left alone. The depth is
/// bounded by that of the tree.
pub(super) struct Replacer<'a> {
    variables: &'a BTreeMap<String, String>,
    left: usize,
}

impl<'a> Replacer<'a> {
    pub(super) fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self {
            variables,
            left: MAX_TOTAL,
        }
    }

    /// Replaces in a whole file. Top-level extensions other than envrun's own are left alone: they
    /// have no effect but through aliases, and those are copies.
    pub(super) fn file(&mut self, root: &mut Node, problems: &mut Problems) {
        if let Value::Mapping(mapping) = &mut root.value {
            for entry in &mut mapping.entries {
                let key = entry.key.text.as_str();
                if !key.starts_with("x-") || key == super::keys::EXTENSION {
                    self.node(&mut entry.value, problems);
                }
            }
        }
    }

    fn node(&mut self, node: &mut Node, problems: &mut Problems) {
        match &mut node.value {
            Value::Null => {}
            Value::Sequence(nodes) => {
                for node in nodes {
                    self.node(node, problems);
                }
            }
            Value::Mapping(mapping) => {
                for entry in &mut mapping.entries {
                    self.node(&mut entry.value, problems);
                }
            }
            Value::Scalar(scalar) if scalar.text.contains('$') => {
                match self.scalar(scalar, &node.place, problems) {
                    Some(text) => *scalar = Scalar::text(text),
                    None => {
                        *scalar = Scalar::text("");
                        problems.silence(&node.place);
                    }
                }
            }
            Value::Scalar(_) => {}
        }
    }

    fn scalar(
        &mut self,
        scalar: &Scalar,
        place: &Place,
        problems: &mut Problems,
    ) -> Option<String> {
        let part = |range: std::ops::Range<usize>| part_of(scalar, place, range);
        let lookup = |name: &str| self.variables.get(name).map(String::as_str);
        match interpolate(&scalar.text, &lookup) {
            Ok(done) => {
                for (name, range) in done.unset {
                    problems.push_shared(unset(&name, &part(range)));
                }
                match self.left.checked_sub(done.text.len()) {
                    Some(left) => self.left = left,
                    None => {
                        if self.left > 0 {
                            let message = format!(
                                "all values together are larger than {MAX_TOTAL} bytes once their variables are replaced"
                            );
                            problems.push(Problem::error(message).at(place));
                        }
                        self.left = 0;
                        return None;
                    }
                }
                Some(done.text)
            }
            Err(error) => {
                let help = match &error.kind {
                    InterpolationErrorKind::Required { variable, .. } => {
                        format!("set `{variable}` in the environment or in `.env`")
                    }
                    InterpolationErrorKind::TooDeep | InterpolationErrorKind::TooLong => {
                        "write the value out".to_owned()
                    }
                    _ => "write `${NAME}`, `${NAME:-default}`, or `$$` for a `$` itself".to_owned(),
                };
                let problem = Problem::error(error.to_string()).at(&part(error.range));
                problems.push(problem.help(help));
                None
            }
        }
    }
}

/// The place of a part of a scalar, where the scalar stands in the file as it is; else the whole
/// scalar.
fn part_of(scalar: &Scalar, place: &Place, range: std::ops::Range<usize>) -> Place {
    let raw = place.text();
    if raw == scalar.text {
        return place.part(range);
    }
    let mut inner = raw.chars();
    let is_quoted = matches!(inner.next(), Some('"' | '\'')) && inner.next_back().is_some();
    if is_quoted && inner.as_str() == scalar.text {
        return place.part(range.start + 1..range.end + 1);
    }
    place.clone()
}
