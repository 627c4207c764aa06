//! What is depended on, but not required.

use std::time::Duration;

use envrun::engine::memory::Behaviour;

use super::support::{Behaviours, PASSING, suite, timeline};

const MILLISECOND: Duration = Duration::from_millis(1);

const SERVICES: &str = "
services:
  cache: { image: app, expose: [80], LINES }
  seed: { image: app }
  api:
    image: app
    expose: [80]
    depends_on:
      cache: { condition: service_healthy, required: false }
      seed: { condition: service_completed_successfully, required: false }
  unit:
    image: app
    depends_on: { api: { condition: service_healthy } }
    x-envrun: { suite: { junit: 'reports/*.xml' } }
";

fn services(lines: &str) -> String {
    SERVICES.replace("LINES", lines)
}

fn behaviours(cache: Behaviour, seed: i64) -> Behaviours {
    Behaviours::from([
        ("cache", cache),
        ("seed", Behaviour::exits(MILLISECOND * 100, seed)),
        ("api", Behaviour::serves(80, MILLISECOND * 100)),
        ("unit", suite(PASSING, 0)),
    ])
}

#[tokio::test(start_paused = true)]
async fn what_nobody_requires_is_waited_for_all_the_same() {
    let cache = Behaviour::serves(80, MILLISECOND * 500);
    let services = services("restart: no");
    insta::assert_snapshot!(timeline(behaviours(cache, 0), &services, &[]).await, @"
     336 ms  cache started
     336 ms  seed started
     436 ms  seed completed
     833 ms  cache ready: tcp 80
    1069 ms  api started
    1166 ms  api ready: tcp 80
    1402 ms  unit started
    2405 ms  unit Passed []
    2405 ms  verdict: passed
    2405 ms  teardown started
    2514 ms  teardown finished: 5 removed, 0 left
    2514 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn the_run_goes_on_without_what_nobody_requires() {
    let cache = Behaviour::exits(MILLISECOND * 200, 1);
    let services = services("restart: 'on-failure:1'");
    insta::assert_snapshot!(timeline(behaviours(cache, 5), &services, &[]).await, @"
     336 ms  cache started
     336 ms  seed started
     436 ms  seed exited with code 5
     436 ms  warning: job `seed` exited with code 5; the run goes on without it, since all that depends on it says `required: false`
     536 ms  cache exited with code 1, restart 1 in 100ms
     872 ms  cache started
    1072 ms  cache exited with code 1
    1072 ms  warning: service `cache` exited with code 1 before it was ready, after 1 restart; the run goes on without it, since all that depends on it says `required: false`
    1308 ms  api started
    1405 ms  api ready: tcp 80
    1641 ms  unit started
    2644 ms  unit Passed []
    2644 ms  verdict: passed
    2644 ms  teardown started
    2753 ms  teardown finished: 5 removed, 0 left
    2753 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_requires_may_never_become_ready_or_fail_its_hooks() {
    let never = services("x-envrun: { ready: { tcp: 80, deadline: 2s } }");
    let cache = Behaviour::default();
    insta::assert_snapshot!(timeline(behaviours(cache, 0), &never, &[]).await, @"
     336 ms  cache started
     336 ms  seed started
     436 ms  seed completed
    2336 ms  warning: service `cache` not ready after 2s (tcp 80: 500 attempts, last: connection refused; probed because of `x-envrun.ready`); the run goes on without it, since all that depends on it says `required: false`
    2572 ms  api started
    2669 ms  api ready: tcp 80
    2905 ms  unit started
    3908 ms  unit Passed []
    3908 ms  verdict: passed
    3908 ms  teardown started
    4017 ms  teardown finished: 7 removed, 0 left
    4017 ms  exit code 0
    ");
    let hooked = services("post_start: [{ command: [fail] }]");
    let cache = Behaviour {
        commands: [("fail", (MILLISECOND * 50, 1))].into(),
        ..Behaviour::serves(80, MILLISECOND)
    };
    insta::assert_snapshot!(timeline(behaviours(cache, 0), &hooked, &[]).await, @"
     336 ms  cache started
     336 ms  seed started
     389 ms  warning: `post_start` hook of `cache` failed: `fail` exited with code 1; the run goes on without it, since all that depends on it says `required: false`
     436 ms  seed completed
     672 ms  api started
     769 ms  api ready: tcp 80
    1005 ms  unit started
    2008 ms  unit Passed []
    2008 ms  verdict: passed
    2008 ms  teardown started
    2117 ms  teardown finished: 5 removed, 0 left
    2117 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_requires_may_die_later() {
    let cache = Behaviour {
        accepts: [(80, Duration::ZERO)].into(),
        ..Behaviour::exits(MILLISECOND * 1000, 1)
    };
    let services = services("restart: no");
    insta::assert_snapshot!(timeline(behaviours(cache, 0), &services, &[]).await, @"
     336 ms  cache started
     336 ms  seed started
     337 ms  cache ready: tcp 80
     436 ms  seed completed
     672 ms  api started
     769 ms  api ready: tcp 80
    1005 ms  unit started
    1336 ms  cache exited with code 1
    1336 ms  warning: service `cache` exited with code 1 while the run was going on; the run goes on without it, since all that depends on it says `required: false`
    2008 ms  unit Passed []
    2008 ms  verdict: passed
    2008 ms  teardown started
    2117 ms  teardown finished: 5 removed, 0 left
    2117 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn what_one_of_several_requires_ends_the_run() {
    let services = services("restart: no")
        + "  other: { image: app, depends_on: [cache], x-envrun: { suite: {} } }\n";
    let cache = Behaviour::exits(MILLISECOND * 200, 1);
    insta::assert_snapshot!(timeline(behaviours(cache, 0), &services, &[]).await, @"
    336 ms  cache started
    336 ms  seed started
    436 ms  seed completed
    536 ms  cache exited with code 1
    539 ms  aborted: service `cache` exited with code 1 before it was ready
    539 ms  verdict: failed
    539 ms  teardown started
    645 ms  teardown finished: 6 removed, 0 left
    645 ms  exit code 3
    ");
}
