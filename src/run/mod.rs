//! The run: a pure dispatcher, an executor that performs its effects, the ledger, and teardown.
//!
//! [`run`] is the loop between them. `select!` there only maps sources to inputs.

mod agents;
mod archive;
mod archives;
mod collect;
pub mod dispatcher;
mod disturbing;
pub mod effect;
mod executor;
pub mod faults;
mod following;
pub mod gate;
mod gathering;
pub mod gc;
mod hearing;
mod holder;
mod hooks;
pub mod host_command;
mod leasing;
pub mod ledger;
mod looking;
mod lost;
mod metering;
mod observing;
mod obtaining;
pub mod output;
pub mod post;
mod readying;
mod recent;
mod reports;
mod shared;
mod spool;
mod task;
pub mod teardown;
mod trying;
mod watch;
pub mod watchdog;
mod work;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::sync::mpsc;

use self::dispatcher::{Dispatcher, Settings};
use self::effect::{Effect, Input};
use self::executor::{Executor, Flow};
use self::gate::StartGate;
use self::hearing::Listeners;
use self::host_command::Commands;
use self::ledger::Ledger;
use self::spool::Spools;
use self::teardown::Limits;
use crate::artifact::Record;
use crate::clock;
use crate::engine::{Engine, EngineError, OutputChunk};
use crate::event::Event;
use crate::exit_code::Signal;
use crate::mask::Masker;
use crate::name::ServiceName;
use crate::outcome::{Failure, FailureClass, Outcome, TeardownReport};
use crate::plan::Plan;
use crate::plan::agent::Kit;
use crate::probe::Prober;

/// Where everything that happens is told. Implementations must not block for long: teardown does
/// not wait for a terminal.
#[async_trait]
pub trait Recorder: Send + Sync + 'static {
    /// Something has happened, `elapsed` after the start of the run.
    fn event(&self, elapsed: Duration, event: Event);
    /// A container has written something. Returns when there is room for more: a container that
    /// writes faster than its log can be written is slowed down, as by a pipe.
    async fn output(&self, service: &ServiceName, chunk: &OutputChunk);
    /// A container will write nothing more, unless it is started again: what it wrote last is a line,
    /// whatever ends it.
    fn output_ended(&self, _service: &ServiceName) {}
    /// The build of this title has written something.
    fn build_output(&self, title: &str, bytes: &[u8]);
    /// The directory that files of containers are put into, made where it is not there yet. May block.
    ///
    /// # Errors
    /// It cannot be made, or is not ours; that is noted as a report that could not be written.
    fn artifacts(&self) -> Result<PathBuf, String>;
    /// What services wrote while a test of a suite failed, by the title of the test.
    fn excerpt(&self, suite: &ServiceName, test: &str, text: &str);
    /// Files of a container were put there, into this directory.
    async fn kept(&self, directory: &str, record: &Record);
    /// Writes the reports of what is known so far. Returns what could not be written.
    async fn write(&self, outcome: &Outcome) -> Vec<String>;
}

/// What a run works with.
pub struct Wiring {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Who dials into the networks.
    pub prober: Arc<dyn Prober>,
    /// Who runs commands on this host.
    pub commands: Arc<dyn Commands>,
    /// Where everything is told.
    pub recorder: Arc<dyn Recorder>,
    /// The ledger, with the watchdog behind it.
    pub ledger: Arc<Ledger>,
    /// Who says when a container may be started.
    pub gate: Arc<dyn StartGate>,
    /// Signals that the process gets.
    pub signals: mpsc::UnboundedReceiver<Signal>,
    /// Limits of teardown.
    pub limits: Limits,
    /// Takes secrets out of the output of containers, before anybody but their probes gets it.
    pub masker: Masker,
}

/// The outcome of a run that a signal has ended before it had a plan: nothing was started.
#[must_use]
pub fn interrupted_before_plan(started: SystemTime, signal: Signal) -> Outcome {
    let failure = Failure {
        class: FailureClass::Interrupted,
        kind: "Interrupted",
        service: None,
        message: format!(
            "the run was ended by {} before anything was started",
            signal.name()
        ),
        log_tail: Vec::new(),
        hint: None,
        explanation: None,
    };
    Outcome {
        failure: Some(failure),
        suites: Vec::new(),
        readiness: Vec::new(),
        signal: Some(signal),
        teardown: None,
        held: None,
        report_problems: Vec::new(),
        usage: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        reachability: None,
        without: Vec::new(),
        started,
        duration: started.elapsed().unwrap_or_default(),
    }
}

/// The end of a run for which no engine could even be addressed: told and reported like every other
/// one, so that whoever reads the reports finds an error and not the lack of a report.
pub async fn without_engine(
    plan: Plan,
    settings: Settings,
    recorder: &Arc<dyn Recorder>,
    error: EngineError,
) -> Outcome {
    let begun = clock::now();
    let mut dispatcher = Dispatcher::new(plan, settings, SystemTime::now());
    let nothing = Input::TornDown(TeardownReport::default());
    for input in [Input::Begin, Input::EngineLost(error), nothing] {
        for effect in dispatcher.handle(begun.elapsed(), input) {
            match effect {
                Effect::Report(event) => recorder.event(begun.elapsed(), event),
                Effect::WriteReports { last } => {
                    let problems = recorder.write(dispatcher.outcome()).await;
                    let reported = Input::Reported { problems, last };
                    let _ = dispatcher.handle(begun.elapsed(), reported);
                }
                // Everything else takes an engine.
                _ => {}
            }
        }
    }
    let outcome = dispatcher.outcome().clone();
    finish(begun.elapsed(), recorder, &outcome);
    outcome
}

fn finish(elapsed: Duration, recorder: &Arc<dyn Recorder>, outcome: &Outcome) {
    let finished = Event::RunFinished {
        exit_code: outcome.exit_code().number(),
        duration: elapsed,
    };
    recorder.event(elapsed, finished);
}

/// Runs a plan to its end, teardown included. Never fails: whatever happens is in the outcome.
pub async fn run(plan: Plan, settings: Settings, mut wiring: Wiring) -> Outcome {
    let begun = clock::now();
    let (sender, mut inputs) = mpsc::unbounded_channel();
    let (_keep, no_signals) = mpsc::unbounded_channel();
    let mut signals = std::mem::replace(&mut wiring.signals, no_signals);
    let engine = Arc::clone(&wiring.engine);
    let ledger = Arc::clone(&wiring.ledger);
    let recorder = Arc::clone(&wiring.recorder);
    let gate = Arc::clone(&wiring.gate);
    let limits = wiring.limits;
    let kit = Kit::new(&plan);
    let hearing = (Listeners::of(&plan), Spools::of(&plan));
    let mut dispatcher = Dispatcher::new(plan, settings, SystemTime::now());
    let mut executor = Executor::new(wiring, kit, hearing, sender, begun);

    let looped = AssertUnwindSafe(async {
        let mut next = Some(Input::Begin);
        loop {
            let input = match next.take() {
                Some(input) => input,
                None => tokio::select! {
                    biased;
                    Some(signal) = signals.recv() => Input::Signal(signal),
                    Some(input) = inputs.recv() => input,
                },
            };
            for effect in dispatcher.handle(begun.elapsed(), input) {
                if let Flow::Over = executor.perform(effect, dispatcher.outcome()) {
                    return;
                }
            }
        }
    })
    .catch_unwind()
    .await;

    executor.command_over().await;
    let mut outcome = dispatcher.outcome().clone();
    if looped.is_err() {
        // A bug of ours must not leave anything behind.
        let failure = Failure {
            class: FailureClass::Bug,
            kind: "Bug",
            service: None,
            message: "envrun has panicked".to_owned(),
            log_tail: Vec::new(),
            hint: Some("please report this with the message above".to_owned()),
            explanation: None,
        };
        recorder.event(
            begun.elapsed(),
            Event::RunAborted {
                failure: failure.clone(),
            },
        );
        outcome.failure = Some(failure);
        outcome.teardown = Some(teardown::tear_down(&engine, &ledger, limits).await);
        outcome.report_problems = recorder.write(&outcome).await;
    }
    if outcome
        .teardown
        .as_ref()
        .is_some_and(|report| report.left.is_empty())
        // A build that was dropped may leave its image after all.
        && ledger.is_settled()
    {
        ledger.done();
    }
    gate.close();
    finish(begun.elapsed(), &recorder, &outcome);
    outcome
}
