//! One table of every key that a Compose file may have, with what is done about it.
//!
//! The tables cover the keys of the published Compose schema, so that none can vanish silently.
//! They only name keys; values are read by the readers.

mod injected;
mod lifecycle;
mod ready;
mod resources;
mod suite;

pub use self::injected::{CONFIG, CONFIG_USE, SECRET, SECRET_USE};
pub use self::lifecycle::{HOOK, PRE_START, RESTART_POLICY};
pub use self::ready::{
    EXEC_PROBE, FILE_PROBE, GRPC_PROBE, HEALTHCHECK_PROBE, HTTP_PROBE, HTTPS_PROBE, LOG_PROBE,
    PORT_PROBE, READY,
};
pub use self::resources::{
    BLKIO, BLKIO_RATE, BLKIO_WEIGHT, DEPLOY, DEVICE, DEVICE_REQUEST, LIMITS, LOGGING, RESERVATIONS,
    RESOURCES, ULIMIT,
};
pub use self::suite::{ARTIFACTS, SUITE, SUITE_ARTIFACTS};

/// What is done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is read and has its effect.
    Honoured,
    /// It is accepted and has no effect; a warning says why.
    NoEffect(&'static str),
    /// Its effect is missing; a warning says so, unless the value is one of these, which ask for
    /// what happens anyway.
    Warned(&'static [&'static str]),
    /// Leaving it out would make another environment than the file describes: an error, with the
    /// reason.
    Refused(&'static str),
}

/// A key with its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRule {
    /// The key.
    pub key: &'static str,
    /// What is done about it.
    pub policy: Policy,
}

/// The keys of one kind of mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Where it stands, `*` for any key and `[]` for any entry of a list: `services.*.build`.
    pub path: &'static str,
    /// What it is called in messages: `a service`.
    pub owner: &'static str,
    /// Its keys.
    pub keys: &'static [KeyRule],
}

impl Section {
    /// The policy of a key, or `None` when the key is unknown here.
    #[must_use]
    pub fn policy(&self, key: &str) -> Option<Policy> {
        self.keys
            .iter()
            .find(|rule| rule.key == key)
            .map(|rule| rule.policy)
    }
}

const fn honoured(key: &'static str) -> KeyRule {
    KeyRule {
        key,
        policy: Policy::Honoured,
    }
}

const fn warned(key: &'static str) -> KeyRule {
    KeyRule {
        key,
        policy: Policy::Warned(&[]),
    }
}

const fn warned_unless(key: &'static str, values: &'static [&'static str]) -> KeyRule {
    KeyRule {
        key,
        policy: Policy::Warned(values),
    }
}

const fn no_effect(key: &'static str, why: &'static str) -> KeyRule {
    KeyRule {
        key,
        policy: Policy::NoEffect(why),
    }
}

const fn refused(key: &'static str, why: &'static str) -> KeyRule {
    KeyRule {
        key,
        policy: Policy::Refused(why),
    }
}

/// The key of the extensions of envrun.
pub const EXTENSION: &str = "x-envrun";

/// The top level of a file.
pub const TOP_LEVEL: Section = Section {
    path: "",
    owner: "the project",
    keys: &[
        honoured("name"),
        honoured("services"),
        honoured("networks"),
        honoured("volumes"),
        honoured("configs"),
        honoured("secrets"),
        honoured(EXTENSION),
        warned("models"),
    ],
};

/// A service.
pub const SERVICE: Section = Section {
    path: "services.*",
    owner: "a service",
    keys: &[
        honoured("annotations"),
        honoured("blkio_config"),
        // What a service prints is captured, and shown on the terminal only when it fails; that is
        // what `attach: false` asks for, and Compose's `up` would show more without it.
        honoured("attach"),
        honoured("build"),
        honoured("cap_add"),
        honoured("cap_drop"),
        honoured("cgroup"),
        honoured("cgroup_parent"),
        honoured("command"),
        honoured("configs"),
        honoured("container_name"),
        honoured("cpu_count"),
        honoured("cpu_percent"),
        honoured("cpu_period"),
        honoured("cpu_quota"),
        honoured("cpu_rt_period"),
        honoured("cpu_rt_runtime"),
        honoured("cpu_shares"),
        honoured("cpus"),
        honoured("cpuset"),
        honoured("depends_on"),
        honoured("deploy"),
        honoured("device_cgroup_rules"),
        honoured("devices"),
        honoured("dns"),
        honoured("dns_opt"),
        honoured("dns_search"),
        honoured("domainname"),
        honoured("entrypoint"),
        honoured("environment"),
        honoured("expose"),
        // It is left only where there is nothing to extend.
        honoured("extends"),
        honoured("external_links"),
        honoured("extra_hosts"),
        honoured("gpus"),
        honoured("group_add"),
        honoured("healthcheck"),
        honoured("hostname"),
        honoured("image"),
        honoured("init"),
        honoured("ipc"),
        honoured("isolation"),
        honoured("labels"),
        honoured("links"),
        honoured("logging"),
        honoured("mac_address"),
        honoured("mem_limit"),
        honoured("mem_reservation"),
        honoured("mem_swappiness"),
        honoured("memswap_limit"),
        honoured("network_mode"),
        honoured("networks"),
        honoured("oom_kill_disable"),
        honoured("oom_score_adj"),
        honoured("pid"),
        honoured("pids_limit"),
        honoured("platform"),
        honoured("ports"),
        honoured("post_start"),
        honoured("pre_start"),
        honoured("pre_stop"),
        honoured("privileged"),
        honoured("profiles"),
        honoured("pull_policy"),
        honoured("pull_refresh_after"),
        honoured("read_only"),
        honoured("restart"),
        honoured("runtime"),
        honoured("scale"),
        honoured("secrets"),
        honoured("security_opt"),
        honoured("shm_size"),
        honoured("stdin_open"),
        honoured("stop_signal"),
        honoured("storage_opt"),
        honoured("sysctls"),
        honoured("tmpfs"),
        honoured("tty"),
        honoured("ulimits"),
        honoured("use_api_socket"),
        honoured("user"),
        honoured("userns_mode"),
        honoured("uts"),
        honoured("volumes"),
        honoured("volumes_from"),
        honoured("working_dir"),
        honoured(EXTENSION),
        no_effect(
            "credential_spec",
            "Compose does not hand it to the engine either",
        ),
        warned("develop"),
        warned("models"),
        no_effect(
            "stop_grace_period",
            "teardown kills at once; `x-envrun.stop_grace` asks for a graceful stop",
        ),
        refused(
            "provider",
            "the service is not a container, and nothing would be in its place",
        ),
    ],
};

/// `build:` of a service.
pub const BUILD: Section = Section {
    path: "services.*.build",
    owner: "`build`",
    keys: &[
        honoured("additional_contexts"),
        honoured("args"),
        honoured("cache_from"),
        honoured("context"),
        honoured("dockerfile"),
        honoured("dockerfile_inline"),
        honoured("extra_hosts"),
        honoured("labels"),
        honoured("network"),
        honoured("no_cache"),
        honoured("no_cache_filter"),
        honoured("platforms"),
        honoured("pull"),
        honoured("secrets"),
        honoured("shm_size"),
        honoured("ssh"),
        honoured("tags"),
        honoured("target"),
        honoured("ulimits"),
        no_effect("cache_to", "the engine's own cache is the only one written"),
        no_effect(
            "entitlements",
            "the engine's build endpoint grants none; a `RUN` that needs one fails",
        ),
        warned_unless("isolation", &["default"]),
        warned_unless("privileged", &["false"]),
        warned_unless("provenance", &["false"]),
        warned_unless("sbom", &["false"]),
    ],
};

/// One entry of `secrets:` of a build.
pub const BUILD_SECRET: Section = Section {
    path: "services.*.build.secrets[]",
    owner: "a secret of a build",
    keys: &[
        honoured("source"),
        honoured("target"),
        no_effect("gid", "`RUN --mount=type=secret` sets it"),
        no_effect("mode", "`RUN --mount=type=secret` sets it"),
        no_effect("uid", "`RUN --mount=type=secret` sets it"),
    ],
};

/// `healthcheck:` of a service.
pub const HEALTHCHECK: Section = Section {
    path: "services.*.healthcheck",
    owner: "`healthcheck`",
    keys: &[
        honoured("disable"),
        honoured("interval"),
        honoured("retries"),
        honoured("start_interval"),
        honoured("start_period"),
        honoured("test"),
        honoured("timeout"),
    ],
};

/// One entry of `depends_on:`.
pub const DEPENDENCY: Section = Section {
    path: "services.*.depends_on.*",
    owner: "a dependency",
    keys: &[
        honoured("condition"),
        honoured("required"),
        honoured("restart"),
    ],
};

/// One network of a service.
pub const ATTACHMENT: Section = Section {
    path: "services.*.networks.*",
    owner: "a network of a service",
    keys: &[
        honoured("aliases"),
        honoured("driver_opts"),
        honoured("gw_priority"),
        honoured("interface_name"),
        honoured("ipv4_address"),
        honoured("ipv6_address"),
        honoured("link_local_ips"),
        honoured("mac_address"),
        honoured("priority"),
    ],
};

/// One port of a service, long form.
pub const PORT: Section = Section {
    path: "services.*.ports[]",
    owner: "a port",
    keys: &[
        honoured("host_ip"),
        honoured("protocol"),
        honoured("published"),
        honoured("target"),
        // These three only describe the port, or matter to Swarm.
        honoured("app_protocol"),
        honoured("mode"),
        honoured("name"),
    ],
};

/// One mount of a service, long form.
pub const MOUNT: Section = Section {
    path: "services.*.volumes[]",
    owner: "a mount",
    keys: &[
        honoured("bind"),
        honoured("consistency"),
        honoured("image"),
        honoured("read_only"),
        honoured("source"),
        honoured("target"),
        honoured("tmpfs"),
        honoured("type"),
        honoured("volume"),
        honoured(EXTENSION),
    ],
};

/// `x-envrun` of a mount.
pub const MOUNT_EXTENSION: Section = Section {
    path: "services.*.volumes[].x-envrun",
    owner: "`x-envrun` of a mount",
    keys: &[honoured("bind")],
};

/// `bind:` of a mount.
pub const MOUNT_BIND: Section = Section {
    path: "services.*.volumes[].bind",
    owner: "`bind` of a mount",
    keys: &[
        honoured("create_host_path"),
        honoured("propagation"),
        honoured("recursive"),
        honoured("selinux"),
    ],
};

/// `volume:` of a mount.
pub const MOUNT_VOLUME: Section = Section {
    path: "services.*.volumes[].volume",
    owner: "`volume` of a mount",
    keys: &[honoured("labels"), honoured("nocopy"), honoured("subpath")],
};

/// `tmpfs:` of a mount.
pub const MOUNT_TMPFS: Section = Section {
    path: "services.*.volumes[].tmpfs",
    owner: "`tmpfs` of a mount",
    keys: &[honoured("mode"), honoured("size")],
};

/// `image:` of a mount.
pub const MOUNT_IMAGE: Section = Section {
    path: "services.*.volumes[].image",
    owner: "`image` of a mount",
    keys: &[honoured("subpath")],
};

/// A network of the project.
pub const NETWORK: Section = Section {
    path: "networks.*",
    owner: "a network",
    keys: &[
        honoured("attachable"),
        honoured("driver"),
        honoured("driver_opts"),
        honoured("enable_ipv4"),
        honoured("enable_ipv6"),
        honoured("external"),
        honoured("internal"),
        honoured("ipam"),
        honoured("labels"),
        honoured("name"),
    ],
};

/// `ipam:` of a network.
pub const IPAM: Section = Section {
    path: "networks.*.ipam",
    owner: "`ipam`",
    keys: &[honoured("config"), honoured("driver"), honoured("options")],
};

/// One entry of `ipam.config`.
pub const IPAM_POOL: Section = Section {
    path: "networks.*.ipam.config[]",
    owner: "`ipam.config`",
    keys: &[
        honoured("aux_addresses"),
        honoured("gateway"),
        honoured("ip_range"),
        honoured("subnet"),
    ],
};

/// A volume of the project.
pub const VOLUME: Section = Section {
    path: "volumes.*",
    owner: "a volume",
    keys: &[
        honoured("driver"),
        honoured("driver_opts"),
        honoured("external"),
        honoured("labels"),
        honoured("name"),
    ],
};

/// `x-envrun` on the top level.
pub const PROJECT_EXTENSION: Section = Section {
    path: "x-envrun",
    owner: "`x-envrun`",
    keys: &[
        honoured("bind"),
        honoured("fail_fast"),
        honoured("internet"),
        honoured("parallel"),
        honoured("reachability"),
        honoured("timeout"),
    ],
};

/// `x-envrun` on a service.
pub const SERVICE_EXTENSION: Section = Section {
    path: "services.*.x-envrun",
    owner: "`x-envrun`",
    keys: &[
        honoured("artifacts"),
        honoured("bind"),
        honoured("pre_stop"),
        honoured("ready"),
        honoured("stop_grace"),
        honoured("suite"),
    ],
};

/// All sections, for whoever compares them with the published schema.
pub const SECTIONS: &[&Section] = &[
    &TOP_LEVEL,
    &SERVICE,
    &BUILD,
    &BUILD_SECRET,
    &HEALTHCHECK,
    &DEPENDENCY,
    &RESTART_POLICY,
    &HOOK,
    &PRE_START,
    &ATTACHMENT,
    &PORT,
    &MOUNT,
    &MOUNT_EXTENSION,
    &MOUNT_BIND,
    &MOUNT_VOLUME,
    &MOUNT_TMPFS,
    &MOUNT_IMAGE,
    &DEPLOY,
    &RESOURCES,
    &LIMITS,
    &RESERVATIONS,
    &DEVICE_REQUEST,
    &DEVICE,
    &BLKIO,
    &BLKIO_RATE,
    &BLKIO_WEIGHT,
    &ULIMIT,
    &LOGGING,
    &NETWORK,
    &IPAM,
    &IPAM_POOL,
    &VOLUME,
    &SECRET,
    &CONFIG,
    &SECRET_USE,
    &CONFIG_USE,
    &PROJECT_EXTENSION,
    &SERVICE_EXTENSION,
    &READY,
    &PORT_PROBE,
    &GRPC_PROBE,
    &HTTP_PROBE,
    &HTTPS_PROBE,
    &LOG_PROBE,
    &EXEC_PROBE,
    &FILE_PROBE,
    &HEALTHCHECK_PROBE,
    &SUITE,
    &ARTIFACTS,
    &SUITE_ARTIFACTS,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_key_stands_twice_in_a_section() {
        for section in SECTIONS {
            let names: BTreeSet<&str> = section.keys.iter().map(|rule| rule.key).collect();
            assert_eq!(names.len(), section.keys.len(), "{}", section.path);
        }
    }
}
