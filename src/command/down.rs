//! `envrun down`: ends a held environment.

use std::sync::Arc;

use clap::Args;

use super::{complain, say, selected};
use crate::engine::Engine;
use crate::exit_code::ExitCode;
use crate::lease::Standing;
use crate::run::gc::{self, Found};
use crate::run::teardown::Limits;

/// Arguments of `envrun down`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run, by its id or the beginning of it [default: what is held for this directory]
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

/// Ends an environment that this very process has brought up and held: it is alive, and done with it.
pub(super) async fn down_own(run: &str) -> ExitCode {
    match selected::find(Some(run)).await {
        Ok((engine, found)) => end(&engine, &found).await,
        Err(code) => code,
    }
}

pub(super) async fn down(arguments: Arguments) -> ExitCode {
    let (engine, found) = match selected::find(arguments.run.as_deref()).await {
        Ok(found) => found,
        Err(code) => return code,
    };
    if let Some(hint) = needed(&found) {
        complain(&format!(
            "run {} is {}\nhint: {hint}",
            found.run, found.standing
        ));
        return ExitCode::Usage;
    }
    end(&engine, &found).await
}

async fn end(engine: &Arc<dyn Engine>, found: &Found) -> ExitCode {
    let report = gc::remove(engine, found.run, Limits::default()).await;
    selected::end_keeper(found);
    told(found, &report)
}

/// How a run that somebody may still need is ended instead; `None`: it can be removed.
pub(super) fn needed(found: &Found) -> Option<String> {
    match &found.standing {
        Standing::Alive { pid } => Some(format!("`kill -INT {pid}` ends it, teardown included")),
        Standing::Elsewhere { .. } => Some(format!(
            "end it there; `envrun gc --run {} --force` removes it now, and if it is alive, it fails",
            found.run.short()
        )),
        Standing::Held { .. } | Standing::Dead => None,
    }
}

/// Says what was removed of a run and what is left.
pub(super) fn told(found: &Found, report: &crate::outcome::TeardownReport) -> ExitCode {
    let kinds = report.removed.iter().map(|resource| resource.kind);
    say(&format!(
        "removed of run {} of `{}`: {}",
        found.run,
        found.project,
        gc::inventory(kinds)
    ));
    for leftover in &report.left {
        complain(&format!(
            "{} is left: {}",
            leftover.resource, leftover.reason
        ));
    }
    if report.left.is_empty() {
        selected::end_keeper(found);
        ExitCode::Passed
    } else {
        ExitCode::Leftovers
    }
}
