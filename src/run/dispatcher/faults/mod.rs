//! Faults that suites wish: which are done and undone, and when; and what of it lets nothing else
//! start.
//!
//! A suite's faults are undone when it ends, however it does. Until that is done no container starts
//! and the run does not conclude.

mod falling;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Dispatcher, Progress};
use crate::config::model::{Role, SuiteFaults};
use crate::event::Event;
use crate::fault::scene::Targets;
use crate::fault::{Fault, Kind, Need, Request};
use crate::name::{NetworkKey, ServiceName};
use crate::outcome::{Failure, FailureClass};
use crate::plan::{Action, PlannedService, agent};
use crate::run::effect::{Effect, Timer};
use crate::run::faults::{Mark, Refusal};
use crate::run::post::{self, Answer, Ticket};

/// The variable by which a suite knows where to ask.
const ADDRESS: &str = "ENVRUN_FAULTS_URL";

/// Number of a fault within the run.
pub type FaultId = u32;

/// What is known of faults.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Whether the answer is awaited to what the kernel can do.
    trial: bool,
    post: Post,
    all: BTreeMap<FaultId, Active>,
    last: FaultId,
    undoings: Vec<Undoing>,
}

/// Where suites ask.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Post {
    /// No suite does.
    #[default]
    Unwanted,
    /// It is not there yet.
    Wanted,
    /// It is on its way.
    Opening,
    /// It is there.
    Open,
}

/// A fault that is not over.
#[derive(Debug)]
struct Active {
    request: Request,
    targets: Targets,
    suite: ServiceName,
    standing: Standing,
    /// When it took effect.
    since: Duration,
    mark: Option<Mark>,
    /// Those whose end was asked for and has not come.
    falling: BTreeSet<ServiceName>,
    /// Those that have ended on request, and are not started again.
    down: BTreeSet<ServiceName>,
    /// Those that are started again and not ready yet.
    rising: BTreeSet<ServiceName>,
    /// Who waits for it to be in effect.
    asked: Option<Ticket>,
}

/// Where a fault stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is being done; whether it is to be undone as soon as it is.
    Beginning { undo: bool },
    /// It is in effect.
    InEffect,
    /// It is being undone.
    Ending,
}

/// Somebody who waits until faults are undone.
#[derive(Debug)]
struct Undoing {
    ticket: Ticket,
    /// Those that are not yet.
    missing: BTreeSet<FaultId>,
    undone: Vec<FaultId>,
    problems: Vec<String>,
}

impl Active {
    fn meets(&self, name: &ServiceName) -> bool {
        self.targets.all().any(|target| target.name == *name)
    }
}

impl Dispatcher {
    /// The suites that ask for faults, and which.
    fn asking(&self) -> impl Iterator<Item = (&ServiceName, &SuiteFaults)> {
        self.plan.suites().filter_map(|planned| {
            let faults = planned.service.suite.as_ref()?.faults.as_ref()?;
            Some((&planned.service.name, faults))
        })
    }

    /// Has tried what the kernel can do, if suites say what they need of it.
    pub(super) fn prepare_faults(&mut self) {
        let mut needs = BTreeSet::new();
        let mut wanted = false;
        for (_, faults) in self.asking() {
            wanted = true;
            if let SuiteFaults::Only(kinds) = faults {
                needs.extend(kinds.iter().filter_map(|kind| kind.needs()));
            }
        }
        if !wanted {
            return;
        }
        self.faults.post = Post::Wanted;
        if !needs.is_empty() {
            self.faults.trial = true;
            self.effect(Effect::TryFaults(needs.into_iter().collect()));
        }
    }

    /// The kernel was tried.
    pub(super) fn faults_tried(
        &mut self,
        now: Duration,
        tried: Result<Vec<(Need, String)>, Refusal>,
    ) {
        self.faults.trial = false;
        let missing = match tried {
            Ok(missing) => missing,
            Err(refusal) => return self.abort(now, no_faults(&refusal.to_string())),
        };
        let mut lacking = Vec::new();
        let mut modules = BTreeSet::new();
        for (suite, faults) in self.asking() {
            for kind in Kind::ALL {
                let lacks = missing.iter().find(|(need, _)| kind.needs() == Some(*need));
                if let (Some((need, reason)), true) = (
                    lacks,
                    matches!(faults, SuiteFaults::Only(kinds) if kinds.contains(&kind)),
                ) {
                    lacking.push(format!("`{kind}` (suite `{suite}`): {reason}"));
                    modules.insert(format!("`{}`", need.module()));
                }
            }
        }
        if lacking.is_empty() {
            return;
        }
        let modules: Vec<String> = modules.into_iter().collect();
        let failure = Failure {
            class: FailureClass::Engine,
            kind: "KernelLacks",
            service: None,
            message: format!(
                "the kernel of the engine's host cannot do the faults {}",
                lacking.join("; ")
            ),
            log_tail: Vec::new(),
            hint: Some(format!(
                "it takes the module {} of the kernel; without it, leave these kinds out of `suite.faults`",
                modules.join(" and ")
            )),
            explanation: None,
        };
        self.abort(now, failure);
    }

    /// The first networks of the suites that ask: there they are listened to.
    fn asking_networks(&self) -> BTreeSet<NetworkKey> {
        let suites = self.asking().map(|(suite, _)| suite);
        let networks = suites.filter_map(|suite| self.plan.services[suite].networks.first());
        networks.cloned().collect()
    }

    /// Listens to suites as soon as their networks are there.
    pub(super) fn open_post(&mut self) {
        let keys = self.asking_networks();
        let is_there = |key: &NetworkKey| self.networks.contains_key(key);
        if self.faults.post != Post::Wanted || !keys.iter().all(is_there) {
            return;
        }
        let name = self.post_name();
        let mut networks = Vec::new();
        for key in &keys {
            let others = self.observers.seat(key);
            let chosen = self.addresses.chosen(key);
            let endpoint = agent::listening_endpoint(&self.plan, key, (chosen, others), &name);
            networks.push((self.networks[key].clone(), endpoint));
        }
        let suites = self.asking().enumerate();
        let words = suites.map(|(number, (suite, _))| (self.word(number), suite.clone()));
        let words = words.collect();
        self.faults.post = Post::Opening;
        self.effect(Effect::OpenPost { networks, words });
    }

    pub(super) fn post_opened(&mut self, now: Duration, opened: Result<(), String>) {
        match opened {
            Ok(()) => self.faults.post = Post::Open,
            Err(reason) => self.abort(now, no_faults(&reason)),
        }
    }

    /// By which name the agent is found that listens. No service of a file is called like that, and no
    /// other run's is.
    fn post_name(&self) -> String {
        format!("envrun-faults-{}", self.plan.run.short())
    }

    /// What only one suite knows.
    fn word(&self, number: usize) -> String {
        format!("{:032x}{number:02x}", self.settings.secret)
    }

    /// What a suite needs to know to ask.
    pub(super) fn fault_variables(&self, name: &ServiceName) -> Option<(String, String)> {
        let mut asking = self.asking().enumerate();
        let (number, _) = asking.find(|(_, (suite, _))| *suite == name)?;
        let (host, port) = (self.post_name(), post::PORT);
        let address = format!("http://{host}:{port}/{}", self.word(number));
        Some((ADDRESS.to_owned(), address))
    }

    /// Whether faults let a container start: not before it is known that those that are promised can be
    /// done, no suite before it is listened to, and nothing in an environment that is not whole again
    /// after a suite.
    pub(super) fn faults_let_start(&self, action: &Action) -> bool {
        let Action::StartContainer(name) = action else {
            return true;
        };
        let listened =
            self.faults.post == Post::Open || self.asking().all(|(suite, _)| suite != name);
        !self.faults.trial
            && listened
            && !self
                .faults
                .all
                .values()
                .any(|one| self.has_ended(&one.suite))
    }

    /// Whether every fault is over.
    pub(super) fn is_whole(&self) -> bool {
        self.faults.all.is_empty()
    }

    fn has_ended(&self, suite: &ServiceName) -> bool {
        let state = self.services.get(suite);
        state.is_some_and(|state| {
            let is_between = state.started_at.is_none() && !state.lost.is_empty();
            state.exit.is_some() || is_between
        })
    }

    /// A fault is in effect, or could not be done.
    pub(super) fn fault_begun(&mut self, now: Duration, id: FaultId, begun: Result<Mark, Refusal>) {
        let Some(active) = self.faults.all.get_mut(&id) else {
            return;
        };
        match begun {
            Ok(mark) => {
                active.mark = Some(mark);
                self.in_effect(now, id);
            }
            Err(refusal) => {
                let Some(active) = self.faults.all.remove(&id) else {
                    return;
                };
                self.report(Event::FaultFailed {
                    fault: id.to_string(),
                    what: active.request.to_string(),
                    suite: Some(active.suite),
                    reason: refusal.to_string(),
                });
                if let Some(ticket) = active.asked {
                    self.answer(ticket, refused(&refusal));
                }
                self.resolve(id, None);
                for name in active.down.iter().chain(&active.rising) {
                    self.restart(name);
                }
            }
        }
    }

    /// Notes that a fault is in effect, once all of it is.
    fn in_effect(&mut self, now: Duration, id: FaultId) {
        let Some(active) = self.faults.all.get_mut(&id) else {
            return;
        };
        let Standing::Beginning { undo } = active.standing else {
            return;
        };
        if active.mark.is_none() || !active.falling.is_empty() {
            return;
        }
        active.standing = Standing::InEffect;
        active.since = now;
        let time = active.request.time;
        let event = Event::FaultBegun {
            fault: id.to_string(),
            what: active.request.fault.to_string(),
            suite: Some(active.suite.clone()),
            time,
        };
        let is_over_soon = matches!(active.request.fault, Fault::Restart { .. });
        let answer = Answer::new(201, described(id, active));
        // Who restarts something wants it back.
        let ticket = if is_over_soon {
            None
        } else {
            active.asked.take()
        };
        self.report(event);
        if let Some(ticket) = ticket {
            self.answer(ticket, answer);
        }
        if let Some(time) = time {
            self.effect(Effect::StartTimer(Timer::Fault(id), time));
        }
        if undo {
            self.undo(id);
        }
        self.settle_risen(id);
    }

    /// Begins to undo a fault.
    pub(super) fn undo(&mut self, id: FaultId) {
        let Some(active) = self.faults.all.get_mut(&id) else {
            return;
        };
        match active.standing {
            Standing::Beginning { .. } => active.standing = Standing::Beginning { undo: true },
            Standing::Ending => {}
            Standing::InEffect => {
                active.standing = Standing::Ending;
                if matches!(active.request.fault.kind(), Kind::Kill | Kind::Restart) {
                    let down = std::mem::take(&mut active.down);
                    active.rising.extend(down.iter().cloned());
                    for name in down {
                        self.restart(&name);
                    }
                    self.settle_risen(id);
                } else if let Some(mark) = active.mark.clone() {
                    self.effect(Effect::UndoFault(id, Box::new(mark)));
                }
            }
        }
    }

    /// A fault was undone, or something of it could not be.
    pub(super) fn fault_undone(&mut self, now: Duration, id: FaultId, undone: Result<(), Refusal>) {
        let Some(active) = self.faults.all.remove(&id) else {
            return;
        };
        let what = active.request.fault.to_string();
        let after = now.saturating_sub(active.since);
        let fault = id.to_string();
        let problem = undone.err().map(|refusal| refusal.to_string());
        self.report(match &problem {
            None => Event::FaultUndone { fault, what, after },
            Some(reason) => Event::FaultStays {
                fault,
                what,
                reason: reason.clone(),
            },
        });
        if let Some(ticket) = active.asked {
            let mut content = described(id, &active);
            content["state"] = Value::from("over");
            self.answer(ticket, Answer::new(200, content));
        }
        self.resolve(id, problem);
    }

    /// Tells those who wait for a fault to be over.
    fn resolve(&mut self, id: FaultId, problem: Option<String>) {
        let mut done = Vec::new();
        for undoing in &mut self.faults.undoings {
            if undoing.missing.remove(&id) {
                undoing.undone.push(id);
                undoing.problems.extend(problem.clone());
            }
        }
        self.faults.undoings.retain_mut(|undoing| {
            let is_done = undoing.missing.is_empty();
            if is_done {
                let answer = match undoing.problems.is_empty() {
                    true => Answer::new(200, undone(&undoing.undone)),
                    false => Answer::refusal(502, &undoing.problems.join("; "), None),
                };
                done.push((undoing.ticket, answer));
            }
            !is_done
        });
        for (ticket, answer) in done {
            self.answer(ticket, answer);
        }
    }

    /// A suite has ended: so do its faults. What is dead stays so if nobody needs it any more.
    pub(super) fn leave_faults(&mut self, suite: &ServiceName) {
        // One that may be run once more may still need what is dead.
        let ended = |planned: &PlannedService| {
            let name = &planned.service.name;
            self.is_judged(name) || (self.has_ended(name) && !self.may_retry(name))
        };
        let is_last = self.plan.suites().all(ended);
        let is_last = is_last && self.plan.reachability.is_none();
        let nobody = is_last && self.settings.hold.is_none();
        let theirs = self
            .faults
            .all
            .iter()
            .filter(|(_, one)| one.suite == *suite);
        let theirs: Vec<FaultId> = theirs.map(|(id, _)| *id).collect();
        for id in theirs {
            let is_dead = |one: &Active| one.standing == Standing::InEffect && !one.down.is_empty();
            if nobody && self.faults.all.get(&id).is_some_and(is_dead) {
                self.faults.all.remove(&id);
                self.resolve(id, None);
            } else {
                self.undo(id);
            }
        }
    }

    /// Loses packets once more in the new network namespace of a container that was started anew.
    pub(super) fn renew_faults(&mut self, name: &ServiceName) {
        let packets = |active: &Active| active.request.fault.kind().needs().is_some();
        let met = self.faults.all.iter().filter(|(_, active)| {
            active.standing == Standing::InEffect && packets(active) && active.meets(name)
        });
        let renewed: Vec<Effect> = met
            .filter_map(|(id, active)| {
                Some(Effect::RenewFault {
                    id: *id,
                    mark: Box::new(active.mark.clone()?),
                    request: active.request.clone(),
                    targets: active.targets.clone(),
                })
            })
            .collect();
        for effect in renewed {
            self.effect(effect);
        }
    }

    pub(super) fn fault_renewed(&mut self, id: FaultId, renewed: Result<(), Refusal>) {
        if let (Some(active), Err(refusal)) = (self.faults.all.get(&id), renewed) {
            let message = format!(
                "the fault `{}` has ended with a restart of its service: {refusal}",
                active.request
            );
            self.report(Event::Warning { message });
        }
    }

    /// The faults in effect, for the explanation of what fails meanwhile.
    pub(super) fn faults_in_effect(&self) -> Option<String> {
        let all = self.faults.all.values();
        let faults: Vec<String> = all.map(|active| format!("`{}`", active.request)).collect();
        (!faults.is_empty()).then(|| faults.join(", "))
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.effect(Effect::Answer(ticket, answer));
    }

    /// Whether somebody waits for the readiness of a service, so that it will be told.
    fn is_awaited(&self, name: &ServiceName) -> bool {
        let actions = [
            Action::AwaitReady(name.clone()),
            Action::AwaitCompleted(name.clone()),
        ];
        let is_job = self
            .plan
            .services
            .get(name)
            .is_some_and(|planned| planned.service.role == Role::Job);
        actions.iter().any(|action| {
            self.step_of(action)
                .is_some_and(|step| self.progress[step.0] == Progress::Running)
        }) && !is_job
    }
}

fn no_faults(reason: &str) -> Failure {
    Failure {
        class: FailureClass::Engine,
        kind: "NoFaults",
        service: None,
        message: format!("suites cannot ask for faults: {reason}"),
        log_tail: Vec::new(),
        hint: None,
        explanation: None,
    }
}

fn refused(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Request(error) => Answer::wrong(400, error),
        Refusal::Lacks { .. } => Answer::refusal(501, &refusal.to_string(), None),
        Refusal::Agent(_) | Refusal::Engine(_) => Answer::refusal(502, &refusal.to_string(), None),
    }
}

/// A fault as it is told to suites.
fn described(id: FaultId, active: &Active) -> Value {
    let state = match active.standing {
        Standing::Beginning { .. } => "beginning",
        Standing::InEffect => "in effect",
        Standing::Ending => "being undone",
    };
    let milliseconds = active.request.time.map(|time| time.as_millis());
    let milliseconds = milliseconds.map(|time| u64::try_from(time).unwrap_or(u64::MAX));
    json!({
        "id": id.to_string(),
        "fault": active.request.fault.to_string(),
        "for_ms": milliseconds,
        "suite": active.suite.as_str(),
        "state": state,
    })
}

fn undone(ids: &[FaultId]) -> Value {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    json!({ "undone": ids })
}
