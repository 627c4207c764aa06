//! What waits for what: jobs for their end, suites for each other's success, and nobody for a
//! service that nothing is known of.

use crate::harness::project::{UNTIL_OPEN, held_suite};
use crate::harness::{Project, image};

#[test]
fn a_job_is_over_before_what_waits_for_it_begins() {
    let project = Project::new(&format!(
        "
services:
  migrate:
    image: {base}
    command: [bash, -c, \"sleep 0.3; touch /data/done\"]
    volumes: [\"data:/data\"]
  checks:
    image: {base}
    command: [test, -e, /data/done]
    volumes: [\"data:/data\"]
    depends_on: {{ migrate: {{ condition: service_completed_successfully }} }}
    x-envrun: {{ suite: {{}} }}
volumes: {{ data: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(0);
    let (job, _) = finished.about("service_completed", "migrate");
    let (suite, _) = finished.about("suite_started", "checks");
    assert!(job < suite);
}

#[test]
fn a_job_that_fails_gives_3_with_its_last_words_and_starts_nothing_behind_it() {
    let project = Project::new(&format!(
        "
services:
  migrate:
    image: {base}
    command: [bash, -c, \"echo syntax error in line 3 >&2; exit 2\"]
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: {{ migrate: {{ condition: service_completed_successfully }} }}
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(3);
    assert!(!finished.has("suite_started", "checks"));
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: migrate");
    assert_eq!(
        (case.result.as_str(), case.kind.as_str()),
        ("error", "JobFailed")
    );
    assert!(case.text.contains("syntax error in line 3"), "{case:#?}");
}

#[test]
fn a_service_that_ends_well_with_nothing_declared_has_completed() {
    let project = Project::new(&format!(
        "
services:
  seed:
    image: {base}
    command: [\"true\"]
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [seed]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(0);
}

#[test]
fn a_suite_behind_a_service_with_nothing_to_probe_starts_as_soon_as_that_has_started() {
    let project = Project::new(&format!(
        "
services:
  quiet:
    image: {base}
    command: [sleep, infinity]
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [quiet]
    x-envrun: {{ suite: {{}} }}
x-envrun: {{ timeout: 30s }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(0);
}

#[test]
fn suites_that_wait_for_nothing_run_side_by_side() {
    // Each suite waits for the other to have started, so one after the other would never end.
    let meeting = |own: &str, other: &str| {
        format!(
            "
    image: {}
    volumes: [\"meeting:/meeting\"]
    command: [bash, -c, \"touch /meeting/{own}; until [ -e /meeting/{other} ]; do sleep 0.02; done\"]
    x-envrun: {{ suite: {{ timeout: 30s }} }}
",
            image::BASE
        )
    };
    let project = Project::new(&format!(
        "services:\n  one:{}  two:{}volumes: {{ meeting: {{}} }}\n",
        meeting("one", "two"),
        meeting("two", "one")
    ));
    project.run().assert_code(0);
}

#[test]
fn a_failing_suite_does_not_end_the_others() {
    let project = Project::new(&format!(
        "
services:
  failing:
    image: {base}
    command: [\"false\"]
    x-envrun: {{ suite: {{}} }}
  checks:
    {held}
",
        base = image::BASE,
        held = held_suite(),
    ));
    let mut run = project.start();
    run.event("the failure of the first suite", |event| {
        event.is("suite_finished", "failing")
    });
    run.until_suite_started("checks");
    project.open_gate();
    let finished = run.finish();
    finished.assert_code(1);
    assert_eq!(
        finished.about("suite_finished", "checks").1.text("result"),
        "passed"
    );
}

#[test]
fn skipping_a_suite_leaves_out_what_only_that_suite_needs() {
    let project = Project::new(&format!(
        "
services:
  browser:
    image: {base}
    command: [bash, -c, \"{UNTIL_OPEN}\"]
    volumes: [./gate:/gate:ro]
  e2e:
    image: {base}
    command: [\"true\"]
    depends_on: [browser]
    x-envrun: {{ suite: {{}} }}
  unit:
    image: {base}
    command: [\"true\"]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    for arguments in [["--skip", "e2e"], ["--only", "unit"]] {
        let finished = project.run_with(&arguments);
        finished.assert_code(0);
        assert!(!finished.has("service_started", "browser"));
        assert!(!finished.has("suite_started", "e2e"));
        assert!(finished.has("suite_finished", "unit"));
    }
}
