//! What a run came to: the data that reports show and that the exit code is made from.

mod explanation;
mod texts;
mod usage;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

pub use self::explanation::{Cause, Explanation, Moment, ProbeRecord};
pub use self::usage::{PeakBy, Usage};
use crate::artifact;
use crate::engine::{Exit, Resource};
use crate::exit_code::{ExitCode, Signal};
use crate::junit;
use crate::name::{RunId, ServiceName, Shard};
use crate::reachability::Record;

/// Everything that is known at the end of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Why the run was aborted, if it was.
    pub failure: Option<Failure>,
    /// One entry per selected suite, in order of name.
    pub suites: Vec<SuiteOutcome>,
    /// How each service or job came to be ready, in the order in which that was settled.
    pub readiness: Vec<Readiness>,
    /// Failures of services that nobody requires: the run went on without them.
    pub without: Vec<Failure>,
    /// The first signal that asked the run to end.
    pub signal: Option<Signal>,
    /// What teardown found, once it is done.
    pub teardown: Option<TeardownReport>,
    /// For how long the environment is left to a person, if it is; then nothing was torn down.
    pub held: Option<Duration>,
    /// The reachability matrix as it was observed, once it was tried.
    pub reachability: Option<Record>,
    /// What containers have used, as far as it was seen; suites, services and jobs.
    pub usage: BTreeMap<ServiceName, Usage>,
    /// What was kept of the files of containers, as far as that is done, by the directory below
    /// `artifacts/`: the name of the suite or service; that of an attempt which was lost has its number.
    pub artifacts: BTreeMap<String, artifact::Record>,
    /// Reports that could not be written.
    pub report_problems: Vec<String>,
    /// Wall-clock start of the run.
    pub started: SystemTime,
    /// From the start to the verdict.
    pub duration: Duration,
}

impl Outcome {
    /// The exit code by the documented precedence.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let mut code = ExitCode::Passed;
        if let Some(signal) = self.signal {
            code = code.strongest(ExitCode::Signal(signal));
        }
        if let Some(failure) = &self.failure {
            code = code.strongest(match failure.class {
                FailureClass::Engine => ExitCode::Engine,
                FailureClass::Environment => ExitCode::Environment,
                FailureClass::Interrupted => ExitCode::Passed,
                FailureClass::Bug => ExitCode::Bug,
            });
        }
        for suite in &self.suites {
            code = code.strongest(match suite.result {
                _ if suite.is_pass() => ExitCode::Passed,
                SuiteResult::Passed | SuiteResult::Flaky | SuiteResult::Failed => {
                    ExitCode::SuiteFailed
                }
                // Without a failure of the environment, a suite that did not run is no pass.
                SuiteResult::NotRun if self.failure.is_some() || self.signal.is_some() => {
                    ExitCode::Passed
                }
                SuiteResult::NotRun => ExitCode::SuiteFailed,
            });
        }
        if !self.report_problems.is_empty() {
            code = code.strongest(ExitCode::Report);
        }
        if self
            .teardown
            .as_ref()
            .is_some_and(|report| !report.left.is_empty())
        {
            code = code.strongest(ExitCode::Leftovers);
        }
        code
    }

    /// Whether every suite ran to its end and passed and nothing else went wrong before teardown.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failure.is_none()
            && self.signal.is_none()
            && self.suites.iter().all(SuiteOutcome::is_pass)
    }
}

/// Which exit code a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Exit code 4.
    Engine,
    /// Exit code 3.
    Environment,
    /// A signal or the user; the signal gives the exit code.
    Interrupted,
    /// Exit code 70.
    Bug,
}

/// Why a run was aborted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which exit code it leads to.
    pub class: FailureClass,
    /// Short machine-readable kind for reports: `NotReady`, `Died`, `JobFailed`, `ImageMissing`, …
    pub kind: &'static str,
    /// The service that is to blame, if one is.
    pub service: Option<ServiceName>,
    /// One line: what failed, on which resource, within which limit.
    pub message: String,
    /// The last lines of the service's output, oldest first.
    pub log_tail: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What else is known of it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
}

/// What became of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SuiteResult {
    /// It ran to its end, exited 0, and its report agrees.
    Passed,
    /// The same at a later attempt, after one that did not.
    Flaky,
    /// It failed, or its report lies or is missing.
    Failed,
    /// It never ran, or was cut off.
    NotRun,
}

/// One suite at the end of the run. Each shard of a suite is a suite of its own here.
///
/// What is said of its end, its time and its reports is that of its last attempt.
#[derive(Debug, Clone)]
pub struct SuiteOutcome {
    /// Its name: that of the service, or of the shard.
    pub name: ServiceName,
    /// The service of the file.
    pub of: ServiceName,
    /// Which part of the suite it is, where that is divided.
    pub shard: Option<Shard>,
    /// How often it began.
    pub attempts: u32,
    /// The attempts that did not pass and were followed by another one, oldest first.
    pub lost: Vec<LostAttempt>,
    /// Whether a pass at a later attempt is as bad as a failure.
    pub flaky_fails: bool,
    /// What became of it.
    pub result: SuiteResult,
    /// How its container ended, if it did.
    pub exit: Option<Exit>,
    /// Wall-clock start, if it started.
    pub started: Option<SystemTime>,
    /// From start to exit.
    pub duration: Duration,
    /// Its JUnit files: path in the container, and content.
    pub reports: Vec<(String, junit::Report)>,
    /// What speaks against a pass apart from failing tests.
    pub problems: Vec<junit::SuiteProblem>,
    /// Tests seen in its reports.
    pub counts: junit::Counts,
    /// The last lines of its output.
    pub output_tail: Vec<String>,
    /// Why it could not reach what it wanted to reach, if that is how it failed.
    pub explanation: Option<Box<Explanation>>,
}

impl SuiteOutcome {
    /// A suite of which nothing is known yet: it has not run.
    #[must_use]
    pub fn unknown(name: ServiceName, of: ServiceName) -> Self {
        Self {
            name,
            of,
            shard: None,
            attempts: 0,
            lost: Vec::new(),
            flaky_fails: false,
            result: SuiteResult::NotRun,
            exit: None,
            started: None,
            duration: Duration::ZERO,
            reports: Vec::new(),
            problems: Vec::new(),
            counts: junit::Counts::default(),
            output_tail: Vec::new(),
            explanation: None,
        }
    }

    /// Whether nothing about it speaks against a pass of the run.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        match self.result {
            SuiteResult::Passed => true,
            SuiteResult::Flaky => !self.flaky_fails,
            SuiteResult::Failed | SuiteResult::NotRun => false,
        }
    }
}

/// An attempt of a suite that did not pass, and that was followed by another one.
#[derive(Debug, Clone)]
pub struct LostAttempt {
    /// How its container ended.
    pub exit: Option<Exit>,
    /// Wall-clock start.
    pub started: Option<SystemTime>,
    /// From start to exit.
    pub duration: Duration,
    /// Its JUnit files: path in the container, and content.
    pub reports: Vec<(String, junit::Report)>,
    /// What speaks against a pass apart from failing tests.
    pub problems: Vec<junit::SuiteProblem>,
    /// Tests seen in its reports.
    pub counts: junit::Counts,
    /// The last lines of its output.
    pub output_tail: Vec<String>,
}

impl LostAttempt {
    /// Why it did not pass, in one line.
    #[must_use]
    pub fn reason(&self) -> String {
        match (self.problems.first(), &self.exit) {
            (Some(problem), _) => problem.message.clone(),
            (None, _) if self.counts.failing() > 0 => format!(
                "{} of {} {} failed",
                self.counts.failing(),
                self.counts.tests,
                if self.counts.tests == 1 {
                    "test"
                } else {
                    "tests"
                }
            ),
            (None, Some(exit)) => exit.to_string(),
            (None, None) => "it did not pass".to_owned(),
        }
    }
}

/// How one service came to be ready, or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The service or job.
    pub service: ServiceName,
    /// What people call it: of a copy for one suite alone, `db (of e2e)`.
    pub title: String,
    /// From its start.
    pub duration: Duration,
    /// `None` when it is ready (or completed).
    pub problem: Option<Failure>,
}

/// What teardown did and what it could not do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TeardownReport {
    /// Removed by us.
    pub removed: Vec<Resource>,
    /// Gone before we came.
    pub already_gone: Vec<Resource>,
    /// Still there, or of unknown state, with the reason.
    pub left: Vec<Leftover>,
    /// From the verdict to the last verifying listing.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
}

impl TeardownReport {
    /// The whole in one line: how much was removed, was gone already, and is left.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!("{} removed", self.removed.len());
        if !self.already_gone.is_empty() {
            text.push_str(&format!(", {} already gone", self.already_gone.len()));
        }
        match self.left.len() {
            0 => text.push_str(", nothing left"),
            count => text.push_str(&format!(", {count} LEFT")),
        }
        text
    }

    /// What is left, one line each: what it is, by which id the engine knows it, and why it is still
    /// there.
    #[must_use]
    pub fn leftover_lines(&self) -> Vec<String> {
        let line = |leftover: &Leftover| {
            let Resource { id, name, .. } = &leftover.resource;
            let id = if id.is_empty() || id == name {
                String::new()
            } else {
                format!(" ({id})")
            };
            format!("{}{id}: {}", leftover.resource, leftover.reason)
        };
        self.left.iter().map(line).collect()
    }
}

/// What to do about leftovers of a run.
#[must_use]
pub fn leftover_hint(run: RunId) -> String {
    format!("`envrun gc --run {run}` removes what is left")
}

/// Something that is still there after teardown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What it is; an id may be unknown when the reply to its creation was lost.
    pub resource: Resource,
    /// Why it could not be removed.
    pub reason: String,
}

/// The same for a duration that there may not be.
pub(crate) fn some_milliseconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => milliseconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// Serialises a duration as whole milliseconds.
pub(crate) fn milliseconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
