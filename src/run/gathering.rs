//! Keeps files of a container as they come from the engine.
//!
//! Owns how long that may take, and that nothing which goes wrong there is more than a warning. What an
//! archive holds is judged by [`crate::artifact`]; this must never write a file itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, Shared as SharedFuture};
use tokio::sync::{mpsc, oneshot};

use super::archives::{self, Incoming};
use super::effect::{GatherTask, Input};
use super::shared::Shared;
use crate::artifact::{Chest, Record, Selection, UnpackError};
use crate::clock::{self, Instant};
use crate::engine::{EngineError, FailureKind};

/// Largest archive that is looked through for what is meant, in bytes.
const LARGEST_ARCHIVE: u64 = 8 << 30;

/// Pauses before an archive is asked for again that could not be had.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// How long the output directory may take for what has arrived when time is over.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Resolves when nobody waits for anything any more.
pub(super) type Hurried = SharedFuture<BoxFuture<'static, ()>>;

/// Keeps what a task names, and tells of it.
pub(super) async fn gather(shared: Arc<Shared>, task: GatherTask) {
    let record = record_of(&shared, &task).await;
    shared.recorder.kept(&task.directory, &record).await;
    shared.send(Input::Gathered {
        owner: task.owner,
        directory: task.directory,
        record,
    });
}

async fn record_of(shared: &Arc<Shared>, task: &GatherTask) -> Record {
    let failed = |problem: String, unwritable: bool| Record {
        problems: vec![problem],
        unwritable,
        ..Record::default()
    };
    let until = clock::now() + task.limit;
    let selection = match Selection::new(&task.working_dir, &task.paths) {
        Ok(selection) => selection,
        Err(error) => return failed(error.to_string(), false),
    };
    let roots = selection.roots();
    let opening = {
        let (recorder, name) = (Arc::clone(&shared.recorder), task.directory.clone());
        let keeping = (task.limits, shared.masker.clone());
        tokio::task::spawn_blocking(move || {
            let directory = recorder.artifacts()?;
            let path = directory.join(&name);
            Chest::open(&directory, &name, selection, keeping)
                .map_err(|error| format!("cannot write to `{}`: {error}", path.display()))
        })
    };
    let mut chest = match clock::within(task.limit, opening).await {
        Ok(Ok(Ok(chest))) => chest,
        Ok(Ok(Err(problem))) => return failed(problem, true),
        Ok(Err(_panicked)) => return failed("envrun has panicked".to_owned(), false),
        Err(reached) => {
            return failed(format!("the output directory took nothing {reached}"), true);
        }
    };
    for root in roots {
        let incoming = match opened(shared, task, &root, until).await {
            Ok(Some(incoming)) => incoming,
            Ok(None) => continue,
            Err(error) => {
                chest.problem(error.to_string(), false);
                continue;
            }
        };
        let (pieces, pipe) = archives::pipe();
        let name = root.clone();
        let unpacking = tokio::task::spawn_blocking(move || {
            let unpacked = chest.unpack(&name, pipe);
            (chest, unpacked)
        });
        pump(incoming, pieces, until).await;
        let (back, unpacked) = match clock::within(LAST_WORD, unpacking).await {
            Ok(Ok(unpacked)) => unpacked,
            Ok(Err(_panicked)) => return failed("envrun has panicked".to_owned(), false),
            Err(reached) => {
                return failed(format!("the output directory took nothing {reached}"), true);
            }
        };
        chest = back;
        if let Err(error) = unpacked {
            let unwritable = matches!(error, UnpackError::Write { .. });
            chest.problem(error.to_string(), unwritable);
            // A disk that is full stays full, and time that is over is over.
            if unwritable || until.elapsed() > Duration::ZERO {
                break;
            }
        }
    }
    let closing = tokio::task::spawn_blocking(move || chest.close());
    match clock::within(LAST_WORD, closing).await {
        Ok(Ok(record)) => record,
        Ok(Err(_panicked)) => failed("envrun has panicked".to_owned(), false),
        Err(reached) => failed(format!("the output directory took nothing {reached}"), true),
    }
}

/// Asks for an archive, and again where the connection breaks.
async fn opened(
    shared: &Shared,
    task: &GatherTask,
    root: &str,
    until: Instant,
) -> Result<Option<Incoming>, EngineError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let opening = archives::open(&shared.engine, &task.container, root);
        let answer = clock::within(left(until), opening).await;
        let error = match answer {
            Ok(Ok(incoming)) => return Ok(incoming),
            Ok(Err(error)) => error,
            Err(reached) => EngineError {
                attempt: format!("read `{root}` of `{}`", task.owner),
                kind: FailureKind::Refused,
                message: reached.to_string(),
            },
        };
        let again = matches!(error.kind, FailureKind::Unreachable | FailureKind::Internal);
        match pauses.next() {
            Some(pause) if again && left(until) > pause => clock::pause(pause).await,
            _ => return Err(error),
        }
    }
}

/// Passes an archive on until it is whole, nobody reads it any more, it is too large, or time is over.
async fn pump(mut incoming: Incoming, pieces: mpsc::Sender<io::Result<Bytes>>, until: Instant) {
    let mut size = 0_u64;
    let broken = |message: String| Err(io::Error::other(message));
    loop {
        let piece = match clock::within(left(until), incoming.next()).await {
            Ok(Ok(Some(piece))) if piece.is_empty() => continue,
            Ok(Ok(Some(piece))) => {
                size = size.saturating_add(piece.len() as u64);
                match size > LARGEST_ARCHIVE {
                    true => broken(format!("it is larger than {LARGEST_ARCHIVE} bytes")),
                    false => Ok(piece),
                }
            }
            Ok(Ok(None)) => Ok(Bytes::new()),
            Ok(Err(error)) => broken(error.message),
            Err(_reached) => broken("time was over".to_owned()),
        };
        let is_last = piece.as_ref().map_or(true, Bytes::is_empty);
        let passed_on = clock::within(left(until).max(LAST_WORD), pieces.send(piece)).await;
        if is_last || !matches!(passed_on, Ok(Ok(()))) {
            return;
        }
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(clock::now())
}

/// Waits until everything is kept that is to be kept, but not longer than the limit, nor when somebody is
/// in a hurry.
pub(super) async fn settle(
    gatherings: Vec<oneshot::Receiver<()>>,
    limit: Duration,
    hurried: Hurried,
) {
    // An error says as well that it is over.
    let all = futures::future::join_all(gatherings);
    let all = clock::within(limit, all);
    futures::pin_mut!(all);
    let _ = futures::future::select(all, hurried).await;
}
