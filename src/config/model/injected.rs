//! Files that are put into a container before its start: `secrets:` and `configs:`.

use std::fmt;
use std::path::PathBuf;

/// A text whose value must not be shown: neither in messages nor in what `Debug` prints.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Hidden(String);

impl Hidden {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for those who hand it to a container or mask it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hidden(…)")
    }
}

/// Which of the two it is. They differ in their default target, and in that the values of secrets
/// are masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InjectedKind {
    /// Of the top-level `secrets:`.
    Secret,
    /// Of the top-level `configs:`.
    Config,
}

impl fmt::Display for InjectedKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Secret => "secret",
            Self::Config => "config",
        })
    }
}

/// One entry of `secrets:` or `configs:` of a service, with what the top level says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectedFile {
    /// Which of the two it is.
    pub kind: InjectedKind,
    /// Its key at the top level.
    pub source: String,
    /// What is in it.
    pub content: InjectedContent,
    /// Absolute path in the container.
    pub target: String,
    /// Owner; default 0.
    pub uid: u32,
    /// Group; default 0.
    pub gid: u32,
    /// Permissions; `None` is 0444, and 0555 for a file of the host that may be executed.
    pub mode: Option<u32>,
}

/// What is in a secret or a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectedContent {
    /// `file:`, absolute; a file or a directory that was there when the project was read.
    Path(PathBuf),
    /// `content:`, or the value of `environment:`.
    Text(Hidden),
}
