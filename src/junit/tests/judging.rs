//! Every rule of the judgement, one obligation each.

use crate::junit::{ReadError, Report, judge, read};

const PASSING: &str = r#"<testsuite name="s"><testcase name="a"/></testsuite>"#;
const FAILING: &str = r#"<testsuite name="s"><testcase classname="c" name="a"><failure message="m"/></testcase></testsuite>"#;
const EMPTY_SUITE: &str = r#"<testsuites tests="3"/>"#;

fn reports(documents: &[&str]) -> Vec<(String, Result<Report, ReadError>)> {
    let numbered = documents.iter().enumerate();
    numbered
        .map(|(index, text)| (format!("r{index}.xml"), read(text.as_bytes())))
        .collect()
}

fn verdict(exit_code: Option<i64>, documents: &[&str], expected: bool) -> String {
    let problems = judge(exit_code, &reports(documents), expected);
    let lines = problems.iter().map(|problem| {
        let element = if problem.is_failure {
            "failure"
        } else {
            "error"
        };
        format!("{element} {}: {}", problem.kind, problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_suite_that_plainly_passed_or_failed_has_no_problem() {
    assert_eq!(verdict(Some(0), &[PASSING], true), "");
    assert_eq!(verdict(Some(0), &[PASSING, EMPTY_SUITE], true), "");
    assert_eq!(verdict(Some(1), &[FAILING], true), "");
    assert_eq!(verdict(Some(1), &[PASSING, FAILING], true), "");
    assert_eq!(verdict(Some(0), &[], false), "");
}

#[test]
fn an_exit_code_alone_is_the_tests_verdict() {
    insta::assert_snapshot!(verdict(Some(3), &[], false), @"failure ExitCode: exited with `3`");
}

#[test]
fn a_contradiction_is_an_error_both_ways() {
    insta::assert_snapshot!(
        verdict(Some(1), &[PASSING], true),
        @"error ExitCode: exited with `1` although its report shows no failure"
    );
    insta::assert_snapshot!(
        verdict(Some(0), &[FAILING, PASSING], true),
        @"error ReportContradictsExit: exited with `0` although its report shows `1` failing case"
    );
    let problems = judge(Some(0), &reports(&[FAILING]), true);
    assert_eq!(problems[0].details, "r0.xml: c: a");
}

#[test]
fn a_missing_report_is_an_error_whatever_the_exit_code() {
    insta::assert_snapshot!(
        verdict(Some(0), &[], true), @"error ReportMissing: exited with `0` and left no report"
    );
    insta::assert_snapshot!(
        verdict(Some(137), &[], true), @"error ReportMissing: exited with `137` and left no report"
    );
    assert!(judge(Some(137), &[], true)[0].details.contains("memory"));
}

#[test]
fn a_report_without_a_case_is_no_pass() {
    insta::assert_snapshot!(
        verdict(Some(0), &[EMPTY_SUITE], true),
        @"error ReportEmpty: exited with `0`, and its report holds no test case"
    );
    insta::assert_snapshot!(
        verdict(Some(5), &[EMPTY_SUITE], true),
        @"error ReportEmpty: exited with `5`, and its report holds no test case"
    );
}

#[test]
fn an_unreadable_report_is_an_error_beside_good_ones() {
    insta::assert_snapshot!(
        verdict(Some(0), &[PASSING, "", "<testsuite><testcase>"], true),
        @r"
    error ReportUnreadable: report `r1.xml` cannot be read: the document is empty
    error ReportUnreadable: report `r2.xml` cannot be read: the document ends early at line `1`, byte `21`, inside `testcase`
    "
    );
    insta::assert_snapshot!(
        verdict(Some(1), &[FAILING, ""], true),
        @"error ReportUnreadable: report `r1.xml` cannot be read: the document is empty"
    );
}

#[test]
fn an_unknown_exit_code_is_an_error_whatever_the_report_says() {
    for documents in [&[PASSING][..], &[FAILING], &[]] {
        for expected in [true, false] {
            assert_eq!(
                verdict(None, documents, expected),
                "error ExitCode: ended without an exit code"
            );
        }
    }
}
