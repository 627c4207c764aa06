//! What networks and volumes are created with, and how a container hangs on a network.
//!
//! Owns the specifications that cross the border to an engine, and addresses. It must never choose a
//! subnet: that is the plan's.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::options::{EndpointOptions, Ipam};

/// A network to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Unique name.
    pub name: String,
    /// Labels, the run's among them.
    pub labels: BTreeMap<String, String>,
    /// Driver, `None` for the engine's default.
    pub driver: Option<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
    /// Whether containers of Swarm may be attached by hand.
    pub attachable: bool,
    /// No way out.
    pub internal: bool,
    /// Whether there are addresses of IPv4; `None` leaves it to the engine.
    pub enable_ipv4: Option<bool>,
    /// Whether there are addresses of IPv6; `None` leaves it to the engine.
    pub enable_ipv6: Option<bool>,
    /// Who gives out addresses, and which: what the file fixes.
    pub ipam: Ipam,
    /// The subnet that the run has chosen; `None` leaves the choice to the engine, unless the file
    /// fixes one.
    pub subnet: Option<Subnet>,
}

/// An IPv4 subnet in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subnet {
    /// First address; its host bits are zero.
    pub base: Ipv4Addr,
    /// Prefix length, 0 to 32.
    pub prefix: u8,
}

impl Subnet {
    /// Whether all addresses of the other one are in this one.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.overlaps(other)
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = self.prefix.min(other.prefix);
        let mask = u32::MAX.checked_shl(32 - u32::from(shorter)).unwrap_or(0);
        u32::from(self.base) & mask == u32::from(other.base) & mask
    }

    /// The first usable address, which is the network's gateway on a bridge.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) | 1)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix)
    }
}

/// A volume to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Unique name.
    pub name: String,
    /// Labels, the run's among them.
    pub labels: BTreeMap<String, String>,
    /// Driver, `None` for the engine's default.
    pub driver: Option<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
}

/// How a container hangs on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// Names that resolve to the container on this network.
    pub aliases: Vec<String>,
    /// Further names under which the container finds others here, as `CONTAINER:NAME`.
    pub links: Vec<String>,
    /// What else is said of it.
    pub options: EndpointOptions,
}

/// Address of a container on one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkAddress {
    /// The container's address.
    pub address: IpAddr,
    /// The network's gateway, when it has one. On `internal` networks the engine names none to the
    /// container, and the first address of the subnet is the host's.
    pub gateway: Option<IpAddr>,
}
