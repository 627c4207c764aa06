//! `x-envrun.ready`: what a service has to show before anything that depends on it starts.

use std::ops::RangeInclusive;
use std::time::Duration;

/// `x-envrun.ready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// What has to pass; `None` when only the deadline was given, and the plan chooses.
    pub tree: Option<ReadyTree>,
    /// Limit from start to ready; `None` is the default of 3 min, zero means no limit.
    pub deadline: Option<Duration>,
}

/// What has to pass: one probe, all of several, or any one of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyTree {
    /// Every one of these. Probes that stand beside each other are this, too.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// This probe.
    Probe(ReadyProbe),
}

impl ReadyTree {
    /// Whether all that is asked for is the end of the container.
    #[must_use]
    pub fn is_completion(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_completion),
            Self::Probe(probe) => probe.kind == ReadyKind::Completed,
        }
    }
}

/// One probe as the user writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyProbe {
    /// What is looked at.
    pub kind: ReadyKind,
    /// How often and how long.
    pub pace: ReadyPace,
}

/// How often a probe is tried, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadyPace {
    /// `successes:` in a row that are needed; `None` is 1.
    pub successes: Option<u32>,
    /// `timeout:` of one attempt; `None` is the kind's default, zero means that only the deadline
    /// ends an attempt.
    pub timeout: Option<Duration>,
    /// `interval:` from the end of an attempt to the next one; `None` is the kind's own pace, zero
    /// means no pause.
    pub interval: Option<Duration>,
    /// `deadline:` of this probe, from the start of the container; `None` and zero mean none but
    /// that of the whole.
    pub deadline: Option<Duration>,
}

/// Kinds of probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyKind {
    /// `tcp`: a TCP connection is accepted.
    Tcp {
        /// Port in the container.
        port: u16,
    },
    /// `http` and `https`: a request is answered as wanted.
    Http(Box<ReadyHttp>),
    /// `log`: lines of the output match.
    Log {
        /// A regular expression that was found valid.
        pattern: String,
        /// Which stream is read; `None` reads both.
        stream: Option<ReadyStream>,
        /// Lines that have to match.
        times: u32,
    },
    /// `exec`: a command in the container ends with 0.
    Exec {
        /// Command and arguments.
        command: Vec<String>,
    },
    /// `healthcheck`: the healthcheck of the file or of the image.
    Healthcheck,
    /// `file`: a path exists in the container.
    File {
        /// Absolute path.
        path: String,
        /// Whether it has to have a content.
        not_empty: bool,
    },
    /// `completed`: the container has ended with 0.
    Completed,
    /// `postgres`, `mysql`, `redis` and so on: a server answers in its own protocol.
    Server {
        /// The protocol.
        protocol: ServerProtocol,
        /// Port in the container; `None` is the usual one.
        port: Option<u16>,
    },
    /// `grpc`: the service `grpc.health.v1.Health` says `SERVING`.
    Grpc {
        /// Port in the container.
        port: u16,
        /// The service that is asked for; empty is the server as a whole.
        service: String,
    },
}

/// Streams of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Servers that are asked in their own protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerProtocol {
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

/// `http` and `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyHttp {
    /// Port in the container.
    pub port: u16,
    /// Path with query, default `/`.
    pub path: String,
    /// Whether only the head is asked for.
    pub head_only: bool,
    /// Headers of the request, in the order of the file.
    pub headers: Vec<(String, String)>,
    /// Wanted status; empty accepts 200 to 399.
    pub status: Vec<RangeInclusive<u16>>,
    /// A regular expression that the body has to match; it was found valid.
    pub body: Option<String>,
    /// Redirects followed at most; 0 follows none, and then a redirect is an answer like others.
    pub redirects: u32,
    /// `https`, and how the server's certificate is judged.
    pub tls: Option<ReadyTls>,
}

/// How the certificate of a server is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyTls {
    /// By the authorities that this host trusts.
    Trusted,
    /// By these authorities alone, in PEM.
    Authorities(Vec<u8>),
    /// Not at all.
    Insecure,
}
