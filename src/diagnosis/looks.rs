//! What is looked at in the network, and what was seen there.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::name::ServiceName;

/// Something to be looked at. All of them are made at once, and none of them changes anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// The addresses of a name, as the subject of the inquiry gets them, and what comes of connections
    /// to a port of them.
    Reach {
        /// Name or address.
        host: String,
        /// Port; without one only the name is resolved.
        port: Option<u16>,
    },
    /// What is listened on beside a service.
    Listeners(ServiceName),
    /// The last output of another service.
    Output(ServiceName),
    /// A container of this name that is none of the run's.
    Stranger(String),
    /// Who listens on a port of this host.
    HostPort(u16),
}

/// What came of the attempt to reach something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The addresses of the name, or why there are none.
    pub resolved: Option<Result<Vec<IpAddr>, String>>,
    /// What became of a connection to the first address that answered otherwise than by silence.
    pub dialled: Option<(SocketAddr, Dialled)>,
}

/// What became of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialled {
    /// It was accepted.
    Accepted,
    /// It was refused.
    Refused,
    /// Nobody answered within the time of the look.
    Silent,
    /// There is no way, in the kernel's words.
    Unreachable(String),
}

/// A container that is none of the run's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Whether it runs.
    pub running: bool,
    /// The project that it says to belong to.
    pub project: Option<String>,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The last output of the subject.
    pub output: Vec<String>,
    /// By host and port.
    pub reached: BTreeMap<(String, Option<u16>), Reach>,
    /// By service.
    pub listeners: BTreeMap<ServiceName, Vec<SocketAddr>>,
    /// By service.
    pub outputs: BTreeMap<ServiceName, Vec<String>>,
    /// By name.
    pub strangers: BTreeMap<String, Stranger>,
    /// By port: who, in words.
    pub holders: BTreeMap<u16, String>,
    /// Why something could not be looked at.
    pub unseen: Option<String>,
}
