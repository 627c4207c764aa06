//! What is answered to the wishes of suites.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::{Active, FaultId, Standing, Undoing, described, undone};
use crate::config::model::{Role, SuiteFaults};
use crate::fault::scene::{self, Member, Targets};
use crate::fault::{Fault, Kind, Request};
use crate::name::ServiceName;
use crate::run::dispatcher::Dispatcher;
use crate::run::effect::Effect;
use crate::run::post::{Answer, Ticket, Wish};

/// How many faults there may be at once. Nobody needs as many, and each is a volume on the engine.
const MOST: usize = 100;

/// How many there may be in a run: what they need of agents goes with its end only.
const MOST_EVER: u32 = 1000;

impl Dispatcher {
    /// A suite wishes something.
    pub(in crate::run::dispatcher) fn wished(
        &mut self,
        now: Duration,
        (ticket, suite): (Ticket, &ServiceName),
        wish: Wish,
    ) {
        if self.has_ended(suite) {
            let answer = Answer::refusal(410, "the suite has ended", None);
            return self.answer(ticket, answer);
        }
        match wish {
            Wish::List => {
                let all = self.faults.all.iter();
                let all: Vec<_> = all.map(|(id, active)| described(*id, active)).collect();
                self.answer(ticket, Answer::new(200, json!({ "faults": all })));
            }
            Wish::Begin(request) => {
                if let Err(answer) = self.begin_fault(now, (ticket, suite), request) {
                    self.answer(ticket, answer);
                }
            }
            Wish::Undo(id) => {
                let found = self.those(suite, |number, _| number.to_string() == id);
                let problem = format!("this suite has no fault `{id}` in effect");
                self.undo_all(ticket, found, Some((404, problem)));
            }
            Wish::Unpause(service) => {
                let found = self.those(suite, |_, active| {
                    matches!(&active.request.fault, Fault::Pause { service: paused } if *paused == service)
                });
                let problem = format!("`{service}` is not paused by this suite");
                self.undo_all(ticket, found, Some((409, problem)));
            }
            Wish::UndoAll => {
                let found = self.those(suite, |_, _| true);
                self.undo_all(ticket, found, None);
            }
        }
    }

    /// The faults of a suite that the condition likes.
    fn those(
        &self,
        suite: &ServiceName,
        condition: impl Fn(FaultId, &Active) -> bool,
    ) -> BTreeSet<FaultId> {
        let all = self.faults.all.iter();
        let theirs = all.filter(|(_, active)| active.suite == *suite);
        let liked = theirs.filter(|(id, active)| condition(**id, active));
        liked.map(|(id, _)| *id).collect()
    }

    fn undo_all(&mut self, ticket: Ticket, ids: BTreeSet<FaultId>, none: Option<(u16, String)>) {
        if ids.is_empty() {
            let answer = match none {
                Some((status, problem)) => {
                    let hint = "`GET $ENVRUN_FAULTS_URL` tells which faults there are";
                    Answer::refusal(status, &problem, Some(hint))
                }
                None => Answer::new(200, undone(&[])),
            };
            return self.answer(ticket, answer);
        }
        self.faults.undoings.push(Undoing {
            ticket,
            missing: ids.clone(),
            undone: Vec::new(),
            problems: Vec::new(),
        });
        for id in ids {
            self.undo(id);
        }
    }

    fn begin_fault(
        &mut self,
        now: Duration,
        (ticket, suite): (Ticket, &ServiceName),
        request: Request,
    ) -> Result<(), Answer> {
        let kind = request.fault.kind();
        let allowed = self.plan.services[suite].service.suite.as_ref();
        let allowed = allowed.and_then(|suite| suite.faults.as_ref());
        if !allowed.is_some_and(|faults: &SuiteFaults| faults.allow(kind)) {
            let problem = format!("suite `{suite}` does not ask for `{kind}`");
            let hint = format!("add `{kind}` to its `x-envrun.suite.faults`");
            return Err(Answer::refusal(403, &problem, Some(&hint)));
        }
        if self.faults.all.len() >= MOST {
            let problem = format!("there are {MOST} faults already");
            return Err(Answer::refusal(409, &problem, Some("undo some of them")));
        }
        if self.faults.last >= MOST_EVER {
            let problem = format!("there were {MOST_EVER} faults in this run");
            return Err(Answer::refusal(409, &problem, None));
        }
        let targets = scene::targets(&request.fault, &self.members(suite));
        let targets = targets.map_err(|error| {
            let status = if error.problem.ends_with("does not run") {
                409
            } else {
                400
            };
            Answer::wrong(status, &error)
        })?;
        self.in_the_way(&request.fault, &targets)?;
        self.faults.last += 1;
        let id = self.faults.last;
        let ends = matches!(kind, Kind::Kill | Kind::Restart);
        let names = targets.a.iter().map(|target| target.name.clone());
        let falling = if ends {
            names.collect()
        } else {
            BTreeSet::new()
        };
        let active = Active {
            request: request.clone(),
            targets: targets.clone(),
            suite: suite.clone(),
            standing: Standing::Beginning { undo: false },
            since: now,
            mark: None,
            falling,
            down: BTreeSet::new(),
            rising: BTreeSet::new(),
            asked: Some(ticket),
        };
        self.faults.all.insert(id, active);
        let request = self.in_run(suite, request);
        self.effect(Effect::BeginFault {
            id,
            suite: suite.clone(),
            request,
            targets,
        });
        Ok(())
    }

    /// What is in effect already and does not go together with a fault.
    fn in_the_way(&self, fault: &Fault, targets: &Targets) -> Result<(), Answer> {
        let kind = fault.kind();
        for (id, other) in &self.faults.all {
            let both = targets.all().find(|target| other.meets(&target.name));
            let Some(both) = both else {
                continue;
            };
            let other_kind = other.request.fault.kind();
            let ends = |kind| matches!(kind, Kind::Kill | Kind::Restart);
            let clashes = match kind {
                Kind::Pause | Kind::Kill | Kind::Restart => {
                    other_kind == Kind::Pause || ends(other_kind)
                }
                Kind::Latency => other_kind == Kind::Latency || ends(other_kind),
                Kind::Connect | Kind::Disconnect => {
                    matches!(other_kind, Kind::Connect | Kind::Disconnect)
                        && other.standing != Standing::InEffect
                }
                Kind::Partition | Kind::Drop => false,
            };
            if clashes {
                let problem = format!(
                    "`{}` does not go together with fault {id}, `{}`, on `{}`",
                    fault, other.request.fault, both.name
                );
                let hint = format!("undo it first: `DELETE $ENVRUN_FAULTS_URL/faults/{id}`");
                return Err(Answer::refusal(409, &problem, Some(&hint)));
            }
        }
        Ok(())
    }

    /// A request of a suite in the words of the run: a network is the one of its own environment.
    fn in_run(&self, suite: &ServiceName, mut request: Request) -> Request {
        let scope = self.plan.services.get(suite);
        let Some(scope) = scope.and_then(|planned| planned.scope.as_ref()) else {
            return request;
        };
        let named = match &mut request.fault {
            Fault::Connect { network, .. } => Some(network),
            Fault::Disconnect { network, .. } => network.as_mut(),
            _ => None,
        };
        let members = self.plan.services.values();
        let members = members.filter(|one| one.scope.as_ref() == Some(scope));
        let mut keys = members.flat_map(|one| &one.networks);
        if let Some(network) = named
            && let Some(copy) = keys.find(|key| {
                let of = self.plan.copied_networks.get(*key);
                of.is_some_and(|of| of.as_str() == network)
            })
        {
            *network = copy.to_string();
        }
        request
    }

    /// The containers of the environment of a suite by name, for that suite: it runs, also where the engine has not said so
    /// yet.
    fn members(&self, suite: &ServiceName) -> Vec<Member> {
        let scope = |name| self.plan.services.get(name).map(|one| one.scope.as_ref());
        let ours = scope(suite);
        let planned = self.plan.services.iter();
        let planned = planned.filter(|(name, _)| scope(*name) == ours);
        let members = planned.map(|(name, planned)| {
            let state = self.services.get(name);
            let running = state.is_some_and(|state| {
                state.started_at.is_some() && state.exit.is_none() && !self.is_resting(name)
            });
            Member {
                name: name.clone(),
                known_as: planned.known_as.clone(),
                of: planned.of.clone(),
                container: self.container(name),
                running: running || name == suite,
                is_suite: planned.service.role == Role::Suite,
            }
        });
        members.collect()
    }
}
