//! Why there is no plan. Nothing is decided here.

use crate::image::reference::ReferenceError;
use crate::name::ServiceName;

/// Why there is no plan. All of these are configuration errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The project holds no suite.
    #[error(
        "project `{project}` has no suite\nhint: give a service `x-envrun: {{ suite: {{}} }}` to make its exit code a verdict"
    )]
    NoSuite {
        /// Name of the project.
        project: String,
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
    /// `--skip` leaves nothing.
    #[error("`--only` and `--skip` together leave no suite to run")]
    NothingSelected,
}
