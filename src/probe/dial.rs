//! Opening a connection into the networks of a run, from wherever that is possible: from this
//! host, or by a program in the network. The protocols of the probes know no difference.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// An open connection.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for T {}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The host answered that nothing listens on the port.
    #[error("connection refused")]
    Refused,
    /// Nobody answered in time: packets are dropped on the way, or nobody has the address.
    #[error("no answer")]
    NoAnswer,
    /// The network said that there is no way, in the words of the kernel.
    #[error("{0}")]
    Unreachable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::NoAnswer,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Self::Unreachable(plain(&error))
            }
            _ => Self::Other(plain(&error)),
        }
    }
}

/// Somebody who can open connections. The caller sets the limit, by dropping the future.
#[async_trait]
pub trait Dialler: Send + Sync {
    /// Opens a TCP connection.
    async fn dial(&self, address: SocketAddr) -> Result<Box<dyn Connection>, DialError>;
}

/// Dials from the network namespace of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostDialler;

#[async_trait]
impl Dialler for HostDialler {
    async fn dial(&self, address: SocketAddr) -> Result<Box<dyn Connection>, DialError> {
        let stream = TcpStream::connect(address).await?;
        let _ = stream.set_nodelay(true);
        Ok(Box::new(stream))
    }
}

/// The words of an I/O error without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}
