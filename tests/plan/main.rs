//! Plans as text, and the rules behind them.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod images;
mod isolation;
mod mounts;
mod readiness;
mod replicas;
mod sharing;
mod steps;
mod suites;
mod support;
mod within;
