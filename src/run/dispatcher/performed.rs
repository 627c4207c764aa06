//! What comes of steps: they are done and have brought something into being, or they have failed.

use std::time::Duration;

use super::{Dispatcher, Progress, verdict};
use crate::engine::{BuildSpec, EngineError, FailureKind};
use crate::event::Event;
use crate::image::PullPolicy;
use crate::name::{ContainerId, NetworkId};
use crate::plan::{Action, PlannedImage, StepId};
use crate::run::effect::{Effect, Work};

impl Dispatcher {
    pub(super) fn step_done(&mut self, now: Duration, id: StepId) {
        self.progress[id.0] = Progress::Done;
        let duration = now.saturating_sub(self.begun.get(&id).copied().unwrap_or(now));
        let what = self.plan.describe(&self.plan.steps[id.0].action);
        self.report(Event::StepFinished {
            step: id.0,
            what,
            duration,
        });
    }

    pub(super) fn network_created(&mut self, now: Duration, step: StepId, id: NetworkId) {
        if let Action::CreateNetwork(key) = &self.plan.steps[step.0].action {
            self.networks.insert(key.clone(), id);
        }
        self.step_done(now, step);
        self.look_around();
        self.open_post();
    }

    pub(super) fn container_created(&mut self, now: Duration, step: StepId, id: ContainerId) {
        match &self.plan.steps[step.0].action {
            Action::CreateContainer(name) => {
                let state = self.services.entry(name.clone()).or_default();
                state.container = Some(id);
                state.history.note(now, "created");
            }
            Action::CreateFiller(index) => {
                self.fillers.insert(*index, id);
            }
            _ => {}
        }
        self.step_done(now, step);
    }

    pub(super) fn failed(
        &mut self,
        now: Duration,
        step: StepId,
        error: &EngineError,
        log_tail: Vec<String>,
    ) {
        let action = self.plan.steps[step.0].action.clone();
        let taken = matches!(
            error.kind,
            FailureKind::SubnetTaken | FailureKind::HostTaken
        );
        if let (Action::CreateNetwork(key), true) = (&action, taken) {
            return self.network_refused(step, key, error);
        }
        if let (Action::ObtainImage(index), Some(build)) =
            (&action, self.build_instead(step, error))
        {
            if let Some(pull) = self.plan.images[index.0].pull()
                && pull.policy != PullPolicy::Never
            {
                let message = format!(
                    "image `{}` is built, since it cannot be had: {}",
                    pull.name, error.message
                );
                self.report(Event::Warning { message });
            }
            return self.effect(Effect::Perform(step, Work::BuildImage(build)));
        }
        let failure = verdict::step_failure(&self.plan, &action, error, log_tail);
        self.abort(now, failure);
    }

    /// What to build in place of an image that could not be had by its name; once only.
    fn build_instead(&mut self, step: StepId, error: &EngineError) -> Option<Box<BuildSpec>> {
        let Action::ObtainImage(index) = self.plan.steps[step.0].action else {
            return None;
        };
        match &self.plan.images[index.0] {
            PlannedImage::PullOrBuild(_, build)
                if error.kind != FailureKind::Unreachable && self.builds.insert(step) =>
            {
                Some(build.clone())
            }
            _ => None,
        }
    }
}
