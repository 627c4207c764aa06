//! What hangs on what, and what is frozen.

use std::net::Ipv4Addr;

use super::{State, failure};
use crate::engine::{
    Attachment, Attachments, EndpointSpec, EngineError, FailureKind, REPLICA_LABEL, SERVICE_LABEL,
};
use crate::name::{ContainerId, NetworkId};

impl State {
    pub(in crate::engine::memory) fn connect(
        &mut self,
        network: &NetworkId,
        container: &ContainerId,
        endpoint: EndpointSpec,
    ) -> Result<(), EngineError> {
        let found = self
            .networks
            .get_mut(network)
            .ok_or_else(|| failure("connect", FailureKind::NotFound, "no such network"))?;
        let base = found
            .subnet
            .map_or(u32::from(Ipv4Addr::new(172, 17, 0, 0)), |subnet| {
                u32::from(subnet.base)
            });
        let address = match endpoint.options.ipv4_address {
            Some(address) => address,
            None => {
                found.next_host += 1;
                Ipv4Addr::from(base + found.next_host - 1)
            }
        };
        let container = self
            .containers
            .get_mut(container)
            .ok_or_else(|| failure("connect", FailureKind::NotFound, "no such container"))?;
        if container.networks.contains_key(network) {
            let message = "it is on that network already";
            return Err(failure("connect", FailureKind::Refused, message));
        }
        container.networks.insert(network.clone(), address);
        container.endpoints.insert(network.clone(), endpoint);
        Ok(())
    }

    pub(in crate::engine::memory) fn disconnect(
        &mut self,
        network: &NetworkId,
        container: &ContainerId,
    ) -> Result<(), EngineError> {
        let container = self
            .containers
            .get_mut(container)
            .ok_or_else(|| failure("disconnect", FailureKind::NotFound, "no such container"))?;
        container.networks.remove(network);
        container.endpoints.remove(network);
        Ok(())
    }

    pub(in crate::engine::memory) fn attachments(
        &self,
        id: &ContainerId,
    ) -> Result<Attachments, EngineError> {
        let container = self.container(id)?;
        let endpoints = container.endpoints.iter().map(|(id, endpoint)| Attachment {
            network: id.clone(),
            name: self
                .networks
                .get(id)
                .map(|network| network.name.clone())
                .unwrap_or_default(),
            endpoint: endpoint.clone(),
            addresses: container
                .networks
                .get(id)
                .map(|address| (*address).into())
                .into_iter()
                .collect(),
        });
        Ok(Attachments {
            namespace: container.namespace.clone(),
            endpoints: endpoints.collect(),
        })
    }

    /// Whether a container of a service or replica is frozen.
    pub(in crate::engine::memory) fn is_paused(&self, name: &str) -> bool {
        self.containers.values().any(|container| {
            let labels = [REPLICA_LABEL, SERVICE_LABEL];
            let mut labels = labels
                .iter()
                .filter_map(|label| container.labels.get(*label));
            container.paused && labels.any(|label| label == name)
        })
    }

    pub(in crate::engine::memory) fn pause(
        &mut self,
        id: &ContainerId,
        paused: bool,
    ) -> Result<(), EngineError> {
        let container = self.containers.get_mut(id).ok_or_else(|| {
            failure(
                "pause container",
                FailureKind::NotFound,
                "no such container",
            )
        })?;
        if !container.paused && !paused {
            return Ok(());
        }
        if container.paused == paused || !container.life.borrow().is_running() {
            let message = "it is not in that state";
            return Err(failure("pause container", FailureKind::Busy, message));
        }
        container.paused = paused;
        Ok(())
    }
}
