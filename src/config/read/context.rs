//! What every reader needs: where problems go, the variables, and the checks of a mapping's keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::diagnostic::{Problem, Problems};
use super::super::files::clean_path;
use super::super::keys::{EXTENSION, Policy, Section};
use super::super::source::Place;
use super::super::suggest::{did_you_mean, nearest};
use super::super::yaml::{Key, Mapping, Node, Value, shorten};
use crate::mask::Secret;

/// Ports of all services together, ranges expanded; more is a mistake, or meant to exhaust memory.
const MAX_PORTS: usize = 200_000;

/// The state of one reading.
pub(in crate::config) struct Context<'a> {
    /// Everything found so far.
    pub(in crate::config) problems: Problems,
    /// The host's environment over `.env`.
    pub(in crate::config) variables: &'a BTreeMap<String, String>,
    /// The project's directory, absolute.
    pub(in crate::config) directory: &'a Path,
    /// The top-level `secrets`, which builds look into.
    pub(in crate::config) secrets: Option<&'a Mapping>,
    /// Values that must not be seen, of the services that were read.
    pub(in crate::config) to_mask: Vec<Secret>,
    /// The files are those of strangers, whose containers do not write to this host.
    pub(in crate::config) confined: bool,
    ports_left: usize,
}

impl<'a> Context<'a> {
    pub(in crate::config) fn new(
        variables: &'a BTreeMap<String, String>,
        directory: &'a Path,
    ) -> Self {
        let problems = Problems::default();
        Self {
            problems,
            variables,
            directory,
            secrets: None,
            to_mask: Vec::new(),
            confined: false,
            ports_left: MAX_PORTS,
        }
    }

    /// Adds a problem at a place.
    pub(in crate::config) fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem::error(message).at(place));
    }

    /// Adds a problem at a place, with help.
    pub(in crate::config) fn error_help(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems
            .push(Problem::error(message).at(place).help(help));
    }

    /// Adds a warning; places with the same message become one warning.
    pub(in crate::config) fn warn(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        let problem = Problem::warning(message).at(place);
        let problem = match help {
            Some(help) => problem.help(help),
            None => problem,
        };
        self.problems.push_shared(problem);
    }

    /// Says that a node is of a wrong type.
    pub(in crate::config) fn expected(&mut self, node: &Node, what: &str, wanted: &str) {
        let message = format!("`{what}` must be {wanted}, found {}", node.describe());
        self.error(&node.place, message);
    }

    /// A path of the file, made absolute: `~` is the home directory, anything relative is under the
    /// project's directory, and an absolute path stays as it is.
    pub(in crate::config) fn path(&self, text: &str) -> PathBuf {
        let rest = text
            .strip_prefix('~')
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match (rest, self.variables.get("HOME")) {
            (Some(rest), Some(home)) => {
                clean_path(&self.directory.join(home).join(rest.trim_start_matches('/')))
            }
            _ if text.starts_with('/') => PathBuf::from(text),
            _ => clean_path(&self.directory.join(text)),
        }
    }

    /// Takes `count` ports from the budget of the project; false when there are too many.
    pub(in crate::config) fn take_ports(&mut self, count: usize, place: &Place) -> bool {
        let is_first = self.ports_left > 0;
        match self.ports_left.checked_sub(count) {
            Some(rest) => {
                self.ports_left = rest;
                true
            }
            None => {
                if is_first {
                    self.error(
                        place,
                        format!("the project has more than {MAX_PORTS} ports"),
                    );
                }
                self.ports_left = 0;
                false
            }
        }
    }

    /// Checks the keys of a mapping against its section: unknown keys, keys that are refused, keys
    /// without effect.
    pub(in crate::config) fn check_keys(&mut self, mapping: &Mapping, section: &Section) {
        for entry in &mapping.entries {
            let (key, owner) = (&entry.key, section.owner);
            // What the file format adds is nothing that the user asked for.
            let is_implied = entry.value.scalar().is_some_and(|scalar| scalar.implied);
            match section.policy(&key.text) {
                Some(Policy::NoEffect(_) | Policy::Warned(_)) if is_implied => {}
                Some(Policy::Honoured) => {}
                Some(Policy::NoEffect(why)) => {
                    let message = format!("`{}` of {owner} has no effect", key.text);
                    self.warn(&key.place, message, Some(why));
                }
                Some(Policy::Warned(unless)) => {
                    let asks_for_default = matches!(&entry.value.value,
                        Value::Scalar(scalar) if unless.contains(&scalar.text.as_str()));
                    if !asks_for_default {
                        let message = format!("`{}` of {owner} is not honoured yet", key.text);
                        self.warn(&key.place, message, None);
                    }
                }
                Some(Policy::Refused(why)) => {
                    let message = format!("`{}` of {owner} is not supported", key.text);
                    self.error_help(&key.place, message, format!("without it {why}"));
                }
                None => self.unknown_key(key, section),
            }
        }
    }

    fn unknown_key(&mut self, key: &Key, section: &Section) {
        if key.text == EXTENSION {
            let message = format!("{} has no `{EXTENSION}`", section.owner);
            let help =
                "it may stand on the top level, on a service and on a mount in its long form";
            return self.error_help(&key.place, message, help);
        }
        if key.text.starts_with("x-") {
            if nearest(&key.text, [EXTENSION]).is_some() {
                let message = format!("`{}` has no effect", shorten(&key.text));
                self.warn(&key.place, message, Some("did you mean `x-envrun`?"));
            }
            return;
        }
        let message = format!("unknown key `{}` of {}", shorten(&key.text), section.owner);
        let problem = Problem::error(message).at(&key.place);
        let names = section.keys.iter().map(|rule| rule.key);
        let help = if self.problems.is_full() {
            None
        } else {
            did_you_mean(&key.text, names)
        };
        self.problems.push(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    }
}
