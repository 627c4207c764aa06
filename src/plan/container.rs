//! What exactly a container is created with, once its image and its networks are known.

use std::collections::BTreeMap;

use super::host::Placement;
use super::injection::{COPIED, FILLED_AT, PlannedCopy};
use super::{Plan, PlannedService, PlannedVolume, resource_name, run_labels, service_labels};
use crate::config::model::{self, Healthcheck, MountSource};
use crate::engine::{
    ContainerOptions, ContainerSpec, EndpointSpec, HealthcheckSpec, ImageFacts, MountSpec,
    MountSpecSource,
};
use crate::name::{NetworkId, NetworkKey};

/// The names under which a service is found on one of its networks: its own, its `container_name`,
/// its aliases.
#[must_use]
pub fn endpoint(planned: &PlannedService, key: &NetworkKey) -> EndpointSpec {
    let mut aliases = vec![planned.service.name.to_string()];
    aliases.extend(planned.service.container_name.clone());
    if let Some(attachment) = planned.service.networks.get(key) {
        aliases.extend(attachment.aliases.iter().cloned());
    }
    let mut seen = std::collections::BTreeSet::new();
    aliases.retain(|alias| seen.insert(alias.clone()));
    EndpointSpec { aliases }
}

/// The specification of the container of a service.
///
/// Volumes of the image's `VOLUME` that the file does not mount get a volume of the run, since
/// anonymous volumes carry no label and survive their container.
#[must_use]
pub fn specification(
    plan: &Plan,
    planned: &PlannedService,
    image: &ImageFacts,
    networks: &BTreeMap<NetworkKey, NetworkId>,
) -> ContainerSpec {
    let service = &planned.service;
    let network = planned.networks.first().and_then(|key| {
        networks
            .get(key)
            .map(|id| (id.clone(), endpoint(planned, key)))
    });
    ContainerSpec {
        name: planned.container_name.clone(),
        labels: service_labels(&run_labels(plan.run, &plan.project), service),
        image: image.id.clone(),
        command: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        environment: service.environment.clone(),
        working_dir: service.working_dir.clone(),
        user: service.user.clone(),
        hostname: service.hostname.clone(),
        network,
        mounts: mounts(plan, planned, image),
        published: service
            .ports
            .iter()
            .map(|port| (port.target, port.host_ip.clone(), port.udp))
            .collect(),
        healthcheck: service.healthcheck.as_ref().map(healthcheck),
        options: options(&service.options),
    }
}

/// The specification of the container through which a volume is filled. It is never started, so nothing
/// of the image matters but that it is there. Where the image has a `VOLUME` stands a tmpfs, so that no
/// volume without a label is made.
#[must_use]
pub fn filler(plan: &Plan, copy: &PlannedCopy, image: &ImageFacts) -> ContainerSpec {
    let labels = run_labels(plan.run, &plan.project);
    let tmpfs = image.volumes.iter();
    ContainerSpec {
        name: copy.filler.clone(),
        labels: labels.clone(),
        image: image.id.clone(),
        command: Some(vec!["never-started".to_owned()]),
        entrypoint: None,
        environment: BTreeMap::new(),
        working_dir: None,
        user: None,
        hostname: None,
        network: None,
        mounts: vec![MountSpec {
            source: MountSpecSource::Volume {
                name: copy.volume.clone(),
                labels,
                subpath: None,
            },
            target: FILLED_AT.to_owned(),
            read_only: false,
        }],
        published: Vec::new(),
        healthcheck: None,
        options: ContainerOptions {
            tmpfs: tmpfs.map(|path| (path.clone(), String::new())).collect(),
            ..ContainerOptions::default()
        },
    }
}

fn options(options: &model::ContainerOptions) -> ContainerOptions {
    ContainerOptions {
        init: options.init,
        privileged: options.privileged,
        read_only: options.read_only,
        tty: options.tty,
        stop_signal: options.stop_signal.clone(),
        cap_add: options.cap_add.clone(),
        cap_drop: options.cap_drop.clone(),
        shm_size: options.shm_size,
        mem_limit: options.mem_limit,
        extra_hosts: options.extra_hosts.clone(),
        tmpfs: options.tmpfs.clone(),
    }
}

fn mounts(plan: &Plan, planned: &PlannedService, image: &ImageFacts) -> Vec<MountSpec> {
    let service = &planned.service;
    let labels = run_labels(plan.run, &plan.project);
    let own_volume = |number: usize| MountSpecSource::Volume {
        name: resource_name(plan.run, &format!("{}-volume-{number}", service.name)),
        labels: labels.clone(),
        subpath: None,
    };
    let mut mounts: Vec<MountSpec> = service
        .mounts
        .iter()
        .enumerate()
        .map(|(number, mount)| MountSpec {
            source: match &mount.source {
                MountSource::Bind { path, create, .. } => match planned.binds.get(&number) {
                    Some(placement) => placed(plan, placement, *create),
                    None => MountSpecSource::Bind {
                        path: path.clone(),
                        create: *create,
                    },
                },
                MountSource::Anonymous => own_volume(number),
                MountSource::Volume(key) => match plan.volumes.get(key) {
                    Some(PlannedVolume::Owned(spec)) => MountSpecSource::Volume {
                        name: spec.name.clone(),
                        labels: spec.labels.clone(),
                        subpath: None,
                    },
                    Some(PlannedVolume::External(name)) => MountSpecSource::Volume {
                        name: name.clone(),
                        labels: BTreeMap::new(),
                        subpath: None,
                    },
                    None => own_volume(number),
                },
            },
            target: mount.target.clone(),
            read_only: mount.read_only
                || planned
                    .binds
                    .get(&number)
                    .is_some_and(Placement::is_read_only),
        })
        .collect();
    mounts.extend(planned.injection.mounted.iter().filter_map(|mount| {
        let copy = plan.copies.get(mount.copy.0)?;
        Some(MountSpec {
            source: MountSpecSource::Volume {
                name: copy.volume.clone(),
                labels: labels.clone(),
                subpath: Some(mount.subpath.clone()),
            },
            target: mount.target.clone(),
            read_only: mount.read_only,
        })
    }));
    for path in &image.volumes {
        let covered = mounts.iter().any(|mount| same_path(&mount.target, path))
            || service
                .options
                .tmpfs
                .keys()
                .any(|target| same_path(target, path));
        if !covered {
            mounts.push(MountSpec {
                source: own_volume(mounts.len()),
                target: path.clone(),
                read_only: false,
            });
        }
    }
    mounts
}

/// The source of a bind mount that the engine sees elsewhere.
fn placed(plan: &Plan, placement: &Placement, create: bool) -> MountSpecSource {
    match placement {
        Placement::Path { path, .. } => MountSpecSource::Bind {
            path: path.clone(),
            create,
        },
        Placement::Volume { name, subpath, .. } => MountSpecSource::Volume {
            name: name.clone(),
            labels: BTreeMap::new(),
            subpath: subpath.clone(),
        },
        Placement::Copy(index) => MountSpecSource::Volume {
            name: plan
                .copies
                .get(index.0)
                .map(|copy| copy.volume.clone())
                .unwrap_or_default(),
            labels: run_labels(plan.run, &plan.project),
            subpath: Some(COPIED.to_owned()),
        },
    }
}

fn same_path(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn healthcheck(check: &Healthcheck) -> HealthcheckSpec {
    let nothing = std::time::Duration::ZERO;
    match check {
        Healthcheck::Disabled => HealthcheckSpec {
            test: vec!["NONE".to_owned()],
            interval: nothing,
            timeout: nothing,
            retries: 0,
            start_period: nothing,
        },
        Healthcheck::Check {
            test,
            interval,
            timeout,
            retries,
            start_period,
            ..
        } => HealthcheckSpec {
            test: test.clone().unwrap_or_default(),
            interval: interval.unwrap_or(nothing),
            timeout: timeout.unwrap_or(nothing),
            retries: retries.unwrap_or(0),
            start_period: start_period.unwrap_or(nothing),
        },
    }
}
