//! What exactly a container is created with, once its image and its networks are known.

use std::collections::{BTreeMap, BTreeSet};

use super::host::Placement;
use super::injection::{COPIED, FILLED_AT, PlannedCopy};
use super::{
    ImageIndex, Plan, PlannedService, PlannedVolume, names, resource_name, service_labels, support,
};
use crate::config::model::{Healthcheck, MountSource, Peer};
use crate::engine::{
    ContainerSpec, EndpointSpec, HealthcheckSpec, ImageFacts, MountSpec, MountSpecSource,
    Networking, PublishedSpec,
};
use crate::name::{ContainerId, NetworkId, NetworkKey, ServiceName};
use crate::options::{ContainerOptions, EndpointOptions, MountOptions};

/// What is known of the run when a container is created.
#[derive(Debug, Clone, Copy)]
pub struct Known<'run> {
    /// API version of the engine.
    pub api: (u16, u16),
    /// Which attempt of a suite the container is for, counted from 1.
    pub attempt: u32,
    /// The images that are there.
    pub images: &'run BTreeMap<ImageIndex, ImageFacts>,
    /// The networks that are there.
    pub networks: &'run BTreeMap<NetworkKey, NetworkId>,
    /// The containers that are there.
    pub containers: &'run BTreeMap<ServiceName, ContainerId>,
}

/// How a service hangs on one of its networks: the names under which it is found (its own, its
/// `container_name`, its aliases), those under which it finds others, and what the file says.
/// All replicas are found by the name of the service, each by its own name as well.
#[must_use]
pub fn endpoint(
    plan: &Plan,
    planned: &PlannedService,
    key: &NetworkKey,
    api: (u16, u16),
) -> EndpointSpec {
    let service = &planned.service;
    let mut aliases = vec![planned.known_as.to_string()];
    if planned.answers {
        aliases.insert(0, planned.of.to_string());
    }
    aliases.extend(service.container_name.clone());
    let mut options = EndpointOptions::default();
    if let Some(attachment) = service.networks.get(key) {
        aliases.extend(attachment.aliases.iter().cloned());
        options = attachment.options.clone();
    }
    let mut seen = BTreeSet::new();
    aliases.retain(|alias| seen.insert(alias.clone()));
    if api < support::ENDPOINT_MAC_API {
        options.mac_address = None;
    } else if options.mac_address.is_none() && planned.networks.first() == Some(key) {
        options.mac_address = service.options.mac_address.clone();
    }
    EndpointSpec {
        aliases,
        links: links(plan, planned),
        options,
    }
}

/// The links of a service, each under the names that Compose gives it. A container is named, not its
/// id, since the engine takes names alone for links; names of a run are its own.
///
/// Of several links with one alias the engine keeps the last. So the alias of a service with several
/// replicas leads to the name that all of them answer to, which networks of a file have and the
/// engine's own network has not.
fn links(plan: &Plan, planned: &PlannedService) -> Vec<String> {
    let sharing = &planned.service.sharing;
    let mut links = BTreeSet::new();
    for (name, alias) in &sharing.links {
        let Some(other) = plan.services.get(name) else {
            continue;
        };
        let (of, number) = (&other.of, other.number);
        let mut replicas = plan.services.values();
        let has_others = replicas.any(|one| {
            one.of == *of && one.scope == other.scope && one.answers && one.number != number
        });
        if has_others && !planned.networks.is_empty() {
            links.insert(format!("{of}:{alias}"));
        } else {
            links.insert(format!("{}:{alias}", other.container_name));
        }
        for alias in [
            format!("{of}-{number}"),
            format!("{}-{of}-{number}", plan.project),
        ] {
            links.insert(format!("{}:{alias}", other.container_name));
        }
    }
    links.extend(sharing.external_links.iter().cloned());
    links.into_iter().collect()
}

/// Hardware address of the whole container, for engines that know none of an endpoint.
fn mac_address(planned: &PlannedService, known: &Known<'_>) -> Option<String> {
    let service = &planned.service;
    if known.api >= support::ENDPOINT_MAC_API && !planned.networks.is_empty() {
        return None;
    }
    let first = planned.networks.first();
    let of_first = first.and_then(|key| service.networks.get(key));
    of_first
        .and_then(|attachment| attachment.options.mac_address.clone())
        .or_else(|| service.options.mac_address.clone())
}

/// What a namespace is in the engine's words.
fn namespace(peer: &Peer, known: &Known<'_>) -> Option<String> {
    match peer {
        Peer::Engine(mode) => Some(mode.clone()),
        Peer::Service(name) => {
            let container = known.containers.get(name)?;
            Some(format!("container:{container}"))
        }
    }
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
    known: &Known<'_>,
) -> ContainerSpec {
    let service = &planned.service;
    let sharing = &service.sharing;
    let first = planned.networks.first();
    let first = first.and_then(|key| Some((key, known.networks.get(key)?)));
    let networking = match (&sharing.network_mode, first) {
        (Some(peer), _) => namespace(peer, known).map(Networking::Mode),
        (None, Some((key, id))) => Some(Networking::Network(
            id.clone(),
            endpoint(plan, planned, key, known.api),
        )),
        (None, None) => None,
    };
    let volumes_from = sharing.volumes_from.iter().filter_map(|from| {
        let container = match &from.peer {
            Peer::Engine(name) => name.clone(),
            Peer::Service(name) => known.containers.get(name)?.to_string(),
        };
        let mode = if from.read_only { ":ro" } else { "" };
        Some(format!("{container}{mode}"))
    });
    let mut healthcheck = service.healthcheck.as_ref().map(healthcheck);
    if let Some(check) = &mut healthcheck
        && known.api < support::START_INTERVAL_API
    {
        check.start_interval = std::time::Duration::ZERO;
    }
    ContainerSpec {
        name: names::of_attempt(&planned.container_name, plan.run, known.attempt),
        labels: service_labels(&plan.labels, planned),
        image: image.id.clone(),
        command: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        environment: service.environment.clone(),
        unset_environment: service.unset_environment.clone(),
        platform: service.platform.as_ref().map(ToString::to_string),
        working_dir: service.working_dir.clone(),
        user: service.user.clone(),
        hostname: service.hostname.clone(),
        networking: networking.unwrap_or_else(|| Networking::Mode("none".to_owned())),
        mac_address: mac_address(planned, known),
        ipc: sharing.ipc.as_ref().and_then(|peer| namespace(peer, known)),
        pid: sharing.pid.as_ref().and_then(|peer| namespace(peer, known)),
        volumes_from: volumes_from.collect(),
        links: links(plan, planned),
        mounts: mounts(plan, planned, image, known),
        published: service
            .ports
            .iter()
            .map(|port| PublishedSpec {
                port: port.target,
                protocol: port.protocol,
                host_ip: port.host_ip.clone(),
            })
            .collect(),
        exposed: service.expose.clone(),
        healthcheck,
        converses: false,
        options: plan.held(service.options.clone()),
    }
}

/// The specification of the container through which a volume is filled. It is never started, so nothing
/// of the image matters but that it is there. Where the image has a `VOLUME` stands a tmpfs, so that no
/// volume without a label is made.
#[must_use]
pub fn filler(plan: &Plan, copy: &PlannedCopy, image: &ImageFacts) -> ContainerSpec {
    let labels = plan.labels.clone();
    let tmpfs = image.volumes.iter();
    ContainerSpec {
        name: copy.filler.clone(),
        labels: labels.clone(),
        image: image.id.clone(),
        command: Some(vec!["never-started".to_owned()]),
        entrypoint: None,
        environment: BTreeMap::new(),
        unset_environment: BTreeSet::new(),
        platform: None,
        working_dir: None,
        user: None,
        hostname: None,
        networking: Networking::Mode("none".to_owned()),
        mac_address: None,
        ipc: None,
        pid: None,
        volumes_from: Vec::new(),
        links: Vec::new(),
        mounts: vec![MountSpec {
            source: MountSpecSource::Volume {
                name: copy.volume.clone(),
                labels,
                subpath: None,
            },
            target: FILLED_AT.to_owned(),
            read_only: false,
            options: MountOptions::default(),
        }],
        published: Vec::new(),
        exposed: Vec::new(),
        healthcheck: None,
        converses: false,
        options: ContainerOptions {
            tmpfs: tmpfs.map(|path| (path.clone(), String::new())).collect(),
            ..ContainerOptions::default()
        },
    }
}

fn mounts(
    plan: &Plan,
    planned: &PlannedService,
    image: &ImageFacts,
    known: &Known<'_>,
) -> Vec<MountSpec> {
    let service = &planned.service;
    let labels = plan.labels.clone();
    // Each attempt of a suite begins with empty volumes, like its container, unless something has
    // been put into them before the first.
    let is_filled = || {
        let mut others = plan.services.values();
        others.any(|one| one.volumes_of == service.name && one.service.name != service.name)
    };
    let attempt = if known.attempt > 1 && !is_filled() {
        known.attempt
    } else {
        1
    };
    let volume_of = |owner: &ServiceName, number: usize| {
        let name = resource_name(plan.run, &format!("{owner}-volume-{number}"));
        MountSpecSource::Volume {
            name: names::of_attempt(&name, plan.run, attempt),
            labels: labels.clone(),
            subpath: None,
        }
    };
    let own_volume = |number: usize| volume_of(&planned.volumes_of, number);
    // The volumes of another image are not those of the service.
    let same_image = plan
        .services
        .get(&planned.volumes_of)
        .is_some_and(|owner| owner.image == planned.image);
    let image_owner = if same_image {
        &planned.volumes_of
    } else {
        &service.name
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
                MountSource::Tmpfs => MountSpecSource::Tmpfs,
                MountSource::Image(reference) => {
                    MountSpecSource::Image(mounted_image(planned, reference, known))
                }
                MountSource::Volume(key) => match plan.volumes.get(key) {
                    // It is there already; but a creation whose reply was lost may land after
                    // teardown has removed it, and then the engine makes it anew.
                    Some(PlannedVolume::Owned(spec)) => MountSpecSource::Volume {
                        name: spec.name.clone(),
                        labels: labels.clone(),
                        subpath: mount.options.subpath.clone(),
                    },
                    Some(PlannedVolume::External(name)) => MountSpecSource::Volume {
                        name: name.clone(),
                        labels: BTreeMap::new(),
                        subpath: mount.options.subpath.clone(),
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
            options: mount.options.clone(),
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
            options: MountOptions::default(),
        })
    }));
    let Some(inherited) = inherited(plan, planned, known) else {
        return mounts;
    };
    for path in &image.volumes {
        let targets = mounts.iter().map(|mount| &mount.target);
        let mut targets = targets
            .chain(service.options.tmpfs.keys())
            .chain(&inherited);
        if !targets.any(|target| same_path(target, path)) {
            mounts.push(MountSpec {
                source: volume_of(image_owner, mounts.len()),
                target: path.clone(),
                read_only: false,
                options: MountOptions::default(),
            });
        }
    }
    mounts
}

/// An image that is mounted, by its id: tags race, and what is built has another name.
fn mounted_image(planned: &PlannedService, reference: &str, known: &Known<'_>) -> String {
    let index = planned.mounted_images.get(reference);
    let image = index.and_then(|index| known.images.get(index));
    image.map_or_else(|| reference.to_owned(), |image| image.id.to_string())
}

/// Where `volumes_from` mounts something: a volume of the image must not hide it. `None` when it
/// names a container outside of the run, of which nothing is known; then volumes of the image are
/// left to the engine, which removes them with the container.
fn inherited(plan: &Plan, planned: &PlannedService, known: &Known<'_>) -> Option<Vec<String>> {
    let mut targets = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![planned];
    while let Some(service) = open.pop() {
        for from in &service.service.sharing.volumes_from {
            let Peer::Service(name) = &from.peer else {
                return None;
            };
            let Some(other) = plan.services.get(name).filter(|_| seen.insert(name)) else {
                continue;
            };
            let own = other.service.mounts.iter();
            targets.extend(own.map(|mount| mount.target.clone()));
            if let Some(image) = known.images.get(&other.image) {
                targets.extend(image.volumes.iter().cloned());
            }
            open.push(other);
        }
    }
    Some(targets)
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
            labels: plan.labels.clone(),
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
            start_interval: nothing,
        },
        Healthcheck::Check {
            test,
            interval,
            timeout,
            retries,
            start_period,
            start_interval,
        } => HealthcheckSpec {
            test: test.clone().unwrap_or_default(),
            interval: interval.unwrap_or(nothing),
            timeout: timeout.unwrap_or(nothing),
            retries: retries.unwrap_or(0),
            start_period: start_period.unwrap_or(nothing),
            start_interval: start_interval.unwrap_or(nothing),
        },
    }
}
