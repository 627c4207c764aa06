//! What a step is: an action, its cause, and what must be done before it.
//!
//! A vocabulary: which steps there are and in which order is decided by `steps`.

use super::ImageIndex;
use super::injection::CopyIndex;
use crate::name::{NetworkKey, ServiceName, VolumeKey};

/// Index into [`Plan::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Why it is done, for people.
    pub cause: String,
    /// What must be done before.
    pub needs: Vec<Need>,
    /// Expected length of the longest chain from here to the end, in milliseconds. Only the order
    /// matters: of two steps that could start now, the one with the longer chain goes first.
    pub chain: u64,
}

/// That another step is done before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The other step.
    pub step: StepId,
    /// Whether the other step must have succeeded. Only suites, and what is depended on with
    /// `required: false`, can fail without ending the run.
    pub success: bool,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Finds, pulls or builds an image.
    ObtainImage(ImageIndex),
    /// Creates (or, when external, finds) a network.
    CreateNetwork(NetworkKey),
    /// Creates a volume.
    CreateVolume(VolumeKey),
    /// Creates the container through which a volume is filled, and the volume with it.
    CreateFiller(CopyIndex),
    /// Fills the volume.
    Fill(CopyIndex),
    /// Creates the container of a service on its first network.
    CreateContainer(ServiceName),
    /// Connects the container to a further network.
    ConnectNetwork(ServiceName, NetworkKey),
    /// Puts files into the container before it starts.
    Inject(ServiceName),
    /// Attaches to the output of the container and starts it.
    StartContainer(ServiceName),
    /// Runs the `post_start` hooks in the container.
    RunHooks(ServiceName),
    /// Waits until a service is ready.
    AwaitReady(ServiceName),
    /// Waits until a job has exited with 0.
    AwaitCompleted(ServiceName),
    /// Waits until a suite has exited, collects its reports and judges it.
    AwaitSuite(ServiceName),
    /// Sends the agent from which a service is tried by the reachability matrix.
    SendObserver(ServiceName),
    /// Runs a command on this host, collects its reports and judges it.
    RunCommand(ServiceName),
    /// Tries the reachability matrix and judges it.
    TryReachability,
}
