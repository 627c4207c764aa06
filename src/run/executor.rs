//! The executor: performs effects, turns what happens into inputs, decides nothing.
//!
//! Mutating engine calls run in spawned tasks that are never aborted. Pulls, builds, probes and timers are the exception: they
//! are dropped when the run is abandoned, since dropping their connection ends them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use tokio::sync::{mpsc, oneshot};

use super::effect::{Effect, Input, Work};
use super::output::Tails;
use super::teardown::{self, Limits};
use super::{Recorder, Wiring, collect, readying};
use crate::clock::{self, Instant};
use crate::engine::{Engine, EngineError, Exit, FailureKind, ResourceKind};
use crate::event::Event;
use crate::name::{ContainerId, ServiceName};
use crate::outcome::Outcome;
use crate::plan::StepId;

/// How long the output of an ended container may take to arrive.
const DRAIN: Duration = Duration::from_secs(5);

/// How long an engine that does not answer is waited for while a container is watched.
const ENGINE_SILENT: Duration = Duration::from_secs(10);

/// Pause between two questions to an engine that did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What the tasks of a run share.
pub(super) struct Shared {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) recorder: Arc<dyn Recorder>,
    pub(super) tails: Tails,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) begun: Instant,
}

impl Shared {
    pub(super) fn send(&self, input: Input) {
        // Nobody listens once the run is over, and then nobody needs to know.
        let _ = self.inputs.send(input);
    }

    fn fail(&self, step: StepId, error: EngineError, service: Option<&ServiceName>) {
        let log_tail = service
            .map(|name| self.tails.tail(name))
            .unwrap_or_default();
        self.send(Input::Failed {
            step,
            error,
            log_tail,
        });
    }
}

/// Whether the run goes on.
pub(super) enum Flow {
    /// It goes on.
    On,
    /// It is over.
    Over,
}

pub(super) struct Executor {
    shared: Arc<Shared>,
    wiring: Wiring,
    limits: Limits,
    /// What is dropped when the run is abandoned.
    droppable: Vec<AbortHandle>,
    probes: BTreeMap<ServiceName, AbortHandle>,
    /// Fires when the output of a service is complete.
    drained: BTreeMap<ServiceName, oneshot::Receiver<()>>,
}

impl Executor {
    pub(super) fn new(
        wiring: Wiring,
        inputs: mpsc::UnboundedSender<Input>,
        begun: Instant,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine: Arc::clone(&wiring.engine),
                recorder: Arc::clone(&wiring.recorder),
                tails: Tails::default(),
                inputs,
                begun,
            }),
            limits: wiring.limits,
            wiring,
            droppable: Vec::new(),
            probes: BTreeMap::new(),
            drained: BTreeMap::new(),
        }
    }

    /// Performs one effect. Only the writing of reports is waited for.
    pub(super) async fn perform(&mut self, effect: Effect, outcome: &Outcome) -> Flow {
        match effect {
            Effect::Report(event) => self
                .shared
                .recorder
                .event(self.shared.begun.elapsed(), event),
            Effect::Describe => {
                let shared = Arc::clone(&self.shared);
                self.spawn_droppable(
                    async move {
                        match shared.engine.describe().await {
                            Ok(capabilities) => shared.send(Input::EngineDescribed(capabilities)),
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
            Effect::StopProbe(service) => {
                if let Some(handle) = self.probes.remove(&service) {
                    handle.abort();
                }
            }
            Effect::Watch { service, container } => {
                let drained = self.drained.remove(&service);
                self.spawn(watch(Arc::clone(&self.shared), service, container, drained).boxed());
            }
            Effect::Kill {
                service: _,
                container,
            } => {
                let engine = Arc::clone(&self.shared.engine);
                // The end of the container is what counts; a kill that fails finds it ended or gone.
                self.spawn(async move { drop(engine.kill_container(&container).await) }.boxed());
            }
            Effect::Collect {
                suite,
                container,
                working_dir,
                globs,
            } => {
                let shared = Arc::clone(&self.shared);
                self.spawn_droppable(
                    async move {
                        let (reports, problem) = match collect::reports(
                            &shared.engine,
                            &container,
                            &working_dir,
                            &globs,
                        )
                        .await
                        {
                            Ok(reports) => (reports, None),
                            Err(error) => (Vec::new(), Some(error.to_string())),
                        };
                        shared.send(Input::Collected {
                            suite,
                            reports,
                            problem,
                        });
                    }
                    .boxed(),
                );
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
            Effect::Abandon => self.droppable.drain(..).for_each(|handle| handle.abort()),
            Effect::WriteReports => {
                let problems = self.shared.recorder.write(outcome).await;
                self.shared.send(Input::ReportProblems(problems));
            }
            Effect::TearDown => {
                let shared = Arc::clone(&self.shared);
                let ledger = Arc::clone(&self.wiring.ledger);
                let limits = self.limits;
                // Not `spawn`: teardown must not share the fate of anything.
                tokio::spawn(async move {
                    let report = teardown::tear_down(&shared.engine, &ledger, limits).await;
                    shared.send(Input::TornDown(report));
                });
            }
            Effect::GiveUp | Effect::Finish { .. } => return Flow::Over,
        }
        Flow::On
    }

    /// Spawns a task that is never aborted; a panic in it becomes an input.
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                shared.send(Input::Panicked("a task has panicked".to_owned()));
            }
        });
    }

    /// Spawns a task that is dropped when the run is abandoned.
    fn spawn_droppable(&mut self, task: BoxFuture<'static, ()>) -> AbortHandle {
        let (handle, registration) = AbortHandle::new_pair();
        self.droppable.push(handle.clone());
        self.spawn(
            Abortable::new(task, registration)
                .map(|_aborted| ())
                .boxed(),
        );
        handle
    }

    fn work(&mut self, step: StepId, work: Work) {
        let shared = Arc::clone(&self.shared);
        match work {
            Work::ObtainImage(reference) => {
                self.spawn_droppable(
                    async move {
                        match obtain_image(&shared, &reference).await {
                            Ok(facts) => shared.send(Input::ImageObtained { step, facts }),
                            Err(error) => shared.fail(step, error, None),
                        }
                    }
                    .boxed(),
                );
            }
            Work::BuildImage(spec) => {
                let intent = self.intend(ResourceKind::Image, &spec.name);
                self.spawn_droppable(
                    async move {
                        let built = match shared.engine.build_image(&spec).await {
                            Ok(id) => inspect(&shared, id.as_str()).await,
                            Err(error) => Err(error),
                        };
                        match built {
                            Ok(facts) => {
                                intent.settle();
                                shared.send(Input::ImageObtained { step, facts });
                            }
                            Err(error) => {
                                shared.fail(step, settle_unless_lost(intent, error), None)
                            }
                        }
                    }
                    .boxed(),
                );
            }
            Work::CreateNetwork(spec) => {
                let intent = self.intend(ResourceKind::Network, &spec.name);
                self.spawn(
                    async move {
                        match shared.engine.create_network(&spec).await {
                            Ok(id) => {
                                intent.settle();
                                shared.send(Input::NetworkCreated { step, id });
                            }
                            Err(error) => {
                                shared.fail(step, settle_unless_lost(intent, error), None)
                            }
                        }
                    }
                    .boxed(),
                );
            }
            Work::FindNetwork(name) => {
                self.spawn_droppable(
                    async move {
                        match shared.engine.find_network(&name).await {
                            Ok(Some(id)) => shared.send(Input::NetworkCreated { step, id }),
                            Ok(None) => shared.fail(step, missing_network(&name), None),
                            Err(error) => shared.fail(step, error, None),
                        }
                    }
                    .boxed(),
                );
            }
            Work::CreateVolume(spec) => {
                let intent = self.intend(ResourceKind::Volume, &spec.name);
                self.spawn(
                    async move {
                        match shared.engine.create_volume(&spec).await {
                            Ok(()) => {
                                intent.settle();
                                shared.send(Input::StepDone { step });
                            }
                            Err(error) => {
                                shared.fail(step, settle_unless_lost(intent, error), None)
                            }
                        }
                    }
                    .boxed(),
                );
            }
            Work::CreateContainer(spec) => {
                let intent = self.intend(ResourceKind::Container, &spec.name);
                self.spawn(
                    async move {
                        match shared.engine.create_container(&spec).await {
                            Ok(id) => {
                                intent.settle();
                                shared.send(Input::ContainerCreated { step, id });
                            }
                            Err(error) => {
                                shared.fail(step, settle_unless_lost(intent, error), None)
                            }
                        }
                    }
                    .boxed(),
                );
            }
            Work::Connect {
                network,
                container,
                endpoint,
            } => self.spawn(
                async move {
                    match shared
                        .engine
                        .connect_network(&network, &container, &endpoint)
                        .await
                    {
                        Ok(()) => shared.send(Input::StepDone { step }),
                        Err(error) => shared.fail(step, error, None),
                    }
                }
                .boxed(),
            ),
            Work::Start { service, container } => {
                let (complete, drained) = oneshot::channel();
                self.drained.insert(service.clone(), drained);
                self.spawn(start(shared, step, service, container, complete).boxed());
            }
        }
    }

    /// Records an intent. A watchdog that is gone is worth a warning, not a failure.
    fn intend(&self, kind: ResourceKind, name: &str) -> super::ledger::Intent {
        let (intent, problem) = self.wiring.ledger.intend(kind, name);
        if let Some(problem) = problem {
            let message = format!(
                "the watchdog is gone ({problem}): if envrun is killed, `envrun gc` has to clean up"
            );
            self.shared
                .recorder
                .event(self.shared.begun.elapsed(), Event::Warning { message });
        }
        intent
    }
}

/// An error that leaves open whether the call took effect keeps the intent open.
fn settle_unless_lost(intent: super::ledger::Intent, error: EngineError) -> EngineError {
    match error.kind {
        FailureKind::Unreachable => intent.lose(),
        _ => intent.settle(),
    }
    error
}

fn missing_network(name: &str) -> EngineError {
    EngineError {
        attempt: format!("find network `{name}`"),
        kind: FailureKind::NotFound,
        message: "the file declares it as `external`, and the engine has none of this name"
            .to_owned(),
    }
}

async fn obtain_image(
    shared: &Shared,
    reference: &str,
) -> Result<crate::engine::ImageFacts, EngineError> {
    if let Some(facts) = shared.engine.inspect_image(reference).await? {
        return Ok(facts);
    }
    shared.engine.pull_image(reference).await?;
    inspect(shared, reference).await
}

async fn inspect(
    shared: &Shared,
    reference: &str,
) -> Result<crate::engine::ImageFacts, EngineError> {
    shared
        .engine
        .inspect_image(reference)
        .await?
        .ok_or_else(|| EngineError {
            attempt: format!("inspect image `{reference}`"),
            kind: FailureKind::NotFound,
            message: "the engine does not have it although it said so a moment ago".to_owned(),
        })
}

/// Attaches first, so that no byte is lost, then starts.
async fn start(
    shared: Arc<Shared>,
    step: StepId,
    service: ServiceName,
    container: ContainerId,
    complete: oneshot::Sender<()>,
) {
    let output = match shared.engine.attach(&container).await {
        Ok(output) => output,
        Err(error) => return shared.fail(step, error, None),
    };
    let drain = Arc::clone(&shared);
    let name = service.clone();
    // An attached stream that nobody reads blocks the container, so it is drained whatever happens to the run.
    tokio::spawn(async move {
        let mut output = output;
        while let Some(Ok(chunk)) = output.next().await {
            drain.tails.push(&name, chunk.stream, &chunk.bytes);
            drain.recorder.output(&name, &chunk);
        }
        let _ = complete.send(());
    });
    if let Err(error) = shared.engine.start_container(&container).await {
        return shared.fail(step, error, Some(&service));
    }
    match shared.engine.inspect_container(&container).await {
        Ok(facts) => shared.send(Input::Started { step, facts }),
        Err(error) => shared.fail(step, error, Some(&service)),
    }
}

/// Waits for the end of a container and for the last byte of its output.
async fn watch(
    shared: Arc<Shared>,
    service: ServiceName,
    container: ContainerId,
    drained: Option<oneshot::Receiver<()>>,
) {
    let exit = match exit_of(&shared, &container).await {
        Ok(exit) => exit,
        Err(error) => return shared.send(Input::EngineLost(error)),
    };
    if let Some(drained) = drained {
        let _ = clock::within(DRAIN, drained).await;
    }
    let log_tail = shared.tails.tail(&service);
    shared.send(Input::Exited {
        service,
        exit,
        log_tail,
    });
}

/// How a container ended. A wait that breaks is taken up again; an engine that stays silent is an error.
async fn exit_of(shared: &Shared, container: &ContainerId) -> Result<Exit, EngineError> {
    let mut silent_since: Option<Instant> = None;
    loop {
        let waited = shared.engine.wait_container(container).await;
        match shared.engine.inspect_container(container).await {
            Ok(facts) => match facts.exit {
                Some(exit) if !facts.running => return Ok(exit),
                _ => silent_since = None,
            },
            Err(error) if error.kind == FailureKind::NotFound => {
                let error = Some("the container was removed by somebody else".to_owned());
                return Ok(Exit {
                    code: None,
                    oom_killed: false,
                    error,
                });
            }
            Err(error) => {
                if silent_since.get_or_insert_with(clock::now).elapsed() >= ENGINE_SILENT {
                    return Err(error);
                }
            }
        }
        if waited.is_err() || silent_since.is_some() {
            clock::pause(ASK_AGAIN).await;
        }
    }
}
