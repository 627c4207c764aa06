//! What a run is given besides its plan. Nothing is decided here.

use std::time::Duration;

use crate::artifact;
use crate::engine::Subnet;
use crate::lease::Owner;

/// What the run is given besides the plan.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Pool that subnets are taken from.
    pub subnet_pool: Subnet,
    /// Subnets that must not be touched: routes of the host.
    pub avoid_subnets: Vec<Subnet>,
    /// How many containers are started at once. The engine saturates early, and more at once only
    /// makes each slower.
    pub concurrent_starts: usize,
    /// Whether, when and for how long the environment is left to a person.
    pub hold: Option<Hold>,
    /// How many subnets are tried before the pool counts as exhausted.
    pub subnet_attempts: u32,
    /// How long a network waits for another run that has what only one can have.
    pub holder_patience: Duration,
    /// Under which address a command on this host finds what the engine has published.
    pub engine_host: EngineHost,
    /// How much is kept of the files of each container.
    pub artifacts: artifact::Limits,
    /// A number that nobody can guess: only who was given it may wish for faults.
    pub secret: u128,
}

/// An environment that is left to a person.
#[derive(Debug, Clone)]
pub struct Hold {
    /// When.
    pub when: HoldWhen,
    /// For how long.
    pub time: Duration,
    /// The process that ends it then.
    pub keeper: Option<Owner>,
}

/// When an environment is left to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldWhen {
    /// As soon as everything in it is ready. There are no suites.
    Up,
    /// When a suite or the environment has failed.
    Failed,
}

/// The host of the engine, as seen from this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineHost {
    /// The name or address to dial; `None` where there is no way to it.
    pub host: Option<String>,
    /// The address on which ports are published for this host; `None`: on all.
    pub publish_on: Option<String>,
}

impl Default for EngineHost {
    /// The engine is on this host.
    fn default() -> Self {
        let loopback = "127.0.0.1".to_owned();
        Self {
            host: Some(loopback.clone()),
            publish_on: Some(loopback),
        }
    }
}
