//! What is decided about every key of a Compose file. A test compares the table with the published
//! schema: a key without a decision fails it, and is refused in a file.
//!
//! It only names keys and reasons; values are judged in [`super::values`] and [`super::builds`].

mod ready;
mod resources;
mod service;
mod suite;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::judge::{Asked, Judging};
use super::values;

/// Judges one value, and refuses it where it has to be.
pub(in crate::config) type Judge = fn(&mut Judging<'_>, Asked<'_>);

/// What is decided about a key.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum Decision {
    /// Whatever it says is fine, and nothing below it means more than a name or a text.
    Fine,
    /// A run does nothing with it, whatever is below it.
    Idle,
    /// Its keys are decided one by one.
    Below,
    /// The same, and a scalar in its place is fine.
    Open,
    /// Refused, unless it says nothing.
    Refused(&'static str),
    /// Its value decides.
    Judged(Judge),
    /// Its value decides, and then its keys one by one.
    JudgedBelow(Judge),
}

/// The keys of one kind of mapping.
pub(in crate::config) struct Group {
    /// Where it stands, `*` for any key and `[]` for any entry of a list.
    pub(in crate::config) path: &'static str,
    /// The keys that are [`Decision::Fine`].
    pub(in crate::config) fine: &'static [&'static str],
    /// The others.
    pub(in crate::config) others: &'static [(&'static str, Decision)],
}

use Decision::{Below, Fine, Idle, Judged, JudgedBelow, Open, Refused};

const OTHERS: &str = "it belongs to others on this engine";

const PROJECT: &[Group] = &[
    Group {
        path: "",
        fine: &["name"],
        others: &[
            // These two have had their effect when a tree is judged; the files that are included were
            // asked for before they were read.
            ("include", Idle),
            ("version", Idle),
            ("services", Below),
            ("networks", Below),
            ("volumes", Below),
            ("secrets", Below),
            ("configs", Below),
            ("models", Refused("models run on the engine's host itself")),
            ("x-envrun", Below),
        ],
    },
    Group {
        path: "x-envrun",
        // `internet` is an address that containers of the project try: nothing is sent that they could
        // not send themselves.
        fine: &[
            "bind",
            "fail_fast",
            "internet",
            "parallel",
            "reachability",
            "timeout",
        ],
        others: &[],
    },
    Group {
        path: "services",
        fine: &[],
        others: &[("*", Below)],
    },
    Group {
        path: "networks",
        fine: &[],
        others: &[("*", Below)],
    },
    Group {
        path: "networks.*",
        fine: &[
            "attachable",
            "enable_ipv4",
            "enable_ipv6",
            "internal",
            "name",
        ],
        others: &[
            ("driver", Judged(values::network_driver)),
            ("driver_opts", Judged(values::network_options)),
            ("external", Refused(OTHERS)),
            ("ipam", Below),
            ("labels", Judged(values::labels)),
        ],
    },
    Group {
        path: "networks.*.ipam",
        fine: &[],
        others: &[
            (
                "config",
                Refused("the host would send what it has for these addresses into the run"),
            ),
            ("driver", Judged(values::ipam_driver)),
            (
                "options",
                Refused("options of a driver reach into the host"),
            ),
        ],
    },
    Group {
        path: "volumes",
        fine: &[],
        others: &[("*", Below)],
    },
    Group {
        path: "volumes.*",
        fine: &["name"],
        others: &[
            ("driver", Judged(values::volume_driver)),
            (
                "driver_opts",
                Refused("the engine mounts what they name with the rights of its host"),
            ),
            ("external", Refused(OTHERS)),
            ("labels", Judged(values::labels)),
        ],
    },
    Group {
        path: "secrets",
        fine: &[],
        others: &[("*", Below)],
    },
    Group {
        path: "secrets.*",
        // A variable is one that the files see.
        fine: &["environment", "labels", "name"],
        others: &[
            ("driver", Refused(OTHERS)),
            ("driver_opts", Refused(OTHERS)),
            ("external", Refused(OTHERS)),
            ("file", Judged(values::path)),
            ("template_driver", Refused(OTHERS)),
        ],
    },
    Group {
        path: "configs",
        fine: &[],
        others: &[("*", Below)],
    },
    Group {
        path: "configs.*",
        fine: &["content", "environment", "labels", "name"],
        others: &[
            ("external", Refused(OTHERS)),
            ("file", Judged(values::path)),
            ("template_driver", Refused(OTHERS)),
        ],
    },
];

/// All decisions by the path of their key.
static DECISIONS: LazyLock<HashMap<String, Decision>> = LazyLock::new(|| {
    let groups = groups();
    let mut decisions = HashMap::new();
    for group in groups {
        let path = |key: &str| match group.path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        decisions.extend(group.fine.iter().map(|key| (path(key), Fine)));
        decisions.extend(group.others.iter().map(|(key, how)| (path(key), *how)));
    }
    decisions
});

/// All groups.
pub(in crate::config) fn groups() -> impl Iterator<Item = &'static Group> {
    PROJECT
        .iter()
        .chain(service::GROUPS)
        .chain(ready::GROUPS)
        .chain(suite::GROUPS)
        .chain(resources::GROUPS)
}

/// The decision about a key.
pub(in crate::config) fn of(path: &str) -> Option<Decision> {
    DECISIONS.get(path).copied()
}

/// Whether there is a decision.
pub(in crate::config) fn has(path: &str) -> bool {
    DECISIONS.contains_key(path)
}
