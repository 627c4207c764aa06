//! The engine's answer to a build: progress, line by line, and at last an image or an error.

use serde::Deserialize;

use super::super::session::Notes;
use super::trace::Trace;
use crate::engine::BuildOutput;
use crate::name::ImageId;

/// Longest line of the engine's answer.
const LONGEST: usize = 16 << 20;

/// One line of the engine's answer.
#[derive(Deserialize)]
struct Report {
    id: Option<String>,
    aux: Option<serde_json::Value>,
    /// What the classic builder prints.
    stream: Option<String>,
    error: Option<String>,
}

/// The answer as far as it has come.
pub(super) struct Answer<'a> {
    output: &'a BuildOutput,
    notes: Notes,
    buffer: Vec<u8>,
    trace: Trace,
    image: Option<ImageId>,
    error: Option<String>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(output: &'a BuildOutput, notes: Notes) -> Self {
        Self {
            output,
            notes,
            buffer: Vec::new(),
            trace: Trace::default(),
            image: None,
            error: None,
        }
    }

    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), String> {
        self.buffer.extend_from_slice(data);
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            self.line(&line);
        }
        if self.buffer.len() > LONGEST {
            return Err("the engine's answer cannot be understood: a line has no end".to_owned());
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        let Ok(report) = serde_json::from_slice::<Report>(line) else {
            return;
        };
        match (report.id.as_deref(), report.aux) {
            (Some("moby.buildkit.trace"), Some(serde_json::Value::String(encoded))) => {
                self.print(|trace| trace.record(&encoded));
            }
            (_, Some(aux)) => {
                self.image = aux
                    .get("ID")
                    .and_then(|id| id.as_str())
                    .map(ImageId::new)
                    .or(self.image.take());
            }
            _ => {}
        }
        if let Some(text) = report.stream {
            self.print(|trace| trace.print(&text));
        }
        if let Some(error) = report.error {
            self.error = Some(error);
        }
    }

    fn print(&mut self, record: impl FnOnce(&mut Trace) -> String) {
        let text = self.notes.masked(record(&mut self.trace));
        if !text.is_empty() {
            (self.output)(text.as_bytes());
        }
    }

    /// The engine's words when it did not take the request: they stand in no line of progress.
    pub(super) fn refusal(&self) -> String {
        #[derive(Deserialize)]
        struct Words {
            message: String,
        }
        match (&self.error, serde_json::from_slice::<Words>(&self.buffer)) {
            (Some(error), _) => error.clone(),
            (None, Ok(words)) => words.message,
            (None, Err(_)) => String::from_utf8_lossy(&self.buffer).trim().to_owned(),
        }
    }

    pub(super) fn finish(mut self) -> Result<ImageId, String> {
        let last = std::mem::take(&mut self.buffer);
        self.line(&last);
        match (self.error, self.image) {
            (Some(error), _) => {
                let error = self.notes.masked(error);
                (self.output)(format!("ERROR: {error}\n").as_bytes());
                Err(match self.trace.failure() {
                    Some(step) => format!("{error}\n{}", self.notes.masked(step)),
                    None => error,
                })
            }
            (None, Some(image)) => Ok(image),
            (None, None) => Err("the engine's answer ended without an image".to_owned()),
        }
    }
}
