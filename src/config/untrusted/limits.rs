//! Limits of strangers' containers: what a file asks for beyond them is lowered, with a warning that
//! names the key.
//!
//! The limits themselves are held where a container is specified ([`Limits::hold`]); here is only
//! said what that changes. The number of containers is judged here, since a plan has no places.

use std::time::Duration;

use super::super::diagnostic::{Problem, Problems};
use super::super::model::{MountSource, Project, Service};
use super::super::yaml::{Entry, Mapping, Node};
use super::{Limits, Untrusted};
use crate::options::ContainerOptions;

/// Most containers of a project.
const MAX_CONTAINERS: u64 = 50;

/// Most networks of a project: the engine makes them one after the other, for everybody.
const MAX_NETWORKS: usize = 20;

/// Most named volumes of a project.
const MAX_VOLUMES: usize = 100;

/// Longest time that teardown waits for a container.
pub(super) const MAX_GRACE: Duration = Duration::from_secs(60);

/// Where ports without an address are published.
const LOOPBACK: &str = "127.0.0.1";

/// The keys that ask for one thing, with what it is compared by.
type Asking = (
    &'static [&'static [&'static str]],
    fn(&ContainerOptions) -> i128,
    &'static str,
);

const MEMORY: &str = "`--limit-memory` sets another limit";
const CPUS: &str = "`--limit-cpus` sets another limit";
const PIDS: &str = "`--limit-pids` sets another limit";

/// What a file can ask too much of. What is not limited counts as endless.
const ASKED: [Asking; 8] = [
    (
        &[&["mem_limit"], &["deploy", "resources", "limits", "memory"]],
        |options| i128::from(options.resources.memory),
        MEMORY,
    ),
    (
        &[
            &["mem_reservation"],
            &["deploy", "resources", "reservations", "memory"],
        ],
        |options| i128::from(options.resources.memory_reservation),
        MEMORY,
    ),
    (
        &[&["memswap_limit"]],
        |options| endless(options.resources.memory_swap),
        MEMORY,
    ),
    (
        &[&["shm_size"]],
        |options| options.shm_size.map_or(0, i128::from),
        MEMORY,
    ),
    (
        &[&["cpus"], &["deploy", "resources", "limits", "cpus"]],
        |options| i128::from(options.resources.nano_cpus),
        CPUS,
    ),
    (
        &[&["cpu_quota"], &["cpu_period"]],
        |options| endless(options.resources.cpu_quota).max(options.resources.cpu_period.into()),
        CPUS,
    ),
    (
        &[&["cpu_shares"]],
        |options| i128::from(options.resources.cpu_shares),
        CPUS,
    ),
    (
        &[&["pids_limit"], &["deploy", "resources", "limits", "pids"]],
        |options| options.resources.pids_limit.map_or(0, endless),
        PIDS,
    ),
];

const fn endless(value: i64) -> i128 {
    if value < 0 { i128::MAX } else { value as i128 }
}

/// Confines a project that has passed the judgement: limits, ports on the loopback address, mounts
/// without links.
pub(in crate::config) fn apply(
    project: &mut Project,
    root: &Mapping,
    untrusted: &Untrusted,
    problems: &mut Problems,
) {
    project.limits = Some(untrusted.limits);
    for service in project.services.values_mut() {
        let node = root
            .get("services")
            .and_then(|services| services.get(service.name.as_str()));
        if let Some(map) = node.and_then(Node::mapping) {
            warn(service, map, &untrusted.limits, problems);
        }
        for port in &mut service.ports {
            port.host_ip.get_or_insert_with(|| LOOPBACK.to_owned());
        }
        for mount in &mut service.mounts {
            // What is mounted is where the judgement has led to, so that a link that is made later
            // changes nothing.
            if let MountSource::Bind { path, found, .. } = &mut mount.source {
                path.clone_from(&found.real);
            }
        }
    }
    count(project, root, problems);
    let sections = [
        ("networks", project.networks.len(), MAX_NETWORKS),
        ("volumes", project.volumes.len(), MAX_VOLUMES),
    ];
    for (section, count, most) in sections {
        if count > most {
            let message =
                format!("the project has {count} {section}, and strangers' code may have {most}");
            let problem = Problem::error(message);
            problems.push(match root.entry(section) {
                Some(entry) => problem.at(&entry.key.place),
                None => problem,
            });
        }
    }
}

fn warn(service: &Service, map: &Mapping, limits: &Limits, problems: &mut Problems) {
    let mut held = service.options.clone();
    limits.hold(&mut held);
    let asked = &service.options;
    for (keys, value, help) in ASKED {
        if value(asked) <= value(&held) {
            continue;
        }
        for (name, entry) in keys.iter().filter_map(|keys| find(map, keys)) {
            let message = format!(
                "`{name}` of service `{}` is lowered to the limit for strangers' code",
                service.name
            );
            let problem = Problem::warning(message).at(&entry.key.place);
            problems.push(problem.help(help));
        }
    }
    if let (Some(build), Some(node)) = (&service.build, map.get("build").and_then(Node::mapping))
        && build
            .options
            .shm_size
            .is_some_and(|size| size > limits.memory)
        && let Some(entry) = node.entry("shm_size")
    {
        let message = format!(
            "`shm_size` of the build of `{}` is lowered to the limit for strangers' code",
            service.name
        );
        problems.push(Problem::warning(message).at(&entry.key.place).help(MEMORY));
    }
}

/// The entry at the end of a way of keys, with the way as it is shown.
fn find<'n>(map: &'n Mapping, keys: &[&str]) -> Option<(String, &'n Entry)> {
    let (last, way) = keys.split_last()?;
    let mut map = map;
    for key in way {
        map = map.get(key)?.mapping()?;
    }
    let entry = map.entry(last).filter(|entry| !entry.value.is_null())?;
    Some((keys.join("."), entry))
}

/// Refuses more containers than a stranger may have, those that run before a start among them.
fn count(project: &Project, root: &Mapping, problems: &mut Problems) {
    let of = |service: &Service| {
        let own = u64::from(service.lifecycle.replicas);
        let before = service.lifecycle.pre_start.iter();
        let before = before.map(|hook| if hook.per_replica { own } else { own.min(1) });
        own + before.sum::<u64>()
    };
    let total: u64 = project.services.values().map(of).sum();
    let most = project.services.values().max_by_key(|service| of(service));
    let Some(most) = most.filter(|_| total > MAX_CONTAINERS) else {
        return;
    };
    let message = format!(
        "the project has {total} containers, and strangers' code may have {MAX_CONTAINERS}"
    );
    let problem = Problem::error(message);
    let services = root.get("services").and_then(Node::mapping);
    let entry = services.and_then(|services| services.entry(most.name.as_str()));
    let replicas = entry.and_then(|entry| {
        let map = entry.value.mapping()?;
        [&["scale"][..], &["deploy", "replicas"]]
            .into_iter()
            .find_map(|keys| find(map, keys))
    });
    let place = replicas
        .map(|(_, entry)| &entry.key.place)
        .or_else(|| entry.map(|entry| &entry.key.place));
    problems.push(match place {
        Some(place) => problem.at(place),
        None => problem,
    });
}
