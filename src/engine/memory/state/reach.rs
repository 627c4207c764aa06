//! Who reaches whom: as with bridges, containers on one network reach each other, all reach the host's
//! address on their networks, and what is on a network that is not `internal` also reaches what is beyond.

use std::net::IpAddr;

use super::{Container, State};
use crate::engine::{REPLICA_LABEL, SERVICE_LABEL};
use crate::name::ContainerId;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::memory) enum Arrival {
    /// Somebody accepts it.
    Accepted,
    /// A host answers that nobody does.
    Refused,
    /// It is dropped.
    Dropped,
}

impl State {
    /// The container in whose network namespace another one is.
    fn namespace(&self, id: &ContainerId) -> Option<&Container> {
        let mut container = self.containers.get(id)?;
        for _ in 0..self.containers.len() {
            match container
                .shares
                .as_ref()
                .and_then(|id| self.containers.get(id))
            {
                Some(next) => container = next,
                None => break,
            }
        }
        Some(container)
    }

    /// The addresses of a name, as it is resolved from a container.
    pub(in crate::engine::memory) fn resolve_from(
        &self,
        from: &ContainerId,
        name: &str,
    ) -> Vec<IpAddr> {
        let Some(from) = self.namespace(from) else {
            return Vec::new();
        };
        let named = |container: &&Container| {
            [REPLICA_LABEL, SERVICE_LABEL]
                .iter()
                .any(|label| container.labels.get(*label).is_some_and(|one| one == name))
                && container.life.borrow().is_running()
        };
        let containers = self.containers.values().filter(named);
        let endpoints = containers.flat_map(|container| &container.networks);
        let shared = endpoints.filter(|(network, _)| from.networks.contains_key(*network));
        shared.map(|(_, address)| IpAddr::V4(*address)).collect()
    }

    /// What becomes of a packet from a container to a port, or without a port of an echo.
    pub(in crate::engine::memory) fn arrival(
        &self,
        from: &ContainerId,
        address: IpAddr,
        port: Option<u16>,
    ) -> Arrival {
        let Some(from) = self.namespace(from) else {
            return Arrival::Dropped;
        };
        if address.is_loopback() {
            return match port.is_none_or(|port| from.accepts_on(port)) {
                true => Arrival::Accepted,
                false => Arrival::Refused,
            };
        }
        for container in self.containers.values() {
            let mut endpoints = container.networks.iter();
            let Some((network, _)) = endpoints.find(|(_, own)| IpAddr::V4(**own) == address) else {
                continue;
            };
            if !from.networks.contains_key(network) || !container.life.borrow().is_running() {
                return Arrival::Dropped;
            }
            return match port {
                None => Arrival::Accepted,
                Some(port) if container.accepts_on(port) => Arrival::Accepted,
                Some(port) if container.canaries.contains(&port) => Arrival::Accepted,
                Some(_) => Arrival::Refused,
            };
        }
        let own = from.networks.keys().filter_map(|id| self.networks.get(id));
        let own: Vec<_> = own.collect();
        let gateways = own.iter().filter_map(|network| network.subnet);
        if gateways
            .into_iter()
            .any(|subnet| IpAddr::V4(subnet.gateway()) == address)
        {
            return match port {
                None => Arrival::Accepted,
                Some(_) => Arrival::Refused,
            };
        }
        let is_inside = self.networks.values().filter_map(|network| network.subnet).any(|subnet| {
            matches!(address, IpAddr::V4(address) if subnet.holds(&crate::engine::Subnet { base: address, prefix: 32 }))
        });
        match !is_inside && own.iter().any(|network| !network.internal) {
            true => Arrival::Accepted,
            false => Arrival::Dropped,
        }
    }

    /// Lets an agent listen in the network namespace that it is in.
    pub(in crate::engine::memory) fn listen(&mut self, from: &ContainerId, port: u16) -> bool {
        let id = match self.containers.get(from).and_then(|one| one.shares.clone()) {
            Some(shared) => shared,
            None => from.clone(),
        };
        self.containers
            .get_mut(&id)
            .is_some_and(|container| container.canaries.insert(port))
    }

    /// The kernel's table of what listens in the network namespace of a container.
    pub(in crate::engine::memory) fn sockets_beside(&self, id: &ContainerId) -> String {
        self.namespace(id)
            .map(Container::sockets)
            .unwrap_or_default()
    }
}
