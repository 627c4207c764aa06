//! Masking: takes secrets out of whatever is shown or written.
//!
//! Owns which spellings of a secret are found ([`forms`](self)), the search for all of them at once,
//! and the state of that search between the pieces of a stream. It must never read a file or a
//! variable, keep output longer than it takes to know that it is no secret, or show a secret: not in
//! a message and not in what `Debug` prints.
//!
//! The rule is one sentence: a byte is hidden if it is part of an occurrence of any spelling of any
//! secret, and each longest run of hidden bytes becomes [`MASK`]. So overlapping secrets hide each
//! other's rests, and a stream that is cut anywhere comes out as the whole would.

mod forms;
mod public;
mod search;
mod stream;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use self::public::is_public;
use self::search::{Runs, Search};
pub use self::stream::Stream;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// Characters that a value needs to be masked. Shorter ones are words of any text: masking them
/// would destroy reports, and their masks would betray them.
pub const SHORTEST: usize = 8;

/// Largest secret that is masked, in bytes. All spellings of all secrets are in memory.
pub const LARGEST: usize = 64 << 10;

/// Largest sum of all secrets that are masked, in bytes.
pub const LARGEST_SUM: usize = 128 << 10;

/// A value that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    origin: String,
    value: Vec<u8>,
    /// The variable that was handed through by its name, and called a secret by nobody.
    presumed: Option<String>,
}

impl Secret {
    /// A value that somebody has called a secret. `origin` says where it comes from, for warnings:
    /// ``secret `token` ``, ``variable `TOKEN` ``.
    #[must_use]
    pub fn new(origin: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            origin: origin.into(),
            value: value.into(),
            presumed: None,
        }
    }

    /// The value of a variable that is handed through by its name. It is often a token and often a
    /// switch, so nobody is told where it is too short; and of some variables everybody knows that
    /// they hold no secret ([`is_public`]).
    #[must_use]
    pub fn by_name(
        variable: impl Into<String>,
        origin: impl Into<String>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            presumed: Some(variable.into()),
            ..Self::new(origin, value)
        }
    }

    /// The variable that was handed through by its name, where that is all that speaks for a secret.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        self.presumed.as_deref()
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Secret")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Why there is no masker.
#[derive(Debug, thiserror::Error)]
#[error("cannot search for so many secrets: {0}")]
pub struct MaskError(String);

/// Finds and hides secrets. Clones share everything.
#[derive(Clone, Default)]
pub struct Masker(Option<Arc<Known>>);

struct Known {
    search: Search,
    values: Vec<Vec<u8>>,
}

impl Masker {
    /// A masker of these secrets, and what the user should know: which of them are not masked, and
    /// why.
    ///
    /// # Errors
    /// The search for them cannot be set up; then nothing must be shown.
    pub fn new(secrets: &[Secret]) -> Result<(Self, Vec<String>), MaskError> {
        let mut warnings = BTreeSet::new();
        let mut values: Vec<Vec<u8>> = Vec::new();
        let mut sum = 0;
        for secret in secrets {
            if secret.variable().is_some_and(is_public) {
                continue;
            }
            let parts = match forms::parts(&secret.value) {
                Ok(parts) => parts,
                Err(reason) if secret.presumed.is_none() => {
                    warnings.insert(format!("{} is not masked: {reason}", secret.origin));
                    continue;
                }
                Err(_) => continue,
            };
            if parts.iter().all(|part| values.contains(part)) {
                continue;
            }
            sum += secret.value.len();
            if sum > LARGEST_SUM {
                sum -= secret.value.len();
                warnings.insert(format!(
                    "{} is not masked: all secrets together are larger than {} KiB",
                    secret.origin,
                    LARGEST_SUM >> 10
                ));
                continue;
            }
            for part in parts {
                if !values.contains(&part) {
                    values.push(part);
                }
            }
        }
        let warnings = warnings.into_iter().collect();
        if values.is_empty() {
            return Ok((Self::none(), warnings));
        }
        let spellings: BTreeSet<Vec<u8>> = values
            .iter()
            .flat_map(|value| forms::forms(value))
            .collect();
        let search = Search::new(&spellings).map_err(MaskError)?;
        Ok((Self(Some(Arc::new(Known { search, values }))), warnings))
    }

    /// A masker that knows no secret.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Whether it knows no secret.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The values that are hidden, and of those with several lines each line that is hidden by
    /// itself: for the systems around that want to be told (`::add-mask::`). Values that are no text
    /// are left out.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        let known = self.0.iter().flat_map(|known| &known.values);
        known.filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// A text without secrets.
    #[must_use]
    pub fn text<'text>(&self, text: &'text str) -> Cow<'text, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Secrets need not be texts, so that one may end within a character.
            Cow::Owned(masked) => Cow::Owned(match String::from_utf8(masked) {
                Ok(masked) => masked,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        }
    }

    /// Bytes without secrets.
    #[must_use]
    pub fn bytes<'bytes>(&self, bytes: &'bytes [u8]) -> Cow<'bytes, [u8]> {
        let Some(known) = &self.0 else {
            return Cow::Borrowed(bytes);
        };
        let mut runs = Runs::default();
        known.search.scan(known.search.start(), bytes, &mut runs);
        if runs.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut masked = Vec::with_capacity(bytes.len());
        let mut position = 0;
        for (start, end) in runs.iter() {
            masked.extend_from_slice(&bytes[position..start]);
            masked.extend_from_slice(MASK.as_bytes());
            position = end;
        }
        masked.extend_from_slice(&bytes[position..]);
        Cow::Owned(masked)
    }

    /// Takes secrets out of a text in place.
    pub fn clean(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.text(text) {
            *text = masked;
        }
    }

    /// Takes secrets out of all texts and keys of structured data. Numbers stay, as whoever reads
    /// them expects numbers.
    pub fn json(&self, value: &mut Value) {
        if self.is_none() {
            return;
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => self.clean(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(entries) => {
                entries.values_mut().for_each(|value| self.json(value));
                let secret = |key: &&String| matches!(self.text(key), Cow::Owned(_));
                let secret: Vec<String> = entries.keys().filter(secret).cloned().collect();
                for key in secret {
                    if let Some(value) = entries.remove(&key) {
                        let mut masked = self.text(&key).into_owned();
                        // Two keys may differ in nothing but their secrets.
                        while entries.contains_key(&masked) {
                            masked.push('*');
                        }
                        entries.insert(masked, value);
                    }
                }
            }
        }
    }

    /// The masker of one stream. Each stream has its own: pieces of several in one would tear the
    /// secrets of all.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::new(self.0.clone())
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = self.0.as_ref().map_or(0, |known| known.values.len());
        write!(formatter, "Masker({secrets} secrets)")
    }
}
