//! The reachability matrix: which pairs there are, what is promised of each, what was seen, and whether
//! that is as promised.
//!
//! Pure: knows no engine, no clock and no network. Who tries and from where is the business of `plan` and
//! `run`; this room says what is to be tried and what the answers mean.

pub mod expected;
pub mod graph;
pub mod judge;
pub mod matrix;
pub mod record;
pub mod seen;

/// Name of the suite that the matrix is tested as.
pub const SUITE: &str = "reachability";

pub use self::judge::{Case, Verdict, judge};
pub use self::matrix::{Matrix, Pair, Promise};
pub use self::record::Record;
pub use self::seen::{Answer, Look, Named, Seen, TargetSeen, Try, TryKind};
