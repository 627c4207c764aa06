//! Readiness kinds `exec` and `healthcheck`: a command in the container ends with 0. Who runs it is
//! the executor's business; what its result means is decided here.

use std::time::Duration;

use super::Reason;
use super::conversation::shown;

/// A command of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecProbe {
    /// Command and arguments.
    pub command: Vec<String>,
}

/// A healthcheck run by envrun itself, since the engine's first check comes only after its
/// interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthcheckProbe {
    /// Command and arguments.
    pub command: Vec<String>,
    /// Longest time between two checks.
    pub interval: Duration,
    /// Limit of one check.
    pub timeout: Duration,
    /// Failures in a row that would make it unhealthy.
    pub retries: u32,
    /// Time in which failures do not count.
    pub start_period: Duration,
}

impl HealthcheckProbe {
    /// How long the engine would go on before it called the container unhealthy. envrun is at least
    /// as patient.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.interval
            .saturating_add(self.timeout)
            .saturating_mul(self.retries)
            .saturating_add(self.start_period)
    }
}

/// Judges the end of a command by its exit code.
///
/// # Errors
/// The code and what the command printed last.
pub fn judge(code: i64, output: &str) -> Result<(), Reason> {
    if code == 0 {
        return Ok(());
    }
    Err(Reason::NotYet(match shown(output) {
        output if output.is_empty() => format!("exit code {code}"),
        output => format!("exit code {code}: {output}"),
    }))
}
