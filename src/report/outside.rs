//! Files outside of the output directory that a caller or a CI system has named. They are written by a thread each, which nobody waits
//! for beyond a limit, so that a slow disk holds up neither the run nor its teardown.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use super::problem::{FileProblem, cause};
use crate::clock;

/// How long a file may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many bytes a file has: none where there is no file yet.
pub(super) async fn length(path: PathBuf) -> Result<u64, FileProblem> {
    in_time(path, |path| match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        found => Ok(found?.len()),
    })
    .await
}

/// Appends to a file, on a line of its own.
pub(super) async fn append(path: PathBuf, text: String) -> Result<(), FileProblem> {
    in_time(path, move |path| {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        // Whoever was there before may have left its last line open.
        let before = match ends_a_line(&mut file)? {
            true => "",
            false => "\n",
        };
        // In one piece: others append to it too.
        file.write_all(format!("{before}{text}").as_bytes())
    })
    .await
}

/// Whether a file is empty or ends with the end of a line.
fn ends_a_line(file: &mut fs::File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
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

async fn in_time<T: Send + 'static>(
    path: PathBuf,
    task: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
) -> Result<T, FileProblem> {
    let what = path.display().to_string();
    let problem = |cause: String| FileProblem {
        what: what.clone(),
        cause,
    };
    let (told, done) = oneshot::channel();
    std::thread::Builder::new()
        .name("envrun-outside".to_owned())
        .spawn(move || drop(told.send(task(&path))))
        .map_err(|error| problem(cause(&error)))?;
    match clock::within(PATIENCE, done).await {
        Ok(Ok(Ok(result))) => Ok(result),
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
        assert_eq!(length(path.clone()).await, Ok(0));
        append(path.clone(), "a".to_owned()).await.expect("written");
        append(path.clone(), "b\n".to_owned())
            .await
            .expect("written");
        append(path.clone(), "c".to_owned()).await.expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "a\nb\nc");
        assert_eq!(length(path.clone()).await, Ok(5));
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
        let problem = append(directory.path().to_path_buf(), String::new()).await;
        let problem = problem.expect_err("a directory");
        assert!(problem.cause.contains("directory"), "{problem:?}");
    }
}
