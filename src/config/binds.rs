//! What becomes of bind mounts: what is at their paths, which are copies, and of which their author
//! should hear.
//!
//! Strangers' containers never write to this host: else they could change what others run there later,
//! or what the run itself is yet to read.

use std::path::{Path, PathBuf};

use super::model::{FoundPath, MountSource, PathKind};
use super::read::{Context, ReadService};

/// Directories of the system, which nobody expects to have for himself, and of which no run has a copy.
const SYSTEM: [&str; 10] = [
    "/dev",
    "/etc",
    "/lib/modules",
    "/proc",
    "/run",
    "/sys",
    "/usr",
    "/var/lib/docker",
    "/var/log",
    "/var/run",
];

/// Looks at the paths of a service's bind mounts, and decides which are copies.
pub(super) fn resolve(context: &mut Context<'_>, one: &mut ReadService, default: bool) {
    let inherited = one.copy_binds.unwrap_or(default);
    for bind in &one.places.binds {
        let Some(mount) = one.service.mounts.get_mut(bind.mount) else {
            continue;
        };
        let read_only = mount.read_only;
        let MountSource::Bind {
            path,
            create,
            copy,
            found,
        } = &mut mount.source
        else {
            continue;
        };
        *found = look(path);
        let shown = path.display();
        let is_system = SYSTEM.iter().any(|top| path.starts_with(top));
        *copy = match bind.copy {
            Some(copy) => copy,
            // What applies to all mounts does not mean the engine's socket or the time zone.
            None => inherited && found.kind != PathKind::Special && !is_system,
        };
        if context.confined && !read_only && !*copy && found.kind != PathKind::Special {
            *copy = true;
            let message = "strangers' code works on a copy of what it may write to";
            let help = "what it writes does not come back; `:ro` mounts the path itself";
            context.warn(&bind.place, message, Some(help));
        }
        if *copy && found.kind == PathKind::Special {
            let message = format!("`{shown}` is neither a file nor a directory, so it has no copy");
            context.error_help(&bind.place, message, "leave out `bind: copy`");
        }
        if *copy && found.kind == PathKind::Missing && !*create {
            let message = format!("`{shown}` does not exist, so it has no copy");
            let help = "create it, or write `bind: { create_host_path: true }`";
            context.error_help(&bind.place, message, help);
        }
        if !read_only && !*copy && !is_system && found.kind != PathKind::Special {
            let message =
                format!("containers may write to `{shown}`, which runs side by side share");
            let help = "what they create there has the container's owner; `:ro` forbids it, and \
                        `x-envrun: { bind: copy }` gives each run a copy of its own";
            context.warn(&bind.place, message, Some(help));
        }
    }
}

fn look(path: &Path) -> FoundPath {
    let kind = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => PathKind::Directory,
        Ok(found) if found.is_file() => PathKind::File,
        Ok(_) => PathKind::Special,
        Err(_) => PathKind::Missing,
    };
    FoundPath {
        real: real(path),
        kind,
    }
}

/// The path with all links followed, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let mut rest = PathBuf::new();
    for existing in path.ancestors() {
        if let Ok(found) = existing.canonicalize() {
            return if rest.as_os_str().is_empty() {
                found
            } else {
                found.join(rest)
            };
        }
        if let Some(name) = existing.file_name() {
            rest = if rest.as_os_str().is_empty() {
                PathBuf::from(name)
            } else {
                Path::new(name).join(rest)
            };
        }
    }
    path.to_owned()
}
