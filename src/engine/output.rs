//! Output of containers: pieces of two streams, and how much of it somebody has seen.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How many bytes of a container's output somebody has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Of its standard output.
    pub stdout: u64,
    /// Of its standard error.
    pub stderr: u64,
}

impl Seen {
    /// Counts a chunk in.
    pub fn add(&mut self, chunk: &OutputChunk) {
        let count = match chunk.stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        *count = count.saturating_add(chunk.bytes.len() as u64);
    }

    /// What of a chunk of the whole output was not seen yet, and takes the rest off the count.
    #[must_use]
    pub fn cut(&mut self, mut chunk: OutputChunk) -> OutputChunk {
        let count = match chunk.stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        let known = usize::try_from(*count)
            .unwrap_or(usize::MAX)
            .min(chunk.bytes.len());
        chunk.bytes = chunk.bytes.slice(known..);
        *count = count.saturating_sub(known as u64);
        chunk
    }
}

/// A chunk of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// Which stream it came from.
    pub stream: OutputStream,
    /// Raw bytes; lines may be cut anywhere.
    pub bytes: Bytes,
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_cut_off_per_stream() {
        let chunk = |stream, bytes: &'static [u8]| OutputChunk {
            stream,
            bytes: Bytes::from_static(bytes),
        };
        let mut seen = Seen::default();
        seen.add(&chunk(OutputStream::Stdout, b"one t"));
        seen.add(&chunk(OutputStream::Stderr, b"er"));
        let whole = [
            chunk(OutputStream::Stdout, b"one "),
            chunk(OutputStream::Stderr, b"error"),
            chunk(OutputStream::Stdout, b"two"),
            chunk(OutputStream::Stdout, b"three"),
        ];
        let rest = whole.map(|chunk| seen.cut(chunk).bytes);
        assert_eq!(rest, [&b""[..], b"ror", b"wo", b"three"]);
    }
}
