//! What the file makes of its networks: who shares one with whom, and so can reach it.
//!
//! It knows what engines do with bridges: containers on one network reach each other, those of different
//! ones do not, an `internal` network has no way out but to the address that the engine's host has on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::model::reachability::Whom;
use crate::config::model::{Peer, Project, Service};
use crate::name::{NetworkKey, ServiceName};

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On networks of the project; on none with an empty set.
    Networks(BTreeSet<NetworkKey>),
    /// On the network of the engine's host.
    Host,
    /// On a network that the file does not describe.
    Elsewhere(String),
}

/// The networks of a project and who is on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// Where each service is.
    pub places: BTreeMap<ServiceName, Place>,
    /// The service in whose network another one is, for those with `network_mode: service:NAME`.
    pub guests: BTreeMap<ServiceName, ServiceName>,
    /// The networks, and whether they are `internal`.
    pub networks: BTreeMap<NetworkKey, bool>,
}

/// Whether a source can reach a target by what the file says, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// It can.
    Reachable(String),
    /// It cannot.
    Unreachable(String),
    /// The file does not say enough.
    Unknown(String),
}

impl Expectation {
    /// Yes or no, if that is known.
    #[must_use]
    pub const fn is_reachable(&self) -> Option<bool> {
        match self {
            Self::Reachable(_) => Some(true),
            Self::Unreachable(_) => Some(false),
            Self::Unknown(_) => None,
        }
    }

    /// Why.
    #[must_use]
    pub fn why(&self) -> &str {
        let (Self::Reachable(why) | Self::Unreachable(why) | Self::Unknown(why)) = self;
        why
    }
}

impl Model {
    /// That of a project.
    #[must_use]
    pub fn of(project: &Project) -> Self {
        let mut model = Self {
            networks: project
                .networks
                .iter()
                .map(|(key, network)| (key.clone(), network.internal))
                .collect(),
            ..Self::default()
        };
        for service in project.services.values() {
            let owner = owner(project, service);
            if owner.name != service.name {
                let (guest, owner) = (service.name.clone(), owner.name.clone());
                model.guests.insert(guest, owner);
            }
            model.places.insert(service.name.clone(), place(owner));
        }
        model
    }

    /// The networks that two services share.
    #[must_use]
    pub fn shared(&self, one: &ServiceName, other: &ServiceName) -> Vec<&NetworkKey> {
        let Some(Place::Networks(other)) = self.places.get(other) else {
            return Vec::new();
        };
        let own = self.networks_of(one);
        own.into_iter().filter(|key| other.contains(*key)).collect()
    }

    /// The networks of a service.
    #[must_use]
    pub fn networks_of(&self, name: &ServiceName) -> Vec<&NetworkKey> {
        match self.places.get(name) {
            Some(Place::Networks(networks)) => networks.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// What the file makes of a pair.
    #[must_use]
    pub fn expected(&self, source: &ServiceName, target: &Whom) -> Expectation {
        let Some(place) = self.places.get(source) else {
            return Expectation::Unknown(format!("the file has no service `{source}`"));
        };
        if let Place::Elsewhere(mode) = place {
            return Expectation::Unknown(format!("`{source}` has `network_mode: {mode}`"));
        }
        match target {
            Whom::Service(target) => self.expected_service((source, place), target),
            Whom::Host => match place {
                Place::Host => {
                    Expectation::Reachable(format!("`{source}` is on the host's network"))
                }
                Place::Networks(own) if own.is_empty() => nowhere(source),
                Place::Networks(own) => Expectation::Reachable(format!(
                    "the engine's host has an address on {}",
                    list(own.iter())
                )),
                Place::Elsewhere(_) => Expectation::Unknown(String::new()),
            },
            Whom::Internet => match place {
                Place::Host => {
                    Expectation::Reachable(format!("`{source}` is on the host's network"))
                }
                Place::Networks(own) if own.is_empty() => nowhere(source),
                Place::Networks(own) => {
                    let internal = |key: &&NetworkKey| self.networks.get(*key) == Some(&true);
                    let open: Vec<&NetworkKey> = own.iter().filter(|key| !internal(key)).collect();
                    match open.is_empty() {
                        true => Expectation::Unreachable(format!(
                            "{} {} internal",
                            list(own.iter()),
                            if own.len() == 1 { "is" } else { "are" }
                        )),
                        false => Expectation::Reachable(format!(
                            "{} {} not internal",
                            list(open.iter().copied()),
                            if open.len() == 1 { "is" } else { "are" }
                        )),
                    }
                }
                Place::Elsewhere(_) => Expectation::Unknown(String::new()),
            },
        }
    }

    fn expected_service(
        &self,
        (source, place): (&ServiceName, &Place),
        target: &ServiceName,
    ) -> Expectation {
        let host = |name: &ServiceName| self.guests.get(name).unwrap_or(name).clone();
        if host(source) == host(target) {
            return Expectation::Reachable("they share one network namespace".to_owned());
        }
        match (place, self.places.get(target)) {
            (_, None) => Expectation::Unknown(format!("the file has no service `{target}`")),
            (_, Some(Place::Elsewhere(mode))) => {
                Expectation::Unknown(format!("`{target}` has `network_mode: {mode}`"))
            }
            (Place::Networks(own), Some(Place::Networks(other))) => {
                let shared: Vec<&NetworkKey> = own.intersection(other).collect();
                if !shared.is_empty() {
                    return Expectation::Reachable(format!(
                        "both are on {}",
                        list(shared.iter().copied())
                    ));
                }
                match (own.is_empty(), other.is_empty()) {
                    (true, _) => nowhere(source),
                    (_, true) => nowhere(target),
                    _ => Expectation::Unreachable(format!(
                        "`{source}` is on {}, `{target}` on {}",
                        list(own.iter()),
                        list(other.iter())
                    )),
                }
            }
            (Place::Networks(own), Some(Place::Host)) if own.is_empty() => nowhere(source),
            (Place::Host, Some(Place::Networks(other))) if other.is_empty() => nowhere(target),
            (Place::Host, _) => {
                Expectation::Reachable(format!("`{source}` is on the host's network"))
            }
            (_, Some(Place::Host)) => {
                Expectation::Reachable(format!("`{target}` is on the host's network"))
            }
            (Place::Elsewhere(_), _) => Expectation::Unknown(String::new()),
        }
    }
}

fn nowhere(name: &ServiceName) -> Expectation {
    Expectation::Unreachable(format!("`{name}` is on no network"))
}

fn owner<'project>(project: &'project Project, service: &'project Service) -> &'project Service {
    let mut owner = service;
    // Cycles are refused when the files are read; the bound makes that a bound here as well.
    for _ in 0..project.services.len() {
        match &owner.sharing.network_mode {
            Some(Peer::Service(name)) => match project.services.get(name) {
                Some(next) => owner = next,
                None => break,
            },
            _ => break,
        }
    }
    owner
}

fn place(service: &Service) -> Place {
    match &service.sharing.network_mode {
        Some(Peer::Engine(mode)) if mode == "host" => Place::Host,
        Some(Peer::Engine(mode)) if mode == "none" => Place::Networks(BTreeSet::new()),
        Some(Peer::Engine(mode)) => Place::Elsewhere(mode.clone()),
        Some(Peer::Service(name)) => Place::Elsewhere(format!("service:{name}")),
        None => Place::Networks(service.networks.keys().cloned().collect()),
    }
}

/// Names in backticks with commas between.
pub(super) fn list<T: std::fmt::Display>(names: impl Iterator<Item = T>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
