//! Sends the agents from which the reachability matrix is tried, each as soon as there is where to, and
//! keeps them until it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::agents::NoAgent;
use super::effect::{InPlace, Input, Seat};
use super::shared::Shared;
use crate::agent::Agent;
use crate::engine::ContainerFacts;
use crate::name::ServiceName;
use crate::plan::StepId;
use crate::plan::agent::Rights;

/// The agents that are there.
#[derive(Default)]
pub(super) struct Observers(Mutex<BTreeMap<ServiceName, Agent>>);

impl Observers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Agent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, name: &ServiceName, agent: Agent) {
        self.lock().insert(name.clone(), agent);
    }

    /// All of them; they end with whoever takes them.
    pub(super) fn take(&self) -> BTreeMap<ServiceName, Agent> {
        std::mem::take(&mut *self.lock())
    }
}

/// Sends one.
pub(super) async fn send(shared: Arc<Shared>, step: StepId, name: ServiceName, seat: Seat) {
    let (facts, problem) = match seated(&shared, seat).await {
        Ok((agent, facts)) => {
            shared.observers.keep(&name, agent);
            (facts, None)
        }
        Err(error) => (None, Some(error.to_string())),
    };
    shared.send(Input::ObserverSent {
        step,
        facts,
        problem,
    });
}

async fn seated(shared: &Shared, seat: Seat) -> Result<(Agent, Option<ContainerFacts>), NoAgent> {
    match seat {
        Seat::Beside(container) => {
            let agent = shared.agents.beside(&container, Rights::Use).await?;
            Ok((agent, None))
        }
        Seat::InPlace(place) => {
            let InPlace {
                networking,
                further,
                finding,
            } = *place;
            let sent = shared.agents.in_place(networking, further, finding);
            let (agent, container) = sent.await?;
            let facts = shared.engine.inspect_container(&container).await?;
            Ok((agent, Some(facts)))
        }
    }
}
