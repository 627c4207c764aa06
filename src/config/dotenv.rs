//! `.env` and `env_file:` files, by Compose's rules.
//!
//! Pure: a text and a lookup give variables, or errors with their place. Reading the file is not
//! done here.

use std::collections::BTreeMap;
use std::ops::Range;

use super::interpolate::interpolate;

/// What is wrong at one place of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DotenvError {
    /// Lower case, no full stop.
    pub message: String,
    /// Byte range in the text.
    pub range: Range<usize>,
}

/// The variables of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dotenv {
    /// The variables; a name that is given again has its last value. A name without `=` is there
    /// only when the lookup knows it.
    pub variables: BTreeMap<String, String>,
    /// Variables used in values that have no value themselves, with the place of the value.
    pub unset: Vec<(String, Range<usize>)>,
}

/// Reads a file.
///
/// `lookup` is asked first for variables used in values, then the lines above: the host's
/// environment wins.
///
/// # Errors
/// All lines that are wrong.
pub fn parse<'a>(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<Dotenv, Vec<DotenvError>> {
    parse_after(text, BTreeMap::new(), lookup)
}

/// Reads a file that comes after others: what they say is known in its values, and is replaced by
/// what it says itself.
///
/// # Errors
/// All lines that are wrong.
pub fn parse_after<'a>(
    text: &str,
    earlier: BTreeMap<String, String>,
    lookup: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<Dotenv, Vec<DotenvError>> {
    let mut reader = Reader {
        text,
        at: 0,
        lookup,
        found: Dotenv {
            variables: earlier,
            unset: Vec::new(),
        },
        errors: Vec::new(),
    };
    reader.run();
    if reader.errors.is_empty() {
        Ok(reader.found)
    } else {
        Err(reader.errors)
    }
}

/// Reads a file of the `raw` format, which is that of `docker run --env-file`: everything after the
/// first `=` is the value, whatever it holds. `#` at the start of a line makes it a comment.
///
/// # Errors
/// All lines that are wrong.
pub fn parse_raw<'a>(
    text: &str,
    mut earlier: BTreeMap<String, String>,
    lookup: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<BTreeMap<String, String>, Vec<DotenvError>> {
    let mut errors = Vec::new();
    let mut start = 0;
    for full in text.split_inclusive('\n') {
        let range = start..start + full.trim_end_matches(['\n', '\r']).len();
        start += full.len();
        let line = full.strip_suffix('\n').unwrap_or(full);
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (line, None),
        };
        if key.is_empty() || key.contains(char::is_whitespace) {
            let message = "expected the name of a variable, without spaces".to_owned();
            errors.push(DotenvError { message, range });
            continue;
        }
        if let Some(value) = value.or_else(|| lookup(key)) {
            earlier.insert(key.to_owned(), value.to_owned());
        }
    }
    if errors.is_empty() {
        Ok(earlier)
    } else {
        Err(errors)
    }
}

struct Reader<'t, 'l, 'a> {
    text: &'t str,
    at: usize,
    lookup: &'l dyn Fn(&str) -> Option<&'a str>,
    found: Dotenv,
    errors: Vec<DotenvError>,
}

impl Reader<'_, '_, '_> {
    fn run(&mut self) {
        loop {
            self.skip_while(char::is_whitespace);
            if self.rest().is_empty() {
                return;
            }
            if self.rest().starts_with('#') {
                self.skip_line();
                continue;
            }
            let line_start = self.at;
            if let Err(error) = self.statement() {
                self.errors.push(error);
                // A statement that is wrong ends with its first line.
                self.at = line_start;
                self.skip_line();
            }
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
    }

    fn line_range(&self, start: usize) -> Range<usize> {
        let line = self
            .text
            .get(start..)
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default();
        start..start + line.len()
    }

    fn statement(&mut self) -> Result<(), DotenvError> {
        if let Some(after) = self.rest().strip_prefix("export")
            && after.starts_with(is_blank)
        {
            self.at += "export".len();
            self.skip_while(is_blank);
        }
        let start = self.at;
        self.skip_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']'));
        let key = self.text.get(start..self.at).unwrap_or_default().to_owned();
        let key_range = start..self.at;
        self.skip_while(is_blank);
        let next = self.rest().chars().next();
        if key.is_empty() {
            let message = "expected the name of a variable".to_owned();
            return Err(DotenvError {
                message,
                range: self.line_range(start),
            });
        }
        match next {
            Some('=' | ':') => self.at += 1,
            None | Some('\n') => {
                // A name alone takes its value from outside, or is not there.
                if let Some(value) = (self.lookup)(&key) {
                    self.found.variables.insert(key, value.to_owned());
                }
                return Ok(());
            }
            Some(_) if self.at > key_range.end => {
                let message = "the name of a variable cannot contain a space".to_owned();
                return Err(DotenvError {
                    message,
                    range: self.line_range(start),
                });
            }
            Some(other) => {
                let message = format!("unexpected character `{other}` in the name of a variable");
                return Err(DotenvError {
                    message,
                    range: self.at..self.at + other.len_utf8(),
                });
            }
        }
        self.skip_while(is_blank);
        let value = self.value()?;
        self.found.variables.insert(key, value);
        Ok(())
    }

    fn value(&mut self) -> Result<String, DotenvError> {
        let start = self.at;
        let Some(quote) = self
            .rest()
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))
        else {
            let line = self.line_range(start);
            let raw = self.text.get(line.clone()).unwrap_or_default();
            let value = raw
                .split(" #")
                .next()
                .unwrap_or_default()
                .trim_end()
                .to_owned();
            self.skip_line();
            return self.expand(&value, line);
        };
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (offset, character) in self.rest().char_indices().skip(1) {
            if escaped {
                escaped = false;
                if character != quote {
                    value.push('\\');
                }
                value.push(character);
            } else if character == '\\' {
                escaped = true;
            } else if character == quote {
                end = Some(start + offset + 1);
                break;
            } else {
                value.push(character);
            }
        }
        let Some(end) = end else {
            let message = format!("the `{quote}` quote is not closed");
            return Err(DotenvError {
                message,
                range: self.line_range(start),
            });
        };
        self.at = end;
        if quote == '"' {
            self.expand(&unescape(&value), start..end)
        } else {
            Ok(value)
        }
    }

    fn expand(&mut self, value: &str, range: Range<usize>) -> Result<String, DotenvError> {
        let variables = &self.found.variables;
        let lookup = self.lookup;
        let done = interpolate(value, &|name| {
            lookup(name).or_else(|| variables.get(name).map(String::as_str))
        })
        .map_err(|error| DotenvError {
            message: error.to_string(),
            range: range.clone(),
        })?;
        self.found.unset.extend(
            done.unset
                .into_iter()
                .map(|(name, _)| (name, range.clone())),
        );
        Ok(done.text)
    }
}

fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}'
    )
}

/// The escapes of a double-quoted value. `\$` becomes `$$`, which interpolation gives back as `$`;
/// an unknown escape stays as it is.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(slash) = rest.find('\\') {
        let (before, from) = rest.split_at(slash);
        out.push_str(before);
        let (replacement, used) = match from.as_bytes().get(1) {
            Some(b'a') => ("\u{7}".to_owned(), 2),
            Some(b'b') => ("\u{8}".to_owned(), 2),
            Some(b'f') => ("\u{c}".to_owned(), 2),
            Some(b'n') => ("\n".to_owned(), 2),
            Some(b'r') => ("\r".to_owned(), 2),
            Some(b't') => ("\t".to_owned(), 2),
            Some(b'v') => ("\u{b}".to_owned(), 2),
            Some(b'"') => ("\"".to_owned(), 2),
            Some(b'\\') => ("\\".to_owned(), 2),
            Some(b'$') => ("$$".to_owned(), 2),
            Some(b'0') => octal(from).unwrap_or_else(|| ("\\".to_owned(), 1)),
            _ => ("\\".to_owned(), 1),
        };
        out.push_str(&replacement);
        rest = from.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// `\0` and three octal digits: one character.
fn octal(text: &str) -> Option<(String, usize)> {
    let digits = text.get(2..5)?;
    let value = u8::from_str_radix(digits, 8)
        .ok()
        .filter(|_| !digits.starts_with('+'))?;
    Some((char::from(value).to_string(), 5))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(text: &str) -> String {
        let host = |name: &str| (name == "HOST").then_some("outside");
        match parse(text, &host) {
            Ok(found) => {
                let mut lines: Vec<String> = found
                    .variables
                    .iter()
                    .map(|(name, value)| format!("{name}={value:?}"))
                    .collect();
                lines.extend(
                    found
                        .unset
                        .iter()
                        .map(|(name, at)| format!("unset {name} @{at:?}")),
                );
                lines.join("\n")
            }
            Err(errors) => {
                let lines: Vec<String> = errors
                    .iter()
                    .map(|error| format!("{error} @{:?}", error.range))
                    .collect();
                lines.join("\n")
            }
        }
    }

    #[test]
    fn reads_what_compose_reads() {
        insta::assert_snapshot!(show(concat!(
            "# a comment\n\n",
            "PLAIN=a b # said\n",
            "HASH=a#b\n",
            "  export EXPORTED = x  \n",
            "YAML: y\n",
            "EMPTY=\n",
            "SINGLE='a $PLAIN \\n'\n",
            "DOUBLE=\"a\\t${PLAIN} \\$x \\\"q\\\" \\041\"\n",
            "MULTI=\"one\ntwo\" # after\n",
            "USES=${HOST}-$PLAIN-${NOPE:-d}\n",
            "HOST\nABSENT\n",
            "1DIGIT=x\n",
            "CR=v\r\n",
            "LAST=$GONE",
        )), @r#"
        1DIGIT="x"
        CR="v"
        DOUBLE="a\ta b $x \"q\" \\041"
        EMPTY=""
        EXPORTED="x"
        HASH="a#b"
        HOST="outside"
        LAST=""
        MULTI="one\ntwo"
        PLAIN="a b"
        SINGLE="a $PLAIN \\n"
        USES="outside-a b-d"
        YAML="y"
        unset GONE @222..227
        "#);
    }

    #[test]
    fn collects_all_errors() {
        insta::assert_snapshot!(show("A B=1\nOK=1\nC!=2\n=3\nD=\"open\nE=${\n"), @r#"
        the name of a variable cannot contain a space @0..5
        unexpected character `!` in the name of a variable @12..13
        expected the name of a variable @16..18
        the `"` quote is not closed @21..26
        `${` is not closed @29..31
        "#);
    }

    #[test]
    fn a_file_cannot_grow_without_bound() {
        let mut text = "A=xxxxxxxxxxxxxxxx\n".to_owned();
        for _ in 0..40 {
            text.push_str("A=$A$A$A$A\n");
        }
        assert!(show(&text).contains("longer than 1048576 bytes"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "([A-Bé=:# \\n'\"\\\\$]|\\$\\{|\\}|export |[0-9]){0,40}") {
            let _ = show(&text);
        }

        #[test]
        fn single_quoted_values_come_back(value in "[^'\\\\]{0,30}") {
            let found = parse(&format!("K='{value}'"), &|_| None).unwrap();
            prop_assert_eq!(found.variables.get("K"), Some(&value));
        }
    }
}
