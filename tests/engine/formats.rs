//! What suites leave as reports: in which format, where, and what is believed of it.

use std::os::unix::fs::MetadataExt as _;

use crate::harness::{Project, image};

/// A suite `checks` of one shell script, with these keys of `suite` and further lines in its service.
fn suite(keys: &str, lines: &str, script: &str) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    image: {}
    working_dir: /work
    volumes: [./suite.sh:/suite.sh:ro]
    command: [bash, /suite.sh]
    x-envrun: {{ suite: {{ {keys} }} }}
    {lines}
",
        image::BASE
    ))
    .having("suite.sh", script)
}

#[test]
fn tap_on_the_standard_output_is_a_report() {
    let script = "echo '1..3'; echo 'ok 1 - adds'; echo noise >&2; echo 'ok 2 - later # SKIP no'; printf 'ok 3 - last'";
    let project = suite("tap: stdout", "", script);
    let finished = project.run();
    finished.assert_code(0);
    let report = finished.junit();
    assert_eq!(report.case("checks", "adds").result, "passed");
    assert_eq!(report.case("checks", "later").result, "skipped");
    assert_eq!(report.case("checks", "last").result, "passed");
}

#[test]
fn a_stream_that_stops_early_is_no_pass() {
    for (keys, script, name) in [
        (
            "tap: stdout",
            "echo '1..3'; echo 'ok 1'; echo 'ok 2'",
            "TAP plan",
        ),
        (
            "go_test: \"*.json\"",
            r#"echo '{"Action":"run","Package":"p","Test":"TestA"}' > a.json"#,
            "TestA",
        ),
    ] {
        let project = suite(keys, "", script);
        let finished = project.run();
        finished.assert_code(1);
        let report = finished.junit();
        assert_eq!(report.case("checks", name).result, "error");
        let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
        assert!(
            text.contains("exited with `0` although its report shows"),
            "{text}"
        );
    }
}

#[test]
fn an_exit_code_that_the_report_does_not_explain_is_an_error() {
    let passing =
        r#"{"Action":"pass","Package":"p","Test":"TestA"}\n{"Action":"pass","Package":"p"}\n"#;
    for (keys, script) in [
        ("tap: stdout", "printf '1..1\\nok 1\\n'; exit 3".to_owned()),
        ("go_test: stdout", format!("printf '{passing}'; exit 3")),
    ] {
        let project = suite(keys, "", &script);
        project.run().assert_code(1);
        let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
        assert!(
            text.contains("exited with `3` although its report shows no failure"),
            "{text}"
        );
    }
    for (keys, script) in [
        ("tap: stdout", "echo hello"),
        ("go_test: stdout", "echo hello"),
        ("tap: stdout", ":"),
        ("tap: \"*.tap\"", ":"),
    ] {
        let project = suite(keys, "", script);
        project.run().assert_code(1);
        let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
        assert!(
            text.contains("cannot be read") || text.contains("left no report"),
            "{text}"
        );
    }
}

#[test]
fn what_a_suite_has_written_before_its_limit_is_there() {
    let script = "mkdir r; echo '<testsuite name=\"s\"><testcase classname=\"c\" name=\"early\"/></testsuite>' > r/a.xml; sleep 600";
    let project = suite("junit: \"r/*.xml\", timeout: 2s", "", script);
    let finished = project.run();
    finished.assert_code(1);
    assert_eq!(finished.junit().case("checks", "early").result, "passed");
    let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
    assert!(text.contains("Timeout"), "{text}");
}

#[test]
fn reports_on_mounts_are_found_and_their_originals_are_kept_as_the_callers() {
    let script = "for d in /bound /volume /work/r; do mkdir -p $d; echo '<testsuite name=\"s\"><testcase classname=\"c\" name=\"in'$d'\"/></testsuite>' > $d/a.xml; done; chmod 600 /work/r/a.xml; chown 1234:1234 /work/r/a.xml";
    for (directory, mount) in [
        ("/bound", "./bound:/bound"),
        ("/volume", "/volume"),
        ("/work/r", "./bound:/bound"),
    ] {
        let parent = directory.rsplit_once('/').map_or("/", |(parent, _)| parent);
        let name = directory.rsplit('/').next().unwrap();
        let parent = if parent.is_empty() { "/" } else { parent };
        let project = Project::new(&format!(
            "
services:
  checks:
    image: {}
    working_dir: {parent}
    volumes: [\"./suite.sh:/suite.sh:ro\", \"{mount}\"]
    command: [bash, /suite.sh]
    x-envrun: {{ suite: {{ junit: \"{name}/*.xml\" }} }}
",
            image::BASE
        ))
        .having("suite.sh", script);
        let finished = project.run();
        finished.assert_code(0);
        assert_eq!(
            finished
                .junit()
                .case("checks", &format!("in{directory}"))
                .result,
            "passed"
        );
        let original = project.path(&format!("out/artifacts/checks/{name}/a.xml"));
        let metadata = std::fs::metadata(&original)
            .unwrap_or_else(|error| panic!("{}: {error}", original.display()));
        let own = std::fs::metadata(project.path("suite.sh")).unwrap();
        assert_eq!(metadata.uid(), own.uid());
        assert_eq!(metadata.mode() & 0o400, 0o400);
    }
}

#[test]
fn a_report_in_memory_is_an_error_before_anything_starts() {
    for lines in [
        "tmpfs: [/work/reports]",
        "volumes: [{ type: tmpfs, target: /work/reports }]",
    ] {
        let project = Project::new(&format!(
            "
services:
  checks:
    image: {}
    working_dir: /work
    command: [\"true\"]
    {lines}
    x-envrun: {{ suite: {{ tap: [stdout, \"reports/*.tap\"] }} }}
",
            image::BASE
        ));
        let finished = project.run();
        finished.assert_code(2);
        assert!(
            finished.stderr.contains("compose.yaml:9:40"),
            "{}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains("on the tmpfs `/work/reports`"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn a_test_that_fails_and_then_passes_is_flaky_in_the_report() {
    let script = "mkdir r; n=$(cat /count/n 2>/dev/null || echo 0); echo $((n+1)) > /count/n
report() { echo \"<testsuite name='s'><testcase classname='c' name='a'>$1</testcase></testsuite>\" > r/a.xml; }
if [ $n = 0 ]; then report \"<failure message='first'>at first</failure>\"; exit 1; fi
if [ $n = 1 ]; then exit 7; fi
report ''";
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {}
    working_dir: /work
    volumes: [\"./suite.sh:/suite.sh:ro\", \"count:/count\"]
    command: [bash, /suite.sh]
    x-envrun: {{ suite: {{ junit: \"r/*.xml\", retries: 2 }} }}
volumes:
  count:
",
        image::BASE
    ))
    .having("suite.sh", script);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(finished.junit().case("checks", "a").result, "passed");
    let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
    assert!(text.contains("<flakyFailure message=\"first\""), "{text}");
    assert!(
        text.contains("<flakyError message=\"attempt 2 of 3: exited with `7` and left no report\""),
        "{text}"
    );
    assert!(
        project
            .path("out/artifacts/checks~attempt-1/r/a.xml")
            .exists()
    );
}

#[test]
fn paths_are_those_of_the_repository_and_the_strict_profile_has_none() {
    let script = "mkdir r; echo '<testsuite name=\"s\"><testcase classname=\"c\" name=\"a\" file=\"/src/tests/a.py\" line=\"3\"/><testcase classname=\"c\" name=\"b\" file=\"tests/b.py\"/></testsuite>' > r/a.xml";
    let keys = "junit: \"r/*.xml\", paths: { /work: ./backend }";
    let project = suite(keys, "", script).having("deep/file", "");
    let text = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let mounts = "[./suite.sh:/suite.sh:ro, ./deep:/src]";
    project.file(
        "compose.yaml",
        text.replace("[./suite.sh:/suite.sh:ro]", mounts),
    );
    let finished = project.run();
    finished.assert_code(0);
    let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
    assert!(
        text.contains("file=\"deep/tests/a.py\" line=\"3\""),
        "{text}"
    );
    assert!(text.contains("file=\"backend/tests/b.py\""), "{text}");
    project
        .run_with(&["--junit-profile", "strict"])
        .assert_code(0);
    let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
    assert!(
        !text.contains("file=") && text.contains("name=\"a\""),
        "{text}"
    );
    let finished = project.run_with(&["--junit-profile", "lax"]);
    finished.assert_code(2);
    assert!(
        finished
            .stderr
            .contains("`--junit-profile` is no profile of reports: `lax`"),
        "{}",
        finished.stderr
    );
}
