//! Variables and quotes in a name of a Dockerfile, as the builder expands them.

use std::iter::Peekable;
use std::str::Chars;

/// Expands a word. `value` knows the variables: the outer `None` says that there is none of this
/// name, the inner one that its value is not known. `None` when the result cannot be known here.
pub(super) fn expand(
    text: &str,
    escape: char,
    value: &dyn Fn(&str) -> Option<Option<String>>,
) -> Option<String> {
    let mut expanded = String::new();
    let mut letters = text.chars().peekable();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'', None) | ('"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            (letter, Some('\'')) => expanded.push(letter),
            (letter, _) if letter == escape => expanded.push(letters.next()?),
            ('$', _) => expanded.push_str(&variable(&mut letters, escape, value)?),
            (letter, _) => expanded.push(letter),
        }
    }
    quote.is_none().then_some(expanded)
}

/// A word without its quotes and escapes.
pub(super) fn unquoted(text: &str, escape: char) -> Option<String> {
    if text.contains('$') {
        return None;
    }
    expand(text, escape, &|_name| None)
}

/// What follows a `$`: `NAME`, `{NAME}`, `{NAME:-else}`, `{NAME-else}`, `{NAME:+then}`,
/// `{NAME+then}`. The rest of what builders know (patterns, errors) is not known here.
fn variable(
    letters: &mut Peekable<Chars<'_>>,
    escape: char,
    value: &dyn Fn(&str) -> Option<Option<String>>,
) -> Option<String> {
    let is_name = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
    let braced = letters.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(letter) = letters.next_if(is_name) {
        name.push(letter);
    }
    // A variable that is not declared before the first stage may be one that the builder sets.
    if name.is_empty() {
        return None;
    }
    if !braced {
        return value(&name)?;
    }
    let colon = letters.next_if_eq(&':').is_some();
    match letters.next()? {
        '}' if !colon => value(&name)?,
        operator @ ('-' | '+') => {
            let mut word = String::new();
            let mut depth = 1;
            for letter in letters.by_ref() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                word.push(letter);
            }
            if depth > 0 {
                return None;
            }
            // An argument that was declared without a value is unset, unless the builder knows it.
            let present = value(&name)?.filter(|value| !colon || !value.is_empty());
            match (present, operator) {
                (Some(present), '-') => Some(present),
                (None, '+') => Some(String::new()),
                _ => expand(&word, escape, value),
            }
        }
        _ => None,
    }
}
