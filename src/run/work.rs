//! The work of the plan's steps: one engine call each, or two that belong together.

use std::future::Future;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{AbortHandle, Abortable};

use super::archive;
use super::effect::{Input, Work};
use super::executor::Executor;
use super::following::{self, Follower};
use super::gate::{Permit, StartGate};
use super::ledger::Intent;
use super::lost::{self, Start};
use super::obtaining;
use super::shared::Shared;
use crate::engine::{
    ContainerFacts, EndpointSpec, EngineError, FailureKind, Networking, ResourceKind,
};
use crate::event::Event;
use crate::name::{ContainerId, NetworkId, RunId, ServiceName};
use crate::plan::StepId;
use crate::plan::injection::ArchiveEntry;

impl Executor {
    /// Begins the work of a step; its end comes as an input.
    pub(super) fn work(&mut self, step: StepId, work: Work) {
        let shared = Arc::clone(&self.shared);
        match work {
            Work::ObtainImage(pull) => {
                let obtaining = async move {
                    match obtaining::obtain(&shared, &pull).await {
                        Ok(facts) => shared.send(Input::ImageObtained { step, facts }),
                        Err(error) => shared.fail(step, error, None),
                    }
                };
                self.spawn_droppable(obtaining.boxed());
            }
            Work::ListNetworks => {
                let listing = async move {
                    match shared.engine.networks().await {
                        Ok(networks) => shared.send(Input::NetworksListed { step, networks }),
                        Err(error) => shared.fail(step, error, None),
                    }
                };
                self.spawn_droppable(listing.boxed());
            }
            Work::FindNetwork(name) => {
                let finding = async move {
                    match shared.engine.find_network(&name).await {
                        Ok(Some(id)) => shared.send(Input::NetworkCreated { step, id }),
                        Ok(None) => shared.fail(step, missing_network(&name), None),
                        Err(error) => shared.fail(step, error, None),
                    }
                };
                self.spawn_droppable(finding.boxed());
            }
            // Dropping the connection ends a build, so unlike the other creations it may be
            // dropped.
            Work::BuildImage(spec) => {
                let intent = self.intend(ResourceKind::Image, &spec.name);
                let building = create(shared, step, intent, move |shared| async move {
                    let id = obtaining::build(&shared, &spec).await?;
                    let facts = obtaining::inspect(&shared, id.as_str()).await?;
                    Ok(Input::ImageObtained { step, facts })
                });
                self.spawn_droppable(building.boxed());
            }
            Work::CreateNetwork(spec) => {
                let intent = self.intend(ResourceKind::Network, &spec.name);
                let creating = create(shared, step, intent, move |shared| async move {
                    let id = match shared.engine.create_network(&spec).await {
                        Err(error) => NetworkId::new(
                            lost::found(&shared, ResourceKind::Network, &spec.name, error).await?,
                        ),
                        Ok(id) => id,
                    };
                    Ok(Input::NetworkCreated { step, id })
                });
                self.spawn(creating.boxed());
            }
            Work::CreateVolume(spec) => {
                let intent = self.intend(ResourceKind::Volume, &spec.name);
                let creating = create(shared, step, intent, move |shared| async move {
                    if let Err(error) = shared.engine.create_volume(&spec).await {
                        lost::found(&shared, ResourceKind::Volume, &spec.name, error).await?;
                    }
                    Ok(Input::StepDone { step })
                });
                self.spawn(creating.boxed());
            }
            Work::CreateContainer(spec) => {
                let intent = self.intend(ResourceKind::Container, &spec.name);
                let creating = create(shared, step, intent, move |shared| async move {
                    let id = match shared.engine.create_container(&spec).await {
                        Err(error) => ContainerId::new(
                            lost::found(&shared, ResourceKind::Container, &spec.name, error)
                                .await?,
                        ),
                        Ok(id) => id,
                    };
                    Ok(Input::ContainerCreated { step, id })
                });
                self.spawn(creating.boxed());
            }
            Work::CreateAmongOthers(run, spec) => {
                let intent = self.intend(ResourceKind::Container, &spec.name);
                let creating = create(shared, step, intent, move |shared| async move {
                    let id = shared.engine.create_container(&spec).await?;
                    if let Networking::Network(network, endpoint) = &spec.networking {
                        alone_by_its_names(&shared, run, network, endpoint).await?;
                    }
                    Ok(Input::ContainerCreated { step, id })
                });
                self.spawn(creating.boxed());
            }
            Work::Connect {
                network,
                container,
                endpoint,
                among_others,
            } => {
                let connecting = async move {
                    let engine = &shared.engine;
                    let mut connected = engine
                        .connect_network(&network, &container, &endpoint)
                        .await;
                    if let (Ok(()), Some(run)) = (&connected, among_others) {
                        connected = alone_by_its_names(&shared, run, &network, &endpoint).await;
                    }
                    match connected {
                        Ok(()) => shared.send(Input::StepDone { step }),
                        Err(error) => shared.fail(step, error, None),
                    }
                };
                self.spawn(connecting.boxed());
            }
            // Dropping the connection ends an upload, and it creates nothing that would have to be
            // found again. A large one must not hold up teardown.
            Work::Upload { container, entries } => {
                self.spawn_droppable(upload(shared, step, container, entries).boxed());
            }
            Work::Start { service, container } => {
                let starting = self.start(service.clone(), container, Start::First);
                let starting = async move {
                    match starting.await {
                        Some(Ok(facts)) => shared.send(Input::Started { step, facts }),
                        Some(Err(error)) => shared.fail(step, error, Some(&service)),
                        None => {}
                    }
                };
                self.spawn(starting.boxed());
            }
        }
    }

    /// Starts an ended container once more.
    pub(super) fn restart(&mut self, service: ServiceName, container: ContainerId) {
        let shared = Arc::clone(&self.shared);
        let starting = self.start(service.clone(), container, Start::Again);
        let starting = async move {
            let input = match starting.await {
                Some(Ok(facts)) => Input::Restarted { service, facts },
                Some(Err(error)) => Input::RestartFailed {
                    log_tail: shared.tails.tail(&service),
                    service,
                    error,
                },
                None => return,
            };
            shared.send(input);
        };
        self.spawn(starting.boxed());
    }

    /// Starts a container once the gate lets it pass; `None` when the run is abandoned before. The
    /// wait is dropped with the run, the start is not.
    fn start(
        &mut self,
        service: ServiceName,
        container: ContainerId,
        which: Start,
    ) -> impl Future<Output = Option<Result<ContainerFacts, EngineError>>> + Send + use<> {
        let (following, follower) = following::channel();
        self.following.insert(service.clone(), following);
        let (handle, registration) = AbortHandle::new_pair();
        self.droppable.push(handle);
        let shared = Arc::clone(&self.shared);
        let passing = pass(Arc::clone(&shared), Arc::clone(&self.wiring.gate));
        let passing = Abortable::new(passing, registration);
        async move {
            let permit = passing.await.ok()?;
            let started = start(&shared, service, (&container, which), follower).await;
            drop(permit);
            Some(match started {
                Ok(()) => shared.engine.inspect_container(&container).await,
                Err(error) => Err(error),
            })
        }
    }

    /// Records an intent. A watchdog that is gone is worth a warning, not a failure.
    pub(super) fn intend(&self, kind: ResourceKind, name: &str) -> Intent {
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

/// Makes a creating call under its intent. An error that leaves open whether the call took effect
/// keeps the intent open.
async fn create<F>(
    shared: Arc<Shared>,
    step: StepId,
    intent: Intent,
    call: impl FnOnce(Arc<Shared>) -> F,
) where
    F: Future<Output = Result<Input, EngineError>>,
{
    match call(Arc::clone(&shared)).await {
        Ok(input) => {
            intent.settle();
            shared.send(input);
        }
        Err(error) => {
            match error.kind {
                FailureKind::Unreachable => intent.lose(),
                _ => intent.settle(),
            }
            shared.fail(step, error, None);
        }
    }
}

/// Looks whether a container of another run has a name that a container of this run was given on a
/// network. Whoever asks there for the name would get one or the other. It is looked after the name was
/// given, so that of two runs at once at least one sees the other.
async fn alone_by_its_names(
    shared: &Shared,
    run: RunId,
    network: &NetworkId,
    endpoint: &EndpointSpec,
) -> Result<(), EngineError> {
    let others = shared.engine.names_on(network).await?;
    let mut others = others.iter().filter(|other| other.owner.run != run);
    let both = others.find_map(|other| {
        let name = other
            .aliases
            .iter()
            .find(|name| endpoint.aliases.contains(name))?;
        Some((other, name))
    });
    match both {
        None => Ok(()),
        Some((other, name)) => Err(EngineError {
            attempt: format!("use the name `{name}` on the external network `{network}`"),
            kind: FailureKind::Refused,
            message: format!(
                "container `{}` of {} has the name `{name}` on the external network already, and whoever asks for it would get either",
                other.container, other.owner
            ),
        }),
    }
}

fn missing_network(name: &str) -> EngineError {
    EngineError {
        attempt: format!("find network `{name}`"),
        kind: FailureKind::NotFound,
        message: "the file declares it as `external`, and the engine has none of this name"
            .to_owned(),
    }
}

/// A file of this host that cannot be read breaks the upload off; then that is the error, and not what
/// the engine says of half an archive.
async fn upload(
    shared: Arc<Shared>,
    step: StepId,
    container: ContainerId,
    entries: Vec<ArchiveEntry>,
) {
    let (stream, problem) = archive::stream(entries);
    match shared.engine.write_archive(&container, stream).await {
        Ok(()) => shared.send(Input::StepDone { step }),
        Err(error) => {
            let error = match problem.get() {
                Some(problem) => EngineError {
                    kind: FailureKind::Refused,
                    message: problem.clone(),
                    ..error
                },
                None => error,
            };
            shared.fail(step, error, None);
        }
    }
}

async fn pass(shared: Arc<Shared>, gate: Arc<dyn StartGate>) -> Permit {
    gate.pass(&|event| shared.report(event)).await
}

/// Attaches first, so that no byte is lost, then starts.
async fn start(
    shared: &Arc<Shared>,
    service: ServiceName,
    (container, which): (&ContainerId, Start),
    follower: Follower,
) -> Result<(), EngineError> {
    let output = shared.engine.attach(container).await?;
    shared.listeners.begin(&service);
    let following = following::follow(
        Arc::clone(shared),
        service,
        container.clone(),
        output,
        follower,
    );
    tokio::spawn(following);
    match shared.engine.start_container(container).await {
        Ok(()) => Ok(()),
        Err(error) => lost::started(shared, container, which, error).await,
    }
}
