//! Networks and volumes.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{
    Ipam, IpamConfig, Network, NetworkConnectRequest, NetworkCreateRequest,
    NetworkDisconnectRequest, Volume, VolumeCreateRequest,
};
use bollard::query_parameters::{
    InspectNetworkOptions, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};

use super::create::{filled, settings};
use super::error::{removal, translate};
use super::parse_time;
use crate::engine::{
    Belonging, EndpointSpec, EngineError, FailureKind, NetworkSpec, PROJECT_LABEL, RUN_LABEL,
    Removal, Resource, ResourceKind, VolumeSpec,
};
use crate::name::{ContainerId, NetworkId};
use crate::options::Cidr;

pub(super) async fn create(docker: &Docker, spec: &NetworkSpec) -> Result<NetworkId, EngineError> {
    let fixed = spec.ipam.pools.iter().map(|pool| IpamConfig {
        subnet: Some(pool.subnet.to_string()),
        ip_range: pool.ip_range.map(|range| range.to_string()),
        gateway: pool.gateway.map(|gateway| gateway.to_string()),
        auxiliary_addresses: filled(
            pool.aux_addresses
                .iter()
                .map(|(name, address)| (name.clone(), address.to_string()))
                .collect(),
        ),
    });
    let chosen = spec.subnet.map(|subnet| IpamConfig {
        subnet: Some(subnet.to_string()),
        ..IpamConfig::default()
    });
    let ipam = filled(Ipam {
        driver: spec.ipam.driver.clone(),
        options: filled(spec.ipam.options.clone().into_iter().collect()),
        config: filled(fixed.chain(chosen).collect()),
    });
    let request = NetworkCreateRequest {
        name: spec.name.clone(),
        driver: spec.driver.clone(),
        attachable: Some(spec.attachable),
        internal: Some(spec.internal),
        enable_ipv4: spec.enable_ipv4,
        enable_ipv6: spec.enable_ipv6,
        ipam,
        options: (!spec.driver_opts.is_empty())
            .then(|| spec.driver_opts.clone().into_iter().collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        ..NetworkCreateRequest::default()
    };
    let attempt = format!("create network `{}`", spec.name);
    let mut error = match docker.create_network(request).await {
        Ok(created) => return Ok(NetworkId::new(created.id)),
        Err(error) => translate(&attempt, error),
    };
    if error.kind == FailureKind::SubnetTaken && spec.subnet.is_none() {
        let holders = holders(docker, &spec.ipam).await;
        if !holders.is_empty() {
            error.message = format!("{}: {}", error.message, holders.join(", "));
        }
    }
    Err(error)
}

/// Who has addresses of the pools that the file fixes, in words. Best effort: it only explains an
/// answer of the engine.
async fn holders(docker: &Docker, wanted: &crate::options::Ipam) -> Vec<String> {
    let options = ListNetworksOptionsBuilder::default().build();
    let listed = docker.list_networks(Some(options)).await;
    let mut holders = Vec::new();
    for network in listed.unwrap_or_default() {
        let pools = network
            .ipam
            .and_then(|ipam| ipam.config)
            .unwrap_or_default();
        let taken = pools
            .into_iter()
            .filter_map(|pool| pool.subnet?.parse::<Cidr>().ok())
            .find(|held| wanted.pools.iter().any(|pool| pool.subnet.overlaps(held)));
        if let Some(taken) = taken {
            let name = network.name.unwrap_or_default();
            let labels = network.labels.unwrap_or_default();
            let of = match (labels.get(PROJECT_LABEL), labels.get(RUN_LABEL)) {
                (Some(project), Some(run)) => format!(" of run {run} of project `{project}`"),
                _ => String::new(),
            };
            holders.push(format!("network `{name}`{of} holds `{taken}`"));
        }
    }
    holders
}

/// Engines allow several networks of one name, and filter by a part of it.
pub(super) async fn find(docker: &Docker, name: &str) -> Result<Option<NetworkId>, EngineError> {
    let attempt = format!("find network `{name}`");
    let filter = HashMap::from([("name".to_owned(), vec![name.to_owned()])]);
    let options = ListNetworksOptionsBuilder::default()
        .filters(&filter)
        .build();
    let listed = docker
        .list_networks(Some(options))
        .await
        .map_err(|error| translate(&attempt, error))?;
    let mut ids = listed
        .into_iter()
        .filter(|network| network.name.as_deref() == Some(name))
        .filter_map(|network| network.id);
    match (ids.next(), ids.next()) {
        (first, None) => Ok(first.map(NetworkId::new)),
        (_, Some(_)) => Err(EngineError {
            attempt,
            kind: FailureKind::Refused,
            message: "the engine has several networks of this name".to_owned(),
        }),
    }
}

pub(super) async fn connect(
    docker: &Docker,
    network: &NetworkId,
    container: &ContainerId,
    endpoint: &EndpointSpec,
) -> Result<(), EngineError> {
    let request = NetworkConnectRequest {
        container: container.to_string(),
        endpoint_config: Some(settings(endpoint)),
    };
    docker
        .connect_network(network.as_str(), request)
        .await
        .map_err(|error| {
            translate(
                &format!("connect container `{container}` to network `{network}`"),
                error,
            )
        })
}

/// A network that something still hangs on is freed by force first.
pub(super) async fn remove(docker: &Docker, resource: &Resource) -> Result<Removal, EngineError> {
    let removed = removal(resource, docker.remove_network(&resource.id).await);
    if removed
        .as_ref()
        .is_err_and(|error| error.kind == FailureKind::Busy)
    {
        disconnect_all(docker, &resource.id).await;
    }
    removed
}

/// Best effort: what cannot be disconnected now is tried again with the next removal.
async fn disconnect_all(docker: &Docker, network: &str) {
    let Ok(inspected) = docker
        .inspect_network(network, None::<InspectNetworkOptions>)
        .await
    else {
        return;
    };
    for container in inspected.containers.unwrap_or_default().into_keys() {
        let request = NetworkDisconnectRequest {
            container,
            force: Some(true),
        };
        let _ = docker.disconnect_network(network, request).await;
    }
}

pub(super) async fn list(
    docker: &Docker,
    filter: &HashMap<String, Vec<String>>,
) -> Result<Vec<Belonging>, EngineError> {
    let options = ListNetworksOptionsBuilder::default()
        .filters(filter)
        .build();
    let listed = docker
        .list_networks(Some(options))
        .await
        .map_err(|error| translate("list networks", error))?;
    let belonging = |network: Network| {
        let resource = Resource {
            kind: ResourceKind::Network,
            id: network.id?,
            name: network.name?,
        };
        let names = [resource.name.clone()];
        let labels = network.labels.unwrap_or_default().into_iter().collect();
        let belonging = Belonging::new(resource, &names, labels)?;
        Some(Belonging {
            created: network.created.and_then(|text| parse_time(&text)),
            ..belonging
        })
    };
    Ok(listed.into_iter().filter_map(belonging).collect())
}

pub(super) async fn create_volume(docker: &Docker, spec: &VolumeSpec) -> Result<(), EngineError> {
    let request = VolumeCreateRequest {
        name: Some(spec.name.clone()),
        driver: spec.driver.clone(),
        driver_opts: (!spec.driver_opts.is_empty())
            .then(|| spec.driver_opts.clone().into_iter().collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        ..VolumeCreateRequest::default()
    };
    docker
        .create_volume(request)
        .await
        .map(|_created| ())
        .map_err(|error| translate(&format!("create volume `{}`", spec.name), error))
}

pub(super) async fn remove_volume(
    docker: &Docker,
    resource: &Resource,
) -> Result<Removal, EngineError> {
    let options = RemoveVolumeOptionsBuilder::default().force(true).build();
    removal(
        resource,
        docker.remove_volume(&resource.id, Some(options)).await,
    )
}

pub(super) async fn list_volumes(
    docker: &Docker,
    filter: &HashMap<String, Vec<String>>,
) -> Result<Vec<Belonging>, EngineError> {
    let options = ListVolumesOptionsBuilder::default().filters(filter).build();
    let listed = docker
        .list_volumes(Some(options))
        .await
        .map_err(|error| translate("list volumes", error))?;
    let belonging = |volume: Volume| {
        let resource = Resource {
            kind: ResourceKind::Volume,
            id: volume.name.clone(),
            name: volume.name.clone(),
        };
        let labels = volume.labels.into_iter().collect();
        let belonging = Belonging::new(resource, &[volume.name], labels)?;
        Some(Belonging {
            created: volume.created_at.and_then(|text| parse_time(&text)),
            ..belonging
        })
    };
    Ok(listed
        .volumes
        .unwrap_or_default()
        .into_iter()
        .filter_map(belonging)
        .collect())
}
