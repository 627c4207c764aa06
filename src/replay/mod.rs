//! A run as it can be done again: the data of `run.json`, what differs between two machines, and
//! whether a second run has failed like the first.
//!
//! Pure. It must never read a file, ask an engine or look at the environment: what is known is handed
//! in. It must never hold the value of a secret.

mod comparison;
mod difference;
mod found;
mod read;
mod recording;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use self::comparison::{Comparison, Target, compare};
pub use self::difference::{Present, differences};
pub use self::found::{Choice, FindError, choose, single_test};
pub use self::read::{LARGEST, ReadError, read};
pub use self::recording::Recording;

/// Version of the format; raised when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// What the file says it is, so that no other JSON is taken for one.
pub const KIND: &str = "envrun-run";

/// Name of the file in the output directory.
pub const FILE: &str = "run.json";

/// Name of the archive with the files of the project, beside it.
pub const CONTEXT: &str = "context.tar.gz";

/// A run, as far as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// [`KIND`].
    pub kind: String,
    /// [`SCHEMA_VERSION`] of whoever wrote it.
    pub schema: u32,
    /// How far the run has come.
    pub state: State,
    /// Version of envrun.
    pub envrun: String,
    /// Id of the run, a UUID.
    pub run: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// What was asked for.
    pub command: CommandLine,
    /// What was run.
    pub project: ProjectPart,
    /// Variables that stand in the files, with their values; `None` for secrets and for those that are not
    /// set.
    pub variables: BTreeMap<String, Option<String>>,
    /// Variables without which the model cannot be loaded. Their values are nowhere.
    pub secrets: BTreeSet<String>,
    /// `ENVRUN_*` variables that were set, those of secrets left out.
    pub settings: BTreeMap<String, String>,
    /// What was found out beside the run, once it was.
    #[serde(flatten)]
    pub facts: Facts,
    /// The machine that envrun ran on.
    pub host: Machine,
    /// What the CI system says of the job; `None` outside of one.
    pub ci: Option<Json>,
    /// The images, in the order in which they were there.
    pub images: Vec<ImageUse>,
    /// What began in which order.
    pub order: Order,
    /// What it has come to so far.
    pub results: Results,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on, or its process was killed.
    Running,
    /// There is a verdict.
    Complete,
}

/// What was asked for on the command line, as data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine {
    /// The command: `run`, `up` or `repro`.
    pub name: String,
    /// `--profile`.
    pub profiles: Vec<String>,
    /// `--env-file`, as given.
    pub env_files: Vec<String>,
    /// `--only`.
    pub only: Vec<String>,
    /// `--skip`.
    pub skip: Vec<String>,
    /// Which part of the suites the run had, `2/4`; `None` where it had all.
    pub shard: Option<String>,
    /// How many suites ran at once; `None` is any number.
    pub parallel: Option<u32>,
    /// `--fail-fast`.
    pub fail_fast: bool,
    /// Whether the project is that of strangers.
    pub untrusted: bool,
    /// How many containers are started at once; `None` leaves it to the machine.
    pub concurrent_starts: Option<usize>,
    /// Whether images were taken by the digests of `envrun.lock`.
    pub locked: bool,
}

/// What was run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProjectPart {
    /// Name of the project.
    pub name: String,
    /// The files of the configuration, relative to the project's directory where they are in it.
    pub files: Vec<String>,
    /// The resolved model: a Compose file, with secrets as `${NAME}` and paths relative to the project.
    pub model: Json,
}

/// What is found out beside a run: it takes a look at files, at git and at the engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// SHA-256 of each file that the run reads, in hexadecimal digits, by its path relative to the
    /// project: files of the configuration, of configs and of bind mounts. Files of secrets are `null`.
    pub files: BTreeMap<String, Option<String>>,
    /// What is built, by the service whose `build` it is.
    pub builds: BTreeMap<String, BuildInputs>,
    /// What could not be looked at, or was too much, one line each.
    pub unseen: Vec<String>,
    /// Name of the archive with the files, beside `run.json`, if there is one.
    pub context: Option<String>,
    /// The state of the repository; `None` where there is none.
    pub git: Option<Git>,
    /// The engine; `None` while it has not said who it is.
    pub engine: Option<EngineFacts>,
}

/// What goes into a build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInputs {
    /// SHA-256 over everything that is sent: sorted paths, whether they are executable, and contents, with
    /// `.dockerignore` applied.
    pub sha256: String,
    /// SHA-256 of the Dockerfile.
    pub dockerfile: String,
    /// SHA-256 of each file, by its path in the context; empty where there are too many.
    pub files: BTreeMap<String, String>,
}

/// The state of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit, in hexadecimal digits.
    pub commit: String,
    /// The branch; `None` for a detached head.
    pub branch: Option<String>,
    /// Whether files that git knows differ from the commit.
    pub dirty: bool,
    /// How they differ, as `git diff HEAD` shows it.
    pub diff: Option<String>,
    /// Whether the end of `diff` is missing.
    pub diff_cut: bool,
}

/// What the engine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// Name of the product.
    pub product: String,
    /// Version of the product.
    pub version: String,
    /// Version of its API, `1.41`.
    pub api: String,
    /// Operating system of its host.
    pub os: String,
    /// Architecture of its host as Go calls it: `amd64`.
    pub architecture: String,
    /// Kernel of its host.
    pub kernel: String,
    /// Version of control groups: `1` or `2`.
    pub cgroup: String,
    /// Storage driver.
    pub storage_driver: String,
}

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system: `linux`.
    pub os: String,
    /// Architecture: `x86_64`.
    pub architecture: String,
}

/// An image that services use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUse {
    /// As the file names it, or the service whose `build` it is.
    pub image: String,
    /// Its id on the engine.
    pub id: String,
    /// Under which digests registries have it: `NAME@sha256:…`.
    pub digests: Vec<String>,
    /// Its platform: `linux/amd64`.
    pub platform: String,
    /// Whether it was built for the run.
    pub built: bool,
    /// The services that use it.
    pub services: Vec<String>,
}

/// What began in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The steps of the plan.
    pub steps: Vec<String>,
    /// The suites.
    pub suites: Vec<String>,
}

/// What a run has come to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The exit code as far as it is known before teardown.
    pub exit_code: Option<u8>,
    /// From the start to the verdict, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Why the run was aborted, if it was.
    pub failure: Option<Aborted>,
    /// The signal that ended it, if one did.
    pub signal: Option<String>,
    /// The suites, in order of name.
    pub suites: Vec<SuiteRecord>,
}

/// Why a run was aborted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aborted {
    /// Which exit code it leads to: `engine`, `environment`, `interrupted`, `bug`.
    pub class: String,
    /// Short kind: `NotReady`, `Died`, …
    pub kind: String,
    /// The service that is to blame, if one is.
    pub service: Option<String>,
    /// One line.
    pub message: String,
}

/// What became of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteRecord {
    /// Its name.
    pub suite: String,
    /// `passed`, `failed`, `not_run`, or what a later version has.
    pub result: String,
    /// Exit code of its container; `None` where there is none.
    pub exit: Option<i64>,
    /// From start to exit, in milliseconds.
    pub duration_ms: u64,
    /// What speaks against a pass apart from failing tests, by kind.
    pub problems: Vec<Problem>,
    /// Tests: all that did not pass, and of the others so many as there is room for.
    pub tests: Vec<TestRecord>,
    /// Tests that are left out.
    pub tests_left_out: u64,
}

impl SuiteRecord {
    /// Whether it is one that failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.result == FAILED
    }
}

/// The result of a suite that failed.
const FAILED: &str = "failed";

/// What speaks against a pass of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `ExitCode`, `Timeout`, `ReportMissing`, …
    pub kind: String,
    /// One line.
    pub message: String,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestRecord {
    /// Its name.
    pub name: String,
    /// Its class; empty where its report says none.
    pub classname: String,
    /// Its file, where its report says it.
    pub file: Option<String>,
    /// `passed`, `failed`, `error`, `skipped`.
    pub result: String,
    /// What it says of its failure.
    pub message: Option<String>,
    /// How long it took, in milliseconds, where its report says it.
    pub duration_ms: Option<u64>,
}

impl TestRecord {
    /// Whether it did not pass.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.result.as_str(), "failed" | "error")
    }

    /// By what people name it: `tests.shop::test_price`.
    #[must_use]
    pub fn title(&self) -> String {
        match self.classname.is_empty() {
            true => self.name.clone(),
            false => format!("{}::{}", self.classname, self.name),
        }
    }
}
