//! The directory in which processes of one user meet.
//!
//! It is `/tmp/envrun-UID`. Not `$XDG_RUNTIME_DIR`, which jobs of a CI system often lack, and which
//! ends with the last session of its user; nor `$TMPDIR`, which runners set for each job: processes
//! that look in different places do not meet. Since anybody may write to `/tmp`, nothing there is
//! believed before it is seen to be a directory of ours that nobody else may write to.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

/// Where the directory is.
pub(super) const BASE: &str = "/tmp";

/// The permissions of others.
const OTHERS: u32 = 0o077;

/// Why there is no directory to meet in.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It can be neither made nor opened.
    #[error("cannot use `{path}`: {reason}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// Something else is in its place.
    #[error("`{path}` is no directory of this user: {what}")]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// What it is.
        what: String,
    },
}

/// A directory that only this user may enter. What is in it is found through its descriptor, so
/// that nothing can be put in its place.
#[derive(Debug)]
pub(super) struct Directory {
    handle: File,
}

impl Directory {
    /// The directory of this user below `base`, made if it is missing.
    pub(super) fn of_user(base: &Path) -> Result<Self, DirectoryError> {
        let path = base.join(format!("envrun-{}", rustix::process::geteuid().as_raw()));
        Self::open_at(rustix::fs::CWD, &path, path.clone())
    }

    /// A directory in it, made if it is missing.
    pub(super) fn inside(&self, name: &str, shown: PathBuf) -> Result<Self, DirectoryError> {
        Self::open_at(&self.handle, Path::new(name), shown)
    }

    fn open_at(
        parent: impl std::os::fd::AsFd,
        name: &Path,
        shown: PathBuf,
    ) -> Result<Self, DirectoryError> {
        let unusable = |reason: std::io::Error| DirectoryError::Unusable {
            path: shown.clone(),
            reason,
        };
        let not_ours = |what: &str| DirectoryError::NotOurs {
            path: shown.clone(),
            what: what.to_owned(),
        };
        match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(unusable(error.into())),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle: File = match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
            Ok(handle) => handle.into(),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(not_ours("it is a link or a file"));
            }
            Err(error) => return Err(unusable(error.into())),
        };
        let found = handle.metadata().map_err(unusable)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(not_ours(&format!("it belongs to user {}", found.uid())));
        }
        if found.mode() & OTHERS != 0 {
            return Err(not_ours(&format!(
                "others may use it (mode {:o})",
                found.mode() & 0o777
            )));
        }
        Ok(Self { handle })
    }

    /// Opens a file in it, made if it is missing. Children do not inherit it.
    pub(super) fn file(&self, name: &str) -> std::io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(rustix::fs::openat(&self.handle, name, flags, mode)?.into())
    }

    /// Opens a file in it if it is there.
    pub(super) fn existing(&self, name: &str) -> std::io::Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether this name still stands for this file.
    pub(super) fn holds(&self, name: &str, file: &File) -> std::io::Result<bool> {
        // Both by the same call: device numbers have another type on macOS than `std` says.
        let ours = rustix::fs::fstat(file)?;
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok((found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) -> std::io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of what is in it.
    pub(super) fn names(&self) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            if let Ok(name) = entry?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// A path to a file in it that stays true when the directory is moved.
    #[cfg(target_os = "linux")]
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()))
    }
}
