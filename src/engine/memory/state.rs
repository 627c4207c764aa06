//! What exists in the engine in memory, and the rules by which it comes and goes.

mod archives;
mod attachments;
mod belongings;
mod life;
mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};

use self::life::End;
pub(super) use self::life::Life;
pub(super) use self::reach::Arrival;
use super::{Behaviour, Written, failure};
use crate::clock::{self, Instant};
use crate::engine::{
    BuildSpec, ContainerFacts, ContainerSpec, ContextImage, EndpointSpec, EngineError, ExecOutcome,
    Exit, FailureKind, ImageFacts, MountSpecSource, Namespace, NetworkAddress, NetworkSpec,
    Networking, OutputChunk, OutputStream, PublishedSpec, PullSpec, REPLICA_LABEL, RunOf,
    SERVICE_LABEL, Subnet,
};
use crate::image::policy::Present;
use crate::image::{Platform, Reference};
use crate::name::{ContainerId, ImageId, NetworkId};
use crate::options::Protocol;
use crate::probe::listening;

/// How often the pull of an image that is called `flaky` fails.
const FLAKY_PULLS: u32 = 2;

/// The variable by which a container knows which attempt of a suite it is.
const ATTEMPT: &str = "ENVRUN_ATTEMPT";

type Labels = BTreeMap<String, String>;

#[derive(Debug)]
struct Container {
    name: String,
    labels: Labels,
    image: ImageId,
    networks: BTreeMap<NetworkId, Ipv4Addr>,
    /// The container whose network it uses.
    shares: Option<ContainerId>,
    /// What agents listen on there.
    canaries: BTreeSet<u16>,
    /// How it was attached to each of them.
    endpoints: BTreeMap<NetworkId, EndpointSpec>,
    /// In whose network namespace it is.
    namespace: Namespace,
    volumes: BTreeSet<String>,
    host_ports: BTreeMap<String, Vec<String>>,
    working_dir: String,
    behaviour: Behaviour,
    started: Option<Instant>,
    paused: bool,
    life: watch::Sender<Life>,
}

impl Container {
    /// Whether it runs, and accepts on this port by now.
    fn accepts_on(&self, port: u16) -> bool {
        let begins = self.behaviour.accepts.get(&port);
        begins.zip(self.started).is_some_and(|(after, started)| {
            started.elapsed() >= *after && self.life.borrow().is_running() && !self.paused
        })
    }

    /// The kernel's table of what listens in it.
    fn sockets(&self) -> String {
        let ports = self.behaviour.accepts.keys();
        let open = ports.filter(|port| self.accepts_on(**port));
        let lines = open.map(|port| format!("0: 00000000:{port:04X} 00000000:0000 0A 0 0\n"));
        lines.collect()
    }

    fn stop_with(&self, code: i64) {
        self.life.send_modify(|life| {
            life.exit.get_or_insert(code);
        });
    }
}

#[derive(Debug)]
struct Network {
    name: String,
    labels: Labels,
    subnet: Option<Subnet>,
    next_host: u32,
    internal: bool,
}

#[derive(Debug)]
pub(super) struct State {
    behaviours: BTreeMap<&'static str, Behaviour>,
    containers: BTreeMap<ContainerId, Container>,
    networks: BTreeMap<NetworkId, Network>,
    volumes: BTreeMap<String, Labels>,
    images: BTreeMap<ImageId, (String, Labels)>,
    /// Names of pulled images, each with the image that it names.
    names: BTreeMap<String, ImageId>,
    /// How often each image was pulled.
    pulls: BTreeMap<String, u32>,
    /// What others have taken: another run, or somebody.
    pub(super) occupied: Vec<(Subnet, Option<RunOf>)>,
    pub(super) written: BTreeMap<(String, String), Written>,
    pub(super) commands: Vec<String>,
    /// What agents were asked to change.
    pub(super) changes: Vec<String>,
    /// Where agents listen, by port.
    pub(super) listeners: BTreeMap<u16, mpsc::UnboundedSender<DuplexStream>>,
    /// When each thing was created, by its id.
    births: BTreeMap<String, Instant>,
    /// When the engine began.
    begun: Instant,
    next_id: u32,
}

/// The subnet that the file fixes.
fn fixed_subnet(spec: &NetworkSpec) -> Option<Subnet> {
    let mut pools = spec.ipam.pools.iter();
    pools.find_map(|pool| match pool.subnet.address {
        IpAddr::V4(base) => Some(Subnet {
            base,
            prefix: pool.subnet.prefix,
        }),
        IpAddr::V6(_) => None,
    })
}

impl State {
    pub(super) fn new(behaviours: BTreeMap<&'static str, Behaviour>) -> Self {
        Self {
            behaviours,
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: BTreeMap::new(),
            names: BTreeMap::new(),
            pulls: BTreeMap::new(),
            occupied: Vec::new(),
            written: BTreeMap::new(),
            commands: Vec::new(),
            changes: Vec::new(),
            listeners: BTreeMap::new(),
            births: BTreeMap::new(),
            begun: clock::now(),
            next_id: 0,
        }
    }

    fn id(&mut self, kind: &str) -> String {
        self.next_id += 1;
        let id = format!("{kind}-{}", self.next_id);
        self.births.insert(id.clone(), clock::now());
        id
    }

    fn container(&self, id: &ContainerId) -> Result<&Container, EngineError> {
        self.containers
            .get(id)
            .ok_or_else(|| failure("find container", FailureKind::NotFound, "no such container"))
    }

    /// An image by a reference or an id; one called `postgres` looks like PostgreSQL, `volume` has a
    /// volume.
    pub(super) fn image(&self, reference: &str) -> Option<ImageFacts> {
        let key = Reference::parse(reference).map_or(reference.to_owned(), |parsed| parsed.key());
        let id = match self.names.get(&key) {
            Some(id) => id.clone(),
            None if ["missing", "remote", "empty"]
                .iter()
                .any(|absent| reference.contains(absent)) =>
            {
                return None;
            }
            None => ImageId::new(reference),
        };
        let postgres = id.as_str().contains("postgres");
        let variables: &[&str] = if postgres {
            &["PGDATA=/data", "PG_MAJOR=15"]
        } else {
            &[]
        };
        Some(ImageFacts {
            digests: Vec::new(),
            exposed_tcp: if postgres { vec![5432] } else { Vec::new() },
            volumes: if postgres || id.as_str().contains("volume") {
                vec!["/data".to_owned()]
            } else {
                Vec::new()
            },
            environment: variables
                .iter()
                .map(|variable| (*variable).to_owned())
                .collect(),
            healthcheck: None,
            present: Present {
                platform: Platform::new("linux", "amd64", ""),
                tagged: None,
            },
            id,
        })
    }

    pub(super) fn pull_image(&mut self, spec: &PullSpec) -> Result<(), EngineError> {
        let key = spec.reference.key();
        let pulls = self.pulls.entry(key.clone()).or_default();
        *pulls += 1;
        let fail = |message: &str| Err(failure("pull image", FailureKind::Internal, message));
        if key.contains("missing") || key.contains("empty") {
            return fail(&format!("manifest for {key} not found: manifest unknown"));
        }
        if key.contains("down") || (key.contains("flaky") && *pulls <= FLAKY_PULLS) {
            return fail("received unexpected HTTP status: 503 Service Unavailable");
        }
        self.names.insert(key.clone(), ImageId::new(key));
        Ok(())
    }

    pub(super) fn tag_image(
        &mut self,
        image: &str,
        reference: &Reference,
    ) -> Result<(), EngineError> {
        let Some(facts) = self.image(image) else {
            let message = format!("no such image: {image}");
            return Err(failure("tag image", FailureKind::NotFound, &message));
        };
        self.names.insert(reference.key(), facts.id);
        Ok(())
    }

    pub(super) fn untag_image(&mut self, reference: &Reference) {
        self.names.remove(&reference.key());
    }

    pub(super) fn image_names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// A build starts from images that are there, as the dependency of builds has to see to.
    pub(super) fn build_image(&mut self, spec: &BuildSpec) -> Result<ImageId, EngineError> {
        for context in spec.contexts.values() {
            if let ContextImage::Built(wanted) = context
                && !self.images.values().any(|(name, _)| name == wanted)
            {
                let message = format!("there is no image `{wanted}` yet");
                return Err(failure("build image", FailureKind::NotFound, &message));
            }
        }
        Ok(self.add_image(&spec.name, &spec.labels))
    }

    pub(super) fn add_image(&mut self, name: &str, labels: &Labels) -> ImageId {
        let id = ImageId::new(self.id("image"));
        self.images
            .insert(id.clone(), (name.to_owned(), labels.clone()));
        id
    }

    pub(super) fn create_network(&mut self, spec: &NetworkSpec) -> Result<NetworkId, EngineError> {
        let subnet = spec.subnet.or_else(|| fixed_subnet(spec));
        if let Some(subnet) = subnet {
            let taken = self
                .networks
                .values()
                .filter_map(|network| network.subnet)
                .chain(self.occupied.iter().map(|(subnet, _)| *subnet));
            if taken.into_iter().any(|other| other.overlaps(&subnet)) {
                let message = "Pool overlaps with other one on this address space";
                return Err(failure("create network", FailureKind::SubnetTaken, message));
            }
        }
        let id = NetworkId::new(self.id("network"));
        let network = Network {
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            subnet,
            next_host: 2,
            internal: spec.internal,
        };
        self.networks.insert(id.clone(), network);
        Ok(id)
    }

    pub(super) fn find_network(&self, name: &str) -> Option<NetworkId> {
        self.networks
            .iter()
            .find(|(_, network)| network.name == name)
            .map(|(id, _)| id.clone())
    }

    pub(super) fn volume(&mut self, name: &str, labels: &Labels) {
        self.volumes.entry(name.to_owned()).or_insert_with(|| {
            self.births.insert(name.to_owned(), clock::now());
            labels.clone()
        });
    }

    pub(super) fn create_container(
        &mut self,
        spec: &ContainerSpec,
    ) -> Result<ContainerId, EngineError> {
        if self
            .containers
            .values()
            .any(|other| other.name == spec.name)
        {
            return Err(failure(
                "create container",
                FailureKind::Busy,
                "the name is already in use",
            ));
        }
        // The engine looks for the containers with which something is to be shared.
        let shared = [&spec.ipc, &spec.pid].into_iter().flatten();
        let shared = shared.chain(match &spec.networking {
            Networking::Mode(mode) => Some(mode),
            Networking::Network(..) => None,
        });
        let shared = shared.filter_map(|mode| mode.strip_prefix("container:"));
        let volumes_from = spec.volumes_from.iter();
        let volumes_from = volumes_from.map(|from| from.trim_end_matches(":ro"));
        for peer in shared.chain(volumes_from) {
            self.container(&ContainerId::from(peer))?;
        }
        let mut volumes = BTreeSet::new();
        for mount in &spec.mounts {
            if let MountSpecSource::Volume { name, labels, .. } = &mount.source {
                self.volume(name, labels);
                volumes.insert(name.clone());
            }
        }
        let attempt = spec.environment.get(ATTEMPT).map_or("1", String::as_str);
        let names = [REPLICA_LABEL, SERVICE_LABEL]
            .into_iter()
            .filter_map(|label| spec.labels.get(label));
        let behaviour = names
            .flat_map(|name| [format!("{name}#{attempt}"), name.clone()])
            .find_map(|name| self.behaviours.get(name.as_str()))
            .cloned()
            .unwrap_or_default();
        let id = ContainerId::new(self.id("container"));
        let container = Container {
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            image: spec.image.clone(),
            networks: BTreeMap::new(),
            shares: match &spec.networking {
                Networking::Mode(mode) => mode.strip_prefix("container:").map(ContainerId::from),
                Networking::Network(..) => None,
            },
            canaries: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            namespace: match &spec.networking {
                Networking::Mode(mode) if mode == "host" => Namespace::Host,
                Networking::Mode(mode) => match mode.strip_prefix("container:") {
                    Some(other) => Namespace::Of(ContainerId::from(other)),
                    None => Namespace::Own,
                },
                Networking::Network(..) => Namespace::Own,
            },
            volumes,
            host_ports: published(&spec.published),
            working_dir: spec
                .working_dir
                .clone()
                .unwrap_or_else(|| "/app".to_owned()),
            behaviour,
            started: None,
            paused: false,
            life: watch::Sender::new(Life::default()),
        };
        self.containers.insert(id.clone(), container);
        if let Networking::Network(network, endpoint) = &spec.networking {
            self.connect(network, &id, endpoint.clone())?;
        }
        Ok(id)
    }

    pub(super) fn subscribe(&self, id: &ContainerId) -> Result<watch::Receiver<Life>, EngineError> {
        self.container(id)
            .map(|container| container.life.subscribe())
    }

    pub(super) fn output(&self, id: &ContainerId) -> OutputChunk {
        let text = self
            .container(id)
            .map(|container| container.behaviour.output)
            .unwrap_or_default();
        OutputChunk {
            stream: OutputStream::Stdout,
            bytes: Bytes::from_static(text.as_bytes()),
        }
    }

    /// Starts a container; answers how it ends by itself. A running one just goes on.
    pub(super) fn start(&mut self, id: &ContainerId) -> Result<Option<End>, EngineError> {
        let container = self.containers.get_mut(id).ok_or_else(|| {
            failure(
                "start container",
                FailureKind::NotFound,
                "no such container",
            )
        })?;
        let life = *container.life.borrow();
        if life.is_running() {
            return Ok(None);
        }
        container.started = Some(clock::now());
        let run = life.run + 1;
        container.life.send_replace(Life { run, exit: None });
        let crashes = &container.behaviour.crashes;
        let crash = crashes.get(life.run as usize).copied();
        let end = crash.or(container.behaviour.exits);
        Ok(end.map(|(after, code)| End { run, after, code }))
    }

    /// Ends a run by itself, unless it is over.
    pub(super) fn end(&mut self, id: &ContainerId, end: &End) {
        if let Some(container) = self.containers.get(id)
            && !container.life.borrow().has_ended(end.run)
        {
            container.stop_with(end.code);
        }
    }

    pub(super) fn kill(&mut self, id: &ContainerId) -> Result<(), EngineError> {
        let container = self.container(id)?;
        if !container.life.borrow().is_running() {
            return Err(failure(
                "kill container",
                FailureKind::Busy,
                "it is not running",
            ));
        }
        container.stop_with(137);
        Ok(())
    }

    /// How long a container takes to stop, and its exit code then.
    pub(super) fn stop_takes(&self, id: &ContainerId, grace: Duration) -> (Duration, i64) {
        let stops = self
            .containers
            .get(id)
            .and_then(|container| container.behaviour.stops);
        match stops {
            Some(takes) if takes <= grace => (takes, 143),
            _ => (grace, 137),
        }
    }

    pub(super) fn stop(&mut self, id: &ContainerId, code: i64) -> Result<(), EngineError> {
        self.container(id)?.stop_with(code);
        Ok(())
    }

    /// How long a command takes in a container, if that is known.
    pub(super) fn command_takes(&self, id: &ContainerId, command: &str) -> Option<Duration> {
        let container = self.containers.get(id)?;
        let (takes, _) = container.behaviour.commands.get(command)?;
        Some(*takes)
    }

    pub(super) fn inspect(&self, id: &ContainerId) -> Result<ContainerFacts, EngineError> {
        let container = self.container(id)?;
        let life = *container.life.borrow();
        let addresses = container.networks.iter().map(|(id, address)| {
            let gateway = self
                .networks
                .get(id)
                .and_then(|network| network.subnet)
                .map(|subnet| subnet.gateway().into());
            (
                id.clone(),
                NetworkAddress {
                    address: (*address).into(),
                    gateway,
                },
            )
        });
        Ok(ContainerFacts {
            running: life.is_running(),
            exit: life.exit.map(|code| Exit {
                code: Some(code),
                oom_killed: container.behaviour.oom_killed,
                error: None,
            }),
            addresses: addresses.collect(),
            host_ports: container.host_ports.clone(),
            exposed_tcp: Vec::new(),
            working_dir: container.working_dir.clone(),
        })
    }

    pub(super) fn exec(
        &mut self,
        id: &ContainerId,
        command: &str,
    ) -> Result<ExecOutcome, EngineError> {
        let container = self.container(id)?;
        if !container.life.borrow().is_running() {
            return Err(failure(
                "exec",
                FailureKind::Busy,
                "the container is not running",
            ));
        }
        let elapsed = container
            .started
            .map_or(Duration::ZERO, |started| started.elapsed());
        let known = container.behaviour.commands.get(command);
        let code = match (known, container.behaviour.exec) {
            (Some((_, code)), _) => *code,
            (None, Some((code, good_after))) if elapsed < good_after => code,
            _ => 0,
        };
        let output_tail = match known {
            Some(_) => format!("{command} has run\n"),
            None if command == listening::COMMAND.join(" ") => container.sockets(),
            None => String::new(),
        };
        let replica = container.labels.get(REPLICA_LABEL);
        let replica = replica.map(String::as_str).unwrap_or_default();
        let ran = format!("{replica}: {command}");
        self.commands.push(ran);
        Ok(ExecOutcome { code, output_tail })
    }

    /// Whether a container with this address, or any at the loopback address, accepts on one of the
    /// ports.
    pub(super) fn accepts(&self, address: IpAddr, ports: &[u16]) -> bool {
        self.containers.values().any(|container| {
            let mut addresses = container.networks.values();
            let is_there =
                address.is_loopback() || addresses.any(|one| IpAddr::V4(*one) == address);
            is_there && ports.iter().any(|port| container.accepts_on(*port))
        })
    }
}

/// Behind which ports of the host those of a container are published: 40000 above their own.
fn published(ports: &[PublishedSpec]) -> BTreeMap<String, Vec<String>> {
    let address = |port: &PublishedSpec| {
        let host = port.host_ip.as_deref().unwrap_or("0.0.0.0");
        format!("{host}:{}", 40_000_u32 + u32::from(port.port) % 20_000)
    };
    let tcp = ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    tcp.map(|port| (format!("{}/tcp", port.port), vec![address(port)]))
        .collect()
}
