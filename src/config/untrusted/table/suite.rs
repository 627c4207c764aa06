//! The keys of `x-envrun.suite`.

use super::Group;

pub(super) const GROUPS: &[Group] = &[
    Group {
        path: "services.*.x-envrun.suite",
        fine: &[
            "artifacts",
            "faults",
            "flaky",
            "go_test",
            "isolation",
            "junit",
            "paths",
            "retries",
            "shards",
            "tap",
            "test_command",
            "timeout",
        ],
        others: &[],
    },
    Group {
        path: "services.*.x-envrun.suite.artifacts",
        fine: &["paths", "when"],
        others: &[],
    },
    Group {
        path: "services.*.x-envrun.artifacts",
        fine: &["paths", "when"],
        others: &[],
    },
];
