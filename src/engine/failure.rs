//! How a call of an engine fails.
//!
//! Owns the kinds of failures that decide what is tried next. It must never know the protocol that an
//! engine speaks.

/// What kind of failure an engine call met; decides what is tried next and which exit code it may
/// become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection, or it broke: whether the call took effect is unknown.
    Unreachable,
    /// The subnet is taken: try the next.
    SubnetTaken,
    /// Another network has something on the engine's host that only one can have: a bridge, an
    /// interface.
    HostTaken,
    /// The named thing does not exist.
    NotFound,
    /// Something else is going on with the resource (in use, removal in progress): try again.
    Busy,
    /// The engine understood and declined.
    Refused,
    /// The engine failed inside, or answered something that cannot be understood.
    Internal,
}

/// A failed engine call: what was tried and on what, in which way it failed, and the engine's own
/// words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {attempt}: {message}")]
pub struct EngineError {
    /// What was tried, as an infinitive with its resource: ``create network `envrun-…` ``.
    pub attempt: String,
    /// The way it failed.
    pub kind: FailureKind,
    /// The engine's own words, or the transport's.
    pub message: String,
}
