//! Why something has failed, beyond the one line of its [`Failure`](super::Failure): how the container
//! stood, what the probes were told, what happened when, and what the cause is in the network.

use std::time::Duration;

use serde::Serialize;

use super::milliseconds;
use crate::name::ServiceName;

/// What is known of a failure. Every text in it comes from the file or from a container, so whoever
/// shows it makes it harmless first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// How the container stood when it was given up: `running`, `exited with code 1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What has become of each probe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeRecord>,
    /// What happened to the container, oldest first; of very many moments the first and the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
    /// The causes that were found, the likeliest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Why the network could not be looked at, where that would have been of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

impl Explanation {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What has become of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeRecord {
    /// Which.
    pub probe: String,
    /// Why this one.
    pub because: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Its last answer, or that it has passed.
    pub last: String,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Since the start of the run.
    #[serde(rename = "at_ms", serialize_with = "milliseconds")]
    pub at: Duration,
    /// What.
    pub what: String,
}

/// A cause in the network or at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Short machine-readable kind: `NoSharedNetwork`, `LoopbackOnly`, …
    pub kind: &'static str,
    /// Whose connection it is about.
    pub service: ServiceName,
    /// The service, name or address at the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// One line: what is wrong, with both ends.
    pub message: String,
    /// What speaks for it, one line each.
    pub evidence: Vec<String>,
    /// The line to add or to change, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether a look at the network or the model proves it. Otherwise it is read from texts, and
    /// said to be likely.
    pub confirmed: bool,
}
