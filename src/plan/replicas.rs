//! From the services of a file to containers: a service with several replicas becomes as many
//! services of the plan, and each container that runs before its start a job.
//!
//! So everything that holds for a service holds for a replica: it has a readiness, an output, a
//! death. What depends on the service depends on all of its replicas.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanError;
use super::shards::{self, Part};
use crate::config::model::{
    Attachment, Condition, Dependency, Healthcheck, Lifecycle, Peer, PreStart, Role, Service,
    Sharing, VolumesFrom,
};
use crate::name::{ServiceName, Shard};
use crate::options::ContainerOptions;

/// One container of a service.
pub(super) struct Replica {
    /// The service of the file.
    pub(super) of: ServiceName,
    /// The model of the service with the names of replicas.
    pub(super) service: Service,
    /// Which replica it is, counted from 1.
    pub(super) number: u32,
    /// Which part of a suite it is, where that is divided.
    pub(super) shard: Option<Shard>,
    /// Whether it answers to the name of the service.
    pub(super) answers: bool,
    /// The replica whose volumes without a name it has.
    pub(super) volumes_of: ServiceName,
    /// By which name of its own it is found: that of the service or replica, of a copy as well.
    pub(super) known_as: ServiceName,
    /// The suite in whose own environment it is; `None` in the shared one.
    pub(super) scope: Option<ServiceName>,
}

/// All containers, and what is to be said about them.
pub(super) struct Replicas {
    pub(super) replicas: Vec<Replica>,
    pub(super) warnings: Vec<String>,
}

/// The replicas of the services that take part. A service with 0 replicas has none, and whoever
/// depends on it starts without it, as with Compose. Of a suite that is divided, `parts` take part.
pub(super) fn replicas(
    services: &[&Service],
    parts: &BTreeMap<&ServiceName, Vec<Part>>,
) -> Result<Replicas, PlanError> {
    let taken: BTreeSet<&str> = services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    let names: BTreeMap<&ServiceName, Vec<ServiceName>> = services
        .iter()
        .map(|service| {
            let own = match parts.get(&service.name) {
                Some(parts) => parts.iter().map(|(name, _)| name.clone()).collect(),
                None => names(service, &taken),
            };
            (&service.name, own)
        })
        .collect();
    let mut replicas = Vec::new();
    let mut warnings = Vec::new();
    for service in services {
        let own = &names[&service.name];
        if own.is_empty() {
            warnings.push(not_started(service, services));
        }
        let depends_on: BTreeMap<_, _> = service
            .depends_on
            .iter()
            .flat_map(|(name, how)| {
                let replicas = names.get(name).map(Vec::as_slice).unwrap_or_default();
                replicas.iter().map(move |replica| (replica.clone(), *how))
            })
            .collect();
        let sharing = if own.is_empty() {
            Sharing::default()
        } else {
            sharing(service, &names)?
        };
        let mut before = vec![None; own.len()];
        for (number, hook) in service.lifecycle.pre_start.iter().enumerate() {
            let model = Service {
                depends_on: depends_on.clone(),
                sharing: sharing.clone(),
                ..(*service).clone()
            };
            let number = number + 1;
            let name = |of: &ServiceName| free(format!("{of}-pre_start-{number}"), &taken);
            replicas.extend(pre_start(&model, hook, own, name, &mut before));
        }
        for ((number, name), before) in (1..).zip(own).zip(before) {
            let mut depends_on = depends_on.clone();
            depends_on.extend(before.map(|job| (job, COMPLETED)));
            let mut model = Service {
                name: name.clone(),
                depends_on,
                sharing: sharing.clone(),
                ..(*service).clone()
            };
            let mut parts = parts.get(&service.name).into_iter().flatten();
            let shard = parts.find_map(|(part, shard)| (part == name).then_some(*shard));
            if let Some(shard) = shard {
                shards::tell(&mut model, shard);
            }
            replicas.push(Replica {
                of: service.name.clone(),
                service: model,
                number,
                shard,
                answers: true,
                volumes_of: name.clone(),
                known_as: name.clone(),
                scope: None,
            });
        }
    }
    Ok(Replicas { replicas, warnings })
}

/// With whom a service shares, by the names of replicas: namespaces and volumes are those of the
/// first one, and a link leads to all of them, as with Compose.
fn sharing(
    service: &Service,
    names: &BTreeMap<&ServiceName, Vec<ServiceName>>,
) -> Result<Sharing, PlanError> {
    let peer = |peer: &Peer| match peer {
        Peer::Engine(name) => Ok(Peer::Engine(name.clone())),
        Peer::Service(name) => match names.get(name).map(|names| names.first()) {
            // Whoever is not part of the run at all is reported where it is looked for.
            None => Ok(Peer::Service(name.clone())),
            Some(Some(first)) => Ok(Peer::Service(first.clone())),
            Some(None) => Err(PlanError::SharesWithNobody {
                service: service.name.clone(),
                with: name.clone(),
            }),
        },
    };
    let sharing = &service.sharing;
    let namespace = |namespace: &Option<Peer>| namespace.as_ref().map(peer).transpose();
    let volumes_from = sharing.volumes_from.iter().map(|from| {
        Ok(VolumesFrom {
            peer: peer(&from.peer)?,
            read_only: from.read_only,
        })
    });
    let links = sharing.links.iter().flat_map(|(name, alias)| {
        let replicas = names.get(name).map(Vec::as_slice).unwrap_or_default();
        replicas.iter().map(|name| (name.clone(), alias.clone()))
    });
    Ok(Sharing {
        network_mode: namespace(&sharing.network_mode)?,
        ipc: namespace(&sharing.ipc)?,
        pid: namespace(&sharing.pid)?,
        volumes_from: volumes_from.collect::<Result<_, _>>()?,
        links: links.collect(),
        external_links: sharing.external_links.clone(),
    })
}

/// What a replica waits for that has something to run before its start.
const COMPLETED: Dependency = Dependency {
    condition: Condition::CompletedSuccessfully,
    required: true,
};

/// The jobs of one `pre_start` entry: one for all replicas, or one for each. `before` holds the last
/// job before each replica.
fn pre_start(
    service: &Service,
    hook: &PreStart,
    replicas: &[ServiceName],
    name: impl Fn(&ServiceName) -> ServiceName,
    before: &mut [Option<ServiceName>],
) -> Vec<Replica> {
    let job = |name: ServiceName, volumes_of: &ServiceName, after: &[Option<ServiceName>]| {
        let mut depends_on = service.depends_on.clone();
        depends_on.extend(after.iter().flatten().map(|job| (job.clone(), COMPLETED)));
        Replica {
            of: service.name.clone(),
            known_as: name.clone(),
            service: Service {
                name,
                depends_on,
                ..job_of(service, hook)
            },
            number: 1,
            shard: None,
            answers: false,
            volumes_of: volumes_of.clone(),
            scope: None,
        }
    };
    if hook.per_replica {
        let jobs = replicas.iter().zip(before);
        return jobs
            .map(|(replica, before)| {
                let job = job(name(replica), replica, std::slice::from_ref(before));
                *before = Some(job.service.name.clone());
                job
            })
            .collect();
    }
    let Some(first) = replicas.first() else {
        return Vec::new();
    };
    let job = job(name(&service.name), first, before);
    before.fill(Some(job.service.name.clone()));
    vec![job]
}

/// What runs before the start of a service: a container with its mounts and on its networks, and
/// with nothing else that makes the service what it is.
fn job_of(service: &Service, hook: &PreStart) -> Service {
    let mut environment = service.environment.clone();
    environment.extend(hook.environment.clone());
    let own_image = hook.image.is_some() && hook.image != service.image;
    let mut unset_environment = service.unset_environment.clone();
    unset_environment.retain(|name| !hook.environment.contains_key(name));
    let networks = service.networks.keys();
    Service {
        role: Role::Job,
        image: hook.image.clone().or_else(|| service.image.clone()),
        build: service.build.clone().filter(|_| !own_image),
        // The policy beside a build is about the build.
        pull_policy: service.pull_policy.filter(|_| !own_image),
        command: hook.command.clone(),
        entrypoint: None,
        environment,
        unset_environment,
        networks: networks
            .map(|key| (key.clone(), Attachment::default()))
            .collect(),
        healthcheck: Some(Healthcheck::Disabled),
        working_dir: hook
            .working_dir
            .clone()
            .or_else(|| service.working_dir.clone()),
        user: hook
            .user
            .clone()
            .or_else(|| service.user.clone().filter(|_| !own_image)),
        hostname: None,
        container_name: None,
        sharing: Sharing {
            ipc: None,
            pid: None,
            ..service.sharing.clone()
        },
        ports: Vec::new(),
        expose: Vec::new(),
        labels: BTreeMap::new(),
        ready: None,
        suite: None,
        artifacts: None,
        options: ContainerOptions {
            privileged: hook.privileged,
            tmpfs: service.options.tmpfs.clone(),
            ..ContainerOptions::default()
        },
        lifecycle: Lifecycle::default(),
        ..service.clone()
    }
}

/// The name, or where a service is called like that, the name with hyphens.
fn free(mut name: String, taken: &BTreeSet<&str>) -> ServiceName {
    while taken.contains(name.as_str()) {
        name.push('-');
    }
    ServiceName::new(name)
}

/// The names of the replicas of a service: its own name when there is one, else `web-1`, `web-2`
/// and so on. Where a service is called like that, another hyphen tells them apart.
pub(super) fn names(service: &Service, taken: &BTreeSet<&str>) -> Vec<ServiceName> {
    numbered(&service.name, service.lifecycle.replicas, taken)
}

/// So many names that are made of one, which are not taken.
pub(super) fn numbered(name: &ServiceName, count: u32, taken: &BTreeSet<&str>) -> Vec<ServiceName> {
    if count == 1 {
        return vec![name.clone()];
    }
    let mut hyphens = "-".to_owned();
    loop {
        let names: Vec<ServiceName> = (1..=count)
            .map(|number| ServiceName::new(format!("{name}{hyphens}{number}")))
            .collect();
        if !names.iter().any(|name| taken.contains(name.as_str())) {
            return names;
        }
        hyphens.push('-');
    }
}

fn not_started(service: &Service, services: &[&Service]) -> String {
    let name = &service.name;
    let dependants: Vec<String> = services
        .iter()
        .filter(|other| other.depends_on.contains_key(name))
        .map(|other| format!("`{}`", other.name))
        .collect();
    let mut text = format!("service `{name}` has 0 replicas and is not started");
    if !dependants.is_empty() {
        text.push_str(&format!(
            ", and {} {} without it",
            dependants.join(", "),
            if dependants.len() == 1 {
                "starts"
            } else {
                "start"
            }
        ));
    }
    text
}
