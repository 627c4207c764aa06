//! Networks and volumes.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{
    Ipam, IpamConfig, Network, NetworkConnectRequest, NetworkCreateRequest,
    NetworkDisconnectRequest, Volume, VolumeCreateRequest,
};
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder,
};

use super::create::{filled, settings};
use super::error::{removal, translate};
use super::parse_time;
use crate::engine::{
    BRIDGE_OPTION, Belonging, EndpointSpec, EngineError, FailureKind, NamesOnNetwork, NetworkFacts,
    NetworkSpec, PARENT_OPTION, PROJECT_LABEL, RUN_LABEL, Removal, Resource, ResourceKind, RunOf,
    VolumeSpec,
};
use crate::name::{ContainerId, NetworkId, RunId};
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
    match docker.create_network(request).await {
        Ok(created) => Ok(NetworkId::new(created.id)),
        Err(error) => Err(translate(&attempt, error)),
    }
}

/// The run that something with these labels belongs to.
fn run_of(labels: &HashMap<String, String>) -> Option<RunOf> {
    Some(RunOf {
        run: RunId::parse(labels.get(RUN_LABEL)?).ok()?,
        project: labels.get(PROJECT_LABEL).cloned().unwrap_or_default(),
    })
}

pub(super) async fn facts(docker: &Docker) -> Result<Vec<NetworkFacts>, EngineError> {
    let options = ListNetworksOptionsBuilder::default().build();
    let listed = docker.list_networks(Some(options)).await;
    let listed = listed.map_err(|error| translate("list networks", error))?;
    Ok(listed
        .into_iter()
        .map(|network| {
            let pools = network.ipam.and_then(|ipam| ipam.config);
            let pools = pools.unwrap_or_default().into_iter();
            let options = network.options.unwrap_or_default();
            NetworkFacts {
                name: network.name.unwrap_or_default(),
                owner: run_of(&network.labels.unwrap_or_default()),
                subnets: pools
                    .filter_map(|pool| pool.subnet?.parse::<Cidr>().ok())
                    .collect(),
                bridge: options.get(BRIDGE_OPTION).cloned(),
                parent: options.get(PARENT_OPTION).cloned(),
            }
        })
        .collect())
}

/// A listing of containers leaves out their names on a network, so each is inspected.
pub(super) async fn names_on(
    docker: &Docker,
    network: &NetworkId,
) -> Result<Vec<NamesOnNetwork>, EngineError> {
    let attempt = format!("list the names on network `{network}`");
    let filter = HashMap::from([
        ("label".to_owned(), vec![RUN_LABEL.to_owned()]),
        ("network".to_owned(), vec![network.to_string()]),
    ]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filter)
        .build();
    let listed = docker.list_containers(Some(options)).await;
    let listed = listed.map_err(|error| translate(&attempt, error))?;
    let mut names = Vec::new();
    for container in listed {
        let (Some(id), Some(owner)) = (container.id, container.labels.as_ref().and_then(run_of))
        else {
            continue;
        };
        let inspected = docker
            .inspect_container(&id, None::<InspectContainerOptions>)
            .await;
        let inspected = match inspected.map_err(|error| translate(&attempt, error)) {
            Ok(inspected) => inspected,
            // It has gone in the meantime.
            Err(error) if error.kind == FailureKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let endpoints = inspected.network_settings.and_then(|all| all.networks);
        let endpoints = endpoints.unwrap_or_default().into_values();
        let aliases = endpoints
            .filter(|endpoint| endpoint.network_id.as_deref() == Some(network.as_str()))
            .flat_map(|endpoint| endpoint.aliases.unwrap_or_default());
        names.push(NamesOnNetwork {
            container: inspected
                .name
                .unwrap_or(id)
                .trim_start_matches('/')
                .to_owned(),
            owner,
            aliases: aliases.collect(),
        });
    }
    Ok(names)
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
    match removed {
        Err(error) if error.kind == FailureKind::Busy => {
            if disconnect_all(docker, &resource.id).await == Some(0) {
                return Err(EngineError {
                    message: format!("{}; {LOST_COUNT}", error.message),
                    ..error
                });
            }
            Err(error)
        }
        removed => removed,
    }
}

/// An engine was seen to count an endpoint that it does not have. It counts anew when it starts.
const LOST_COUNT: &str = "the engine shows nothing on it: if that does not change, restarting the engine corrects its count";

pub(super) async fn disconnect(
    docker: &Docker,
    network: &NetworkId,
    container: &ContainerId,
) -> Result<(), EngineError> {
    let attempt = format!("disconnect container `{container}` from network `{network}`");
    let request = NetworkDisconnectRequest {
        container: container.to_string(),
        force: Some(true),
    };
    match docker.disconnect_network(network.as_str(), request).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let error = translate(&attempt, error);
            // Docker answers 403 (500 before 24) for a container that is not on the network.
            if error.message.contains("is not connected to") {
                return Ok(());
            }
            Err(error)
        }
    }
}

/// Best effort: what cannot be disconnected now is tried again with the next removal. Returns how many
/// endpoints there were, if the engine has said.
async fn disconnect_all(docker: &Docker, network: &str) -> Option<usize> {
    let inspected = docker
        .inspect_network(network, None::<InspectNetworkOptions>)
        .await
        .ok()?;
    let endpoints = inspected.containers.unwrap_or_default();
    let count = endpoints.len();
    for (key, endpoint) in endpoints {
        // An endpoint whose container is gone is found by its name alone.
        let is_orphan = key.starts_with("ep-");
        let container = endpoint.name.filter(|_| is_orphan).unwrap_or(key);
        let request = NetworkDisconnectRequest {
            container,
            force: Some(true),
        };
        let _ = docker.disconnect_network(network, request).await;
    }
    Some(count)
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
