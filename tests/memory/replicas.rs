//! Services with several containers.

use std::time::Duration;

use envrun::engine::memory::Behaviour;

use super::support::{Behaviours, PASSING, suite, timeline};

const SERVICES: &str = "
services:
  web: { image: app, expose: [80], scale: 2 }
  migrate: { image: app, deploy: { replicas: 2 } }
  none: { image: app, scale: 0 }
  unit:
    image: app
    depends_on:
      web: { condition: service_healthy }
      none: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
    x-envrun: { suite: { junit: 'reports/*.xml' } }
";

fn behaviours() -> Behaviours {
    Behaviours::from([
        ("web-1", Behaviour::serves(80, Duration::from_millis(100))),
        ("web-2", Behaviour::serves(80, Duration::from_millis(900))),
        ("migrate", Behaviour::exits(Duration::from_millis(200), 0)),
        ("unit", suite(PASSING, 0)),
    ])
}

#[tokio::test(start_paused = true)]
async fn a_service_is_ready_when_all_of_its_replicas_are() {
    insta::assert_snapshot!(timeline(behaviours(), SERVICES, &[]).await, @"
     336 ms  migrate-1 started
     336 ms  migrate-2 started
     336 ms  web-1 started
     336 ms  web-2 started
     433 ms  web-1 ready: tcp 80
     536 ms  migrate-1 completed
     536 ms  migrate-2 completed
    1233 ms  web-2 ready: tcp 80
    1469 ms  unit started
    2472 ms  unit Passed []
    2472 ms  verdict: passed
    2472 ms  teardown started
    2581 ms  teardown finished: 6 removed, 0 left
    2581 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_dies_ends_the_run() {
    let mut behaviours = behaviours();
    behaviours.insert("web-2", Behaviour::exits(Duration::from_millis(300), 1));
    insta::assert_snapshot!(timeline(behaviours, SERVICES, &[]).await, @"
    336 ms  migrate-1 started
    336 ms  migrate-2 started
    336 ms  web-1 started
    336 ms  web-2 started
    433 ms  web-1 ready: tcp 80
    536 ms  migrate-1 completed
    536 ms  migrate-2 completed
    636 ms  web-2 exited with code 1
    639 ms  aborted: service `web-2` exited with code 1 before it was ready
    639 ms  verdict: failed
    639 ms  teardown started
    745 ms  teardown finished: 6 removed, 0 left
    745 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn every_replica_of_a_job_has_to_succeed() {
    let mut behaviours = behaviours();
    behaviours.insert("migrate-2", Behaviour::exits(Duration::from_millis(300), 4));
    insta::assert_snapshot!(timeline(behaviours, SERVICES, &[]).await, @"
    336 ms  migrate-1 started
    336 ms  migrate-2 started
    336 ms  web-1 started
    336 ms  web-2 started
    433 ms  web-1 ready: tcp 80
    536 ms  migrate-1 completed
    636 ms  migrate-2 exited with code 4
    639 ms  aborted: job `migrate-2` exited with code 4
    639 ms  verdict: failed
    639 ms  teardown started
    745 ms  teardown finished: 6 removed, 0 left
    745 ms  exit code 3
    ");
}
