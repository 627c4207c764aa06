//! From where probes are made: from this host where it reaches the networks of the run, else by the
//! in-network agent, which is sent as soon as the networks are there, long before the first probe.

use std::collections::BTreeSet;

use super::{Dispatcher, Progress};
use crate::config::model::Role;
use crate::event::Event;
use crate::name::NetworkKey;
use crate::plan::{Action, PlannedNetwork, agent};
use crate::run::effect::Effect;

impl Dispatcher {
    /// Asks what can be reached from here, once all networks of the run are there.
    pub(super) fn look_around(&mut self) {
        let mut steps = self.plan.steps.iter().zip(&self.progress);
        let is_missing = |progress: &Progress| *progress != Progress::Done;
        if steps.any(|(step, progress)| {
            matches!(step.action, Action::CreateNetwork(_)) && is_missing(progress)
        }) {
            return;
        }
        let gateways: Vec<_> = self
            .probed_networks()
            .into_iter()
            .chain(self.commanded_networks())
            .collect::<BTreeSet<NetworkKey>>()
            .into_iter()
            .filter(|key| self.is_owned(key))
            .filter_map(|key| Some((key.clone(), self.gateway(&key)?)))
            .collect();
        if gateways.is_empty() {
            self.reach.beyond = Some(BTreeSet::new());
        } else {
            self.reach.tried = gateways.iter().map(|(key, _)| key.clone()).collect();
            self.effect(Effect::TryGateways(gateways));
        }
    }

    /// The networks of the run on which something is probed.
    fn probed_networks(&self) -> BTreeSet<NetworkKey> {
        let services = self.plan.services.values();
        let probed = services.filter(|planned| planned.service.role != Role::Suite);
        let keys = probed.flat_map(|planned| planned.networks.iter().take(1));
        keys.filter(|key| self.is_owned(key)).cloned().collect()
    }

    fn is_owned(&self, key: &NetworkKey) -> bool {
        let planned = self.plan.networks.get(key);
        matches!(planned, Some(PlannedNetwork::Owned { .. }))
    }

    /// Sends the agent onto the networks that cannot be dialled from here.
    pub(super) fn gateways_tried(&mut self, beyond: Vec<NetworkKey>) {
        let probed = self.probed_networks();
        self.reach.beyond = Some(beyond.iter().cloned().collect());
        let mut networks = Vec::new();
        for key in beyond.into_iter().filter(|key| probed.contains(key)) {
            let endpoint = agent::endpoint(&self.plan, &key, self.addresses.chosen(&key));
            if let (Some(endpoint), Some(id)) = (endpoint, self.networks.get(&key).cloned()) {
                networks.push((id, endpoint));
                self.stationed.insert(key);
            }
        }
        if !networks.is_empty() {
            self.effect(Effect::StationAgent(networks));
        }
    }

    /// There is no agent, and probes do what they can. Once is enough: it concerns them all.
    pub(super) fn no_agent(&mut self, reason: &str) {
        if std::mem::replace(&mut self.lacks_agent, true) {
            return;
        }
        let message = format!(
            "probes that cannot be made from here are made by commands in the containers, which see that a port is listened on and no more: {reason}"
        );
        self.report(Event::Warning { message });
    }
}
