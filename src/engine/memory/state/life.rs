//! The runs of a container: it is started, ends, and may be started again.

use std::time::Duration;

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::engine::memory) struct Life {
    /// How often it was started.
    pub(in crate::engine::memory) run: u32,
    /// The exit code, once that run has ended.
    pub(in crate::engine::memory) exit: Option<i64>,
}

impl Life {
    pub(in crate::engine::memory) const fn is_running(&self) -> bool {
        self.run > 0 && self.exit.is_none()
    }

    /// The run that an attached client sees: the one that goes on, else the next one.
    pub(in crate::engine::memory) const fn next_run(&self) -> u32 {
        if self.is_running() {
            self.run
        } else {
            self.run + 1
        }
    }

    /// Whether a run is over.
    pub(in crate::engine::memory) const fn has_ended(&self, run: u32) -> bool {
        self.run > run || (self.run == run && self.exit.is_some())
    }
}

/// How a run ends by itself.
pub(in crate::engine::memory) struct End {
    pub(in crate::engine::memory) run: u32,
    /// From its start.
    pub(in crate::engine::memory) after: Duration,
    pub(in crate::engine::memory) code: i64,
}
