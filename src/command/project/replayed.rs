//! The arguments of a run as data, and a run of a bundle as arguments.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{FileArguments, ProjectArguments, SuiteArguments};
use crate::ci::nodes;
use crate::command::masking::MaskArguments;
use crate::command::untrusted::UntrustedArguments;
use crate::replay::CommandLine;

/// A bundle that is replayed, as a project.
pub(in crate::command) struct Replayed {
    /// The file of its model.
    pub(in crate::command) model: PathBuf,
    /// The directory that its files are in.
    pub(in crate::command) directory: PathBuf,
    /// Name of the project.
    pub(in crate::command) name: String,
    /// The variables that it may use.
    pub(in crate::command) variables: BTreeMap<String, String>,
    /// How many containers are started at once.
    pub(in crate::command) concurrent_starts: Option<usize>,
    /// Whether images are those of `envrun.lock` of that directory.
    pub(in crate::command) locked: bool,
}

impl SuiteArguments {
    /// These suites of a run that was asked for, in the same part of it and with the same limit.
    pub(in crate::command) fn as_in(command: &CommandLine, only: Vec<String>) -> Self {
        let whole = only.is_empty();
        let skip = command.skip.clone().into_iter().filter(|_| whole);
        Self {
            only: if whole { command.only.clone() } else { only },
            skip: skip.collect(),
            shard: command
                .shard
                .as_deref()
                .and_then(|shard| nodes::parse(shard).ok()),
            parallel: command.parallel,
            ..Self::default()
        }
    }
}

impl ProjectArguments {
    /// The arguments of a run of a bundle.
    pub(in crate::command) fn replaying(
        replayed: &Replayed,
        strangers: UntrustedArguments,
    ) -> Self {
        let starts = replayed.concurrent_starts;
        Self {
            files: FileArguments {
                directory: replayed.directory.clone(),
                files: vec![replayed.model.clone()],
                project_name: Some(replayed.name.clone()),
                project_directory: Some(replayed.directory.clone()),
                // Services of inactive profiles are not in the model.
                profiles: vec!["*".to_owned()],
                env_files: Vec::new(),
                strict: false,
                strangers,
                variables: Some(replayed.variables.clone()),
            },
            mirrors: Vec::new(),
            junit_profile: None,
            masks: MaskArguments::default(),
            artifact_limit: None,
            concurrent_starts: starts.map(|starts| starts.to_string()),
            subnet_pool: None,
            no_gc: false,
            locked: replayed.locked,
        }
    }

    /// What was asked for, as data.
    pub(in crate::command) fn described(
        &self,
        name: &str,
        suites: Option<&SuiteArguments>,
    ) -> CommandLine {
        let texts = |paths: &[PathBuf]| {
            paths
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        CommandLine {
            name: name.to_owned(),
            profiles: self.files.profiles.clone(),
            env_files: texts(&self.files.env_files),
            only: suites.map(|suites| suites.only.clone()).unwrap_or_default(),
            skip: suites.map(|suites| suites.skip.clone()).unwrap_or_default(),
            fail_fast: suites.is_some_and(|suites| suites.fail_fast),
            ..CommandLine::default()
        }
    }
}
