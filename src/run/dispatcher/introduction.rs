//! What follows from who the engine is: what it cannot do is an error before anything begins.

use std::time::Duration;

use super::{Dispatcher, verdict};
use crate::engine::{Builder, Capabilities};
use crate::event::Event;
use crate::plan::{PlannedImage, support};

/// First API version whose build endpoint takes BuildKit (Docker 18.09).
const BUILDKIT_API: (u16, u16) = (1, 39);

impl Dispatcher {
    /// Nothing begins before the engine has said who it is. What it cannot do is an error now, not
    /// half-way.
    pub(super) fn engine_described(&mut self, now: Duration, capabilities: Capabilities) {
        let (major, minor) = capabilities.api;
        self.report(Event::EngineFound {
            product: capabilities.product.clone(),
            version: capabilities.version.clone(),
            api: format!("{major}.{minor}"),
        });
        let builds = self.plan.images.iter().filter_map(PlannedImage::build);
        let builds: Vec<_> = builds.cloned().collect();
        for spec in &builds {
            for key in spec.passed_over(&capabilities) {
                let message = format!(
                    "`{key}` in the `build` of `{}` has no effect: this engine is too old to pass it on",
                    spec.title
                );
                self.report(Event::Warning { message });
            }
        }
        if self.plan.limits.is_some() && capabilities.builder == Builder::BuildKit {
            for spec in &builds {
                let message = format!(
                    "the build of `{}` has no limits of memory, processors and processes: BuildKit takes none",
                    spec.title
                );
                self.report(Event::Warning { message });
            }
        }
        let beyond = builds.iter().find_map(|spec| {
            let keys = spec.beyond(capabilities.builder);
            (!keys.is_empty()).then(|| verdict::builder_lacks(&spec.title, &keys))
        });
        if !builds.is_empty() && (major, minor) < BUILDKIT_API {
            self.abort(now, verdict::engine_too_old((major, minor), BUILDKIT_API));
        } else if let Some(failure) = beyond {
            self.abort(now, failure);
        }
        self.api = (major, minor);
        let missing = support::missing(&self.plan, self.api);
        let (refused, passed_over): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|one| one.refused);
        for one in &passed_over {
            let message = verdict::lacks(self.api, one);
            let message = format!("{message}, so it has no effect");
            self.report(Event::Warning { message });
        }
        if !refused.is_empty() {
            self.abort(now, verdict::engine_lacks(self.api, &refused));
        }
        self.prepare_faults();
    }
}
