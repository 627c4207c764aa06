//! What runs on one machine share, and how they make room for each other.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::slow_engine::SlowEngine;
use crate::harness::{Project, Run, events, image, wait};

/// More container starts than the limits of these tests allow at once.
fn several_starts() -> Project {
    Project::new(&format!(
        "
services:
  one: {{ image: {base}, command: [sleep, infinity] }}
  two: {{ image: {base}, command: [sleep, infinity] }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [one, two]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
}

/// Starts a run that talks to `engine`, with a limit of `limit` starts at once.
fn start<'project>(
    project: &'project Project,
    engine: &SlowEngine,
    limit: &str,
    out: &str,
) -> Run<'project> {
    let mut command = project.envrun(&["run", "--out", out]);
    command
        .env("DOCKER_HOST", engine.address())
        .env("ENVRUN_CONCURRENT_STARTS", limit);
    Run::start(project, command, out)
}

fn says_that_it_waits(run: &Run<'_>) -> bool {
    let events = events::read(&run.out);
    events.iter().any(|event| event.kind() == "start_waits")
}

#[test]
fn runs_side_by_side_start_no_more_containers_at_once_than_the_limit() {
    let project = several_starts();
    let engine = SlowEngine::holding(&project, "POST /containers/*/start");
    let outs = ["one", "two", "three"];
    let runs = outs.map(|out| start(&project, &engine, "2", out));
    engine.until_held(2);
    // With two starts under way, a run that has none of them waits; those are at least one, and with
    // one start each the third waits for both.
    wait::until("a run that waits", Duration::from_secs(60), || {
        let waiting = runs.iter().filter(|run| says_that_it_waits(run)).count();
        (waiting >= 2).then_some(())
    });
    assert_eq!((engine.held(), engine.passed_on()), (2, 0));
    engine.let_go();
    let mut lines = 0;
    for run in runs {
        let finished = run.finish();
        finished.assert_code(0);
        let line = |line: &str| line.contains("waiting for") && line.contains("other run");
        lines += usize::from(finished.stderr.lines().any(line));
    }
    assert!(lines >= 2, "{lines} runs have said that they wait");
    assert_eq!(engine.passed_on(), 9);
}

#[test]
fn a_run_that_is_killed_while_it_starts_a_container_makes_room_at_once() {
    let project = several_starts();
    let engine = SlowEngine::holding(&project, "POST /containers/*/start");
    let mut first = start(&project, &engine, "1", "first");
    engine.until_held(1);
    let mut second = start(&project, &engine, "1", "second");
    let waits = second.event("its waiting", |event| event.kind() == "start_waits");
    assert_eq!(waits.0["others"], 1);
    assert_eq!(engine.held(), 1);
    first.watchdog();
    first.signal(Signal::KILL);
    engine.until_held(2);
    engine.let_go();
    second.finish().assert_code(0);
    first.wait(Duration::from_secs(5));
    first.until_nothing_is_left(Duration::from_secs(30));
}

#[test]
fn a_run_that_is_ended_while_it_waits_for_others_starts_nothing_more() {
    let project = several_starts();
    let engine = SlowEngine::holding(&project, "POST /containers/*/start");
    let first = start(&project, &engine, "1", "first");
    engine.until_held(1);
    let mut second = start(&project, &engine, "1", "second");
    second.event("its waiting", |event| event.kind() == "start_waits");
    second.signal(Signal::TERM);
    // Its teardown waits for nobody.
    second.finish().assert_code(143);
    assert_eq!(engine.held(), 1);
    engine.let_go();
    first.finish().assert_code(0);
    assert_eq!(engine.passed_on(), 3);
}
