//! What is put into containers before their start: files into a container that was created, or into a
//! volume of the run that is then mounted.
//!
//! A file goes straight into its container wherever that works. The engine refuses it for a read-only
//! root, a `tmpfs` would hide it, and a mount would carry it out of the container; there it goes into a
//! volume, and is mounted from it at its target. The volume is filled through a container that is
//! created and never started. In both ways the content is only ever in the body of a call and in the
//! engine's own storage: not in labels, arguments, an environment or the files of this host.

use std::path::PathBuf;

use super::{ImageIndex, resource_name};
use crate::config::model::{FoundPath, Hidden, InjectedContent, InjectedFile, PathKind, Service};
use crate::name::{RunId, ServiceName};

/// Index into [`super::Plan::copies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyIndex(pub usize);

/// A volume of the run that is filled before it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCopy {
    /// What is in it.
    pub of: CopyOf,
    /// Unique name of the volume.
    pub volume: String,
    /// Unique name of the container that it is filled through.
    pub filler: String,
    /// Image of that container: the one of the first service that mounts the volume, since nothing is
    /// obtained for our own needs.
    pub image: ImageIndex,
    /// What is put there, below [`FILLED_AT`].
    pub entries: Vec<ArchiveEntry>,
}

/// What is in a filled volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyOf {
    /// The secrets and configs of a service that cannot go straight into its container.
    Files(ServiceName),
    /// A path of this host that several services of one environment may mount: of the one that all suites
    /// share, or of that of this suite.
    Path(PathBuf, Option<ServiceName>),
}

/// A mount of a part of a filled volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyMount {
    /// The volume.
    pub copy: CopyIndex,
    /// Which part of it.
    pub subpath: String,
    /// Absolute path in the container.
    pub target: String,
    /// Mounted read-only.
    pub read_only: bool,
}

/// One entry of an archive that is unpacked at the root of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Where, relative to the root.
    pub path: String,
    /// What.
    pub content: EntryContent,
    /// Whose.
    pub owner: EntryOwner,
}

/// What is in an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryContent {
    /// A text.
    Text(Hidden),
    /// A file of this host, or a directory with everything in it.
    Path(PathBuf),
    /// A directory with nothing in it.
    EmptyDirectory,
}

/// Whose an entry is, and who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryOwner {
    /// As the file says.
    Given {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Permissions; `None` lets everybody read, and execute what somebody may execute on this
        /// host.
        mode: Option<u32>,
    },
    /// As on this host.
    Kept,
}

/// Where a volume is mounted while it is filled.
pub const FILLED_AT: &str = "/envrun-copy";

/// What a service gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injection {
    /// What goes straight into its container.
    pub direct: Vec<ArchiveEntry>,
    /// What is mounted from a filled volume.
    pub mounted: Vec<CopyMount>,
}

/// Decides for each secret and config of a service where it goes.
pub(super) fn plan_files(
    copies: &mut Vec<PlannedCopy>,
    service: &Service,
    run: RunId,
    image: ImageIndex,
) -> Injection {
    let mut injection = Injection::default();
    let mut entries = Vec::new();
    let index = CopyIndex(copies.len());
    let by_target = |file: &InjectedFile| must_be_mounted(service, &file.target);
    // Some engines (28.5) write nothing at all into a container that has a mount below a link.
    let below_link = |target: &str| canonical(target) != target.trim_end_matches('/');
    let all = service.mounts.iter().any(|mount| below_link(&mount.target))
        || service
            .injected
            .iter()
            .any(|file| below_link(&file.target) && by_target(file));
    for file in &service.injected {
        if all || by_target(file) {
            let subpath = entries.len().to_string();
            entries.push(entry(file, &format!("{FILLED_AT}/{subpath}")));
            injection.mounted.push(CopyMount {
                copy: index,
                subpath,
                target: file.target.clone(),
                read_only: true,
            });
        } else {
            injection.direct.push(entry(file, &file.target));
        }
    }
    if !entries.is_empty() {
        copies.push(planned_copy(
            run,
            index,
            CopyOf::Files(service.name.clone()),
            (image, entries),
        ));
    }
    injection
}

/// The part of a volume that holds the copy of a path.
pub(super) const COPIED: &str = "content";

/// The copy of a path: the same for all services of an environment that mount it.
pub(super) fn copy_of(
    copies: &mut Vec<PlannedCopy>,
    (found, scope): (&FoundPath, Option<&ServiceName>),
    run: RunId,
    image: ImageIndex,
) -> CopyIndex {
    let of = CopyOf::Path(found.real.clone(), scope.cloned());
    if let Some(index) = copies.iter().position(|copy| copy.of == of) {
        return CopyIndex(index);
    }
    let index = CopyIndex(copies.len());
    let missing = found.kind == PathKind::Missing;
    let entry = ArchiveEntry {
        path: format!("{}/{COPIED}", FILLED_AT.trim_start_matches('/')),
        content: if missing {
            EntryContent::EmptyDirectory
        } else {
            EntryContent::Path(found.real.clone())
        },
        owner: EntryOwner::Kept,
    };
    copies.push(planned_copy(run, index, of, (image, vec![entry])));
    index
}

/// The names cannot be those of a service or a volume of the file, which follow a hyphen.
fn planned_copy(
    run: RunId,
    index: CopyIndex,
    of: CopyOf,
    (image, entries): (ImageIndex, Vec<ArchiveEntry>),
) -> PlannedCopy {
    let base = resource_name(run, "");
    let base = base.trim_end_matches('-');
    PlannedCopy {
        of,
        volume: format!("{base}_copy-{}", index.0),
        filler: format!("{base}_filler-{}", index.0),
        image,
        entries,
    }
}

fn entry(file: &InjectedFile, path: &str) -> ArchiveEntry {
    ArchiveEntry {
        path: path.trim_start_matches('/').to_owned(),
        content: match &file.content {
            InjectedContent::Path(path) => EntryContent::Path(path.clone()),
            InjectedContent::Text(text) => EntryContent::Text(text.clone()),
        },
        owner: EntryOwner::Given {
            uid: file.uid,
            gid: file.gid,
            mode: file.mode,
        },
    }
}

/// Places that the engine mounts something at, whatever a file says.
const ENGINE_MOUNTS: [&str; 6] = [
    "/dev",
    "/proc",
    "/sys",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
];

/// Whether what is written to the container's own file system would not be seen at `target`, or could
/// not be written there.
fn must_be_mounted(service: &Service, target: &str) -> bool {
    let target = canonical(target);
    let below = |mount: &str| is_below(&target, &canonical(mount));
    service.options.read_only
        || service.mounts.iter().any(|mount| below(&mount.target))
        || service.options.tmpfs.keys().any(|mount| below(mount))
        || ENGINE_MOUNTS.iter().any(|mount| below(mount))
}

/// A path without its trailing slash, and with `/run` for `/var/run`, which is a link to it in
/// practically every image.
fn canonical(path: &str) -> String {
    let path = path.trim_end_matches('/');
    match path.strip_prefix("/var/run") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/run{rest}"),
        _ => path.to_owned(),
    }
}

/// Whether a path is at or below another one.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How a service names what it gets: ``secret `a`, config `b` ``.
pub(super) fn names(service: &Service, injection: &Injection, direct: bool) -> String {
    let is_mounted = |file: &&InjectedFile| {
        let mut mounts = injection.mounted.iter();
        mounts.any(|mount| mount.target == file.target)
    };
    let mut names: Vec<String> = service
        .injected
        .iter()
        .filter(|file| is_mounted(file) != direct)
        .map(|file| format!("{} `{}`", file.kind, file.source))
        .collect();
    names.sort();
    names.dedup();
    match names.len() {
        0..=3 => names.join(", "),
        count => format!("{} and {} more", names[..2].join(", "), count - 2),
    }
}
