//! The formats of files that others read: what is written is what the published schemas say, and what
//! the schemas have said once stays.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "whatever goes wrong here is a failing test"
)]

mod events;
mod run;
mod samples;
mod validate;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of the documentation.
fn documentation(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

/// A published schema.
fn schema(name: &str) -> Value {
    let path = documentation("schemas").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// What a schema promises, one line a field: `suite_row.tests integer|null required`.
fn promises(schema: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let root = ("", schema);
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    let definitions = definitions.map(|(name, one)| (name.as_str(), one));
    for (name, one) in std::iter::once(root).chain(definitions) {
        for word in one["enum"].as_array().into_iter().flatten() {
            lines.push(format!("{name} may be {word}"));
        }
        for (field, of) in one["properties"].as_object().into_iter().flatten() {
            let required = one["required"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == field));
            let presence = if required { "required" } else { "optional" };
            lines.push(format!("{name}.{field}: {} {presence}", shape(of)));
            for word in of["enum"].as_array().into_iter().flatten() {
                lines.push(format!("{name}.{field} may be {word}"));
            }
        }
    }
    lines.sort();
    lines
}

fn shape(of: &Value) -> String {
    let word = |value: &Value| value.to_string().replace('"', "");
    if let Some(reference) = of["$ref"].as_str() {
        return reference.trim_start_matches("#/$defs/").to_owned();
    }
    if let Some(choices) = of["anyOf"].as_array() {
        return choices.iter().map(shape).collect::<Vec<_>>().join("|");
    }
    if !of["const"].is_null() {
        return format!("= {}", of["const"]);
    }
    match of["type"].as_str() {
        Some("array") => format!("list of {}", shape(&of["items"])),
        Some("object") if of["additionalProperties"].is_object() => {
            format!("map of {}", shape(&of["additionalProperties"]))
        }
        Some(name) => name.to_owned(),
        None if of["enum"].is_array() => "word".to_owned(),
        None => word(&of["type"]).replace(['[', ']'], "").replace(',', "|"),
    }
}

/// Checks that a schema still promises what its version has promised, and that what it promises anew
/// is noted. `ENVRUN_UPDATE_PROMISES=1` notes it; nothing takes a line away.
fn keeps_its_promises(name: &str, version: u32) {
    let path = documentation("schemas").join(format!("{name}.{version}.promises"));
    let noted = std::fs::read_to_string(&path).unwrap_or_default();
    let mut noted: Vec<&str> = noted.lines().collect();
    let now = promises(&schema(&format!("{name}.schema.json")));
    let broken: Vec<&&str> = noted
        .iter()
        .filter(|line| !now.iter().any(|one| one == *line))
        .collect();
    assert!(
        broken.is_empty(),
        "version {version} of `{name}` has promised this, so the version has to be raised:\n{broken:#?}"
    );
    let new: Vec<&str> = now
        .iter()
        .map(String::as_str)
        .filter(|line| !noted.contains(line))
        .collect();
    if new.is_empty() {
        return;
    }
    assert!(
        std::env::var_os("ENVRUN_UPDATE_PROMISES").is_some(),
        "not noted in {}; ENVRUN_UPDATE_PROMISES=1 notes it:\n{new:#?}",
        path.display()
    );
    noted.extend(new);
    noted.sort_unstable();
    std::fs::write(&path, noted.join("\n") + "\n").expect("written");
}
