//! What an engine tells of its networks, whoever made them: what only one network can have at a
//! time, and who has it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{EndpointSpec, Subnet};
use crate::name::{ContainerId, NetworkId, RunId};
use crate::options::Cidr;

/// Option of a network that names its bridge on the engine's host.
pub const BRIDGE_OPTION: &str = "com.docker.network.bridge.name";

/// Option of a network that names the interface of the engine's host that it is made on.
pub const PARENT_OPTION: &str = "parent";

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFacts {
    /// Its name.
    pub name: String,
    /// The run that it belongs to, if it belongs to one, and the project of that.
    pub owner: Option<RunOf>,
    /// Its addresses.
    pub subnets: Vec<Cidr>,
    /// Its bridge, where that was chosen by name.
    pub bridge: Option<String>,
    /// The interface that it is made on, for drivers that need one.
    pub parent: Option<String>,
}

/// A run, and its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOf {
    /// The run.
    pub run: RunId,
    /// Name of its project.
    pub project: String,
}

impl fmt::Display for RunOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "run {} of project `{}`", self.run, self.project)
    }
}

impl NetworkFacts {
    /// Its addresses of IPv4.
    pub fn ipv4(&self) -> impl Iterator<Item = Subnet> {
        self.subnets.iter().filter_map(|cidr| match cidr.address {
            IpAddr::V4(base) => Some(Subnet {
                base,
                prefix: cidr.prefix,
            }),
            IpAddr::V6(_) => None,
        })
    }
}

impl fmt::Display for NetworkFacts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "network `{}`", self.name)?;
        match &self.owner {
            Some(owner) => write!(formatter, " of {owner}"),
            None => Ok(()),
        }
    }
}

/// The names under which a container of a run is found on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesOnNetwork {
    /// Name of the container.
    pub container: String,
    /// The run that it belongs to.
    pub owner: RunOf,
    /// The names.
    pub aliases: Vec<String>,
}

/// How a container hangs on networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachments {
    /// In whose network namespace it is.
    pub namespace: Namespace,
    /// Its networks.
    pub endpoints: Vec<Attachment>,
}

/// A network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespace {
    /// One of its own.
    #[default]
    Own,
    /// That of another container.
    Of(ContainerId),
    /// That of the engine's host.
    Host,
}

/// A network on which a container is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network.
    pub network: NetworkId,
    /// Its name.
    pub name: String,
    /// How it was attached, so that it can be attached once more in the same way.
    pub endpoint: EndpointSpec,
    /// Its addresses there, while it runs.
    pub addresses: Vec<IpAddr>,
}
