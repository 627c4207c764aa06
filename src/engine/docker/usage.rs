//! What a running container uses.

use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::StatsOptionsBuilder;
use futures::StreamExt as _;

use super::error::translate;
use crate::engine::{EngineError, UsageSample};
use crate::name::ContainerId;

/// One look. An engine answers it within a second, since it looks at most once a second; of a container
/// that does not run it knows nothing.
pub(super) async fn look(
    docker: &Docker,
    container: &ContainerId,
) -> Result<Option<UsageSample>, EngineError> {
    let options = StatsOptionsBuilder::new()
        .stream(false)
        .one_shot(true)
        .build();
    let mut answer = docker.stats(container.as_str(), Some(options));
    let stats = match answer.next().await {
        Some(Ok(stats)) => stats,
        Some(Err(error)) => {
            return Err(translate(
                &format!("look what container `{container}` uses"),
                error,
            ));
        }
        None => return Ok(None),
    };
    let cpu = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage);
    let cpu = cpu.and_then(|cpu| cpu.total_usage);
    let Some(memory) = stats.memory_stats else {
        return Ok(None);
    };
    let (Some(usage), Some(cpu)) = (memory.usage.filter(|usage| *usage > 0), cpu) else {
        return Ok(None);
    };
    // The one of version 1 covers the groups below it as well.
    let details = memory.stats.unwrap_or_default();
    let cache = ["total_inactive_file", "inactive_file"]
        .into_iter()
        .find_map(|key| details.get(key).copied());
    Ok(Some(UsageSample {
        memory: usage.saturating_sub(cache.unwrap_or(0)),
        memory_peak: memory.max_usage.filter(|peak| *peak > 0),
        memory_limit: memory.limit.filter(|limit| *limit > 0),
        cpu: Duration::from_nanos(cpu),
    }))
}
