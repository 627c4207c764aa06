//! The reachability matrix in a run: when its agents are sent and where, what is tried of whom, and what
//! came of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::{Dispatcher, Progress};
use crate::config::model::Peer;
use crate::config::model::reachability::Whom;
use crate::engine::{ContainerFacts, Networking};
use crate::event::Event;
use crate::junit;
use crate::name::{ContainerId, NetworkKey, ServiceName};
use crate::outcome::{SuiteOutcome, SuiteResult};
use crate::plan::reachability::{Trial, finding, host_of};
use crate::plan::{Action, StepId, agent};
use crate::reachability::expected::Place;
use crate::reachability::{Promise, Record, SUITE, Seen, Verdict, judge};
use crate::run::effect::{Effect, InPlace, Question, Seat, TrialTask};

/// The agents that were sent.
#[derive(Debug, Default)]
pub(super) struct Observers {
    sent: BTreeMap<ServiceName, Sent>,
    /// How many addresses agents have on each network.
    pub(super) seated: BTreeMap<NetworkKey, u32>,
}

impl Observers {
    /// Takes one more address for an agent; answers how many others have theirs behind it. The last
    /// address may be that of the agent through which probes dial.
    pub(super) fn seat(&mut self, key: &NetworkKey) -> u32 {
        let others = self.seated.entry(key.clone()).or_insert(0);
        *others += 1;
        *others
    }
}

/// An agent that was sent.
#[derive(Debug)]
struct Sent {
    /// Which start of the container it is beside; `None` where it stands in for it.
    start: Option<u32>,
    /// State and addresses of its own container, where it stands in for another.
    facts: Option<ContainerFacts>,
    /// Why there is none.
    problem: Option<String>,
}

impl Dispatcher {
    /// The name of the suite that the matrix is, if there is one.
    pub(super) fn matrix_suite(&self) -> Option<ServiceName> {
        let trial = self.plan.reachability.as_ref();
        trial.map(|_| ServiceName::new(SUITE))
    }

    /// Whether this is the name of that suite.
    pub(super) fn is_matrix(&self, name: &ServiceName) -> bool {
        self.plan.reachability.is_some() && name.as_str() == SUITE
    }

    /// When a suite began, since the start of the run.
    pub(super) fn suite_began(&self, name: &ServiceName) -> Option<Duration> {
        if self.is_matrix(name) {
            let step = self.step_of(&Action::TryReachability)?;
            return self.begun.get(&step).copied();
        }
        self.services.get(name)?.started_at
    }

    /// Sends the agent from which a service is tried: beside its container if that runs, else in its place.
    pub(super) fn begin_observer(&mut self, now: Duration, step: StepId, name: &ServiceName) {
        let Some(trial) = self.plan.reachability.clone() else {
            return self.bug(now, "an agent is sent for no matrix");
        };
        let Some(observer) = trial.observers.get(name) else {
            return self.bug(now, &format!("`{name}` is not tried by the matrix"));
        };
        let runs = !observer.stands_in
            && self
                .services
                .get(name)
                .is_some_and(|state| state.exit.is_none() && !state.completed);
        let mut sent = Sent {
            start: None,
            facts: None,
            problem: None,
        };
        let seat = match self.container(name).filter(|_| runs) {
            Some(container) => {
                sent.start = self.services.get(name).map(|state| state.restarts.starts);
                Ok(Seat::Beside(container))
            }
            None => self.seat_in_place(&trial, &observer.of),
        };
        match seat {
            Ok(seat) => {
                self.observers.sent.insert(name.clone(), sent);
                self.effect(Effect::SendObserver {
                    step,
                    observer: name.clone(),
                    seat,
                });
            }
            Err(problem) => {
                sent.problem = Some(problem);
                self.observers.sent.insert(name.clone(), sent);
                self.step_done(now, step);
            }
        }
    }

    /// Where an agent is sent that stands in for a service.
    fn seat_in_place(&mut self, trial: &Trial, of: &ServiceName) -> Result<Seat, String> {
        let unknown = || format!("`{of}` is not known");
        let service = trial.members.get(of).ok_or_else(unknown)?;
        let finding = finding(service);
        if let Some(host) = host_of(service) {
            let mut hosts = self
                .plan
                .services
                .values()
                .filter(|one| one.is_shared(host));
            let container = hosts.find_map(|one| self.container(&one.service.name));
            let missing = || format!("`{host}`, in whose network `{of}` is, has no container");
            return container.map(Seat::Beside).ok_or_else(missing);
        }
        if let Some(Peer::Engine(mode)) = &service.sharing.network_mode {
            return Ok(Seat::InPlace(Box::new(InPlace {
                networking: Networking::Mode(mode.clone()),
                further: Vec::new(),
                finding,
            })));
        }
        let mut keys: Vec<_> = service.networks.iter().collect();
        keys.sort_by_key(|(key, attachment)| (std::cmp::Reverse(attachment.priority), *key));
        let keys: Vec<_> = keys
            .into_iter()
            .map(|(key, attachment)| (key.clone(), attachment.options.gw_priority))
            .collect();
        let mut endpoints = Vec::new();
        for (key, gw_priority) in keys {
            let id = self.networks.get(&key).cloned();
            let id = id.ok_or_else(|| format!("network `{key}` is not known"))?;
            let others = self.observers.seat(&key);
            let chosen = self.addresses.chosen(&key);
            let mut endpoint =
                agent::endpoint_before(&self.plan, &key, chosen, others).unwrap_or_default();
            endpoint.options.gw_priority = gw_priority;
            endpoints.push((id, endpoint));
        }
        if endpoints.is_empty() {
            return Ok(Seat::InPlace(Box::new(InPlace {
                networking: Networking::Mode("none".to_owned()),
                further: Vec::new(),
                finding,
            })));
        }
        let (first, endpoint) = endpoints.remove(0);
        Ok(Seat::InPlace(Box::new(InPlace {
            networking: Networking::Network(first, endpoint),
            further: endpoints,
            finding,
        })))
    }

    /// An agent was sent, or cannot be had: then the matrix says so, and nothing else fails by it.
    pub(super) fn observer_sent(
        &mut self,
        now: Duration,
        step: StepId,
        facts: Option<ContainerFacts>,
        problem: Option<String>,
    ) {
        let Action::SendObserver(name) = self.plan.steps[step.0].action.clone() else {
            return self.bug(now, "an agent was sent that was not asked for");
        };
        if let Some(sent) = self.observers.sent.get_mut(&name) {
            sent.facts = facts;
            sent.problem = problem;
        }
        self.step_done(now, step);
    }

    /// Everybody is ready, and the matrix is tried.
    pub(super) fn begin_trial(&mut self, step: StepId) {
        self.report(Event::SuiteStarted {
            suite: ServiceName::new(SUITE),
            attempt: 1,
        });
        let Some(trial) = self.plan.reachability.clone() else {
            return;
        };
        let mut task = TrialTask::default();
        for (name, observer) in &trial.observers {
            let of = observer.of.clone();
            match self.observers.sent.get(name) {
                None => {
                    task.missing
                        .insert(name.clone(), (of, "no agent was sent".to_owned()));
                    continue;
                }
                Some(Sent {
                    problem: Some(problem),
                    ..
                }) => {
                    task.missing.insert(name.clone(), (of, problem.clone()));
                    continue;
                }
                Some(sent) => {
                    if let Some((of, container)) = self.outlived(name, sent, &of) {
                        task.anew.push((name.clone(), of, container));
                    }
                }
            }
            // On the host's network a look would be one at the host.
            if matches!(trial.model.places.get(&of), Some(Place::Networks(_))) {
                task.targets
                    .entry(of.clone())
                    .or_default()
                    .push(name.clone());
            }
            for whom in trial.matrix.ports.keys() {
                let image = match whom {
                    Whom::Service(target) => self.image_of(target),
                    _ => None,
                };
                if let Some(asked) = trial.asked(&of, whom, image) {
                    let promises = trial.matrix.between(&of, whom);
                    let promises = promises.filter(|pair| pair.promise != Promise::Nothing);
                    task.questions.push(Question {
                        from: name.clone(),
                        source: of.clone(),
                        target: whom.clone(),
                        name: self.name_of(&trial, whom),
                        addresses: self.addresses_of(&trial, name, whom),
                        asked,
                        promises: promises.cloned().collect(),
                    });
                }
            }
        }
        self.effect(Effect::TryReachability(step, Box::new(task)));
    }

    /// The container beside which an agent has to be sent once more, since its network is not the one that
    /// it had when the agent came.
    fn outlived(
        &self,
        name: &ServiceName,
        sent: &Sent,
        of: &ServiceName,
    ) -> Option<(ServiceName, ContainerId)> {
        let starts = self.services.get(name)?.restarts.starts;
        let is_old = sent.start.is_some_and(|start| start != starts);
        is_old.then(|| Some((of.clone(), self.container(name)?)))?
    }

    fn image_of(&self, of: &ServiceName) -> Option<&crate::engine::ImageFacts> {
        let mut planned = self.plan.services.values();
        let planned = planned.find(|planned| planned.is_shared(of))?;
        self.images.get(&planned.image)
    }

    /// The name by which a target is found, or why it has none.
    fn name_of(&self, trial: &Trial, whom: &Whom) -> Result<String, String> {
        let target = match whom {
            Whom::Host => return Err("the engine's host has none there".to_owned()),
            Whom::Internet if trial.internet.host.parse::<IpAddr>().is_ok() => {
                return Err(format!("`{}` is an address", trial.internet));
            }
            Whom::Internet => return Ok(trial.internet.host.clone()),
            Whom::Service(target) => target,
        };
        let owner = trial.model.guests.get(target).unwrap_or(target);
        match trial.model.places.get(target) {
            Some(Place::Host) => return Err(format!("`{target}` is on the host's network")),
            Some(Place::Elsewhere(mode)) => {
                return Err(format!("`{target}` has `network_mode: {mode}`"));
            }
            Some(Place::Networks(networks)) if networks.is_empty() => {
                return Err(format!("`{target}` is on no network"));
            }
            _ => {}
        }
        let mut observers = trial.observers_of(target).peekable();
        let stands_in = observers.peek().is_none()
            || observers.any(|(name, observer)| observer.stands_in || !self.is_beside(name));
        match stands_in && owner == target {
            true => Err(format!("`{target}` need not run while it is tried")),
            false => Ok(owner.to_string()),
        }
    }

    fn is_beside(&self, name: &ServiceName) -> bool {
        let sent = self.observers.sent.get(name);
        sent.is_some_and(|sent| sent.start.is_some())
    }

    /// The addresses of a target as a source is to reach them, by the replicas of the target.
    fn addresses_of(
        &self,
        trial: &Trial,
        from: &ServiceName,
        whom: &Whom,
    ) -> BTreeMap<String, Vec<IpAddr>> {
        let one = |name: &str, addresses| BTreeMap::from([(name.to_owned(), addresses)]);
        match whom {
            Whom::Internet => {
                let address = trial.internet.host.parse().ok();
                one(whom.as_str(), address.into_iter().collect())
            }
            Whom::Host => one(whom.as_str(), self.gateways_of(trial, from)),
            Whom::Service(target) => {
                if trial.model.places.get(target) == Some(&Place::Host) {
                    return one(target.as_str(), self.gateways_of(trial, from));
                }
                let observers = trial.observers_of(target);
                let addresses = observers.map(|(name, _)| {
                    let facts = self.facts_of(trial, name);
                    let addresses = facts.into_iter().flat_map(|facts| facts.addresses.values());
                    (name.to_string(), addresses.map(|one| one.address).collect())
                });
                addresses.collect()
            }
        }
    }

    /// The addresses that the engine's host has on the networks of a source.
    fn gateways_of(&self, trial: &Trial, from: &ServiceName) -> Vec<IpAddr> {
        let of = trial.observers.get(from).map(|observer| &observer.of);
        if of.and_then(|of| trial.model.places.get(of)) == Some(&Place::Host) {
            return vec![std::net::Ipv4Addr::LOCALHOST.into()];
        }
        let Some(facts) = self.facts_of(trial, from) else {
            return Vec::new();
        };
        let gateways = facts.addresses.iter().filter_map(|(id, address)| {
            // Where the engine names none (`internal` networks), it is what the subnet says.
            address.gateway.or_else(|| {
                let mut networks = self.networks.iter();
                let (key, _) = networks.find(|(_, known)| *known == id)?;
                self.gateway(key)
            })
        });
        gateways.collect()
    }

    /// The container whose addresses are those of an observed one: its own, that of the agent that stands in
    /// for it, or that of the service in whose network it is.
    fn facts_of(&self, trial: &Trial, name: &ServiceName) -> Option<&ContainerFacts> {
        let of = &trial.observers.get(name)?.of;
        if let Some(owner) = trial.model.guests.get(of) {
            let mut owners = self.plan.services.values();
            let owner = owners.find(|one| one.is_shared(owner))?;
            return self.services.get(&owner.service.name)?.facts.as_ref();
        }
        match self.observers.sent.get(name) {
            Some(Sent {
                start: None, facts, ..
            }) => facts.as_ref(),
            _ => self.services.get(name)?.facts.as_ref(),
        }
    }

    /// The matrix was tried: it is judged, and is a suite from here on.
    pub(super) fn reachability_tried(&mut self, now: Duration, step: StepId, seen: &Seen) {
        let Some(trial) = self.plan.reachability.clone() else {
            return;
        };
        // Another suite has ended it.
        if self.is_judged(&ServiceName::new(SUITE)) {
            return;
        }
        let cases = judge(&trial.matrix, &trial.model, seen);
        let run = self.plan.run.to_string();
        let internet = trial.names_internet().then(|| trial.internet.to_string());
        let record = Record::of((&run, &self.plan.project), internet, &cases, seen);
        self.outcome.reachability = Some(record);
        let name = ServiceName::new(SUITE);
        let report = junit::own_report(
            SUITE,
            cases.iter().map(|case| junit::ReportedCase {
                name: case.pair.case_name(),
                duration: case.took,
                message: case.message.clone(),
                details: case.details.clone(),
                verdict: match case.verdict {
                    Verdict::Kept => junit::ReportedVerdict::Passed,
                    Verdict::Broken => junit::ReportedVerdict::Failed("PromiseBroken"),
                    Verdict::Untried => junit::ReportedVerdict::Error("NotTried"),
                    Verdict::Unjudged => junit::ReportedVerdict::Skipped,
                },
            }),
        );
        let counts = report.counts();
        let speak = |case: &&crate::reachability::Case| {
            matches!(case.verdict, Verdict::Broken | Verdict::Untried)
        };
        let problems: Vec<String> = cases
            .iter()
            .filter(speak)
            .map(|case| case.message.clone())
            .collect();
        let passed = problems.is_empty();
        let outcome = SuiteOutcome {
            attempts: 1,
            result: if passed {
                SuiteResult::Passed
            } else {
                SuiteResult::Failed
            },
            started: self.wall_clock_start(&name),
            duration: self.suite_duration(now, &name),
            reports: vec![(SUITE.to_owned(), report)],
            counts,
            ..SuiteOutcome::unknown(name.clone(), name.clone())
        };
        self.report(Event::SuiteFinished {
            suite: name,
            result: outcome.result,
            attempts: 1,
            exit: None,
            duration: outcome.duration,
            tests: counts.tests,
            failures: counts.failures + counts.errors,
            skipped: counts.skipped,
            problems,
            output_tail: Vec::new(),
        });
        self.outcome.suites.push(outcome);
        self.step_done(now, step);
        if !passed {
            self.progress[step.0] = Progress::Failed;
        }
        self.stop_others(now, &ServiceName::new(SUITE));
    }
}
