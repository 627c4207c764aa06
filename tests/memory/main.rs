//! Whole runs on the engine in memory, with paused time.

mod behaviour;
mod faults;
mod support;
