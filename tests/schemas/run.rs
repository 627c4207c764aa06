//! `run.json`: the schema keeps what it has promised. What runs write is held against it where they
//! are run: `tests/engine/replay.rs`.

use envrun::replay::SCHEMA_VERSION;

use crate::keeps_its_promises;

#[test]
fn a_version_keeps_what_it_has_promised() {
    keeps_its_promises("run", SCHEMA_VERSION);
}
