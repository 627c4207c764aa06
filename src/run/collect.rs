//! Reads the report files of a suite out of its stopped container.
//!
//! What comes out of a container is untrusted: sizes are bounded, only regular files are read, and
//! nothing is written under a name that the archive chose.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::archives;
use super::effect::CollectedReport;
use crate::clock;
use crate::engine::{Engine, EngineError, FailureKind};
use crate::junit;
use crate::name::ContainerId;

/// Largest archive that is looked through, in bytes.
const LARGEST_ARCHIVE: u64 = 1 << 30;

/// Largest report file, in bytes.
const LARGEST_REPORT: u64 = 64 << 20;

/// Most report files of one suite.
const MOST_REPORTS: usize = 10_000;

/// Pauses before an archive that broke off is asked for again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// Why reports could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("cannot spool the archive: {0}")]
    Spool(std::io::Error),
    #[error("the archive of `{path}` is damaged: {source}")]
    Archive {
        path: String,
        source: std::io::Error,
    },
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge { path: String, limit: u64 },
    #[error("`{0}` is no valid glob")]
    Glob(String),
    #[error("more than {MOST_REPORTS} files match")]
    TooMany,
    #[error(
        "the globs begin at `/`, so the whole container would have to be read: let the suite write \
         its reports into a directory of their own"
    )]
    WholeContainer,
}

/// Reads a file of a format, given with its path.
pub(super) type Format = fn(&str, &[u8]) -> Result<junit::Report, junit::ReadError>;

/// Reads every file that one of the globs matches. No match is no error here: the judge knows what
/// it means.
pub(super) async fn reports(
    engine: &Arc<dyn Engine>,
    container: &ContainerId,
    working_dir: &str,
    globs: &[String],
    format: Format,
) -> Result<Vec<CollectedReport>, CollectError> {
    let matcher = matcher(working_dir, globs)?;
    let directories: BTreeSet<PathBuf> = globs
        .iter()
        .map(|glob| literal_directory(working_dir, glob))
        .collect();
    if directories.contains(Path::new("/")) {
        return Err(CollectError::WholeContainer);
    }
    let mut collected: Vec<CollectedReport> = Vec::new();
    for directory in &directories {
        // A directory inside another one of the list is in that one's archive already.
        if directories
            .iter()
            .any(|other| other != directory && directory.starts_with(other))
        {
            continue;
        }
        let path = directory.to_string_lossy().into_owned();
        let Some(spool) = spool_patiently(engine, container, &path).await? else {
            continue;
        };
        let matcher = matcher.clone();
        let parent = directory
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let found =
            tokio::task::spawn_blocking(move || unpack(spool, &parent, &path, (&matcher, format)))
                .await;
        collected
            .extend(found.map_err(|error| CollectError::Spool(std::io::Error::other(error)))??);
    }
    collected.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(collected)
}

/// The same as [`spool`], and once more where the connection breaks: the suite has done its part.
async fn spool_patiently(
    engine: &Arc<dyn Engine>,
    container: &ContainerId,
    path: &str,
) -> Result<Option<std::fs::File>, CollectError> {
    for pause in PAUSES {
        match spool(engine, container, path).await {
            Err(CollectError::Engine(error))
                if matches!(error.kind, FailureKind::Unreachable | FailureKind::Internal) =>
            {
                clock::pause(pause).await;
            }
            spooled => return spooled,
        }
    }
    spool(engine, container, path).await
}

/// Streams an archive into an unnamed temporary file.
async fn spool(
    engine: &Arc<dyn Engine>,
    container: &ContainerId,
    path: &str,
) -> Result<Option<std::fs::File>, CollectError> {
    let Some(mut archive) = archives::open(engine, container, path).await? else {
        return Ok(None);
    };
    let mut file = tempfile::tempfile().map_err(CollectError::Spool)?;
    let mut size = 0_u64;
    while let Some(chunk) = archive.next().await? {
        size = size.saturating_add(chunk.len() as u64);
        if size > LARGEST_ARCHIVE {
            return Err(CollectError::TooLarge {
                path: path.to_owned(),
                limit: LARGEST_ARCHIVE,
            });
        }
        file.write_all(&chunk).map_err(CollectError::Spool)?;
    }
    file.rewind().map_err(CollectError::Spool)?;
    Ok(Some(file))
}

fn unpack(
    file: std::fs::File,
    parent: &Path,
    path: &str,
    (matcher, format): (&GlobSet, Format),
) -> Result<Vec<CollectedReport>, CollectError> {
    let damaged = |source| CollectError::Archive {
        path: path.to_owned(),
        source,
    };
    let mut collected = Vec::new();
    let mut archive = tar::Archive::new(std::io::BufReader::new(file));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let inner = entry.path().map_err(damaged)?.into_owned();
        if inner
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        {
            continue;
        }
        let full = normal(&parent.join(inner));
        if !matcher.is_match(&full) {
            continue;
        }
        let name = full.to_string_lossy().into_owned();
        if entry.size() > LARGEST_REPORT {
            return Err(CollectError::TooLarge {
                path: name,
                limit: LARGEST_REPORT,
            });
        }
        if collected.len() == MOST_REPORTS {
            return Err(CollectError::TooMany);
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        let report = format(&name, &bytes);
        collected.push((name, report));
    }
    Ok(collected)
}

fn matcher(working_dir: &str, globs: &[String]) -> Result<GlobSet, CollectError> {
    let mut set = GlobSetBuilder::new();
    let root = normal(Path::new(if working_dir.is_empty() {
        "/"
    } else {
        working_dir
    }));
    for glob in globs {
        // The directory is literal, whatever characters it holds.
        let pattern = format!(
            "{}/{}",
            globset::escape(root.to_string_lossy().trim_end_matches('/')),
            plain(glob)
        );
        let glob = GlobBuilder::new(&pattern)
            .literal_separator(true)
            .build()
            .map_err(|_| CollectError::Glob(glob.clone()))?;
        set.add(glob);
    }
    set.build()
        .map_err(|error| CollectError::Glob(error.to_string()))
}

/// The directory above the first wildcard of a glob.
fn literal_directory(working_dir: &str, glob: &str) -> PathBuf {
    let glob = plain(glob);
    let mut directory = normal(&Path::new("/").join(working_dir));
    let mut parts = glob.split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() || part.contains(['*', '?', '[', '{']) {
            break;
        }
        directory.push(part);
    }
    directory
}

fn plain(glob: &str) -> &str {
    glob.trim_start_matches("./")
}

/// The path without `.` and doubled separators.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_taken_above_the_first_wildcard() {
        let directory = |glob| {
            literal_directory("/app", glob)
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(directory("reports/*.xml"), "/app/reports");
        assert_eq!(directory("./reports/unit.xml"), "/app/reports");
        assert_eq!(directory("target/**/TEST-*.xml"), "/app/target");
        assert_eq!(directory("*.xml"), "/app");
    }

    #[test]
    fn globs_do_not_cross_separators_and_the_working_directory_is_literal() {
        let set = matcher("/app[1]", &["reports/*.xml".to_owned()]).expect("valid glob");
        assert!(set.is_match("/app[1]/reports/a.xml"));
        assert!(!set.is_match("/app[1]/reports/deep/a.xml"));
        assert!(!set.is_match("/app1/reports/a.xml"));
    }
}
