//! The reachability matrix as part of a plan: from where each service that it names is tried.
//!
//! A service that runs is tried from beside its container, in the same network namespace. Suites and jobs
//! do not run when the matrix is tried, or not for sure, and so has a service without replicas no container:
//! an agent stands in for them, on the same networks and with the same name servers and hosts, under no
//! name of theirs. Every member is a source and, through a port that its agent listens on, a target.

use std::collections::{BTreeMap, BTreeSet};

use super::{PlannedService, Selection};
use crate::config::model::reachability::{InternetAddress, Whom};
use crate::config::model::{Peer, Project, Protocol, Role, Service};
use crate::engine::ImageFacts;
use crate::name::ServiceName;
use crate::options::ContainerOptions;
use crate::reachability::expected::Model;
use crate::reachability::{Matrix, Pair, Promise};

/// Most ports of a service that are tried beside those that the file names in the matrix: whether packets
/// come through is told by any of them.
pub const MOST_PORTS: usize = 8;

/// The matrix of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The pairs.
    pub matrix: Matrix,
    /// What the file makes of its networks.
    pub model: Model,
    /// The address that `internet` means.
    pub internet: InternetAddress,
    /// The services that the matrix names.
    pub members: BTreeMap<ServiceName, Service>,
    /// From where they are tried, by replica.
    pub observers: BTreeMap<ServiceName, Observer>,
}

/// From where a service is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observer {
    /// The service of the file.
    pub of: ServiceName,
    /// Whether its container does not run, and an agent stands in for it.
    pub stands_in: bool,
}

impl Trial {
    /// The matrix of a project, if it has one and it is selected.
    pub(super) fn new(
        project: &Project,
        services: &BTreeMap<ServiceName, PlannedService>,
        selection: &Selection,
    ) -> Option<Self> {
        let rows = project.settings.reachability.as_ref()?;
        if !selection.has_matrix(project) {
            return None;
        }
        let matrix = Matrix::of(rows);
        let mut members = BTreeMap::new();
        let mut observers = BTreeMap::new();
        for name in matrix.members() {
            let Some(service) = project.services.get(name) else {
                continue;
            };
            members.insert(name.clone(), service.clone());
            let replicas = services
                .values()
                .filter(|planned| planned.is_shared(name))
                .filter(|planned| planned.service.role == Role::Service);
            let running: Vec<_> = replicas.map(|one| one.service.name.clone()).collect();
            let of = name.clone();
            if running.is_empty() {
                let observer = Observer {
                    of: of.clone(),
                    stands_in: true,
                };
                observers.insert(of, observer);
            } else {
                observers.extend(running.into_iter().map(|replica| {
                    let of = of.clone();
                    let stands_in = false;
                    (replica, Observer { of, stands_in })
                }));
            }
        }
        Some(Self {
            matrix,
            model: Model::of(project),
            internet: project.settings.internet.clone().unwrap_or_default(),
            members,
            observers,
        })
    }

    /// Whether the matrix names `internet`.
    #[must_use]
    pub fn names_internet(&self) -> bool {
        self.matrix.ports.contains_key(&Whom::Internet)
    }

    /// The containers of a service that are tried.
    pub fn observers_of<'a>(
        &'a self,
        name: &'a ServiceName,
    ) -> impl Iterator<Item = (&'a ServiceName, &'a Observer)> {
        let observers = self.observers.iter();
        observers.filter(move |(_, observer)| observer.of == *name)
    }

    /// What is tried of a target from a source.
    #[must_use]
    pub fn asked(
        &self,
        source: &ServiceName,
        whom: &Whom,
        image: Option<&ImageFacts>,
    ) -> Option<Asked> {
        let pairs: Vec<&Pair> = self.matrix.between(source, whom).collect();
        if pairs.is_empty() {
            return None;
        }
        let mut asked = Asked::default();
        for pair in pairs {
            let is_promised = pair.promise == Promise::Reachable;
            match pair.target.port {
                Some(port) if is_promised => {
                    asked.promised.insert(port);
                }
                Some(port) => {
                    asked.ports.insert(port);
                }
                None => {
                    asked.is_promised = is_promised;
                    asked.whole = true;
                    asked.packets = pair.promise != Promise::Closed;
                    match whom {
                        Whom::Internet => {
                            asked.ports.insert(self.internet.port);
                            asked.packets = false;
                        }
                        whom => {
                            let named = self.matrix.ports.get(whom).into_iter().flatten();
                            asked.ports.extend(named);
                            asked.ports.extend(self.declared(whom, image));
                        }
                    }
                }
            }
        }
        Some(asked)
    }

    /// The ports that the file or the image says a service to have.
    fn declared(&self, whom: &Whom, image: Option<&ImageFacts>) -> BTreeSet<u16> {
        let Whom::Service(name) = whom else {
            return BTreeSet::new();
        };
        let Some(service) = self.members.get(name) else {
            return BTreeSet::new();
        };
        let ports = service
            .ports
            .iter()
            .map(|port| (port.target, port.protocol));
        let of_file = ports.chain(service.expose.iter().copied());
        let tcp = of_file.filter(|(_, protocol)| *protocol == Protocol::Tcp);
        let mut ports: BTreeSet<u16> = tcp.map(|(port, _)| port).collect();
        if ports.is_empty() {
            ports.extend(image.into_iter().flat_map(|image| image.exposed_tcp.iter()));
        }
        ports.into_iter().take(MOST_PORTS).collect()
    }
}

/// What is tried of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Ports that are promised to accept: they are tried until they do.
    pub promised: BTreeSet<u16>,
    /// Ports that are tried once.
    pub ports: BTreeSet<u16>,
    /// Whether the target as a whole is meant, so that the ports that it is seen to listen on are tried as
    /// well.
    pub whole: bool,
    /// Whether an answer to any packet counts: an echo, a port of the agent beside the target.
    pub packets: bool,
    /// Whether the target as a whole is promised to answer: it is tried until it does.
    pub is_promised: bool,
}

/// The options of a container that decide whom it finds and by which name.
#[must_use]
pub fn finding(service: &Service) -> ContainerOptions {
    let options = &service.options;
    ContainerOptions {
        dns: options.dns.clone(),
        dns_opt: options.dns_opt.clone(),
        dns_search: options.dns_search.clone(),
        extra_hosts: options.extra_hosts.clone(),
        ..ContainerOptions::default()
    }
}

/// The container in whose network a service is, if it is that of another one.
#[must_use]
pub fn host_of(service: &Service) -> Option<&ServiceName> {
    match &service.sharing.network_mode {
        Some(Peer::Service(name)) => Some(name),
        _ => None,
    }
}
