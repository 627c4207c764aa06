//! Hooks: the commands of `post_start` and `pre_stop`, and how a container is taken leave of.

use std::time::Duration;

use super::Dispatcher;
use crate::config::model::Hook;
use crate::engine::{ExecSpec, Exit};
use crate::name::ServiceName;
use crate::outcome::{Failure, FailureClass};
use crate::plan::{Action, PlannedService, readiness};
use crate::run::effect::{Effect, Farewell, HookTask};

/// Limit of all `pre_stop` hooks of a container together, unless the file says otherwise. With the
/// removal after it, it fits into the 7.5 s that GitHub gives a cancelled job after the first
/// signal.
const PRE_STOP: Duration = Duration::from_secs(5);

/// Where the `post_start` hooks of a container stand.
#[derive(Debug, Default)]
pub(super) enum HookState {
    /// None are under way.
    #[default]
    Idle,
    /// They are run. The container may have ended with 0 in the meantime: how, and its last output.
    Running(Option<(Exit, Vec<String>)>),
    /// The container has ended before they were done.
    CutOff,
}

fn command(hook: &Hook) -> ExecSpec {
    ExecSpec {
        command: hook.command.clone(),
        user: hook.user.clone(),
        privileged: hook.privileged,
        working_dir: hook.working_dir.clone(),
        environment: hook.environment.clone(),
    }
}

impl Dispatcher {
    /// Begins with the first `post_start` hook of a container that has just started.
    pub(super) fn begin_hooks(&mut self, now: Duration, name: &ServiceName) {
        let hooks = &self.plan.services[name].service.lifecycle.post_start;
        // What a service needs until it is ready it needs for its hooks as well.
        let deadline = self.plan.services[name]
            .service
            .ready
            .as_ref()
            .and_then(|ready| ready.deadline)
            .unwrap_or(readiness::DEFAULT_DEADLINE);
        let limit = Some(deadline).filter(|limit| !limit.is_zero());
        match self.hook_task(name, hooks, limit) {
            Some(task) => {
                let state = self.services.entry(name.clone()).or_default();
                state.hooks = HookState::Running(None);
                self.effect(Effect::RunHooks(Box::new(task)));
            }
            None => self.bug(now, &format!("the container of `{name}` is not known")),
        }
    }

    fn hook_task(
        &self,
        name: &ServiceName,
        hooks: &[Hook],
        limit: Option<Duration>,
    ) -> Option<HookTask> {
        Some(HookTask {
            service: name.clone(),
            container: self.container(name)?,
            hooks: hooks.iter().map(command).collect(),
            limit,
            start: self.services.get(name)?.restarts.starts,
        })
    }

    pub(super) fn hooks_done(&mut self, now: Duration, name: &ServiceName) {
        let state = self.services.entry(name.clone()).or_default();
        let HookState::Running(ended) = std::mem::take(&mut state.hooks) else {
            return;
        };
        if let Some(step) = self.step_of(&Action::RunHooks(name.clone())) {
            self.step_done(now, step);
        }
        if let Some((exit, log_tail)) = ended {
            self.exited(now, name, exit, log_tail);
        }
    }

    /// A hook has failed. When its container is not running any more, that is the reason, and how it
    /// ended says what it means.
    pub(super) fn hook_failed(
        &mut self,
        now: Duration,
        name: &ServiceName,
        message: String,
        (output, running): (Vec<String>, bool),
    ) {
        let state = self.services.entry(name.clone()).or_default();
        let HookState::Running(ended) = std::mem::replace(&mut state.hooks, HookState::CutOff)
        else {
            return;
        };
        if let Some((exit, log_tail)) = ended {
            return self.exited(now, name, exit, log_tail);
        }
        if !running {
            return;
        }
        let failure = Failure {
            class: FailureClass::Environment,
            kind: "HookFailed",
            service: Some(name.clone()),
            message: format!(
                "`post_start` hook of `{}` failed: {message}",
                self.title(name)
            ),
            log_tail: output,
            hint: None,
            explanation: None,
        };
        self.service_failed(now, name, failure);
    }

    /// Whether the end of a container has to wait until its hooks have answered: a good end may be
    /// their doing, and be seen before their own.
    pub(super) fn waits_for_hooks(
        &mut self,
        name: &ServiceName,
        exit: &Exit,
        log_tail: &[String],
    ) -> bool {
        let state = self.services.entry(name.clone()).or_default();
        let HookState::Running(ended) = &mut state.hooks else {
            return false;
        };
        if exit.code == Some(0) {
            *ended = Some((exit.clone(), log_tail.to_vec()));
            return true;
        }
        state.hooks = HookState::CutOff;
        self.effect(Effect::StopHooks(name.clone()));
        false
    }

    /// Whether the container of a service has ended before its `post_start` hooks were done.
    pub(super) fn hooks_were_cut_off(&self, name: &ServiceName) -> bool {
        self.services
            .get(name)
            .is_some_and(|state| matches!(state.hooks, HookState::CutOff))
    }

    /// The containers that are given time before they are removed: those that run and have asked for
    /// it. None when the engine is what has failed.
    pub(super) fn farewells(&self) -> Vec<Farewell> {
        let class = self.outcome.failure.as_ref().map(|failure| failure.class);
        if matches!(class, Some(FailureClass::Engine | FailureClass::Bug)) {
            return Vec::new();
        }
        let running = self.plan.services.values().filter(|planned| {
            let state = self.services.get(&planned.service.name);
            state.is_some_and(|state| state.started_at.is_some() && state.exit.is_none())
        });
        running
            .filter_map(|planned| self.farewell(planned))
            .collect()
    }

    fn farewell(&self, planned: &PlannedService) -> Option<Farewell> {
        let lifecycle = &planned.service.lifecycle;
        let grace = lifecycle.stop_grace;
        if lifecycle.pre_stop.is_empty() && grace.is_none() {
            return None;
        }
        let limit = lifecycle.pre_stop_limit.unwrap_or(PRE_STOP);
        let hooks = self.hook_task(&planned.service.name, &lifecycle.pre_stop, Some(limit))?;
        Some(Farewell { hooks, grace })
    }
}
