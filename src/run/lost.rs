//! Calls whose answer was lost: whether they took effect is asked, so that a connection that breaks does
//! not end a run whose engine is well. Nothing is asked for a second time here.

use std::time::Duration;

use super::shared::Shared;
use crate::clock;
use crate::engine::{EngineError, FailureKind, ResourceKind};
use crate::name::ContainerId;

/// Pauses before each look. What the engine is still at may land later; then the run has ended, and
/// teardown waits for it.
const LOOKS: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
];

/// The id of what was to be created, when it is there although the answer to its creation was lost.
///
/// # Errors
/// It is not there, or the error is another one: the error itself.
pub(super) async fn found(
    shared: &Shared,
    kind: ResourceKind,
    name: &str,
    error: EngineError,
) -> Result<String, EngineError> {
    if error.kind != FailureKind::Unreachable {
        return Err(error);
    }
    for pause in LOOKS {
        clock::pause(pause).await;
        let listing = shared.engine.listing(shared.run).await;
        let mut found = listing.found.into_iter();
        if let Some(there) = found.find(|one| one.kind == kind && one.name == name) {
            return Ok(there.id);
        }
    }
    Err(error)
}

/// Which start of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It has never run: if it has ended, it has started.
    First,
    /// It has ended before.
    Again,
}

/// Whether a container has started although the answer was lost.
///
/// # Errors
/// It has not, or the error is another one: the error itself.
pub(super) async fn started(
    shared: &Shared,
    container: &ContainerId,
    which: Start,
    error: EngineError,
) -> Result<(), EngineError> {
    if error.kind != FailureKind::Unreachable {
        return Err(error);
    }
    for pause in LOOKS {
        clock::pause(pause).await;
        let facts = shared.engine.inspect_container(container).await;
        let has_started = |which, ended| which == Start::First && ended;
        if facts.is_ok_and(|facts| facts.running || has_started(which, facts.exit.is_some())) {
            return Ok(());
        }
    }
    Err(error)
}
