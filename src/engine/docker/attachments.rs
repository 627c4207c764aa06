//! How a container hangs on its networks, in such a way that it can be attached once more.

use std::net::IpAddr;

use bollard::Docker;
use bollard::models::EndpointSettings;
use bollard::query_parameters::InspectContainerOptions;

use super::error::translate;
use crate::engine::{Attachment, Attachments, EndpointSpec, EngineError, Namespace};
use crate::name::{ContainerId, NetworkId};
use crate::options::EndpointOptions;

/// How many digits of a container's id the engine adds to its names on a network.
const SHORT_ID: usize = 12;

pub(super) async fn of(
    docker: &Docker,
    container: &ContainerId,
) -> Result<Attachments, EngineError> {
    let inspected = docker
        .inspect_container(container.as_str(), None::<InspectContainerOptions>)
        .await
        .map_err(|error| translate(&format!("inspect container `{container}`"), error))?;
    let mode = inspected.host_config.and_then(|host| host.network_mode);
    let mode = mode.unwrap_or_default();
    let namespace = match mode.strip_prefix("container:") {
        Some(other) => Namespace::Of(ContainerId::new(other)),
        None if mode == "host" => Namespace::Host,
        None => Namespace::Own,
    };
    let endpoints = inspected.network_settings.and_then(|all| all.networks);
    let mut endpoints: Vec<Attachment> = endpoints
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, endpoint)| attachment(container, name, endpoint))
        .collect();
    endpoints.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Attachments {
        namespace,
        endpoints,
    })
}

fn attachment(
    container: &ContainerId,
    name: String,
    endpoint: EndpointSettings,
) -> Option<Attachment> {
    let parse = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
    let addresses: [Option<IpAddr>; 2] = [
        parse(&endpoint.ip_address),
        parse(&endpoint.global_ipv6_address),
    ];
    let short: String = container.as_str().chars().take(SHORT_ID).collect();
    // The engine adds that name by itself.
    let mut aliases = endpoint.aliases.unwrap_or_default();
    aliases.retain(|alias| *alias != short);
    let ipam = endpoint.ipam_config.unwrap_or_default();
    let local = ipam.link_local_ips.unwrap_or_default();
    // The file's addresses, which hold also while the container does not run.
    let fixed_v4 = ipam.ipv4_address.and_then(|text| text.parse().ok());
    let fixed_v6 = ipam.ipv6_address.and_then(|text| text.parse().ok());
    Some(Attachment {
        network: NetworkId::new(endpoint.network_id?),
        name,
        endpoint: EndpointSpec {
            aliases,
            links: endpoint.links.unwrap_or_default(),
            options: EndpointOptions {
                driver_opts: endpoint
                    .driver_opts
                    .unwrap_or_default()
                    .into_iter()
                    .collect(),
                gw_priority: endpoint.gw_priority.unwrap_or_default(),
                interface_name: None,
                ipv4_address: fixed_v4,
                ipv6_address: fixed_v6,
                link_local_ips: local.iter().filter_map(|text| text.parse().ok()).collect(),
                mac_address: None,
            },
        },
        addresses: addresses.into_iter().flatten().collect(),
    })
}
