//! When a failure is explained, and what ends the looks.

use std::time::Duration;

use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::event::Event;
use envrun::exit_code::Signal;

use super::support::{Behaviours, Finished, PASSING, plan, run, suite};

const COMPOSE: &str = "
services:
  db: { image: app, expose: [5432], networks: [back] }
  api:
    image: app
    expose: [80]
    networks: [front]
    depends_on: [db]
    environment: { DATABASE_URL: 'postgres://u:p@bd:5432/x' }
  unit: { image: app, networks: [front], depends_on: [api], x-envrun: { suite: { junit: 'reports/*.xml' } } }
networks: { back: {}, front: {} }
";

fn behaviours(api: Behaviour) -> Behaviours {
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(20))),
        ("api", api),
        ("unit", suite(PASSING, 0)),
    ])
}

fn dying() -> Behaviour {
    Behaviour {
        output: "Error: getaddrinfo ENOTFOUND bd\n",
        ..Behaviour::exits(Duration::from_millis(300), 1)
    }
}

fn when(finished: &Finished, which: impl Fn(&Event) -> bool) -> Duration {
    let found = finished
        .told
        .timed()
        .into_iter()
        .find(|(_, event)| which(event));
    found.expect("the event").0
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_well_creates_and_asks_for_nothing_more() {
    let engine = MemoryEngine::new(behaviours(Behaviour::serves(80, Duration::from_millis(20))));
    let finished = run(&engine, plan(COMPOSE), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    let calls = engine.calls();
    for verb in ["import image", "logs", "converse"] {
        assert!(!calls.iter().any(|call| call == verb), "{verb}: {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_is_explained_before_the_verdict_and_within_its_limit() {
    let engine = MemoryEngine::new(behaviours(dying()));
    let finished = run(&engine, plan(COMPOSE), &[]).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(finished.outcome.exit_code().number(), 3);
    let failure = finished.outcome.failure.as_ref().expect("a failure");
    let explanation = failure.explanation.as_ref().expect("an explanation");
    assert_eq!(explanation.state.as_deref(), Some("exited with code 1"));
    let told: Vec<&str> = explanation
        .timeline
        .iter()
        .map(|one| one.what.as_str())
        .collect();
    assert_eq!(
        told,
        ["created", "started", "exited with code 1", "given up"]
    );
    let cause = explanation.causes.first();
    let cause = cause.unwrap_or_else(|| panic!("{explanation:#?}\n{}", finished.told.timeline()));
    assert_eq!(cause.kind, "UnknownName");
    assert_eq!(
        cause.remedy.as_deref(),
        Some("in `DATABASE_URL` under `services: api: environment:` make the host `db`")
    );
    // A look was made, as the dead service would have seen it.
    let seen = cause
        .evidence
        .iter()
        .any(|line| line.contains("`bd` does not resolve"));
    assert!(seen, "{:?}", cause.evidence);
    // What reports show is the same failure.
    let readiness = finished.outcome.readiness.iter();
    let shown = readiness.filter_map(|one| one.problem.as_ref());
    assert_eq!(shown.collect::<Vec<_>>(), [failure]);
    let died = when(&finished, |event| {
        matches!(event, Event::ServiceDied { .. })
    });
    let aborted = when(&finished, |event| matches!(event, Event::RunAborted { .. }));
    assert!(
        aborted - died < Duration::from_secs(2),
        "{:?}",
        aborted - died
    );
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_looks_at_once() {
    let engine = MemoryEngine::new(behaviours(dying()));
    let calm = run(&engine, plan(COMPOSE), &[]).await;
    let died = when(&calm, |event| matches!(event, Event::ServiceDied { .. }));
    let at = died + Duration::from_millis(20);
    let engine = MemoryEngine::new(behaviours(dying()));
    let finished = run(&engine, plan(COMPOSE), &[(at, Signal::Interrupt)]).await;
    envrun::clock::pause(Duration::from_secs(60)).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(finished.outcome.exit_code().number(), 130);
    // The failure came first, and is told as far as it is known.
    let failure = finished.outcome.failure.as_ref().expect("a failure");
    assert_eq!(failure.kind, "Died");
    let explanation = failure.explanation.as_ref().expect("an explanation");
    assert!(explanation.causes.is_empty(), "{explanation:?}");
    let aborted = when(&finished, |event| matches!(event, Event::RunAborted { .. }));
    assert!(
        aborted - at < Duration::from_millis(50),
        "{:?}",
        aborted - at
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_suite_is_explained_beside_the_run_and_the_verdict_waits_for_it() {
    let mut behaviours = behaviours(Behaviour::serves(80, Duration::from_millis(20)));
    behaviours.insert(
        "unit",
        Behaviour {
            output: "curl: (6) Could not resolve host: bd\n",
            ..Behaviour::exits(Duration::from_millis(100), 1)
        },
    );
    let compose = COMPOSE.replace("suite: { junit: 'reports/*.xml' }", "suite: {}");
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(&compose), &[]).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(finished.outcome.exit_code().number(), 1);
    let suite = finished.outcome.suites.first().expect("a suite");
    let explanation = suite.explanation.as_ref().expect("an explanation");
    assert_eq!(explanation.causes[0].kind, "UnknownName");
    let explained = when(&finished, |event| matches!(event, Event::Explained { .. }));
    let verdict = when(&finished, |event| matches!(event, Event::Verdict { .. }));
    assert!(explained <= verdict);
}
