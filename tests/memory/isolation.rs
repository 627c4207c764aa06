//! Suites with an environment of their own, from start to teardown.

use std::time::Duration;

use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::event::Event;

use super::faults::{ISOLATED, isolated};
use super::support::{plan, run, timeline};

#[tokio::test(start_paused = true)]
async fn a_suite_waits_for_its_own_copies_and_the_others_for_the_shared_ones() {
    insta::assert_snapshot!(timeline(isolated(), ISOLATED, &[]).await);
}

/// What is said of a copy names the service of the file and the suite; the line to change is one of the
/// file.
#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_is_called_as_people_know_it() {
    let mut behaviours = isolated();
    let says = Behaviour {
        output: "psql: error: could not translate host name \"dbb\" to address\n",
        ..Behaviour::exits(Duration::from_millis(200), 1)
    };
    behaviours.insert("e2e.migrate", says);
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(ISOLATED), &[]).await;
    assert_eq!(engine.everything(), []);
    let failure = finished.outcome.failure.expect("a job has failed");
    assert_eq!(failure.message, "job `migrate (of e2e)` exited with code 1");
    let explanation = failure.explanation.expect("it is explained");
    let [cause] = explanation.causes.as_slice() else {
        panic!("{:?}", explanation.causes);
    };
    insta::assert_snapshot!(format!("{cause:#?}"));
    let problem = finished
        .outcome
        .readiness
        .iter()
        .find(|one| one.problem.is_some());
    let title = problem.map(|one| one.title.as_str());
    assert_eq!(title, Some("migrate (of e2e)"));
    // The shared database is no part of the answer, and was not looked at.
    let dead = finished.told.events().into_iter().any(
        |event| matches!(event, Event::ServiceDied { service, .. } if service.as_str() == "e2e.migrate"),
    );
    assert!(dead);
}

/// What the suite does not depend on is not in its environment, and that is what is said.
#[tokio::test(start_paused = true)]
async fn a_service_that_the_suite_does_not_depend_on_is_told_of() {
    let mut behaviours = isolated();
    let says = Behaviour {
        output: "Error: getaddrinfo ENOTFOUND cache\n",
        ..Behaviour::exits(Duration::from_millis(200), 1)
    };
    behaviours.insert("e2e", says);
    let more = "services:\n  cache: { image: app, networks: [back] }";
    let compose = ISOLATED.replace("services:", more);
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(&compose), &[]).await;
    let suite = finished
        .outcome
        .suites
        .iter()
        .find(|one| one.name.as_str() == "e2e");
    let explanation = suite.and_then(|one| one.explanation.as_ref());
    let cause = explanation
        .and_then(|one| one.causes.first())
        .expect("a cause");
    assert_eq!(cause.kind, "NotInOwnEnvironment");
    let remedy = cause.remedy.as_deref();
    assert_eq!(
        remedy,
        Some("under `services: e2e: depends_on:` add `cache`")
    );
}
