//! Reading scalars, lists and mappings of scalars, with messages that say what was expected and
//! found.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::source::Place;
use super::super::yaml::{Mapping, Node, Resolved, Scalar, Value, integer, shorten};
use super::super::{duration, size};
use super::context::Context;

/// One entry of a key that is a mapping, or a list of `KEY=value`.
pub(super) struct Pair {
    pub(super) key: String,
    /// `None` for a key without a value.
    pub(super) value: Option<String>,
    pub(super) place: Place,
    /// Where the value is written; in a list the same.
    pub(super) written: Place,
}

impl Context<'_> {
    /// A mapping; null is none.
    pub(super) fn mapping<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Mapping> {
        match &node.value {
            Value::Mapping(mapping) => Some(mapping),
            Value::Null => None,
            _ => {
                self.expected(node, what, "a mapping");
                None
            }
        }
    }

    /// A list; null is an empty one.
    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::Sequence(nodes) => nodes,
            Value::Null => &[],
            _ => {
                self.expected(node, what, "a list");
                &[]
            }
        }
    }

    /// Text, strictly: a number or a boolean is an error, as it is in Compose; null is none.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) if scalar.resolve() == Resolved::Text => {
                Some(scalar.text.clone())
            }
            Value::Null => None,
            Value::Scalar(scalar) => {
                let message = format!("`{what}` must be text, found {}", node.describe());
                let help = format!("quote it: `\"{}\"`", shorten(&scalar.text));
                self.error_help(&node.place, message, help);
                None
            }
            _ => {
                self.expected(node, what, "text");
                None
            }
        }
    }

    /// Text that must not be empty.
    pub(super) fn filled_text(&mut self, node: &Node, what: &str) -> Option<String> {
        if node.is_null() {
            self.expected(node, what, "text");
            return None;
        }
        let text = self.text(node, what)?;
        if text.is_empty() {
            self.error(&node.place, format!("`{what}` is empty"));
            return None;
        }
        Some(text)
    }

    /// Text that may be absent as null, but not empty.
    pub(super) fn filled_text_or_null(&mut self, node: &Node, what: &str) -> Option<String> {
        if node.is_null() {
            None
        } else {
            self.filled_text(node, what)
        }
    }

    /// Any scalar, as the text that Compose hands on; null is none.
    pub(super) fn printed(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) => Some(scalar.printed()),
            Value::Null => None,
            _ => {
                self.expected(node, what, "text or a number");
                None
            }
        }
    }

    /// Text or a number, as it is written; null is an error.
    pub(super) fn written(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Int(value) => Some(value.to_string()),
                Resolved::Float(_) | Resolved::Text => Some(scalar.text.clone()),
                Resolved::Bool(_) | Resolved::Timestamp(_) => {
                    self.expected(node, what, "text or a number");
                    None
                }
            },
            _ => {
                self.expected(node, what, "text or a number");
                None
            }
        }
    }

    /// A boolean. `yes`, `no`, `on`, `off`, `y` and `n` are read as Compose reads them, with a
    /// warning.
    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        let Value::Scalar(scalar) = &node.value else {
            self.expected(node, what, "true or false");
            return None;
        };
        let value = match scalar.text.to_ascii_lowercase().as_str() {
            "true" => return Some(true),
            "false" => return Some(false),
            "y" | "yes" | "on" => true,
            "n" | "no" | "off" => false,
            _ => {
                self.expected(node, what, "true or false");
                return None;
            }
        };
        let message = format!("`{}` is not a boolean in yaml 1.2", scalar.text);
        self.warn(&node.place, message, Some("write `true` or `false`"));
        Some(value)
    }

    /// A whole number within a range, plain or quoted.
    pub(super) fn integer(
        &mut self,
        node: &Node,
        what: &str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let wanted = || format!("a whole number from {} to {}", range.start(), range.end());
        let number = match &node.value {
            Value::Scalar(scalar) => whole(scalar),
            _ => None,
        };
        let value = number.and_then(|number| u64::try_from(number).ok());
        match value.filter(|value| range.contains(value)) {
            Some(value) => Some(value),
            None => {
                self.expected(node, what, &wanted());
                None
            }
        }
    }

    /// A whole number that may be negative, plain or quoted; null is none.
    pub(super) fn signed(
        &mut self,
        node: &Node,
        what: &str,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        if node.is_null() {
            return None;
        }
        let number = match &node.value {
            Value::Scalar(scalar) => whole(scalar),
            _ => None,
        };
        let value = number.and_then(|number| i64::try_from(number).ok());
        let value = value.filter(|value| range.contains(value));
        if value.is_none() {
            let wanted = match (*range.start(), *range.end()) {
                (i64::MIN, i64::MAX) => "a whole number".to_owned(),
                (start, i64::MAX) => format!("a whole number from {start} on"),
                (start, end) => format!("a whole number from {start} to {end}"),
            };
            self.expected(node, what, &wanted);
        }
        value
    }

    /// A number with a fraction, plain or quoted, not negative; null is none.
    pub(super) fn fraction(&mut self, node: &Node, what: &str) -> Option<f64> {
        if node.is_null() {
            return None;
        }
        let number = match &node.value {
            Value::Scalar(scalar) => scalar.text.parse::<f64>().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            self.expected(node, what, "a number such as `0.5`");
        }
        number
    }

    /// A port number.
    pub(super) fn port(&mut self, node: &Node, what: &str) -> Option<u16> {
        self.integer(node, what, 1..=65_535)
            .and_then(|port| u16::try_from(port).ok())
    }

    /// A duration in Go's grammar; null is none.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let scalar = match &node.value {
            Value::Scalar(scalar) => scalar,
            Value::Null => return None,
            _ => {
                self.expected(node, what, "a duration such as `1m30s`");
                return None;
            }
        };
        match duration::parse(&scalar.text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let shown = shorten(&scalar.text);
                let message = format!("`{what}` is not a duration: `{shown}`: {error}");
                let help = match error {
                    duration::DurationError::NoUnit if !shown.contains(char::is_alphabetic) => {
                        format!("write `{shown}s` for seconds; units are `ms`, `s`, `m`, `h`")
                    }
                    _ => "write a duration such as `500ms`, `90s` or `1m30s`".to_owned(),
                };
                self.error_help(&node.place, message, help);
                None
            }
        }
    }

    /// A size in bytes; null is none.
    pub(super) fn bytes(&mut self, node: &Node, what: &str) -> Option<u64> {
        let text = match &node.value {
            Value::Null => return None,
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Int(value) => value.to_string(),
                _ => scalar.text.clone(),
            },
            _ => {
                self.expected(node, what, "a size such as `64m`");
                return None;
            }
        };
        let bytes = size::parse(&text);
        if bytes.is_none() {
            let message = format!("`{what}` is not a size: `{}`", shorten(&text));
            self.error_help(
                &node.place,
                message,
                "write a size such as `64m`, `1.5gb` or `1024`",
            );
        }
        bytes
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for item in self.list(node, what) {
            if item.is_null() {
                self.expected(item, what, "a list of texts");
            }
            texts.extend(self.text(item, what));
        }
        texts
    }

    /// A list of texts in which each counts once.
    pub(super) fn distinct_texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let mut texts = self.texts(node, what);
        texts.retain(|text| seen.insert(text.clone()));
        texts
    }

    /// One text, or a list of them; each with its place.
    pub(super) fn text_or_list<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
    ) -> Vec<(String, &'n Node)> {
        let nodes = match &node.value {
            Value::Sequence(nodes) => nodes.as_slice(),
            Value::Null => &[],
            Value::Scalar(_) => std::slice::from_ref(node),
            Value::Mapping(_) => {
                self.expected(node, what, "text or a list of texts");
                &[]
            }
        };
        nodes
            .iter()
            .filter_map(|item| Some((self.filled_text(item, what)?, item)))
            .collect()
    }

    /// A mapping to scalars, or a list of `KEY=value`, in file order.
    pub(super) fn pairs(&mut self, node: &Node, what: &str) -> Vec<Pair> {
        let mut pairs = Vec::new();
        match &node.value {
            Value::Null => {}
            Value::Mapping(mapping) => {
                for entry in &mapping.entries {
                    let what = format!("{what}.{}", shorten(&entry.key.text));
                    let value = self.printed(&entry.value, &what);
                    pairs.push(Pair {
                        key: entry.key.text.clone(),
                        value,
                        place: entry.key.place.clone(),
                        written: entry.value.place.clone(),
                    });
                }
            }
            Value::Sequence(nodes) => {
                for item in nodes {
                    if item.is_null() {
                        self.expected(item, what, "a list of `KEY=value`");
                    }
                    let Some(text) = self.text(item, what) else {
                        continue;
                    };
                    let (key, value) = match text.split_once('=') {
                        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                        None => (text, None),
                    };
                    pairs.push(Pair {
                        key,
                        value,
                        place: item.place.clone(),
                        written: item.place.clone(),
                    });
                }
            }
            Value::Scalar(_) => self.expected(node, what, "a mapping or a list of `KEY=value`"),
        }
        pairs.retain(|pair| {
            let is_named = !pair.key.is_empty();
            if !is_named {
                self.error(&pair.place, format!("`{what}` has an entry without a name"));
            }
            is_named
        });
        pairs
    }

    /// Pairs in which a missing value is an empty one, such as labels.
    pub(super) fn labels(&mut self, node: &Node, what: &str) -> BTreeMap<String, String> {
        let pairs = self.pairs(node, what);
        pairs
            .into_iter()
            .map(|pair| (pair.key, pair.value.unwrap_or_default()))
            .collect()
    }

    /// Pairs in which a missing value is taken from the variables; without one the pair is absent.
    pub(super) fn resolved_pairs(&mut self, node: &Node, what: &str) -> BTreeMap<String, String> {
        let mut resolved = BTreeMap::new();
        for pair in self.pairs(node, what) {
            self.mask_by_name(&pair);
            let value = pair
                .value
                .or_else(|| self.variables.get(&pair.key).cloned());
            match value {
                Some(value) => resolved.insert(pair.key, value),
                None => resolved.remove(&pair.key),
            };
        }
        resolved
    }
}

/// The whole number that a scalar holds, whatever its style: quoted numbers count, as in Compose.
pub(super) fn whole(scalar: &Scalar) -> Option<i128> {
    match scalar.resolve() {
        Resolved::Int(value) => Some(value),
        Resolved::Text => integer(&scalar.text),
        Resolved::Bool(_) | Resolved::Float(_) | Resolved::Timestamp(_) => None,
    }
}
