//! What containers print passes the masker before anybody but their probes gets it.

use std::time::Duration;

use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::mask::{Masker, Secret};

use super::support::{Behaviours, plan, run_masked};

#[tokio::test(start_paused = true)]
async fn probes_hear_what_nobody_else_is_told() {
    let server = Behaviour {
        output: "ready for hunter2-hunter2\nhunter2-",
        ..Behaviour::default()
    };
    let suite = Behaviour {
        output: "token: hunter2-hunter2\nthe last line: hunter2-hun",
        ..Behaviour::exits(Duration::from_millis(50), 1)
    };
    let engine = MemoryEngine::new(Behaviours::from([("server", server), ("checks", suite)]));
    let compose = "
services:
  server:
    image: base
    x-envrun: { ready: { log: 'ready for hunter2-hunter2' } }
  checks:
    image: base
    depends_on: [server]
    x-envrun: { suite: {} }
";
    let secrets = [Secret::new("a test", "hunter2-hunter2")];
    let (masker, _) = Masker::new(&secrets).expect("one secret");
    let finished = run_masked(&engine, plan(compose), masker).await;
    assert_eq!(engine.everything(), []);
    let suite = &finished.outcome.suites[0];
    assert_eq!(
        suite.output_tail,
        ["token: ***", "the last line: hunter2-hun"]
    );
    let told = &finished.told;
    assert_eq!(
        told.printed("checks"),
        "token: ***\nthe last line: hunter2-hun"
    );
    assert_eq!(told.printed("server"), "ready for ***\nhunter2-");
}
