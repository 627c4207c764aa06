//! `build:` of a service.

use std::path::PathBuf;

use super::super::keys;
use super::super::model::Build;
use super::super::source::Place;
use super::super::yaml::{Node, Value, shorten};
use super::context::Context;

/// Reads `build:`, a text (the context) or a mapping.
pub(super) fn read_build(context: &mut Context<'_>, node: &Node) -> Option<Build> {
    if let Value::Scalar(_) = &node.value {
        let directory = context.filled_text(node, "build")?;
        return Some(Build {
            context: directory_of(context, &directory, &node.place)?,
            dockerfile: PathBuf::from("Dockerfile"),
            args: std::collections::BTreeMap::new(),
            target: None,
        });
    }
    let Value::Mapping(map) = &node.value else {
        if !node.is_null() {
            context.expected(node, "build", "text or a mapping");
        }
        return None;
    };
    context.check_keys(map, &keys::BUILD);
    let directory = map
        .get("context")
        .map(|node| (context.filled_text(node, "context"), &node.place));
    let directory = match directory {
        Some((Some(text), place)) => directory_of(context, &text, place),
        Some((None, _)) => None,
        // Without a context the directory of the project is it.
        None => Some(context.path(".")),
    };
    let dockerfile = map
        .get("dockerfile")
        .and_then(|node| context.filled_text(node, "dockerfile"));
    let args = map
        .get("args")
        .map(|node| context.resolved_pairs(node, "args"))
        .unwrap_or_default();
    let target = map
        .get("target")
        .and_then(|node| context.text(node, "target"))
        .filter(|target| !target.is_empty());
    Some(Build {
        context: directory?,
        dockerfile: PathBuf::from(dockerfile.as_deref().unwrap_or("Dockerfile")),
        args,
        target,
    })
}

fn directory_of(context: &mut Context<'_>, text: &str, place: &Place) -> Option<PathBuf> {
    let is_remote = text.contains("://")
        || ["git@", "github.com/", "docker-image:"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
    if is_remote {
        let message = format!("the build context `{}` is not a directory", shorten(text));
        context.error_help(place, message, "remote contexts are not supported yet");
        return None;
    }
    Some(context.path(text))
}
