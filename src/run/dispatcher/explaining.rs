//! Explaining a failure before the verdict: how the container stood, what happened to it, and what in
//! the network is the cause.
//!
//! What ends the run is decided when it happens, and nothing that comes afterwards changes it; then it
//! is looked why, for a bounded time. A signal, or an engine that is gone, ends the looks at once. What
//! does not end the run (a suite, a service that nobody requires) is explained while the run goes on,
//! and the verdict waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Dispatcher, Phase, verdict};
use crate::diagnosis::looks::Seen;
use crate::diagnosis::{self, Inquiry, Occasion, Place, Topology};
use crate::engine::{EndpointSpec, FailureKind};
use crate::event::Event;
use crate::junit::SuiteProblem;
use crate::name::{ContainerId, NetworkId, NetworkKey, ServiceName};
use crate::outcome::{Cause, Explanation, Failure, FailureClass, Moment, ProbeRecord};
use crate::plan::agent;
use crate::probe::machine::{Account, Standing};
use crate::probe::{Kind, Tree};
use crate::run::effect::{Effect, ExplainTask, Input, Timer, View};

/// Moments kept of the beginning of a container's history, and of its end: one that is restarted has
/// very many.
const FIRST_MOMENTS: usize = 6;
const LAST_MOMENTS: usize = 10;

/// What has happened to a container.
#[derive(Debug, Default)]
pub(super) struct History {
    moments: Vec<Moment>,
}

impl History {
    /// Something has happened.
    pub(super) fn note(&mut self, at: Duration, what: impl Into<String>) {
        if self.moments.len() == FIRST_MOMENTS + LAST_MOMENTS {
            self.moments.remove(FIRST_MOMENTS);
        }
        self.moments.push(Moment {
            at,
            what: what.into(),
        });
    }
}

/// What is being explained.
#[derive(Debug, Default)]
pub(super) struct Explaining {
    /// What ends the run.
    verdict: Option<Failure>,
    asked: BTreeMap<ServiceName, Asked>,
    /// The networks from which views were had: each view has an address on every one of them.
    views: BTreeMap<BTreeSet<NetworkKey>, Vec<(NetworkId, EndpointSpec)>>,
}

/// A question that is not answered yet.
#[derive(Debug)]
struct Asked {
    inquiry: Inquiry,
    about: About,
}

#[derive(Debug)]
enum About {
    Verdict,
    Optional(Box<Failure>),
    Suite,
}

impl Explaining {
    /// Whether nothing is being explained.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }
}

impl Dispatcher {
    /// Ends the run: the failure is explained, then verdict, then teardown.
    pub(super) fn abort(&mut self, now: Duration, failure: Failure) {
        if self.phase != Phase::Running {
            return;
        }
        let failure = self.described(now, failure);
        let asked = occasion(&failure).is_some_and(|occasion| {
            let service = failure.service.clone();
            service.is_some_and(|service| {
                self.ask(&service, occasion, About::Verdict, output_of(&failure))
            })
        });
        if asked {
            self.phase = Phase::Explaining;
            self.explaining.verdict = Some(failure);
        } else {
            self.ended_by(now, failure);
        }
    }

    /// A service that nobody requires has failed. The run goes on meanwhile.
    pub(super) fn explain_optional(&mut self, now: Duration, failure: Failure) {
        let failure = self.described(now, failure);
        let occasion = occasion(&failure).unwrap_or(Occasion::Ended);
        let output = output_of(&failure);
        if let Some(service) = failure.service.clone() {
            let about = About::Optional(Box::new(failure));
            self.ask(&service, occasion, about, output);
        }
    }

    /// A suite has failed. What its output says of connections is looked into.
    pub(super) fn explain_suite(&mut self, name: &ServiceName) {
        let tail = self.suite_tail(name);
        self.ask(name, Occasion::Suite, About::Suite, tail);
    }

    /// What was seen. The causes follow from it.
    pub(super) fn explained(&mut self, now: Duration, name: &ServiceName, seen: &Seen) {
        let Some(Asked { inquiry, about }) = self.explaining.asked.remove(name) else {
            return;
        };
        let causes = inquiry.causes(seen);
        let unseen = seen.unseen.clone();
        match about {
            About::Verdict => {
                if let Some(mut failure) = self.explaining.verdict.take() {
                    add(&mut failure, causes, unseen);
                    self.ended_by(now, failure);
                }
            }
            About::Optional(mut failure) => {
                add(&mut failure, causes, unseen);
                self.went_without(*failure);
            }
            About::Suite if causes.is_empty() => {}
            About::Suite => self.suite_explained(name, causes, unseen),
        }
    }

    /// Nothing more is waited for: the engine is gone, or somebody wants an end.
    pub(super) fn unexplained(&mut self, now: Duration) {
        if let Some(failure) = self.explaining.verdict.take() {
            self.ended_by(now, failure);
        }
    }

    /// What comes while the end of the run is being explained, which nothing changes any more.
    pub(super) fn while_explaining(&mut self, now: Duration, input: Input) {
        match input {
            Input::Explained { service, seen } => self.explained(now, &service, &seen),
            Input::EngineLost(_) | Input::Panicked(_) | Input::TimedOut(Timer::Run) => {
                self.unexplained(now);
            }
            Input::Failed { error, .. } if error.kind == FailureKind::Unreachable => {
                self.unexplained(now);
            }
            // Whoever has ended is not taken leave of.
            Input::Exited { service, exit, .. } => {
                self.services.entry(service).or_default().exit = Some(exit);
            }
            _ => {}
        }
    }

    /// The end of the run, with all that is known of its cause.
    fn ended_by(&mut self, now: Duration, failure: Failure) {
        // What nobody has answered yet is told as far as it is known.
        for (_, asked) in std::mem::take(&mut self.explaining.asked) {
            if let About::Optional(failure) = asked.about {
                self.went_without(*failure);
            }
        }
        let mut readiness = self.outcome.readiness.iter_mut();
        let shown = readiness
            .find(|one| one.problem.is_some() && Some(&one.service) == failure.service.as_ref());
        if let Some(shown) = shown {
            shown.problem = Some(failure.clone());
        }
        self.report(Event::RunAborted {
            failure: failure.clone(),
        });
        self.outcome.failure = Some(failure);
        verdict::conclude(self, now);
    }

    fn went_without(&mut self, failure: Failure) {
        if let (Some(service), Some(explanation)) = (&failure.service, &failure.explanation) {
            self.report(Event::Explained {
                service: service.clone(),
                explanation: explanation.clone(),
            });
        }
        self.outcome.without.push(failure);
    }

    /// The causes go with the first problem of the suite, or are one where its tests alone have
    /// spoken.
    fn suite_explained(&mut self, name: &ServiceName, causes: Vec<Cause>, unseen: Option<String>) {
        let explanation = Box::new(Explanation {
            causes,
            unseen,
            ..Explanation::default()
        });
        self.report(Event::Explained {
            service: name.clone(),
            explanation: explanation.clone(),
        });
        let suites = &mut self.outcome.suites;
        let Some(suite) = suites.iter_mut().find(|suite| suite.name == *name) else {
            return;
        };
        if suite.problems.is_empty()
            && let Some(cause) = explanation.causes.first()
        {
            suite.problems.push(SuiteProblem {
                kind: cause.kind.to_owned(),
                message: cause.message.clone(),
                details: String::new(),
                is_failure: false,
            });
        }
        suite.explanation = Some(explanation);
    }

    /// A failure with how its container stood and what had happened to it.
    fn described(&self, now: Duration, mut failure: Failure) -> Failure {
        let state = failure
            .service
            .as_ref()
            .and_then(|name| Some((name, self.services.get(name)?)));
        let Some((name, state)) = state else {
            return failure;
        };
        if failure.class != FailureClass::Environment {
            return failure;
        }
        let mut timeline = state.history.moments.clone();
        timeline.push(Moment {
            at: now,
            what: "given up".to_owned(),
        });
        let starts = state.restarts.starts;
        let stands = match (&state.exit, state.started_at) {
            (Some(exit), _) if self.is_resting(name) => format!("to be started again, {exit}"),
            (Some(exit), _) => exit.to_string(),
            (None, Some(_)) if starts > 1 => format!("running, started {starts} times"),
            (None, Some(_)) => "running".to_owned(),
            (None, None) => "not started".to_owned(),
        };
        let explanation = failure.explanation.get_or_insert_default();
        explanation.state = Some(stands);
        explanation.timeline = timeline;
        failure
    }

    /// Asks why something has failed; whether there is anything to ask.
    fn ask(
        &mut self,
        name: &ServiceName,
        occasion: Occasion,
        about: About,
        output: Vec<String>,
    ) -> bool {
        let Some(planned) = self.plan.services.get(name) else {
            return false;
        };
        let (known_as, scope) = (planned.known_as.clone(), planned.scope.clone());
        let topology = self.topology(scope.as_ref());
        let Some(node) = topology.node(&known_as) else {
            return false;
        };
        let view = self.view(&topology, &known_as, node.runs());
        let state = self.services.get(name);
        let container = state.and_then(|state| {
            // One that was never started has written nothing.
            state.started_at.and(state.container.clone())
        });
        let requirement = state.and_then(|state| state.requirement.as_ref());
        let inquiry = Inquiry {
            subject: known_as,
            occasion,
            probed: requirement
                .map(|requirement| probed(&requirement.tree))
                .unwrap_or_default(),
            topology,
        };
        let task = ExplainTask {
            service: name.clone(),
            inquiry: inquiry.clone(),
            container,
            output,
            view,
            beside: self.beside(&inquiry.topology),
        };
        self.effect(Effect::Explain(Box::new(task)));
        self.explaining
            .asked
            .insert(name.clone(), Asked { inquiry, about });
        true
    }

    /// Everybody in one environment, as the run stands.
    fn topology(&self, scope: Option<&ServiceName>) -> Topology {
        let mut topology = Topology::within(&self.plan, scope);
        let keys: BTreeMap<_, &NetworkKey> =
            self.networks.iter().map(|(key, id)| (id, key)).collect();
        for (shown, node) in &mut topology.services {
            let name = topology.aliases.service(shown);
            let image = self
                .plan
                .services
                .get(name)
                .and_then(|planned| self.images.get(&planned.image));
            node.ports.extend(
                image
                    .into_iter()
                    .flat_map(|image| image.exposed_tcp.clone()),
            );
            let Some(state) = self.services.get(name) else {
                continue;
            };
            node.standing = match (&state.exit, state.started_at) {
                (Some(exit), _) => diagnosis::Standing::Ended(exit.to_string()),
                (None, Some(_)) => diagnosis::Standing::Running {
                    ready: state.settled_at.is_some(),
                },
                (None, None) => diagnosis::Standing::NotStarted,
            };
            let addresses = state.facts.iter().flat_map(|facts| &facts.addresses);
            node.addresses = addresses
                .filter_map(|(id, address)| {
                    let key = *keys.get(id)?;
                    let of = self.plan.copied_networks.get(key).unwrap_or(key);
                    Some((of.clone(), address.address))
                })
                .collect();
        }
        topology
    }

    /// For each service that runs, the container in whose network namespace it is.
    fn beside(&self, topology: &Topology) -> BTreeMap<ServiceName, ContainerId> {
        let running = topology.services.iter().filter(|(_, node)| node.runs());
        running
            .filter_map(|(name, _)| {
                let owner = match topology.place(name) {
                    Place::Own(owner) => owner,
                    _ => name,
                };
                let runs = topology.node(owner).is_some_and(|node| node.runs());
                let owner = if runs { owner } else { name };
                let owner = topology.aliases.service(owner);
                Some((name.clone(), self.services.get(owner)?.container.clone()?))
            })
            .collect()
    }

    /// From where the network is looked at as a service sees it: beside it, or on the same networks
    /// where its container has ended and has no view of its own any more.
    fn view(&mut self, topology: &Topology, name: &ServiceName, runs: bool) -> View {
        let beside = |name: &ServiceName| {
            let name = topology.aliases.service(name);
            self.services.get(name)?.container.clone()
        };
        if runs && let Some(container) = beside(name) {
            return View::Beside(container);
        }
        let Place::Own(owner) = topology.place(name) else {
            return View::None;
        };
        if owner != name && topology.node(owner).is_some_and(|node| node.runs()) {
            return beside(owner).map_or(View::None, View::Beside);
        }
        let keys = topology.networks_of(name).into_iter();
        let keys: BTreeSet<NetworkKey> = keys
            .map(|key| topology.aliases.network(key).clone())
            .collect();
        let known = self.explaining.views.get(&keys);
        if let Some(endpoints) = known {
            return View::On(endpoints.clone());
        }
        let mut endpoints = Vec::new();
        for key in &keys {
            // The last address may be that of the agent through which probes dial, and those before it
            // may be taken for the matrix.
            let others = self.observers.seated.entry(key.clone()).or_insert(0);
            *others += 1;
            let chosen = self.addresses.chosen(key);
            let endpoint = agent::endpoint_before(&self.plan, key, chosen, *others);
            if let (Some(endpoint), Some(id)) = (endpoint, self.networks.get(key)) {
                endpoints.push((id.clone(), endpoint));
            }
        }
        self.explaining.views.insert(keys, endpoints.clone());
        View::On(endpoints)
    }
}

/// What has become of the probes of a service, and why there were these.
pub(super) fn of_probes(accounts: &[Account], because: &str) -> Box<Explanation> {
    let probes = accounts.iter().map(|account| ProbeRecord {
        probe: account.words(),
        because: because.to_owned(),
        attempts: account.attempts,
        last: match (&account.last, account.standing) {
            (_, Standing::Passed) => "passed".to_owned(),
            (Some(reason), _) => format!("last: {reason}"),
            (None, _) if account.attempts == 0 => "not tried".to_owned(),
            (None, _) => "no answer so far".to_owned(),
        },
    });
    Box::new(Explanation {
        probes: probes.collect(),
        ..Explanation::default()
    })
}

/// The ports of probes over the network.
fn probed(tree: &Tree) -> BTreeSet<u16> {
    let networks = tree.leaves().into_iter();
    let ports = networks.flat_map(|probe| match &probe.kind {
        Kind::Network(probe) => probe.ports(),
        _ => Vec::new(),
    });
    ports.collect()
}

/// What kind of question a failure is; `None` where the network says nothing about it.
fn occasion(failure: &Failure) -> Option<Occasion> {
    if failure.class != FailureClass::Environment {
        return None;
    }
    match failure.kind {
        "NotReady" => Some(Occasion::NotReady),
        "Died" | "JobFailed" | "HookFailed" => Some(Occasion::Ended),
        "StartFailed" => Some(Occasion::NotStarted),
        _ => None,
    }
}

/// What is at hand of the words of what has failed.
fn output_of(failure: &Failure) -> Vec<String> {
    match failure.kind {
        "StartFailed" => vec![failure.message.clone()],
        _ => failure.log_tail.clone(),
    }
}

/// Adds what was found out.
fn add(failure: &mut Failure, causes: Vec<Cause>, unseen: Option<String>) {
    let explanation = failure.explanation.get_or_insert_default();
    explanation.causes = causes;
    explanation.unseen = unseen;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_keeps_its_beginning_and_its_end() {
        let mut history = History::default();
        for second in 0..1000 {
            history.note(Duration::from_secs(second), format!("moment {second}"));
        }
        let told: Vec<&str> = history
            .moments
            .iter()
            .map(|one| one.what.as_str())
            .collect();
        assert_eq!(told.len(), FIRST_MOMENTS + LAST_MOMENTS);
        assert_eq!(told.first(), Some(&"moment 0"));
        assert_eq!(told.get(FIRST_MOMENTS - 1), Some(&"moment 5"));
        assert_eq!(told.last(), Some(&"moment 999"));
    }
}
