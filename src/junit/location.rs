//! Where a test case is to be found in the sources: owns the reading of the attributes that say so.
//!
//! It must never ask a file system, and what it says is a guess for people: no verdict depends on
//! it.

use super::tree::Element;

/// A place in the sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file, as the report names it where nothing is known of where its directories are from.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<u32>,
}

impl Location {
    /// What the `file` and `line` attributes of a case say.
    pub(super) fn declared(case: &Element) -> Option<Self> {
        let file = case.attribute("file").map(str::trim);
        let file = file.filter(|file| !file.is_empty())?.to_owned();
        let line = case
            .attribute("line")
            .and_then(|line| line.trim().parse().ok());
        Some(Self {
            file,
            line: line.filter(|line| *line > 0),
        })
    }
}
