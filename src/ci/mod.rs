//! The CI system that this process runs under: which one it is, which build, and what it says of the commit and of the job.
//!
//! It reads nothing but the variables that it is handed. It must never decide what a run does: a variable of a CI system
//! says where something is shown and under which name it is found again, and nothing about which tests are run, but for
//! suites that ask for it ([`nodes`]).

mod facts;
pub mod nodes;
mod provider;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use self::provider::{Choice, Provider, UnknownProvider};
use crate::name::BuildId;

/// The variable with an id of the build, which stands over what the CI system says: `ENVRUN_BUILD`.
pub const BUILD: &str = "ENVRUN_BUILD";

/// Every variable by which a CI system is recognised. A process that is to know of none leaves these out.
pub const MARKERS: [&str; 13] = [
    "APPVEYOR",
    "BUILDKITE",
    "CI",
    "CIRCLECI",
    "FORGEJO_ACTIONS",
    "GITEA_ACTIONS",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "JENKINS_HOME",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "TRAVIS",
];

/// What is known of the CI system and of the job that this process is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ci {
    /// The system.
    pub provider: Provider,
    /// The build: the same for all runs of one job, another one for another attempt at it. `None` where the system says
    /// nothing that tells one build from the next.
    pub build: Option<BuildId>,
    /// The commit, in hexadecimal digits.
    pub commit: Option<String>,
    /// The branch or tag.
    pub branch: Option<String>,
    /// Where a person sees the job.
    pub job_url: Option<String>,
    /// The directory that the repository is checked out in.
    pub workspace: Option<PathBuf>,
    /// The file that the Markdown summary of the step is appended to.
    #[serde(skip)]
    pub step_summary: Option<PathBuf>,
    /// The file that the outputs of the step are appended to.
    #[serde(skip)]
    pub step_outputs: Option<PathBuf>,
}

impl Ci {
    /// Recognises the CI system by variables. `None` outside of one.
    #[must_use]
    pub fn detect(environment: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let variables = Variables(&environment);
        let provider = Provider::detect(&variables)?;
        let mut ci = facts::of(provider, &variables);
        ci.build = build(&variables).or(ci.build);
        Some(ci)
    }

    /// The id of the build: that of `ENVRUN_BUILD`, which may be said outside of CI too, or that of the CI system.
    #[must_use]
    pub fn build(environment: impl Fn(&str) -> Option<String>) -> Option<BuildId> {
        let said = build(&Variables(&environment));
        said.or_else(|| Self::detect(environment)?.build)
    }

    /// A path as the CI system shows it: relative to the repository where it is inside of it.
    #[must_use]
    pub fn shown<'path>(&self, path: &'path Path) -> &'path Path {
        let root = self.workspace.as_deref();
        root.and_then(|root| path.strip_prefix(root).ok())
            .unwrap_or(path)
    }
}

fn build(variables: &Variables<'_>) -> Option<BuildId> {
    BuildId::new(&variables.get(BUILD)?)
}

/// The variables of a process. One that is empty is not set: CI systems set some of theirs to nothing.
struct Variables<'environment>(&'environment dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether it says yes.
    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| {
            matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes")
        })
    }

    /// The first of these that is set.
    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A path, if it is an absolute one: nobody knows what another one is relative to.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.get(name)?);
        path.is_absolute().then_some(path)
    }
}

#[cfg(test)]
mod tests;
