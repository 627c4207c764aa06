//! The vocabulary of pulls: what to pull, and what is told while it goes on.

use serde::Serialize;

use crate::image::{Platform, Reference};

/// An image to pull. Credentials are the engine's own business: each has its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullSpec {
    /// The image, at the very registry that it is to come from.
    pub reference: Reference,
    /// The platform; `None` leaves the choice to the engine.
    pub platform: Option<Platform>,
}

/// What is told while a pull goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullReport {
    /// It has come so far. Not told more often than people can read it.
    Progress(PullProgress),
    /// Something that the user should know and that does not stop the pull.
    Warning(String),
}

/// How far a pull has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PullProgress {
    /// Layers that are there, those that were there before included.
    pub layers_done: u64,
    /// Layers that the image is known to have.
    pub layers: u64,
    /// Bytes that were downloaded.
    pub bytes: u64,
    /// Bytes of the layers whose download has begun.
    pub total_bytes: u64,
}

/// Where a pull tells it. It must not block.
pub type PullSink = dyn Fn(PullReport) + Send + Sync;
