//! `envrun gc`: removes what dead runs have left behind.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{complain, say, selected};
use crate::config::duration;
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::exit_code::ExitCode;
use crate::host::process::Processes;
use crate::lease::{Standing, rough};
use crate::run::gc::{self, Found};
use crate::run::teardown::Limits;

/// Arguments of `envrun gc`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Remove this run, by its id or the beginning of it; an environment that is held, too
    #[arg(long, value_name = "ID", conflicts_with_all = ["all", "older_than"])]
    run: Option<String>,
    /// With `--run`: also if it is in another container or on another host, where nobody can see
    /// from here whether it is alive
    #[arg(long, requires = "run")]
    force: bool,
    /// Remove environments that are held for a person, too
    #[arg(long)]
    all: bool,
    /// Leave alone what is younger: `90s`, `30m`, `24h`
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    older_than: Option<Duration>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    /// Why a run is left alone; `None`: it is removed.
    fn spares(&self, found: &Found) -> Option<String> {
        let standing = &found.standing;
        let by_name = self.run.is_some();
        match standing {
            Standing::Alive { .. } => return Some(standing.to_string()),
            Standing::Held { .. } if !self.all && !by_name => return Some(standing.to_string()),
            Standing::Elsewhere { .. } if !self.force => return Some(standing.to_string()),
            _ => {}
        }
        let least = self.older_than?;
        (found.age < least).then(|| format!("younger than {}", rough(least)))
    }
}

pub(super) async fn gc(arguments: Arguments) -> ExitCode {
    let engine: Arc<dyn Engine> = match DockerEngine::from_environment() {
        Ok(engine) => Arc::new(engine),
        Err(error) => return engine_failed(&error),
    };
    let processes = Processes::look();
    let found = match gc::survey(&engine, &processes).await {
        Ok(found) => found,
        Err(error) => return engine_failed(&error),
    };
    let found = match &arguments.run {
        None => found,
        Some(wanted) => match selected::run(wanted, found) {
            Ok(Some(one)) => vec![one],
            // What it may still have been creating has never come to be.
            Ok(None) => return ExitCode::Passed,
            Err(code) => return code,
        },
    };
    let mut code = ExitCode::Passed;
    let mut doomed = Vec::new();
    for one in found {
        match arguments.spares(&one) {
            None => doomed.push(one),
            Some(reason) if arguments.run.is_some() => return refuse(&one, &reason),
            Some(reason) if arguments.dry_run => {
                say(&format!("would keep {}: {reason}", described(&one)));
            }
            Some(_) => {}
        }
    }
    if arguments.dry_run {
        for one in &doomed {
            say(&format!(
                "would remove {}: {}",
                described(one),
                one.standing
            ));
        }
        return code;
    }
    let removals = doomed.into_iter().map(|one| {
        let engine = Arc::clone(&engine);
        async move {
            let report = gc::remove(&engine, one.run, Limits::default()).await;
            (one, report)
        }
    });
    for (one, report) in futures::future::join_all(removals).await {
        selected::end_keeper(&one);
        let kinds = report.removed.iter().map(|resource| resource.kind);
        say(&format!(
            "removed of run {} of `{}`: {}",
            one.run,
            one.project,
            gc::inventory(kinds)
        ));
        for leftover in &report.left {
            complain(&format!(
                "{} is left: {}",
                leftover.resource, leftover.reason
            ));
            code = ExitCode::Leftovers;
        }
    }
    code
}

fn described(found: &Found) -> String {
    format!(
        "run {} of `{}`, {} old, {}",
        found.run,
        found.project,
        rough(found.age),
        found.inventory()
    )
}

fn refuse(found: &Found, reason: &str) -> ExitCode {
    let hint = match &found.standing {
        Standing::Alive { pid } => format!("`kill -INT {pid}` ends it, teardown included"),
        _ => "`--force` removes it now; if it is alive, it fails".to_owned(),
    };
    complain(&format!(
        "run {} is not removed: it is {reason}\nhint: {hint}",
        found.run
    ));
    ExitCode::Usage
}

fn engine_failed(error: &crate::engine::EngineError) -> ExitCode {
    complain(&error.to_string());
    ExitCode::Engine
}
