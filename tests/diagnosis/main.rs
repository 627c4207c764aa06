//! Failures and their causes, as text: what a program has said, the model and what was seen go in. The
//! same causes are produced for real in `tests/engine/diagnosis`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod causes;
mod clues;
mod support;
