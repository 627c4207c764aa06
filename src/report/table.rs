//! The verdict as a table.

use std::fmt::Write as _;
use std::time::Duration;

use crate::event::VerdictSummary;
use crate::junit::text::sanitise;
use crate::outcome::SuiteResult;

/// A duration as people read it.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.2}s", duration.as_secs_f64())
}

fn word(result: SuiteResult) -> &'static str {
    match result {
        SuiteResult::Passed => "passed",
        SuiteResult::Flaky => "flaky",
        SuiteResult::Failed => "FAILED",
        SuiteResult::NotRun => "not run",
    }
}

/// One row a suite, then one line for the whole. Meaning never depends on colour.
pub(super) fn render(summary: &VerdictSummary) -> String {
    if summary.suites.is_empty() {
        let verdict = if summary.passed { "ready" } else { "FAILED" };
        let duration = seconds(summary.duration);
        return format!("\n{verdict}: the environment, in {duration}\n");
    }
    let width = summary
        .suites
        .iter()
        .map(|row| row.suite.as_str().chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut text = format!(
        "\n{:<width$}  {:<7}  {:>6}  {:>6}  {:>7}  {:>8}\n",
        "suite", "result", "tests", "failed", "skipped", "time"
    );
    for row in &summary.suites {
        let count = |number: u64| {
            row.tests
                .map_or_else(|| "-".to_owned(), |_| number.to_string())
        };
        let _ = writeln!(
            text,
            "{:<width$}  {:<7}  {:>6}  {:>6}  {:>7}  {:>8}",
            row.suite.as_str(),
            word(row.result),
            count(row.tests.unwrap_or(0)),
            count(row.failures),
            count(row.skipped),
            seconds(row.duration),
        );
        if let Some(remark) = &row.remark {
            let _ = writeln!(text, "{:<width$}  {}", "", sanitise(remark));
        }
    }
    let of = |result: SuiteResult| {
        summary
            .suites
            .iter()
            .filter(move |row| row.result == result)
    };
    let flaky = of(SuiteResult::Flaky).count();
    let passed = of(SuiteResult::Passed).count() + flaky;
    let tests: u64 = summary.suites.iter().filter_map(|row| row.tests).sum();
    let verdict = if summary.passed { "passed" } else { "FAILED" };
    let flaky = match flaky {
        0 => String::new(),
        count => format!(", {count} flaky"),
    };
    let total = summary.suites.len();
    let _ = writeln!(
        text,
        "\n{verdict}{flaky}: {passed} of {total} {}, {tests} {} in {}",
        if total == 1 { "suite" } else { "suites" },
        if tests == 1 { "test" } else { "tests" },
        seconds(summary.duration)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SuiteRow;

    #[test]
    fn the_table_says_everything_without_colour() {
        let row = |suite: &str, result, tests, failures, remark: Option<&str>| SuiteRow {
            suite: suite.into(),
            result,
            attempts: 1,
            tests,
            failures,
            skipped: 0,
            duration: Duration::from_millis(780),
            remark: remark.map(str::to_owned),
        };
        let summary = VerdictSummary {
            passed: false,
            suites: vec![
                row("integration", SuiteResult::Passed, Some(17), 0, None),
                row("unit", SuiteResult::Failed, Some(31), 2, None),
                row(
                    "e2e",
                    SuiteResult::NotRun,
                    None,
                    0,
                    Some("suite `e2e` never started: db\u{1b}[31m died"),
                ),
            ],
            failure: None,
            duration: Duration::from_secs(5),
        };
        insta::assert_snapshot!(render(&summary), @r"

        suite        result    tests  failed  skipped      time
        integration  passed       17       0        0     0.78s
        unit         FAILED       31       2        0     0.78s
        e2e          not run       -       -        -     0.78s
                     suite `e2e` never started: db died

        FAILED: 1 of 3 suites, 48 tests in 5.00s
        ");
    }

    #[test]
    fn a_flaky_suite_is_no_silent_pass() {
        let summary = VerdictSummary {
            passed: true,
            suites: vec![SuiteRow {
                suite: "e2e".into(),
                result: SuiteResult::Flaky,
                attempts: 2,
                tests: Some(3),
                failures: 0,
                skipped: 0,
                duration: Duration::from_millis(780),
                remark: Some("passed at attempt 2; attempt 1 did not: 1 of 3 tests failed".into()),
            }],
            failure: None,
            duration: Duration::from_secs(5),
        };
        insta::assert_snapshot!(render(&summary), @r"

        suite  result    tests  failed  skipped      time
        e2e    flaky         3       0        0     0.78s
               passed at attempt 2; attempt 1 did not: 1 of 3 tests failed

        passed, 1 flaky: 1 of 1 suite, 3 tests in 5.00s
        ");
    }
}
