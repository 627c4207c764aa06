//! What was seen: the vocabulary between whoever tries and whoever judges.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::model::reachability::Whom;
use crate::name::ServiceName;

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The connection was accepted, or the echo came back.
    Accepted,
    /// The connection was refused: by the host, where nothing listens, or by a filter on the way.
    Refused,
    /// Nobody answered in time.
    NoAnswer,
    /// The network or the kernel said that there is no way.
    NoWay(String),
    /// It could not be tried, and why.
    NotTried(String),
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TryKind {
    /// A connection to a port.
    Port(u16),
    /// A connection to a port of the agent beside the target: it tells whether packets come through,
    /// whatever the target itself listens on.
    Canary(u16),
    /// An echo of ICMP.
    Echo,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// Where.
    pub address: IpAddr,
    /// What.
    pub kind: TryKind,
    /// What came of it.
    pub answer: Answer,
}

/// What the name of the target came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// The target has no name there, and why that is so.
    Nameless(String),
    /// It has these addresses.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    Unknown,
    /// No name server answered in time.
    NoAnswer,
    /// It could not be asked for, and why.
    NotAsked(String),
}

/// Everything that was seen from one container of a source of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The container, by its replica.
    pub from: ServiceName,
    /// The service that it is of.
    pub source: ServiceName,
    /// The target.
    pub target: Whom,
    /// The name that was asked for.
    pub name: String,
    /// What the name came to.
    pub named: Named,
    /// The tries at the addresses of the name.
    pub by_name: Vec<Try>,
    /// The addresses of the target, by its replicas.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// The tries at these.
    pub by_address: Vec<Try>,
    /// How long all of it took.
    pub took: Duration,
}

/// What was seen beside a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetSeen {
    /// The ports that are listened on, and whether on the loopback address alone.
    pub listening: Vec<(bool, u16)>,
}

/// Everything that was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// From each container to each target.
    pub looks: Vec<Look>,
    /// The containers from which nothing could be tried, with the service that they are of, and why.
    pub missing: BTreeMap<ServiceName, (ServiceName, String)>,
    /// What was seen beside the containers of each target.
    pub targets: BTreeMap<ServiceName, TargetSeen>,
}
