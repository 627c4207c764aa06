//! The keys of `x-envrun.ready`. Probes look at the container alone: its address, its output, its
//! files, and what commands in it say.

use super::super::judge::{Asked, Judging};
use super::super::values;
use super::{Group, Judged, Open};

/// Where `ready` stands; what is in its lists is judged as if it stood there.
const READY: &str = "services.*.x-envrun.ready";

const PACE_AND_PORT: &[&str] = &["deadline", "interval", "port", "successes", "timeout"];

/// A server that is asked in its own protocol.
const fn server(path: &'static str) -> Group {
    Group {
        path,
        fine: PACE_AND_PORT,
        others: &[],
    }
}

pub(super) const GROUPS: &[Group] = &[
    Group {
        path: READY,
        fine: &["completed", "deadline"],
        others: &[
            ("all", Judged(list)),
            ("any", Judged(list)),
            ("exec", Judged(exec)),
            ("file", Open),
            ("grpc", Open),
            ("healthcheck", Open),
            ("http", Open),
            ("https", Open),
            ("log", Open),
            ("mariadb", Open),
            ("memcached", Open),
            ("mysql", Open),
            ("nats", Open),
            ("postgres", Open),
            ("rabbitmq", Open),
            ("redis", Open),
            ("tcp", Open),
        ],
    },
    Group {
        path: "services.*.x-envrun.ready.exec",
        fine: &["command", "deadline", "interval", "successes", "timeout"],
        others: &[],
    },
    Group {
        path: "services.*.x-envrun.ready.file",
        fine: &[
            "deadline",
            "interval",
            "not_empty",
            "path",
            "successes",
            "timeout",
        ],
        others: &[],
    },
    Group {
        path: "services.*.x-envrun.ready.grpc",
        fine: &[
            "deadline",
            "interval",
            "port",
            "service",
            "successes",
            "timeout",
        ],
        others: &[],
    },
    Group {
        path: "services.*.x-envrun.ready.healthcheck",
        fine: &["deadline", "interval", "successes", "timeout"],
        others: &[],
    },
    Group {
        path: "services.*.x-envrun.ready.http",
        fine: &[
            "body",
            "deadline",
            "headers",
            "interval",
            "method",
            "path",
            "port",
            "redirects",
            "status",
            "successes",
            "timeout",
        ],
        others: &[],
    },
    Group {
        path: "services.*.x-envrun.ready.https",
        fine: &[
            "body",
            "deadline",
            "headers",
            "insecure",
            "interval",
            "method",
            "path",
            "port",
            "redirects",
            "status",
            "successes",
            "timeout",
        ],
        others: &[("ca", Judged(values::path))],
    },
    Group {
        path: "services.*.x-envrun.ready.log",
        fine: &["deadline", "pattern", "stream", "times"],
        others: &[],
    },
    server("services.*.x-envrun.ready.mariadb"),
    server("services.*.x-envrun.ready.memcached"),
    server("services.*.x-envrun.ready.mysql"),
    server("services.*.x-envrun.ready.nats"),
    server("services.*.x-envrun.ready.postgres"),
    server("services.*.x-envrun.ready.rabbitmq"),
    server("services.*.x-envrun.ready.redis"),
    server("services.*.x-envrun.ready.tcp"),
];

/// The entries of `all` and `any`, which may hold such lists themselves.
fn list(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let items = asked.entry.value.sequence().unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        if let Some(map) = item.mapping() {
            judging.mapping(map, READY, &format!("{}[{index}]", asked.shown));
        }
    }
}

/// A command, or its long form.
fn exec(judging: &mut Judging<'_>, asked: Asked<'_>) {
    if let Some(map) = asked.entry.value.mapping() {
        judging.mapping(map, "services.*.x-envrun.ready.exec", &asked.shown);
    }
}
