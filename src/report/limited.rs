//! A log that is kept up to a limit: its beginning and its end, and between them how much is missing.
//!
//! The end waits in memory until somebody asks for it, so a disk never holds more than the limit, and
//! what has failed is found where people look for it: at the end.

use std::collections::VecDeque;
use std::path::Path;

use super::growing::GrowingFile;
use super::problem::FileProblem;

/// Bytes of the end that are kept of a log that has reached its limit.
const END: u64 = 1 << 20;

/// A log with a limit.
pub(super) struct LimitedFile {
    file: GrowingFile,
    /// Bytes that may still be written at once; `None`: any number.
    room: Option<u64>,
    /// Bytes that the end may have.
    end: usize,
    tail: VecDeque<u8>,
    /// Bytes between what is written and the tail.
    lost: u64,
}

impl LimitedFile {
    /// Makes it, empty. A limit of 0 is none.
    pub(super) fn create(path: &Path, limit: u64) -> Self {
        let end = END.min(limit / 4);
        Self {
            file: GrowingFile::create(path),
            room: (limit > 0).then(|| limit - end),
            end: usize::try_from(end).unwrap_or(usize::MAX),
            tail: VecDeque::new(),
            lost: 0,
        }
    }

    /// Adds bytes, as long as there is room; what is beyond may come to stand at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileProblem> {
        let Some(room) = &mut self.room else {
            return self.file.append(bytes);
        };
        let fits = usize::try_from(*room)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (now, beyond) = bytes.split_at(fits);
        *room -= fits as u64;
        self.tail.extend(beyond);
        if let Some(surplus) = self.tail.len().checked_sub(self.end) {
            self.tail.drain(..surplus);
            self.lost += surplus as u64;
        }
        match now {
            [] => Ok(()),
            now => self.file.append(now),
        }
    }

    /// Writes the end. What comes later gets an end of its own.
    pub(super) fn settle(&mut self) -> Result<(), FileProblem> {
        if self.lost > 0 {
            // Half a line would be taken for a line.
            let rest = self.tail.iter().position(|byte| *byte == b'\n');
            let begin = rest.map_or(0, |position| position + 1);
            self.tail.drain(..begin);
            let lost = self.lost + begin as u64;
            self.lost = 0;
            let note = format!("\n[envrun: {lost} bytes are left out here, see --log-limit]\n");
            self.file.append(note.as_bytes())?;
        }
        let tail = std::mem::take(&mut self.tail);
        match tail.as_slices() {
            ([], []) => Ok(()),
            (one, two) => self.file.append(&[one, two].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: u64, pieces: &[&[u8]]) -> String {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("log");
        let mut file = LimitedFile::create(&path, limit);
        for piece in pieces {
            file.append(piece).expect("written");
        }
        file.settle().expect("written");
        std::fs::read_to_string(path).expect("readable")
    }

    #[test]
    fn what_is_within_the_limit_is_whole() {
        assert_eq!(kept(16, &[b"0123456789", b"abcdef"]), "0123456789abcdef");
        assert_eq!(kept(0, &[&[b'x'; 100]]).len(), 100);
        assert_eq!(kept(16, &[]), "");
    }

    #[test]
    fn of_more_the_beginning_and_the_end_are_kept_and_the_rest_is_counted() {
        let log = kept(
            40,
            &[b"the beginning is here, then\nmuch\nthat is too much\nlost\nend\n"],
        );
        assert_eq!(
            log,
            "the beginning is here, then\nmu\n[envrun: 20 bytes are left out here, see --log-limit]\nlost\nend\n"
        );
    }

    #[test]
    fn a_log_that_goes_on_after_its_end_stays_bounded() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("log");
        let mut file = LimitedFile::create(&path, 4000);
        for _ in 0..2 {
            for number in 0..10_000 {
                file.append(format!("line {number}\n").as_bytes())
                    .expect("written");
            }
            file.settle().expect("written");
        }
        let log = std::fs::read_to_string(path).expect("readable");
        assert!(log.len() < 5200, "{}", log.len());
        assert_eq!(log.matches("line 9999\n").count(), 2);
        assert_eq!(log.matches("[envrun: ").count(), 2);
    }
}
