//! The walk through a canonical tree, in which every key meets its decision.

use std::path::Path;

use super::super::diagnostic::{Problem, Problems};
use super::super::keys::EXTENSION;
use super::super::source::Place;
use super::super::yaml::{Entry, Mapping, Node, Resolved, Value, shorten};
use super::confines::Confines;
use super::table::{self, Decision};
use super::values;

/// The state of one judgement.
pub(in crate::config) struct Judging<'j> {
    pub(super) confines: &'j Confines,
    /// What relative paths are under, absolute.
    pub(super) directory: &'j Path,
    problems: &'j mut Problems,
    refused: usize,
}

/// A key with what is needed to judge its value.
pub(in crate::config) struct Asked<'n> {
    pub(super) entry: &'n Entry,
    /// The mapping that it stands in.
    pub(super) beside: &'n Mapping,
    /// How it is shown: `services.web.privileged`.
    pub(super) shown: String,
}

impl Asked<'_> {
    /// The text of the value, whatever it looks like; empty for what is none.
    pub(super) fn text(&self) -> String {
        let scalar = self.entry.value.scalar();
        scalar.map(|scalar| scalar.text.clone()).unwrap_or_default()
    }
}

/// Judges a whole project. False when something is refused, which has been said then.
pub(in crate::config) fn judge(
    root: &Mapping,
    (confines, directory): (&Confines, &Path),
    problems: &mut Problems,
) -> bool {
    let mut judging = Judging {
        confines,
        directory,
        problems,
        refused: 0,
    };
    judging.mapping(root, "", "");
    judging.refused == 0
}

/// Judges the labels of services again, once those of `label_file` are among them.
pub(in crate::config) fn judge_labels(
    root: &Mapping,
    (confines, directory): (&Confines, &Path),
    problems: &mut Problems,
) -> bool {
    let mut judging = Judging {
        confines,
        directory,
        problems,
        refused: 0,
    };
    let services = root.get("services").and_then(Node::mapping);
    for service in services.into_iter().flat_map(|map| &map.entries) {
        let Some(map) = service.value.mapping() else {
            continue;
        };
        if let Some(entry) = map.entry("labels") {
            let name = shorten(&service.key.text);
            let shown = format!("services.{name}.labels");
            values::labels(
                &mut judging,
                Asked {
                    entry,
                    beside: map,
                    shown,
                },
            );
        }
    }
    judging.refused == 0
}

impl Judging<'_> {
    /// Refuses a value.
    pub(super) fn refuse(&mut self, place: &Place, shown: &str, why: impl std::fmt::Display) {
        self.refuse_help(place, shown, why, None);
    }

    /// Refuses a value, and says what to do.
    pub(super) fn refuse_help(
        &mut self,
        place: &Place,
        shown: &str,
        why: impl std::fmt::Display,
        help: Option<&str>,
    ) {
        self.refused += 1;
        let message = format!("`{shown}` is refused to strangers' code: {why}");
        let problem = Problem::error(message).at(place);
        self.problems.push(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    }

    /// Judges the keys of a mapping as those of one that stands at `path`.
    pub(super) fn mapping(&mut self, map: &Mapping, path: &str, shown: &str) {
        let any = join(path, "*");
        let has_names = table::has(&any);
        for entry in &map.entries {
            let key = entry.key.text.as_str();
            // Names of services may begin like this, too.
            if !has_names && key.starts_with("x-") && key != EXTENSION {
                continue;
            }
            let shown = join(shown, &shorten(key));
            let own = join(path, key);
            let pattern = if has_names { &any } else { &own };
            let asked = Asked {
                entry,
                beside: map,
                shown,
            };
            self.entry(table::of(pattern), asked, pattern);
        }
    }

    fn entry(&mut self, decision: Option<Decision>, asked: Asked<'_>, path: &str) {
        let entry = asked.entry;
        let shown = asked.shown.clone();
        match decision {
            Some(Decision::Fine | Decision::Idle) => {}
            Some(Decision::Refused(why)) => {
                if !says_nothing(&entry.value) {
                    self.refuse(&entry.key.place, &shown, why);
                }
            }
            Some(Decision::Judged(judge)) => {
                if !is_empty(&entry.value) {
                    judge(self, asked);
                }
            }
            Some(Decision::Below) => self.below(&entry.value, path, &shown),
            Some(Decision::Open) => {
                if entry.value.scalar().is_none() {
                    self.below(&entry.value, path, &shown);
                }
            }
            Some(Decision::JudgedBelow(judge)) => {
                if !is_empty(&entry.value) {
                    judge(self, asked);
                }
                self.below(&entry.value, path, &shown);
            }
            None => {
                let why = "nobody has decided what it may do";
                self.refuse(&entry.key.place, &shown, why);
            }
        }
    }

    fn below(&mut self, node: &Node, path: &str, shown: &str) {
        match &node.value {
            Value::Null => {}
            Value::Mapping(map) => self.mapping(map, path, shown),
            Value::Sequence(items) => {
                let path = join(path, "[]");
                for (index, item) in items.iter().enumerate() {
                    self.item(item, &path, &format!("{shown}[{index}]"));
                }
            }
            // A short form that has not become a long one is a mistake, and has been reported.
            Value::Scalar(_) => self.refuse(&node.place, shown, "it is in no form that is known"),
        }
    }

    fn item(&mut self, item: &Node, path: &str, shown: &str) {
        match &item.value {
            Value::Null => {}
            Value::Mapping(map) => self.mapping(map, path, shown),
            _ => self.refuse(&item.place, shown, "it is in no form that is known"),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Whether a value asks for nothing: nothing, `false`, or nothing in a list or mapping.
fn says_nothing(node: &Node) -> bool {
    let is_false = |scalar: &super::super::yaml::Scalar| {
        scalar.text.is_empty() || scalar.resolve() == Resolved::Bool(false)
    };
    is_empty(node) || node.scalar().is_some_and(is_false)
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Scalar(_) => false,
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(map) => map.entries.is_empty(),
    }
}
