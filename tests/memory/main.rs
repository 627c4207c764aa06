//! Whole runs on the engine in memory, with paused time.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod agents;
mod behaviour;
mod commander;
mod dependencies;
mod evidence;
mod explaining;
mod faults;
mod gate;
mod holding;
mod hooks;
mod host_command;
mod images;
mod injection;
mod isolation;
mod masking;
mod networks;
mod reachability;
mod replicas;
mod requested_faults;
mod restarts;
mod suites;
mod support;
mod watchdog;
