//! The effects that are faults: each a task that is never dropped, since it changes something.

use std::sync::Arc;

use futures::FutureExt as _;

use super::effect::{Effect, Input};
use super::executor::Executor;

impl Executor {
    /// Begins with one of them; its end comes as an input.
    pub(super) fn disturb(&self, effect: Effect) {
        let shared = Arc::clone(&self.shared);
        let disturbing = async move {
            let faults = &shared.faults;
            let input = match effect {
                Effect::TryFaults(needs) => Input::FaultsTried(faults.try_out(&needs).await),
                Effect::BeginFault {
                    id,
                    suite,
                    request,
                    targets,
                } => {
                    let name = id.to_string();
                    let by = Some(suite.as_str());
                    let begun = faults.begin((&name, by), &request, &targets).await;
                    Input::FaultBegun { id, begun }
                }
                Effect::RenewFault {
                    id,
                    mark,
                    request,
                    targets,
                } => {
                    let renewed = faults.renew(&mark, &request, &targets).await;
                    Input::FaultRenewed { id, renewed }
                }
                Effect::UndoFault(id, mark) => {
                    let undone = faults.undo(&mark).await;
                    Input::FaultUndone { id, undone }
                }
                Effect::ForgetFault(id, mark) => {
                    let undone = faults.forget(&mark).await;
                    Input::FaultUndone { id, undone }
                }
                _ => return,
            };
            shared.send(input);
        };
        self.spawn(disturbing.boxed());
    }
}
