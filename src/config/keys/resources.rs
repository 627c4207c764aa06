//! The keys of what a container may use: `deploy`, devices, limits, and where its log goes.

use super::{KeyRule, Section, honoured, no_effect};

const SWARM: &str = "only Swarm does this";

const fn swarm(key: &'static str) -> KeyRule {
    no_effect(key, SWARM)
}

/// `deploy:` of a service.
pub const DEPLOY: Section = Section {
    path: "services.*.deploy",
    owner: "`deploy`",
    keys: &[
        honoured("replicas"),
        honoured("resources"),
        honoured("restart_policy"),
        swarm("endpoint_mode"),
        swarm("labels"),
        swarm("mode"),
        swarm("placement"),
        swarm("rollback_config"),
        swarm("update_config"),
    ],
};

/// `deploy.resources`.
pub const RESOURCES: Section = Section {
    path: "services.*.deploy.resources",
    owner: "`resources`",
    keys: &[honoured("limits"), honoured("reservations")],
};

/// `deploy.resources.limits`.
pub const LIMITS: Section = Section {
    path: "services.*.deploy.resources.limits",
    owner: "`limits`",
    keys: &[honoured("cpus"), honoured("memory"), honoured("pids")],
};

/// `deploy.resources.reservations`.
pub const RESERVATIONS: Section = Section {
    path: "services.*.deploy.resources.reservations",
    owner: "`reservations`",
    keys: &[
        honoured("devices"),
        honoured("memory"),
        swarm("cpus"),
        swarm("generic_resources"),
        swarm("pids"),
    ],
};

/// One entry of `deploy.resources.reservations.devices` and of `gpus`.
pub const DEVICE_REQUEST: Section = Section {
    path: "services.*.deploy.resources.reservations.devices[]",
    owner: "a device",
    keys: &[
        honoured("capabilities"),
        honoured("count"),
        honoured("device_ids"),
        honoured("driver"),
        honoured("options"),
    ],
};

/// One entry of `devices:`.
pub const DEVICE: Section = Section {
    path: "services.*.devices[]",
    owner: "a device",
    keys: &[
        honoured("permissions"),
        honoured("source"),
        honoured("target"),
    ],
};

/// `blkio_config:` of a service.
pub const BLKIO: Section = Section {
    path: "services.*.blkio_config",
    owner: "`blkio_config`",
    keys: &[
        honoured("device_read_bps"),
        honoured("device_read_iops"),
        honoured("device_write_bps"),
        honoured("device_write_iops"),
        honoured("weight"),
        honoured("weight_device"),
    ],
};

/// One entry of the limits of `blkio_config`.
pub const BLKIO_RATE: Section = Section {
    path: "services.*.blkio_config.device_read_bps[]",
    owner: "a limit of `blkio_config`",
    keys: &[honoured("path"), honoured("rate")],
};

/// One entry of `blkio_config.weight_device`.
pub const BLKIO_WEIGHT: Section = Section {
    path: "services.*.blkio_config.weight_device[]",
    owner: "`weight_device`",
    keys: &[honoured("path"), honoured("weight")],
};

/// One entry of `ulimits:`, long form.
pub const ULIMIT: Section = Section {
    path: "services.*.ulimits.*",
    owner: "a limit of `ulimits`",
    keys: &[honoured("hard"), honoured("soft")],
};

/// `logging:` of a service.
pub const LOGGING: Section = Section {
    path: "services.*.logging",
    owner: "`logging`",
    keys: &[honoured("driver"), honoured("options")],
};
