//! Commands that are run in a container that runs already.

use std::collections::BTreeMap;
use std::fmt;

/// A command to run in a running container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The command and its arguments; no shell is involved.
    pub command: Vec<String>,
    /// User, `None` for the container's.
    pub user: Option<String>,
    /// With all rights on the host.
    pub privileged: bool,
    /// Working directory, `None` for the container's.
    pub working_dir: Option<String>,
    /// Environment variables over the container's.
    pub environment: BTreeMap<String, String>,
}

impl ExecSpec {
    /// The command, run as the container runs.
    #[must_use]
    pub fn plain(command: &[String]) -> Self {
        Self {
            command: command.to_vec(),
            ..Self::default()
        }
    }
}

impl fmt::Display for ExecSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.command.join(" "))
    }
}

/// Result of a command run in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Exit code.
    pub code: i64,
    /// The last output, both streams, at most a few kilobytes.
    pub output_tail: String,
}
