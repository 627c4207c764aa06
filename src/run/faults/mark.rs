//! A fault as it is noted on the engine: a volume whose label says what was asked for, what was done,
//! and what is needed to undo it. It is made before anything is done, so that whoever comes later, in
//! whatever process, finds what has to be undone.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::{Attachment, Belonging, FAULT_LABEL, ResourceKind, VolumeSpec};
use crate::fault::{Order, Request};
use crate::name::{ContainerId, NetworkId};
use crate::plan::agent::Kit;

/// What the names of such volumes have after the run's.
const KEY: &str = "fault-";

/// A fault that is, or may be, in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// By what it is undone.
    pub id: String,
    /// What was asked for, in its text form.
    pub fault: String,
    /// Who has asked for it: a suite, or nobody in the run.
    pub by: Option<String>,
    /// What is done for it.
    pub deeds: Vec<Deed>,
}

/// Something that is done to one container, and can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Take it from a network.
    Disconnect {
        /// The container.
        container: ContainerId,
        /// How it was on the network.
        attachment: Attachment,
    },
    /// Put it onto a network.
    Connect {
        /// The container.
        container: ContainerId,
        /// The network.
        network: NetworkId,
        /// By which names it is found there.
        aliases: Vec<String>,
    },
    /// Freeze it.
    Pause {
        /// The container.
        container: ContainerId,
    },
    /// Kill it.
    Kill {
        /// The container.
        container: ContainerId,
    },
    /// Stop it by its signal.
    Stop {
        /// The container.
        container: ContainerId,
    },
    /// Lose packets in its network namespace.
    Lose {
        /// The container whose namespace it is.
        container: ContainerId,
        /// How many of a hundred.
        percent: u8,
        /// Where they come from; empty for all that come and go.
        from: Vec<IpAddr>,
    },
    /// Hold back what is sent from its network namespace.
    HoldBack {
        /// The container whose namespace it is.
        container: ContainerId,
        /// For how long, in microseconds.
        delay: u64,
        /// By how much that varies, in microseconds.
        jitter: u64,
    },
}

impl Mark {
    /// The volume.
    pub(super) fn volume(&self, kit: &Kit) -> VolumeSpec {
        let text = serde_json::to_string(self).unwrap_or_default();
        kit.note(&format!("{KEY}{}", self.id), (FAULT_LABEL, text))
    }

    /// The fault that a volume notes.
    #[must_use]
    pub fn of(belonging: &Belonging) -> Option<Self> {
        if belonging.resource.kind != ResourceKind::Volume {
            return None;
        }
        serde_json::from_str(belonging.labels.get(FAULT_LABEL)?).ok()
    }

    /// For how long it was asked for.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        match Order::parse_text(&self.fault) {
            Ok(Order::Begin(Request { time, .. })) => time,
            _ => None,
        }
    }
}

impl Deed {
    /// The container that it is done to.
    #[must_use]
    pub const fn container(&self) -> &ContainerId {
        match self {
            Self::Disconnect { container, .. }
            | Self::Connect { container, .. }
            | Self::Pause { container }
            | Self::Kill { container }
            | Self::Stop { container }
            | Self::Lose { container, .. }
            | Self::HoldBack { container, .. } => container,
        }
    }
}
