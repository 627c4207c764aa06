//! The keys of `deploy.resources`. What is fine here is held by limits.

use super::{Below, Group, Idle, Refused};

pub(super) const GROUPS: &[Group] = &[
    Group {
        path: "services.*.deploy.resources",
        fine: &[],
        others: &[("limits", Below), ("reservations", Below)],
    },
    Group {
        path: "services.*.deploy.resources.limits",
        fine: &["cpus", "memory", "pids"],
        others: &[],
    },
    Group {
        path: "services.*.deploy.resources.reservations",
        fine: &["memory"],
        others: &[
            ("cpus", Idle),
            ("devices", Refused("it opens devices of the host")),
            ("generic_resources", Idle),
        ],
    },
];
