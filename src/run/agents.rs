//! Brings the in-network agent to where it is needed: one image a run, made when the first agent is
//! sent, and a container for each place. Everything is recorded and labelled as the run's, and goes with
//! it; an agent that is not needed any more ends by itself when nobody speaks to it.
//!
//! Nothing of this is on the way of a run that can do without: where there is no agent, whoever wanted
//! one is told why.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, Shared as SharedFuture};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::{oneshot, watch};

use super::gate::StartGate;
use super::ledger::{Intent, Ledger};
use crate::agent::{self, Agent, AgentError};
use crate::engine::{
    ContainerSpec, EndpointSpec, Engine, EngineError, FailureKind, Networking, OutputStream,
    Resource, ResourceKind,
};
use crate::name::{ContainerId, ImageId, NetworkId};
use crate::options::ContainerOptions;
use crate::plan::agent::{Kit, PROGRAM, Rights};

/// How long an agent may take from the start of its container to its first word.
const GREETING: Duration = Duration::from_secs(20);

/// Why there is no agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAgent {
    /// This build of envrun has none.
    #[error("this build of envrun has no in-network agent")]
    NotBuilt,
    /// The engine's host is of another architecture.
    #[error("the in-network agent of this build is for {0}, and the engine's host is {1}")]
    Architecture(&'static str, String),
    /// The engine has failed.
    #[error("{0}")]
    Engine(EngineError),
    /// It does not speak.
    #[error("{0}")]
    Agent(AgentError),
    /// The run is over.
    #[error("the run is over")]
    Over,
}

impl From<EngineError> for NoAgent {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Where the agent is through which probes dial, if they need one.
#[derive(Clone, Default)]
pub(super) enum Station {
    /// None is wanted so far.
    #[default]
    None,
    /// It is on its way.
    Coming,
    /// It is there.
    There(Agent),
    /// It cannot be had.
    Missing,
}

type Image = SharedFuture<BoxFuture<'static, Result<ImageId, NoAgent>>>;

/// The agents of a run.
pub(super) struct Agents {
    kit: Kit,
    engine: Arc<dyn Engine>,
    ledger: Arc<Ledger>,
    gate: Arc<dyn StartGate>,
    /// Architecture of the engine's host, once it is known.
    architecture: OnceLock<String>,
    image: Mutex<Option<Image>>,
    count: AtomicU32,
    /// Whether nothing may be created any more. Held while an intent is recorded, so that each is
    /// either seen by teardown or never made.
    closed: Mutex<bool>,
    station: watch::Sender<Station>,
    /// Whether the run is another process's, so that its image may be there.
    is_guest: bool,
    /// The containers that were created.
    created: Mutex<Vec<Resource>>,
}

impl Agents {
    pub(super) fn new(
        kit: Kit,
        engine: Arc<dyn Engine>,
        ledger: Arc<Ledger>,
        gate: Arc<dyn StartGate>,
    ) -> Arc<Self> {
        Arc::new(Self::of(kit, engine, ledger, gate))
    }

    fn of(
        kit: Kit,
        engine: Arc<dyn Engine>,
        ledger: Arc<Ledger>,
        gate: Arc<dyn StartGate>,
    ) -> Self {
        Self {
            kit,
            engine,
            ledger,
            gate,
            architecture: OnceLock::new(),
            image: Mutex::new(None),
            count: AtomicU32::new(0),
            closed: Mutex::new(false),
            station: watch::Sender::new(Station::None),
            is_guest: false,
            created: Mutex::default(),
        }
    }

    /// Those of a process that is not the run's own, such as a command. Their names are taken at
    /// random, since nobody knows which there are.
    pub(super) fn guests(
        kit: Kit,
        engine: Arc<dyn Engine>,
        ledger: Arc<Ledger>,
        gate: Arc<dyn StartGate>,
        seed: u32,
    ) -> Arc<Self> {
        Arc::new(Self {
            is_guest: true,
            count: AtomicU32::new(seed | 1 << 20),
            ..Self::of(kit, engine, ledger, gate)
        })
    }

    /// Removes the containers of all agents, for whoever leaves a run that goes on.
    pub(super) async fn remove(&self) {
        let created = std::mem::take(&mut *lock(&self.created));
        for container in created {
            // What cannot be removed goes with the run.
            let _ = self.engine.remove(&container).await;
        }
    }

    /// Notes what the engine's host is.
    pub(super) fn host_is(&self, architecture: &str) {
        let _ = self.architecture.set(architecture.to_owned());
    }

    /// From now on nothing is created.
    pub(super) fn close(&self) {
        *lock(&self.closed) = true;
    }

    /// Sends an agent into the network namespace of a running container.
    ///
    /// # Errors
    /// There is none, or the engine has failed.
    pub(super) async fn beside(
        self: &Arc<Self>,
        container: &ContainerId,
        rights: Rights,
    ) -> Result<Agent, NoAgent> {
        let container = container.clone();
        self.launch(Vec::new(), move |kit, number, image| {
            kit.beside(number, image, &container, rights)
        })
        .await
        .map(|(agent, _)| agent)
    }

    /// Sends an agent onto networks.
    ///
    /// # Errors
    /// There is none, or the engine has failed.
    pub(super) async fn on(
        self: &Arc<Self>,
        mut networks: Vec<(NetworkId, EndpointSpec)>,
    ) -> Result<Agent, NoAgent> {
        if networks.is_empty() {
            return Err(NoAgent::Over);
        }
        let (first, endpoint) = networks.remove(0);
        self.launch(networks, move |kit, number, image| {
            kit.on(number, image, first, endpoint)
        })
        .await
        .map(|(agent, _)| agent)
    }

    /// Sends an agent in place of a service whose container does not run; answers its container as well.
    ///
    /// # Errors
    /// There is none, or the engine has failed.
    pub(super) async fn in_place(
        self: &Arc<Self>,
        networking: Networking,
        further: Vec<(NetworkId, EndpointSpec)>,
        finding: ContainerOptions,
    ) -> Result<(Agent, ContainerId), NoAgent> {
        self.launch(further, move |kit, number, image| {
            kit.in_place(number, image, networking, finding)
        })
        .await
    }

    /// Sends an agent into a network namespace of its own, with the right to change it.
    ///
    /// # Errors
    /// There is none, or the engine has failed.
    pub(super) async fn apart(self: &Arc<Self>) -> Result<Agent, NoAgent> {
        self.launch(Vec::new(), |kit, number, image| kit.apart(number, image))
            .await
            .map(|(agent, _)| agent)
    }

    /// Sends the agent through which probes dial; answers why there is none.
    pub(super) async fn take_station(
        self: &Arc<Self>,
        networks: Vec<(NetworkId, EndpointSpec)>,
    ) -> Option<NoAgent> {
        self.station.send_replace(Station::Coming);
        match self.on(networks).await {
            Ok(agent) => {
                self.station.send_replace(Station::There(agent));
                None
            }
            Err(error) => {
                self.station.send_replace(Station::Missing);
                Some(error)
            }
        }
    }

    /// The agent through which probes dial; waits for one that is on its way, for as long as the probe
    /// has time.
    pub(super) async fn station(&self) -> Option<Agent> {
        let mut station = self.station.subscribe();
        let settled = station.wait_for(|station| !matches!(station, Station::Coming));
        match settled.await.as_deref() {
            Ok(Station::There(agent)) => Some(agent.clone()),
            _ => None,
        }
    }

    /// Creates, attaches and starts, in a task that is not dropped with whoever asks.
    async fn launch(
        self: &Arc<Self>,
        further: Vec<(NetworkId, EndpointSpec)>,
        specification: impl FnOnce(&Kit, u32, ImageId) -> ContainerSpec + Send + 'static,
    ) -> Result<(Agent, ContainerId), NoAgent> {
        let image = self.image();
        let (sender, receiver) = oneshot::channel();
        let agents = Arc::clone(self);
        tokio::spawn(async move {
            let number = agents.count.fetch_add(1, Ordering::Relaxed) + 1;
            let launched = async {
                let image = image.await?;
                let spec = specification(&agents.kit, number, image);
                agents.start(spec, further).await
            };
            // Nobody may wait for it any more.
            let _ = sender.send(launched.await);
        });
        receiver.await.unwrap_or(Err(NoAgent::Over))
    }

    async fn start(
        &self,
        spec: ContainerSpec,
        further: Vec<(NetworkId, EndpointSpec)>,
    ) -> Result<(Agent, ContainerId), NoAgent> {
        let intent = self.intend(ResourceKind::Container, &spec.name)?;
        let created = self.engine.create_container(&spec).await;
        let container = settled(intent, created)?;
        lock(&self.created).push(Resource {
            kind: ResourceKind::Container,
            id: container.to_string(),
            name: spec.name.clone(),
        });
        for (network, endpoint) in &further {
            let connected = self.engine.connect_network(network, &container, endpoint);
            connected.await?;
        }
        let session = self.engine.converse(&container).await?;
        let permit = self.gate.pass(&|_event| {}).await;
        self.engine.start_container(&container).await?;
        drop(permit);
        let output = session.output.filter_map(|chunk| async {
            match chunk {
                Ok(chunk) if chunk.stream == OutputStream::Stdout => Some(Ok(chunk.bytes)),
                Ok(_) => None,
                Err(error) => Some(Err(std::io::Error::other(error.to_string()))),
            }
        });
        Agent::greet(session.input, output.boxed(), GREETING)
            .await
            .map(|agent| (agent, container))
            .map_err(NoAgent::Agent)
    }

    /// Records that something is about to be created, unless the run is over.
    pub(super) fn intend(&self, kind: ResourceKind, name: &str) -> Result<Intent, NoAgent> {
        let closed = lock(&self.closed);
        if *closed {
            return Err(NoAgent::Over);
        }
        // That the watchdog is gone was told with the first resource of the run.
        let (intent, _problem) = self.ledger.intend(kind, name);
        drop(closed);
        Ok(intent)
    }

    /// The image, made once.
    fn image(self: &Arc<Self>) -> Image {
        let mut image = lock(&self.image);
        let made = image.get_or_insert_with(|| {
            let agents = Arc::clone(self);
            let (sender, receiver) = oneshot::channel();
            tokio::spawn(async move {
                let _ = sender.send(agents.make_image().await);
            });
            let received = receiver.map(|made| made.unwrap_or(Err(NoAgent::Over)));
            received.boxed().shared()
        });
        made.clone()
    }

    async fn make_image(&self) -> Result<ImageId, NoAgent> {
        let program = agent::program().ok_or(NoAgent::NotBuilt)?;
        let here = agent::architecture();
        if let Some(there) = self.architecture.get().filter(|there| !there.is_empty())
            && there != in_go(here)
        {
            return Err(NoAgent::Architecture(here, there.clone()));
        }
        if self.is_guest
            && let Some(image) = self.engine.inspect_image(&self.kit.image_name()).await?
        {
            return Ok(image.id);
        }
        let spec = self.kit.image(archive(program));
        let intent = self.intend(ResourceKind::Image, &spec.name)?;
        let made = self.engine.import_image(&spec).await;
        Ok(settled(intent, made)?)
    }
}

/// Settles an intent, unless the answer leaves open whether the call took effect.
pub(super) fn settled<T>(intent: Intent, answer: Result<T, EngineError>) -> Result<T, EngineError> {
    match &answer {
        Err(error) if error.kind == FailureKind::Unreachable => intent.lose(),
        _ => intent.settle(),
    }
    answer
}

/// An architecture as Go, and so the engine, calls it.
fn in_go(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// A file system with the program and nothing else.
fn archive(program: &[u8]) -> Bytes {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(program.len()).unwrap_or(0));
    header.set_mode(0o755);
    header.set_entry_type(tar::EntryType::Regular);
    let mut builder = tar::Builder::new(Vec::with_capacity(program.len() + 4096));
    let path = PROGRAM.trim_start_matches('/');
    // Into memory, and under a name that is short: neither can fail.
    let _ = builder.append_data(&mut header, path, program);
    Bytes::from(builder.into_inner().unwrap_or_default())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
