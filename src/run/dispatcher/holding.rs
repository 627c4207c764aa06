//! When the environment outlives the run: it is left to a person instead of torn down. And while the
//! run goes on, how long its lease lasts.

use super::{Dispatcher, HoldWhen, Phase, Progress};
use crate::engine::EngineError;
use crate::event::Event;
use crate::lease::{self, Lease};
use crate::outcome::FailureClass;
use crate::run::effect::{Effect, GatherTask, Leave, Timer};

impl Dispatcher {
    /// Whether there is nothing more to wait for: every suite is judged, or, where the environment
    /// itself is what is wanted, everything in it is ready.
    pub(super) fn is_complete(&self) -> bool {
        let wanted = self.settings.hold.as_ref().map(|hold| hold.when);
        if wanted == Some(HoldWhen::Up) {
            return self
                .progress
                .iter()
                .all(|progress| matches!(progress, Progress::Done | Progress::Failed));
        }
        self.outcome.suites.len() == self.plan.suite_count() && self.is_whole()
    }

    /// What comes after the verdict: teardown, or a hold. Whoever has sent a signal wants an end, and
    /// an engine that fails has nothing to enter.
    pub(super) fn end(&mut self) {
        let late = self.keep_other_files();
        let failed_here = self
            .outcome
            .failure
            .as_ref()
            .is_none_or(|failure| failure.class == FailureClass::Environment);
        let hold = self.settings.hold.as_ref().filter(|hold| {
            failed_here
                && self.outcome.signal.is_none()
                && match hold.when {
                    HoldWhen::Up => self.outcome.passed(),
                    HoldWhen::Failed => !self.outcome.passed(),
                }
        });
        match hold {
            Some(hold) => {
                let lease = Lease::held(hold.keeper.clone(), hold.time);
                let faults = self.faults_in_effect().map(|faults| {
                    format!("these faults are still in effect: {faults}; `envrun fault undo --all` undoes them")
                });
                let spec = self.plan.lease_volume("lease-held", &lease);
                self.phase = Phase::Holding;
                let time = hold.time;
                self.outcome.held = Some(time);
                if let Some(message) = faults {
                    self.report(Event::Warning { message });
                }
                // Nobody is taken leave of.
                for task in late {
                    self.effect(Effect::Gather(Box::new(task)));
                }
                self.effect(Effect::Hold(spec, time));
            }
            None => self.tear_down(late),
        }
    }

    /// Begins teardown.
    pub(super) fn tear_down(&mut self, gather: Vec<GatherTask>) {
        self.phase = Phase::TearingDown;
        self.outcome.held = None;
        self.report(Event::TeardownStarted);
        let farewells = self.farewells();
        self.effect(Effect::TearDown(Leave {
            farewells,
            gather,
            limit: self.evidence_limit(),
        }));
    }

    pub(super) fn held(&mut self, problem: Option<String>) {
        let (Phase::Holding, Some(time)) = (self.phase, self.outcome.held) else {
            return;
        };
        self.phase = Phase::Finished;
        if let Some(message) = problem {
            self.report(Event::Warning { message });
        }
        let running = self.services.iter().filter(|(name, state)| {
            // A command on this host is nothing that one could enter.
            self.plan.services.contains_key(*name)
                && state.started_at.is_some()
                && state.exit.is_none()
                && !state.completed
        });
        let services = running.map(|(name, _)| name.clone()).collect();
        self.report(Event::Held {
            run: self.plan.run,
            time,
            services,
        });
        // The run is over with them.
        self.effect(Effect::WriteReports { last: true });
    }

    /// Without a lease on the engine, the next run would take the environment for a dead one's.
    pub(super) fn not_held(&mut self, error: &EngineError) {
        if self.phase == Phase::Holding {
            let message = format!("the environment cannot be held: {error}");
            self.report(Event::Warning { message });
            self.tear_down(Vec::new());
        }
    }

    /// The lease is to be renewed, and again after a while.
    pub(super) fn renew_lease(&mut self) {
        let name = |number: u32| format!("lease-{number}");
        self.renewals += 1;
        let lease = self.plan.lease.clone();
        let spec = self.plan.lease_volume(&name(self.renewals), &lease);
        let previous = (self.renewals > 1).then(|| {
            let previous = self.plan.lease_volume(&name(self.renewals - 1), &lease);
            previous.name
        });
        self.effect(Effect::RenewLease(spec, previous));
        self.effect(Effect::StartTimer(Timer::Lease, lease::RENEWAL));
    }

    pub(super) fn not_renewed(&mut self, error: &EngineError) {
        let message = format!(
            "the lease of this run could not be renewed ({error}): if that goes on, `envrun gc` on another host may take it for dead"
        );
        self.report(Event::Warning { message });
    }
}
