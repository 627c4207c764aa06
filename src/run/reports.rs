//! Reads the reports of a suite: its files and its standard output, whatever their format, and says
//! where their paths are in the repository.
//!
//! What it cannot read is no verdict on the suite; the dispatcher knows what it means. The files
//! themselves are kept as artifacts elsewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::collect::{self, CollectError, Format};
use super::effect::{CollectedReport, Input};
use super::shared::Shared;
use crate::config::model::{LineReports, Suite};
use crate::engine::FailureKind;
use crate::junit::{self, PathMap, ReadError};
use crate::name::{ContainerId, ServiceName};

/// Where the reports of a suite are, and what their paths mean.
#[derive(Debug, Clone)]
pub struct CollectTask {
    /// The suite.
    pub suite: ServiceName,
    /// Which attempt of it, counted from 1.
    pub attempt: u32,
    /// The container.
    pub container: ContainerId,
    /// Working directory that the globs are relative to.
    pub working_dir: String,
    /// What the file says of its reports.
    pub reports: Suite,
    /// Targets of bind mounts, and what is mounted there from the host.
    pub binds: Vec<(String, PathBuf)>,
    /// The directory of the project.
    pub directory: PathBuf,
    /// Whether nothing outside of that directory is to be looked at.
    pub confined: bool,
}

/// What stands for the name of a report that is the output of the suite.
const STDOUT: &str = "stdout";

/// Reads the reports of a suite and tells of them.
pub(super) async fn collect(shared: Arc<Shared>, task: CollectTask) {
    let suite = task.suite.clone();
    let (reports, problem) = match read(&shared, task).await {
        Ok(reports) => (reports, None),
        // That is no verdict on the suite.
        Err(CollectError::Engine(error)) if error.kind == FailureKind::Unreachable => {
            return shared.send(Input::EngineLost(error));
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    shared.send(Input::Collected {
        suite,
        reports,
        problem,
    });
}

const JUNIT: Format = |_, bytes| junit::read(bytes);
const TAP: Format = |path, bytes| junit::tap::read(bytes, class_name(path));
const GO_TEST: Format = |_, bytes| junit::go_test::read(bytes);

/// The class of tests that name none: what the file is called.
fn class_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

async fn read(
    shared: &Arc<Shared>,
    task: CollectTask,
) -> Result<Vec<CollectedReport>, CollectError> {
    let output = shared.spools.take(&task.container);
    let suite = &task.reports;
    let mut reports = Vec::new();
    let mut missing = Vec::new();
    let files = [
        (JUNIT, &suite.junit),
        (TAP, &suite.tap.globs),
        (GO_TEST, &suite.go_test.globs),
    ];
    for (format, globs) in files {
        if globs.is_empty() {
            continue;
        }
        let found = collect::reports(
            &shared.engine,
            &task.container,
            &task.working_dir,
            globs,
            format,
        );
        let found = found.await?;
        if found.is_empty() {
            missing.extend(globs.iter().cloned());
        }
        reports.extend(found);
    }
    let is_output = |lines: &LineReports| lines.stdout;
    if is_output(&suite.tap) || is_output(&suite.go_test) {
        let format = match suite.tap.stdout {
            true => TAP,
            false => GO_TEST,
        };
        let bytes = output.map_err(CollectError::Spool)?;
        let name = task.suite.to_string();
        let read = tokio::task::spawn_blocking(move || format(&name, &bytes)).await;
        let read = read.map_err(|error| CollectError::Spool(std::io::Error::other(error)))?;
        reports.push((STDOUT.to_owned(), read));
    }
    // One kind of report that is missing must not hide behind another that is there.
    if !reports.is_empty() {
        reports.extend(
            missing
                .into_iter()
                .map(|glob| (glob, Err(ReadError::Missing))),
        );
    }
    let mapped = tokio::task::spawn_blocking(move || {
        let paths = Arc::new(path_map(&task, &repository(&task)));
        if !paths.is_empty() {
            for (_, report) in &mut reports {
                if let Ok(report) = report {
                    report.map_paths(&paths);
                }
            }
        }
        reports
    });
    mapped
        .await
        .map_err(|error| CollectError::Spool(std::io::Error::other(error)))
}

/// The root of the repository that a project is in: the nearest directory with a `.git`. Without one,
/// and for strangers' code, it is the directory of the project.
fn repository(task: &CollectTask) -> PathBuf {
    let above = match task.confined {
        true => None,
        false => task
            .directory
            .ancestors()
            .find(|directory| directory.join(".git").exists()),
    };
    above.unwrap_or(&task.directory).to_path_buf()
}

/// What paths in reports are in the repository: what the file says, and where bind mounts come from.
fn path_map(task: &CollectTask, repository: &Path) -> PathMap {
    let said = task.reports.paths.iter();
    let said = said.map(|(from, to)| (from.clone(), task.directory.join(to)));
    let explicit: BTreeSet<&str> = task
        .reports
        .paths
        .keys()
        .map(|from| from.trim_end_matches('/'))
        .collect();
    let binds = task.binds.iter();
    let binds = binds
        .filter(|(target, _)| !explicit.contains(target.trim_end_matches('/')))
        .cloned();
    let pairs = said.chain(binds).filter_map(|(from, to)| {
        let to = lexical(&to)?;
        let inside = to.strip_prefix(repository).ok()?;
        Some((from, inside.to_str()?.to_owned()))
    });
    PathMap::new(&task.working_dir, pairs)
}

/// The path without `.` and `..`, as it is written: what is behind links is the repository's own
/// affair.
fn lexical(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            part => plain.push(part),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(directory: &Path) -> CollectTask {
        let paths = [
            ("/app", "../backend"),
            ("/outside", "../../elsewhere"),
            ("example.com/x", "."),
        ];
        CollectTask {
            suite: ServiceName::new("unit"),
            attempt: 1,
            container: ContainerId::new("1"),
            working_dir: "/app".to_owned(),
            reports: Suite {
                paths: paths
                    .map(|(from, to)| (from.to_owned(), to.to_owned()))
                    .into(),
                ..Suite::default()
            },
            binds: vec![
                ("/src".to_owned(), directory.join("src")),
                ("/app/".to_owned(), directory.join("wrong")),
                ("/etc/hosts".to_owned(), PathBuf::from("/etc/hosts")),
            ],
            directory: directory.to_path_buf(),
            confined: false,
        }
    }

    #[test]
    fn paths_lead_to_the_repository_and_to_nowhere_else() {
        let root = tempfile::tempdir().expect("temporary directory");
        let directory = root.path().join("deploy");
        std::fs::create_dir_all(root.path().join(".git")).expect("made");
        std::fs::create_dir_all(&directory).expect("made");
        let mut task = task(&directory);
        let map = path_map(&task, &repository(&task));
        for (path, mapped) in [
            ("/app/tests/a.py", Some("backend/tests/a.py")),
            ("tests/a.py", Some("backend/tests/a.py")),
            ("/src/a.js", Some("deploy/src/a.js")),
            ("example.com/x/db/a.go", Some("deploy/db/a.go")),
            ("/outside/a.py", None),
            ("/etc/hosts", None),
        ] {
            assert_eq!(map.map(path).as_deref(), mapped, "{path}");
        }
        // Strangers' code: nothing above its directory is asked for.
        task.confined = true;
        let map = path_map(&task, &repository(&task));
        assert_eq!(map.map("/src/a.js").as_deref(), Some("src/a.js"));
        assert_eq!(map.map("/app/a.py"), None);
    }

    #[test]
    fn tests_without_a_class_have_the_name_of_their_file() {
        assert_eq!(class_name("/app/t/list.t.tap"), "list");
        assert_eq!(class_name("unit"), "unit");
    }
}
