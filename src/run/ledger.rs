//! The ledger: what this run has created or may have created.
//!
//! A resource is recorded *before* the call that creates it, so a lost reply is still cleaned. The
//! durable copy is the label that travels inside the call; this one knows in addition which calls
//! are still in flight and which replies were lost. Each intent is passed on to the watchdog before
//! the call as well.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::clock::{self, Instant};
use crate::engine::{Resource, ResourceKind};
use crate::name::RunId;

/// What the watchdog is told, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A call that creates this is about to be made.
    Intend {
        /// What is created.
        kind: ResourceKind,
        /// Its deterministic name.
        name: String,
    },
    /// The call has been answered.
    Settle {
        /// What was created.
        kind: ResourceKind,
        /// Its deterministic name.
        name: String,
    },
    /// A command on this host is about to be started.
    CommandIntended,
    /// It runs.
    Command {
        /// Its process, which leads a process group of this number.
        pid: u32,
        /// When the process started, in ticks since the boot.
        started: u64,
    },
    /// Nothing of its process group is left.
    CommandGone,
    /// The run has torn down everything itself.
    Done,
    /// The run is over and its environment is left to a person for this long.
    Hold {
        /// Seconds from now on.
        seconds: u64,
    },
}

/// Somebody outside the process who is told each intent before its call.
pub trait IntentSink: Send + Sync {
    /// Passes a record on. Must not block for long.
    ///
    /// # Errors
    /// Nobody is listening any more.
    fn pass_on(&self, record: &Record) -> std::io::Result<()>;
}

/// What is known of one creating call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// The call is in flight.
    InFlight,
    /// The reply was lost at this time: the resource may appear yet.
    Lost(Instant),
    /// The call was dropped by us at this time. Only builds are; that ends them, so little can
    /// follow.
    Dropped(Instant),
    /// The engine has answered, in whichever way.
    Settled,
}

/// How long a resource may still appear.
#[derive(Debug, Clone, Copy)]
pub struct Late {
    /// After the reply to its creation was lost. Of sixty dropped creates the last landed after 5
    /// s.
    pub lost: Duration,
    /// After a build was dropped.
    pub dropped: Duration,
}

/// The ledger of one run.
pub struct Ledger {
    run: RunId,
    entries: Mutex<BTreeMap<(ResourceKind, String), State>>,
    changed: Notify,
    sink: Option<Box<dyn IntentSink>>,
    /// Whether it was told that the sink takes nothing any more.
    told: AtomicBool,
    /// Whether the creating process was another one, so that there may be more than is recorded.
    replayed: bool,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(run: RunId, sink: Option<Box<dyn IntentSink>>) -> Arc<Self> {
        Arc::new(Self {
            run,
            entries: Mutex::default(),
            changed: Notify::new(),
            sink,
            told: AtomicBool::new(false),
            replayed: false,
        })
    }

    /// The ledger that a dead process left, read from its records: every intent without an answer
    /// counts as a lost reply.
    #[must_use]
    pub fn replay(run: RunId, records: impl IntoIterator<Item = Record>) -> Arc<Self> {
        let lost = State::Lost(clock::now());
        let entries = records
            .into_iter()
            .filter_map(|record| match record {
                Record::Intend { kind, name } => Some(((kind, name), lost.clone())),
                Record::Settle { kind, name } => Some(((kind, name), State::Settled)),
                Record::CommandIntended
                | Record::Command { .. }
                | Record::CommandGone
                | Record::Done
                | Record::Hold { .. } => None,
            })
            .collect();
        Arc::new(Self {
            run,
            entries: Mutex::new(entries),
            changed: Notify::new(),
            sink: None,
            told: AtomicBool::new(false),
            replayed: true,
        })
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// Records that a call that creates `name` is about to be made.
    ///
    /// The second value is the error of the watchdog's pipe, if there is one; the intent is
    /// recorded here all the same.
    pub fn intend(
        self: &Arc<Self>,
        kind: ResourceKind,
        name: &str,
    ) -> (Intent, Option<std::io::Error>) {
        self.lock().insert((kind, name.to_owned()), State::InFlight);
        let problem = self.pass_on(&Record::Intend {
            kind,
            name: name.to_owned(),
        });
        // Once is enough: it does not get better.
        let problem = problem.filter(|_| !self.told.swap(true, Ordering::Relaxed));
        (
            Intent {
                ledger: Arc::clone(self),
                kind,
                name: name.to_owned(),
                answer: None,
            },
            problem,
        )
    }

    /// Tells the watchdog that the run has torn down everything itself.
    pub fn done(&self) {
        // A watchdog that is gone needs no word.
        let _ = self.pass_on(&Record::Done);
    }

    /// Tells the watchdog that the environment is left to a person, and for how long. Returns why
    /// nobody will end it then.
    pub fn hold(&self, time: Duration) -> Option<std::io::Error> {
        match &self.sink {
            None => Some(std::io::Error::other("there is none")),
            Some(_) => self.pass_on(&Record::Hold {
                seconds: time.as_secs(),
            }),
        }
    }

    /// Tells the watchdog of a command on this host. Returns why it does not listen.
    pub fn tell(&self, record: &Record) -> Option<std::io::Error> {
        self.pass_on(record)
    }

    fn pass_on(&self, record: &Record) -> Option<std::io::Error> {
        self.sink
            .as_ref()
            .and_then(|sink| sink.pass_on(record).err())
    }

    /// Whether nothing was ever intended: then there is nothing to tear down.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        !self.replayed && self.lock().is_empty()
    }

    /// Whether the creating process was another one, whose records may not be complete.
    #[must_use]
    pub const fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// Whether the engine has answered every creating call. Where it has not, something may appear
    /// long after its time, and the watchdog is the one who can wait for it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.lock().values().all(|state| *state == State::Settled)
    }

    /// What is being created by calls that the engine has not answered. The ids are the names.
    #[must_use]
    pub fn in_flight(&self) -> Vec<Resource> {
        let entries = self.lock();
        let in_flight = entries
            .iter()
            .filter(|(_, state)| **state == State::InFlight);
        in_flight.map(|(key, _)| resource(key)).collect()
    }

    /// Whether a creating call is still in flight.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        !self.lock().values().any(|state| *state == State::InFlight)
    }

    /// Until when a resource may still appear whose creating call was not answered, those that
    /// `seen` knows left out. `None` when nothing can appear any more.
    #[must_use]
    pub fn may_appear_until(
        &self,
        seen: &dyn Fn(ResourceKind, &str) -> bool,
        late: Late,
    ) -> Option<Instant> {
        self.lock()
            .iter()
            .filter(|((kind, name), _)| !seen(*kind, name))
            .filter_map(|(_, state)| match state {
                State::Lost(at) => at.checked_add(late.lost),
                State::Dropped(at) => at.checked_add(late.dropped),
                State::InFlight | State::Settled => None,
            })
            .max()
    }

    /// Everything recorded, for the report when the engine cannot be asked. The ids are the names.
    #[must_use]
    pub fn recorded(&self) -> Vec<Resource> {
        self.lock().keys().map(resource).collect()
    }

    /// Returns at the next answer to a creating call.
    pub async fn next_change(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(ResourceKind, String), State>> {
        // A panic elsewhere must not keep teardown from reading the ledger.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn resource((kind, name): &(ResourceKind, String)) -> Resource {
    Resource {
        kind: *kind,
        id: name.clone(),
        name: name.clone(),
    }
}

/// A creating call in flight. Dropped without an answer, a build counts as ended and everything
/// else (a panic) as a lost reply.
pub struct Intent {
    ledger: Arc<Ledger>,
    kind: ResourceKind,
    name: String,
    answer: Option<State>,
}

impl Intent {
    /// The engine has answered: the resource exists, or it certainly does not.
    pub fn settle(mut self) {
        self.answer = Some(State::Settled);
        self.ledger.pass_on(&Record::Settle {
            kind: self.kind,
            name: self.name.clone(),
        });
    }

    /// The connection broke: whether the resource exists is unknown.
    pub fn lose(mut self) {
        self.answer = Some(State::Lost(clock::now()));
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        let state = match self.answer.take() {
            Some(state) => state,
            None if self.kind == ResourceKind::Image => State::Dropped(clock::now()),
            None => State::Lost(clock::now()),
        };
        self.ledger
            .lock()
            .insert((self.kind, std::mem::take(&mut self.name)), state);
        self.ledger.changed.notify_waiters();
    }
}
