//! Where a run is shown beside its reports: in the words of a CI system, and in a summary for people.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Args;

use super::complain;
use crate::ci::{Choice, Ci, Provider};
use crate::config::model::Role;
use crate::config::size;
use crate::config::suggest::did_you_mean;
use crate::config::{Problem, Severity};
use crate::exit_code::ExitCode;
use crate::mask::Masker;
use crate::name::ServiceName;
use crate::plan::{Plan, PlannedService};
use crate::report::{self, Complaint, DEFAULT_LOG_LIMIT, Handling, Style, Surroundings};
use crate::settings::{Live, Output};

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
    /// Show the output of the suites as it comes; `--live=all` shows that of all services, `--live=e2e,api`
    /// that of these
    #[arg(long, value_name = "SERVICES", num_args = 0..=1, require_equals = true, default_missing_value = "suites")]
    live: Option<String>,
    /// Most that is kept of the output of a service, its beginning and its end; 0 is no limit [default: 1g]
    #[arg(long, value_name = "SIZE", value_parser = log_limit)]
    log_limit: Option<u64>,
}

fn log_limit(text: &str) -> Result<u64, String> {
    size::parse(text).ok_or_else(|| "it is a size such as `100m`; 0 is no limit".to_owned())
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

    /// What is done with the output of the containers of a plan. What is wrong has been printed when
    /// this fails.
    pub(super) fn handling(
        &self,
        configured: &Output,
        plan: &Plan,
        masker: &Masker,
    ) -> Result<Handling, ExitCode> {
        let asked = self.live.as_deref().map(Live::parse);
        let shown = asked.as_ref().or(configured.live.as_ref());
        let services = plan.services.iter();
        let command = plan.command.as_ref().map(|command| command.name.clone());
        let live = match shown {
            None | Some(Live::Nobody) => BTreeSet::new(),
            Some(Live::All) => services
                .map(|(name, _)| name.clone())
                .chain(command)
                .collect(),
            Some(Live::Suites) => services
                .filter(|(_, planned)| planned.service.role == Role::Suite)
                .map(|(name, _)| name.clone())
                .chain(command)
                .collect(),
            Some(Live::These(wanted)) => {
                let is_of = |planned: &PlannedService, name: &ServiceName, wanted: &str| {
                    planned.of.as_str() == wanted || name.as_str() == wanted
                };
                for wanted in wanted {
                    let mut services = plan.services.iter();
                    // Settings may be those of several projects.
                    let is_command = command.as_ref().is_some_and(|name| name.as_str() == wanted);
                    if asked.is_some()
                        && !is_command
                        && !services.any(|(name, one)| is_of(one, name, wanted))
                    {
                        let known = plan.services.values().map(|one| one.of.as_str());
                        let help = did_you_mean(wanted, known);
                        let help = help.unwrap_or_else(|| "see `envrun plan`".to_owned());
                        complain(&format!(
                            "no service `{wanted}` of `--live` takes part in this run\nhint: {help}"
                        ));
                        return Err(ExitCode::Usage);
                    }
                }
                let any = |name: &ServiceName, one: &PlannedService| {
                    wanted.iter().any(|wanted| is_of(one, name, wanted))
                };
                services
                    .filter(|(name, one)| any(name, one))
                    .map(|(name, _)| name.clone())
                    .chain(command.filter(|name| wanted.iter().any(|one| one == name.as_str())))
                    .collect()
            }
        };
        let log_limit = self.log_limit.or(configured.log_limit);
        Ok(Handling {
            masker: masker.clone(),
            live,
            log_limit: log_limit.unwrap_or(DEFAULT_LOG_LIMIT),
            ..Handling::default()
        })
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
