//! `x-envrun.suite`: what makes a service a suite.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::fault::kind::Kind;

/// `x-envrun.suite`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suite {
    /// Globs of JUnit files in the container, relative to its working directory; empty when the
    /// exit code alone decides.
    pub junit: Vec<String>,
    /// Limit from start to exit; `None` means no limit of its own.
    pub timeout: Option<Duration>,
    /// How often it may be run once more when it has not passed, each time in a new container.
    pub retries: u32,
    /// Into how many parts it is divided, each in a container of its own.
    pub shards: Shards,
    /// Whether a pass after a retry is as bad as a failure.
    pub flaky_fails: bool,
    /// The command that runs one test of it, with `{name}`, `{classname}` and `{file}` for what its report
    /// says of the test; empty when only the whole suite can be run.
    pub test_command: Vec<String>,
    /// The faults that it may ask for; `None`: it asks for none.
    pub faults: Option<SuiteFaults>,
    /// Whose environment it runs in.
    pub isolation: Isolation,
}

/// `x-envrun.suite.isolation`: whose environment a suite runs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// The one that all suites share.
    #[default]
    Shared,
    /// A copy of what it depends on, beside the shared one.
    Own,
}

/// `x-envrun.suite.shards`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shards {
    /// It is not divided.
    #[default]
    Whole,
    /// Into so many, all of which this run has unless it is itself one of several.
    Count(u32),
    /// As the CI system divides the job that this run is in: the run has one of them.
    Ci,
}

/// `x-envrun.suite.faults`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuiteFaults {
    /// Whatever can be done; what cannot is refused when it is asked for.
    Any,
    /// These, and what cannot be done of them is an error before anything starts.
    Only(BTreeSet<Kind>),
}

impl SuiteFaults {
    /// Whether one of this kind may be asked for.
    #[must_use]
    pub fn allow(&self, kind: Kind) -> bool {
        match self {
            Self::Any => true,
            Self::Only(kinds) => kinds.contains(&kind),
        }
    }
}
