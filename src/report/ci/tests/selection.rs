use std::time::{Duration, SystemTime};

use crate::ci::Provider;
use crate::exit_code::Signal;
use crate::junit::{self, Location, SuiteProblem};
use crate::name::RunId;
use crate::outcome::{Failure, FailureClass, Outcome, SuiteOutcome, SuiteResult};
use crate::report::ci::annotations::{Level, of_verdict, tests};
use crate::report::ci::place::Places;
use crate::report::ci::{Screen, dialect};
use crate::report::{outputs, summary};
use crate::run::interrupted_before_plan;

use super::escapes::tokens;

pub(super) fn report(xml: &str) -> junit::Report {
    junit::read(xml.as_bytes()).expect("a report")
}

fn suite(name: &str, report: junit::Report) -> SuiteOutcome {
    let counts = report.counts();
    SuiteOutcome {
        result: match counts.failing() {
            0 => SuiteResult::Passed,
            _ => SuiteResult::Failed,
        },
        duration: Duration::from_millis(1500),
        reports: vec![("reports/a.xml".to_owned(), report)],
        counts,
        ..SuiteOutcome::unknown(name.into(), name.into())
    }
}

fn outcome(suites: Vec<SuiteOutcome>) -> Outcome {
    // Of a run that has not begun, nothing else is known.
    let nothing = interrupted_before_plan(SystemTime::UNIX_EPOCH, Signal::Interrupt);
    Outcome {
        failure: None,
        suites,
        signal: None,
        duration: Duration::from_secs(5),
        ..nothing
    }
}

fn failing(number: usize) -> junit::Report {
    let cases: Vec<String> = (0..number)
        .map(|number| {
            format!(
                "<testcase classname='tests.test_a' name='test_{number}' file='tests/test_a.py' line='{}'>\
                 <failure message='{number} is wrong'>Traceback\nAssertionError: {number} is wrong</failure></testcase>",
                number + 1
            )
        })
        .collect();
    report(&format!(
        "<testsuite name='a'>{}</testsuite>",
        cases.concat()
    ))
}

fn places() -> (tempfile::TempDir, Places) {
    let repository = tempfile::tempdir().expect("temporary directory");
    let root = repository.path().canonicalize().expect("there");
    for file in ["tests/test_a.py", "deploy/e2e/spec.js"] {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        std::fs::write(path, "").expect("written");
    }
    let project = root.join("deploy");
    (repository, Places::new(root, project))
}

fn environment_failure() -> Failure {
    Failure {
        class: FailureClass::Environment,
        kind: "NotReady",
        service: Some("db".into()),
        message: "service `db` not ready after 30s".to_owned(),
        log_tail: vec!["FATAL: <b>no</b> |".to_owned()],
        hint: Some("look at `envrun-out/logs/db.log`".to_owned()),
        explanation: None,
    }
}

#[test]
fn a_place_is_a_file_of_the_repository_or_none() {
    let (repository, places) = places();
    let root = repository.path().canonicalize().expect("there");
    let of = |file: &str| {
        let place = places.of(&Location {
            file: file.to_owned(),
            line: Some(3),
        });
        place.map(|place| place.file)
    };
    assert_eq!(of("tests/test_a.py").as_deref(), Some("tests/test_a.py"));
    assert_eq!(of("./tests/test_a.py").as_deref(), Some("tests/test_a.py"));
    // Relative to the project, but shown as the repository has it.
    assert_eq!(of("e2e/spec.js").as_deref(), Some("deploy/e2e/spec.js"));
    let absolute = root.join("tests/test_a.py");
    assert_eq!(
        of(absolute.to_str().expect("text")).as_deref(),
        Some("tests/test_a.py")
    );
    for elsewhere in [
        "/etc/passwd",
        "../x",
        "tests/../../x",
        "/app/tests/test_a.py",
        "tests",
        "",
        "no.py",
        "a\nb",
    ] {
        assert_eq!(of(elsewhere), None, "{elsewhere}");
    }
}

#[test]
fn what_matters_most_comes_first_and_the_last_one_says_how_many_are_left() {
    let (_repository, places) = places();
    let mut broken = suite("unit", failing(30));
    broken.problems.push(SuiteProblem {
        kind: "Timeout".to_owned(),
        message: "suite `unit` ran longer than 10m".to_owned(),
        details: String::new(),
        is_failure: false,
    });
    let mut outcome = outcome(vec![broken]);
    outcome.failure = Some(environment_failure());
    let found = of_verdict(&outcome, &places);
    let titles: Vec<&str> = found.iter().map(|one| one.title.as_str()).collect();
    assert_eq!(titles.len(), 10, "{titles:?}");
    assert_eq!(
        titles[..3],
        [
            "environment: NotReady",
            "unit: Timeout",
            "unit: tests.test_a test_0"
        ]
    );
    // 32 in all, of which nine are shown.
    assert_eq!(titles[9], "and 23 more");
    let place = found[2]
        .place
        .as_ref()
        .map(|place| (place.file.as_str(), place.line));
    assert_eq!(place, Some(("tests/test_a.py", Some(1))));
    assert_eq!(
        found[2].message,
        "0 is wrong\nTraceback\nAssertionError: 0 is wrong"
    );
}

#[test]
fn ten_failures_are_ten_annotations() {
    let (_repository, places) = places();
    for (number, shown, last) in [
        (1, 1, "unit: tests.test_a test_0"),
        (10, 10, "unit: tests.test_a test_9"),
        (11, 10, "and 2 more"),
    ] {
        let outcome = outcome(vec![suite("unit", failing(number))]);
        let found = of_verdict(&outcome, &places);
        assert_eq!(found.len(), shown);
        assert_eq!(found.last().map(|one| one.title.as_str()), Some(last));
    }
}

#[test]
fn a_flaky_test_is_a_warning() {
    let (_repository, places) = places();
    let flaky = "<testsuite name='a'><testcase name='t' file='tests/test_a.py'><flakyFailure message='m'/></testcase></testsuite>";
    let found = of_verdict(&outcome(vec![suite("unit", report(flaky))]), &places);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].level, Level::Warning);
    assert_eq!(found[0].title, "unit: t is flaky");
}

#[test]
fn a_flaky_suite_is_a_warning_or_an_error_where_that_is_asked() {
    let (_repository, places) = places();
    let mut flaky = suite(
        "e2e",
        report("<testsuite name='a'><testcase name='t'/></testsuite>"),
    );
    flaky.result = SuiteResult::Flaky;
    flaky.attempts = 2;
    for (fails, level) in [(false, Level::Warning), (true, Level::Error)] {
        flaky.flaky_fails = fails;
        let outcome = outcome(vec![flaky.clone()]);
        let found = of_verdict(&outcome, &places);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].level, level);
        assert_eq!(found[0].title, "e2e is flaky");
        assert_eq!(outputs::flaky(&outcome), 1);
    }
}

#[test]
fn teamcity_is_told_every_test_and_a_suite_without_report_as_one() {
    let xml = "<testsuite name='a'><testcase classname='c' name='ok' time='0.25'/><testcase name='off'><skipped/></testcase>\
               <testcase name='bad|]'><failure message='it&#10;broke'>trace</failure></testcase></testsuite>";
    let mut plain = suite("smoke", report("<testsuite name='a'/>"));
    plain.reports.clear();
    plain.result = SuiteResult::Passed;
    let outcome = outcome(vec![suite("unit", report(xml)), plain]);
    let dialect = dialect(Provider::TeamCity, tokens()).expect("a system with words");
    let mut screen = Screen::over(dialect, SystemTime::UNIX_EPOCH, false);
    insta::assert_snapshot!(screen.pieces(&tests(&outcome)));
}

#[test]
fn a_summary_says_it_all() {
    let mut outcome = outcome(vec![
        suite(
            "api",
            report("<testsuite name='a'><testcase name='t'/></testsuite>"),
        ),
        suite("unit", failing(2)),
    ]);
    outcome.failure = Some(environment_failure());
    insta::assert_snapshot!(summary::page(
        "shop",
        RunId::from_u128(7),
        &outcome,
        summary::MOST
    ));
}

#[test]
fn a_summary_of_fifty_thousand_failures_stays_within_its_limit() {
    let outcome = outcome(vec![suite("unit", failing(50_000))]);
    for room in [summary::MOST, 100_000, 5_000, 600, 100, 0] {
        let page = summary::page("shop", RunId::from_u128(7), &outcome, room);
        assert!(page.len() <= room, "{} of {room}", page.len());
        if room >= 5_000 {
            assert!(page.contains("50000 failed"), "{room}");
            assert!(page.ends_with("`junit.xml` has all of it.\n\n"), "{room}");
        }
    }
    let page = summary::page("shop", RunId::from_u128(7), &outcome, summary::MOST);
    assert!(page.len() > summary::MOST / 2, "{}", page.len());
}

#[test]
fn hostile_names_stay_in_their_cells() {
    let name = "|x| `</summary></details><script>alert(1)</script> [a](http://evil) @everyone";
    let xml = format!(
        "<testsuite name='a'><testcase name='{0}'><failure message='{0}&#10;# h'>{0}\n</failure></testcase></testsuite>",
        name.replace('<', "&lt;").replace('>', "&gt;")
    );
    let outcome = outcome(vec![suite("unit", report(&xml))]);
    let page = summary::page("p|<b>", RunId::from_u128(7), &outcome, summary::MOST);
    for hostile in [
        "<script",
        "](http",
        "@everyone",
        "p|",
        "<b>alert",
        "</summary></details>",
    ] {
        let body = page
            .split("<pre>")
            .map(|part| part.rsplit("</pre>").next().unwrap_or_default());
        assert!(
            !body.collect::<String>().contains(hostile),
            "{hostile} in\n{page}"
        );
    }
    assert_eq!(
        page.matches("<details>").count(),
        page.matches("</details>").count()
    );
    assert_eq!(
        page.matches("<pre>").count(),
        page.matches("</pre>").count()
    );
}

#[test]
fn outputs_are_one_line_each_whatever_they_hold() {
    let outcome = outcome(vec![suite("unit", failing(2))]);
    let directory = std::path::Path::new("/w/my out");
    let found = outputs::outputs(RunId::from_u128(7), &outcome, directory);
    insta::assert_snapshot!(outputs::github(&found, "D"), @r"
    result<<D
    failed
    D
    exit-code<<D
    1
    D
    run-id<<D
    00000000-0000-0000-0000-000000000007
    D
    out<<D
    /w/my out
    D
    junit<<D
    /w/my out/junit.xml
    D
    suites<<D
    1
    D
    tests<<D
    2
    D
    failures<<D
    2
    D
    skipped<<D
    0
    D
    flaky<<D
    0
    D
    ");
    insta::assert_snapshot!(outputs::dotenv(&found), @r"
    ENVRUN_RESULT=failed
    ENVRUN_EXIT_CODE=1
    ENVRUN_RUN_ID=00000000-0000-0000-0000-000000000007
    ENVRUN_SUITES=1
    ENVRUN_TESTS=2
    ENVRUN_FAILURES=2
    ENVRUN_SKIPPED=0
    ENVRUN_FLAKY=0
    ");
    let hostile = std::path::Path::new("/w/a\nresult=passed");
    let found = outputs::outputs(RunId::from_u128(7), &outcome, hostile);
    assert!(found.iter().all(|output| !output.value.contains('\n')));
}
