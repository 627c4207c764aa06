//! `envrun plan`: every step with its cause, no effects.

use clap::Args;

use super::project::{self, ProjectArguments};
use super::say;
use crate::exit_code::ExitCode;
use crate::name::RunId;

/// Arguments of `envrun plan`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    project: ProjectArguments,
}

pub(super) fn plan(arguments: &Arguments) -> ExitCode {
    match project::plan(&arguments.project, RunId::random()) {
        Ok((plan, warnings)) => {
            project::show(&warnings);
            say(plan.to_text().trim_end());
            ExitCode::Passed
        }
        Err(code) => code,
    }
}
