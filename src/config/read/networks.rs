//! Networks and volumes: of the project, and how a service is attached to networks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::super::diagnostic::Problem;
use super::super::keys::{self, Section};
use super::super::model::{Attachment, EndpointOptions, Ipam, Network, Volume};
use super::super::source::Place;
use super::super::yaml::{Entry, Mapping, Node, Value, shorten};
use super::context::Context;
use super::{check_name, is_set};
use crate::name::{NetworkKey, VolumeKey};
use crate::options::{AddressPool, Cidr};

/// The networks of a service.
#[derive(Default)]
pub(super) struct Attachments {
    pub(super) networks: BTreeMap<NetworkKey, Attachment>,
    /// Addresses that it asks for.
    pub(super) addresses: Vec<(NetworkKey, IpAddr, Place)>,
}

/// Reads `networks:` of a service.
pub(super) fn read_attachments(context: &mut Context<'_>, map: &Mapping) -> Attachments {
    let mut attachments = Attachments::default();
    let Some(node) = map.get("networks") else {
        return attachments;
    };
    let Some(mapping) = context.mapping(node, "networks") else {
        return attachments;
    };
    for entry in &mapping.entries {
        let attachment = read_attachment(context, entry, &mut attachments.addresses);
        let key = NetworkKey::from(entry.key.text.as_str());
        attachments.networks.insert(key, attachment);
    }
    attachments
}

fn read_attachment(
    context: &mut Context<'_>,
    entry: &Entry,
    addresses: &mut Vec<(NetworkKey, IpAddr, Place)>,
) -> Attachment {
    let mut attachment = Attachment::default();
    let Some(map) = context.mapping(&entry.value, &entry.key.text) else {
        return attachment;
    };
    context.check_keys(map, &keys::ATTACHMENT);
    if let Some(node) = map.get("aliases") {
        attachment.aliases = context.texts(node, "aliases").into_iter().collect();
    }
    let mut number = |key: &str| {
        map.get(key)
            .and_then(|node| context.signed(node, key, i64::MIN..=i64::MAX))
            .unwrap_or(0)
    };
    attachment.priority = number("priority");
    let gw_priority = number("gw_priority");
    let mut text = |key: &str| {
        map.get(key)
            .and_then(|node| context.filled_text_or_null(node, key))
    };
    let interface_name = text("interface_name");
    let mac_address = text("mac_address");
    let ipv4_address: Option<Ipv4Addr> = read_parsed(context, map, "ipv4_address");
    let ipv6_address: Option<Ipv6Addr> = read_parsed(context, map, "ipv6_address");
    let asked = [
        ("ipv4_address", ipv4_address.map(IpAddr::from)),
        ("ipv6_address", ipv6_address.map(IpAddr::from)),
    ];
    for (key, address) in asked {
        if let (Some(node), Some(address)) = (map.get(key), address) {
            let network = NetworkKey::new(entry.key.text.clone());
            addresses.push((network, address, node.place.clone()));
        }
    }
    let mut link_local_ips = Vec::new();
    if let Some(node) = map.get("link_local_ips") {
        for item in context.list(node, "link_local_ips") {
            link_local_ips.extend(parsed::<IpAddr>(context, item, "link_local_ips"));
        }
    }
    attachment.options = EndpointOptions {
        driver_opts: match map.get("driver_opts") {
            Some(node) => read_driver_opts(context, node),
            None => BTreeMap::new(),
        },
        gw_priority,
        interface_name,
        ipv4_address,
        ipv6_address,
        link_local_ips,
        mac_address,
    };
    attachment
}

/// A text of a mapping that is an address, or a prefix of addresses.
fn read_parsed<T: FromStr>(context: &mut Context<'_>, map: &Mapping, key: &str) -> Option<T> {
    let node = map.get(key).filter(|node| !node.is_null())?;
    parsed(context, node, key)
}

fn parsed<T: FromStr>(context: &mut Context<'_>, node: &Node, key: &str) -> Option<T> {
    let text = context.filled_text(node, key)?;
    let value = text.parse().ok();
    if value.is_none() {
        let message = format!("`{key}` cannot be `{}`", shorten(&text));
        let help = match key {
            "subnet" | "ip_range" => "write an address and the length of its prefix: `10.1.0.0/24`",
            "ipv4_address" => "write an address of IPv4, such as `10.1.0.5`",
            "ipv6_address" => "write an address of IPv6, such as `fd00::5`",
            _ => "write an address",
        };
        context.error_help(&node.place, message, help);
    }
    value
}

/// `ipam:` of a network.
fn read_ipam(context: &mut Context<'_>, map: &Mapping) -> Ipam {
    let mut ipam = Ipam::default();
    let Some(map) = map
        .get("ipam")
        .and_then(|node| context.mapping(node, "ipam"))
    else {
        return ipam;
    };
    context.check_keys(map, &keys::IPAM);
    ipam.driver = map
        .get("driver")
        .and_then(|node| context.filled_text_or_null(node, "driver"));
    if let Some(node) = map.get("options") {
        ipam.options = read_driver_opts(context, node);
    }
    let Some(node) = map.get("config") else {
        return ipam;
    };
    for item in context.list(node, "config") {
        if let Some(map) = context.mapping(item, "config") {
            ipam.pools.extend(read_pool(context, map, &item.place));
        }
    }
    ipam
}

fn read_pool(context: &mut Context<'_>, map: &Mapping, place: &Place) -> Option<AddressPool> {
    context.check_keys(map, &keys::IPAM_POOL);
    if map.entries.is_empty() {
        return None;
    }
    if map.get("subnet").is_none_or(Node::is_null) {
        let help = "without it, the engine refuses the rest";
        context.error_help(place, "an entry of `ipam.config` has no `subnet`", help);
        return None;
    }
    let subnet: Option<Cidr> = read_parsed(context, map, "subnet");
    let ip_range = read_parsed(context, map, "ip_range");
    let gateway = read_parsed(context, map, "gateway");
    let mut aux_addresses = BTreeMap::new();
    if let Some(node) = map.get("aux_addresses")
        && let Some(map) = context.mapping(node, "aux_addresses")
    {
        for entry in &map.entries {
            let address: Option<IpAddr> = parsed(context, &entry.value, "aux_addresses");
            aux_addresses.extend(address.map(|address| (entry.key.text.clone(), address)));
        }
    }
    Some(AddressPool {
        subnet: subnet?,
        ip_range,
        gateway,
        aux_addresses,
    })
}

/// What networks and volumes have in common.
struct Common {
    driver: Option<String>,
    driver_opts: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    external: Option<String>,
}

/// Reads the top-level `networks:`.
pub(in crate::config) fn read_networks(
    context: &mut Context<'_>,
    root: &Mapping,
) -> BTreeMap<NetworkKey, Network> {
    let mut networks = BTreeMap::new();
    let Some(node) = root.get("networks") else {
        return networks;
    };
    let Some(mapping) = context.mapping(node, "networks") else {
        return networks;
    };
    for entry in &mapping.entries {
        let common = read_common(context, entry, &keys::NETWORK);
        let map = entry.value.mapping();
        let mut boolean = |key: &str| {
            map.and_then(|map| map.get(key))
                .filter(|node| !node.is_null())
                .and_then(|node| context.boolean(node, key))
        };
        let attachable = boolean("attachable").unwrap_or(false);
        let internal = boolean("internal").unwrap_or(false);
        let enable_ipv4 = boolean("enable_ipv4");
        let enable_ipv6 = boolean("enable_ipv6");
        let ipam = map.map(|map| read_ipam(context, map)).unwrap_or_default();
        let Common {
            driver,
            driver_opts,
            labels,
            external,
        } = common;
        let network = Network {
            driver,
            driver_opts,
            attachable,
            internal,
            enable_ipv4,
            enable_ipv6,
            ipam,
            labels,
            external,
        };
        networks.insert(NetworkKey::new(entry.key.text.clone()), network);
    }
    networks
}

/// Reads the top-level `volumes:`.
pub(in crate::config) fn read_volumes(
    context: &mut Context<'_>,
    root: &Mapping,
) -> BTreeMap<VolumeKey, Volume> {
    let mut volumes = BTreeMap::new();
    let Some(node) = root.get("volumes") else {
        return volumes;
    };
    let Some(mapping) = context.mapping(node, "volumes") else {
        return volumes;
    };
    for entry in &mapping.entries {
        let common = read_common(context, entry, &keys::VOLUME);
        let Common {
            driver,
            driver_opts,
            labels,
            external,
        } = common;
        let volume = Volume {
            driver,
            driver_opts,
            labels,
            external,
        };
        volumes.insert(VolumeKey::new(entry.key.text.clone()), volume);
    }
    volumes
}

fn read_common(context: &mut Context<'_>, entry: &Entry, section: &Section) -> Common {
    check_name(context, &entry.key, section.owner);
    let empty = Mapping::default();
    let map = context
        .mapping(&entry.value, &entry.key.text)
        .unwrap_or(&empty);
    context.check_keys(map, section);
    let driver = match map.get("driver") {
        Some(node) => context
            .text(node, "driver")
            .filter(|driver| !driver.is_empty()),
        None => None,
    };
    let driver_opts = match map.get("driver_opts") {
        Some(node) => read_driver_opts(context, node),
        None => BTreeMap::new(),
    };
    let labels = match map.get("labels") {
        Some(node) => context.labels(node, "labels"),
        None => BTreeMap::new(),
    };
    let external = read_external(context, entry, map, section);
    Common {
        driver,
        driver_opts,
        labels,
        external,
    }
}

fn read_driver_opts(context: &mut Context<'_>, node: &Node) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    if let Some(map) = context.mapping(node, "driver_opts") {
        for entry in &map.entries {
            let value = context.printed(&entry.value, &entry.key.text);
            options.insert(entry.key.text.clone(), value.unwrap_or_default());
        }
    }
    options
}

/// The engine's name of an external resource: `name:`, else the key. `external: {name: …}` is an
/// old spelling of the same.
fn read_external(
    context: &mut Context<'_>,
    entry: &Entry,
    map: &Mapping,
    section: &Section,
) -> Option<String> {
    let name = map.get("name").filter(|node| !node.is_null());
    let name_text = name.and_then(|node| context.filled_text(node, "name"));
    let external = map.entry("external");
    let (is_external, old_name) = match external.map(|entry| &entry.value) {
        None => (false, None),
        Some(node) => match &node.value {
            Value::Mapping(old) => {
                let help = "write `external: true`, and `name:` beside it";
                context.warn(
                    &node.place,
                    "`external` with a name inside is obsolete",
                    Some(help),
                );
                let old_name = old
                    .get("name")
                    .and_then(|node| context.filled_text(node, "name"));
                (true, old_name)
            }
            Value::Null => (false, None),
            _ => (context.boolean(node, "external").unwrap_or(false), None),
        },
    };
    if !is_external {
        // A name that the file format adds is nothing that the user asked for.
        let is_written = |node: &&Node| node.scalar().is_none_or(|scalar| !scalar.implied);
        if let Some(node) = name.filter(is_written) {
            let message = format!("`name` of {} has no effect", section.owner);
            let help = "each run has networks and volumes of its own, with names of its own";
            context.warn(&node.place, message, Some(help));
        }
        return None;
    }
    let refused = [
        "attachable",
        "driver",
        "driver_opts",
        "enable_ipv4",
        "enable_ipv6",
        "internal",
        "labels",
        "ipam",
    ];
    for other in &map.entries {
        if refused.contains(&other.key.text.as_str()) && is_set(&other.value) {
            let message = format!(
                "`{}` cannot be said of {} that is external",
                other.key.text, section.owner
            );
            let problem = Problem::error(message).at(&other.key.place);
            let problem = match external {
                Some(external) => problem.label(&external.key.place, "external here"),
                None => problem,
            };
            context.problems.push(problem);
        }
    }
    Some(
        name_text
            .or(old_name)
            .unwrap_or_else(|| entry.key.text.clone()),
    )
}
