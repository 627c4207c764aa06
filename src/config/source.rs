//! The text of one file that was read, and places in it.
//!
//! Owns the line index and the name a file is shown under. It never reads a file: that is done by
//! the module `files`.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The text of one file, with the name it is shown under.
#[derive(PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// The text as it may be shown, when that differs from `text`; byte offsets are the same.
    shown: Option<String>,
    line_starts: Vec<usize>,
    order: usize,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Wraps a text. `order` is the position of the file among the files of one load, so that
    /// problems come out in the order in which the files were given.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>, order: usize) -> Arc<Self> {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(index, _)| index + 1))
            .collect();
        let shown = Some(clean(&text)).filter(|shown| *shown != text);
        Arc::new(Self {
            name: clean(&name.into()),
            text,
            shown,
            line_starts,
            order,
        })
    }

    /// The name the file is shown under: as the user gave it, or relative to the directory asked
    /// for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text with everything replaced that could disturb a terminal; byte offsets are the same.
    #[must_use]
    pub(super) fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.text)
    }

    /// The place of a byte range; a range that is out of bounds or splits a character is moved
    /// inwards.
    #[must_use]
    pub fn place(self: &Arc<Self>, range: Range<usize>) -> Place {
        let start = floor_char_boundary(&self.text, range.start);
        let end = floor_char_boundary(&self.text, range.end).max(start);
        Place {
            source: Arc::clone(self),
            start,
            end,
        }
    }

    /// Zero-based number of the line that holds the byte at `offset`.
    #[must_use]
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.line_starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// Byte range of a zero-based line, its line break excluded; empty past the end.
    #[must_use]
    pub(super) fn line_range(&self, line: usize) -> Range<usize> {
        let end_of_text = self.text.len();
        let start = self.line_starts.get(line).copied().unwrap_or(end_of_text);
        let end = self
            .line_starts
            .get(line + 1)
            .map_or(end_of_text, |next| next.saturating_sub(1));
        let text = self.text.get(start..end).unwrap_or_default();
        start..start + text.trim_end_matches('\r').len()
    }
}

/// Control characters of an untrusted file must not reach the terminal, nor may bidirectional
/// overrides, which make a line read differently from what it says. Each is replaced by a character
/// of the same length, so that byte offsets stay right.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            '\r' => ' ',
            control if control.is_control() && control.len_utf8() == 1 => '?',
            control if control.is_control() => '¿',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// The last character boundary at or before `index`.
fn floor_char_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// A byte range in one source.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.source.name, self.line())
    }
}

impl Place {
    /// The file.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The byte range.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The text at this place.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source
            .text
            .get(self.start..self.end)
            .unwrap_or_default()
    }

    /// Line number, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.source.line_of(self.start) + 1
    }

    /// Column in characters, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        let line = self.source.line_range(self.source.line_of(self.start));
        self.source
            .text
            .get(line.start..self.start)
            .map_or(1, |before| before.chars().count() + 1)
    }

    /// A part of this place: `range` counts from its start.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        self.source
            .place(self.start + range.start..self.start + range.end)
    }

    /// The same place, cut at the end of its first line: a caret under one line is what a reader
    /// needs.
    #[must_use]
    pub(super) fn first_line(&self) -> Self {
        let line = self.source.line_range(self.source.line_of(self.start));
        let end = self.end.min(line.end.max(self.start));
        Self {
            source: Arc::clone(&self.source),
            start: self.start,
            end,
        }
    }

    /// The file and the start, which tell one value from another.
    #[must_use]
    pub(super) fn key(&self) -> (usize, usize) {
        (self.source.order, self.start)
    }

    /// Order of two places: by file, then by position.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        (self.source.order, self.start, self.end).cmp(&(other.source.order, other.start, other.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_columns_count_characters() {
        let source = Source::new("f", "é: 1\r\nb: 2", 0);
        let one = source.place(4..5);
        assert_eq!((one.line(), one.column(), one.text()), (1, 4, "1"));
        let two = source.place(10..11);
        assert_eq!((two.line(), two.column(), two.text()), (2, 4, "2"));
    }

    #[test]
    fn a_range_out_of_bounds_or_inside_a_character_is_moved_inwards() {
        let source = Source::new("f", "é", 0);
        assert_eq!(source.place(1..99).range(), 0..2);
        assert_eq!(source.place(7..9).range(), 2..2);
    }

    #[test]
    fn what_is_shown_has_no_control_characters_and_the_same_offsets() {
        let source = Source::new("a\u{1b}[1m", "x\u{1b}\u{85}\u{202e}y", 0);
        assert_eq!(source.name(), "a?[1m");
        assert_eq!(source.shown(), "x?¿\u{fffd}y");
        assert_eq!(source.shown().len(), source.text().len());
    }
}
