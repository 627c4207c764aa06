//! A connection that the agent holds open.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use super::conversation::Conversation;
use super::wire::Kind;

/// What comes in on a connection. The agent sends no more of it than [`wire::WINDOW`] bytes beyond
/// what was read, so a peer that never stops cannot fill the memory.
///
/// [`wire::WINDOW`]: super::wire::WINDOW
pub(super) type Incoming = mpsc::UnboundedReceiver<Bytes>;

/// Most bytes that are handed to the agent in one frame.
const PIECE: usize = 16 << 10;

/// A TCP connection from a network namespace of the run. Dropping it closes it.
pub struct AgentStream {
    conversation: Arc<Conversation>,
    number: u32,
    incoming: Incoming,
    rest: Bytes,
}

impl AgentStream {
    pub(super) const fn new(
        conversation: Arc<Conversation>,
        number: u32,
        incoming: Incoming,
    ) -> Self {
        Self {
            conversation,
            number,
            incoming,
            rest: Bytes::new(),
        }
    }

    fn say(&self, kind: Kind, content: &[u8]) -> io::Result<()> {
        if self.conversation.say(self.number, kind, content) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
}

impl Drop for AgentStream {
    fn drop(&mut self) {
        self.conversation.close(self.number);
    }
}

impl AsyncRead for AgentStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.incoming.poll_recv(context)) {
                Some(bytes) => {
                    let count = u32::try_from(bytes.len()).unwrap_or(0);
                    let _ = self.say(Kind::Read, &count.to_be_bytes());
                    self.rest = bytes;
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for AgentStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = bytes.len().min(PIECE);
        Poll::Ready(self.say(Kind::Data, &bytes[..length]).map(|()| length))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.say(Kind::End, &[]))
    }
}
