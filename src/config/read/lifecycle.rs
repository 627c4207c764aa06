//! How many containers a service has, and how they come and go.

use super::super::model::Lifecycle;
use super::super::yaml::{Entry, Mapping, Node, Value};
use super::context::Context;
use super::scalar::whole;

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
    Lifecycle {
        replicas: read_replicas(context, map, deploy, is_suite),
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
        check_addresses(context, map, replicas);
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

/// One address cannot belong to several containers.
fn check_addresses(context: &mut Context<'_>, map: &Mapping, replicas: u32) {
    const ADDRESSES: [&str; 3] = ["ipv4_address", "ipv6_address", "mac_address"];
    let attachments = map.get("networks").and_then(Node::mapping);
    let attachments = attachments.iter().flat_map(|map| &map.entries);
    let places = std::iter::once(map).chain(attachments.filter_map(|entry| entry.value.mapping()));
    for entry in places.flat_map(|map| &map.entries) {
        let key = entry.key.text.as_str();
        if ADDRESSES.contains(&key) && !matches!(entry.value.value, Value::Null) {
            let message = format!("`{key}` is fixed, and the service has {replicas} replicas");
            let help = "leave the address out, or have one replica";
            context.error_help(&entry.key.place, message, help);
        }
    }
}
