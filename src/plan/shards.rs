//! The parts of suites that are divided: what they are called, and which of them take part.
//!
//! Pure: what the CI system says of the job comes in with the [`Selection`].

use std::collections::{BTreeMap, BTreeSet};

use super::{PlanError, Selection, replicas};
use crate::config::model::{Project, Service, Shards};
use crate::name::{ServiceName, Shard};

/// The variable by which a suite knows which part it is, counted from 0 as test runners do.
const INDEX: &str = "ENVRUN_SHARD_INDEX";

/// The variable by which a suite knows how many parts there are.
const TOTAL: &str = "ENVRUN_SHARD_TOTAL";

/// One part of a suite: its name, and which part it is.
pub(super) type Part = (ServiceName, Shard);

/// All parts of each suite that is divided, whether they take part or not. A name does not depend on
/// what is selected, so a part is called the same in every run.
pub(super) fn of_suites<'project>(
    project: &'project Project,
    selection: &Selection,
) -> BTreeMap<&'project ServiceName, Vec<Part>> {
    let taken = project.services.keys().map(ServiceName::as_str).collect();
    let suites = project.services.values();
    suites
        .filter_map(|service| Some((&service.name, parts(service, selection, &taken)?)))
        .collect()
}

fn parts(service: &Service, selection: &Selection, taken: &BTreeSet<&str>) -> Option<Vec<Part>> {
    let name = &service.name;
    let several = |total| {
        let names = replicas::numbered(name, total, taken);
        let shards = (1..=total).filter_map(|index| Shard::new(index, total));
        names.into_iter().zip(shards).collect::<Vec<_>>()
    };
    match service.suite.as_ref()?.shards {
        Shards::Whole => None,
        Shards::Count(total) => Some(several(total)),
        Shards::Ci => {
            let part = selection.part.or(selection.node).unwrap_or(Shard::WHOLE);
            let mut all = several(part.total());
            all.retain(|(_, shard)| *shard == part);
            Some(all)
        }
    }
}

/// The parts of suites that this run takes, where it is itself one of several.
///
/// # Errors
/// There is nothing to divide, or a suite has too few parts for each run to get one: a run without any
/// would pass without having tested anything.
pub(super) fn divide(
    services: &[&Service],
    selection: &Selection,
    parts: &mut BTreeMap<&ServiceName, Vec<Part>>,
) -> Result<(), PlanError> {
    let Some(part) = selection.part else {
        return Ok(());
    };
    let suites = services.iter().filter_map(|service| {
        let suite = service.suite.as_ref()?;
        Some((&service.name, suite.shards))
    });
    let mut divided = false;
    for (name, shards) in suites {
        divided |= shards != Shards::Whole;
        let (Shards::Count(count), Some(parts)) = (shards, parts.get_mut(name)) else {
            continue;
        };
        if count < part.total() {
            return Err(PlanError::TooFewShards {
                suite: name.clone(),
                shards: count,
                part,
            });
        }
        parts.retain(|(_, shard)| (shard.index() - 1) % part.total() == part.index() - 1);
    }
    if divided {
        Ok(())
    } else {
        Err(PlanError::NothingToDivide { part })
    }
}

/// A part of a suite knows which one it is.
pub(super) fn tell(service: &mut Service, shard: Shard) {
    for (name, value) in [(INDEX, shard.index() - 1), (TOTAL, shard.total())] {
        service.unset_environment.remove(name);
        service
            .environment
            .insert(name.to_owned(), value.to_string());
    }
}
