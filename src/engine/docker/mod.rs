//! Everything that speaks the Docker Engine API. The only place that names bollard.
//!
//! bollard sends unversioned requests whatever was negotiated, so features are gated here by what
//! `/version` answers.

mod again;
mod archives;
mod attachments;
mod build;
mod connect;
mod containers;
mod context;
mod create;
mod credentials;
mod error;
mod host;
mod images;
mod interaction;
mod mounts;
mod networks;
mod pull;
mod session;
mod usage;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bollard::Docker;
use bytes::Bytes;
use futures::stream::BoxStream;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::connect::Endpoint;
pub use self::context::{BuildFile, BuildFiles, build_files, dockerfile_text};
use self::error::translate;
pub use self::host::HostFacts;
use super::{
    Attachments, Belonging, BuildOutput, BuildSpec, Capabilities, ContainerFacts, ContainerMount,
    ContainerSpec, Distance, EndpointSpec, Engine, EngineError, ExecOutcome, ExecSpec, FailureKind,
    ImageFacts, ImportSpec, Interaction, LISTING, Listing, LogsSpec, NamesOnNetwork, NetworkFacts,
    NetworkSpec, OutputChunk, PullSink, PullSpec, Removal, Resource, ResourceKind, Seen, Session,
    TerminalSize, UsageSample, VolumeSpec,
};
use crate::clock::{self, LimitReached};
use crate::image::Reference;
use crate::name::{ContainerId, ImageId, NetworkId, RunId};

/// An engine behind the Docker Engine API.
#[derive(Debug, Clone)]
pub struct DockerEngine {
    docker: Docker,
    endpoint: Endpoint,
    /// The API version, once the engine has said it.
    api: Arc<OnceLock<(u16, u16)>>,
}

impl DockerEngine {
    /// Prepares a connection to the engine that the environment names (`DOCKER_HOST`,
    /// `DOCKER_CONTEXT`, the current context), else to the standard socket. Nothing is sent yet.
    ///
    /// # Errors
    /// The address cannot be understood, or certificates cannot be read.
    pub fn from_environment() -> Result<Self, EngineError> {
        let endpoint = Endpoint::from_environment()?;
        Ok(Self {
            docker: endpoint.connect()?,
            endpoint,
            api: Arc::default(),
        })
    }

    /// Its address, in one form for every way of writing it: what tells engines apart.
    #[must_use]
    pub fn address(&self) -> String {
        self.endpoint.resolved()
    }

    /// The name or address of the engine's host, where it is another one than this.
    #[must_use]
    pub fn remote_host(&self) -> Option<String> {
        match self.endpoint.distance() {
            Distance::Remote => self.endpoint.host(),
            Distance::Socket | Distance::Loopback => None,
        }
    }

    /// The API version; asks the engine unless it has said so already.
    async fn api(&self) -> Result<(u16, u16), EngineError> {
        match self.api.get() {
            Some(api) => Ok(*api),
            None => self.describe().await.map(|capabilities| capabilities.api),
        }
    }
}

impl DockerEngine {
    /// Everything with a label, `NAME` or `NAME=VALUE`.
    async fn labelled(&self, label: String) -> Result<Vec<Belonging>, EngineError> {
        let mut all = Vec::new();
        for (kind, answer) in self.labelled_by_kind(label).await {
            all.extend(answer.map_err(|reached| Listing::late(&format!("{kind}s"), reached))??);
        }
        Ok(all)
    }

    /// The four listings are asked for at once. Volumes are listed together with the rest, since a
    /// container's create makes them before it answers. A volume plugin that is dead makes the
    /// listing of volumes fail, and must not keep the containers from being removed.
    async fn labelled_by_kind(&self, label: String) -> [(ResourceKind, Listed); 4] {
        let filter = HashMap::from([("label".to_owned(), vec![label])]);
        let (containers, networks, volumes, images) = futures::join!(
            clock::within(LISTING, containers::list(&self.docker, &filter)),
            clock::within(LISTING, networks::list(&self.docker, &filter)),
            clock::within(LISTING, networks::list_volumes(&self.docker, &filter)),
            clock::within(LISTING, images::list(&self.docker, &filter)),
        );
        [
            (ResourceKind::Container, containers),
            (ResourceKind::Network, networks),
            (ResourceKind::Volume, volumes),
            (ResourceKind::Image, images),
        ]
    }
}

/// A time in whole seconds since 1970, as containers and images have it.
fn since_1970(seconds: i64) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A time in the form of RFC 3339, as everything else has it.
fn parse_time(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(SystemTime::from)
}

#[async_trait]
impl Engine for DockerEngine {
    async fn describe(&self) -> Result<Capabilities, EngineError> {
        let attempt = format!("reach the engine at `{}`", self.endpoint);
        let asking = again::reading(async || {
            let version = self.docker.version().await;
            version.map_err(|error| translate(&attempt, error))
        });
        let version = asking.await?;
        let product = version
            .platform
            .map(|platform| platform.name)
            .filter(|name| !name.is_empty())
            .or_else(|| {
                version
                    .components
                    .and_then(|all| all.into_iter().next())
                    .map(|first| first.name)
            })
            .unwrap_or_else(|| "Docker Engine".to_owned());
        let api = version.api_version.unwrap_or_default();
        let api = parse_api(&api).ok_or_else(|| EngineError {
            attempt,
            kind: FailureKind::Internal,
            message: format!("its API version `{api}` cannot be understood"),
        })?;
        let _ = self.api.set(api);
        Ok(Capabilities {
            product,
            version: version.version.unwrap_or_default(),
            architecture: version.arch.unwrap_or_default(),
            api,
            builder: build::builder(&self.endpoint),
        })
    }

    async fn processors(&self) -> Result<u32, EngineError> {
        let attempt = "ask the engine for its processors".to_owned();
        let info = self.docker.info().await;
        let info = info.map_err(|error| translate(&attempt, error))?;
        let count = info.ncpu.and_then(|count| u32::try_from(count).ok());
        count.filter(|count| *count > 0).ok_or_else(|| EngineError {
            attempt,
            kind: FailureKind::Internal,
            message: "it does not say how many it has".to_owned(),
        })
    }

    fn distance(&self) -> Distance {
        self.endpoint.distance()
    }

    async fn container_mounts(
        &self,
        container: &ContainerId,
    ) -> Result<Option<Vec<ContainerMount>>, EngineError> {
        mounts::of_container(&self.docker, container).await
    }

    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        again::reading(|| images::inspect(&self.docker, reference)).await
    }

    async fn pull_image(&self, spec: &PullSpec, sink: &PullSink) -> Result<(), EngineError> {
        pull::pull(&self.docker, spec, sink).await
    }

    async fn tag_image(&self, image: &str, reference: &Reference) -> Result<(), EngineError> {
        images::tag(&self.docker, image, reference).await
    }

    async fn untag_image(&self, reference: &Reference) -> Result<(), EngineError> {
        images::untag(&self.docker, reference).await
    }

    async fn build_image(
        &self,
        spec: &BuildSpec,
        output: &BuildOutput,
    ) -> Result<ImageId, EngineError> {
        build::build(&self.docker, &self.endpoint, spec, output).await
    }

    async fn import_image(&self, spec: &ImportSpec) -> Result<ImageId, EngineError> {
        images::import(&self.docker, spec).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<NetworkId, EngineError> {
        networks::create(&self.docker, spec).await
    }

    async fn find_network(&self, name: &str) -> Result<Option<NetworkId>, EngineError> {
        again::reading(|| networks::find(&self.docker, name)).await
    }

    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        endpoint: &EndpointSpec,
    ) -> Result<(), EngineError> {
        networks::connect(&self.docker, network, container, endpoint).await
    }

    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
    ) -> Result<(), EngineError> {
        networks::disconnect(&self.docker, network, container).await
    }

    async fn attachments(&self, container: &ContainerId) -> Result<Attachments, EngineError> {
        again::reading(|| attachments::of(&self.docker, container)).await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        networks::create_volume(&self.docker, spec).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let mounts = mounts::resolve(&self.docker, &spec.mounts, || self.api()).await?;
        containers::create(&self.docker, spec, mounts).await
    }

    async fn attach(
        &self,
        container: &ContainerId,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        again::reading(|| containers::attach(&self.docker, container)).await
    }

    fn output_after(
        &self,
        container: &ContainerId,
        seen: Seen,
    ) -> BoxStream<'static, Result<OutputChunk, EngineError>> {
        containers::output_after(&self.docker, container, seen)
    }

    async fn converse(&self, container: &ContainerId) -> Result<Session, EngineError> {
        interaction::converse(&self.docker, container).await
    }

    async fn start_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        containers::start(&self.docker, container).await
    }

    async fn kill_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        containers::kill(&self.docker, container).await
    }

    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), EngineError> {
        containers::stop(&self.docker, container, grace).await
    }

    async fn pause_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        containers::pause(&self.docker, container).await
    }

    async fn unpause_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        containers::unpause(&self.docker, container).await
    }

    async fn inspect_container(
        &self,
        container: &ContainerId,
    ) -> Result<ContainerFacts, EngineError> {
        again::reading(|| containers::inspect(&self.docker, container)).await
    }

    async fn wait_container(&self, container: &ContainerId) -> Result<(), EngineError> {
        containers::wait(&self.docker, container).await
    }

    async fn exec(
        &self,
        container: &ContainerId,
        spec: &ExecSpec,
    ) -> Result<ExecOutcome, EngineError> {
        containers::exec(&self.docker, container, spec).await
    }

    async fn logs(
        &self,
        container: &ContainerId,
        spec: &LogsSpec,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        Ok(interaction::logs(&self.docker, container, spec))
    }

    async fn open_session(
        &self,
        container: &ContainerId,
        spec: &ExecSpec,
        interaction: Interaction,
    ) -> Result<Session, EngineError> {
        interaction::open(&self.docker, container, spec, interaction).await
    }

    async fn resize_session(&self, session: &str, size: TerminalSize) -> Result<(), EngineError> {
        interaction::resize(&self.docker, session, size).await
    }

    async fn session_code(&self, session: &str) -> Result<i64, EngineError> {
        interaction::code(&self.docker, session).await
    }

    async fn usage(&self, container: &ContainerId) -> Result<Option<UsageSample>, EngineError> {
        usage::look(&self.docker, container).await
    }

    async fn read_archive(
        &self,
        container: &ContainerId,
        path: &str,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, EngineError>>>, EngineError> {
        archives::read(&self.docker, container, path).await
    }

    async fn write_archive(
        &self,
        container: &ContainerId,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(), EngineError> {
        archives::write(&self.docker, container, archive).await
    }

    async fn remove(&self, resource: &Resource) -> Result<Removal, EngineError> {
        match resource.kind {
            ResourceKind::Container => containers::remove(&self.docker, resource).await,
            ResourceKind::Network => networks::remove(&self.docker, resource).await,
            ResourceKind::Volume => networks::remove_volume(&self.docker, resource).await,
            ResourceKind::Image => images::remove(&self.docker, resource).await,
        }
    }

    async fn list(&self, run: RunId) -> Result<Vec<Resource>, EngineError> {
        let listing = self.listing(run).await;
        match listing.unknown.into_values().next() {
            Some(error) => Err(error),
            None => Ok(listing.found),
        }
    }

    async fn listing(&self, run: RunId) -> Listing {
        let label = format!("{}={run}", super::RUN_LABEL);
        let mut listing = Listing::default();
        for (kind, answer) in self.labelled_by_kind(label).await {
            let resources = |all: Vec<Belonging>| all.into_iter().map(|one| one.resource).collect();
            listing.add(kind, answer.map(|answer| answer.map(resources)));
        }
        listing
    }

    async fn list_all(&self) -> Result<Vec<Belonging>, EngineError> {
        self.labelled(super::RUN_LABEL.to_owned()).await
    }

    async fn time(&self) -> Result<SystemTime, EngineError> {
        let attempt = "ask the engine for its time";
        let answer = self.docker.info().await;
        let answer = answer.map_err(|error| translate(attempt, error))?;
        let time = answer.system_time.unwrap_or_default();
        parse_time(&time).ok_or_else(|| EngineError {
            attempt: attempt.to_owned(),
            kind: FailureKind::Internal,
            message: format!("its answer `{time}` is no time"),
        })
    }

    async fn networks(&self) -> Result<Vec<NetworkFacts>, EngineError> {
        networks::facts(&self.docker).await
    }

    async fn names_on(&self, network: &NetworkId) -> Result<Vec<NamesOnNetwork>, EngineError> {
        networks::names_on(&self.docker, network).await
    }

    /// Asked over a connection of its own: those that are open already are served until the end.
    async fn still_there(&self) -> Result<(), EngineError> {
        let attempt = "reach the engine over a new connection";
        let asking = async {
            let docker = self.endpoint.connect()?;
            docker
                .ping()
                .await
                .map_err(|error| translate(attempt, error))
        };
        match clock::within(NEW_CONNECTION, asking).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(reached) => Err(EngineError {
                attempt: attempt.to_owned(),
                kind: FailureKind::Unreachable,
                message: reached.to_string(),
            }),
        }
    }
}

/// The answer to one listing.
type Listed = Result<Result<Vec<Belonging>, EngineError>, LimitReached>;

/// How long the engine may take to answer over a new connection.
const NEW_CONNECTION: Duration = Duration::from_secs(5);

fn parse_api(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
