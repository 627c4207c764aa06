//! Which step begins when: what it needs is done, and nothing that is more urgent would be delayed.
//!
//! How a step begins is not decided here.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Dispatcher, Phase, Progress, verdict};
use crate::plan::{Action, Plan, StepId};

/// How much longer, in expected milliseconds, a chain has to be for others to give way to it: about
/// two starts, so that what gives way is still done before the longer chain.
const GIVES_WAY: u64 = 500;

impl Dispatcher {
    /// Begins every step that may begin, longest chain first; concludes when every suite is judged.
    ///
    /// Some steps are done the moment they begin (a service with nothing to probe), and no input
    /// will tell of it. So this goes on until nothing more may begin.
    pub(super) fn advance(&mut self, now: Duration) {
        while self.phase == Phase::Running {
            self.skip_unreachable_suites();
            if self.is_complete() {
                if self.explaining.is_idle() && self.evidence.is_idle() {
                    verdict::conclude(self, now);
                }
                return;
            }
            let done = self.done();
            self.begin_steps(now);
            if self.done() == done {
                return;
            }
        }
    }

    /// How many steps are done.
    fn done(&self) -> usize {
        self.progress
            .iter()
            .filter(|progress| **progress == Progress::Done)
            .count()
    }

    fn begin_steps(&mut self, now: Duration) {
        let mut ready: Vec<StepId> = (0..self.plan.steps.len())
            .map(StepId)
            .filter(|step| self.progress[step.0] == Progress::Pending && self.may_begin(*step))
            .collect();
        ready.sort_by_cached_key(|step| self.urgency(*step));
        let starting = |progress: &[Progress], plan: &Plan| {
            plan.steps
                .iter()
                .zip(progress)
                .filter(|(step, progress)| {
                    matches!(step.action, Action::StartContainer(_))
                        && **progress == Progress::Running
                })
                .count()
        };
        let mut turns = self.free_turns();
        for step in ready {
            // A step that could not even begin has ended the run, and nothing may be created after
            // the verdict.
            if self.phase != Phase::Running {
                return;
            }
            let action = &self.plan.steps[step.0].action;
            let takes_turn = self.takes_turn(action);
            if self.is_too_late(action) || (takes_turn && turns == Some(0)) || self.gives_way(step)
            {
                continue;
            }
            let is_start = matches!(self.plan.steps[step.0].action, Action::StartContainer(_));
            if !is_start
                || starting(&self.progress, &self.plan) < self.settings.concurrent_starts.max(1)
            {
                self.begin_step(now, step);
                if takes_turn {
                    turns = turns.map(|turns| turns.saturating_sub(1));
                }
            }
        }
    }

    /// Whether a step that loads the engine waits for one that is under way. An engine takes about
    /// twice as long for two creations or starts at once as for one, so what has time to spare
    /// would delay the chain that the run's length depends on.
    fn gives_way(&self, step: StepId) -> bool {
        let loads = |action: &Action| {
            matches!(
                action,
                Action::CreateContainer(_)
                    | Action::CreateFiller(_)
                    | Action::StartContainer(_)
                    | Action::SendObserver(_)
            )
        };
        let step = &self.plan.steps[step.0];
        let mut under_way = self.plan.steps.iter().zip(&self.progress);
        loads(&step.action)
            && under_way.any(|(other, progress)| {
                *progress == Progress::Running
                    && loads(&other.action)
                    && other.chain >= step.chain.saturating_add(GIVES_WAY)
            })
    }

    pub(super) fn may_begin(&self, step: StepId) -> bool {
        let step = &self.plan.steps[step.0];
        self.faults_let_start(&step.action)
            && self.command_lets_create(&step.action)
            && step
                .needs
                .iter()
                .all(|need| match self.progress[need.step.0] {
                    Progress::Done => true,
                    Progress::Failed => !need.success,
                    Progress::Pending | Progress::Running => false,
                })
    }

    /// Whether a step waits, directly or not, for the success of a suite that has failed.
    pub(super) fn can_never_begin(&self, step: StepId) -> bool {
        let mut open = vec![step];
        let mut seen = BTreeSet::new();
        while let Some(step) = open.pop() {
            if !seen.insert(step) || self.progress[step.0] != Progress::Pending {
                continue;
            }
            for need in &self.plan.steps[step.0].needs {
                if need.success && self.progress[need.step.0] == Progress::Failed {
                    return true;
                }
                open.push(need.step);
            }
        }
        false
    }
}
