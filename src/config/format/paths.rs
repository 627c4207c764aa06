//! Relative paths of a tree, made absolute.

use std::path::{Path, PathBuf};

use super::super::files::clean_path;
use super::super::yaml::{Mapping, Node, Value};
use super::{Scope, each_item, each_mapping};

/// Makes the paths of a tree absolute.
pub(super) fn resolve(root: &mut Mapping, scope: &Scope) {
    for (_, service) in each_mapping(root, "services") {
        resolve_service(service, scope);
    }
    for section in ["configs", "secrets"] {
        for (_, resource) in each_mapping(root, section) {
            change(resource, "file", |text| host_path(text, scope));
        }
    }
    for (_, resource) in each_mapping(root, "volumes") {
        let is_local = resource.get("driver").and_then(Node::as_text) == Some("local");
        let options = resource.get_mut("driver_opts").and_then(Node::mapping_mut);
        if let Some(options) = options.filter(|_| is_local)
            && options.get("o").and_then(Node::as_text) == Some("bind")
        {
            change(options, "device", |text| host_path(text, scope));
        }
    }
}

fn resolve_service(service: &mut Mapping, scope: &Scope) {
    if let Some(build) = service.get_mut("build").and_then(Node::mapping_mut) {
        change(build, "context", |text| context(text, scope));
        each_value(build, "additional_contexts", |text| context(text, scope));
        each_value(build, "ssh", |text| host_path(text, scope));
    }
    for file in each_item(service, "env_file") {
        if let Some(file) = file.mapping_mut() {
            change(file, "path", |text| absolute(text, scope));
        }
    }
    for file in each_item(service, "label_file") {
        change_node(file, |text| absolute(text, scope));
    }
    if let Some(extends) = service.get_mut("extends").and_then(Node::mapping_mut) {
        change(extends, "file", |text| absolute(text, scope));
    }
    if let Some(develop) = service.get_mut("develop").and_then(Node::mapping_mut) {
        for watch in each_item(develop, "watch") {
            if let Some(watch) = watch.mapping_mut() {
                change(watch, "path", |text| without_link(&absolute(text, scope)));
            }
        }
    }
    for mount in each_item(service, "volumes") {
        let is_bind = mount.get("type").and_then(Node::as_text) == Some("bind");
        if let Some(mount) = mount.mapping_mut().filter(|_| is_bind) {
            change(mount, "source", |text| host_path(text, scope));
        }
    }
}

fn change(map: &mut Mapping, key: &str, with: impl Fn(&str) -> String) {
    if let Some(node) = map.get_mut(key) {
        change_node(node, with);
    }
}

fn each_value(map: &mut Mapping, key: &str, with: impl Fn(&str) -> String) {
    if let Some(values) = map.get_mut(key).and_then(Node::mapping_mut) {
        for entry in &mut values.entries {
            change_node(&mut entry.value, &with);
        }
    }
}

fn change_node(node: &mut Node, with: impl Fn(&str) -> String) {
    if let Value::Scalar(scalar) = &mut node.value {
        scalar.text = with(&scalar.text);
        // A default such as `.` is a path now, and no longer what the file left out.
        scalar.plain = false;
    }
}

/// `~` is the home directory, as far as the environment knows one.
fn expand_home(text: &str, scope: &Scope) -> String {
    match (text.strip_prefix('~'), scope.home()) {
        (Some(rest), Some(home)) if !home.is_empty() => {
            let rest = rest.trim_start_matches('/');
            text_of(&clean_path(&Path::new(home).join(rest)))
        }
        _ => text.to_owned(),
    }
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn under(text: &str, scope: &Scope) -> String {
    text_of(&clean_path(&scope.directory.join(text)))
}

/// A path of the file system; an empty text stays empty.
pub(super) fn absolute(text: &str, scope: &Scope) -> String {
    let text = expand_home(text, scope);
    if text.is_empty() || text.starts_with('/') {
        return text;
    }
    under(&text, scope)
}

/// A path of the engine's host, which may be a Windows machine.
fn host_path(text: &str, scope: &Scope) -> String {
    let text = expand_home(text, scope);
    if text.starts_with('/') || is_windows_absolute(&text) {
        return text;
    }
    under(&text, scope)
}

/// `C:\` and `\\server\share`, with either slash.
pub(in crate::config) fn is_windows_absolute(text: &str) -> bool {
    let is_slash = |byte: Option<&u8>| matches!(byte, Some(b'\\' | b'/'));
    let bytes = text.as_bytes();
    let is_drive = bytes.get(1) == Some(&b':');
    (is_drive && is_slash(bytes.get(2))) || (is_slash(bytes.first()) && is_slash(bytes.get(1)))
}

/// A directory, unless it is something that the builder fetches.
fn context(text: &str, scope: &Scope) -> String {
    const REMOTE: [&str; 7] = [
        "service:",
        "https://",
        "http://",
        "git://",
        "ssh://",
        "github.com/",
        "git@",
    ];
    let is_remote = text.contains("://") || REMOTE.iter().any(|start| text.starts_with(start));
    if is_remote {
        text.to_owned()
    } else {
        absolute(text, scope)
    }
}

/// The path with its first symbolic link followed, as far as there is one.
fn without_link(text: &str) -> String {
    let mut current = PathBuf::new();
    for part in Path::new(text).components() {
        current.push(part);
        let is_link = std::fs::symlink_metadata(&current)
            .is_ok_and(|metadata| metadata.file_type().is_symlink());
        if is_link && let Ok(target) = std::fs::canonicalize(&current) {
            return text.replacen(&text_of(&current), &text_of(&target), 1);
        }
    }
    text.to_owned()
}
