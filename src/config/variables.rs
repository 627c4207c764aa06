//! The variables of a project, and their use in the values of a tree.
//!
//! Owns the order of precedence: the host's environment wins over `.env`. The host's environment is
//! given; it is never read here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::diagnostic::{Problem, Problems};
use super::dotenv;
use super::files::{read, shown_name};
use super::format::Scope;
use super::format::cast::{self, Cast};
use super::interpolate::{InterpolationErrorKind, interpolate};
use super::source::Place;
use super::untrusted::Confines;
use super::yaml::{Node, Resolved, Scalar, Value, shorten};

/// All values of a project together, once their variables are replaced, in bytes.
const MAX_TOTAL: usize = 32 << 20;

/// Adds the variables of files below what is known already; among the files the later one wins. A
/// file that somebody named, at the place given or on the command line, must exist.
pub(super) fn add_files(
    variables: &mut BTreeMap<String, String>,
    files: &[EnvFile<'_>],
    (shown_from, order, confines): (&Path, &mut usize, Option<&Confines>),
    problems: &mut Problems,
) {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let shown = shown_name(&file.path, shown_from);
        if let Some(Err(problem)) = confines.map(|confines| file.admit(confines, &shown)) {
            problems.push(match file.place {
                Some(place) => problem.label(place, "named here"),
                None => problem,
            });
            continue;
        }
        if !file.path.is_file() && !file.named {
            continue;
        }
        let source = match read(&file.path, &shown, *order) {
            Ok(source) => source,
            Err(problem) => {
                problems.push(match file.place {
                    Some(place) => problem.label(place, "named here"),
                    None => problem,
                });
                continue;
            }
        };
        *order += 1;
        let lookup = |name: &str| {
            let known = variables.get(name).or_else(|| found.get(name));
            known.map(String::as_str)
        };
        match dotenv::parse(source.text(), &lookup) {
            Ok(parsed) => {
                for (name, range) in parsed.unset {
                    problems.push_shared(unset(&name, &source.place(range), confines));
                }
                found.extend(parsed.variables);
            }
            Err(errors) => {
                for error in errors {
                    let place = source.place(error.range);
                    problems.push(Problem::error(error.message).at(&place));
                }
            }
        }
    }
    for (name, value) in found {
        variables.entry(name).or_insert(value);
    }
}

/// A file with variables.
pub(super) struct EnvFile<'p> {
    /// Absolute path.
    pub(super) path: PathBuf,
    /// Whether somebody named it; `.env` is merely looked for.
    pub(super) named: bool,
    /// Where it is named, if that is in a file.
    pub(super) place: Option<&'p Place>,
}

impl EnvFile<'_> {
    /// A file that no file names is named by whoever calls, or merely looked for.
    fn admit(&self, confines: &Confines, shown: &str) -> Result<(), Problem> {
        match self.place {
            None if self.named => confines.admit_named(&self.path, shown),
            _ => confines.admit(&self.path, shown),
        }
    }
}

fn unset(name: &str, place: &Place, confines: Option<&Confines>) -> Problem {
    let help = match confines.filter(|confines| confines.hides(name)) {
        Some(_) => hidden(name),
        None => format!("set it, or write a default: `${{{name}:-…}}`"),
    };
    Problem::warning(format!(
        "variable `{name}` is not set; it becomes an empty text"
    ))
    .at(place)
    .help(help)
}

/// Help for a variable that is there and not for strangers.
fn hidden(name: &str) -> String {
    format!(
        "strangers' code does not see the environment; `--pass-env {name}` shows it this variable"
    )
}

/// Replaces the variables in all values of one document's tree; keys are left alone. Where a number
/// or a boolean is wanted, text becomes one. The depth is bounded by that of the tree.
#[derive(Debug)]
pub(super) struct Replacer {
    left: usize,
    /// The variables that were asked for.
    pub(super) used: BTreeSet<String>,
}

impl Default for Replacer {
    fn default() -> Self {
        Self {
            left: MAX_TOTAL,
            used: BTreeSet::new(),
        }
    }
}

impl Replacer {
    pub(super) fn replace(&mut self, tree: &mut Node, scope: &Scope, problems: &mut Problems) {
        let mut replacing = Replacing {
            variables: &scope.variables,
            confines: scope.confines.as_deref(),
            left: &mut self.left,
            used: &mut self.used,
            problems,
        };
        replacing.node(tree, &mut Vec::new());
    }
}

/// The state of one replacement.
struct Replacing<'r> {
    variables: &'r BTreeMap<String, String>,
    confines: Option<&'r Confines>,
    left: &'r mut usize,
    used: &'r mut BTreeSet<String>,
    problems: &'r mut Problems,
}

impl Replacing<'_> {
    fn node(&mut self, node: &mut Node, path: &mut Vec<String>) {
        match &mut node.value {
            Value::Null => {}
            Value::Sequence(nodes) => {
                path.push("[]".to_owned());
                for node in nodes {
                    self.node(node, path);
                }
                path.pop();
            }
            Value::Mapping(mapping) => {
                for entry in &mut mapping.entries {
                    path.push(entry.key.text.clone());
                    self.node(&mut entry.value, path);
                    path.pop();
                }
            }
            Value::Scalar(scalar) => {
                if scalar.text.contains('$') {
                    match self.scalar(scalar, &node.place) {
                        Some(text) => *scalar = Scalar::text(text),
                        None => {
                            *scalar = Scalar::text("");
                            self.problems.silence(&node.place);
                            return;
                        }
                    }
                }
                if scalar.resolve() == Resolved::Text {
                    let names: Vec<&str> = path.iter().map(String::as_str).collect();
                    if let Some(cast) = cast::at(&names) {
                        let key = path.last().map_or("", String::as_str);
                        self.cast(scalar, &node.place, (cast, key));
                    }
                }
            }
        }
    }

    /// Turns text into what the key wants.
    fn cast(&mut self, scalar: &mut Scalar, place: &Place, (cast, key): (Cast, &str)) {
        let (plain, wanted) = match cast {
            Cast::Int => {
                let number = scalar.text.parse::<i64>().ok();
                (number.map(|number| number.to_string()), "a whole number")
            }
            Cast::Float => {
                let number = scalar.text.parse::<f64>().ok();
                (number.map(|number| number.to_string()), "a number")
            }
            Cast::Bool => {
                let value = cast::boolean(&scalar.text);
                if let Some((value, false)) = value {
                    let shown = shorten(&scalar.text);
                    let message = format!("`{shown}` is read as `{value}`");
                    let help = "since YAML 1.2 only `true` and `false` are booleans";
                    let problem = Problem::warning(message).at(place);
                    self.problems.push_shared(problem.help(help));
                }
                (
                    value.map(|(value, _)| value.to_string()),
                    "`true` or `false`",
                )
            }
        };
        match plain {
            Some(text) => *scalar = Scalar::plain(text),
            None => {
                let found = if scalar.text.is_empty() {
                    "an empty text".to_owned()
                } else {
                    format!("the text `{}`", shorten(&scalar.text))
                };
                let message = format!("`{key}` must be {wanted}, found {found}");
                self.problems.push(Problem::error(message).at(place));
                self.problems.silence(place);
            }
        }
    }

    fn scalar(&mut self, scalar: &Scalar, place: &Place) -> Option<String> {
        let part = |range: std::ops::Range<usize>| part_of(scalar, place, range);
        let asked = RefCell::new(Vec::new());
        let lookup = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            self.variables.get(name).map(String::as_str)
        };
        let interpolated = interpolate(&scalar.text, &lookup);
        self.used.extend(asked.into_inner());
        match interpolated {
            Ok(done) => {
                for (name, range) in done.unset {
                    let problem = unset(&name, &part(range), self.confines);
                    self.problems.push_shared(problem);
                }
                match self.left.checked_sub(done.text.len()) {
                    Some(left) => *self.left = left,
                    None => {
                        if *self.left > 0 {
                            let message = format!(
                                "all values together are larger than {MAX_TOTAL} bytes once their variables are replaced"
                            );
                            self.problems.push(Problem::error(message).at(place));
                        }
                        *self.left = 0;
                        return None;
                    }
                }
                Some(done.text)
            }
            Err(error) => {
                let help = match &error.kind {
                    InterpolationErrorKind::Required { variable, .. }
                        if self.confines.is_some_and(|one| one.hides(variable)) =>
                    {
                        hidden(variable)
                    }
                    InterpolationErrorKind::Required { variable, .. } => {
                        format!("set `{variable}` in the environment or in `.env`")
                    }
                    InterpolationErrorKind::TooDeep | InterpolationErrorKind::TooLong => {
                        "write the value out".to_owned()
                    }
                    _ => "write `${NAME}`, `${NAME:-default}`, or `$$` for a `$` itself".to_owned(),
                };
                let problem = Problem::error(error.to_string()).at(&part(error.range));
                self.problems.push(problem.help(help));
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
