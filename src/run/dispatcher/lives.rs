//! What happens to containers: they start, become ready, complete, or die.

use std::time::{Duration, SystemTime};

use super::{Dispatcher, Progress, ServiceState, explaining, verdict};
use crate::config::model::{Role, Service};
use crate::engine::{ContainerFacts, Exit};
use crate::event::Event;
use crate::name::{ContainerId, ServiceName};
use crate::outcome::{Failure, FailureClass, Readiness};
use crate::plan::{Action, PlannedService, StepId, readiness};
use crate::probe::machine::{Account, Standing};
use crate::run::effect::{Effect, Timer};

/// How long a container may take to end by itself: the limit of a suite, the deadline of a job.
/// Zero means no limit.
pub(super) fn limit(service: &Service) -> Option<Duration> {
    let limit = match service.role {
        Role::Suite => service.suite.as_ref()?.timeout,
        Role::Job => service.ready.as_ref()?.deadline,
        Role::Service => None,
    };
    limit.filter(|limit| !limit.is_zero())
}

/// What was missing, in one line: the probes that have given up, or else those that were still tried.
fn summary(accounts: &[Account]) -> String {
    let of = |standing| {
        let accounts = accounts.iter().filter(|one| one.standing == standing);
        accounts.map(Account::to_string).collect::<Vec<_>>()
    };
    let given_up = of(Standing::GaveUp);
    let missing = if given_up.is_empty() {
        of(Standing::Open)
    } else {
        given_up
    };
    missing.join("; ")
}

impl Dispatcher {
    /// What people call a container: `db`, and the one of a suite alone `db (of e2e)`.
    pub(super) fn title(&self, name: &ServiceName) -> String {
        let planned = self.plan.services.get(name);
        planned.map_or_else(|| name.to_string(), PlannedService::title)
    }

    /// What the file calls the service of a container.
    fn in_file(&self, name: &ServiceName) -> ServiceName {
        let planned = self.plan.services.get(name);
        planned.map_or(name, |planned| &planned.of).clone()
    }

    pub(super) fn started(&mut self, now: Duration, step: StepId, facts: ContainerFacts) {
        let Action::StartContainer(name) = self.plan.steps[step.0].action.clone() else {
            return self.bug(now, "a start was answered that was not asked for");
        };
        self.step_done(now, step);
        // What another suite has ended while its start was under way.
        if self.is_judged(&name)
            && let Some(container) = self.container(&name)
        {
            return self.effect(Effect::Kill(container));
        }
        let attempt = self.attempt(&name);
        if let Some(limit) = limit(&self.plan.services[&name].service) {
            self.effect(Effect::StartTimer(
                Timer::Container(name.clone(), attempt),
                limit,
            ));
        }
        self.runs(now, &name, facts);
    }

    /// A container runs, for the first time or once more.
    pub(super) fn runs(&mut self, now: Duration, name: &ServiceName, facts: ContainerFacts) {
        let host_ports = facts
            .host_ports
            .iter()
            .flat_map(|(port, hosts)| hosts.iter().map(move |host| format!("{port} -> {host}")))
            .collect();
        let state = self.services.entry(name.clone()).or_default();
        state.started_at = Some(now);
        state.facts = Some(facts);
        state.restarts.started(now);
        let again = state.restarts.starts > 1;
        state
            .history
            .note(now, if again { "started again" } else { "started" });
        let container = state.container.clone();
        let service = name.clone();
        if self.plan.services[name].service.role == Role::Suite {
            let attempt = self.attempt(name);
            self.report(Event::SuiteStarted {
                suite: service,
                attempt,
            });
        } else {
            self.report(Event::ServiceStarted {
                service,
                host_ports,
            });
        }
        if let Some(container) = container {
            self.effect(Effect::Watch {
                service: name.clone(),
                container,
            });
        }
    }

    pub(super) fn ready(&mut self, now: Duration, name: &ServiceName, by: String, attempts: u32) {
        let Some(step) = self.step_of(&Action::AwaitReady(name.clone())) else {
            return;
        };
        if self.progress[step.0] != Progress::Running {
            return;
        }
        let after = self.settle(now, name, None);
        let state = self.services.entry(name.clone()).or_default();
        state.history.note(now, format!("ready ({by})"));
        self.report(Event::ServiceReady {
            service: name.clone(),
            after,
            by,
            attempts,
        });
        self.step_done(now, step);
        self.risen(name);
    }

    /// Notes that a service is ready, completed or failed, once; returns the time since its start.
    pub(super) fn settle(
        &mut self,
        now: Duration,
        name: &ServiceName,
        problem: Option<Failure>,
    ) -> Duration {
        let title = self.title(name);
        let state = self.services.entry(name.clone()).or_default();
        let after = now.saturating_sub(state.started_at.unwrap_or(now));
        if state.settled_at.is_none() || problem.is_some() {
            state.settled_at = Some(now);
            // One entry a service: readers of reports drop the second of two cases with the same
            // name, and that would be the one that says what went wrong.
            self.outcome.readiness.retain(|one| one.service != *name);
            self.outcome.readiness.push(Readiness {
                service: name.clone(),
                title,
                duration: after,
                problem,
            });
        }
        after
    }

    pub(super) fn not_ready(
        &mut self,
        now: Duration,
        name: &ServiceName,
        accounts: &[Account],
        log_tail: Vec<String>,
    ) {
        let (title, of) = (self.title(name), self.in_file(name));
        let state = self.services.get(name);
        let started = state.and_then(ServiceState::awaited_since).unwrap_or(now);
        let reason = state
            .and_then(|state| state.requirement.as_ref())
            .map(|requirement| requirement.reason.clone())
            .unwrap_or_default();
        let summary = summary(accounts);
        let failure = Failure {
            class: FailureClass::Environment,
            kind: "NotReady",
            service: Some(name.clone()),
            message: format!(
                "service `{title}` not ready after {}{} ({summary}; probed because of {reason})",
                verdict::seconds(now.saturating_sub(started)),
                self.services[name].restarts.so_far(),
            ),
            log_tail,
            hint: Some(format!(
                "say what ready means with `x-envrun: {{ ready: {{ … }} }}` on `{of}`; `ready.deadline` sets the limit"
            )),
            explanation: Some(explaining::of_probes(accounts, &reason)),
        };
        self.service_failed(now, name, failure);
    }

    /// A service is to be ready by its healthcheck, and there is none.
    pub(super) fn nothing_to_check(&mut self, now: Duration, name: &ServiceName) {
        let (title, of) = (self.title(name), self.in_file(name));
        let failure = Failure {
            class: FailureClass::Environment,
            kind: "NotReady",
            service: Some(name.clone()),
            message: format!(
                "service `{title}` is to be ready by its healthcheck, and neither the file nor the image has one"
            ),
            log_tail: Vec::new(),
            hint: Some(format!(
                "give `{of}` a `healthcheck`, or name another probe in `x-envrun.ready`"
            )),
            explanation: None,
        };
        self.service_failed(now, name, failure);
    }

    pub(super) fn exited(
        &mut self,
        now: Duration,
        name: &ServiceName,
        exit: Exit,
        log_tail: Vec<String>,
    ) {
        let Some(planned) = self.plan.services.get(name).cloned() else {
            return;
        };
        if self.waits_for_hooks(name, &exit, &log_tail) {
            return;
        }
        let state = self.services.entry(name.clone()).or_default();
        state.history.note(now, exit.to_string());
        state.exit = Some(exit.clone());
        match planned.service.role {
            Role::Suite => {
                self.leave_faults(name);
                self.suite_exited(now, &planned, log_tail);
            }
            Role::Job | Role::Service => self.service_exited(now, &planned, exit, log_tail),
        }
    }

    pub(super) fn service_exited(
        &mut self,
        now: Duration,
        planned: &PlannedService,
        exit: Exit,
        log_tail: Vec<String>,
    ) {
        if self.fell_on_request(now, planned, &exit) {
            return;
        }
        let name = &planned.service.name;
        let is_job = planned.service.role == Role::Job;
        let state = &self.services[name];
        // The wait may not have begun yet, so the rules are asked here and not looked up.
        let declared = self
            .images
            .get(&planned.image)
            .is_some_and(|image| readiness::requirement(&planned.service, image).declared);
        let was_ready = state.settled_at.is_some() && !state.completed;
        let timed_out = state.timed_out;
        let unhooked = self.hooks_were_cut_off(name);
        let good_end = exit.code == Some(0) && !timed_out && !unhooked && (is_job || !declared);
        // A job that has succeeded is done, whatever `restart` says.
        let pause = if good_end && is_job {
            None
        } else {
            self.pause_before_restart(now, planned, &exit)
        };
        // A service that serves and is to be started again has not completed.
        if good_end && !(was_ready && pause.is_some()) {
            self.completed(now, name);
            if let Some(pause) = pause {
                self.rest(name, exit, pause);
            }
            return;
        }
        if let Some(pause) = pause {
            self.await_again(now, name);
            return self.rest(name, exit, pause);
        }
        self.report(Event::ServiceDied {
            service: name.clone(),
            exit: exit.clone(),
        });
        let (title, of) = (planned.title(), &planned.of);
        let (kind, message) = match (is_job, was_ready) {
            _ if unhooked && !timed_out => (
                "Died",
                format!("`{title}` {exit} before its `post_start` hooks were done"),
            ),
            (true, _) if timed_out => {
                let limit = verdict::seconds(limit(&planned.service).unwrap_or_default());
                (
                    "NotReady",
                    format!("job `{title}` not completed after {limit}"),
                )
            }
            (true, _) => ("JobFailed", format!("job `{title}` {exit}")),
            (false, false) => (
                "Died",
                format!("service `{title}` {exit} before it was ready"),
            ),
            (false, true) => (
                "Died",
                format!("service `{title}` {exit} while the run was going on"),
            ),
        };
        let message =
            message + &self.services[name].restarts.so_far() + &self.memory_of(name, &exit);
        let hint = exit
            .oom_killed
            .then(|| format!("raise `mem_limit` of `{of}`, or give the engine's host more memory"));
        let hint = hint.or_else(|| {
            let faults = self.faults_in_effect()?;
            Some(format!(
                "it ended by itself while faults were in effect: {faults}; `restart: on-failure` starts it again"
            ))
        });
        let failure = Failure {
            class: FailureClass::Environment,
            kind,
            service: Some(name.clone()),
            message,
            log_tail,
            hint,
            explanation: None,
        };
        self.service_failed(now, name, failure);
    }

    /// A service has failed, which ends the run, unless all that depends on it says
    /// `required: false`: then the run goes on without it.
    pub(super) fn service_failed(&mut self, now: Duration, name: &ServiceName, failure: Failure) {
        if !self.plan.services[name].optional {
            self.settle(now, name, Some(failure.clone()));
            return self.abort(now, failure);
        }
        self.effect(Effect::StopProbe(name.clone()));
        self.risen(name);
        let message = format!(
            "{}; the run goes on without it, since all that depends on it says `required: false`",
            failure.message
        );
        self.report(Event::Warning { message });
        self.explain_optional(now, failure);
        for action in [
            Action::RunHooks(name.clone()),
            Action::AwaitReady(name.clone()),
            Action::AwaitCompleted(name.clone()),
        ] {
            if let Some(step) = self.step_of(&action)
                && self.progress[step.0] != Progress::Done
            {
                self.progress[step.0] = Progress::Failed;
            }
        }
    }

    /// Notes that a job, or a service without a declared probe, has ended with 0.
    fn completed(&mut self, now: Duration, name: &ServiceName) {
        self.effect(Effect::StopProbe(name.clone()));
        let after = self.settle(now, name, None);
        let state = self.services.entry(name.clone()).or_default();
        if !std::mem::replace(&mut state.completed, true) {
            self.report(Event::ServiceCompleted {
                service: name.clone(),
                after,
            });
        }
        for action in [
            Action::AwaitReady(name.clone()),
            Action::AwaitCompleted(name.clone()),
        ] {
            if let Some(step) = self.step_of(&action)
                && matches!(self.progress[step.0], Progress::Pending | Progress::Running)
            {
                self.step_done(now, step);
            }
        }
        self.risen(name);
    }

    /// Notes the end of a suite.
    pub(super) fn suite_ended(&mut self, now: Duration, name: &ServiceName, log_tail: Vec<String>) {
        self.services.entry(name.clone()).or_default().ended = Some((now, log_tail));
    }

    /// Where the reports of a suite are read from: its container, and the working directory in it.
    pub(super) fn collection_of(&self, name: &ServiceName) -> Option<(ContainerId, String)> {
        let state = self.services.get(name)?;
        Some((
            state.container.clone()?,
            state.facts.as_ref()?.working_dir.clone(),
        ))
    }

    /// When a suite started, on the wall clock.
    pub(super) fn wall_clock_start(&self, name: &ServiceName) -> Option<SystemTime> {
        self.outcome.started.checked_add(self.suite_began(name)?)
    }

    /// The last output of a suite.
    pub(super) fn suite_tail(&self, name: &ServiceName) -> Vec<String> {
        let ended = self
            .services
            .get(name)
            .and_then(|state| state.ended.as_ref());
        ended.map(|(_, tail)| tail.clone()).unwrap_or_default()
    }

    /// Marks the wait for a suite as over.
    pub(super) fn suite_done(&mut self, now: Duration, name: &ServiceName, passed: bool) {
        let action = match self.is_command(name) {
            true => Action::RunCommand(name.clone()),
            false => Action::AwaitSuite(name.clone()),
        };
        if let Some(step) = self.step_of(&action) {
            self.step_done(now, step);
            if !passed {
                self.progress[step.0] = Progress::Failed;
            }
        }
    }
}
