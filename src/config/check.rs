//! What can be said of a service only when all are known: its role and its networks. What a file may
//! not say at all is refused by the stage `format`.

use std::collections::{BTreeMap, BTreeSet};

use super::binds;
use super::diagnostic::Problem;
use super::model::{Condition, Healthcheck, Network, Project, Role, Volume};
use super::read::injected::{self, DeclaredFiles};
use super::read::{Context, ReadService};
use crate::name::{NetworkKey, ServiceName, VolumeKey};

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
        // An optional dependency may be absent, or its profile not active.
        one.service
            .depends_on
            .retain(|name, _| names.contains(name));
    }
    for one in &active {
        check_ready(context, one);
    }
    for one in &mut active {
        one.service.injected = injected::resolve(context, one, &mut files);
        binds::resolve(context, one, project.settings.copy_binds);
    }
    attach_networks(&active, networks, project);
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
