//! Which services take part in a run.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanError;
use super::isolation::Others;
use crate::config::model::{Project, Service};
use crate::name::ServiceName;
use crate::reachability::{Matrix, SUITE};

/// Which suites take part.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--only`; empty means all.
    pub only: Vec<String>,
    /// `--skip`.
    pub skip: Vec<String>,
    /// The environment without its suites, which are run in it later.
    pub environment_only: bool,
}

impl Selection {
    /// Whether the reachability matrix of a project takes part.
    #[must_use]
    pub fn has_matrix(&self, project: &Project) -> bool {
        project.settings.reachability.is_some() && !self.environment_only && self.selects(SUITE)
    }

    fn selects(&self, suite: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|name| name == suite))
            && !self.skip.iter().any(|name| name == suite)
    }

    /// Who uses the shared environment beside the suites that share it.
    pub(super) fn other_users(&self, project: &Project) -> Others {
        let rows = project.settings.reachability.as_ref();
        let rows = rows.filter(|_| self.has_matrix(project));
        let named = rows.map(|rows| Matrix::of(rows).members().cloned().collect());
        Others {
            named: named.unwrap_or_default(),
            all: self.environment_only,
        }
    }

    /// The services whose networks and volumes are made: those that take part, and the suites that
    /// are run later.
    pub(super) fn users<'project>(
        &self,
        project: &'project Project,
        services: &[&'project Service],
    ) -> Vec<&'project Service> {
        let mut users = services.to_vec();
        if self.environment_only {
            let all = project.services.values();
            users.extend(all.filter(|service| service.suite.is_some()));
        }
        users
    }
}

/// The services that take part: the selected suites, everything they need, and every service that
/// is not there for an unselected suite alone. Dependencies that a file does not declare are
/// common, so a service that nobody names stays in.
pub(super) fn select<'project>(
    project: &'project Project,
    selection: &Selection,
) -> Result<Vec<&'project Service>, PlanError> {
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
        return Ok(services);
    }
    let matrix = project.settings.reachability.as_ref();
    if suites.is_empty() && matrix.is_none() {
        return Err(PlanError::NoSuite {
            project: project.name.clone(),
        });
    }
    for (option, names) in [("--only", &selection.only), ("--skip", &selection.skip)] {
        if let Some(name) = names
            .iter()
            .filter(|name| matrix.is_none() || *name != SUITE)
            .find(|name| !suites.contains(&ServiceName::new(name.as_str())))
        {
            let of_matrix = matrix.map(|_| SUITE);
            let known = suites.iter().map(|suite| suite.as_str()).chain(of_matrix);
            let known: Vec<String> = known.map(|suite| format!("`{suite}`")).collect();
            return Err(PlanError::UnknownSuite {
                option,
                name: name.clone(),
                suites: known.join(", "),
            });
        }
    }
    let selected: BTreeSet<&ServiceName> = suites
        .iter()
        .copied()
        .filter(|suite| selection.selects(suite.as_str()))
        .collect();
    // The suites that a matrix names do not run for it: their networks are what matters.
    let matrix = matrix.filter(|_| selection.has_matrix(project));
    let named = matrix.map(|rows| Matrix::of(rows).members().cloned().collect());
    let mut named: BTreeSet<ServiceName> = named.unwrap_or_default();
    named.retain(|name| !suites.contains(name));
    if selected.is_empty() && matrix.is_none() {
        return Err(PlanError::NothingSelected);
    }
    let wanted = closure(project, selected.iter().copied().chain(&named));
    let unselected = suites
        .iter()
        .copied()
        .filter(|suite| !wanted.contains(suite));
    let only_for_unselected: BTreeSet<&ServiceName> = closure(project, unselected)
        .into_iter()
        .filter(|name| !wanted.contains(name))
        .collect();
    let services = project.services.values();
    let services = services.filter(|service| !only_for_unselected.contains(&service.name));
    Ok(services.collect())
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
