//! The images that the tests use. `ci/setup` makes them; a test fails with that word when one is
//! missing.

use std::path::{Path, PathBuf};

/// Debian with bash and coreutils, and no interpreter.
pub(crate) const BASE: &str = "debian:bookworm-slim";

/// The top of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The scenario with a database, an API and three suites.
pub(crate) fn pipeline() -> PathBuf {
    scenario("ci-pipeline")
}

/// A scenario that the repository ships, by the name of its directory.
pub(crate) fn scenario(name: &str) -> PathBuf {
    repository().join("scenarios").join(name)
}

/// The PostgreSQL image that the scenarios use.
pub(crate) fn postgres() -> String {
    chosen("POSTGRES_IMAGE", "ci-pipeline", "postgres:15")
}

/// The MariaDB image that the scenarios use.
pub(crate) fn mariadb() -> String {
    chosen("MARIADB_IMAGE", "flask-mysql", "mariadb:10.11")
}

/// The nginx image that the scenarios use.
pub(crate) fn nginx() -> String {
    chosen("NGINX_IMAGE", "three-tier", "nginx:1.22")
}

/// What a variable of the environment says, or the `.env` of a scenario, or else the official image.
fn chosen(variable: &str, of: &str, official: &str) -> String {
    let from_file = || {
        let text = std::fs::read_to_string(scenario(of).join(".env")).ok()?;
        text.lines()
            .find_map(|line| line.trim().strip_prefix(variable)?.strip_prefix('='))
            .map(str::to_owned)
    };
    std::env::var(variable)
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(from_file)
        .unwrap_or_else(|| official.to_owned())
}

/// A `build:` for a service that needs Python. It is the application of the scenario, so all its
/// layers come from the engine's cache once the scenario has been built.
pub(crate) fn python() -> String {
    format!("build: {{ context: {} }}", pipeline().join("app").display())
}

/// A server that probes ask, made by `ci/servers`.
pub(crate) fn server(kind: &str) -> String {
    format!("envrun-tests/{kind}")
}
