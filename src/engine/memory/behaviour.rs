//! What the containers of a service do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::UsageSample;

/// How the containers of a service behave.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Ports that accept connections, each from this long after the start.
    pub accepts: BTreeMap<u16, Duration>,
    /// How its first runs end, one entry a run: how long after the start, and the exit code.
    pub crashes: Vec<(Duration, i64)>,
    /// The container ends this long after any later start, with this exit code. `None`: it runs
    /// until it is removed.
    pub exits: Option<(Duration, i64)>,
    /// Whether the exit counts as an OOM kill.
    pub oom_killed: bool,
    /// What it prints at its start.
    pub output: &'static str,
    /// Files in it, by absolute path, once it has ended.
    pub files: BTreeMap<&'static str, &'static str>,
    /// What it uses while it runs.
    pub usage: Option<UsageSample>,
    /// Archives of paths in it, as they are, whatever they hold.
    pub archives: BTreeMap<&'static str, Vec<u8>>,
    /// The exit code of commands that are run in it, and from when on (after the start) it is 0
    /// instead.
    pub exec: Option<(i64, Duration)>,
    /// How long a command that is run in it takes, and its exit code, by the command.
    pub commands: BTreeMap<&'static str, (Duration, i64)>,
    /// How long it takes to end by its stop signal; `None`: it ignores it.
    pub stops: Option<Duration>,
}

impl Behaviour {
    /// Runs until it is removed and accepts on `port` from `after` its start.
    #[must_use]
    pub fn serves(port: u16, after: Duration) -> Self {
        Self {
            accepts: BTreeMap::from([(port, after)]),
            ..Self::default()
        }
    }

    /// Ends with `code`, `after` its start.
    #[must_use]
    pub fn exits(after: Duration, code: i64) -> Self {
        Self {
            exits: Some((after, code)),
            ..Self::default()
        }
    }
}
