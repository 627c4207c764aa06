//! What can be said of a service only when all are known: its role and its networks. What a file may
//! not say at all is refused by the stage `format`.

mod builds;

use std::collections::{BTreeMap, BTreeSet};

use super::binds;
use super::diagnostic::Problem;
use super::model::{Condition, Healthcheck, Network, Project, ReadyTree, Role, Volume};
use super::read::injected::{self, DeclaredFiles};
use super::read::{Context, ReadService};
use super::yaml::shorten;
use crate::name::{NetworkKey, ServiceName, VolumeKey};
use crate::options::AddressPool;

/// Everything that was read, before it is checked.
pub(super) struct Parts {
    pub(super) services: Vec<ReadService>,
    pub(super) networks: BTreeMap<NetworkKey, Network>,
    pub(super) volumes: BTreeMap<VolumeKey, Volume>,
    pub(super) files: DeclaredFiles,
}

/// Checks the parts and puts them into `project`. The result is whole only if no problem was found.
pub(super) fn assemble(context: &mut Context<'_>, parts: Parts, project: &mut Project) {
    let Parts {
        services,
        networks,
        volumes,
        mut files,
    } = parts;
    let mut active = services;
    let names: BTreeSet<ServiceName> = active.iter().map(|one| one.service.name.clone()).collect();
    for one in &mut active {
        check_sharing(context, one, &names);
        // The profile of an optional dependency may not be active.
        let (service, places) = (&mut one.service, &one.places);
        service.depends_on.retain(|dependency, how| {
            let is_there = names.contains(dependency);
            let place = places.depends_on.get(dependency);
            if let Some(place) = place.filter(|_| !is_there && !how.required) {
                let message = format!(
                    "service `{}` starts without `{dependency}`, which no active profile enables",
                    service.name
                );
                context.warn(place, message, None);
            }
            is_there
        });
    }
    builds::check_circles(context, &active);
    for one in &active {
        check_ready(context, one);
    }
    for one in &mut active {
        one.service.injected = injected::resolve(context, one, &mut files);
        binds::resolve(context, one, project.settings.copy_binds);
    }
    attach_networks(&active, networks, project);
    for one in &active {
        check_addresses(context, one, &project.networks);
    }
    set_roles(&mut active);

    project.volumes = volumes;
    project.services = active
        .into_iter()
        .map(|one| (one.service.name.clone(), one.service))
        .collect();
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

/// Keeps the networks that are used.
fn attach_networks(
    active: &[ReadService],
    mut networks: BTreeMap<NetworkKey, Network>,
    project: &mut Project,
) {
    let used = active.iter().flat_map(|one| one.service.networks.keys());
    for key in used {
        if let Some(network) = networks.remove(key) {
            project.networks.insert(key.clone(), network);
        }
    }
}

/// What is shared must be there, even where the order of starts could do without it.
fn check_sharing(context: &mut Context<'_>, one: &ReadService, names: &BTreeSet<ServiceName>) {
    for (other, place) in &one.places.sharing {
        let dependency = one.service.depends_on.get(other);
        let is_optional = dependency.is_some_and(|dependency| !dependency.required);
        if is_optional && !names.contains(other) {
            let (name, other) = (&one.service.name, shorten(other.as_str()));
            let message = format!("service `{name}` shares with `{other}`, which does not run");
            let help = "activate its profile, or take this out";
            context.error_help(place, message, help);
        }
    }
}

/// An address can be asked for only where the file says which addresses there are.
fn check_addresses(
    context: &mut Context<'_>,
    one: &ReadService,
    networks: &BTreeMap<NetworkKey, Network>,
) {
    for (key, address, place) in &one.places.addresses {
        let Some(network) = networks.get(key).filter(|one| one.external.is_none()) else {
            continue;
        };
        let of_kind = |pool: &&AddressPool| pool.subnet.address.is_ipv4() == address.is_ipv4();
        let pools: Vec<&AddressPool> = network.ipam.pools.iter().filter(of_kind).collect();
        if pools.iter().any(|pool| pool.subnet.contains(*address)) {
            continue;
        }
        let shown = shorten(key.as_str());
        let message = match pools.first() {
            Some(pool) => format!(
                "`{address}` is not in `{}`, the subnet of `{shown}`",
                pool.subnet
            ),
            None => {
                format!("`{address}` is asked for on `{shown}`, which has no subnet of its own")
            }
        };
        let help =
            format!("give `{shown}` an `ipam: {{ config: [{{ subnet: … }}] }}` that holds it");
        context.error_help(place, message, help);
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
        let tree = one
            .service
            .ready
            .as_ref()
            .and_then(|ready| ready.tree.as_ref());
        let is_to_complete = tree.is_some_and(ReadyTree::is_completion);
        one.service.role = if one.service.suite.is_some() {
            Role::Suite
        } else if is_to_complete || jobs.contains(&one.service.name) {
            Role::Job
        } else {
            Role::Service
        };
    }
}
