//! Output of containers as it comes, as lines with a prefix that says whose they are.
//!
//! Lines are whole: those of different containers never mix. Nothing in them can move the cursor, clear
//! the screen or end a line.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::harmless::one_line;
use crate::engine::OutputStream;
use crate::lines::Assembly;
use crate::name::ServiceName;

/// Characters of a line that are shown. A minified bundle or a stack of JSON is in the log.
pub(super) const LONGEST_SHOWN: usize = 4000;

/// Longest name that other prefixes are padded to.
const WIDEST: usize = 24;

/// Colours of prefixes (ECMA-48, SGR), one after the other: not red, which says that something failed.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 96];

/// The lines that are not shown yet, and how those that are look.
pub(super) struct Live {
    width: usize,
    colours: bool,
    names: Vec<ServiceName>,
    partial: BTreeMap<(ServiceName, OutputStream), Assembly>,
    /// Bytes of each that came faster than they could be shown.
    skipped: BTreeMap<ServiceName, u64>,
}

impl Live {
    pub(super) fn new(names: &BTreeSet<ServiceName>, colours: bool) -> Self {
        let widths = names.iter().map(|name| name.as_str().chars().count());
        Self {
            width: widths.max().unwrap_or(0).min(WIDEST),
            colours,
            names: names.iter().cloned().collect(),
            partial: BTreeMap::new(),
            skipped: BTreeMap::new(),
        }
    }

    /// The lines that a piece of output completes.
    pub(super) fn lines(
        &mut self,
        service: &ServiceName,
        stream: OutputStream,
        bytes: &[u8],
    ) -> Vec<String> {
        let mut lines = Vec::from_iter(self.gap(service));
        let prefix = self.prefix(service, stream);
        let colours = self.colours;
        let partial = self.partial.entry((service.clone(), stream)).or_default();
        partial.push(bytes, |piece| {
            lines.push(format!("{prefix}{}", shown(piece.bytes, colours)));
        });
        lines
    }

    /// The lines that the end of a container ends.
    pub(super) fn end(&mut self, service: &ServiceName) -> Vec<String> {
        let mut lines = Vec::new();
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let prefix = self.prefix(service, stream);
            let colours = self.colours;
            if let Some(mut partial) = self.partial.remove(&(service.clone(), stream)) {
                partial.finish(|piece| {
                    lines.push(format!("{prefix}{}", shown(piece.bytes, colours)));
                });
            }
        }
        lines.extend(self.gap(service));
        lines
    }

    /// Notes that so many bytes of a container are not shown.
    pub(super) fn skip(&mut self, service: &ServiceName, bytes: u64) {
        *self.skipped.entry(service.clone()).or_default() += bytes;
    }

    /// What is said in the place of what is not shown.
    fn gap(&mut self, service: &ServiceName) -> Option<String> {
        let bytes = self.skipped.remove(service)?;
        let prefix = self.prefix(service, OutputStream::Stderr);
        Some(format!(
            "{prefix}[envrun: {bytes} bytes are not shown, the terminal is too slow; the log is whole]"
        ))
    }

    /// Whose line it is; a `!` tells standard error.
    fn prefix(&self, service: &ServiceName, stream: OutputStream) -> String {
        let name = service.as_str();
        let width = self.width;
        let mark = match stream {
            OutputStream::Stdout => '|',
            OutputStream::Stderr => '!',
        };
        if !self.colours {
            return format!("{name:<width$} {mark} ");
        }
        let number = self.names.iter().position(|one| one == service);
        let colour = COLOURS[number.unwrap_or(0) % COLOURS.len()];
        format!("\u{1b}[{colour}m{name:<width$} {mark}\u{1b}[0m ")
    }
}

/// A line as a terminal may get it.
fn shown(bytes: &[u8], colours: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    // A bar of progress writes over itself: what it came to in the end is what a terminal would show.
    let text = text.trim_end_matches('\r');
    let text = text
        .rsplit('\r')
        .find(|part| !part.is_empty())
        .unwrap_or(text);
    let mut line = one_line(text);
    // These turn the order of characters around, to the end of the line.
    line.retain(|letter| !matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    if !colours {
        line = without_colours(&line);
    }
    let end = line.char_indices().nth(LONGEST_SHOWN).map(|(end, _)| end);
    if let Some(end) = end {
        let left = line[end..].chars().count();
        line.truncate(end);
        // Half a colour would swallow what follows.
        if let Some(begin) = line
            .rfind('\u{1b}')
            .filter(|begin| !line[*begin..].contains('m'))
        {
            line.truncate(begin);
        }
        line.push_str(&format!("… [{left} more characters]"));
    }
    if line.contains('\u{1b}') {
        line.push_str("\u{1b}[0m");
    }
    line
}

/// What is left of control sequences are colours, which end with an `m`.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut parts = line.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(colours: bool) -> Live {
        let names = ["e2e", "database"].map(ServiceName::new);
        Live::new(&BTreeSet::from(names), colours)
    }

    #[test]
    fn lines_are_whole_and_say_whose_they_are() {
        let mut live = live(false);
        let (e2e, database) = (ServiceName::new("e2e"), ServiceName::new("database"));
        let mut shown = live.lines(&e2e, OutputStream::Stdout, b"one\ntw");
        shown.extend(live.lines(&database, OutputStream::Stdout, b"ready\n"));
        shown.extend(live.lines(&e2e, OutputStream::Stderr, b"oops\n"));
        shown.extend(live.lines(&e2e, OutputStream::Stdout, b"o\r\nlast"));
        live.skip(&e2e, 12);
        shown.extend(live.end(&e2e));
        insta::assert_snapshot!(shown.join("\n"), @r"
        e2e      | one
        database | ready
        e2e      ! oops
        e2e      | two
        e2e      | last
        e2e      ! [envrun: 12 bytes are not shown, the terminal is too slow; the log is whole]
        ");
    }

    #[test]
    fn nothing_harmful_is_left_and_colours_are_where_they_are_wanted() {
        let hostile =
            "\u{1b}[31mred\u{1b}[0m\u{1b}[2J\u{1b}[H\u{7}\u{1b}]0;title\u{7} \u{202e}end\u{9b}1m";
        for (colours, expected) in [
            (true, "\u{1b}[31mred\u{1b}[0m]0;title end1m\u{1b}[0m"),
            (false, "red]0;title end1m"),
        ] {
            assert_eq!(shown(hostile.as_bytes(), colours), expected);
        }
        assert_eq!(shown(b" 10%\r 50%\r100%\r", true), "100%");
        assert_eq!(shown(&[0xff, b'x'], true), "\u{fffd}x");
        let long = "y".repeat(LONGEST_SHOWN + 7);
        assert!(shown(long.as_bytes(), true).ends_with("y… [7 more characters]"));
    }
}
