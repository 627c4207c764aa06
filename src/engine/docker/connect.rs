//! Where the engine is: `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context of the Docker
//! configuration, the standard socket.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bollard::{API_DEFAULT_VERSION, Docker};
use serde::Deserialize;

use super::error::translate;
use crate::engine::{Distance, EngineError, FailureKind};

/// The socket where Docker Engine listens unless told otherwise.
const STANDARD_SOCKET: &str = "/var/run/docker.sock";

/// Limit for the headers of an answer, in seconds. It must be above anything the engine
/// legitimately takes for one call.
const ANSWER_SECONDS: u64 = 120;

/// The address of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain TCP, as `host:port`.
    Tcp(String),
    /// TCP with TLS, as the URL that bollard takes.
    Tls(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(address) => write!(formatter, "tcp://{address}"),
            Self::Tls(url) => formatter.write_str(url),
        }
    }
}

/// An engine that cannot even be addressed.
fn unaddressable(attempt: String, message: impl Into<String>) -> EngineError {
    EngineError {
        attempt,
        kind: FailureKind::Unreachable,
        message: message.into(),
    }
}

impl Endpoint {
    pub(super) fn from_environment() -> Result<Self, EngineError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let tls = variable("DOCKER_TLS_VERIFY").is_some();
        if let Some(host) = variable("DOCKER_HOST") {
            return Self::parse(&host, tls);
        }
        let directory = variable("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
        let context = variable("DOCKER_CONTEXT")
            .or_else(|| directory.as_deref().and_then(current_context))
            .filter(|name| name != "default");
        match (context, directory) {
            (Some(name), Some(directory)) => match context_host(&directory, &name) {
                Some(host) => Self::parse(&host, tls),
                None => Err(unaddressable(
                    format!("find docker context `{name}`"),
                    "the Docker configuration has none of this name; `docker context ls` shows which there are",
                )),
            },
            _ => Ok(Self::Unix(PathBuf::from(STANDARD_SOCKET))),
        }
    }

    fn parse(host: &str, tls: bool) -> Result<Self, EngineError> {
        match host.split_once("://") {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(PathBuf::from(path))),
            Some(("tcp" | "http", address)) if !tls => {
                Ok(Self::Tcp(address.trim_end_matches('/').to_owned()))
            }
            Some(("tcp" | "https", _)) => Ok(Self::Tls(host.to_owned())),
            _ => Err(unaddressable(
                format!("reach the engine at `{host}`"),
                "such an address is not supported; `unix://`, `tcp://` and `https://` are",
            )),
        }
    }

    /// How far away the engine is.
    pub(super) fn distance(&self) -> Distance {
        let Some(host) = self.host() else {
            return Distance::Socket;
        };
        let host = host.as_str();
        let is_loopback = |address: IpAddr| address.is_loopback();
        if host == "localhost" || host.parse().is_ok_and(is_loopback) {
            Distance::Loopback
        } else {
            Distance::Remote
        }
    }

    /// The name or address of the engine's host; `None` where it is this one.
    pub(super) fn host(&self) -> Option<String> {
        let address = match self {
            Self::Unix(_) => return None,
            Self::Tcp(address) => address.as_str(),
            Self::Tls(url) => url.split_once("://").map_or(url.as_str(), |(_, rest)| rest),
        };
        let host = url::Url::parse(&format!("tcp://{address}"))
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        Some(host.trim_matches(['[', ']']).to_owned())
    }

    /// The address with links in the path of a socket followed: `/var/run` is one on most systems.
    pub(super) fn resolved(&self) -> String {
        match self {
            Self::Unix(path) => Self::Unix(path.canonicalize().unwrap_or_else(|_| path.clone())),
            other => other.clone(),
        }
        .to_string()
    }

    pub(super) fn connect(&self) -> Result<Docker, EngineError> {
        let docker = match self {
            Self::Unix(path) => Docker::connect_with_unix(
                &path.to_string_lossy(),
                ANSWER_SECONDS,
                API_DEFAULT_VERSION,
            ),
            Self::Tcp(address) => Docker::connect_with_http(
                &format!("tcp://{address}"),
                ANSWER_SECONDS,
                API_DEFAULT_VERSION,
            ),
            Self::Tls(url) => Docker::connect_with_host(url),
        };
        docker.map_err(|error| translate(&format!("reach the engine at `{self}`"), error))
    }
}

#[derive(Deserialize)]
struct CliConfiguration {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

fn current_context(directory: &Path) -> Option<String> {
    let text = std::fs::read(directory.join("config.json")).ok()?;
    serde_json::from_slice::<CliConfiguration>(&text)
        .ok()?
        .current_context
}

/// The host of a context. The store keeps each context in a folder named by a hash; looking into
/// each spares the hash.
fn context_host(directory: &Path, name: &str) -> Option<String> {
    let folders = std::fs::read_dir(directory.join("contexts/meta")).ok()?;
    folders.filter_map(Result::ok).find_map(|folder| {
        let text = std::fs::read(folder.path().join("meta.json")).ok()?;
        let meta: serde_json::Value = serde_json::from_slice(&text).ok()?;
        (meta.get("Name")?.as_str()? == name)
            .then(|| {
                meta.pointer("/Endpoints/docker/Host")?
                    .as_str()
                    .map(str::to_owned)
            })
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        assert_eq!(
            Endpoint::parse("unix:///run/d.sock", false).expect("valid"),
            Endpoint::Unix("/run/d.sock".into())
        );
        assert_eq!(
            Endpoint::parse("tcp://h:2375/", false).expect("valid"),
            Endpoint::Tcp("h:2375".to_owned())
        );
        assert_eq!(
            Endpoint::parse("tcp://h:2376", true).expect("valid"),
            Endpoint::Tls("tcp://h:2376".to_owned())
        );
        for (address, distance) in [
            ("unix:///run/d.sock", Distance::Socket),
            ("tcp://localhost:1", Distance::Loopback),
            ("tcp://127.0.0.1:1", Distance::Loopback),
            ("tcp://[::1]:1", Distance::Loopback),
            ("tcp://docker:2375", Distance::Remote),
            ("tcp://10.0.0.1:2375", Distance::Remote),
            ("https://[fe80::1]:2376", Distance::Remote),
        ] {
            let endpoint = Endpoint::parse(address, false).expect("valid");
            assert_eq!(endpoint.distance(), distance, "{address}");
        }
        assert!(Endpoint::parse("ssh://h", false).is_err());
        assert!(Endpoint::parse("nonsense", false).is_err());
    }

    #[test]
    fn a_context_is_found_by_its_name() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let folder = directory.path().join("contexts/meta/0123");
        std::fs::create_dir_all(&folder).expect("created");
        let meta = r#"{"Name":"remote","Endpoints":{"docker":{"Host":"tcp://10.0.0.1:2375"}}}"#;
        std::fs::write(folder.join("meta.json"), meta).expect("written");
        assert_eq!(
            context_host(directory.path(), "remote").as_deref(),
            Some("tcp://10.0.0.1:2375")
        );
        assert_eq!(context_host(directory.path(), "other"), None);
    }
}
