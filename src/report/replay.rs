//! `run.json`: begun when the run begins, whole at each turn of it, complete at the verdict.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::clock;
use crate::event::Event;
use crate::outcome::Outcome;
use crate::replay::{Facts, Recording};

/// How long the verdict waits for what is still being found out beside the run.
const PATIENCE: Duration = Duration::from_secs(2);

/// The file of a run, as it is to be.
pub(super) struct RunFile {
    recording: Mutex<Recording>,
    /// What is found out beside the run becomes more in there.
    facts: Arc<Mutex<Facts>>,
    /// Whoever finds it out.
    looking: Mutex<Option<JoinHandle<()>>>,
}

impl RunFile {
    pub(super) fn new(
        recording: Recording,
        facts: Arc<Mutex<Facts>>,
        looking: JoinHandle<()>,
    ) -> Self {
        Self {
            recording: Mutex::new(recording),
            facts,
            looking: Mutex::new(Some(looking)),
        }
    }

    /// Notes an event. Answers with the file where it is worth being written anew.
    pub(super) fn event(&self, event: &Event) -> Option<Vec<u8>> {
        let worth_it = lock(&self.recording).event(event);
        worth_it.then(|| self.document())
    }

    /// The file with the verdict in it.
    pub(super) async fn complete(&self, outcome: &Outcome) -> Vec<u8> {
        let looking = lock(&self.looking).take();
        if let Some(looking) = looking {
            // What is not known by then is left out.
            let _ = clock::within(PATIENCE, looking).await;
        }
        lock(&self.recording).outcome(outcome);
        self.document()
    }

    fn document(&self) -> Vec<u8> {
        let facts = lock(&self.facts).clone();
        let mut recording = lock(&self.recording);
        recording.facts(facts);
        recording.document()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
