//! Reporters: events → terminal, `events.jsonl`, `logs/`, `junit.xml`.
//!
//! They influence a run by nothing but their own failure. Files are written as the run goes; the
//! terminal has a thread of its own, so that a terminal that nobody reads holds up neither the run
//! nor its teardown.

mod directory;
mod events;
mod junit;
mod logs;
mod plain;
mod progress;
mod pulls;
mod table;
mod terminal;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

pub use self::directory::{DEFAULT_DIRECTORY, DirectoryError, OutputDirectory};
use self::events::EventLog;
use self::logs::ServiceLogs;
pub use self::terminal::Style;
use self::terminal::Terminal;
use crate::engine::OutputChunk;
use crate::event::Event;
use crate::name::ServiceName;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::run::Recorder;

/// All reporters of a run.
pub struct Reporters {
    directory: OutputDirectory,
    project: String,
    run: String,
    started: SystemTime,
    files: Mutex<Files>,
    terminal: Terminal,
}

struct Files {
    events: EventLog,
    logs: ServiceLogs,
    problems: Vec<String>,
}

impl Reporters {
    /// Reporters that write into `directory` and speak to the terminal in `style`.
    #[must_use]
    pub fn new(plan: &Plan, directory: OutputDirectory, style: Style) -> Arc<Self> {
        let started = SystemTime::now();
        let files = Files {
            events: EventLog::create(&directory, started),
            logs: ServiceLogs::new(&directory),
            problems: Vec::new(),
        };
        let terminal = Terminal::start(style, directory.path().to_path_buf());
        Arc::new(Self {
            project: plan.project.clone(),
            run: plan.run.to_string(),
            started,
            files: Mutex::new(files),
            terminal,
            directory,
        })
    }

    /// Waits until the terminal has shown everything, or does not take any more.
    pub async fn close(&self) {
        self.terminal.flush().await;
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Recorder for Reporters {
    fn event(&self, elapsed: Duration, event: Event) {
        let mut files = self.files();
        if let Err(problem) = files.events.write(elapsed, &event) {
            files.problem(problem);
        }
        drop(files);
        self.terminal.show(elapsed, event);
    }

    fn output(&self, service: &ServiceName, chunk: &OutputChunk) {
        let mut files = self.files();
        if let Err(problem) = files.logs.write(service, &chunk.bytes) {
            files.problem(problem);
        }
    }

    fn build_output(&self, title: &str, bytes: &[u8]) {
        let mut files = self.files();
        if let Err(problem) = files.logs.write_build(title, bytes) {
            files.problem(problem);
        }
    }

    async fn write(&self, outcome: &Outcome) -> Vec<String> {
        let document = junit::document(&self.project, &self.run, self.started, outcome);
        if let Err(problem) = self.directory.write("junit.xml", &document) {
            self.files().problem(problem);
        }
        // The verdict is on the screen before teardown starts.
        self.terminal.flush().await;
        self.files().problems.clone()
    }
}

impl Files {
    /// Notes a problem once: a full disk fails at every line.
    fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
