//! The command on this host: one more suite, that finds the services under addresses of this host.
//!
//! It begins when everything in the shared environment is ready or done. Where this host reaches the
//! networks of the run, it is given the containers' own addresses; where not, the ports that the engine has
//! published for it, which is decided before the containers are created.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use super::{Dispatcher, ServiceState};
use crate::config::model::Peer;
use crate::engine::{ContainerFacts, Exit, NetworkAddress, PublishedSpec};
use crate::event::Event;
use crate::name::{NetworkKey, ServiceName};
use crate::options::Protocol;
use crate::plan::addresses::{self, Place, Ports};
use crate::plan::command::may_use;
use crate::plan::{Action, PlannedService};
use crate::run::effect::{Effect, Timer};
use crate::run::host_command::process::RUN_VARIABLE;
use crate::run::host_command::{CommandTask, Deed, News};

/// The variable by which a command knows the output directory.
const OUT_VARIABLE: &str = "ENVRUN_OUT";

/// What is known of which networks this host reaches.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Those that were asked about.
    pub(super) tried: BTreeSet<NetworkKey>,
    /// Those of them that it does not reach, once that is known.
    pub(super) beyond: Option<BTreeSet<NetworkKey>>,
}

impl Dispatcher {
    /// The name of the suite that the command is, if there is one.
    pub(super) fn command_suite(&self) -> Option<ServiceName> {
        let command = self.plan.command.as_ref();
        command.map(|command| command.name.clone())
    }

    /// Whether this is the name of that suite.
    pub(super) fn is_command(&self, name: &ServiceName) -> bool {
        let command = self.plan.command.as_ref();
        command.is_some_and(|command| command.name == *name)
    }

    /// The networks that the command may use, beside those on which something is probed.
    pub(super) fn commanded_networks(&self) -> BTreeSet<NetworkKey> {
        let services = self.plan.services.values();
        let used = services.filter(|planned| self.plan.command.is_some() && may_use(planned));
        used.flat_map(|planned| planned.networks.clone()).collect()
    }

    /// Whether a container may be created: what is published of it depends on what this host reaches.
    pub(super) fn command_lets_create(&self, action: &Action) -> bool {
        let Action::CreateContainer(name) = action else {
            return true;
        };
        let is_used = self.plan.services.get(name).is_some_and(may_use);
        let is_asked = self.plan.command.is_some() && !self.plan.networks.is_empty();
        !is_asked || !is_used || self.reach.beyond.is_some()
    }

    /// The ports of a container that are published for the command, since this host does not reach it
    /// otherwise. What the file publishes is published anyway.
    pub(super) fn published_for_command(&self, name: &ServiceName) -> Vec<PublishedSpec> {
        let Some(planned) = self.plan.services.get(name) else {
            return Vec::new();
        };
        let needs = self.plan.command.is_some()
            && self.settings.engine_host.host.is_some()
            && may_use(planned)
            && planned.service.sharing.network_mode.is_none()
            && !planned.networks.iter().any(|key| self.is_near(key));
        if !needs {
            return Vec::new();
        }
        let published = planned.service.ports.iter();
        let mut seen: BTreeSet<u16> = published
            .filter(|port| port.protocol == Protocol::Tcp)
            .map(|port| port.target)
            .collect();
        // Those who are in its network namespace have no ports of their own.
        let services = self.plan.services.values();
        let owner = |one| self.namespace_of(one).map(|owner| &owner.service.name);
        let inside = services.filter(|one| may_use(one) && owner(one) == Some(name));
        let ports = inside.flat_map(|one| self.ports_of(one).all);
        ports
            .filter(|port| seen.insert(*port))
            .map(|port| PublishedSpec {
                port,
                protocol: Protocol::Tcp,
                host_ip: self.settings.engine_host.publish_on.clone(),
            })
            .collect()
    }

    fn ports_of(&self, planned: &PlannedService) -> Ports {
        let image = self.images.get(&planned.image);
        let exposed = image.map(|image| image.exposed_tcp.clone());
        addresses::ports(&planned.service, &exposed.unwrap_or_default())
    }

    /// Whether this host reaches a network of the run.
    fn is_near(&self, key: &NetworkKey) -> bool {
        let beyond = self.reach.beyond.as_ref();
        self.reach.tried.contains(key) && beyond.is_some_and(|beyond| !beyond.contains(key))
    }

    /// The service in whose network namespace one is; `None` where that is none of the run.
    fn namespace_of<'plan>(
        &'plan self,
        planned: &'plan PlannedService,
    ) -> Option<&'plan PlannedService> {
        let mut planned = planned;
        let mut seen = BTreeSet::new();
        while let Some(peer) = &planned.service.sharing.network_mode {
            match peer {
                Peer::Service(other) if seen.insert(other) => {
                    planned = self.plan.services.get(other)?;
                }
                _ => return None,
            }
        }
        Some(planned)
    }

    /// Begins the command, or the look at the held containers that it needs.
    pub(super) fn begin_command(&mut self, now: Duration) {
        let Some(command) = &self.plan.command else {
            return self.bug(now, "a command is run that is not planned");
        };
        if command.held.is_empty() {
            let places = self.places();
            return self.run_command(&places);
        }
        let held = command.held.iter();
        let held = held.map(|one| (one.name.clone(), one.container.clone()));
        let look = Deed::LookAtHeld(held.collect());
        self.effect(Effect::Command(look));
    }

    /// Where the services of this run are.
    fn places(&self) -> Vec<Place> {
        let services = self.plan.services.values().filter(|one| may_use(one));
        let running = services.filter(|planned| {
            let state = self.services.get(&planned.service.name);
            state.is_some_and(|state| state.started_at.is_some() && state.exit.is_none())
        });
        let places = running.filter_map(|planned| {
            let (host, published) = self.host_of(planned)?;
            Some((
                planned,
                Place {
                    name: planned.service.name.clone(),
                    host,
                    ports: self.ports_of(planned),
                    published,
                },
            ))
        });
        let places: Vec<(&PlannedService, Place)> = places.collect();
        // The name of a service with several replicas stands for the first.
        let of_service = places.iter().filter(|(planned, _)| {
            planned.number == 1 && planned.answers && planned.of != planned.service.name
        });
        let of_service = of_service.map(|(planned, place)| Place {
            name: planned.of.clone(),
            ..place.clone()
        });
        let of_service: Vec<Place> = of_service.collect();
        places
            .into_iter()
            .map(|(_, place)| place)
            .chain(of_service)
            .collect()
    }

    /// Where this host dials a service, and behind which ports it is published if it is dialled there.
    fn host_of(&self, planned: &PlannedService) -> Option<(String, Option<BTreeMap<u16, u16>>)> {
        let engine_host = || self.settings.engine_host.host.clone();
        let Some(owner) = self.namespace_of(planned) else {
            let on_host = self.is_on_host(planned).then(engine_host).flatten();
            return on_host.map(|host| (host, None));
        };
        let facts = self.services.get(&owner.service.name)?.facts.as_ref()?;
        let near = owner.networks.iter().filter(|key| self.is_near(key));
        let mut addresses = near.filter_map(|key| facts.addresses.get(self.networks.get(key)?));
        if let Some(NetworkAddress { address, .. }) = addresses.next() {
            return Some((addresses::host(*address), None));
        }
        let published = addresses::published(&facts.host_ports);
        let host = engine_host()?;
        (!published.is_empty()).then_some((host, Some(published)))
    }

    /// Whether a service is on the network of the engine's host.
    fn is_on_host(&self, planned: &PlannedService) -> bool {
        let mut planned = planned;
        let mut seen = BTreeSet::new();
        loop {
            match &planned.service.sharing.network_mode {
                Some(Peer::Engine(mode)) => return mode == "host",
                Some(Peer::Service(other)) if seen.insert(other) => {
                    match self.plan.services.get(other) {
                        Some(next) => planned = next,
                        None => return false,
                    }
                }
                _ => return false,
            }
        }
    }

    /// Where the services of a held environment are.
    fn held_places(
        &self,
        facts: &BTreeMap<ServiceName, ContainerFacts>,
        near: &BTreeSet<IpAddr>,
    ) -> Vec<Place> {
        let held = self.plan.command.iter().flat_map(|command| &command.held);
        let places = held.filter_map(|one| {
            let facts = facts.get(&one.name)?;
            let (host, published) = match &one.service.sharing.network_mode {
                Some(Peer::Engine(mode)) if mode == "host" => {
                    (self.settings.engine_host.host.clone()?, None)
                }
                _ => {
                    // Where a network names no gateway (`internal`), those of others tell as much.
                    let is_near = |address: &&NetworkAddress| match address.gateway {
                        Some(gateway) => near.contains(&gateway),
                        None => !near.is_empty(),
                    };
                    match facts.addresses.values().find(is_near) {
                        Some(found) => (addresses::host(found.address), None),
                        None => {
                            let published = addresses::published(&facts.host_ports);
                            let host = self.settings.engine_host.host.clone()?;
                            (!published.is_empty()).then_some((host, Some(published)))?
                        }
                    }
                }
            };
            Some(Place {
                name: one.name.clone(),
                host,
                ports: addresses::ports(&one.service, &facts.exposed_tcp),
                published,
            })
        });
        places.collect()
    }

    fn run_command(&mut self, places: &[Place]) {
        let Some(command) = self.plan.command.clone() else {
            return;
        };
        let (variables, warnings) = addresses::variables(places);
        if self.attempt(&command.name) == 1 {
            for message in warnings.into_iter().chain(self.unreached(places)) {
                self.report(Event::Warning { message });
            }
        }
        let mut environment: BTreeMap<String, OsString> = variables
            .into_iter()
            .chain(self.attempt_variable(&command.name))
            .map(|(name, value)| (name, value.into()))
            .collect();
        environment.insert(RUN_VARIABLE.to_owned(), self.plan.run.to_string().into());
        environment.insert(OUT_VARIABLE.to_owned(), command.out.into());
        let task = CommandTask {
            suite: command.name,
            run: self.plan.run,
            program: command.program,
            called: command.called,
            arguments: command.arguments,
            directory: command.directory,
            environment,
            globs: command.suite.junit,
        };
        self.effect(Effect::Command(Deed::Run(Box::new(task))));
    }

    /// The services that the command would have to reach and cannot.
    fn unreached(&self, places: &[Place]) -> Option<String> {
        let ours = self.plan.services.values().filter(|one| may_use(one));
        let ours = ours.map(|planned| &planned.service.name);
        let held = self.plan.command.iter().flat_map(|command| &command.held);
        let without: Vec<String> = ours
            .chain(held.map(|one| &one.name))
            .filter(|name| !places.iter().any(|place| place.name == **name))
            .filter(|name| {
                let state = self.services.get(*name);
                // What has ended is not missed.
                state.is_none_or(|state| state.exit.is_none())
            })
            .map(|name| format!("`{name}`"))
            .collect();
        (!without.is_empty()).then(|| {
            format!(
                "the command gets no address of {}: this host does not reach its networks, and the engine has published nothing of it",
                without.join(", ")
            )
        })
    }

    /// Something has happened to the command.
    pub(super) fn command_news(&mut self, now: Duration, news: News) {
        let Some(name) = self.command_suite() else {
            return self.bug(now, "there is news of no command");
        };
        match news {
            News::HeldSeen { facts, near } => {
                let places = self.held_places(&facts, &near);
                self.run_command(&places);
            }
            News::Started => {
                let attempt = self.attempt(&name);
                self.command_state(&name).started_at = Some(now);
                self.report(Event::SuiteStarted {
                    suite: name.clone(),
                    attempt,
                });
                let limit = self.plan.suite(&name).and_then(|suite| suite.timeout);
                if let Some(limit) = limit.filter(|limit| !limit.is_zero()) {
                    let timer = Timer::Container(name, attempt);
                    self.effect(Effect::StartTimer(timer, limit));
                }
            }
            News::NotStarted(reason) => {
                let exit = Exit {
                    code: None,
                    oom_killed: false,
                    error: Some(reason.clone()),
                };
                self.command_state(&name).exit = Some(exit);
                let reason = format!("the command could not be run: {reason}");
                self.suite_ended(now, &name, Vec::new());
                self.judge_suite(now, &name, Vec::new(), Some(reason));
            }
            News::Ended { exit, log_tail } => {
                self.command_state(&name).exit = Some(exit);
                self.suite_ended(now, &name, log_tail);
            }
        }
    }

    fn command_state(&mut self, name: &ServiceName) -> &mut ServiceState {
        self.services.entry(name.clone()).or_default()
    }

    /// The limit of the command has passed.
    pub(super) fn command_timed_out(&mut self, name: &ServiceName) {
        let state = self.command_state(name);
        if state.exit.is_none() {
            state.timed_out = true;
            self.effect(Effect::Command(Deed::End));
        }
    }
}
