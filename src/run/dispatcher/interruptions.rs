//! What comes from outside: limits that have passed, and signals.

use std::time::Duration;

use super::{Dispatcher, Phase, verdict};
use crate::event::Event;
use crate::exit_code::Signal;
use crate::outcome::{Failure, FailureClass};
use crate::run::effect::{Effect, Timer, Work};

impl Dispatcher {
    pub(super) fn timed_out(&mut self, now: Duration, timer: Timer) {
        match timer {
            Timer::Run => {
                let limit = self.plan.timeout.unwrap_or_default();
                let failure = Failure {
                    class: FailureClass::Environment,
                    kind: "Timeout",
                    service: None,
                    message: format!("the run was not over after {}", verdict::seconds(limit)),
                    log_tail: Vec::new(),
                    hint: Some("raise `x-envrun.timeout` at the top of the file".to_owned()),
                    explanation: None,
                };
                self.cut_off_suites(now);
                self.abort(now, failure);
            }
            Timer::Network(step) => self.effect(Effect::Perform(step, Work::ListNetworks)),
            Timer::Lease => self.renew_lease(),
            Timer::Restart(name) => self.restart(&name),
            Timer::Fault(id) => self.undo(id),
            Timer::Container(name, _) if self.is_resting(&name) => self.given_up(now, &name),
            // The limit of an earlier attempt.
            Timer::Container(name, attempt) if self.is_command(&name) => {
                if self.is_current(&name, attempt) {
                    self.command_timed_out(&name);
                }
            }
            Timer::Container(name, attempt) if !self.is_current(&name, attempt) => {}
            Timer::Container(name, _) => {
                let state = self.services.entry(name.clone()).or_default();
                if state.exit.is_none()
                    && let Some(container) = state.container.clone()
                {
                    state.timed_out = true;
                    self.effect(Effect::Kill(container));
                }
            }
        }
    }

    pub(super) fn signal(&mut self, now: Duration, signal: Signal) {
        self.signals = self.signals.saturating_add(1);
        self.report(Event::SignalReceived { signal });
        if self.phase == Phase::Holding {
            self.outcome.signal = Some(signal);
            self.tear_down(Vec::new());
        } else if self.phase == Phase::Explaining {
            self.outcome.signal = Some(signal);
            self.unexplained(now);
        } else if self.phase == Phase::Running {
            self.outcome.signal = Some(signal);
            let failure = Failure {
                class: FailureClass::Interrupted,
                kind: "Interrupted",
                service: None,
                message: format!("the run was ended by {}", signal.name()),
                log_tail: Vec::new(),
                hint: None,
                explanation: None,
            };
            self.abort(now, failure);
        } else if self.signals >= 3 {
            self.effect(Effect::GiveUp);
        } else {
            self.effect(Effect::Hurry);
        }
    }
}
