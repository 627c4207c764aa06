//! What the tasks of a run share, and how they speak to its loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::Recorder;
use super::agents::Agents;
use super::effect::Input;
use super::faults::Faults;
use super::hearing::Listeners;
use super::looking::Scouts;
use super::metering::Meter;
use super::observing::Observers;
use super::output::Tails;
use super::post::Waiting;
use super::recent::Recent;
use super::spool::Spools;
use crate::clock::Instant;
use crate::engine::{Engine, EngineError, Seen};
use crate::event::Event;
use crate::mask::Masker;
use crate::name::{ContainerId, RunId, ServiceName};
use crate::plan::StepId;

/// What the tasks of a run share.
pub(super) struct Shared {
    pub(super) run: RunId,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) recorder: Arc<dyn Recorder>,
    pub(super) tails: Tails,
    /// The lines that are shown of failed tests.
    pub(super) recent: Recent,
    /// What containers use.
    pub(super) meter: Meter,
    pub(super) masker: Masker,
    pub(super) agents: Arc<Agents>,
    /// Those that look why something has failed.
    pub(super) scouts: Scouts,
    /// What probes hear of the output.
    pub(super) listeners: Listeners,
    /// What is kept of the output, since it is a report.
    pub(super) spools: Spools,
    pub(super) observers: Observers,
    pub(super) faults: Arc<Faults>,
    pub(super) waiting: Waiting,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) begun: Instant,
    /// How much output of each container was seen, over all its starts.
    pub(super) seen: Mutex<BTreeMap<ContainerId, Seen>>,
}

impl Shared {
    pub(super) fn lock_seen(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send(&self, input: Input) {
        // Nobody listens once the run is over, and then nobody needs to know.
        let _ = self.inputs.send(input);
    }

    pub(super) fn report(&self, event: Event) {
        self.recorder.event(self.begun.elapsed(), event);
    }

    pub(super) fn fail(&self, step: StepId, error: EngineError, service: Option<&ServiceName>) {
        let log_tail = service
            .map(|name| self.tails.tail(name))
            .unwrap_or_default();
        self.send(Input::Failed {
            step,
            error,
            log_tail,
        });
    }
}
