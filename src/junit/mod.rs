//! JUnit XML, read and written: owns the suites' reports, the judgement on them, and the one merged
//! report.
//!
//! Bytes of a report go through [`read()`] to a [`Report`]; [`judge()`] holds the reports of a
//! suite against its exit code; [`document()`] merges everything about a run into one document that
//! GitLab, Jenkins and the IDEs read. All of it is pure: no clock, no network, no files. It must
//! never let a foreign report break the merged one, nor let anything that was not seen to pass look
//! like a pass.

mod attempts;
mod composed;
mod decode;
mod form;
pub mod go_test;
pub mod judge;
mod location;
pub mod merge;
mod normalise;
mod own;
mod pieces;
pub mod read;
mod reported;
pub mod seconds;
mod size;
mod strict;
pub mod tap;
pub mod text;
pub mod tree;
mod windows;
mod write;

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

pub use attempts::counts;
pub use form::{Form, LARGEST_DOCUMENT, Profile};
pub use judge::judge;
pub use location::{Location, PathMap};
pub use merge::document;
pub use read::{ReadError, read};
pub use reported::{ReportedCase, ReportedVerdict, own_report};
pub use tree::{Case, Counts, Element, Node, Note, Outcome, Report, Suite};
pub use windows::{TestWindow, windows};

/// Name of the testsuite that holds what the environment did, as against what the tests did.
pub const ENVIRONMENT_SUITE: &str = "envrun.environment";

/// The kinds of [`SuiteProblem`]: they stand in the report as the `type` of the error.
pub mod kind {
    /// The suite's container or command was never started.
    pub const NEVER_STARTED: &str = "NeverStarted";
    /// The exit code alone says that something is wrong.
    pub const EXIT_CODE: &str = "ExitCode";
    /// A report was expected, and there is none.
    pub const REPORT_MISSING: &str = "ReportMissing";
    /// A report is there, and it cannot be read.
    pub const REPORT_UNREADABLE: &str = "ReportUnreadable";
    /// The reports can be read, and hold no test case.
    pub const REPORT_EMPTY: &str = "ReportEmpty";
    /// The exit code says passed, and a report shows a case that did not.
    pub const REPORT_CONTRADICTS_EXIT: &str = "ReportContradictsExit";
    /// The suite ran into its time limit.
    pub const TIMEOUT: &str = "Timeout";
}

/// Everything about a run that the merged report shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The project's name: the `name` of the whole report.
    pub project: String,
    /// The run's id, a UUID: the `uuid` of the whole report.
    pub run: String,
    /// When the run began.
    pub started: SystemTime,
    /// How long the run took, on the wall clock.
    pub duration: Duration,
    /// What the environment did, in order. With none, there is no such testsuite.
    pub environment: Vec<EnvironmentCase>,
    /// The suites, in the order in which they are reported.
    pub suites: Vec<SuiteRecord>,
}

/// One step of the environment, shown as a test case of [`ENVIRONMENT_SUITE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentCase {
    /// What was done: `ready: db`, `teardown`.
    pub name: String,
    /// How long it took.
    pub duration: Duration,
    /// What went wrong, if anything. It is always an error, never a test failure.
    pub problem: Option<EnvironmentProblem>,
    /// What else there is to be said, shown as its output.
    pub output: String,
}

/// Why a step of the environment failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentProblem {
    /// The `type` of the error.
    pub kind: String,
    /// One line.
    pub message: String,
    /// Whatever helps: the end of a log, the probes that were tried.
    pub details: String,
}

/// One suite as it ran.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteRecord {
    /// The suite's name; every testsuite that comes from it carries this name.
    pub name: String,
    /// When it was started, if it was.
    pub started: Option<SystemTime>,
    /// How long it ran.
    pub duration: Duration,
    /// The reports that could be read, each with its path.
    pub reports: Vec<(String, Report)>,
    /// What is wrong with the suite beyond its failing cases.
    pub problems: Vec<SuiteProblem>,
    /// The end of its output, shown with the first problem.
    pub output_tail: String,
    /// What else is known of it, by name: properties of its first testsuite.
    pub properties: Vec<(String, String)>,
    /// The attempts before this one, oldest first, none of which passed.
    pub lost: Vec<LostAttempt>,
}

/// An attempt of a suite that did not pass, and after which the suite was tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct LostAttempt {
    /// The reports that could be read, each with its path.
    pub reports: Vec<(String, Report)>,
    /// What was wrong with the attempt beyond its failing cases.
    pub problems: Vec<SuiteProblem>,
    /// The end of its output.
    pub output_tail: String,
    /// How long it ran.
    pub duration: Duration,
}

/// Something wrong with a suite that none of its test cases says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteProblem {
    /// The `type` of the error: one of [`kind`].
    pub kind: String,
    /// One line.
    pub message: String,
    /// Whatever helps, over as many lines as it takes.
    pub details: String,
    /// Whether it is the tests' own verdict (`failure`) and not a defect of the run (`error`).
    pub is_failure: bool,
}
