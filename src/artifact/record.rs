//! What was kept of a container, and what was not.

use serde::Serialize;

/// Entries that are told of what was left out; beyond, they are counted.
const MOST_LEFT_OUT: usize = 1000;

/// What was kept of a container, and what was not: the same in `artifacts.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The files, by name.
    pub files: Vec<Kept>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// What matched and was left out, and why.
    pub left_out: Vec<LeftOut>,
    /// How much more was left out than is told.
    pub more_left_out: u64,
    /// The globs that nothing has matched.
    pub unmatched: Vec<String>,
    /// Why there may be more than what was kept: an archive that broke off, a disk that is full.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Whether one of these is of the output directory, and not of the container or the engine.
    #[serde(skip)]
    pub unwritable: bool,
}

/// A file that was kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Kept {
    /// Its path below the directory of its suite or service, with `/` between the parts.
    pub path: String,
    /// Its path in the container; bytes that are no UTF-8 are replaced.
    pub from: String,
    /// Its size.
    pub bytes: u64,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its path in the container; bytes that are no UTF-8 are replaced.
    pub from: String,
    /// Why.
    pub reason: String,
}

impl Record {
    /// Notes what was left out.
    pub(super) fn leave_out(&mut self, from: &[u8], reason: impl Into<String>) {
        if self.left_out.len() == MOST_LEFT_OUT {
            self.more_left_out += 1;
            return;
        }
        self.left_out.push(LeftOut {
            from: String::from_utf8_lossy(from).into_owned(),
            reason: reason.into(),
        });
    }

    /// How many were left out.
    #[must_use]
    pub fn left_out_count(&self) -> u64 {
        self.more_left_out + self.left_out.len() as u64
    }

    /// Whether nothing at all has come of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.left_out.is_empty() && self.problems.is_empty()
    }
}
