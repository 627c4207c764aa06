//! Environments that are left to a person, leases that are renewed, and what dead runs have left.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use envrun::clock;
use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::engine::{Belonging, Engine, FailureKind, ResourceKind};
use envrun::exit_code::{ExitCode, Signal};
use envrun::lease::{Neighbours, Owner, Standing};
use envrun::outcome::TeardownReport;
use envrun::run::dispatcher::{Hold, HoldWhen, Settings};
use envrun::run::gc::{self, Found};
use envrun::run::teardown::Limits;
use insta::assert_snapshot;

use super::support::{
    Behaviours, FAILING, Finished, PASSING, RUN, environment, plan, run_with, settings, suite,
};

const SHOP: &str = "
services:
  db: { image: postgres, networks: [back], volumes: ['data:/backup'] }
  migrate: { image: app, networks: [back], depends_on: [db] }
  api:
    image: app
    expose: [3000]
    networks: [back]
    depends_on: { migrate: { condition: service_completed_successfully } }
  unit:
    image: app
    networks: [front]
    volumes: ['reports:/reports']
    depends_on: [api]
    x-envrun: { suite: { junit: 'reports/*.xml' } }
networks: { back: {}, front: {} }
volumes: { data: {}, reports: {} }
";

const HOUR: Duration = Duration::from_secs(3600);

fn shop(report: &'static str) -> Behaviours {
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(900))),
        ("migrate", Behaviour::exits(Duration::from_millis(100), 0)),
        ("api", Behaviour::serves(3000, Duration::from_millis(50))),
        ("unit", suite(report, i64::from(report == FAILING))),
    ])
}

fn holding(when: HoldWhen) -> Settings {
    Settings {
        hold: Some(Hold {
            when,
            time: HOUR,
            keeper: None,
        }),
        ..settings()
    }
}

/// Knows no process.
struct Stranger;

impl Neighbours for Stranger {
    fn this(&self) -> Option<&Owner> {
        None
    }

    fn is_alive(&self, _owner: &Owner) -> bool {
        panic!("nobody is beside a stranger")
    }
}

async fn up(engine: &MemoryEngine, signals: &[(Duration, Signal)]) -> Finished {
    run_with(engine, environment(SHOP), holding(HoldWhen::Up), signals).await
}

fn names(engine: &MemoryEngine) -> Vec<String> {
    let all = engine.everything().into_iter();
    all.map(|one| format!("{} {}", one.kind, one.name))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_environment_is_held_as_soon_as_everything_in_it_is_ready() {
    let engine = MemoryEngine::new(shop(PASSING));
    let finished = up(&engine, &[]).await;
    assert_snapshot!(finished.told.timeline(), @"
     336 ms  db started
    1233 ms  db ready: postgres 5432
    1469 ms  migrate started
    1569 ms  migrate completed
    1805 ms  api started
    1854 ms  api ready: tcp 3000
    1854 ms  verdict: passed
    1861 ms  held for 3600s: api, db
    1861 ms  exit code 0
    ");
    assert_snapshot!(names(&engine).join("\n"), @"
container envrun-0123456789ab-db
container envrun-0123456789ab-migrate
container envrun-0123456789ab-api
network envrun-0123456789ab-back
network envrun-0123456789ab-front
volume envrun-0123456789ab-data
volume envrun-0123456789ab-db-volume-1
volume envrun-0123456789ab-reports
volume envrun-0123456789ab_lease-held
");
    assert_eq!(finished.outcome.exit_code(), ExitCode::Passed);
    assert_eq!(finished.outcome.teardown, None);
    assert_eq!(finished.outcome.held, Some(HOUR));
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_does_not_come_up_is_torn_down() {
    let mut behaviours = shop(PASSING);
    behaviours.insert("migrate", Behaviour::exits(Duration::from_millis(100), 3));
    let engine = MemoryEngine::new(behaviours);
    let finished = up(&engine, &[]).await;
    assert_eq!(finished.outcome.exit_code(), ExitCode::Environment);
    assert_eq!(engine.everything(), []);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_held_when_it_fails_and_torn_down_when_it_passes() {
    for (report, code) in [
        (FAILING, ExitCode::SuiteFailed),
        (PASSING, ExitCode::Passed),
    ] {
        let engine = MemoryEngine::new(shop(report));
        let finished = run_with(&engine, plan(SHOP), holding(HoldWhen::Failed), &[]).await;
        assert_eq!(finished.outcome.exit_code(), code);
        assert_eq!(finished.outcome.held.is_some(), report == FAILING);
        assert_eq!(engine.everything().is_empty(), report == PASSING);
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_at_any_time_leaves_everything_held_or_nothing_at_all() {
    let mut held = 0;
    for millisecond in (0..2500).step_by(5) {
        let engine = MemoryEngine::new(shop(PASSING));
        let after = Duration::from_millis(millisecond);
        let finished = up(&engine, &[(after, Signal::Terminate)]).await;
        if finished.outcome.held.is_some() {
            held += 1;
            assert_eq!(finished.outcome.exit_code(), ExitCode::Passed, "{after:?}");
        } else {
            let code = ExitCode::Signal(Signal::Terminate);
            assert_eq!(finished.outcome.exit_code(), code, "{after:?}");
            assert_eq!(engine.everything(), [], "{after:?}");
        }
    }
    assert!(held > 0 && held < 500, "{held}");
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_everything_is_held_or_nothing_is_left() {
    let engine = MemoryEngine::new(shop(PASSING));
    up(&engine, &[]).await;
    let calls = engine.calls().len();
    let whole = engine.everything().len();
    let seconds = Duration::from_secs(5);
    for call in 0..calls {
        for fault in [
            Fault::Fail {
                call,
                kind: FailureKind::Internal,
            },
            Fault::Fail {
                call,
                kind: FailureKind::Unreachable,
            },
            Fault::LoseReply {
                call,
                late: Duration::ZERO,
            },
            Fault::LoseReply {
                call,
                late: seconds,
            },
        ] {
            let engine = MemoryEngine::new(shop(PASSING));
            engine.inject(fault);
            let finished = up(&engine, &[]).await;
            if finished.outcome.held.is_some() {
                assert_eq!(engine.everything().len(), whole, "{fault:?}");
                let found = gc::survey(&(Arc::new(engine) as Arc<dyn Engine>), &Stranger).await;
                let found = found.expect("no more faults");
                assert!(
                    matches!(found[0].standing, Standing::Held { .. }),
                    "{fault:?}: {found:?}"
                );
            } else {
                clock::pause(seconds * 2).await;
                assert_eq!(engine.everything(), [], "{fault:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_run_is_never_taken_for_dead() {
    let mut behaviours = shop(PASSING);
    behaviours.insert("unit", Behaviour::exits(HOUR * 5, 0));
    let engine = MemoryEngine::new(behaviours);
    let running = tokio::spawn({
        let engine = engine.clone();
        let compose = SHOP.replace("suite: { junit: 'reports/*.xml' }", "suite: {}");
        async move { run_with(&engine, plan(&compose), settings(), &[]).await }
    });
    let shared: Arc<dyn Engine> = Arc::new(engine.clone());
    let mut most = 0;
    for _ in 0..(5 * 60) {
        clock::pause(Duration::from_secs(59)).await;
        let found = gc::survey(&shared, &Stranger).await.expect("an answer");
        let Standing::Elsewhere { left } = found[0].standing else {
            panic!("{found:?}");
        };
        assert!(left >= Duration::from_secs(19 * 60), "{left:?}");
        let leases = |one: &&Belonging| one.resource.name.contains("_lease-");
        most = most.max(found[0].belongings.iter().filter(leases).count());
    }
    assert_eq!(most, 1, "a renewal takes the place of the one before");
    let finished = running.await.expect("no panic");
    assert_eq!(finished.outcome.exit_code(), ExitCode::Passed);
    assert_eq!(engine.everything(), []);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_a_warning_and_tried_again() {
    let long = |engine: MemoryEngine| async move {
        let compose = SHOP.replace("suite: { junit: 'reports/*.xml' }", "suite: {}");
        run_with(&engine, plan(&compose), settings(), &[]).await
    };
    let behaviours = || {
        let mut behaviours = shop(PASSING);
        behaviours.insert("unit", Behaviour::exits(HOUR, 0));
        behaviours
    };
    let engine = MemoryEngine::new(behaviours());
    long(engine.clone()).await;
    let renewals: Vec<usize> = engine
        .calls()
        .iter()
        .enumerate()
        .filter(|(_, call)| *call == "create volume")
        .map(|(number, _)| number)
        .skip(2)
        .collect();
    assert_eq!(renewals.len(), 6, "one in ten minutes");
    let engine = MemoryEngine::new(behaviours());
    engine.inject(Fault::Fail {
        call: renewals[0],
        kind: FailureKind::Internal,
    });
    let finished = long(engine.clone()).await;
    assert_eq!(finished.outcome.exit_code(), ExitCode::Passed);
    let told = finished.told.timeline();
    assert_eq!(told.matches("could not be renewed").count(), 1, "{told}");
    assert_eq!(engine.everything(), []);
}

/// What became of dead runs; nothing when the engine did not answer.
async fn sweep(engine: &Arc<dyn Engine>) -> Vec<(Found, TeardownReport)> {
    let swept = Mutex::new(Vec::new());
    let tell = |found, report| swept.lock().expect("not poisoned").push((found, report));
    let _ = gc::sweep(engine, &Stranger, Limits::default(), &tell).await;
    swept.into_inner().expect("not poisoned")
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_run_has_left_is_swept_once_its_lease_is_over_whatever_call_fails() {
    let left = || async {
        let engine = MemoryEngine::new(shop(PASSING));
        up(&engine, &[]).await;
        // The lease that holds it goes, as if the run had died.
        let shared: Arc<dyn Engine> = Arc::new(engine.clone());
        let all = shared.list_all().await.expect("an answer");
        let held = all.iter().find(|one| {
            one.resource.kind == ResourceKind::Volume && one.resource.name.ends_with("_lease-held")
        });
        let held = held.expect("a lease").resource.clone();
        shared.remove(&held).await.expect("removed");
        (engine, shared)
    };
    let (engine, shared) = left().await;
    assert_eq!(sweep(&shared).await.len(), 0, "it may be alive");
    clock::pause(HOUR / 2).await;
    let before = engine.calls().len();
    let swept = sweep(&shared).await;
    assert_eq!(swept.len(), 1);
    assert_eq!(swept[0].0.run, RUN);
    assert_eq!(
        swept[0].0.inventory(),
        "3 containers, 2 networks, 3 volumes"
    );
    assert_eq!(swept[0].1.left, []);
    assert_eq!(engine.everything(), []);
    for call in before..engine.calls().len() {
        let (engine, shared) = left().await;
        clock::pause(HOUR / 2).await;
        engine.inject(Fault::Fail {
            call: call + 1,
            kind: FailureKind::Unreachable,
        });
        // One that fails is one that the next run, or a person, repeats.
        for _ in 0..2 {
            sweep(&shared).await;
        }
        assert_eq!(engine.everything(), [], "call {call}");
    }
}
