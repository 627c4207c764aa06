//! Who may reach whom: `x-envrun.reachability` and `x-envrun.internet`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::name::ServiceName;

/// `x-envrun.reachability`: for each source what it may reach. Whoever is named here and not in the
/// row of a source must be unreachable from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reachability {
    /// The rows by their source. A service that is only a target has none.
    pub rows: BTreeMap<ServiceName, BTreeSet<Target>>,
}

/// What a source may reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Who.
    pub whom: Whom,
    /// `:PORT` of TCP; `None` is any port, or an answer of the host itself.
    pub port: Option<u16>,
}

/// Who can be a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// A service.
    Service(ServiceName),
    /// `host`: the engine's host, at the gateway of a network of the source.
    Host,
    /// `internet`: an address beyond the engine's host.
    Internet,
}

/// The word for the engine's host.
pub const HOST: &str = "host";

/// The word for what is beyond the engine's host.
pub const INTERNET: &str = "internet";

impl Whom {
    /// The name in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Service(name) => name.as_str(),
            Self::Host => HOST,
            Self::Internet => INTERNET,
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(formatter, "{}:{port}", self.whom),
            None => write!(formatter, "{}", self.whom),
        }
    }
}

/// The address that `internet` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternetAddress {
    /// An address, or a name that each source resolves for itself.
    pub host: String,
    /// Port of TCP.
    pub port: u16,
}

impl Default for InternetAddress {
    /// A public name server that answers over TCP in all networks that have a way out, by its address, so
    /// that no name has to be resolved.
    fn default() -> Self {
        Self {
            host: "1.1.1.1".to_owned(),
            port: 443,
        }
    }
}

impl fmt::Display for InternetAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl InternetAddress {
    /// How it is written, for whoever wrote it otherwise.
    pub const FORM: &str =
        "write `ADDRESS:PORT`, such as `192.0.2.10:443`, `[2001:db8::1]:443` or `example.com:443`";

    /// Reads `ADDRESS:PORT`, `[ADDRESS]:PORT` or `NAME:PORT`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        // `+443` is a number to the parser.
        if !text.ends_with(|c: char| c.is_ascii_digit()) || text.contains(":+") {
            return None;
        }
        if let Some(inner) = host.strip_prefix('[') {
            let address: std::net::Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            let host = address.to_string();
            return Some(Self { host, port });
        }
        let is_name = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let numeric = host
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_valid = match numeric {
            true => host.parse::<std::net::Ipv4Addr>().is_ok(),
            false => host.len() <= 253 && host.split('.').all(is_name),
        };
        is_valid.then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}
