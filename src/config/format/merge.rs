//! Merges one document's tree over another's, by the rules of the Compose specification.
//!
//! Places stay with their nodes, so that a problem in a merged project still points at the file
//! that it comes from. Entries of a list that mean the same are left to the stage `unique`.

use std::collections::HashMap;

use super::super::diagnostic::{Problem, Problems};
use super::super::yaml::{Entry, Key, Mapping, Node, Scalar, Value};

/// How two values at one place of the tree are merged.
enum Rule {
    /// The later one replaces the earlier, even if it is null.
    Replace,
    /// Both become mappings of names to null.
    Names,
    /// Both become mappings of names to what the short form of a dependency means.
    Dependencies,
    /// Both become lists, which are joined.
    Sequence,
    /// Both become lists, which are joined without repeating an entry.
    Set,
    /// A text is the short form of a mapping with this key.
    ShortFor(&'static str),
    /// Options of another logging driver replace what is there.
    Logging,
    /// Address pools are merged by subnet.
    Pools,
    /// Mappings are merged, lists joined, anything else replaced.
    Deep,
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["services", _, rest @ ..] => match rest {
            ["command" | "entrypoint"] | ["healthcheck", "test"] | ["ulimits", _] => Rule::Replace,
            ["depends_on"] => Rule::Dependencies,
            ["networks" | "models"] => Rule::Names,
            ["logging"] => Rule::Logging,
            ["build"] => Rule::ShortFor("context"),
            ["extra_hosts"] | ["build", "extra_hosts"] => Rule::Set,
            [
                "annotations" | "dns" | "dns_opt" | "dns_search" | "env_file" | "label_file"
                | "environment" | "labels" | "sysctls" | "tmpfs",
            ]
            | ["build", "args" | "additional_contexts" | "labels"]
            | ["deploy", "labels"]
            | ["volumes", _, "volume", "labels"] => Rule::Sequence,
            _ => Rule::Deep,
        },
        ["networks" | "volumes", _, "labels"] => Rule::Sequence,
        ["networks", _, "ipam", "config"] => Rule::Pools,
        _ => Rule::Deep,
    }
}

/// Merges `over` over `base`. The depth is bounded by that of the trees.
pub(super) fn merge(base: Node, over: Node, problems: &mut Problems) -> Node {
    Merging { problems }.merge(base, over, &mut Vec::new())
}

/// Merges one service over the one that it extends.
pub(super) fn merge_service(base: Node, over: Node, problems: &mut Problems) -> Node {
    let mut path = vec!["services".to_owned(), "extended".to_owned()];
    Merging { problems }.merge(base, over, &mut path)
}

struct Merging<'p> {
    problems: &'p mut Problems,
}

impl Merging<'_> {
    fn merge(&mut self, base: Node, over: Node, path: &mut Vec<String>) -> Node {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let (base, over) = match rule(&names) {
            Rule::Replace => return over,
            Rule::Deep if over.is_null() => return base,
            Rule::Deep => (base, over),
            Rule::Names => (
                names_to_mapping(base, &Node::null),
                names_to_mapping(over, &Node::null),
            ),
            Rule::Dependencies => (
                names_to_mapping(base, &short_dependency),
                names_to_mapping(over, &short_dependency),
            ),
            Rule::Sequence => (into_sequence(base), into_sequence(over)),
            Rule::Set => return join_once(into_sequence(base), into_sequence(over)),
            Rule::ShortFor(key) => (short_for(base, key), short_for(over, key)),
            Rule::Logging => match driver_changes(&base, &over) {
                true => return over,
                false => (base, over),
            },
            Rule::Pools => return self.pools(base, over, path),
        };
        if over.is_null() {
            return base;
        }
        if base.is_null() {
            return over;
        }
        self.merge_values(base, over, path)
    }

    fn merge_values(&mut self, base: Node, over: Node, path: &mut Vec<String>) -> Node {
        match (base.value, over.value) {
            (Value::Mapping(mut entries), Value::Mapping(more)) => {
                let mut index = Index::of(&entries);
                for entry in more.entries {
                    self.merge_entry(&mut entries, &mut index, entry, path);
                }
                Node {
                    value: Value::Mapping(entries),
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
            (value @ (Value::Mapping(_) | Value::Sequence(_)), over_value) => {
                let base = Node {
                    value,
                    place: base.place,
                };
                let over = Node {
                    value: over_value,
                    place: over.place,
                };
                self.cannot_merge(&base, &over, path);
                base
            }
            (_, value) => Node {
                value,
                place: over.place,
            },
        }
    }

    fn cannot_merge(&mut self, base: &Node, over: &Node, path: &[String]) {
        self.problems.push(
            Problem::error(format!(
                "`{}` cannot be merged: {} over {}",
                path.join("."),
                over.describe(),
                base.describe()
            ))
            .label(&over.place, "this")
            .label(&base.place, "over this"),
        );
    }

    fn merge_entry(
        &mut self,
        base: &mut Mapping,
        index: &mut Index,
        entry: Entry,
        path: &mut Vec<String>,
    ) {
        let Some(existing) = index.find(base, &entry.key.text) else {
            base.entries.push(entry);
            return;
        };
        path.push(entry.key.text.clone());
        let taken = Node::null(&existing.value.place);
        let before = std::mem::replace(&mut existing.value, taken);
        if before.is_null() {
            existing.key = entry.key;
        }
        existing.value = self.merge(before, entry.value, path);
        path.pop();
    }

    /// Merges the address pools of a network. Each new pool is compared with each earlier one: of
    /// the same subnet they are merged, of another one both are kept.
    fn pools(&mut self, base: Node, over: Node, path: &mut Vec<String>) -> Node {
        let (Value::Sequence(bases), Value::Sequence(overs)) = (&base.value, &over.value) else {
            if !over.is_null() {
                self.cannot_merge(&base, &over, path);
            }
            return base;
        };
        let subnet = |node: &Node| {
            node.get("subnet")
                .and_then(Node::as_text)
                .map(str::to_owned)
        };
        let mut pools: Vec<Node> = Vec::new();
        for original in bases {
            let mut original = original.clone();
            for over in overs {
                let known = |pools: &[Node], wanted: &Option<String>| {
                    pools.iter().position(|pool| subnet(pool) == *wanted)
                };
                let wanted = subnet(over);
                if wanted != subnet(&original) && known(&pools, &wanted).is_none() {
                    pools.push(over.clone());
                    continue;
                }
                original = self.merge_values(original, over.clone(), path);
                match known(&pools, &subnet(&original)) {
                    Some(index) => pools[index] = original.clone(),
                    None => pools.push(original.clone()),
                }
            }
        }
        Node::new(Value::Sequence(pools), &base.place)
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

/// What the short form of a dependency means.
pub(super) fn short_dependency(place: &super::super::source::Place) -> Node {
    let condition = Node::new(
        Value::Scalar(Scalar::text("service_started").implied()),
        place,
    );
    let required = Node::implied("true", place);
    Node::of_entries(
        vec![("condition", condition), ("required", required)],
        place,
    )
}

/// Turns a list of names into a mapping; a later entry replaces an earlier one. A node that is no
/// such list stays as it is, for the schema to complain about.
pub(super) fn names_to_mapping(
    node: Node,
    value: &dyn Fn(&super::super::source::Place) -> Node,
) -> Node {
    let Value::Sequence(nodes) = &node.value else {
        return node;
    };
    let mut mapping = Mapping::default();
    let mut index = Index::of(&mapping);
    for item in nodes {
        let Value::Scalar(scalar) = &item.value else {
            return node;
        };
        let entry = Entry {
            key: Key {
                text: scalar.text.clone(),
                place: item.place.clone(),
            },
            value: value(&item.place),
            mark: None,
        };
        match index.find(&mut mapping, &entry.key.text) {
            Some(existing) => *existing = entry,
            None => mapping.entries.push(entry),
        }
    }
    Node::new(Value::Mapping(mapping), &node.place)
}

/// Turns a mapping into a list of `key=value`, in order of the keys, and a text into a list of one.
fn into_sequence(node: Node) -> Node {
    let nodes = match &node.value {
        Value::Mapping(mapping) => {
            let mut nodes: Vec<Node> = Vec::new();
            for entry in &mapping.entries {
                let key = entry.key.text.as_str();
                match &entry.value.value {
                    Value::Null => nodes.push(Node::text(key, &entry.key.place)),
                    Value::Sequence(values) => nodes.extend(values.iter().filter_map(|value| {
                        let text = format!("{key}={}", value.scalar()?.printed());
                        Some(Node::text(text, &value.place))
                    })),
                    Value::Scalar(scalar) => {
                        let text = format!("{key}={}", scalar.printed());
                        nodes.push(Node::text(text, &entry.value.place));
                    }
                    // No key of the specification has such a value.
                    Value::Mapping(_) => return node,
                }
            }
            nodes.sort_by(|one, other| one.as_text().cmp(&other.as_text()));
            nodes
        }
        Value::Scalar(_) => vec![node.clone()],
        Value::Null | Value::Sequence(_) => return node,
    };
    Node::new(Value::Sequence(nodes), &node.place)
}

/// Joins two lists; what stands in the first is not repeated.
fn join_once(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Value::Sequence(mut nodes), Value::Sequence(more)) => {
            let text = |node: &Node| node.scalar().map(Scalar::printed);
            let known: std::collections::HashSet<_> = nodes.iter().map(text).collect();
            nodes.extend(more.into_iter().filter(|node| !known.contains(&text(node))));
            Node::new(Value::Sequence(nodes), &base.place)
        }
        (Value::Null, value) => Node {
            value,
            place: over.place,
        },
        (value, _) => Node {
            value,
            place: base.place,
        },
    }
}

fn short_for(node: Node, key: &str) -> Node {
    match &node.value {
        Value::Scalar(_) => {
            let place = node.place.clone();
            Node::of_entries(vec![(key, node)], &place)
        }
        _ => node,
    }
}

/// Whether the later of two logging configurations names another driver than the earlier one.
fn driver_changes(base: &Node, over: &Node) -> bool {
    let driver = |node: &Node| {
        node.get("driver")
            .and_then(Node::as_text)
            .map(str::to_owned)
    };
    match (driver(base), driver(over)) {
        (Some(base), Some(over)) => base != over,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::source::Source;
    use super::super::super::yaml;
    use super::*;

    /// Places where each rule applies, and some where none does.
    const PATHS: [&[&str]; 12] = [
        &["services", "a", "command"],
        &["services", "a", "depends_on"],
        &["services", "a", "networks"],
        &["services", "a", "environment"],
        &["services", "a", "build"],
        &["services", "a", "logging"],
        &["services", "a", "extra_hosts"],
        &["services", "a", "ulimits"],
        &["services", "a", "deploy"],
        &["networks", "a", "ipam", "config"],
        &["networks", "a", "labels"],
        &["x-any"],
    ];

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            (0..3_i64).prop_map(Into::into),
            "[ab]=?[cd]?".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("driver|subnet|[abc]", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn document() -> impl Strategy<Value = serde_json::Value> {
        (prop::sample::select(&PATHS), value()).prop_map(|(path, value)| {
            path.iter().rev().fold(value, |below, key| {
                serde_json::Value::Object([((*key).to_owned(), below)].into_iter().collect())
            })
        })
    }

    fn tree(json: &serde_json::Value) -> Node {
        let source = Source::new("f.yaml", json.to_string(), 0);
        let mut problems = Problems::default();
        yaml::parse(&source, &mut problems).pop().unwrap()
    }

    fn show(node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Null => serde_json::Value::Null,
            Value::Scalar(scalar) => scalar.printed().into(),
            Value::Sequence(items) => items.iter().map(show).collect(),
            Value::Mapping(mapping) => {
                let entries = mapping.entries.iter();
                entries
                    .map(|entry| (entry.key.text.clone(), show(&entry.value)))
                    .collect()
            }
        }
    }

    fn merged(base: &serde_json::Value, over: &serde_json::Value) -> (serde_json::Value, usize) {
        let mut problems = Problems::default();
        let node = merge(tree(base), tree(over), &mut problems);
        (show(&node), problems.iter().count())
    }

    proptest! {
        #[test]
        fn over_nothing_a_document_is_itself(document in document()) {
            let empty = serde_json::json!({});
            prop_assert_eq!(merged(&empty, &document), (show(&tree(&document)), 0));
            prop_assert_eq!(merged(&document, &empty), (show(&tree(&document)), 0));
        }

        #[test]
        fn no_key_of_either_document_is_lost(base in document(), over in document()) {
            let (merged, problems) = merged(&base, &over);
            // A list over a mapping is a problem, and then nothing is merged.
            prop_assume!(problems == 0);
            for document in [&base, &over] {
                for (key, value) in document.as_object().unwrap() {
                    let found = merged.get(key);
                    prop_assert!(found.is_some());
                    for name in value.as_object().into_iter().flat_map(|map| map.keys()) {
                        prop_assert!(found.unwrap().get(name).is_some(), "{} of {}", name, merged);
                    }
                }
            }
        }

        #[test]
        fn documents_about_different_things_do_not_touch(value in value(), other in value()) {
            let base = serde_json::json!({ "services": { "a": value } });
            let over = serde_json::json!({ "services": { "b": other }, "volumes": { "v": {} } });
            let (merged, problems) = merged(&base, &over);
            prop_assert_eq!(problems, 0);
            prop_assert_eq!(&merged["services"]["a"], &show(&tree(&value)));
            prop_assert_eq!(&merged["services"]["b"], &show(&tree(&other)));
        }

        #[test]
        fn a_later_scalar_wins(first in "[a-z]{1,5}", second in "[a-z]{1,5}") {
            let of = |text: &str| serde_json::json!({ "services": { "a": { "image": text } } });
            prop_assert_eq!(merged(&of(&first), &of(&second)), (of(&second), 0));
        }
    }
}
