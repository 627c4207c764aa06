//! Watches a container until it has ended and its output is complete.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::effect::Input;
use super::shared::Shared;
use crate::clock::{self, Instant};
use crate::engine::{EngineError, Exit, FailureKind};
use crate::name::{ContainerId, ServiceName};

/// How long the output of an ended container may take to arrive.
const DRAIN: Duration = Duration::from_secs(5);

/// How long an engine that does not answer is waited for while a container is watched.
const ENGINE_SILENT: Duration = Duration::from_secs(10);

/// Pause between two questions to an engine that did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Waits for the end of a container and for the last byte of its output.
pub(super) async fn watch(
    shared: Arc<Shared>,
    service: ServiceName,
    container: ContainerId,
    drained: Option<oneshot::Receiver<()>>,
) {
    let exit = match exit_of(&shared, &container).await {
        Ok(exit) => exit,
        Err(error) => return shared.send(Input::EngineLost(error)),
    };
    if let Some(drained) = drained {
        let _ = clock::within(DRAIN, drained).await;
    }
    let log_tail = shared.tails.tail(&service);
    shared.send(Input::Exited {
        service,
        exit,
        log_tail,
    });
}

/// How a container ended. A wait that breaks is taken up again; an engine that stays silent is an
/// error.
async fn exit_of(shared: &Shared, container: &ContainerId) -> Result<Exit, EngineError> {
    let mut silent_since: Option<Instant> = None;
    loop {
        let waited = shared.engine.wait_container(container).await;
        match shared.engine.inspect_container(container).await {
            Ok(facts) => match facts.exit {
                Some(exit) if !facts.running => return Ok(exit),
                _ => silent_since = None,
            },
            Err(error) if error.kind == FailureKind::NotFound => {
                let error = Some("the container was removed by somebody else".to_owned());
                return Ok(Exit {
                    code: None,
                    oom_killed: false,
                    error,
                });
            }
            Err(error) => {
                if silent_since.get_or_insert_with(clock::now).elapsed() >= ENGINE_SILENT {
                    return Err(error);
                }
            }
        }
        if waited.is_err() || silent_since.is_some() {
            clock::pause(ASK_AGAIN).await;
        }
    }
}
