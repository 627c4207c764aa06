//! The outcome of a run as a few named values, for whatever comes after it in a job: as GitHub reads them from a file, and as lines
//! of a dotenv file. It must never give a value a line more than it has, since the next line would be another value.

use std::fmt::Write as _;
use std::path::Path;

use crate::exit_code::ExitCode;
use crate::junit::Counts;
use crate::name::RunId;
use crate::outcome::{Outcome, SuiteResult};

/// A value with its name, such as `exit-code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    /// Lower-case letters and dashes.
    pub(super) name: &'static str,
    /// One line.
    pub(super) value: String,
}

/// The values of a run whose reports are in `directory`.
pub(super) fn outputs(run: RunId, outcome: &Outcome, directory: &Path) -> Vec<Output> {
    let counts: Counts = outcome.suites.iter().map(|suite| suite.counts).sum();
    let path = |path: &Path| path.to_str().unwrap_or_default().to_owned();
    let values = [
        ("result", result(outcome).to_owned()),
        ("exit-code", outcome.exit_code().number().to_string()),
        ("run-id", run.to_string()),
        ("out", path(directory)),
        ("junit", path(&directory.join(super::directory::REPORT))),
        ("suites", outcome.suites.len().to_string()),
        ("tests", counts.tests.to_string()),
        ("failures", counts.failing().to_string()),
        ("skipped", counts.skipped.to_string()),
        ("flaky", flaky(outcome).to_string()),
    ];
    let is_one_line = |value: &String| !value.chars().any(char::is_control);
    values
        .into_iter()
        .filter(|(_, value)| is_one_line(value))
        .map(|(name, value)| Output { name, value })
        .collect()
}

/// What came out, in one word: `passed`, `failed`, `error` where the environment or envrun has failed, `cancelled`. What teardown
/// leaves and a report that cannot be written change nothing of it.
pub(super) fn result(outcome: &Outcome) -> &'static str {
    word(outcome.exit_code())
}

/// The values of a run that has never begun.
pub(super) fn of_code(code: ExitCode) -> Vec<Output> {
    let value = |name: &'static str, value: String| Output { name, value };
    vec![
        value("result", word(code).to_owned()),
        value("exit-code", code.number().to_string()),
    ]
}

fn word(code: ExitCode) -> &'static str {
    match code {
        ExitCode::Passed | ExitCode::Leftovers | ExitCode::Report => "passed",
        ExitCode::SuiteFailed => "failed",
        ExitCode::Signal(_) => "cancelled",
        ExitCode::Usage
        | ExitCode::Environment
        | ExitCode::Engine
        | ExitCode::Bug
        | ExitCode::Command(_) => "error",
    }
}

/// How many tests have passed only when they were tried again, as the reports say, and how many suites.
pub(super) fn flaky(outcome: &Outcome) -> u64 {
    let suites = outcome.suites.iter();
    let flaky = suites.map(|suite| {
        let is_flaky = suite.result == SuiteResult::Flaky;
        suite.counts.flaky + u64::from(is_flaky)
    });
    flaky.sum()
}

/// The lines of `$GITHUB_OUTPUT`. Nobody can guess the delimiter.
pub(super) fn github(outputs: &[Output], delimiter: &str) -> String {
    let mut text = String::new();
    for Output { name, value } in outputs {
        let _ = write!(text, "{name}<<{delimiter}\n{value}\n{delimiter}\n");
    }
    text
}

/// The lines of a dotenv file as GitLab reads it: `ENVRUN_EXIT_CODE=0`. It knows no quotes, so a value with a space is left out.
pub(super) fn dotenv(outputs: &[Output]) -> String {
    let mut text = String::new();
    for Output { name, value } in outputs {
        let is_plain = |letter: char| !letter.is_whitespace() && !"'\"`$\\#".contains(letter);
        if value.chars().all(is_plain) {
            let name = name.replace('-', "_").to_uppercase();
            let _ = writeln!(text, "ENVRUN_{name}={value}");
        }
    }
    text
}
