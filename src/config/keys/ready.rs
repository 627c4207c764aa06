//! The keys of `x-envrun.ready`.

use super::{KeyRule, Section, honoured};

/// `x-envrun.ready`, and each entry of its lists.
pub const READY: Section = Section {
    path: "services.*.x-envrun.ready",
    owner: "`ready`",
    keys: &[
        honoured("all"),
        honoured("any"),
        honoured("completed"),
        honoured("deadline"),
        honoured("exec"),
        honoured("file"),
        honoured("grpc"),
        honoured("healthcheck"),
        honoured("http"),
        honoured("https"),
        honoured("log"),
        honoured("mariadb"),
        honoured("memcached"),
        honoured("mysql"),
        honoured("nats"),
        honoured("postgres"),
        honoured("rabbitmq"),
        honoured("redis"),
        honoured("tcp"),
    ],
};

const DEADLINE: KeyRule = honoured("deadline");
const INTERVAL: KeyRule = honoured("interval");
const PORT: KeyRule = honoured("port");
const SUCCESSES: KeyRule = honoured("successes");
const TIMEOUT: KeyRule = honoured("timeout");

/// `tcp` of `x-envrun.ready`, and the servers that are asked in their own protocol.
pub const PORT_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.tcp",
    owner: "a probe",
    keys: &[DEADLINE, INTERVAL, PORT, SUCCESSES, TIMEOUT],
};

/// `grpc` of `x-envrun.ready`.
pub const GRPC_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.grpc",
    owner: "a grpc probe",
    keys: &[
        DEADLINE,
        INTERVAL,
        PORT,
        honoured("service"),
        SUCCESSES,
        TIMEOUT,
    ],
};

/// `http` of `x-envrun.ready`.
pub const HTTP_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.http",
    owner: "an http probe",
    keys: &[
        honoured("body"),
        DEADLINE,
        honoured("headers"),
        INTERVAL,
        honoured("method"),
        honoured("path"),
        PORT,
        honoured("redirects"),
        honoured("status"),
        SUCCESSES,
        TIMEOUT,
    ],
};

/// `https` of `x-envrun.ready`.
pub const HTTPS_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.https",
    owner: "an https probe",
    keys: &[
        honoured("body"),
        honoured("ca"),
        DEADLINE,
        honoured("headers"),
        honoured("insecure"),
        INTERVAL,
        honoured("method"),
        honoured("path"),
        PORT,
        honoured("redirects"),
        honoured("status"),
        SUCCESSES,
        TIMEOUT,
    ],
};

/// `log` of `x-envrun.ready`.
pub const LOG_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.log",
    owner: "a log probe",
    keys: &[
        DEADLINE,
        honoured("pattern"),
        honoured("stream"),
        honoured("times"),
    ],
};

/// `exec` of `x-envrun.ready`.
pub const EXEC_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.exec",
    owner: "an exec probe",
    keys: &[honoured("command"), DEADLINE, INTERVAL, SUCCESSES, TIMEOUT],
};

/// `file` of `x-envrun.ready`.
pub const FILE_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.file",
    owner: "a file probe",
    keys: &[
        DEADLINE,
        INTERVAL,
        honoured("not_empty"),
        honoured("path"),
        SUCCESSES,
        TIMEOUT,
    ],
};

/// `healthcheck` of `x-envrun.ready`.
pub const HEALTHCHECK_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.healthcheck",
    owner: "a healthcheck probe",
    keys: &[DEADLINE, INTERVAL, SUCCESSES, TIMEOUT],
};
