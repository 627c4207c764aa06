//! The spellings under which a secret is found: as it is, in parts where it has several lines, and
//! as encoders write it.
//!
//! An encoder is listed where ordinary programs print what went through it: base64, hexadecimal,
//! percent-encoding, the escapes of JSON, XML and shells. It must never list a spelling of fewer than
//! [`SHORTEST`] bytes.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::{LARGEST, SHORTEST};

/// Columns after which programs break base64: PEM, `base64` and MIME.
const COLUMNS: [usize; 2] = [64, 76];

/// What of a value is masked: the whole, and each line of its own that says enough. Else why nothing
/// is.
pub(super) fn parts(value: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let whole = value.trim_ascii();
    if length(whole) < SHORTEST {
        return Err(format!("it is shorter than {SHORTEST} characters"));
    }
    if value.len() > LARGEST {
        return Err(format!("it is larger than {} KiB", LARGEST >> 10));
    }
    let mut parts = vec![whole.to_vec()];
    if whole.contains(&b'\n') {
        let lines = whole.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let lines = lines.filter(|line| length(line) >= SHORTEST && !is_common(line));
        for line in lines.map(<[u8]>::to_vec) {
            if !parts.contains(&line) {
                parts.push(line);
            }
        }
    }
    Ok(parts)
}

/// Characters, where it is a text.
fn length(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).map_or(bytes.len(), |text| text.chars().count())
}

/// Whether a line is the same in many secrets: the frame of a key, or a rule.
fn is_common(line: &[u8]) -> bool {
    let is_frame = line.starts_with(b"-----") && line.ends_with(b"-----");
    is_frame || line.iter().all(u8::is_ascii_punctuation)
}

/// All spellings of a value.
pub(super) fn forms(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([value.to_vec()]);
    base64(value, &mut forms);
    // Whatever encodes byte by byte leaves the encoded lines of a value whole, and these are parts of
    // their own; all spellings of a large value would cost memory for nothing.
    if !value.contains(&b'\n') || value.len() <= 1024 {
        for digits in [&b"0123456789abcdef"[..], b"0123456789ABCDEF"] {
            forms.insert(
                value
                    .iter()
                    .flat_map(|byte| hexadecimal(*byte, digits))
                    .collect(),
            );
            for unchanged in UNCHANGED {
                forms.insert(percent(value, unchanged, digits));
            }
        }
        if let Ok(text) = std::str::from_utf8(value) {
            json(text, &mut forms);
            forms.extend(XML.iter().map(|table| replaced(text, table)));
            shell(text, &mut forms);
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// Base64 in both alphabets. Inside of a longer text a value begins in any of three places of a group,
/// and only the digits that depend on nothing else are the same in each; at the end of a text the last
/// digit is known too, with padding or without.
fn base64(value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let mut data = vec![0; before];
            data.extend_from_slice(value);
            let encoded = engine.encode(&data).into_bytes();
            let begin = [0, 2, 3][before];
            let certain = data.len() * 8 / 6;
            forms.insert(encoded[begin..certain].to_vec());
            forms.insert(encoded[begin..].to_vec());
            let mut padded = encoded[begin..].to_vec();
            padded.resize(encoded.len().next_multiple_of(4) - begin, b'=');
            forms.insert(padded);
        }
        let encoded = engine.encode(value).into_bytes();
        let mut padded = encoded.clone();
        padded.resize(encoded.len().next_multiple_of(4), b'=');
        for columns in COLUMNS {
            if encoded.len() > columns {
                forms.extend(encoded.chunks(columns).map(<[u8]>::to_vec));
                forms.extend(padded.chunks(columns).map(<[u8]>::to_vec));
            }
        }
    }
}

fn hexadecimal(byte: u8, digits: &[u8]) -> [u8; 2] {
    [
        digits[usize::from(byte >> 4)],
        digits[usize::from(byte & 15)],
    ]
}

/// What percent-encoders leave as it is beside letters and digits: the unreserved characters of RFC
/// 3986, `encodeURIComponent`, Python's `quote`, Go's `PathEscape`, `encodeURI`, the forms of HTML,
/// and nothing. A space in a form is a `+`.
const UNCHANGED: [&[u8]; 8] = [
    b"-_.~",
    b"-_.!~*'()",
    b"-_.~/",
    b"-_.~$&+=:@",
    b"-_.!~*'();/?:@&=+$,#",
    b"-_.* ",
    b"-_.~ ",
    b"",
];

fn percent(value: &[u8], unchanged: &[u8], digits: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(value.len() * 3);
    for byte in value {
        let is_plain = !unchanged.is_empty() && byte.is_ascii_alphanumeric();
        match byte {
            b' ' if unchanged.contains(byte) => encoded.push(b'+'),
            _ if is_plain || unchanged.contains(byte) => encoded.push(*byte),
            _ => {
                encoded.push(b'%');
                encoded.extend(hexadecimal(*byte, digits));
            }
        }
    }
    encoded
}

/// The escapes of JSON: the necessary ones, with `\/`, with what is special in HTML, in ASCII alone;
/// each once and twice, since logs are JSON in which JSON is quoted.
fn json(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let plain = |character: char| !matches!(character, '"' | '\\') && !character.is_control();
    for upper in [false, true] {
        let escape = |text: &str, must: &dyn Fn(char) -> bool, slash: bool| -> String {
            let mut escaped = String::with_capacity(text.len() * 2);
            for character in text.chars() {
                match character {
                    '"' => escaped.push_str("\\\""),
                    '\\' => escaped.push_str("\\\\"),
                    '\n' => escaped.push_str("\\n"),
                    '\r' => escaped.push_str("\\r"),
                    '\t' => escaped.push_str("\\t"),
                    '\u{8}' => escaped.push_str("\\b"),
                    '\u{c}' => escaped.push_str("\\f"),
                    '/' if slash => escaped.push_str("\\/"),
                    _ if plain(character) && !must(character) => escaped.push(character),
                    _ => {
                        for unit in character.encode_utf16(&mut [0; 2]) {
                            escaped.push_str(&match upper {
                                false => format!("\\u{unit:04x}"),
                                true => format!("\\u{unit:04X}"),
                            });
                        }
                    }
                }
            }
            escaped
        };
        let nothing = |_: char| false;
        let beyond_ascii = |character: char| !character.is_ascii();
        let in_html =
            |character: char| matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let in_scripts = |character: char| in_html(character) || character == '\'';
        let ways: [(&dyn Fn(char) -> bool, bool); 6] = [
            (&nothing, false),
            (&nothing, true),
            (&beyond_ascii, false),
            (&beyond_ascii, true),
            (&in_html, false),
            (&in_scripts, false),
        ];
        for (must, slash) in ways {
            let once = escape(text, must, slash);
            forms.insert(escape(&once, &nothing, false).into_bytes());
            forms.insert(once.into_bytes());
        }
    }
}

type Table = &'static [(char, &'static str)];

/// How writers of XML and HTML escape.
const XML: [Table; 5] = [
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")],
    &[
        ('&', "&amp;"),
        ('<', "&lt;"),
        ('>', "&gt;"),
        ('"', "&quot;"),
        ('\'', "&apos;"),
        ('\n', "&#10;"),
    ],
    &[
        ('&', "&amp;"),
        ('<', "&lt;"),
        ('>', "&gt;"),
        ('"', "&quot;"),
        ('\'', "&#39;"),
        ('\n', "&#xA;"),
    ],
    &[
        ('&', "&amp;"),
        ('<', "&lt;"),
        ('>', "&gt;"),
        ('"', "&quot;"),
        ('\'', "&#x27;"),
        ('\n', "&#xa;"),
    ],
    &[
        ('&', "&amp;"),
        ('<', "&lt;"),
        ('>', "&gt;"),
        ('"', "&#34;"),
        ('\'', "&#39;"),
        ('\n', "&#10;"),
    ],
];

fn replaced(text: &str, table: Table) -> Vec<u8> {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match table.iter().find(|(from, _)| *from == character) {
            Some((_, to)) => escaped.push_str(to),
            None => escaped.push(character),
        }
    }
    escaped.into_bytes()
}

/// How shells show a word (`set -x`): in single quotes, or with backslashes.
fn shell(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(text.replace('\'', "'\\''").into_bytes());
    forms.insert(text.replace('\'', "'\"'\"'").into_bytes());
    let mut escaped = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        let is_plain = character.is_alphanumeric() || "_-./:=@%+,".contains(character);
        if !is_plain && character != '\n' {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    forms.insert(escaped.into_bytes());
    // In double quotes.
    let mut quoted = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if matches!(character, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    forms.insert(quoted.into_bytes());
}
