//! `events.jsonl`: every event, one JSON object a line, written as it happens.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::directory::OutputDirectory;
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

pub(super) struct EventLog {
    path: PathBuf,
    file: Result<File, String>,
    started: SystemTime,
}

impl EventLog {
    pub(super) fn create(directory: &OutputDirectory, started: SystemTime) -> Self {
        let path = directory.path().join("events.jsonl");
        let file = File::create(&path).map_err(|error| error.to_string());
        Self {
            path,
            file,
            started,
        }
    }

    pub(super) fn write(&mut self, elapsed: Duration, event: &Event) -> Result<(), String> {
        let moment = self.started.checked_add(elapsed).unwrap_or(self.started);
        let line = Line {
            schema: SCHEMA_VERSION,
            at: OffsetDateTime::from(moment)
                .format(&Rfc3339)
                .unwrap_or_default(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            event,
        };
        let written = match &mut self.file {
            Ok(file) => serde_json::to_vec(&line)
                .map_err(|error| error.to_string())
                .and_then(|mut bytes| {
                    bytes.push(b'\n');
                    file.write_all(&bytes).map_err(|error| error.to_string())
                }),
            Err(error) => Err(error.clone()),
        };
        written.map_err(|error| format!("cannot write `{}`: {error}", self.path.display()))
    }
}
