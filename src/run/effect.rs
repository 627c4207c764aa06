//! The vocabulary between the dispatcher and the executor: what comes in, and what is to be done.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::artifact;
use crate::diagnosis::looks;
use crate::engine::{
    BuildSpec, Capabilities, ContainerFacts, ContainerSpec, EndpointSpec, EngineError, Exit,
    ImageFacts, NetworkFacts, NetworkSpec, VolumeSpec,
};
use crate::event::Event;
use crate::exit_code::Signal;
use crate::fault::scene::Targets;
use crate::fault::{Need, Request};
use crate::junit;
use crate::name::{ContainerId, NetworkId, NetworkKey, RunId, ServiceName};
use crate::outcome::{TeardownReport, Usage};
use crate::plan::injection::ArchiveEntry;
use crate::plan::{Pull, StepId};
use crate::probe::machine::Account;
use crate::reachability::Seen;
use crate::run::dispatcher::faults::FaultId;
use crate::run::faults::{Mark, Refusal};
use crate::run::host_command;
use crate::run::post::{Answer, Ticket, Wish};
pub use crate::run::reports::CollectTask;
pub use crate::run::task::{
    CutTask, ExplainTask, Farewell, GatherTask, HookTask, InPlace, Leave, ProbeTask, Question,
    Seat, TrialTask, View,
};

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
    /// It was tried which networks can be dialled from here.
    GatewaysTried {
        /// Those that cannot.
        beyond: Vec<NetworkKey>,
    },
    /// The agent from which a service is tried was sent, or cannot be had.
    ObserverSent {
        /// The step.
        step: StepId,
        /// State and addresses of its container, where that has networks of its own.
        facts: Option<ContainerFacts>,
        /// Why there is none.
        problem: Option<String>,
    },
    /// The reachability matrix was tried.
    ReachabilityTried {
        /// The step.
        step: StepId,
        /// What was seen.
        seen: Box<Seen>,
    },
    /// It was tried what the kernel can do; with what it cannot, and why.
    FaultsTried(Result<Vec<(Need, String)>, Refusal>),
    /// Suites are listened to, or why not.
    PostOpened(Result<(), String>),
    /// A suite wishes something.
    Wished {
        /// By which it is answered.
        ticket: Ticket,
        /// The suite.
        suite: ServiceName,
        /// What.
        wish: Wish,
    },
    /// A fault is in effect, or why not.
    FaultBegun {
        /// The fault.
        id: FaultId,
        /// What was done.
        begun: Result<Mark, Refusal>,
    },
    /// A fault is in effect once more.
    FaultRenewed {
        /// The fault.
        id: FaultId,
        /// Whether it is.
        renewed: Result<(), Refusal>,
    },
    /// A fault is undone, or why not.
    FaultUndone {
        /// The fault.
        id: FaultId,
        /// Whether it is.
        undone: Result<(), Refusal>,
    },
    /// The in-network agent cannot be had, and why.
    NoAgent(String),
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
        /// What has become of each of its probes.
        accounts: Vec<Account>,
        /// Its last output.
        log_tail: Vec<String>,
    },
    /// What can be seen of why a service failed was looked at.
    Explained {
        /// The service.
        service: ServiceName,
        /// What was seen.
        seen: looks::Seen,
    },
    /// A container has ended and its output is complete.
    Exited {
        /// Its service.
        service: ServiceName,
        /// How it ended.
        exit: Exit,
        /// Its last output.
        log_tail: Vec<String>,
        /// What it has used, as far as it was seen.
        usage: Option<Usage>,
    },
    /// It was looked what a running container uses.
    Metered {
        /// Its service.
        service: ServiceName,
        /// What it has used so far.
        usage: Usage,
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
    /// Something has happened to the command on this host.
    Command(host_command::News),
    /// What services wrote while tests of a suite failed was looked up.
    WindowsCut {
        /// The suite.
        suite: ServiceName,
        /// For the cases where there was anything: the place of the report among those of the suite, that
        /// of the case in the report, and the text.
        cuts: Vec<(usize, usize, String)>,
    },
    /// Files of a container were kept.
    Gathered {
        /// Its service.
        owner: ServiceName,
        /// The directory that they were put into.
        directory: String,
        /// What was kept, and what was not.
        record: artifact::Record,
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
    /// Try which networks can be dialled from here, by their gateways.
    TryGateways(Vec<(NetworkKey, IpAddr)>),
    /// Send the agent through which probes dial onto these networks.
    StationAgent(Vec<(NetworkId, EndpointSpec)>),
    /// Send the agent from which a service is tried.
    SendObserver {
        /// The step.
        step: StepId,
        /// The replica, or the service that the agent stands in for.
        observer: ServiceName,
        /// Where to.
        seat: Seat,
    },
    /// Try the reachability matrix.
    TryReachability(StepId, Box<TrialTask>),
    /// Try what the kernel of the engine's host can do.
    TryFaults(Vec<Need>),
    /// Listen to suites on these networks, each of which is known by its word.
    OpenPost {
        /// The networks, and how the agent that listens hangs on them.
        networks: Vec<(NetworkId, EndpointSpec)>,
        /// The suites by their words.
        words: BTreeMap<String, ServiceName>,
    },
    /// Answer a wish.
    Answer(Ticket, Answer),
    /// Do a fault.
    BeginFault {
        /// The fault.
        id: FaultId,
        /// Who has wished it.
        suite: ServiceName,
        /// What it is.
        request: Request,
        /// Whom it meets.
        targets: Targets,
    },
    /// Do to packets once more what a fault does to them.
    RenewFault {
        /// The fault.
        id: FaultId,
        /// What was done.
        mark: Box<Mark>,
        /// What it is.
        request: Request,
        /// Whom it meets.
        targets: Targets,
    },
    /// Undo a fault.
    UndoFault(FaultId, Box<Mark>),
    /// Take the mark of a fault away that is over.
    ForgetFault(FaultId, Box<Mark>),
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
    /// Read the reports of a suite.
    Collect(Box<CollectTask>),
    /// Do something about the command on this host.
    Command(host_command::Deed),
    /// Look up what services wrote while tests of a suite failed.
    CutWindows(Box<CutTask>),
    /// Keep files of a container.
    Gather(Box<GatherTask>),
    /// Look at what says why a service has failed.
    Explain(Box<ExplainTask>),
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
    TearDown(Leave),
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

/// A timer of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    /// The limit of the whole run.
    Run,
    /// The lease is to be renewed.
    Lease,
    /// The limit of a suite, by the number of its attempt, or the deadline of a job.
    Container(ServiceName, u32),
    /// The pause before it is looked again whether a network can be created.
    Network(StepId),
    /// The pause before a container is started once more.
    Restart(ServiceName),
    /// The time of a fault.
    Fault(FaultId),
}
