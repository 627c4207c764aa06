//! `envrun plan`: every step with its cause, no effects.

use std::path::Path;

use clap::Args;

use super::host_command::CommandArguments;
use super::project::{self, Part, ProjectArguments, SuiteArguments};
use super::say;
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::exit_code::ExitCode;
use crate::lease::Identity;
use crate::name::RunId;
use crate::report::DEFAULT_DIRECTORY;

/// Arguments of `envrun plan`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    project: ProjectArguments,
    #[command(flatten)]
    suites: SuiteArguments,
    #[command(flatten)]
    command: CommandArguments,
}

pub(super) async fn plan(arguments: Arguments) -> ExitCode {
    // A plan without an engine is one for an engine on this host.
    let engine = DockerEngine::from_environment().ok();
    let engine = engine.as_ref().map(|engine| engine as &dyn Engine);
    let command = match arguments.command.find(Path::new(DEFAULT_DIRECTORY)) {
        Ok(command) => command,
        Err(code) => return code,
    };
    match project::plan(
        &arguments.project,
        &Part::Run(arguments.suites, command),
        &Identity::anonymous(RunId::random()),
        engine,
    )
    .await
    {
        Ok(planned) => {
            project::show(&planned.warnings);
            say(&planned.masker.text(planned.plan.to_text().trim_end()));
            let readiness = planned.plan.readiness_text();
            if !readiness.is_empty() {
                say(&planned.masker.text(readiness.trim_end()));
            }
            ExitCode::Passed
        }
        Err(code) => code,
    }
}
