//! The form of lines in `logs/timed/SERVICE.log`: `TIME STREAM TAG TEXT`, as container runtimes of
//! Kubernetes write it, so that what reads their logs reads these.
//!
//! `TIME` is RFC 3339 in UTC with microseconds: when envrun has got the end of the line. `STREAM` is
//! `stdout` or `stderr`. `TAG` is `F`, or `P` where the line goes on in the next record of its stream.
//! `TEXT` is everything after the third space up to the line break, byte by byte.

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _};
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::LONGEST;
use crate::engine::OutputStream;

/// Longest record that is read: time, stream, tag and a piece of a line.
const LONGEST_RECORD: u64 = LONGEST as u64 + 256;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When envrun has got its end. In the order of the file it never goes back.
    pub at: SystemTime,
    /// Where it was written to.
    pub stream: OutputStream,
    /// Without the line break.
    pub bytes: Vec<u8>,
    /// Whether the line ends here. One that is longer than [`LONGEST`] is several records.
    pub ends: bool,
}

impl LogLine {
    /// Its characters; what is no UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// Appends a record for a line, line break included.
    pub fn write(
        into: &mut Vec<u8>,
        at: SystemTime,
        stream: OutputStream,
        (bytes, ends): (&[u8], bool),
    ) {
        let form = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
        );
        // Years have four digits for as long as anybody reads this.
        let _ = OffsetDateTime::from(at).format_into(into, form);
        into.extend_from_slice(match stream {
            OutputStream::Stdout => b" stdout ",
            OutputStream::Stderr => b" stderr ",
        });
        into.extend_from_slice(if ends { b"F " } else { b"P " });
        into.extend_from_slice(bytes);
        into.push(b'\n');
    }

    /// Reads a record, without its line break. `None` for what is none, such as the note where a log
    /// was cut.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        let mut fields = record.splitn(4, |byte| *byte == b' ');
        let at = std::str::from_utf8(fields.next()?).ok()?;
        let at = OffsetDateTime::parse(at, &Rfc3339).ok()?.into();
        let stream = match fields.next()? {
            b"stdout" => OutputStream::Stdout,
            b"stderr" => OutputStream::Stderr,
            _ => return None,
        };
        let ends = match fields.next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self {
            at,
            stream,
            bytes: fields.next()?.to_vec(),
            ends,
        })
    }
}

/// Reads the lines of a log one after the other; what is no record is left out, and of a record that
/// is longer than any of ours the rest.
pub fn read(mut log: impl BufRead) -> impl Iterator<Item = io::Result<LogLine>> {
    let mut record = Vec::new();
    std::iter::from_fn(move || {
        loop {
            record.clear();
            match (&mut log)
                .take(LONGEST_RECORD)
                .read_until(b'\n', &mut record)
            {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            let record = record.strip_suffix(b"\n").unwrap_or(&record);
            if let Some(line) = LogLine::parse(record) {
                return Some(Ok(line));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + milliseconds)
    }

    #[test]
    fn what_is_written_is_read() {
        let lines = [
            (at(0), OutputStream::Stdout, &b"hello  world "[..], true),
            (at(12), OutputStream::Stderr, b"", true),
            (at(13), OutputStream::Stdout, &[0xff, b' ', 0x1b], false),
        ];
        let mut log = Vec::new();
        for (at, stream, bytes, ends) in lines {
            LogLine::write(&mut log, at, stream, (bytes, ends));
        }
        insta::assert_snapshot!(String::from_utf8_lossy(&log).replace('\u{1b}', "ESC"), @r"
        2023-11-14T22:13:20.000000Z stdout F hello  world 
        2023-11-14T22:13:20.012000Z stderr F 
        2023-11-14T22:13:20.013000Z stdout P � ESC
        ");
        let found: Vec<LogLine> = read(&log[..]).map(|line| line.expect("memory")).collect();
        let expected = lines.map(|(at, stream, bytes, ends)| LogLine {
            at,
            stream,
            bytes: bytes.to_vec(),
            ends,
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        let log = b"[envrun: 12 MiB left out]\n\n2023-11-14T22:13:20Z stdout F yes\n2023-11-14T22:13:20Z stdout\nx stdout F no\n2023-11-14T22:13:20Z stdout F cut off";
        let texts: Vec<String> = read(&log[..])
            .map(|line| line.expect("memory").text().into_owned())
            .collect();
        assert_eq!(texts, ["yes", "cut off"]);
    }
}
