//! `events.jsonl`: every event, one JSON object a line, written as it happens.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::directory::OutputDirectory;
use super::growing::GrowingFile;
use super::problem::FileProblem;
use crate::event::{Event, SCHEMA_VERSION};

/// An event with its time.
#[derive(Serialize)]
struct Line<'event> {
    schema: u32,
    at: String,
    elapsed_ms: u64,
    #[serde(flatten)]
    event: &'event Event,
}

/// The line of an event that happened `elapsed` after `started`.
pub(super) fn line(started: SystemTime, elapsed: Duration, event: &Event) -> Vec<u8> {
    let moment = started.checked_add(elapsed).unwrap_or(started);
    let line = Line {
        schema: SCHEMA_VERSION,
        at: OffsetDateTime::from(moment)
            .format(&Rfc3339)
            .unwrap_or_default(),
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        event,
    };
    // Nothing in an event can fail to be written as JSON: its maps have texts as keys.
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

pub(super) struct EventLog(GrowingFile);

impl EventLog {
    pub(super) fn create(directory: &OutputDirectory) -> Self {
        Self(GrowingFile::create(&directory.path().join("events.jsonl")))
    }

    pub(super) fn append(&mut self, line: &[u8]) -> Result<(), FileProblem> {
        self.0.append(line)
    }
}
