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
    repository().join("scenarios/ci-pipeline")
}

/// The PostgreSQL image that the scenario uses: `POSTGRES_IMAGE` of the environment, of its `.env`,
/// or the official one.
pub(crate) fn postgres() -> String {
    let from_file = || {
        let text = std::fs::read_to_string(pipeline().join(".env")).ok()?;
        text.lines()
            .find_map(|line| line.trim().strip_prefix("POSTGRES_IMAGE="))
            .map(str::to_owned)
    };
    std::env::var("POSTGRES_IMAGE")
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(from_file)
        .unwrap_or_else(|| "postgres:15".to_owned())
}

/// A `build:` for a service that needs Python. It is the application of the scenario, so all its
/// layers come from the engine's cache once the scenario has been built.
pub(crate) fn python() -> String {
    format!("build: {{ context: {} }}", pipeline().join("app").display())
}
