//! What of the output of containers is shown as it comes, how much of it is kept, and which values
//! are hidden in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::set;
use crate::config::diagnostic::Problem;
use crate::config::size;
use crate::config::source::Source;

/// Variables whose values are masked, with commas between.
pub(super) const MASK: &str = "ENVRUN_MASK";

/// Variables whose values are not masked though they are handed through by name.
pub(super) const NO_MASK: &str = "ENVRUN_NO_MASK";

/// Whose output is shown as it comes.
pub(super) const LIVE: &str = "ENVRUN_LIVE";

/// How much of the output of a service is kept.
pub(super) const LOG_LIMIT: &str = "ENVRUN_LOG_LIMIT";

/// What the command line says of it.
#[derive(Debug, Clone, Default)]
pub struct OutputFlags {
    /// `--mask`, each the name of a variable.
    pub mask: Vec<String>,
    /// `--mask-file`.
    pub mask_files: Vec<PathBuf>,
    /// `--no-mask`, each the name of a variable.
    pub no_mask: Vec<String>,
}

/// The settings in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Variables whose values are masked. What the three say adds up: who names a secret is to be
    /// sure of it.
    pub mask: BTreeSet<String>,
    /// Files with one value a line that are masked.
    pub mask_files: Vec<PathBuf>,
    /// Variables whose values are not masked though they are handed through by name.
    pub no_mask: BTreeSet<String>,
    /// Whose output is shown as it comes; `None`: nobody's.
    pub live: Option<Live>,
    /// Bytes of the output of a service that are kept; 0 means all of them. `None`: the default.
    pub log_limit: Option<u64>,
}

/// Whose output is shown as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// Nobody's.
    Nobody,
    /// That of all suites.
    Suites,
    /// That of everything.
    All,
    /// That of these services.
    These(BTreeSet<String>),
}

impl Live {
    /// Reads what stands in a flag or a variable.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" | "suites" => Self::Suites,
            "" | "0" | "false" | "no" | "off" | "none" => Self::Nobody,
            "all" => Self::All,
            _ => Self::These(names(text).collect()),
        }
    }
}

/// Names with commas between.
fn names(text: &str) -> impl Iterator<Item = String> {
    let names = text.split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Puts together what file, variables and flags say.
pub(super) fn combine(
    file: Output,
    environment: &BTreeMap<String, String>,
    flags: &OutputFlags,
    problems: &mut Vec<Problem>,
) -> Output {
    let listed = |name: &str| {
        set(environment, name)
            .into_iter()
            .flat_map(|text| names(text))
    };
    let limit = set(environment, LOG_LIMIT).and_then(|text| {
        let limit = size::parse(text);
        if limit.is_none() {
            let message = format!("variable `{LOG_LIMIT}` is no size: `{text}`");
            problems.push(Problem::error(message).help(SIZE));
        }
        limit
    });
    let live = set(environment, LIVE);
    Output {
        mask: file
            .mask
            .into_iter()
            .chain(listed(MASK))
            .chain(flags.mask.iter().cloned())
            .collect(),
        mask_files: flags.mask_files.clone(),
        no_mask: file
            .no_mask
            .into_iter()
            .chain(listed(NO_MASK))
            .chain(flags.no_mask.iter().cloned())
            .collect(),
        live: live.map(|text| Live::parse(text)).or(file.live),
        log_limit: limit.or(file.log_limit),
    }
}

/// How a size is written.
const SIZE: &str = "bytes, or a number with a unit such as `100m` or `2g`; 0 means no limit";

/// `live`: `true`, `false`, `"all"` or names.
pub(super) fn read_live(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Live> {
    match value.get_ref() {
        DeValue::Boolean(true) => Some(Live::Suites),
        DeValue::Boolean(false) => Some(Live::Nobody),
        DeValue::String(text) => Some(Live::parse(text)),
        DeValue::Array(_) => read_names(source, value, problems).map(Live::These),
        other => {
            let found = other.type_str();
            let wanted = "expected `true`, `false`, `\"all\"` or a list of services";
            let problem = Problem::error(format!("{wanted}, found {found}"));
            problems.push(problem.at(&source.place(value.span())));
            None
        }
    }
}

/// A list of names.
pub(super) fn read_names(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<BTreeSet<String>> {
    let mut wrong = |value: &Spanned<DeValue<'_>>, wanted: &str| {
        let found = value.get_ref().type_str();
        let problem = Problem::error(format!("expected {wanted}, found {found}"));
        problems.push(problem.at(&source.place(value.span())));
    };
    let Some(items) = value.get_ref().as_array() else {
        wrong(value, "a list of names");
        return None;
    };
    let mut names = BTreeSet::new();
    for item in items {
        match item.get_ref().as_str() {
            Some(name) => drop(names.insert(name.to_owned())),
            None => wrong(item, "a name"),
        }
    }
    Some(names)
}

/// `log_limit`: a size.
pub(super) fn read_limit(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<u64> {
    let text = match value.get_ref() {
        DeValue::Integer(integer) => integer.as_str(),
        DeValue::String(text) => text,
        other => {
            let problem = Problem::error(format!("expected a size, found {}", other.type_str()));
            problems.push(problem.at(&source.place(value.span())).help(SIZE));
            return None;
        }
    };
    let limit = size::parse(text);
    if limit.is_none() {
        let problem = Problem::error(format!("`{text}` is no size"));
        problems.push(problem.at(&source.place(value.span())).help(SIZE));
    }
    limit
}
