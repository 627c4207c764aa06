//! What envrun promises, asked of a real engine: each test runs the program on a project of its own
//! and looks at the engine and at the reports.
//!
//! The tests are independent of each other and of other users of the engine: every project has a
//! name that no other has, everything is looked for by the label of the run, and a guard removes
//! what a failing test leaves. `ci/setup` makes the images that they use.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "whatever goes wrong here is a failing test"
)]

mod addressing;
mod agents;
mod binds;
mod build;
mod build_files;
mod build_keys;
mod ci;
mod command_line;
mod concurrency;
mod database_isolation;
mod diagnosis;
mod engine_restarts;
mod equality;
mod evidence;
mod exit_codes;
mod faults;
mod flask_mysql;
mod formats;
mod full_disk;
mod gc;
mod harness;
mod holding;
mod hooks;
mod host_command;
mod images;
mod initialisation;
mod injection;
mod integrations;
mod isolation;
mod naming;
mod ordering;
mod output;
mod own_environments;
mod phases;
mod probes;
mod reachability;
mod readiness;
mod replay;
mod replicas;
mod reports;
mod requested_faults;
mod restarts;
mod scenario;
mod servers;
mod sharing;
mod side_by_side;
mod signals;
mod soak;
mod suites;
mod taskflow;
mod teardown;
mod terminal;
mod three_tier;
mod untrusted;
mod watchdog;
