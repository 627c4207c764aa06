//! Archives of paths of a container, as they come from the engine.
//!
//! Owns how long the engine may be silent while it sends one. It must never look into an archive.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::clock::{self, LimitReached};
use crate::engine::{Engine, EngineError, FailureKind};
use crate::name::ContainerId;

/// How long the engine may be silent while it is to send an archive.
const SILENCE: Duration = Duration::from_secs(20);

/// Pieces that wait for whoever reads an archive.
const WAITING: usize = 16;

/// An archive that the engine sends.
pub(super) struct Incoming {
    pieces: BoxStream<'static, Result<Bytes, EngineError>>,
    attempt: String,
}

/// Asks for the archive of a path; `None` when there is no such path.
pub(super) async fn open(
    engine: &Arc<dyn Engine>,
    container: &ContainerId,
    path: &str,
) -> Result<Option<Incoming>, EngineError> {
    let attempt = format!("read `{path}` of container `{container}`");
    let reading = engine.read_archive(container, path);
    let answer = clock::within(SILENCE, reading).await;
    let pieces = answer.map_err(|reached| silent(&attempt, reached))??;
    Ok(pieces.map(|pieces| Incoming { pieces, attempt }))
}

impl Incoming {
    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        let piece = clock::within(SILENCE, self.pieces.next()).await;
        let piece = piece.map_err(|reached| silent(&self.attempt, reached))?;
        piece.transpose()
    }
}

fn silent(attempt: &str, reached: LimitReached) -> EngineError {
    EngineError {
        attempt: attempt.to_owned(),
        kind: FailureKind::Unreachable,
        message: reached.to_string(),
    }
}

/// Both ends of a pipe of bounded size between whoever receives an archive and a thread that reads it.
pub(super) fn pipe() -> (mpsc::Sender<io::Result<Bytes>>, Pipe) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let pipe = Pipe {
        pieces,
        rest: Bytes::new(),
        ended: false,
    };
    (sender, pipe)
}

/// The end that is read, by a thread that may wait. An archive whose other end is dropped without a word
/// has broken off.
pub(super) struct Pipe {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
    ended: bool,
}

impl Read for Pipe {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                // An empty piece is the word that it is whole.
                Some(Ok(piece)) => {
                    self.ended = piece.is_empty();
                    self.rest = piece;
                }
                Some(Err(error)) => return Err(error),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let size = room.len().min(self.rest.len());
        let piece = self.rest.split_to(size);
        if let Some(room) = room.get_mut(..size) {
            room.copy_from_slice(&piece);
        }
        Ok(size)
    }
}
