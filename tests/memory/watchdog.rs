//! What the watchdog is told: everything before it is created, and that the run is over only when nothing
//! of it can appear any more.

use std::collections::BTreeSet;
use std::time::Duration;

use envrun::engine::FailureKind;
use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::exit_code::Signal;
use envrun::run::dispatcher::{Hold, HoldWhen, Settings};
use envrun::run::ledger::Record;

use super::support::{Behaviours, environment, plan, run, run_with, settings};

const BUILT: &str = "
services:
  server: { build: ., volumes: ['data:/data'] }
  unit: { build: ., depends_on: [server], x-envrun: { suite: {} } }
volumes: { data: {} }
";

fn behaviours() -> Behaviours {
    Behaviours::from([("unit", Behaviour::exits(Duration::from_secs(1), 0))])
}

fn is_done(records: &[Record]) -> bool {
    records.last() == Some(&Record::Done)
}

#[tokio::test(start_paused = true)]
async fn everything_is_announced_and_settled_and_the_end_comes_last() {
    let engine = MemoryEngine::new(behaviours());
    let records = run(&engine, plan(BUILT), &[]).await.told.records();
    assert!(is_done(&records), "{records:?}");
    let announced: BTreeSet<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Intend { kind, name } => Some((kind, name)),
            _ => None,
        })
        .collect();
    let settled: BTreeSet<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Settle { kind, name } => Some((kind, name)),
            _ => None,
        })
        .collect();
    assert_eq!(announced, settled);
    // One image, one network, one volume, two containers.
    assert_eq!(announced.len(), 5, "{announced:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_is_not_over_for_the_watchdog_while_a_dropped_build_may_leave_its_image() {
    let mut left_open = 0;
    for millisecond in 0..400 {
        let engine = MemoryEngine::new(behaviours());
        let signal = (Duration::from_millis(millisecond), Signal::Interrupt);
        let records = run(&engine, plan(BUILT), &[signal]).await.told.records();
        let open = |record: &Record| match record {
            Record::Intend { kind, name } => !records.contains(&Record::Settle {
                kind: *kind,
                name: name.clone(),
            }),
            _ => false,
        };
        let is_open = records.iter().any(open);
        assert_eq!(is_open, !is_done(&records), "{millisecond} ms: {records:?}");
        left_open += u32::from(is_open);
    }
    assert!(left_open > 50, "builds take 230 ms: {left_open}");
}

#[tokio::test(start_paused = true)]
async fn a_run_is_not_over_for_the_watchdog_while_a_lost_creation_may_land() {
    // Without builds, which are dropped when something else fails.
    let present = BUILT.replace("build: .", "image: app");
    let engine = MemoryEngine::new(behaviours());
    run(&engine, plan(&present), &[]).await;
    for (call, verb) in engine.calls().iter().enumerate() {
        if !verb.starts_with("create") {
            continue;
        }
        let engine = MemoryEngine::new(behaviours());
        engine.inject(Fault::LoseReply {
            call,
            late: Duration::from_secs(20),
        });
        let records = run(&engine, plan(&present), &[]).await.told.records();
        assert!(!is_done(&records), "{verb}: {records:?}");
        let engine = MemoryEngine::new(behaviours());
        engine.inject(Fault::Fail {
            call,
            kind: FailureKind::Refused,
        });
        let records = run(&engine, plan(&present), &[]).await.told.records();
        assert!(is_done(&records), "{verb}: {records:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_of_a_held_environment_is_told_for_how_long() {
    let engine = MemoryEngine::new(behaviours());
    let settings = Settings {
        hold: Some(Hold {
            when: HoldWhen::Up,
            time: Duration::from_secs(90),
            keeper: None,
        }),
        ..settings()
    };
    let finished = run_with(&engine, environment(BUILT), settings, &[]).await;
    let records = finished.told.records();
    assert_eq!(records.last(), Some(&Record::Hold { seconds: 90 }));
}
