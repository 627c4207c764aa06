//! Where the engine finds the paths of bind mounts.
//!
//! A path of a Compose file is one that this process sees. The engine sees the same one only if both
//! are on one host and outside of containers. A job container of a CI system has its files from
//! mounts of its own, which the engine knows; the rest, and everything where the engine is on another
//! host, is copied into volumes of the run.

use std::path::{Component, Path, PathBuf};

use super::injection::CopyIndex;
use crate::config::model::{FoundPath, Mount, MountSource, PathKind};
use crate::engine::{ContainerMount, ContainerMountSource};

/// Where this process is, as seen from the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Host {
    /// On the engine's host, and not in a container of the engine.
    #[default]
    Same,
    /// In a container of the engine, with these mounts, whose targets have all links followed.
    Container(Vec<ContainerMount>),
    /// Elsewhere.
    Remote,
}

/// What stands for a bind mount whose path the engine does not see as this process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Another path.
    Path {
        /// On the engine's host.
        path: PathBuf,
        /// This process may not write there either.
        read_only: bool,
    },
    /// A volume that is mounted into the container of this process as well.
    Volume {
        /// Its name.
        name: String,
        /// Which part of it, when not all.
        subpath: Option<String>,
        /// This process may not write there either.
        read_only: bool,
        /// The path for this process, when it has to be made: the engine makes missing paths of its
        /// host, and not of a volume.
        make: Option<PathBuf>,
    },
    /// A copy.
    Copy(CopyIndex),
}

impl Placement {
    /// The copy, if it is one.
    #[must_use]
    pub const fn copy(&self) -> Option<CopyIndex> {
        match self {
            Self::Copy(index) => Some(*index),
            _ => None,
        }
    }

    /// Whether what stands behind it is read-only, whatever the file says.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        match self {
            Self::Path { read_only, .. } | Self::Volume { read_only, .. } => *read_only,
            Self::Copy(_) => false,
        }
    }
}

/// The paths that are copied although nobody has asked for it, each once.
#[derive(Debug, Default)]
pub(super) struct Unseen(Vec<PathBuf>);

impl Unseen {
    /// One warning for all of them.
    pub(super) fn warnings(&self) -> Vec<String> {
        const SHOWN: usize = 3;
        let count = self.0.len();
        let shown = self.0.iter().take(SHOWN);
        let mut list = shown
            .map(|path| format!("`{}`", path.display()))
            .collect::<Vec<_>>()
            .join(", ");
        if count > SHOWN {
            list.push_str(&format!(" and {} more", count - SHOWN));
        }
        let warning = || {
            format!(
                "the engine cannot see {list}: the run works on a copy, and what containers write \
                 there does not come back"
            )
        };
        (count > 0).then(warning).into_iter().collect()
    }
}

/// File systems of the kernel, and the places of the engine's own things: they are the same in every
/// container of a host, or nowhere but on the host.
const KERNEL: [&str; 4] = ["/dev", "/proc", "/sys", "/var/lib/docker"];

impl Host {
    /// What stands for a mount; `None` for one that the engine takes as it is.
    pub(super) fn place(
        &self,
        mount: &Mount,
        project: &Path,
        unseen: &mut Unseen,
        copy: impl FnOnce(&FoundPath) -> CopyIndex,
    ) -> Option<Placement> {
        let MountSource::Bind {
            path,
            copy: is_copy,
            found,
            create,
        } = &mount.source
        else {
            return None;
        };
        if *is_copy && found.kind != PathKind::Special {
            return Some(Placement::Copy(copy(found)));
        }
        if let Self::Same = self {
            return None;
        }
        if let Self::Container(mounts) = self {
            // The innermost mount is the one that is seen.
            let mounts = mounts
                .iter()
                .filter(|own| found.real.starts_with(&own.target));
            let innermost = mounts.max_by_key(|own| own.target.components().count());
            if let Some(mut placement) = innermost.and_then(|own| translate(own, &found.real)) {
                if let Placement::Volume { make, .. } = &mut placement
                    && *create
                    && found.kind == PathKind::Missing
                {
                    *make = Some(found.real.clone());
                }
                return Some(placement);
            }
        }
        let is_of_the_host = match found.kind {
            PathKind::Special => true,
            // Something that is not here can only be meant to be there, unless it belongs to the
            // project.
            PathKind::Missing => !path.starts_with(project),
            PathKind::File | PathKind::Directory => {
                KERNEL.iter().any(|top| found.real.starts_with(top))
            }
        };
        if is_of_the_host {
            return None;
        }
        if !unseen.0.contains(path) {
            unseen.0.push(path.clone());
        }
        Some(Placement::Copy(copy(found)))
    }
}

/// Where a path below a mount of our own container is for the engine.
fn translate(own: &ContainerMount, path: &Path) -> Option<Placement> {
    let rest = path.strip_prefix(&own.target).ok()?;
    let is_plain = rest
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_plain {
        return None;
    }
    let below = |top: &Path| {
        if rest.as_os_str().is_empty() {
            top.to_owned()
        } else {
            top.join(rest)
        }
    };
    match &own.source {
        ContainerMountSource::Bind(source) => Some(Placement::Path {
            path: below(source),
            read_only: own.read_only,
        }),
        ContainerMountSource::Volume { name, subpath } => {
            let part = below(Path::new(subpath.as_deref().unwrap_or_default()));
            let part = part.to_str()?.to_owned();
            Some(Placement::Volume {
                name: name.clone(),
                subpath: (!part.is_empty()).then_some(part),
                read_only: own.read_only,
                make: None,
            })
        }
        ContainerMountSource::Private => None,
    }
}
