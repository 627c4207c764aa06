//! Checks of single values that the schema does not make, once the files of a layer are merged.

use std::net::IpAddr;

use super::super::diagnostic::{Problem, Problems};
use super::super::yaml::{Entry, Mapping, Resolved, Value, shorten};
use super::consistency::{entries, is_true, items};

/// Checks the values of a layer.
pub(super) fn check(root: &Mapping, problems: &mut Problems) {
    for entry in entries(root.get("volumes")) {
        external_alone(entry, problems);
    }
    for entry in entries(root.get("configs")) {
        one_content(
            entry,
            ("config", &["file", "environment", "content"]),
            problems,
        );
    }
    for entry in entries(root.get("secrets")) {
        one_content(entry, ("secret", &["file", "environment"]), problems);
    }
    for entry in entries(root.get("services")) {
        let Some(service) = entry.value.mapping() else {
            continue;
        };
        for port in items(service.get("ports")) {
            if let Some(node) = port.get("host_ip")
                && let Some(text) = node.as_text()
                && text.parse::<IpAddr>().is_err()
            {
                let message = format!("`host_ip`: `{}` is not an address", shorten(text));
                problems.push(Problem::error(message).at(&node.place));
            }
        }
        for (key, what) in [
            ("ports", "a port"),
            ("devices", "a device"),
            ("volumes", "a mount"),
        ] {
            for item in items(service.get(key)) {
                if item.mapping().is_some() && item.get("target").is_none() {
                    let message = format!("{what} has no `target`");
                    problems.push(Problem::error(message).at(&item.place));
                }
            }
        }
        for item in items(service.get("expose")) {
            if let Some(scalar) = item.scalar()
                && matches!(scalar.resolve(), Resolved::Float(_))
            {
                let message = format!("`{}` is not a port", shorten(&scalar.text));
                problems.push(Problem::error(message).at(&item.place));
            }
        }
        for watch in items(service.get("develop").and_then(|node| node.get("watch"))) {
            if let Some(path) = watch.get("path").filter(|path| path.as_text() == Some("")) {
                problems.push(Problem::error("`path` must not be empty").at(&path.place));
            }
        }
        let reserved = service
            .get("deploy")
            .and_then(|node| node.get("resources")?.get("reservations")?.get("devices"));
        for device in items(reserved).iter().chain(items(service.get("gpus"))) {
            if let (Some(count), Some(_)) = (device.get("count"), device.get("device_ids")) {
                let message = "`count` and `device_ids` exclude each other";
                problems.push(Problem::error(message).at(&count.place));
            }
        }
    }
}

/// An external volume is not made here, so nothing but its name can be said of it.
fn external_alone(entry: &Entry, problems: &mut Problems) {
    let Some(map) = entry.value.mapping() else {
        return;
    };
    if !is_true(map.get("external")) {
        return;
    }
    for other in &map.entries {
        let key = other.key.text.as_str();
        if key != "name" && key != "external" && !key.starts_with("x-") {
            let name = shorten(&entry.key.text);
            let message = format!("volume `{name}` is external, so it has no `{key}`");
            problems.push(Problem::error(message).at(&other.key.place));
        }
    }
}

fn one_content(entry: &Entry, (what, keys): (&str, &[&str]), problems: &mut Problems) {
    let empty = Mapping::default();
    let map = match &entry.value.value {
        Value::Mapping(map) => map,
        Value::Null => &empty,
        _ => return,
    };
    let name = shorten(&entry.key.text);
    let given: Vec<&Entry> = keys.iter().filter_map(|key| map.entry(key)).collect();
    match given.as_slice() {
        [] => {
            if map.get("driver").is_none() && map.get("external").is_none() {
                let shown: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                let message = format!("{what} `{name}` has no content");
                let help = format!("give one of {}", shown.join(", "));
                problems.push(Problem::error(message).at(&entry.key.place).help(help));
            }
        }
        [_] => {}
        [first, second, ..] => {
            let message = format!(
                "{what} `{name}` has both `{}` and `{}`",
                first.key.text, second.key.text
            );
            problems.push(
                Problem::error(message)
                    .at(&second.key.place)
                    .at(&first.key.place),
            );
        }
    }
}
