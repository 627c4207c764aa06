//! What `run` and `plan` have in common: which project, which suites.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::complain;
use crate::config::{self, Problems, Request};
use crate::exit_code::ExitCode;
use crate::name::RunId;
use crate::plan::{Plan, Selection};

/// Which project, and which of its suites.
#[derive(Debug, Args)]
pub(super) struct ProjectArguments {
    /// Directory of the project
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Compose file; give it several times to merge. Without it `compose.yaml` of the directory is
    /// used
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the project, instead of `name:` in the file
    #[arg(short, long, value_name = "NAME")]
    project_name: Option<String>,
    /// Profile whose services take part; give it several times for several
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// Run only this suite and what it needs; give it several times for several
    #[arg(long, value_name = "SUITE")]
    only: Vec<String>,
    /// Leave out this suite; give it several times for several
    #[arg(long, value_name = "SUITE")]
    skip: Vec<String>,
}

/// Loads the project and makes the plan, and hands on the warnings. Everything that is wrong has
/// been printed when this fails.
pub(super) fn plan(arguments: &ProjectArguments, run: RunId) -> Result<(Plan, Problems), ExitCode> {
    let request = Request {
        directory: arguments.directory.clone(),
        files: arguments.files.clone(),
        profiles: arguments.profiles.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        project_name: arguments.project_name.clone(),
    };
    let loaded = config::load(&request).map_err(|problems| {
        show(&problems);
        ExitCode::Usage
    })?;
    let selection = Selection {
        only: arguments.only.clone(),
        skip: arguments.skip.clone(),
    };
    let plan = Plan::new(&loaded.project, run, &selection).map_err(|error| {
        complain(&error.to_string());
        ExitCode::Usage
    })?;
    Ok((plan, Problems::from(loaded.warnings)))
}

/// Prints problems with their places, if there are any.
pub(super) fn show(problems: &Problems) {
    if !problems.is_empty() {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let _ = std::io::stderr().write_all(problems.render(colour, WIDTH).as_bytes());
    }
}

/// Columns for diagnostics.
const WIDTH: usize = 100;
