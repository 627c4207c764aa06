//! One table of every key that a Compose file may have, with what is done about it.
//!
//! The tables cover the keys of the published Compose schema, so that none can vanish silently.
//! They only name keys; values are read by the readers.

mod injected;

pub use self::injected::{CONFIG, CONFIG_USE, SECRET, SECRET_USE};

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
        honoured("build"),
        honoured("cap_add"),
        honoured("cap_drop"),
        honoured("command"),
        honoured("configs"),
        honoured("container_name"),
        honoured("depends_on"),
        honoured("entrypoint"),
        honoured("environment"),
        honoured("expose"),
        // It is left only where there is nothing to extend.
        honoured("extends"),
        honoured("extra_hosts"),
        honoured("healthcheck"),
        honoured("hostname"),
        honoured("image"),
        honoured("init"),
        honoured("labels"),
        honoured("mem_limit"),
        honoured("networks"),
        honoured("platform"),
        honoured("ports"),
        honoured("privileged"),
        honoured("profiles"),
        honoured("pull_policy"),
        honoured("pull_refresh_after"),
        honoured("read_only"),
        honoured("secrets"),
        honoured("shm_size"),
        honoured("stop_signal"),
        honoured("tmpfs"),
        honoured("tty"),
        honoured("user"),
        honoured("volumes"),
        honoured("working_dir"),
        honoured(EXTENSION),
        warned("annotations"),
        warned("attach"),
        warned("blkio_config"),
        warned("cgroup"),
        warned("cgroup_parent"),
        warned("cpu_count"),
        warned("cpu_percent"),
        warned("cpu_period"),
        warned("cpu_quota"),
        warned("cpu_rt_period"),
        warned("cpu_rt_runtime"),
        warned("cpu_shares"),
        warned("cpus"),
        warned("cpuset"),
        warned("credential_spec"),
        warned("deploy"),
        warned("develop"),
        warned("device_cgroup_rules"),
        warned("devices"),
        warned("dns"),
        warned("dns_opt"),
        warned("dns_search"),
        warned("domainname"),
        warned("external_links"),
        warned("gpus"),
        warned("group_add"),
        warned("ipc"),
        warned_unless("isolation", &["default"]),
        warned("links"),
        warned("logging"),
        warned("mac_address"),
        warned("mem_reservation"),
        warned("mem_swappiness"),
        warned("memswap_limit"),
        warned("models"),
        warned_unless("oom_kill_disable", &["false"]),
        warned("oom_score_adj"),
        warned("pid"),
        warned("pids_limit"),
        warned("post_start"),
        warned("pre_start"),
        warned("pre_stop"),
        warned_unless("restart", &["no"]),
        warned("runtime"),
        warned_unless("scale", &["1"]),
        warned("security_opt"),
        warned_unless("stdin_open", &["false"]),
        warned("stop_grace_period"),
        warned("storage_opt"),
        warned("sysctls"),
        warned("ulimits"),
        warned_unless("use_api_socket", &["false"]),
        warned("userns_mode"),
        warned("uts"),
        refused(
            "network_mode",
            "the service would be reachable from other places than the file says",
        ),
        refused(
            "provider",
            "the service is not a container, and nothing would be in its place",
        ),
        refused(
            "volumes_from",
            "the volumes of the other service would be missing",
        ),
    ],
};

/// `build:` of a service.
pub const BUILD: Section = Section {
    path: "services.*.build",
    owner: "`build`",
    keys: &[
        honoured("args"),
        honoured("context"),
        honoured("dockerfile"),
        honoured("target"),
        warned("additional_contexts"),
        warned("cache_from"),
        warned("cache_to"),
        warned("entitlements"),
        warned("extra_hosts"),
        warned_unless("isolation", &["default"]),
        warned("labels"),
        warned("network"),
        warned_unless("no_cache", &["false"]),
        warned("no_cache_filter"),
        warned("platforms"),
        warned_unless("privileged", &["false"]),
        warned("provenance"),
        warned_unless("pull", &["false"]),
        warned("sbom"),
        warned("secrets"),
        warned("shm_size"),
        warned("ssh"),
        warned("tags"),
        warned("ulimits"),
        refused(
            "dockerfile_inline",
            "another file would be built than the one written here",
        ),
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
        warned_unless("restart", &["false"]),
    ],
};

/// One network of a service.
pub const ATTACHMENT: Section = Section {
    path: "services.*.networks.*",
    owner: "a network of a service",
    keys: &[
        honoured("aliases"),
        warned("driver_opts"),
        warned("gw_priority"),
        warned("interface_name"),
        warned("ipv4_address"),
        warned("ipv6_address"),
        warned("link_local_ips"),
        warned("mac_address"),
        warned("priority"),
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
        honoured("read_only"),
        honoured("source"),
        honoured("target"),
        honoured("tmpfs"),
        honoured("type"),
        honoured("volume"),
        honoured(EXTENSION),
        warned("consistency"),
        refused("image", "the mount would be empty"),
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
        warned("propagation"),
        warned("recursive"),
        warned("selinux"),
    ],
};

/// `volume:` of a mount.
pub const MOUNT_VOLUME: Section = Section {
    path: "services.*.volumes[].volume",
    owner: "`volume` of a mount",
    keys: &[
        warned("labels"),
        warned_unless("nocopy", &["false"]),
        refused("subpath", "the whole volume would be mounted"),
    ],
};

/// `tmpfs:` of a mount.
pub const MOUNT_TMPFS: Section = Section {
    path: "services.*.volumes[].tmpfs",
    owner: "`tmpfs` of a mount",
    keys: &[honoured("mode"), honoured("size")],
};

/// A network of the project.
pub const NETWORK: Section = Section {
    path: "networks.*",
    owner: "a network",
    keys: &[
        honoured("driver"),
        honoured("driver_opts"),
        honoured("external"),
        honoured("internal"),
        honoured("labels"),
        honoured("name"),
        warned_unless("attachable", &["false"]),
        warned_unless("enable_ipv4", &["true"]),
        warned_unless("enable_ipv6", &["false"]),
        warned("ipam"),
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
        honoured("timeout"),
        warned("reachability"),
    ],
};

/// `x-envrun` on a service.
pub const SERVICE_EXTENSION: Section = Section {
    path: "services.*.x-envrun",
    owner: "`x-envrun`",
    keys: &[
        honoured("bind"),
        honoured("ready"),
        honoured("suite"),
        warned("pre_stop"),
        warned("stop_grace"),
    ],
};

/// `x-envrun.ready`.
pub const READY: Section = Section {
    path: "services.*.x-envrun.ready",
    owner: "`ready`",
    keys: &[
        honoured("deadline"),
        honoured("healthcheck"),
        honoured("http"),
        honoured("postgres"),
        honoured("tcp"),
    ],
};

/// `tcp` and `postgres` of `x-envrun.ready`.
pub const PORT_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.tcp",
    owner: "a probe",
    keys: &[honoured("port")],
};

/// `http` of `x-envrun.ready`.
pub const HTTP_PROBE: Section = Section {
    path: "services.*.x-envrun.ready.http",
    owner: "an http probe",
    keys: &[honoured("path"), honoured("port"), honoured("status")],
};

/// `x-envrun.suite`.
pub const SUITE: Section = Section {
    path: "services.*.x-envrun.suite",
    owner: "`suite`",
    keys: &[
        honoured("junit"),
        honoured("timeout"),
        warned("artifacts"),
        warned("isolation"),
        warned_unless("retries", &["0"]),
        warned_unless("shards", &["1"]),
    ],
};

/// All sections, for whoever compares them with the published schema.
pub const SECTIONS: &[&Section] = &[
    &TOP_LEVEL,
    &SERVICE,
    &BUILD,
    &HEALTHCHECK,
    &DEPENDENCY,
    &ATTACHMENT,
    &PORT,
    &MOUNT,
    &MOUNT_EXTENSION,
    &MOUNT_BIND,
    &MOUNT_VOLUME,
    &MOUNT_TMPFS,
    &NETWORK,
    &VOLUME,
    &SECRET,
    &CONFIG,
    &SECRET_USE,
    &CONFIG_USE,
    &PROJECT_EXTENSION,
    &SERVICE_EXTENSION,
    &READY,
    &PORT_PROBE,
    &HTTP_PROBE,
    &SUITE,
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
