//! Commands that are run in containers after their start and before their end, and containers that
//! are asked to stop.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::project::held_suite;
use crate::harness::{Project, image};

/// A service with these keys that waits forever, with a directory of the project that everybody may
/// write to at `/shared`, and a suite that passes.
fn project(lines: &str, suite: &str) -> Project {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
    volumes: [./shared:/shared]
    working_dir: /tmp
    environment: {{ A: service, B: service }}
    {lines}
  checks:
    {suite}
    depends_on: {{ server: {{ condition: service_started }} }}
",
        base = image::BASE,
    ));
    std::fs::create_dir(project.path("shared")).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(project.path("shared"), everybody).unwrap();
    project
}

/// A suite that passes if the hook's file is there.
fn looks() -> String {
    format!(
        "image: {}
    volumes: [./shared:/shared]
    command: [cat, /shared/hook]
    x-envrun: {{ suite: {{}} }}",
        image::BASE
    )
}

/// A suite that passes at once.
fn passes() -> String {
    format!(
        "image: {}\n    command: [\"true\"]\n    x-envrun: {{ suite: {{}} }}",
        image::BASE
    )
}

#[test]
fn a_hook_runs_as_it_says_and_before_anything_that_depends_on_the_service() {
    let hook = "post_start:
      - command: [bash, -c, 'sleep 0.3; echo \"$$(id -u) $$PWD $$A $$B\" > /shared/hook; echo done']
        user: nobody
        working_dir: /var
        environment: { B: hook }
      - command: [bash, -c, 'echo \"$$(id -u) $$PWD\" >> /shared/hook']";
    let project = project(hook, &looks());
    let finished = project.run();
    finished.assert_code(0);
    let log = String::from_utf8(finished.log("checks")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "65534 /var service hook");
    assert_eq!(lines[1], "0 /tmp");
    assert_eq!(finished.log("server"), b"done\n");
    let (started, _) = finished.about("service_started", "server");
    let (suite, _) = finished.about("suite_started", "checks");
    assert!(started < suite);
}

#[test]
fn a_hook_that_fails_ends_the_run_with_what_it_printed() {
    let project = project(
        "post_start: [{ command: [bash, -c, 'echo no such table >&2; exit 4'] }]",
        &passes(),
    );
    let finished = project.run();
    finished.assert_code(3);
    let (_, aborted) = finished.first("run_aborted");
    assert_eq!(aborted.at("/failure/kind"), "HookFailed");
    assert_eq!(
        aborted.at("/failure/message"),
        "`post_start` hook of `server` failed: `bash -c echo no such table >&2; exit 4` exited with code 4"
    );
    assert_eq!(aborted.at("/failure/log_tail/0"), "no such table");
    assert!(!finished.has("suite_started", "checks"));
    let report = finished.junit();
    let cases = report.of("envrun.environment");
    assert!(cases.iter().any(|case| case.kind == "HookFailed"));
}

#[test]
fn a_hook_whose_command_does_not_exist_ends_the_run() {
    let project = project("post_start: [{ command: [no-such-command] }]", &passes());
    let finished = project.run();
    finished.assert_code(3);
    let (_, aborted) = finished.first("run_aborted");
    assert_eq!(aborted.at("/failure/kind"), "HookFailed");
}

#[test]
fn pre_stop_hooks_run_before_teardown_and_their_failure_does_not_stop_it() {
    let project = project(
        "pre_stop:
      - command: [bash, -c, 'echo leaving > /shared/hook']
      - command: [bash, -c, 'echo too bad; exit 6']
      - command: [touch, /shared/never]",
        &passes(),
    );
    let finished = project.run();
    finished.assert_code(0);
    let left = std::fs::read_to_string(project.path("shared/hook")).unwrap();
    assert_eq!(left, "leaving\n");
    assert!(!project.path("shared/never").exists());
    assert!(
        finished
            .stderr
            .contains("`pre_stop` hook of `server` failed: `bash -c echo too bad; exit 6` exited with code 6: too bad"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_container_that_asks_for_it_gets_its_stop_signal_and_time_to_end() {
    let stopping = "command:
      - bash
      - -c
      - 'trap \"sleep 0.5; echo stopped > /shared/hook; exit 0\" USR1; while true; do sleep 0.05; done'
    stop_signal: SIGUSR1
    x-envrun: { stop_grace: 100s }";
    let project = project(stopping, &passes());
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let compose = compose.replacen("    command: [sleep, infinity]\n", "", 1);
    project.file("compose.yaml", compose);
    let begun = Instant::now();
    project.run().assert_code(0);
    // It ended by itself, long before its time was over.
    assert!(begun.elapsed() < Duration::from_secs(90));
    let left = std::fs::read_to_string(project.path("shared/hook")).unwrap();
    assert_eq!(left, "stopped\n");
}

#[test]
fn a_container_that_does_not_stop_is_killed_after_its_grace() {
    let project = project("x-envrun: { stop_grace: 1s }", &passes());
    let finished = project.run();
    finished.assert_code(0);
    let (_, begun) = finished.first("teardown_started");
    let (_, over) = finished.first("teardown_finished");
    // The first process of a container ignores SIGTERM.
    let took = over.nanoseconds() - begun.nanoseconds();
    assert!((1_000_000_000..6_000_000_000).contains(&took), "{took}");
}

#[test]
fn the_first_signal_lets_hooks_run_and_the_second_does_not_wait_for_them() {
    let project = project(
        "pre_stop: [{ command: [bash, -c, 'echo leaving > /shared/hook; sleep 100'] }]
    x-envrun: { pre_stop: 60s }",
        &held_suite(),
    );
    let mut run = project.start();
    run.until_suite_started("checks");
    run.signal(Signal::INT);
    crate::harness::wait::until("the hook", Duration::from_secs(10), || {
        let text = std::fs::read_to_string(project.path("shared/hook")).unwrap_or_default();
        (text == "leaving\n").then_some(())
    });
    let sent = Instant::now();
    run.signal(Signal::TERM);
    let finished = run.finish();
    finished.assert_code(130);
    assert!(sent.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_signal_during_a_post_start_hook_leaves_nothing() {
    let project = project(
        "post_start: [{ command: [bash, -c, 'touch /shared/hook; sleep 100'] }]",
        &passes(),
    );
    let mut run = project.start();
    crate::harness::wait::until("the hook", Duration::from_secs(60), || {
        project.path("shared/hook").exists().then_some(())
    });
    let _ = run.id();
    let sent = Instant::now();
    run.signal(Signal::TERM);
    let finished = run.finish();
    finished.assert_code(143);
    assert!(sent.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_runs_before_a_start_prepares_the_volumes_of_the_service() {
    let project = Project::new(&format!(
        "
services:
  db: {{ image: {base}, command: [sleep, infinity] }}
  server:
    image: {base}
    user: nobody
    working_dir: /data
    command: [bash, -c, 'cat /data/prepared /own/prepared; sleep infinity']
    volumes: [data:/data, /own]
    healthcheck: {{ test: grep -q . /data/prepared /own/prepared }}
    depends_on: [db]
    environment: {{ A: service, B: service }}
    pre_start:
      - user: root
        command: [bash, -c, 'getent hosts db > /dev/null && echo \"$$(id -u) $$PWD $$A $$B\" | tee prepared > /own/prepared; chmod 755 /own']
        environment: {{ B: hook }}
      - image: {base}
        command: [bash, -c, '! getent hosts server; cat /data/prepared']
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: {{ server: {{ condition: service_healthy }} }}
    x-envrun: {{ suite: {{}} }}
volumes: {{ data: {{}} }}
",
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(0);
    let log = String::from_utf8(finished.log("server")).unwrap();
    assert_eq!(log, "0 /data service hook\n0 /data service hook\n");
    assert_eq!(
        finished.log("server-pre_start-2"),
        b"0 /data service hook\n"
    );
}

#[test]
fn a_service_does_not_start_when_what_runs_before_it_fails() {
    let project = project(
        "pre_start: [{ command: [bash, -c, 'echo no disk; exit 5'] }]",
        &passes(),
    );
    let finished = project.run();
    finished.assert_code(3);
    let (_, aborted) = finished.first("run_aborted");
    assert_eq!(
        aborted.at("/failure/message"),
        "job `server-pre_start-1` exited with code 5"
    );
    assert_eq!(aborted.at("/failure/log_tail/0"), "no disk");
    assert!(!finished.has("service_started", "server"));
}
