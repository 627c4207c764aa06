//! The files of a project in an archive, for a replay where the repository is not at hand.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes of all files together.
const MOST_BYTES: u64 = 256 << 20;

/// Files that are to be put into an archive.
pub(super) struct Archive {
    output: PathBuf,
    directory: PathBuf,
    files: BTreeSet<PathBuf>,
}

impl Archive {
    /// An archive in the output directory of files of the project.
    pub(super) fn begin(output: &Path, directory: &Path) -> Self {
        Self {
            output: output.to_path_buf(),
            directory: directory.to_path_buf(),
            files: BTreeSet::new(),
        }
    }

    /// Adds a file or a link.
    pub(super) fn add(&mut self, path: &Path) {
        self.files.insert(path.to_path_buf());
    }

    /// Writes it, whole or not at all. Answers with the files that are outside of the project, and not
    /// in it.
    pub(super) fn finish(self, name: &str) -> Result<Vec<PathBuf>, String> {
        let failed = |error: std::io::Error| error.to_string();
        let file = tempfile::Builder::new()
            .prefix(".")
            .suffix(name)
            .tempfile_in(&self.output)
            .map_err(failed)?;
        let mut left_out = Vec::new();
        let mut bytes = 0;
        let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        tar.follow_symlinks(false);
        for path in self.files {
            let Ok(inside) = path.strip_prefix(&self.directory) else {
                left_out.push(path);
                continue;
            };
            bytes += fs::symlink_metadata(&path).map_err(failed)?.len();
            if bytes > MOST_BYTES {
                return Err(format!(
                    "the files are larger than {} MiB together",
                    MOST_BYTES >> 20
                ));
            }
            tar.append_path_with_name(&path, inside).map_err(failed)?;
        }
        let encoder = tar.into_inner().map_err(failed)?;
        let mut file = encoder.finish().map_err(failed)?;
        file.flush().map_err(failed)?;
        readable(file.as_file()).map_err(failed)?;
        file.persist(self.output.join(name))
            .map_err(|error| error.error.to_string())?;
        Ok(left_out)
    }
}

/// A temporary file is private; this one is for whoever may read the directory.
fn readable(file: &fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}
