//! The reachability matrix as a suite: what it says, when it is tried, what it means for the run.

use std::time::Duration;

use envrun::engine::FailureKind;
use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::event::Event;
use envrun::outcome::{Outcome, SuiteResult};
use envrun::reachability::SUITE;

use super::support::{Behaviours, Finished, PASSING, plan, run, suite};

/// The two networks of every tutorial, and what they are for.
pub(crate) const TWO_NETWORKS: &str = "
services:
  db: { image: postgres, networks: [back] }
  api: { image: app, networks: [back, front], depends_on: [db], expose: [8000] }
  e2e: { image: app, networks: [front], depends_on: [api], x-envrun: { suite: { junit: 'reports/*.xml' } } }
networks: { back: { internal: true }, front: {} }
x-envrun: { reachability: { e2e: ['api:8000', internet], api: ['db:5432', internet], db: [api] } }
";

pub(crate) fn two_networks() -> Behaviours {
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(400))),
        ("api", Behaviour::serves(8000, Duration::from_millis(100))),
        ("e2e", suite(PASSING, 0)),
    ])
}

async fn tried(compose: &str, behaviours: Behaviours) -> (MemoryEngine, Finished) {
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(compose), &[]).await;
    assert_eq!(engine.everything(), []);
    (engine, finished)
}

/// The cases with what came of them.
fn cases(outcome: &Outcome) -> String {
    let record = outcome.reachability.as_ref().expect("it was tried");
    let lines = record
        .pairs
        .iter()
        .map(|pair| format!("{:?} {}", pair.verdict, pair.message));
    lines.collect::<Vec<_>>().join("\n")
}

fn result(outcome: &Outcome) -> SuiteResult {
    let mut suites = outcome.suites.iter();
    let suite = suites.find(|suite| suite.name.as_str() == SUITE);
    suite.expect("the matrix is a suite").result
}

#[tokio::test(start_paused = true)]
async fn a_matrix_that_holds_passes_beside_the_other_suites() {
    let (_, finished) = tried(TWO_NETWORKS, two_networks()).await;
    insta::assert_snapshot!(cases(&finished.outcome), @"
    Kept `api` reaches `db:5432`, as promised: by name yes, by address yes
    Kept `api` does not reach `e2e`, as promised: by name there is nothing to try, by address no
    Kept `api` reaches `internet`, as promised: by name there is nothing to try, by address yes
    Kept `db` reaches `api`, as promised: by name yes, by address yes
    Kept `db` does not reach `e2e`, as promised: by name there is nothing to try, by address no
    Kept `db` does not reach `internet`, as promised: by name there is nothing to try, by address no
    Kept `e2e` reaches `api:8000`, as promised: by name yes, by address yes
    Kept `e2e` does not reach `db`, as promised: by name no, by address no
    Kept `e2e` reaches `internet`, as promised: by name there is nothing to try, by address yes
    ");
    assert_eq!(finished.outcome.exit_code().number(), 0);
    insta::assert_snapshot!(finished.told.timeline(), @"
     336 ms  db started
     733 ms  db ready: postgres 5432
     969 ms  api started
    1066 ms  api ready: tcp 8000
    1209 ms  reachability started
    1224 ms  reachability Passed []
    1302 ms  e2e started
    2305 ms  e2e Passed []
    2305 ms  verdict: passed
    2305 ms  teardown started
    2414 ms  teardown finished: 10 removed, 0 left
    2414 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_promise_that_does_not_hold_fails_the_run_in_either_direction() {
    // `db` is on the front network as well, and `api` is not on the back network.
    let broken = TWO_NETWORKS
        .replace(
            "postgres, networks: [back]",
            "postgres, networks: [back, front]",
        )
        .replace(
            "networks: [back, front], depends_on",
            "networks: [other], depends_on",
        )
        .replace("networks: { back:", "networks: { other: {}, back:");
    let (_, finished) = tried(&broken, two_networks()).await;
    insta::assert_snapshot!(cases(&finished.outcome), @"
    Broken `api` was promised to reach, and does not reach, `db:5432`: by name no, by address no
    Kept `api` does not reach `e2e`, as promised: by name there is nothing to try, by address no
    Kept `api` reaches `internet`, as promised: by name there is nothing to try, by address yes
    Broken `db` was promised to reach, and does not reach, `api`: by name no, by address no
    Broken `db` was promised not to reach, and reaches, `e2e`: by name there is nothing to try, by address it answers
    Broken `db` was promised not to reach, and reaches, `internet`: by name there is nothing to try, by address yes
    Broken `e2e` was promised to reach, and does not reach, `api:8000`: by name no, by address no
    Broken `e2e` was promised not to reach, and reaches, `db`: by name yes, by address yes
    Kept `e2e` reaches `internet`, as promised: by name there is nothing to try, by address yes
    ");
    assert_eq!(result(&finished.outcome), SuiteResult::Failed);
    assert_eq!(finished.outcome.exit_code().number(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_listens_a_moment_after_it_is_ready_is_waited_for() {
    let mut late = two_networks();
    late.insert("db", Behaviour::serves(5432, Duration::from_secs(3)));
    let started = TWO_NETWORKS.replace("image: postgres", "image: app");
    let (_, finished) = tried(&started, late.clone()).await;
    assert_eq!(
        result(&finished.outcome),
        SuiteResult::Passed,
        "{}",
        cases(&finished.outcome)
    );
    late.insert("db", Behaviour::serves(5432, Duration::from_secs(30)));
    let (_, finished) = tried(&started, late).await;
    let cases = cases(&finished.outcome);
    assert!(
        cases.contains("Broken `api` was promised to reach"),
        "{cases}"
    );
}

#[tokio::test(start_paused = true)]
async fn replicas_are_sources_and_targets_all_of_them() {
    let behaviours = Behaviours::from([
        ("web", Behaviour::serves(80, Duration::ZERO)),
        ("web-2", Behaviour::default()),
        ("unit", suite(PASSING, 0)),
    ]);
    let (_, finished) = tried(
        "
services:
  web: { image: app, scale: 2 }
  db: { image: app }
  unit: { image: app, x-envrun: { suite: { junit: 'reports/*.xml' } } }
x-envrun: { reachability: { db: ['web:80'], web: [db] } }
",
        behaviours,
    )
    .await;
    let record = finished.outcome.reachability.as_ref().expect("tried");
    let from: Vec<_> = record
        .looks
        .iter()
        .map(|look| (look.from.as_str(), look.target.as_str()))
        .collect();
    assert_eq!(from, [("db", "web"), ("web-1", "db"), ("web-2", "db")]);
    // One of the two does not listen.
    insta::assert_snapshot!(cases(&finished.outcome), @"
    Broken `db` was promised to reach, and does not reach, `web:80`: by name yes, by address only some of it
    Kept `web` reaches `db`, as promised: by name it answers, by address it answers
    ");
}

#[tokio::test(start_paused = true)]
async fn without_agents_nothing_is_taken_for_kept() {
    let clean = MemoryEngine::new(two_networks());
    run(&clean, plan(TWO_NETWORKS), &[]).await;
    let calls = clean.calls();
    let call = calls
        .iter()
        .position(|verb| verb == "import image")
        .expect("an agent is needed");
    let engine = MemoryEngine::new(two_networks());
    let kind = FailureKind::Refused;
    engine.inject(Fault::Fail { call, kind });
    let finished = run(&engine, plan(TWO_NETWORKS), &[]).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(finished.outcome.exit_code().number(), 1);
    let cases = cases(&finished.outcome);
    assert!(
        cases.lines().all(|case| case.starts_with("Untried")),
        "{cases}"
    );
    // The other suite has run all the same.
    let suites = &finished.outcome.suites;
    assert!(
        suites
            .iter()
            .any(|suite| suite.name.as_str() == "e2e" && suite.result == SuiteResult::Passed)
    );
}

#[tokio::test(start_paused = true)]
async fn the_agents_are_there_before_they_are_needed() {
    let (_, finished) = tried(TWO_NETWORKS, two_networks()).await;
    let events = finished.told.events();
    let at = |what: &str| {
        events
            .iter()
            .position(
                |event| matches!(event, Event::StepFinished { what: done, .. } if done == what),
            )
            .unwrap_or_else(|| panic!("no `{what}`"))
    };
    assert!(at("send an agent beside `db`") < at("start `api`"));
    assert!(at("send an agent in place of `e2e`") < at("start `api`"));
}
