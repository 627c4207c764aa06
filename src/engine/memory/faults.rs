//! Which call goes wrong, and how.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::engine::FailureKind;

/// A fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call has no effect and answers with an error of this kind.
    Fail {
        /// Which call, counted from zero.
        call: usize,
        /// How it fails.
        kind: FailureKind,
    },
    /// The call has its effect, this much later, but the caller sees a broken connection at once.
    LoseReply {
        /// Which call, counted from zero.
        call: usize,
        /// From the loss of the reply to the effect.
        late: Duration,
    },
}

impl Fault {
    const fn call(&self) -> usize {
        match self {
            Self::Fail { call, .. } | Self::LoseReply { call, .. } => *call,
        }
    }
}

/// Counts calls and knows which of them go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    planned: Vec<Fault>,
    calls: Vec<String>,
}

impl Faults {
    pub(super) fn inject(&self, fault: Fault) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .planned
            .push(fault);
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .calls
            .clone()
    }

    /// Counts a call and says what goes wrong with it.
    pub(super) fn next(&self, verb: &str) -> Option<Fault> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let call = inner.calls.len();
        inner.calls.push(verb.to_owned());
        inner
            .planned
            .iter()
            .find(|fault| fault.call() == call)
            .copied()
    }
}
