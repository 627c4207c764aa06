//! A plan whose images are those of `envrun.lock`.

use super::{Plan, PlannedImage};
use crate::engine::ContextImage;
use crate::image::Reference;
use crate::image::lock::Lock;

impl Plan {
    /// The names of images that are pulled, or used as they are by builds, and that do not name a
    /// digest. Those that Dockerfiles name are in the Dockerfiles.
    #[must_use]
    pub fn images_by_name(&self) -> Vec<Reference> {
        let mut found: Vec<Reference> = Vec::new();
        for image in &self.images {
            found.extend(image.pull().and_then(|pull| pull.reference.clone()));
            let contexts = image
                .build()
                .into_iter()
                .flat_map(|build| build.contexts.values());
            found.extend(contexts.filter_map(|context| match context {
                ContextImage::Reference(name) => Reference::parse(name).ok(),
                ContextImage::Built(_) => None,
            }));
        }
        found.retain(|reference| reference.digest().is_none());
        found.sort();
        found.dedup();
        found
    }

    /// The same plan with each image by its digest; those that Dockerfiles name follow with the mirrors.
    /// An image that is not locked stays as it is: whoever asks for this has checked that there is none.
    #[must_use]
    pub fn locked(mut self, lock: &Lock) -> Self {
        for image in &mut self.images {
            if let PlannedImage::Reference(pull) | PlannedImage::PullOrBuild(pull, _) = image
                && let Some(locked) = pull.reference.as_ref().and_then(|one| lock.locked(one))
            {
                pull.name = locked.key();
                pull.reference = Some(locked);
            }
            let Some(build) = image.build_mut() else {
                continue;
            };
            for context in build.contexts.values_mut() {
                if let ContextImage::Reference(name) = context
                    && let Some(locked) = Reference::parse(name)
                        .ok()
                        .and_then(|one| lock.locked(&one))
                {
                    *name = locked.key();
                }
            }
        }
        self
    }
}
