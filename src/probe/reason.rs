//! Why an attempt did not pass.

use std::io;
use std::time::Duration;

use super::dial::{self, DialError};
use crate::clock::LimitReached;

/// Why an attempt did not pass. The text of every kind is what people read; the kinds are for whoever
/// explains a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The limit of the attempt was reached before there was an answer.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The connection was accepted, and then closed or broken without an answer.
    #[error("{0}")]
    Closed(String),
    /// There is an answer, and it is not the one that is waited for: a status, an exit code, a server
    /// that still starts.
    #[error("{0}")]
    NotYet(String),
    /// Whoever answers speaks another protocol.
    #[error("{0}")]
    Foreign(String),
    /// The certificate of the server is not accepted, or TLS cannot be agreed on.
    #[error("{0}")]
    Tls(String),
    /// The port is listened on, but on the loopback address only.
    #[error("port {0} is listened on, but on the loopback address only")]
    LoopbackOnly(u16),
    /// The engine could not make the attempt.
    #[error("{0}")]
    Engine(String),
}

impl Reason {
    /// What became of a connection that was open.
    pub(super) fn broken(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::Closed("closed the connection without an answer".to_owned())
            }
            _ => Self::Closed(dial::plain(error)),
        }
    }
}

impl From<LimitReached> for Reason {
    fn from(reached: LimitReached) -> Self {
        Self::Silent(reached.limit)
    }
}
