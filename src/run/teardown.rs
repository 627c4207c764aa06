//! Teardown: removes everything that carries the label of the run, and verifies it by listing.
//!
//! Works from the engine's listing, not from memory, so that it serves a run at its end and the
//! watchdog after a dead run alike. It shares no cancellation with the run, has its own limits,
//! goes on after every failure, and says at the end what is left. Containers go first and all at
//! once, then networks, volumes and images all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::ledger::{Late, Ledger};
use crate::clock::{self, Instant};
use crate::engine::{Engine, EngineError, FailureKind, Listing, Removal, Resource, ResourceKind};
use crate::outcome::{Leftover, TeardownReport};

/// Limits of a teardown.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Limit of the whole.
    pub total: Duration,
    /// How long resources may still appear.
    pub late: Late,
    /// How long an engine that does not answer at all is waited for.
    pub engine_silent: Duration,
}

impl Limits {
    /// Those of a watchdog, which nobody waits for: it outlasts an engine that is being restarted, or
    /// upgraded.
    #[must_use]
    pub fn patient() -> Self {
        Self {
            total: Duration::from_secs(15 * 60),
            engine_silent: Duration::from_secs(10 * 60),
            // An engine with a dozen runs on it was seen to create a network eight seconds after
            // whoever had asked for it was killed.
            late: Late {
                lost: Duration::from_secs(60),
                dropped: Duration::from_secs(5),
            },
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(60),
            late: Late {
                lost: Duration::from_secs(8),
                dropped: Duration::from_millis(500),
            },
            // A daemon that is restarted gives its containers up to fifteen seconds, and needs some
            // for itself.
            engine_silent: Duration::from_secs(30),
        }
    }
}

/// Pause between two rounds that changed nothing, growing with each.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the removals of one rank are waited for before the others are begun. One that the engine
/// never answers must not keep everything else there.
const RANK: Duration = Duration::from_secs(10);

/// How long a removal may take before it is asked for once more.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Removes everything that belongs to the ledger's run.
pub async fn tear_down(
    engine: &Arc<dyn Engine>,
    ledger: &Arc<Ledger>,
    limits: Limits,
) -> TeardownReport {
    if ledger.is_untouched() {
        return TeardownReport::default();
    }
    let (sender, answers) = mpsc::unbounded_channel();
    let mut teardown = Teardown {
        engine: Arc::clone(engine),
        ledger: Arc::clone(ledger),
        limits,
        begun: clock::now(),
        sender,
        answers,
        under_way: BTreeMap::new(),
        removed: BTreeSet::new(),
        already_gone: BTreeSet::new(),
        reasons: BTreeMap::new(),
    };
    let left = teardown.run().await;
    TeardownReport {
        removed: teardown.removed.into_iter().collect(),
        already_gone: teardown.already_gone.into_iter().collect(),
        left,
        duration: teardown.begun.elapsed(),
    }
}

type Answer = (Resource, Result<Removal, EngineError>);

struct Teardown {
    engine: Arc<dyn Engine>,
    ledger: Arc<Ledger>,
    limits: Limits,
    begun: Instant,
    sender: mpsc::UnboundedSender<Answer>,
    answers: mpsc::UnboundedReceiver<Answer>,
    /// Removals that the engine has not answered, and since when.
    under_way: BTreeMap<Resource, Instant>,
    removed: BTreeSet<Resource>,
    already_gone: BTreeSet<Resource>,
    reasons: BTreeMap<Resource, String>,
}

impl Teardown {
    /// Rounds of listing and removing until the listing is empty and nothing can appear any more.
    async fn run(&mut self) -> Vec<Leftover> {
        let mut pause = FIRST_PAUSE;
        let mut last_answer = clock::now();
        loop {
            // Asked before the listing: what was in flight when the listing was made may be missing from it.
            let complete = self.nothing_can_appear();
            let listing = self.engine.listing(self.ledger.run()).await;
            if listing.is_empty() && complete {
                return Vec::new();
            }
            let unreachable = |error: &EngineError| error.kind == FailureKind::Unreachable;
            let silent = listing.unknown.len() == ResourceKind::ALL.len()
                && listing.unknown.values().all(unreachable);
            if !silent {
                last_answer = clock::now();
            }
            let before = self.removed.len();
            self.remove_all(&listing.found).await;
            if self.over() || last_answer.elapsed() >= self.limits.engine_silent {
                return self.left(listing);
            }
            if self.removed.len() > before {
                pause = FIRST_PAUSE;
                // What was removed is verified by the next listing at once.
                continue;
            }
            // An answer to a call in flight is the reason to look again; the pause is for what
            // comes without one.
            let changed = Arc::clone(&self.ledger);
            let _ = clock::within(pause, changed.next_change()).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn over(&self) -> bool {
        self.begun.elapsed() >= self.limits.total
    }

    fn is_gone(&self, kind: ResourceKind, name: &str) -> bool {
        self.removed
            .iter()
            .chain(&self.already_gone)
            .any(|resource| resource.kind == kind && resource.name == name)
    }

    /// No creating call is in flight, and no lost reply is recent enough for its resource to appear
    /// yet.
    fn nothing_can_appear(&self) -> bool {
        let seen = |kind: ResourceKind, name: &str| self.is_gone(kind, name);
        self.ledger.is_quiet()
            && self
                .ledger
                .may_appear_until(&seen, self.limits.late)
                .is_none_or(|until| clock::now() >= until)
    }

    /// Containers hold networks, volumes and images, so they go first; within a rank everything
    /// goes at once.
    async fn remove_all(&mut self, listing: &[Resource]) {
        let (containers, others): (Vec<_>, Vec<_>) = listing
            .iter()
            .cloned()
            .partition(|resource| resource.kind == ResourceKind::Container);
        self.remove_rank(&containers).await;
        self.remove_rank(&others).await;
    }

    async fn remove_rank(&mut self, rank: &[Resource]) {
        for resource in rank {
            let asked = self.under_way.get(resource);
            if asked.is_some_and(|since| since.elapsed() < ASK_AGAIN) {
                continue;
            }
            self.under_way.insert(resource.clone(), clock::now());
            let engine = Arc::clone(&self.engine);
            let sender = self.sender.clone();
            let resource = resource.clone();
            // Spawned and never aborted: when time is over the removal goes on without us.
            tokio::spawn(async move {
                let answer = engine.remove(&resource).await;
                let _ = sender.send((resource, answer));
            });
        }
        let begun = clock::now();
        let limit = RANK.min(self.limits.total.saturating_sub(self.begun.elapsed()));
        while rank.iter().any(|one| self.under_way.contains_key(one)) {
            let left = limit.saturating_sub(begun.elapsed());
            match clock::within(left, self.answers.recv()).await {
                Ok(Some((resource, answer))) => self.answered(resource, answer),
                _ => return,
            }
        }
    }

    fn answered(&mut self, resource: Resource, answer: Result<Removal, EngineError>) {
        self.under_way.remove(&resource);
        match answer {
            Ok(Removal::Removed) => {
                self.removed.insert(resource);
            }
            // The answer to a second question about what the first one has removed.
            Ok(Removal::AlreadyGone) if self.removed.contains(&resource) => {}
            Ok(Removal::AlreadyGone) => {
                self.already_gone.insert(resource);
            }
            Err(error) => {
                self.reasons.insert(resource, error.message);
            }
        }
    }

    /// Time is over: what the last listing showed and was not removed since, what was recorded of
    /// the kinds that could not be listed, and what the engine may still create.
    fn left(&self, listing: Listing) -> Vec<Leftover> {
        let mut left: Vec<Leftover> = listing
            .found
            .into_iter()
            .filter(|resource| {
                !self.removed.contains(resource) && !self.already_gone.contains(resource)
            })
            .map(|resource| {
                let reason = self.reason(&resource);
                Leftover { resource, reason }
            })
            .collect();
        let recorded = self.ledger.recorded();
        for (kind, error) in listing.unknown {
            let reason = format!("unknown, since the engine does not tell: {error}");
            let known = recorded
                .iter()
                .filter(|one| one.kind == kind && !self.is_gone(kind, &one.name));
            let mut known: Vec<Resource> = known.cloned().collect();
            // The records of a dead run are not complete.
            if known.is_empty() && self.ledger.is_replayed() {
                known.push(Resource {
                    kind,
                    id: String::new(),
                    name: format!("any {kind} of run {}", self.ledger.run()),
                });
            }
            left.extend(known.into_iter().map(|resource| Leftover {
                resource,
                reason: reason.clone(),
            }));
        }
        for resource in self.ledger.in_flight() {
            if !left
                .iter()
                .any(|one| one.resource.kind == resource.kind && one.resource.name == resource.name)
            {
                let reason = "the engine has not answered yet whether it creates it".to_owned();
                left.push(Leftover { resource, reason });
            }
        }
        left
    }

    fn reason(&self, resource: &Resource) -> String {
        match (self.under_way.get(resource), self.reasons.get(resource)) {
            // A removal that was asked for a moment ago is not the reason.
            (Some(since), reason) if reason.is_none() || since.elapsed() >= RANK => format!(
                "the engine has not answered its removal within {} s",
                since.elapsed().as_secs()
            ),
            (_, Some(reason)) => format!(
                "not removed within {} s, last: {reason}",
                self.limits.total.as_secs()
            ),
            (_, None) => format!("not removed within {} s", self.limits.total.as_secs()),
        }
    }
}
