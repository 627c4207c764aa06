//! What a teardown lists: what there is of a run, and of which kinds nothing is known.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{EngineError, FailureKind, Resource, ResourceKind};
use crate::clock::LimitReached;

/// Limit of one listing.
pub(super) const LISTING: Duration = Duration::from_secs(10);

/// What could be listed.
#[derive(Debug, Default)]
pub struct Listing {
    /// What was found.
    pub found: Vec<Resource>,
    /// The kinds of which nothing is known, and why.
    pub unknown: BTreeMap<ResourceKind, EngineError>,
}

impl Listing {
    /// Whether everything is known, and there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty() && self.unknown.is_empty()
    }

    pub(super) fn late(what: &str, reached: LimitReached) -> EngineError {
        EngineError {
            attempt: format!("list {what}"),
            kind: FailureKind::Unreachable,
            message: reached.to_string(),
        }
    }

    /// Adds the answer of one kind.
    pub(super) fn add(
        &mut self,
        kind: ResourceKind,
        answer: Result<Result<Vec<Resource>, EngineError>, LimitReached>,
    ) {
        match answer {
            Ok(Ok(found)) => self.found.extend(found),
            Ok(Err(error)) => drop(self.unknown.insert(kind, error)),
            Err(reached) => {
                let error = Self::late(&format!("{kind}s"), reached);
                drop(self.unknown.insert(kind, error));
            }
        }
    }
}
