//! `envrun watchdog RUN`: the process behind [`crate::run::watchdog`]. It is started by `run` and `up`
//! and is no command for people, so the command line knows nothing of it.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::exit_code::ExitCode;
use crate::host::process::Processes;
use crate::lease::Standing;
use crate::name::RunId;
use crate::run::gc;
use crate::run::host_command::process::end_of_dead;
use crate::run::ledger::{Ledger, Record};
use crate::run::teardown::{Limits, tear_down};
use crate::run::watchdog::{Ending, SUBCOMMAND, stand_guard};

/// Pause before an engine that does not answer is asked again about an environment whose time is over.
const ENGINE_PAUSE: Duration = Duration::from_secs(10);

/// How often.
const ENGINE_ATTEMPTS: u32 = 360;

/// Pause before an engine without a socket is looked for again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The run to watch over, if that is what this process was started for. Asked before the command line
/// is read, and without a runtime: the watchdog has to stay small for as long as the run takes.
pub(super) fn wanted(mut arguments: impl Iterator<Item = OsString>) -> Option<RunId> {
    if arguments.nth(1)? != SUBCOMMAND {
        return None;
    }
    RunId::parse(arguments.next()?.to_str()?).ok()
}

pub(super) fn watchdog(run: RunId) -> ExitCode {
    match stand_guard(std::io::stdin(), std::io::stdout()) {
        Ok(Ending::Clean) | Err(_) => ExitCode::Passed,
        Ok(Ending::Dead(records)) => {
            // It may still use what is removed next.
            end_of_dead(run, &records);
            reap(run, records)
        }
        Ok(Ending::Held(time)) => {
            clock::block(time);
            let mut attempts = 0;
            loop {
                match left(run) {
                    // Somebody was faster.
                    Ok(None) => return ExitCode::Passed,
                    Ok(Some(left)) if left.is_zero() => return reap(run, Vec::new()),
                    Ok(Some(left)) => clock::block(left),
                    Err(code) if attempts >= ENGINE_ATTEMPTS => return code,
                    Err(_) => {
                        attempts += 1;
                        clock::block(ENGINE_PAUSE);
                    }
                }
            }
        }
    }
}

/// How much longer an environment is held, by the engine's word; `None` when there is nothing of it.
fn left(run: RunId) -> Result<Option<Duration>, ExitCode> {
    with_engine(Duration::ZERO, async |engine| {
        let found = gc::survey(&engine, &Processes::look()).await;
        let found = found.map_err(|_error| ExitCode::Engine)?;
        let standing = found.into_iter().find(|one| one.run == run);
        Ok(standing.map(|one| match one.standing {
            Standing::Held { left, .. } | Standing::Elsewhere { left } => {
                left.max(Duration::from_secs(1))
            }
            Standing::Alive { .. } => ENGINE_PAUSE,
            Standing::Dead => Duration::ZERO,
        }))
    })
}

fn reap(run: RunId, records: Vec<Record>) -> ExitCode {
    let limits = Limits::patient();
    let reaped = with_engine(limits.engine_silent, async |engine| {
        let report = tear_down(&engine, &Ledger::replay(run, records), limits).await;
        Ok(if report.left.is_empty() {
            ExitCode::Passed
        } else {
            ExitCode::Leftovers
        })
    });
    reaped.unwrap_or_else(|code| code)
}

/// Everything that is needed for talking to the engine is made only now: until here the process only
/// waits.
///
/// An engine that is being restarted has no socket; for so long it is waited for.
fn with_engine<T>(
    patience: Duration,
    task: impl AsyncFnOnce(Arc<dyn Engine>) -> Result<T, ExitCode>,
) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_error| ExitCode::Bug)?;
    runtime.block_on(async {
        let begun = clock::now();
        let engine = loop {
            match DockerEngine::from_environment() {
                Ok(engine) => break engine,
                Err(_) if begun.elapsed() < patience => clock::pause(ASK_AGAIN).await,
                Err(_) => return Err(ExitCode::Engine),
            }
        };
        task(Arc::new(engine)).await
    })
}
