//! The keys of `x-envrun.suite`.

use super::{Section, honoured, warned};

/// `x-envrun.suite`.
pub const SUITE: Section = Section {
    path: "services.*.x-envrun.suite",
    owner: "`suite`",
    keys: &[
        honoured("faults"),
        honoured("flaky"),
        honoured("isolation"),
        honoured("junit"),
        honoured("retries"),
        honoured("shards"),
        honoured("timeout"),
        warned("artifacts"),
    ],
};
