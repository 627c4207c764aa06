//! What an effect needs to know, where that is more than a few fields: the vocabulary between the
//! dispatcher and whoever performs the task. Nothing is decided or done here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::artifact;
use crate::config::model::reachability::Whom;
use crate::diagnosis::Inquiry;
use crate::engine::{EndpointSpec, ExecSpec, NetworkAddress, Networking};
use crate::junit;
use crate::name::{ContainerId, NetworkId, ServiceName};
use crate::options::ContainerOptions;
use crate::plan::reachability::Asked;
use crate::plan::readiness::Requirement;
use crate::reachability::Pair;

/// What a prober needs to know.
#[derive(Debug, Clone)]
pub struct ProbeTask {
    /// The service.
    pub service: ServiceName,
    /// The name by which others speak to it, for probes that have to name a host.
    pub host: ServiceName,
    /// Its container, for healthchecks.
    pub container: ContainerId,
    /// Its address, if it has one.
    pub address: Option<NetworkAddress>,
    /// Whether the agent through which probes dial is on the network of that address.
    pub stationed: bool,
    /// Whether it has no network but its loopback interface, so that listening there is all that can
    /// be asked of it.
    pub alone: bool,
    /// What has to pass.
    pub requirement: Requirement,
    /// When the container started, since the start of the run.
    pub started: Duration,
    /// Which start of the container is probed, counted from 1.
    pub start: u32,
}

/// Where an agent is sent from which a service is tried.
#[derive(Debug, Clone)]
pub enum Seat {
    /// Into the network namespace of a container.
    Beside(ContainerId),
    /// Onto the networks of a service whose container does not run.
    InPlace(Box<InPlace>),
}

/// How an agent hangs on the networks of a service that it stands in for.
#[derive(Debug, Clone)]
pub struct InPlace {
    /// What it is created on.
    pub networking: Networking,
    /// Further networks.
    pub further: Vec<(NetworkId, EndpointSpec)>,
    /// What decides whom it finds.
    pub finding: ContainerOptions,
}

/// What is to be tried.
#[derive(Debug, Clone, Default)]
pub struct TrialTask {
    /// Agents that have to be sent anew, since their containers were started once more.
    pub anew: Vec<(ServiceName, ServiceName, ContainerId)>,
    /// The containers from which nothing can be tried, with their service, and why.
    pub missing: BTreeMap<ServiceName, (ServiceName, String)>,
    /// The services that are looked at from beside, with the agents there.
    pub targets: BTreeMap<ServiceName, Vec<ServiceName>>,
    /// What is tried, all of it at once.
    pub questions: Vec<Question>,
}

/// What is tried from one container at one target.
#[derive(Debug, Clone)]
pub struct Question {
    /// The agent, by the replica.
    pub from: ServiceName,
    /// The service that it is of.
    pub source: ServiceName,
    /// The target.
    pub target: Whom,
    /// The name of the target, or why it has none.
    pub name: Result<String, String>,
    /// Its addresses, by its replicas.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// What is tried there.
    pub asked: Asked,
    /// What is promised, of either kind: it is tried until all of it is kept, or time is over.
    pub promises: Vec<Pair>,
}

/// What is looked at to explain a failure.
#[derive(Debug, Clone)]
pub struct ExplainTask {
    /// The service, by its name in the run.
    pub service: ServiceName,
    /// The question; it says what is worth a look.
    pub inquiry: Inquiry,
    /// The container whose output is read.
    pub container: Option<ContainerId>,
    /// Its last output, as far as it is at hand.
    pub output: Vec<String>,
    /// Where its view of the network is had.
    pub view: View,
    /// For each service that runs, the container in whose network namespace it is.
    pub beside: BTreeMap<ServiceName, ContainerId>,
}

/// Where the view of a service is had.
#[derive(Debug, Clone)]
pub enum View {
    /// In the network namespace of this container, which runs.
    Beside(ContainerId),
    /// On the same networks, since its container has ended.
    On(Vec<(NetworkId, EndpointSpec)>),
    /// Nowhere.
    None,
}

/// Commands to be run in a container one after the other.
#[derive(Debug, Clone)]
pub struct HookTask {
    /// The service.
    pub service: ServiceName,
    /// Its container.
    pub container: ContainerId,
    /// The commands.
    pub hooks: Vec<ExecSpec>,
    /// Limit of all of them; `None` means no limit.
    pub limit: Option<Duration>,
    /// Which start of the container they belong to.
    pub start: u32,
}

/// What a container is given time for before it is removed.
#[derive(Debug, Clone)]
pub struct Farewell {
    /// Its `pre_stop` hooks.
    pub hooks: HookTask,
    /// How long it may take to end by its stop signal; `None`: it is not sent.
    pub grace: Option<Duration>,
}

/// What comes before the removal.
#[derive(Debug, Default)]
pub struct Leave {
    /// The containers that are given time.
    pub farewells: Vec<Farewell>,
    /// Whose files are kept after that.
    pub gather: Vec<GatherTask>,
    /// How long all that is being kept is waited for.
    pub limit: Duration,
}

/// Files of a container that are kept.
#[derive(Debug, Clone)]
pub struct GatherTask {
    /// The service.
    pub owner: ServiceName,
    /// The directory that they are put into, one part of a path.
    pub directory: String,
    /// Its container.
    pub container: ContainerId,
    /// Working directory that the globs are relative to.
    pub working_dir: String,
    /// Globs of paths in the container.
    pub paths: Vec<String>,
    /// How much is kept.
    pub limits: artifact::Limits,
    /// How long it may take.
    pub limit: Duration,
}

/// Tests that failed, and who may have written something meanwhile.
#[derive(Debug, Clone)]
pub struct CutTask {
    /// The suite.
    pub suite: ServiceName,
    /// When each test ran, with the place of its report among those of the suite.
    pub windows: Vec<(usize, junit::TestWindow)>,
    /// Whose lines are meant.
    pub services: Vec<ServiceName>,
}
