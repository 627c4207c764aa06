//! How many containers a service has, and how they come and go.

use std::time::Duration;

use super::super::diagnostic::Problem;
use super::super::keys;
use super::super::model::{Lifecycle, Restart, RestartCondition};
use super::super::suggest::did_you_mean;
use super::super::yaml::{Entry, Mapping, Node, Value, shorten};
use super::context::Context;
use super::hooks::{read_hooks, read_pre_start};
use super::scalar::whole;

/// The longest that teardown may be asked to wait. The engine answers a stop when it is over, and an
/// answer that takes two minutes counts as none.
const LONGEST_FAREWELL: Duration = Duration::from_secs(100);

/// Most replicas of one service; more is a mistake, or meant to exhaust memory.
const MAX_REPLICAS: u32 = 1000;

/// Reads the keys of a service that say how its containers come and go.
pub(super) fn read_lifecycle(
    context: &mut Context<'_>,
    map: &Mapping,
    is_suite: bool,
) -> Lifecycle {
    let deploy = map
        .get("deploy")
        .and_then(|node| context.mapping(node, "deploy"));
    let extension = map.get(keys::EXTENSION).and_then(Node::mapping);
    Lifecycle {
        replicas: read_replicas(context, map, deploy, is_suite),
        restart: read_restart(context, map, deploy, is_suite),
        pre_start: read_pre_start(context, map),
        post_start: read_hooks(context, map, "post_start"),
        pre_stop: read_hooks(context, map, "pre_stop"),
        pre_stop_limit: extension.and_then(|map| read_limit(context, map, "pre_stop")),
        stop_grace: extension.and_then(|map| read_limit(context, map, "stop_grace")),
    }
}

/// `scale:`, else `deploy.replicas`.
fn read_replicas(
    context: &mut Context<'_>,
    map: &Mapping,
    deploy: Option<&Mapping>,
    is_suite: bool,
) -> u32 {
    let scale = map.entry("scale");
    let replicas = deploy.and_then(|deploy| deploy.entry("replicas"));
    let mut given = scale.into_iter().chain(replicas);
    let Some(entry) = given.find(|entry| !entry.value.is_null()) else {
        return 1;
    };
    let key = &entry.key.text;
    // What is no number, or below zero, is refused by the stage `format`.
    let Some(replicas) = entry
        .value
        .scalar()
        .and_then(whole)
        .filter(|count| *count >= 0)
    else {
        return 1;
    };
    let Some(replicas) = u32::try_from(replicas)
        .ok()
        .filter(|count| *count <= MAX_REPLICAS)
    else {
        let message = format!("`{key}` is more than {MAX_REPLICAS}");
        context.error(&entry.value.place, message);
        return 1;
    };
    if is_suite && replicas != 1 {
        refuse_on_suite(context, entry, replicas);
        return 1;
    }
    if replicas > 1 {
        let several = format!("the service has {replicas} replicas");
        let help = "leave the address out, or have one replica";
        check_addresses(context, map, (&several, help));
    }
    replicas
}

/// A suite is judged once: several would be so many verdicts, and none would be no verdict.
fn refuse_on_suite(context: &mut Context<'_>, entry: &Entry, replicas: u32) {
    let message = format!("a suite cannot have {replicas} replicas");
    let help = match replicas {
        0 => "to leave a suite out, use `--skip` or a profile",
        _ => "`x-envrun.suite.shards` is what splits a suite over several containers",
    };
    context.error_help(&entry.key.place, message, help);
}

/// One address cannot belong to several containers. Says why there are several, and what to do.
pub(super) fn check_addresses(
    context: &mut Context<'_>,
    map: &Mapping,
    (several, help): (&str, &str),
) {
    const ADDRESSES: [&str; 3] = ["ipv4_address", "ipv6_address", "mac_address"];
    let attachments = map.get("networks").and_then(Node::mapping);
    let attachments = attachments.iter().flat_map(|map| &map.entries);
    let places = std::iter::once(map).chain(attachments.filter_map(|entry| entry.value.mapping()));
    for entry in places.flat_map(|map| &map.entries) {
        let key = entry.key.text.as_str();
        if ADDRESSES.contains(&key) && !matches!(entry.value.value, Value::Null) {
            let message = format!("`{key}` is fixed, and {several}");
            context.error_help(&entry.key.place, message, help);
        }
    }
}

/// `deploy.restart_policy:`, else `restart:`; the order is Compose's.
fn read_restart(
    context: &mut Context<'_>,
    map: &Mapping,
    deploy: Option<&Mapping>,
    is_suite: bool,
) -> Restart {
    let short = map.entry("restart").filter(|entry| !entry.value.is_null());
    let long = deploy.and_then(|deploy| deploy.entry("restart_policy"));
    let long = long.filter(|entry| !entry.value.is_null());
    let mut restart = Restart::default();
    if let Some(entry) = short {
        restart = read_short(context, &entry.value).unwrap_or_default();
    }
    if let Some(entry) = long {
        if let Some(short) = short {
            let help = "`deploy.restart_policy` is in force instead, as with Compose";
            context.warn(&short.key.place, "`restart` has no effect", Some(help));
        }
        restart = read_restart_policy(context, entry).unwrap_or_default();
    }
    if is_suite && restart.condition != RestartCondition::Never {
        let entry = long.or(short);
        if let Some(entry) = entry {
            let message = format!("`{}` has no effect on a suite", entry.key.text);
            let help = "the first end of a suite is its result";
            context.warn(&entry.key.place, message, Some(help));
        }
        return Restart::default();
    }
    restart
}

const CONDITIONS: [(&str, RestartCondition); 6] = [
    ("no", RestartCondition::Never),
    ("none", RestartCondition::Never),
    ("on-failure", RestartCondition::OnFailure),
    ("always", RestartCondition::Always),
    ("any", RestartCondition::Always),
    ("unless-stopped", RestartCondition::Always),
];

fn read_condition(context: &mut Context<'_>, node: &Node, text: &str) -> Option<RestartCondition> {
    let found = CONDITIONS.iter().find(|(name, _)| *name == text);
    if found.is_none() {
        let names = CONDITIONS.map(|(name, _)| name);
        let help = did_you_mean(text, names)
            .unwrap_or_else(|| "write `no`, `always`, `on-failure` or `unless-stopped`".to_owned());
        let message = format!("unknown restart policy `{}`", shorten(text));
        context
            .problems
            .push(Problem::error(message).at(&node.place).help(help));
    }
    found.map(|(_, condition)| *condition)
}

/// `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`.
fn read_short(context: &mut Context<'_>, node: &Node) -> Option<Restart> {
    let text = context
        .text(node, "restart")
        .filter(|text| !text.is_empty())?;
    let (name, attempts) = match text.split_once(':') {
        Some((name, attempts)) => (name, Some(attempts)),
        None => (text.as_str(), None),
    };
    let condition = read_condition(context, node, name)?;
    let attempts = match attempts {
        None => None,
        Some(attempts) if condition == RestartCondition::OnFailure => match attempts.parse() {
            Ok(attempts) => Some(attempts),
            Err(_) => {
                let message = format!("`{}` is no number of restarts", shorten(attempts));
                context.error_help(&node.place, message, "write `on-failure:3`");
                None
            }
        },
        Some(_) => {
            let message = format!("`{name}` takes no number of restarts");
            context.error_help(&node.place, message, "`on-failure:3` does");
            None
        }
    };
    Some(Restart {
        condition,
        attempts: limit(attempts),
        ..Restart::default()
    })
}

/// The engine takes zero restarts for no limit.
fn limit(attempts: Option<u32>) -> Option<u32> {
    attempts.filter(|attempts| *attempts > 0)
}

fn read_restart_policy(context: &mut Context<'_>, entry: &Entry) -> Option<Restart> {
    let map = context.mapping(&entry.value, "restart_policy")?;
    context.check_keys(map, &keys::RESTART_POLICY);
    let condition = match map.get("condition").filter(|node| !node.is_null()) {
        Some(node) => {
            let text = context.filled_text(node, "condition")?;
            read_condition(context, node, &text)?
        }
        None => {
            let message = "`restart_policy` has no `condition`, so nothing is restarted";
            let help = "as with Compose; write `condition: any` or `condition: on-failure`";
            context.warn(&entry.key.place, message, Some(help));
            RestartCondition::Never
        }
    };
    if condition == RestartCondition::Never {
        return None;
    }
    let attempts = map
        .get("max_attempts")
        .filter(|node| !node.is_null())
        .and_then(|node| context.integer(node, "max_attempts", 0..=u64::from(u32::MAX)))
        .and_then(|attempts| u32::try_from(attempts).ok());
    let mut duration = |key: &str| map.get(key).and_then(|node| context.duration(node, key));
    Some(Restart {
        condition,
        attempts: limit(attempts),
        delay: duration("delay").unwrap_or(Duration::ZERO),
        window: duration("window").filter(|window| !window.is_zero()),
    })
}

/// `pre_stop` or `stop_grace` of `x-envrun`.
fn read_limit(context: &mut Context<'_>, map: &Mapping, key: &str) -> Option<Duration> {
    let node = map.get(key)?;
    let limit = context.duration(node, key)?;
    if limit.is_zero() || limit > LONGEST_FAREWELL {
        let longest = LONGEST_FAREWELL.as_secs();
        let message = format!("`{key}` must be longer than nothing and at most {longest}s");
        context.error_help(&node.place, message, "leave it out for the default");
        return None;
    }
    Some(limit)
}
