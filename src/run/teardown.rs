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
use crate::engine::{Engine, EngineError, FailureKind, Removal, Resource, ResourceKind};
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
            ..Self::default()
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
            engine_silent: Duration::from_secs(15),
        }
    }
}

/// Pause between two rounds that changed nothing, growing with each.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Limit of one listing.
const LISTING: Duration = Duration::from_secs(10);

/// Removes everything that belongs to the ledger's run.
pub async fn tear_down(
    engine: &Arc<dyn Engine>,
    ledger: &Arc<Ledger>,
    limits: Limits,
) -> TeardownReport {
    if ledger.is_untouched() {
        return TeardownReport::default();
    }
    let mut teardown = Teardown {
        engine: Arc::clone(engine),
        ledger: Arc::clone(ledger),
        limits,
        begun: clock::now(),
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

struct Teardown {
    engine: Arc<dyn Engine>,
    ledger: Arc<Ledger>,
    limits: Limits,
    begun: Instant,
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
            match self.list().await {
                Ok(listing) if listing.is_empty() && complete => return Vec::new(),
                Ok(listing) => {
                    last_answer = clock::now();
                    let before = self.removed.len();
                    self.remove_all(&listing).await;
                    if self.removed.len() > before {
                        pause = FIRST_PAUSE;
                        // What was removed is verified by the next listing at once.
                        if !self.over() {
                            continue;
                        }
                    }
                    if self.over() {
                        return self.left(listing);
                    }
                }
                Err(error) => {
                    let silent = error.kind == FailureKind::Unreachable
                        && last_answer.elapsed() >= self.limits.engine_silent;
                    if silent || self.over() {
                        return self.unknown(&error);
                    }
                }
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

    async fn list(&self) -> Result<Vec<Resource>, EngineError> {
        let run = self.ledger.run();
        clock::within(LISTING, self.engine.list(run))
            .await
            .unwrap_or_else(|reached| {
                Err(EngineError {
                    attempt: format!("list what run `{run}` has left"),
                    kind: FailureKind::Unreachable,
                    message: reached.to_string(),
                })
            })
    }

    /// No creating call is in flight, and no lost reply is recent enough for its resource to appear
    /// yet.
    fn nothing_can_appear(&self) -> bool {
        let seen = |kind: ResourceKind, name: &str| {
            self.removed
                .iter()
                .chain(&self.already_gone)
                .any(|resource| resource.kind == kind && resource.name == name)
        };
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
        self.remove_rank(containers).await;
        self.remove_rank(others).await;
    }

    async fn remove_rank(&mut self, rank: Vec<Resource>) {
        let (sender, mut answers) = mpsc::unbounded_channel();
        for resource in rank {
            let engine = Arc::clone(&self.engine);
            let sender = sender.clone();
            // Spawned and never aborted: when time is over the removal goes on without us.
            tokio::spawn(async move {
                let answer = engine.remove(&resource).await;
                let _ = sender.send((resource, answer));
            });
        }
        drop(sender);
        let left = self.limits.total.saturating_sub(self.begun.elapsed());
        let collect = async {
            while let Some((resource, answer)) = answers.recv().await {
                match answer {
                    Ok(Removal::Removed) => {
                        self.removed.insert(resource);
                    }
                    Ok(Removal::AlreadyGone) => {
                        self.already_gone.insert(resource);
                    }
                    Err(error) => {
                        self.reasons.insert(resource, error.to_string());
                    }
                }
            }
        };
        let _ = clock::within(left, collect).await;
    }

    /// Time is over: what the last listing showed and was not removed since.
    fn left(&self, listing: Vec<Resource>) -> Vec<Leftover> {
        let mut left: Vec<Leftover> = listing
            .into_iter()
            .filter(|resource| {
                !self.removed.contains(resource) && !self.already_gone.contains(resource)
            })
            .map(|resource| {
                let reason = self
                    .reasons
                    .get(&resource)
                    .cloned()
                    .unwrap_or_else(|| format!("not removed within {:?}", self.limits.total));
                Leftover { resource, reason }
            })
            .collect();
        if !self.ledger.is_quiet() {
            left.push(Leftover {
                resource: Resource {
                    kind: ResourceKind::Container,
                    id: String::new(),
                    name: "(a creation that the engine has not answered yet)".to_owned(),
                },
                reason: "the engine is still busy with it".to_owned(),
            });
        }
        left
    }

    /// The engine does not answer: everything recorded and not known to be removed may still be
    /// there.
    fn unknown(&self, error: &EngineError) -> Vec<Leftover> {
        let gone = |resource: &Resource| {
            self.removed
                .iter()
                .chain(&self.already_gone)
                .any(|other| other.kind == resource.kind && other.name == resource.name)
        };
        self.ledger
            .recorded()
            .into_iter()
            .filter(|resource| !gone(resource))
            .map(|resource| Leftover {
                resource,
                reason: format!("unknown, since the engine does not answer: {error}"),
            })
            .collect()
    }
}
