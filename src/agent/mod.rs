//! The in-network agent, seen from envrun: a small program of ours in a network namespace of a run,
//! which resolves names, opens connections and listens there on our behalf.
//!
//! Owns its [protocol](wire), its [program](program()) and the [conversation](Agent) with one. Knows
//! no engine: how the program comes into a container is the business of `run`, and what is said over
//! a connection that of `probe`, which takes an [`Agent`] as a
//! [`Dialler`](crate::probe::dial::Dialler) like any other.

mod conversation;
mod stream;
pub mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use self::conversation::Conversation;
pub use self::stream::AgentStream;
use self::wire::{Failure, Frame, Kind};
use crate::clock;
use crate::probe::dial::{Connection, DialError, Dialler};

/// How long the agent tries to open a connection for whoever sets no shorter limit by dropping it.
const LONGEST_DIAL: Duration = Duration::from_secs(30);

/// How much longer than its limit an answer may be on its way: the engine passes it on.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// The program, as a static executable for Linux on [`architecture()`]; `None` if this build has
/// none.
#[must_use]
pub fn program() -> Option<&'static [u8]> {
    const PROGRAM: &[u8] = include_bytes!(env!("ENVRUN_AGENT_PROGRAM"));
    (!PROGRAM.is_empty()).then_some(PROGRAM)
}

/// The architecture that the program is for, as Rust calls it: `x86_64`, `aarch64`.
#[must_use]
pub const fn architecture() -> &'static str {
    env!("ENVRUN_AGENT_ARCHITECTURE")
}

/// Why the agent has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// What was asked for failed where the agent is.
    #[error("{words}")]
    Failed {
        /// The way it failed.
        failure: Failure,
        /// The kernel's words.
        words: String,
    },
    /// The agent has ended, or the engine has lost it.
    #[error("the in-network agent has ended")]
    Gone,
    /// It did not answer in time.
    #[error("the in-network agent did not answer within {0:?}")]
    Silent(Duration),
}

impl AgentError {
    fn dial(self, address: SocketAddr) -> DialError {
        match self {
            Self::Failed { failure, words } => match failure {
                Failure::Refused => DialError::Refused,
                Failure::NoAnswer => DialError::NoAnswer,
                Failure::Unreachable => DialError::Unreachable(plain(&words)),
                _ => DialError::Other(plain(&words)),
            },
            other => DialError::Other(format!("cannot dial {address}: {other}")),
        }
    }
}

/// The words of an I/O error without its number.
fn plain(words: &str) -> String {
    let words = words.split(" (os error").next().unwrap_or_default();
    words.to_lowercase()
}

/// An agent that runs. A clone speaks to the same one, which ends with the last clone.
#[derive(Clone)]
pub struct Agent {
    conversation: Arc<Conversation>,
}

impl Agent {
    /// Speaks to an agent by its standard input and output, once it has said that it is there.
    ///
    /// # Errors
    /// It ends, or says nothing, or something else, within `limit`.
    pub async fn greet(
        input: impl AsyncWrite + Send + 'static,
        output: BoxStream<'static, io::Result<Bytes>>,
        limit: Duration,
    ) -> Result<Self, AgentError> {
        let (conversation, greeted) = Conversation::begin(input, output);
        let greeted = clock::within(limit, greeted).await;
        match greeted {
            Ok(Ok(version)) if version == wire::VERSION => Ok(Self {
                conversation: Arc::new(conversation),
            }),
            Ok(_) => Err(AgentError::Gone),
            Err(reached) => Err(AgentError::Silent(reached.limit)),
        }
    }

    /// Whether it has ended, or the engine has lost it. It does not come back.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.conversation.is_over()
    }

    /// The addresses of a name, as the programs there resolve it.
    ///
    /// # Errors
    /// There is no such name ([`Failure::NoSuchName`]), no name server answers, or the agent is gone.
    pub async fn resolve(&self, name: &str, limit: Duration) -> Result<Vec<IpAddr>, AgentError> {
        let answer = self.ask(Kind::Resolve, name.as_bytes().to_vec(), limit);
        let answer = answer.await?;
        let lines = String::from_utf8_lossy(&answer.content).into_owned();
        Ok(lines.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Opens a TCP connection from there, within `limit`.
    ///
    /// # Errors
    /// Nobody answers or listens there, or the agent is gone.
    pub async fn connect(
        &self,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<AgentStream, AgentError> {
        let mut content = milliseconds(limit).to_vec();
        content.extend_from_slice(address.to_string().as_bytes());
        let (call, incoming) = self.conversation.call_for_stream();
        let number = call.number();
        call.say(Kind::Connect, content);
        let waited = limit.saturating_add(ON_ITS_WAY);
        answered(waited, call.answer()).await?;
        Ok(AgentStream::new(
            Arc::clone(&self.conversation),
            number,
            incoming,
        ))
    }

    /// Sends one echo of ICMP from there; answers how long it took to come back.
    ///
    /// # Errors
    /// It does not come back, the kernel does not let the agent send it, or the agent is gone.
    pub async fn echo(&self, address: IpAddr, limit: Duration) -> Result<Duration, AgentError> {
        let mut content = milliseconds(limit).to_vec();
        content.extend_from_slice(address.to_string().as_bytes());
        let answer = self.ask(Kind::Echo, content, limit).await?;
        let took = wire::number(&answer.content).map_or(0, |(took, _)| took);
        Ok(Duration::from_micros(u64::from(took)))
    }

    /// The kernel's tables of TCP sockets there (`/proc/net/tcp` and `/proc/net/tcp6`).
    ///
    /// # Errors
    /// The agent is gone.
    pub async fn sockets(&self, limit: Duration) -> Result<String, AgentError> {
        let answer = self.ask(Kind::Sockets, Vec::new(), limit).await?;
        Ok(String::from_utf8_lossy(&answer.content).into_owned())
    }

    /// Listens there; answers the address, and each connection that is accepted from now on.
    ///
    /// # Errors
    /// The address cannot be had, or the agent is gone.
    pub async fn listen(
        &self,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<(SocketAddr, mpsc::UnboundedReceiver<AgentStream>), AgentError> {
        let (call, accepted) = Conversation::call_for_listener(&self.conversation);
        call.say(Kind::Listen, address.to_string().into_bytes());
        let answer = answered(limit, call.answer()).await?;
        let bound = String::from_utf8_lossy(&answer.content).parse();
        Ok((bound.unwrap_or(address), accepted))
    }

    /// Asks for a change of the packet filter or the queues there; for agents with the right to it.
    ///
    /// # Errors
    /// The kernel cannot do it ([`Failure::Unsupported`]) or refuses it, or the agent is gone.
    pub async fn change(&self, words: &str, limit: Duration) -> Result<String, AgentError> {
        let answer = self.ask(Kind::Change, words.as_bytes().to_vec(), limit);
        Ok(String::from_utf8_lossy(&answer.await?.content).into_owned())
    }

    async fn ask(
        &self,
        kind: Kind,
        content: Vec<u8>,
        limit: Duration,
    ) -> Result<Frame, AgentError> {
        let call = self.conversation.call();
        call.say(kind, content);
        answered(limit.saturating_add(ON_ITS_WAY), call.answer()).await
    }
}

#[async_trait]
impl Dialler for Agent {
    async fn dial(&self, address: SocketAddr) -> Result<Box<dyn Connection>, DialError> {
        match self.connect(address, LONGEST_DIAL).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(error.dial(address)),
        }
    }
}

async fn answered(
    limit: Duration,
    answer: impl Future<Output = Result<Frame, AgentError>>,
) -> Result<Frame, AgentError> {
    let answer = clock::within(limit, answer).await;
    answer.unwrap_or_else(|reached| Err(AgentError::Silent(reached.limit)))
}

fn milliseconds(limit: Duration) -> [u8; 4] {
    u32::try_from(limit.as_millis())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
}

#[cfg(test)]
mod tests;
