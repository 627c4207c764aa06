//! The plan: model + run id + capabilities → steps, each with a cause and the resource that it
//! owns.
//!
//! Pure. Nothing is performed here, and nothing is decided later that could be decided here; what
//! depends on facts that only the engine knows (an image's `EXPOSE`, a container's address) is
//! decided by the pure functions of [`container`] and [`readiness`] once the facts are in.

pub mod agent;
pub mod container;
pub mod host;
mod image;
mod images;
pub mod injection;
mod limits;
mod names;
pub mod reachability;
pub mod readiness;
mod recognition;
mod replicas;
mod selection;
mod steps;
pub mod subnet;
pub mod support;
mod text;
pub mod within;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use self::host::{Host, Placement, Unseen};
pub use self::image::{PlannedImage, Pull};
use self::injection::{CopyIndex, Injection, PlannedCopy};
use self::names::{image_name, resource_name};
pub use self::selection::Selection;
use self::selection::{optional, select};
use crate::config::model::{FoundPath, Mount, MountSource, Network, Project, Role, Service};
use crate::engine::{
    DIRECTORY_LABEL, LEASE_LABEL, NetworkSpec, PROJECT_LABEL, REPLICA_LABEL, RUN_LABEL,
    SERVICE_LABEL, VolumeSpec,
};
use crate::image::Mirrors;
use crate::image::reference::ReferenceError;
use crate::lease::{Identity, Lease};
use crate::name::{NetworkKey, RunId, ServiceName, VolumeKey};
use crate::options::{AddressPool, Cidr, Ipam, Limits};

/// Everything that a run is going to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The run.
    pub run: RunId,
    /// The lease of the run.
    pub lease: Lease,
    /// Labels that everything of the run carries.
    pub labels: BTreeMap<String, String>,
    /// Name of the project.
    pub project: String,
    /// Images to obtain, each once however many services use it.
    pub images: Vec<PlannedImage>,
    /// Networks to create or to find.
    pub networks: BTreeMap<NetworkKey, PlannedNetwork>,
    /// Volumes to create.
    pub volumes: BTreeMap<VolumeKey, PlannedVolume>,
    /// Volumes to fill before they are mounted.
    pub copies: Vec<PlannedCopy>,
    /// The services that take part, each replica as a service of its own: a service with three
    /// replicas is three services here, `web-1` to `web-3`.
    pub services: BTreeMap<ServiceName, PlannedService>,
    /// The steps; a step's id is its index.
    pub steps: Vec<Step>,
    /// The reachability matrix, if it is tested.
    pub reachability: Option<reachability::Trial>,
    /// Limit of the whole run, teardown excluded.
    pub timeout: Option<Duration>,
    /// Limits on every container and build, for strangers' code.
    pub limits: Option<Limits>,
    /// What the user should know before anything is done, one line each.
    pub warnings: Vec<String>,
}

/// Index into [`Plan::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// Index into [`Plan::images`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageIndex(pub usize);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Why it is done, for people.
    pub cause: String,
    /// What must be done before.
    pub needs: Vec<Need>,
    /// Expected length of the longest chain from here to the end, in milliseconds. Only the order
    /// matters: of two steps that could start now, the one with the longer chain goes first.
    pub chain: u64,
}

/// That another step is done before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The other step.
    pub step: StepId,
    /// Whether the other step must have succeeded. Only suites, and what is depended on with
    /// `required: false`, can fail without ending the run.
    pub success: bool,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Finds, pulls or builds an image.
    ObtainImage(ImageIndex),
    /// Creates (or, when external, finds) a network.
    CreateNetwork(NetworkKey),
    /// Creates a volume.
    CreateVolume(VolumeKey),
    /// Creates the container through which a volume is filled, and the volume with it.
    CreateFiller(CopyIndex),
    /// Fills the volume.
    Fill(CopyIndex),
    /// Creates the container of a service on its first network.
    CreateContainer(ServiceName),
    /// Connects the container to a further network.
    ConnectNetwork(ServiceName, NetworkKey),
    /// Puts files into the container before it starts.
    Inject(ServiceName),
    /// Attaches to the output of the container and starts it.
    StartContainer(ServiceName),
    /// Runs the `post_start` hooks in the container.
    RunHooks(ServiceName),
    /// Waits until a service is ready.
    AwaitReady(ServiceName),
    /// Waits until a job has exited with 0.
    AwaitCompleted(ServiceName),
    /// Waits until a suite has exited, collects its reports and judges it.
    AwaitSuite(ServiceName),
    /// Sends the agent from which a service is tried by the reachability matrix.
    SendObserver(ServiceName),
    /// Tries the reachability matrix and judges it.
    TryReachability,
}

/// A network of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedNetwork {
    /// Created for this run; the subnet is chosen at the time.
    Owned {
        /// What to create, without the subnet.
        spec: NetworkSpec,
        /// Prefix length that has room for the planned endpoints; `None` when the file fixes the
        /// addresses, or leaves them to another driver.
        prefix: Option<u8>,
    },
    /// The engine's network of this name, used and never removed.
    External(String),
}

/// A volume of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedVolume {
    /// Created for this run.
    Owned(VolumeSpec),
    /// The engine's volume of this name, used and never removed.
    External(String),
}

/// A service of the run, or one replica of it.
#[derive(Debug, Clone)]
pub struct PlannedService {
    /// The model of the service. Of a replica, the name and those in `depends_on` are those of
    /// replicas.
    pub service: Service,
    /// The service of the file, by whose name all of its replicas are found.
    pub of: ServiceName,
    /// Which of its replicas it is, counted from 1.
    pub number: u32,
    /// Whether it answers to the name of that service: its replicas do, what runs before their start
    /// does not.
    pub answers: bool,
    /// The replica whose volumes without a name it has; its own name, but for what runs before the
    /// start.
    pub volumes_of: ServiceName,
    /// Something depends on it, and all that does says `required: false`: its failure is a warning.
    pub optional: bool,
    /// Its image.
    pub image: ImageIndex,
    /// Unique name of its container.
    pub container_name: String,
    /// Its networks, the one it is created on first.
    pub networks: Vec<NetworkKey>,
    /// Files that it gets before its start.
    pub injection: Injection,
    /// Where its bind mounts come from, by their place among its mounts.
    pub binds: BTreeMap<usize, Placement>,
    /// The images that are mounted into it, by reference.
    pub mounted_images: BTreeMap<String, ImageIndex>,
}

/// Why there is no plan. All of these are configuration errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The project holds no suite.
    #[error(
        "project `{project}` has no suite\nhint: give a service `x-envrun: {{ suite: {{}} }}` to make its exit code a verdict"
    )]
    NoSuite {
        /// Name of the project.
        project: String,
    },
    /// `--only` or `--skip` names no suite.
    #[error("`{option} {name}` matches no suite\nhint: the suites are {suites}")]
    UnknownSuite {
        /// `--only` or `--skip`.
        option: &'static str,
        /// What was given.
        name: String,
        /// The suites that exist.
        suites: String,
    },
    /// `image:` of a service is no reference.
    #[error("`{image}` of service `{service}` is no reference of an image: {reason}")]
    InvalidImage {
        /// The service.
        service: ServiceName,
        /// What was given.
        image: String,
        /// What is wrong with it.
        reason: ReferenceError,
    },
    /// A service shares with one that has no container.
    #[error(
        "service `{service}` shares with `{with}`, which has 0 replicas\nhint: give `{with}` a replica, or leave out both"
    )]
    SharesWithNobody {
        /// The service.
        service: ServiceName,
        /// The other one.
        with: ServiceName,
    },
    /// There is nothing but suites.
    #[error(
        "project `{project}` has nothing but suites, so there is no environment to hold\nhint: `envrun run` runs the suites"
    )]
    NoEnvironment {
        /// Name of the project.
        project: String,
    },
    /// A suite that asks for faults is on no network on which it could be heard.
    #[error(
        "suite `{suite}` asks for faults and is on no network of the file\nhint: put it on the network of a service, or leave out `suite.faults`"
    )]
    FaultsWithoutNetwork {
        /// The suite.
        suite: ServiceName,
    },
    /// `--skip` leaves nothing.
    #[error("`--only` and `--skip` together leave no suite to run")]
    NothingSelected,
}

/// Labels that every resource of a run carries.
#[must_use]
pub fn run_labels(identity: &Identity, project: &Project) -> BTreeMap<String, String> {
    let directory = project.directory.to_string_lossy().into_owned();
    BTreeMap::from([
        (DIRECTORY_LABEL.to_owned(), directory),
        (RUN_LABEL.to_owned(), identity.run.to_string()),
        (LEASE_LABEL.to_owned(), identity.lease.to_label()),
        (PROJECT_LABEL.to_owned(), project.name.clone()),
    ])
}

/// Labels of the container of a service.
fn service_labels(
    plan_labels: &BTreeMap<String, String>,
    planned: &PlannedService,
) -> BTreeMap<String, String> {
    let mut labels = planned.service.labels.clone();
    labels.extend(plan_labels.clone());
    labels.insert(SERVICE_LABEL.to_owned(), planned.of.to_string());
    labels.insert(REPLICA_LABEL.to_owned(), planned.service.name.to_string());
    labels
}

impl Plan {
    /// Makes the plan for the selected suites of a project, for an engine on the same host.
    ///
    /// # Errors
    /// There is nothing to run, or a selection names what does not exist.
    pub fn new(project: &Project, run: RunId, selection: &Selection) -> Result<Self, PlanError> {
        Self::on_host(
            project,
            &Identity::anonymous(run),
            selection,
            &Host::default(),
        )
    }

    /// The same for an engine that may see other files than this process does.
    ///
    /// # Errors
    /// There is nothing to run, or a selection names what does not exist.
    pub fn on_host(
        project: &Project,
        identity: &Identity,
        selection: &Selection,
        host: &Host,
    ) -> Result<Self, PlanError> {
        let replicas::Replicas {
            replicas,
            mut warnings,
        } = replicas::replicas(&select(project, selection)?)?;
        let services: Vec<&Service> = replicas.iter().map(|replica| &replica.service).collect();
        let run = identity.run;
        let labels = run_labels(identity, project);
        let mut images = images::Images::new(project, run, &labels);
        let mut image_of = BTreeMap::new();
        for replica in &replicas {
            let image = images.of_service(&replica.service, &replica.of)?;
            image_of.insert(replica.service.name.clone(), image);
        }
        let mut mounted_images = BTreeMap::new();
        for service in &services {
            mounted_images.insert(service.name.clone(), images.mounted_into(service)?);
        }
        let images = images.planned;
        let users = selection.users(project, &services);
        let users = with_stand_ins(users, project, selection);
        let networks = plan_networks(project, &users, run, &labels);
        let volumes = plan_volumes(project, &users, run, &labels);
        let mut copies = Vec::new();
        let mut unseen = Unseen::default();
        let optional = optional(&services);
        let planned: BTreeMap<ServiceName, PlannedService> = replicas
            .into_iter()
            .map(|replica| {
                let service = replica.service;
                let image = image_of[&service.name];
                let mut place = |mount: &Mount| {
                    let copy =
                        |found: &FoundPath| injection::copy_of(&mut copies, found, run, image);
                    host.place(mount, &project.directory, &mut unseen, copy)
                };
                let name = service.name.clone();
                let binds = service.mounts.iter().enumerate();
                let binds = binds
                    .filter_map(|(index, mount)| Some((index, place(mount)?)))
                    .collect();
                let planned = PlannedService {
                    optional: optional.contains(&name),
                    of: replica.of,
                    number: replica.number,
                    answers: replica.answers,
                    volumes_of: replica.volumes_of,
                    image,
                    binds,
                    injection: injection::plan_files(&mut copies, &service, run, image),
                    container_name: resource_name(run, name.as_str()),
                    networks: networks_by_priority(&service),
                    mounted_images: mounted_images.remove(&name).unwrap_or_default(),
                    service,
                };
                (name, planned)
            })
            .collect();
        if let Some(unheard) = planned.values().find(|one| one.asks_unheard()) {
            let suite = unheard.service.name.clone();
            return Err(PlanError::FaultsWithoutNetwork { suite });
        }
        warnings.extend(unseen.warnings());
        let mut plan = Self {
            run,
            lease: identity.lease.clone(),
            labels,
            project: project.name.clone(),
            images,
            networks,
            volumes,
            copies,
            services: planned,
            steps: Vec::new(),
            reachability: None,
            timeout: project.settings.timeout,
            limits: project.limits,
            warnings,
        };
        plan.reachability = reachability::Trial::new(project, &plan.services, selection);
        plan.steps = steps::steps(&plan);
        Ok(plan)
    }

    /// The same plan with images from mirrors, pulled ones and those that Dockerfiles name.
    #[must_use]
    pub fn mirrored(mut self, mirrors: &Mirrors) -> Self {
        for image in &mut self.images {
            image.set_mirrors(mirrors);
        }
        self.steps = steps::steps(&self);
        self
    }

    /// How many suites there are, the reachability matrix included.
    #[must_use]
    pub fn suite_count(&self) -> usize {
        self.suites().count() + usize::from(self.reachability.is_some())
    }

    /// The suites that take part, in order of name.
    pub fn suites(&self) -> impl Iterator<Item = &PlannedService> {
        self.services
            .values()
            .filter(|planned| planned.service.suite.is_some())
    }

    /// Directories of this host that have to be made before the run, since the file mounts them and
    /// the engine cannot make them.
    pub fn directories_to_make(&self) -> impl Iterator<Item = &Path> {
        let binds = self.services.values().flat_map(|one| one.binds.values());
        binds.filter_map(|placement| match placement {
            Placement::Volume { make, .. } => make.as_deref(),
            _ => None,
        })
    }

    /// A volume that only carries a lease.
    #[must_use]
    pub fn lease_volume(&self, key: &str, lease: &Lease) -> VolumeSpec {
        let mut labels = self.labels.clone();
        labels.insert(LEASE_LABEL.to_owned(), lease.to_label());
        VolumeSpec {
            // No service and no volume of the file is called like that.
            name: format!("{}_{key}", self.run.prefix().trim_end_matches('-')),
            labels,
            driver: None,
            driver_opts: BTreeMap::new(),
        }
    }

    /// What a step does to which resource, for people.
    #[must_use]
    pub fn describe(&self, action: &Action) -> String {
        text::describe(self, action)
    }

    /// The whole plan as text, one line a step.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// By what each service that is waited for will be found ready, as far as that is known before the
    /// images are, one line a service; empty when none is waited for.
    #[must_use]
    pub fn readiness_text(&self) -> String {
        text::render_readiness(self)
    }
}

/// The users of networks, and once more those that an agent of the reachability matrix stands in for: it
/// takes an address of each of their networks.
fn with_stand_ins<'project>(
    mut users: Vec<&'project Service>,
    project: &'project Project,
    selection: &Selection,
) -> Vec<&'project Service> {
    let rows = project.settings.reachability.as_ref();
    if let Some(rows) = rows.filter(|_| selection.has_matrix(project)) {
        let matrix = crate::reachability::Matrix::of(rows);
        let members: Vec<_> = matrix.members().cloned().collect();
        let services = members.iter().filter_map(|name| project.services.get(name));
        users
            .extend(services.filter(|service| {
                service.role != Role::Service || service.lifecycle.replicas == 0
            }));
    }
    users
}

/// The networks of a service in the order of the reference: highest priority first, then by name.
fn networks_by_priority(service: &Service) -> Vec<NetworkKey> {
    let mut networks: Vec<(&NetworkKey, i64)> = service
        .networks
        .iter()
        .map(|(key, attachment)| (key, attachment.priority))
        .collect();
    networks.sort_by_key(|(key, priority)| (std::cmp::Reverse(*priority), *key));
    networks.into_iter().map(|(key, _)| key.clone()).collect()
}

fn plan_networks(
    project: &Project,
    services: &[&Service],
    run: RunId,
    labels: &BTreeMap<String, String>,
) -> BTreeMap<NetworkKey, PlannedNetwork> {
    let mut endpoints: BTreeMap<&NetworkKey, usize> = BTreeMap::new();
    for key in services.iter().flat_map(|service| service.networks.keys()) {
        *endpoints.entry(key).or_default() += 1;
    }
    endpoints
        .into_iter()
        .map(|(key, count)| {
            let network = project.networks.get(key).cloned().unwrap_or_default();
            let planned = match network.external {
                Some(name) => PlannedNetwork::External(name),
                None => PlannedNetwork::Owned {
                    prefix: chooses_subnet(&network).then(|| subnet::prefix_for(count)),
                    spec: NetworkSpec {
                        name: resource_name(run, key.as_str()),
                        labels: network.labels.into_iter().chain(labels.clone()).collect(),
                        driver: network.driver,
                        driver_opts: network.driver_opts,
                        attachable: network.attachable,
                        internal: network.internal,
                        enable_ipv4: network.enable_ipv4,
                        enable_ipv6: network.enable_ipv6,
                        ipam: with_ipv6(network.ipam, network.enable_ipv6, || {
                            subnet::unique_local(run, key)
                        }),
                        subnet: None,
                    },
                },
            };
            (key.clone(), planned)
        })
        .collect()
}

/// The addresses that the file fixes, and a subnet of IPv6 where the file wants one and says not
/// which.
fn with_ipv6(mut ipam: Ipam, enabled: Option<bool>, subnet: impl FnOnce() -> Cidr) -> Ipam {
    let fixes = ipam.pools.iter().any(|pool| pool.subnet.address.is_ipv6());
    if enabled == Some(true) && !fixes && gives_addresses(&ipam) {
        ipam.pools.push(AddressPool {
            subnet: subnet(),
            ip_range: None,
            gateway: None,
            aux_addresses: BTreeMap::new(),
        });
    }
    ipam
}

/// Whether it is the engine's own driver that gives out addresses.
fn gives_addresses(ipam: &Ipam) -> bool {
    ipam.driver
        .as_ref()
        .is_none_or(|driver| driver == "default")
}

/// Whether the run chooses the network's subnet: not where the file fixes one, does not want one, or
/// has another driver give out the addresses.
fn chooses_subnet(network: &Network) -> bool {
    let fixes = network
        .ipam
        .pools
        .iter()
        .any(|pool| pool.subnet.address.is_ipv4());
    !fixes && gives_addresses(&network.ipam) && network.enable_ipv4 != Some(false)
}

fn plan_volumes(
    project: &Project,
    services: &[&Service],
    run: RunId,
    labels: &BTreeMap<String, String>,
) -> BTreeMap<VolumeKey, PlannedVolume> {
    let used: BTreeSet<&VolumeKey> = services
        .iter()
        .flat_map(|service| &service.mounts)
        .filter_map(|mount| match &mount.source {
            MountSource::Volume(key) => Some(key),
            _ => None,
        })
        .collect();
    used.into_iter()
        .map(|key| {
            let volume = project.volumes.get(key).cloned().unwrap_or_default();
            let planned = match volume.external {
                Some(name) => PlannedVolume::External(name),
                None => PlannedVolume::Owned(VolumeSpec {
                    name: resource_name(run, key.as_str()),
                    labels: volume.labels.into_iter().chain(labels.clone()).collect(),
                    driver: volume.driver,
                    driver_opts: volume.driver_opts,
                }),
            };
            (key.clone(), planned)
        })
        .collect()
}
