//! Garbage collection: finds the runs whose resources nobody needs any more, and removes them.
//!
//! It serves `envrun gc` and, in the background, the start of every run. What a run still needs is
//! judged by [`lease::judge`]; removal is teardown's, run by run. Everything is listed first and the
//! processes are asked for afterwards, so that a run that begins meanwhile is either not in the
//! listing or alive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ledger::Ledger;
use super::teardown::{Limits, tear_down};
use crate::engine::{BUILD_LABEL, Belonging, Engine, EngineError, PROJECT_LABEL, ResourceKind};
use crate::lease::{self, Neighbours, Standing};
use crate::name::{BuildId, RunId};
use crate::outcome::TeardownReport;

/// A run of which the engine has something.
#[derive(Debug, Clone)]
pub struct Found {
    /// The run.
    pub run: RunId,
    /// Its project.
    pub project: String,
    /// The build of a CI system that it is a part of.
    pub build: Option<BuildId>,
    /// Whether it may still need what it has.
    pub standing: Standing,
    /// What it has.
    pub belongings: Vec<Belonging>,
    /// How long ago the newest of it was created, by the engine's clock.
    pub age: Duration,
}

impl Found {
    /// `2 containers, 1 network`.
    #[must_use]
    pub fn inventory(&self) -> String {
        inventory(self.belongings.iter().map(|one| one.resource.kind))
    }
}

/// Counts resources by their kind, for people: `2 containers, 1 network`.
#[must_use]
pub fn inventory(kinds: impl Iterator<Item = ResourceKind>) -> String {
    let mut counts: BTreeMap<ResourceKind, usize> = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(kind, count)| format!("{count} {kind}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Finds every run of which the engine has something, in order of age, the oldest first.
///
/// # Errors
/// The engine does not answer.
pub async fn survey(
    engine: &Arc<dyn Engine>,
    neighbours: &(dyn Neighbours + Sync),
) -> Result<Vec<Found>, EngineError> {
    // The time comes first: what is created afterwards is new, and nothing is taken for older than
    // it is.
    let now = engine.time().await?;
    let mut runs: BTreeMap<RunId, Vec<Belonging>> = BTreeMap::new();
    for belonging in engine.list_all().await? {
        runs.entry(belonging.run).or_default().push(belonging);
    }
    let mut found = Vec::new();
    for (run, mut belongings) in runs {
        if belongings
            .iter()
            .all(|one| one.resource.kind == ResourceKind::Image)
        {
            date_images(engine, &mut belongings).await?;
        }
        found.push(judged(run, belongings, neighbours, now));
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.age));
    Ok(found)
}

fn judged(
    run: RunId,
    belongings: Vec<Belonging>,
    neighbours: &(dyn Neighbours + Sync),
    now: SystemTime,
) -> Found {
    let granted: Vec<_> = belongings.iter().map(Belonging::granted).collect();
    let newest = belongings.iter().filter_map(|one| one.created).max();
    let label = |name: &str| {
        let mut labels = belongings.iter().map(|one| &one.labels);
        labels.find_map(|labels| labels.get(name)).cloned()
    };
    let project = label(PROJECT_LABEL).unwrap_or_default();
    let build = label(BUILD_LABEL).and_then(|build| BuildId::new(&build));
    Found {
        run,
        project,
        build,
        standing: lease::judge(&granted, neighbours, now),
        belongings,
        age: newest
            .and_then(|newest| now.duration_since(newest).ok())
            .unwrap_or_default(),
    }
}

/// An image that came out of the builder's cache was created when the cache was. When it was named is
/// when the run made it; a run that still builds may have nothing else.
async fn date_images(
    engine: &Arc<dyn Engine>,
    images: &mut [Belonging],
) -> Result<(), EngineError> {
    for image in images {
        let facts = engine.inspect_image(&image.resource.id).await?;
        image.created = facts
            .and_then(|facts| facts.present.tagged)
            .max(image.created);
    }
    Ok(())
}

/// Removes everything that a run has, however it stands: that is for the caller to judge.
pub async fn remove(engine: &Arc<dyn Engine>, run: RunId, limits: Limits) -> TeardownReport {
    tear_down(engine, &Ledger::replay(run, []), limits).await
}

/// Removes what dead runs have left, all runs at once, and tells what became of each as soon as that
/// is known: one that cannot be removed must not keep the others from being told.
///
/// # Errors
/// The engine does not answer.
pub async fn sweep(
    engine: &Arc<dyn Engine>,
    neighbours: &(dyn Neighbours + Sync),
    limits: Limits,
    tell: &(dyn Fn(Found, TeardownReport) + Sync),
) -> Result<(), EngineError> {
    let found = survey(engine, neighbours).await?;
    let dead = found
        .into_iter()
        .filter(|one| one.standing == Standing::Dead);
    let removals = dead.map(|one| async move {
        let report = remove(engine, one.run, limits).await;
        tell(one, report);
    });
    futures::future::join_all(removals).await;
    Ok(())
}
