//! Splits a command line into words, as Compose does with `command:` and `entrypoint:` in text
//! form.
//!
//! Quotes and backslashes as in a shell; variables, globs and substitutions are left alone, and
//! nothing is ever run.

/// The words of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The words up to the end, or up to the first unquoted operator.
    pub words: Vec<String>,
    /// The byte offset of an unquoted shell operator (`;`, `&`, `|`, `<`, `>`). Compose drops it
    /// and everything after it, because no shell is there to perform it.
    pub operator: Option<usize>,
}

/// Why a text could not be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A quote is not closed.
    #[error("a `{0}` quote is not closed")]
    Unbalanced(char),
    /// The text ends with a backslash.
    #[error("the text ends with a backslash")]
    TrailingBackslash,
}

/// Splits `text` into words.
///
/// # Errors
/// A quote is not closed, or the text ends with a backslash.
pub fn split(text: &str) -> Result<Words, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (offset, character) in text.char_indices() {
        if escaped {
            word.get_or_insert_default().push(character);
            escaped = false;
            continue;
        }
        match (character, quote) {
            // Between single quotes a backslash is a backslash.
            ('\\', Some('\'')) => word.get_or_insert_default().push(character),
            ('\\', _) => {
                word.get_or_insert_default();
                escaped = true;
            }
            (character, Some(open)) if character == open => quote = None,
            (character, Some(_)) => word.get_or_insert_default().push(character),
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(character);
            }
            (' ' | '\t' | '\r' | '\n', None) => words.extend(word.take()),
            (';' | '&' | '|' | '<' | '>', None) => {
                // A digit before `>` is the number of a file descriptor, not a word.
                let is_descriptor = character == '>'
                    && word
                        .as_deref()
                        .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()));
                if !is_descriptor {
                    words.extend(word.take());
                }
                return Ok(Words {
                    words,
                    operator: Some(offset),
                });
            }
            (character, None) => word.get_or_insert_default().push(character),
        }
    }
    if let Some(open) = quote {
        return Err(WordsError::Unbalanced(open));
    }
    if escaped {
        return Err(WordsError::TrailingBackslash);
    }
    words.extend(word);
    Ok(Words {
        words,
        operator: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(text: &str) -> String {
        match split(text) {
            Ok(Words {
                words,
                operator: None,
            }) => words.join("|"),
            Ok(Words {
                words,
                operator: Some(at),
            }) => format!("{} (operator at {at})", words.join("|")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn splits_as_a_shell_does() {
        insta::assert_snapshot!(show("npm  run start-watch\n"), @"npm|run|start-watch");
        insta::assert_snapshot!(show(r#"sh -c "echo 'a b' \"c\"" d'e'f"#), @r#"sh|-c|echo 'a b' "c"|def"#);
        insta::assert_snapshot!(show(r"a '\' b\ c ''"), @r"a|\|b c|");
        insta::assert_snapshot!(show("echo $(date) $HOME"), @"echo|$(date)|$HOME");
        insta::assert_snapshot!(show("a && b"), @"a (operator at 2)");
        insta::assert_snapshot!(show("a 'b"), @"a `'` quote is not closed");
        insta::assert_snapshot!(show("a \\"), @"the text ends with a backslash");
        assert_eq!(
            split("  "),
            Ok(Words {
                words: vec![],
                operator: None
            })
        );
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^']{0,8}", 0..6)) {
            let text: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(split(&text.join(" ")), Ok(Words { words, operator: None }));
        }

        #[test]
        fn never_panics(text in "[a'\"\\\\ |\n$]{0,30}") {
            let _ = split(&text);
        }
    }
}
