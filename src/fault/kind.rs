//! The kinds of faults by name, for whoever says which of them may be asked for.

use std::fmt;

/// What can be done to services on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Take a service from one of its networks, or from all.
    Disconnect,
    /// Put a service onto a network that it is not on.
    Connect,
    /// Freeze all processes of a service.
    Pause,
    /// Kill a service.
    Kill,
    /// Stop a service by its signal and start it again.
    Restart,
    /// Lose all packets between two services.
    Partition,
    /// Lose packets of a service, or between two.
    Drop,
    /// Delay the packets that a service sends.
    Latency,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Disconnect,
        Self::Connect,
        Self::Pause,
        Self::Kill,
        Self::Restart,
        Self::Partition,
        Self::Drop,
        Self::Latency,
    ];

    /// Its name, as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Connect => "connect",
            Self::Pause => "pause",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Partition => "partition",
            Self::Drop => "drop",
            Self::Latency => "latency",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// All names, for messages.
    #[must_use]
    pub fn names() -> String {
        let names = Self::ALL.map(|kind| format!("`{kind}`"));
        names.join(", ")
    }

    /// What the kernel of the engine's host has to be able to do for it, beyond what every engine
    /// needs.
    #[must_use]
    pub const fn needs(self) -> Option<Need> {
        match self {
            Self::Partition | Self::Drop => Some(Need::Filter),
            Self::Latency => Some(Need::Delay),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a kernel may not be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Filter packets: nftables, in the family `inet`.
    Filter,
    /// Hold back packets: the queueing discipline `netem`.
    Delay,
}

impl Need {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Filter, Self::Delay];

    /// What it is called by those who build kernels.
    #[must_use]
    pub const fn module(self) -> &'static str {
        match self {
            Self::Filter => "nf_tables",
            Self::Delay => "sch_netem",
        }
    }
}
