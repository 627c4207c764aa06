//! `envrun watchdog`: the process behind [`crate::run::watchdog`].

use std::sync::Arc;

use clap::Args;

use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::exit_code::ExitCode;
use crate::name::RunId;
use crate::run::ledger::{Ledger, Record};
use crate::run::teardown::{Limits, tear_down};
use crate::run::watchdog::{Ending, stand_guard};

/// Arguments of `envrun watchdog`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run to watch over.
    #[arg(value_name = "UUID", value_parser = RunId::parse)]
    run: RunId,
}

pub(super) fn watchdog(arguments: &Arguments) -> ExitCode {
    match stand_guard(std::io::stdin(), std::io::stdout()) {
        Ok(Ending::Clean) | Err(_) => ExitCode::Passed,
        Ok(Ending::Dead(records)) => reap(arguments.run, records),
    }
}

/// Everything that is needed for reaping is made only now: until here the process only waits.
fn reap(run: RunId, records: Vec<Record>) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return ExitCode::Bug;
    };
    runtime.block_on(async {
        let Ok(engine) = DockerEngine::from_environment() else {
            return ExitCode::Engine;
        };
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let report = tear_down(&engine, &Ledger::replay(run, records), Limits::default()).await;
        if report.left.is_empty() {
            ExitCode::Passed
        } else {
            ExitCode::Leftovers
        }
    })
}
