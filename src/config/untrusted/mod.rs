//! Strangers' code: what a file may not say when its author may not run code on this host.
//!
//! Owns the decision about every key ([`table`]), where a path may lead ([`confines`]), what of the
//! process's environment is seen, and the warnings about limits that lower what a file asks for. It
//! judges the canonical tree, after merging, `extends`, `include` and variables, so that only what
//! counts in the end counts; files that come in on the way there are asked for before they are read.
//! It never looks at anything outside of the project's directory, so that nothing that it says tells
//! of what is there, and it never changes the tree.

mod builds;
mod confines;
mod judge;
mod limits;
pub(super) mod table;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(super) use self::confines::Confines;
pub(super) use self::judge::{judge, judge_labels};
pub(super) use self::limits::apply;
use super::files::clean_path;
use super::{Problem, Request};
pub use crate::options::Limits;

/// How strangers' code is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Untrusted {
    /// The most that a container may use.
    pub limits: Limits,
    /// Variables of the process's environment that the files see.
    pub passed: BTreeSet<String>,
}

/// Variables of the process's environment by which whoever calls says what is loaded. They hold no
/// secrets, and a file may see them.
const CONTROLS: [&str; 7] = [
    "COMPOSE_DISABLE_ENV_FILE",
    "COMPOSE_ENV_FILES",
    "COMPOSE_FILE",
    "COMPOSE_PATH_SEPARATOR",
    "COMPOSE_PROFILES",
    "COMPOSE_PROJECT_NAME",
    "DOCKER_DEFAULT_PLATFORM",
];

impl Untrusted {
    /// Warnings about variables that are to be passed and are not there: a misspelt name would else be
    /// an empty text in the files.
    pub(super) fn missing<'v>(
        &'v self,
        environment: &'v BTreeMap<String, String>,
    ) -> impl Iterator<Item = Problem> + 'v {
        let missing = self
            .passed
            .iter()
            .filter(|name| !environment.contains_key(*name));
        missing.map(|name| {
            Problem::warning(format!(
                "variable `{name}` is to be passed, and it is not set"
            ))
        })
    }

    /// What the files see of the process's environment.
    pub(super) fn visible(
        &self,
        environment: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let is_seen = |name: &str| CONTROLS.contains(&name) || self.passed.contains(name);
        environment
            .iter()
            .filter(|(name, _)| is_seen(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// Refuses a directory for reports that a link in the project leads out of it: what is written there
/// is what strangers' code has printed.
///
/// # Errors
/// It is refused, or the project's directory confines nothing.
pub fn admit_output(request: &Request, output: &Path) -> Result<(), Problem> {
    let Some(untrusted) = &request.untrusted else {
        return Ok(());
    };
    let confines = Confines::new(request, untrusted, &request.named_directory())?;
    let shown = output.display();
    let absolute = std::path::absolute(output);
    let absolute = clean_path(&absolute.unwrap_or_else(|_| output.to_owned()));
    confines.resolve_named(&absolute).map(drop).map_err(|why| {
        let message = format!("cannot write to `{shown}` for strangers' code: {why}");
        Problem::error(message).help("name one outside of the project")
    })
}

/// The directory that whoever calls has named as that of the project. Neither a file nor `.env` can
/// change it.
pub(super) fn directory(request: &Request, asked: &Path) -> PathBuf {
    if let Some(directory) = &request.project_directory {
        return clean_path(&asked.join(directory));
    }
    let named = request.files.iter().find(|file| file.as_os_str() != "-");
    let of_variable = || {
        let list = request.environment.get("COMPOSE_FILE")?;
        let separator = request.environment.get("COMPOSE_PATH_SEPARATOR");
        let separator = separator.filter(|text| !text.is_empty());
        let first = list.split(separator.map_or(":", String::as_str)).next()?;
        (!first.is_empty()).then(|| PathBuf::from(first))
    };
    let first = match named {
        Some(file) => Some(file.clone()),
        None if request.files.is_empty() => of_variable(),
        None => None,
    };
    first
        .map(|file| clean_path(&asked.join(file)))
        .and_then(|file| file.parent().map(Path::to_owned))
        .unwrap_or_else(|| asked.to_owned())
}
