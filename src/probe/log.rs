//! Readiness kind `log`: as many lines of the output as wanted match.
//!
//! A line counts when it is complete: half a line may match what the whole does not.

use std::fmt;

use super::Pattern;

/// Bytes of a line that are looked at. Whatever a line has beyond is passed over.
const LONGEST_LINE: usize = 8 << 10;

/// A stream of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What is looked for in the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProbe {
    /// What a line has to match.
    pub pattern: Pattern,
    /// Which stream is read; `None` reads both.
    pub stream: Option<Stream>,
    /// Lines that have to match.
    pub times: u32,
}

impl fmt::Display for LogProbe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "log `{}`", self.pattern)?;
        match self.times {
            1 => Ok(()),
            times => write!(formatter, " {times} times"),
        }
    }
}

/// Reads the output of one start of a container, from its first byte on, and counts.
#[derive(Debug)]
pub struct LogReader {
    probe: LogProbe,
    seen: u32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl LogReader {
    /// A reader that has read nothing yet.
    #[must_use]
    pub const fn new(probe: LogProbe) -> Self {
        Self {
            probe,
            seen: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }

    /// Reads a piece of output, which may begin and end anywhere.
    pub fn read(&mut self, stream: Stream, bytes: &[u8]) {
        if self.probe.stream.is_some_and(|wanted| wanted != stream) || self.has_passed() {
            return;
        }
        let partial = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = LONGEST_LINE.saturating_sub(partial.len()).min(text.len());
            partial.extend_from_slice(&text[..room]);
            if ends {
                let line = String::from_utf8_lossy(partial);
                if self.probe.pattern.matches(line.trim_end_matches('\r')) {
                    self.seen = self.seen.saturating_add(1);
                }
                partial.clear();
            }
        }
    }

    /// What is looked for.
    #[must_use]
    pub const fn probe(&self) -> &LogProbe {
        &self.probe
    }

    /// Lines that have matched so far.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.seen
    }

    /// Whether enough lines have matched.
    #[must_use]
    pub const fn has_passed(&self) -> bool {
        self.seen >= self.probe.times
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(pattern: &str, stream: Option<Stream>, times: u32) -> LogReader {
        LogReader::new(LogProbe {
            pattern: Pattern::new(pattern),
            stream,
            times,
        })
    }

    #[test]
    fn a_line_counts_when_it_is_complete_and_on_its_stream() {
        let mut log = reader("^ready$", Some(Stream::Stderr), 2);
        log.read(Stream::Stdout, b"ready\n");
        log.read(Stream::Stderr, b"ready");
        assert_eq!(log.seen(), 0);
        log.read(Stream::Stderr, b" soon\nready\r\n");
        assert_eq!(log.seen(), 1);
        log.read(Stream::Stdout, b"x");
        log.read(Stream::Stderr, b"rea");
        log.read(Stream::Stderr, b"dy\n");
        assert!(log.has_passed());
    }

    #[test]
    fn an_endless_line_costs_no_memory() {
        let mut log = reader("x", None, 1);
        for _ in 0..100 {
            log.read(Stream::Stdout, &[b'y'; 10_000]);
        }
        assert!(log.stdout.len() <= LONGEST_LINE);
    }

    proptest! {
        /// However the output is cut, the same lines are counted.
        #[test]
        fn cuts_make_no_difference(
            lines in proptest::collection::vec("[a-c]{0,4}", 0..20),
            cuts in proptest::collection::vec(1_usize..7, 1..40),
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let wanted = lines.iter().filter(|line| line.contains("ab")).count();
            let mut log = reader("ab", None, u32::MAX);
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, left) = rest.split_at((*cut).min(rest.len()));
                log.read(Stream::Stdout, piece);
                rest = left;
            }
            prop_assert_eq!(log.seen() as usize, wanted);
        }
    }
}
