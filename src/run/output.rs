//! The last lines of each container's output, kept in memory for diagnoses. The whole goes to the
//! recorder.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::OutputStream;
use crate::name::ServiceName;

/// Lines kept a service.
const LINES: usize = 40;

/// Bytes kept of a line; the rest of it is dropped, so that a megabyte without a line break costs
/// no memory.
const LINE_BYTES: usize = 2000;

/// The tails of all services.
#[derive(Debug, Default)]
pub struct Tails(Mutex<BTreeMap<ServiceName, Tail>>);

#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<String>,
    partial: BTreeMap<OutputStream, Vec<u8>>,
}

impl Tails {
    /// Adds a chunk of output.
    pub fn push(&self, service: &ServiceName, stream: OutputStream, bytes: &[u8]) {
        let mut tails = self.lock();
        let tail = tails.entry(service.clone()).or_default();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece
                .strip_suffix(b"\n")
                .map_or((piece, false), |text| (text, true));
            let partial = tail.partial.entry(stream).or_default();
            let room = LINE_BYTES.saturating_sub(partial.len()).min(text.len());
            partial.extend_from_slice(&text[..room]);
            if ends {
                let line = std::mem::take(partial);
                tail.push_line(&line);
            }
        }
    }

    /// The last lines, oldest first, unterminated ones included.
    #[must_use]
    pub fn tail(&self, service: &ServiceName) -> Vec<String> {
        let tails = self.lock();
        let Some(tail) = tails.get(service) else {
            return Vec::new();
        };
        let partial = tail
            .partial
            .values()
            .filter(|line| !line.is_empty())
            .map(|line| readable(line));
        tail.lines.iter().cloned().chain(partial).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Tail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn push_line(&mut self, line: &[u8]) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(readable(line));
    }
}

fn readable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .trim_end_matches('\r')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_lines_are_joined_per_stream_and_the_last_one_is_kept() {
        let tails = Tails::default();
        let db = ServiceName::new("db");
        tails.push(&db, OutputStream::Stdout, b"one\ntw");
        tails.push(&db, OutputStream::Stderr, b"error\n");
        tails.push(&db, OutputStream::Stdout, b"o\nthree");
        assert_eq!(tails.tail(&db), ["one", "error", "two", "three"]);
    }

    #[test]
    fn memory_is_bounded_by_lines_and_by_bytes() {
        let tails = Tails::default();
        let db = ServiceName::new("db");
        for _ in 0..1000 {
            tails.push(&db, OutputStream::Stdout, &[b'x'; 1000]);
        }
        assert_eq!(tails.tail(&db)[0].len(), LINE_BYTES);
        tails.push(&db, OutputStream::Stdout, "\n".repeat(1000).as_bytes());
        assert_eq!(tails.tail(&db).len(), LINES);
    }
}
