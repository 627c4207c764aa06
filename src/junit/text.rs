//! What may stand in an XML 1.0 document: owns the sanitiser, the escapes and the bounds of texts.
//!
//! It must never refuse a text: whatever a test printed, something legal comes out. It knows
//! nothing of JUnit, and every function here is idempotent, so that cleaning twice does no harm.

use std::borrow::Cow;

/// What stands for a character that XML 1.0 cannot carry.
pub const REPLACEMENT: char = '\u{fffd}';

/// Longest operating-system command (a title, a hyperlink) that is taken out whole, in bytes. A
/// lone `ESC ]` must not swallow a megabyte of output while its end is being looked for.
const LONGEST_COMMAND: usize = 4096;

/// Whether XML 1.0 allows this character, raw or as a character reference (production 2, `Char`).
#[must_use]
pub const fn is_legal(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// The text without anything that XML 1.0 cannot carry: terminal escape sequences (colours, cursor
/// moves, titles) go whole, any other illegal character becomes U+FFFD.
#[must_use]
pub fn sanitise(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(|character| !is_legal(character)) else {
        return Cow::Borrowed(text);
    };
    let mut clean = String::with_capacity(text.len());
    let (legal, mut rest) = text.split_at(first);
    clean.push_str(legal);
    while let Some(character) = rest.chars().next() {
        if is_legal(character) {
            let end = rest
                .find(|candidate| !is_legal(candidate))
                .unwrap_or(rest.len());
            clean.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        match escape_sequence(rest) {
            Some(length) => rest = &rest[length..],
            None => {
                clean.push(REPLACEMENT);
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    Cow::Owned(clean)
}

/// Length in bytes of the complete terminal escape sequence at the start of the text.
fn escape_sequence(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&0x1b) {
        return None;
    }
    match bytes.get(1)? {
        // A control sequence (ECMA-48, 5.4): parameters, intermediates and one final byte.
        b'[' => {
            let parameters = bytes[2..]
                .iter()
                .take_while(|byte| matches!(byte, 0x30..=0x3f))
                .count();
            let intermediates = bytes[2 + parameters..]
                .iter()
                .take_while(|byte| matches!(byte, 0x20..=0x2f))
                .count();
            let last = 2 + parameters + intermediates;
            matches!(bytes.get(last), Some(0x40..=0x7e)).then_some(last + 1)
        }
        // An operating-system command ends with BEL or with `ESC \`.
        b']' => {
            let window = &bytes[..bytes.len().min(LONGEST_COMMAND)];
            let end = window
                .iter()
                .skip(2)
                .position(|byte| *byte < 0x20)
                .map(|position| position + 2)?;
            match (window[end], window.get(end + 1)) {
                (0x07, _) => Some(end + 1),
                (0x1b, Some(b'\\')) => Some(end + 2),
                _ => None,
            }
        }
        // `tput sgr0` selects the ASCII character set before it resets the colours.
        b'(' | b')' => matches!(bytes.get(2), Some(0x30..=0x7e)).then_some(3),
        _ => None,
    }
}

/// The text with every line end as XML readers deliver it: `\r\n` and a lone `\r` become `\n`
/// (XML 1.0, section 2.11).
#[must_use]
pub fn normalise_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The pieces of a text that each fit one CDATA section: `]]>` is cut between its second and third
/// character, so that no section ends early. At least one piece, which may be empty.
pub fn cdata_sections(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        if let Some(position) = current.find("]]>") {
            let (section, next) = current.split_at(position + 2);
            rest = Some(next);
            Some(section)
        } else {
            rest = None;
            Some(current)
        }
    })
}

/// The text, ready to be the content of one CDATA event: where `]]>` stood, the section is closed
/// and a new one opened.
#[must_use]
pub fn split_cdata(text: &str) -> Cow<'_, str> {
    if text.contains("]]>") {
        Cow::Owned(text.replace("]]>", "]]]]><![CDATA[>"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The sanitised text, escaped to stand between tags. `>` is escaped too, because `]]>` is not
/// allowed there; `\r` becomes a reference, because readers turn a raw one into `\n`.
#[must_use]
pub fn escape_content(text: &str) -> String {
    escape(text, false)
}

/// The sanitised text, escaped to stand in an attribute between double quotes. Line ends and tabs
/// become references, because readers turn raw ones into spaces.
#[must_use]
pub fn escape_attribute(text: &str) -> String {
    escape(text, true)
}

fn escape(text: &str, attribute: bool) -> String {
    let text = sanitise(text);
    let mut escaped = String::with_capacity(text.len() + text.len() / 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            '"' if attribute => escaped.push_str("&quot;"),
            '\n' if attribute => escaped.push_str("&#10;"),
            '\t' if attribute => escaped.push_str("&#9;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// At most `limit` bytes of the text: the beginning, a note of how much is left out, and the end.
/// The cut falls on character boundaries. The middle goes, because the cause of a failure stands at
/// the beginning or at the end of an output. Where not even the note fits, the beginning alone
/// stays.
#[must_use]
pub fn truncate_middle(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    // The note for the whole text is at least as long as the note that is written.
    let reserved = left_out(text.len()).len();
    if limit < reserved {
        return Cow::Borrowed(&text[..boundary_before(text, limit)]);
    }
    let kept = limit - reserved;
    let head = boundary_before(text, kept / 2);
    let tail = boundary_after(text, text.len() - (kept - head));
    let note = left_out(tail - head);
    Cow::Owned([&text[..head], &note, &text[tail..]].concat())
}

fn left_out(bytes: usize) -> String {
    format!("\n[… {bytes} bytes left out …]\n")
}

fn boundary_before(text: &str, index: usize) -> usize {
    (0..=index.min(text.len()))
        .rev()
        .find(|candidate| text.is_char_boundary(*candidate))
        .unwrap_or(0)
}

fn boundary_after(text: &str, index: usize) -> usize {
    (index..text.len())
        .find(|candidate| text.is_char_boundary(*candidate))
        .unwrap_or(text.len())
}

/// The text in which every character reference and the five predefined entities are resolved. A
/// reference to an illegal character becomes the raw character, which the sanitiser sees next; an
/// unknown entity stays as it is written, because nothing is ever expanded.
#[must_use]
pub fn resolve_references(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find('&') {
        resolved.push_str(&rest[..position]);
        rest = &rest[position..];
        // No reference that can be resolved is longer than `&#x0000000000000000010FFFF;`, and a
        // bounded look-ahead keeps a megabyte of `&` linear.
        let end = rest
            .bytes()
            .take(LONGEST_REFERENCE)
            .position(|byte| byte == b';');
        match end.and_then(|end| resolve_reference(&rest[1..end]).map(|found| (found, end))) {
            Some((character, end)) => {
                resolved.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                resolved.push('&');
                rest = &rest[1..];
            }
        }
    }
    resolved.push_str(rest);
    Cow::Owned(resolved)
}

const LONGEST_REFERENCE: usize = 32;

/// The character that a reference stands for, given what is between `&` and `;`. A number that is
/// no character at all (a surrogate, too large) gives U+FFFD; an unknown entity gives nothing.
#[must_use]
pub fn resolve_reference(reference: &str) -> Option<char> {
    let Some(number) = reference.strip_prefix('#') else {
        return match reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => None,
        };
    };
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    Some(char::from_u32(code).unwrap_or(REPLACEMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_whole_and_other_controls_are_replaced() {
        assert_eq!(sanitise("a\x1b[1;31mred\x1b[0m b"), "ared b");
        assert_eq!(sanitise("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07"), "link");
        assert_eq!(sanitise("\x1b(B\x1b[mok"), "ok");
        assert_eq!(sanitise("nul\0 bell\x07"), "nul\u{fffd} bell\u{fffd}");
        assert_eq!(sanitise("cut \x1b[31"), "cut \u{fffd}[31");
        assert_eq!(sanitise("\u{fffe}\u{ffff}"), "\u{fffd}\u{fffd}");
        assert!(matches!(sanitise("plain\ttext\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_section_never_ends_early() {
        let sections: Vec<_> = cdata_sections("a]]>b]]]>").collect();
        assert_eq!(sections, ["a]]", ">b]]]", ">"]);
        assert_eq!(split_cdata("a]]>b"), "a]]]]><![CDATA[>b");
        assert_eq!(cdata_sections("").count(), 1);
    }

    #[test]
    fn the_middle_goes_on_character_boundaries() {
        let text = "é".repeat(1000);
        for limit in 0..200 {
            let bounded = truncate_middle(&text, limit);
            assert!(bounded.len() <= limit, "{limit}: {}", bounded.len());
        }
        assert_eq!(
            truncate_middle(&"0123456789".repeat(10), 50),
            "0123456789\n[… 80 bytes left out …]\n0123456789"
        );
        assert_eq!(truncate_middle("short", 5), "short");
    }

    #[test]
    fn references_are_resolved_and_entities_are_not() {
        assert_eq!(
            resolve_references("&lt;&#65;&#x42;&nbsp;&#0;&#xd800;& &amp"),
            "<AB&nbsp;\0\u{fffd}& &amp"
        );
        assert_eq!(resolve_reference("#-1"), None);
        assert_eq!(resolve_reference("#99999999999"), Some(REPLACEMENT));
    }

    #[test]
    fn attribute_values_keep_their_lines() {
        assert_eq!(
            escape_attribute("a\n\"<&>\"\t"),
            "a&#10;&quot;&lt;&amp;&gt;&quot;&#9;"
        );
        assert_eq!(escape_content("a\n]]>\r"), "a\n]]&gt;&#13;");
    }
}
