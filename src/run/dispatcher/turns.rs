//! How many suites run at once, and when none begins any more.
//!
//! A suite has its turn from its first start to its judgement, all of its attempts included: one that
//! waits for another attempt would else wait behind those that have not begun.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Dispatcher, Progress};
use crate::name::ServiceName;
use crate::plan::{Action, StepId};
use crate::run::effect::Effect;

/// By what a step goes before others that could begin: the length of the chain behind it, and how many
/// wait for it.
pub(super) type Urgency = (Reverse<u64>, Reverse<usize>, usize);

impl Dispatcher {
    /// What goes first of several steps that may begin.
    pub(super) fn urgency(&self, id: StepId) -> Urgency {
        let step = &self.plan.steps[id.0];
        let waiting = match &step.action {
            // It only matters where suites wait for their turn.
            Action::StartContainer(name) if self.plan.parallel.is_some() => self.dependants(name),
            _ => 0,
        };
        (Reverse(step.chain), Reverse(waiting), id.0)
    }

    /// How many steps wait for the end of a suite.
    fn dependants(&self, suite: &ServiceName) -> usize {
        let Some(wait) = self.step_of(&Action::AwaitSuite(suite.clone())) else {
            return 0;
        };
        let steps = self.plan.steps.iter();
        steps
            .filter(|step| step.needs.iter().any(|need| need.step == wait))
            .count()
    }

    /// How many suites may begin now; `None`: any number.
    pub(super) fn free_turns(&self) -> Option<usize> {
        let limit = usize::try_from(self.plan.parallel?).unwrap_or(usize::MAX);
        let suites = self
            .plan
            .suites()
            .map(|planned| planned.service.name.clone());
        let taken = suites
            .chain(self.command_suite())
            .filter(|name| self.has_turn(name));
        Some(limit.saturating_sub(taken.count()))
    }

    /// Whether a step is the start of a suite that has no turn yet.
    pub(super) fn takes_turn(&self, action: &Action) -> bool {
        let (Action::StartContainer(name) | Action::RunCommand(name)) = action else {
            return false;
        };
        self.plan.suite(name).is_some() && !self.has_turn(name)
    }

    /// Whether a suite has begun, or its container is just being started, and it is not judged yet.
    fn has_turn(&self, name: &ServiceName) -> bool {
        let start = self
            .step_of(&Action::StartContainer(name.clone()))
            .or_else(|| self.step_of(&Action::RunCommand(name.clone())));
        let starts = start.is_some_and(|step| self.progress[step.0] != Progress::Pending);
        (starts || !self.lost_attempts(name).is_empty()) && !self.is_judged(name)
    }

    /// Whether a step is the start of a suite on which there is a judgement: it never begins.
    pub(super) fn is_too_late(&self, action: &Action) -> bool {
        matches!(action, Action::StartContainer(name) | Action::RunCommand(name) if self.is_judged(name))
    }

    /// Whether a suite has failed that ends the others.
    pub(super) fn is_stopping(&self) -> bool {
        self.plan.fail_fast && self.outcome.suites.iter().any(|suite| !suite.is_pass())
    }

    /// A suite has definitively failed: where that ends the others, those that run are killed and those
    /// that do not never begin. One that has come to its end is judged by what it has left.
    pub(super) fn stop_others(&mut self, now: Duration, failed: &ServiceName) {
        if !self.is_stopping() {
            return;
        }
        let cause = format!("suite `{failed}` has failed, and `fail_fast` ends the others");
        for name in self.unjudged() {
            let state = self.services.get(&name);
            if state.is_some_and(|state| state.exit.is_some()) {
                continue;
            }
            let running = state.and_then(|state| {
                state.started_at?;
                state.container.clone()
            });
            if let Some(container) = running {
                self.effect(Effect::Kill(container));
            }
            self.leave_unjudged(now, &name, &cause);
        }
    }
}
