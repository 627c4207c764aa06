//! The values that interpolation turns from text into numbers and booleans.
//!
//! Text in these places is read as what the key wants, whether it was quoted or came out of a
//! variable: `scale: "${N}"` is a number.

/// What text is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Cast {
    /// A whole number in base 10.
    Int,
    /// A number.
    Float,
    /// `true` or `false`; `y`, `yes`, `on`, `n`, `no` and `off` with a warning.
    Bool,
}

/// The cast at a path, if there is one; a list counts as `[]`.
pub(in crate::config) fn at(path: &[&str]) -> Option<Cast> {
    match path {
        ["services", _, rest @ ..] => in_service(rest),
        [
            "networks",
            _,
            "external" | "internal" | "attachable" | "enable_ipv4" | "enable_ipv6",
        ]
        | ["volumes" | "secrets" | "configs", _, "external"] => Some(Cast::Bool),
        _ => None,
    }
}

fn in_service(path: &[&str]) -> Option<Cast> {
    Some(match path {
        [
            "cpu_count" | "cpu_period" | "cpu_quota" | "cpu_rt_period" | "cpu_rt_runtime"
            | "cpu_shares" | "oom_score_adj" | "pids_limit" | "scale",
        ]
        | ["deploy", "replicas"]
        | ["deploy", "update_config" | "rollback_config", "parallelism"]
        | ["deploy", "restart_policy", "max_attempts"]
        | ["deploy", "placement", "max_replicas_per_node"]
        | ["healthcheck", "retries"]
        | ["ports", "[]", "target"]
        | ["ulimits", _]
        | ["ulimits", _, "hard" | "soft"] => Cast::Int,
        ["cpu_percent" | "cpus"]
        | [
            "deploy",
            "update_config" | "rollback_config",
            "max_failure_ratio",
        ] => Cast::Float,
        ["init" | "oom_kill_disable" | "privileged" | "read_only" | "stdin_open" | "tty"]
        | ["healthcheck", "disable"]
        | ["volumes", "[]", "read_only"]
        | ["volumes", "[]", "volume", "nocopy"] => Cast::Bool,
        _ => return None,
    })
}

/// The text of a boolean, and whether YAML 1.2 knows it as one.
pub(in crate::config) fn boolean(text: &str) -> Option<(bool, bool)> {
    match text.to_lowercase().as_str() {
        "true" => Some((true, true)),
        "false" => Some((false, true)),
        "y" | "yes" | "on" => Some((true, false)),
        "n" | "no" | "off" => Some((false, false)),
        _ => None,
    }
}
