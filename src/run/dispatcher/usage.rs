//! What containers have used, and what is said of it. Nothing of it decides anything.

use super::Dispatcher;
use crate::artifact::size;
use crate::engine::Exit;
use crate::event::Event;
use crate::name::ServiceName;
use crate::outcome::Usage;

impl Dispatcher {
    /// A container that runs was looked at. What comes after the verdict is in no report any more.
    pub(super) fn metered(&mut self, service: ServiceName, usage: Usage) {
        self.outcome.usage.insert(service, usage);
    }

    /// A container has ended: what it has used is known for good, or never.
    pub(super) fn used(&mut self, service: &ServiceName, usage: Option<Usage>) {
        match usage {
            Some(usage) => {
                self.outcome.usage.insert(service.clone(), usage.clone());
                self.report(Event::UsageMeasured {
                    service: service.clone(),
                    usage,
                });
            }
            // What is there is of an attempt before.
            None => drop(self.outcome.usage.remove(service)),
        }
    }

    /// Tells what those containers use that still run at the verdict.
    pub(super) fn tell_usage(&mut self) {
        let running = self.outcome.usage.iter();
        let running = running.filter(|(_, usage)| usage.unseen.is_none());
        let running: Vec<(ServiceName, Usage)> = running
            .map(|(service, usage)| (service.clone(), usage.clone()))
            .collect();
        for (service, usage) in running {
            self.report(Event::UsageMeasured { service, usage });
        }
    }

    /// What explains an end for want of memory: the limit, and what was in use. Empty for other ends.
    pub(super) fn memory_of(&self, service: &ServiceName, exit: &Exit) -> String {
        if !exit.oom_killed {
            return String::new();
        }
        let planned = self.plan.services.get(service);
        let limit = planned.map_or(0, |planned| planned.service.options.resources.memory);
        let limit = match &self.plan.limits {
            // A limit for strangers' code holds where it is lower.
            Some(limits) if limit == 0 => limits.memory,
            Some(limits) => limit.min(limits.memory),
            None => limit,
        };
        let usage = self.outcome.usage.get(service);
        let limit = match limit {
            0 => "it has no memory limit of its own".to_owned(),
            limit => format!("its memory limit is {}", size(limit)),
        };
        match usage {
            Some(usage) => format!("; {limit}, and {usage}"),
            None => format!("; {limit}"),
        }
    }
}
