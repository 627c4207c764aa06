//! The forms of the merged report: owns what is written for whom, and how large it may be.

/// For whom the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// For GitLab, Jenkins' own step, GitHub's actions and IDEs: everything that the suites' reports
    /// say, in the order of Surefire's schema.
    #[default]
    Default,
    /// For readers that hold to a schema, such as Jenkins' xUnit plugin: nothing that its schema
    /// (`junit-10.xsd`) or Surefire's has not. What has no place there is left out.
    Strict,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Default, Self::Strict];

    /// How one is written, for people.
    pub const FORM: &str = "`default`, or `strict` for readers that hold to a schema";

    /// Its name in flags and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Strict => "strict",
        }
    }

    /// The profile of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// How the merged report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// For whom.
    pub profile: Profile,
    /// The size in bytes that it is kept to, as far as that costs nobody a failing case.
    pub largest: usize,
}

/// The size that a report is kept to, in bytes: GitLab reads 30 MB a file.
pub const LARGEST_DOCUMENT: usize = 30_000_000;

impl Default for Form {
    fn default() -> Self {
        Self {
            profile: Profile::Default,
            largest: LARGEST_DOCUMENT,
        }
    }
}
