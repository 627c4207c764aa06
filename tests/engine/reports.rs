//! What a run writes is complete and readable, whatever the containers say and however they call
//! their files.

use std::collections::BTreeSet;

use crate::harness::project::held_suite;
use crate::harness::{Project, Run, image};

/// A suite `checks` of one shell script, with further lines in its service.
fn suite(lines: &str, script: &str) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    image: {}
    working_dir: /work
    volumes: [./suite.sh:/suite.sh:ro]
    command: [bash, /suite.sh]
    {lines}
",
        image::BASE
    ))
    .having("suite.sh", script)
}

const NO_REPORT: &str = "x-envrun: { suite: {} }";

const REPORTS: &str = "x-envrun: { suite: { junit: \"reports/*.xml\" } }";

/// A passing report with a case of this name, as a shell command that writes it to standard output.
fn passing(case: &str) -> String {
    format!(
        "echo '<testsuite name=\"s\" tests=\"1\"><testcase classname=\"c\" name=\"{case}\"/></testsuite>'"
    )
}

#[test]
fn every_event_is_a_line_of_json_with_its_time_and_they_come_in_order() {
    let project = suite(NO_REPORT, "echo hello");
    let finished = project.run();
    finished.assert_code(0);
    let mut last = 0;
    for event in &finished.events {
        assert_eq!(event.number("schema"), 1);
        assert!(!event.kind().is_empty());
        assert!(event.text("at").ends_with('Z'), "{event:?}");
        event.nanoseconds();
        let elapsed = event.number("elapsed_ms");
        assert!(elapsed >= last, "{event:?} comes after {last} ms");
        last = elapsed;
    }
    assert_eq!(finished.events[0].kind(), "run_started");
    let end = finished.events.last().unwrap();
    assert_eq!((end.kind(), end.number("exit_code")), ("run_finished", 0));
    let text = std::fs::read_to_string(project.path("out/events.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    uuid::Uuid::parse_str(finished.id()).unwrap();
}

#[test]
fn the_verdict_is_printed_and_reported_before_the_teardown() {
    let project = suite(NO_REPORT, "true");
    let finished = project.run();
    let (judged, _) = finished.first("suite_finished");
    let (verdict, _) = finished.first("verdict");
    let (teardown, _) = finished.first("teardown_started");
    let (end, _) = finished.first("teardown_finished");
    assert!(judged < verdict && verdict < teardown && teardown < end);
    assert!(
        finished.stdout.contains("passed: 1 of 1 suite"),
        "{}",
        finished.stdout
    );
    assert_eq!(
        finished
            .junit()
            .case("envrun.environment", "teardown")
            .result,
        "passed"
    );
}

#[test]
fn a_log_has_the_last_line_even_without_its_end() {
    let project = suite(NO_REPORT, "printf 'first\\nlast without end'");
    let finished = project.run();
    assert_eq!(finished.log("checks"), b"first\nlast without end");
}

#[test]
fn a_log_has_both_streams_and_every_byte() {
    let project = suite(
        NO_REPORT,
        "printf '\\000\\377\\033[31m\\r\\n'; printf 'beside\\n' >&2",
    );
    let finished = project.run();
    let log = finished.log("checks");
    let has = |part: &[u8]| log.windows(part.len()).any(|window| window == part);
    assert!(has(b"\x00\xff\x1b[31m\r\n"), "{log:?}");
    assert!(has(b"beside\n"), "{log:?}");
    assert_eq!(log.len(), 9 + 7);
}

#[test]
fn five_megabytes_of_output_arrive_whole() {
    let project = suite(
        NO_REPORT,
        "head -c 5000000 /dev/zero | tr '\\0' x; printf end",
    );
    let finished = project.run();
    finished.assert_code(0);
    let log = finished.log("checks");
    assert_eq!(log.len(), 5_000_003);
    assert!(log.ends_with(b"xend"));
}

#[test]
fn the_log_of_a_service_that_died_at_once_is_complete() {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [bash, -c, \"for i in {{1..2000}}; do echo line $$i; done; printf last; exit 1\"]
    x-envrun: {{ ready: {{ tcp: 9 }} }}
  checks:
    image: {base}
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(3);
    let log = String::from_utf8(finished.log("server")).unwrap();
    assert_eq!(log.lines().count(), 2001);
    assert!(
        log.ends_with("line 2000\nlast"),
        "{}",
        &log[log.len() - 40..]
    );
}

#[test]
fn the_report_is_well_formed_whatever_a_failing_suite_prints() {
    let script = "printf 'a\\000b\\033[31mred\\033[0m ]]> & <x> \\377\\376 \\357\\277\\277 \\342\\202 end\\n'; exit 1";
    let project = suite(NO_REPORT, script);
    let finished = project.run();
    finished.assert_code(1);
    let report = finished.junit();
    let text = &report.of("checks")[0].text;
    assert!(
        text.contains("red") && text.contains("]]> & <x>") && text.contains("end"),
        "{text}"
    );
    assert!(
        !finished.stderr.contains('\u{1b}'),
        "the terminal was not spared"
    );
}

#[test]
fn the_report_is_well_formed_whatever_stands_in_a_suites_report() {
    let script = "mkdir reports
printf '<testsuite name=\"s\" tests=\"1\" failures=\"1\"><testcase classname=\"c\" name=\"it &amp; \\033[1mthat\"><failure message=\"a &lt; b\">\\000 \\033[31m <![CDATA[ x < y ]]></failure></testcase></testsuite>' > reports/a.xml
exit 1";
    let project = suite(REPORTS, script);
    let finished = project.run();
    finished.assert_code(1);
    let report = finished.junit();
    let failed: Vec<_> = report
        .of("checks")
        .into_iter()
        .filter(|case| case.result == "failure")
        .collect();
    assert_eq!(failed.len(), 1, "{:#?}", report.cases);
    assert!(failed[0].name.starts_with("it & "), "{failed:#?}");
    assert_eq!(failed[0].message, "a < b");
}

#[test]
fn only_files_that_the_glob_matches_are_reports() {
    let script = format!(
        "mkdir -p reports/deep elsewhere
{pass} > reports/a.xml
{pass_too} > reports/b.xml
echo 'no report' > reports/notes.txt
echo '<testsuite><testcase name=\"x\"><failure/></testcase></testsuite>' | tee elsewhere/c.xml > reports/deep/d.xml",
        pass = passing("one"),
        pass_too = passing("two"),
    );
    let project = suite(REPORTS, &script);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(
        finished.about("suite_finished", "checks").1.number("tests"),
        2
    );
    let report = finished.junit();
    let names: BTreeSet<&str> = report
        .cases
        .iter()
        .filter(|case| case.suite.starts_with("checks"))
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(names, BTreeSet::from(["one", "two"]));
}

#[test]
fn a_double_star_finds_reports_at_any_depth() {
    let script = format!(
        "mkdir -p target/a/b; {} > target/a/b/TEST-x.xml",
        passing("deep")
    );
    let lines = "x-envrun: { suite: { junit: \"target/**/TEST-*.xml\" } }";
    let project = suite(lines, &script);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(finished.junit().case("checks", "deep").result, "passed");
}

#[test]
fn hostile_names_of_report_files_do_no_harm() {
    let script = format!(
        "mkdir reports; {} > $'reports/a\\n\\033[31m\\\"<&>\\377 b.xml'",
        passing("works")
    );
    let project = suite(REPORTS, &script);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(finished.junit().case("checks", "works").result, "passed");
}

#[test]
fn a_link_is_not_followed_out_of_the_reports() {
    // The target is a perfect report, but on the host it would be any file at all.
    let script = format!(
        "mkdir reports; {} > /elsewhere.xml; ln -s /elsewhere.xml reports/a.xml; ln -s /etc/passwd reports/b.xml",
        passing("works")
    );
    let project = suite(REPORTS, &script);
    let finished = project.run();
    finished.assert_code(1);
    assert!(!finished.stderr.contains("root:"), "{}", finished.stderr);
    let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
    assert!(!text.contains("root:"), "{text}");
}

#[test]
fn a_report_with_entities_is_refused_and_not_expanded() {
    let script = "mkdir reports
cat > reports/a.xml <<'XML'
<!DOCTYPE t [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]>
<testsuite name=\"s\" tests=\"1\"><testcase classname=\"c\" name=\"x\"><system-out>&b;&f;</system-out></testcase></testsuite>
XML";
    let project = suite(REPORTS, script);
    let finished = project.run();
    finished.assert_code(1);
    let text = std::fs::read_to_string(project.path("out/junit.xml")).unwrap();
    finished.junit();
    assert!(
        !text.contains("root:") && !text.contains("aaaaaaaaaaaaaaaaaaaa"),
        "{text}"
    );
}

#[test]
fn an_earlier_report_does_not_outlive_a_run_that_wrote_none() {
    // A CI job that uploads `junit.xml` whatever happened must not upload yesterday's pass.
    let project = suite(NO_REPORT, "true");
    project.run().assert_code(0);
    project.file("compose.yaml", "services: nonsense");
    let finished = project.run();
    finished.assert_code(2);
    assert!(!project.path("out/junit.xml").exists());
}

#[test]
fn a_report_that_cannot_be_written_gives_6() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut run = project.start();
    run.until_suite_started("checks");
    // A directory in the place of the file, since permissions would not stop root.
    project.file("out/junit.xml/in-the-way", "");
    project.open_gate();
    let finished = run.finish();
    finished.assert_code(6);
    assert!(finished.stdout.contains("passed: 1 of 1 suite"));
    assert!(
        finished.stderr.contains("junit.xml"),
        "nothing says which:\n{}",
        finished.stderr
    );
}

/// A suite that fails and makes more to show than a pipe holds.
const TALKATIVE: &str =
    "for i in {1..60}; do head -c 1900 /dev/zero | tr '\\0' x; echo; done; exit 1";

#[test]
fn a_terminal_that_nobody_reads_holds_up_neither_the_run_nor_its_teardown() {
    let project = suite(NO_REPORT, TALKATIVE);
    let mut command = project.command(&[]);
    command.stderr(std::process::Stdio::piped());
    let finished = Run::with_own_stderr(&project, command, "out").finish();
    finished.assert_code(1);
    assert_eq!(finished.events.last().unwrap().kind(), "run_finished");
}

#[test]
fn a_terminal_that_goes_away_ends_neither_the_run_nor_its_teardown() {
    let project = suite(NO_REPORT, TALKATIVE);
    let mut command = project.command(&[]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stderr(writer);
    let finished = Run::with_own_stderr(&project, command, "out").finish();
    finished.assert_code(1);
    assert_eq!(finished.junit().of("checks")[0].result, "failure");
}
