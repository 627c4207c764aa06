//! Limits on what strangers' code uses: of every container and of every build.

use super::{Plan, PlannedImage};
use crate::options::ContainerOptions;

impl Plan {
    /// The same plan for an engine with so many processors: it refuses limits above that.
    #[must_use]
    pub fn with_processors(mut self, processors: u32) -> Self {
        let all = i64::from(processors) * 1_000_000_000;
        if let Some(limits) = &mut self.limits {
            limits.nano_cpus = limits.nano_cpus.min(all);
        }
        let builds = self.images.iter_mut().filter_map(PlannedImage::build_mut);
        for limits in builds.filter_map(|build| build.options.limits.as_mut()) {
            limits.nano_cpus = limits.nano_cpus.min(all);
        }
        self
    }

    /// The options of a container within the limits. Every container comes by here, those that run
    /// before a start among them.
    pub(super) fn held(&self, mut options: ContainerOptions) -> ContainerOptions {
        if let Some(limits) = &self.limits {
            limits.hold(&mut options);
        }
        options
    }
}
