//! Files outside of the output directory that a caller or a CI system has named. They are written by a thread each, which nobody waits
//! for beyond a limit, so that a slow disk holds up neither the run nor its teardown.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use super::problem::{FileProblem, cause};
use crate::clock;

/// How long a file may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Appends to a file what `text` makes of the bytes that it has already.
pub(super) async fn append(
    path: PathBuf,
    text: impl FnOnce(u64) -> String + Send + 'static,
) -> Result<(), FileProblem> {
    in_time(path, move |path| {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        let there = file.metadata()?.len();
        // In one piece: others append to it too.
        file.write_all(text(there).as_bytes())
    })
    .await
}

/// Writes a file anew: whole or not at all where it is, or is to be, a plain file, and into whatever else it is.
pub(super) async fn replace(path: PathBuf, text: String) -> Result<(), FileProblem> {
    in_time(path, move |path| {
        let there = fs::symlink_metadata(path);
        // A pipe or a terminal cannot be written whole or not at all. A link is taken away and not followed: whoever has made it
        // may be somebody else.
        if there.is_ok_and(|there| !there.is_file() && !there.is_symlink()) {
            let mut file = OpenOptions::new().write(true).open(path)?;
            return file.write_all(text.as_bytes());
        }
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let mut file = tempfile::Builder::new()
            .prefix(".envrun-")
            .tempfile_in(parent)?;
        file.write_all(text.as_bytes())?;
        super::directory::set_readable(file.as_file())?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    })
    .await
}

async fn in_time(
    path: PathBuf,
    write: impl FnOnce(&Path) -> std::io::Result<()> + Send + 'static,
) -> Result<(), FileProblem> {
    let what = path.display().to_string();
    let problem = |cause: String| FileProblem {
        what: what.clone(),
        cause,
    };
    let (done, written) = oneshot::channel();
    std::thread::Builder::new()
        .name("envrun-outside".to_owned())
        .spawn(move || drop(done.send(write(&path))))
        .map_err(|error| problem(cause(&error)))?;
    match clock::within(PATIENCE, written).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(problem(cause(&error))),
        Ok(Err(_gone)) => Err(problem("envrun has panicked".to_owned())),
        Err(_late) => Err(problem(format!("it took nothing within {PATIENCE:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_appended_to_and_another_one_made_anew() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("summary");
        append(path.clone(), |there| format!("{there};"))
            .await
            .expect("written");
        append(path.clone(), |there| format!("{there};"))
            .await
            .expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "0;2;");
        replace(path.clone(), "new".to_owned())
            .await
            .expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "new");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let precious = directory.path().join("precious");
        fs::write(&precious, "precious").expect("written");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&precious, &link).expect("linked");
        replace(link.clone(), "new".to_owned())
            .await
            .expect("written");
        assert_eq!(fs::read_to_string(&precious).expect("there"), "precious");
        assert_eq!(fs::read_to_string(&link).expect("there"), "new");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_told_with_its_cause() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let problem = append(directory.path().to_path_buf(), |_| String::new()).await;
        let problem = problem.expect_err("a directory");
        assert!(problem.cause.contains("directory"), "{problem:?}");
    }
}
