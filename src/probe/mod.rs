//! Kinds of readiness, and the pure machine that decides when to try again and when to give up.
//!
//! Knows no engine: an address to dial comes in, an answer goes out. How a healthcheck's command is
//! run in a container is the executor's business; what its result means is decided here.

pub mod host;
mod http;
pub mod listening;
pub mod machine;
mod postgres;
mod tcp;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

/// One thing that has to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Seen from the network.
    Network(NetworkProbe),
    /// A command in the container.
    Healthcheck(HealthcheckProbe),
}

/// A probe over the network, to the container's own address. Published ports are never judged by:
/// the engine's proxy accepts with nothing behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkProbe {
    /// A connection is accepted on any one of the ports.
    Tcp {
        /// Ports in the container.
        ports: Vec<u16>,
    },
    /// A GET is answered as wanted.
    Http {
        /// Port in the container.
        port: u16,
        /// Path with query.
        path: String,
        /// Status wanted; `None` accepts 200 to 399.
        status: Option<u16>,
    },
    /// The server answers the start of the PostgreSQL protocol and is past its recovery. The
    /// temporary server of the init phase listens on the unix socket only, so it is never taken for
    /// the real one.
    Postgres {
        /// Port in the container.
        port: u16,
    },
}

/// A healthcheck run by envrun itself, since the engine's first check comes only after its
/// interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthcheckProbe {
    /// Command and arguments.
    pub command: Vec<String>,
    /// Longest time between two checks.
    pub interval: Duration,
    /// Limit of one check.
    pub timeout: Duration,
    /// Failures in a row that would make it unhealthy.
    pub retries: u32,
    /// Time in which failures do not count.
    pub start_period: Duration,
}

impl HealthcheckProbe {
    /// How long the engine would go on before it called the container unhealthy. envrun is at least
    /// as patient.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.interval
            .saturating_add(self.timeout)
            .saturating_mul(self.retries)
            .saturating_add(self.start_period)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(probe) => probe.fmt(formatter),
            Self::Healthcheck(_) => formatter.write_str("healthcheck"),
        }
    }
}

impl fmt::Display for NetworkProbe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { ports } => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                write!(formatter, "tcp {}", ports.join(" or "))
            }
            Self::Http { port, path, .. } => write!(formatter, "http {port}{path}"),
            Self::Postgres { port } => write!(formatter, "postgres {port}"),
        }
    }
}

/// Somebody who can dial into the networks of a run.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Whether addresses behind this gateway can be dialled from here.
    fn reaches(&self, gateway: IpAddr) -> bool;
    /// One attempt, bounded by `limit`. `service` is the name that an HTTP server sees as its host.
    async fn attempt(
        &self,
        probe: &NetworkProbe,
        service: &str,
        address: IpAddr,
        limit: Duration,
    ) -> Result<(), String>;
}
