//! Suites and commands in an environment that is held: what of it is there for them.

use crate::command::{complain, selected};
use crate::config::Problem;
use crate::config::model::{Project, Role};
use crate::engine::{Belonging, ResourceKind, SERVICE_LABEL};
use crate::exit_code::ExitCode;
use crate::name::{ContainerId, ServiceName};
use crate::plan::command::HeldService;
use crate::plan::{Selection, isolation, within};
use crate::run::gc::Found;

/// The suites that will not run in the environment that is to be held.
pub(super) fn not_in_held(project: &Project) -> impl Iterator<Item = Problem> {
    let names = project.services.keys();
    let own = names.filter(|name| isolation::is_own(project, name));
    own.map(|suite| {
        Problem::warning(format!(
            "suite `{suite}` has `isolation: own` and is no part of what `envrun run --in` runs here"
        ))
    })
}

/// The services of a held environment whose containers run, under the names that a command finds them by.
pub(super) fn held_services(project: &Project, held: &Found) -> Vec<HeldService> {
    let containers = selected::containers(held, &[]).unwrap_or_default();
    let running = containers
        .into_iter()
        .filter(|one| one.status.starts_with("Up"));
    let services = running.filter_map(|one| {
        let of = one.labels.get(SERVICE_LABEL)?;
        let service = project.services.get(&ServiceName::new(of.as_str()))?;
        (service.role == Role::Service).then(|| HeldService {
            name: ServiceName::new(selected::replica(one)),
            service: service.clone(),
            container: ContainerId::new(one.resource.id.as_str()),
        })
    });
    let mut services: Vec<HeldService> = services.collect();
    // The name of a service with several replicas stands for the first.
    let mut firsts: Vec<HeldService> = Vec::new();
    for one in &services {
        let of = &one.service.name;
        if *of != one.name && !firsts.iter().any(|first| first.name == *of) {
            firsts.push(HeldService {
                name: of.clone(),
                ..one.clone()
            });
        }
    }
    services.extend(firsts);
    services
}

/// Checks that what the suites need of a held environment is there.
pub(super) fn held_within(
    project: &Project,
    selection: &Selection,
    held: &Found,
) -> Result<(), ExitCode> {
    let suites = selection.suites(project);
    let own = suites.iter().find(|name| isolation::is_own(project, name));
    if let Some(suite) = own {
        complain(&format!(
            "suite `{suite}` has `isolation: own`, and run {} holds the environment that is shared\nhint: `envrun run --only {suite}` gives it an environment of its own; `--skip {suite}` leaves it out",
            held.run
        ));
        return Err(ExitCode::Usage);
    }
    for name in within::needed(project, &suites) {
        let of_service = |one: &&Belonging| {
            one.resource.kind == ResourceKind::Container
                && one.labels.get(SERVICE_LABEL).map(String::as_str) == Some(name.as_str())
        };
        let containers: Vec<&Belonging> = held.belongings.iter().filter(of_service).collect();
        let is_job = project.services.get(&name).map(|one| one.role) == Some(Role::Job);
        let problem = if containers.is_empty() {
            "has no container".to_owned()
        } else {
            match containers.iter().find(|one| !one.status.starts_with("Up")) {
                Some(ended) if !is_job => format!("does not run: {}", ended.status),
                _ => continue,
            }
        };
        complain(&format!(
            "service `{name}` of run {} {problem}\nhint: `envrun down {}` ends it, `envrun up` brings up another one",
            held.run,
            held.run.short()
        ));
        return Err(ExitCode::Environment);
    }
    Ok(())
}
