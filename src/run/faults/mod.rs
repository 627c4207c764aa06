//! Does faults to the containers of a run, and undoes them.
//!
//! It serves the run itself, on request of a suite, and commands, which are other processes: what is
//! in effect is known from [marks](Mark) on the engine and from nothing else. It decides nothing: who
//! may ask for what, and when it is undone, is the business of whoever calls it.

mod mark;
mod preparing;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;

pub use self::mark::{Deed, Mark};
use super::agents::{Agents, NoAgent, settled};
use super::gate::Open;
use super::ledger::Ledger;
use crate::agent::wire::Failure;
use crate::agent::{Agent, AgentError};
use crate::clock;
use crate::engine::{
    Attachment, EndpointSpec, Engine, EngineError, FailureKind, Resource, ResourceKind,
};
use crate::fault::scene::Targets;
use crate::fault::{Need, Request, RequestError};
use crate::name::{ContainerId, RunId};
use crate::plan::agent::{Kit, Rights};

/// How long a service gets to end by its stop signal before it is started again: what engines give.
const GRACE: Duration = Duration::from_secs(10);

/// Limit of one change of a packet filter, which takes milliseconds.
const CHANGE: Duration = Duration::from_secs(10);

/// Limit of one call to the engine. It is outwaited and not dropped.
const CALL: Duration = Duration::from_secs(60);

/// Why a fault is not in effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It makes no sense here.
    #[error("{0}")]
    Request(RequestError),
    /// The kernel of the engine's host cannot do it.
    #[error(
        "the kernel of the engine's host cannot do that ({reason})\nhint: it takes the module `{module}` of the kernel"
    )]
    Lacks {
        /// The kernel's words.
        reason: String,
        /// What it lacks.
        module: &'static str,
    },
    /// The agent that does it is not there, or has failed.
    #[error("{0}")]
    Agent(String),
    /// The engine has failed.
    #[error("{0}")]
    Engine(EngineError),
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<NoAgent> for Refusal {
    fn from(error: NoAgent) -> Self {
        match error {
            NoAgent::Engine(error) => Self::Engine(error),
            other => Self::Agent(other.to_string()),
        }
    }
}

/// Who does faults to a run.
pub struct Faults {
    run: RunId,
    kit: Kit,
    engine: Arc<dyn Engine>,
    agents: Arc<Agents>,
    /// The agents that have changed something, each beside the container of this id.
    changers: Mutex<BTreeMap<ContainerId, Agent>>,
}

impl Faults {
    pub(super) fn new(run: RunId, kit: Kit, engine: Arc<dyn Engine>, agents: Arc<Agents>) -> Self {
        Self {
            run,
            kit,
            engine,
            agents,
            changers: Mutex::default(),
        }
    }

    /// For another process than the run's own, which may be over. Whoever asks for it calls
    /// [`Faults::leave`] at the end.
    ///
    /// # Errors
    /// The engine does not say who it is.
    pub async fn from_outside(
        run: RunId,
        labels: BTreeMap<String, String>,
        engine: Arc<dyn Engine>,
        seed: u32,
    ) -> Result<Self, EngineError> {
        let kit = Kit::of_run(run, labels);
        let ledger = Ledger::new(run, None);
        let described = engine.describe().await?;
        let guests = Agents::guests(
            kit.clone(),
            Arc::clone(&engine),
            ledger,
            Arc::new(Open),
            seed,
        );
        guests.host_is(&described.architecture);
        Ok(Self::new(run, kit, engine, guests))
    }

    /// Removes what was only needed to change something. What was changed stays.
    pub async fn leave(&self) {
        self.lock().clear();
        self.agents.remove().await;
    }

    /// Tries what the kernel of the engine's host can do, where nobody is concerned; answers what it
    /// cannot, and why.
    ///
    /// # Errors
    /// It cannot be tried.
    pub async fn try_out(&self, needs: &[Need]) -> Result<Vec<(Need, String)>, Refusal> {
        let agent = self.agents.apart().await?;
        let mut missing = Vec::new();
        for need in needs {
            let words = match need {
                Need::Filter => "try lose",
                Need::Delay => "try hold-back",
            };
            match changed(&agent, words, *need).await {
                Ok(()) => {}
                Err(Refusal::Lacks { reason, .. }) => missing.push((*need, reason)),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(missing)
    }

    /// Does a fault. Afterwards all of it is in effect, or nothing.
    ///
    /// # Errors
    /// It makes no sense, or could not be done.
    pub async fn begin(
        &self,
        (id, by): (&str, Option<&str>),
        request: &Request,
        targets: &Targets,
    ) -> Result<Mark, Refusal> {
        let mark = Mark {
            id: id.to_owned(),
            fault: request.to_string(),
            by: by.map(str::to_owned),
            deeds: self.deeds(&request.fault, targets).await?,
        };
        let volume = mark.volume(&self.kit);
        let intent = self.agents.intend(ResourceKind::Volume, &volume.name)?;
        settled(intent, self.engine.create_volume(&volume).await)?;
        match self.perform(&mark).await {
            Ok(()) => Ok(mark),
            Err(refusal) => {
                // What was done of it, if anything. That this fails too is told by the mark.
                let _ = self.undo(&mark).await;
                Err(refusal)
            }
        }
    }

    /// Does once more to packets what a fault does to them: a container that was started anew has a
    /// new network namespace, and maybe another address.
    ///
    /// # Errors
    /// It could not be done.
    pub async fn renew(
        &self,
        mark: &Mark,
        request: &Request,
        targets: &Targets,
    ) -> Result<(), Refusal> {
        let renewed = Mark {
            deeds: self.deeds(&request.fault, targets).await?,
            ..mark.clone()
        };
        self.perform(&renewed).await
    }

    async fn perform(&self, mark: &Mark) -> Result<(), Refusal> {
        let done = mark.deeds.iter().map(|deed| self.act(&mark.id, deed));
        join_all(done).await.into_iter().collect()
    }

    /// Undoes a fault, as far as it is still in effect, and takes its mark away.
    ///
    /// # Errors
    /// Something could not be undone; the mark stays.
    pub async fn undo(&self, mark: &Mark) -> Result<(), Refusal> {
        let undone = mark.deeds.iter().map(|deed| self.revert(&mark.id, deed));
        let undone: Result<(), Refusal> = join_all(undone).await.into_iter().collect();
        undone?;
        self.forget(mark).await
    }

    /// Takes the mark of a fault away, of which nothing is in effect any more.
    ///
    /// # Errors
    /// The engine has failed.
    pub async fn forget(&self, mark: &Mark) -> Result<(), Refusal> {
        let name = mark.volume(&self.kit).name;
        let volume = Resource {
            kind: ResourceKind::Volume,
            id: name.clone(),
            name,
        };
        self.call(async move |engine| engine.remove(&volume).await.map(drop))
            .await
    }

    /// Does not speak any more to whoever is in the namespace that a container had until now.
    pub(super) fn started_anew(&self, container: &ContainerId) {
        self.lock().remove(container);
    }

    async fn act(&self, id: &str, deed: &Deed) -> Result<(), Refusal> {
        let deed = deed.clone();
        match deed {
            Deed::Disconnect {
                container,
                attachment,
            } => {
                self.call(async move |engine| {
                    engine
                        .disconnect_network(&attachment.network, &container)
                        .await
                })
                .await
            }
            Deed::Connect {
                container,
                network,
                aliases,
            } => {
                let endpoint = EndpointSpec {
                    aliases,
                    ..EndpointSpec::default()
                };
                self.call(async move |engine| {
                    engine
                        .connect_network(&network, &container, &endpoint)
                        .await
                })
                .await
            }
            Deed::Pause { container } => {
                self.call(async move |engine| engine.pause_container(&container).await)
                    .await
            }
            Deed::Kill { container } => {
                self.call(async move |engine| engine.kill_container(&container).await)
                    .await
            }
            Deed::Stop { container } => {
                self.call(async move |engine| engine.stop_container(&container, GRACE).await)
                    .await
            }
            Deed::Lose {
                container,
                percent,
                from,
            } => {
                let mut words = format!("lose {} {percent}", table(id));
                for address in from {
                    words.push_str(&format!(" {address}"));
                }
                self.change(&container, &words, Need::Filter).await
            }
            Deed::HoldBack {
                container,
                delay,
                jitter,
            } => {
                let words = format!("hold-back {delay} {jitter}");
                self.change(&container, &words, Need::Delay).await
            }
        }
    }

    async fn revert(&self, id: &str, deed: &Deed) -> Result<(), Refusal> {
        let reverted = match deed.clone() {
            Deed::Disconnect {
                container,
                attachment,
            } => self.reconnect(container, attachment).await,
            Deed::Connect {
                container, network, ..
            } => {
                self.call(async move |engine| engine.disconnect_network(&network, &container).await)
                    .await
            }
            Deed::Pause { container } => {
                self.call(async move |engine| engine.unpause_container(&container).await)
                    .await
            }
            Deed::Kill { container } | Deed::Stop { container } => self.start(container).await,
            Deed::Lose { container, .. } => {
                let words = format!("lose-no-more {}", table(id));
                self.change_back(&container, &words, Need::Filter).await
            }
            Deed::HoldBack { container, .. } => {
                self.change_back(&container, "hold-back-no-more", Need::Delay)
                    .await
            }
        };
        match reverted {
            // With the container, everything is gone that was done to it.
            Err(Refusal::Engine(error)) if error.kind == FailureKind::NotFound => Ok(()),
            reverted => reverted,
        }
    }

    /// Attaches a container as it was: with its names, and at its address, so that connections go on.
    async fn reconnect(
        &self,
        container: ContainerId,
        attachment: Attachment,
    ) -> Result<(), Refusal> {
        let there = self.engine.attachments(&container).await?;
        if there
            .endpoints
            .iter()
            .any(|one| one.network == attachment.network)
        {
            return Ok(());
        }
        let (network, fixed) = (attachment.network.clone(), attachment.endpoint.clone());
        let at_address = at_its_address(&attachment);
        let id = container.clone();
        let connected = self
            .call(async move |engine| engine.connect_network(&network, &id, &at_address).await)
            .await;
        match connected {
            // Somebody has that address by now, or the network takes no wishes.
            Err(Refusal::Engine(error)) if error.kind != FailureKind::NotFound => {
                let network = attachment.network;
                self.call(async move |engine| {
                    engine.connect_network(&network, &container, &fixed).await
                })
                .await
            }
            connected => connected,
        }
    }

    async fn start(&self, container: ContainerId) -> Result<(), Refusal> {
        if self.engine.inspect_container(&container).await?.running {
            return Ok(());
        }
        self.call(async move |engine| engine.start_container(&container).await)
            .await
    }

    /// Changes something in the network namespace of a container.
    async fn change(
        &self,
        container: &ContainerId,
        words: &str,
        need: Need,
    ) -> Result<(), Refusal> {
        let known = self.lock().get(container).cloned();
        let agent = match known.filter(|agent| !agent.is_gone()) {
            Some(agent) => agent,
            None => {
                let agent = self.agents.beside(container, Rights::Change).await?;
                self.lock().insert(container.clone(), agent.clone());
                agent
            }
        };
        changed(&agent, words, need).await
    }

    /// The same for an undoing: a container that does not run has no namespace in which anything could
    /// be in effect.
    async fn change_back(
        &self,
        container: &ContainerId,
        words: &str,
        need: Need,
    ) -> Result<(), Refusal> {
        if !self.engine.inspect_container(container).await?.running {
            return Ok(());
        }
        self.change(container, words, need).await
    }

    /// Makes a call that changes something: in a task of its own, which is outwaited and not dropped.
    async fn call<F>(&self, call: impl FnOnce(Arc<dyn Engine>) -> F) -> Result<(), Refusal>
    where
        F: Future<Output = Result<(), EngineError>> + Send + 'static,
    {
        let calling = tokio::spawn(call(Arc::clone(&self.engine)));
        match clock::within(CALL, calling).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_panicked)) => Err(Refusal::Agent("a task has panicked".to_owned())),
            Err(reached) => Err(Refusal::Agent(format!("the engine: {reached}"))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Agent>> {
        self.changers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a container is attached once more, at the addresses that it had, chosen by the file or not.
fn at_its_address(attachment: &Attachment) -> EndpointSpec {
    let mut endpoint = attachment.endpoint.clone();
    for address in &attachment.addresses {
        match address {
            IpAddr::V4(address) => endpoint.options.ipv4_address = Some(*address),
            IpAddr::V6(address) => endpoint.options.ipv6_address = Some(*address),
        }
    }
    endpoint
}

/// The table of the packet filter that belongs to a fault.
fn table(id: &str) -> String {
    format!("envrun_{id}")
}

async fn changed(agent: &Agent, words: &str, need: Need) -> Result<(), Refusal> {
    match agent.change(words, CHANGE).await {
        Ok(_) => Ok(()),
        Err(AgentError::Failed {
            failure: Failure::Unsupported,
            words,
        }) => Err(Refusal::Lacks {
            reason: words,
            module: need.module(),
        }),
        Err(error) => Err(Refusal::Agent(format!(
            "the in-network agent cannot change the network: {error}"
        ))),
    }
}
