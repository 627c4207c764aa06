//! What a running container uses.

use std::time::Duration;

/// What a running container uses at one moment, as its engine says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageSample {
    /// Memory in use, in bytes, without what the kernel would take back first: the cache of files that
    /// nobody has touched for a while.
    pub memory: u64,
    /// The most that was in use since its start, in bytes and with that cache, where the kernel keeps
    /// count of it: with cgroups of version 1.
    pub memory_peak: Option<u64>,
    /// Its memory limit, in bytes; without one the memory of the engine's host.
    pub memory_limit: Option<u64>,
    /// Time of processors that it has used since its start.
    pub cpu: Duration,
}
