//! How a run's container starts are limited on this machine: [`crate::host::starts`] behind the gate
//! of the run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::Event;
pub(super) use crate::host::starts::default_limit;
use crate::host::starts::{News, Starts};
use crate::name::RunId;
use crate::run::Recorder;
use crate::run::gate::{Open, Permit, StartGate};

/// The gate for a run on the engine with this address; always open where `limit` is 0, or where runs
/// cannot meet, which is a warning.
pub(super) fn gate(
    run: RunId,
    engine: &str,
    limit: usize,
    recorder: &Arc<dyn Recorder>,
) -> Arc<dyn StartGate> {
    if limit == 0 {
        return Arc::new(Open);
    }
    match Starts::open(run, engine, limit) {
        Ok(starts) => Arc::new(Shared(starts)),
        Err(error) => {
            recorder.event(Duration::ZERO, unlimited(&error.to_string()));
            Arc::new(Open)
        }
    }
}

struct Shared(Starts);

#[async_trait]
impl StartGate for Shared {
    async fn pass(&self, tell: &(dyn Fn(Event) + Send + Sync)) -> Permit {
        let tell = |news| match news {
            News::Waits { others } => tell(Event::StartWaits { others }),
            News::Unlimited { reason } => tell(unlimited(&reason)),
        };
        Box::new(self.0.take(&tell).await)
    }

    fn close(&self) {
        self.0.leave();
    }
}

fn unlimited(reason: &str) -> Event {
    Event::Warning {
        message: format!(
            "container starts are not limited together with those of other runs: {reason}"
        ),
    }
}
