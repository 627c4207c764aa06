//! How steps begin: from an action of the plan and the facts that are in, to the work that is to be
//! done.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{Dispatcher, Progress};
use crate::config::model::Peer;
use crate::engine::NetworkAddress;
use crate::event::Event;
use crate::name::{ContainerId, NetworkKey, RunId, ServiceName};
use crate::plan::{
    Action, PlannedImage, PlannedNetwork, PlannedService, PlannedVolume, StepId, container,
    readiness,
};
use crate::run::effect::{Effect, ProbeTask, Work};

/// `network_mode: host`: the network of the engine's host.
const HOST_MODE: &str = "host";

/// `network_mode: none`: nothing but the loopback interface.
const NO_NETWORK_MODE: &str = "none";

impl Dispatcher {
    pub(super) fn begin_step(&mut self, now: Duration, id: StepId) {
        self.progress[id.0] = Progress::Running;
        self.begun.insert(id, now);
        let step = self.plan.steps[id.0].clone();
        self.report(Event::StepStarted {
            step: id.0,
            what: self.plan.describe(&step.action),
            cause: self.cause_of(id),
        });
        let work = match &step.action {
            Action::ObtainImage(index) => match &self.plan.images[index.0] {
                PlannedImage::Reference(pull) | PlannedImage::PullOrBuild(pull, _) => {
                    Work::ObtainImage(pull.clone())
                }
                PlannedImage::Build(spec) => Work::BuildImage(spec.clone()),
            },
            Action::CreateNetwork(key) => return self.begin_network(now, id, &key.clone()),
            Action::CreateVolume(key) => match &self.plan.volumes[key] {
                PlannedVolume::Owned(spec) => Work::CreateVolume(spec.clone()),
                PlannedVolume::External(_) => return self.step_done(now, id),
            },
            Action::CreateContainer(name) => {
                let planned = &self.plan.services[name];
                let Some(image) = self.images.get(&planned.image) else {
                    return self.bug(now, &format!("the image of `{name}` is not known"));
                };
                let containers = self.containers();
                let known = container::Known {
                    api: self.api,
                    attempt: self.attempt(name),
                    images: &self.images,
                    networks: &self.networks,
                    containers: &containers,
                };
                let mut spec = container::specification(&self.plan, planned, image, &known);
                spec.published.extend(self.published_for_command(name));
                spec.environment.extend(self.fault_variables(name));
                spec.environment.extend(self.attempt_variable(name));
                let first = planned.networks.first();
                match first.and_then(|key| self.among_others(key)) {
                    Some(run) => Work::CreateAmongOthers(run, Box::new(spec)),
                    None => Work::CreateContainer(Box::new(spec)),
                }
            }
            Action::CreateFiller(index) => {
                let copy = &self.plan.copies[index.0];
                let Some(image) = self.images.get(&copy.image) else {
                    return self.bug(now, &format!("the image of `{}` is not known", copy.filler));
                };
                Work::CreateContainer(Box::new(container::filler(&self.plan, copy, image)))
            }
            Action::Fill(index) => match self.fillers.get(index).cloned() {
                Some(container) => Work::Upload {
                    container,
                    entries: self.plan.copies[index.0].entries.clone(),
                },
                None => return self.bug(now, "the container of a volume to fill is not known"),
            },
            Action::Inject(name) => match self.container(name) {
                Some(container) => Work::Upload {
                    container,
                    entries: self.plan.services[name].injection.direct.clone(),
                },
                None => return self.bug(now, &format!("the container of `{name}` is not known")),
            },
            Action::ConnectNetwork(name, key) => {
                let planned = &self.plan.services[name];
                let endpoint = container::endpoint(&self.plan, planned, key, self.api);
                match (self.networks.get(key).cloned(), self.container(name)) {
                    (Some(network), Some(container)) => Work::Connect {
                        network,
                        container,
                        endpoint,
                        among_others: self.among_others(key),
                    },
                    _ => {
                        return self.bug(now, &format!("`{name}` or network `{key}` is not known"));
                    }
                }
            }
            Action::StartContainer(name) => match self.container(name) {
                Some(container) => Work::Start {
                    service: name.clone(),
                    container,
                },
                None => return self.bug(now, &format!("the container of `{name}` is not known")),
            },
            Action::RunHooks(name) => return self.begin_hooks(now, &name.clone()),
            Action::AwaitReady(name) => return self.begin_wait(now, &name.clone()),
            // The exit is watched from the start on.
            Action::AwaitCompleted(_) | Action::AwaitSuite(_) => return,
            Action::SendObserver(name) => return self.begin_observer(now, id, &name.clone()),
            Action::TryReachability => return self.begin_trial(id),
            Action::RunCommand(_) => return self.begin_command(now),
        };
        self.effect(Effect::Perform(id, work));
    }

    pub(super) fn begin_wait(&mut self, now: Duration, name: &ServiceName) {
        let planned = &self.plan.services[name];
        let host = planned.of.clone();
        let Some(image) = self.images.get(&planned.image) else {
            return self.bug(now, &format!("the image of `{name}` is not known"));
        };
        let requirement = readiness::requirement(&planned.service, image);
        let reason = requirement.reason.clone();
        let state = self.services.entry(name.clone()).or_default();
        state.requirement = Some(requirement.clone());
        if state.exit.is_some() {
            return;
        }
        if !requirement.is_possible {
            return self.nothing_to_check(now, name);
        }
        let start = state.restarts.starts;
        let first_start = state.restarts.first_start;
        let was_settled = state.settled_at.is_some();
        let (Some(container), Some(started)) = (state.container.clone(), state.started_at) else {
            return self.bug(now, &format!("`{name}` is waited for before its start"));
        };
        if requirement.tree.is_empty() {
            return self.ready(now, name, reason, 0);
        }
        let mut requirement = requirement;
        // Restarts do not give a service more time to become ready for the first time.
        if !was_settled {
            let lost = started.saturating_sub(first_start.unwrap_or(started));
            requirement.deadline = requirement.deadline.map(|limit| limit.saturating_sub(lost));
        }
        let (key, address) = self.address(name).unzip();
        let stationed = key
            .flatten()
            .is_some_and(|key| self.stationed.contains(&key));
        let alone = self.is_alone(name);
        self.effect(Effect::Probe(Box::new(ProbeTask {
            service: name.clone(),
            host,
            container,
            address,
            stationed,
            alone,
            requirement,
            started,
            start,
        })));
    }

    /// This run, if a network is one that others use too.
    fn among_others(&self, key: &NetworkKey) -> Option<RunId> {
        let planned = self.plan.networks.get(key)?;
        matches!(planned, PlannedNetwork::External(_)).then_some(self.plan.run)
    }

    /// The containers that are there.
    fn containers(&self) -> BTreeMap<ServiceName, ContainerId> {
        let known = self.services.iter();
        known
            .filter_map(|(name, state)| Some((name.clone(), state.container.clone()?)))
            .collect()
    }

    /// The address of a service that probes dial: on its first network that has one, or of the
    /// service whose network it uses, or of this host. Where the engine names no gateway (`internal`
    /// networks), it is what the subnet says. With the network of the run that it is on.
    pub(super) fn address(
        &self,
        name: &ServiceName,
    ) -> Option<(Option<NetworkKey>, NetworkAddress)> {
        let mut planned = self.plan.services.get(name)?;
        let mut seen = BTreeSet::new();
        while let Some(peer) = &planned.service.sharing.network_mode {
            match peer {
                Peer::Service(other) if seen.insert(other) => {
                    planned = self.plan.services.get(other)?;
                }
                Peer::Engine(mode) if mode == HOST_MODE => {
                    return Some((None, self.host_address()?));
                }
                Peer::Engine(_) => break,
                Peer::Service(_) => return None,
            }
        }
        let facts = self.services.get(&planned.service.name)?.facts.as_ref()?;
        if planned.networks.is_empty() {
            // A network of the engine that the plan does not know.
            return Some((None, facts.addresses.values().next().copied()?));
        }
        planned.networks.iter().find_map(|key| {
            let mut address = *facts.addresses.get(self.networks.get(key)?)?;
            if address.gateway.is_none() {
                address.gateway = self.gateway(key);
            }
            Some((Some(key.clone()), address))
        })
    }

    /// The engine's host seen from itself. Whether that host is ours is judged by the gateway of a
    /// network of the run: there is no other sign of it. Without one, probes look into the
    /// container.
    fn host_address(&self) -> Option<NetworkAddress> {
        let mut networks = self.networks.keys();
        let gateway = networks.find_map(|key| self.gateway(key))?;
        Some(NetworkAddress {
            address: Ipv4Addr::LOCALHOST.into(),
            gateway: Some(gateway),
        })
    }

    /// The address that the engine's host has on a network of the run.
    pub(super) fn gateway(&self, key: &NetworkKey) -> Option<IpAddr> {
        if let Some(subnet) = self.addresses.chosen(key) {
            return Some(subnet.gateway().into());
        }
        match self.plan.networks.get(key)? {
            PlannedNetwork::Owned { spec, .. } => {
                let pool = spec.ipam.pools.first()?;
                Some(pool.gateway.unwrap_or_else(|| pool.subnet.first()))
            }
            PlannedNetwork::External(_) => None,
        }
    }

    /// Whether a service is in a network namespace of its own without any network.
    fn is_alone(&self, name: &ServiceName) -> bool {
        let mode = |name| {
            let planned: &PlannedService = self.plan.services.get(name)?;
            planned.service.sharing.network_mode.as_ref()
        };
        let mut name = name;
        let mut seen = BTreeSet::new();
        while let Some(Peer::Service(other)) = mode(name) {
            if !seen.insert(other) {
                return false;
            }
            name = other;
        }
        matches!(mode(name), Some(Peer::Engine(word)) if word == NO_NETWORK_MODE)
    }
}
