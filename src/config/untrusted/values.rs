//! Judgements of single values. What is allowed is listed, and everything else is refused: a value
//! that comes in later is a stranger, too.

use std::net::IpAddr;

use super::super::duration;
use super::super::source::Place;
use super::super::yaml::{Node, Value, integer, shorten};
use super::judge::{Asked, Judging};
use super::limits::MAX_GRACE;

/// The labels that are ours: by them a run is cleaned up.
const OWN_LABELS: &str = "dev.envrun.";

const HOST_NAMESPACE: &str = "the namespace belongs to the host, or to containers of others";

/// The texts of a list, or one text, each with its place; a mapping gives `key=value`.
pub(super) fn texts(node: &Node) -> Vec<(String, &Place)> {
    match &node.value {
        Value::Null => Vec::new(),
        Value::Scalar(scalar) => vec![(scalar.text.clone(), &node.place)],
        Value::Sequence(items) => items.iter().flat_map(texts).collect(),
        Value::Mapping(map) => map
            .entries
            .iter()
            .map(|entry| {
                let value = entry.value.scalar().map(|scalar| scalar.text.as_str());
                let text = format!("{}={}", entry.key.text, value.unwrap_or_default());
                (text, &entry.key.place)
            })
            .collect(),
    }
}

/// The part before `=`.
pub(super) fn name(text: &str) -> &str {
    text.split_once('=').map_or(text, |(name, _)| name).trim()
}

/// Refuses a text that is not among those allowed. An empty one asks for nothing.
fn only(judging: &mut Judging<'_>, asked: &Asked<'_>, allowed: &[&str], why: &str) {
    let text = asked.text();
    let is_text = asked.entry.value.scalar().is_some();
    if !is_text || !(text.is_empty() || allowed.contains(&text.as_str())) {
        let help = match allowed {
            [] => None,
            _ => Some(format!("it may be `{}`", allowed.join("`, `"))),
        };
        let place = &asked.entry.value.place;
        judging.refuse_help(place, &asked.shown, why, help.as_deref());
    }
}

/// A path of this host.
pub(super) fn path(judging: &mut Judging<'_>, asked: Asked<'_>) {
    judge_path(judging, &asked.entry.value, &asked.shown);
}

/// A list of paths of this host.
pub(super) fn paths(judging: &mut Judging<'_>, asked: Asked<'_>) {
    match asked.entry.value.sequence() {
        Some(items) => {
            for (index, item) in items.iter().enumerate() {
                judge_path(judging, item, &format!("{}[{index}]", asked.shown));
            }
        }
        None => judge_path(judging, &asked.entry.value, &asked.shown),
    }
}

fn judge_path(judging: &mut Judging<'_>, node: &Node, shown: &str) {
    let text = node.scalar().map(|scalar| scalar.text.as_str());
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return;
    }
    if let Err(why) = judging.confines.resolve_text(text, judging.directory) {
        let why = format!("`{}`: {why}", shorten(text));
        judging.refuse(&node.place, shown, why);
    }
}

/// `type` of a mount.
pub(super) fn mount_type(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let why = "it mounts something of the host";
    only(judging, &asked, &["bind", "image", "tmpfs", "volume"], why);
}

/// `source` of a mount: a path, unless it names a volume or an image. What stands at the path must be
/// a file or a directory: a socket, a pipe or a device leads to whoever holds its other end.
pub(super) fn mount_source(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let kind = asked.beside.get("type").and_then(Node::as_text);
    if matches!(kind, Some("image" | "tmpfs" | "volume")) {
        return;
    }
    let text = asked.text();
    if text.is_empty() {
        return;
    }
    let place = &asked.entry.value.place;
    let shown_path = shorten(&text);
    match judging.confines.resolve_text(&text, judging.directory) {
        Err(why) => judging.refuse(place, &asked.shown, format!("`{shown_path}`: {why}")),
        Ok(real) => {
            // Nothing but what is inside is looked at: all links are followed already.
            let is_special = std::fs::symlink_metadata(real)
                .is_ok_and(|found| !found.is_file() && !found.is_dir());
            if is_special {
                let why = format!("`{shown_path}` is neither a file nor a directory");
                judging.refuse(place, &asked.shown, why);
            }
        }
    }
}

/// `propagation` of a bind mount.
pub(super) fn propagation(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let why = "mounts of the container and of the host would be the same";
    only(judging, &asked, &["private", "rprivate"], why);
}

/// `network_mode`. Even `bridge` is a network on which containers of others are.
pub(super) fn network_mode(judging: &mut Judging<'_>, asked: Asked<'_>) {
    if !asked.text().starts_with("service:") {
        let why = "the network belongs to the host, or to containers of others";
        only(judging, &asked, &["none"], why);
    }
}

/// `pid` and `ipc`.
pub(super) fn namespace(judging: &mut Judging<'_>, asked: Asked<'_>) {
    if asked.text().starts_with("service:") {
        return;
    }
    let allowed: &[&str] = match asked.entry.key.text.as_str() {
        "ipc" => &["none", "private", "shareable"],
        _ => &[],
    };
    only(judging, &asked, allowed, HOST_NAMESPACE);
}

/// `cgroup`.
pub(super) fn cgroup(judging: &mut Judging<'_>, asked: Asked<'_>) {
    only(judging, &asked, &["private"], HOST_NAMESPACE);
}

/// `isolation`.
pub(super) fn isolation(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let why = "limits hold only under the engine's own isolation";
    only(judging, &asked, &["default"], why);
}

/// `volumes_from`.
pub(super) fn volumes_from(judging: &mut Judging<'_>, asked: Asked<'_>) {
    for (text, place) in texts(&asked.entry.value) {
        if text.starts_with("container:") {
            let why = format!("`{}` belongs to others", shorten(&text));
            judging.refuse(place, &asked.shown, why);
        }
    }
}

/// `oom_score_adj`.
pub(super) fn oom_score(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let text = asked.text();
    let is_fine = text.is_empty() || integer(&text).is_some_and(|score| score >= 0);
    if !is_fine {
        let why = "a host without memory would end other processes first";
        judging.refuse(&asked.entry.value.place, &asked.shown, why);
    }
}

/// `security_opt`. A profile of the project may allow everything, so none is taken.
pub(super) fn security(judging: &mut Judging<'_>, asked: Asked<'_>) {
    const ALLOWED: [&str; 7] = [
        "apparmor:docker-default",
        "apparmor=docker-default",
        "no-new-privileges",
        "no-new-privileges:true",
        "no-new-privileges=true",
        "seccomp:builtin",
        "seccomp=builtin",
    ];
    for (text, place) in texts(&asked.entry.value) {
        if !text.is_empty() && !ALLOWED.contains(&text.as_str()) {
            let why = format!(
                "`{}` may take away what confines a container",
                shorten(&text)
            );
            let help = "only `no-new-privileges:true`, `seccomp=builtin` and `apparmor=docker-default` are allowed";
            judging.refuse_help(place, &asked.shown, why, Some(help));
        }
    }
}

/// `sysctls`: those that each container has for itself.
pub(super) fn sysctls(judging: &mut Judging<'_>, asked: Asked<'_>) {
    const OWN: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    for (text, place) in texts(&asked.entry.value) {
        let name = name(&text);
        let is_plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        let is_own = OWN.contains(&name)
            || ["net.", "fs.mqueue."]
                .iter()
                .any(|top| name.starts_with(top));
        if !(is_plain && is_own) {
            let why = format!("`{}` is one for the whole host", shorten(name));
            judging.refuse(place, &asked.shown, why);
        }
    }
}

/// `storage_opt`.
pub(super) fn storage(judging: &mut Judging<'_>, asked: Asked<'_>) {
    for (text, place) in texts(&asked.entry.value) {
        if name(&text) != "size" {
            let why = format!("`{}` steers the storage of the host", shorten(name(&text)));
            judging.refuse_help(place, &asked.shown, why, Some("only `size` is allowed"));
        }
    }
}

/// `ulimits`. What concerns one process is bounded by the limits of the container; the others take
/// precedence over processes of the host, or count for all that have the same user.
pub(super) fn ulimits(judging: &mut Judging<'_>, asked: Asked<'_>) {
    const ALLOWED: [&str; 11] = [
        "as", "core", "cpu", "data", "fsize", "locks", "memlock", "nofile", "nproc", "rss", "stack",
    ];
    for (text, place) in texts(&asked.entry.value) {
        if !ALLOWED.contains(&name(&text)) {
            let why = format!(
                "`{}` takes from other processes of the host",
                shorten(name(&text))
            );
            judging.refuse(place, &asked.shown, why);
        }
    }
}

/// `logging.driver`.
pub(super) fn log_driver(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let why = "the engine would send the log to where it says";
    only(judging, &asked, &["json-file", "local", "none"], why);
}

/// `logging.options`. Without a driver they are those of the engine's own, which may send logs.
pub(super) fn log_options(judging: &mut Judging<'_>, asked: Asked<'_>) {
    const ALLOWED: [&str; 10] = [
        "compress",
        "env",
        "env-regex",
        "labels",
        "labels-regex",
        "max-buffer-size",
        "max-file",
        "max-size",
        "mode",
        "tag",
    ];
    for (text, place) in texts(&asked.entry.value) {
        if !ALLOWED.contains(&name(&text)) {
            let why = format!(
                "`{}` may name where the engine sends the log",
                shorten(name(&text))
            );
            judging.refuse(place, &asked.shown, why);
        }
    }
}

/// `host_ip` of a port. Without one, strangers' ports are published on the loopback address.
pub(super) fn host_address(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let text = asked.text();
    let address: Option<IpAddr> = text.parse().ok();
    if !text.is_empty() && !address.is_some_and(|address| address.is_loopback()) {
        let why = format!("`{}` can be reached from other hosts", shorten(&text));
        let help = "leave it out: the port is published on 127.0.0.1";
        judging.refuse_help(&asked.entry.value.place, &asked.shown, why, Some(help));
    }
}

/// `labels`. Ours decide what is cleaned up.
pub(super) fn labels(judging: &mut Judging<'_>, asked: Asked<'_>) {
    for (text, place) in texts(&asked.entry.value) {
        let name = name(&text);
        if name.to_ascii_lowercase().starts_with(OWN_LABELS) {
            let why = format!("`{}` is a label by which envrun cleans up", shorten(name));
            judging.refuse(place, &asked.shown, why);
        }
    }
}

/// `driver` of a network.
pub(super) fn network_driver(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let why = "its networks are not those of a run alone";
    only(judging, &asked, &["bridge"], why);
}

/// `driver_opts` of a network.
pub(super) fn network_options(judging: &mut Judging<'_>, asked: Asked<'_>) {
    const ALLOWED: [&str; 3] = [
        "com.docker.network.bridge.enable_icc",
        "com.docker.network.bridge.enable_ip_masquerade",
        "com.docker.network.driver.mtu",
    ];
    for (text, place) in texts(&asked.entry.value) {
        if !ALLOWED.contains(&name(&text)) {
            let why = format!("`{}` reaches into the host", shorten(name(&text)));
            judging.refuse(place, &asked.shown, why);
        }
    }
}

/// `ipam.driver`.
pub(super) fn ipam_driver(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let why = "it is a plugin of the host";
    only(judging, &asked, &["default"], why);
}

/// `driver` of a volume.
pub(super) fn volume_driver(judging: &mut Judging<'_>, asked: Asked<'_>) {
    only(judging, &asked, &["local"], "it is a plugin of the host");
}

/// `x-envrun.stop_grace` and `x-envrun.pre_stop`: they hold up teardown.
pub(super) fn grace(judging: &mut Judging<'_>, asked: Asked<'_>) {
    let text = asked.text();
    // What is no duration is reported when it is read.
    if duration::parse(&text).is_ok_and(|grace| grace > MAX_GRACE) {
        let why = format!(
            "teardown waits for strangers' code at most {}",
            duration::print(MAX_GRACE)
        );
        judging.refuse(&asked.entry.value.place, &asked.shown, why);
    }
}
