//! The output directory: made, cleared of the last run's files, and held by one run at a time.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::kept;
use super::problem::{FileProblem, TAKEN_AWAY, cause};
use crate::name::RunId;

/// Where reports go unless told otherwise, relative to the working directory.
pub const DEFAULT_DIRECTORY: &str = "envrun-out";

/// File that is locked while a run writes here.
const LOCK: &str = ".lock";

/// Files and folders of an earlier run, removed when a new one begins. Nothing else is touched.
pub(super) const REPORT: &str = "junit.xml";
const OWN_FILES: [&str; 7] = [
    REPORT,
    "events.jsonl",
    MATRIX,
    OUTPUTS,
    KEPT,
    crate::replay::FILE,
    crate::replay::CONTEXT,
];
/// What was kept of the files of containers, and what was not.
pub(super) const KEPT: &str = "artifacts.json";
/// The observed reachability matrix.
pub const MATRIX: &str = "reachability.json";
/// The outcome as values for later jobs, in CI.
pub(super) const OUTPUTS: &str = "envrun.env";
pub(super) const LOGS: &str = "logs";
/// The folder of the logs with times, in that of the logs.
pub(super) const TIMED: &str = "timed";
/// The folder of the builds' logs, in that of the logs.
pub(super) const BUILDS: &str = "builds";

/// The directory of one run, held until it is dropped.
#[derive(Debug)]
pub struct OutputDirectory {
    path: PathBuf,
    /// The lock goes with the file.
    lock: File,
}

/// Why there is no output directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be made or written to.
    #[error("cannot write to output directory `{path}`: {source}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another run writes there.
    #[error(
        "output directory `{0}` is in use by another run\nhint: give each run a directory of its own with `--out`"
    )]
    InUse(PathBuf),
}

impl OutputDirectory {
    /// Opens the directory that the user asked for, or the default one. When the default one is in
    /// use by a run beside this one, a directory named after this run is taken instead.
    ///
    /// # Errors
    /// It cannot be made, or the one asked for is in use.
    pub fn open(asked: Option<&Path>, run: RunId) -> Result<Self, DirectoryError> {
        match asked {
            Some(path) => Self::take(path.to_path_buf()),
            None => match Self::take(PathBuf::from(DEFAULT_DIRECTORY)) {
                Err(DirectoryError::InUse(_)) => Self::take(PathBuf::from(format!(
                    "{DEFAULT_DIRECTORY}-{}",
                    run.short()
                ))),
                taken => taken,
            },
        }
    }

    /// Removes the reports of an earlier run from the directory, where there are any: for a run that is over before it has begun,
    /// so that whoever collects its reports does not find those of another one.
    pub fn clear(asked: Option<&Path>) {
        let path = asked.unwrap_or_else(|| Path::new(DEFAULT_DIRECTORY));
        // Only a directory that a run has written to; and one that a run is writing to now stays as it is.
        if path.join(LOCK).exists() {
            let _ = Self::take(path.to_path_buf());
        }
    }

    fn take(path: PathBuf) -> Result<Self, DirectoryError> {
        let unusable = |source| DirectoryError::Unusable {
            path: path.clone(),
            source,
        };
        let logs = path.join(LOGS);
        let folders = [logs.clone(), logs.join(BUILDS), logs.join(TIMED)];
        // The directory may be one of a checkout, and what it holds somebody else's: what is written
        // here must not come out elsewhere.
        for own in [path.join(LOCK)].iter().chain(&folders) {
            if own.is_symlink() {
                let message = format!("`{}` in it is a link", own.display());
                return Err(unusable(std::io::Error::other(message)));
            }
        }
        for folder in &folders {
            fs::create_dir_all(folder).map_err(unusable)?;
        }
        let lock = File::create(path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DirectoryError::InUse(path)),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        for name in OWN_FILES {
            remove_if_there(&path.join(name)).map_err(unusable)?;
        }
        for name in kept::FOLDERS {
            kept::clear(&path.join(name)).map_err(unusable)?;
        }
        for folder in folders {
            for entry in fs::read_dir(folder).map_err(unusable)? {
                let entry = entry.map_err(unusable)?.path();
                if entry
                    .extension()
                    .is_some_and(|extension| extension == "log")
                {
                    remove_if_there(&entry).map_err(unusable)?;
                }
            }
        }
        Ok(Self { path, lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `junit.xml` whole or not at all: readers never see a half. Where somebody has taken the directory away, it is
    /// made again for this one file, and that is a problem all the same.
    pub(super) fn write_report(&self, document: &[u8]) -> Result<(), FileProblem> {
        self.write_whole(REPORT, document)
    }

    /// The same for another file.
    pub(super) fn write_whole(&self, name: &str, document: &[u8]) -> Result<(), FileProblem> {
        let taken_away = !self.is_still_there();
        let write = || -> std::io::Result<()> {
            if taken_away {
                fs::create_dir_all(&self.path)?;
            }
            let mut file = tempfile::Builder::new()
                .prefix(".")
                .suffix(name)
                .tempfile_in(&self.path)?;
            file.write_all(document)?;
            file.as_file().sync_data()?;
            // A temporary file is private; a report is for everybody who may read the directory.
            set_readable(file.as_file())?;
            file.persist(self.path.join(name))
                .map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|error| FileProblem {
            what: self.path.join(name).display().to_string(),
            cause: cause(&error),
        })?;
        if taken_away {
            return Err(FileProblem {
                what: self.path.join(LOGS).display().to_string(),
                cause: TAKEN_AWAY.to_owned(),
            });
        }
        Ok(())
    }

    /// Whether what is at the path is still the directory of this run.
    #[cfg(unix)]
    pub(super) fn is_still_there(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let file = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let there = fs::symlink_metadata(self.path.join(LOCK)).map(file);
        matches!((there, self.lock.metadata().map(file)), (Ok(there), Ok(ours)) if there == ours)
    }

    #[cfg(not(unix))]
    pub(super) fn is_still_there(&self) -> bool {
        self.path.join(LOCK).exists() && self.lock.metadata().is_ok()
    }
}

#[cfg(unix)]
pub(super) fn set_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
pub(super) fn set_readable(_file: &File) -> std::io::Result<()> {
    Ok(())
}

/// A path that means the same from every directory.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let elsewhere = parent.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("created");
        fs::write(elsewhere.join("precious.log"), "precious").expect("written");
        for (number, name) in [".lock", "logs", "logs/builds", "logs/timed"]
            .into_iter()
            .enumerate()
        {
            let path = parent.path().join(number.to_string());
            let link = path.join(name);
            fs::create_dir_all(link.parent().expect("a parent")).expect("created");
            let target = match name {
                ".lock" => elsewhere.join("precious.log"),
                _ => elsewhere.clone(),
            };
            std::os::unix::fs::symlink(target, &link).expect("linked");
            let error = OutputDirectory::take(path.clone()).expect_err("a link");
            assert!(error.to_string().contains("in it is a link"), "{error}");
            // A run that is over before it has begun clears what an earlier one has left.
            OutputDirectory::clear(Some(&path));
            let precious = fs::read_to_string(elsewhere.join("precious.log"));
            assert_eq!(precious.expect("there"), "precious");
            let names = fs::read_dir(&elsewhere).expect("readable").count();
            assert_eq!(names, 1);
        }
    }

    #[test]
    fn a_directory_serves_one_run_at_a_time_and_keeps_what_is_not_ours() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let path = parent.path().join("out");
        let first = OutputDirectory::take(path.clone()).expect("free");
        first.write_report(b"<testsuites/>").expect("written");
        fs::write(path.join("notes.txt"), "mine").expect("written");
        assert!(matches!(
            OutputDirectory::take(path.clone()),
            Err(DirectoryError::InUse(_))
        ));
        drop(first);
        let _second = OutputDirectory::take(path.clone()).expect("free again");
        assert!(!path.join("junit.xml").exists());
        assert!(path.join("notes.txt").exists());
    }
}
