//! The pure dispatcher: inputs → state, effects, events.
//!
//! Everything that is decided during a run is decided here, synchronously and without I/O: which
//! step may begin, what an exit means, when the run is over, what the verdict is. Time comes in as
//! the duration since the start of the run.

mod attempts;
mod begin;
mod evidence;
mod explaining;
pub mod faults;
mod holding;
mod hooks;
mod host_command;
mod images;
mod interruptions;
mod introduction;
mod judging;
mod lives;
mod networks;
mod order;
mod performed;
mod reachability;
mod restarts;
mod settings;
mod turns;
mod usage;
mod vantage;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

pub use self::settings::{EngineHost, Hold, HoldWhen, Settings};
use crate::engine::{ContainerFacts, Exit, ImageFacts};
use crate::event::Event;
use crate::lease;
use crate::name::{ContainerId, NetworkId, NetworkKey, ServiceName};
use crate::outcome::{Failure, FailureClass, LostAttempt, Outcome};
use crate::plan::injection::CopyIndex;
use crate::plan::{Action, ImageIndex, Plan, StepId, readiness};
use crate::run::effect::{Effect, Input, Timer};

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Pending,
    Running,
    Done,
    /// A suite that failed, or something that nobody requires: done for those who only want it to
    /// be over.
    Failed,
}

/// Where the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// What ends the run is known, and why is looked at.
    Explaining,
    Holding,
    TearingDown,
    Finished,
}

/// What is known of a service's container.
#[derive(Debug, Default)]
pub(super) struct ServiceState {
    container: Option<ContainerId>,
    /// When its container started last.
    pub(super) started_at: Option<Duration>,
    /// When its container started first, how often since, and when it may start again.
    restarts: restarts::Restarts,
    facts: Option<ContainerFacts>,
    hooks: hooks::HookState,
    /// `Some` once it is ready or completed.
    settled_at: Option<Duration>,
    /// It has ended with 0 as it may, and nobody waits for it any more.
    completed: bool,
    pub(super) exit: Option<Exit>,
    pub(super) timed_out: bool,
    /// When a suite ended, and its last output.
    ended: Option<(Duration, Vec<String>)>,
    /// Of a suite, the attempts that did not pass and were followed by another one.
    lost: Vec<LostAttempt>,
    /// What the readiness rules say; known once the image is.
    requirement: Option<readiness::Requirement>,
    /// What has happened to its container.
    history: explaining::History,
}

/// The state of a run.
pub struct Dispatcher {
    pub(super) plan: Plan,
    settings: Settings,
    phase: Phase,
    progress: Vec<Progress>,
    /// Where each action stands among the steps.
    steps: BTreeMap<Action, StepId>,
    begun: BTreeMap<StepId, Duration>,
    /// Version of the engine's API; known before anything begins.
    api: (u16, u16),
    images: BTreeMap<ImageIndex, ImageFacts>,
    networks: BTreeMap<NetworkKey, NetworkId>,
    fillers: BTreeMap<CopyIndex, ContainerId>,
    addresses: networks::Addresses,
    /// The networks on which the agent is through which probes dial.
    stationed: BTreeSet<NetworkKey>,
    /// Which networks this host reaches, for a command on it.
    reach: host_command::Reach,
    /// Whether it was told that there is no agent.
    lacks_agent: bool,
    /// The agents from which the reachability matrix is tried.
    observers: reachability::Observers,
    /// Images that are built because they could not be had by their name.
    pub(super) builds: BTreeSet<StepId>,
    pub(super) services: BTreeMap<ServiceName, ServiceState>,
    explaining: explaining::Explaining,
    faults: faults::Faults,
    evidence: evidence::Evidence,
    signals: u32,
    /// How often the lease was renewed.
    renewals: u32,
    pub(super) outcome: Outcome,
    effects: Vec<Effect>,
}

impl Dispatcher {
    /// A dispatcher at the beginning of a run.
    #[must_use]
    pub fn new(plan: Plan, settings: Settings, started: SystemTime) -> Self {
        let services = plan
            .services
            .keys()
            .map(|name| (name.clone(), ServiceState::default()))
            .collect();
        Self {
            progress: vec![Progress::Pending; plan.steps.len()],
            steps: plan
                .steps
                .iter()
                .enumerate()
                .map(|(number, step)| (step.action.clone(), StepId(number)))
                .collect(),
            plan,
            settings,
            phase: Phase::Running,
            begun: BTreeMap::new(),
            api: (0, 0),
            images: BTreeMap::new(),
            networks: BTreeMap::new(),
            fillers: BTreeMap::new(),
            addresses: networks::Addresses::default(),
            stationed: BTreeSet::new(),
            reach: host_command::Reach::default(),
            lacks_agent: false,
            observers: reachability::Observers::default(),
            builds: BTreeSet::new(),
            services,
            explaining: explaining::Explaining::default(),
            faults: faults::Faults::default(),
            evidence: evidence::Evidence::default(),
            signals: 0,
            renewals: 0,
            outcome: Outcome {
                failure: None,
                suites: Vec::new(),
                readiness: Vec::new(),
                without: Vec::new(),
                signal: None,
                teardown: None,
                held: None,
                report_problems: Vec::new(),
                usage: BTreeMap::new(),
                artifacts: BTreeMap::new(),
                reachability: None,
                started,
                duration: Duration::ZERO,
            },
            effects: Vec::new(),
        }
    }

    /// What the run has come to so far.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Takes one input, `now` after the start of the run, and says what to do about it, in order.
    #[must_use]
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Effect> {
        match input {
            Input::Begin => {
                self.begin();
                return std::mem::take(&mut self.effects);
            }
            Input::Signal(signal) => self.signal(now, signal),
            Input::TornDown(report) => self.torn_down(report),
            Input::Reported { problems, last } => self.reported(problems, last),
            Input::Held(problem) => self.held(problem),
            Input::NotHeld(error) => self.not_held(&error),
            Input::FarewellFailed { message } => self.report(Event::Warning { message }),
            Input::WindowsCut { suite, cuts } => {
                self.windows_cut(&suite, cuts);
                if self.phase == Phase::Running {
                    self.advance(now);
                }
            }
            Input::Metered { service, usage } => self.metered(service, usage),
            Input::Gathered {
                owner,
                directory,
                record,
            } => self.gathered(&owner, directory, record),
            input if self.phase == Phase::Explaining => self.while_explaining(now, input),
            // Once the verdict is out, nothing that still comes in can change it.
            _ if self.phase != Phase::Running => {}
            Input::EngineDescribed(capabilities) => self.engine_described(now, capabilities),
            Input::ImageObtained { step, facts } => self.image_obtained(now, step, facts),
            Input::NetworkCreated { step, id } => self.network_created(now, step, id),
            Input::GatewaysTried { beyond } => self.gateways_tried(beyond),
            Input::NoAgent(reason) => self.no_agent(&reason),
            Input::ObserverSent {
                step,
                facts,
                problem,
            } => self.observer_sent(now, step, facts, problem),
            Input::ReachabilityTried { step, seen } => self.reachability_tried(now, step, &seen),
            Input::NetworksListed { step, networks } => self.networks_listed(now, step, &networks),
            Input::StepDone { step } => self.step_done(now, step),
            Input::ContainerCreated { step, id } => self.container_created(now, step, id),
            Input::Started { step, facts } => self.started(now, step, facts),
            Input::Failed {
                step,
                error,
                log_tail,
            } => self.failed(now, step, &error, log_tail),
            Input::Restarted { service, facts } => self.restarted(now, &service, facts),
            Input::RestartFailed {
                service,
                error,
                log_tail,
            } => {
                let action = Action::StartContainer(service);
                let failure = verdict::step_failure(&self.plan, &action, &error, log_tail);
                self.abort(now, failure);
            }
            // What was probed has ended in the meantime, and the next start is probed anew.
            Input::Ready { service, start, .. }
            | Input::NotReady { service, start, .. }
            | Input::HooksDone { service, start }
            | Input::HookFailed { service, start, .. }
                if start != self.services[&service].restarts.starts => {}
            Input::HooksDone { service, .. } => self.hooks_done(now, &service),
            Input::HookFailed {
                service,
                message,
                output,
                running,
                ..
            } => self.hook_failed(now, &service, message, (output, running)),
            Input::Ready {
                service,
                by,
                attempts,
                ..
            } => self.ready(now, &service, by, attempts),
            Input::NotReady {
                service,
                accounts,
                log_tail,
                ..
            } => self.not_ready(now, &service, &accounts, log_tail),
            Input::Explained { service, seen } => self.explained(now, &service, &seen),
            Input::Exited {
                service,
                exit,
                log_tail,
                usage,
            } => {
                self.used(&service, usage);
                self.exited(now, &service, exit, log_tail);
            }
            Input::Collected {
                suite,
                reports,
                problem,
            } => {
                self.judge_suite(now, &suite, reports, problem);
            }
            Input::Command(news) => self.command_news(now, news),
            Input::FaultsTried(tried) => self.faults_tried(now, tried),
            Input::PostOpened(opened) => self.post_opened(now, opened),
            Input::Wished {
                ticket,
                suite,
                wish,
            } => self.wished(now, (ticket, &suite), wish),
            Input::FaultBegun { id, begun } => self.fault_begun(now, id, begun),
            Input::FaultRenewed { id, renewed } => self.fault_renewed(id, renewed),
            Input::FaultUndone { id, undone } => self.fault_undone(now, id, undone),
            Input::NotRenewed(error) => self.not_renewed(&error),
            Input::EngineLost(error) => self.abort(now, verdict::engine_lost(&error)),
            Input::Panicked(message) => self.bug(now, &message),
            Input::TimedOut(timer) => self.timed_out(now, timer),
        }
        if self.phase == Phase::Running {
            self.advance(now);
        }
        std::mem::take(&mut self.effects)
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn report(&mut self, event: Event) {
        self.effects.push(Effect::Report(event));
    }

    fn begin(&mut self) {
        let services = self.plan.services.keys().cloned().collect();
        let suites = self
            .plan
            .suites()
            .map(|planned| planned.service.name.clone())
            .chain(self.matrix_suite())
            .chain(self.command_suite())
            .collect();
        self.report(Event::RunStarted {
            run: self.plan.run,
            project: self.plan.project.clone(),
            version: env!("CARGO_PKG_VERSION"),
            services,
            suites,
        });
        if let Some(limit) = self.plan.timeout.filter(|limit| !limit.is_zero()) {
            self.effect(Effect::StartTimer(Timer::Run, limit));
        }
        self.effect(Effect::StartTimer(Timer::Lease, lease::RENEWAL));
        self.effect(Effect::Describe);
    }

    pub(super) fn step_of(&self, action: &Action) -> Option<StepId> {
        self.steps.get(action).copied()
    }

    fn container(&self, name: &ServiceName) -> Option<ContainerId> {
        self.services
            .get(name)
            .and_then(|state| state.container.clone())
    }

    fn bug(&mut self, now: Duration, what: &str) {
        let failure = Failure {
            class: FailureClass::Bug,
            kind: "Bug",
            service: None,
            message: format!("envrun lost track of its own run: {what}"),
            log_tail: Vec::new(),
            hint: Some("please report this with the file `events.jsonl` of the run".to_owned()),
            explanation: None,
        };
        self.abort(now, failure);
    }

    fn torn_down(&mut self, report: crate::outcome::TeardownReport) {
        if self.phase == Phase::Finished {
            return;
        }
        self.phase = Phase::Finished;
        self.outcome.teardown = Some(report.clone());
        let run = self.plan.run;
        self.report(Event::TeardownFinished { run, report });
        self.effect(Effect::WriteReports { last: true });
    }

    fn reported(&mut self, problems: Vec<String>, last: bool) {
        self.outcome.report_problems = problems;
        if last {
            self.effect(Effect::Finish);
        }
    }
}
