//! The narrow trait of workload verbs that a container engine offers, and its vocabulary.
//!
//! Owns the shapes that cross the border between envrun and an engine: specifications of what to
//! create, facts about what exists, and typed errors. Two engines stand behind it: [`docker`]
//! (everything that speaks the Docker Engine API) and [`memory`] (tests and fault injection). Only
//! the wiring names them, and only `engine/docker` names bollard.
//!
//! Resources are addressed by id wherever the engine gives one: engines allow duplicate network
//! names, and then every use by name is ambiguous.

mod build;
pub mod docker;
mod exec;
mod image;
mod interaction;
mod listing;
pub mod memory;
mod mount;
mod network;
mod output;
mod pull;
mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

pub use self::build::{
    BuildContext, BuildOptions, BuildOutput, BuildSecret, BuildSpec, ContextImage,
    DockerfileSource, SecretValue,
};
pub use self::exec::{ExecOutcome, ExecSpec};
pub use self::image::{ImageFacts, ImageHealthcheck, ImportSpec};
pub use self::interaction::{Interaction, LogsSpec, Session, TerminalSize};
use self::listing::LISTING;
pub use self::listing::Listing;
pub use self::mount::{ContainerMount, ContainerMountSource, MountSpec, MountSpecSource};
pub use self::network::{
    Attachment, Attachments, BRIDGE_OPTION, NamesOnNetwork, Namespace, NetworkFacts, PARENT_OPTION,
    RunOf,
};
pub use self::output::{OutputChunk, OutputStream, Seen};
pub use self::pull::{PullProgress, PullReport, PullSink, PullSpec};
pub use self::resource::{Belonging, Removal, Resource, ResourceKind};
use crate::clock;
use crate::image::Reference;
use crate::name::{ContainerId, ImageId, NetworkId, RunId};
use crate::options::{ContainerOptions, EndpointOptions, Ipam, Protocol};

/// Label that every resource of a run carries; its value is the run's UUID.
pub const RUN_LABEL: &str = "dev.envrun.run";
/// Label of a container that names its service.
pub const SERVICE_LABEL: &str = "dev.envrun.service";
/// Label of a container that tells it from the others of its service: the name of the service, or
/// with several replicas `web-2`.
pub const REPLICA_LABEL: &str = "dev.envrun.replica";
/// Label of everything of a run that says who may still need it: see [`crate::lease`].
pub const LEASE_LABEL: &str = "dev.envrun.lease";
/// Label with the directory of the project, by which a person finds what is held for it.
pub const DIRECTORY_LABEL: &str = "dev.envrun.directory";
/// Label of a volume that notes a fault which was asked for and is not undone yet.
pub const FAULT_LABEL: &str = "dev.envrun.fault";
/// Label that names the project, for people who look at the engine.
pub const PROJECT_LABEL: &str = "dev.envrun.project";

/// The verbs that envrun needs of an engine.
///
/// Implementations must be cancel-safe only for the reading verbs. Creating and removing verbs are
/// always called from spawned tasks that are never aborted; [`Engine::pull_image`],
/// [`Engine::build_image`] and [`Engine::write_archive`] are the exception: dropping them ends the work
/// in the engine.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Asks the engine who it is and what it can do.
    async fn describe(&self) -> Result<Capabilities, EngineError>;
    /// How many processors it has: it refuses limits above that.
    async fn processors(&self) -> Result<u32, EngineError>;
    /// How far away the engine is, as far as its address says.
    fn distance(&self) -> Distance;
    /// What is mounted into a running container. `None` when the engine knows no such container. An id
    /// may be shortened; a name is none.
    async fn container_mounts(
        &self,
        container: &ContainerId,
    ) -> Result<Option<Vec<ContainerMount>>, EngineError>;

    /// Facts about an image that is present, by reference or id; `None` when it is not.
    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError>;
    /// Pulls an image, with the credentials that the user has for its registry. Dropping the future
    /// ends the pull.
    async fn pull_image(&self, spec: &PullSpec, sink: &PullSink) -> Result<(), EngineError>;
    /// Gives an image one more name, which is taken from the image that has it, and notes the time.
    async fn tag_image(&self, image: &str, reference: &Reference) -> Result<(), EngineError>;
    /// Takes a name from an image that has further ones.
    async fn untag_image(&self, reference: &Reference) -> Result<(), EngineError>;
    /// Builds an image and returns its id. Dropping the future ends the build.
    async fn build_image(
        &self,
        spec: &BuildSpec,
        output: &BuildOutput,
    ) -> Result<ImageId, EngineError>;

    /// Makes an image of a file system, nothing but its own.
    async fn import_image(&self, spec: &ImportSpec) -> Result<ImageId, EngineError>;

    /// Creates a network.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<NetworkId, EngineError>;
    /// The id of the one network with exactly this name, `None` when there is none.
    async fn find_network(&self, name: &str) -> Result<Option<NetworkId>, EngineError>;
    /// Attaches a created container to a further network.
    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        endpoint: &EndpointSpec,
    ) -> Result<(), EngineError>;
    /// Takes a container from a network, by force. One that is not on it counts as taken.
    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
    ) -> Result<(), EngineError>;
    /// How a container hangs on networks.
    async fn attachments(&self, container: &ContainerId) -> Result<Attachments, EngineError>;
    /// Creates a volume.
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError>;

    /// Creates a container without starting it.
    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError>;
    /// Attaches to the output of a container, from its first byte when called before the start.
    async fn attach(
        &self,
        container: &ContainerId,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError>;
    /// The output of a container from its first byte on, less what was seen already: for whoever has
    /// lost an attached stream. Ends with the container, with an error where the engine keeps no
    /// output.
    fn output_after(
        &self,
        container: &ContainerId,
        seen: Seen,
    ) -> BoxStream<'static, Result<OutputChunk, EngineError>>;
    /// Attaches to the input and the output of a container that was created to [converse], before its
    /// start.
    ///
    /// [converse]: ContainerSpec::converses
    async fn converse(&self, container: &ContainerId) -> Result<Session, EngineError>;
    /// Starts a created container.
    async fn start_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// Kills a running container. Its remains stay, so that reports can still be read from them.
    async fn kill_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// Sends a running container its stop signal, and kills it when it still runs after `grace`,
    /// which engines count in whole seconds. Returns when it has ended.
    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), EngineError>;
    /// Freezes all processes of a running container.
    async fn pause_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// Lets a frozen container go on. One that is not frozen counts as going on.
    async fn unpause_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// State and addresses of a container.
    async fn inspect_container(
        &self,
        container: &ContainerId,
    ) -> Result<ContainerFacts, EngineError>;
    /// Returns when the container is not running. To be called after the start has returned.
    async fn wait_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// Runs a command in a running container and waits for it.
    async fn exec(
        &self,
        container: &ContainerId,
        spec: &ExecSpec,
    ) -> Result<ExecOutcome, EngineError>;
    /// What a container has written, and with `follow` what it writes until it ends.
    async fn logs(
        &self,
        container: &ContainerId,
        spec: &LogsSpec,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError>;
    /// Runs a command in a running container, with its input and output at hand.
    async fn open_session(
        &self,
        container: &ContainerId,
        spec: &ExecSpec,
        interaction: Interaction,
    ) -> Result<Session, EngineError>;
    /// Tells a command the size of its terminal.
    async fn resize_session(&self, session: &str, size: TerminalSize) -> Result<(), EngineError>;
    /// The exit code of a command whose output has ended.
    async fn session_code(&self, session: &str) -> Result<i64, EngineError>;
    /// A tar archive of a path of a container, running or stopped. `None` when the path does not
    /// exist.
    async fn read_archive(
        &self,
        container: &ContainerId,
        path: &str,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, EngineError>>>, EngineError>;

    /// Unpacks a tar archive at the root of a container that need not run; owners and modes are those
    /// of the archive. What lies on a volume of the container goes to the volume. A directory is never
    /// replaced by a file. Dropping the future ends the upload.
    async fn write_archive(
        &self,
        container: &ContainerId,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(), EngineError>;

    /// Removes a resource by force: kills a running container, disconnects what hangs on a network.
    /// Answers [`Removal::AlreadyGone`] when there is nothing to remove.
    async fn remove(&self, resource: &Resource) -> Result<Removal, EngineError>;
    /// Everything that carries the label of the run and a name of the run. The label alone is not
    /// enough: whatever somebody derives from an image of a run inherits it.
    async fn list(&self, run: RunId) -> Result<Vec<Resource>, EngineError>;
    /// The same for teardown, which goes on with what could be listed. Answers in bounded time,
    /// whatever the engine does.
    async fn listing(&self, run: RunId) -> Listing {
        let listed = match clock::within(LISTING, self.list(run)).await {
            Ok(listed) => listed,
            Err(reached) => Err(Listing::late("resources", reached)),
        };
        match listed {
            Ok(found) => Listing {
                found,
                ..Listing::default()
            },
            Err(error) => Listing {
                found: Vec::new(),
                unknown: ResourceKind::ALL.map(|kind| (kind, error.clone())).into(),
            },
        }
    }
    /// Whether the engine still takes new connections. One that shuts down serves those that it has,
    /// and ends its containers meanwhile.
    async fn still_there(&self) -> Result<(), EngineError> {
        Ok(())
    }
    /// The same for all runs.
    async fn list_all(&self) -> Result<Vec<Belonging>, EngineError>;
    /// The time by the engine's clock.
    async fn time(&self) -> Result<SystemTime, EngineError>;
    /// All networks, whoever made them.
    async fn networks(&self) -> Result<Vec<NetworkFacts>, EngineError>;
    /// The names that containers of runs have on a network.
    async fn names_on(&self, network: &NetworkId) -> Result<Vec<NamesOnNetwork>, EngineError>;
}

/// Who the engine is, and what it can do. Unsupported features become plan errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Product name as the engine gives it, for messages.
    pub product: String,
    /// Version of the product.
    pub version: String,
    /// API version, as `(major, minor)`.
    pub api: (u16, u16),
    /// Architecture of its host as Go calls it: `amd64`, `arm64`. Empty when it does not say.
    pub architecture: String,
    /// What builds images there.
    pub builder: Builder,
}

/// What builds images. Not everything that a build can ask for is known to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// BuildKit.
    BuildKit,
    /// What was there before, and what other products have in its place.
    Classic,
}

/// How far away an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Behind a socket in the file system: on this host.
    Socket,
    /// Behind a loopback address: on this host, unless the address is a tunnel or that of a container
    /// with several parts.
    Loopback,
    /// On another host.
    Remote,
}

/// A network to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Unique name.
    pub name: String,
    /// Labels, the run's among them.
    pub labels: BTreeMap<String, String>,
    /// Driver, `None` for the engine's default.
    pub driver: Option<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
    /// Whether containers of Swarm may be attached by hand.
    pub attachable: bool,
    /// No way out.
    pub internal: bool,
    /// Whether there are addresses of IPv4; `None` leaves it to the engine.
    pub enable_ipv4: Option<bool>,
    /// Whether there are addresses of IPv6; `None` leaves it to the engine.
    pub enable_ipv6: Option<bool>,
    /// Who gives out addresses, and which: what the file fixes.
    pub ipam: Ipam,
    /// The subnet that the run has chosen; `None` leaves the choice to the engine, unless the file
    /// fixes one.
    pub subnet: Option<Subnet>,
}

/// An IPv4 subnet in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subnet {
    /// First address; its host bits are zero.
    pub base: Ipv4Addr,
    /// Prefix length, 0 to 32.
    pub prefix: u8,
}

impl Subnet {
    /// Whether all addresses of the other one are in this one.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.overlaps(other)
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = self.prefix.min(other.prefix);
        let mask = u32::MAX.checked_shl(32 - u32::from(shorter)).unwrap_or(0);
        u32::from(self.base) & mask == u32::from(other.base) & mask
    }

    /// The first usable address, which is the network's gateway on a bridge.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) | 1)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix)
    }
}

/// A volume to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Unique name.
    pub name: String,
    /// Labels, the run's among them.
    pub labels: BTreeMap<String, String>,
    /// Driver, `None` for the engine's default.
    pub driver: Option<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
}

/// A container to create.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// Unique name.
    pub name: String,
    /// Labels, the run's among them.
    pub labels: BTreeMap<String, String>,
    /// Image by content id: tags race.
    pub image: ImageId,
    /// Command, `None` keeps the image's.
    pub command: Option<Vec<String>>,
    /// Entry point, `None` keeps the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables over the image's.
    pub environment: BTreeMap<String, String>,
    /// Variables of the image that are taken away.
    pub unset_environment: BTreeSet<String>,
    /// Platform that the image must have, `None` takes it as it is.
    pub platform: Option<String>,
    /// Working directory, `None` keeps the image's.
    pub working_dir: Option<String>,
    /// User, `None` keeps the image's.
    pub user: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Its first network; further ones are connected afterwards.
    pub networking: Networking,
    /// Hardware address of the whole container, for engines that know none of an endpoint.
    pub mac_address: Option<String>,
    /// Whose IPC namespace it uses, in the engine's words.
    pub ipc: Option<String>,
    /// Whose process namespace it uses, in the engine's words.
    pub pid: Option<String>,
    /// Whose volumes it mounts too, in the engine's words: `CONTAINER[:ro]`.
    pub volumes_from: Vec<String>,
    /// Containers that it finds under further names, as `CONTAINER:NAME`.
    pub links: Vec<String>,
    /// Mounts.
    pub mounts: Vec<MountSpec>,
    /// Ports published on a host port that the engine chooses.
    pub published: Vec<PublishedSpec>,
    /// Ports that the container says to listen on, the published ones left out.
    pub exposed: Vec<(u16, Protocol)>,
    /// Healthcheck handed to the engine as well, `None` keeps the image's.
    pub healthcheck: Option<HealthcheckSpec>,
    /// Whether somebody speaks to it by its input, which ends with the connection of whoever does.
    pub converses: bool,
    /// Options without interpretation.
    pub options: ContainerOptions,
}

/// What a container is created on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networking {
    /// A network.
    Network(NetworkId, EndpointSpec),
    /// A mode of the engine: `none`, `host`, `bridge`, `container:ID`, or a network of its by name.
    Mode(String),
}

/// A port that is published on a host port of the engine's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSpec {
    /// Port in the container.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Address on the host, `None` for all.
    pub host_ip: Option<String>,
}

/// Healthcheck as the engine takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthcheckSpec {
    /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", "…"]`, or empty to inherit.
    pub test: Vec<String>,
    /// Time between two checks, zero inherits.
    pub interval: Duration,
    /// Limit of one check, zero inherits.
    pub timeout: Duration,
    /// Failures in a row, zero inherits.
    pub retries: u32,
    /// Time in which failures do not count, zero inherits.
    pub start_period: Duration,
    /// Time between two checks during it, zero inherits.
    pub start_interval: Duration,
}

/// How a container hangs on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// Names that resolve to the container on this network.
    pub aliases: Vec<String>,
    /// Further names under which the container finds others here, as `CONTAINER:NAME`.
    pub links: Vec<String>,
    /// What else is said of it.
    pub options: EndpointOptions,
}

/// State and addresses of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFacts {
    /// Whether it runs.
    pub running: bool,
    /// Exit code and more, once it has ended.
    pub exit: Option<Exit>,
    /// Its address on each network, by network id. Empty before the start.
    pub addresses: BTreeMap<NetworkId, NetworkAddress>,
    /// Host ports that the engine chose: container port and protocol (`5432/tcp`) to
    /// `address:port`.
    pub host_ports: BTreeMap<String, Vec<String>>,
    /// Working directory in force.
    pub working_dir: String,
}

/// Address of a container on one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkAddress {
    /// The container's address.
    pub address: IpAddr,
    /// The network's gateway, when it has one. On `internal` networks the engine names none to the
    /// container, and the first address of the subnet is the host's.
    pub gateway: Option<IpAddr>,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code; 128 + signal when it was killed. `None` when the engine could not say.
    pub code: Option<i64>,
    /// Whether the kernel's memory limit killed it.
    pub oom_killed: bool,
    /// The engine's own words when it could not run it.
    pub error: Option<String>,
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            None => formatter.write_str("ended with an unknown exit code")?,
            Some(code) => {
                write!(formatter, "exited with code {code}")?;
                if let Some(signal) = signal_name(code) {
                    write!(formatter, " ({signal})")?;
                }
            }
        }
        if self.oom_killed {
            formatter.write_str(", killed by the kernel for want of memory (OOM)")?;
        }
        match self.error.as_deref() {
            Some(error) if !error.is_empty() => write!(formatter, ": {error}"),
            _ => Ok(()),
        }
    }
}

/// Name of the signal behind an exit code above 128.
fn signal_name(code: i64) -> Option<&'static str> {
    Some(match code - 128 {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// What kind of failure an engine call met; decides what is tried next and which exit code it may
/// become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection, or it broke: whether the call took effect is unknown.
    Unreachable,
    /// The subnet is taken: try the next.
    SubnetTaken,
    /// Another network has something on the engine's host that only one can have: a bridge, an
    /// interface.
    HostTaken,
    /// The named thing does not exist.
    NotFound,
    /// Something else is going on with the resource (in use, removal in progress): try again.
    Busy,
    /// The engine understood and declined.
    Refused,
    /// The engine failed inside, or answered something that cannot be understood.
    Internal,
}

/// A failed engine call: what was tried and on what, in which way it failed, and the engine's own
/// words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {attempt}: {message}")]
pub struct EngineError {
    /// What was tried, as an infinitive with its resource: ``create network `envrun-…` ``.
    pub attempt: String,
    /// The way it failed.
    pub kind: FailureKind,
    /// The engine's own words, or the transport's.
    pub message: String,
}
