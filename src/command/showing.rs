//! Where a run is shown beside its reports: in the words of a CI system, and in a summary for people.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Args;

use crate::ci::{Choice, Ci, Provider};
use crate::config::{Problem, Severity};
use crate::report::{self, Complaint, Style, Surroundings};

/// How a run is shown.
#[derive(Debug, Clone, Args)]
pub(super) struct ShowingArguments {
    /// Tell the run in the words of a CI system: `auto`, `none`, `github`, `gitea`, `gitlab`, `jenkins`,
    /// `buildkite`, `circleci`, `azure`, `teamcity` [default: auto]
    #[arg(long, value_name = "SYSTEM", value_parser = choice)]
    ci: Option<Choice>,
    /// Write a summary in Markdown to this file
    #[arg(long, value_name = "FILE")]
    pub(super) summary: Option<PathBuf>,
}

fn choice(text: &str) -> Result<Choice, String> {
    text.parse()
        .map_err(|_unknown| format!("write {}", Choice::FORM))
}

/// The CI system around this process.
pub(super) fn around() -> Option<Ci> {
    Ci::detect(|name| std::env::var(name).ok())
}

/// Who is told what is wrong before a run has begun.
struct Listener {
    provider: Provider,
    /// The root of the repository, and the directory of the project.
    places: (PathBuf, PathBuf),
}

/// There is one for the commands that begin a run, and for a process only one of those.
static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Tells the CI system what is wrong with the files, beside their lines. That they are wrong has been printed.
pub(super) fn tell_problems<'problem>(problems: impl Iterator<Item = &'problem Problem>) {
    let errors = problems.filter(|problem| problem.severity == Severity::Error);
    let complaints: Vec<Complaint> = errors
        .map(|problem| {
            let help = problem.help.iter().map(|help| format!("\nhelp: {help}"));
            let place = problem.place();
            Complaint {
                message: problem.message.clone() + &help.collect::<String>(),
                place: place.map(|place| (place.source().name().to_owned(), place.line())),
            }
        })
        .collect();
    tell(&complaints);
}

/// Tells the CI system what is wrong with what was asked for. That has been printed.
pub(super) fn tell_problem(message: &str) {
    tell(&[Complaint {
        message: message.to_owned(),
        place: None,
    }]);
}

fn tell(complaints: &[Complaint]) {
    if let (Some(listener), false) = (LISTENER.get(), complaints.is_empty()) {
        let (root, project) = &listener.places;
        let said = report::complaints(listener.provider, complaints, (root, project));
        // A closed standard output is no reason to fail otherwise.
        let _ = std::io::stdout().write_all(said.as_bytes());
    }
}

impl ShowingArguments {
    /// From here on the CI system is told what is wrong with a project in `directory`. Answers with who is told how a run ends that
    /// has never begun. What `envrun.toml` says of it is not known yet.
    pub(super) fn listen(&self, directory: &Path) -> Surroundings {
        let ci = around();
        let asked = std::env::var("ENVRUN_CI").ok();
        let asked = asked.and_then(|text| text.parse().ok());
        let choice = self.ci.or(asked).unwrap_or_default();
        let shown = choice.provider(ci.as_ref().map(|ci| ci.provider));
        if let Some(provider) = shown {
            let root = ci.as_ref().and_then(|ci| ci.workspace.clone());
            let project = std::path::absolute(directory).unwrap_or_default();
            let root = root.unwrap_or_else(|| std::path::absolute(".").unwrap_or_default());
            let _ = LISTENER.set(Listener {
                provider,
                places: (root, project),
            });
        }
        Surroundings {
            ci,
            shown,
            ..Surroundings::default()
        }
    }

    /// What is around this run, and the style in which it is told; `configured` is what the settings say.
    pub(super) fn surroundings(self, configured: Option<Choice>) -> (Surroundings, Style) {
        let ci = around();
        let choice = self.ci.or(configured).unwrap_or_default();
        let shown = choice.provider(ci.as_ref().map(|ci| ci.provider));
        let style = Style::detect(shown, ci.is_some());
        let surroundings = Surroundings {
            ci,
            shown,
            summary: self.summary,
            secrets: Vec::new(),
        };
        (surroundings, style)
    }
}
