//! Masking of one stream that comes in pieces.

use std::sync::Arc;

use aho_corasick::automaton::StateID;
use bytes::{Bytes, BytesMut};

use super::search::Runs;
use super::{Known, MASK};

/// Masks one stream. What it has got and not given yet is the longest end that begins a spelling of a
/// secret, so it is never more than the longest spelling, and nothing as a rule.
pub struct Stream {
    known: Option<Arc<Known>>,
    state: StateID,
    /// Got and not given.
    held: BytesMut,
    /// Hidden bytes of what is held.
    runs: Runs,
    /// The last byte that was settled is hidden, so that a mask stands for it already.
    is_hiding: bool,
}

impl Stream {
    pub(super) fn new(known: Option<Arc<Known>>) -> Self {
        let start = known.as_ref().map(|known| known.search.start());
        Self {
            known,
            state: start.unwrap_or_default(),
            held: BytesMut::new(),
            runs: Runs::default(),
            is_hiding: false,
        }
    }

    /// Takes a piece, and gives all that is settled with it.
    #[must_use]
    pub fn push(&mut self, piece: &Bytes) -> Bytes {
        let Some(known) = &self.known else {
            return piece.clone();
        };
        self.runs.count_from(self.held.len());
        self.state = known.search.scan(self.state, piece, &mut self.runs);
        let depth = known.search.depth(self.state);
        let settled = (self.held.len() + piece.len()).saturating_sub(depth);
        if self.held.is_empty() && self.runs.is_empty() {
            // Nothing is hidden and nothing was held, so there is nothing to copy.
            self.is_hiding &= settled == 0;
            self.held.extend_from_slice(&piece[settled..]);
            return piece.slice(..settled);
        }
        self.held.extend_from_slice(piece);
        self.settle(settled)
    }

    /// The end of the stream: gives what is left. Whatever comes after it is a new stream.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        let rest = self.settle(self.held.len());
        if let Some(known) = &self.known {
            self.state = known.search.start();
        }
        self.is_hiding = false;
        rest
    }

    fn settle(&mut self, settled: usize) -> Bytes {
        let mut masked = BytesMut::with_capacity(settled);
        let mut position = 0;
        for (start, end) in self.runs.iter() {
            if start >= settled {
                break;
            }
            if start > position {
                masked.extend_from_slice(&self.held[position..start]);
                self.is_hiding = false;
            }
            if !self.is_hiding {
                masked.extend_from_slice(MASK.as_bytes());
                self.is_hiding = true;
            }
            position = end.min(settled);
        }
        if settled > position {
            masked.extend_from_slice(&self.held[position..settled]);
            self.is_hiding = false;
        }
        let _ = self.held.split_to(settled);
        self.runs.forget(settled);
        masked.freeze()
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is held may be half a secret.
        write!(formatter, "Stream({} bytes held)", self.held.len())
    }
}
