//! An image is there: what is known of it from here on, and what is told of it, so that a run can be
//! compared with another one later.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Dispatcher;
use crate::engine::ImageFacts;
use crate::event::Event;
use crate::name::ServiceName;
use crate::plan::{Action, ImageIndex, PlannedImage, StepId};

impl Dispatcher {
    /// The step of an image is done.
    pub(super) fn image_obtained(&mut self, now: Duration, step: StepId, facts: ImageFacts) {
        let told = match self.plan.steps[step.0].action {
            Action::ObtainImage(index) => {
                let told = self.obtained(step, index, &facts);
                self.images.insert(index, facts);
                told
            }
            _ => None,
        };
        self.step_done(now, step);
        if let Some(event) = told {
            self.report(event);
        }
    }

    fn obtained(&self, step: StepId, index: ImageIndex, facts: &ImageFacts) -> Option<Event> {
        let (image, built) = match self.plan.images.get(index.0)? {
            PlannedImage::Reference(pull) => (pull.name.clone(), false),
            PlannedImage::Build(spec) => (spec.title.clone(), true),
            PlannedImage::PullOrBuild(pull, spec) => match self.builds.contains(&step) {
                true => (spec.title.clone(), true),
                false => (pull.name.clone(), false),
            },
        };
        let users = self.plan.services.values();
        let users: BTreeSet<ServiceName> = users
            .filter(|planned| planned.image == index)
            .map(|planned| planned.of.clone())
            .collect();
        Some(Event::ImageObtained {
            image,
            id: facts.id.as_str().to_owned(),
            digests: facts.digests.clone(),
            platform: facts.present.platform.to_string(),
            built,
            services: users.into_iter().collect(),
        })
    }
}
