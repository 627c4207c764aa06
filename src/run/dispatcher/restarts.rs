//! Restarts: when a container that has ended is started again.
//!
//! envrun performs them itself, as the engine would: the first after a tenth of a second, each
//! further one after twice the time, anew once the container has run for a while. The engine's own
//! policy stays off, since it would raise leftovers after a reboot.

use std::time::Duration;

use super::{Dispatcher, Progress, ServiceState, lives, verdict};
use crate::config::model::{RestartCondition, Role};
use crate::engine::{ContainerFacts, Exit};
use crate::event::Event;
use crate::name::ServiceName;
use crate::outcome::{Failure, FailureClass};
use crate::plan::{Action, PlannedService, readiness};
use crate::run::effect::{Effect, Timer};

/// Pause before the first restart.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A container that has run for this long is restarted after the first pause again.
const STEADY: Duration = Duration::from_secs(10);

/// What is known of the starts of a container.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    /// How often it was started.
    pub(super) starts: u32,
    /// When it was started first.
    pub(super) first_start: Option<Duration>,
    /// Restarts that count for the limit.
    counted: u32,
    pause: Duration,
    /// It has ended and is going to be started again.
    resting: bool,
    /// It would have been started again if there were time.
    out_of_time: bool,
}

impl Restarts {
    pub(super) fn started(&mut self, now: Duration) {
        self.starts = self.starts.saturating_add(1);
        self.first_start.get_or_insert(now);
    }

    /// How often it was restarted, as the end of a sentence: empty when it never was.
    pub(super) fn so_far(&self) -> String {
        let mut text = match self.starts.saturating_sub(1) {
            0 => String::new(),
            1 => ", after 1 restart".to_owned(),
            count => format!(", after {count} restarts"),
        };
        if self.out_of_time {
            text.push_str(", and its deadline leaves no time for another start");
        }
        text
    }
}

impl ServiceState {
    /// From when on the deadline of its readiness counts: the first start until the service has been
    /// ready, later the last one.
    pub(super) fn awaited_since(&self) -> Option<Duration> {
        match self.settled_at {
            Some(_) => self.started_at,
            None => self.restarts.first_start,
        }
    }
}

impl Dispatcher {
    /// Whether a container that has ended is started again, and after which pause.
    pub(super) fn pause_before_restart(
        &mut self,
        now: Duration,
        planned: &PlannedService,
        exit: &Exit,
    ) -> Option<Duration> {
        let policy = &planned.service.lifecycle.restart;
        let limit = self.first_readiness_limit(planned);
        let state = self.services.get_mut(&planned.service.name)?;
        let asked_for = match policy.condition {
            RestartCondition::Never => false,
            RestartCondition::OnFailure => exit.code != Some(0),
            RestartCondition::Always => true,
        };
        // Without an exit code the container is gone: somebody else has removed it.
        if !asked_for || state.timed_out || exit.code.is_none() {
            return None;
        }
        let uptime = now.saturating_sub(state.started_at.unwrap_or(now));
        let was_settled = state.settled_at.is_some();
        let restarts = &mut state.restarts;
        if policy.window.is_some_and(|window| uptime >= window) {
            restarts.counted = restarts.counted.saturating_sub(1);
        }
        if policy.attempts.is_some_and(|most| restarts.counted >= most) {
            return None;
        }
        restarts.pause = if uptime >= STEADY || restarts.pause.is_zero() {
            FIRST_PAUSE
        } else {
            (restarts.pause * 2).min(LONGEST_PAUSE)
        };
        let pause = restarts.pause.max(policy.delay);
        let since_first = now.saturating_sub(restarts.first_start.unwrap_or(now));
        let in_time = limit.is_none_or(|limit| since_first.saturating_add(pause) < limit);
        if !was_settled && !in_time {
            restarts.out_of_time = true;
            return None;
        }
        restarts.counted += 1;
        Some(pause)
    }

    /// From the first start to the last restart of something that was never ready: without it a
    /// policy without a limit would keep the run from ever ending. A job has no limit of its own
    /// unless it is given one, and a number of attempts is a limit as well.
    fn first_readiness_limit(&self, planned: &PlannedService) -> Option<Duration> {
        let service = &planned.service;
        let given = service.ready.as_ref().and_then(|ready| ready.deadline);
        match (service.role, given) {
            (Role::Service, _) => {
                let image = self.images.get(&planned.image)?;
                readiness::requirement(service, image).deadline
            }
            (_, Some(limit)) => Some(limit).filter(|limit| !limit.is_zero()),
            (_, None) if service.lifecycle.restart.attempts.is_some() => None,
            (_, None) => Some(readiness::DEFAULT_DEADLINE),
        }
    }

    /// A service that was ready is not any more: what has not started yet waits again.
    pub(super) fn await_again(&mut self, now: Duration, name: &ServiceName) {
        self.effect(Effect::StopProbe(name.clone()));
        if let Some(step) = self.step_of(&Action::AwaitReady(name.clone()))
            && self.progress[step.0] == Progress::Done
        {
            self.progress[step.0] = Progress::Running;
            self.begun.insert(step, now);
        }
    }

    /// Lets the pause before a restart begin.
    pub(super) fn rest(&mut self, name: &ServiceName, exit: Exit, pause: Duration) {
        let state = self.services.entry(name.clone()).or_default();
        state.restarts.resting = true;
        let restart = state.restarts.starts;
        self.report(Event::ServiceRestarting {
            service: name.clone(),
            exit,
            restart,
            pause,
        });
        self.effect(Effect::StartTimer(Timer::Restart(name.clone()), pause));
    }

    /// Whether the container has ended and is going to be started again.
    pub(super) fn is_resting(&self, name: &ServiceName) -> bool {
        self.services
            .get(name)
            .is_some_and(|state| state.restarts.resting)
    }

    /// The pause is over.
    pub(super) fn restart(&mut self, name: &ServiceName) {
        if let Some(container) = self.container(name) {
            self.effect(Effect::Restart {
                service: name.clone(),
                container,
            });
        }
    }

    /// The container runs once more, and its readiness is asked for anew.
    pub(super) fn restarted(&mut self, now: Duration, name: &ServiceName, facts: ContainerFacts) {
        let state = self.services.entry(name.clone()).or_default();
        state.exit = None;
        state.restarts.resting = false;
        self.runs(now, name, facts);
        let hooks = self.step_of(&Action::RunHooks(name.clone()));
        if hooks.is_some_and(|step| self.progress[step.0] == Progress::Running) {
            self.begin_hooks(now, name);
        }
        let wait = self.step_of(&Action::AwaitReady(name.clone()));
        if wait.is_some_and(|step| self.progress[step.0] == Progress::Running) {
            self.begin_wait(now, name);
        }
        self.risen_unless_awaited(name);
        self.renew_faults(name);
    }

    /// The limit of a job has passed while its container was not running.
    pub(super) fn given_up(&mut self, now: Duration, name: &ServiceName) {
        let Some(planned) = self.plan.services.get(name) else {
            return;
        };
        let limit = lives::limit(&planned.service).unwrap_or_default();
        let failure = Failure {
            class: FailureClass::Environment,
            kind: "NotReady",
            service: Some(name.clone()),
            message: format!(
                "job `{}` not completed after {}{}",
                planned.title(),
                verdict::seconds(limit),
                self.services[name].restarts.so_far(),
            ),
            log_tail: Vec::new(),
            hint: None,
            explanation: None,
        };
        self.service_failed(now, name, failure);
    }
}
