//! envrun: ephemeral test environments for CI from a Compose file.
//!
//! The rooms and who may enter which are described in `src/ARCHITECTURE.md`; `tests/layers.rs`
//! enforces it.

pub mod agent;
pub mod artifact;
pub mod ci;
pub mod clock;
pub mod command;
pub mod config;
pub mod diagnosis;
pub mod engine;
pub mod event;
pub mod exit_code;
pub mod fault;
pub mod host;
pub mod image;
pub mod junit;
pub mod lease;
pub mod lines;
pub mod mask;
pub mod name;
pub mod options;
pub mod outcome;
pub mod plan;
pub mod probe;
pub mod reachability;
pub mod replay;
pub mod report;
pub mod run;
pub mod settings;
