//! The keys of `x-envrun.suite`.

use super::{Section, honoured};

/// `x-envrun.suite`.
pub const SUITE: Section = Section {
    path: "services.*.x-envrun.suite",
    owner: "`suite`",
    keys: &[
        honoured("artifacts"),
        honoured("faults"),
        honoured("flaky"),
        honoured("isolation"),
        honoured("junit"),
        honoured("tap"),
        honoured("go_test"),
        honoured("paths"),
        honoured("retries"),
        honoured("shards"),
        honoured("test_command"),
        honoured("timeout"),
    ],
};

/// `artifacts` of a service, in its long form.
pub const ARTIFACTS: Section = Section {
    path: "services.*.x-envrun.artifacts",
    owner: "`artifacts`",
    keys: ARTIFACT_KEYS,
};

/// `artifacts` of a suite, in its long form.
pub const SUITE_ARTIFACTS: Section = Section {
    path: "services.*.x-envrun.suite.artifacts",
    owner: "`artifacts`",
    keys: ARTIFACT_KEYS,
};

const ARTIFACT_KEYS: &[super::KeyRule] = &[honoured("paths"), honoured("when")];
