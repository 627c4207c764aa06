//! Reading again what a broken connection has cut off, or what the engine had a moment's trouble with. Only for calls that change nothing: whether
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

/// Makes a reading call, and makes it again while the connection breaks or the engine fails inside.
pub(super) async fn reading<T, F: Future<Output = Result<T, EngineError>>>(
    call: impl Fn() -> F,
) -> Result<T, EngineError> {
    for pause in PAUSES {
        match call().await {
            Err(error)
                if matches!(error.kind, FailureKind::Unreachable | FailureKind::Internal) =>
            {
                clock::pause(pause).await;
            }
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
    async fn an_answer_that_says_something_is_no_reason_to_ask_again() {
        assert_eq!(calls_of(FailureKind::Unreachable).await, 4);
        assert_eq!(calls_of(FailureKind::NotFound).await, 1);
        assert_eq!(calls_of(FailureKind::Internal).await, 4);
        assert_eq!(calls_of(FailureKind::Busy).await, 1);
    }
}
