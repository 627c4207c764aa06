//! The options of a container that go to the engine as they are.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::super::keys;
use super::super::model::ContainerOptions;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::context::Context;
use super::{mounts, resources};
use crate::options::Logging;

/// Reads them all.
///
/// A grace period counts in whole seconds, as the engine counts; what is less is cut off.
pub(super) fn read_options(context: &mut Context<'_>, map: &Mapping) -> ContainerOptions {
    let mut boolean = |key: &str| {
        map.get(key)
            .filter(|node| !node.is_null())
            .and_then(|node| context.boolean(node, key))
    };
    let init = boolean("init");
    let privileged = boolean("privileged").unwrap_or(false);
    let read_only = boolean("read_only").unwrap_or(false);
    let stdin_open = boolean("stdin_open").unwrap_or(false);
    let tty = boolean("tty").unwrap_or(false);
    let mut text = |key: &str| {
        map.get(key)
            .and_then(|node| context.filled_text_or_null(node, key))
    };
    let domainname = text("domainname");
    let mac_address = text("mac_address");
    let runtime = text("runtime");
    let stop_signal = text("stop_signal");
    let userns_mode = text("userns_mode");
    let mut list = |key: &str| {
        map.get(key)
            .map(|node| scalars(context, node, key))
            .unwrap_or_default()
    };
    let dns = list("dns");
    let dns_opt = list("dns_opt");
    let dns_search = list("dns_search");
    let group_add = list("group_add");
    let mut labels = |key: &str| {
        map.get(key)
            .map(|node| context.labels(node, key))
            .unwrap_or_default()
    };
    let annotations = labels("annotations");
    let storage_opt = labels("storage_opt");
    let sysctls = labels("sysctls");
    let (security_opt, system_paths_unconfined) = read_security(context, map);
    ContainerOptions {
        annotations,
        cap_add: read_capabilities(context, map, "cap_add"),
        cap_drop: read_capabilities(context, map, "cap_drop"),
        cgroup: read_word(context, map, "cgroup", &["host", "private"]),
        dns,
        dns_opt,
        dns_search,
        domainname,
        extra_hosts: read_extra_hosts(context, map),
        group_add,
        init,
        isolation: read_word(context, map, "isolation", &["default", "process", "hyperv"]),
        logging: read_logging(context, map),
        mac_address,
        oom_score_adj: map
            .get("oom_score_adj")
            .and_then(|node| context.signed(node, "oom_score_adj", -1000..=1000))
            .unwrap_or(0),
        privileged,
        read_only,
        resources: resources::read_resources(context, map),
        runtime,
        security_opt,
        system_paths_unconfined,
        shm_size: map
            .get("shm_size")
            .and_then(|node| context.bytes(node, "shm_size")),
        stdin_open,
        stop_signal,
        stop_timeout: map
            .get("stop_grace_period")
            .and_then(|node| context.duration(node, "stop_grace_period"))
            .map(|duration| duration.as_secs()),
        storage_opt,
        sysctls,
        tmpfs: mounts::read_tmpfs(context, map),
        tty,
        userns_mode,
        uts: read_word(context, map, "uts", &["host"]),
    }
}

/// A list of scalars, each once; numbers count as they are written.
fn scalars(context: &mut Context<'_>, node: &Node, key: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut texts: Vec<String> = context
        .list(node, key)
        .iter()
        .filter_map(|item| context.written(item, key))
        .collect();
    texts.retain(|text| seen.insert(text.clone()));
    texts
}

/// A text that must be one of a few words.
pub(super) fn read_word(
    context: &mut Context<'_>,
    map: &Mapping,
    key: &str,
    words: &[&str],
) -> Option<String> {
    let node = map.get(key)?;
    let text = context.filled_text_or_null(node, key)?;
    if words.contains(&text.as_str()) {
        return Some(text);
    }
    let message = format!("`{key}` cannot be `{}`", shorten(&text));
    let help = match words {
        [only] => format!("it can only be `{only}`"),
        _ => format!("it is one of `{}`", words.join("`, `")),
    };
    context.error_help(&node.place, message, help);
    None
}

/// Capabilities in the spelling of the engine: `net_admin` and `CAP_NET_ADMIN` are one and the same,
/// and their order is of no account.
fn read_capabilities(context: &mut Context<'_>, map: &Mapping, key: &str) -> Vec<String> {
    const ALL: &str = "ALL";
    const PREFIX: &str = "CAP_";
    let Some(node) = map.get(key) else {
        return Vec::new();
    };
    let names: BTreeSet<String> = context
        .texts(node, key)
        .into_iter()
        .map(|name| {
            let name = name.trim().to_ascii_uppercase();
            if name == ALL || name.starts_with(PREFIX) {
                name
            } else {
                format!("{PREFIX}{name}")
            }
        })
        .collect();
    names.into_iter().collect()
}

/// `logging:`. The values of its options may be numbers.
fn read_logging(context: &mut Context<'_>, map: &Mapping) -> Option<Logging> {
    let map = context.mapping(map.get("logging")?, "logging")?;
    context.check_keys(map, &keys::LOGGING);
    let driver = map
        .get("driver")
        .and_then(|node| context.filled_text_or_null(node, "driver"));
    let options = match map.get("options") {
        Some(node) => context.labels(node, "options"),
        None => BTreeMap::new(),
    };
    Some(Logging {
        driver: driver.unwrap_or_default(),
        options,
    })
}

/// `security_opt:`: a seccomp profile in a file is replaced by its content, as the engine wants it;
/// `systempaths=unconfined` is no option of the engine but stands for two others.
fn read_security(context: &mut Context<'_>, map: &Mapping) -> (Vec<String>, bool) {
    const KEY: &str = "security_opt";
    const NO_NEW_PRIVILEGES: &str = "no-new-privileges";
    let mut options = Vec::new();
    let mut unconfined = false;
    let Some(node) = map.get(KEY) else {
        return (options, unconfined);
    };
    let mut seen = HashSet::new();
    for item in context.list(node, KEY) {
        let Some(text) = context.filled_text(item, KEY) else {
            continue;
        };
        if !seen.insert(text.clone()) {
            continue;
        }
        if text == "systempaths=unconfined" {
            unconfined = true;
            continue;
        }
        let pair = text.split_once('=').or_else(|| text.split_once(':'));
        match pair {
            Some(("seccomp", profile)) if !matches!(profile, "unconfined" | "builtin") => {
                options.extend(read_profile(context, item, profile));
            }
            None if text != NO_NEW_PRIVILEGES => {
                let message = format!("`{}` is not `option=value`", shorten(&text));
                context.error(&item.place, message);
            }
            _ => options.push(text),
        }
    }
    (options, unconfined)
}

fn read_profile(context: &mut Context<'_>, item: &Node, file: &str) -> Option<String> {
    const LONGEST: u64 = 1 << 20;
    let path = context.path(file);
    match compact_json_of(&path, LONGEST) {
        Ok(profile) => Some(format!("seccomp={profile}")),
        Err(why) => {
            let shown = shorten(&path.display().to_string());
            let message = format!("cannot use the seccomp profile `{shown}`: {why}");
            context.error(&item.place, message);
            None
        }
    }
}

/// The content of a JSON file without the spaces between its tokens; the order of its keys stays.
fn compact_json_of(path: &Path, longest: u64) -> Result<String, String> {
    let why = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    };
    let size = std::fs::metadata(path).map_err(why)?;
    if !size.is_file() || size.len() > longest {
        return Err(format!("it is no file of at most {longest} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(why)?;
    serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| error.to_string())?;
    let mut in_string = false;
    let mut escaped = false;
    Ok(text
        .chars()
        .filter(|character| {
            let was_in_string = in_string;
            match character {
                _ if escaped => escaped = false,
                '\\' if in_string => escaped = true,
                '"' => in_string = !in_string,
                _ => {}
            }
            was_in_string || !character.is_ascii_whitespace()
        })
        .collect())
}

/// `extra_hosts:` as `name:address`, in file order.
pub(super) fn read_extra_hosts(context: &mut Context<'_>, map: &Mapping) -> Vec<String> {
    const KEY: &str = "extra_hosts";
    let Some(node) = map.get(KEY) else {
        return Vec::new();
    };
    let mut hosts: Vec<String> = Vec::new();
    let mut add = |name: &str, address: &str| {
        let address = address.trim();
        let bare = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        hosts.push(format!("{}:{}", name.trim(), bare.unwrap_or(address)));
    };
    match &node.value {
        Value::Mapping(mapping) => {
            for entry in &mapping.entries {
                for (address, _) in context.text_or_list(&entry.value, KEY) {
                    add(&entry.key.text, &address);
                }
            }
        }
        _ => {
            for item in context.list(node, KEY) {
                let Some(text) = context.filled_text(item, KEY) else {
                    continue;
                };
                match text.split_once('=').or_else(|| text.split_once(':')) {
                    Some((name, address)) if !name.is_empty() && !address.is_empty() => {
                        add(name, address);
                    }
                    _ => {
                        let message = format!("`{}` is not `name:address`", shorten(&text));
                        context.error(&item.place, message);
                    }
                }
            }
        }
    }
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}
