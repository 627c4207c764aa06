//! Commands that are run in containers after their start and before their end.

use std::collections::BTreeMap;
use std::time::Duration;

use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::exit_code::Signal;

use super::support::{Behaviours, PASSING, plan, run, suite, timeline};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A service with these keys, a suite that waits until it has started, and one that waits until it
/// is ready.
fn services(lines: &str) -> String {
    format!(
        "
services:
  db: {{ image: app, expose: [80], {lines} }}
  unit: {{ image: app, depends_on: {{ db: {{ condition: service_started }} }}, x-envrun: {{ suite: {{}} }} }}
  e2e: {{ image: app, depends_on: [db], x-envrun: {{ suite: {{ junit: 'reports/*.xml' }} }} }}
"
    )
}

const POST_START: &str = "post_start: [{ command: [seed] }, { command: [grant] }]";

fn commands(seed: (u32, i64)) -> BTreeMap<&'static str, (Duration, i64)> {
    BTreeMap::from([
        ("seed", (MILLISECOND * seed.0, seed.1)),
        ("grant", (MILLISECOND * 50, 0)),
        ("flush", (MILLISECOND * 100, 0)),
        ("fail", (MILLISECOND * 100, 4)),
        ("hang", (Duration::from_secs(3600), 0)),
    ])
}

fn behaviours(db: Behaviour) -> Behaviours {
    Behaviours::from([
        ("db", db),
        ("unit", Behaviour::exits(MILLISECOND * 100, 0)),
        ("e2e", suite(PASSING, 0)),
    ])
}

fn server(seed: (u32, i64)) -> Behaviour {
    Behaviour {
        commands: commands(seed),
        ..Behaviour::serves(80, MILLISECOND * 20)
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_has_started_when_its_hooks_are_done() {
    let behaviours = behaviours(server((300, 0)));
    insta::assert_snapshot!(timeline(behaviours, &services(POST_START), &[]).await, @"
     336 ms  db started
     687 ms  db ready: tcp 80
     922 ms  unit started
     923 ms  e2e started
    1022 ms  unit Passed []
    1926 ms  e2e Passed []
    1926 ms  verdict: passed
    1926 ms  teardown started
    2035 ms  teardown finished: 4 removed, 0 left
    2035 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_ends_the_run_with_what_it_printed() {
    let engine = MemoryEngine::new(behaviours(server((300, 3))));
    let finished = run(&engine, plan(&services(POST_START)), &[]).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(engine.commands(), ["db: seed"]);
    let failure = finished.outcome.failure.clone().expect("a failure");
    assert_eq!(failure.log_tail, ["seed has run"]);
    insta::assert_snapshot!(finished.told.timeline(), @"
    336 ms  db started
    642 ms  aborted: `post_start` hook of `db` failed: `seed` exited with code 3
    642 ms  verdict: failed
    642 ms  teardown started
    748 ms  teardown finished: 4 removed, 0 left
    748 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_never_ends_is_given_up_by_the_deadline() {
    let services = services(
        "post_start: [{ command: [hang] }], x-envrun: { ready: { tcp: 80, deadline: 4s } }",
    );
    insta::assert_snapshot!(timeline(behaviours(server((0, 0))), &services, &[]).await, @"
     336 ms  db started
    4342 ms  aborted: `post_start` hook of `db` failed: `hang` was not done within 4s
    4342 ms  verdict: failed
    4342 ms  teardown started
    4448 ms  teardown finished: 4 removed, 0 left
    4448 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_container_that_dies_under_its_hooks_is_what_has_failed() {
    let dying = Behaviour {
        commands: commands((300, 0)),
        ..Behaviour::exits(MILLISECOND * 100, 9)
    };
    insta::assert_snapshot!(timeline(behaviours(dying), &services(POST_START), &[]).await, @"
    336 ms  db started
    436 ms  db exited with code 9
    439 ms  aborted: `db` exited with code 9 before its `post_start` hooks were done
    439 ms  verdict: failed
    439 ms  teardown started
    545 ms  teardown finished: 4 removed, 0 left
    545 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_well_before_its_hooks_are_done_has_failed() {
    let ending = Behaviour {
        commands: commands((300, 0)),
        ..Behaviour::exits(MILLISECOND * 100, 0)
    };
    insta::assert_snapshot!(timeline(behaviours(ending), &services(POST_START), &[]).await, @"
    336 ms  db started
    639 ms  db exited with code 0
    642 ms  aborted: `db` exited with code 0 before its `post_start` hooks were done
    642 ms  verdict: failed
    642 ms  teardown started
    748 ms  teardown finished: 4 removed, 0 left
    748 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_suite_that_ends_well_before_its_hooks_are_done_is_no_pass() {
    let services = "
services:
  unit: { image: app, post_start: [{ command: [seed] }], x-envrun: { suite: {} } }
";
    let ending = Behaviour {
        commands: commands((300, 0)),
        ..Behaviour::exits(MILLISECOND * 100, 0)
    };
    let behaviours = Behaviours::from([("unit", ending)]);
    insta::assert_snapshot!(timeline(behaviours, services, &[]).await, @r#"
    336 ms  unit started
    639 ms  unit Failed ["suite `unit` ended before its `post_start` hooks were done"]
    642 ms  verdict: failed
    642 ms  teardown started
    748 ms  teardown finished: 2 removed, 0 left
    748 ms  exit code 1
    "#);
}

#[tokio::test(start_paused = true)]
async fn hooks_that_were_cut_off_are_run_again_after_a_restart_and_others_are_not() {
    let crashing = Behaviour {
        crashes: vec![(MILLISECOND * 100, 9), (MILLISECOND * 500, 9)],
        ..server((300, 0))
    };
    let services = services(&format!("restart: always, {POST_START}"));
    let engine = MemoryEngine::new(behaviours(crashing));
    let finished = run(&engine, plan(&services), &[]).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(engine.commands(), ["db: seed", "db: grant"]);
    insta::assert_snapshot!(finished.told.timeline(), @"
     336 ms  db started
     436 ms  db exited with code 9, restart 1 in 100ms
     772 ms  db started
    1123 ms  db ready: tcp 80
    1272 ms  db exited with code 9, restart 2 in 200ms
    1358 ms  unit started
    1359 ms  e2e started
    1458 ms  unit Passed []
    1708 ms  db started
    1725 ms  db ready: tcp 80
    2362 ms  e2e Passed []
    2362 ms  verdict: passed
    2362 ms  teardown started
    2471 ms  teardown finished: 4 removed, 0 left
    2471 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_container_that_asks_for_it_is_taken_leave_of() {
    let polite = Behaviour {
        stops: Some(MILLISECOND * 200),
        ..server((0, 0))
    };
    let services = services(
        "scale: 2, pre_stop: [{ command: [flush] }, { command: [fail] }, { command: [grant] }], x-envrun: { stop_grace: 3s }",
    );
    let engine = MemoryEngine::new(behaviours(polite));
    let finished = run(&engine, plan(&services), &[]).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(
        engine.commands(),
        ["db-1: flush", "db-2: flush", "db-1: fail", "db-2: fail"]
    );
    insta::assert_snapshot!(finished.told.timeline(), @"
     336 ms  db-1 started
     336 ms  db-2 started
     353 ms  db-2 ready: tcp 80
     353 ms  db-1 ready: tcp 80
     579 ms  unit started
     589 ms  e2e started
     679 ms  unit Passed []
    1592 ms  e2e Passed []
    1592 ms  verdict: passed
    1592 ms  teardown started
    1792 ms  warning: `pre_stop` hook of `db-1` failed: `fail` exited with code 4: fail has run
    1792 ms  warning: `pre_stop` hook of `db-2` failed: `fail` exited with code 4: fail has run
    2098 ms  teardown finished: 5 removed, 0 left
    2098 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_longer_than_asked() {
    let services =
        services("pre_stop: [{ command: [hang] }], x-envrun: { stop_grace: 1500ms, pre_stop: 2s }");
    insta::assert_snapshot!(timeline(behaviours(server((0, 0))), &services, &[]).await, @"
     336 ms  db started
     353 ms  db ready: tcp 80
     579 ms  unit started
     589 ms  e2e started
     679 ms  unit Passed []
    1592 ms  e2e Passed []
    1592 ms  verdict: passed
    1592 ms  teardown started
    3592 ms  warning: `pre_stop` hook of `db` failed: `hang` was not done within 2s
    5198 ms  teardown finished: 4 removed, 0 left
    5198 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_takes_leave_and_the_second_does_not_wait_for_it() {
    let services = services("pre_stop: [{ command: [hang] }]");
    let at = |milliseconds| (MILLISECOND * milliseconds, Signal::Interrupt);
    let behaviours = behaviours(server((0, 0)));
    insta::assert_snapshot!(timeline(behaviours.clone(), &services, &[at(600)]).await, @"
     336 ms  db started
     353 ms  db ready: tcp 80
     579 ms  unit started
     589 ms  e2e started
     600 ms  SIGINT
     600 ms  aborted: the run was ended by SIGINT
     600 ms  verdict: failed
     600 ms  teardown started
    5600 ms  warning: `pre_stop` hook of `db` failed: `hang` was not done within 5s
    5706 ms  teardown finished: 4 removed, 0 left
    5706 ms  exit code 130
    ");
    insta::assert_snapshot!(timeline(behaviours, &services, &[at(600), at(700)]).await, @"
    336 ms  db started
    353 ms  db ready: tcp 80
    579 ms  unit started
    589 ms  e2e started
    600 ms  SIGINT
    600 ms  aborted: the run was ended by SIGINT
    600 ms  verdict: failed
    600 ms  teardown started
    700 ms  SIGINT
    806 ms  teardown finished: 4 removed, 0 left
    806 ms  exit code 130
    ");
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_taken_leave_of() {
    let services = "
services:
  seed: { image: app, pre_stop: [{ command: [flush] }] }
  never: { image: app, depends_on: [seed], expose: [80], pre_stop: [{ command: [flush] }] }
  unit: { image: app, depends_on: [never], x-envrun: { suite: {} } }
";
    let behaviours = Behaviours::from([
        ("seed", Behaviour::exits(MILLISECOND * 100, 0)),
        ("never", Behaviour::exits(MILLISECOND * 100, 1)),
    ]);
    let engine = MemoryEngine::new(behaviours);
    run(&engine, plan(services), &[]).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(engine.commands(), Vec::<String>::new());
}

const PRE_START: &str = "
services:
  db: { image: app, expose: [80] }
  web:
    image: app
    expose: [80]
    scale: 2
    depends_on: [db]
    pre_start: [{ command: [prepare] }, { image: other, per_replica: true }]
  unit: { image: app, depends_on: [web], x-envrun: { suite: {} } }
";

fn prepared(code: i64) -> Behaviours {
    let server = Behaviour::serves(80, MILLISECOND * 100);
    Behaviours::from([
        ("db", server.clone()),
        ("web", server),
        ("web-pre_start-1", Behaviour::exits(MILLISECOND * 100, 0)),
        ("web-1-pre_start-2", Behaviour::exits(MILLISECOND * 200, 0)),
        (
            "web-2-pre_start-2",
            Behaviour::exits(MILLISECOND * 300, code),
        ),
        ("unit", Behaviour::exits(MILLISECOND * 100, 0)),
    ])
}

#[tokio::test(start_paused = true)]
async fn what_runs_before_a_start_runs_after_the_dependencies_and_one_after_the_other() {
    insta::assert_snapshot!(timeline(prepared(0), PRE_START, &[]).await, @"
     336 ms  db started
     433 ms  db ready: tcp 80
     669 ms  web-pre_start-1 started
     769 ms  web-pre_start-1 completed
    1005 ms  web-1-pre_start-2 started
    1005 ms  web-2-pre_start-2 started
    1205 ms  web-1-pre_start-2 completed
    1305 ms  web-2-pre_start-2 completed
    1441 ms  web-1 started
    1538 ms  web-1 ready: tcp 80
    1541 ms  web-2 started
    1638 ms  web-2 ready: tcp 80
    1874 ms  unit started
    1974 ms  unit Passed []
    1974 ms  verdict: passed
    1974 ms  teardown started
    2080 ms  teardown finished: 8 removed, 0 left
    2080 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_does_not_start_when_what_runs_before_it_fails() {
    insta::assert_snapshot!(timeline(prepared(3), PRE_START, &[]).await, @"
     336 ms  db started
     433 ms  db ready: tcp 80
     669 ms  web-pre_start-1 started
     769 ms  web-pre_start-1 completed
    1005 ms  web-1-pre_start-2 started
    1005 ms  web-2-pre_start-2 started
    1205 ms  web-1-pre_start-2 completed
    1305 ms  web-2-pre_start-2 exited with code 3
    1308 ms  aborted: job `web-2-pre_start-2` exited with code 3
    1308 ms  verdict: failed
    1308 ms  teardown started
    1414 ms  teardown finished: 8 removed, 0 left
    1414 ms  exit code 3
    ");
}
