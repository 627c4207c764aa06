//! The plan: model + run id + capabilities → steps, each with a cause and the resource that it
//! owns.
//!
//! Pure. Nothing is performed here, and nothing is decided later that could be decided here; what
//! depends on facts that only the engine knows (an image's `EXPOSE`, a container's address) is
//! decided by the pure functions of [`container`] and [`readiness`] once the facts are in.

pub mod addresses;
pub mod agent;
pub mod command;
pub mod container;
pub mod host;
mod image;
mod images;
pub mod injection;
pub mod isolation;
mod limits;
mod locking;
mod names;
mod problem;
pub mod reachability;
pub mod readiness;
mod recognition;
mod replicas;
mod resources;
mod selection;
mod shards;
mod step;
mod steps;
pub mod subnet;
pub mod support;
mod text;
pub mod within;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

pub use self::command::HostCommand;
use self::host::{Host, Placement, Unseen};
pub use self::image::{PlannedImage, Pull};
use self::injection::{Injection, PlannedCopy};
use self::names::{image_name, resource_name};
pub use self::problem::PlanError;
pub use self::resources::{PlannedNetwork, PlannedVolume};
pub use self::selection::Selection;
use self::selection::{optional, select};
pub use self::step::{Action, Need, Step, StepId};
use crate::config::model::{FoundPath, Mount, Project, Service, Suite};
use crate::engine::{
    BUILD_LABEL, DIRECTORY_LABEL, LEASE_LABEL, PROJECT_LABEL, REPLICA_LABEL, RUN_LABEL,
    SERVICE_LABEL, VolumeSpec,
};
use crate::image::Mirrors;
use crate::lease::{Identity, Lease};
use crate::name::{NetworkKey, RunId, ServiceName, Shard, VolumeKey};
use crate::options::Limits;

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
    /// The networks that are there for one suite alone, each with the network of the file that it is a
    /// copy of.
    pub copied_networks: BTreeMap<NetworkKey, NetworkKey>,
    /// The services that are not in the own environment of a suite, since it does not depend on them.
    pub absent: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    /// Volumes to create.
    pub volumes: BTreeMap<VolumeKey, PlannedVolume>,
    /// Volumes to fill before they are mounted.
    pub copies: Vec<PlannedCopy>,
    /// The services that take part, each replica as a service of its own: a service with three
    /// replicas is three services here, `web-1` to `web-3`.
    pub services: BTreeMap<ServiceName, PlannedService>,
    /// The steps; a step's id is its index.
    pub steps: Vec<Step>,
    /// The command on this host that is one more suite, if there is one.
    pub command: Option<HostCommand>,
    /// The reachability matrix, if it is tested.
    pub reachability: Option<reachability::Trial>,
    /// Limit of the whole run, teardown excluded.
    pub timeout: Option<Duration>,
    /// How many suites run at once; `None` means any number.
    pub parallel: Option<u32>,
    /// Whether the first suite that fails ends the others.
    pub fail_fast: bool,
    /// Limits on every container and build, for strangers' code.
    pub limits: Option<Limits>,
    /// What the user should know before anything is done, one line each.
    pub warnings: Vec<String>,
}

/// Index into [`Plan::images`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageIndex(pub usize);

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
    /// Which part of a suite it is, where that is divided.
    pub shard: Option<Shard>,
    /// Whether it answers to the name of that service: its replicas do, what runs before their start
    /// does not.
    pub answers: bool,
    /// The replica whose volumes without a name it has; its own name, but for what runs before the
    /// start.
    pub volumes_of: ServiceName,
    /// By which name of its own it is found: its name, and of a copy that of what it is a copy of.
    pub known_as: ServiceName,
    /// The suite in whose own environment it is, that suite included; `None` in the shared one.
    pub scope: Option<ServiceName>,
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

impl PlannedService {
    /// The suite whose own copy of a service it is.
    #[must_use]
    pub fn copy_for(&self) -> Option<&ServiceName> {
        let suite = self.scope.as_ref();
        suite.filter(|suite| **suite != self.service.name)
    }

    /// What people call it: `db`, and of a copy `db (of e2e)`.
    #[must_use]
    pub fn title(&self) -> String {
        match self.copy_for() {
            Some(suite) => format!("{} (of {suite})", self.known_as),
            None => self.service.name.to_string(),
        }
    }

    /// Whether it is a replica of this service in the shared environment.
    #[must_use]
    pub fn is_shared(&self, of: &ServiceName) -> bool {
        self.scope.is_none() && self.answers && self.of == *of
    }
}

/// Labels that every resource of a run carries.
#[must_use]
pub fn run_labels(identity: &Identity, project: &Project) -> BTreeMap<String, String> {
    let directory = project.directory.to_string_lossy().into_owned();
    let build = identity.build.iter();
    BTreeMap::from_iter(
        [
            (DIRECTORY_LABEL.to_owned(), directory),
            (RUN_LABEL.to_owned(), identity.run.to_string()),
            (LEASE_LABEL.to_owned(), identity.lease.to_label()),
            (PROJECT_LABEL.to_owned(), project.name.clone()),
        ]
        .into_iter()
        .chain(build.map(|id| (BUILD_LABEL.to_owned(), id.to_string()))),
    )
}

/// Labels of the container of a service.
fn service_labels(
    plan_labels: &BTreeMap<String, String>,
    planned: &PlannedService,
) -> BTreeMap<String, String> {
    let mut labels = planned.service.labels.clone();
    labels.extend(plan_labels.clone());
    let service = match planned.copy_for() {
        // Who asks for `db` means the shared one.
        Some(suite) => format!("{suite}.{}", planned.of),
        None => planned.of.to_string(),
    };
    labels.insert(SERVICE_LABEL.to_owned(), service);
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
        } = {
            let selected = select(project, selection)?;
            replicas::replicas(&selected.services, &selected.parts)?
        };
        let others = selection.other_users(project);
        let isolated = isolation::isolate(project, replicas, &others)?;
        warnings.extend(isolated.warnings);
        let (replicas, of_file) = (isolated.replicas, project);
        let project = isolated.project.as_ref();
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
        let users = resources::with_stand_ins(users, project, selection);
        let networks = resources::networks(project, &users, run, &labels);
        let volumes = resources::volumes(project, &users, run, &labels);
        let mut copies = Vec::new();
        let mut unseen = Unseen::default();
        let optional = optional(&services);
        let planned: BTreeMap<ServiceName, PlannedService> = replicas
            .into_iter()
            .map(|replica| {
                let service = replica.service;
                let image = image_of[&service.name];
                let mut place = |mount: &Mount| {
                    let copy = |found: &FoundPath| {
                        let scope = replica.scope.as_ref();
                        injection::copy_of(&mut copies, (found, scope), run, image)
                    };
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
                    shard: replica.shard,
                    answers: replica.answers,
                    volumes_of: replica.volumes_of,
                    known_as: replica.known_as,
                    scope: replica.scope.clone(),
                    image,
                    binds,
                    injection: injection::plan_files(&mut copies, &service, run, image),
                    container_name: resource_name(run, name.as_str()),
                    networks: resources::networks_by_priority(&service),
                    mounted_images: mounted_images.remove(&name).unwrap_or_default(),
                    service,
                };
                (name, planned)
            })
            .collect();
        for one in planned.values() {
            let peers = one.service.sharing.needed_for_create().into_iter();
            let may_go = |peer: &&PlannedService| {
                let suite = peer.service.suite.as_ref();
                suite.is_some_and(|suite| suite.retries > 0)
            };
            if let Some(suite) = peers.filter_map(|peer| planned.get(peer)).find(may_go) {
                return Err(PlanError::SharesWithRetried {
                    service: one.service.name.clone(),
                    suite: suite.service.name.clone(),
                });
            }
        }
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
            copied_networks: isolated.networks,
            absent: isolated.absent,
            volumes,
            copies,
            services: planned,
            steps: Vec::new(),
            command: None,
            reachability: None,
            timeout: project.settings.timeout,
            parallel: project.settings.parallel,
            fail_fast: project.settings.fail_fast,
            limits: project.limits,
            warnings,
        };
        plan.reachability = reachability::Trial::new(of_file, &plan.services, selection);
        if let Some(command) = selection.command.clone() {
            let has_matrix = plan.reachability.is_some();
            plan.command = Some(command.among(&plan.services, has_matrix)?);
        }
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

    /// How many suites there are, the reachability matrix and a command on this host included.
    #[must_use]
    pub fn suite_count(&self) -> usize {
        let others = [self.reachability.is_some(), self.command.is_some()];
        self.suites().count() + others.into_iter().filter(|one| *one).count()
    }

    /// What the file or the command line says of a suite; `None` of what is none, and of the matrix.
    #[must_use]
    pub fn suite(&self, name: &ServiceName) -> Option<&Suite> {
        match &self.command {
            Some(command) if command.name == *name => Some(&command.suite),
            _ => self.services.get(name)?.service.suite.as_ref(),
        }
    }

    /// The suites that take part and have a container, in order of name.
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
