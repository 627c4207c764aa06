//! Images: what is known of one, and what one can be made of without a build.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::image::policy::Present;
use crate::name::ImageId;

/// Facts about an image that the plan and the readiness rules need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Content id.
    pub id: ImageId,
    /// Under which digests registries have it, as `docker.io/library/postgres@sha256:…`, ascending. An image
    /// that was built or imported here has none.
    pub digests: Vec<String>,
    /// TCP ports of `EXPOSE`, ascending.
    pub exposed_tcp: Vec<u16>,
    /// Paths of `VOLUME`, ascending.
    pub volumes: Vec<String>,
    /// `ENV`, as `NAME=value`.
    pub environment: Vec<String>,
    /// `HEALTHCHECK`, if any.
    pub healthcheck: Option<ImageHealthcheck>,
    /// Its platform and its age.
    pub present: Present,
}

/// `HEALTHCHECK` of an image. Zero durations and retries mean the engine's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageHealthcheck {
    /// `["CMD", …]` or `["CMD-SHELL", "…"]`.
    pub test: Vec<String>,
    /// Time between two checks.
    pub interval: Duration,
    /// Limit of one check.
    pub timeout: Duration,
    /// Failures in a row.
    pub retries: u32,
    /// Time in which failures do not count.
    pub start_period: Duration,
}

/// An image to make of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSpec {
    /// Its name.
    pub name: String,
    /// Labels, the run's among them.
    pub labels: BTreeMap<String, String>,
    /// What a container of it runs.
    pub entrypoint: Vec<String>,
    /// The file system, as a tar archive.
    pub archive: Bytes,
}
