//! Where a run is shown beside its reports: in the words of a CI system, and in a summary for people.

use std::path::PathBuf;

use clap::Args;

use crate::ci::{Choice, Ci};
use crate::report::{Style, Surroundings};

/// How a run is shown.
#[derive(Debug, Args)]
pub(super) struct ShowingArguments {
    /// Tell the run in the words of a CI system: `auto`, `none`, `github`, `gitea`, `gitlab`, `jenkins`,
    /// `buildkite`, `circleci`, `azure`, `teamcity` [default: auto]
    #[arg(long, value_name = "SYSTEM", value_parser = choice)]
    ci: Option<Choice>,
    /// Write a summary in Markdown to this file
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

fn choice(text: &str) -> Result<Choice, String> {
    text.parse()
        .map_err(|_unknown| format!("write {}", Choice::FORM))
}

/// The CI system around this process.
pub(super) fn around() -> Option<Ci> {
    Ci::detect(|name| std::env::var(name).ok())
}

impl ShowingArguments {
    /// What is around this run, and the style in which it is told; `configured` is what the settings say.
    pub(super) fn surroundings(self, configured: Option<Choice>) -> (Surroundings, Style) {
        let ci = around();
        let choice = self.ci.or(configured).unwrap_or_default();
        let shown = choice.provider(ci.as_ref().map(|ci| ci.provider));
        let surroundings = Surroundings {
            ci,
            shown,
            summary: self.summary,
            secrets: Vec::new(),
        };
        (surroundings, Style::detect(shown))
    }
}
