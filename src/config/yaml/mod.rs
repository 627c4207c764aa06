//! A YAML document as a tree in which every node and every key knows its place.
//!
//! Owns parsing, anchors, aliases, merge keys and the rules by which plain scalars get a type. It
//! knows nothing of Compose, and bounds depth and size, since the text is not trusted.

mod build;
mod resolve;

pub(super) use build::parse;
pub(super) use resolve::{Resolved, integer};

use super::source::Place;

/// Deepest nesting of a document, aliases included.
pub(super) const MAX_DEPTH: usize = 128;

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// The kinds of values.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

/// A scalar that is not null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    /// The text, escapes resolved.
    pub(super) text: String,
    /// True for a plain scalar, whose text decides its type; quoted and block scalars are always
    /// text, and so is every scalar that interpolation changed.
    pub(super) plain: bool,
}

impl Scalar {
    /// A scalar that is text, whatever it looks like.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            plain: false,
        }
    }
}

/// Entries in file order; no two have the same key.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapping {
    pub(super) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) value: Node,
}

/// A key with its place.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) place: Place,
}

impl Mapping {
    /// The entry with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.text == key)
    }

    /// The value of this key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }
}

impl Node {
    /// True for null.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The mapping, if it is one.
    pub(super) fn mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// What the node is, for messages: `a list`, `the number 5432`.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Scalar(scalar) => {
                let shown = shorten(&scalar.text);
                match scalar.resolve() {
                    Resolved::Text if scalar.text.is_empty() => "an empty text".to_owned(),
                    Resolved::Text => format!("the text `{shown}`"),
                    Resolved::Bool(_) => format!("the boolean `{shown}`"),
                    Resolved::Int(_) | Resolved::Float(_) => format!("the number `{shown}`"),
                }
            }
        }
    }
}

/// A text as it may stand in a message: one line, not longer than 60 characters.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let line: String = text
        .chars()
        .take(LONGEST + 1)
        .map(|c| if c == '\n' { ' ' } else { c })
        .collect();
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars()
        .take(LONGEST - 1)
        .chain(std::iter::once('…'))
        .collect()
}
