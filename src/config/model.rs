//! The typed model of a Compose project, as far as envrun honours it.
//!
//! Everything here is already merged, interpolated and checked. The model names no engine and holds
//! no clock; it is what the plan is made from. Keys that are not modelled were reported as warnings
//! when the files were read, so nothing vanishes silently.

pub mod artifacts;
mod build;
mod injected;
pub mod reachability;
mod ready;
mod suite;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

pub use self::artifacts::{Artifacts, ArtifactsWhen};
pub use self::build::{
    AdditionalContext, Build, BuildContext, BuildOptions, BuildSecret, Dockerfile,
};
pub use self::injected::{Hidden, InjectedContent, InjectedFile, InjectedKind};
use self::reachability::{InternetAddress, Reachability};
pub use self::ready::{
    Ready, ReadyHttp, ReadyKind, ReadyPace, ReadyProbe, ReadyStream, ReadyTls, ReadyTree,
    ServerProtocol,
};
pub use self::suite::{Isolation, LineReports, Shards, Suite, SuiteFaults};

use crate::image::{Platform, PullPolicy};
use crate::mask::Secret;
use crate::name::{NetworkKey, ServiceName, VolumeKey};
pub use crate::options::{ContainerOptions, EndpointOptions, Ipam, Limits, MountOptions, Protocol};

/// One project: the merged content of its Compose files.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Project name, normalised as Compose does it: lower case, `[a-z0-9][a-z0-9_-]*`.
    pub name: String,
    /// Absolute directory that relative paths in the files are resolved against.
    pub directory: PathBuf,
    /// The services whose profiles are active, suites and jobs included.
    pub services: BTreeMap<ServiceName, Service>,
    /// The networks that some service uses. The implicit `default` network is listed where it is
    /// used.
    pub networks: BTreeMap<NetworkKey, Network>,
    /// The named volumes declared at the top level.
    pub volumes: BTreeMap<VolumeKey, Volume>,
    /// The top-level `x-envrun` section.
    pub settings: Settings,
    /// Limits on every container, for strangers' code.
    pub limits: Option<Limits>,
    /// Values that must not be seen: of `secrets:` that a service or a build uses, and of variables
    /// that `environment:` or `args:` take by name. They say in which order they were found, and some
    /// may be there twice.
    pub to_mask: Vec<Secret>,
}

/// What a service is for; decided by the file, not by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs until teardown; its death while suites run aborts the run.
    Service,
    /// Somebody waits for it with `service_completed_successfully`: exit 0 means done.
    Job,
    /// Carries `x-envrun.suite`: its exit code and its report are the verdict.
    Suite,
}

/// One service of the project.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The key under `services:`.
    pub name: ServiceName,
    /// What it is for.
    pub role: Role,
    /// `image:`; at least one of `image` and `build` is present.
    pub image: Option<String>,
    /// `build:`.
    pub build: Option<Build>,
    /// `platform:`, else `DOCKER_DEFAULT_PLATFORM`.
    pub platform: Option<Platform>,
    /// `pull_policy:` with `pull_refresh_after:`; `None` when the file does not say.
    pub pull_policy: Option<PullPolicy>,
    /// `command:`; `None` keeps the image's, an empty list clears it.
    pub command: Option<Vec<String>>,
    /// `entrypoint:`; `None` keeps the image's, an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    /// `environment:` over `env_file:`, resolved: a variable without a value was taken from the
    /// host's environment, and is absent here when the host has none.
    pub environment: BTreeMap<String, String>,
    /// Names of `environment:` without any value: what the image says of them is taken away.
    pub unset_environment: BTreeSet<String>,
    /// `networks:`, or the `default` network when the key is absent.
    pub networks: BTreeMap<NetworkKey, Attachment>,
    /// `volumes:`, in file order.
    pub mounts: Vec<Mount>,
    /// `secrets:` and `configs:`, each target once.
    pub injected: Vec<InjectedFile>,
    /// `depends_on:`.
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// `healthcheck:`; `None` leaves the image's in force.
    pub healthcheck: Option<Healthcheck>,
    /// `working_dir:`.
    pub working_dir: Option<String>,
    /// `user:`, as written (`name`, `uid`, `uid:gid`).
    pub user: Option<String>,
    /// `hostname:`.
    pub hostname: Option<String>,
    /// `container_name:`; becomes one more alias on every network, never a global name.
    pub container_name: Option<String>,
    /// `ports:`.
    pub ports: Vec<PublishedPort>,
    /// `expose:`, ranges expanded, in file order.
    pub expose: Vec<(u16, Protocol)>,
    /// `labels:` of the container.
    pub labels: BTreeMap<String, String>,
    /// `x-envrun.ready`; `None` leaves the choice of the probe to the plan.
    pub ready: Option<Ready>,
    /// `x-envrun.suite`; present exactly when the role is [`Role::Suite`].
    pub suite: Option<Suite>,
    /// `x-envrun.artifacts`, or `x-envrun.suite.artifacts` of a suite: what of its files is kept.
    pub artifacts: Option<Artifacts>,
    /// What it shares with other containers.
    pub sharing: Sharing,
    /// Options that are handed to the engine as they are.
    pub options: ContainerOptions,
    /// How many containers stand behind its name, and how they come and go.
    pub lifecycle: Lifecycle,
}

/// How many containers stand behind the name of a service, and how they come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// `scale:` or `deploy.replicas`; 1 when neither is given, and always 1 for a suite.
    pub replicas: u32,
    /// `restart:` or `deploy.restart_policy`.
    pub restart: Restart,
    /// `pre_start:`: containers that are run to their end before those of the service start, in file
    /// order.
    pub pre_start: Vec<PreStart>,
    /// `post_start:`: commands that are run in each container after its start, in file order.
    pub post_start: Vec<Hook>,
    /// `pre_stop:`: commands that are run in each container before teardown ends it, in file order.
    pub pre_stop: Vec<Hook>,
    /// `x-envrun.pre_stop`: limit of all `pre_stop` commands of a container together; default 5 s.
    pub pre_stop_limit: Option<Duration>,
    /// `x-envrun.stop_grace`: how long teardown waits after the stop signal; `None`: it kills at
    /// once.
    pub stop_grace: Option<Duration>,
}

/// A container of `pre_start:`, with the mounts and on the networks of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreStart {
    /// `image:`; `None` is the service's.
    pub image: Option<String>,
    /// `command:`; `None` is the image's.
    pub command: Option<Vec<String>>,
    /// `user:`; `None` is the image's, or without an image of its own the service's.
    pub user: Option<String>,
    /// `privileged:`.
    pub privileged: bool,
    /// `working_dir:`; `None` is the service's.
    pub working_dir: Option<String>,
    /// `environment:` over the service's.
    pub environment: BTreeMap<String, String>,
    /// `per_replica:`: once for each replica, and not once for all.
    pub per_replica: bool,
}

/// A command of `post_start:` or `pre_stop:`, run in a container of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `command:`, which no shell runs unless it names one.
    pub command: Vec<String>,
    /// `user:`; `None` is the container's.
    pub user: Option<String>,
    /// `privileged:`.
    pub privileged: bool,
    /// `working_dir:`; `None` is the container's.
    pub working_dir: Option<String>,
    /// `environment:` over the container's, resolved like that of a service.
    pub environment: BTreeMap<String, String>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            replicas: 1,
            restart: Restart::default(),
            pre_start: Vec::new(),
            post_start: Vec::new(),
            pre_stop: Vec::new(),
            pre_stop_limit: None,
            stop_grace: None,
        }
    }
}

/// What happens when a container ends by itself. Performed by envrun, never by the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restart {
    /// After which ends it is started again.
    pub condition: RestartCondition,
    /// Most restarts; `None` means no limit.
    pub attempts: Option<u32>,
    /// Shortest pause before a restart.
    pub delay: Duration,
    /// A restart after which the container runs for this long does not count; `None`: all count.
    pub window: Option<Duration>,
}

/// After which ends a container is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RestartCondition {
    /// `no`, `none`.
    #[default]
    Never,
    /// `on-failure`: after any exit code but 0.
    OnFailure,
    /// `always`, `any`, `unless-stopped`.
    Always,
}

/// What a service shares with other containers, of the run or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharing {
    /// `network_mode:`; then the service is on no network of the project.
    pub network_mode: Option<Peer>,
    /// `ipc:`.
    pub ipc: Option<Peer>,
    /// `pid:`.
    pub pid: Option<Peer>,
    /// `volumes_from:`, in file order.
    pub volumes_from: Vec<VolumesFrom>,
    /// `links:`: services, each with the name under which it is found as well.
    pub links: Vec<(ServiceName, String)>,
    /// `external_links:`: containers outside of the run, as `container:name`.
    pub external_links: Vec<String>,
}

/// With whom something is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// The container of a service.
    Service(ServiceName),
    /// What the engine is told as it is: `host`, `container:NAME`, and for volumes the name of a
    /// container outside of the run.
    Engine(String),
}

/// One entry of `volumes_from:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesFrom {
    /// Whose volumes.
    pub peer: Peer,
    /// `:ro`.
    pub read_only: bool,
}

impl Sharing {
    /// The services whose containers must be there before this one's is created.
    #[must_use]
    pub fn needed_for_create(&self) -> BTreeSet<&ServiceName> {
        let namespaces = [&self.network_mode, &self.ipc, &self.pid];
        let volumes = self.volumes_from.iter().map(|from| &from.peer);
        let peers = namespaces.into_iter().flatten().chain(volumes);
        let services = peers.filter_map(|peer| match peer {
            Peer::Service(name) => Some(name),
            Peer::Engine(_) => None,
        });
        // Over the engine's default bridge, the containers of links are looked for at the creation.
        let on_bridge = self.network_mode.is_some();
        let links = self
            .links
            .iter()
            .filter(|_| on_bridge)
            .map(|(name, _)| name);
        services.chain(links).collect()
    }
}

/// How a service is attached to one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Extra names on this network; the service's own name always resolves.
    pub aliases: BTreeSet<String>,
    /// `priority:`: the network with the highest is the one that the container is created on.
    pub priority: i64,
    /// What else is said of it.
    pub options: EndpointOptions,
}

/// One entry of `volumes:` of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    /// `ro`, or `read_only: true`.
    pub read_only: bool,
    /// What else is said of it.
    pub options: MountOptions,
}

/// What is mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A path of the host, absolute.
    Bind {
        /// Absolute path on the host.
        path: PathBuf,
        /// Create the path as a directory when it is missing (the short form does, the long form
        /// says so with `bind.create_host_path`).
        create: bool,
        /// `x-envrun: {bind: copy}`: the run works on a copy of its own.
        copy: bool,
        /// What is there.
        found: FoundPath,
    },
    /// A volume of the top-level `volumes:`.
    Volume(VolumeKey),
    /// A volume without a name, private to the container.
    Anonymous,
    /// A file system in memory.
    Tmpfs,
    /// The content of an image, by reference.
    Image(String),
}

/// What was at a path of this host when the project was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundPath {
    /// The path with all links followed, as far as it exists.
    pub real: PathBuf,
    /// What it leads to.
    pub kind: PathKind,
}

/// What a path of this host leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PathKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A socket, a pipe, a device: something that cannot be copied.
    Special,
    /// Nothing, or nothing that may be looked at.
    #[default]
    Missing,
}

/// One entry of `depends_on:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// What to wait for.
    pub condition: Condition,
    /// `required: false` makes a missing or failed dependency a warning.
    pub required: bool,
}

/// What a dependant waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The short form (a list of names): envrun waits until the service is ready.
    Ready,
    /// `service_started`, written out: the container has started, nothing more.
    Started,
    /// `service_healthy`: the service is ready.
    Healthy,
    /// `service_completed_successfully`: the container has exited with 0.
    CompletedSuccessfully,
}

/// `healthcheck:` of a service; fields that are `None` fall back to the image's, then to the
/// default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `disable: true`, or `test: ["NONE"]`.
    Disabled,
    /// A check to run.
    Check {
        /// `test:` as the engine takes it: `["CMD", …]` or `["CMD-SHELL", "…"]`; `None` keeps the
        /// image's.
        test: Option<Vec<String>>,
        /// Time between two checks; default 30 s.
        interval: Option<Duration>,
        /// Limit of one check; default 30 s.
        timeout: Option<Duration>,
        /// Failures in a row that make it unhealthy; default 3.
        retries: Option<u32>,
        /// Time in which failures do not count; default 0.
        start_period: Option<Duration>,
        /// Time between two checks during `start_period`; default 5 s.
        start_interval: Option<Duration>,
    },
}

/// One entry of `ports:`. Host ports are always chosen by the engine (a documented rewrite), so
/// only the container's side and the address matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// Port in the container.
    pub target: u16,
    /// Host port asked for in the file, for the report; not used.
    pub published: Option<String>,
    /// Host address asked for, if any.
    pub host_ip: Option<String>,
    /// Its protocol.
    pub protocol: Protocol,
}

/// A network of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// `driver:`; `None` is the engine's default (bridge).
    pub driver: Option<String>,
    /// `driver_opts:`.
    pub driver_opts: BTreeMap<String, String>,
    /// `attachable: true`.
    pub attachable: bool,
    /// `internal: true`: no way out.
    pub internal: bool,
    /// `enable_ipv4:`; `None` leaves it to the engine, which does.
    pub enable_ipv4: Option<bool>,
    /// `enable_ipv6:`; `None` leaves it to the engine.
    pub enable_ipv6: Option<bool>,
    /// `ipam:`.
    pub ipam: Ipam,
    /// `labels:`.
    pub labels: BTreeMap<String, String>,
    /// `external: true`: the engine's network of this name is used and never removed.
    pub external: Option<String>,
}

/// A named volume of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    /// `driver:`.
    pub driver: Option<String>,
    /// `driver_opts:`.
    pub driver_opts: BTreeMap<String, String>,
    /// `labels:`.
    pub labels: BTreeMap<String, String>,
    /// `external: true`: the engine's volume of this name is used and never removed.
    pub external: Option<String>,
}

/// The top-level `x-envrun` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `timeout:` of the whole run, teardown excluded; `None` and zero mean no limit.
    pub timeout: Option<Duration>,
    /// `parallel:`, how many suites run at once, each shard counted; `None` means any number.
    pub parallel: Option<u32>,
    /// `fail_fast:`, whether the first suite that fails ends the others.
    pub fail_fast: bool,
    /// `bind: copy`: bind mounts are copies where they do not say otherwise themselves.
    pub copy_binds: bool,
    /// `reachability:`, which is tested as a suite.
    pub reachability: Option<Reachability>,
    /// `internet:`, the address that a target `internet` means; `None` leaves it to the configuration of
    /// envrun.
    pub internet: Option<InternetAddress>,
}
