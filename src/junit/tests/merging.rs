//! The merged report: what envrun adds to it, and what it repairs.

use std::time::{Duration, SystemTime};

use super::{merged, midnight, record, strict, summary};
use crate::junit::{
    EnvironmentCase, EnvironmentProblem, Form, SuiteProblem, SuiteRecord, document, kind, read,
};

const ONE_CASE: &str =
    r#"<testsuite name="inner"><testcase classname="c" name="a" time="0.5"/></testsuite>"#;

fn problem(kind: &str, message: &str, is_failure: bool) -> SuiteProblem {
    SuiteProblem {
        kind: kind.to_owned(),
        message: message.to_owned(),
        details: "line one\nline two".to_owned(),
        is_failure,
    }
}

#[test]
fn the_environment_is_a_suite_of_its_own() {
    let mut summary = summary(Vec::new());
    summary.environment = vec![
        EnvironmentCase {
            name: "ready: db".to_owned(),
            duration: Duration::from_micros(1_234_567),
            problem: None,
            output: String::new(),
        },
        EnvironmentCase {
            name: "ready: api".to_owned(),
            duration: Duration::from_secs(30),
            problem: Some(EnvironmentProblem {
                kind: "NotReady".to_owned(),
                message: "service `api` not ready after 30s".to_owned(),
                details: "\x1b[31mlast\x1b[0m <log> ]]> line\0".to_owned(),
            }),
            output: String::new(),
        },
    ];
    let text = String::from_utf8(document(&summary, &Form::default())).expect("utf-8");
    strict::check(&text);
    insta::assert_snapshot!(text, @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="2" failures="0" errors="1" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="envrun.environment" tests="2" failures="0" errors="1" skipped="0" time="31.235" timestamp="2026-01-02T00:00:00Z">
        <testcase name="ready: db" time="1.234567" classname="envrun.environment"/>
        <testcase name="ready: api" time="30" classname="envrun.environment">
          <error type="NotReady" message="service `api` not ready after 30s"><![CDATA[service `api` not ready after 30s

    last <log> ]]]]><![CDATA[> line�]]></error>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_suite_that_passed_by_its_exit_code_is_visible() {
    insta::assert_snapshot!(merged(vec![record("smoke", &[])]), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="1" failures="0" errors="0" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="smoke" tests="1" failures="0" errors="0" skipped="0" time="1.500" timestamp="2026-01-02T00:00:00Z">
        <testcase name="suite" time="1.5" classname="smoke"/>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_suite_that_never_started_is_an_error() {
    let mut suite = record("e2e", &[]);
    suite.started = None;
    suite.problems = vec![problem(kind::NEVER_STARTED, "`api` was not ready", false)];
    insta::assert_snapshot!(merged(vec![suite]), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="1" failures="0" errors="1" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="e2e" tests="1" failures="0" errors="1" skipped="0" time="1.500" timestamp="2026-01-02T00:00:00Z">
        <testcase name="suite" time="1.5" classname="e2e">
          <error type="NeverStarted" message="`api` was not ready"><![CDATA[`api` was not ready

    line one
    line two]]></error>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_problem_stands_in_the_testsuite_of_its_suite() {
    let mut suite = record("unit", &[ONE_CASE]);
    suite.problems = vec![
        problem(kind::EXIT_CODE, "exited with `1`", true),
        problem(kind::TIMEOUT, "not finished after 10m", false),
    ];
    suite.output_tail = "the \x1b[1mend\x1b[0m".to_owned();
    insta::assert_snapshot!(merged(vec![suite]), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="3" failures="1" errors="1" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit" tests="3" failures="1" errors="1" skipped="0" time="0.500" timestamp="2026-01-02T00:00:00Z">
        <testcase classname="c" name="a" time="0.5"/>
        <testcase name="suite" time="0" classname="unit">
          <failure type="ExitCode" message="exited with `1`"><![CDATA[exited with `1`

    line one
    line two]]></failure>
          <system-out><![CDATA[the end]]></system-out>
        </testcase>
        <testcase name="suite (2)" time="0" classname="unit">
          <error type="Timeout" message="not finished after 10m"><![CDATA[not finished after 10m

    line one
    line two]]></error>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_problem_of_a_suite_with_several_testsuites_has_its_own() {
    let mut suite = record("unit", &[ONE_CASE, ONE_CASE]);
    suite.problems = vec![problem(kind::EXIT_CODE, "exited with `1`", false)];
    insta::assert_snapshot!(merged(vec![suite, record("unit/inner", &[])]), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="4" failures="0" errors="1" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit/inner" tests="1" failures="0" errors="0" skipped="0" time="0.500" timestamp="2026-01-02T00:00:00Z">
        <testcase classname="c" name="a" time="0.5"/>
      </testsuite>
      <testsuite name="unit/inner (2)" tests="1" failures="0" errors="0" skipped="0" time="0.500" timestamp="2026-01-02T00:00:00Z">
        <testcase classname="c" name="a" time="0.5"/>
      </testsuite>
      <testsuite name="unit" tests="1" failures="0" errors="1" skipped="0" time="0.000" timestamp="2026-01-02T00:00:00Z">
        <testcase name="suite" time="0" classname="unit">
          <error type="ExitCode" message="exited with `1`"><![CDATA[exited with `1`

    line one
    line two]]></error>
        </testcase>
      </testsuite>
      <testsuite name="unit/inner (3)" tests="1" failures="0" errors="0" skipped="0" time="1.500" timestamp="2026-01-02T00:00:00Z">
        <testcase name="suite" time="1.5" classname="unit/inner"/>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_case_that_is_called_like_ours_keeps_its_name() {
    let document = r#"<testsuite><testcase classname="unit" name="suite"/></testsuite>"#;
    let mut suite = record("unit", &[document]);
    suite.problems = vec![problem(kind::EXIT_CODE, "exited with `1`", true)];
    let text = merged(vec![suite]);
    assert!(
        text.contains(r#"name="suite" classname="unit""#)
            || text.contains(r#"classname="unit" name="suite""#)
    );
    assert!(text.contains(r#"name="suite (2)""#), "{text}");
}

#[test]
fn a_report_without_a_testsuite_earns_no_pass() {
    let text = merged(vec![record("unit", &["<testsuites/>"])]);
    assert!(
        text.contains(r#"<testsuite name="unit" tests="0""#),
        "{text}"
    );
}

#[test]
fn no_suite_can_pose_as_the_environment() {
    let text = merged(vec![record("envrun.environment", &[ONE_CASE])]);
    assert!(text.contains(r#""envrun.environment (2)""#), "{text}");
}

#[test]
fn a_case_is_brought_into_the_order_of_surefire_and_repaired() {
    let document = concat!(
        "<testsuite name='inner' xmlns='urn:default' xmlns:a='urn:a' time='3.14159' ",
        "timestamp='2026-01-02T03:04:05'>",
        "<system-err>e1</system-err><error message='class setup'/><properties/>stray",
        "<testcase name='a' time='oops'>text in a case<system-err>e</system-err>",
        "<system-out>one</system-out><a:x b:y='1' a:z='2'/><system-out><![CDATA[two]]></system-out>",
        "<error type='T'>\n  boom\nat x</error><skipped/><flakyFailure/><rerunFailure/>",
        "<failure message='why'>body</failure><properties/><!-- a -- b - --></testcase>",
        "<testcase name='b' status='disabled'/><testcase name='c' result='failed'/>",
        "<system-out>o1</system-out><system-err>e2</system-err></testsuite>"
    );
    insta::assert_snapshot!(merged(vec![record("unit", &[document])]), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="4" failures="2" errors="1" skipped="1" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit" tests="4" failures="2" errors="1" skipped="1" time="3.142" xmlns:a="urn:a" timestamp="2026-01-02T03:04:05">
        <properties/>
        <testcase name="outside any test case" classname="inner">
          <error message="class setup">class setup</error>
        </testcase>
        <testcase name="a">
          <properties/>
          <!-- a - - b - -->
          <failure message="why">why
    body</failure>
          <rerunFailure><stackTrace/></rerunFailure>
          <flakyFailure><stackTrace/></flakyFailure>
          <skipped/>
          <error type="T" message="boom">
      boom
    at x</error>
          <system-out>text in a case
    one
    <![CDATA[two]]></system-out>
          <system-err>e</system-err>
          <a:x b_y="1" a:z="2"/>
        </testcase>
        <testcase name="b" status="disabled">
          <skipped/>
        </testcase>
        <testcase name="c" result="failed">
          <failure type="status" message="the report gives the status `failed`">the report gives the status `failed`</failure>
        </testcase>
        <system-out>stray
    o1</system-out>
        <system-err>e1
    e2</system-err>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn names_and_prefixes_that_strict_readers_refuse_are_taken_apart() {
    let document = concat!(
        "<testsuite name='s' xmlns:p='' xmlns:p='urn:a' xmlns:q='urn:a' xmlns:xml='urn:a' xmlns:r='{'>",
        "<testcase name='a' name='b' p:k='1' q:k='2' r:k='3' a:b:c='4' 1='5'/>",
        "<p:x/><r:x/><x xmlns='http://www.w3.org/2000/xmlns/'/><y xmlns='urn:y'/></testsuite>"
    );
    let text = merged(vec![record("s", &[document])]);
    insta::assert_snapshot!(text.lines().skip(2).collect::<Vec<_>>().join("\n"), @r#"
      <testsuite name="s" tests="1" failures="0" errors="0" skipped="0" time="0.000" xmlns_p="" xmlns:p="urn:a" xmlns:q="urn:a" xmlns_xml="urn:a" xmlns_r="{" timestamp="2026-01-02T00:00:00Z">
        <testcase name="a" name_2="b" p:k="1" q:k_2="2" r_k="3" a_b_c="4" _1="5"/>
        <p:x/>
        <r_x/>
        <x xmlns_="http://www.w3.org/2000/xmlns/"/>
        <y xmlns="urn:y"/>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn moments_and_durations_at_the_edge_are_written() {
    for started in [
        SystemTime::UNIX_EPOCH,
        SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 33),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50),
        midnight(),
    ] {
        let mut suite = record("s", &[]);
        suite.started = Some(started);
        suite.duration = Duration::MAX;
        let mut whole = summary(vec![suite.clone(), suite]);
        whole.started = started;
        whole.duration = Duration::MAX;
        let step = EnvironmentCase {
            name: "teardown".to_owned(),
            duration: Duration::MAX,
            problem: None,
            output: String::new(),
        };
        whole.environment = vec![step; 50];
        let text = String::from_utf8(document(&whole, &Form::default())).expect("utf-8");
        strict::check(&text);
        assert_eq!(
            read(text.as_bytes()).expect("it is read").counts().tests,
            52
        );
    }
}

#[test]
fn merging_a_merged_report_changes_nothing_but_names() {
    let suites: Vec<SuiteRecord> = vec![
        record("a", &[ONE_CASE]),
        record("b", &[]),
        record("c", &[ONE_CASE, ONE_CASE]),
    ];
    let once = merged(suites);
    let twice = merged(vec![record("all", &[&once])]);
    let cases = |text: &str| {
        let report = read(text.as_bytes()).expect("it is read");
        let cases = report.cases();
        cases
            .iter()
            .map(|case| format!("{:?}", case.element()))
            .collect::<Vec<_>>()
    };
    assert_eq!(cases(&once), cases(&twice));
}

#[test]
fn properties_of_ours_join_those_of_the_first_testsuite_or_stand_in_our_own() {
    let properties = vec![("envrun.cpu_ms".to_owned(), "7".to_owned())];
    let report = r#"<testsuite name="s"><properties><property name="own" value="1"/></properties>
        <testcase name="a"/></testsuite>"#;
    for reports in [&[report][..], &[]] {
        let suite = SuiteRecord {
            properties: properties.clone(),
            ..record("unit", reports)
        };
        let merged = merged(vec![suite]);
        assert_eq!(merged.matches("envrun.cpu_ms").count(), 1, "{merged}");
        assert_eq!(merged.matches("<properties>").count(), 1, "{merged}");
        let own = merged.find(r#"name="own""#);
        assert_eq!(own.is_some(), !reports.is_empty(), "{merged}");
    }
}
