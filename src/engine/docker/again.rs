//! Reading again what a broken connection has cut off. Only for calls that change nothing: whether
//! another one took effect is not known, and is for the caller to find out.

use std::time::Duration;

use crate::clock;
use crate::engine::{EngineError, FailureKind};

/// Pauses before the further attempts. An engine that is gone is found out by those who wait for it.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(400),
];

/// Makes a reading call, and makes it again while the connection breaks.
pub(super) async fn reading<T, F: Future<Output = Result<T, EngineError>>>(
    call: impl Fn() -> F,
) -> Result<T, EngineError> {
    for pause in PAUSES {
        match call().await {
            Err(error) if error.kind == FailureKind::Unreachable => clock::pause(pause).await,
            answer => return answer,
        }
    }
    call().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn calls_of(kind: FailureKind) -> u32 {
        let calls = Cell::new(0);
        let answer: Result<(), _> = reading(|| {
            calls.set(calls.get() + 1);
            let attempt = "inspect".to_owned();
            std::future::ready(Err(EngineError {
                attempt,
                kind,
                message: String::new(),
            }))
        })
        .await;
        assert!(answer.is_err());
        calls.get()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_broken_connection_is_a_reason_to_ask_again() {
        assert_eq!(calls_of(FailureKind::Unreachable).await, 4);
        assert_eq!(calls_of(FailureKind::NotFound).await, 1);
        assert_eq!(calls_of(FailureKind::Internal).await, 1);
    }
}
