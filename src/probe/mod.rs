//! Kinds of readiness, and the pure machine that decides when to try again and when to give up.
//!
//! Knows no engine: an address to dial comes in, an answer goes out. How a command is run in a
//! container, and how its output and its files are had, is the executor's business; what they mean is
//! decided here.

pub mod command;
mod conversation;
pub mod course;
pub mod dial;
pub mod file;
mod grpc;
pub mod host;
mod http;
pub mod listening;
pub mod log;
pub mod machine;
mod memcached;
mod mysql;
mod nats;
mod pattern;
mod postgres;
mod rabbitmq;
mod reason;
mod redis;
mod tcp;
mod tls;
mod tree;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

pub use self::command::{ExecProbe, HealthcheckProbe};
use self::conversation::Conversation;
use self::dial::Dialler;
pub use self::file::FileProbe;
pub use self::http::HttpProbe;
pub use self::log::LogProbe;
pub use self::pattern::Pattern;
pub use self::reason::Reason;
pub use self::tls::Verification;
pub use self::tree::Tree;
use crate::clock;

/// One thing that is looked at, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is looked at.
    pub kind: Kind,
    /// How often and how long.
    pub pace: Pace,
}

impl Probe {
    /// A probe in the kind's own pace.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            pace: Pace::default(),
        }
    }
}

/// What can be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The container's address.
    Network(NetworkProbe),
    /// What the healthcheck says.
    Healthcheck(HealthcheckProbe),
    /// What a command in the container says.
    Exec(ExecProbe),
    /// The output of the container.
    Log(LogProbe),
    /// The files of the container.
    File(FileProbe),
    /// The end of the container with 0. Nobody has to ask for it: a run is told.
    Completed,
}

impl Kind {
    /// Whether looking costs the container a process, or the engine some work.
    #[must_use]
    pub const fn is_costly(&self) -> bool {
        matches!(self, Self::Healthcheck(_) | Self::Exec(_) | Self::File(_))
    }
}

/// How often a probe is tried and for how long, as far as the user says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Successes in a row that are needed; at least one.
    pub successes: u32,
    /// Limit of one attempt; `None` is the kind's own, zero is none but the deadline.
    pub timeout: Option<Duration>,
    /// From the end of an attempt to the next one; `None` is the kind's own pace, zero is no pause.
    pub interval: Option<Duration>,
    /// From the start of the container; `None` is that of the whole.
    pub deadline: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            successes: 1,
            timeout: None,
            interval: None,
            deadline: None,
        }
    }
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
    /// A request is answered as wanted.
    Http(Box<HttpProbe>),
    /// A server answers in its own protocol that it serves.
    Server {
        /// The protocol.
        protocol: Protocol,
        /// Port in the container.
        port: u16,
    },
    /// The health service of gRPC says that a service serves.
    Grpc {
        /// Port in the container.
        port: u16,
        /// The service; empty is the server as a whole.
        service: String,
    },
}

impl NetworkProbe {
    /// The ports that are dialled.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        match self {
            Self::Tcp { ports } => ports.clone(),
            Self::Http(probe) => vec![probe.port],
            Self::Server { port, .. } | Self::Grpc { port, .. } => vec![*port],
        }
    }
}

/// Servers that are asked in their own protocol.
///
/// The temporary servers of the init phases of PostgreSQL, MySQL and MariaDB listen on a unix socket
/// only, so none of them is ever taken for the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// Redis and Valkey.
    Redis,
    /// AMQP 0-9-1.
    Rabbitmq,
    /// Memcached.
    Memcached,
    /// NATS.
    Nats,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Postgres,
        Self::Mysql,
        Self::Redis,
        Self::Rabbitmq,
        Self::Memcached,
        Self::Nats,
    ];

    /// The port that such a server has unless it is told otherwise.
    #[must_use]
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
            Self::Redis => 6379,
            Self::Rabbitmq => 5672,
            Self::Memcached => 11211,
            Self::Nats => 4222,
        }
    }

    /// The word for it in a file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Rabbitmq => "rabbitmq",
            Self::Memcached => "memcached",
            Self::Nats => "nats",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Network(probe) => probe.fmt(formatter),
            Kind::Healthcheck(_) => formatter.write_str("healthcheck"),
            Kind::Exec(probe) => {
                // The words before the command say nothing to who wrote one text.
                let command = match probe.command.as_slice() {
                    [shell, flag, text] if shell == "/bin/sh" && flag == "-c" => text.clone(),
                    words => words.join(" "),
                };
                write!(formatter, "exec `{}`", conversation::shown(&command))
            }
            Kind::Log(probe) => probe.fmt(formatter),
            Kind::File(probe) => probe.fmt(formatter),
            Kind::Completed => formatter.write_str("completed"),
        }?;
        match self.pace.successes {
            1 => Ok(()),
            successes => write!(formatter, " {successes} times in a row"),
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
            Self::Http(probe) => probe.fmt(formatter),
            Self::Server { protocol, port } => write!(formatter, "{protocol} {port}"),
            Self::Grpc { port, service } if service.is_empty() => write!(formatter, "grpc {port}"),
            Self::Grpc { port, service } => write!(formatter, "grpc {port} `{service}`"),
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
    ) -> Result<(), Reason>;
}

/// One attempt through `dialler`, bounded by `limit`. The target is the name that an HTTP server sees
/// as its host, and the address to dial.
///
/// # Errors
/// What speaks against it.
pub async fn attempt(
    dialler: &dyn Dialler,
    probe: &NetworkProbe,
    (service, address): (&str, IpAddr),
    limit: Duration,
) -> Result<(), Reason> {
    let attempt = async {
        match probe {
            NetworkProbe::Tcp { ports } => tcp::attempt(dialler, address, ports).await,
            NetworkProbe::Http(probe) => http::attempt(dialler, (service, address), probe).await,
            NetworkProbe::Server { protocol, port } => {
                let server = Conversation::open(dialler, (address, *port)).await?;
                match protocol {
                    Protocol::Postgres => postgres::attempt(server).await,
                    Protocol::Mysql => mysql::attempt(server).await,
                    Protocol::Redis => redis::attempt(server).await,
                    Protocol::Rabbitmq => rabbitmq::attempt(server).await,
                    Protocol::Memcached => memcached::attempt(server).await,
                    Protocol::Nats => nats::attempt(server).await,
                }
            }
            NetworkProbe::Grpc {
                port,
                service: asked,
            } => grpc::attempt(dialler, (service, address), (*port, asked)).await,
        }
    };
    clock::within(limit, attempt).await?
}

#[cfg(test)]
mod tests;
