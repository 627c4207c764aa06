//! A signal at any time: the verdict at once, the reports, and an engine without a trace within
//! seconds. GitHub gives a cancelled job 7.5 s after SIGINT and 2.5 s after SIGTERM.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::faulty_engine::FaultyEngine;
use crate::harness::project::held_suite;
use crate::harness::{Finished, Project, Run, image};

/// From the signal to the end of the process, with nothing left on the engine.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Sends the signal, waits for the end and checks what holds after every signal.
#[track_caller]
fn end_by<'project>(run: Run<'project>, signal: Signal, code: i32) -> Finished<'project> {
    let sent = Instant::now();
    run.signal(signal);
    // What is left on the engine is looked at in there.
    let finished = run.finish();
    let took = sent.elapsed();
    finished.assert_code(code);
    assert!(took < GONE_WITHIN, "it took {took:?}:\n{}", finished.stderr);
    let (received, _) = finished.first("signal_received");
    let (verdict, summary) = finished.first("verdict");
    let (teardown, _) = finished.first("teardown_started");
    assert!(received < verdict && verdict < teardown);
    assert_eq!(summary.0.pointer("/summary/passed"), Some(&false.into()));
    assert!(finished.stdout.contains("FAILED"), "{}", finished.stdout);
    let report = finished.junit();
    assert!(
        report
            .of("envrun.environment")
            .iter()
            .any(|case| case.kind == "Interrupted"),
        "{:#?}",
        report.cases
    );
    assert_ne!(report.of("checks")[0].result, "passed");
    finished
}

fn held() -> Project {
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
    volumes: [\"data:/data\"]
  checks:
    {held}
    depends_on: [server]
volumes: {{ data: {{}} }}
",
        base = image::BASE,
        held = held_suite(),
    ))
}

/// A service whose readiness never comes.
fn never_ready() -> Project {
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
    x-envrun: {{ ready: {{ tcp: 9 }} }}
  checks:
    image: {base}
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
}

#[test]
fn sigint_while_suites_run_gives_130_and_leaves_nothing() {
    let project = held();
    let mut run = project.start();
    run.until_suite_started("checks");
    end_by(run, Signal::INT, 130);
}

#[test]
fn sigterm_while_a_service_is_waited_for_gives_143_and_leaves_nothing() {
    let project = never_ready();
    let mut run = project.start();
    run.event("the start of the server", |event| {
        event.is("service_started", "server")
    });
    end_by(run, Signal::TERM, 143);
}

#[test]
fn sighup_while_suites_run_gives_129_and_leaves_nothing() {
    let project = held();
    let mut run = project.start();
    run.until_suite_started("checks");
    end_by(run, Signal::HUP, 129);
}

#[test]
fn sigint_while_containers_are_created_leaves_nothing() {
    let services: String = (0..6)
        .map(|number| {
            format!(
                "  server{number}:\n    image: {}\n    command: [sleep, infinity]\n",
                image::BASE
            )
        })
        .collect();
    let project = Project::new(&format!(
        "services:\n{services}  checks:\n    {}\n",
        held_suite()
    ));
    let mut run = project.start();
    run.event("the first container", |event| {
        event.kind() == "step_started" && event.text("what").starts_with("create container")
    });
    end_by(run, Signal::INT, 130);
}

#[test]
fn sigterm_while_an_image_is_built_ends_the_build_and_leaves_nothing() {
    let project = Project::new(
        "
services:
  checks:
    build: { context: ./built, args: { NEVER_BUILT_BEFORE: NAME } }
    x-envrun: { suite: {} }
",
    );
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    project.file("compose.yaml", compose.replace("NAME", &project.name));
    project.file(
        "built/Dockerfile",
        format!(
            "FROM {}\nARG NEVER_BUILT_BEFORE\nRUN echo $NEVER_BUILT_BEFORE && sleep 60\n",
            image::BASE
        ),
    );
    let mut run = project.start();
    run.event("the build", |event| {
        event.kind() == "step_started" && event.text("what").starts_with("build image")
    });
    end_by(run, Signal::TERM, 143);
}

#[test]
fn sigint_works_where_it_was_inherited_as_ignored() {
    // A shell without job control starts everything in the background like that.
    let project = held();
    let mut command = Command::new("bash");
    command
        .args([
            "-c",
            "trap '' INT; exec \"$@\"",
            "bash",
            env!("CARGO_BIN_EXE_envrun"),
        ])
        .args(["run", "--out", "out"])
        .current_dir(project.directory());
    let mut run = Run::start(&project, command, "out");
    run.until_suite_started("checks");
    end_by(run, Signal::INT, 130);
}

#[test]
fn a_second_signal_changes_neither_the_exit_code_nor_the_teardown() {
    let project = held();
    let mut run = project.start();
    run.until_suite_started("checks");
    run.signal(Signal::INT);
    run.event("the beginning of the teardown", |event| {
        event.kind() == "teardown_started"
    });
    // The process may be gone already, and then there is nothing to disturb.
    let _ = rustix::process::kill_process(run.process(), Signal::TERM);
    run.finish().assert_code(130);
}

#[test]
fn three_signals_end_envrun_at_once_and_the_watchdog_does_the_rest() {
    let project = held();
    let mut run = project.start();
    run.until_suite_started("checks");
    run.watchdog();
    for _ in 0..3 {
        let before = run.signals();
        run.signal(Signal::INT);
        // Two signals of a kind at once are one.
        run.until_signals(before + 1);
    }
    let status = run.wait(Duration::from_secs(5));
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    run.until_nothing_is_left(Duration::from_secs(10));
}

#[test]
fn a_suite_that_had_passed_before_the_signal_is_still_told_as_passed() {
    let project = Project::new(&format!(
        "
services:
  early:
    image: {base}
    command: [\"true\"]
    x-envrun: {{ suite: {{}} }}
  checks:
    {held}
",
        base = image::BASE,
        held = held_suite(),
    ));
    let mut run = project.start();
    run.event("the pass of the early suite", |event| {
        event.is("suite_finished", "early")
    });
    run.until_suite_started("checks");
    let finished = end_by(run, Signal::INT, 130);
    let report = finished.junit();
    assert!(
        report
            .of("early")
            .iter()
            .all(|case| case.result == "passed")
    );
}

#[test]
fn teardown_waits_for_what_the_engine_is_still_creating() {
    for request in ["POST /networks/create", "POST /containers/create"] {
        let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
        let engine = FaultyEngine::holding(&project, request);
        let mut command = project.command(&[]);
        command.env("DOCKER_HOST", engine.address());
        let mut run = Run::start(&project, command, "out");
        engine.until_holding();
        run.signal(Signal::TERM);
        run.event("the beginning of the teardown", |event| {
            event.kind() == "teardown_started"
        });
        engine.let_go();
        let finished = run.finish();
        finished.assert_code(143);
        assert!(engine.passed_on() > 0);
        // The creation was answered, and what it made was removed and told of.
        let (_, end) = finished.first("teardown_finished");
        let removed = end.0.pointer("/report/removed").unwrap().to_string();
        let name = if request.contains("networks") {
            "-default"
        } else {
            "-checks"
        };
        assert!(removed.contains(name), "{removed}");
    }
}
