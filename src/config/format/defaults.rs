//! Defaults that the specification gives to long forms, once all files are merged.

use super::super::yaml::{Mapping, Node, Value};
use super::{each_item, each_mapping};

/// Adds the defaults.
pub(super) fn apply(root: &mut Mapping) {
    for (_, service) in each_mapping(root, "services") {
        if let Some(build) = service.get_mut("build") {
            let place = build.place.clone();
            if let Some(build) = build.mapping_mut() {
                add(build, "context", || Node::implied(".", &place));
            }
        }
        for secret in each_item(service, "secrets") {
            let place = secret.place.clone();
            if let Some(secret) = secret.mapping_mut() {
                let source = secret.get("source").and_then(Node::scalar);
                let source = source.map(|scalar| scalar.printed()).unwrap_or_default();
                add(secret, "target", || {
                    Node::text(format!("/run/secrets/{source}"), &place)
                });
            }
        }
        for port in each_item(service, "ports") {
            let place = port.place.clone();
            if let Some(port) = port.mapping_mut() {
                add(port, "protocol", || Node::implied("tcp", &place));
                add(port, "mode", || Node::implied("ingress", &place));
            }
        }
        for device in each_item(service, "gpus") {
            device_count(device);
        }
        let reservations = service
            .get_mut("deploy")
            .and_then(Node::mapping_mut)
            .and_then(|deploy| deploy.get_mut("resources")?.mapping_mut())
            .and_then(|resources| resources.get_mut("reservations")?.mapping_mut());
        if let Some(reservations) = reservations {
            for device in each_item(reservations, "devices") {
                device_count(device);
            }
        }
    }
}

fn add(map: &mut Mapping, key: &str, value: impl FnOnce() -> Node) {
    if map.get(key).is_none() {
        map.set(key, value());
    }
}

/// A request for devices that says neither how many nor which means all.
fn device_count(device: &mut Node) {
    let place = device.place.clone();
    if let Value::Mapping(device) = &mut device.value
        && device.get("device_ids").is_none()
    {
        add(device, "count", || Node::implied("all", &place));
    }
}
