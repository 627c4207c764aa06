//! Networks that cannot be dialled from here: the in-network agent, and what there is without it.

use std::collections::BTreeMap;
use std::time::Duration;

use envrun::engine::FailureKind;
use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::event::Event;

use crate::support::{Finished, plan, run, suite};

const TWO_NETWORKS: &str = "
services:
  db: { image: app, expose: [5432], networks: [back] }
  api: { image: app, expose: [3000], networks: [front], depends_on: [db] }
  checks: { image: app, depends_on: [api], networks: [front], x-envrun: { suite: {} } }
networks: { back: { internal: true }, front: {} }
";

fn engine() -> MemoryEngine {
    MemoryEngine::new(BTreeMap::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(700))),
        ("api", Behaviour::serves(3000, Duration::from_millis(100))),
        ("checks", suite("", 0)),
    ]))
}

async fn passes(engine: &MemoryEngine) -> Finished {
    let finished = run(engine, plan(TWO_NETWORKS), &[]).await;
    let timeline = finished.told.timeline();
    assert_eq!(finished.outcome.exit_code().number(), 0, "{timeline}");
    assert_eq!(engine.everything(), [], "{timeline}");
    finished
}

fn warnings(finished: &Finished) -> Vec<String> {
    let events = finished.told.events().into_iter();
    let warnings = events.filter_map(|event| match event {
        Event::Warning { message } => Some(message),
        _ => None,
    });
    warnings.collect()
}

fn calls_of(engine: &MemoryEngine, verb: &str) -> usize {
    engine.calls().iter().filter(|call| *call == verb).count()
}

#[tokio::test(start_paused = true)]
async fn near_networks_are_dialled_and_no_agent_is_sent() {
    let engine = engine();
    passes(&engine).await;
    assert_eq!(calls_of(&engine, "import image"), 0);
}

#[tokio::test(start_paused = true)]
async fn one_agent_probes_on_all_networks_and_holds_up_nobody() {
    let near = engine();
    let expected = passes(&near).await.outcome.duration;
    let far = engine().far_away();
    let finished = passes(&far).await;
    assert_eq!(warnings(&finished), Vec::<String>::new());
    assert_eq!(calls_of(&far, "import image"), 1);
    assert_eq!(calls_of(&far, "converse"), 1);
    assert_eq!(calls_of(&far, "exec"), 0);
    let longer = finished.outcome.duration.saturating_sub(expected);
    assert!(longer < Duration::from_millis(50), "{longer:?}");
}

#[tokio::test(start_paused = true)]
async fn without_an_agent_the_containers_are_looked_into_and_it_is_said() {
    let clean = engine().far_away();
    passes(&clean).await;
    let calls = clean.calls();
    let import = calls.iter().position(|call| call == "import image");
    let far = engine().far_away();
    far.inject(Fault::Fail {
        call: import.expect("made"),
        kind: FailureKind::Refused,
    });
    let finished = passes(&far).await;
    assert!(calls_of(&far, "exec") > 0);
    let told = warnings(&finished);
    assert!(
        told.iter().any(|told| told.contains("injected failure")),
        "{told:?}"
    );
}

/// Where no agent can stand on the networks, each service gets one beside it, and lacks it aloud too.
#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_be_had_beside_a_service_is_told_once() {
    const ALONE: &str = "
services:
  db: { image: app, network_mode: none, x-envrun: { ready: { tcp: 5432 } } }
  api: { image: app, network_mode: none, x-envrun: { ready: { tcp: 3000 } } }
  checks: { image: app, depends_on: [api, db], network_mode: none, x-envrun: { suite: {} } }
";
    let clean = engine();
    run(&clean, plan(ALONE), &[]).await;
    let calls = clean.calls();
    let import = calls.iter().position(|call| call == "import image");
    let engine = engine();
    engine.inject(Fault::Fail {
        call: import.expect("made"),
        kind: FailureKind::Refused,
    });
    let finished = run(&engine, plan(ALONE), &[]).await;
    let timeline = finished.told.timeline();
    assert_eq!(finished.outcome.exit_code().number(), 0, "{timeline}");
    let told = warnings(&finished);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("injected failure"), "{told:?}");
}
