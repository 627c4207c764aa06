//! A connection on which a probe and a server say a few words to each other. What a server may say is
//! bounded, so that one that never stops costs no memory; how long it may take is bounded by whoever
//! drops the attempt.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Reason;
use super::dial::{Connection, Dialler};

/// Longest line or packet that is looked at.
pub(super) const LONGEST: usize = 4096;

/// Characters shown of what a server has said.
const SHOWN: usize = 200;

pub(super) struct Conversation {
    stream: Box<dyn Connection>,
    /// What has come and was not taken yet.
    heard: Vec<u8>,
}

impl Conversation {
    /// Dials a port.
    pub(super) async fn open(
        dialler: &dyn Dialler,
        (address, port): (IpAddr, u16),
    ) -> Result<Self, Reason> {
        let stream = dialler.dial(SocketAddr::new(address, port)).await?;
        Ok(Self {
            stream,
            heard: Vec::new(),
        })
    }

    /// Says something.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| Reason::broken(&error))
    }

    /// Hears the next `count` bytes, at most [`LONGEST`].
    pub(super) async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Reason> {
        let count = count.min(LONGEST);
        while self.heard.len() < count {
            self.more().await?;
        }
        Ok(self.heard.drain(..count).collect())
    }

    /// Hears a line, without its end.
    pub(super) async fn line(&mut self) -> Result<String, Reason> {
        let mut looked_at = 0;
        loop {
            let end = self.heard[looked_at..]
                .iter()
                .position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let line: Vec<u8> = self.heard.drain(..=looked_at + end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            looked_at = self.heard.len();
            if looked_at >= LONGEST {
                return Err(Reason::Foreign(format!(
                    "no line within {LONGEST} bytes of the answer"
                )));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Reason> {
        let mut piece = [0_u8; 1024];
        let read = self.stream.read(&mut piece).await;
        match read.map_err(|error| Reason::broken(&error))? {
            0 if self.heard.is_empty() => Err(Reason::Closed(
                "closed the connection without an answer".to_owned(),
            )),
            0 => Err(Reason::Closed(
                "closed the connection in the middle of an answer".to_owned(),
            )),
            count => {
                self.heard.extend_from_slice(&piece[..count]);
                Ok(())
            }
        }
    }
}

/// What a server has said, made safe to show: one line, printable, not long.
pub(super) fn shown(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let shown: String = printable.take(SHOWN).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The answer of somebody who speaks something else.
pub(super) fn foreign(protocol: &str, answer: &str) -> Reason {
    Reason::Foreign(match shown(answer) {
        text if text.is_empty() => format!("the answer is not {protocol}'s"),
        text => format!("the answer is not {protocol}'s: {text}"),
    })
}
