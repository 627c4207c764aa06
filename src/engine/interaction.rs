//! What a person does with a running container: read its logs, run a command in it.

use std::pin::Pin;

use futures::stream::BoxStream;
use tokio::io::AsyncWrite;

use super::{EngineError, OutputChunk};

/// Which of a container's output is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogsSpec {
    /// Whether to go on until the container ends.
    pub follow: bool,
    /// How many of its last lines; `None` means all.
    pub tail: Option<u32>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
}

/// How a command is attached to who started it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interaction {
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether it reads input.
    pub input: bool,
}

/// Size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// In characters.
    pub columns: u16,
    /// In lines.
    pub rows: u16,
}

/// A command that runs in a container.
pub struct Session {
    /// The engine's id of it.
    pub id: String,
    /// What it writes; ends with it.
    pub output: BoxStream<'static, Result<OutputChunk, EngineError>>,
    /// What it reads.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}
