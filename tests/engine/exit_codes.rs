//! The exit code says who is to blame: a suite (1), the user's files (2), the environment (3), the
//! engine (4). Each of them leaves a `junit.xml` that says the same, unless nothing was begun.

use crate::harness::project::{UNTIL_OPEN, held_suite};
use crate::harness::{Project, Run, image};

/// A suite of one shell command whose report is expected in `reports/`.
fn reporting_suite(script: &str) -> Project {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {}
    working_dir: /work
    volumes: [./suite.sh:/suite.sh:ro]
    command: [bash, /suite.sh]
    x-envrun: {{ suite: {{ junit: \"reports/*.xml\" }} }}
",
        image::BASE
    ));
    project.file("suite.sh", format!("mkdir -p reports\n{script}\n"));
    project
}

const PASSING: &str =
    r#"<testsuite name="s" tests="1"><testcase classname="c" name="works"/></testsuite>"#;

const FAILING: &str = r#"<testsuite name="s" tests="2" failures="1"><testcase classname="c" name="works"/><testcase classname="c" name="breaks"><failure type="AssertionError" message="1 is not 2">at line 7</failure></testcase></testsuite>"#;

#[test]
fn a_failing_test_gives_1_and_stands_in_junit_xml() {
    let project = reporting_suite(&format!("echo '{FAILING}' > reports/a.xml; exit 1"));
    let finished = project.run();
    finished.assert_code(1);
    let report = finished.junit();
    let case = report.case("checks", "breaks");
    assert_eq!(
        (case.result.as_str(), case.message.as_str()),
        ("failure", "1 is not 2")
    );
    assert!(case.text.contains("at line 7"));
    assert_eq!(report.case("checks", "works").result, "passed");
    let (_, judged) = finished.about("suite_finished", "checks");
    assert_eq!(judged.text("result"), "failed");
    assert_eq!((judged.number("tests"), judged.number("failures")), (2, 1));
}

#[test]
fn a_suite_without_reports_fails_by_its_exit_code() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {}
    command: [bash, -c, \"echo the reason; exit 7\"]
    x-envrun: {{ suite: {{}} }}
",
        image::BASE
    ));
    let finished = project.run();
    finished.assert_code(1);
    let report = finished.junit();
    let cases = report.of("checks");
    assert_eq!(cases.len(), 1, "{cases:#?}");
    assert_eq!(cases[0].result, "failure", "{cases:#?}");
    assert!(cases[0].message.contains('7'), "{cases:#?}");
    assert!(cases[0].text.contains("the reason"), "{cases:#?}");
    assert!(finished.stderr.contains("checks | the reason"));
}

#[test]
fn an_exit_code_of_0_does_not_hide_a_failing_test() {
    let project = reporting_suite(&format!("echo '{FAILING}' > reports/a.xml; exit 0"));
    let finished = project.run();
    finished.assert_code(1);
    assert_eq!(finished.junit().case("checks", "breaks").result, "failure");
}

#[test]
fn a_passing_report_does_not_hide_an_exit_code() {
    let project = reporting_suite(&format!("echo '{PASSING}' > reports/a.xml; exit 3"));
    let finished = project.run();
    finished.assert_code(1);
    let report = finished.junit();
    assert!(
        report
            .of("checks")
            .iter()
            .any(|case| case.result != "passed"),
        "{:#?}",
        report.cases
    );
}

#[test]
fn a_missing_report_is_no_pass() {
    let project = reporting_suite("echo 'all is well'");
    let finished = project.run();
    finished.assert_code(1);
    let report = finished.junit();
    let cases = report.of("checks");
    assert_eq!(cases[0].result, "error", "{cases:#?}");
    assert!(cases[0].message.contains("report"), "{cases:#?}");
}

#[test]
fn a_truncated_report_is_no_pass() {
    let cut = &PASSING[..PASSING.len() - 8];
    let project = reporting_suite(&format!("echo -n '{cut}' > reports/a.xml"));
    let finished = project.run();
    finished.assert_code(1);
    let report = finished.junit();
    assert!(
        report
            .of("checks")
            .iter()
            .any(|case| case.result == "error"),
        "{:#?}",
        report.cases
    );
}

#[test]
fn a_report_without_a_test_is_no_pass() {
    let project = reporting_suite("echo '<testsuite name=\"s\" tests=\"0\"/>' > reports/a.xml");
    project.run().assert_code(1);
}

#[test]
fn a_suite_beyond_its_limit_is_killed_and_gives_1() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {}
    command: [sleep, infinity]
    x-envrun: {{ suite: {{ timeout: 500ms }} }}
",
        image::BASE
    ));
    let finished = project.run();
    finished.assert_code(1);
    let report = finished.junit();
    assert!(
        report.of("checks")[0].message.contains("0.5s"),
        "{:#?}",
        report.cases
    );
}

#[test]
fn a_run_beyond_its_limit_gives_1_for_the_suite_that_it_cut_off() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {}
    command: [sleep, infinity]
    x-envrun: {{ suite: {{}} }}
x-envrun: {{ timeout: 2s }}
",
        image::BASE
    ));
    let finished = project.run();
    finished.assert_code(1);
    assert_eq!(
        finished.first("run_aborted").1.at("/failure/kind"),
        "Timeout"
    );
    assert_eq!(finished.junit().of("checks")[0].result, "error");
}

/// Until the verdict, from the moment when the engine says that the container died.
#[track_caller]
fn assert_within_a_second(died: i64, verdict: i128) {
    let late = verdict - i128::from(died);
    assert!(
        late < 1_000_000_000,
        "the verdict came {} ms after the death",
        late / 1_000_000
    );
}

#[test]
fn a_database_that_cannot_start_gives_3_within_a_second_with_its_last_words() {
    let project = Project::with_postgres(&format!(
        "
services:
  db:
    image: {}
  checks:
    image: {}
    command: [\"true\"]
    depends_on: [db]
    x-envrun: {{ suite: {{}} }}
",
        image::postgres(),
        image::BASE
    ));
    let deaths = project.engine.deaths(&project.name);
    let finished = project.run();
    finished.assert_code(3);
    assert_within_a_second(deaths.of("db"), finished.first("verdict").1.nanoseconds());
    let words = "superuser password is not specified";
    assert!(finished.stderr.contains(words), "{}", finished.stderr);
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: db");
    assert_eq!(
        (case.result.as_str(), case.kind.as_str()),
        ("error", "Died")
    );
    assert!(case.text.contains(words), "{case:#?}");
    let suite = &report.of("checks")[0];
    assert_eq!(
        (suite.result.as_str(), suite.kind.as_str()),
        ("error", "NeverStarted")
    );
}

#[test]
fn a_service_that_ran_out_of_memory_is_told_apart_from_one_that_crashed() {
    let project = Project::new(&format!(
        "
services:
  hungry:
    image: {base}
    mem_limit: 16m
    command: [tail, /dev/zero]
    x-envrun: {{ ready: {{ tcp: 1 }} }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [hungry]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(3);
    let (_, died) = finished.about("service_died", "hungry");
    assert_eq!(died.0.pointer("/exit/oom_killed"), Some(&true.into()));
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: hungry");
    assert!(case.message.contains("memory"), "{case:#?}");
    assert!(case.text.contains("mem_limit"), "{case:#?}");
}

#[test]
fn a_service_that_dies_while_suites_run_ends_the_run_with_3() {
    let project = Project::new(&format!(
        "
services:
  fragile:
    image: {base}
    volumes: [./gate:/gate:ro]
    command: [bash, -c, \"{until_open}; echo my last words; exit 9\"]
  checks:
    image: {base}
    command: [sleep, infinity]
    depends_on: [fragile]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE,
        until_open = UNTIL_OPEN,
    ));
    let deaths = project.engine.deaths(&project.name);
    let mut run = project.start();
    run.until_suite_started("checks");
    project.open_gate();
    let finished = run.finish();
    finished.assert_code(3);
    assert_within_a_second(
        deaths.of("fragile"),
        finished.first("verdict").1.nanoseconds(),
    );
    assert!(finished.stderr.contains("fragile | my last words"));
    let report = finished.junit();
    assert_eq!(
        report.case("envrun.environment", "ready: fragile").result,
        "error"
    );
    let suite = &report.of("checks")[0];
    assert_eq!(
        (suite.result.as_str(), suite.kind.as_str()),
        ("error", "CutOff")
    );
}

#[test]
fn an_image_that_cannot_be_had_gives_3() {
    // A registry on a port of this machine where nobody listens: the engine is refused at once, and
    // nothing leaves the machine.
    let project = Project::new(
        "
services:
  checks:
    image: 127.0.0.1:1/nobody/nothing:1
    x-envrun: { suite: {} }
",
    );
    let finished = project.run();
    finished.assert_code(3);
    let (_, aborted) = finished.first("run_aborted");
    assert_eq!(aborted.at("/failure/kind"), "RegistryUnavailable");
    let report = finished.junit();
    assert!(
        report.of("envrun.environment").iter().any(|case| {
            case.result == "error" && case.message.contains("127.0.0.1:1/nobody/nothing:1")
        }),
        "{:#?}",
        report.cases
    );
}

#[test]
fn no_engine_gives_4_with_a_hint_and_a_report() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    for nobody in ["unix:///nonexistent/engine.sock", "tcp://127.0.0.1:1"] {
        let mut command = project.command(&[]);
        command.env("DOCKER_HOST", nobody);
        let finished = Run::start(&project, command, "out").finish();
        finished.assert_code(4);
        assert!(finished.stderr.contains("hint: "), "{}", finished.stderr);
        let report = finished.junit();
        let environment = report.of("envrun.environment");
        assert!(
            environment.iter().any(|case| case.result == "error"),
            "{environment:#?}"
        );
        assert_eq!(report.of("checks")[0].result, "error");
    }
}

#[test]
fn a_broken_file_gives_2_with_all_its_errors_and_starts_nothing() {
    let project = Project::new(
        "
services:
  db:
    image: 5
    depends_on: [nowhere]
    network_mode: host
  checks:
    command: [\"true\"]
    volumes: [data:/data]
    x-envrun: { suite: {} }
",
    );
    let finished = project.run();
    finished.assert_code(2);
    for word in ["nowhere", "network_mode", "data", "image"] {
        assert!(
            finished.stderr.contains(word),
            "{word}:\n{}",
            finished.stderr
        );
    }
    assert!(finished.events.is_empty());
    assert_eq!(finished.on_the_engine(), []);
}

#[test]
fn selecting_no_suite_gives_2_and_names_those_there_are() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    for arguments in [
        ["--only", "cheks"],
        ["--skip", "cheks"],
        ["--skip", "checks"],
    ] {
        let finished = project.run_with(&arguments);
        finished.assert_code(2);
        assert!(finished.events.is_empty());
        if arguments[1] == "cheks" {
            assert!(finished.stderr.contains("`checks`"), "{}", finished.stderr);
        }
    }
}

#[test]
fn a_project_without_a_suite_gives_2() {
    let project = Project::new(&format!("services:\n  db:\n    image: {}\n", image::BASE));
    let finished = project.run();
    finished.assert_code(2);
    assert!(finished.stderr.contains("no suite"), "{}", finished.stderr);
}

#[test]
fn an_output_directory_that_cannot_be_written_gives_2_before_anything_starts() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    // A file in the way stops root as well, which permissions would not.
    project.file("in-the-way", "");
    let command = project.envrun(&["run", "--out", "in-the-way/out"]);
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(2);
    assert!(
        finished.stderr.contains("in-the-way"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.on_the_engine(), []);
}

#[test]
fn a_suite_that_failed_outranks_an_environment_that_died() {
    // The suite `early` fails for good before the service dies, and its verdict must survive the
    // abort.
    let project = Project::new(&format!(
        "
services:
  fragile:
    image: {base}
    volumes: [./gate:/gate:ro]
    command: [bash, -c, \"{until_open}; exit 9\"]
  early:
    image: {base}
    command: [\"false\"]
    x-envrun: {{ suite: {{}} }}
  late:
    image: {base}
    command: [sleep, infinity]
    depends_on: [fragile]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE,
        until_open = UNTIL_OPEN,
    ));
    let mut run = project.start();
    run.event("the verdict on the early suite", |event| {
        event.is("suite_finished", "early")
    });
    run.until_suite_started("late");
    project.open_gate();
    let finished = run.finish();
    finished.assert_code(1);
    let report = finished.junit();
    assert_eq!(
        report.case("envrun.environment", "ready: fragile").result,
        "error"
    );
}
