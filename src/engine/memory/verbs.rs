//! The verbs of the engine in memory.
//!
//! Owns how long each call takes and which change of the state it is. It must never hold a rule of
//! what exists: that is [`super::state`]'s.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::{MemoryEngine, agent, failure};
use crate::clock;
use crate::engine::{
    Attachments, Belonging, BuildOutput, BuildSpec, Builder, Capabilities, ContainerFacts,
    ContainerMount, ContainerSpec, Distance, EndpointSpec, Engine, EngineError, ExecOutcome,
    ExecSpec, FailureKind, ImageFacts, ImportSpec, Interaction, LogsSpec, NamesOnNetwork,
    NetworkFacts, NetworkSpec, OutputChunk, OutputStream, PullProgress, PullReport, PullSink,
    PullSpec, Removal, Resource, Seen, Session, TerminalSize, UsageSample, VolumeSpec,
};
use crate::image::Reference;
use crate::name::{ContainerId, ImageId, NetworkId, RunId};

/// Durations of calls, as measured on a real engine.
const READ: Duration = Duration::from_millis(3);
const CREATE: Duration = Duration::from_millis(7);
const START: Duration = Duration::from_millis(230);
const PULL: Duration = Duration::from_millis(700);
const NETWORK: Duration = Duration::from_millis(90);
const UPLOAD: Duration = Duration::from_millis(100);
const REMOVE: Duration = Duration::from_millis(50);

#[async_trait]
impl Engine for MemoryEngine {
    async fn describe(&self) -> Result<Capabilities, EngineError> {
        self.call("describe", READ, |_state| {
            Ok(Capabilities {
                product: "memory".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                api: (1, 51),
                architecture: String::new(),
                builder: Builder::BuildKit,
            })
        })
        .await
    }

    async fn processors(&self) -> Result<u32, EngineError> {
        self.call("processors", READ, |_state| Ok(2)).await
    }

    fn distance(&self) -> Distance {
        Distance::Socket
    }

    async fn container_mounts(
        &self,
        _container: &ContainerId,
    ) -> Result<Option<Vec<ContainerMount>>, EngineError> {
        // Whoever asks is in none of its containers.
        self.call("inspect container", READ, |_state| Ok(None))
            .await
    }

    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        let reference = reference.to_owned();
        self.call("inspect image", READ, move |state| {
            Ok(state.image(&reference))
        })
        .await
    }

    async fn pull_image(&self, spec: &PullSpec, sink: &PullSink) -> Result<(), EngineError> {
        let spec = spec.clone();
        let progress = PullProgress {
            layers_done: 0,
            layers: 2,
            bytes: 0,
            total_bytes: 1 << 20,
        };
        sink(PullReport::Progress(progress));
        self.call("pull image", PULL, move |state| state.pull_image(&spec))
            .await
    }

    async fn tag_image(&self, image: &str, reference: &Reference) -> Result<(), EngineError> {
        let (image, reference) = (image.to_owned(), reference.clone());
        self.call("tag image", CREATE, move |state| {
            state.tag_image(&image, &reference)
        })
        .await
    }

    async fn untag_image(&self, reference: &Reference) -> Result<(), EngineError> {
        let reference = reference.clone();
        self.call("untag image", CREATE, move |state| {
            state.untag_image(&reference);
            Ok(())
        })
        .await
    }

    async fn build_image(
        &self,
        spec: &BuildSpec,
        output: &BuildOutput,
    ) -> Result<ImageId, EngineError> {
        let spec = spec.clone();
        output(format!("building `{}`\n", spec.title).as_bytes());
        self.call("build image", START, move |state| state.build_image(&spec))
            .await
    }

    async fn import_image(&self, spec: &ImportSpec) -> Result<ImageId, EngineError> {
        let (name, labels) = (spec.name.clone(), spec.labels.clone());
        self.call("import image", START, move |state| {
            Ok(state.add_image(&name, &labels))
        })
        .await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<NetworkId, EngineError> {
        let spec = spec.clone();
        self.call("create network", NETWORK, move |state| {
            state.create_network(&spec)
        })
        .await
    }

    async fn find_network(&self, name: &str) -> Result<Option<NetworkId>, EngineError> {
        let name = name.to_owned();
        self.call("find network", READ, move |state| {
            Ok(state.find_network(&name))
        })
        .await
    }

    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        endpoint: &EndpointSpec,
    ) -> Result<(), EngineError> {
        let (network, container) = (network.clone(), container.clone());
        let endpoint = endpoint.clone();
        self.call("connect network", CREATE, move |state| {
            state.connect(&network, &container, endpoint)
        })
        .await
    }

    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
    ) -> Result<(), EngineError> {
        let (network, container) = (network.clone(), container.clone());
        self.call("disconnect network", CREATE, move |state| {
            state.disconnect(&network, &container)
        })
        .await
    }

    async fn attachments(&self, container: &ContainerId) -> Result<Attachments, EngineError> {
        let id = container.clone();
        self.call("inspect attachments", READ, move |state| {
            state.attachments(&id)
        })
        .await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        let (name, labels) = (spec.name.clone(), spec.labels.clone());
        self.call("create volume", CREATE, move |state| {
            state.volume(&name, &labels);
            Ok(())
        })
        .await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let spec = spec.clone();
        self.call("create container", CREATE, move |state| {
            state.create_container(&spec)
        })
        .await
    }

    async fn attach(
        &self,
        container: &ContainerId,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        let id = container.clone();
        let mut life = self
            .call("attach", READ, move |state| state.subscribe(&id))
            .await?;
        let engine = self.clone();
        let id = container.clone();
        // Nothing before the next start, the output with it, the end with the container's.
        let run = life.borrow().next_run();
        let stream = futures::stream::once(async move {
            let _ = life.wait_for(|life| life.run >= run).await;
            let chunk = engine.lock().output(&id);
            (life, chunk)
        })
        .flat_map(move |(mut life, chunk)| {
            let end = futures::stream::once(async move {
                let _ = life.wait_for(|life| life.has_ended(run)).await;
            });
            futures::stream::iter([Ok(chunk)]).chain(end.filter_map(|()| async { None }))
        });
        Ok(stream.boxed())
    }

    /// Its streams never break, so nobody asks.
    fn output_after(
        &self,
        _container: &ContainerId,
        _seen: Seen,
    ) -> BoxStream<'static, Result<OutputChunk, EngineError>> {
        futures::stream::empty().boxed()
    }

    async fn converse(&self, container: &ContainerId) -> Result<Session, EngineError> {
        let id = container.clone();
        let life = self
            .call("converse", READ, move |state| state.subscribe(&id))
            .await?;
        Ok(agent::session(self.clone(), container.clone(), life))
    }

    async fn start_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        let (engine, id) = (self.clone(), container.clone());
        self.call("start container", START, move |state| {
            if let Some(end) = state.start(&id)? {
                tokio::spawn(async move {
                    clock::pause(end.after).await;
                    engine.lock().end(&id, &end);
                });
            }
            Ok(())
        })
        .await
    }

    async fn kill_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        let id = container.clone();
        self.call("kill container", CREATE, move |state| state.kill(&id))
            .await
    }

    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), EngineError> {
        let id = container.clone();
        let (takes, code) = self.lock().stop_takes(&id, grace);
        self.call("stop container", takes, move |state| state.stop(&id, code))
            .await
    }

    async fn pause_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        let id = container.clone();
        self.call("pause container", CREATE, move |state| {
            state.pause(&id, true)
        })
        .await
    }

    async fn unpause_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        let id = container.clone();
        self.call("unpause container", CREATE, move |state| {
            state.pause(&id, false)
        })
        .await
    }

    async fn inspect_container(
        &self,
        container: &ContainerId,
    ) -> Result<ContainerFacts, EngineError> {
        let id = container.clone();
        self.call("inspect container", READ, move |state| state.inspect(&id))
            .await
    }

    async fn wait_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        let id = container.clone();
        let mut life = self
            .call("wait container", READ, move |state| state.subscribe(&id))
            .await?;
        let run = life.borrow().run;
        let _ = life.wait_for(|life| life.has_ended(run)).await;
        Ok(())
    }

    async fn usage(&self, container: &ContainerId) -> Result<Option<UsageSample>, EngineError> {
        let id = container.clone();
        self.call("usage", READ, move |state| state.usage(&id))
            .await
    }

    async fn exec(
        &self,
        container: &ContainerId,
        spec: &ExecSpec,
    ) -> Result<ExecOutcome, EngineError> {
        let (id, command) = (container.clone(), spec.to_string());
        let takes = self.lock().command_takes(&id, &command).unwrap_or(START);
        self.call("exec", takes, move |state| state.exec(&id, &command))
            .await
    }

    async fn logs(
        &self,
        container: &ContainerId,
        _spec: &LogsSpec,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        let id = container.clone();
        let chunk = self.call("logs", READ, move |state| Ok(state.output(&id)));
        Ok(futures::stream::iter([chunk.await]).boxed())
    }

    async fn open_session(
        &self,
        container: &ContainerId,
        spec: &ExecSpec,
        _interaction: Interaction,
    ) -> Result<Session, EngineError> {
        let outcome = self.exec(container, spec).await?;
        let chunk = OutputChunk {
            stream: OutputStream::Stdout,
            bytes: Bytes::from(outcome.output_tail),
        };
        Ok(Session {
            id: outcome.code.to_string(),
            output: futures::stream::iter([Ok(chunk)]).boxed(),
            input: Box::pin(tokio::io::sink()),
        })
    }

    async fn resize_session(&self, _session: &str, _size: TerminalSize) -> Result<(), EngineError> {
        self.call("resize", READ, |_state| Ok(())).await
    }

    /// A session is called by the exit code of its command.
    async fn session_code(&self, session: &str) -> Result<i64, EngineError> {
        let code = session.parse();
        let code = code.map_err(|_error| failure("inspect exec", FailureKind::NotFound, "none"));
        self.call("inspect exec", READ, move |_state| code).await
    }

    async fn read_archive(
        &self,
        container: &ContainerId,
        path: &str,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, EngineError>>>, EngineError> {
        let (id, path) = (container.clone(), path.to_owned());
        let archive = self
            .call("read archive", READ, move |state| state.archive(&id, &path))
            .await?;
        Ok(archive.map(|bytes| futures::stream::iter([Ok(Bytes::from(bytes))]).boxed()))
    }

    async fn write_archive(
        &self,
        container: &ContainerId,
        mut archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(), EngineError> {
        let mut bytes = Vec::new();
        while let Some(piece) = archive.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(_) => {
                    let message = "the archive breaks off";
                    return Err(failure("write archive", FailureKind::Refused, message));
                }
            }
        }
        let id = container.clone();
        self.call("write archive", UPLOAD, move |state| {
            state.unpack(&id, &bytes)
        })
        .await
    }

    async fn remove(&self, resource: &Resource) -> Result<Removal, EngineError> {
        let resource = resource.clone();
        self.call("remove", REMOVE, move |state| state.remove(&resource))
            .await
    }

    async fn list(&self, run: RunId) -> Result<Vec<Resource>, EngineError> {
        // A listing is as old as its beginning: what lands while the answer is on its way is not in it.
        let listing = self.lock().belongings();
        let listing = listing.into_iter().filter(|one| one.run == run);
        let listing: Vec<Resource> = listing.map(|one| one.resource).collect();
        self.call("list", READ, move |_state| Ok(listing)).await
    }

    async fn list_all(&self) -> Result<Vec<Belonging>, EngineError> {
        let listing = self.lock().belongings();
        self.call("list all", READ, move |_state| Ok(listing)).await
    }

    async fn time(&self) -> Result<SystemTime, EngineError> {
        self.call("time", READ, |state| Ok(state.time())).await
    }

    async fn networks(&self) -> Result<Vec<NetworkFacts>, EngineError> {
        self.call("networks", READ, |state| Ok(state.network_facts()))
            .await
    }

    async fn names_on(&self, _network: &NetworkId) -> Result<Vec<NamesOnNetwork>, EngineError> {
        // Nobody else has containers in memory.
        self.call("names on", READ, |_state| Ok(Vec::new())).await
    }
}
