//! The pure dispatcher: inputs → state, effects, events.
//!
//! Everything that is decided during a run is decided here, synchronously and without I/O: which step may begin, what an exit
//! means, when the run is over, what the verdict is. Time comes in as the duration since the start of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::effect::{Effect, Input, ProbeTask, Timer, Work};
use super::verdict;
use crate::config::model::Role;
use crate::engine::{
    Capabilities, ContainerFacts, EngineError, Exit, FailureKind, ImageFacts, NetworkAddress,
    Subnet,
};
use crate::event::Event;
use crate::exit_code::Signal;
use crate::name::{ContainerId, NetworkId, NetworkKey, ServiceName};
use crate::outcome::{Failure, FailureClass, Outcome, Readiness};
use crate::plan::subnet::Candidates;
use crate::plan::{
    Action, ImageIndex, Plan, PlannedImage, PlannedNetwork, PlannedService, StepId, container,
    readiness,
};

/// What the run is given besides the plan.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Pool that subnets are taken from.
    pub subnet_pool: Subnet,
    /// Subnets that must not be touched: routes of the host.
    pub avoid_subnets: Vec<Subnet>,
    /// How many containers are started at once. The engine saturates early, and more at once only makes each slower.
    pub concurrent_starts: usize,
    /// How many subnets are tried before the pool counts as exhausted.
    pub subnet_attempts: u32,
}

/// First API version whose build endpoint takes BuildKit (Docker 18.09).
const BUILDKIT_API: (u16, u16) = (1, 39);

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Pending,
    Running,
    Done,
    /// A suite that failed: done for those who only want it to be over.
    Failed,
}

/// Where the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    TearingDown,
    Finished,
}

/// What is known of a service's container.
#[derive(Debug, Default)]
pub(super) struct ServiceState {
    container: Option<ContainerId>,
    pub(super) started_at: Option<Duration>,
    facts: Option<ContainerFacts>,
    /// `Some` once it is ready or completed.
    settled_at: Option<Duration>,
    pub(super) exit: Option<Exit>,
    pub(super) timed_out: bool,
    /// When a suite ended, and its last output.
    ended: Option<(Duration, Vec<String>)>,
    /// What the readiness rules say; known once the image is.
    requirement: Option<readiness::Requirement>,
}

/// The state of a run.
pub struct Dispatcher {
    pub(super) plan: Plan,
    settings: Settings,
    phase: Phase,
    progress: Vec<Progress>,
    begun: BTreeMap<StepId, Duration>,
    images: BTreeMap<ImageIndex, ImageFacts>,
    networks: BTreeMap<NetworkKey, NetworkId>,
    subnets: BTreeMap<NetworkKey, (Candidates, Option<Subnet>)>,
    pub(super) services: BTreeMap<ServiceName, ServiceState>,
    signals: u32,
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
            plan,
            settings,
            phase: Phase::Running,
            begun: BTreeMap::new(),
            images: BTreeMap::new(),
            networks: BTreeMap::new(),
            subnets: BTreeMap::new(),
            services,
            signals: 0,
            outcome: Outcome {
                failure: None,
                suites: Vec::new(),
                readiness: Vec::new(),
                signal: None,
                teardown: None,
                report_problems: Vec::new(),
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
            Input::TornDown(report) => self.torn_down(now, report),
            Input::ReportProblems(problems) => self.outcome.report_problems = problems,
            // Once the verdict is out, nothing that still comes in can change it.
            _ if self.phase != Phase::Running => {}
            Input::EngineDescribed(capabilities) => self.engine_described(now, capabilities),
            Input::ImageObtained { step, facts } => self.image_obtained(now, step, facts),
            Input::NetworkCreated { step, id } => self.network_created(now, step, id),
            Input::StepDone { step } => self.step_done(now, step),
            Input::ContainerCreated { step, id } => self.container_created(now, step, id),
            Input::Started { step, facts } => self.started(now, step, facts),
            Input::Failed {
                step,
                error,
                log_tail,
            } => self.failed(now, step, &error, log_tail),
            Input::Ready {
                service,
                by,
                attempts,
            } => self.ready(now, &service, by, attempts),
            Input::NotReady {
                service,
                summary,
                log_tail,
            } => self.not_ready(now, &service, &summary, log_tail),
            Input::Exited {
                service,
                exit,
                log_tail,
            } => self.exited(now, &service, exit, log_tail),
            Input::Collected {
                suite,
                reports,
                problem,
            } => {
                verdict::judge_suite(self, now, &suite, reports, problem);
            }
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
        self.effect(Effect::Describe);
    }

    /// Nothing begins before the engine has said who it is. What it cannot do is an error now, not half-way.
    fn engine_described(&mut self, now: Duration, capabilities: Capabilities) {
        let (major, minor) = capabilities.api;
        self.report(Event::EngineFound {
            product: capabilities.product,
            version: capabilities.version,
            api: format!("{major}.{minor}"),
        });
        let builds = self
            .plan
            .images
            .iter()
            .any(|image| matches!(image, PlannedImage::Build(_)));
        if builds && (major, minor) < BUILDKIT_API {
            self.abort(now, verdict::engine_too_old((major, minor), BUILDKIT_API));
        }
    }

    /// Begins every step that may begin, longest chain first; concludes when every suite is judged.
    fn advance(&mut self, now: Duration) {
        verdict::skip_unreachable_suites(self);
        if self.outcome.suites.len() == self.plan.suites().count() {
            verdict::conclude(self, now);
            self.phase = Phase::TearingDown;
            return;
        }
        let mut ready: Vec<StepId> = (0..self.plan.steps.len())
            .map(StepId)
            .filter(|step| self.progress[step.0] == Progress::Pending && self.may_begin(*step))
            .collect();
        ready.sort_by_key(|step| (std::cmp::Reverse(self.plan.steps[step.0].chain), step.0));
        let starting = |progress: &[Progress], plan: &Plan| {
            plan.steps
                .iter()
                .zip(progress)
                .filter(|(step, progress)| {
                    matches!(step.action, Action::StartContainer(_))
                        && **progress == Progress::Running
                })
                .count()
        };
        for step in ready {
            let is_start = matches!(self.plan.steps[step.0].action, Action::StartContainer(_));
            if !is_start
                || starting(&self.progress, &self.plan) < self.settings.concurrent_starts.max(1)
            {
                self.begin_step(now, step);
            }
        }
    }

    fn may_begin(&self, step: StepId) -> bool {
        self.plan.steps[step.0]
            .needs
            .iter()
            .all(|need| match self.progress[need.step.0] {
                Progress::Done => true,
                Progress::Failed => !need.success,
                Progress::Pending | Progress::Running => false,
            })
    }

    /// Whether a step waits, directly or not, for the success of a suite that has failed.
    pub(super) fn can_never_begin(&self, step: StepId) -> bool {
        let mut open = vec![step];
        let mut seen = BTreeSet::new();
        while let Some(step) = open.pop() {
            if !seen.insert(step) || self.progress[step.0] != Progress::Pending {
                continue;
            }
            for need in &self.plan.steps[step.0].needs {
                if need.success && self.progress[need.step.0] == Progress::Failed {
                    return true;
                }
                open.push(need.step);
            }
        }
        false
    }

    pub(super) fn step_of(&self, action: &Action) -> Option<StepId> {
        self.plan
            .steps
            .iter()
            .position(|step| step.action == *action)
            .map(StepId)
    }

    fn begin_step(&mut self, now: Duration, id: StepId) {
        self.progress[id.0] = Progress::Running;
        self.begun.insert(id, now);
        let step = self.plan.steps[id.0].clone();
        self.report(Event::StepStarted {
            step: id.0,
            what: self.plan.describe(&step.action),
            cause: step.cause.clone(),
        });
        let work = match &step.action {
            Action::ObtainImage(index) => match &self.plan.images[index.0] {
                PlannedImage::Reference(reference) => Work::ObtainImage(reference.clone()),
                PlannedImage::Build(spec) => Work::BuildImage(spec.clone()),
            },
            Action::CreateNetwork(key) => return self.begin_network(now, id, &key.clone(), None),
            Action::CreateVolume(key) => match &self.plan.volumes[key] {
                crate::plan::PlannedVolume::Owned(spec) => Work::CreateVolume(spec.clone()),
                crate::plan::PlannedVolume::External(_) => return self.step_done(now, id),
            },
            Action::CreateContainer(name) => {
                let planned = &self.plan.services[name];
                let Some(image) = self.images.get(&planned.image) else {
                    return self.bug(now, &format!("the image of `{name}` is not known"));
                };
                let spec = container::specification(&self.plan, planned, image, &self.networks);
                Work::CreateContainer(Box::new(spec))
            }
            Action::ConnectNetwork(name, key) => {
                let endpoint = container::endpoint(&self.plan.services[name], key);
                match (self.networks.get(key).cloned(), self.container(name)) {
                    (Some(network), Some(container)) => Work::Connect {
                        network,
                        container,
                        endpoint,
                    },
                    _ => {
                        return self.bug(now, &format!("`{name}` or network `{key}` is not known"));
                    }
                }
            }
            Action::StartContainer(name) => match self.container(name) {
                Some(container) => Work::Start {
                    service: name.clone(),
                    container,
                },
                None => return self.bug(now, &format!("the container of `{name}` is not known")),
            },
            Action::AwaitReady(name) => return self.begin_wait(now, &name.clone()),
            // The exit is watched from the start on.
            Action::AwaitCompleted(_) | Action::AwaitSuite(_) => return,
        };
        self.effect(Effect::Perform(id, work));
    }

    fn container(&self, name: &ServiceName) -> Option<ContainerId> {
        self.services
            .get(name)
            .and_then(|state| state.container.clone())
    }

    /// Creates a network on the next subnet of its candidates.
    fn begin_network(
        &mut self,
        now: Duration,
        id: StepId,
        key: &NetworkKey,
        refusal: Option<&EngineError>,
    ) {
        match self.plan.networks.get(key).cloned() {
            Some(PlannedNetwork::External(name)) => {
                self.effect(Effect::Perform(id, Work::FindNetwork(name)))
            }
            Some(PlannedNetwork::Owned { mut spec, prefix }) => {
                let settings = &self.settings;
                let (candidates, chosen) = self.subnets.entry(key.clone()).or_insert_with(|| {
                    let candidates = Candidates::new(
                        self.plan.run,
                        key,
                        prefix,
                        settings.subnet_pool,
                        &settings.avoid_subnets,
                    );
                    (candidates, None)
                });
                *chosen = if candidates.tried() < settings.subnet_attempts {
                    candidates.next()
                } else {
                    None
                };
                if chosen.is_none() {
                    let last = refusal
                        .map(|error| format!(", last answer: {}", error.message))
                        .unwrap_or_default();
                    let failure = Failure {
                        class: FailureClass::Engine,
                        kind: "AddressPoolExhausted",
                        service: None,
                        message: format!(
                            "no free subnet for network `{key}` in pool `{}` after {} attempts{last}",
                            settings.subnet_pool,
                            candidates.tried(),
                        ),
                        log_tail: Vec::new(),
                        hint: Some(
                            "remove networks that are no longer used, or choose another pool"
                                .to_owned(),
                        ),
                    };
                    return self.abort(now, failure);
                }
                spec.subnet = *chosen;
                self.effect(Effect::Perform(id, Work::CreateNetwork(spec)));
            }
            None => self.bug(now, &format!("network `{key}` is not planned")),
        }
    }

    fn begin_wait(&mut self, now: Duration, name: &ServiceName) {
        let planned = &self.plan.services[name];
        let Some(image) = self.images.get(&planned.image) else {
            return self.bug(now, &format!("the image of `{name}` is not known"));
        };
        let requirement = readiness::requirement(&planned.service, image);
        let reason = requirement.reason.clone();
        let state = self.services.entry(name.clone()).or_default();
        state.requirement = Some(requirement.clone());
        if state.exit.is_some() {
            return;
        }
        let (Some(container), Some(started)) = (state.container.clone(), state.started_at) else {
            return self.bug(now, &format!("`{name}` is waited for before its start"));
        };
        if requirement.probes.is_empty() {
            return self.ready(now, name, reason, 0);
        }
        let address = self.address(name);
        self.effect(Effect::Probe(Box::new(ProbeTask {
            service: name.clone(),
            container,
            address,
            requirement,
            started,
        })));
    }

    /// The address of a service that probes dial: on its first network that has one. Where the engine names no gateway (`internal`
    /// networks), the first address of the subnet is the host's.
    fn address(&self, name: &ServiceName) -> Option<NetworkAddress> {
        let planned = self.plan.services.get(name)?;
        let facts = self.services.get(name)?.facts.as_ref()?;
        planned.networks.iter().find_map(|key| {
            let mut address = *facts.addresses.get(self.networks.get(key)?)?;
            if address.gateway.is_none() {
                let subnet = self.subnets.get(key).and_then(|(_, chosen)| *chosen);
                address.gateway = subnet.map(|subnet| subnet.gateway().into());
            }
            Some(address)
        })
    }

    fn step_done(&mut self, now: Duration, id: StepId) {
        self.progress[id.0] = Progress::Done;
        let duration = now.saturating_sub(self.begun.get(&id).copied().unwrap_or(now));
        let what = self.plan.describe(&self.plan.steps[id.0].action);
        self.report(Event::StepFinished {
            step: id.0,
            what,
            duration,
        });
    }

    fn image_obtained(&mut self, now: Duration, step: StepId, facts: ImageFacts) {
        if let Action::ObtainImage(index) = self.plan.steps[step.0].action {
            self.images.insert(index, facts);
        }
        self.step_done(now, step);
    }

    fn network_created(&mut self, now: Duration, step: StepId, id: NetworkId) {
        if let Action::CreateNetwork(key) = &self.plan.steps[step.0].action {
            self.networks.insert(key.clone(), id);
        }
        self.step_done(now, step);
    }

    fn container_created(&mut self, now: Duration, step: StepId, id: ContainerId) {
        if let Action::CreateContainer(name) = &self.plan.steps[step.0].action {
            self.services.entry(name.clone()).or_default().container = Some(id);
        }
        self.step_done(now, step);
    }

    fn started(&mut self, now: Duration, step: StepId, facts: ContainerFacts) {
        let Action::StartContainer(name) = self.plan.steps[step.0].action.clone() else {
            return self.bug(now, "a start was answered that was not asked for");
        };
        let host_ports = facts
            .host_ports
            .iter()
            .flat_map(|(port, hosts)| hosts.iter().map(move |host| format!("{port} -> {host}")))
            .collect();
        let state = self.services.entry(name.clone()).or_default();
        state.started_at = Some(now);
        state.facts = Some(facts);
        let container = state.container.clone();
        self.step_done(now, step);
        let planned = &self.plan.services[&name];
        match planned.service.suite.as_ref().map(|suite| suite.timeout) {
            Some(timeout) => {
                if let Some(limit) = timeout.filter(|limit| !limit.is_zero()) {
                    self.effect(Effect::StartTimer(Timer::Suite(name.clone()), limit));
                }
                self.report(Event::SuiteStarted {
                    suite: name.clone(),
                });
            }
            None => self.report(Event::ServiceStarted {
                service: name.clone(),
                host_ports,
            }),
        }
        if let Some(container) = container {
            self.effect(Effect::Watch {
                service: name,
                container,
            });
        }
    }

    fn ready(&mut self, now: Duration, name: &ServiceName, by: String, attempts: u32) {
        let Some(step) = self.step_of(&Action::AwaitReady(name.clone())) else {
            return;
        };
        if self.progress[step.0] != Progress::Running {
            return;
        }
        let after = self.settle(now, name, None);
        self.report(Event::ServiceReady {
            service: name.clone(),
            after,
            by,
            attempts,
        });
        self.step_done(now, step);
    }

    /// Notes that a service is ready, completed or failed, once; returns the time since its start.
    fn settle(&mut self, now: Duration, name: &ServiceName, problem: Option<Failure>) -> Duration {
        let state = self.services.entry(name.clone()).or_default();
        let after = now.saturating_sub(state.started_at.unwrap_or(now));
        if state.settled_at.is_none() || problem.is_some() {
            state.settled_at = Some(now);
            self.outcome.readiness.push(Readiness {
                service: name.clone(),
                duration: after,
                problem,
            });
        }
        after
    }

    fn not_ready(
        &mut self,
        now: Duration,
        name: &ServiceName,
        summary: &str,
        log_tail: Vec<String>,
    ) {
        let state = self.services.get(name);
        let started = state.and_then(|state| state.started_at).unwrap_or(now);
        let reason = state
            .and_then(|state| state.requirement.as_ref())
            .map(|requirement| requirement.reason.clone())
            .unwrap_or_default();
        let failure = Failure {
            class: FailureClass::Environment,
            kind: "NotReady",
            service: Some(name.clone()),
            message: format!(
                "service `{name}` not ready after {} ({summary}; probed because of {reason})",
                verdict::seconds(now.saturating_sub(started)),
            ),
            log_tail,
            hint: Some(format!(
                "say what ready means with `x-envrun: {{ ready: {{ … }} }}` on `{name}`; `ready.deadline` sets the limit"
            )),
        };
        self.settle(now, name, Some(failure.clone()));
        self.abort(now, failure);
    }

    fn exited(&mut self, now: Duration, name: &ServiceName, exit: Exit, log_tail: Vec<String>) {
        let Some(planned) = self.plan.services.get(name).cloned() else {
            return;
        };
        self.services.entry(name.clone()).or_default().exit = Some(exit.clone());
        match planned.service.role {
            Role::Suite => verdict::suite_exited(self, now, &planned, log_tail),
            Role::Job | Role::Service => self.service_exited(now, &planned, exit, log_tail),
        }
    }

    fn service_exited(
        &mut self,
        now: Duration,
        planned: &PlannedService,
        exit: Exit,
        log_tail: Vec<String>,
    ) {
        let name = &planned.service.name;
        let is_job = planned.service.role == Role::Job;
        let state = &self.services[name];
        // The wait may not have begun yet, so the rules are asked here and not looked up.
        let declared = self
            .images
            .get(&planned.image)
            .is_some_and(|image| readiness::requirement(&planned.service, image).declared);
        let was_ready = state.settled_at.is_some();
        if exit.code == Some(0) && (is_job || !declared) {
            self.effect(Effect::StopProbe(name.clone()));
            let after = self.settle(now, name, None);
            self.report(Event::ServiceCompleted {
                service: name.clone(),
                after,
            });
            for action in [
                Action::AwaitReady(name.clone()),
                Action::AwaitCompleted(name.clone()),
            ] {
                if let Some(step) = self.step_of(&action)
                    && matches!(self.progress[step.0], Progress::Pending | Progress::Running)
                {
                    self.step_done(now, step);
                }
            }
            return;
        }
        self.report(Event::ServiceDied {
            service: name.clone(),
            exit: exit.clone(),
        });
        let (kind, message) = match (is_job, was_ready) {
            (true, _) => ("JobFailed", format!("job `{name}` {exit}")),
            (false, false) => (
                "Died",
                format!("service `{name}` {exit} before it was ready"),
            ),
            (false, true) => (
                "Died",
                format!("service `{name}` {exit} while the run was going on"),
            ),
        };
        let hint = exit.oom_killed.then(|| {
            format!("raise `mem_limit` of `{name}`, or give the engine's host more memory")
        });
        let failure = Failure {
            class: FailureClass::Environment,
            kind,
            service: Some(name.clone()),
            message,
            log_tail,
            hint,
        };
        self.settle(now, name, Some(failure.clone()));
        self.abort(now, failure);
    }

    fn failed(&mut self, now: Duration, step: StepId, error: &EngineError, log_tail: Vec<String>) {
        let action = self.plan.steps[step.0].action.clone();
        if let (Action::CreateNetwork(key), FailureKind::SubnetTaken) = (&action, error.kind) {
            return self.begin_network(now, step, key, Some(error));
        }
        self.abort(now, verdict::step_failure(&action, error, log_tail));
    }

    fn timed_out(&mut self, now: Duration, timer: Timer) {
        match timer {
            Timer::Run => {
                let limit = self.plan.timeout.unwrap_or_default();
                let failure = Failure {
                    class: FailureClass::Environment,
                    kind: "Timeout",
                    service: None,
                    message: format!("the run was not over after {}", verdict::seconds(limit)),
                    log_tail: Vec::new(),
                    hint: Some("raise `x-envrun.timeout` at the top of the file".to_owned()),
                };
                verdict::cut_off_suites(self, now);
                self.abort(now, failure);
            }
            Timer::Suite(name) => {
                let state = self.services.entry(name.clone()).or_default();
                if state.exit.is_none()
                    && let Some(container) = state.container.clone()
                {
                    state.timed_out = true;
                    self.effect(Effect::Kill {
                        service: name,
                        container,
                    });
                }
            }
        }
    }

    fn signal(&mut self, now: Duration, signal: Signal) {
        self.signals = self.signals.saturating_add(1);
        self.report(Event::SignalReceived { signal });
        if self.phase == Phase::Running {
            self.outcome.signal = Some(signal);
            let failure = Failure {
                class: FailureClass::Interrupted,
                kind: "Interrupted",
                service: None,
                message: format!("the run was ended by {}", signal.name()),
                log_tail: Vec::new(),
                hint: None,
            };
            self.abort(now, failure);
        } else if self.signals >= 3 {
            self.effect(Effect::GiveUp);
        }
    }

    /// Ends the run: verdict first, then teardown.
    pub(super) fn abort(&mut self, now: Duration, failure: Failure) {
        if self.phase != Phase::Running {
            return;
        }
        self.report(Event::RunAborted {
            failure: failure.clone(),
        });
        self.outcome.failure = Some(failure);
        verdict::conclude(self, now);
        self.phase = Phase::TearingDown;
    }

    fn bug(&mut self, now: Duration, what: &str) {
        let failure = Failure {
            class: FailureClass::Bug,
            kind: "Bug",
            service: None,
            message: format!("envrun lost track of its own run: {what}"),
            log_tail: Vec::new(),
            hint: Some("please report this with the file `events.jsonl` of the run".to_owned()),
        };
        self.abort(now, failure);
    }

    fn torn_down(&mut self, now: Duration, report: crate::outcome::TeardownReport) {
        if self.phase == Phase::Finished {
            return;
        }
        self.phase = Phase::Finished;
        self.outcome.teardown = Some(report.clone());
        self.report(Event::TeardownFinished { report });
        self.effect(Effect::WriteReports);
        self.effect(Effect::Finish { after: now });
    }

    /// Notes the end of a suite.
    pub(super) fn suite_ended(&mut self, now: Duration, name: &ServiceName, log_tail: Vec<String>) {
        self.services.entry(name.clone()).or_default().ended = Some((now, log_tail));
    }

    /// Where the reports of a suite are read from: its container, and the working directory in it.
    pub(super) fn collection_of(&self, name: &ServiceName) -> Option<(ContainerId, String)> {
        let state = self.services.get(name)?;
        Some((
            state.container.clone()?,
            state.facts.as_ref()?.working_dir.clone(),
        ))
    }

    /// When a suite started, on the wall clock.
    pub(super) fn wall_clock_start(&self, name: &ServiceName) -> Option<SystemTime> {
        let started = self.services.get(name)?.started_at?;
        self.outcome.started.checked_add(started)
    }

    /// From the start of a suite to its end, or to now.
    pub(super) fn suite_duration(&self, now: Duration, name: &ServiceName) -> Duration {
        let Some(state) = self.services.get(name) else {
            return Duration::ZERO;
        };
        let end = state.ended.as_ref().map_or(now, |(end, _)| *end);
        state
            .started_at
            .map_or(Duration::ZERO, |started| end.saturating_sub(started))
    }

    /// The last output of a suite.
    pub(super) fn suite_tail(&self, name: &ServiceName) -> Vec<String> {
        let ended = self
            .services
            .get(name)
            .and_then(|state| state.ended.as_ref());
        ended.map(|(_, tail)| tail.clone()).unwrap_or_default()
    }

    /// Marks the wait for a suite as over.
    pub(super) fn suite_done(&mut self, now: Duration, name: &ServiceName, passed: bool) {
        if let Some(step) = self.step_of(&Action::AwaitSuite(name.clone())) {
            self.step_done(now, step);
            if !passed {
                self.progress[step.0] = Progress::Failed;
            }
        }
    }
}
