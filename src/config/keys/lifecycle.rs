//! The keys of how containers come and go: hooks and restarts.

use super::{Section, honoured};

/// `deploy.restart_policy:` of a service.
pub const RESTART_POLICY: Section = Section {
    path: "services.*.deploy.restart_policy",
    owner: "`restart_policy`",
    keys: &[
        honoured("condition"),
        honoured("delay"),
        honoured("max_attempts"),
        honoured("window"),
    ],
};

/// One entry of `post_start:` and `pre_stop:` of a service.
pub const HOOK: Section = Section {
    path: "services.*.post_start[]",
    owner: "a hook",
    keys: &[
        honoured("command"),
        honoured("environment"),
        honoured("privileged"),
        honoured("user"),
        honoured("working_dir"),
    ],
};

/// One entry of `pre_start:` of a service.
pub const PRE_START: Section = Section {
    path: "services.*.pre_start[]",
    owner: "a `pre_start` hook",
    keys: &[
        honoured("command"),
        honoured("environment"),
        honoured("image"),
        honoured("per_replica"),
        honoured("privileged"),
        honoured("user"),
        honoured("working_dir"),
    ],
};
