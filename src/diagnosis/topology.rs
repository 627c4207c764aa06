//! Who is where and wants to reach whom, as the model says and as the run stands: all that is known
//! without a look at the network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::endpoint::{self, Endpoint};
use crate::config::model::{Condition, Peer, Protocol, Role};
use crate::name::{NetworkKey, ServiceName};
use crate::plan::{Plan, PlannedNetwork, PlannedService};

/// Longest value of a variable, and number of variables, that are looked at.
const VARIABLES: usize = 500;

/// How a container stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// It has not been started.
    #[default]
    NotStarted,
    /// It runs; whether it was seen to be ready.
    Running {
        /// Whether it was.
        ready: bool,
    },
    /// It has ended, in these words.
    Ended(String),
}

/// A service, or one replica of it.
#[derive(Clone, Default)]
pub struct Node {
    /// The service of the file.
    pub of: String,
    /// Whether somebody waits for its end.
    pub completes: bool,
    /// Its networks, each with the names that it has there.
    pub networks: BTreeMap<NetworkKey, BTreeSet<String>>,
    /// Whether the file says of its networks more than their names.
    pub has_options: bool,
    /// `network_mode:`.
    pub mode: Option<Peer>,
    /// Names under which it finds others by `links`.
    pub links: Vec<(ServiceName, String)>,
    /// Ports in the container that the file or the image names.
    pub ports: BTreeSet<u16>,
    /// Numbers in its command that may be ports.
    pub numbers: BTreeSet<u16>,
    /// Ports of the host that the file asks for, with those of the container behind them.
    pub published: BTreeMap<u16, u16>,
    /// What it waits for.
    pub depends_on: BTreeMap<ServiceName, Condition>,
    /// `environment:`. Its values are compared, and never told.
    pub environment: BTreeMap<String, String>,
    /// Names that it gets by `extra_hosts`.
    pub extra_hosts: BTreeSet<String>,
    /// Name servers of its own.
    pub dns: Vec<String>,
    /// How its container stands.
    pub standing: Standing,
    /// Its address on each network.
    pub addresses: BTreeMap<NetworkKey, IpAddr>,
}

impl fmt::Debug for Node {
    /// Without the values of variables.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Node")
            .field("networks", &self.networks)
            .field("standing", &self.standing)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Whether it runs.
    #[must_use]
    pub const fn runs(&self) -> bool {
        matches!(self.standing, Standing::Running { .. })
    }

    /// Calls everything as the file does.
    fn call(&mut self, shown: &BTreeMap<&ServiceName, &ServiceName>, plan: &Plan) {
        let known = |name: &ServiceName| (*shown.get(name).unwrap_or(&name)).clone();
        let networks = std::mem::take(&mut self.networks).into_iter();
        self.networks = networks
            .map(|(key, names)| {
                let of = plan.copied_networks.get(&key).unwrap_or(&key);
                (of.clone(), names)
            })
            .collect();
        if let Some(Peer::Service(name)) = &mut self.mode {
            *name = known(name);
        }
        for (name, _) in &mut self.links {
            *name = known(name);
        }
        let waits = std::mem::take(&mut self.depends_on).into_iter();
        self.depends_on = waits.map(|(name, how)| (known(&name), how)).collect();
    }

    /// Whether it was seen to be ready.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.standing, Standing::Running { ready: true })
    }
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    /// The services of the run.
    pub services: BTreeMap<ServiceName, Node>,
    /// The networks, and whether each has no way out.
    pub networks: BTreeMap<NetworkKey, bool>,
    /// Of a suite's own environment, the names that the run has for the services and networks that are
    /// called here as in the file.
    pub aliases: Aliases,
    /// Of a suite's own environment, that suite, and the services that are not there since it does not
    /// depend on them.
    pub absent: Option<(ServiceName, BTreeSet<ServiceName>)>,
}

/// The names of a run for what is called as in the file, where these differ.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    services: BTreeMap<ServiceName, ServiceName>,
    networks: BTreeMap<NetworkKey, NetworkKey>,
}

impl Aliases {
    /// The name that the run has for a service.
    #[must_use]
    pub fn service<'name>(&'name self, shown: &'name ServiceName) -> &'name ServiceName {
        self.services.get(shown).unwrap_or(shown)
    }

    /// The name that the run has for a network.
    #[must_use]
    pub fn network<'name>(&'name self, shown: &'name NetworkKey) -> &'name NetworkKey {
        self.networks.get(shown).unwrap_or(shown)
    }
}

/// In whose network namespace a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'topology> {
    /// In that of this service, which is on networks of the project.
    Own(&'topology ServiceName),
    /// On the host's own network.
    Host,
    /// On the engine's default bridge, where nobody has a name.
    Bridge,
    /// On no network at all.
    Nowhere,
    /// In one that nobody here knows.
    Elsewhere(&'topology str),
}

/// A variable that names the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its name; the value is not told.
    pub variable: String,
    /// Where it leads.
    pub endpoint: Endpoint,
}

impl Topology {
    /// That of the environment of a plan that suites share, before anything has started.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self::within(plan, None)
    }

    /// That of one environment of a plan: of the one that suites share, or of that of this suite alone.
    /// Nobody in it meets anybody of another one, and all of them are called as in the file.
    #[must_use]
    pub fn within(plan: &Plan, scope: Option<&ServiceName>) -> Self {
        let members = plan.services.values();
        let members: Vec<&PlannedService> = members
            .filter(|planned| planned.scope.as_ref() == scope)
            .collect();
        let shown: BTreeMap<&ServiceName, &ServiceName> = members
            .iter()
            .map(|planned| (&planned.service.name, &planned.known_as))
            .collect();
        let of_others = plan.services.values().flat_map(|planned| {
            let foreign = planned.scope.as_ref() != scope;
            planned.networks.iter().filter(move |_| foreign)
        });
        let of_others: BTreeSet<&NetworkKey> = of_others.collect();
        let ours: BTreeSet<&NetworkKey> = members.iter().flat_map(|one| &one.networks).collect();
        let mut aliases = Aliases::default();
        let mut networks = BTreeMap::new();
        for (key, network) in &plan.networks {
            // What nobody here is on is not here, unless nobody at all is.
            if of_others.contains(key) && !ours.contains(key) {
                continue;
            }
            let internal = match network {
                PlannedNetwork::Owned { spec, .. } => spec.internal,
                PlannedNetwork::External(_) => false,
            };
            let of = plan.copied_networks.get(key).unwrap_or(key);
            networks.insert(of.clone(), internal);
            aliases.networks.insert(of.clone(), key.clone());
        }
        let services = members.iter().map(|planned| {
            let mut node = node(planned);
            node.call(&shown, plan);
            (planned.known_as.clone(), node)
        });
        let services = services.collect();
        aliases.services = shown
            .into_iter()
            .map(|(name, known)| (known.clone(), name.clone()))
            .collect();
        Self {
            services,
            networks,
            aliases,
            absent: scope.and_then(|suite| {
                let absent = plan.absent.get(suite)?;
                Some((suite.clone(), absent.clone()))
            }),
        }
    }

    /// A service.
    #[must_use]
    pub fn node(&self, name: &ServiceName) -> Option<&Node> {
        self.services.get(name)
    }

    /// In whose network namespace a service is.
    #[must_use]
    pub fn place<'topology>(&'topology self, name: &'topology ServiceName) -> Place<'topology> {
        let mut name = name;
        let mut seen = BTreeSet::new();
        while seen.insert(name) {
            match self.node(name).and_then(|node| node.mode.as_ref()) {
                None => return Place::Own(name),
                Some(Peer::Service(other)) => name = other,
                Some(Peer::Engine(mode)) => {
                    return match mode.as_str() {
                        "host" => Place::Host,
                        "bridge" | "default" => Place::Bridge,
                        "none" => Place::Nowhere,
                        other => Place::Elsewhere(other),
                    };
                }
            }
        }
        Place::Nowhere
    }

    /// The networks of the project that a service is on, those of whose namespace it is in.
    #[must_use]
    pub fn networks_of(&self, name: &ServiceName) -> BTreeSet<&NetworkKey> {
        match self.place(name) {
            Place::Own(owner) => {
                let node = self.node(owner);
                node.map(|node| node.networks.keys().collect())
                    .unwrap_or_default()
            }
            _ => BTreeSet::new(),
        }
    }

    /// The networks that two services are both on.
    #[must_use]
    pub fn shared(&self, one: &ServiceName, other: &ServiceName) -> BTreeSet<&NetworkKey> {
        let ours = self.networks_of(one);
        let theirs = self.networks_of(other);
        ours.intersection(&theirs).copied().collect()
    }

    /// Whether two services are in one network namespace, where `localhost` is the same.
    #[must_use]
    pub fn is_together(&self, one: &ServiceName, other: &ServiceName) -> bool {
        one == other || self.place(one) == self.place(other) && self.place(one) != Place::Bridge
    }

    /// Whether a service has no way out of the networks of the project.
    #[must_use]
    pub fn is_confined(&self, name: &ServiceName) -> bool {
        match self.place(name) {
            Place::Nowhere => true,
            Place::Own(_) => self
                .networks_of(name)
                .into_iter()
                .all(|key| self.networks.get(key).copied().unwrap_or(false)),
            _ => false,
        }
    }

    /// The service that a name or an address means to another one: one that it shares a network with,
    /// if there is one.
    #[must_use]
    pub fn meant(&self, by: &ServiceName, host: &str) -> Option<&ServiceName> {
        let linked = self.node(by).and_then(|node| {
            let mut links = node.links.iter();
            links.find(|(_, alias)| alias.eq_ignore_ascii_case(host))
        });
        if let Some((name, _)) = linked
            && let Some((name, _)) = self.services.get_key_value(name)
        {
            return Some(name);
        }
        let address: Option<IpAddr> = host.parse().ok();
        let means = |name: &ServiceName, node: &Node| {
            let has_name = node.of.eq_ignore_ascii_case(host)
                || name.as_str().eq_ignore_ascii_case(host)
                || node
                    .networks
                    .values()
                    .any(|names| names.iter().any(|one| one.eq_ignore_ascii_case(host)));
            let has_address =
                address.is_some_and(|address| node.addresses.values().any(|one| *one == address));
            has_name || has_address
        };
        let mut found: Vec<&ServiceName> = self
            .services
            .iter()
            .filter(|(name, node)| means(name, node))
            .map(|(name, _)| name)
            .collect();
        // One that is near before one that is not, and one that stays before one that ends.
        found.sort_by_key(|name| {
            let far = *name != by && self.shared(by, name).is_empty();
            let ends = self.node(name).is_some_and(|node| node.completes);
            (far, ends)
        });
        found.first().copied()
    }

    /// Whether a name is given on a network that two services share.
    #[must_use]
    pub fn is_named_on_shared(&self, by: &ServiceName, target: &ServiceName, host: &str) -> bool {
        let Some(node) = self.node(target) else {
            return false;
        };
        let shared = self.shared(by, target);
        node.networks.iter().any(|(key, names)| {
            shared.contains(key) && names.iter().any(|name| name.eq_ignore_ascii_case(host))
        })
    }

    /// Every name that a service of the run has anywhere.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        let nodes = self.services.values();
        let names = nodes.flat_map(|node| {
            let there = node.networks.values().flatten().map(String::as_str);
            there.chain([node.of.as_str()])
        });
        names.filter(|name| !name.is_empty()).collect()
    }

    /// What a service wants to reach, as its variables say: URLs, pairs of host and port, and hosts by
    /// variables that are called so.
    #[must_use]
    pub fn wishes(&self, name: &ServiceName) -> Vec<Wish> {
        let Some(node) = self.node(name) else {
            return Vec::new();
        };
        let variables = node.environment.iter().take(VARIABLES);
        let mut wishes = Vec::new();
        for (variable, value) in variables {
            for mut endpoint in endpoint::of_value(value) {
                let Some(host) = endpoint.host.clone() else {
                    continue;
                };
                let is_url = value.contains("://") || value.contains("host=");
                let is_local = is_local(&host) && (is_url || endpoint.port.is_some());
                let is_known =
                    is_local || endpoint.port.is_some() && self.meant(name, &host).is_some();
                // A variable that happens to say `db`, such as a user, leads nowhere.
                let is_told = is_url || is_host_variable(variable);
                if !is_known && !is_told {
                    continue;
                }
                if endpoint.port.is_none() {
                    endpoint.port = port_beside(&node.environment, variable);
                }
                wishes.push(Wish {
                    variable: variable.clone(),
                    endpoint,
                });
            }
        }
        wishes
    }
}

/// Whether a host is the container itself.
#[must_use]
pub(super) fn is_local(host: &str) -> bool {
    let is_loopback = |address: IpAddr| {
        let address = address.to_canonical();
        address.is_loopback() || address.is_unspecified()
    };
    host == "localhost" || host.parse().is_ok_and(is_loopback)
}

/// Ends of the names of variables that name a host.
const HOST_ENDINGS: [&str; 6] = ["HOST", "HOSTNAME", "ADDR", "ADDRESS", "SERVER", "ENDPOINT"];

fn is_host_variable(variable: &str) -> bool {
    let variable = variable.to_ascii_uppercase();
    // These name the container itself, or what it listens on.
    let is_own = matches!(
        variable.as_str(),
        "HOST" | "HOSTNAME" | "BIND_ADDRESS" | "LISTEN_ADDR" | "LISTEN_ADDRESS"
    );
    !is_own && HOST_ENDINGS.iter().any(|ending| variable.ends_with(ending))
}

/// The port in the variable beside one that names a host: `DB_HOST` and `DB_PORT`.
fn port_beside(environment: &BTreeMap<String, String>, variable: &str) -> Option<u16> {
    let upper = variable.to_ascii_uppercase();
    let ending = HOST_ENDINGS
        .iter()
        .find(|ending| upper.ends_with(**ending))?;
    let stem = variable.get(..variable.len() - ending.len())?;
    let port = ["PORT", "port"]
        .iter()
        .find_map(|port| environment.get(&format!("{stem}{port}")))?;
    port.trim().parse().ok()
}

fn node(planned: &PlannedService) -> Node {
    let service = &planned.service;
    let mut everywhere = BTreeSet::from([planned.known_as.to_string()]);
    if planned.answers {
        everywhere.insert(planned.of.to_string());
    }
    everywhere.extend(service.container_name.clone());
    let networks = planned.networks.iter().map(|key| {
        let mut names = everywhere.clone();
        if let Some(attachment) = service.networks.get(key) {
            names.extend(attachment.aliases.iter().cloned());
        }
        (key.clone(), names)
    });
    let tcp = |(_, protocol): &(u16, Protocol)| *protocol == Protocol::Tcp;
    let exposed = service.expose.iter().copied().filter(tcp);
    let published = service
        .ports
        .iter()
        .filter(|port| port.protocol == Protocol::Tcp);
    let hosts = published.clone().filter_map(|port| {
        let host = port.published.as_ref()?.parse().ok()?;
        Some((host, port.target))
    });
    let attachments = service.networks.values();
    let hosts_file = service.options.extra_hosts.iter();
    let hosts_file = hosts_file.filter_map(|entry| entry.split_once([':', '=']));
    Node {
        of: planned.of.to_string(),
        completes: service.role == Role::Job,
        networks: networks.collect(),
        has_options: attachments
            .clone()
            .any(|attachment| *attachment != Default::default()),
        mode: service.sharing.network_mode.clone(),
        links: service.sharing.links.clone(),
        ports: published
            .map(|port| port.target)
            .chain(exposed.map(|(port, _)| port))
            .collect(),
        numbers: numbers(planned),
        published: hosts.collect(),
        depends_on: service
            .depends_on
            .iter()
            .map(|(name, dependency)| (name.clone(), dependency.condition))
            .collect(),
        environment: service.environment.clone(),
        extra_hosts: hosts_file
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect(),
        dns: service.options.dns.clone(),
        standing: Standing::NotStarted,
        addresses: BTreeMap::new(),
    }
}

/// Numbers in the words of a command, by themselves or at the end of one, that may be ports.
fn numbers(planned: &PlannedService) -> BTreeSet<u16> {
    let service = &planned.service;
    let words = service.entrypoint.iter().chain(&service.command).flatten();
    let words = words.flat_map(|text| text.split_whitespace().take(VARIABLES));
    words
        .filter_map(|word| word.rsplit([':', '=']).next()?.parse().ok())
        .filter(|number| *number > 9)
        .collect()
}
