//! `envrun config`: the resolved model, as `docker compose config` prints it.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use super::project::{self, FileArguments};
use crate::config;
use crate::exit_code::ExitCode;

/// Arguments of `envrun config`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    files: FileArguments,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Only check, print no model
    #[arg(short, long)]
    quiet: bool,
}

/// The forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A Compose file
    Yaml,
    /// The same as JSON
    Json,
}

pub(super) fn config(arguments: &Arguments) -> ExitCode {
    let (request, _settings) = match arguments.files.request(&arguments.files.flags()) {
        Ok(asked) => asked,
        Err(code) => return code,
    };
    let resolved = match config::resolve(&request) {
        Ok(resolved) => resolved,
        Err(problems) => {
            project::show(&problems);
            return ExitCode::Usage;
        }
    };
    let text = match arguments.format {
        Format::Yaml => resolved.to_yaml(),
        Format::Json => format!("{:#}\n", resolved.json),
    };
    match arguments.files.judge(resolved.warnings) {
        Ok(warnings) => project::show(&warnings),
        Err(code) => return code,
    }
    if !arguments.quiet {
        // A reader that has gone away is no reason to fail.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
    ExitCode::Passed
}
