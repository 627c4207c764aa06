//! Suites that run in an environment that is there already: what they use of it becomes something that
//! others own.
//!
//! Pure: the names of a held run's resources follow from its id, so nothing has to be asked for.

use std::collections::BTreeSet;

use super::names::resource_name;
use super::replicas;
use crate::config::model::{
    Network, Peer, Project, Service, Settings, Sharing, Volume, VolumesFrom,
};
use crate::name::{RunId, ServiceName};

/// The suites of a project, on the networks, with the volumes and beside the containers of the held
/// run. To the run that is made of it, all of these are external: used and never removed.
#[must_use]
pub fn within(project: &Project, held: RunId) -> Project {
    let containers = Containers { project, held };
    let networks = project.networks.iter().map(|(key, network)| {
        let external = network.external.clone();
        let external = external.or_else(|| Some(resource_name(held, key.as_str())));
        let network = Network {
            external,
            ..network.clone()
        };
        (key.clone(), network)
    });
    let volumes = project.volumes.iter().map(|(key, volume)| {
        let external = volume.external.clone();
        let external = external.or_else(|| Some(resource_name(held, key.as_str())));
        let volume = Volume {
            external,
            ..volume.clone()
        };
        (key.clone(), volume)
    });
    let suites = project
        .services
        .iter()
        .filter(|(_, service)| service.suite.is_some());
    Project {
        services: suites
            .map(|(name, suite)| (name.clone(), containers.adopt(suite)))
            .collect(),
        networks: networks.collect(),
        volumes: volumes.collect(),
        // What the matrix names is not here, but for the suites.
        settings: Settings {
            reachability: None,
            ..project.settings.clone()
        },
        ..project.clone()
    }
}

/// The services that the suites of a project depend on, directly or not, and that have to be there.
#[must_use]
pub fn needed(project: &Project, suites: &BTreeSet<&ServiceName>) -> BTreeSet<ServiceName> {
    let mut open: Vec<&ServiceName> = suites.iter().copied().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(service) = project.services.get(name)
            && seen.insert(name)
        {
            let required = service.depends_on.iter().filter(|(_, how)| how.required);
            open.extend(required.map(|(name, _)| name));
        }
    }
    let is_suite =
        |name: &ServiceName| matches!(project.services.get(name), Some(one) if one.suite.is_some());
    let has_container = |name: &ServiceName| matches!(project.services.get(name), Some(one) if one.lifecycle.replicas > 0);
    seen.into_iter()
        .filter(|name| !is_suite(name) && has_container(name))
        .cloned()
        .collect()
}

struct Containers<'project> {
    project: &'project Project,
    held: RunId,
}

impl Containers<'_> {
    /// The names of the containers of a service; those of suites are not there.
    fn of(&self, name: &ServiceName) -> Vec<String> {
        let services = &self.project.services;
        let taken = services.keys().map(ServiceName::as_str).collect();
        let service = services.get(name).filter(|one| one.suite.is_none());
        let replicas = service.map(|service| replicas::names(service, &taken));
        replicas
            .unwrap_or_default()
            .iter()
            .map(|replica| resource_name(self.held, replica.as_str()))
            .collect()
    }

    fn adopt(&self, suite: &Service) -> Service {
        let sharing = &suite.sharing;
        let namespace =
            |peer: &Option<Peer>| peer.as_ref().map(|peer| self.peer(peer, "container:"));
        let volumes_from = sharing.volumes_from.iter().map(|from| VolumesFrom {
            peer: self.peer(&from.peer, ""),
            read_only: from.read_only,
        });
        let (outer, inner): (Vec<_>, Vec<_>) = sharing
            .links
            .iter()
            .cloned()
            .partition(|(name, _)| !self.of(name).is_empty());
        let linked = outer.iter().flat_map(|(name, alias)| {
            let mut targets = self.of(name);
            // The engine keeps one container for each alias, so the name of all stands for them.
            if targets.len() > 1 && !suite.networks.is_empty() {
                targets = vec![name.to_string()];
            }
            let targets = targets.into_iter();
            targets.map(move |target| format!("{target}:{alias}"))
        });
        Service {
            sharing: Sharing {
                network_mode: namespace(&sharing.network_mode),
                ipc: namespace(&sharing.ipc),
                pid: namespace(&sharing.pid),
                volumes_from: volumes_from.collect(),
                links: inner,
                external_links: sharing
                    .external_links
                    .iter()
                    .cloned()
                    .chain(linked)
                    .collect(),
            },
            ..suite.clone()
        }
    }

    /// With whom something is shared, in the engine's words where that is a container of the held run.
    fn peer(&self, peer: &Peer, prefix: &str) -> Peer {
        match peer {
            Peer::Service(name) => match self.of(name).first() {
                Some(container) => Peer::Engine(format!("{prefix}{container}")),
                None => peer.clone(),
            },
            Peer::Engine(_) => peer.clone(),
        }
    }
}
