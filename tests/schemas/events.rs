//! `events.jsonl`: each kind of event is in the schema and on its page, with each of its fields.

use envrun::event::SCHEMA_VERSION;
use serde_json::{Value, json};

use crate::samples::samples;
use crate::{documentation, keeps_its_promises, schema, validate};

/// The samples as lines of the file.
fn lines() -> Vec<(&'static str, Value)> {
    let lines = samples().into_iter().map(|(variant, event)| {
        let mut line = serde_json::to_value(&event).expect("JSON");
        let envelope =
            json!({ "schema": SCHEMA_VERSION, "at": "2026-01-02T03:04:05Z", "elapsed_ms": 7 });
        let fields = line.as_object_mut().expect("an object");
        fields.extend(envelope.as_object().expect("an object").clone());
        (variant, line)
    });
    lines.collect()
}

#[test]
fn every_event_is_what_the_schema_says() {
    let schema = schema("event.schema.json");
    let mut wrong = Vec::new();
    for (variant, line) in lines() {
        let kind = line["event"].as_str().expect("a kind").to_owned();
        let definition = &schema["$defs"][&kind];
        if definition.is_null() {
            wrong.push(format!(
                "`Event::{variant}` is not in docs/schemas/event.schema.json as `{kind}`"
            ));
            continue;
        }
        // Of one kind the problems are told in detail; of the whole only that it does not fit.
        wrong.extend(validate::problems_of(&schema, &kind, &line));
        wrong.extend(validate::problems(&schema, &line));
        for field in line.as_object().expect("an object").keys() {
            let known = [&schema, definition]
                .iter()
                .any(|one| !one["properties"][field].is_null());
            if !known {
                wrong.push(format!("`{kind}.{field}` is not in the schema"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_schema_has_no_kind_that_nobody_writes() {
    let schema = schema("event.schema.json");
    let written: Vec<String> = lines()
        .iter()
        .map(|(_, line)| format!("#/$defs/{}", line["event"].as_str().expect("a kind")))
        .collect();
    let listed: Vec<&str> = schema["oneOf"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["$ref"].as_str().expect("a reference"))
        .collect();
    assert_eq!(listed, written, "in the order of `Event`");
}

#[test]
fn what_is_not_an_event_does_not_fit() {
    let schema = schema("event.schema.json");
    let (_, line) = lines().swap_remove(0);
    let changed = |field: &str, value: Value| {
        let mut line = line.clone();
        line[field] = value;
        validate::problems(&schema, &line)
    };
    assert_eq!(changed("project", json!("other")), [""; 0]);
    for (field, value) in [
        ("event", json!("unheard_of")),
        ("schema", json!(SCHEMA_VERSION + 1)),
        ("services", json!("db")),
        ("elapsed_ms", json!(-1)),
    ] {
        assert_ne!(changed(field, value), [""; 0], "{field}");
    }
}

#[test]
fn the_page_names_every_kind_and_field() {
    let page = std::fs::read_to_string(documentation("events.md")).expect("the page");
    let schema = schema("event.schema.json");
    let definitions = schema["$defs"].as_object().expect("definitions");
    let mut missing = Vec::new();
    for (name, definition) in definitions {
        let heading = format!("### `{name}`\n");
        let Some((_, rest)) = page.split_once(&heading) else {
            missing.push(name.clone());
            continue;
        };
        let section = rest.split("\n### ").next().unwrap_or_default();
        let fields = definition["properties"].as_object().into_iter().flatten();
        let fields = fields
            .map(|(field, _)| field)
            .filter(|field| *field != "event");
        missing.extend(
            fields
                .filter(|field| !section.contains(&format!("| `{field}` |")))
                .map(|field| format!("{name}.{field}")),
        );
    }
    assert!(missing.is_empty(), "not in docs/events.md: {missing:?}");
}

#[test]
fn a_version_keeps_what_it_has_promised() {
    keeps_its_promises("event", SCHEMA_VERSION);
}
