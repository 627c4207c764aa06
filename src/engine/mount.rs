//! Mounts: those to make, and those that a container has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::options::MountOptions;

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSpec {
    /// What is mounted.
    pub source: MountSpecSource,
    /// Absolute path in the container.
    pub target: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// What else is said of it; the part of a volume stands in its source.
    pub options: MountOptions,
}

/// Source of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSpecSource {
    /// A path of the engine's host.
    Bind {
        /// Absolute path.
        path: PathBuf,
        /// Create it as a directory when missing.
        create: bool,
    },
    /// A volume by its name; the engine creates it with these labels when it does not exist yet, so
    /// that volumes of an image's `VOLUME` are labelled from the first moment.
    Volume {
        /// Unique name.
        name: String,
        /// Labels, the run's among them; none for a volume outside of the run.
        labels: BTreeMap<String, String>,
        /// The file or directory of the volume that is mounted, relative and without `..`; it must be
        /// there. `None` mounts all of it, and fills an empty volume with what the image has there.
        subpath: Option<String>,
    },
    /// A file system in memory.
    Tmpfs,
    /// The content of an image, by its id.
    Image(String),
}

/// What is mounted into a container that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerMount {
    /// Absolute path in the container.
    pub target: PathBuf,
    /// Where it comes from.
    pub source: ContainerMountSource,
    /// Mounted read-only.
    pub read_only: bool,
}

/// Where a mount of a container comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerMountSource {
    /// A path of the engine's host.
    Bind(PathBuf),
    /// A volume.
    Volume {
        /// Its name.
        name: String,
        /// Which part of it, when not all.
        subpath: Option<String>,
    },
    /// Something that no other container can have.
    Private,
}
