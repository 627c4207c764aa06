//! `envrun gc --run ID`: removes what a run has left behind.

use std::sync::Arc;

use clap::Args;

use super::{complain, say};
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::exit_code::ExitCode;
use crate::name::RunId;
use crate::run::ledger::Ledger;
use crate::run::teardown::{Limits, tear_down};

/// Arguments of `envrun gc`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run, as its UUID. It is removed even if it is still going on
    #[arg(long, value_name = "UUID", value_parser = RunId::parse)]
    run: RunId,
}

pub(super) async fn gc(arguments: Arguments) -> ExitCode {
    let engine: Arc<dyn Engine> = match DockerEngine::from_environment() {
        Ok(engine) => Arc::new(engine),
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::Engine;
        }
    };
    if let Err(error) = engine.describe().await {
        complain(&error.to_string());
        return ExitCode::Engine;
    }
    let report = tear_down(
        &engine,
        &Ledger::replay(arguments.run, []),
        Limits::default(),
    )
    .await;
    for resource in &report.removed {
        say(&format!("removed {resource}"));
    }
    for leftover in &report.left {
        complain(&format!(
            "{} is left: {}",
            leftover.resource, leftover.reason
        ));
    }
    if report.left.is_empty() {
        ExitCode::Passed
    } else {
        ExitCode::Leftovers
    }
}
