//! `volumes:` and `tmpfs:` of a service.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::super::files::clean_path;
use super::super::keys;
use super::super::model::{FoundPath, Mount, MountSource};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::context::Context;
use super::extension;
use crate::name::VolumeKey;

/// The mounts of a service, and where it says which are binds.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) mounts: Vec<Mount>,
    pub(super) binds: Vec<BindPlace>,
}

/// A bind mount of a service: where it is said, and what it says of itself.
pub(in crate::config) struct BindPlace {
    /// Index into the mounts of the service.
    pub(in crate::config) mount: usize,
    pub(in crate::config) place: Place,
    /// `x-envrun.bind`, whether it is a copy.
    pub(in crate::config) copy: Option<bool>,
}

/// Reads `volumes:`. A later mount on the same target replaces an earlier one and keeps its
/// position; a mount of type `tmpfs` goes to `tmpfs`.
pub(super) fn read_mounts(
    context: &mut Context<'_>,
    map: &Mapping,
    tmpfs: &mut BTreeMap<String, String>,
) -> Mounts {
    let Some(node) = map.get("volumes") else {
        return Mounts::default();
    };
    let mut found: Vec<(Mount, Place, Option<bool>)> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for item in context.list(node, "volumes") {
        let mount = match &item.value {
            Value::Mapping(map) => read_long(context, map, &item.place, tmpfs),
            _ => context
                .filled_text(item, "volumes")
                .and_then(|text| read_short(context, &text, &item.place)),
        };
        let Some(mut mount) = mount else { continue };
        // `/data/` and `/data` are one place, so they are one mount.
        mount.target = clean_path(Path::new(&mount.target)).display().to_string();
        let copy = match item.mapping() {
            Some(map) => extension::read_mount_extension(context, map),
            None => None,
        };
        let entry = (mount, item.place.clone(), copy);
        match index
            .get(&entry.0.target)
            .and_then(|position| found.get_mut(*position))
        {
            Some(earlier) => *earlier = entry,
            None => {
                index.insert(entry.0.target.clone(), found.len());
                found.push(entry);
            }
        }
    }
    let mut mounts = Mounts::default();
    for (mount, place, copy) in found {
        if let MountSource::Bind { .. } = &mount.source {
            mounts.binds.push(BindPlace {
                mount: mounts.mounts.len(),
                place,
                copy,
            });
        }
        mounts.mounts.push(mount);
    }
    mounts
}

/// Reads `tmpfs:`: targets, each with options after a colon.
pub(super) fn read_tmpfs(context: &mut Context<'_>, map: &Mapping) -> BTreeMap<String, String> {
    let Some(node) = map.get("tmpfs") else {
        return BTreeMap::new();
    };
    let mut tmpfs = BTreeMap::new();
    for (text, node) in context.text_or_list(node, "tmpfs") {
        let (target, options) = text.split_once(':').unwrap_or((&text, ""));
        if check_target(context, target, &node.place) {
            tmpfs.insert(target.to_owned(), options.to_owned());
        }
    }
    tmpfs
}

fn check_target(context: &mut Context<'_>, target: &str, place: &Place) -> bool {
    let is_absolute = target.starts_with('/');
    if !is_absolute {
        let message = format!("the target `{}` is not an absolute path", shorten(target));
        context.error_help(place, message, "a target starts with `/`");
    }
    is_absolute
}

/// True for a source that is a path of the host; anything else names a volume.
fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~'])
}

fn read_short(context: &mut Context<'_>, text: &str, place: &Place) -> Option<Mount> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => {
            let message = format!("`{}` has too many colons for a mount", shorten(text));
            context.error_help(
                place,
                message,
                "write `source:target[:options]`, or the long form",
            );
            return None;
        }
    };
    if parts.iter().any(|part| part.is_empty()) {
        let message = format!("`{}` has an empty part between its colons", shorten(text));
        context.error_help(place, message, "write `source:target[:options]`");
        return None;
    }
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "rw" => read_only = false,
            _ => {
                let message = format!("mount option `{}` is not honoured yet", shorten(option));
                context.warn(place, message, None);
            }
        }
    }
    if !check_target(context, target, place) {
        return None;
    }
    let source = match source {
        None => MountSource::Anonymous,
        Some(path) if is_path(path) => MountSource::Bind {
            path: context.path(path),
            create: true,
            copy: false,
            found: FoundPath::default(),
        },
        Some(name) => MountSource::Volume(VolumeKey::from(name)),
    };
    Some(Mount {
        source,
        target: target.to_owned(),
        read_only,
    })
}

const KINDS: [&str; 6] = ["bind", "volume", "tmpfs", "npipe", "cluster", "image"];

fn read_long(
    context: &mut Context<'_>,
    map: &Mapping,
    place: &Place,
    tmpfs: &mut BTreeMap<String, String>,
) -> Option<Mount> {
    context.check_keys(map, &keys::MOUNT);
    let Some(kind_node) = map.get("type") else {
        context.error_help(
            place,
            "a mount has no `type`",
            "add `type: bind` or `type: volume`",
        );
        return None;
    };
    let kind = context.filled_text(kind_node, "type")?;
    let read_only = match map.get("read_only") {
        Some(node) => context.boolean(node, "read_only").unwrap_or(false),
        None => false,
    };
    let source = match map.get("source") {
        Some(node) => context.text(node, "source").filter(|text| !text.is_empty()),
        None => None,
    };
    let Some(target_node) = map.get("target") else {
        context.error(place, "a mount has no `target`");
        return None;
    };
    let target = context.filled_text(target_node, "target")?;
    if !check_target(context, &target, &target_node.place) {
        return None;
    }
    let create = read_details(context, map);
    let source = match (kind.as_str(), source) {
        ("bind", Some(path)) => MountSource::Bind {
            path: context.path(&path),
            create,
            copy: false,
            found: FoundPath::default(),
        },
        ("bind", None) => {
            context.error(place, "a mount of type `bind` has no `source`");
            return None;
        }
        ("volume", Some(name)) => MountSource::Volume(VolumeKey::new(name)),
        ("volume", None) => MountSource::Anonymous,
        ("tmpfs", _) => {
            let options = read_tmpfs_options(context, map);
            tmpfs.insert(target, options);
            return None;
        }
        ("npipe" | "cluster" | "image", _) => {
            let message = format!("mounts of type `{kind}` are not supported");
            context.error(&kind_node.place, message);
            return None;
        }
        _ => {
            let help = did_you_mean(&kind, KINDS)
                .unwrap_or_else(|| "the types are `bind`, `volume` and `tmpfs`".to_owned());
            let message = format!("unknown type `{}` of a mount", shorten(&kind));
            context.error_help(&kind_node.place, message, help);
            return None;
        }
    };
    Some(Mount {
        source,
        target,
        read_only,
    })
}

/// Checks `bind:` and `volume:`; true when a missing path is to be created.
fn read_details(context: &mut Context<'_>, map: &Mapping) -> bool {
    if let Some(volume) = map
        .get("volume")
        .and_then(|node| context.mapping(node, "volume"))
    {
        context.check_keys(volume, &keys::MOUNT_VOLUME);
    }
    let Some(bind) = map
        .get("bind")
        .and_then(|node| context.mapping(node, "bind"))
    else {
        return false;
    };
    context.check_keys(bind, &keys::MOUNT_BIND);
    match bind.get("create_host_path") {
        Some(node) => context.boolean(node, "create_host_path").unwrap_or(false),
        None => false,
    }
}

/// The options of a tmpfs in the syntax of `tmpfs:`.
fn read_tmpfs_options(context: &mut Context<'_>, map: &Mapping) -> String {
    let Some(tmpfs) = map
        .get("tmpfs")
        .and_then(|node| context.mapping(node, "tmpfs"))
    else {
        return String::new();
    };
    context.check_keys(tmpfs, &keys::MOUNT_TMPFS);
    let mut options = Vec::new();
    if let Some(size) = tmpfs
        .get("size")
        .and_then(|node| context.bytes(node, "size"))
    {
        options.push(format!("size={size}"));
    }
    if let Some(mode) = tmpfs.get("mode").and_then(|node| read_mode(context, node)) {
        options.push(format!("mode={mode:o}"));
    }
    options.join(",")
}

/// A file mode: `0755` and `0o755` are base 8 already, by the rules of YAML numbers.
fn read_mode(context: &mut Context<'_>, node: &Node) -> Option<u64> {
    context.integer(node, "mode", 0..=0o7777)
}
