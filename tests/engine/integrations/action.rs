//! The action, as GitHub's runner runs it: whatever ends the step, nothing is left when the job is
//! over.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::github_runner::{Job, Step};
use crate::harness::engine::PROJECT_LABEL;
use crate::harness::events::{self, Event};
use crate::harness::project::held_suite;
use crate::harness::run::watchdog_of;
use crate::harness::{Project, image, wait};

/// The program that the steps use, where a test is not about finding one.
const PROGRAM: (&str, &str) = ("binary", env!("CARGO_BIN_EXE_envrun"));

/// A suite that prints a line and ends with this code.
fn suite(code: u8) -> String {
    format!(
        "
services:
  checks:
    image: {base}
    command: [sh, -c, 'echo a line of the suite; exit {code}']
    x-envrun: {{ suite: {{}} }}
  others:
    image: {base}
    command: ['false']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    )
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

#[track_caller]
fn until_suite_started(step: &mut Step<'_>) {
    step.event("the start of the suite", |event| {
        event.is("suite_started", "checks")
    });
}

#[test]
fn a_step_passes_with_its_outputs_where_paths_have_blanks() {
    let project = Project::new(&suite(0));
    // The directory, the file and the output directory, each with a blank, and inputs of several lines.
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    project.file("my project/my compose.yaml", compose);
    let job = Job::new(&project);
    let mut step = job.start(
        "tests",
        &[
            PROGRAM,
            ("directory", "my project"),
            ("files", "\nmy compose.yaml\n"),
            ("only", "\nchecks\n"),
            ("arguments", "--limit-cpus=1\n\n--untrusted\n"),
            ("out", "my reports"),
        ],
    );
    assert_eq!(step.end(), 0, "{}", step.said());
    assert_eq!(step.output("result"), "passed");
    assert_eq!(step.output("exit-code"), "0");
    assert_eq!(step.output("out"), "my reports");
    assert_eq!(step.output("junit"), "my reports/junit.xml");
    assert!(project.path("my reports/junit.xml").exists());
    let run = step.output("run-id");
    let begun = step.event("its beginning", |event| event.kind() == "run_started");
    assert_eq!(begun.text("run"), run);
    let before = step.said();
    step.post();
    assert_eq!(step.said(), before, "there was nothing to do");
    step.assert_nothing_is_left();
}

#[test]
fn a_step_fails_with_the_exit_code_of_envrun() {
    let project = Project::new(&suite(3));
    let job = Job::new(&project);
    let mut failed = job.start("failed", &[PROGRAM, ("skip", "others")]);
    assert_eq!(failed.end(), 1, "{}", failed.said());
    assert_eq!(failed.output("result"), "failed");
    assert_eq!(failed.output("exit-code"), "1");
    failed.post();
    failed.assert_nothing_is_left();
    let mut usage = job.start("usage", &[PROGRAM, ("only", "nobody")]);
    assert_eq!(usage.end(), 2, "{}", usage.said());
    assert_eq!(usage.output("result"), "error");
    assert_eq!(usage.output("run-id"), "", "not the run before it");
    usage.post();
    drop(usage);
}

#[test]
fn several_steps_of_one_job_have_nothing_to_do_with_each_other() {
    let project = Project::new(&suite(0));
    let job = Job::new(&project);
    let only = ("only", "checks");
    let mut first = job.start("first", &[PROGRAM, only, ("out", "first")]);
    let mut second = job.start("second", &[PROGRAM, only, ("out", "second")]);
    assert_eq!((first.end(), second.end()), (0, 0));
    assert_ne!(first.output("run-id"), second.output("run-id"));
    // The last parts run in the opposite order.
    second.post();
    first.post();
    first.assert_nothing_is_left();
    second.assert_nothing_is_left();
}

/// Cancels the job at a moment, and checks what holds at each of them.
#[track_caller]
fn cancelled(project: &Project, moment: &str, condition: impl Fn(&Event) -> bool) {
    let job = Job::new(project);
    let mut step = job.start("tests", &[PROGRAM]);
    step.event(moment, condition);
    let (code, took) = step.cancel();
    assert_eq!(code, 130, "{}", step.said());
    assert!(took < Duration::from_secs(7), "{took:?}: {}", step.said());
    assert_eq!(step.output("result"), "cancelled");
    assert!(project.path("envrun-out/junit.xml").exists());
    step.assert_nothing_is_left();
    step.post();
    step.assert_nothing_is_left();
}

#[test]
fn a_job_that_is_cancelled_while_an_image_is_built_leaves_nothing() {
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
    cancelled(&project, "the build", |event| {
        event.kind() == "step_started" && event.text("what").starts_with("build ")
    });
}

#[test]
fn a_job_that_is_cancelled_while_services_start_leaves_nothing() {
    let project = Project::new(&format!(
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
    ));
    cancelled(&project, "the start of the server", |event| {
        event.is("service_started", "server")
    });
}

#[test]
fn a_job_that_is_cancelled_while_suites_run_leaves_nothing() {
    cancelled(&held(), "the start of the suite", |event| {
        event.is("suite_started", "checks")
    });
}

#[test]
fn a_step_that_is_killed_leaves_its_run_to_the_end_of_the_job() {
    let project = held();
    let job = Job::new(&project);
    let mut step = job.start("tests", &[PROGRAM]);
    until_suite_started(&mut step);
    step.kill();
    let envrun = step
        .noted_process()
        .unwrap()
        .expect("it knows nothing of it");
    step.post();
    assert!(
        step.said().contains("is told to end now"),
        "{}",
        step.said()
    );
    step.assert_nothing_is_left();
    // It has ended as after any signal, reports included.
    let written = events::read(&step.out);
    assert!(written.iter().any(|event| event.kind() == "verdict"));
    assert!(project.path("envrun-out/junit.xml").exists());
    let gone = || rustix::process::test_kill_process(envrun).is_err();
    wait::until("the end of envrun", Duration::from_secs(5), || {
        gone().then_some(())
    });
}

/// In a container job the runner's signals reach nobody in the container, where the last part of the
/// action begins while the first one goes on.
#[test]
fn a_step_that_no_signal_reaches_is_ended_by_the_end_of_the_job() {
    let project = held();
    let job = Job::new(&project);
    let mut step = job.start("tests", &[PROGRAM]);
    until_suite_started(&mut step);
    step.post();
    step.assert_nothing_is_left();
    assert_eq!(step.end(), 143, "{}", step.said());
}

#[test]
fn what_a_killed_run_has_left_is_removed_at_the_end_of_the_job() {
    let project = held();
    let job = Job::new(&project);
    let mut step = job.start("tests", &[PROGRAM]);
    until_suite_started(&mut step);
    let run = step.run();
    // All of them: a job whose container or whose processes are killed at once.
    let envrun = step.noted_process().unwrap().unwrap();
    kill_process(watchdog_of(&run).unwrap(), Signal::KILL).unwrap();
    kill_process(step.process(), Signal::KILL).unwrap();
    kill_process(envrun, Signal::KILL).unwrap();
    assert_eq!(step.end(), 128 + 9);
    assert_ne!(
        project.engine.of_run(&run),
        [],
        "there is something to remove"
    );
    step.post();
    step.assert_nothing_is_left();
    assert_eq!(project.engine.labelled(PROJECT_LABEL, &project.name), []);
}

#[test]
fn an_envrun_that_is_killed_fails_the_step_and_leaves_nothing() {
    let project = held();
    let job = Job::new(&project);
    let mut step = job.start("tests", &[PROGRAM]);
    until_suite_started(&mut step);
    let run = step.run();
    kill_process(watchdog_of(&run).unwrap(), Signal::KILL).unwrap();
    kill_process(step.noted_process().unwrap().unwrap(), Signal::KILL).unwrap();
    assert_eq!(step.end(), 137, "{}", step.said());
    assert_eq!(step.output("result"), "error");
    step.post();
    step.assert_nothing_is_left();
}

#[test]
fn projects_do_not_see_what_only_actions_may_see() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command: [echo, 'token ${{ACTIONS_RUNTIME_TOKEN:-none}}, input ${{INPUT_OUT:-none}}, job ${{GITHUB_JOB}}']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let job = Job::new(&project);
    let mut step = job.start("tests", &[PROGRAM]);
    assert_eq!(step.end(), 0, "{}", step.said());
    let log = std::fs::read_to_string(project.path("envrun-out/logs/checks.log")).unwrap();
    assert_eq!(log, "token none, input none, job checks\n");
    step.post();
    step.assert_nothing_is_left();
}
