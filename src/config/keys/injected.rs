//! The keys of `secrets:` and `configs:`, at the top level and of a service.

use super::{KeyRule, Section, honoured};

/// A secret of the project. Where its content is to come from is judged when a service uses it, as
/// Compose does.
pub const SECRET: Section = Section {
    path: "secrets.*",
    owner: "a secret",
    keys: &[
        honoured("driver"),
        honoured("driver_opts"),
        honoured("environment"),
        honoured("external"),
        honoured("file"),
        // These two only describe the secrets of Swarm.
        honoured("labels"),
        honoured("name"),
        honoured("template_driver"),
    ],
};

/// A config of the project; see [`SECRET`].
pub const CONFIG: Section = Section {
    path: "configs.*",
    owner: "a config",
    keys: &[
        honoured("content"),
        honoured("environment"),
        honoured("external"),
        honoured("file"),
        honoured("labels"),
        honoured("name"),
        honoured("template_driver"),
    ],
};

/// One entry of `secrets:` of a service, long form.
pub const SECRET_USE: Section = Section {
    path: "services.*.secrets[]",
    owner: "a secret of a service",
    keys: FILE_USE_KEYS,
};

/// One entry of `configs:` of a service, long form.
pub const CONFIG_USE: Section = Section {
    path: "services.*.configs[]",
    owner: "a config of a service",
    keys: FILE_USE_KEYS,
};

const FILE_USE_KEYS: &[KeyRule] = &[
    honoured("gid"),
    honoured("mode"),
    honoured("source"),
    honoured("target"),
    honoured("uid"),
];
