//! The recent lines of each container's output, with their times: what is shown of a failed test.
//!
//! It is bounded by lines and by bytes for each service, and kept in memory; the whole output is in the
//! logs. It must never be given anything that is not masked.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::engine::OutputStream;
use crate::junit::TestWindow;
use crate::name::ServiceName;

/// Lines kept of a service.
const LINES: usize = 5000;

/// Bytes kept of a service.
const BYTES: usize = 4 << 20;

/// Bytes kept of a line.
const LINE_BYTES: usize = 500;

/// How much earlier and later than a test its lines may be: a line takes a moment from a container to
/// here.
const MARGIN: Duration = Duration::from_millis(500);

/// Lines shown of a service for one test.
const SHOWN: usize = 50;

/// Lines shown of all services for one test.
const SHOWN_IN_ALL: usize = 200;

/// The recent lines of all containers.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<BTreeMap<ServiceName, Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Whether older lines were dropped.
    is_cut: bool,
    partial: BTreeMap<OutputStream, Vec<u8>>,
}

#[derive(Debug)]
struct Line {
    /// When its end came, since the start of the run.
    at: Duration,
    text: String,
}

impl Recent {
    /// Adds a chunk of output, which came `at` after the start of the run.
    pub(super) fn push(
        &self,
        service: &ServiceName,
        (stream, bytes): (OutputStream, &[u8]),
        at: Duration,
    ) {
        let mut all = self.lock();
        let ring = all.entry(service.clone()).or_default();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let partial = ring.partial.entry(stream).or_default();
            let room = LINE_BYTES.saturating_sub(partial.len()).min(text.len());
            partial.extend_from_slice(text.get(..room).unwrap_or_default());
            if ends {
                let line = std::mem::take(partial);
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end_matches('\r').to_owned();
                ring.push(Line { at, text });
            }
        }
    }

    /// What these services wrote in the window of a test; `None` when they wrote nothing. `started` is the
    /// start of the run by the wall clock.
    pub(super) fn excerpt(
        &self,
        window: &TestWindow,
        services: &[ServiceName],
        started: SystemTime,
    ) -> Option<String> {
        let since = |moment: SystemTime| moment.duration_since(started).unwrap_or_default();
        let from = since(window.from).saturating_sub(MARGIN);
        let until = since(window.until).saturating_add(MARGIN);
        let all = self.lock();
        let mut parts: Vec<(&ServiceName, &Ring, usize, usize)> = Vec::new();
        for service in services {
            let Some(ring) = all.get(service) else {
                continue;
            };
            // Lines are in the order of their times.
            let first = ring.lines.partition_point(|line| line.at < from);
            let end = ring.lines.partition_point(|line| line.at <= until);
            if first < end {
                parts.push((service, ring, first, end));
            }
        }
        if parts.is_empty() {
            return None;
        }
        let share = (SHOWN_IN_ALL / parts.len()).clamp(2, SHOWN);
        let mut text = format!(
            "What the services wrote from {} to {} UTC",
            time_of_day(started, from),
            time_of_day(started, until)
        );
        text.push_str(match window.is_estimate {
            true => " (an estimate: the report does not say when the test ran)\n",
            false => "\n",
        });
        for (service, ring, first, end) in parts {
            let _ = writeln!(text, "[{service}]");
            if first == 0 && ring.is_cut {
                text.push_str("… earlier lines are in the log only …\n");
            }
            let count = end - first;
            let head = if count > share { share / 2 } else { count };
            let tail = if count > share { share - head } else { 0 };
            for (number, line) in ring.lines.range(first..end).enumerate() {
                if number == head && count > share {
                    let _ = writeln!(text, "… {} lines left out …", count - head - tail);
                }
                if number < head || number >= count - tail {
                    let _ = writeln!(text, "{} {}", time_of_day(started, line.at), line.text);
                }
            }
        }
        Some(text)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Ring>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, line: Line) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES || self.bytes > BYTES {
            let Some(oldest) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= oldest.text.len();
            self.is_cut = true;
        }
    }
}

/// `12:00:01.250`, in UTC.
fn time_of_day(started: SystemTime, at: Duration) -> String {
    let form = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");
    let moment = OffsetDateTime::from(started.checked_add(at).unwrap_or(started));
    // Every moment has these parts.
    moment.format(form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: u64, until: u64) -> TestWindow {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        TestWindow {
            case: 0,
            title: "t".to_owned(),
            from: at(from),
            until: at(until),
            is_estimate: false,
        }
    }

    fn filled(lines: u64) -> (Recent, Vec<ServiceName>) {
        let recent = Recent::default();
        let db = ServiceName::new("db");
        for number in 0..lines {
            let line = format!("line {number}\n");
            let at = Duration::from_millis(number * 100);
            recent.push(&db, (OutputStream::Stdout, line.as_bytes()), at);
        }
        (recent, vec![db])
    }

    fn excerpt(recent: &Recent, services: &[ServiceName], window: &TestWindow) -> Option<String> {
        recent.excerpt(window, services, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn only_the_lines_of_the_window_and_its_margin_are_shown() {
        let (recent, services) = filled(100);
        let text = excerpt(&recent, &services, &window(2000, 2200)).expect("lines");
        assert!(
            text.starts_with(
                "What the services wrote from 00:00:01.500 to 00:00:02.700 UTC\n[db]\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("00:00:01.500 line 15\n") && text.ends_with("line 27\n"),
            "{text}"
        );
        assert!(
            !text.contains("line 14\n") && !text.contains("line 28\n"),
            "{text}"
        );
        assert_eq!(excerpt(&recent, &services, &window(60_000, 61_000)), None);
        let nobody = [ServiceName::new("api")];
        assert_eq!(excerpt(&recent, &nobody, &window(2000, 2200)), None);
    }

    #[test]
    fn the_middle_of_many_lines_is_cut() {
        let (recent, services) = filled(100);
        let text = excerpt(&recent, &services, &window(0, 20_000)).expect("lines");
        assert!(text.contains("line 24\n… 50 lines left out …\n"), "{text}");
        assert!(
            text.contains("line 75\n") && text.contains("line 99\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2 + 50 + 1);
    }

    #[test]
    fn memory_is_bounded_and_says_so() {
        let (recent, services) = filled(10 + LINES as u64);
        let text = excerpt(&recent, &services, &window(0, 3000)).expect("lines");
        assert!(text.contains("earlier lines are in the log only"), "{text}");
        assert!(!text.contains("line 9\n"), "{text}");
        let long = vec![b'x'; 3 * LINE_BYTES];
        for number in 0..20_u64 {
            recent.push(
                &services[0],
                (OutputStream::Stderr, &long),
                Duration::from_secs(600 + number),
            );
        }
        recent.push(
            &services[0],
            (OutputStream::Stderr, b"\n"),
            Duration::from_secs(700),
        );
        let text = excerpt(&recent, &services, &window(700_000, 700_000)).expect("lines");
        assert!(text.len() < 2 * LINE_BYTES, "{}", text.len());
    }
}
