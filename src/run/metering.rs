//! Looks from time to time at what running containers use.
//!
//! Owns how often it is looked. Engines tell it only while a container runs, so what one has used is known
//! by the last look before its end. Nobody ever waits for a look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::effect::Input;
use super::shared::Shared;
use crate::clock::{self, Instant};
use crate::engine::UsageSample;
use crate::name::{ContainerId, ServiceName};
use crate::outcome::Usage;

/// From the start of a container to the first look: engines are busiest while containers start.
const FIRST: Duration = Duration::from_millis(500);

/// The shortest pause between two looks, which grows with each: most that happens to the memory of a
/// program happens early.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// Limit of one look.
const ANSWER: Duration = Duration::from_secs(5);

/// What was seen of all containers.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<BTreeMap<ContainerId, Metered>>);

#[derive(Debug, Default)]
struct Metered {
    usage: Option<Usage>,
    /// Time of processors in earlier starts.
    before: Duration,
    last: Option<Instant>,
    /// To be dropped at the end of the container.
    running: Option<oneshot::Sender<()>>,
}

impl Meter {
    /// A container runs; what is returned fires when it has ended.
    pub(super) fn begin(&self, container: &ContainerId) -> oneshot::Receiver<()> {
        let (running, ended) = oneshot::channel();
        let mut all = self.lock();
        let metered = all.entry(container.clone()).or_default();
        metered.before = metered
            .usage
            .as_ref()
            .map_or(Duration::ZERO, |usage| usage.cpu);
        metered.running = Some(running);
        ended
    }

    fn add(&self, container: &ContainerId, sample: &UsageSample) -> Option<Usage> {
        let mut all = self.lock();
        let metered = all.get_mut(container)?;
        // What is answered after its end may be of the next start.
        metered.running.as_ref()?;
        metered.last = Some(clock::now());
        match &mut metered.usage {
            Some(usage) => usage.add(sample, metered.before),
            None => metered.usage = Some(Usage::first(sample)),
        }
        metered.usage.clone()
    }

    /// A container has ended: what it has used.
    pub(super) fn end(&self, container: &ContainerId) -> Option<Usage> {
        let mut all = self.lock();
        let metered = all.get_mut(container)?;
        metered.running = None;
        let unseen = metered.last.map(|last| last.elapsed());
        let usage = metered.usage.as_mut()?;
        usage.unseen = unseen;
        Some(usage.clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Metered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at a container until it has ended.
pub(super) async fn measure(
    shared: Arc<Shared>,
    (service, container): (ServiceName, ContainerId),
    mut ended: oneshot::Receiver<()>,
) {
    let mut pause = FIRST;
    while clock::within(pause, &mut ended).await.is_err() {
        let looked = clock::within(ANSWER, shared.engine.usage(&container)).await;
        // A look that fails says nothing, and the next one may say more.
        if let Ok(Ok(Some(sample))) = looked
            && let Some(usage) = shared.meter.add(&container, &sample)
        {
            shared.send(Input::Metered {
                service: service.clone(),
                usage,
            });
        }
        pause = (pause * 2).clamp(SHORTEST, LONGEST);
    }
}
