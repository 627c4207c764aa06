//! The executor: performs effects, turns what happens into inputs, decides nothing.
//!
//! Mutating engine calls run in spawned tasks that are never aborted. Pulls, builds, uploads,
//! probes and timers are the exception: they are dropped when the run is abandoned, since dropping
//! their connection ends them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use tokio::sync::{mpsc, oneshot};

use super::agents::Agents;
use super::effect::{CutTask, Effect, GatherTask, Input};
use super::faults::Faults;
use super::following::Following;
use super::hearing::Listeners;
use super::host_command::{self, Deed, Urgency};
use super::looking::Scouts;
use super::metering::{self, Meter};
use super::observing::{self, Observers};
use super::output::Tails;
use super::post::{self, Waiting};
use super::recent::Recent;
use super::shared::Shared;
use super::spool::Spools;
use super::teardown::{self, Limits};
use super::watch::{kill, watch};
use super::{Wiring, gathering, hooks, looking, readying, reports, trying};
use crate::clock::{self, Instant};
use crate::engine::{Capabilities, Engine, EngineError, FailureKind};
use crate::name::ServiceName;
use crate::outcome::Outcome;
use crate::plan::agent::Kit;

/// How long teardown waits for the reports of the verdict. A directory that is slower gets them while
/// everything is removed.
const VERDICT_FIRST: Duration = Duration::from_secs(2);

/// How long a run that leaves its environment to a person waits for what is kept of it.
const HELD_GATHERING: Duration = Duration::from_secs(60);

/// How long the engine may take to say who it is. A healthy one takes milliseconds.
const INTRODUCTION: Duration = Duration::from_secs(30);

/// How long the end of a command may take when the run is left at once; the watchdog does the rest.
const LEAVING: Duration = Duration::from_millis(200);

/// Whether the run goes on.
pub(super) enum Flow {
    /// It goes on.
    On,
    /// It is over.
    Over,
}

pub(super) struct Executor {
    pub(super) shared: Arc<Shared>,
    pub(super) wiring: Wiring,
    limits: Limits,
    /// What is dropped when the run is abandoned.
    pub(super) droppable: Vec<AbortHandle>,
    probes: BTreeMap<ServiceName, AbortHandle>,
    hooks: BTreeMap<ServiceName, AbortHandle>,
    /// Ends the time that containers are given before they are removed.
    hurry: Option<oneshot::Sender<()>>,
    /// Fires when the reports of the verdict are written.
    reported: Option<oneshot::Receiver<()>>,
    /// The command on this host, once it was begun.
    command: Option<host_command::Held>,
    /// How long its end may take to be over.
    patience: Duration,
    /// What is being kept of containers: each ends when it is.
    gatherings: Vec<oneshot::Receiver<()>>,
    /// What there is of the output of each container that was started and is not watched yet.
    pub(super) following: BTreeMap<ServiceName, Following>,
}

impl Executor {
    pub(super) fn new(
        wiring: Wiring,
        kit: Kit,
        (listeners, spools): (Listeners, Spools),
        inputs: mpsc::UnboundedSender<Input>,
        begun: Instant,
    ) -> Self {
        let run = wiring.ledger.run();
        let agents = Agents::new(
            kit.clone(),
            Arc::clone(&wiring.engine),
            Arc::clone(&wiring.ledger),
            Arc::clone(&wiring.gate),
        );
        let faults = Faults::new(run, kit, Arc::clone(&wiring.engine), Arc::clone(&agents));
        Self {
            shared: Arc::new(Shared {
                run,
                engine: Arc::clone(&wiring.engine),
                recorder: Arc::clone(&wiring.recorder),
                tails: Tails::default(),
                meter: Meter::default(),
                recent: Recent::default(),
                masker: wiring.masker.clone(),
                scouts: Scouts::default(),
                listeners,
                spools,
                observers: Observers::default(),
                agents,
                faults: Arc::new(faults),
                waiting: Waiting::default(),
                inputs,
                begun,
                seen: Mutex::default(),
            }),
            limits: wiring.limits,
            wiring,
            droppable: Vec::new(),
            probes: BTreeMap::new(),
            hooks: BTreeMap::new(),
            hurry: None,
            reported: None,
            command: None,
            patience: host_command::END,
            gatherings: Vec::new(),
            following: BTreeMap::new(),
        }
    }

    /// Performs one effect. Nothing is waited for here, so that a signal never waits either.
    pub(super) fn perform(&mut self, effect: Effect, outcome: &Outcome) -> Flow {
        match effect {
            Effect::Report(event) => self
                .shared
                .recorder
                .event(self.shared.begun.elapsed(), event),
            Effect::Describe => {
                let shared = Arc::clone(&self.shared);
                self.spawn_droppable(
                    async move {
                        match introduction(shared.engine.as_ref()).await {
                            Ok(capabilities) => {
                                shared.agents.host_is(&capabilities.architecture);
                                shared.send(Input::EngineDescribed(capabilities));
                            }
                            Err(error) => shared.send(Input::EngineLost(error)),
                        }
                    }
                    .boxed(),
                );
            }
            Effect::Perform(step, work) => self.work(step, work),
            Effect::Probe(task) => {
                let service = task.service.clone();
                let probing = readying::until_ready(
                    Arc::clone(&self.shared),
                    Arc::clone(&self.wiring.prober),
                    *task,
                );
                let handle = self.spawn_droppable(probing.boxed());
                self.probes.insert(service, handle);
            }
            Effect::TryGateways(gateways) => {
                let prober = &self.wiring.prober;
                let beyond = gateways.into_iter();
                let beyond = beyond.filter(|(_, gateway)| !prober.reaches(*gateway));
                let beyond = beyond.map(|(key, _)| key).collect();
                self.shared.send(Input::GatewaysTried { beyond });
            }
            Effect::StationAgent(networks) => {
                let shared = Arc::clone(&self.shared);
                self.spawn(
                    async move {
                        if let Some(reason) = shared.agents.take_station(networks).await {
                            shared.send(Input::NoAgent(reason.to_string()));
                        }
                    }
                    .boxed(),
                );
            }
            Effect::SendObserver {
                step,
                observer,
                seat,
            } => {
                let shared = Arc::clone(&self.shared);
                self.spawn(observing::send(shared, step, observer, seat).boxed());
            }
            Effect::TryReachability(step, task) => {
                let shared = Arc::clone(&self.shared);
                self.spawn_droppable(trying::try_all(shared, step, *task).boxed());
            }
            Effect::StopProbe(service) => {
                if let Some(handle) = self.probes.remove(&service) {
                    handle.abort();
                }
            }
            Effect::RunHooks(task) => {
                let service = task.service.clone();
                let running = hooks::post_start(Arc::clone(&self.shared), *task);
                let handle = self.spawn_droppable(running.boxed());
                self.hooks.insert(service, handle);
            }
            Effect::StopHooks(service) => {
                if let Some(handle) = self.hooks.remove(&service) {
                    handle.abort();
                }
            }
            Effect::Watch { service, container } => {
                let following = self.following.remove(&service);
                let shared = Arc::clone(&self.shared);
                // Here, so that it has begun before the end can be noticed.
                let ended = shared.meter.begin(&container);
                let subject = (service.clone(), container.clone());
                let measuring = metering::measure(shared, subject, ended);
                self.spawn_droppable(measuring.boxed());
                self.spawn(watch(Arc::clone(&self.shared), service, container, following).boxed());
            }
            Effect::Restart { service, container } => {
                self.shared.faults.started_anew(&container);
                self.restart(service, container);
            }
            Effect::OpenPost { networks, words } => {
                let opening = post::open(Arc::clone(&self.shared), networks, words);
                self.spawn_droppable(opening.boxed());
            }
            Effect::Answer(ticket, answer) => self.shared.waiting.answer(ticket, answer),
            fault @ (Effect::TryFaults(_)
            | Effect::BeginFault { .. }
            | Effect::RenewFault { .. }
            | Effect::UndoFault(..)
            | Effect::ForgetFault(..)) => self.disturb(fault),
            Effect::Kill(container) => {
                self.spawn(kill(Arc::clone(&self.shared), container).boxed());
            }
            Effect::Collect(task) => {
                let collecting = reports::collect(Arc::clone(&self.shared), *task);
                self.spawn_droppable(collecting.boxed());
            }
            Effect::Command(deed) => self.command(deed),
            Effect::Explain(task) => {
                let looking = looking::explain(Arc::clone(&self.shared), *task);
                self.spawn_droppable(looking.boxed());
            }
            Effect::StartTimer(timer, limit) => {
                let shared = Arc::clone(&self.shared);
                self.spawn_droppable(
                    async move {
                        clock::pause(limit).await;
                        shared.send(Input::TimedOut(timer));
                    }
                    .boxed(),
                );
            }
            Effect::Abandon => {
                self.end_command(Urgency::Soon);
                self.shared.agents.close();
                self.shared.waiting.close();
                self.droppable.drain(..).for_each(|handle| handle.abort());
            }
            Effect::WriteReports { last } => self.write_reports(outcome.clone(), last),
            Effect::CutWindows(task) => self.cut_windows(*task, outcome.started),
            Effect::Gather(task) => self.gather(*task),
            Effect::TearDown(leave) => {
                let shared = Arc::clone(&self.shared);
                let gatherings = std::mem::take(&mut self.gatherings);
                let ledger = Arc::clone(&self.wiring.ledger);
                let limits = self.limits;
                let (hurry, hurried) = oneshot::channel();
                self.hurry = Some(hurry);
                let reported = self.reported.take();
                // Not `spawn`: teardown must not share the fate of anything.
                tokio::spawn(async move {
                    let hurried = hurried.map(drop).boxed().shared();
                    let settled = gathering::settle(gatherings, leave.limit, hurried.clone());
                    let verdict = async {
                        if let Some(reported) = reported {
                            let _ = clock::within(VERDICT_FIRST, reported).await;
                        }
                        hooks::farewell(&shared, leave.farewells, hurried.clone()).await;
                        let late = leave.gather.into_iter();
                        let late = late.map(|task| begin_gathering(&shared, task)).collect();
                        gathering::settle(late, leave.limit, hurried.clone()).await;
                    };
                    futures::join!(settled, verdict);
                    let report = teardown::tear_down(&shared.engine, &ledger, limits).await;
                    shared.send(Input::TornDown(report));
                });
            }
            Effect::RenewLease(spec, previous) => self.renew_lease(spec, previous),
            Effect::Hold(spec, time) => self.hold(spec, time),
            // Nobody listens when leave is taken already.
            Effect::Hurry => {
                self.end_command(Urgency::AtOnce);
                let _ = self.hurry.take().map(|hurry| hurry.send(()));
            }
            Effect::GiveUp => {
                self.end_command(Urgency::AtOnce);
                self.patience = LEAVING;
                return Flow::Over;
            }
            Effect::Finish => return Flow::Over,
        }
        Flow::On
    }

    /// Does something about the command on this host.
    fn command(&mut self, deed: Deed) {
        match deed {
            Deed::LookAtHeld(containers) => {
                let shared = Arc::clone(&self.shared);
                let prober = Arc::clone(&self.wiring.prober);
                let looking = host_command::look_at_held(shared, prober, containers);
                self.spawn_droppable(looking.boxed());
            }
            Deed::Run(task) => {
                let commands = Arc::clone(&self.wiring.commands);
                let ledger = Arc::clone(&self.wiring.ledger);
                let shared = Arc::clone(&self.shared);
                let (held, performing) = host_command::command(shared, commands, ledger, *task);
                self.command = Some(held);
                self.spawn(performing.boxed());
            }
            Deed::End => self.end_command(Urgency::Soon),
        }
    }

    fn end_command(&self, urgency: Urgency) {
        if let Some(command) = &self.command {
            command.end(urgency);
        }
    }

    /// Returns when nothing of the command on this host is left.
    pub(super) async fn command_over(&mut self) {
        self.end_command(Urgency::Soon);
        if let Some(command) = self.command.take() {
            command.over(self.patience).await;
        }
    }

    /// Has the reports written by a task that sends its word whatever happens to it: the run ends
    /// with it.
    fn write_reports(&mut self, outcome: Outcome, last: bool) {
        let shared = Arc::clone(&self.shared);
        let (written, reported) = oneshot::channel();
        self.reported = Some(reported);
        // An environment that is held is not torn down, so it is here that the run ends.
        let gatherings = match last {
            true => std::mem::take(&mut self.gatherings),
            false => Vec::new(),
        };
        tokio::spawn(async move {
            let never = futures::future::pending().boxed().shared();
            gathering::settle(gatherings, HELD_GATHERING, never).await;
            let writing = AssertUnwindSafe(shared.recorder.write(&outcome)).catch_unwind();
            let problems = writing
                .await
                .unwrap_or_else(|_| vec!["cannot write reports: envrun has panicked".to_owned()]);
            shared.send(Input::Reported { problems, last });
            drop(written);
        });
    }

    /// Done at once: the lines are in memory, and the verdict waits for it.
    fn cut_windows(&self, task: CutTask, started: SystemTime) {
        let mut cuts = Vec::new();
        for (report, window) in &task.windows {
            let recent = &self.shared.recent;
            if let Some(text) = recent.excerpt(window, &task.services, started) {
                let title = &window.title;
                self.shared.recorder.excerpt(&task.suite, title, &text);
                cuts.push((*report, window.case, text));
            }
        }
        let suite = task.suite;
        self.shared.send(Input::WindowsCut { suite, cuts });
    }

    fn gather(&mut self, task: GatherTask) {
        self.gatherings.push(begin_gathering(&self.shared, task));
    }

    /// Spawns a task that is never aborted; a panic in it becomes an input.
    pub(super) fn spawn(&self, task: BoxFuture<'static, ()>) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                shared.send(Input::Panicked("a task has panicked".to_owned()));
            }
        });
    }

    /// Spawns a task that is dropped when the run is abandoned.
    pub(super) fn spawn_droppable(&mut self, task: BoxFuture<'static, ()>) -> AbortHandle {
        let (handle, registration) = AbortHandle::new_pair();
        self.droppable.push(handle.clone());
        self.spawn(
            Abortable::new(task, registration)
                .map(|_aborted| ())
                .boxed(),
        );
        handle
    }
}

/// Keeps files of a container beside everything else; what is returned ends when that is done.
fn begin_gathering(shared: &Arc<Shared>, task: GatherTask) -> oneshot::Receiver<()> {
    let (done, gathered) = oneshot::channel::<()>();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        gathering::gather(shared, task).await;
        drop(done);
    });
    gathered
}

async fn introduction(engine: &dyn Engine) -> Result<Capabilities, EngineError> {
    let reached = match clock::within(INTRODUCTION, engine.describe()).await {
        Ok(answer) => return answer,
        Err(reached) => reached,
    };
    Err(EngineError {
        attempt: "reach the engine".to_owned(),
        kind: FailureKind::Unreachable,
        message: reached.to_string(),
    })
}
