//! What a container is created with, and what is known of one that exists.
//!
//! Owns the specification that crosses the border to an engine, and the state and the end that come
//! back. It must never decide what a container is created with: that is the plan's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EndpointSpec, MountSpec, NetworkAddress};
use crate::name::{ImageId, NetworkId};
use crate::options::{ContainerOptions, Protocol};

/// A container to create.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// Unique name.
    pub name: String,
    /// Labels, the run's among them.
    pub labels: BTreeMap<String, String>,
    /// Image by content id: tags race.
    pub image: ImageId,
    /// Command, `None` keeps the image's.
    pub command: Option<Vec<String>>,
    /// Entry point, `None` keeps the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables over the image's.
    pub environment: BTreeMap<String, String>,
    /// Variables of the image that are taken away.
    pub unset_environment: BTreeSet<String>,
    /// Platform that the image must have, `None` takes it as it is.
    pub platform: Option<String>,
    /// Working directory, `None` keeps the image's.
    pub working_dir: Option<String>,
    /// User, `None` keeps the image's.
    pub user: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Its first network; further ones are connected afterwards.
    pub networking: Networking,
    /// Hardware address of the whole container, for engines that know none of an endpoint.
    pub mac_address: Option<String>,
    /// Whose IPC namespace it uses, in the engine's words.
    pub ipc: Option<String>,
    /// Whose process namespace it uses, in the engine's words.
    pub pid: Option<String>,
    /// Whose volumes it mounts too, in the engine's words: `CONTAINER[:ro]`.
    pub volumes_from: Vec<String>,
    /// Containers that it finds under further names, as `CONTAINER:NAME`.
    pub links: Vec<String>,
    /// Mounts.
    pub mounts: Vec<MountSpec>,
    /// Ports published on a host port that the engine chooses.
    pub published: Vec<PublishedSpec>,
    /// Ports that the container says to listen on, the published ones left out.
    pub exposed: Vec<(u16, Protocol)>,
    /// Healthcheck handed to the engine as well, `None` keeps the image's.
    pub healthcheck: Option<HealthcheckSpec>,
    /// Whether somebody speaks to it by its input, which ends with the connection of whoever does.
    pub converses: bool,
    /// Options without interpretation.
    pub options: ContainerOptions,
}

/// What a container is created on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networking {
    /// A network.
    Network(NetworkId, EndpointSpec),
    /// A mode of the engine: `none`, `host`, `bridge`, `container:ID`, or a network of its by name.
    Mode(String),
}

/// A port that is published on a host port of the engine's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSpec {
    /// Port in the container.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Address on the host, `None` for all.
    pub host_ip: Option<String>,
}

/// Healthcheck as the engine takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthcheckSpec {
    /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", "…"]`, or empty to inherit.
    pub test: Vec<String>,
    /// Time between two checks, zero inherits.
    pub interval: Duration,
    /// Limit of one check, zero inherits.
    pub timeout: Duration,
    /// Failures in a row, zero inherits.
    pub retries: u32,
    /// Time in which failures do not count, zero inherits.
    pub start_period: Duration,
    /// Time between two checks during it, zero inherits.
    pub start_interval: Duration,
}

/// State and addresses of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFacts {
    /// Whether it runs.
    pub running: bool,
    /// Exit code and more, once it has ended.
    pub exit: Option<Exit>,
    /// Its address on each network, by network id. Empty before the start.
    pub addresses: BTreeMap<NetworkId, NetworkAddress>,
    /// Host ports that the engine chose: container port and protocol (`5432/tcp`) to
    /// `address:port`.
    pub host_ports: BTreeMap<String, Vec<String>>,
    /// TCP ports that the image or its creation exposes.
    pub exposed_tcp: Vec<u16>,
    /// Working directory in force.
    pub working_dir: String,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code; 128 + signal when it was killed. `None` when the engine could not say.
    pub code: Option<i64>,
    /// Whether the kernel's memory limit killed it.
    pub oom_killed: bool,
    /// The engine's own words when it could not run it.
    pub error: Option<String>,
}

impl Exit {
    /// Name of the signal that its exit code stands for, if it stands for one.
    #[must_use]
    pub fn signal(&self) -> Option<&'static str> {
        self.code.and_then(signal_name)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            None => formatter.write_str("ended with an unknown exit code")?,
            Some(code) => {
                write!(formatter, "exited with code {code}")?;
                if let Some(signal) = signal_name(code) {
                    write!(formatter, " ({signal})")?;
                }
            }
        }
        if self.oom_killed {
            formatter.write_str(", killed by the kernel for want of memory (OOM)")?;
        }
        match self.error.as_deref() {
            Some(error) if !error.is_empty() => write!(formatter, ": {error}"),
            _ => Ok(()),
        }
    }
}

/// Name of the signal behind an exit code above 128.
fn signal_name(code: i64) -> Option<&'static str> {
    Some(match code - 128 {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}
