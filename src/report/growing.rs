//! A file that grows: it holds whole pieces only, and is closed at the first piece that does not fit.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::problem::FileProblem;

/// A file that grows by whole pieces.
pub(super) struct GrowingFile {
    path: PathBuf,
    /// The file and its length, until something goes wrong.
    file: Option<(File, u64)>,
    /// Why it could not be made; told at the first piece.
    problem: Option<String>,
}

impl GrowingFile {
    /// Makes it, empty.
    pub(super) fn create(path: &Path) -> Self {
        let (file, problem) = match File::create(path) {
            Ok(file) => (Some((file, 0)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            path: path.to_path_buf(),
            file,
            problem,
        }
    }

    /// Adds a piece. After a failure the rest is dropped in silence: a reader must not take two
    /// pieces for neighbours that are none.
    pub(super) fn append(&mut self, piece: &[u8]) -> Result<(), FileProblem> {
        let failed = |cause: String| FileProblem {
            what: self.path.display().to_string(),
            cause,
        };
        if let Some(problem) = self.problem.take() {
            return Err(failed(problem));
        }
        let Some((file, length)) = &mut self.file else {
            return Ok(());
        };
        if let Err(error) = file.write_all(piece) {
            // Half a piece is worse than none. A file that cannot even be made shorter stays as it is.
            let _ = file.set_len(*length);
            self.file = None;
            return Err(failed(error.to_string()));
        }
        *length = length.saturating_add(piece.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_told_once() {
        let mut file = GrowingFile::create(Path::new("/dev/full"));
        let problem = file.append(b"line\n").expect_err("it is full");
        assert_eq!(problem.what, "/dev/full");
        assert!(problem.cause.contains("No space left"), "{}", problem.cause);
        assert_eq!(file.append(b"line\n"), Ok(()));
        let mut file = GrowingFile::create(Path::new("/nowhere/events.jsonl"));
        assert!(file.append(b"line\n").is_err());
        assert_eq!(file.append(b"line\n"), Ok(()));
    }
}
