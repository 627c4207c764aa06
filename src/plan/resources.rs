//! The networks and volumes of a run: which of them are made, and what for.
//!
//! A subnet that the run chooses is chosen when the network is created, since only the engine knows
//! which are taken.

use std::collections::{BTreeMap, BTreeSet};

use super::names::resource_name;
use super::{Selection, subnet};
use crate::config::model::{MountSource, Network, Project, Role, Service};
use crate::engine::{NetworkSpec, VolumeSpec};
use crate::name::{NetworkKey, RunId, VolumeKey};
use crate::options::{AddressPool, Cidr, Ipam};

/// A network of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedNetwork {
    /// Created for this run; the subnet is chosen at the time.
    Owned {
        /// What to create, without the subnet.
        spec: NetworkSpec,
        /// Prefix length that has room for the planned endpoints; `None` when the file fixes the
        /// addresses, or leaves them to another driver.
        prefix: Option<u8>,
    },
    /// The engine's network of this name, used and never removed.
    External(String),
}

/// A volume of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedVolume {
    /// Created for this run.
    Owned(VolumeSpec),
    /// The engine's volume of this name, used and never removed.
    External(String),
}

/// The users of networks, and once more those that an agent of the reachability matrix stands in for: it
/// takes an address of each of their networks.
pub(super) fn with_stand_ins<'project>(
    mut users: Vec<&'project Service>,
    project: &'project Project,
    selection: &Selection,
) -> Vec<&'project Service> {
    let rows = project.settings.reachability.as_ref();
    if let Some(rows) = rows.filter(|_| selection.has_matrix(project)) {
        let matrix = crate::reachability::Matrix::of(rows);
        let members: Vec<_> = matrix.members().cloned().collect();
        let services = members.iter().filter_map(|name| project.services.get(name));
        users
            .extend(services.filter(|service| {
                service.role != Role::Service || service.lifecycle.replicas == 0
            }));
    }
    users
}

/// The networks of a service in the order of the reference: highest priority first, then by name.
pub(super) fn networks_by_priority(service: &Service) -> Vec<NetworkKey> {
    let mut networks: Vec<(&NetworkKey, i64)> = service
        .networks
        .iter()
        .map(|(key, attachment)| (key, attachment.priority))
        .collect();
    networks.sort_by_key(|(key, priority)| (std::cmp::Reverse(*priority), *key));
    networks.into_iter().map(|(key, _)| key.clone()).collect()
}

pub(super) fn networks(
    project: &Project,
    services: &[&Service],
    run: RunId,
    labels: &BTreeMap<String, String>,
) -> BTreeMap<NetworkKey, PlannedNetwork> {
    let mut endpoints: BTreeMap<&NetworkKey, usize> = BTreeMap::new();
    for key in services.iter().flat_map(|service| service.networks.keys()) {
        *endpoints.entry(key).or_default() += 1;
    }
    endpoints
        .into_iter()
        .map(|(key, count)| {
            let network = project.networks.get(key).cloned().unwrap_or_default();
            let planned = match network.external {
                Some(name) => PlannedNetwork::External(name),
                None => PlannedNetwork::Owned {
                    prefix: chooses_subnet(&network).then(|| subnet::prefix_for(count)),
                    spec: NetworkSpec {
                        name: resource_name(run, key.as_str()),
                        labels: network.labels.into_iter().chain(labels.clone()).collect(),
                        driver: network.driver,
                        driver_opts: network.driver_opts,
                        attachable: network.attachable,
                        internal: network.internal,
                        enable_ipv4: network.enable_ipv4,
                        enable_ipv6: network.enable_ipv6,
                        ipam: with_ipv6(network.ipam, network.enable_ipv6, || {
                            subnet::unique_local(run, key)
                        }),
                        subnet: None,
                    },
                },
            };
            (key.clone(), planned)
        })
        .collect()
}

/// The addresses that the file fixes, and a subnet of IPv6 where the file wants one and says not
/// which.
fn with_ipv6(mut ipam: Ipam, enabled: Option<bool>, subnet: impl FnOnce() -> Cidr) -> Ipam {
    let fixes = ipam.pools.iter().any(|pool| pool.subnet.address.is_ipv6());
    if enabled == Some(true) && !fixes && gives_addresses(&ipam) {
        ipam.pools.push(AddressPool {
            subnet: subnet(),
            ip_range: None,
            gateway: None,
            aux_addresses: BTreeMap::new(),
        });
    }
    ipam
}

/// Whether it is the engine's own driver that gives out addresses.
fn gives_addresses(ipam: &Ipam) -> bool {
    ipam.driver
        .as_ref()
        .is_none_or(|driver| driver == "default")
}

/// Whether the run chooses the network's subnet: not where the file fixes one, does not want one, or
/// has another driver give out the addresses.
fn chooses_subnet(network: &Network) -> bool {
    let fixes = network
        .ipam
        .pools
        .iter()
        .any(|pool| pool.subnet.address.is_ipv4());
    !fixes && gives_addresses(&network.ipam) && network.enable_ipv4 != Some(false)
}

pub(super) fn volumes(
    project: &Project,
    services: &[&Service],
    run: RunId,
    labels: &BTreeMap<String, String>,
) -> BTreeMap<VolumeKey, PlannedVolume> {
    let used: BTreeSet<&VolumeKey> = services
        .iter()
        .flat_map(|service| &service.mounts)
        .filter_map(|mount| match &mount.source {
            MountSource::Volume(key) => Some(key),
            _ => None,
        })
        .collect();
    used.into_iter()
        .map(|key| {
            let volume = project.volumes.get(key).cloned().unwrap_or_default();
            let planned = match volume.external {
                Some(name) => PlannedVolume::External(name),
                None => PlannedVolume::Owned(VolumeSpec {
                    name: resource_name(run, key.as_str()),
                    labels: volume.labels.into_iter().chain(labels.clone()).collect(),
                    driver: volume.driver,
                    driver_opts: volume.driver_opts,
                }),
            };
            (key.clone(), planned)
        })
        .collect()
}
