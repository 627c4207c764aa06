//! From the services of a file to containers: a service with several replicas becomes as many
//! services of the plan.
//!
//! So everything that holds for a service holds for a replica: it has a readiness, an output, a
//! death. What depends on the service depends on all of its replicas.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanError;
use crate::config::model::{Peer, Service, Sharing, VolumesFrom};
use crate::name::ServiceName;

/// One container of a service.
pub(super) struct Replica {
    /// The service of the file.
    pub(super) of: ServiceName,
    /// The model of the service with the names of replicas.
    pub(super) service: Service,
    /// Which replica it is, counted from 1.
    pub(super) number: u32,
}

/// All containers, and what is to be said about them.
pub(super) struct Replicas {
    pub(super) replicas: Vec<Replica>,
    pub(super) warnings: Vec<String>,
}

/// The replicas of the services that take part. A service with 0 replicas has none, and whoever
/// depends on it starts without it, as with Compose.
pub(super) fn replicas(services: &[&Service]) -> Result<Replicas, PlanError> {
    let taken: BTreeSet<&str> = services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    let names: BTreeMap<&ServiceName, Vec<ServiceName>> = services
        .iter()
        .map(|service| (&service.name, names(service, &taken)))
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
        replicas.extend((1..).zip(own).map(|(number, name)| Replica {
            of: service.name.clone(),
            service: Service {
                name: name.clone(),
                depends_on: depends_on.clone(),
                sharing: sharing.clone(),
                ..(*service).clone()
            },
            number,
        }));
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

/// The names of the replicas of a service: its own name when there is one, else `web-1`, `web-2`
/// and so on. Where a service is called like that, another hyphen tells them apart.
fn names(service: &Service, taken: &BTreeSet<&str>) -> Vec<ServiceName> {
    let count = service.lifecycle.replicas;
    if count == 1 {
        return vec![service.name.clone()];
    }
    let mut hyphens = "-".to_owned();
    loop {
        let names: Vec<ServiceName> = (1..=count)
            .map(|number| ServiceName::new(format!("{}{hyphens}{number}", service.name)))
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
