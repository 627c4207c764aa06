//! What the engine in memory has, and how it goes.

use std::time::SystemTime;

use super::{Labels, State};
use crate::engine::memory::failure;
use crate::engine::{
    Belonging, EngineError, FailureKind, NetworkFacts, RUN_LABEL, Removal, Resource, ResourceKind,
    RunOf, Subnet,
};
use crate::name::{ContainerId, ImageId, NetworkId, RunId};
use crate::options::Cidr;

impl State {
    pub(in super::super) fn remove(&mut self, resource: &Resource) -> Result<Removal, EngineError> {
        let busy = |what: &str| Err(failure("remove", FailureKind::Busy, what));
        let removed = match resource.kind {
            ResourceKind::Container => match self
                .containers
                .remove(&ContainerId::new(resource.id.as_str()))
            {
                Some(container) => {
                    container.stop_with(137);
                    true
                }
                None => false,
            },
            ResourceKind::Network => {
                let id = NetworkId::new(resource.id.as_str());
                if self
                    .containers
                    .values()
                    .any(|container| container.networks.contains_key(&id))
                {
                    return busy("network has active endpoints");
                }
                self.networks.remove(&id).is_some()
            }
            ResourceKind::Volume => {
                if self
                    .containers
                    .values()
                    .any(|container| container.volumes.contains(&resource.id))
                {
                    return busy("volume is in use");
                }
                self.volumes.remove(&resource.id).is_some()
            }
            ResourceKind::Image => {
                let id = ImageId::new(resource.id.as_str());
                if self
                    .containers
                    .values()
                    .any(|container| container.image == id)
                {
                    return busy("image is in use");
                }
                self.images.remove(&id).is_some()
            }
        };
        Ok(if removed {
            Removal::Removed
        } else {
            Removal::AlreadyGone
        })
    }

    /// Everything with its labels.
    fn listing(&self) -> impl Iterator<Item = (Resource, &Labels)> {
        let resource = |kind, id: &str, name: &str| Resource {
            kind,
            id: id.to_owned(),
            name: name.to_owned(),
        };
        let containers = self.containers.iter().map(move |(id, container)| {
            (
                resource(ResourceKind::Container, id.as_str(), &container.name),
                &container.labels,
            )
        });
        let networks = self.networks.iter().map(move |(id, network)| {
            (
                resource(ResourceKind::Network, id.as_str(), &network.name),
                &network.labels,
            )
        });
        let volumes = self
            .volumes
            .iter()
            .map(move |(name, labels)| (resource(ResourceKind::Volume, name, name), labels));
        let images = self.images.iter().map(move |(id, (name, labels))| {
            (resource(ResourceKind::Image, id.as_str(), name), labels)
        });
        containers.chain(networks).chain(volumes).chain(images)
    }

    pub(in super::super) fn belongings(&self) -> Vec<Belonging> {
        let belonging = |(resource, labels): (Resource, &Labels)| {
            let names = [resource.name.clone()];
            let created = self.births.get(&resource.id);
            let created = created.and_then(|birth| {
                SystemTime::UNIX_EPOCH.checked_add(birth.duration_since(self.begun))
            });
            let belonging = Belonging::new(resource, &names, labels.clone())?;
            Some(Belonging {
                created,
                ..belonging
            })
        };
        self.listing().filter_map(belonging).collect()
    }

    pub(in super::super) fn network_facts(&self) -> Vec<NetworkFacts> {
        let facts = |name: &str, owner: Option<RunOf>, subnet: Option<Subnet>| NetworkFacts {
            name: name.to_owned(),
            owner,
            subnets: subnet
                .map(|subnet| Cidr {
                    address: subnet.base.into(),
                    prefix: subnet.prefix,
                })
                .into_iter()
                .collect(),
            bridge: None,
            parent: None,
        };
        let own = self.networks.values().map(|network| {
            let run = network.labels.get(RUN_LABEL);
            let owner = run.and_then(|run| RunId::parse(run).ok()).map(|run| RunOf {
                run,
                project: "test".to_owned(),
            });
            facts(&network.name, owner, network.subnet)
        });
        let others = self.occupied.iter();
        let others = others.map(|(subnet, owner)| facts("taken", owner.clone(), Some(*subnet)));
        own.chain(others).collect()
    }

    /// The engine began in 1970.
    pub(in super::super) fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
            .checked_add(self.begun.elapsed())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    pub(in super::super) fn everything(&self) -> Vec<Resource> {
        self.listing().map(|(resource, _)| resource).collect()
    }
}
