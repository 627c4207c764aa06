//! What an image is built from, and with what.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Builder, Capabilities};
use crate::image::Mirrors;
use crate::options::{Limits, Ulimit};

/// First API version with which the limits of a build reach BuildKit (Docker 23).
const BUILDKIT_LIMITS: (u16, u16) = (1, 42);

/// Takes what a build prints, as it comes.
pub type BuildOutput = dyn Fn(&[u8]) + Send + Sync;

/// An image to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSpec {
    /// Unique tag under which the result is found again.
    pub name: String,
    /// What it is built for, in `[A-Za-z0-9._-]`: the service, or the service and the context.
    pub title: String,
    /// Labels, the run's among them.
    pub labels: BTreeMap<String, String>,
    /// The files that it is built from.
    pub context: BuildContext,
    /// What is done with them.
    pub dockerfile: DockerfileSource,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Stage to build.
    pub target: Option<String>,
    /// Additional contexts by name: images, which are there when the build begins.
    pub contexts: BTreeMap<String, ContextImage>,
    /// Secrets by id. They are handed out only to a command that mounts them.
    pub secrets: BTreeMap<String, BuildSecret>,
    /// Sockets of SSH agents by id, for commands that mount them.
    pub ssh: BTreeMap<String, PathBuf>,
    /// Where the images that the Dockerfile names come from instead of their registries: the first
    /// mirror of each registry is written into the Dockerfile that is sent.
    pub mirrors: Mirrors,
    /// Options without interpretation.
    pub options: BuildOptions,
}

/// Where the files of a build come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildContext {
    /// A directory of this host, absolute.
    Directory(PathBuf),
    /// A Git repository or an archive, which the engine fetches by itself.
    Remote(String),
}

impl fmt::Display for BuildContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(formatter),
            Self::Remote(url) => formatter.write_str(url),
        }
    }
}

/// Where the Dockerfile comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DockerfileSource {
    /// A file, relative to the context unless absolute.
    File(PathBuf),
    /// The text itself.
    Text(String),
}

/// The image that stands for an additional context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContextImage {
    /// Built by this run, under this name.
    Built(String),
    /// Found by the builder as the base of a stage is.
    Reference(String),
}

impl ContextImage {
    /// The name by which the builder finds it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Built(name) | Self::Reference(name) => name,
        }
    }
}

/// A secret of a build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildSecret {
    /// The content of a file of this host, read when it is asked for.
    File(PathBuf),
    /// The value itself.
    Value(SecretValue),
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretValue(pub Arc<str>);

impl fmt::Debug for SecretValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

/// Options of a build that need no interpretation, each named after its key in a Compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// Images whose layers may be used again.
    pub cache_from: Vec<String>,
    /// `host`, `none`, or a network of the engine.
    pub network: Option<String>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// `linux/arm64`; `None` is the engine's own.
    pub platform: Option<String>,
    /// Look for newer images to start from.
    pub pull: bool,
    /// Do everything again.
    pub no_cache: bool,
    /// Do the commands of these stages again.
    pub no_cache_filter: Vec<String>,
    /// Lines of `/etc/hosts`, each as `name:address`.
    pub extra_hosts: Vec<String>,
    /// Limits of the build's processes.
    pub ulimits: Vec<Ulimit>,
    /// Limits on the build as a whole, for strangers' code. Only the classic builder has any, of
    /// memory and processors.
    pub limits: Option<Limits>,
}

impl BuildSpec {
    /// Whether the two build the same, whatever it is called.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let nameless = |spec: &Self| Self {
            name: String::new(),
            title: String::new(),
            ..spec.clone()
        };
        nameless(self) == nameless(other)
    }

    /// What this build asks for and the engine passes over without a word, each as the key of the
    /// Compose file.
    #[must_use]
    pub fn passed_over(&self, capabilities: &Capabilities) -> Vec<&'static str> {
        let knows_limits =
            capabilities.builder == Builder::Classic || capabilities.api >= BUILDKIT_LIMITS;
        let asked = [
            ("shm_size", self.options.shm_size.is_some()),
            ("ulimits", !self.options.ulimits.is_empty()),
        ];
        let asked = asked
            .into_iter()
            .filter(|(_, is_asked)| *is_asked && !knows_limits);
        asked.map(|(key, _)| key).collect()
    }

    /// What this build asks for and a builder cannot do, each as the key of the Compose file.
    #[must_use]
    pub fn beyond(&self, builder: Builder) -> Vec<&'static str> {
        let network = self.options.network.as_deref();
        let own_network = network.is_some_and(|name| !matches!(name, "default" | "host" | "none"));
        let asked = match builder {
            Builder::BuildKit => vec![("network", own_network)],
            Builder::Classic => vec![
                ("secrets", !self.secrets.is_empty()),
                ("ssh", !self.ssh.is_empty()),
                ("ulimits", !self.options.ulimits.is_empty()),
                ("extra_hosts", self.options.extra_hosts.len() > 1),
            ],
        };
        let asked = asked.into_iter().filter(|(_, is_asked)| *is_asked);
        asked.map(|(key, _)| key).collect()
    }
}
