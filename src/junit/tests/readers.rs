//! The merged report as others read it: junitparser counts what envrun counts, and the schemas of
//! Surefire and of Jenkins' xUnit plugin hold.

use std::path::Path;
use std::process::Command;

use super::dialects::ALL;
use super::{record, summary};
use crate::junit::{
    Counts, EnvironmentCase, EnvironmentProblem, Form, LostAttempt, Profile, SuiteProblem,
    SuiteRecord, document, go_test, kind, read, tap,
};

/// What the readers say of a document, with the given schemas of `tests/readers`.
fn said(document: &[u8], schemas: &[&str]) -> serde_json::Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let brought = Command::new(root.join("ci/readers")).output();
    let brought = brought.expect("ci/readers runs");
    assert!(brought.status.success(), "{brought:?}");
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("junit.xml");
    std::fs::write(&path, document).expect("written");
    let output = Command::new(root.join("target/readers/bin/python"))
        .arg(root.join("tests/readers/check.py"))
        .arg(&path)
        .args(schemas)
        .current_dir(root.join("tests/readers"))
        .output()
        .expect("python runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).expect("json")
}

/// A suite for each dialect, each tried twice, and what goes wrong around them.
fn suites() -> Vec<SuiteRecord> {
    let mut suites: Vec<SuiteRecord> = ALL
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let mut suite = record(&format!("dialect-{number}"), &[text]);
            suite.lost = vec![LostAttempt {
                reports: suite.reports.clone(),
                problems: Vec::new(),
                output_tail: String::new(),
                duration: suite.duration,
            }];
            suite
        })
        .collect();
    let failing = "<testsuite name='s'><testcase name='a'><failure>f</failure></testcase><testcase name='b'><error/></testcase></testsuite>";
    let passing = "<testsuite name='s'><testcase name='a' file='a.py' line='3'/><testcase name='b'/></testsuite>";
    let mut flaky = record("flaky", &[passing]);
    flaky.lost = vec![LostAttempt {
        reports: record("", &[failing]).reports,
        problems: vec![SuiteProblem {
            kind: kind::TIMEOUT.to_owned(),
            message: "killed".to_owned(),
            details: String::new(),
            is_failure: true,
        }],
        output_tail: "the end".to_owned(),
        duration: flaky.duration,
    }];
    suites.push(flaky);
    let mut lines = record("lines", &[]);
    let tap = tap::read(b"1..3\nok 1\nnot ok 2\nok 3 # SKIP\n", "t").expect("read");
    let go =
        go_test::read(b"{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"T\"}").expect("read");
    lines.reports = vec![("a.tap".to_owned(), tap), ("stdout".to_owned(), go)];
    suites.push(lines);
    let mut missing = record("missing", &[]);
    missing.problems = vec![SuiteProblem {
        kind: kind::REPORT_MISSING.to_owned(),
        message: "left no report ]]> & <".to_owned(),
        details: String::new(),
        is_failure: false,
    }];
    suites.push(missing);
    suites
}

fn count(value: &serde_json::Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(u64::MAX)
}

fn counted(value: &serde_json::Value, ours: Counts) {
    for (name, count_of_ours) in [
        ("tests", ours.tests),
        ("failures", ours.failures),
        ("errors", ours.errors),
        ("skipped", ours.skipped),
    ] {
        assert_eq!(
            count(&value["counted"], name),
            count_of_ours,
            "{name}: {value}"
        );
        assert_eq!(
            count(&value["declared"], name),
            count_of_ours,
            "{name}: {value}"
        );
    }
}

#[test]
fn junitparser_reads_what_envrun_writes_and_counts_the_same() {
    let mut whole = summary(suites());
    whole.environment = vec![EnvironmentCase {
        name: "ready: db".to_owned(),
        duration: std::time::Duration::from_secs(1),
        problem: Some(EnvironmentProblem {
            kind: "NotReady".to_owned(),
            message: "not ready".to_owned(),
            details: String::new(),
        }),
        output: String::new(),
    }];
    for (profile, schemas) in [
        (Profile::Default, &["default.xsd"][..]),
        (Profile::Strict, &["jenkins-xunit.xsd", "surefire.xsd"][..]),
    ] {
        let form = Form {
            profile,
            ..Form::default()
        };
        let bytes = document(&whole, &form);
        let ours = read(&bytes).expect("it is read").counts();
        let said = said(&bytes, schemas);
        let counted_by = &said["counted"];
        let passed = count(counted_by, "passed");
        for (name, ours) in [
            ("tests", ours.tests),
            ("failures", ours.failures),
            ("errors", ours.errors),
            ("skipped", ours.skipped),
        ] {
            assert_eq!(count(counted_by, name), ours, "{name}: {said}");
        }
        assert_eq!(passed, ours.tests - ours.failing() - ours.skipped);
        assert!(count(&said, "interim") >= 10, "{said}");
        for schema in schemas {
            let problems = said["problems"][schema].as_array().expect("a list");
            assert!(problems.is_empty(), "{profile:?} {schema}: {problems:#?}");
        }
        if profile == Profile::Default {
            counted(&said, ours);
        }
    }
}

#[test]
fn the_schemas_refuse_what_the_strict_profile_leaves_out() {
    let bytes = document(&summary(suites()), &Form::default());
    let said = said(&bytes, &["jenkins-xunit.xsd", "surefire.xsd"]);
    for schema in ["jenkins-xunit.xsd", "surefire.xsd"] {
        let problems = said["problems"][schema].as_array().expect("a list");
        assert!(!problems.is_empty(), "{schema}");
    }
}
