//! `envrun graph`: who shares which network, what is promised, and what was observed; no effects.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::project::{self, FileArguments};
use super::{complain, say};
use crate::exit_code::ExitCode;
use crate::reachability::expected::Model;
use crate::reachability::graph::Graph;
use crate::reachability::{Matrix, Record};
use crate::report::{DEFAULT_DIRECTORY, MATRIX_FILE};

/// Largest record that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Arguments of `envrun graph`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    files: FileArguments,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The observed matrix, as a run has written it [default: envrun-out/reachability.json, if it is of this
    /// project]
    #[arg(long, value_name = "FILE")]
    observed: Option<PathBuf>,
}

/// The forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// A flow chart for Mermaid
    Mermaid,
    /// A graph for Graphviz
    Dot,
}

pub(super) fn graph(arguments: &Arguments) -> ExitCode {
    let loaded = arguments.files.load(&arguments.files.flags());
    let (loaded, ..) = match loaded {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    match arguments.files.judge(loaded.warnings) {
        Ok(warnings) => project::show(&warnings),
        Err(code) => return code,
    }
    let project = loaded.project;
    let record = match &arguments.observed {
        Some(path) => match read(path) {
            Ok(record) => Some(record),
            Err(problem) => {
                complain(&format!(
                    "cannot read `{}`: {problem}\nhint: a run with `x-envrun.reachability` writes `{MATRIX_FILE}` into its output directory",
                    path.display()
                ));
                return ExitCode::Usage;
            }
        },
        // What the last run has left, if it was one of this project.
        None => read(&Path::new(DEFAULT_DIRECTORY).join(MATRIX_FILE))
            .ok()
            .filter(|record| record.project == project.name),
    };
    let model = Model::of(&project);
    let matrix = project.settings.reachability.as_ref().map(Matrix::of);
    let graph = Graph {
        project: &project.name,
        model: &model,
        matrix: matrix.as_ref(),
        record: record.as_ref(),
    };
    let text = match arguments.format {
        Format::Text => graph.text(),
        Format::Mermaid => graph.mermaid(),
        Format::Dot => graph.dot(),
    };
    say(text.trim_end());
    ExitCode::Passed
}

fn read(path: &Path) -> Result<Record, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    Record::parse(&text)
}
