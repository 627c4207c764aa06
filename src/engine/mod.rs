//! The narrow trait of workload verbs that a container engine offers, and its vocabulary.
//!
//! Owns the shapes that cross the border between envrun and an engine: specifications of what to
//! create, facts about what exists, and typed errors. Two engines stand behind it: [`docker`]
//! (everything that speaks the Docker Engine API) and [`memory`] (tests and fault injection). Only
//! the wiring names them, and only `engine/docker` names bollard.
//!
//! Resources are addressed by id wherever the engine gives one: engines allow duplicate network
//! names, and then every use by name is ambiguous.

mod build;
mod capabilities;
mod container;
pub mod docker;
mod exec;
mod failure;
mod image;
mod interaction;
mod listing;
pub mod memory;
mod mount;
mod network;
mod output;
mod pull;
mod resource;
mod specification;
mod usage;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use self::build::{
    BuildContext, BuildOptions, BuildOutput, BuildSecret, BuildSpec, ContextImage,
    DockerfileSource, SecretValue,
};
pub use self::capabilities::{Builder, Capabilities, Distance};
pub use self::container::{
    ContainerFacts, ContainerSpec, Exit, HealthcheckSpec, Networking, PublishedSpec,
};
pub use self::exec::{ExecOutcome, ExecSpec};
pub use self::failure::{EngineError, FailureKind};
pub use self::image::{ImageFacts, ImageHealthcheck, ImportSpec};
pub use self::interaction::{Interaction, LogsSpec, Session, TerminalSize};
use self::listing::LISTING;
pub use self::listing::Listing;
pub use self::mount::{ContainerMount, ContainerMountSource, MountSpec, MountSpecSource};
pub use self::network::{
    Attachment, Attachments, BRIDGE_OPTION, NamesOnNetwork, Namespace, NetworkFacts, PARENT_OPTION,
    RunOf,
};
pub use self::output::{OutputChunk, OutputStream, Seen};
pub use self::pull::{PullProgress, PullReport, PullSink, PullSpec};
pub use self::resource::{Belonging, Removal, Resource, ResourceKind};
pub use self::specification::{EndpointSpec, NetworkAddress, NetworkSpec, Subnet, VolumeSpec};
pub use self::usage::UsageSample;
use crate::clock;
use crate::image::Reference;
use crate::name::{ContainerId, ImageId, NetworkId, RunId};

/// Label that every resource of a run carries; its value is the run's UUID.
pub const RUN_LABEL: &str = "dev.envrun.run";
/// Label of a container that names its service.
pub const SERVICE_LABEL: &str = "dev.envrun.service";
/// Label of a container that tells it from the others of its service: the name of the service, or
/// with several replicas `web-2`.
pub const REPLICA_LABEL: &str = "dev.envrun.replica";
/// Label of everything of a run that says who may still need it: see [`crate::lease`].
pub const LEASE_LABEL: &str = "dev.envrun.lease";
/// Label with the directory of the project, by which a person finds what is held for it.
pub const DIRECTORY_LABEL: &str = "dev.envrun.directory";
/// Label with the id of the CI system's build that a run is a part of, by which the job finds what it has left.
pub const BUILD_LABEL: &str = "dev.envrun.ci.build";
/// Label of a volume that notes a fault which was asked for and is not undone yet.
pub const FAULT_LABEL: &str = "dev.envrun.fault";
/// Label that names the project, for people who look at the engine.
pub const PROJECT_LABEL: &str = "dev.envrun.project";

/// The verbs that envrun needs of an engine.
///
/// Implementations must be cancel-safe only for the reading verbs. Creating and removing verbs are
/// always called from spawned tasks that are never aborted; [`Engine::pull_image`],
/// [`Engine::build_image`] and [`Engine::write_archive`] are the exception: dropping them ends the work
/// in the engine.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Asks the engine who it is and what it can do.
    async fn describe(&self) -> Result<Capabilities, EngineError>;
    /// How many processors it has: it refuses limits above that.
    async fn processors(&self) -> Result<u32, EngineError>;
    /// How far away the engine is, as far as its address says.
    fn distance(&self) -> Distance;
    /// What is mounted into a running container. `None` when the engine knows no such container. An id
    /// may be shortened; a name is none.
    async fn container_mounts(
        &self,
        container: &ContainerId,
    ) -> Result<Option<Vec<ContainerMount>>, EngineError>;

    /// Facts about an image that is present, by reference or id; `None` when it is not.
    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError>;
    /// Pulls an image, with the credentials that the user has for its registry. Dropping the future
    /// ends the pull.
    async fn pull_image(&self, spec: &PullSpec, sink: &PullSink) -> Result<(), EngineError>;
    /// Gives an image one more name, which is taken from the image that has it, and notes the time.
    async fn tag_image(&self, image: &str, reference: &Reference) -> Result<(), EngineError>;
    /// Takes a name from an image that has further ones.
    async fn untag_image(&self, reference: &Reference) -> Result<(), EngineError>;
    /// Builds an image and returns its id. Dropping the future ends the build.
    async fn build_image(
        &self,
        spec: &BuildSpec,
        output: &BuildOutput,
    ) -> Result<ImageId, EngineError>;

    /// Makes an image of a file system, nothing but its own.
    async fn import_image(&self, spec: &ImportSpec) -> Result<ImageId, EngineError>;

    /// Creates a network.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<NetworkId, EngineError>;
    /// The id of the one network with exactly this name, `None` when there is none.
    async fn find_network(&self, name: &str) -> Result<Option<NetworkId>, EngineError>;
    /// Attaches a created container to a further network.
    async fn connect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
        endpoint: &EndpointSpec,
    ) -> Result<(), EngineError>;
    /// Takes a container from a network, by force. One that is not on it counts as taken.
    async fn disconnect_network(
        &self,
        network: &NetworkId,
        container: &ContainerId,
    ) -> Result<(), EngineError>;
    /// How a container hangs on networks.
    async fn attachments(&self, container: &ContainerId) -> Result<Attachments, EngineError>;
    /// Creates a volume.
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError>;

    /// Creates a container without starting it.
    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError>;
    /// Attaches to the output of a container, from its first byte when called before the start.
    async fn attach(
        &self,
        container: &ContainerId,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError>;
    /// The output of a container from its first byte on, less what was seen already: for whoever has
    /// lost an attached stream. Ends with the container, with an error where the engine keeps no
    /// output.
    fn output_after(
        &self,
        container: &ContainerId,
        seen: Seen,
    ) -> BoxStream<'static, Result<OutputChunk, EngineError>>;
    /// Attaches to the input and the output of a container that was created to [converse], before its
    /// start.
    ///
    /// [converse]: ContainerSpec::converses
    async fn converse(&self, container: &ContainerId) -> Result<Session, EngineError>;
    /// Starts a created container.
    async fn start_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// Kills a running container. Its remains stay, so that reports can still be read from them.
    async fn kill_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// Sends a running container its stop signal, and kills it when it still runs after `grace`,
    /// which engines count in whole seconds. Returns when it has ended.
    async fn stop_container(
        &self,
        container: &ContainerId,
        grace: Duration,
    ) -> Result<(), EngineError>;
    /// Freezes all processes of a running container.
    async fn pause_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// Lets a frozen container go on. One that is not frozen counts as going on.
    async fn unpause_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// State and addresses of a container.
    async fn inspect_container(
        &self,
        container: &ContainerId,
    ) -> Result<ContainerFacts, EngineError>;
    /// Returns when the container is not running. To be called after the start has returned.
    async fn wait_container(&self, container: &ContainerId) -> Result<(), EngineError>;
    /// What a running container uses at this moment; `None` when it does not run, or nothing is known of
    /// it. May take a second.
    async fn usage(&self, container: &ContainerId) -> Result<Option<UsageSample>, EngineError>;
    /// Runs a command in a running container and waits for it.
    async fn exec(
        &self,
        container: &ContainerId,
        spec: &ExecSpec,
    ) -> Result<ExecOutcome, EngineError>;
    /// What a container has written, and with `follow` what it writes until it ends.
    async fn logs(
        &self,
        container: &ContainerId,
        spec: &LogsSpec,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError>;
    /// Runs a command in a running container, with its input and output at hand.
    async fn open_session(
        &self,
        container: &ContainerId,
        spec: &ExecSpec,
        interaction: Interaction,
    ) -> Result<Session, EngineError>;
    /// Tells a command the size of its terminal.
    async fn resize_session(&self, session: &str, size: TerminalSize) -> Result<(), EngineError>;
    /// The exit code of a command whose output has ended.
    async fn session_code(&self, session: &str) -> Result<i64, EngineError>;
    /// A tar archive of a path of a container, running or stopped. `None` when the path does not
    /// exist.
    async fn read_archive(
        &self,
        container: &ContainerId,
        path: &str,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, EngineError>>>, EngineError>;

    /// Unpacks a tar archive at the root of a container that need not run; owners and modes are those
    /// of the archive. What lies on a volume of the container goes to the volume. A directory is never
    /// replaced by a file. Dropping the future ends the upload.
    async fn write_archive(
        &self,
        container: &ContainerId,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(), EngineError>;

    /// Removes a resource by force: kills a running container, disconnects what hangs on a network.
    /// Answers [`Removal::AlreadyGone`] when there is nothing to remove.
    async fn remove(&self, resource: &Resource) -> Result<Removal, EngineError>;
    /// Everything that carries the label of the run and a name of the run. The label alone is not
    /// enough: whatever somebody derives from an image of a run inherits it.
    async fn list(&self, run: RunId) -> Result<Vec<Resource>, EngineError>;
    /// The same for teardown, which goes on with what could be listed. Answers in bounded time,
    /// whatever the engine does.
    async fn listing(&self, run: RunId) -> Listing {
        let listed = match clock::within(LISTING, self.list(run)).await {
            Ok(listed) => listed,
            Err(reached) => Err(Listing::late("resources", reached)),
        };
        match listed {
            Ok(found) => Listing {
                found,
                ..Listing::default()
            },
            Err(error) => Listing {
                found: Vec::new(),
                unknown: ResourceKind::ALL.map(|kind| (kind, error.clone())).into(),
            },
        }
    }
    /// Whether the engine still takes new connections. One that shuts down serves those that it has,
    /// and ends its containers meanwhile.
    async fn still_there(&self) -> Result<(), EngineError> {
        Ok(())
    }
    /// The same for all runs.
    async fn list_all(&self) -> Result<Vec<Belonging>, EngineError>;
    /// The time by the engine's clock.
    async fn time(&self) -> Result<SystemTime, EngineError>;
    /// All networks, whoever made them.
    async fn networks(&self) -> Result<Vec<NetworkFacts>, EngineError>;
    /// The names that containers of runs have on a network.
    async fn names_on(&self, network: &NetworkId) -> Result<Vec<NamesOnNetwork>, EngineError>;
}
