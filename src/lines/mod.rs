//! What containers write, as lines: put together per stream out of pieces, written down with their
//! times, made harmless for a terminal.
//!
//! It is pure. It must never hold back more than [`LONGEST`] bytes of a stream, nor lose a last line
//! because nothing ended it. Secrets are masked before anything comes here.

mod assembly;
mod timed;

pub use self::assembly::{Assembly, Piece};
pub use self::timed::{LogLine, read};

/// Bytes of a line that are put together, after which the rest comes as a piece of its own: a
/// container may write a gigabyte without a line break.
pub const LONGEST: usize = 64 << 10;
