//! Single values: how a key's text, number, list or mapping is read, and what is printed for it.
//!
//! A reader gives null for what is left out of the print, such as a size of zero.

use serde_json::{Map, Number, Value as Json};

use super::super::format::cast;
use super::super::source::Place;
use super::super::yaml::{Node, Resolved, Scalar, Value, integer, shorten};
use super::super::{duration, size, words};

/// Why a value is wrong.
pub(in crate::config) struct Wrong {
    /// What follows the key: `must be text, found a list`.
    pub(super) message: String,
    /// Where, if not at the value as a whole.
    pub(super) place: Option<Place>,
    pub(super) help: Option<String>,
}

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            help: None,
        }
    }

    fn kind(wanted: &str, node: &Node) -> Self {
        let place = Some(node.place.clone());
        Self {
            place,
            ..Self::new(format!("must be {wanted}, found {}", node.describe()))
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Reads and prints one value.
pub(in crate::config) type Read = fn(&Node) -> Result<Json, Wrong>;

type Printed = Result<Json, Wrong>;

/// Text; a whole number is text too.
pub(super) fn text(node: &Node) -> Printed {
    text_of(node).map(Json::String)
}

fn text_of(node: &Node) -> Result<String, Wrong> {
    match node.scalar().map(|scalar| (scalar, scalar.resolve())) {
        Some((scalar, Resolved::Text | Resolved::Int(_))) => Ok(scalar.printed()),
        _ => Err(Wrong::kind("text", node)),
    }
}

/// `true` or `false`, also as text.
pub(super) fn boolean(node: &Node) -> Printed {
    let value = match node.scalar().map(|scalar| (scalar, scalar.resolve())) {
        Some((_, Resolved::Bool(value))) => Some(value),
        Some((scalar, Resolved::Text)) => cast::boolean(&scalar.text).map(|(value, _)| value),
        _ => None,
    };
    value
        .map(Json::Bool)
        .ok_or_else(|| Wrong::kind("`true` or `false`", node))
}

/// A whole number; the part behind the point of another one is cut off.
pub(super) fn int(node: &Node) -> Printed {
    let value = match node.scalar().map(|scalar| (scalar, scalar.resolve())) {
        Some((_, Resolved::Int(value))) => i64::try_from(value).ok(),
        #[expect(clippy::cast_possible_truncation, reason = "as the reference does it")]
        Some((_, Resolved::Float(value))) if value.is_finite() => Some(value as i64),
        Some((scalar, Resolved::Text)) => scalar.text.parse().ok(),
        _ => None,
    };
    value
        .map(Json::from)
        .ok_or_else(|| Wrong::kind("a whole number", node))
}

/// A whole number that is not negative, and no text.
pub(super) fn natural(node: &Node) -> Printed {
    if node.as_text().is_some() {
        return Err(Wrong::kind("a whole number", node));
    }
    match int(node)? {
        Json::Number(number) if number.as_i64().is_some_and(|number| number >= 0) => {
            Ok(Json::Number(number))
        }
        _ => Err(Wrong::kind("a whole number from 0 on", node)),
    }
}

/// A number in single precision.
pub(super) fn float(node: &Node) -> Printed {
    let text = match node.scalar() {
        Some(scalar) => scalar.printed(),
        None => return Err(Wrong::kind("a number", node)),
    };
    let number: f32 = text.parse().map_err(|_| Wrong::kind("a number", node))?;
    // The shortest digits of the single precision, not those of the double.
    let shortest: f64 = number.to_string().parse().unwrap_or_default();
    Ok(number_of(shortest))
}

/// A number; whole ones are printed without a point.
fn number_of(value: f64) -> Json {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Json::from(value as i64);
    }
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

/// A scalar of an extension.
pub(super) fn any_scalar(scalar: &Scalar) -> Json {
    match scalar.resolve() {
        Resolved::Bool(value) => Json::Bool(value),
        Resolved::Int(value) => match i64::try_from(value) {
            Ok(value) => Json::from(value),
            Err(_) => u64::try_from(value).map_or(Json::Null, Json::from),
        },
        Resolved::Float(value) => number_of(value),
        Resolved::Timestamp(_) | Resolved::Text => Json::String(scalar.printed()),
    }
}

/// A size in bytes, printed as text.
pub(super) fn bytes(node: &Node) -> Printed {
    let Some(scalar) = node.scalar() else {
        return Err(Wrong::kind("a size", node));
    };
    let value = match scalar.resolve() {
        Resolved::Int(value) => value,
        Resolved::Text => match size::parse(&scalar.text) {
            Some(bytes) => i128::from(bytes),
            None => {
                let wrong = Wrong::kind("a size", node);
                return Err(wrong.help("write bytes, or a number with `k`, `m` or `g`"));
            }
        },
        // A fraction of a byte is nothing, for the reference.
        _ => 0,
    };
    Ok(match value {
        0 => Json::Null,
        value => Json::String(value.to_string()),
    })
}

/// A duration, printed as Go does it.
pub(super) fn duration(node: &Node) -> Printed {
    let Some(scalar) = node.scalar() else {
        return Err(Wrong::kind("a duration", node));
    };
    let text = scalar.printed();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    match duration::parse(text) {
        Ok(value) => Ok(Json::String(format!("{sign}{}", duration::print(value)))),
        Err(why) => {
            let shown = shorten(&scalar.text);
            let help = if why == duration::DurationError::NoUnit {
                format!("write `{shown}s` for seconds; units are `ms`, `s`, `m`, `h`")
            } else {
                "write a duration such as `10s` or `1m30s`".to_owned()
            };
            Err(Wrong::new(format!("is not a duration: `{shown}`: {why}")).help(help))
        }
    }
}

/// A duration that is left out when it is zero.
pub(super) fn filled_duration(node: &Node) -> Printed {
    let printed = duration(node)?;
    Ok(if printed == "0s" { Json::Null } else { printed })
}

/// A command: a list, or a text that is split as a shell would do it.
pub(super) fn command(node: &Node) -> Printed {
    match node.as_text() {
        Some(text) => match words::split(text) {
            Ok(split) => Ok(Json::from(split.words)),
            Err(why) => Err(Wrong::new(format!("cannot be split into words: {why}"))),
        },
        None => texts(node),
    }
}

/// A list of texts.
pub(super) fn texts(node: &Node) -> Printed {
    let Some(items) = node.sequence() else {
        return Err(Wrong::kind("a list", node));
    };
    let items: Result<Vec<String>, Wrong> = items
        .iter()
        .map(|item| match item.value {
            Value::Null => Ok(String::new()),
            _ => text_of(item),
        })
        .collect();
    Ok(Json::from(items?))
}

/// A text or a list of texts, printed as a list.
pub(super) fn text_or_texts(node: &Node) -> Printed {
    match node.as_text() {
        Some(text) => Ok(Json::from(vec![text])),
        None => texts(node),
    }
}

/// A list of texts and numbers, printed as texts.
pub(super) fn texts_or_numbers(node: &Node) -> Printed {
    let Some(items) = node.sequence() else {
        return text_or_texts(node);
    };
    let items = items.iter().filter_map(Node::scalar).map(Scalar::printed);
    Ok(Json::from(items.collect::<Vec<_>>()))
}

/// The test of a healthcheck.
pub(super) fn test(node: &Node) -> Printed {
    match node.as_text() {
        Some(text) => Ok(Json::from(vec!["CMD-SHELL", text])),
        None => texts(node),
    }
}

/// Names with values: a mapping, or a list of `name=value`. A name without a value has null.
fn named(node: &Node) -> Result<Vec<(String, Option<String>)>, Wrong> {
    match &node.value {
        Value::Mapping(map) => {
            let mut pairs = Vec::with_capacity(map.entries.len());
            for entry in &map.entries {
                let value = match &entry.value.value {
                    Value::Null => None,
                    Value::Scalar(scalar) => Some(scalar.printed()),
                    _ => return Err(Wrong::kind("text or a number", &entry.value)),
                };
                pairs.push((entry.key.text.clone(), value));
            }
            Ok(pairs)
        }
        Value::Sequence(items) => {
            let mut pairs = Vec::with_capacity(items.len());
            for item in items {
                let Some(scalar) = item.scalar() else {
                    return Err(Wrong::kind("a list of `NAME=VALUE`", item));
                };
                let text = scalar.printed();
                pairs.push(match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                });
            }
            Ok(pairs)
        }
        _ => Err(Wrong::kind("a mapping or a list", node)),
    }
}

/// Variables: a name without a value is printed with null.
pub(super) fn variables(node: &Node) -> Printed {
    let mut map = Map::new();
    for (name, value) in named(node)? {
        if node.sequence().is_some() && name.ends_with(char::is_whitespace) {
            let shown = shorten(&name);
            let wrong = Wrong::new(format!("has the name `{shown}`, which ends with a space"));
            return Err(wrong.help("write no space before `=`"));
        }
        map.insert(name, value.map_or(Json::Null, Json::String));
    }
    Ok(Json::Object(map))
}

/// Labels and options: a name without a value is printed with an empty text.
pub(super) fn labels(node: &Node) -> Printed {
    let pairs = named(node)?.into_iter();
    let pairs = pairs.map(|(name, value)| (name, Json::String(value.unwrap_or_default())));
    Ok(Json::Object(pairs.collect()))
}

/// Options that may be given several times.
pub(super) fn options(node: &Node) -> Printed {
    let Value::Mapping(map) = &node.value else {
        return Err(Wrong::kind("a mapping", node));
    };
    let mut printed = Map::new();
    for entry in &map.entries {
        let values = match &entry.value.value {
            Value::Sequence(items) => items
                .iter()
                .filter_map(Node::scalar)
                .map(Scalar::printed)
                .collect(),
            Value::Scalar(scalar) => vec![scalar.printed()],
            _ => Vec::new(),
        };
        printed.insert(entry.key.text.clone(), Json::from(values));
    }
    Ok(Json::Object(printed))
}

/// Lines of `/etc/hosts`, printed as a sorted list of `name=address`.
pub(super) fn hosts(node: &Node) -> Printed {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |host: &str, addresses: Vec<String>, node: &Node| {
        if host.is_empty() || host.contains([':', '=']) {
            let wrong = Wrong::new(format!("has a bad host name `{}`", shorten(host)));
            return Err(Wrong {
                place: Some(node.place.clone()),
                ..wrong
            });
        }
        for address in addresses {
            let bare = address
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .filter(|rest| !rest.is_empty());
            lines.push(format!("{host}={}", bare.unwrap_or(&address)));
        }
        Ok(())
    };
    match &node.value {
        Value::Mapping(map) => {
            for entry in &map.entries {
                let addresses = match &entry.value.value {
                    Value::Null => vec![String::new()],
                    Value::Sequence(items) => items
                        .iter()
                        .filter_map(Node::scalar)
                        .map(Scalar::printed)
                        .collect(),
                    _ => vec![text_of(&entry.value)?],
                };
                add(&entry.key.text, addresses, &entry.value)?;
            }
        }
        Value::Sequence(items) => {
            for item in items {
                let text = item.scalar().map(Scalar::printed).unwrap_or_default();
                let split = text.split_once('=').or_else(|| text.split_once(':'));
                let Some((host, addresses)) = split else {
                    let wrong = Wrong::new(format!("has no address in `{}`", shorten(&text)));
                    return Err(Wrong {
                        place: Some(item.place.clone()),
                        ..wrong
                    }
                    .help("write `NAME=ADDRESS`"));
                };
                let addresses = addresses.split(',').map(str::to_owned).collect();
                add(host, addresses, item)?;
            }
        }
        _ => return Err(Wrong::kind("a mapping or a list", node)),
    }
    lines.sort();
    Ok(Json::from(lines))
}

/// Keys of `ssh`, printed as a list of `id` and `id=path`.
pub(super) fn ssh(node: &Node) -> Printed {
    let lines = named(node)?.into_iter().map(|(id, path)| match path {
        Some(path) if !path.is_empty() => format!("{id}={path}"),
        _ => id,
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    Ok(Json::from(lines))
}

/// The mode of a file: text is octal, a number is what YAML makes of it.
pub(super) fn mode(node: &Node) -> Printed {
    let value = match node.scalar().map(|scalar| (scalar, scalar.resolve())) {
        Some((_, Resolved::Int(value))) => i64::try_from(value).ok(),
        Some((scalar, Resolved::Text)) => i64::from_str_radix(&scalar.text, 8).ok(),
        _ => None,
    };
    match value {
        Some(value) => Ok(Json::String(format!("0{value:o}"))),
        None => {
            let wrong = Wrong::kind("the mode of a file", node);
            Err(wrong.help("write it in base 8: `0440`"))
        }
    }
}

/// A number of devices; all of them are printed as -1.
pub(super) fn count(node: &Node) -> Printed {
    match node.scalar().map(|scalar| (scalar, scalar.resolve())) {
        Some((_, Resolved::Int(value))) => i64::try_from(value).map(Json::from).ok(),
        Some((scalar, Resolved::Text)) if scalar.text.eq_ignore_ascii_case("all") => {
            Some(Json::from(-1))
        }
        Some((scalar, Resolved::Text)) => scalar.text.parse::<i64>().map(Json::from).ok(),
        _ => None,
    }
    .ok_or_else(|| Wrong::kind("a number, or `all`", node))
}

/// A limit for both soft and hard, or one for each.
pub(super) fn ulimit(node: &Node) -> Printed {
    let Value::Mapping(map) = &node.value else {
        let single = int(node)?;
        // The reference keeps a zero in another field, which it leaves out.
        return Ok(match single.as_i64() {
            Some(0) => Json::Object(Map::new()),
            _ => single,
        });
    };
    let mut printed = Map::new();
    for key in ["soft", "hard"] {
        if let Some(node) = map.filled(key) {
            let Some(value) = node.scalar().and_then(|scalar| integer(&scalar.text)) else {
                return Err(Wrong::kind("a whole number", node));
            };
            if value != 0 {
                let value = i64::try_from(value).map_err(|_| Wrong::kind("a number", node))?;
                printed.insert(key.to_owned(), Json::from(value));
            }
        }
    }
    Ok(Json::Object(printed))
}

/// `true` where a resource is external.
pub(super) fn external(node: &Node) -> Printed {
    match node.value {
        Value::Mapping(_) => Ok(Json::Bool(true)),
        _ => boolean(node),
    }
}
