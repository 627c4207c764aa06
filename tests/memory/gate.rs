//! Container starts behind a gate that does not let everything pass.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::event::Event;
use envrun::exit_code::Signal;
use envrun::outcome::SuiteResult;
use envrun::run::gate::{Permit, StartGate};
use tokio::sync::Semaphore;

use crate::support::{plan, run_behind, suite};

const SERVICES: &str = "
services:
  one: { image: one }
  two: { image: two }
  three: { image: three }
  checks:
    image: checks
    depends_on: [one, two, three]
    x-envrun: { suite: {} }
";

/// Lets so many pass at once, and says that others wait when it must not.
struct Turnstile {
    places: Arc<Semaphore>,
    passed: AtomicUsize,
    closed: Mutex<u32>,
}

impl Turnstile {
    fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places)),
            passed: AtomicUsize::new(0),
            closed: Mutex::new(0),
        })
    }
}

#[async_trait]
impl StartGate for Turnstile {
    async fn pass(&self, tell: &(dyn Fn(Event) + Send + Sync)) -> Permit {
        if self.places.available_permits() == 0 {
            tell(Event::StartWaits { others: 7 });
        }
        let permit = Arc::clone(&self.places).acquire_owned().await;
        self.passed.fetch_add(1, Ordering::SeqCst);
        Box::new(permit.expect("never closed"))
    }

    fn close(&self) {
        *self.closed.lock().expect("not poisoned") += 1;
    }
}

fn behaviours() -> BTreeMap<&'static str, Behaviour> {
    BTreeMap::from([("checks", suite("", 0))])
}

#[tokio::test(start_paused = true)]
async fn each_start_passes_the_gate_and_frees_it_when_the_container_runs() {
    let engine = MemoryEngine::new(behaviours());
    let gate = Turnstile::new(1);
    let finished = run_behind(&engine, plan(SERVICES), &[], Arc::clone(&gate) as _).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(finished.outcome.suites[0].result, SuiteResult::Passed);
    assert_eq!(gate.passed.load(Ordering::SeqCst), 4);
    assert_eq!(*gate.closed.lock().expect("not poisoned"), 1);
    // Each of the three takes 230 ms, one after the other.
    let timeline = finished.told.timeline();
    let times: Vec<u64> = timeline
        .lines()
        .filter(|line| {
            line.ends_with(" started") && !line.contains("checks") && !line.contains("teardown")
        })
        .map(|line| line.trim_start().split(' ').next().unwrap_or_default())
        .map(|number| number.parse().expect("a number"))
        .collect();
    let apart = |index: usize| times[index] - times[index - 1] >= 230;
    assert!(times.len() == 3 && apart(1) && apart(2), "{timeline}");
    assert!(timeline.contains("waits for 7"), "{timeline}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_while_a_start_waits_starts_nothing_more() {
    let engine = MemoryEngine::new(behaviours());
    let gate = Turnstile::new(0);
    let signals = [(Duration::from_secs(5), Signal::Terminate)];
    let finished = run_behind(&engine, plan(SERVICES), &signals, Arc::clone(&gate) as _).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(finished.outcome.exit_code().number(), 143);
    assert!(!engine.calls().iter().any(|call| call == "start container"));
    // Nobody is left in the queue: a place that comes free now is nobody's.
    gate.places.add_permits(1);
    envrun::clock::pause(Duration::from_secs(1)).await;
    assert_eq!(gate.passed.load(Ordering::SeqCst), 0);
    // Teardown needs no place.
    assert!(finished.outcome.duration < Duration::from_secs(6));
}
