//! What the plan asks of an engine that not every engine has, by version of the API.
//!
//! The rule is that of the reference, so that a file means the same to both: where Compose refuses to
//! go on, the run is refused before anything is created; where an older engine passes over what it
//! does not know, a warning says so.

use super::{Plan, PlannedNetwork};
use crate::config::model::{MountSource, Service};
use crate::name::NetworkKey;
use crate::options::{CDI_DRIVER, Recursive};

/// First API version with hardware addresses of endpoints (Engine 25).
pub const ENDPOINT_MAC_API: (u16, u16) = (1, 44);
/// First API version with `start_interval` of healthchecks (Engine 25). envrun runs healthchecks by
/// itself, so an older engine only lacks it in its own copy.
pub const START_INTERVAL_API: (u16, u16) = (1, 44);
/// First API version that takes a platform at the creation of a container (Engine 20.10).
const PLATFORM_API: (u16, u16) = (1, 41);
/// First API version with annotations (Engine 24).
const ANNOTATIONS_API: (u16, u16) = (1, 43);
/// First API version with devices by their name in the Container Device Interface (Engine 25).
const CDI_API: (u16, u16) = (1, 44);
/// First API version that makes mounts below a mount read-only (Engine 25).
const READ_ONLY_RECURSIVE_API: (u16, u16) = (1, 44);
/// First API version that mounts images (Engine 28).
const IMAGE_MOUNT_API: (u16, u16) = (1, 48);
/// First API version with networks without IPv4, and with priorities of gateways (Engine 28).
const NETWORK_API: (u16, u16) = (1, 48);
/// First API version with names of interfaces (Engine 28.1).
const INTERFACE_NAME_API: (u16, u16) = (1, 49);

/// Something that the plan asks for and the engine does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it is and who asks for it, for people.
    pub what: String,
    /// The API version that it needs.
    pub needs: (u16, u16),
    /// Whether the run is refused for it; else it has no effect.
    pub refused: bool,
}

/// Everything that an engine with this version of the API lacks, in the order of the services.
#[must_use]
pub fn missing(plan: &Plan, api: (u16, u16)) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut ask = |asked: bool, needs: (u16, u16), refused: bool, what: String| {
        if asked && api < needs {
            missing.push(Missing {
                what,
                needs,
                refused,
            });
        }
    };
    for planned in plan.services.values() {
        let service = &planned.service;
        let name = &service.name;
        let of = |key: &str| format!("`{key}` of service `{name}`");
        let options = &service.options;
        let (refused, passed_over) = (true, false);
        let annotated = !options.annotations.is_empty();
        ask(annotated, ANNOTATIONS_API, passed_over, of("annotations"));
        let platform = service.platform.is_some();
        ask(platform, PLATFORM_API, refused, of("platform"));
        let mut requests = options.resources.device_requests.iter();
        let by_name = requests.any(|request| request.driver == CDI_DRIVER);
        ask(by_name, CDI_API, refused, of("devices"));
        for mount in &service.mounts {
            let at = |key: &str| of(&format!("volumes: {}: {key}", mount.target));
            let recursive = mount.options.recursive == Some(Recursive::ReadOnly);
            let needs = READ_ONLY_RECURSIVE_API;
            ask(recursive, needs, refused, at("recursive: readonly"));
            let is_image = matches!(mount.source, MountSource::Image(_));
            ask(is_image, IMAGE_MOUNT_API, refused, at("type: image"));
        }
        let several = has_several_macs(service, planned.networks.first());
        ask(
            several,
            ENDPOINT_MAC_API,
            refused,
            of("networks: mac_address"),
        );
        for (key, attachment) in &service.networks {
            let on = |option: &str| of(&format!("networks: {key}: {option}"));
            let named = attachment.options.interface_name.is_some();
            ask(named, INTERFACE_NAME_API, refused, on("interface_name"));
            let gateway = attachment.options.gw_priority != 0;
            ask(gateway, NETWORK_API, passed_over, on("gw_priority"));
        }
    }
    for (key, network) in &plan.networks {
        if let PlannedNetwork::Owned { spec, .. } = network {
            let without = spec.enable_ipv4 == Some(false);
            let what = format!("`enable_ipv4: false` of network `{key}`");
            ask(without, NETWORK_API, false, what);
        }
    }
    missing
}

/// Whether a hardware address is wanted on another network than the first, on which alone an older
/// engine can have one.
fn has_several_macs(service: &Service, first: Option<&NetworkKey>) -> bool {
    let mut others = service
        .networks
        .iter()
        .filter(|(key, _)| Some(*key) != first);
    others.any(|(_, attachment)| attachment.options.mac_address.is_some())
}
