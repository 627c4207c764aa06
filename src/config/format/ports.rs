//! The short form of a port: `ADDRESS:HOST:CONTAINER/PROTOCOL`, with ranges.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::super::yaml::shorten;

/// One port in its short form, taken apart; a range gives several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShortPort {
    pub(super) host_ip: Option<String>,
    pub(super) published: Option<String>,
    pub(super) target: u16,
    pub(super) protocol: String,
}

/// Takes a port apart. The ports of a range come in the order of their texts, as the reference
/// sorts them.
///
/// # Errors
/// What is wrong, lower case.
pub(super) fn parse(text: &str) -> Result<Vec<ShortPort>, String> {
    let mut parts: Vec<&str> = text.split(':').collect();
    let container = parts.pop().unwrap_or_default();
    let host = parts.pop().unwrap_or_default();
    let address = parts.join(":");
    let (container, protocol) = match container.split_once('/') {
        Some((container, protocol)) => {
            let protocol = protocol.split('/').next().unwrap_or_default();
            (container, Some(protocol).filter(|name| !name.is_empty()))
        }
        None => (container, None),
    };
    let protocol = protocol.unwrap_or("tcp").to_lowercase();
    let host_ip = parse_address(&address)?;
    if container.is_empty() {
        return Err("there is no port of the container".to_owned());
    }
    let target = parse_range(container)?;
    let published = match host {
        "" => None,
        _ => Some(parse_range(host)?),
    };
    let is_range = target.start() != target.end();
    if let Some(published) = &published
        && is_range
        && published.len() != target.len()
    {
        return Err(format!(
            "the ranges differ in length: {} and {}",
            published.len(),
            target.len()
        ));
    }
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("unknown protocol `{}`", shorten(&protocol)));
    }
    let first = *target.start();
    let mut ports: Vec<ShortPort> = target
        .map(|port| ShortPort {
            host_ip: host_ip.clone(),
            published: published.as_ref().map(|range| {
                let start = range.start().saturating_add(port - first);
                // The engine chooses from a range of the host for a single port.
                if !is_range && range.start() != range.end() {
                    format!("{start}-{}", range.end())
                } else {
                    start.to_string()
                }
            }),
            target: port,
            protocol: protocol.clone(),
        })
        .collect();
    ports.sort_by_key(|port| port.target.to_string());
    Ok(ports)
}

fn parse_address(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let bare = match bare {
        Some(bare) => bare,
        None if text.contains(':') => {
            return Err(format!(
                "an address with colons stands in brackets: `[{}]`",
                shorten(text)
            ));
        }
        None => text,
    };
    if bare.is_empty() {
        return Ok(None);
    }
    // A zone is no part of what the engine takes.
    match bare.parse::<IpAddr>() {
        Ok(_) => Ok(Some(bare.to_owned())),
        Err(_) => Err(format!("`{}` is not an address", shorten(bare))),
    }
}

fn parse_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(format!("`{}` is not a number", shorten(text)));
        }
        text.parse::<u16>()
            .map_err(|_| format!("`{}` is not between 0 and 65535", shorten(text)))
    };
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let last = parts.next().unwrap_or(first);
    let range = port(first)?..=port(last)?;
    if range.is_empty() {
        return Err(format!(
            "the range `{}` ends before it starts",
            shorten(text)
        ));
    }
    Ok(range)
}
