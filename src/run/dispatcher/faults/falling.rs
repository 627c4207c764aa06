//! Services that end on request, and are started again.

use std::time::Duration;

use super::{Active, FaultId, Standing};
use crate::engine::Exit;
use crate::fault::{Fault, Kind};
use crate::name::ServiceName;
use crate::plan::PlannedService;
use crate::run::dispatcher::Dispatcher;
use crate::run::effect::Effect;

impl Dispatcher {
    /// Whether a container has ended because a suite wished it; then that is no failure, and what
    /// follows is decided here.
    pub(in crate::run::dispatcher) fn fell_on_request(
        &mut self,
        now: Duration,
        planned: &PlannedService,
        exit: &Exit,
    ) -> bool {
        let name = &planned.service.name;
        let mut all = self.faults.all.iter();
        let Some(id) = all.find_map(|(id, one)| one.falling.contains(name).then_some(*id)) else {
            return false;
        };
        self.await_again(now, name);
        let restarts = |active: &Active| matches!(active.request.fault, Fault::Restart { .. });
        let is_restart = self.faults.all.get(&id).is_some_and(restarts);
        let is_timed = |active: &Active| active.request.time.is_some();
        let is_timed = self.faults.all.get(&id).is_some_and(is_timed);
        // For how long it is dead is said by who wished it, else by `restart`.
        let pause = if is_restart || is_timed {
            None
        } else {
            self.pause_before_restart(now, planned, exit)
        };
        if let Some(active) = self.faults.all.get_mut(&id) {
            active.falling.remove(name);
            let rises = is_restart || pause.is_some();
            let place = if rises {
                &mut active.rising
            } else {
                &mut active.down
            };
            place.insert(name.clone());
        }
        match pause {
            Some(pause) => self.rest(name, exit.clone(), pause),
            None if is_restart => self.restart(name),
            None => {}
        }
        self.in_effect(now, id);
        true
    }

    /// A service is ready, or nobody waits for it to be.
    pub(in crate::run::dispatcher) fn risen(&mut self, name: &ServiceName) {
        let met: Vec<FaultId> = self
            .faults
            .all
            .iter_mut()
            .filter_map(|(id, active)| active.rising.remove(name).then_some(*id))
            .collect();
        for id in met {
            self.settle_risen(id);
        }
    }

    /// Once more started: whoever waits for that and not for more has it.
    pub(in crate::run::dispatcher) fn risen_unless_awaited(&mut self, name: &ServiceName) {
        if !self.is_awaited(name) {
            self.risen(name);
        }
    }

    /// A fault that has ended containers is over when all of them are back.
    pub(super) fn settle_risen(&mut self, id: FaultId) {
        let Some(active) = self.faults.all.get_mut(&id) else {
            return;
        };
        let ends = matches!(active.request.fault.kind(), Kind::Kill | Kind::Restart);
        let is_back = [&active.falling, &active.down, &active.rising]
            .iter()
            .all(|names| names.is_empty());
        let begun = !matches!(active.standing, Standing::Beginning { .. });
        if !(ends && is_back && begun) {
            return;
        }
        if let Some(mark) = active.mark.take() {
            active.standing = Standing::Ending;
            self.effect(Effect::ForgetFault(id, Box::new(mark)));
        }
    }
}
