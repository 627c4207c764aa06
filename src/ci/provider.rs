//! The CI systems that are told apart: by which variables, and by which name a person asks for one. It must never read more
//! of a system than which one it is.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Variables;

/// A CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// GitHub Actions.
    GitHub,
    /// Gitea Actions and Forgejo Actions, which speak the language of GitHub's.
    Gitea,
    /// GitLab CI.
    GitLab,
    /// Jenkins.
    Jenkins,
    /// Buildkite.
    Buildkite,
    /// CircleCI.
    CircleCi,
    /// Azure Pipelines.
    Azure,
    /// TeamCity.
    TeamCity,
    /// Any other, of which nothing is known but that it is one.
    Generic,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::GitHub,
        Self::Gitea,
        Self::GitLab,
        Self::Jenkins,
        Self::Buildkite,
        Self::CircleCi,
        Self::Azure,
        Self::TeamCity,
        Self::Generic,
    ];

    /// The name by which it is asked for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::Gitea => "gitea",
            Self::GitLab => "gitlab",
            Self::Jenkins => "jenkins",
            Self::Buildkite => "buildkite",
            Self::CircleCi => "circleci",
            Self::Azure => "azure",
            Self::TeamCity => "teamcity",
            Self::Generic => "generic",
        }
    }

    /// The system that has set these variables, the more particular ones first: those that run GitHub's actions set GitHub's
    /// variables too, and nearly all set `CI`.
    pub(super) fn detect(variables: &Variables<'_>) -> Option<Self> {
        let is_gitea = variables.is_true("GITEA_ACTIONS") || variables.is_true("FORGEJO_ACTIONS");
        let is_jenkins = variables.is_set("JENKINS_URL") || variables.is_set("JENKINS_HOME");
        let found = [
            (is_gitea, Self::Gitea),
            (variables.is_true("GITHUB_ACTIONS"), Self::GitHub),
            (variables.is_true("GITLAB_CI"), Self::GitLab),
            (variables.is_true("BUILDKITE"), Self::Buildkite),
            (variables.is_true("CIRCLECI"), Self::CircleCi),
            (variables.is_true("TF_BUILD"), Self::Azure),
            (variables.is_set("TEAMCITY_VERSION"), Self::TeamCity),
            (is_jenkins, Self::Jenkins),
            (says_ci(variables), Self::Generic),
        ];
        found
            .into_iter()
            .find_map(|(is_it, provider)| is_it.then_some(provider))
    }
}

/// Whether some CI system says that it is one. `CI=false` is how a person says that it is none.
fn says_ci(variables: &Variables<'_>) -> bool {
    let ci = variables.get("CI");
    ci.is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no"))
        || variables.is_true("TRAVIS")
        || variables.is_true("APPVEYOR")
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that no CI system has here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no CI system that is known")]
pub struct UnknownProvider(pub String);

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.trim().to_ascii_lowercase();
        let wanted = match wanted.as_str() {
            // They are one and the same here.
            "forgejo" => "gitea",
            other => other,
        };
        let mut all = Self::ALL.into_iter();
        all.find(|provider| provider.name() == wanted)
            .ok_or_else(|| UnknownProvider(text.trim().to_owned()))
    }
}

/// What a person says about the CI system in whose words a run is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// That around the process, if there is one.
    #[default]
    Auto,
    /// None's.
    None,
    /// This one's.
    Of(Provider),
}

impl Choice {
    /// How it is written.
    pub const FORM: &'static str = "`auto`, `none`, or one of `github`, `gitea`, `gitlab`, `jenkins`, `buildkite`, `circleci`, `azure`, `teamcity`, `generic`";

    /// The system, where this one is around the process.
    #[must_use]
    pub const fn provider(self, around: Option<Provider>) -> Option<Provider> {
        match self {
            Self::Auto => around,
            Self::None => None,
            Self::Of(provider) => Some(provider),
        }
    }
}

impl FromStr for Choice {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            _ => text.parse().map(Self::Of),
        }
    }
}
