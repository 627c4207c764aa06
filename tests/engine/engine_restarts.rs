//! The engine is restarted in the middle of a run: the run ends with 4 and says why, and nothing is
//! left on the engine once it is back, whoever has to see to it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::private_engine::PrivateEngine;
use crate::harness::run::watchdog_of;
use crate::harness::{Project, Run, image, wait};

/// From the engine's return to an engine without the run.
const CLEAN_WITHIN: Duration = Duration::from_secs(90);

/// A service that ends with 0 when it is asked to, one that takes no notice, and a suite of the one
/// kind or the other.
fn project() -> Project {
    Project::new(&format!(
        "
services:
  polite:
    image: {base}
    command: [bash, -c, 'trap \"exit 0\" TERM; while :; do sleep 0.05; done']
    volumes: [\"data:/data\"]
  deaf:
    image: {base}
    command: [sleep, infinity]
  checks:
    image: {base}
    command: [bash, -c, 'trap \"exit 1\" TERM; while :; do sleep 0.05; done']
    depends_on: [polite, deaf]
    x-envrun: {{ suite: {{}} }}
volumes: {{ data: {{}} }}
",
        base = image::BASE
    ))
}

/// Says that nothing was tested, where nobody may start an engine.
fn private_engine() -> Option<PrivateEngine> {
    let engine = PrivateEngine::start();
    if engine.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: a private engine takes root, and this user is another one"
        );
    }
    engine
}

fn start<'project>(project: &'project Project, engine: &PrivateEngine) -> Run<'project> {
    let mut command = project.command(&[]);
    command.env("DOCKER_HOST", engine.address());
    let mut run = Run::start(project, command, "out");
    run.until_suite_started("checks");
    run
}

#[track_caller]
fn until_clean(engine: &PrivateEngine, id: &str) {
    wait::until("an engine without the run", CLEAN_WITHIN, || {
        engine.of_run(id).is_empty().then_some(())
    });
    wait::until("the end of the watchdog", CLEAN_WITHIN, || {
        watchdog_of(id).is_none().then_some(())
    });
    assert_eq!(engine.of_run(id), Vec::<String>::new());
}

#[track_caller]
fn ends_with_4(signal: Signal) {
    let Some(mut engine) = private_engine() else {
        return;
    };
    let project = project();
    let mut run = start(&project, &engine);
    let id = run.id();
    let begun = Instant::now();
    engine.down(signal);
    engine.up();
    let _ = writeln!(std::io::stderr(), "restarted within {:?}", begun.elapsed());
    let finished = run.ended();
    finished.assert_code(4);
    let causes = finished.stderr.matches("error: ").count();
    assert_eq!(causes, 1, "{}", finished.stderr);
    // No suite is blamed, and none has passed.
    let report = finished.junit();
    assert_eq!(report.of("checks")[0].result, "error");
    until_clean(&engine, &id);
}

#[test]
fn an_engine_that_is_restarted_ends_the_run_with_4_and_leaves_nothing() {
    ends_with_4(Signal::TERM);
}

#[test]
fn an_engine_that_crashes_ends_the_run_with_4_and_leaves_nothing() {
    ends_with_4(Signal::KILL);
}

#[test]
fn a_run_that_is_killed_while_its_engine_is_restarted_leaves_nothing() {
    let Some(mut engine) = private_engine() else {
        return;
    };
    let project = project();
    let mut run = start(&project, &engine);
    let id = run.id();
    run.watchdog();
    engine.down(Signal::KILL);
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(5));
    // Longer than a run would wait, but not so long for a watchdog.
    wait::pass(Duration::from_secs(20));
    assert!(watchdog_of(&id).is_some());
    engine.up();
    until_clean(&engine, &id);
}
