//! Containers that end and are started again, by envrun and not by the engine.

use crate::harness::project::{GATE, UNTIL_OPEN};
use crate::harness::{Project, image};

/// A service that ends with 7 in its first two runs and stays in the third, and says which one it
/// is, without ending the line.
fn crashing_twice(policy: &str) -> Project {
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [bash, -c, 'echo run >> /runs; printf \"run %s.\" \"$$(wc -l < /runs)\"; [ \"$$(wc -l < /runs)\" = 3 ] || exit 7; exec sleep infinity']
    healthcheck: {{ test: 'grep -c run /runs | grep -q 3' }}
    {policy}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: {{ server: {{ condition: service_healthy }} }}
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE,
    ))
}

#[test]
fn a_service_that_crashes_twice_becomes_ready_and_no_output_of_it_is_lost() {
    let project = crashing_twice("restart: on-failure:3");
    let finished = project.run();
    finished.assert_code(0);
    // The same container each time, since the file is there, and every byte of every run.
    assert_eq!(finished.log("server"), b"run 1.run 2.run 3.");
    let restarts: Vec<u64> = finished
        .events
        .iter()
        .filter(|event| event.is("service_restarting", "server"))
        .map(|event| event.number("pause_ms"))
        .collect();
    assert_eq!(restarts, [100, 200]);
    assert!(
        finished
            .stderr
            .contains("server: exited with code 7, restart 2 in 0.20s")
    );
}

#[test]
fn a_policy_that_is_used_up_ends_the_run_at_once() {
    let project = crashing_twice("deploy: { restart_policy: { condition: any, max_attempts: 1 } }");
    let finished = project.run();
    finished.assert_code(3);
    let (_, aborted) = finished.first("run_aborted");
    assert_eq!(
        aborted.at("/failure/message"),
        "service `server` exited with code 7 before it was ready, after 1 restart"
    );
    assert_eq!(finished.log("server"), b"run 1.run 2.");
}

#[test]
fn a_service_that_dies_under_a_suite_is_there_again() {
    let project = Project::new(&format!(
        "
services:
  server:
    {python}
    {GATE}
    command:
      - bash
      - -c
      - 'if [ -e /tmp/second ]; then exec python3 -m http.server 8000; fi; touch /tmp/second; python3 -m http.server 8000 & {UNTIL_OPEN}; kill -9 $$!'
    expose: [\"8000\"]
    restart: unless-stopped
  checks:
    image: {base}
    {GATE}
    command:
      - bash
      - -c
      - 'while (exec 3<>/dev/tcp/server/8000) 2> /dev/null; do sleep 0.01; done; echo gone; until (exec 3<>/dev/tcp/server/8000) 2> /dev/null; do sleep 0.01; done; echo back'
    depends_on: [server]
    x-envrun: {{ suite: {{ timeout: 30s }} }}
",
        base = image::BASE,
        python = image::python(),
    ));
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    let policy = project.engine.container(&id, "server");
    assert_eq!(
        policy.pointer("/HostConfig/RestartPolicy/Name"),
        Some(&"no".into())
    );
    project.open_gate();
    let finished = run.finish();
    finished.assert_code(0);
    assert_eq!(finished.log("checks"), b"gone\nback\n");
    assert!(finished.has("service_restarting", "server"));
    assert!(!finished.has("service_died", "server"));
}
