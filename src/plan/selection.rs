//! Which services take part in a run.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;

use super::PlanError;
use super::command::HostCommand;
use super::isolation::Others;
use super::shards::{self, Part};
use crate::config::model::{Project, Service};
use crate::name::{ServiceName, Shard};
use crate::reachability::{Matrix, SUITE};

/// Which suites take part.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--only`; empty means all. Each is the name of a suite or of a part of one, or a pattern of
    /// such names.
    pub only: Vec<String>,
    /// `--skip`, the same.
    pub skip: Vec<String>,
    /// The environment without its suites, which are run in it later.
    pub environment_only: bool,
    /// `--shard`: which one this run is of several that the suites are divided over.
    pub part: Option<Shard>,
    /// The same as the CI system says it; it counts for suites that ask for it.
    pub node: Option<Shard>,
    /// A command on this host that is run as one more suite, whatever else is selected.
    pub command: Option<HostCommand>,
}

/// The services that take part.
pub(super) struct Selected<'project> {
    pub(super) services: Vec<&'project Service>,
    /// Of suites that are divided, the parts that take part.
    pub(super) parts: BTreeMap<&'project ServiceName, Vec<Part>>,
}

impl Selection {
    /// Whether the reachability matrix of a project takes part.
    #[must_use]
    pub fn has_matrix(&self, project: &Project) -> bool {
        project.settings.reachability.is_some() && !self.environment_only && self.selects(&[SUITE])
    }

    /// The suites that are selected, if only in part.
    #[must_use]
    pub fn suites<'project>(&self, project: &'project Project) -> BTreeSet<&'project ServiceName> {
        let parts = shards::of_suites(project, self);
        let suites = project.services.values();
        let suites = suites.filter(|service| service.suite.is_some());
        suites
            .map(|service| &service.name)
            .filter(|suite| match parts.get(suite) {
                None => self.selects(&[suite.as_str()]),
                Some(parts) => parts.iter().any(|part| self.selects_part(suite, part)),
            })
            .collect()
    }

    fn selects_part(&self, suite: &ServiceName, (name, _): &Part) -> bool {
        self.selects(&[suite.as_str(), name.as_str()])
    }

    /// Whether something that has these names takes part.
    fn selects(&self, names: &[&str]) -> bool {
        let named = |patterns: &[String]| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| names.iter().any(|name| matches(pattern, name)))
        };
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }

    /// Who uses the shared environment beside the suites that share it.
    pub(super) fn other_users(&self, project: &Project) -> Others {
        let rows = project.settings.reachability.as_ref();
        let rows = rows.filter(|_| self.has_matrix(project));
        let named = rows.map(|rows| Matrix::of(rows).members().cloned().collect());
        Others {
            named: named.unwrap_or_default(),
            all: self.environment_only || self.command.is_some(),
        }
    }

    /// The services whose networks and volumes are made: those that take part, and the suites that
    /// are run later, once for each of their parts.
    pub(super) fn users<'project>(
        &self,
        project: &'project Project,
        services: &[&'project Service],
    ) -> Vec<&'project Service> {
        let mut users = services.to_vec();
        if self.environment_only {
            let parts = shards::of_suites(project, self);
            let suites = project.services.values();
            let suites = suites.filter(|service| service.suite.is_some());
            users.extend(suites.flat_map(|suite| {
                let count = parts.get(&suite.name).map_or(1, Vec::len);
                std::iter::repeat_n(suite, count)
            }));
        }
        users
    }

    /// What is given to `--only` and `--skip`.
    fn patterns(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let only = self.only.iter().map(|pattern| ("--only", pattern));
        only.chain(self.skip.iter().map(|pattern| ("--skip", pattern)))
    }
}

/// Whether a name is meant: by itself, or by a pattern with `*`, `?`, `[…]` or `{…}`.
fn matches(pattern: &str, name: &str) -> bool {
    pattern == name
        || GlobBuilder::new(pattern)
            .build()
            .is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

/// Every pattern is one, and means something.
fn check_patterns(
    project: &Project,
    selection: &Selection,
    parts: &BTreeMap<&ServiceName, Vec<Part>>,
) -> Result<(), PlanError> {
    let suites = project.services.values();
    let suites: Vec<&ServiceName> = suites
        .filter(|service| service.suite.is_some())
        .map(|service| &service.name)
        .collect();
    let of_matrix = project.settings.reachability.as_ref().map(|_| SUITE);
    let of_parts = parts.values().flatten().map(|(name, _)| name.as_str());
    let names = suites.iter().map(|suite| suite.as_str());
    let command = selection.command.as_ref();
    let of_command = command.map(|command| command.name.as_str());
    let names = names.chain(of_parts).chain(of_matrix).chain(of_command);
    let names: Vec<&str> = names.collect();
    for (option, pattern) in selection.patterns() {
        if let Err(error) = GlobBuilder::new(pattern).build() {
            return Err(PlanError::InvalidPattern {
                option,
                pattern: pattern.clone(),
                reason: error.kind().to_string(),
            });
        }
        if !names.iter().any(|name| matches(pattern, name)) {
            let known = suites.iter().map(|suite| match parts.get(*suite) {
                Some(parts) if parts.len() > 1 => {
                    format!("`{suite}` with {} shards", parts.len())
                }
                _ => format!("`{suite}`"),
            });
            let known = known.chain(of_matrix.map(|suite| format!("`{suite}`")));
            return Err(PlanError::UnknownSuite {
                option,
                name: pattern.clone(),
                suites: known.collect::<Vec<_>>().join(", "),
            });
        }
    }
    Ok(())
}

/// The services that take part: the selected suites, everything they need, and every service that
/// is not there for an unselected suite alone. Dependencies that a file does not declare are
/// common, so a service that nobody names stays in.
pub(super) fn select<'project>(
    project: &'project Project,
    selection: &Selection,
) -> Result<Selected<'project>, PlanError> {
    let suites: BTreeSet<&ServiceName> = project
        .services
        .values()
        .filter(|service| service.suite.is_some())
        .map(|service| &service.name)
        .collect();
    if selection.environment_only {
        let services: Vec<&Service> = project
            .services
            .values()
            .filter(|service| service.suite.is_none())
            .collect();
        if services.is_empty() {
            return Err(PlanError::NoEnvironment {
                project: project.name.clone(),
            });
        }
        let parts = BTreeMap::new();
        return Ok(Selected { services, parts });
    }
    let matrix = project.settings.reachability.as_ref();
    let command = selection.command.as_ref();
    if suites.is_empty() && matrix.is_none() && command.is_none() {
        return Err(PlanError::NoSuite {
            project: project.name.clone(),
        });
    }
    let mut parts = shards::of_suites(project, selection);
    check_patterns(project, selection, &parts)?;
    let selected = selection.suites(project);
    // The suites that a matrix names do not run for it: their networks are what matters.
    let matrix = matrix.filter(|_| selection.has_matrix(project));
    let named = matrix.map(|rows| Matrix::of(rows).members().cloned().collect());
    let mut named: BTreeSet<ServiceName> = named.unwrap_or_default();
    named.retain(|name| !suites.contains(name));
    if selected.is_empty() && matrix.is_none() && command.is_none() {
        return Err(PlanError::NothingSelected);
    }
    let wanted = closure(project, selected.iter().copied().chain(&named));
    let unselected = suites
        .iter()
        .copied()
        .filter(|suite| !wanted.contains(suite));
    // Nobody says what a command on this host uses, so that it finds everything but the other suites.
    let is_for_unselected = |name: &&ServiceName| match command {
        Some(_) => suites.contains(*name) && !wanted.contains(name),
        None => !wanted.contains(name),
    };
    let only_for_unselected: BTreeSet<&ServiceName> = closure(project, unselected)
        .into_iter()
        .filter(is_for_unselected)
        .collect();
    let services = project.services.values();
    let services = services.filter(|service| !only_for_unselected.contains(&service.name));
    let services: Vec<&Service> = services.collect();
    shards::divide(&services, selection, &mut parts)?;
    // Whoever depends on a suite depends on all of it.
    let dependencies = wanted.iter().filter_map(|name| project.services.get(*name));
    let dependencies = dependencies.flat_map(|service| service.depends_on.keys());
    let depended_on: BTreeSet<&ServiceName> = dependencies.collect();
    for (suite, parts) in &mut parts {
        if selected.contains(suite) && !depended_on.contains(suite) {
            parts.retain(|part| selection.selects_part(suite, part));
        }
        if let (true, Some(part)) = (wanted.contains(suite) && parts.is_empty(), selection.part) {
            let suite = (*suite).clone();
            return Err(PlanError::SelectedElsewhere { suite, part });
        }
    }
    Ok(Selected { services, parts })
}

/// What is depended on by somebody, and by everybody with `required: false`.
pub(super) fn optional(services: &[&Service]) -> BTreeSet<ServiceName> {
    let mut required = BTreeMap::new();
    for (name, how) in services.iter().flat_map(|service| &service.depends_on) {
        *required.entry(name.clone()).or_insert(false) |= how.required;
    }
    let optional = required.into_iter().filter(|(_, required)| !required);
    optional.map(|(name, _)| name).collect()
}

/// The given services and all that they depend on.
fn closure<'name>(
    project: &'name Project,
    from: impl Iterator<Item = &'name ServiceName>,
) -> BTreeSet<&'name ServiceName> {
    let mut open: Vec<&ServiceName> = from.collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if seen.insert(name)
            && let Some(service) = project.services.get(name)
        {
            open.extend(service.depends_on.keys());
        }
    }
    seen
}
