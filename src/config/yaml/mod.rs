//! A YAML document as a tree in which every node and every key knows its place.
//!
//! Owns parsing, anchors, aliases, merge keys and the rules by which plain scalars get a type. It
//! knows nothing of Compose, and bounds depth and size, since the text is not trusted.

mod build;
mod resolve;

#[cfg(test)]
mod tests;

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
    /// True for what no file says: a default that the file format adds.
    pub(super) implied: bool,
}

impl Scalar {
    /// A scalar that is text, whatever it looks like.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            plain: false,
            implied: false,
        }
    }

    /// A scalar whose text decides its type.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self {
            plain: true,
            ..Self::text(text)
        }
    }

    /// The same scalar, as a default that no file says.
    pub(super) fn implied(self) -> Self {
        Self {
            implied: true,
            ..self
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
    /// The tag by which the value says how it is merged, if any.
    pub(super) mark: Option<Mark>,
}

/// The tags of the Compose specification that say how a value is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `!reset`: what earlier files say is dropped, and the value too.
    Reset,
    /// `!override`: what earlier files say is dropped, and the value takes its place.
    Override,
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

    /// The value of this key, to be changed.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let entry = self.entries.iter_mut().find(|entry| entry.key.text == key);
        entry.map(|entry| &mut entry.value)
    }

    /// The value of this key, unless it is absent or null.
    pub(super) fn filled(&self, key: &str) -> Option<&Node> {
        self.get(key).filter(|node| !node.is_null())
    }

    /// Sets the value of a key; a new one is placed where its value is.
    pub(super) fn set(&mut self, key: &str, value: Node) {
        match self.get_mut(key) {
            Some(node) => *node = value,
            None => self.entries.push(Entry::new(key, value)),
        }
    }

    /// Takes a key out.
    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let position = self
            .entries
            .iter()
            .position(|entry| entry.key.text == key)?;
        Some(self.entries.remove(position))
    }
}

impl Entry {
    /// An entry whose key stands where its value is.
    pub(super) fn new(key: impl Into<String>, value: Node) -> Self {
        let key = Key {
            text: key.into(),
            place: value.place.clone(),
        };
        Self {
            key,
            value,
            mark: None,
        }
    }
}

impl Node {
    pub(super) fn new(value: Value, place: &Place) -> Self {
        let place = place.clone();
        Self { value, place }
    }

    /// Nothing, at a place.
    pub(super) fn null(place: &Place) -> Self {
        Self::new(Value::Null, place)
    }

    /// Text, at a place.
    pub(super) fn text(text: impl Into<String>, place: &Place) -> Self {
        Self::new(Value::Scalar(Scalar::text(text)), place)
    }

    /// A default that no file says, at the place that it is for; a boolean or a number is given as
    /// it is written.
    pub(super) fn implied(text: impl Into<String>, place: &Place) -> Self {
        Self::new(Value::Scalar(Scalar::plain(text).implied()), place)
    }

    /// A mapping of these entries, at a place.
    pub(super) fn of_entries(entries: Vec<(&str, Self)>, place: &Place) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, value)| Entry::new(key, value))
            .collect();
        Self::new(Value::Mapping(Mapping { entries }), place)
    }

    /// The mapping, if it is one, to be changed.
    pub(super) fn mapping_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The entries of a list, if it is one.
    pub(super) fn sequence(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Sequence(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// The text of a scalar that is text, and of no other.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if scalar.resolve() == Resolved::Text => Some(&scalar.text),
            _ => None,
        }
    }

    /// The scalar, if it is one.
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The value of a key, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.mapping()?.get(key)
    }

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
                    Resolved::Timestamp(_) => format!("the date `{shown}`"),
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
