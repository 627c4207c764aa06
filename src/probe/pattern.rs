//! Regular expressions of probes.

use std::fmt;

use regex_lite::{Regex, RegexBuilder};

/// Bytes that an expression may be compiled to; more than the readers of files take.
const COMPILED: usize = 128 << 10;

/// A compiled regular expression. Matching takes time in proportion to the text and to what the
/// expression is compiled to, whatever it says.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression. One that cannot be compiled is taken by its letters; the readers of
    /// files have refused it before.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let compile = |text: &str| RegexBuilder::new(text).size_limit(COMPILED).build();
        let literal = || compile(&regex_lite::escape(text));
        #[expect(clippy::unwrap_used, reason = "the empty expression is one")]
        let nothing = || Regex::new("").unwrap();
        Self(
            compile(text)
                .or_else(|_invalid| literal())
                .unwrap_or_else(|_too_large| nothing()),
        )
    }

    /// Whether it is found in a text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}
