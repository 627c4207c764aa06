//! Leases on the engine: a volume that says that a run goes on, or that its environment is left to a
//! person. Labels cannot be changed, so each renewal is a volume of its own in place of the one before.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;

use super::effect::Input;
use super::executor::Executor;
use super::ledger::Intent;
use super::shared::Shared;
use crate::engine::{EngineError, FailureKind, Resource, ResourceKind, VolumeSpec};

impl Executor {
    /// Renews the lease of the run.
    pub(super) fn renew_lease(&mut self, spec: VolumeSpec, previous: Option<String>) {
        let shared = Arc::clone(&self.shared);
        let intent = self.intend(ResourceKind::Volume, &spec.name);
        let renewing = async move {
            match create(&shared, &spec, intent).await {
                Ok(()) => {
                    if let Some(name) = previous {
                        let resource = Resource {
                            kind: ResourceKind::Volume,
                            id: name.clone(),
                            name,
                        };
                        // One too many does no harm, and goes with teardown.
                        let _ = shared.engine.remove(&resource).await;
                    }
                }
                Err(error) => shared.send(Input::NotRenewed(error)),
            }
        };
        self.spawn(renewing.boxed());
    }

    /// Leaves the environment to a person: first on the engine, where everybody sees it, then to the
    /// watchdog, which ends it at its time.
    pub(super) fn hold(&mut self, spec: VolumeSpec, time: Duration) {
        let shared = Arc::clone(&self.shared);
        let ledger = Arc::clone(&self.wiring.ledger);
        let intent = self.intend(ResourceKind::Volume, &spec.name);
        let holding = async move {
            shared.send(match create(&shared, &spec, intent).await {
                Ok(()) => Input::Held(ledger.hold(time).map(|error| {
                    format!("no watchdog ends the environment at its time ({error}): it stays until `envrun down` or `envrun gc`")
                })),
                Err(error) => Input::NotHeld(error),
            });
        };
        self.spawn(holding.boxed());
    }
}

async fn create(shared: &Shared, spec: &VolumeSpec, intent: Intent) -> Result<(), EngineError> {
    let created = shared.engine.create_volume(spec).await;
    match &created {
        Err(error) if error.kind == FailureKind::Unreachable => intent.lose(),
        _ => intent.settle(),
    }
    created
}
