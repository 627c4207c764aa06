//! Holds a value against a JSON Schema, as far as the schemas of this repository go: a keyword that is
//! not known here is an error, so that nothing passes because nobody has looked at it.

use serde_json::Value;

/// Keywords that say nothing about what is valid.
const WORDS: [&str; 6] = [
    "$schema",
    "$defs",
    "title",
    "description",
    "format",
    "examples",
];

/// What is wrong with a value, each with the path to it.
pub(crate) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "$", &mut found);
    found
}

/// The same for one of the definitions of a schema.
pub(crate) fn problems_of(root: &Value, definition: &str, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(root, &root["$defs"][definition], value, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let Value::Object(keywords) = schema else {
        if schema != &Value::Bool(true) {
            found.push(format!("{path}: no schema for it"));
        }
        return;
    };
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            word if WORDS.contains(&word) => {}
            "$ref" => {
                let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#'));
                match pointer.and_then(|pointer| root.pointer(pointer)) {
                    Some(other) => check(root, other, value, path, found),
                    None => found.push(format!("{path}: {wanted} leads nowhere")),
                }
            }
            "type" => {
                let one = std::slice::from_ref(wanted);
                let types = wanted.as_array().map_or(one, Vec::as_slice);
                if !types.iter().any(|name| is(name, value)) {
                    found.push(format!("{path}: {value} is no {wanted}"));
                }
            }
            "const" if wanted != value => found.push(format!("{path}: {value} is not {wanted}")),
            "enum" if !wanted.as_array().is_some_and(|all| all.contains(value)) => {
                found.push(format!("{path}: {value} is none of {wanted}"));
            }
            "const" | "enum" => {}
            "minimum" if value.as_f64() < wanted.as_f64() && value.is_number() => {
                found.push(format!("{path}: {value} is less than {wanted}"));
            }
            "maximum" if value.as_f64() > wanted.as_f64() && value.is_number() => {
                found.push(format!("{path}: {value} is more than {wanted}"));
            }
            "minimum" | "maximum" => {}
            "required" => {
                let names = wanted
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str);
                if value.is_object() {
                    found.extend(
                        names
                            .filter(|name| value.get(name).is_none())
                            .map(|name| format!("{path}: `{name}` is missing")),
                    );
                }
            }
            "properties" => {
                let fields = wanted.as_object().into_iter().flatten();
                for (name, of) in fields {
                    if let Some(field) = value.get(name) {
                        check(root, of, field, &format!("{path}.{name}"), found);
                    }
                }
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object();
                let fields = value.as_object().into_iter().flatten();
                for (name, field) in fields {
                    if known.is_some_and(|known| known.contains_key(name)) {
                        continue;
                    }
                    match wanted {
                        Value::Bool(false) => found.push(format!("{path}: `{name}` is unknown")),
                        of => check(root, of, field, &format!("{path}.{name}"), found),
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{path}[{index}]"), found);
                }
            }
            "oneOf" | "anyOf" => {
                let schemas = wanted.as_array().into_iter().flatten();
                let tried: Vec<Vec<String>> = schemas
                    .map(|one| {
                        let mut inner = Vec::new();
                        check(root, one, value, path, &mut inner);
                        inner
                    })
                    .collect();
                let fitting = tried.iter().filter(|inner| inner.is_empty()).count();
                if fitting == 0 || (keyword == "oneOf" && fitting > 1) {
                    found.push(format!("{path}: {fitting} of `{keyword}` fit {value}"));
                }
            }
            other => found.push(format!(
                "{path}: the keyword `{other}` is not known to this test"
            )),
        }
    }
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => false,
    }
}
