//! The files of a run, written by a thread of their own: a directory that is slow, full or gone holds
//! up neither the run nor its teardown.
//!
//! What cannot be written is told, once for each cause, and a file that has failed stays as it was
//! before: it ends with its last whole line and is not continued behind a gap.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::directory::OutputDirectory;
use super::events::EventLog;
use super::kept;
use super::logs::{Log, Logs, Stamp};
use super::problem::{FileProblem, TAKEN_AWAY, cause, summary};
use crate::artifact;
use crate::clock;

/// How long the directory may take for a report before the run goes on without it, and for output
/// that waits to be written before the rest of it is dropped.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the end of the process waits for what is still to be written.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of output that may wait to be written. Beyond, whoever writes them waits, as it would for a
/// slow pipe.
const BACKLOG: u32 = 16 << 20;

enum Message {
    Event(Vec<u8>),
    Output(Log, Option<Stamp>, Bytes, OwnedSemaphorePermit),
    Ended(Log),
    Settle,
    Report(&'static str, Vec<u8>, oneshot::Sender<()>),
    Evidence {
        suite: String,
        name: String,
        text: Vec<u8>,
    },
    Flush(oneshot::Sender<()>),
}

/// The way to the thread.
pub(super) struct Writer {
    messages: mpsc::Sender<Message>,
    directory: String,
    backlog: Arc<Semaphore>,
    /// The directory takes nothing: it is not waited for a second time.
    stuck: AtomicBool,
    problems: Arc<Mutex<Vec<FileProblem>>>,
}

impl Writer {
    pub(super) fn start(directory: OutputDirectory, log_limit: u64) -> Self {
        let (sender, receiver) = mpsc::channel();
        let problems = Arc::<Mutex<Vec<FileProblem>>>::default();
        let shared = Arc::clone(&problems);
        let shown = directory.path().display().to_string();
        let started = std::thread::Builder::new()
            .name("envrun-reports".to_owned())
            .spawn(move || write_all((&directory, log_limit), &receiver, &shared));
        if let Err(error) = started {
            note(&problems, &shown, &error.to_string());
        }
        Self {
            messages: sender,
            directory: shown,
            backlog: Arc::new(Semaphore::new(BACKLOG as usize)),
            stuck: AtomicBool::new(false),
            problems,
        }
    }

    /// Appends a line to the events.
    pub(super) fn event(&self, line: Vec<u8>) {
        let _ = self.messages.send(Message::Event(line));
    }

    /// Appends output to a log. Waits while too much is waiting already, but not for ever.
    pub(super) async fn output(&self, log: Log, stamp: Stamp, bytes: Bytes) {
        let size = u32::try_from(bytes.len()).map_or(BACKLOG, |size| size.min(BACKLOG));
        let room = Arc::clone(&self.backlog).acquire_many_owned(size);
        let patience = if self.stuck.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            PATIENCE
        };
        match clock::within(patience, room).await {
            Ok(Ok(permit)) => {
                let output = Message::Output(log, Some(stamp), bytes, permit);
                let _ = self.messages.send(output);
            }
            _ => self.takes_nothing(&log.to_string()),
        }
    }

    /// Appends output to a log, or drops it where too much is waiting already.
    pub(super) fn output_at_once(&self, log: Log, bytes: Bytes) {
        let size = u32::try_from(bytes.len()).map_or(BACKLOG, |size| size.min(BACKLOG));
        match Arc::clone(&self.backlog).try_acquire_many_owned(size) {
            Ok(permit) => {
                let output = Message::Output(log, None, bytes, permit);
                let _ = self.messages.send(output);
            }
            Err(_) => self.takes_nothing(&log.to_string()),
        }
    }

    /// Says that nothing more comes for a log, unless its container is started again.
    pub(super) fn ended(&self, log: Log) {
        let _ = self.messages.send(Message::Ended(log));
    }

    /// Has the ends of logs written that have reached their limit.
    pub(super) fn settle(&self) {
        let _ = self.messages.send(Message::Settle);
    }

    /// Writes the report after everything that came before it.
    pub(super) async fn report(&self, name: &'static str, document: Vec<u8>) {
        let (done, written) = oneshot::channel();
        let _ = self.messages.send(Message::Report(name, document, done));
        if clock::within(PATIENCE, written).await.is_err() {
            self.takes_nothing(name);
        }
    }

    /// The same without waiting for it: a later one follows.
    pub(super) fn report_at_once(&self, name: &'static str, document: Vec<u8>) {
        let (done, _nobody) = oneshot::channel();
        let _ = self.messages.send(Message::Report(name, document, done));
    }

    /// Waits until everything is written, but not for a directory that takes nothing.
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.messages.send(Message::Flush(done)).is_ok() {
            let _ = clock::within(LAST_PATIENCE, written).await;
        }
    }

    /// What could not be written, one line a cause.
    pub(super) fn problems(&self) -> Vec<String> {
        summary(&lock(&self.problems))
    }

    /// Writes what was cut for a test.
    pub(super) fn evidence(&self, suite: String, name: String, text: Vec<u8>) {
        let message = Message::Evidence { suite, name, text };
        let _ = self.messages.send(message);
    }

    /// Notes what somebody else could not write.
    pub(super) fn problem(&self, what: &str, cause: &str) {
        note(&self.problems, what, cause);
    }

    fn takes_nothing(&self, what: &str) {
        self.stuck.store(true, Ordering::Relaxed);
        let what = std::path::Path::new(&self.directory).join(what);
        let cause = format!("the directory took nothing within {PATIENCE:?}");
        note(&self.problems, &what.display().to_string(), &cause);
    }
}

fn write_all(
    (directory, log_limit): (&OutputDirectory, u64),
    messages: &mpsc::Receiver<Message>,
    problems: &Mutex<Vec<FileProblem>>,
) {
    let mut events = EventLog::create(directory);
    let mut logs = Logs::new(directory, log_limit);
    while let Ok(message) = messages.recv() {
        let written = match message {
            Message::Event(line) => events.append(&line),
            Message::Evidence { suite, name, text } => {
                write_evidence(directory, &suite, &name, &text)
            }
            Message::Output(log, Some(stamp), bytes, _room) => {
                logs.append_timed(&log, stamp, &bytes)
            }
            Message::Output(log, None, bytes, _room) => logs.append(&log, &bytes),
            Message::Ended(log) => logs.end(&log),
            Message::Settle => logs.settle(),
            Message::Report(name, document, done) => {
                let written = directory.write_whole(name, &document);
                if let Err(problem) = &written {
                    note(problems, &problem.what, &problem.cause);
                }
                let _ = done.send(());
                continue;
            }
            Message::Flush(done) => {
                let ended = logs.end_all();
                if let Err(problem) = ended.and(logs.settle()) {
                    note(problems, &problem.what, &problem.cause);
                }
                let _ = done.send(());
                continue;
            }
        };
        if let Err(problem) = written {
            // That it cannot be found is not the cause.
            let cause = if directory.is_still_there() {
                &problem.cause
            } else {
                TAKEN_AWAY
            };
            note(problems, &problem.what, cause);
        }
    }
}

fn write_evidence(
    directory: &OutputDirectory,
    suite: &str,
    name: &str,
    text: &[u8],
) -> Result<(), FileProblem> {
    let failed = |cause: String| FileProblem {
        what: directory.path().join(kept::EVIDENCE).display().to_string(),
        cause,
    };
    let folder = kept::make(directory.path(), kept::EVIDENCE).map_err(failed)?;
    artifact::put(&folder, suite, name, text).map_err(|error| failed(cause(&error)))
}

/// Notes a problem once: a full disk fails at every line.
fn note(problems: &Mutex<Vec<FileProblem>>, what: &str, cause: &str) {
    let problem = FileProblem {
        what: what.to_owned(),
        cause: cause.to_owned(),
    };
    let mut problems = lock(problems);
    if !problems.contains(&problem) {
        problems.push(problem);
    }
}

fn lock(problems: &Mutex<Vec<FileProblem>>) -> MutexGuard<'_, Vec<FileProblem>> {
    problems.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once_however_many_files_it_hits() {
        let problems = Mutex::default();
        for (what, cause) in [
            ("out/events.jsonl", "no space"),
            ("out/junit.xml", "no such directory"),
            ("out/events.jsonl", "no space"),
            ("out/logs/a.log", "no space"),
            ("out/logs/b.log", "no space"),
        ] {
            note(&problems, what, cause);
        }
        assert_eq!(
            summary(&lock(&problems)),
            [
                "cannot write `out/events.jsonl` and 2 more files: no space",
                "cannot write `out/junit.xml`: no such directory",
            ]
        );
    }
}
