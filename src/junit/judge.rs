//! A suite's reports held against its exit code: owns the rules by which a suite that did not
//! plainly pass or fail has a problem.
//!
//! It must never let anything through as a pass that was not seen to pass, and must never trust the
//! counts that a report declares. A failing test case is no problem of the suite: it speaks for
//! itself.

use super::read::ReadError;
use super::tree::{Counts, Outcome, Report};
use super::{SuiteProblem, kind};

/// Most failing cases that are named in the details of a problem.
const MOST_NAMED: usize = 10;

/// What is wrong with a suite beyond its failing cases. `expected` says whether reports were asked
/// for; a suite without is judged by its exit code alone. An exit code of `None` is one that nobody
/// knows.
#[must_use]
pub fn judge(
    exit_code: Option<i64>,
    reports: &[(String, Result<Report, ReadError>)],
    expected: bool,
) -> Vec<SuiteProblem> {
    let mut problems: Vec<_> = reports
        .iter()
        .filter_map(|report| unreadable(report, exit_code))
        .collect();
    let readable = || {
        reports
            .iter()
            .filter_map(|(path, read)| Some((path, read.as_ref().ok()?)))
    };
    let counts: Counts = readable().map(|(_, report)| report.counts()).sum();
    let Some(code) = exit_code else {
        let details =
            "the container or the command ended, and the engine does not say how".to_owned();
        problems.push(error(
            kind::EXIT_CODE,
            "ended without an exit code".to_owned(),
            details,
        ));
        return problems;
    };
    if reports.is_empty() {
        problems.extend(without_report(code, expected));
        return problems;
    }
    if code == 0 && counts.failing() > 0 {
        let cases = counted(counts.failing(), "failing case");
        let message = format!("exited with `0` although its report shows {cases}");
        let details = readable().flat_map(|(path, report)| failing_names(path, report));
        let details: Vec<_> = details.take(MOST_NAMED).collect();
        problems.push(error(
            kind::REPORT_CONTRADICTS_EXIT,
            message,
            details.join("\n"),
        ));
    }
    // What an unreadable report would have shown is not known, so nothing is concluded from the
    // others.
    if !problems.is_empty() {
        return problems;
    }
    let paths = || {
        readable()
            .map(|(path, _)| path.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    };
    if counts.tests == 0 {
        let message = match code {
            0 => "exited with `0`, and its report holds no test case".to_owned(),
            _ => format!("exited with `{code}`, and its report holds no test case"),
        };
        problems.push(error(
            kind::REPORT_EMPTY,
            message,
            join_hint(code, &paths()),
        ));
    } else if code != 0 && counts.failing() == 0 {
        let message = format!("exited with `{code}` although its report shows no failure");
        problems.push(error(kind::EXIT_CODE, message, join_hint(code, &paths())));
    }
    problems
}

/// A suite that left no report: what was expected is missing, or the exit code is the verdict.
fn without_report(code: i64, expected: bool) -> Option<SuiteProblem> {
    if expected {
        let message = format!("exited with `{code}` and left no report");
        return Some(error(kind::REPORT_MISSING, message, join_hint(code, "")));
    }
    (code != 0).then(|| SuiteProblem {
        kind: kind::EXIT_CODE.to_owned(),
        message: format!("exited with `{code}`"),
        details: join_hint(code, ""),
        is_failure: true,
    })
}

fn unreadable(
    (path, read): &(String, Result<Report, ReadError>),
    exit_code: Option<i64>,
) -> Option<SuiteProblem> {
    let reason = read.as_ref().err()?;
    let message = format!("report `{path}` cannot be read: {reason}");
    let details = exit_code.map(|code| join_hint(code, &format!("the suite exited with `{code}`")));
    Some(error(
        kind::REPORT_UNREADABLE,
        message,
        details.unwrap_or_default(),
    ))
}

fn error(kind: &str, message: String, details: String) -> SuiteProblem {
    SuiteProblem {
        kind: kind.to_owned(),
        message,
        details,
        is_failure: false,
    }
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("`{number}` {noun}{plural}")
}

fn failing_names(path: &str, report: &Report) -> Vec<String> {
    let cases = report.cases();
    let failing = cases
        .iter()
        .filter(|case| matches!(case.outcome(), Outcome::Failed | Outcome::Errored));
    let named = failing
        .take(MOST_NAMED)
        .map(|case| match case.class_name() {
            "" => format!("{path}: {}", case.name()),
            class_name => format!("{path}: {class_name}: {}", case.name()),
        });
    named.collect()
}

/// What a code means that a shell or an engine gives, ahead of further details.
fn join_hint(code: i64, details: &str) -> String {
    let hint = match code {
        125 => "hint: `125` is the engine's own failure to run the command",
        126 => "hint: `126` means that the command cannot be executed",
        127 => "hint: `127` means that the command was not found",
        137 => "hint: `137` is a kill by signal 9, as when memory runs out",
        139 => "hint: `139` is a crash by signal 11",
        143 => "hint: `143` is an end by signal 15",
        _ => "",
    };
    let parts = [hint, details].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n\n")
}
