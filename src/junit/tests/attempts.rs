//! Attempts that were lost, in the merged report: what each of them has seen is there, under the name
//! that fits what became of it.

use std::time::Duration;

use super::{merged, record};
use crate::junit::{Counts, LostAttempt, SuiteProblem, SuiteRecord, counts, kind, read};

/// A lost attempt with these reports.
fn lost(reports: &[&str]) -> LostAttempt {
    let SuiteRecord { reports, .. } = record("lost", reports);
    LostAttempt {
        reports,
        problems: Vec::new(),
        output_tail: String::new(),
        duration: Duration::from_secs(1),
    }
}

fn problem(kind: &str, message: &str, is_failure: bool) -> SuiteProblem {
    SuiteProblem {
        kind: kind.to_owned(),
        message: message.to_owned(),
        details: "details".to_owned(),
        is_failure,
    }
}

/// The merged testsuites without the lines around them, and with one level of layout less.
fn suites(record: SuiteRecord) -> String {
    let text = merged(vec![record]);
    let lines = text.lines().skip(2).filter(|line| *line != "</testsuites>");
    lines
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// One line a case: class, name, outcome, and the names of what it holds.
fn outline(record: &SuiteRecord) -> String {
    let report = read(merged(vec![record.clone()]).as_bytes()).expect("it is read");
    let mut lines = Vec::new();
    for case in report.cases() {
        let children = case.element().elements().map(|child| {
            let message = child.attribute("message").unwrap_or_default();
            format!("{}({message})", child.name)
        });
        let line = format!(
            "{}|{}|{}: {:?}{} {}",
            case.suite_name(),
            case.class_name(),
            case.name(),
            case.outcome(),
            if case.is_flaky() { " flaky" } else { "" },
            children.collect::<Vec<_>>().join(" ")
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

#[test]
fn a_case_that_passed_in_the_end_keeps_what_earlier_attempts_say() {
    let mut suite = record(
        "api",
        &[
            r#"<testsuite name="pytest"><testcase classname="t" name="a" time="0.1"><system-out>third</system-out></testcase></testsuite>"#,
        ],
    );
    suite.lost = vec![
        lost(&[
            r#"<testsuite name="pytest"><testcase classname="t" name="a"><failure message="one" type="AssertionError">trace one</failure><system-out>first</system-out><system-err>noise</system-err></testcase></testsuite>"#,
        ]),
        lost(&[
            r#"<testsuite name="pytest"><testcase classname="t" name="a"><error message="two">trace two</error></testcase></testsuite>"#,
        ]),
    ];
    insta::assert_snapshot!(suites(suite.clone()), @r#"
    <testsuite name="api" tests="1" failures="0" errors="0" skipped="0" time="0.100" timestamp="2026-01-02T00:00:00Z">
      <testcase classname="t" name="a" time="0.1">
        <flakyFailure message="one" type="AssertionError"><stackTrace>trace one</stackTrace><system-out>first</system-out><system-err>noise</system-err></flakyFailure>
        <flakyError message="two" type="error"><stackTrace>trace two</stackTrace></flakyError>
        <system-out>third</system-out>
      </testcase>
    </testsuite>
    "#);
    let flaky = Counts {
        tests: 1,
        flaky: 1,
        ..Counts::default()
    };
    assert_eq!(counts(&suite), flaky);
}

#[test]
fn a_case_that_failed_in_every_attempt_has_failed_again_and_again() {
    let failing = |message: &str| {
        format!(
            "<testsuite name='s'><testcase classname='t' name='a'><failure message='{message}' type='T'>at {message}</failure></testcase></testsuite>"
        )
    };
    let mut suite = record("api", &[&failing("third")]);
    suite.lost = vec![lost(&[&failing("first")]), lost(&[&failing("second")])];
    insta::assert_snapshot!(suites(suite), @r#"
    <testsuite name="api" tests="1" failures="1" errors="0" skipped="0" time="0.000" timestamp="2026-01-02T00:00:00Z">
      <testcase classname="t" name="a">
        <failure message="third" type="T">at third</failure>
        <rerunFailure message="first" type="T"><stackTrace>at first</stackTrace></rerunFailure>
        <rerunFailure message="second" type="T"><stackTrace>at second</stackTrace></rerunFailure>
      </testcase>
    </testsuite>
    "#);
}

#[test]
fn cases_of_one_name_are_told_apart_by_their_order_and_by_their_file() {
    let three = |second: &str| {
        format!(
            "<testsuite name='s'><testcase classname='t' name='a'/><testcase classname='t' name='a'>{second}</testcase><testcase classname='t' name='a'/></testsuite>"
        )
    };
    let mut suite = record("api", &[&three(""), &three("")]);
    suite.lost = vec![lost(&[&three(""), &three("<failure message='m'/>")])];
    insta::assert_snapshot!(outline(&suite), @r"
    api/s|t|a: Passed
    api/s|t|a: Passed
    api/s|t|a: Passed
    api/s (2)|t|a: Passed
    api/s (2)|t|a: Passed flaky flakyFailure(m)
    api/s (2)|t|a: Passed
    ");
    // A file of another name in each attempt, as with a number of a process in it.
    let mut suite = record("api", &[&three("")]);
    let mut attempt = lost(&[&three("<failure message='m'/>")]);
    attempt.reports[0].0 = "reports/4711.xml".to_owned();
    suite.lost = vec![attempt];
    insta::assert_snapshot!(outline(&suite), @r"
    api|t|a: Passed
    api|t|a: Passed flaky flakyFailure(m)
    api|t|a: Passed
    ");
}

#[test]
fn what_only_a_lost_attempt_has_seen_does_not_vanish() {
    let whole = "<testsuite name='s'><testcase name='passes'/><testcase name='fails'><failure message='m'/></testcase><testcase name='late'><skipped/></testcase></testsuite>";
    // The last attempt has passed, without these: they have not passed, and do not fail the suite.
    let mut suite = record(
        "api",
        &["<testsuite name='s'><testcase name='passes'/></testsuite>"],
    );
    suite.lost = vec![lost(&[whole])];
    insta::assert_snapshot!(outline(&suite), @r"
    api||passes: Passed
    api||fails: Skipped flakyFailure(m) skipped(failed in attempt 1 of 2, and later attempts did not run it)
    api||late: Skipped skipped() system-out()
    ");
    // The last attempt has crashed before it wrote anything: what was seen last stands.
    let mut suite = record("api", &[]);
    suite.problems = vec![problem(kind::REPORT_MISSING, "left no report", false)];
    suite.lost = vec![lost(&[whole])];
    insta::assert_snapshot!(outline(&suite), @r"
    api||passes: Passed system-out()
    api||fails: Failed failure(m) system-out()
    api||late: Skipped skipped() system-out()
    api|api|suite: Errored error(left no report)
    ");
    // The newest attempt that has seen a case decides; the older ones go with it.
    suite.lost.push(lost(&[
        "<testsuite name='s'><testcase name='fails'/></testsuite>",
    ]));
    insta::assert_snapshot!(outline(&suite), @r"
    api||fails: Passed flaky flakyFailure(m) system-out()
    api||passes: Passed system-out()
    api||late: Skipped skipped() system-out()
    api|api|suite: Errored error(left no report) rerunError(attempt 2 of 3: it did not pass)
    ");
}

#[test]
fn an_attempt_that_was_lost_as_a_whole_stands_in_the_case_of_the_suite() {
    let timeout = |output: &str| LostAttempt {
        problems: vec![
            problem(kind::TIMEOUT, "killed after its limit of 5s", true),
            problem("OutOfMemory", "out of memory", false),
        ],
        output_tail: output.to_owned(),
        ..lost(&[])
    };
    let mut suite = record(
        "api",
        &["<testsuite name='s'><testcase name='a'/></testsuite>"],
    );
    suite.lost = vec![timeout("the end of its output")];
    insta::assert_snapshot!(suites(suite.clone()), @r#"
    <testsuite name="api" tests="2" failures="0" errors="0" skipped="0" time="0.000" timestamp="2026-01-02T00:00:00Z">
      <testcase name="a"/>
      <testcase name="suite" time="0" classname="api">
        <flakyError message="attempt 1 of 2: killed after its limit of 5s" type="Timeout"><stackTrace>attempt 1 of 2: killed after its limit of 5s

    details

    out of memory
    details</stackTrace><system-out>the end of its output</system-out></flakyError>
      </testcase>
    </testsuite>
    "#);
    suite.problems = vec![problem(kind::REPORT_MISSING, "left no report", false)];
    suite.reports.clear();
    insta::assert_snapshot!(suites(suite), @r#"
    <testsuite name="api" tests="1" failures="0" errors="1" skipped="0" time="1.500" timestamp="2026-01-02T00:00:00Z">
      <testcase name="suite" time="1.5" classname="api">
        <error type="ReportMissing" message="left no report"><![CDATA[left no report

    details]]></error>
        <rerunError message="attempt 1 of 2: killed after its limit of 5s" type="Timeout"><stackTrace>attempt 1 of 2: killed after its limit of 5s

    details

    out of memory
    details</stackTrace><system-out>the end of its output</system-out></rerunError>
      </testcase>
    </testsuite>
    "#);
    // A suite without reports: only its exit codes say anything.
    let mut suite = record("lint", &[]);
    suite.lost = vec![LostAttempt {
        problems: vec![problem(kind::EXIT_CODE, "exited with `1`", true)],
        ..lost(&[])
    }];
    insta::assert_snapshot!(outline(&suite), @"lint|lint|suite: Passed flaky flakyFailure(attempt 1 of 2: exited with `1`)");
}

#[test]
fn attempts_that_a_tool_has_made_itself_are_lost_attempts_too() {
    let mut suite = record(
        "api",
        &[
            "<testsuite name='s'><testcase name='a'><flakyFailure message='third' type='T'>bare text</flakyFailure></testcase></testsuite>",
        ],
    );
    suite.lost = vec![lost(&[
        "<testsuite name='s'><testcase name='a'><failure message='first' type='T'/><rerunFailure message='second' type='T'><stackTrace>at second</stackTrace></rerunFailure></testcase></testsuite>",
    ])];
    insta::assert_snapshot!(suites(suite), @r#"
    <testsuite name="api" tests="1" failures="0" errors="0" skipped="0" time="0.000" timestamp="2026-01-02T00:00:00Z">
      <testcase name="a">
        <flakyFailure message="third" type="T"><stackTrace>bare text</stackTrace></flakyFailure>
        <flakyFailure message="second" type="T"><stackTrace>at second</stackTrace></flakyFailure>
        <flakyFailure message="first" type="T"><stackTrace>first</stackTrace></flakyFailure>
      </testcase>
    </testsuite>
    "#);
}

#[test]
fn an_error_outside_any_case_of_a_lost_attempt_is_told() {
    let mut suite = record(
        "api",
        &["<testsuite name='s'><testcase name='a'/></testsuite>"],
    );
    suite.lost = vec![lost(&[
        "<testsuite name='s'><error message='class setup'/></testsuite>",
    ])];
    insta::assert_snapshot!(outline(&suite), @r"
    api||a: Passed
    api|s|outside any test case: Skipped skipped(failed in attempt 1 of 2, and later attempts did not run it) flakyError(class setup)
    ");
}

#[test]
fn a_case_that_was_skipped_in_the_end_is_no_pass() {
    let mut suite = record(
        "api",
        &["<testsuite name='s'><testcase name='a'><skipped/></testcase></testsuite>"],
    );
    suite.lost = vec![lost(&[
        "<testsuite name='s'><testcase name='a'><failure message='m'/></testcase></testsuite>",
    ])];
    assert_eq!((counts(&suite).flaky, counts(&suite).skipped), (0, 1));
    insta::assert_snapshot!(outline(&suite), @"api||a: Skipped flakyFailure(m) skipped()");
}
