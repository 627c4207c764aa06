//! `x-envrun.suite`: what makes a service a suite.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fault::kind::Kind;

/// `x-envrun.suite`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suite {
    /// Globs of JUnit files in the container, relative to its working directory.
    pub junit: Vec<String>,
    /// Streams of TAP.
    pub tap: LineReports,
    /// Streams of `go test -json`.
    pub go_test: LineReports,
    /// What paths and prefixes of names in reports are, relative to the directory of the project.
    pub paths: BTreeMap<String, String>,
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

/// Where a suite leaves reports that are streams of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineReports {
    /// Globs of files in the container, relative to its working directory.
    pub globs: Vec<String>,
    /// Whether the standard output of the suite is one.
    pub stdout: bool,
}

impl LineReports {
    /// Whether there is to be any.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.stdout || !self.globs.is_empty()
    }
}

impl Suite {
    /// Whether there is to be any report; else the exit code alone decides.
    #[must_use]
    pub fn expects_reports(&self) -> bool {
        !self.junit.is_empty() || self.tap.is_expected() || self.go_test.is_expected()
    }

    /// The globs of all report files.
    #[must_use]
    pub fn report_globs(&self) -> Vec<String> {
        let globs = [&self.junit, &self.tap.globs, &self.go_test.globs];
        globs.into_iter().flatten().cloned().collect()
    }
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
