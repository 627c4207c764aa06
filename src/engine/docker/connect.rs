//! Where the engine is: `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context of the Docker configuration, the standard socket.

use std::fmt;
use std::path::{Path, PathBuf};

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::FutureExt as _;
use serde::Deserialize;

/// The socket where Docker Engine listens unless told otherwise.
const STANDARD_SOCKET: &str = "/var/run/docker.sock";

/// Limit for the headers of an answer, in seconds. It must be above anything the engine legitimately takes for one call.
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

/// Why no connection could be prepared.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address has a form that is not supported.
    #[error(
        "the engine's address `{0}` is not supported\nhint: use `unix://`, `tcp://` or `https://` in DOCKER_HOST"
    )]
    Unsupported(String),
    /// A context is named that does not exist.
    #[error("docker context `{0}` was not found\nhint: `docker context ls` shows which there are")]
    NoContext(String),
    /// Certificates and the like.
    #[error("cannot prepare the connection to `{address}`: {message}")]
    Prepare {
        /// The address.
        address: String,
        /// What bollard says.
        message: String,
    },
}

impl Endpoint {
    pub(super) fn from_environment() -> Result<Self, ConnectError> {
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
                None => Err(ConnectError::NoContext(name)),
            },
            _ => Ok(Self::Unix(PathBuf::from(STANDARD_SOCKET))),
        }
    }

    fn parse(host: &str, tls: bool) -> Result<Self, ConnectError> {
        match host.split_once("://") {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(PathBuf::from(path))),
            Some(("tcp" | "http", address)) if !tls => {
                Ok(Self::Tcp(address.trim_end_matches('/').to_owned()))
            }
            Some(("tcp" | "https", _)) => Ok(Self::Tls(host.to_owned())),
            _ => Err(ConnectError::Unsupported(host.to_owned())),
        }
    }

    pub(super) fn connect(&self) -> Result<Docker, ConnectError> {
        let docker = match self {
            Self::Unix(path) => {
                let path = path.to_string_lossy();
                match Docker::connect_with_unix(&path, ANSWER_SECONDS, API_DEFAULT_VERSION) {
                    // bollard looks for the file at once. A missing one is the same as one where nobody listens, and is told like
                    // that: by the first call, with everything that a failed run leaves.
                    Err(Error::SocketNotFoundError(path)) => Docker::connect_with_custom_transport(
                        move |_request| {
                            let missing = Error::SocketNotFoundError(path.clone());
                            futures::future::ready(Err(missing)).boxed()
                        },
                        None::<String>,
                        ANSWER_SECONDS,
                        API_DEFAULT_VERSION,
                    ),
                    docker => docker,
                }
            }
            Self::Tcp(address) => Docker::connect_with_http(
                &format!("tcp://{address}"),
                ANSWER_SECONDS,
                API_DEFAULT_VERSION,
            ),
            Self::Tls(url) => Docker::connect_with_host(url),
        };
        docker.map_err(|error| ConnectError::Prepare {
            address: self.to_string(),
            message: super::error::chain(&error),
        })
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

/// The host of a context. The store keeps each context in a folder named by a hash; looking into each spares the hash.
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
        assert!(matches!(
            Endpoint::parse("ssh://h", false),
            Err(ConnectError::Unsupported(_))
        ));
        assert!(matches!(
            Endpoint::parse("nonsense", false),
            Err(ConnectError::Unsupported(_))
        ));
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
