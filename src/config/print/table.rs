//! What each key of a project is printed as.
//!
//! The order and the names are those of the specification; a test walks the published schema and
//! finds each of its keys here or on the list of those that are deliberately not printed.

use super::value::{self, Read};

/// A key with what it is printed as.
pub(in crate::config) struct Field {
    pub(in crate::config) key: &'static str,
    /// The key of the print, where it differs.
    pub(super) shown: &'static str,
    pub(in crate::config) kind: Kind,
    /// Printed even when it is empty or absent.
    pub(super) always: bool,
}

/// The kinds of values.
pub(in crate::config) enum Kind {
    /// A single value that is left out when it is empty, zero or false.
    Leaf(Read),
    /// A single value that is printed whenever it is given.
    Optional(Read),
    /// A mapping with keys of its own.
    Struct(&'static [Field]),
    /// A list of such values.
    List(&'static Kind),
    /// A mapping of names that the user gives.
    Map(&'static Kind),
}

const fn field(key: &'static str, kind: Kind) -> Field {
    Field {
        key,
        shown: key,
        kind,
        always: false,
    }
}

const fn always(key: &'static str, kind: Kind) -> Field {
    Field {
        always: true,
        ..field(key, kind)
    }
}

/// A key that the reference prints with a capital letter.
const fn capital(key: &'static str, shown: &'static str, kind: Kind) -> Field {
    Field {
        shown,
        ..always(key, kind)
    }
}

const fn text(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::text))
}

const fn texts(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::texts))
}

const fn text_or_texts(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::text_or_texts))
}

const fn flag(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::boolean))
}

const fn optional_flag(key: &'static str) -> Field {
    field(key, Kind::Optional(value::boolean))
}

const fn int(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::int))
}

const fn optional_int(key: &'static str) -> Field {
    field(key, Kind::Optional(value::int))
}

const fn optional_natural(key: &'static str) -> Field {
    field(key, Kind::Optional(value::natural))
}

const fn float(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::float))
}

const fn bytes(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::bytes))
}

const fn duration(key: &'static str) -> Field {
    field(key, Kind::Optional(value::duration))
}

const fn filled_duration(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::filled_duration))
}

const fn labels(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::labels))
}

const fn variables(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::variables))
}

const fn hosts(key: &'static str) -> Field {
    field(key, Kind::Leaf(value::hosts))
}

const fn object(key: &'static str, fields: &'static [Field]) -> Field {
    field(key, Kind::Struct(fields))
}

const fn list(key: &'static str, of: &'static Kind) -> Field {
    field(key, Kind::List(of))
}

const fn map(key: &'static str, of: &'static Kind) -> Field {
    field(key, Kind::Map(of))
}

const ULIMIT: Kind = Kind::Leaf(value::ulimit);

const BUILD: &[Field] = &[
    text("context"),
    text("dockerfile"),
    text("dockerfile_inline"),
    texts("entitlements"),
    variables("args"),
    text("provenance"),
    text("sbom"),
    field("ssh", Kind::Leaf(value::ssh)),
    labels("labels"),
    text_or_texts("cache_from"),
    text_or_texts("cache_to"),
    flag("no_cache"),
    text_or_texts("no_cache_filter"),
    labels("additional_contexts"),
    flag("pull"),
    hosts("extra_hosts"),
    text("isolation"),
    text("network"),
    text("target"),
    list("secrets", &Kind::Struct(FILE_REFERENCE)),
    bytes("shm_size"),
    text_or_texts("tags"),
    map("ulimits", &ULIMIT),
    text_or_texts("platforms"),
    flag("privileged"),
];

const FILE_REFERENCE: &[Field] = &[
    text("source"),
    text("target"),
    text("uid"),
    text("gid"),
    field("mode", Kind::Optional(value::mode)),
];

const WEIGHT_DEVICE: Kind = Kind::Struct(&[
    capital("path", "Path", Kind::Leaf(value::text)),
    capital("weight", "Weight", Kind::Leaf(value::natural)),
]);

const THROTTLE_DEVICE: Kind = Kind::Struct(&[
    capital("path", "Path", Kind::Leaf(value::text)),
    capital("rate", "Rate", Kind::Leaf(value::bytes)),
]);

const BLKIO: &[Field] = &[
    field("weight", Kind::Leaf(value::natural)),
    list("weight_device", &WEIGHT_DEVICE),
    list("device_read_bps", &THROTTLE_DEVICE),
    list("device_read_iops", &THROTTLE_DEVICE),
    list("device_write_bps", &THROTTLE_DEVICE),
    list("device_write_iops", &THROTTLE_DEVICE),
];

const CREDENTIAL_SPEC: &[Field] = &[text("config"), text("file"), text("registry")];

const DEPENDENCY: Kind = Kind::Struct(&[
    text("condition"),
    flag("restart"),
    always("required", Kind::Leaf(value::boolean)),
]);

const DEVICE: Kind = Kind::Struct(&[text("source"), text("target"), text("permissions")]);

const DEVICE_REQUEST: Kind = Kind::Struct(&[
    texts("capabilities"),
    text("driver"),
    field("count", Kind::Leaf(value::count)),
    texts("device_ids"),
    labels("options"),
]);

const GENERIC_RESOURCE: Kind = Kind::Struct(&[object(
    "discrete_resource_spec",
    &[
        always("kind", Kind::Leaf(value::text)),
        always("value", Kind::Leaf(value::int)),
    ],
)]);

const RESOURCE: &[Field] = &[
    float("cpus"),
    bytes("memory"),
    int("pids"),
    list("devices", &DEVICE_REQUEST),
    list("generic_resources", &GENERIC_RESOURCE),
];

const UPDATE: &[Field] = &[
    optional_natural("parallelism"),
    filled_duration("delay"),
    text("failure_action"),
    filled_duration("monitor"),
    float("max_failure_ratio"),
    text("order"),
];

const DEPLOY: &[Field] = &[
    text("mode"),
    optional_int("replicas"),
    labels("labels"),
    object("update_config", UPDATE),
    object("rollback_config", UPDATE),
    always(
        "resources",
        Kind::Struct(&[object("limits", RESOURCE), object("reservations", RESOURCE)]),
    ),
    object(
        "restart_policy",
        &[
            text("condition"),
            duration("delay"),
            optional_natural("max_attempts"),
            duration("window"),
        ],
    ),
    always(
        "placement",
        Kind::Struct(&[
            texts("constraints"),
            list("preferences", &Kind::Struct(&[text("spread")])),
            field("max_replicas_per_node", Kind::Leaf(value::natural)),
        ]),
    ),
    text("endpoint_mode"),
];

const HOOK: &[Field] = &[
    always("command", Kind::Leaf(value::command)),
    text("user"),
    flag("privileged"),
    text("working_dir"),
    variables("environment"),
];

const PRE_START: &[Field] = &[
    field("command", Kind::Leaf(value::command)),
    text("image"),
    text("user"),
    flag("privileged"),
    text("working_dir"),
    variables("environment"),
    flag("per_replica"),
];

const WATCH: Kind = Kind::Struct(&[
    always("path", Kind::Leaf(value::text)),
    always("action", Kind::Leaf(value::text)),
    text("target"),
    always("exec", Kind::Struct(HOOK)),
    text_or_texts("include"),
    text_or_texts("ignore"),
    flag("initial_sync"),
]);

const HEALTHCHECK: &[Field] = &[
    field("test", Kind::Leaf(value::test)),
    duration("timeout"),
    duration("interval"),
    optional_natural("retries"),
    duration("start_period"),
    duration("start_interval"),
    flag("disable"),
];

const LOGGING: &[Field] = &[text("driver"), labels("options")];

const SERVICE_MODEL: Kind = Kind::Struct(&[text("endpoint_var"), text("model_var")]);

const ATTACHMENT: Kind = Kind::Struct(&[
    texts("aliases"),
    labels("driver_opts"),
    int("gw_priority"),
    text("interface_name"),
    text("ipv4_address"),
    text("ipv6_address"),
    texts("link_local_ips"),
    text("mac_address"),
    int("priority"),
]);

const PORT: Kind = Kind::Struct(&[
    text("name"),
    text("mode"),
    text("host_ip"),
    field("target", Kind::Leaf(value::natural)),
    text("published"),
    text("protocol"),
    text("app_protocol"),
]);

const PROVIDER: &[Field] = &[text("type"), field("options", Kind::Leaf(value::options))];

const MOUNT: Kind = Kind::Struct(&[
    text("type"),
    text("source"),
    text("target"),
    flag("read_only"),
    text("consistency"),
    object(
        "bind",
        &[
            text("selinux"),
            text("propagation"),
            flag("create_host_path"),
            text("recursive"),
        ],
    ),
    object(
        "volume",
        &[labels("labels"), flag("nocopy"), text("subpath")],
    ),
    object(
        "tmpfs",
        &[bytes("size"), field("mode", Kind::Leaf(value::natural))],
    ),
    object("image", &[text("subpath")]),
]);

/// A service.
pub(in crate::config) const SERVICE: &[Field] = &[
    texts("profiles"),
    labels("annotations"),
    optional_flag("attach"),
    object("build", BUILD),
    object("develop", &[list("watch", &WATCH)]),
    object("blkio_config", BLKIO),
    texts("cap_add"),
    texts("cap_drop"),
    text("cgroup_parent"),
    text("cgroup"),
    int("cpu_count"),
    float("cpu_percent"),
    int("cpu_period"),
    int("cpu_quota"),
    int("cpu_rt_period"),
    int("cpu_rt_runtime"),
    float("cpus"),
    text("cpuset"),
    int("cpu_shares"),
    always("command", Kind::Leaf(value::command)),
    list("configs", &Kind::Struct(FILE_REFERENCE)),
    text("container_name"),
    object("credential_spec", CREDENTIAL_SPEC),
    map("depends_on", &DEPENDENCY),
    object("deploy", DEPLOY),
    texts("device_cgroup_rules"),
    list("devices", &DEVICE),
    text_or_texts("dns"),
    texts("dns_opt"),
    text_or_texts("dns_search"),
    text("domainname"),
    always("entrypoint", Kind::Leaf(value::command)),
    object("provider", PROVIDER),
    variables("environment"),
    field("expose", Kind::Leaf(value::texts_or_numbers)),
    object("extends", &[text("file"), text("service")]),
    texts("external_links"),
    hosts("extra_hosts"),
    texts("group_add"),
    list("gpus", &DEVICE_REQUEST),
    text("hostname"),
    object("healthcheck", HEALTHCHECK),
    text("image"),
    optional_flag("init"),
    text("ipc"),
    text("isolation"),
    labels("labels"),
    texts("links"),
    object("logging", LOGGING),
    bytes("mem_limit"),
    bytes("mem_reservation"),
    bytes("memswap_limit"),
    bytes("mem_swappiness"),
    text("mac_address"),
    map("models", &SERVICE_MODEL),
    text("network_mode"),
    map("networks", &ATTACHMENT),
    flag("oom_kill_disable"),
    int("oom_score_adj"),
    text("pid"),
    int("pids_limit"),
    text("platform"),
    list("ports", &PORT),
    flag("privileged"),
    text("pull_policy"),
    flag("read_only"),
    text("restart"),
    text("runtime"),
    optional_int("scale"),
    list("secrets", &Kind::Struct(FILE_REFERENCE)),
    texts("security_opt"),
    bytes("shm_size"),
    flag("stdin_open"),
    duration("stop_grace_period"),
    text("stop_signal"),
    labels("storage_opt"),
    labels("sysctls"),
    text_or_texts("tmpfs"),
    flag("tty"),
    map("ulimits", &ULIMIT),
    flag("use_api_socket"),
    text("user"),
    text("userns_mode"),
    text("uts"),
    text("volume_driver"),
    list("volumes", &MOUNT),
    texts("volumes_from"),
    text("working_dir"),
    list("pre_start", &Kind::Struct(PRE_START)),
    list("post_start", &Kind::Struct(HOOK)),
    list("pre_stop", &Kind::Struct(HOOK)),
];

/// A network of the project.
pub(super) const NETWORK: &[Field] = &[
    text("name"),
    text("driver"),
    labels("driver_opts"),
    always(
        "ipam",
        Kind::Struct(&[
            text("driver"),
            list(
                "config",
                &Kind::Struct(&[
                    text("subnet"),
                    text("gateway"),
                    text("ip_range"),
                    labels("aux_addresses"),
                ]),
            ),
        ]),
    ),
    field("external", Kind::Leaf(value::external)),
    flag("internal"),
    flag("attachable"),
    labels("labels"),
    optional_flag("enable_ipv4"),
    optional_flag("enable_ipv6"),
];

/// A volume of the project.
pub(super) const VOLUME: &[Field] = &[
    text("name"),
    text("driver"),
    labels("driver_opts"),
    field("external", Kind::Leaf(value::external)),
    labels("labels"),
];

/// A config of the project.
pub(super) const CONFIG: &[Field] = &[
    text("name"),
    text("file"),
    text("environment"),
    text("content"),
    field("external", Kind::Leaf(value::external)),
    labels("labels"),
    text("driver"),
    labels("driver_opts"),
    text("template_driver"),
];

/// A secret of the project; its content is never printed.
pub(super) const SECRET: &[Field] = &[
    text("name"),
    text("file"),
    text("environment"),
    field("external", Kind::Leaf(value::external)),
    labels("labels"),
    text("driver"),
    labels("driver_opts"),
    text("template_driver"),
];
