//! The vocabulary between the dispatcher and the executor: what comes in, and what is to be done.

use std::time::Duration;

use crate::engine::{
    BuildSpec, Capabilities, ContainerFacts, ContainerSpec, EndpointSpec, EngineError, ExecSpec,
    Exit, ImageFacts, NetworkAddress, NetworkFacts, NetworkSpec, VolumeSpec,
};
use crate::event::Event;
use crate::exit_code::Signal;
use crate::junit;
use crate::name::{ContainerId, NetworkId, RunId, ServiceName};
use crate::outcome::TeardownReport;
use crate::plan::injection::ArchiveEntry;
use crate::plan::readiness::Requirement;
use crate::plan::{Pull, StepId};

/// Something that has happened.
#[derive(Debug)]
pub enum Input {
    /// The run begins.
    Begin,
    /// The engine has said who it is.
    EngineDescribed(Capabilities),
    /// An image is there.
    ImageObtained {
        /// The step.
        step: StepId,
        /// What is known of it.
        facts: ImageFacts,
    },
    /// A network is there.
    NetworkCreated {
        /// The step.
        step: StepId,
        /// Its id.
        id: NetworkId,
    },
    /// The engine has told its networks, since one of the run could not be created.
    NetworksListed {
        /// The step.
        step: StepId,
        /// The networks.
        networks: Vec<NetworkFacts>,
    },
    /// A container is there.
    ContainerCreated {
        /// The step.
        step: StepId,
        /// Its id.
        id: ContainerId,
    },
    /// A step that yields nothing is done.
    StepDone {
        /// The step.
        step: StepId,
    },
    /// A container has started.
    Started {
        /// The step.
        step: StepId,
        /// State and addresses.
        facts: ContainerFacts,
    },
    /// A container has started once more.
    Restarted {
        /// Its service.
        service: ServiceName,
        /// State and addresses.
        facts: ContainerFacts,
    },
    /// A container could not be started once more.
    RestartFailed {
        /// Its service.
        service: ServiceName,
        /// How.
        error: EngineError,
        /// Its last output.
        log_tail: Vec<String>,
    },
    /// A step has failed.
    Failed {
        /// The step.
        step: StepId,
        /// How.
        error: EngineError,
        /// The last output of the service concerned.
        log_tail: Vec<String>,
    },
    /// The `post_start` hooks of a service are done.
    HooksDone {
        /// The service.
        service: ServiceName,
        /// Which start of its container they belong to.
        start: u32,
    },
    /// A `post_start` hook of a service has failed.
    HookFailed {
        /// The service.
        service: ServiceName,
        /// Which start of its container it belongs to.
        start: u32,
        /// The hook and what came of it.
        message: String,
        /// Its last output.
        output: Vec<String>,
        /// Whether the container still runs.
        running: bool,
    },
    /// Something about the end of a container that the user should know.
    FarewellFailed {
        /// One line.
        message: String,
    },
    /// All probes of a service have passed.
    Ready {
        /// The service.
        service: ServiceName,
        /// Which start of its container was probed.
        start: u32,
        /// Which probes, in words.
        by: String,
        /// Attempts over all of them.
        attempts: u32,
    },
    /// A probe of a service has given up.
    NotReady {
        /// The service.
        service: ServiceName,
        /// Which start of its container was probed.
        start: u32,
        /// The state of its probes, in words.
        summary: String,
        /// Its last output.
        log_tail: Vec<String>,
    },
    /// A container has ended and its output is complete.
    Exited {
        /// Its service.
        service: ServiceName,
        /// How it ended.
        exit: Exit,
        /// Its last output.
        log_tail: Vec<String>,
    },
    /// The report files of a suite were read from its container.
    Collected {
        /// The suite.
        suite: ServiceName,
        /// Path and content of each.
        reports: Vec<CollectedReport>,
        /// Why the files could not be read, if they could not.
        problem: Option<String>,
    },
    /// The engine does not answer any more.
    EngineLost(EngineError),
    /// A task of ours has panicked.
    Panicked(String),
    /// A timer has run out.
    TimedOut(Timer),
    /// The process got a signal.
    Signal(Signal),
    /// The reports are written.
    Reported {
        /// Those that could not be, one line a cause.
        problems: Vec<String>,
        /// Whether nothing more will be written.
        last: bool,
    },
    /// The lease could not be renewed.
    NotRenewed(EngineError),
    /// The environment is left to a person; with what is not as it should be.
    Held(Option<String>),
    /// The environment cannot be left to a person.
    NotHeld(EngineError),
    /// Teardown is over.
    TornDown(TeardownReport),
}

/// A report file: its path in the container, and what was read from it.
pub type CollectedReport = (String, Result<junit::Report, junit::ReadError>);

/// Something to be done.
#[derive(Debug)]
pub enum Effect {
    /// Tell the reporters.
    Report(Event),
    /// Ask the engine who it is.
    Describe,
    /// Do the work of a step.
    Perform(StepId, Work),
    /// Probe a service until it is ready.
    Probe(Box<ProbeTask>),
    /// Stop probing a service.
    StopProbe(ServiceName),
    /// Run the `post_start` hooks of a service.
    RunHooks(Box<HookTask>),
    /// Do not wait for the hooks of a service any more.
    StopHooks(ServiceName),
    /// Wait for the end of a container.
    Watch {
        /// Its service.
        service: ServiceName,
        /// The container.
        container: ContainerId,
    },
    /// Attach to the output of an ended container and start it once more.
    Restart {
        /// Its service.
        service: ServiceName,
        /// The container.
        container: ContainerId,
    },
    /// Kill a container and leave its remains.
    Kill(ContainerId),
    /// Read the report files of a suite from its container.
    Collect {
        /// The suite.
        suite: ServiceName,
        /// The container.
        container: ContainerId,
        /// Working directory that the globs are relative to.
        working_dir: String,
        /// Globs of report files.
        globs: Vec<String>,
    },
    /// Send [`Input::TimedOut`] after this time.
    StartTimer(Timer, Duration),
    /// Drop everything that may be dropped: pulls, builds, probes, timers.
    Abandon,
    /// Write the reports of what is known so far.
    WriteReports {
        /// Whether it is for the last time.
        last: bool,
    },
    /// Take leave of the containers that ask for it, then remove everything.
    TearDown(Vec<Farewell>),
    /// Remove everything now, without taking leave.
    Hurry,
    /// Leave at once, without waiting for teardown.
    GiveUp,
    /// Tell the engine that the run goes on: a volume with a lease that begins anew, in place of the
    /// volume of this name.
    RenewLease(VolumeSpec, Option<String>),
    /// Leave the environment to a person for this long, by a volume with a lease that says so.
    Hold(VolumeSpec, Duration),
    /// The run is over.
    Finish,
}

/// The work of a step.
#[derive(Debug)]
pub enum Work {
    /// Use an image that is present, or pull it, as its policy says.
    ObtainImage(Box<Pull>),
    /// Build an image.
    BuildImage(Box<BuildSpec>),
    /// Create a network.
    CreateNetwork(NetworkSpec),
    /// Ask for all networks of the engine.
    ListNetworks,
    /// Find a network by name.
    FindNetwork(String),
    /// Create a volume.
    CreateVolume(VolumeSpec),
    /// Create a container.
    CreateContainer(Box<ContainerSpec>),
    /// Create a container of this run on a network that others use too.
    CreateAmongOthers(RunId, Box<ContainerSpec>),
    /// Put files into a container that has not started.
    Upload {
        /// The container.
        container: ContainerId,
        /// The files.
        entries: Vec<ArchiveEntry>,
    },
    /// Connect a container to a network.
    Connect {
        /// The network.
        network: NetworkId,
        /// The container.
        container: ContainerId,
        /// Its names there.
        endpoint: EndpointSpec,
        /// This run, where others use the network too.
        among_others: Option<RunId>,
    },
    /// Attach to the output of a container and start it.
    Start {
        /// Its service.
        service: ServiceName,
        /// The container.
        container: ContainerId,
    },
}

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

/// A timer of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    /// The limit of the whole run.
    Run,
    /// The lease is to be renewed.
    Lease,
    /// The limit of a suite, or the deadline of a job.
    Container(ServiceName),
    /// The pause before it is looked again whether a network can be created.
    Network(StepId),
    /// The pause before a container is started once more.
    Restart(ServiceName),
}
