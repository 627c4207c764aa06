//! Carries out hooks: the commands of `post_start` after a start, those of `pre_stop` and the stop
//! signal before teardown.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::oneshot;

use super::effect::{Farewell, HookTask, Input};
use super::gathering::Hurried;
use super::shared::Shared;
use crate::clock;
use crate::engine::{EngineError, ExecOutcome, FailureKind, OutputChunk, OutputStream};
use crate::name::ContainerId;

/// Lines shown of what a failed hook printed.
const LINES: usize = 40;

/// A hook that has failed: which and how, and its last output.
struct FailedHook {
    message: String,
    output: Vec<String>,
    /// The engine did not answer: that is not the hook's fault.
    lost: Option<EngineError>,
}

/// Runs the `post_start` hooks of a container, one after the other, until one fails.
pub(super) async fn post_start(shared: Arc<Shared>, task: HookTask) {
    let (service, start) = (task.service.clone(), task.start);
    let Err(failed) = run(&shared, &task).await else {
        return shared.send(Input::HooksDone { service, start });
    };
    if let Some(error) = failed.lost {
        return shared.send(Input::EngineLost(error));
    }
    // Whether the container is to blame decides what the failure means. Where that is not known, the
    // hook is: its failure must not be waited for twice.
    let running = match shared.engine.inspect_container(&task.container).await {
        Ok(facts) => facts.running,
        Err(error) => error.kind != FailureKind::NotFound,
    };
    shared.send(Input::HookFailed {
        service,
        start,
        message: failed.message,
        output: failed.output,
        running,
    });
}

/// Runs the hooks of a task. What they print goes to the log of the service.
async fn run(shared: &Shared, task: &HookTask) -> Result<(), FailedHook> {
    let begun = clock::now();
    for hook in &task.hooks {
        let failed = |reason: String, output: Vec<String>| FailedHook {
            message: format!("`{hook}` {reason}"),
            output,
            lost: None,
        };
        let left = task
            .limit
            .map(|limit| limit.saturating_sub(begun.elapsed()));
        let answer = within(left, shared.engine.exec(&task.container, hook)).await;
        let Some(answer) = answer else {
            let limit = task.limit.unwrap_or_default();
            return Err(failed(format!("was not done within {limit:?}"), Vec::new()));
        };
        let outcome = answer.map_err(|error| FailedHook {
            lost: Some(error.clone()).filter(|error| error.kind == FailureKind::Unreachable),
            ..failed(error.message, Vec::new())
        })?;
        record(shared, task, &outcome).await;
        if outcome.code != 0 {
            let lines: Vec<&str> = outcome.output_tail.lines().collect();
            let shown = lines.iter().skip(lines.len().saturating_sub(LINES));
            let output = shown.map(|line| (*line).to_owned()).collect();
            return Err(failed(format!("exited with code {}", outcome.code), output));
        }
    }
    Ok(())
}

/// Drives a future for at most this long. A command may be dropped: it ends with its container.
async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => clock::within(limit, future).await.ok(),
        None => Some(future.await),
    }
}

async fn record(shared: &Shared, task: &HookTask, outcome: &ExecOutcome) {
    if !outcome.output_tail.is_empty() {
        let chunk = OutputChunk {
            stream: OutputStream::Stdout,
            bytes: Bytes::from(shared.masker.text(&outcome.output_tail).into_owned()),
        };
        shared.recorder.output(&task.service, &chunk).await;
    }
}

/// Takes leave of all containers at once, each within its limits, until `hurried` says that there
/// is no time left. Whatever goes wrong is told and does not keep teardown from anything.
pub(super) async fn farewell(shared: &Arc<Shared>, farewells: Vec<Farewell>, hurried: Hurried) {
    // Stopping changes the engine's state, so it is never dropped: each runs in a task of its own.
    let tasks: FuturesUnordered<_> = farewells
        .into_iter()
        .map(|farewell| tokio::spawn(take_leave(Arc::clone(shared), farewell)))
        .collect();
    let (all, over) = oneshot::channel::<()>();
    tokio::spawn(async move {
        tasks.for_each(|_ended| async {}).await;
        drop(all);
    });
    tokio::select! {
        _ = over => {}
        // The executor keeps the other end until the run is over.
        _ = hurried => {}
    }
}

async fn take_leave(shared: Arc<Shared>, farewell: Farewell) {
    let service = &farewell.hooks.service;
    if let Err(failed) = run(&shared, &farewell.hooks).await {
        let mut message = format!("`pre_stop` hook of `{service}` failed: {}", failed.message);
        if let Some(last) = failed.output.last() {
            message.push_str(&format!(": {last}"));
        }
        shared.send(Input::FarewellFailed { message });
    }
    if let Some(grace) = farewell.grace {
        stop(&shared, farewell.hooks.container.clone(), grace).await;
    }
}

/// Sends the stop signal and waits for the end, but not longer than the grace: the removal that
/// follows kills.
async fn stop(shared: &Arc<Shared>, container: ContainerId, grace: Duration) {
    let engine = Arc::clone(&shared.engine);
    // A container that cannot be stopped is removed by force all the same.
    let stopping =
        tokio::spawn(async move { drop(engine.stop_container(&container, grace).await) });
    let _ = clock::within(grace, stopping).await;
}
