//! The one place where the program waits.
//!
//! Every timer and every deadline of the crate goes through here, so that each has a cause and can
//! be found, and so that tests can pause time. Nothing else may call `tokio::time` for waiting
//! (`clippy.toml` says so).
//!
//! Deadlines here are for reading calls and for waits. A mutating engine call is never put under a
//! deadline that drops it: it is spawned and outwaited (see `run::teardown`).

use std::future::Future;
use std::time::Duration;

pub use tokio::time::Instant;

/// Now, on the monotonic clock that tests can pause.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits for `duration`. Zero yields once.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub async fn pause(duration: Duration) {
    if duration.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(duration).await;
    }
}

/// Blocks this thread for `duration`: for the watchdog, which has no runtime while it waits.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn block(duration: Duration) {
    std::thread::sleep(duration);
}

/// The limit was reached before the future was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {limit:?}")]
pub struct LimitReached {
    /// The limit.
    pub limit: Duration,
}

/// Drives `future` for at most `limit`, then drops it. Only for futures that are safe to drop:
/// reads, probes and waits on channels.
///
/// # Errors
/// The limit was reached.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, LimitReached> {
    tokio::time::timeout(limit, future)
        .await
        .map_err(|_elapsed| LimitReached { limit })
}
