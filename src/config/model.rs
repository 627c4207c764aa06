//! The typed model of a Compose project, as far as envrun honours it.
//!
//! Everything here is already merged, interpolated and checked. The model names no engine and holds
//! no clock; it is what the plan is made from. Keys that are not modelled were reported as warnings
//! when the files were read, so nothing vanishes silently.

mod injected;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

pub use self::injected::{Hidden, InjectedContent, InjectedFile, InjectedKind};

use crate::image::{Platform, PullPolicy};
use crate::name::{NetworkKey, ServiceName, VolumeKey};

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
    /// `expose:`, TCP only, in file order.
    pub expose: Vec<u16>,
    /// `labels:` of the container.
    pub labels: BTreeMap<String, String>,
    /// `x-envrun.ready`; `None` leaves the choice of the probe to the plan.
    pub ready: Option<Ready>,
    /// `x-envrun.suite`; present exactly when the role is [`Role::Suite`].
    pub suite: Option<Suite>,
    /// Options that are handed to the engine as they are.
    pub options: ContainerOptions,
}

/// Options of a container that need no interpretation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerOptions {
    /// `init:`.
    pub init: Option<bool>,
    /// `privileged:`.
    pub privileged: bool,
    /// `read_only:`.
    pub read_only: bool,
    /// `tty:`.
    pub tty: bool,
    /// `stop_signal:`.
    pub stop_signal: Option<String>,
    /// `cap_add:`.
    pub cap_add: Vec<String>,
    /// `cap_drop:`.
    pub cap_drop: Vec<String>,
    /// `shm_size:` in bytes.
    pub shm_size: Option<u64>,
    /// `mem_limit:` in bytes.
    pub mem_limit: Option<u64>,
    /// `extra_hosts:`, each as `name:address`.
    pub extra_hosts: Vec<String>,
    /// `tmpfs:`: target to options (empty when none).
    pub tmpfs: BTreeMap<String, String>,
}

/// `build:` of a service. Two services with equal builds share one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Build {
    /// Absolute path of the context directory.
    pub context: PathBuf,
    /// Path of the Dockerfile, relative to the context unless absolute.
    pub dockerfile: PathBuf,
    /// `args:`, resolved like `environment:`.
    pub args: BTreeMap<String, String>,
    /// `target:` stage.
    pub target: Option<String>,
}

/// How a service is attached to one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Extra names on this network; the service's own name always resolves.
    pub aliases: BTreeSet<String>,
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
    /// True for `/udp`.
    pub udp: bool,
}

/// `x-envrun.ready`: every probe that is named must pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The probes; when there are none, only the deadline was given, and the plan chooses.
    pub probes: Vec<ReadyProbe>,
    /// Limit from start to ready; `None` is the default of 3 min, zero means no limit.
    pub deadline: Option<Duration>,
}

/// One probe as the user writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyProbe {
    /// `tcp: 5432` or `tcp: {port: 5432}`: a TCP connection is accepted.
    Tcp {
        /// Port in the container.
        port: u16,
    },
    /// `http: {port: 8000, path: /health, status: 200}`: a GET is answered as wanted.
    Http {
        /// Port in the container.
        port: u16,
        /// Path with query, default `/`.
        path: String,
        /// Status wanted; `None` accepts 200 to 399.
        status: Option<u16>,
    },
    /// `postgres: 5432` or `postgres: {port: 5432}`: the server answers the start of its own
    /// protocol.
    Postgres {
        /// Port in the container.
        port: u16,
    },
    /// `healthcheck: true`: the healthcheck of the file or of the image.
    Healthcheck,
}

/// `x-envrun.suite`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suite {
    /// Globs of JUnit files in the container, relative to its working directory; empty when the
    /// exit code alone decides.
    pub junit: Vec<String>,
    /// Limit from start to exit; `None` means no limit of its own.
    pub timeout: Option<Duration>,
}

/// A network of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// `driver:`; `None` is the engine's default (bridge).
    pub driver: Option<String>,
    /// `driver_opts:`.
    pub driver_opts: BTreeMap<String, String>,
    /// `internal: true`: no way out.
    pub internal: bool,
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
    /// `timeout:` of the whole run, teardown excluded; `None` means no limit.
    pub timeout: Option<Duration>,
    /// `bind: copy`: bind mounts are copies where they do not say otherwise themselves.
    pub copy_binds: bool,
}
