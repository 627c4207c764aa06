//! The folders of the output directory whose names come from elsewhere: `artifacts/` with the files of
//! containers, and `evidence/` with what was cut for tests.
//!
//! Owns whose these folders are: one that carries our mark is emptied when a run begins, one that does not
//! is somebody else's and is left alone. It must never follow a link.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Files of containers.
pub(super) const ARTIFACTS: &str = "artifacts";

/// What was cut for tests.
pub(super) const EVIDENCE: &str = "evidence";

/// All of these folders.
pub(super) const FOLDERS: [&str; 2] = [ARTIFACTS, EVIDENCE];

/// The file that says that a folder is ours. Hidden, so that nobody uploads it.
const MARK: &str = ".envrun";

/// Takes away what an earlier run has left: the whole folder, if it is ours.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    if !is_ours(folder) {
        return Ok(());
    }
    // Links in it are removed, not followed.
    fs::remove_dir_all(folder)
}

fn is_ours(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir())
        && fs::symlink_metadata(folder.join(MARK)).is_ok_and(|found| found.is_file())
}

/// Makes a folder in the output directory and marks it, or takes the one that is there and is ours.
pub(super) fn make(output: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = output.join(name);
    let failed = |error: io::Error| format!("cannot make `{}`: {error}", folder.display());
    match fs::create_dir(&folder) {
        Ok(()) => {
            File::create_new(folder.join(MARK)).map_err(failed)?;
            Ok(folder)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match is_ours(&folder) {
            true => Ok(folder),
            // An empty one costs nobody anything.
            false if is_empty(&folder) => {
                File::create_new(folder.join(MARK)).map_err(failed)?;
                Ok(folder)
            }
            false => Err(format!(
                "`{}` is there already and not envrun's: choose another directory by `--out`",
                folder.display()
            )),
        },
        Err(error) => Err(failed(error)),
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir())
        && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_is_emptied() {
        let output = tempfile::tempdir().expect("temporary directory");
        let folder = make(output.path(), ARTIFACTS).expect("made");
        fs::create_dir(folder.join("e2e")).expect("made");
        fs::write(folder.join("e2e/a"), "old").expect("written");
        assert_eq!(make(output.path(), ARTIFACTS).expect("ours"), folder);
        clear(&folder).expect("cleared");
        assert!(!folder.exists());

        fs::create_dir(&folder).expect("made");
        assert!(make(output.path(), ARTIFACTS).is_ok(), "it is empty");
        clear(&folder).expect("cleared");
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join("thesis.tex"), "precious").expect("written");
        clear(&folder).expect("left alone");
        let refused = make(output.path(), ARTIFACTS).expect_err("somebody else's");
        assert!(refused.contains("not envrun's"), "{refused}");
        assert!(folder.join("thesis.tex").exists());
    }

    #[test]
    fn a_link_is_neither_emptied_nor_used() {
        let output = tempfile::tempdir().expect("temporary directory");
        let elsewhere = tempfile::tempdir().expect("temporary directory");
        fs::write(elsewhere.path().join(MARK), "").expect("written");
        fs::write(elsewhere.path().join("precious"), "").expect("written");
        let folder = output.path().join(ARTIFACTS);
        std::os::unix::fs::symlink(elsewhere.path(), &folder).expect("linked");
        clear(&folder).expect("left alone");
        assert!(elsewhere.path().join("precious").exists());
        assert!(make(output.path(), ARTIFACTS).is_err());
    }
}
