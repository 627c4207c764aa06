//! `volumes:` and `tmpfs:` of a service.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::super::files::clean_path;
use super::super::keys;
use super::super::model::{FoundPath, Mount, MountOptions, MountSource};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::context::Context;
use super::extension;
use super::options::read_word;
use crate::name::VolumeKey;
use crate::options::Recursive;

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
/// position.
pub(super) fn read_mounts(context: &mut Context<'_>, map: &Mapping) -> Mounts {
    let listed = match map.get("volumes") {
        Some(node) => context.list(node, "volumes"),
        None => &[],
    };
    let mut found: Vec<(Mount, Place, Option<bool>)> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for item in listed {
        // Short forms have become long ones before; what has not is no mount, and was reported.
        let Value::Mapping(map) = &item.value else {
            continue;
        };
        let Some(mut mount) = read_long(context, map, &item.place) else {
            continue;
        };
        // `/data/` and `/data` are one place, so they are one mount.
        mount.target = clean_path(Path::new(&mount.target)).display().to_string();
        let copy = extension::read_mount_extension(context, map);
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
    mounts.mounts.extend(api_socket(context, map));
    mounts
}

/// `use_api_socket:`: the engine's socket at its usual place. What Compose hands over with it, the
/// credentials of registries, stays here.
fn api_socket(context: &mut Context<'_>, map: &Mapping) -> Option<Mount> {
    const KEY: &str = "use_api_socket";
    const SOCKET: &str = "/var/run/docker.sock";
    let entry = map.entry(KEY)?;
    if entry.value.is_null() || !context.boolean(&entry.value, KEY)? {
        return None;
    }
    let message = "`use_api_socket` mounts the socket without your credentials for registries";
    context.warn(&entry.key.place, message, None);
    Some(Mount {
        source: MountSource::Bind {
            path: SOCKET.into(),
            create: true,
            copy: false,
            found: FoundPath::default(),
        },
        target: SOCKET.to_owned(),
        read_only: false,
        options: MountOptions::default(),
    })
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

const KINDS: [&str; 6] = ["bind", "volume", "tmpfs", "npipe", "cluster", "image"];

fn read_long(context: &mut Context<'_>, map: &Mapping, place: &Place) -> Option<Mount> {
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
    let (options, create) = read_details(context, map);
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
        ("tmpfs", _) => MountSource::Tmpfs,
        ("image", Some(reference)) => MountSource::Image(reference),
        ("image", None) => {
            context.error(place, "a mount of type `image` has no `source`");
            return None;
        }
        ("npipe" | "cluster", _) => {
            let message = format!("mounts of type `{kind}` are not supported");
            let help = "named pipes are of Windows, cluster volumes of Swarm";
            context.error_help(&kind_node.place, message, help);
            return None;
        }
        _ => {
            let help = did_you_mean(&kind, KINDS).unwrap_or_else(|| {
                "the types are `bind`, `volume`, `tmpfs` and `image`".to_owned()
            });
            let message = format!("unknown type `{}` of a mount", shorten(&kind));
            context.error_help(&kind_node.place, message, help);
            return None;
        }
    };
    Some(Mount {
        source,
        target,
        read_only,
        options,
    })
}

/// What is said under `bind:`, `volume:`, `tmpfs:` and `image:`, and whether a missing path is to be
/// created.
fn read_details(context: &mut Context<'_>, map: &Mapping) -> (MountOptions, bool) {
    let mut options = MountOptions::default();
    let mut create = false;
    let text = |context: &mut Context<'_>, map: &Mapping, key: &str| {
        map.get(key)
            .and_then(|node| context.filled_text_or_null(node, key))
    };
    let flag = |context: &mut Context<'_>, map: &Mapping, key: &str| {
        map.get(key)
            .filter(|node| !node.is_null())
            .and_then(|node| context.boolean(node, key))
            .unwrap_or(false)
    };
    options.consistency = text(context, map, "consistency");
    if let Some(bind) = details(context, map, "bind", &keys::MOUNT_BIND) {
        create = flag(context, bind, "create_host_path");
        options.propagation = read_word(context, bind, "propagation", &PROPAGATIONS);
        options.recursive = read_recursive(context, bind);
        options.selinux = read_word(context, bind, "selinux", &["z", "Z"]);
        // The form of a mount that knows labels of SELinux knows none of the others.
        let knows_labels = create && options.propagation.is_none() && options.recursive.is_none();
        if let Some(entry) = bind.entry("selinux").filter(|_| options.selinux.is_some())
            && !knows_labels
        {
            let message = "`selinux` has no effect on this mount";
            let help = "the engine takes it only with `create_host_path: true`, and without `propagation` and `recursive`";
            context.warn(&entry.key.place, message, Some(help));
        }
    }
    if let Some(volume) = details(context, map, "volume", &keys::MOUNT_VOLUME) {
        options.no_copy = flag(context, volume, "nocopy");
        options.subpath = text(context, volume, "subpath");
        if let Some(node) = volume.get("labels") {
            options.labels = context.labels(node, "labels");
        }
    }
    if let Some(tmpfs) = details(context, map, "tmpfs", &keys::MOUNT_TMPFS) {
        let size = tmpfs.get("size");
        options.size = size.and_then(|node| context.bytes(node, "size"));
        options.mode = tmpfs.get("mode").and_then(|node| read_mode(context, node));
    }
    if let Some(image) = details(context, map, "image", &keys::MOUNT_IMAGE) {
        options.subpath = text(context, image, "subpath");
    }
    (options, create)
}

fn details<'n>(
    context: &mut Context<'_>,
    map: &'n Mapping,
    key: &str,
    section: &keys::Section,
) -> Option<&'n Mapping> {
    let found = context.mapping(map.get(key)?, key)?;
    context.check_keys(found, section);
    Some(found)
}

const PROPAGATIONS: [&str; 6] = [
    "private", "rprivate", "shared", "rshared", "slave", "rslave",
];

fn read_recursive(context: &mut Context<'_>, bind: &Mapping) -> Option<Recursive> {
    const ENABLED: &str = "enabled";
    let words = [ENABLED, "disabled", "writable", "readonly"];
    match read_word(context, bind, "recursive", &words)?.as_str() {
        "disabled" => Some(Recursive::Disabled),
        "writable" => Some(Recursive::Writable),
        "readonly" => Some(Recursive::ReadOnly),
        _ => None,
    }
}

/// A file mode: `0755` and `0o755` are base 8 already, by the rules of YAML numbers.
fn read_mode(context: &mut Context<'_>, node: &Node) -> Option<u32> {
    let mode = context.integer(node, "mode", 0..=0o7777)?;
    u32::try_from(mode).ok()
}
