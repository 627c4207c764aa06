//! `logs/SERVICE.log`: the whole output of each container, both streams as they came;
//! `logs/timed/SERVICE.log`: the same by lines, each with its time and its stream; and
//! `logs/builds/TITLE.log`: the output of each build.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use super::directory::{BUILDS, LOGS, OutputDirectory, TIMED};
use super::limited::LimitedFile;
use super::problem::FileProblem;
use crate::engine::OutputStream;
use crate::event::Event;
use crate::lines::{Assembly, LogLine};
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

/// When a piece of output came, and from which stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) at: SystemTime,
    pub(super) stream: OutputStream,
}

pub(super) struct Logs {
    directory: PathBuf,
    /// Bytes of each; 0: any number.
    limit: u64,
    files: BTreeMap<Log, LimitedFile>,
    timed: BTreeMap<Log, Timed>,
}

/// Lines with their times.
struct Timed {
    file: LimitedFile,
    /// Lines that have no end yet.
    partial: BTreeMap<OutputStream, Assembly>,
    /// The time of the last piece.
    last: SystemTime,
}

impl Logs {
    pub(super) fn new(directory: &OutputDirectory, limit: u64) -> Self {
        Self {
            directory: directory.path().to_path_buf(),
            limit,
            files: BTreeMap::new(),
            timed: BTreeMap::new(),
        }
    }

    /// Adds output of a container.
    pub(super) fn append_timed(
        &mut self,
        log: &Log,
        stamp: Stamp,
        bytes: &[u8],
    ) -> Result<(), FileProblem> {
        let written = self.append(log, bytes);
        let timed = self.timed.entry(log.clone()).or_insert_with(|| {
            let name = match log {
                Log::Service(name) => name.as_str(),
                Log::Build(title) => title,
            };
            let path = self.directory.join(format!("{LOGS}/{TIMED}/{name}.log"));
            Timed {
                file: LimitedFile::create(&path, self.limit),
                partial: BTreeMap::new(),
                last: stamp.at,
            }
        });
        timed.last = stamp.at;
        let mut records = Vec::with_capacity(bytes.len() * 2);
        let partial = timed.partial.entry(stamp.stream).or_default();
        partial.push(bytes, |piece| {
            let text = (piece.bytes, piece.ends);
            LogLine::write(&mut records, stamp.at, stamp.stream, text);
        });
        written.and(timed.file.append(&records))
    }

    pub(super) fn append(&mut self, log: &Log, bytes: &[u8]) -> Result<(), FileProblem> {
        let file = self.files.entry(log.clone()).or_insert_with(|| {
            LimitedFile::create(&self.directory.join(log.to_string()), self.limit)
        });
        file.append(bytes)
    }

    /// Nothing more comes of a container: its last lines are lines.
    pub(super) fn end(&mut self, log: &Log) -> Result<(), FileProblem> {
        match self.timed.get_mut(log) {
            Some(timed) => timed.end(),
            None => Ok(()),
        }
    }

    /// Nothing more comes of any.
    pub(super) fn end_all(&mut self) -> Result<(), FileProblem> {
        let ended = self.timed.values_mut().map(Timed::end);
        ended.fold(Ok(()), Result::and)
    }

    /// Writes the ends of logs that have reached their limit.
    pub(super) fn settle(&mut self) -> Result<(), FileProblem> {
        let timed = self.timed.values_mut().map(|timed| &mut timed.file);
        let files = self.files.values_mut().chain(timed);
        files.map(LimitedFile::settle).fold(Ok(()), Result::and)
    }
}

impl Timed {
    fn end(&mut self) -> Result<(), FileProblem> {
        let mut records = Vec::new();
        for (stream, partial) in &mut self.partial {
            partial.finish(|piece| {
                LogLine::write(&mut records, self.last, *stream, (piece.bytes, piece.ends));
            });
        }
        self.file.append(&records)
    }
}
