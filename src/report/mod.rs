//! Reporters: events → terminal, `events.jsonl`, `logs/`, `junit.xml`.
//!
//! They influence a run by nothing but their own failure. Files are written as the run goes. The
//! files and the terminal have a thread of their own each, so that neither a slow directory nor a
//! terminal that nobody reads holds up the run or its teardown.

mod agent;
mod ci;
pub mod colour;
mod directory;
mod events;
mod explanation;
mod growing;
mod job;
mod junit;
mod kept;
mod limited;
mod live;
mod logs;
mod markdown;
mod outputs;
mod outside;
mod plain;
mod problem;
mod progress;
mod pulls;
mod replay;
mod summary;
mod table;
mod terminal;
mod writer;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

pub use self::ci::{Complaint, complaints};
pub use self::directory::{
    DEFAULT_DIRECTORY, DirectoryError, MATRIX as MATRIX_FILE, OutputDirectory,
};
use self::job::Job;
pub use self::job::{Surroundings, tell_ending};
use self::logs::{Log, Stamp};
use self::replay::RunFile;
pub use self::terminal::Style;
use self::terminal::Terminal;
use self::writer::Writer;
use crate::artifact::{Names, Record};
use crate::clock::{self, Instant};
use crate::engine::{DIRECTORY_LABEL, OutputChunk};
use crate::event::Event;
use crate::junit::Profile;
use crate::mask::{self, Masker};
use crate::name::{RunId, ServiceName};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::replay::{Facts, Recording};
use crate::run::Recorder;

/// What is done with output.
#[derive(Debug, Clone, Default)]
pub struct Handling {
    /// Takes secrets out of everything.
    pub masker: Masker,
    /// The containers whose output is shown as it comes.
    pub live: BTreeSet<ServiceName>,
    /// Bytes that are kept of the output of each container; 0: any number.
    pub log_limit: u64,
    /// For whom `junit.xml` is written.
    pub profile: Profile,
}

/// Bytes that are kept of the output of each container unless told otherwise: 1 GiB.
pub const DEFAULT_LOG_LIMIT: u64 = 1 << 30;

/// All reporters of a run.
pub struct Reporters {
    project: String,
    directory: PathBuf,
    /// What was kept of each container, as it stands in the file.
    kept: Mutex<BTreeMap<String, Record>>,
    /// The names of tests that are taken, by their suites.
    tests: Mutex<BTreeMap<ServiceName, Names>>,
    run: RunId,
    started: SystemTime,
    writer: Writer,
    terminal: Terminal,
    job: Job,
    /// `run.json`, where there is one.
    run_file: OnceLock<RunFile>,
    /// For whom `junit.xml` is written.
    profile: Profile,
    /// Everything passes it before any reporter sees it; the output of containers comes masked.
    masker: Masker,
    /// Whose output is shown as it comes.
    live: BTreeSet<ServiceName>,
    /// When the run began, as its events count time.
    begun: OnceLock<Instant>,
    /// The builds' output, of which nobody says when it ends.
    builds: Mutex<BTreeMap<String, mask::Stream>>,
}

impl Reporters {
    /// Reporters that write into `directory` and speak to the terminal in `style`, and to what is around them.
    #[must_use]
    pub fn new(
        plan: &Plan,
        directory: OutputDirectory,
        style: Style,
        surroundings: Surroundings,
        handling: Handling,
    ) -> Arc<Self> {
        let Handling {
            masker,
            live,
            log_limit,
            profile,
        } = handling;
        let terminal = Terminal::start(style, directory.path().to_path_buf(), &live);
        let of_project = plan.labels.get(DIRECTORY_LABEL).map(Path::new);
        let project = (plan.project.as_str(), of_project.unwrap_or(Path::new("")));
        let job = Job::new(surroundings, project, plan.run, directory.path());
        terminal.pieces(job.secrets(std::io::stdout()));
        Arc::new(Self {
            project: plan.project.clone(),
            directory: directory.path().to_path_buf(),
            kept: Mutex::default(),
            tests: Mutex::default(),
            run: plan.run,
            started: SystemTime::now(),
            writer: Writer::start(directory, log_limit),
            terminal,
            job,
            run_file: OnceLock::new(),
            profile,
            masker,
            live,
            begun: OnceLock::new(),
            builds: Mutex::default(),
        })
    }

    /// Keeps `run.json` from here on. What is found out beside the run is in `facts` once `looking` is
    /// done, or as far as it has come.
    pub fn keep(&self, recording: Recording, facts: Arc<Mutex<Facts>>, looking: JoinHandle<()>) {
        let _ = self.run_file.set(RunFile::new(recording, facts, looking));
    }

    /// Waits until the files and the terminal have got everything, or do not take any more.
    pub async fn close(&self) {
        self.finish_builds();
        futures::join!(self.writer.flush(), self.terminal.flush());
    }
}

impl Reporters {
    /// Writes what of the builds' output was held back as a possible beginning of a secret.
    fn finish_builds(&self) {
        for (title, stream) in self.builds().iter_mut() {
            let rest = stream.finish();
            if !rest.is_empty() {
                self.writer.output_at_once(Log::Build(title.clone()), rest);
            }
        }
    }

    /// The time on the clock of the events.
    fn now(&self) -> SystemTime {
        let elapsed = self.begun.get().map(Instant::elapsed).unwrap_or_default();
        self.started.checked_add(elapsed).unwrap_or(self.started)
    }

    /// What reporters see of an outcome.
    fn masked<'outcome>(&self, outcome: &'outcome Outcome) -> Cow<'outcome, Outcome> {
        if self.masker.is_none() {
            return Cow::Borrowed(outcome);
        }
        let mut outcome = outcome.clone();
        outcome.each_text(&mut |text| self.masker.clean(text));
        Cow::Owned(outcome)
    }

    fn builds(&self) -> MutexGuard<'_, BTreeMap<String, mask::Stream>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the report of a run that had no plan yet, so that whoever collects it finds why.
///
/// # Errors
/// It cannot be written.
pub fn write_without_plan(
    directory: &OutputDirectory,
    run: RunId,
    outcome: &Outcome,
) -> Result<(), String> {
    let document = junit::document(("envrun", run), outcome.started, outcome, Profile::Default);
    directory
        .write_report(&document)
        .map_err(|problem| format!("cannot write `{}`: {}", problem.what, problem.cause))
}

#[async_trait]
impl Recorder for Reporters {
    fn event(&self, elapsed: Duration, mut event: Event) {
        if matches!(event, Event::RunStarted { .. }) {
            let now = clock::now();
            let begun = now.checked_sub(elapsed).unwrap_or(now);
            let _ = self.begun.set(begun);
        }
        if !self.masker.is_none() {
            event.each_text(&mut |text| self.masker.clean(text));
        }
        if let Some((log, line)) = logs::between(&event) {
            self.writer.output_at_once(log, Bytes::from(line));
        }
        self.writer
            .event(events::line(self.started, elapsed, &event));
        if let Some(document) = self.run_file.get().and_then(|file| file.event(&event)) {
            self.writer.report_at_once(crate::replay::FILE, document);
        }
        self.terminal.show(elapsed, event);
    }

    async fn output(&self, service: &ServiceName, chunk: &OutputChunk) {
        let log = Log::Service(service.clone());
        let stamp = Stamp {
            at: self.now(),
            stream: chunk.stream,
        };
        self.writer.output(log, stamp, chunk.bytes.clone()).await;
        if self.live.contains(service) {
            self.terminal.output(service, chunk).await;
        }
    }

    fn output_ended(&self, service: &ServiceName) {
        self.writer.ended(Log::Service(service.clone()));
        if self.live.contains(service) {
            self.terminal.output_ended(service);
        }
    }

    fn build_output(&self, title: &str, bytes: &[u8]) {
        let masked = self
            .builds()
            .entry(title.to_owned())
            .or_insert_with(|| self.masker.stream())
            .push(&Bytes::copy_from_slice(bytes));
        if !masked.is_empty() {
            let log = Log::Build(title.to_owned());
            self.writer.output_at_once(log, masked);
        }
    }

    fn artifacts(&self) -> Result<PathBuf, String> {
        kept::make(&self.directory, kept::ARTIFACTS)
    }

    fn excerpt(&self, suite: &ServiceName, test: &str, text: &str) {
        // One part of a path, whatever the test is called.
        let test = self.masker.text(test).replace('/', "%2F");
        let test = format!("{test}.log");
        let name = {
            let mut names = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
            names
                .entry(suite.clone())
                .or_default()
                .give(test.as_bytes())
        };
        self.writer.evidence(suite.to_string(), name, text.into());
    }

    async fn kept(&self, directory: &str, record: &Record) {
        if record.unwritable {
            for problem in &record.problems {
                let what = self.directory.join(kept::ARTIFACTS);
                self.writer.problem(&what.display().to_string(), problem);
            }
        }
        let mut document = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(directory.to_owned(), record.clone());
            serde_json::json!({
                "schema": 1,
                "run": self.run,
                "directories": *kept,
            })
        };
        self.masker.json(&mut document);
        if let Ok(document) = serde_json::to_vec_pretty(&document) {
            self.writer.report(directory::KEPT, document).await;
        }
    }

    /// The verdict is on the screen when this is done.
    async fn write(&self, outcome: &Outcome) -> Vec<String> {
        self.finish_builds();
        self.writer.settle();
        let outcome = &self.masked(outcome);
        let document = junit::document(
            (&self.project, self.run),
            self.started,
            outcome,
            self.profile,
        );
        if let Some(file) = self.run_file.get() {
            let bundle = file.complete(outcome).await;
            self.writer.report(crate::replay::FILE, bundle).await;
        }
        if let Some(matrix) = &outcome.reachability {
            let matrix = matrix.to_json().into_bytes();
            self.writer.report(directory::MATRIX, matrix).await;
        }
        self.terminal.pieces(self.job.pieces(outcome));
        futures::join!(
            self.writer.report(directory::REPORT, document),
            self.job.write(outcome, &self.writer),
            self.terminal.flush()
        );
        if outcome.teardown.is_some() || outcome.held.is_some() {
            // Teardown does not wait for programs of others.
            if let Some(message) = self.job.announce(outcome).await {
                self.event(outcome.duration, Event::Warning { message });
            }
        }
        let mut problems = self.writer.problems();
        problems.extend(self.job.problems());
        problems
    }
}
