//! Variables in values: `$V`, `${V}`, `${V:-default}` and the other forms of the Compose
//! specification.
//!
//! Pure: a text and a lookup give a text, the unset variables, or an error with its offset. It
//! never reads the environment.

use std::ops::Range;

/// Longest result in bytes. Variables can be far longer than their names, so a small text could
/// otherwise grow beyond the memory of the machine.
pub const MAX_RESULT: usize = 1 << 20;

/// Deepest nesting of defaults within defaults.
const MAX_NESTING: usize = 32;

/// A text in which all variables are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interpolated {
    /// The result.
    pub text: String,
    /// Variables that have no value and no default, with their place in the text; each became
    /// empty.
    pub unset: Vec<(String, Range<usize>)>,
}

/// Why a text cannot be interpolated, with the byte range that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct InterpolationError {
    /// What is wrong.
    pub kind: InterpolationErrorKind,
    /// Where it is wrong.
    pub range: Range<usize>,
}

/// The kinds of [`InterpolationError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterpolationErrorKind {
    /// `${` without its `}`.
    #[error("`${{` is not closed")]
    Unclosed,
    /// What stands in the braces does not start with a name.
    #[error("`${{` is not followed by the name of a variable")]
    NoName,
    /// After the name stands something that is no operator.
    #[error("unexpected text after the name of variable `{0}`")]
    BadOperator(String),
    /// `${V:?message}` or `${V?message}`, and there is no value.
    #[error("required variable `{variable}` is missing a value{}", .message.as_deref().map(|m| format!(": {m}")).unwrap_or_default())]
    Required {
        /// The variable.
        variable: String,
        /// What its author has to say.
        message: Option<String>,
    },
    /// Defaults within defaults, too deep.
    #[error("variables are nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// The result would be longer than [`MAX_RESULT`].
    #[error("the value is longer than {MAX_RESULT} bytes once its variables are replaced")]
    TooLong,
}

/// Replaces the variables in `text`.
///
/// `$$` stands for a single `$`. A `$` that starts neither a name nor a brace stays as it is, as in
/// Compose.
///
/// # Errors
/// The syntax is wrong, a required variable has no value, or a limit is passed.
pub fn interpolate<'a>(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<Interpolated, InterpolationError> {
    let mut output = Interpolated::default();
    expand(
        text,
        0,
        0,
        &mut Expansion {
            lookup,
            output: &mut output,
        },
    )?;
    Ok(output)
}

/// Writes a text so that interpolation gives it back unchanged.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

struct Expansion<'e, 'a> {
    lookup: &'e dyn Fn(&str) -> Option<&'a str>,
    output: &'e mut Interpolated,
}

impl Expansion<'_, '_> {
    fn push(&mut self, text: &str, range: Range<usize>) -> Result<(), InterpolationError> {
        if self.output.text.len() + text.len() > MAX_RESULT {
            return Err(InterpolationError {
                kind: InterpolationErrorKind::TooLong,
                range,
            });
        }
        self.output.text.push_str(text);
        Ok(())
    }
}

/// Expands `text`, which stands at byte `base` of the whole.
fn expand(
    text: &str,
    base: usize,
    nesting: usize,
    expansion: &mut Expansion<'_, '_>,
) -> Result<(), InterpolationError> {
    if nesting > MAX_NESTING {
        let range = base..base + text.len();
        return Err(InterpolationError {
            kind: InterpolationErrorKind::TooDeep,
            range,
        });
    }
    let mut rest = text;
    let mut at = base;
    while let Some(dollar) = rest.find('$') {
        let (before, from) = rest.split_at(dollar);
        expansion.push(before, at..at + dollar)?;
        at += dollar;
        let after = from.get(1..).unwrap_or_default();
        let used = if after.starts_with('$') {
            expansion.push("$", at..at + 2)?;
            2
        } else if let Some(inside) = after.strip_prefix('{') {
            let Some(end) = end_of_braced(inside) else {
                let range = at..at + from.len();
                return Err(InterpolationError {
                    kind: InterpolationErrorKind::Unclosed,
                    range,
                });
            };
            let range = at..at + end + 3;
            braced(
                inside.get(..end).unwrap_or_default(),
                range,
                nesting,
                expansion,
            )?;
            end + 3
        } else {
            let name = name_of(after);
            if name.is_empty() {
                expansion.push("$", at..at + 1)?;
            } else {
                variable(name, at..at + 1 + name.len(), expansion)?;
            }
            1 + name.len()
        };
        rest = from.get(used..).unwrap_or_default();
        at += used;
    }
    expansion.push(rest, at..at + rest.len())
}

/// Expands what stands between the braces; `range` covers the whole, `${` and `}` included.
fn braced(
    inside: &str,
    range: Range<usize>,
    nesting: usize,
    expansion: &mut Expansion<'_, '_>,
) -> Result<(), InterpolationError> {
    let name = name_of(inside);
    if name.is_empty() {
        return Err(InterpolationError {
            kind: InterpolationErrorKind::NoName,
            range,
        });
    }
    let after = inside.get(name.len()..).unwrap_or_default();
    if after.is_empty() {
        return variable(name, range, expansion);
    }
    let (empty_is_unset, after_colon) = after
        .strip_prefix(':')
        .map_or((false, after), |rest| (true, rest));
    let mut characters = after_colon.chars();
    let operator = characters.next();
    let argument = characters.as_str();
    let argument_base = range.end.saturating_sub(1 + argument.len());
    let value = (expansion.lookup)(name).filter(|value| !(empty_is_unset && value.is_empty()));
    match (operator, value) {
        (Some('-' | '?'), Some(value)) => expansion.push(value, range),
        (Some('-'), None) | (Some('+'), Some(_)) => {
            expand(argument, argument_base, nesting + 1, expansion)
        }
        (Some('+'), None) => Ok(()),
        (Some('?'), None) => {
            let mut message = Interpolated::default();
            let mut inner = Expansion {
                lookup: expansion.lookup,
                output: &mut message,
            };
            expand(argument, argument_base, nesting + 1, &mut inner)?;
            let message = Some(message.text).filter(|message| !message.is_empty());
            let kind = InterpolationErrorKind::Required {
                variable: name.to_owned(),
                message,
            };
            Err(InterpolationError { kind, range })
        }
        _ => {
            let kind = InterpolationErrorKind::BadOperator(name.to_owned());
            Err(InterpolationError { kind, range })
        }
    }
}

fn variable(
    name: &str,
    range: Range<usize>,
    expansion: &mut Expansion<'_, '_>,
) -> Result<(), InterpolationError> {
    if let Some(value) = (expansion.lookup)(name) {
        return expansion.push(value, range);
    }
    expansion.output.unset.push((name.to_owned(), range));
    Ok(())
}

/// The name that `text` starts with; empty when there is none.
fn name_of(text: &str) -> &str {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// Offset of the brace that ends what was opened just before `text`.
///
/// As in the reference, everything is on one line, and within it the brace that closes all others
/// counts; after an opening brace one character is passed over, so that `${A:-{}}` defaults to `{}`.
/// Where no brace closes all others, the last one of the line ends it.
fn end_of_braced(text: &str) -> Option<usize> {
    let name = name_of(text);
    let after = text.get(name.len()..).unwrap_or_default();
    if after.starts_with('}') {
        return Some(name.len());
    }
    let line = text.split('\n').next().unwrap_or_default();
    let last = line.rfind('}')?;
    let mut depth = 1_usize;
    let mut bytes = line.bytes().enumerate().take(last + 1).skip(1);
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(offset);
                }
            }
            b'{' => {
                depth += 1;
                bytes.next();
            }
            _ => {}
        }
    }
    Some(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Option<&'static str> {
        match name {
            "A" => Some("alpha"),
            "B" => Some("b$A"),
            "EMPTY" => Some(""),
            _ => None,
        }
    }

    fn show(text: &str) -> String {
        match interpolate(text, &lookup) {
            Ok(done) if done.unset.is_empty() => done.text,
            Ok(done) => {
                let names: Vec<String> = done
                    .unset
                    .iter()
                    .map(|(name, at)| format!("{name}@{at:?}"))
                    .collect();
                format!("{} (unset {})", done.text, names.join(" "))
            }
            Err(error) => format!("{error} @{:?}", error.range),
        }
    }

    #[test]
    fn every_form() {
        for (text, wanted) in [
            ("x$A-y", "xalpha-y"),
            ("${A}${A}", "alphaalpha"),
            ("$$A $$$A $${A}", "$A $alpha ${A}"),
            ("$B", "b$A"),
            ("${A:-d}${A-d}", "alphaalpha"),
            ("${X:-d}${X-d}", "dd"),
            ("${EMPTY:-d}|${EMPTY-d}", "d|"),
            ("${A:+s}${A+s}", "ss"),
            ("${X:+s}${X+s}", ""),
            ("${EMPTY:+s}|${EMPTY+s}", "|s"),
            ("${A:?no}${EMPTY?no}", "alpha"),
            ("${X:-${Y:-${A}}}", "alpha"),
            ("${X:-{\"a\": {}}}", "{\"a\": {}}"),
            ("${X:-a-b:-c}", "a-b:-c"),
            ("${X:-$$A}", "$A"),
            ("$(date) $1 a$ $", "$(date) $1 a$ $"),
            ("$X", " (unset X@0..2)"),
            ("a${X:-${Y}}", "a (unset Y@6..10)"),
            ("é${X}", "é (unset X@2..6)"),
        ] {
            assert_eq!(show(text), wanted, "{text}");
        }
    }

    #[test]
    fn errors_say_what_and_where() {
        insta::assert_snapshot!(show("a ${"), @"`${` is not closed @2..4");
        insta::assert_snapshot!(show("${A:-${B}"), @"alpha");
        insta::assert_snapshot!(show("${1x}"), @"`${` is not followed by the name of a variable @0..5");
        insta::assert_snapshot!(show("${}"), @"`${` is not followed by the name of a variable @0..3");
        insta::assert_snapshot!(show("x${A!}"), @"unexpected text after the name of variable `A` @1..6");
        insta::assert_snapshot!(show("${A:x}"), @"unexpected text after the name of variable `A` @0..6");
        insta::assert_snapshot!(show("${X:?set $A first}"), @"required variable `X` is missing a value: set alpha first @0..18");
        insta::assert_snapshot!(show("${X?}"), @"required variable `X` is missing a value @0..5");
        let deep = format!("{}d{}", "${X:-".repeat(40), "}".repeat(40));
        insta::assert_snapshot!(show(&deep), @"variables are nested deeper than 32 levels @165..208");
    }

    #[test]
    fn the_result_is_bounded() {
        let long = "v".repeat(10_000);
        let result = interpolate(&"$L".repeat(200), &|_| Some(&long));
        assert_eq!(
            result.map_err(|error| error.kind),
            Err(InterpolationErrorKind::TooLong)
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "([a-zA-Z1é ]|\\$|\\{|\\}|:|-|\\?|\\+){0,40}") {
            let _ = interpolate(&text, &lookup);
        }

        #[test]
        fn an_escaped_text_comes_back(text in "\\PC{0,40}") {
            let done = interpolate(&escape(&text), &lookup);
            prop_assert_eq!(done, Ok(Interpolated { text, unset: vec![] }));
        }

        #[test]
        fn ranges_are_inside_the_text_and_on_characters(text in "([A-Cé]|\\$|\\{|\\}|:|-|\\?){0,30}") {
            match interpolate(&text, &lookup) {
                Ok(done) => for (_, range) in done.unset {
                    prop_assert!(text.get(range).is_some());
                },
                Err(error) => prop_assert!(text.get(error.range).is_some()),
            }
        }
    }
}
