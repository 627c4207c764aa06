//! From the bytes of a report to characters: owns the guess of the encoding.
//!
//! It must never fail: bytes that mean nothing become U+FFFD, since a report with one bad byte in a
//! test's output still says which test failed.

use std::borrow::Cow;

/// How far into a document its XML declaration is looked for, in bytes.
const DECLARATION_WINDOW: usize = 256;

/// A document as characters.
pub(super) struct Decoded<'bytes> {
    /// The text, without a byte-order mark.
    pub(super) text: Cow<'bytes, str>,
    /// Whether bytes had to be replaced, because they mean nothing in the document's encoding.
    pub(super) replaced: bool,
}

/// Decodes by byte-order mark, then as UTF-8 whatever is declared (a declaration that lies is
/// common, a long text that is valid UTF-8 by accident is not), then as the declared single-byte
/// encoding, and last as UTF-8 with replacements.
pub(super) fn decode(bytes: &[u8]) -> Decoded<'_> {
    if let Some(units) = wide(bytes) {
        let decoded: Result<String, _> = char::decode_utf16(units.iter().copied()).collect();
        let replaced = decoded.is_err();
        let text = decoded.unwrap_or_else(|_| String::from_utf16_lossy(&units));
        let text = text.trim_start_matches('\u{feff}').to_owned();
        return Decoded {
            text: Cow::Owned(text),
            replaced,
        };
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Decoded {
            text: Cow::Borrowed(text),
            replaced: false,
        };
    }
    if declares_single_byte(bytes) {
        let text = bytes.iter().map(|byte| windows_1252(*byte)).collect();
        return Decoded {
            text: Cow::Owned(text),
            replaced: false,
        };
    }
    Decoded {
        text: String::from_utf8_lossy(bytes),
        replaced: true,
    }
}

/// The 16-bit units of a document in UTF-16, known by its mark or by the zero byte beside its first
/// `<`.
fn wide(bytes: &[u8]) -> Option<Vec<u16>> {
    let big = match bytes.get(..2)? {
        [0xfe, 0xff] | [0, b'<'] => true,
        [0xff, 0xfe] | [b'<', 0] => false,
        _ => return None,
    };
    let unit = |pair: &[u8]| {
        let pair = [
            pair.first().copied().unwrap_or(0),
            pair.get(1).copied().unwrap_or(0),
        ];
        if big {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        }
    };
    Some(bytes.chunks(2).map(unit).collect())
}

/// Whether the declaration names Latin-1 or one of its near relatives.
fn declares_single_byte(bytes: &[u8]) -> bool {
    let window = &bytes[..bytes.len().min(DECLARATION_WINDOW)];
    let head = String::from_utf8_lossy(window).to_ascii_lowercase();
    let declaration = head.split("?>").next().unwrap_or_default();
    let Some((_, value)) = declaration.split_once("encoding") else {
        return false;
    };
    let value = value.trim_start().trim_start_matches('=').trim_start();
    let name = value.trim_start_matches(['"', '\'']);
    [
        "iso-8859-1",
        "iso8859-1",
        "iso_8859-1",
        "latin1",
        "latin-1",
        "windows-125",
        "cp125",
        "us-ascii",
    ]
    .iter()
    .any(|known| name.starts_with(known))
}

/// The character of a byte in Windows-1252, which is what is really meant when Latin-1 is declared:
/// the C1 controls that Latin-1 has in its place do not occur in reports.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_guessed_in_order() {
        assert_eq!(decode(b"\xef\xbb\xbf<a/>").text, "<a/>");
        assert_eq!(decode(b"\xff\xfe<\0a\0/\0>\0").text, "<a/>");
        assert_eq!(decode(b"\0<\0a\0/\0>").text, "<a/>");
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9\x80</a>";
        assert!(decode(latin).text.ends_with("<a>é€</a>"));
        let lossy = decode(b"<a>\xe9</a>");
        assert_eq!(
            (lossy.text.as_ref(), lossy.replaced),
            ("<a>\u{fffd}</a>", true)
        );
    }
}
