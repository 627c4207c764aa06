//! Probes that look at a container's output, files, commands and end.

use crate::harness::{Finished, Project, image};

/// A project with a service `server` that runs a script of bash, is ready by this, and a suite that
/// depends on it.
fn project(script: &str, ready: &str, more: &str) -> Project {
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [bash, -c, \"{script}\"]
    {more}
    x-envrun: {{ ready: {ready} }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
}

/// Milliseconds from the start of the server, as envrun has noted it, until it was ready. On a busy
/// machine that is noted later than it was, so the servers here take three times as long as is asked
/// for.
#[track_caller]
fn after(finished: &Finished<'_>) -> u64 {
    finished.assert_code(0);
    finished
        .about("service_ready", "server")
        .1
        .number("after_ms")
}

#[track_caller]
fn why_not(project: &Project) -> String {
    let finished = project.run();
    finished.assert_code(3);
    let report = finished.junit();
    report
        .case("envrun.environment", "ready: server")
        .message
        .clone()
}

#[test]
fn lines_count_from_the_first_byte_and_on_their_stream() {
    // The first line is written before anybody waits.
    let script = "echo up >&2; echo up; sleep 3; echo up again >&2; sleep infinity";
    let ready = "{ log: { pattern: '^up', stream: stderr, times: 2 } }";
    let project = project(script, ready, "");
    let finished = project.run();
    let after = after(&finished);
    assert!(after >= 1000, "ready after {after} ms");
    let (_, ready) = finished.about("service_ready", "server");
    assert_eq!(ready.text("by"), "log `^up` 2 times");
}

#[test]
fn lines_of_another_stream_do_not_count() {
    let script = "echo up; sleep infinity";
    let ready = "{ log: { pattern: up, stream: stderr }, deadline: 700ms }";
    let why = why_not(&project(script, ready, ""));
    assert!(why.contains("log `up`: no such line"), "{why}");
}

#[test]
fn lines_of_an_earlier_start_do_not_count() {
    let script = "echo up; [[ -e /once ]] && exec sleep infinity; touch /once; exit 1";
    let ready = "{ log: { pattern: up, times: 2 }, deadline: 2s }";
    let why = why_not(&project(script, ready, "restart: on-failure"));
    assert!(why.contains("1 of 2 lines"), "{why}");
}

#[test]
fn a_file_is_waited_for_until_it_has_a_content() {
    let script = "touch /ready; sleep 3; echo 1 > /ready; sleep infinity";
    let ready = "{ file: { path: /ready, not_empty: true } }";
    let late = after(&project(script, ready, "").run());
    assert!(late >= 1000, "ready after {late} ms");
    // Without that, it is enough that it is there.
    let project = project(script, "{ file: /ready }", "");
    after(&project.run());
}

#[test]
fn a_file_in_memory_is_found_too() {
    let script = "sleep 3; touch /run/ready; sleep infinity";
    let project = project(script, "{ file: /var/run/ready }", "tmpfs: [/run]");
    let after = after(&project.run());
    assert!(after >= 1000, "ready after {after} ms");
}

#[test]
fn a_file_that_never_comes_is_missed() {
    let why = why_not(&project(
        "sleep infinity",
        "{ file: /ready, deadline: 700ms }",
        "",
    ));
    assert!(why.contains("last: it is not there"), "{why}");
}

#[test]
fn a_command_has_to_succeed_several_times_in_a_row() {
    // It fails at the third time.
    let ready =
        "{ exec: { command: 'echo x >> /n; [ $$(wc -l < /n) != 3 ]', successes: 3, interval: 0 } }";
    let project = project("sleep infinity", ready, "");
    let finished = project.run();
    after(&finished);
    let (_, event) = finished.about("service_ready", "server");
    assert_eq!(event.number("attempts"), 6);
}

#[test]
fn a_command_that_hangs_is_tried_again() {
    let ready = "{ exec: { command: 'mkdir /once || exit 0; sleep 60', timeout: 500ms } }";
    let project = project("sleep infinity", ready, "");
    let after = after(&project.run());
    assert!((300..30_000).contains(&after), "ready after {after} ms");
}

#[test]
fn one_of_several_is_enough_and_the_others_do_not_hold_it_up() {
    let script = "sleep 0.3; echo listening; sleep infinity";
    let ready = "{ any: [ { tcp: 9 }, { exec: 'sleep 600' }, { log: listening } ] }";
    let project = project(script, ready, "");
    let finished = project.run();
    after(&finished);
    let (_, event) = finished.about("service_ready", "server");
    assert_eq!(event.text("by"), "log `listening`");
}

#[test]
fn a_probe_gives_up_at_its_own_deadline() {
    let ready = "{ any: [ { tcp: { port: 9, deadline: 200ms } }, { log: { pattern: never, deadline: 400ms } } ], deadline: 1h }";
    let why = why_not(&project("sleep infinity", ready, ""));
    for part in ["tcp 9: ", "log `never`: no such line"] {
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn a_service_is_complete_when_it_has_ended() {
    for (ready, code) in [
        ("completed", 0),
        ("{ any: [ completed, { tcp: 9 } ] }", 0),
        ("{ tcp: 9 }", 3),
    ] {
        let project = project("exit 0", ready, "");
        let finished = project.run();
        finished.assert_code(code);
        assert_eq!(
            finished.has("service_completed", "server"),
            code == 0,
            "{ready}"
        );
    }
}

#[test]
fn a_healthcheck_that_nobody_has_ends_the_run_at_once() {
    let why = why_not(&project(
        "sleep infinity",
        "{ healthcheck: true, deadline: 1h }",
        "",
    ));
    assert!(
        why.contains("neither the file nor the image has one"),
        "{why}"
    );
}

/// Commands are run one at a time, and one that hangs keeps no other from its turn.
#[test]
fn a_command_that_hangs_does_not_starve_another() {
    let ready = "{ any: [ { exec: { command: 'sleep 600', timeout: 1s, interval: 0 } }, { exec: { command: 'true', timeout: 1s } } ] }";
    let project = project("sleep infinity", ready, "");
    let finished = project.run();
    after(&finished);
    let (_, event) = finished.about("service_ready", "server");
    assert_eq!(event.text("by"), "exec `true`");
}
