//! `build:` of a service.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::injected::Hidden;
use crate::name::ServiceName;
use crate::options::Ulimit;

/// `build:` of a service. Two services with equal builds share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// `context:`.
    pub context: BuildContext,
    /// `dockerfile:` or `dockerfile_inline:`.
    pub dockerfile: Dockerfile,
    /// `args:`, resolved like `environment:`.
    pub args: BTreeMap<String, String>,
    /// `target:` stage.
    pub target: Option<String>,
    /// `additional_contexts:` by name.
    pub additional_contexts: BTreeMap<String, AdditionalContext>,
    /// `labels:` of the image.
    pub labels: BTreeMap<String, String>,
    /// `tags:`; other services that name one get the build, and the engine never sees them.
    pub tags: Vec<String>,
    /// `secrets:` by the id that a Dockerfile names.
    pub secrets: BTreeMap<String, BuildSecret>,
    /// `ssh:`: sockets of agents by the id that a Dockerfile names.
    pub ssh: BTreeMap<String, PathBuf>,
    /// Options that are handed to the engine as they are.
    pub options: BuildOptions,
}

/// `context:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildContext {
    /// Absolute path of a directory.
    Directory(PathBuf),
    /// A Git repository or an archive that the engine fetches.
    Remote(String),
}

/// Where the instructions of a build are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dockerfile {
    /// `dockerfile:`, relative to the context unless absolute.
    File(PathBuf),
    /// `dockerfile_inline:`.
    Inline(String),
}

/// One of `additional_contexts:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdditionalContext {
    /// Absolute path of a directory.
    Directory(PathBuf),
    /// `docker-image://REFERENCE`.
    Image(String),
    /// `service:NAME`: the image of that service.
    Service(ServiceName),
}

/// Where the value of a build's secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildSecret {
    /// `file:`, absolute.
    File(PathBuf),
    /// `environment:`, the value.
    Value(Hidden),
}

/// Options of a build that need no interpretation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// `cache_from:`, references of images.
    pub cache_from: Vec<String>,
    /// `network:`.
    pub network: Option<String>,
    /// `shm_size:` in bytes.
    pub shm_size: Option<u64>,
    /// The platform of `platforms:`, or of the service.
    pub platform: Option<String>,
    /// `pull:`.
    pub pull: bool,
    /// `no_cache:`.
    pub no_cache: bool,
    /// `no_cache_filter:`, stages.
    pub no_cache_filter: Vec<String>,
    /// `extra_hosts:`, each as `name:address`.
    pub extra_hosts: Vec<String>,
    /// `ulimits:`.
    pub ulimits: Vec<Ulimit>,
}
