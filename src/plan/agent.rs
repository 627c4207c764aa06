//! What the in-network agent is put into: its image and its containers. They are the run's like
//! everything else, by name and by label, and no service of the file is called like them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;

use super::{Plan, PlannedNetwork, PlannedService};
use crate::engine::{ContainerSpec, EndpointSpec, ImportSpec, Networking, Subnet, VolumeSpec};
use crate::name::{ContainerId, ImageId, NetworkId, NetworkKey, RunId};
use crate::options::{ContainerOptions, EndpointOptions, Limits};

/// Where the program is in its image.
pub const PROGRAM: &str = "/envrun-agent";

/// Nobody, in every system: the agent needs no rights of its own.
const NOBODY: &str = "65534:65534";

/// What an agent may do to the network namespace it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Use it, as any program there.
    Use,
    /// Change its packet filter and its queues.
    Change,
}

/// What agents of a run are made of.
#[derive(Debug, Clone)]
pub struct Kit {
    run: RunId,
    labels: BTreeMap<String, String>,
    limits: Option<Limits>,
}

impl Kit {
    /// That of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            run: plan.run,
            labels: plan.labels.clone(),
            limits: plan.limits,
        }
    }

    /// That of a run of another process, from the labels that its resources carry.
    #[must_use]
    pub const fn of_run(run: RunId, labels: BTreeMap<String, String>) -> Self {
        Self {
            run,
            labels,
            limits: None,
        }
    }

    /// A volume that only carries a label: how something that was done to a run is noted on the
    /// engine.
    #[must_use]
    pub fn note(&self, key: &str, label: (&str, String)) -> VolumeSpec {
        let mut labels = self.labels.clone();
        labels.insert(label.0.to_owned(), label.1);
        VolumeSpec {
            name: format!("{}_{key}", self.run.prefix().trim_end_matches('-')),
            labels,
            driver: None,
            driver_opts: BTreeMap::new(),
        }
    }

    /// The name of the image.
    #[must_use]
    pub fn image_name(&self) -> String {
        self.name("")
    }

    /// What no service of the file is called: an underscore stands where names of the file have a
    /// dash.
    fn name(&self, rest: &str) -> String {
        format!("{}_agent{rest}", self.run.prefix().trim_end_matches('-'))
    }

    /// The image, of this file system.
    #[must_use]
    pub fn image(&self, archive: Bytes) -> ImportSpec {
        ImportSpec {
            name: self.name(""),
            labels: self.labels.clone(),
            entrypoint: vec![PROGRAM.to_owned()],
            archive,
        }
    }

    /// An agent in the network namespace of a running container. `number` tells the agents of a run
    /// apart.
    #[must_use]
    pub fn beside(
        &self,
        number: u32,
        image: ImageId,
        container: &ContainerId,
        rights: Rights,
    ) -> ContainerSpec {
        let networking = Networking::Mode(format!("container:{container}"));
        self.container(number, image, networking, rights)
    }

    /// An agent in a network namespace of its own, where it can try what it may do elsewhere.
    #[must_use]
    pub fn apart(&self, number: u32, image: ImageId) -> ContainerSpec {
        let networking = Networking::Mode("none".to_owned());
        self.container(number, image, networking, Rights::Change)
    }

    /// An agent on a network in its own right; further ones are connected to it.
    #[must_use]
    pub fn on(
        &self,
        number: u32,
        image: ImageId,
        network: NetworkId,
        endpoint: EndpointSpec,
    ) -> ContainerSpec {
        let networking = Networking::Network(network, endpoint);
        self.container(number, image, networking, Rights::Use)
    }

    /// An agent in place of a service whose container does not run: on its networks, with what decides
    /// whom it finds.
    #[must_use]
    pub fn in_place(
        &self,
        number: u32,
        image: ImageId,
        networking: Networking,
        finding: ContainerOptions,
    ) -> ContainerSpec {
        let mut spec = self.container(number, image, networking, Rights::Use);
        spec.options.dns = finding.dns;
        spec.options.dns_opt = finding.dns_opt;
        spec.options.dns_search = finding.dns_search;
        spec.options.extra_hosts = finding.extra_hosts;
        spec
    }

    fn container(
        &self,
        number: u32,
        image: ImageId,
        networking: Networking,
        rights: Rights,
    ) -> ContainerSpec {
        let may_change = rights == Rights::Change;
        let capabilities = may_change.then(|| "NET_ADMIN".to_owned());
        let mut options = ContainerOptions {
            cap_drop: vec!["ALL".to_owned()],
            cap_add: capabilities.into_iter().collect(),
            read_only: true,
            security_opt: vec!["no-new-privileges".to_owned()],
            ..ContainerOptions::default()
        };
        if let Some(limits) = &self.limits {
            limits.hold(&mut options);
        }
        ContainerSpec {
            name: self.name(&format!("-{number}")),
            labels: self.labels.clone(),
            image,
            command: None,
            entrypoint: None,
            environment: BTreeMap::new(),
            unset_environment: BTreeSet::new(),
            platform: None,
            working_dir: None,
            // The kernel takes capabilities of a process from whoever is not root.
            user: (!may_change).then(|| NOBODY.to_owned()),
            hostname: None,
            networking,
            mac_address: None,
            ipc: None,
            pid: None,
            volumes_from: Vec::new(),
            links: Vec::new(),
            mounts: Vec::new(),
            published: Vec::new(),
            exposed: Vec::new(),
            healthcheck: None,
            converses: true,
            options,
        }
    }
}

/// How an agent hangs on a network: without a name of the file, at the end of the subnet, where no
/// container comes by itself. The engine gives out addresses from the beginning, and one that the file
/// fixes for a service must stay free. `None` where the subnet is not known, or has no room to spare.
#[must_use]
pub fn endpoint(plan: &Plan, key: &NetworkKey, chosen: Option<Subnet>) -> Option<EndpointSpec> {
    endpoint_before(plan, key, chosen, 0)
}

/// The same for an agent that is not the only one: so many others have addresses behind its own.
#[must_use]
pub fn endpoint_before(
    plan: &Plan,
    key: &NetworkKey,
    chosen: Option<Subnet>,
    others: u32,
) -> Option<EndpointSpec> {
    Some(EndpointSpec {
        options: EndpointOptions {
            ipv4_address: Some(last_free(plan, key, chosen, others)?),
            ..EndpointOptions::default()
        },
        ..EndpointSpec::default()
    })
}

/// How the agent hangs on a network that listens to the wishes of suites: by this name, next to the
/// agent through which probes dial. Where the subnet is not known, the engine gives the address.
#[must_use]
pub fn listening_endpoint(
    plan: &Plan,
    key: &NetworkKey,
    (chosen, others): (Option<Subnet>, u32),
    name: &str,
) -> EndpointSpec {
    EndpointSpec {
        aliases: vec![name.to_owned()],
        options: EndpointOptions {
            ipv4_address: last_free(plan, key, chosen, others),
            ..EndpointOptions::default()
        },
        ..EndpointSpec::default()
    }
}

impl PlannedService {
    /// Whether it is a suite that asks for faults where no agent could listen to it.
    pub(super) fn asks_unheard(&self) -> bool {
        let suite = self.service.suite.as_ref();
        suite.is_some_and(|suite| suite.faults.is_some()) && self.networks.is_empty()
    }
}

/// The last address of a network that the file gives to nobody, but for so many others.
fn last_free(
    plan: &Plan,
    key: &NetworkKey,
    chosen: Option<Subnet>,
    others: u32,
) -> Option<Ipv4Addr> {
    let Some(PlannedNetwork::Owned { spec, .. }) = plan.networks.get(key) else {
        return None;
    };
    let mut taken: BTreeSet<IpAddr> = BTreeSet::new();
    let mut endpoints: u32 = 0;
    for planned in plan.services.values() {
        if let Some(attachment) = planned.service.networks.get(key) {
            taken.extend(attachment.options.ipv4_address.map(IpAddr::V4));
            endpoints += 1;
        }
    }
    for pool in &spec.ipam.pools {
        taken.extend(pool.gateway);
        taken.extend(pool.aux_addresses.values());
    }
    let fixed = spec.ipam.pools.iter().find_map(|pool| {
        let within = pool.ip_range.unwrap_or(pool.subnet);
        match within.address {
            IpAddr::V4(base) => Some(Subnet {
                base,
                prefix: within.prefix,
            }),
            IpAddr::V6(_) => None,
        }
    });
    let subnet = chosen.or(fixed)?;
    let size = 1_u32
        .checked_shl(32 - u32::from(subnet.prefix))
        .unwrap_or(0);
    // The network itself, its gateway, everybody, and the agent.
    if size < endpoints + 4 + others {
        return None;
    }
    let first = u32::from(subnet.base);
    // Neither the first addresses, the host's among them, nor the last one, which is everybody's.
    (2..size.wrapping_sub(1))
        .rev()
        .map(|host| Ipv4Addr::from(first | host))
        .filter(|address| !taken.contains(&IpAddr::V4(*address)))
        .nth(usize::try_from(others).ok()?)
}
