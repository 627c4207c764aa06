//! The attempts of a suite: one that has not passed is run once more, in a new container.
//!
//! The new container is created, connected, filled and started by the same steps of the plan, so all
//! that holds for the first attempt holds for each. What belongs to one attempt alone (its container,
//! its limit, its end) is forgotten before the next one begins, and what comes late of an earlier one
//! is known by its number.

use std::time::Duration;

use super::{Dispatcher, Progress, ServiceState, hooks};
use crate::event::Event;
use crate::name::ServiceName;
use crate::outcome::LostAttempt;
use crate::plan::{Action, StepId};

impl ServiceState {
    /// Which attempt is under way, or comes next, counted from 1.
    pub(super) fn attempt(&self) -> u32 {
        u32::try_from(self.lost.len()).map_or(u32::MAX, |lost| lost.saturating_add(1))
    }

    /// Forgets what belongs to one attempt alone. The number of starts goes on, since what is still
    /// under way for an earlier one is told by it.
    fn begin_anew(&mut self, lost: LostAttempt) {
        self.lost.push(lost);
        self.container = None;
        self.started_at = None;
        self.facts = None;
        self.hooks = hooks::HookState::default();
        self.exit = None;
        self.timed_out = false;
        self.ended = None;
    }
}

impl Dispatcher {
    /// Which attempt of a suite is under way, or comes next, counted from 1.
    pub(super) fn attempt(&self, name: &ServiceName) -> u32 {
        self.services.get(name).map_or(1, ServiceState::attempt)
    }

    /// How many attempts a suite has at most.
    pub(super) fn attempt_limit(&self, name: &ServiceName) -> u32 {
        let suite = self.plan.suite(name);
        suite.map_or(1, |suite| suite.retries.saturating_add(1))
    }

    /// How often a suite has begun.
    pub(super) fn attempts_begun(&self, name: &ServiceName) -> u32 {
        let runs = |state: &ServiceState| state.attempt() - u32::from(state.started_at.is_none());
        self.services.get(name).map_or(0, runs)
    }

    /// The attempts of a suite that did not pass and were followed by another one.
    pub(super) fn lost_attempts(&self, name: &ServiceName) -> &[LostAttempt] {
        self.services.get(name).map_or(&[], |state| &state.lost)
    }

    /// Whether a suite has begun, or the matrix is being tried.
    pub(super) fn suite_has_begun(&self, name: &ServiceName) -> bool {
        self.suite_began(name).is_some() || self.attempts_begun(name) > 0
    }

    /// Whether a suite that does not pass is run once more.
    pub(super) fn may_retry(&self, name: &ServiceName) -> bool {
        self.attempt(name) < self.attempt_limit(name) && !self.is_stopping()
    }

    /// Lets the steps of a suite begin anew.
    pub(super) fn retry(&mut self, name: &ServiceName, lost: LostAttempt) {
        self.report(Event::SuiteRetried {
            suite: name.clone(),
            attempt: self.attempt(name),
            limit: self.attempt_limit(name),
            exit: lost.exit.clone(),
            duration: lost.duration,
            tests: lost.counts.tests,
            failures: lost.counts.failing(),
            problems: lost
                .problems
                .iter()
                .map(|problem| problem.message.clone())
                .collect(),
            output_tail: lost.output_tail.clone(),
        });
        let state = self.services.entry(name.clone()).or_default();
        state.begin_anew(lost);
        for (step, progress) in self.plan.steps.iter().zip(&mut self.progress) {
            if is_of_attempt(&step.action, name) {
                *progress = Progress::Pending;
            }
        }
    }

    /// Why a step is done, where it is done for another attempt.
    pub(super) fn cause_of(&self, step: StepId) -> String {
        let step = &self.plan.steps[step.0];
        let again = self
            .services
            .iter()
            .find(|(name, state)| !state.lost.is_empty() && is_of_attempt(&step.action, name));
        match again {
            Some((name, state)) => format!(
                "{}; attempt {} of {}",
                step.cause,
                state.attempt(),
                self.attempt_limit(name)
            ),
            None => step.cause.clone(),
        }
    }

    /// Whether a limit is that of an attempt that is under way.
    pub(super) fn is_current(&self, name: &ServiceName, attempt: u32) -> bool {
        self.attempt(name) == attempt
    }

    /// What a suite that may have several attempts needs to know of this one. The container of another is
    /// what the file says, and nothing more.
    pub(super) fn attempt_variable(&self, name: &ServiceName) -> Option<(String, String)> {
        let suite = self.plan.suite(name)?;
        (suite.retries > 0).then(|| (ATTEMPT.to_owned(), self.attempt(name).to_string()))
    }

    /// The time that a suite had been running when it ended, or has been running until now.
    pub(super) fn suite_duration(&self, now: Duration, name: &ServiceName) -> Duration {
        let state = self.services.get(name);
        let ended = state.and_then(|state| state.ended.as_ref());
        let end = ended.map_or(now, |(end, _)| *end);
        let began = self.suite_began(name);
        began.map_or(Duration::ZERO, |began| end.saturating_sub(began))
    }
}

/// The variable by which a suite knows which attempt it is, counted from 1.
const ATTEMPT: &str = "ENVRUN_ATTEMPT";

/// Whether a step is done for each attempt of a suite.
fn is_of_attempt(action: &Action, suite: &ServiceName) -> bool {
    match action {
        Action::CreateContainer(name)
        | Action::ConnectNetwork(name, _)
        | Action::Inject(name)
        | Action::StartContainer(name)
        | Action::RunHooks(name)
        | Action::RunCommand(name)
        | Action::AwaitSuite(name) => name == suite,
        _ => false,
    }
}
