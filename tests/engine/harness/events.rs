//! `events.jsonl` as tests read it: while it is being written, and at the end.

use std::path::Path;

use serde_json::Value;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event(pub(crate) Value);

impl Event {
    /// Its kind: `run_started`.
    pub(crate) fn kind(&self) -> &str {
        self.text("event")
    }

    /// A field that is a text; empty when there is none.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A field that is a number.
    #[track_caller]
    pub(crate) fn number(&self, field: &str) -> u64 {
        self.0
            .get(field)
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("no number `{field}` in {}", self.0))
    }

    /// A field by its JSON pointer, as text; empty when there is none.
    pub(crate) fn at(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether it is of this kind and about this service or suite.
    pub(crate) fn is(&self, kind: &str, service: &str) -> bool {
        self.kind() == kind && (self.text("service") == service || self.text("suite") == service)
    }

    /// When it happened, in nanoseconds since 1970.
    #[track_caller]
    pub(crate) fn nanoseconds(&self) -> i128 {
        use time::OffsetDateTime;
        use time::format_description::well_known::Rfc3339;
        OffsetDateTime::parse(self.text("at"), &Rfc3339)
            .unwrap()
            .unix_timestamp_nanos()
    }
}

/// The events that a run has written so far. A line without its end is still being written and does
/// not count.
pub(crate) fn read(out: &Path) -> Vec<Event> {
    let Ok(text) = std::fs::read_to_string(out.join("events.jsonl")) else {
        return Vec::new();
    };
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| {
            let parsed = serde_json::from_str(line);
            Event(parsed.unwrap_or_else(|error| panic!("no JSON ({error}): {line}")))
        })
        .collect()
}

/// What is wrong with these events by the published schema.
pub(crate) fn problems(events: &[Event]) -> Vec<String> {
    let schema = include_str!("../../../docs/schemas/event.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    let wrong = events.iter().flat_map(|event| {
        let problems = super::validate::problems(&schema, &event.0);
        problems
            .into_iter()
            .map(|problem| format!("{}: {problem}", event.kind()))
    });
    wrong.collect()
}

/// The id of the run that writes there, once it has one.
pub(crate) fn run_id(out: &Path) -> Option<String> {
    read(out)
        .iter()
        .find(|event| event.kind() == "run_started")
        .map(|event| event.text("run").to_owned())
}
