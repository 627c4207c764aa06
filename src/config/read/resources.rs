//! What a container may use: processors, memory, devices, and the older and newer spellings of it.

use super::super::keys::{self, Section};
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, Value};
use super::context::Context;
use crate::options::{Blkio, CDI_DRIVER, Device, DeviceRequest, Resources, Ulimit};

/// Reads them. `deploy.resources` says the same as older keys of the service; where both are written,
/// the file format has seen to it that they agree.
pub(super) fn read_resources(context: &mut Context<'_>, map: &Mapping) -> Resources {
    let mut number = |key: &str| {
        map.get(key)
            .and_then(|node| context.signed(node, key, i64::MIN..=i64::MAX))
            .unwrap_or(0)
    };
    let mut resources = Resources {
        cpu_count: number("cpu_count"),
        cpu_period: number("cpu_period"),
        cpu_quota: number("cpu_quota"),
        cpu_rt_period: number("cpu_rt_period"),
        cpu_rt_runtime: number("cpu_rt_runtime"),
        cpu_shares: number("cpu_shares"),
        pids_limit: Some(number("pids_limit")).filter(|limit| *limit != 0),
        ..Resources::default()
    };
    let mut fraction = |key: &str| map.get(key).and_then(|node| context.fraction(node, key));
    resources.nano_cpus = fraction("cpus").map_or(0, nano);
    resources.cpu_percent = fraction("cpu_percent").map_or(0, |value| (value * 100.0) as i64);
    let mut bytes = |key: &str| map.get(key).and_then(|node| context.bytes(node, key));
    resources.memory = bytes("mem_limit").unwrap_or(0);
    resources.memory_reservation = bytes("mem_reservation").unwrap_or(0);
    resources.memory_swap = read_swap_limit(context, map);
    resources.memory_swappiness = map
        .get("mem_swappiness")
        .and_then(|node| context.signed(node, "mem_swappiness", -1..=100))
        .filter(|swappiness| *swappiness != 0);
    resources.oom_kill_disable = map
        .get("oom_kill_disable")
        .filter(|node| !node.is_null())
        .and_then(|node| context.boolean(node, "oom_kill_disable"))
        .unwrap_or(false);
    let mut text = |key: &str| {
        map.get(key)
            .and_then(|node| context.filled_text_or_null(node, key))
    };
    resources.cgroup_parent = text("cgroup_parent");
    resources.cpuset = text("cpuset");
    resources.device_cgroup_rules = map
        .get("device_cgroup_rules")
        .map(|node| context.distinct_texts(node, "device_cgroup_rules"))
        .unwrap_or_default();
    resources.blkio = read_blkio(context, map);
    resources.ulimits = read_ulimits(context, map);
    read_deploy(context, map, &mut resources);
    read_devices(context, map, &mut resources);
    if let Some(node) = map.get("gpus") {
        for mut request in read_requests(context, node, "gpus") {
            request
                .capabilities
                .get_or_insert_default()
                .push("gpu".to_owned());
            resources.device_requests.push(request);
        }
    }
    resources
}

/// Billionths, in the arithmetic of the reference: with numbers of single precision, `0.1` would
/// else come to another limit.
fn nano(value: f64) -> i64 {
    (value as f32 * 1e9_f32) as i64
}

/// `memswap_limit:`; `-1` is no limit.
fn read_swap_limit(context: &mut Context<'_>, map: &Mapping) -> i64 {
    const KEY: &str = "memswap_limit";
    let Some(node) = map.get(KEY) else { return 0 };
    match &node.value {
        Value::Scalar(scalar) if scalar.text == "-1" => -1,
        _ => context
            .bytes(node, KEY)
            .and_then(|bytes| i64::try_from(bytes).ok())
            .unwrap_or(0),
    }
}

/// `deploy:`, of which only the resources matter to one engine.
fn read_deploy(context: &mut Context<'_>, map: &Mapping, resources: &mut Resources) {
    let Some(deploy) = section(context, map, "deploy", &keys::DEPLOY) else {
        return;
    };
    let Some(node) = section(context, deploy, "resources", &keys::RESOURCES) else {
        return;
    };
    if let Some(limits) = section(context, node, "limits", &keys::LIMITS) {
        let cpus = limits.get("cpus");
        let cpus = cpus.and_then(|node| context.fraction(node, "cpus"));
        said(cpus.map_or(0, nano), &mut resources.nano_cpus);
        let memory = limits.get("memory");
        let memory = memory.and_then(|node| context.bytes(node, "memory"));
        said(memory.unwrap_or(0), &mut resources.memory);
        let pids = limits.get("pids");
        let pids = pids.and_then(|node| context.signed(node, "pids", -1..=i64::MAX));
        said(pids.filter(|pids| *pids > 0), &mut resources.pids_limit);
    }
    if let Some(kept) = section(context, node, "reservations", &keys::RESERVATIONS) {
        let memory = kept.get("memory");
        let memory = memory.and_then(|node| context.bytes(node, "memory"));
        said(memory.unwrap_or(0), &mut resources.memory_reservation);
        if let Some(node) = kept.get("devices") {
            let requests = read_requests(context, node, "devices");
            resources.device_requests.extend(requests);
        }
    }
}

/// Takes over what `deploy` says, if it says anything.
fn said<T: Default + PartialEq>(said: T, value: &mut T) {
    if said != T::default() {
        *value = said;
    }
}

/// A mapping below `map`, its keys checked.
fn section<'n>(
    context: &mut Context<'_>,
    map: &'n Mapping,
    key: &str,
    section: &Section,
) -> Option<&'n Mapping> {
    let found = context.mapping(map.get(key)?, key)?;
    context.check_keys(found, section);
    Some(found)
}

/// `devices:`. One whose two paths are the same qualified name is asked for by that name.
fn read_devices(context: &mut Context<'_>, map: &Mapping, resources: &mut Resources) {
    const KEY: &str = "devices";
    let Some(node) = map.get(KEY) else { return };
    let mut by_name = Vec::new();
    for item in context.list(node, KEY) {
        let Some(map) = context.mapping(item, KEY) else {
            continue;
        };
        match read_device(context, map, &item.place) {
            Some(device) if device.source == device.target && is_qualified(&device.source) => {
                by_name.push(device.source);
            }
            device => resources.devices.extend(device),
        }
    }
    if !by_name.is_empty() {
        resources.device_requests.push(DeviceRequest {
            driver: CDI_DRIVER.to_owned(),
            ids: by_name,
            ..DeviceRequest::default()
        });
    }
}

fn read_device(context: &mut Context<'_>, map: &Mapping, place: &Place) -> Option<Device> {
    context.check_keys(map, &keys::DEVICE);
    let mut text = |key: &str| {
        map.get(key)
            .and_then(|node| context.filled_text_or_null(node, key))
    };
    let (source, target, permissions) = (text("source"), text("target"), text("permissions"));
    let Some(source) = source else {
        context.error(place, "a device has no `source`");
        return None;
    };
    Some(Device {
        target: target.unwrap_or_else(|| source.clone()),
        source,
        permissions: permissions.unwrap_or_else(|| "rwm".to_owned()),
    })
}

/// A name of the Container Device Interface: `vendor.com/class=name`.
fn is_qualified(name: &str) -> bool {
    let Some((kind, device)) = name.split_once('=') else {
        return false;
    };
    let is_word = |text: &str, other: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || other.contains(c))
    };
    kind.split_once('/').is_some_and(|(vendor, class)| {
        is_word(vendor, "_-.") && is_word(class, "_-.") && is_word(device, "_-.:")
    })
}

/// A list of requests for devices.
fn read_requests(context: &mut Context<'_>, node: &Node, key: &str) -> Vec<DeviceRequest> {
    let mut requests = Vec::new();
    for item in context.list(node, key) {
        if let Some(map) = context.mapping(item, key) {
            context.check_keys(map, &keys::DEVICE_REQUEST);
            requests.push(read_request(context, map));
        }
    }
    requests
}

fn read_request(context: &mut Context<'_>, map: &Mapping) -> DeviceRequest {
    let count = map.get("count").and_then(|node| match &node.value {
        Value::Scalar(scalar) if scalar.text.eq_ignore_ascii_case("all") => Some(-1),
        _ => context.signed(node, "count", -1..=i64::MAX),
    });
    let driver = map
        .get("driver")
        .and_then(|node| context.filled_text_or_null(node, "driver"));
    let mut texts = |key: &str| map.get(key).map(|node| context.texts(node, key));
    let capabilities = texts("capabilities");
    let ids = texts("device_ids").unwrap_or_default();
    let options = map.get("options");
    DeviceRequest {
        driver: driver.unwrap_or_default(),
        count: count.unwrap_or(0),
        ids,
        capabilities: Some(capabilities.unwrap_or_default()),
        options: options
            .map(|node| context.labels(node, "options"))
            .unwrap_or_default(),
    }
}

fn read_blkio(context: &mut Context<'_>, map: &Mapping) -> Blkio {
    let Some(map) = section(context, map, "blkio_config", &keys::BLKIO) else {
        return Blkio::default();
    };
    let weight = map
        .get("weight")
        .and_then(|node| read_weight(context, node));
    let mut weight_device = Vec::new();
    if let Some(node) = map.get("weight_device") {
        for (map, path) in read_paths(context, node, &keys::BLKIO_WEIGHT) {
            let weight = map
                .get("weight")
                .and_then(|node| read_weight(context, node));
            weight_device.push((path, weight.unwrap_or(0)));
        }
    }
    let mut rates = |key: &str| {
        let mut rates = Vec::new();
        if let Some(node) = map.get(key) {
            for (map, path) in read_paths(context, node, &keys::BLKIO_RATE) {
                let rate = map.get("rate").and_then(|node| context.bytes(node, "rate"));
                rates.push((path, rate.unwrap_or(0)));
            }
        }
        rates
    };
    Blkio {
        weight: weight.unwrap_or(0),
        weight_device,
        read_bps: rates("device_read_bps"),
        read_iops: rates("device_read_iops"),
        write_bps: rates("device_write_bps"),
        write_iops: rates("device_write_iops"),
    }
}

fn read_weight(context: &mut Context<'_>, node: &Node) -> Option<u16> {
    let weight = context.integer(node, "weight", 0..=1000)?;
    u16::try_from(weight).ok()
}

/// The entries of a list of `blkio_config`, each with its `path`.
fn read_paths<'n>(
    context: &mut Context<'_>,
    node: &'n Node,
    section: &Section,
) -> Vec<(&'n Mapping, String)> {
    let mut found = Vec::new();
    for item in context.list(node, section.owner) {
        let Some(map) = context.mapping(item, section.owner) else {
            continue;
        };
        context.check_keys(map, section);
        match map.get("path") {
            Some(node) => {
                let path = context.filled_text(node, "path");
                found.extend(path.map(|path| (map, path)));
            }
            None => context.error(&item.place, format!("{} has no `path`", section.owner)),
        }
    }
    found
}

/// `ulimits:`: one number for both limits, or each by itself.
pub(super) fn read_ulimits(context: &mut Context<'_>, map: &Mapping) -> Vec<Ulimit> {
    const KEY: &str = "ulimits";
    let Some(map) = map.get(KEY).and_then(|node| context.mapping(node, KEY)) else {
        return Vec::new();
    };
    let mut ulimits = Vec::new();
    for entry in &map.entries {
        let name = &entry.key.text;
        let (soft, hard) = match &entry.value.value {
            Value::Mapping(map) => {
                context.check_keys(map, &keys::ULIMIT);
                let mut limit = |key: &str| {
                    map.get(key)
                        .and_then(|node| context.signed(node, key, -1..=i64::MAX))
                        .unwrap_or(0)
                };
                (limit("soft"), limit("hard"))
            }
            _ => {
                let both = context.signed(&entry.value, name, -1..=i64::MAX);
                (both.unwrap_or(0), both.unwrap_or(0))
            }
        };
        ulimits.push(Ulimit {
            name: name.clone(),
            soft,
            hard,
        });
    }
    ulimits.sort_by(|one, other| one.name.cmp(&other.name));
    ulimits
}
