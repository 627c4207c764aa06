//! `logs/SERVICE.log`: the whole output of each container, both streams as they came; and
//! `logs/builds/TITLE.log`: the same of each build.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::directory::{BUILDS, LOGS, OutputDirectory};
use super::growing::GrowingFile;
use super::problem::FileProblem;
use crate::event::Event;
use crate::name::ServiceName;

/// Which log. Names of services and titles of builds are `[a-zA-Z0-9._-]+`, so they are safe as names
/// of files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Log {
    /// That of a service.
    Service(ServiceName),
    /// That of a build.
    Build(String),
}

impl fmt::Display for Log {
    /// Its path in the output directory.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => write!(formatter, "{LOGS}/{service}.log"),
            Self::Build(title) => write!(formatter, "{LOGS}/{BUILDS}/{title}.log"),
        }
    }
}

/// The line between the attempts of a suite, in its log. When it is told that one has not passed, all
/// of its output is there, and none of the next one's.
pub(super) fn between(event: &Event) -> Option<(Log, String)> {
    let Event::SuiteRetried {
        suite,
        attempt,
        limit,
        ..
    } = event
    else {
        return None;
    };
    let line = format!(
        "\n===== envrun: attempt {attempt} of {limit} did not pass, attempt {} follows =====\n",
        attempt.saturating_add(1)
    );
    Some((Log::Service(suite.clone()), line))
}

pub(super) struct Logs {
    directory: PathBuf,
    files: BTreeMap<Log, GrowingFile>,
}

impl Logs {
    pub(super) fn new(directory: &OutputDirectory) -> Self {
        Self {
            directory: directory.path().to_path_buf(),
            files: BTreeMap::new(),
        }
    }

    pub(super) fn append(&mut self, log: &Log, bytes: &[u8]) -> Result<(), FileProblem> {
        if let Some(file) = self.files.get_mut(log) {
            return file.append(bytes);
        }
        let mut file = GrowingFile::create(&self.directory.join(log.to_string()));
        let written = file.append(bytes);
        self.files.insert(log.clone(), file);
        written
    }
}
