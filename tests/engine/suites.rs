//! Suites that are run once more, in parts, so many at once, or not at all once one has failed.

use std::collections::BTreeMap;

use crate::harness::events::Event;
use crate::harness::{Finished, Project, image};

/// One service `name` that runs a script of the project, with further lines.
fn scripted(name: &str, lines: &str) -> String {
    format!(
        "
  {name}:
    image: {}
    working_dir: /work
    volumes: [./{name}.sh:/suite.sh:ro, state:/state]
    command: [bash, /suite.sh]
    {lines}
",
        image::BASE
    )
}

/// A project of such services.
fn project(services: &[String], rest: &str) -> Project {
    let services = services.concat();
    Project::new(&format!("services:{services}volumes: {{ state: }}\n{rest}"))
}

/// A script that counts its attempts in the volume and hands on which one it is as `$count`.
const COUNTS: &str = "
count=$(( $(cat /state/count 2>/dev/null || echo 0) + 1 ))
echo $count > /state/count
echo attempt $ENVRUN_ATTEMPT is number $count
";

/// Writes a passing report with one case.
const PASSES: &str = "
mkdir -p /work/reports
echo '<testsuite name=\"s\"><testcase classname=\"c\" name=\"t\" time=\"0.1\"/></testsuite>' > /work/reports/a.xml
";

/// Writes a report whose case fails.
const FAILS: &str = "
mkdir -p /work/reports
echo '<testsuite name=\"s\"><testcase classname=\"c\" name=\"t\" time=\"0.1\"><failure message=\"1 != 2\"/></testcase></testsuite>' > /work/reports/a.xml
";

/// The suites of the verdict, by name: what became of each.
fn verdict(finished: &Finished<'_>) -> BTreeMap<String, String> {
    let (_, verdict) = finished.first("verdict");
    let rows = verdict.0["summary"]["suites"].as_array().unwrap();
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| (text(row, "suite"), text(row, "result")))
        .collect()
}

/// The most suites that ran at once, by the events.
fn most_at_once(events: &[Event]) -> usize {
    let (mut running, mut most) = (0_usize, 0);
    for event in events {
        match event.kind() {
            "suite_started" => running += 1,
            "suite_finished" | "suite_retried" => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    most
}

#[test]
fn a_suite_that_passes_at_its_second_attempt_is_flaky() {
    let suite = "x-envrun: { suite: { junit: 'reports/*.xml', retries: 2 } }";
    let script = format!("{COUNTS} if [ $count = 1 ]; then {FAILS} exit 1; fi; {PASSES}");
    let project = project(&[scripted("e2e", suite)], "").having("e2e.sh", &script);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(verdict(&finished)["e2e"], "flaky");
    assert!(
        finished.stdout.contains("passed, 1 flaky: 1 of 1 suite"),
        "{}",
        finished.stdout
    );
    let (_, retried) = finished.about("suite_retried", "e2e");
    assert_eq!((retried.number("attempt"), retried.number("limit")), (1, 3));
    assert_eq!(retried.number("failures"), 1);
    // The log has both attempts, in order, with a line between.
    let log = String::from_utf8(finished.log("e2e")).unwrap();
    let first = log.find("attempt 1 is number 1\n").unwrap();
    let between = log.find("attempt 1 of 3 did not pass").unwrap();
    let second = log.find("attempt 2 is number 2\n").unwrap();
    assert!(first < between && between < second, "{log}");
    // The case that failed once is there, and has passed.
    assert_eq!(finished.junit().case("e2e", "t").result, "passed");
    let failing = project.run_with(&["--flaky", "fail"]);
    failing.assert_code(1);
    assert_eq!(verdict(&failing)["e2e"], "flaky");
}

/// The first attempt has left a passing report in its own file system, and the second one leaves none.
#[test]
fn a_report_of_an_earlier_attempt_cannot_pass_for_a_later_one() {
    let suite = "x-envrun: { suite: { junit: 'reports/*.xml', retries: 1 } }";
    let script = format!("{COUNTS} if [ $count = 1 ]; then {PASSES} exit 1; fi");
    let project = project(&[scripted("e2e", suite)], "").having("e2e.sh", &script);
    let finished = project.run();
    finished.assert_code(1);
    let (_, judged) = finished.about("suite_finished", "e2e");
    assert_eq!(judged.text("result"), "failed");
    assert!(judged.at("/problems/0").contains("no report"), "{judged:?}");
}

/// The first attempt has left a passing report in a volume, where it stays.
#[test]
fn a_report_that_an_earlier_attempt_has_left_in_a_volume_is_none() {
    let suite = "x-envrun: { suite: { junit: 'reports/*.xml', retries: 1 } }";
    let passes = PASSES.replace("/work", "/state");
    let script = format!("{COUNTS} if [ $count = 1 ]; then {passes} exit 1; fi");
    let services = scripted("e2e", suite).replace("working_dir: /work", "working_dir: /state");
    let project = project(&[services], "").having("e2e.sh", &script);
    let finished = project.run();
    finished.assert_code(1);
    assert!(
        finished.stdout.contains("FAILED")
            && finished.stderr.contains("an earlier attempt has left"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_suite_that_hangs_once_is_killed_and_passes_at_its_second_attempt() {
    let suite = "x-envrun: { suite: { retries: 1, timeout: 1s } }";
    let script = format!("{COUNTS} if [ $count = 1 ]; then sleep 60; fi");
    let project = project(&[scripted("e2e", suite)], "").having("e2e.sh", &script);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(verdict(&finished)["e2e"], "flaky");
    let (_, retried) = finished.about("suite_retried", "e2e");
    assert!(
        retried.at("/problems/0").contains("limit of 1s"),
        "{retried:?}"
    );
}

#[test]
fn each_shard_sees_which_one_it_is_and_has_a_report_of_its_own() {
    let suite = "x-envrun: { suite: { junit: 'reports/*.xml', shards: 3 } }";
    let script = format!("echo \"shard $ENVRUN_SHARD_INDEX of $ENVRUN_SHARD_TOTAL\"; {PASSES}");
    let after = "depends_on: { e2e: { condition: service_completed_successfully } }
    x-envrun: { suite: {} }";
    let services = [scripted("e2e", suite), scripted("after", after)];
    let project = project(&services, "")
        .having("e2e.sh", &script)
        .having("after.sh", "true");
    let finished = project.run();
    finished.assert_code(0);
    let (started, _) = finished.about("suite_started", "after");
    for index in 0..3 {
        let name = format!("e2e-{}", index + 1);
        let said = format!("shard {index} of 3\n");
        assert_eq!(finished.log(&name), said.as_bytes());
        assert_eq!(finished.junit().case(&name, "t").result, "passed");
        let (judged, _) = finished.about("suite_finished", &name);
        assert!(judged < started, "{name} was not waited for");
    }
    let second = project.run_with(&["--only", "e2e", "--shard", "2/2"]);
    second.assert_code(0);
    assert_eq!(verdict(&second).into_keys().collect::<Vec<_>>(), ["e2e-2"]);
}

#[test]
fn the_ci_system_divides_a_suite_that_asks_for_it_and_nonsense_starts_nothing() {
    let suite = "x-envrun: { suite: { shards: ci } }";
    let project = project(&[scripted("e2e", suite)], "").having(
        "e2e.sh",
        "echo \"shard $ENVRUN_SHARD_INDEX of $ENVRUN_SHARD_TOTAL\"",
    );
    let run = |variables: &[(&str, &str)]| {
        let mut command = project.command(&[]);
        command.envs(variables.iter().copied());
        crate::harness::Run::start(&project, command, "out").finish()
    };
    let finished = run(&[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "3")]);
    finished.assert_code(0);
    assert_eq!(finished.log("e2e-2"), b"shard 1 of 3\n");
    let finished = run(&[("CI_NODE_INDEX", "4"), ("CI_NODE_TOTAL", "3")]);
    finished.assert_code(2);
    assert!(
        finished.stderr.contains("job 4 of 3"),
        "{}",
        finished.stderr
    );
    assert!(finished.on_the_engine().is_empty());
    for wrong in ["0/2", "3/2", "1", "x/2"] {
        let finished = project.run_with(&["--shard", wrong]);
        finished.assert_code(2);
        assert!(
            finished.stderr.contains("INDEX/TOTAL"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn no_more_suites_run_at_once_than_the_limit_says() {
    let suite = "x-envrun: { suite: { shards: 5, timeout: 30s } }";
    let project = project(&[scripted("e2e", suite)], "x-envrun: { parallel: 2 }\n")
        .having("e2e.sh", "sleep 0.3");
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(most_at_once(&finished.events), 2);
    let mut command = project.command(&[]);
    command.env("ENVRUN_PARALLEL", "1");
    let finished = crate::harness::Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    assert_eq!(most_at_once(&finished.events), 1);
}

#[test]
fn the_first_failure_kills_what_runs_and_keeps_the_rest_from_starting() {
    let suite = "x-envrun: { suite: {} }";
    let services = ["broken", "long", "later"].map(|name| scripted(name, suite));
    let waits = services[2].replace("x-envrun", "depends_on: [long]\n    x-envrun");
    let services = [services[0].clone(), services[1].clone(), waits];
    let project = project(&services, "")
        // The other one runs by then.
        .having(
            "broken.sh",
            "until [ -e /state/long ]; do sleep 0.02; done; exit 7",
        )
        .having("long.sh", "touch /state/long; sleep 60")
        .having("later.sh", "true");
    let finished = project.run_with(&["--fail-fast"]);
    finished.assert_code(1);
    let results = verdict(&finished);
    assert_eq!(results["broken"], "failed");
    assert_eq!(results["long"], "not_run");
    assert_eq!(results["later"], "not_run");
    assert!(!finished.has("suite_started", "later"));
    assert!(
        finished
            .stdout
            .contains("suite `long` was cut off: suite `broken` has failed"),
        "{}",
        finished.stdout
    );
    let (_, end) = finished.first("run_finished");
    assert!(end.number("elapsed_ms") < 30_000, "`long` was not killed");
}
