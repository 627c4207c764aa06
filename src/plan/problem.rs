//! Why there is no plan. Nothing is decided here.

use crate::image::reference::ReferenceError;
use crate::name::{NetworkKey, ServiceName, Shard};

/// Why there is no plan. All of these are configuration errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The project holds no suite.
    #[error(
        "project `{project}` has no suite, and there is no command\nhint: `envrun run -- COMMAND` runs a command on this host in the environment, and `x-envrun: {{ suite: {{}} }}` makes a service a suite; either way the exit code is the verdict"
    )]
    NoSuite {
        /// Name of the project.
        project: String,
    },
    /// `--command-name` is the name of something else.
    #[error(
        "`--command-name {name}` is the name of a service or suite already\nhint: name another one"
    )]
    CommandName {
        /// The name.
        name: ServiceName,
    },
    /// `--only` or `--skip` names no suite.
    #[error("`{option} {name}` matches no suite\nhint: the suites are {suites}")]
    UnknownSuite {
        /// `--only` or `--skip`.
        option: &'static str,
        /// What was given.
        name: String,
        /// The suites that exist.
        suites: String,
    },
    /// `image:` of a service is no reference.
    #[error("`{image}` of service `{service}` is no reference of an image: {reason}")]
    InvalidImage {
        /// The service.
        service: ServiceName,
        /// What was given.
        image: String,
        /// What is wrong with it.
        reason: ReferenceError,
    },
    /// A service shares with one that has no container.
    #[error(
        "service `{service}` shares with `{with}`, which has 0 replicas\nhint: give `{with}` a replica, or leave out both"
    )]
    SharesWithNobody {
        /// The service.
        service: ServiceName,
        /// The other one.
        with: ServiceName,
    },
    /// A service shares with a suite that may get another container.
    #[error(
        "service `{service}` shares with suite `{suite}`, which gets another container when it is run once more\nhint: leave out `suite.retries` of `{suite}`, or let it share with `{service}`"
    )]
    SharesWithRetried {
        /// The service.
        service: ServiceName,
        /// The suite.
        suite: ServiceName,
    },
    /// `--only` or `--skip` is no pattern.
    #[error(
        "`{option} {pattern}` is no pattern: {reason}\nhint: `api-*` matches every name that begins so"
    )]
    InvalidPattern {
        /// `--only` or `--skip`.
        option: &'static str,
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `--shard` divides a suite into more runs than it has parts.
    #[error(
        "`--shard {part}` divides suite `{suite}` over {} runs, and it has {shards} {}\nhint: give it `shards: {}` or more, or say `shards: ci` to have as many as there are runs",
        part.total(), if *shards == 1 { "shard" } else { "shards" }, part.total()
    )]
    TooFewShards {
        /// The suite.
        suite: ServiceName,
        /// How many it has.
        shards: u32,
        /// What was asked for.
        part: Shard,
    },
    /// `--shard` where no suite is divided.
    #[error(
        "`--shard {part}` divides nothing, since no suite that takes part has shards\nhint: give a suite `shards: ci`, or a number of shards"
    )]
    NothingToDivide {
        /// What was asked for.
        part: Shard,
    },
    /// There is nothing but suites.
    #[error(
        "project `{project}` has nothing but suites, so there is no environment to hold\nhint: `envrun run` runs the suites"
    )]
    NoEnvironment {
        /// Name of the project.
        project: String,
    },
    /// A suite that asks for faults is on no network on which it could be heard.
    #[error(
        "suite `{suite}` asks for faults and is on no network of the file\nhint: put it on the network of a service, or leave out `suite.faults`"
    )]
    FaultsWithoutNetwork {
        /// The suite.
        suite: ServiceName,
    },
    /// A suite with an environment of its own needs what is in the container of another suite.
    #[error(
        "suite `{suite}` has `isolation: own`, and `{service}` shares with suite `{other}`, of which there is no copy\nhint: let `{service}` share with a service, or leave out `isolation: own`"
    )]
    SharesWithSuite {
        /// The suite.
        suite: ServiceName,
        /// Who shares: the suite, or something that it depends on.
        service: ServiceName,
        /// The other suite.
        other: ServiceName,
    },
    /// A network of a suite's own environment would be there twice, and cannot be.
    #[error(
        "suite `{suite}` has `isolation: own`, and network `{network}` cannot be there once more: the file fixes {fixed}\nhint: leave that out, so that each copy of `{network}` gets a free one, or leave out `isolation: own`"
    )]
    CannotDouble {
        /// The suite.
        suite: ServiceName,
        /// The network.
        network: NetworkKey,
        /// What the file fixes of it.
        fixed: String,
    },
    /// Strangers' code would have more containers by its copies than it may have.
    #[error(
        "with the copies of suites with `isolation: own` there would be {containers} containers, and strangers' code may have {limit}\nhint: fewer suites with `isolation: own`, or a smaller `depends_on`"
    )]
    TooManyCopies {
        /// How many there would be.
        containers: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A service would be on an external network twice, under the same name.
    #[error(
        "suite `{suite}` has `isolation: own`, and its copy of `{service}` would be on the external network `{network}` under the same name as another `{service}`, so that the engine would answer with either\nhint: take `{service}` off `{network}`, or leave out `isolation: own`"
    )]
    TwiceOutside {
        /// The suite.
        suite: ServiceName,
        /// The service.
        service: ServiceName,
        /// The network.
        network: NetworkKey,
    },
    /// `--skip` leaves nothing.
    #[error("`--only` and `--skip` together leave no suite to run")]
    NothingSelected,
    /// What is selected of a suite belongs to another one of the runs that it is divided over.
    #[error(
        "`--only` and `--skip` leave nothing of suite `{suite}` that `--shard {part}` takes\nhint: leave out one of them"
    )]
    SelectedElsewhere {
        /// The suite.
        suite: ServiceName,
        /// What was asked for.
        part: Shard,
    },
}
