//! Merges one file's tree over another's, by the rules of the Compose specification.
//!
//! Works on trees that are not typed yet. Places stay with their nodes, so that a problem in a
//! merged project still points at the file that it comes from. Duplicate entries of a list (two
//! mounts on one target) are left to the reader, which knows what makes them equal.

use std::collections::HashMap;

use super::diagnostic::{Problem, Problems};
use super::yaml::{Entry, Key, Mapping, Node, Scalar, Value};

/// How two values at one place of the tree are merged.
enum Rule {
    /// The later one replaces the earlier.
    Replace,
    /// Both become mappings; a list of names becomes a mapping of names to null.
    NamesToMapping,
    /// Both become mappings if either is; a list of `KEY=value` becomes a mapping. The characters
    /// are those that may stand between key and value.
    PairsToMapping(&'static [char]),
    /// Both become lists, which are joined.
    ToSequence,
    /// A text is the short form of a mapping with this key.
    TextToMapping(&'static str),
    /// Mappings are merged, lists joined, anything else replaced.
    Deep,
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => {
            Rule::Replace
        }
        ["services", _, "depends_on" | "networks"] => Rule::NamesToMapping,
        [
            "services",
            _,
            "environment" | "labels" | "annotations" | "sysctls",
        ]
        | [
            "services",
            _,
            "build",
            "args" | "labels" | "additional_contexts",
        ]
        | ["networks" | "volumes", _, "labels"] => Rule::PairsToMapping(&['=']),
        ["services", _, "extra_hosts"] => Rule::PairsToMapping(&['=', ':']),
        [
            "services",
            _,
            "env_file" | "tmpfs" | "dns" | "dns_opt" | "dns_search" | "label_file",
        ] => Rule::ToSequence,
        ["services", _, "build"] => Rule::TextToMapping("context"),
        _ => Rule::Deep,
    }
}

/// Merges `over` over `base`. The depth is bounded by that of the trees.
pub(super) fn merge(base: Node, over: Node, problems: &mut Problems) -> Node {
    merge_at(base, over, &mut Vec::new(), problems)
}

fn merge_at(base: Node, over: Node, path: &mut Vec<String>, problems: &mut Problems) -> Node {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let rule = rule(&names);
    if over.is_null() && !matches!(rule, Rule::Replace) {
        return base;
    }
    if base.is_null() {
        return over;
    }
    let (base, over) = match rule {
        Rule::Replace => return over,
        Rule::Deep => (base, over),
        Rule::NamesToMapping => (names_to_mapping(base), names_to_mapping(over)),
        Rule::PairsToMapping(between) if base.mapping().is_some() || over.mapping().is_some() => (
            pairs_to_mapping(base, between),
            pairs_to_mapping(over, between),
        ),
        Rule::PairsToMapping(_) => (base, over),
        Rule::ToSequence => (to_sequence(base), to_sequence(over)),
        Rule::TextToMapping(key) => (text_to_mapping(base, key), text_to_mapping(over, key)),
    };
    match (base.value, over.value) {
        (Value::Mapping(mut base_entries), Value::Mapping(over_entries)) => {
            let mut index = Index::of(&base_entries);
            for entry in over_entries.entries {
                merge_entry(&mut base_entries, &mut index, entry, (path, problems));
            }
            Node {
                value: Value::Mapping(base_entries),
                place: base.place,
            }
        }
        (Value::Sequence(mut nodes), Value::Sequence(more)) => {
            nodes.extend(more);
            Node {
                value: Value::Sequence(nodes),
                place: base.place,
            }
        }
        (base_value @ (Value::Mapping(_) | Value::Sequence(_)), over_value) => {
            let base = Node {
                value: base_value,
                place: base.place,
            };
            let over = Node {
                value: over_value,
                place: over.place,
            };
            problems.push(
                Problem::error(format!(
                    "`{}` cannot be merged: {} over {}",
                    path.join("."),
                    over.describe(),
                    base.describe()
                ))
                .label(&over.place, "this")
                .label(&base.place, "over this"),
            );
            base
        }
        (_, value) => Node {
            value,
            place: over.place,
        },
    }
}

/// Position of each key, so that merging large mappings stays linear.
struct Index(HashMap<String, usize>);

impl Index {
    fn of(mapping: &Mapping) -> Self {
        let keys = mapping.entries.iter().map(|entry| entry.key.text.clone());
        Self(keys.zip(0..).collect())
    }

    /// The entry with this key, or the key's new position.
    fn find<'m>(&mut self, mapping: &'m mut Mapping, key: &str) -> Option<&'m mut Entry> {
        if let Some(position) = self.0.get(key) {
            return mapping.entries.get_mut(*position);
        }
        self.0.insert(key.to_owned(), mapping.entries.len());
        None
    }
}

fn merge_entry(
    base: &mut Mapping,
    index: &mut Index,
    entry: Entry,
    (path, problems): (&mut Vec<String>, &mut Problems),
) {
    let Some(existing) = index.find(base, &entry.key.text) else {
        base.entries.push(entry);
        return;
    };
    path.push(entry.key.text.clone());
    let taken = Node {
        value: Value::Null,
        place: existing.value.place.clone(),
    };
    let before = std::mem::replace(&mut existing.value, taken);
    if before.is_null() {
        existing.key = entry.key;
    }
    existing.value = merge_at(before, entry.value, path, problems);
    path.pop();
}

fn names_to_mapping(node: Node) -> Node {
    list_to_mapping(node, |text| (text.to_owned(), Value::Null))
}

fn pairs_to_mapping(node: Node, between: &[char]) -> Node {
    list_to_mapping(node, |text| match text.split_once(between) {
        Some((key, value)) => (key.to_owned(), Value::Scalar(Scalar::text(value))),
        None => (text.to_owned(), Value::Null),
    })
}

/// Turns a list of texts into a mapping; a later entry replaces an earlier one. A node that is no
/// such list stays as it is, for the reader to complain about.
fn list_to_mapping(node: Node, split: impl Fn(&str) -> (String, Value)) -> Node {
    let Value::Sequence(nodes) = &node.value else {
        return node;
    };
    let mut mapping = Mapping::default();
    let mut index = Index::of(&mapping);
    for item in nodes {
        let Value::Scalar(scalar) = &item.value else {
            return node;
        };
        let (text, value) = split(&scalar.text);
        let value = Node {
            value,
            place: item.place.clone(),
        };
        let entry = Entry {
            key: Key {
                text,
                place: item.place.clone(),
            },
            value,
        };
        match index.find(&mut mapping, &entry.key.text) {
            Some(existing) => *existing = entry,
            None => mapping.entries.push(entry),
        }
    }
    Node {
        value: Value::Mapping(mapping),
        place: node.place,
    }
}

fn to_sequence(node: Node) -> Node {
    match node.value {
        Value::Scalar(_) => {
            let place = node.place.clone();
            Node {
                value: Value::Sequence(vec![node]),
                place,
            }
        }
        _ => node,
    }
}

fn text_to_mapping(node: Node, key: &str) -> Node {
    match node.value {
        Value::Scalar(_) => {
            let place = node.place.clone();
            let key = Key {
                text: key.to_owned(),
                place: place.clone(),
            };
            let mapping = Mapping {
                entries: vec![Entry { key, value: node }],
            };
            Node {
                value: Value::Mapping(mapping),
                place,
            }
        }
        _ => node,
    }
}
