//! Watches a container until it has ended and its output is complete, and kills it where its time is
//! over.
//!
//! A connection that breaks says nothing about the container, so the engine is asked again. An engine
//! that is being shut down or restarted ends its containers, and their exit codes say nothing about
//! what was tested: that is told apart here.

use std::sync::Arc;
use std::time::Duration;

use super::effect::Input;
use super::following::Following;
use super::shared::Shared;
use crate::clock::{self, Instant};
use crate::engine::{ContainerFacts, EngineError, Exit, FailureKind};
use crate::name::{ContainerId, ServiceName};

/// How long the output of an ended container may take to arrive.
const DRAIN: Duration = Duration::from_secs(5);

/// Exit code of what SIGKILL has ended.
const KILLED: i64 = 137;

/// How long an engine that does not answer is waited for while a container is watched or killed.
const ENGINE_SILENT: Duration = Duration::from_secs(10);

/// Longest wait before the engine is asked all the same: a word of the end may get lost without the
/// connection breaking.
const ROUND: Duration = Duration::from_secs(10);

/// Limit of one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Pause between two questions to an engine that did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Waits for the end of a container and for the last byte of its output.
pub(super) async fn watch(
    shared: Arc<Shared>,
    service: ServiceName,
    container: ContainerId,
    following: Option<Following>,
) {
    let mut exit = match exit_of(&shared, &service, &container).await {
        Ok(exit) => exit,
        Err(error) => return shared.send(Input::EngineLost(error)),
    };
    if let Some(Following { ended, complete }) = following {
        // Nobody listens where the output is complete already.
        let _ = ended.send(());
        let _ = clock::within(DRAIN, complete).await;
    }
    // Docker hears of the kernel's want of memory beside the end of the container, and may note it a
    // moment later.
    if exit.code == Some(KILLED)
        && !exit.oom_killed
        && let Ok(facts) = inspect(&shared, &container).await
    {
        exit.oom_killed = facts.exit.is_some_and(|exit| exit.oom_killed);
    }
    let log_tail = shared.tails.tail(&service);
    let usage = shared.meter.end(&container);
    shared.send(Input::Exited {
        usage,
        service,
        exit,
        log_tail,
    });
}

/// How a container ended. A wait that breaks is taken up again; an engine that stays silent is an
/// error, and so is one that has ended the container by going away.
async fn exit_of(
    shared: &Shared,
    service: &ServiceName,
    container: &ContainerId,
) -> Result<Exit, EngineError> {
    let mut silent_since: Option<Instant> = None;
    let mut was_away = false;
    loop {
        let waited = clock::within(ROUND, shared.engine.wait_container(container)).await;
        match inspect(shared, container).await {
            Ok(facts) => match facts.exit {
                Some(exit) if !facts.running => {
                    let gone = |error| went_away(service, &exit, error);
                    if was_away && exit.code != Some(0) {
                        return Err(gone("it did not answer for a while".to_owned()));
                    }
                    let there = shared.engine.still_there().await;
                    return match there {
                        Ok(()) => Ok(exit),
                        Err(error) => Err(gone(error.message)),
                    };
                }
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
                was_away |= error.kind == FailureKind::Unreachable;
                if silent_since.get_or_insert_with(clock::now).elapsed() >= ENGINE_SILENT {
                    return Err(error);
                }
            }
        }
        if !matches!(waited, Ok(Ok(()))) || silent_since.is_some() {
            clock::pause(ASK_AGAIN).await;
        }
    }
}

async fn inspect(shared: &Shared, container: &ContainerId) -> Result<ContainerFacts, EngineError> {
    clock::within(ANSWER, shared.engine.inspect_container(container))
        .await
        .unwrap_or_else(|reached| {
            Err(EngineError {
                attempt: format!("inspect container `{container}`"),
                kind: FailureKind::Unreachable,
                message: reached.to_string(),
            })
        })
}

/// The engine has ended the container by going away: that is no verdict on what ran in it.
fn went_away(service: &ServiceName, exit: &Exit, error: String) -> EngineError {
    EngineError {
        attempt: format!("go on with `{service}`"),
        kind: FailureKind::Unreachable,
        message: format!("the engine was shut down or restarted ({error}), and it {exit}"),
    }
}

/// Kills a container whose time is over. A kill that does not reach the engine is sent again, since
/// nobody else would end the container.
pub(super) async fn kill(shared: Arc<Shared>, container: ContainerId) {
    let begun = clock::now();
    loop {
        let engine = Arc::clone(&shared.engine);
        let (attempt, id) = (format!("kill container `{container}`"), container.clone());
        // It changes the engine's state, so it is outwaited and not dropped.
        let killing = tokio::spawn(async move { engine.kill_container(&id).await });
        let error = match clock::within(ANSWER, killing).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => error,
            Ok(Err(_panicked)) => return shared.send(Input::Panicked(attempt)),
            Err(reached) => EngineError {
                attempt,
                kind: FailureKind::Unreachable,
                message: reached.to_string(),
            },
        };
        // It may have ended by itself, or somebody has removed it.
        match inspect(&shared, &container).await {
            Ok(facts) if !facts.running => return,
            Err(missing) if missing.kind == FailureKind::NotFound => return,
            _ if begun.elapsed() >= ENGINE_SILENT => {
                return shared.send(Input::EngineLost(error));
            }
            _ => clock::pause(ASK_AGAIN).await,
        }
    }
}
