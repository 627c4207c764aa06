//! `ports:` and `expose:` of a service.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::super::keys;
use super::super::model::{Protocol, PublishedPort};
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::context::Context;

/// Reads `ports:`; an entry that is given twice counts once. Short forms have become long ones
/// before; what has not is no port, and was reported.
pub(super) fn read_ports(context: &mut Context<'_>, map: &Mapping) -> Vec<PublishedPort> {
    let Some(node) = map.get("ports") else {
        return Vec::new();
    };
    let mut ports = Vec::new();
    for item in context.list(node, "ports") {
        if let Value::Mapping(map) = &item.value {
            ports.extend(read_long(context, map, &item.place));
        }
    }
    let mut seen = HashSet::new();
    ports.retain(|port| {
        let published = port.published.clone();
        seen.insert((port.target, published, port.host_ip.clone(), port.protocol))
    });
    ports
}

/// Reads `expose:` in file order; ranges are expanded.
pub(super) fn read_expose(context: &mut Context<'_>, map: &Mapping) -> Vec<(u16, Protocol)> {
    let Some(node) = map.get("expose") else {
        return Vec::new();
    };
    let mut exposed = Vec::new();
    let mut seen = HashSet::new();
    for item in context.list(node, "expose") {
        let Some(text) = context.written(item, "expose") else {
            continue;
        };
        let (range, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        match (parse_range(range), parse_protocol(protocol)) {
            (Ok(range), Ok(protocol)) => {
                if context.take_ports(range.len(), &item.place) {
                    let ports = range.map(|port| (port, protocol));
                    exposed.extend(ports.filter(|port| seen.insert(*port)));
                }
            }
            (Ok(_), Err(why)) => context.error(&item.place, why),
            (Err(why), _) => {
                context.error(
                    &item.place,
                    format!("`{}` is not a port: {why}", shorten(&text)),
                );
            }
        }
    }
    exposed
}

fn parse_address(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    match bare.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(bare.to_owned()),
        Err(_) => Err(format!("`{}` is not an address", shorten(bare))),
    }
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        _ => Err(format!("unknown protocol `{}`", shorten(text))),
    }
}

fn parse_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    range_of(text, 1)
}

/// Port 0 on the host's side leaves the choice to the engine.
fn parse_host_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    range_of(text, 0)
}

fn range_of(text: &str, lowest: u16) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(format!("`{}` is not a number", shorten(text)));
        }
        match text.parse::<u16>() {
            Ok(port) if port >= lowest => Ok(port),
            _ => Err(format!(
                "`{}` is not between {lowest} and 65535",
                shorten(text)
            )),
        }
    };
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let range = port(start)?..=port(end)?;
    if range.is_empty() {
        return Err(format!(
            "the range `{}` ends before it starts",
            shorten(text)
        ));
    }
    Ok(range)
}

fn read_long(context: &mut Context<'_>, map: &Mapping, place: &Place) -> Option<PublishedPort> {
    context.check_keys(map, &keys::PORT);
    let Some(target) = map.get("target") else {
        context.error(place, "a port has no `target`");
        return None;
    };
    let target = context.port(target, "target");
    let published = map
        .get("published")
        .and_then(|node| read_published(context, node));
    let host_ip = match map.get("host_ip") {
        Some(node) => read_host_ip(context, node),
        None => None,
    };
    let protocol = match map.get("protocol") {
        Some(node) => {
            let text = context.filled_text(node, "protocol")?;
            match parse_protocol(&text) {
                Ok(protocol) => protocol,
                Err(why) => {
                    context.error(&node.place, why);
                    return None;
                }
            }
        }
        None => Protocol::default(),
    };
    let target = target?;
    context.take_ports(1, place).then_some(PublishedPort {
        target,
        published,
        host_ip,
        protocol,
    })
}

fn read_published(context: &mut Context<'_>, node: &Node) -> Option<String> {
    if node.is_null() {
        return None;
    }
    let text = context.written(node, "published")?;
    if text.is_empty() {
        return None;
    }
    if let Err(why) = parse_host_range(&text) {
        context.error(&node.place, format!("`published` is not a port: {why}"));
        return None;
    }
    Some(text)
}

fn read_host_ip(context: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = context
        .text(node, "host_ip")
        .filter(|text| !text.is_empty())?;
    match parse_address(&text) {
        Ok(address) => Some(address),
        Err(why) => {
            context.error(&node.place, format!("`host_ip`: {why}"));
            None
        }
    }
}
