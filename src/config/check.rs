//! Checks across services, and what can be said of a service only when all are known: its role, its
//! networks, whether what it waits for is there.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Problem;
use super::model::{Condition, Healthcheck, Network, Project, Role, Volume};
use super::read::{Context, ReadService};
use super::source::Place;
use super::suggest::did_you_mean;
use super::yaml::shorten;
use crate::name::{NetworkKey, ServiceName, VolumeKey};

/// The network of a service that names none.
const DEFAULT_NETWORK: &str = "default";

/// Everything that was read, before it is checked.
pub(super) struct Parts {
    pub(super) services: Vec<ReadService>,
    pub(super) networks: BTreeMap<NetworkKey, Network>,
    pub(super) volumes: BTreeMap<VolumeKey, Volume>,
}

/// Checks the parts and puts them into `project`. The result is whole only if no problem was found.
pub(super) fn assemble(context: &mut Context<'_>, parts: Parts, project: &mut Project) {
    let Parts {
        services,
        networks,
        volumes,
    } = parts;
    let (mut active, inactive): (Vec<_>, Vec<_>) = services.into_iter().partition(|one| one.active);
    let inactive: BTreeMap<ServiceName, Place> = inactive
        .into_iter()
        .map(|one| (one.service.name, one.places.name))
        .collect();

    check_dependencies(context, &mut active, &inactive);
    check_cycles(context, &active);
    for one in &active {
        check_ready(context, one);
        check_volumes(context, one, &volumes);
    }
    attach_networks(context, &mut active, networks, project);
    set_roles(&mut active);

    project.volumes = volumes;
    project.services = active
        .into_iter()
        .map(|one| (one.service.name.clone(), one.service))
        .collect();
}

impl Context<'_> {
    /// An error about a name that is not there, with the nearest that is.
    fn unknown_name<'n>(
        &mut self,
        place: &Place,
        (message, name): (String, &str),
        names: impl IntoIterator<Item = &'n str>,
        otherwise: &str,
    ) {
        let help = if self.problems.is_full() {
            None
        } else {
            did_you_mean(name, names)
        };
        let help = help.unwrap_or_else(|| otherwise.to_owned());
        self.problems
            .push(Problem::error(message).at(place).help(help));
    }
}

fn check_dependencies(
    context: &mut Context<'_>,
    active: &mut [ReadService],
    inactive: &BTreeMap<ServiceName, Place>,
) {
    let names: BTreeSet<ServiceName> = active.iter().map(|one| one.service.name.clone()).collect();
    for one in active {
        let service = &mut one.service;
        let name = service.name.clone();
        let places = &one.places.depends_on;
        service.depends_on.retain(|dependency, how| {
            let place = places.get(dependency).unwrap_or(&one.places.name);
            if *dependency == name {
                context.error(place, format!("service `{name}` depends on itself"));
                return false;
            }
            if names.contains(dependency) {
                return true;
            }
            if let Some(declared) = inactive.get(dependency) {
                if how.required {
                    context.problems.push(
                        Problem::error(format!(
                            "service `{name}` depends on `{dependency}`, which no active profile enables"
                        ))
                        .at(place)
                        .label(declared, "declared here")
                        .help("activate its profile, or write `required: false`"),
                    );
                }
                return false;
            }
            let message =
                format!("service `{name}` depends on `{}`, which does not exist", shorten(dependency.as_str()));
            let candidates = names.iter().filter(|other| **other != name).map(ServiceName::as_str);
            let otherwise = "a dependency is the name of a service of this project";
            context.unknown_name(place, (message, dependency.as_str()), candidates, otherwise);
            false
        });
    }
}

/// Names each cycle once. Works without recursion, since a chain of services may be long.
fn check_cycles(context: &mut Context<'_>, active: &[ReadService]) {
    let services: BTreeMap<&ServiceName, &ReadService> =
        active.iter().map(|one| (&one.service.name, one)).collect();
    let mut done: BTreeSet<&ServiceName> = BTreeSet::new();
    for start in services.keys() {
        // The path from `start`, with the dependencies of each step that are still to be tried.
        let mut path: Vec<&ServiceName> = Vec::new();
        let mut on_path: BTreeSet<&ServiceName> = BTreeSet::new();
        let mut todo: Vec<Vec<&ServiceName>> = vec![vec![start]];
        while let Some(next) = todo.last_mut() {
            let Some(name) = next.pop() else {
                todo.pop();
                if let Some(name) = path.pop() {
                    on_path.remove(name);
                    done.insert(name);
                }
                continue;
            };
            if on_path.contains(name) {
                report_cycle(context, &services, &path, name);
                continue;
            }
            if done.contains(name) {
                continue;
            }
            let Some(one) = services.get(name) else {
                continue;
            };
            path.push(name);
            on_path.insert(name);
            todo.push(one.service.depends_on.keys().rev().collect());
        }
    }
}

fn report_cycle(
    context: &mut Context<'_>,
    services: &BTreeMap<&ServiceName, &ReadService>,
    path: &[&ServiceName],
    name: &ServiceName,
) {
    const MAX_SHOWN: usize = 12;
    let start = path.iter().position(|other| *other == name).unwrap_or(0);
    let cycle: Vec<&ServiceName> = path
        .iter()
        .skip(start)
        .copied()
        .chain(std::iter::once(name))
        .collect();
    let mut names: Vec<String> = cycle.iter().map(|name| shorten(name.as_str())).collect();
    if names.len() > MAX_SHOWN {
        names.splice(MAX_SHOWN - 1..names.len() - 1, ["…".to_owned()]);
    }
    let mut problem = Problem::error(format!(
        "services wait for each other in a circle: `{}`",
        names.join(" → ")
    ));
    for pair in cycle.windows(2).take(MAX_SHOWN) {
        let [from, to] = pair else { continue };
        let place = services
            .get(from)
            .and_then(|one| one.places.depends_on.get(*to));
        if let Some(place) = place {
            problem = problem.label(place, format!("`{from}` waits for `{to}`"));
        }
    }
    context
        .problems
        .push(problem.help("none of them could ever start; take one dependency out"));
}

fn check_ready(context: &mut Context<'_>, one: &ReadService) {
    if let (Some(place), Some(Healthcheck::Disabled)) =
        (&one.places.ready_healthcheck, &one.service.healthcheck)
    {
        let name = &one.service.name;
        let message = format!("service `{name}` is ready by its healthcheck, which is disabled");
        let mut problem = Problem::error(message).at(place);
        if let Some(healthcheck) = &one.places.healthcheck {
            problem = problem.label(healthcheck, "disabled here");
        }
        context
            .problems
            .push(problem.help("enable the healthcheck, or name another probe"));
    }
}

fn check_volumes(
    context: &mut Context<'_>,
    one: &ReadService,
    volumes: &BTreeMap<VolumeKey, Volume>,
) {
    let name = &one.service.name;
    for (key, place) in &one.places.volumes {
        if volumes.contains_key(key) {
            continue;
        }
        let shown = shorten(key.as_str());
        let message = format!("service `{name}` mounts the volume `{shown}`, which does not exist");
        let candidates = volumes.keys().map(VolumeKey::as_str);
        let otherwise = if shown.contains('/') {
            format!("a path of the host starts with `./` or `/`: `./{shown}`")
        } else {
            format!(
                "declare it under the top-level `volumes`, or write `./{shown}` for a directory"
            )
        };
        context.unknown_name(place, (message, key.as_str()), candidates, &otherwise);
    }
}

/// Gives the default network to services that name none, and keeps the networks that are used.
fn attach_networks(
    context: &mut Context<'_>,
    active: &mut [ReadService],
    mut networks: BTreeMap<NetworkKey, Network>,
    project: &mut Project,
) {
    let default = NetworkKey::from(DEFAULT_NETWORK);
    for one in active {
        if one.service.networks.is_empty() {
            one.service.networks.entry(default.clone()).or_default();
        }
        let name = one.service.name.clone();
        for key in one.service.networks.keys() {
            if project.networks.contains_key(key) {
                continue;
            }
            if let Some(network) = networks.remove(key) {
                project.networks.insert(key.clone(), network);
                continue;
            }
            if *key == default {
                project.networks.entry(key.clone()).or_default();
                continue;
            }
            let shown = shorten(key.as_str());
            let message =
                format!("service `{name}` uses the network `{shown}`, which does not exist");
            let place = one.places.networks.get(key).unwrap_or(&one.places.name);
            let candidates = networks
                .keys()
                .chain(project.networks.keys())
                .map(NetworkKey::as_str);
            let otherwise = "declare it under the top-level `networks`";
            context.unknown_name(place, (message, key.as_str()), candidates, otherwise);
        }
    }
}

fn set_roles(active: &mut [ReadService]) {
    let jobs: BTreeSet<ServiceName> = active
        .iter()
        .flat_map(|one| &one.service.depends_on)
        .filter(|(_, how)| how.condition == Condition::CompletedSuccessfully)
        .map(|(name, _)| name.clone())
        .collect();
    for one in active {
        one.service.role = if one.service.suite.is_some() {
            Role::Suite
        } else if jobs.contains(&one.service.name) {
            Role::Job
        } else {
            Role::Service
        };
    }
}
