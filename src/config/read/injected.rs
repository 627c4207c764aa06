//! `secrets:` and `configs:`: what the top level declares, and which of it a service uses.
//!
//! What is wrong with a declaration is an error only when a service that takes part uses it, as in
//! Compose: a file may declare more than a run needs.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::files::clean_path;
use super::super::keys::{self, Section};
use super::super::model::{Hidden, InjectedContent, InjectedFile, InjectedKind};
use super::super::source::Place;
use super::super::yaml::{Entry, Mapping, Node, Resolved, Value, integer, shorten};
use super::context::Context;
use super::service::ReadService;
use super::{check_name, is_set};

/// Where secrets are when their target does not say otherwise.
const SECRETS_DIRECTORY: &str = "/run/secrets";

/// What the top level declares.
#[derive(Default)]
pub(in crate::config) struct DeclaredFiles(BTreeMap<(InjectedKind, String), Declared>);

struct Declared {
    content: DeclaredContent,
    /// The content once somebody has asked for it, so that what is wrong with it is said once.
    resolved: Option<Option<InjectedContent>>,
}

enum DeclaredContent {
    File(PathBuf, Place),
    Environment(String, Place),
    Text(String),
    External(Place),
    /// A key that only Swarm knows.
    Foreign(&'static str, Place),
    Nothing,
}

/// One entry of `secrets:` or `configs:` of a service.
pub(in crate::config) struct FileUse {
    kind: InjectedKind,
    source: String,
    place: Place,
    target: String,
    uid: u32,
    gid: u32,
    mode: Option<u32>,
}

const KINDS: [(InjectedKind, &str, &Section, &Section); 2] = [
    (
        InjectedKind::Secret,
        "secrets",
        &keys::SECRET,
        &keys::SECRET_USE,
    ),
    (
        InjectedKind::Config,
        "configs",
        &keys::CONFIG,
        &keys::CONFIG_USE,
    ),
];

/// Reads the top-level `secrets:` and `configs:`.
pub(in crate::config) fn read_declared(context: &mut Context<'_>, root: &Mapping) -> DeclaredFiles {
    let mut declared = DeclaredFiles::default();
    for (kind, name, section, _) in KINDS {
        let Some(map) = root.get(name).and_then(|node| context.mapping(node, name)) else {
            continue;
        };
        for entry in &map.entries {
            check_name(context, &entry.key, section.owner);
            let content = read_content(context, entry, section);
            let one = Declared {
                content,
                resolved: None,
            };
            declared.0.insert((kind, entry.key.text.clone()), one);
        }
    }
    declared
}

fn read_content(context: &mut Context<'_>, entry: &Entry, section: &Section) -> DeclaredContent {
    let empty = Mapping::default();
    let map = context
        .mapping(&entry.value, &entry.key.text)
        .unwrap_or(&empty);
    context.check_keys(map, section);
    let given = |key: &str| map.entry(key).filter(|entry| is_set(&entry.value));
    if let Some(external) = given("external") {
        return DeclaredContent::External(external.key.place.clone());
    }
    for key in ["driver", "template_driver"] {
        if let Some(entry) = given(key) {
            return DeclaredContent::Foreign(key, entry.key.place.clone());
        }
    }
    // The value of a config's variable stands in `content` already.
    let mut sources = ["file", "content", "environment"].into_iter();
    let source = sources.find_map(|key| map.entry(key).filter(|entry| !entry.value.is_null()));
    let Some(source) = source else {
        return DeclaredContent::Nothing;
    };
    let node = &source.value;
    let place = node.place.clone();
    let read = match source.key.text.as_str() {
        "file" => context
            .filled_text(node, "file")
            .map(|path| DeclaredContent::File(context.path(&path), place)),
        "environment" => context
            .filled_text(node, "environment")
            .map(|name| DeclaredContent::Environment(name, place)),
        _ => context.text(node, "content").map(DeclaredContent::Text),
    };
    // What could not be read was reported already, and an empty text is the quiet way on.
    read.unwrap_or_else(|| DeclaredContent::Text(String::new()))
}

/// Reads `secrets:` and `configs:` of a service.
pub(super) fn read_uses(context: &mut Context<'_>, map: &Mapping) -> Vec<FileUse> {
    let mut uses = Vec::new();
    for (kind, name, _, section) in KINDS {
        let Some(node) = map.get(name) else { continue };
        for item in context.list(node, name) {
            uses.extend(match &item.value {
                Value::Mapping(map) => read_long(context, map, (kind, section), &item.place),
                _ => context.filled_text(item, name).map(|source| FileUse {
                    kind,
                    target: place_of(kind, &source),
                    source,
                    place: item.place.clone(),
                    uid: 0,
                    gid: 0,
                    mode: None,
                }),
            });
        }
    }
    uses
}

fn read_long(
    context: &mut Context<'_>,
    map: &Mapping,
    (kind, section): (InjectedKind, &Section),
    place: &Place,
) -> Option<FileUse> {
    context.check_keys(map, section);
    let Some(node) = map.get("source") else {
        context.error(place, format!("{} has no `source`", section.owner));
        return None;
    };
    let source = context.filled_text(node, "source")?;
    let target = match map.get("target").filter(|node| !node.is_null()) {
        Some(node) => context
            .text(node, "target")
            .filter(|target| !target.is_empty()),
        None => None,
    };
    let target = place_of(kind, target.as_deref().unwrap_or(&source));
    let mut owner = |key: &str| match map.get(key).filter(|node| !node.is_null()) {
        Some(node) => read_owner(context, node, key),
        None => Some(0),
    };
    let uid = owner("uid");
    let gid = owner("gid");
    let mode = match map.get("mode").filter(|node| !node.is_null()) {
        Some(node) => Some(read_mode(context, node)?),
        None => None,
    };
    Some(FileUse {
        kind,
        source,
        place: place.clone(),
        target,
        uid: uid?,
        gid: gid?,
        mode,
    })
}

/// The path in the container: a relative one of a secret is below `/run/secrets`, of a config below
/// the root.
fn place_of(kind: InjectedKind, target: &str) -> String {
    let base = match kind {
        InjectedKind::Secret => SECRETS_DIRECTORY,
        InjectedKind::Config => "/",
    };
    clean_path(&Path::new(base).join(target))
        .display()
        .to_string()
}

/// `uid` and `gid` are numbers written as text. A name has a meaning in the image alone, and nobody
/// asks the image before the container runs.
fn read_owner(context: &mut Context<'_>, node: &Node, key: &str) -> Option<u32> {
    let text = context.written(node, key).filter(|text| !text.is_empty())?;
    let number = text.parse().ok();
    if number.is_none() {
        let message = format!("`{key}` must be a number, found `{}`", shorten(&text));
        let help = "names differ from image to image; `id` in the container tells the number";
        context.error_help(&node.place, message, help);
    }
    number
}

/// Permissions: text is always base 8, a plain number follows the rules of YAML, so that `0440` is
/// base 8 and `288` is the same in base 10.
fn read_mode(context: &mut Context<'_>, node: &Node) -> Option<u32> {
    const HIGHEST: u32 = 0o7777;
    let mode = match &node.value {
        Value::Scalar(scalar) => match scalar.resolve() {
            Resolved::Int(value) => u32::try_from(value).ok(),
            Resolved::Text => u32::from_str_radix(&scalar.text, 8)
                .ok()
                .or_else(|| integer(&scalar.text).and_then(|value| u32::try_from(value).ok())),
            Resolved::Bool(_) | Resolved::Float(_) | Resolved::Timestamp(_) => None,
        },
        _ => None,
    };
    let mode = mode.filter(|mode| *mode <= HIGHEST);
    if mode.is_none() {
        context.expected(node, "mode", "permissions such as `0440`");
    }
    mode
}

/// Looks up what a service uses, and checks that its content is there.
pub(in crate::config) fn resolve(
    context: &mut Context<'_>,
    one: &ReadService,
    declared: &mut DeclaredFiles,
) -> Vec<InjectedFile> {
    let mut files: Vec<InjectedFile> = Vec::new();
    for wanted in &one.uses {
        let kind = wanted.kind;
        // What is not declared was reported with the rest of the file format.
        let Some(found) = declared.0.get_mut(&(kind, wanted.source.clone())) else {
            continue;
        };
        if found.resolved.is_none() {
            let content = content_of(context, kind, &wanted.source, found);
            if let Some(content) = &content {
                context.mask_injected((kind, &wanted.source), content, &wanted.place);
            }
            found.resolved = Some(content);
        }
        let Some(content) = found.resolved.clone().flatten() else {
            continue;
        };
        if wanted.target == "/" {
            let message = format!(
                "the {kind} `{}` cannot be the root directory",
                wanted.source
            );
            context.error(&wanted.place, message);
            continue;
        }
        let is_here = |target: &str| target.trim_end_matches('/') == wanted.target;
        let service = &one.service;
        if service.mounts.iter().any(|mount| is_here(&mount.target))
            || service.options.tmpfs.keys().any(|target| is_here(target))
        {
            let message = format!(
                "the {kind} `{}` has no effect: `{}` is mounted over",
                wanted.source, wanted.target
            );
            context.warn(
                &wanted.place,
                message,
                Some("as in Compose, the mount wins"),
            );
            continue;
        }
        let file = InjectedFile {
            kind,
            source: wanted.source.clone(),
            content,
            target: wanted.target.clone(),
            uid: wanted.uid,
            gid: wanted.gid,
            mode: wanted.mode,
        };
        match files.iter_mut().find(|other| other.target == file.target) {
            Some(earlier) => {
                if *earlier != file {
                    let message = format!(
                        "`{}` is the target of the {} `{}` as well as of the {kind} `{}`",
                        file.target, earlier.kind, earlier.source, file.source
                    );
                    context.warn(&wanted.place, message, Some("the last one wins"));
                }
                *earlier = file;
            }
            None => files.push(file),
        }
    }
    files
}

fn content_of(
    context: &mut Context<'_>,
    kind: InjectedKind,
    key: &str,
    found: &Declared,
) -> Option<InjectedContent> {
    match &found.content {
        DeclaredContent::Text(text) => Some(InjectedContent::Text(Hidden::new(text.as_str()))),
        DeclaredContent::File(path, place) => {
            check_readable(context, path, place, &format!("{kind} `{key}`"))
                .then(|| InjectedContent::Path(path.clone()))
        }
        DeclaredContent::Environment(name, place) => match context.variables.get(name) {
            Some(value) => Some(InjectedContent::Text(Hidden::new(value.as_str()))),
            None => {
                let message = format!(
                    "the environment variable `{name}` that the {kind} `{key}` needs is not set"
                );
                let help = "set it, or write it into `.env`; an empty value is allowed";
                context.error_help(place, message, help);
                None
            }
        },
        DeclaredContent::External(place) => {
            let message = format!("the {kind} `{key}` is external");
            let help =
                "only Swarm keeps such; give it a `file` or an `environment` variable instead";
            context.error_help(place, message, help);
            None
        }
        DeclaredContent::Foreign(what, place) => {
            let message = format!("`{what}` of the {kind} `{key}` is not supported");
            let help = format!("only Swarm knows it, and the {kind} would have another content");
            context.error_help(place, message, help);
            None
        }
        // Reported with the rest of the file format.
        DeclaredContent::Nothing => None,
    }
}

/// Whether a file or a directory is there and can be read, so that it is no surprise half-way.
fn check_readable(context: &mut Context<'_>, path: &Path, place: &Place, of: &str) -> bool {
    let shown = path.display();
    let problem = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => File::open(path).err(),
        Ok(found) if found.is_dir() => std::fs::read_dir(path).err(),
        Ok(_) => {
            let message = format!("`{shown}` of the {of} is neither a file nor a directory");
            context.error(place, message);
            return false;
        }
        Err(error) => Some(error),
    };
    match problem {
        None => true,
        Some(error) => {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    format!("the file `{shown}` of the {of} does not exist")
                }
                _ => format!("cannot read `{shown}` of the {of}: {}", error.kind()),
            };
            context.error(place, message);
            false
        }
    }
}
