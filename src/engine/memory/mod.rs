//! An engine in memory: for tests, and for trying what happens when a call fails.
//!
//! It keeps the rules that matter for cleaning up: networks may share a name and cannot be removed
//! while a container hangs on them, subnets must not overlap, volumes and images in use cannot be
//! removed, containers run until they are told otherwise. Time is the clock module's, so tests can
//! pause it. Every call can be made to fail, or to lose its reply, by [`faults`].

mod agent;
mod behaviour;
pub mod faults;
mod prober;
mod state;
mod verbs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::behaviour::Behaviour;
use self::faults::{Fault, Faults};
use self::state::State;
use super::{EngineError, FailureKind, Resource};
use crate::clock;

/// A file that was put into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Permissions.
    pub mode: u32,
    /// Content; empty for what is no file.
    pub content: Vec<u8>,
}

/// The engine.
#[derive(Debug, Clone)]
pub struct MemoryEngine {
    state: Arc<Mutex<State>>,
    faults: Arc<Faults>,
    /// Whether its networks can be dialled from here.
    is_near: bool,
}

impl MemoryEngine {
    /// An engine whose containers behave as told, by the name of the replica or of the service; those of one attempt of a
    /// suite by that name with the number of the attempt: `e2e#2`. It has every image but those
    /// that are called `missing`, which no registry has either, and those that are called `remote`,
    /// which it has to pull. The first pulls of what is called `flaky` fail, all of what is called
    /// `down` do, and a registry that is called `empty` has nothing.
    #[must_use]
    pub fn new(behaviours: BTreeMap<&'static str, Behaviour>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(behaviours))),
            faults: Arc::default(),
            is_near: true,
        }
    }

    /// The same engine on another host: its networks cannot be dialled from here.
    #[must_use]
    pub fn far_away(mut self) -> Self {
        self.is_near = false;
        self
    }

    /// Lets one call fail. Calls are counted from zero, over all verbs.
    pub fn inject(&self, fault: Fault) {
        self.faults.inject(fault);
    }

    /// The calls so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.faults.calls()
    }

    /// The commands that were run to their end in containers, each after the replica's name.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.lock().commands.clone()
    }

    /// Everything that exists, whoever made it.
    #[must_use]
    pub fn everything(&self) -> Vec<Resource> {
        self.lock().everything()
    }

    /// The files that were put into containers: name of the container and path, to owner, group,
    /// permissions and content.
    #[must_use]
    pub fn written(&self) -> BTreeMap<(String, String), Written> {
        self.lock().written.clone()
    }

    /// The names under which pulled images are kept, in order.
    #[must_use]
    pub fn image_names(&self) -> Vec<String> {
        self.lock().image_names()
    }

    /// Marks a subnet as taken by somebody else.
    pub fn occupy(&self, subnet: super::Subnet) {
        self.lock().occupied.push((subnet, None));
    }

    /// Marks a subnet as taken by another run, until it is vacated.
    pub fn occupy_for(&self, subnet: super::Subnet, owner: super::RunOf) {
        self.lock().occupied.push((subnet, Some(owner)));
    }

    /// Frees a subnet that somebody else has taken.
    pub fn vacate(&self, subnet: super::Subnet) {
        self.lock().occupied.retain(|(taken, _)| *taken != subnet);
    }

    /// Connects to an address on which an agent listens; `None` while none does.
    #[must_use]
    pub fn visit(&self, port: u16) -> Option<tokio::io::DuplexStream> {
        agent::visit(self, port)
    }

    /// What agents were asked to change, in order.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.lock().changes.clone()
    }

    /// Whether a container is frozen, by the name of its service or replica.
    #[must_use]
    pub fn is_paused(&self, name: &str) -> bool {
        self.lock().is_paused(name)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call: lets time pass, applies the effect, and lets the fault that is due have its
    /// way.
    async fn call<T: Send + 'static>(
        &self,
        verb: &str,
        takes: Duration,
        effect: impl FnOnce(&mut State) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let fault = self.faults.next(verb);
        clock::pause(takes).await;
        match fault {
            None => effect(&mut self.lock()),
            Some(Fault::Fail { kind, .. }) => Err(failure(verb, kind, "injected failure")),
            Some(Fault::LoseReply { late, .. }) => {
                let engine = self.clone();
                // The effect lands in the engine whatever becomes of the caller.
                tokio::spawn(async move {
                    clock::pause(late).await;
                    let _ = effect(&mut engine.lock());
                });
                if late.is_zero() {
                    clock::pause(Duration::ZERO).await;
                }
                Err(failure(
                    verb,
                    FailureKind::Unreachable,
                    "injected loss of the reply",
                ))
            }
        }
    }
}

fn failure(verb: &str, kind: FailureKind, message: &str) -> EngineError {
    EngineError {
        attempt: verb.to_owned(),
        kind,
        message: message.to_owned(),
    }
}
