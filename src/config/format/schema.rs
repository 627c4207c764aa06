//! The published JSON schema of the Compose specification, applied to a tree with places.
//!
//! The schema says which keys there are and what their values look like; whatever it refuses is
//! refused. `compose-spec.json` is the schema of compose-go 2.9.1 (Apache License 2.0), unchanged.
//! Only the keywords that it uses are known here: a test fails when another one comes in. What the
//! specification has got since, and envrun honours, is in `newer.json`, by the place where it belongs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::Value as Json;

use super::super::diagnostic::{Problem, Problems};
use super::super::source::Place;
use super::super::suggest::{did_you_mean, nearest};
use super::super::yaml::{Key, Mapping, Node, Resolved, Value, shorten};

/// The schema, read once.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    // A test reads the schema, so it is never null.
    let mut root: Json =
        serde_json::from_str(include_str!("compose-spec.json")).unwrap_or(Json::Null);
    let newer: Json = serde_json::from_str(include_str!("newer.json")).unwrap_or(Json::Null);
    for (pointer, keys) in newer.as_object().into_iter().flatten() {
        let place = root.pointer_mut(pointer).and_then(Json::as_object_mut);
        if let (Some(place), Some(keys)) = (place, keys.as_object()) {
            place.extend(keys.clone());
        }
    }
    let mut patterns = HashMap::new();
    collect_patterns(&root, &mut patterns);
    Schema { root, patterns }
});

struct Schema {
    root: Json,
    patterns: HashMap<String, Regex>,
}

/// The root of the schema, for whoever compares it with what is done about its keys.
pub(in crate::config) fn root() -> &'static Json {
    &SCHEMA.root
}

/// Follows a reference, if a part of the schema is one.
pub(in crate::config) fn resolve(part: &'static Json) -> &'static Json {
    match part.get("$ref").and_then(Json::as_str) {
        Some(name) => name
            .strip_prefix('#')
            .and_then(|pointer| SCHEMA.root.pointer(pointer))
            .unwrap_or(&Json::Null),
        None => part,
    }
}

fn collect_patterns(part: &Json, patterns: &mut HashMap<String, Regex>) {
    match part {
        Json::Object(map) => {
            let keys = map.get("patternProperties").and_then(Json::as_object);
            let keys = keys.into_iter().flat_map(|keys| keys.keys());
            let pattern = map.get("pattern").and_then(Json::as_str);
            for text in keys.map(String::as_str).chain(pattern) {
                if let Ok(regex) = Regex::new(text) {
                    patterns.insert(text.to_owned(), regex);
                }
            }
            for part in map.values() {
                collect_patterns(part, patterns);
            }
        }
        Json::Array(parts) => {
            for part in parts {
                collect_patterns(part, patterns);
            }
        }
        _ => {}
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    SCHEMA
        .patterns
        .get(pattern)
        .is_some_and(|regex| regex.is_match(text))
}

/// Reports everything in a tree that the schema refuses. What was reported is silenced, so that no
/// later stage complains of it again.
pub(super) fn check(tree: &Node, problems: &mut Problems) {
    let mut checker = Checker {
        problems,
        path: Vec::new(),
    };
    checker.explain(root(), tree, &tree.place);
}

/// The parts of the schema for the entries of a mapping.
struct Entries<'s> {
    properties: Option<&'s serde_json::Map<String, Json>>,
    patterns: Option<&'s serde_json::Map<String, Json>>,
    closed: bool,
}

/// What the schema says of one key.
enum Known {
    As(&'static Json),
    Anything,
    Unknown,
}

impl Entries<'static> {
    fn of(part: &'static Json) -> Self {
        Self {
            properties: part.get("properties").and_then(Json::as_object),
            patterns: part.get("patternProperties").and_then(Json::as_object),
            closed: part.get("additionalProperties") == Some(&Json::Bool(false)),
        }
    }

    fn known(&self, key: &str) -> Known {
        if let Some(part) = self.properties.and_then(|properties| properties.get(key)) {
            return Known::As(part);
        }
        let mut patterns = self.patterns.into_iter().flatten();
        match patterns.find(|(pattern, _)| matches(pattern, key)) {
            Some((_, part)) => Known::As(part),
            None if self.closed => Known::Unknown,
            None => Known::Anything,
        }
    }
}

/// Whether a part of the schema accepts a node. The recursion is bounded by the depth of the tree.
fn accepts(part: &'static Json, node: &Node) -> bool {
    let part = resolve(part);
    if let Some(branches) = part.get("oneOf").and_then(Json::as_array) {
        let fitting = branches.iter().filter(|branch| accepts(branch, node));
        if fitting.count() != 1 {
            return false;
        }
    }
    if !has_type(part, node) || refused_scalar(part, node).is_some() {
        return false;
    }
    match &node.value {
        Value::Null | Value::Scalar(_) => true,
        Value::Sequence(items) => {
            let all = match part.get("items") {
                Some(part) => items.iter().all(|item| accepts(part, item)),
                None => items.iter().all(is_of_any_type),
            };
            all && (part.get("uniqueItems") != Some(&Json::Bool(true))
                || first_repeated(items).is_none())
        }
        Value::Mapping(mapping) => {
            let entries = Entries::of(part);
            missing_key(part, mapping).is_none()
                && mapping
                    .entries
                    .iter()
                    .all(|entry| match entries.known(&entry.key.text) {
                        Known::As(part) => accepts(part, &entry.value),
                        Known::Anything => true,
                        Known::Unknown => false,
                    })
        }
    }
}

/// JSON knows no dates, so none is accepted where the schema looks at all.
fn is_of_any_type(node: &Node) -> bool {
    type_of(node).is_some()
}

fn type_of(node: &Node) -> Option<&'static str> {
    Some(match &node.value {
        Value::Null => "null",
        Value::Sequence(_) => "array",
        Value::Mapping(_) => "object",
        Value::Scalar(scalar) => match scalar.resolve() {
            Resolved::Bool(_) => "boolean",
            Resolved::Int(_) => "integer",
            Resolved::Float(value) if value.is_finite() && value.fract() == 0.0 => "integer",
            Resolved::Float(_) => "number",
            Resolved::Text => "string",
            Resolved::Timestamp(_) => return None,
        },
    })
}

fn wanted_types(part: &'static Json) -> Vec<&'static str> {
    match part.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn has_type(part: &'static Json, node: &Node) -> bool {
    let wanted = wanted_types(part);
    if wanted.is_empty() {
        return true;
    }
    match type_of(node) {
        Some("integer") => wanted.contains(&"integer") || wanted.contains(&"number"),
        Some(found) => wanted.contains(&found),
        None => false,
    }
}

/// Why a scalar is refused although its type is right.
fn refused_scalar(part: &'static Json, node: &Node) -> Option<String> {
    let scalar = node.scalar()?;
    if let Some(allowed) = part.get("enum").and_then(Json::as_array) {
        let allowed: Vec<&str> = allowed.iter().filter_map(Json::as_str).collect();
        if node.as_text().is_none_or(|text| !allowed.contains(&text)) {
            let shown: Vec<String> = allowed.iter().map(|text| format!("`{text}`")).collect();
            return Some(match shown.as_slice() {
                [one] => format!("must be {one}"),
                _ => format!("must be one of {}", shown.join(", ")),
            });
        }
    }
    if let Some(pattern) = part.get("pattern").and_then(Json::as_str)
        && node.as_text().is_some_and(|text| !matches(pattern, text))
    {
        return Some(format!("must look like `{}`", pattern.replace('|', "`, `")));
    }
    let number = match scalar.resolve() {
        Resolved::Int(value) => value as f64,
        Resolved::Float(value) => value,
        _ => return None,
    };
    let limit = |key: &str| part.get(key).and_then(Json::as_f64);
    if let Some(least) = limit("minimum").filter(|least| number < *least) {
        return Some(format!("must be at least {least}"));
    }
    if let Some(most) = limit("maximum").filter(|most| number > *most) {
        return Some(format!("must be at most {most}"));
    }
    None
}

fn missing_key(part: &'static Json, mapping: &Mapping) -> Option<&'static str> {
    let required = part.get("required").and_then(Json::as_array)?;
    required
        .iter()
        .filter_map(Json::as_str)
        .find(|key| mapping.get(key).is_none())
}

/// The first entry of a list that stands in it before.
fn first_repeated(items: &[Node]) -> Option<&Node> {
    let mut seen = HashSet::new();
    items.iter().find(|item| {
        let mut text = String::new();
        write_value(item, &mut text);
        !seen.insert(text)
    })
}

/// A text that is the same for equal values.
fn write_value(node: &Node, text: &mut String) {
    match &node.value {
        Value::Null => text.push_str("null"),
        Value::Scalar(scalar) => {
            let kind = type_of(node).unwrap_or("date");
            text.push_str(&format!("{kind} {:?}", scalar.printed()));
        }
        Value::Sequence(items) => {
            text.push('[');
            for item in items {
                write_value(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Mapping(mapping) => {
            let mut entries: Vec<_> = mapping.entries.iter().collect();
            entries.sort_by(|one, other| one.key.text.cmp(&other.key.text));
            text.push('{');
            for entry in entries {
                text.push_str(&format!("{:?}:", entry.key.text));
                write_value(&entry.value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

struct Checker<'p> {
    problems: &'p mut Problems,
    /// Keys from the root on, `[]` for an entry of a list.
    path: Vec<String>,
}

impl Checker<'_> {
    /// Reports what a part of the schema refuses of a node. `place` is where the node is named.
    fn explain(&mut self, part: &'static Json, node: &Node, place: &Place) {
        let part = resolve(part);
        if let Some(branches) = part.get("oneOf").and_then(Json::as_array) {
            if !accepts(part, node) {
                self.explain_branches(branches, node, place);
            }
            return;
        }
        if !has_type(part, node) {
            return self.wrong_type(&wanted_types(part), node);
        }
        if let Some(why) = refused_scalar(part, node) {
            return self.refused_value(part, node, &why);
        }
        match &node.value {
            Value::Null | Value::Scalar(_) => {}
            Value::Sequence(items) => self.explain_items(part, items),
            Value::Mapping(mapping) => self.explain_entries(part, mapping, place),
        }
    }

    fn explain_items(&mut self, part: &'static Json, items: &[Node]) {
        if let Some(part) = part.get("items") {
            self.path.push("[]".to_owned());
            for item in items {
                self.explain(part, item, &item.place);
            }
            self.path.pop();
        }
        if part.get("uniqueItems") == Some(&Json::Bool(true))
            && let Some(repeated) = first_repeated(items)
        {
            let what = repeated.scalar().map_or_else(
                || "an entry".to_owned(),
                |scalar| format!("`{}`", shorten(&scalar.text)),
            );
            let message = format!("{what} stands twice in {}", self.name());
            self.report(Problem::error(message).at(&repeated.place), &repeated.place);
        }
    }

    fn explain_entries(&mut self, part: &'static Json, mapping: &Mapping, place: &Place) {
        let entries = Entries::of(part);
        for entry in &mapping.entries {
            match entries.known(&entry.key.text) {
                Known::As(part) => {
                    self.path.push(entry.key.text.clone());
                    self.explain(part, &entry.value, &entry.key.place);
                    self.path.pop();
                }
                Known::Anything => {}
                Known::Unknown => self.unknown_key(&entries, &entry.key),
            }
        }
        if let Some(missing) = missing_key(part, mapping) {
            let message = format!("{} has no `{missing}`", self.owner());
            self.report(Problem::error(message).at(place), place);
        }
    }

    /// None of several forms fits: the one of the right type is explained.
    fn explain_branches(&mut self, branches: &'static [Json], node: &Node, place: &Place) {
        let fitting: Vec<&'static Json> = branches
            .iter()
            .map(resolve)
            .filter(|branch| has_type(branch, node))
            .collect();
        match fitting.as_slice() {
            [] => {
                let wanted: Vec<&str> = branches
                    .iter()
                    .flat_map(|branch| wanted_types(resolve(branch)))
                    .collect();
                self.wrong_type(&wanted, node);
            }
            [one] => self.explain(one, node, place),
            many => {
                let before = self.problems.iter().count();
                for branch in many {
                    self.explain(branch, node, place);
                    if self.problems.iter().count() > before {
                        return;
                    }
                }
                let message = format!("{} fits several forms at once", self.name());
                self.report(Problem::error(message).at(&node.place), &node.place);
            }
        }
    }

    fn report(&mut self, problem: Problem, place: &Place) {
        self.problems.push(problem);
        self.problems.silence(place);
    }

    fn wrong_type(&mut self, wanted: &[&str], node: &Node) {
        let mut names: Vec<&str> = Vec::new();
        for kind in wanted {
            let name = match *kind {
                "string" => "text",
                "number" => "a number",
                "integer" => "a whole number",
                "boolean" => "a boolean",
                "object" => "a mapping",
                "array" => "a list",
                _ => continue,
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let wanted = match names.as_slice() {
            [] => "empty".to_owned(),
            [one] => (*one).to_owned(),
            [first @ .., last] => format!("{} or {last}", first.join(", ")),
        };
        let message = format!(
            "{} must be {wanted}, found {}",
            self.name(),
            node.describe()
        );
        let problem = Problem::error(message).at(&node.place);
        let is_scalar = node.scalar().is_some();
        let problem = if is_scalar && names == ["text"] {
            let text = node.scalar().map_or("", |scalar| scalar.text.as_str());
            let text = shorten(text);
            let key = self.path.last().map_or("", String::as_str);
            problem.help(match key {
                "interval" | "timeout" | "start_period" | "start_interval"
                | "stop_grace_period" | "delay" | "window" | "monitor" => {
                    format!("write `{text}s` for seconds; units are `ms`, `s`, `m`, `h`")
                }
                _ => format!("quote it: `\"{text}\"`"),
            })
        } else {
            problem
        };
        self.report(problem, &node.place);
    }

    fn refused_value(&mut self, part: &'static Json, node: &Node, why: &str) {
        let message = format!("{} {why}, found {}", self.name(), node.describe());
        let problem = Problem::error(message).at(&node.place);
        let names = part.get("enum").and_then(Json::as_array);
        let names = names.into_iter().flatten().filter_map(Json::as_str);
        let help = node.as_text().and_then(|text| did_you_mean(text, names));
        let problem = match help {
            Some(help) => problem.help(help),
            None => problem,
        };
        self.report(problem, &node.place);
    }

    fn unknown_key(&mut self, entries: &Entries<'static>, key: &Key) {
        let shown = shorten(&key.text);
        let names: BTreeSet<&str> = entries
            .properties
            .into_iter()
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect();
        if names.is_empty() {
            // The keys are names that the user gives.
            let of = match self.path.last().map(String::as_str) {
                Some("services") => "a service",
                Some("volumes") => "a volume",
                Some("secrets") => "a secret",
                Some("configs") => "a config",
                _ => "this",
            };
            let message = format!("`{shown}` cannot be the name of {of}");
            let help = "a name has letters, digits, `.`, `_` and `-`";
            let problem = Problem::error(message).at(&key.place).help(help);
            return self.report(problem, &key.place);
        }
        let message = format!("unknown key `{shown}` of {}", self.owner());
        let problem = Problem::error(message).at(&key.place);
        let help = if self.problems.is_full() {
            None
        } else if let Some(name) = nearest(&key.text, names.iter().copied()) {
            Some(format!("did you mean `{name}`?"))
        } else {
            let is_service = self.path.is_empty() && service_keys().contains(key.text.as_str());
            is_service.then(|| "it is a key of a service: indent it below one".to_owned())
        };
        let problem = match help {
            Some(help) => problem.help(help),
            None => problem,
        };
        self.report(problem, &key.place);
    }

    /// The value at the path, for messages.
    fn name(&self) -> String {
        let names: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match names.as_slice() {
            [] => "the project".to_owned(),
            [.., parent, "[]"] => format!("an entry of `{parent}`"),
            [
                ..,
                parent @ ("environment" | "labels" | "args" | "annotations" | "sysctls"
                | "extra_hosts" | "driver_opts" | "options" | "services" | "networks"
                | "volumes" | "secrets" | "configs" | "models" | "depends_on" | "ulimits"
                | "aux_addresses" | "storage_opt"),
                name,
            ] => format!("`{parent}.{}`", shorten(name)),
            [.., name] => format!("`{}`", shorten(name)),
        }
    }

    /// The mapping at the path, for messages about its keys.
    fn owner(&self) -> String {
        let names: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match names.as_slice() {
            [] => "the project".to_owned(),
            ["services", _] => "a service".to_owned(),
            ["networks", _] => "a network".to_owned(),
            ["volumes", _] => "a volume".to_owned(),
            ["secrets", _] => "a secret".to_owned(),
            ["configs", _] => "a config".to_owned(),
            ["models", _] => "a model".to_owned(),
            ["services", _, "depends_on", _] => "a dependency".to_owned(),
            ["services", _, "networks", _] => "a network of a service".to_owned(),
            ["services", _, "ports", "[]"] => "a port".to_owned(),
            ["services", _, "volumes", "[]"] => "a mount".to_owned(),
            ["services", _, "volumes", "[]", name] => format!("`{name}` of a mount"),
            [.., parent, "[]"] => format!("an entry of `{parent}`"),
            [.., name] => format!("`{}`", shorten(name)),
        }
    }
}

fn service_keys() -> HashSet<&'static str> {
    let properties = SCHEMA.root.pointer("/definitions/service/properties");
    let properties = properties.and_then(Json::as_object);
    let keys = properties.into_iter().flat_map(|map| map.keys());
    keys.map(String::as_str).collect()
}
