//! `envrun up`: the environment of a project, without its suites, held for a person.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::project::ProjectArguments;
use super::run::{Reporting, Wanted, holding_time, perform};
use super::showing::ShowingArguments;
use crate::exit_code::ExitCode;
use crate::run::dispatcher::HoldWhen;

/// Arguments of `envrun up`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    project: ProjectArguments,
    /// Hold it for this long; then it is removed: `30m`, `2h`, `1d`
    #[arg(long = "for", value_name = "TIME", value_parser = holding_time, default_value = "2h")]
    time: Duration,
    /// Directory for reports and logs [default: envrun-out]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    showing: ShowingArguments,
}

pub(super) async fn up(arguments: Arguments) -> ExitCode {
    let hold = Some((HoldWhen::Up, arguments.time));
    let reporting = Reporting {
        command: "up",
        out: arguments.out,
        context: false,
        showing: arguments.showing,
    };
    let performing = perform(arguments.project, Wanted::Environment, reporting, hold);
    Box::pin(performing).await
}
