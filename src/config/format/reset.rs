//! `!reset` and `!override`: what earlier files say of a key is dropped.

use super::super::yaml::{Mapping, Mark, Node, Value};

/// The path of a key that drops what earlier files say of it.
pub(super) type MarkedPath = Vec<String>;

/// Collects the marked paths of a document, and takes out of it what is reset. Lists are not looked
/// into for paths, since an entry of a list has no name by which another file could mean it. The
/// depth is bounded by that of the tree.
pub(super) fn take(tree: &mut Node) -> Vec<MarkedPath> {
    let mut marks = Vec::new();
    take_at(tree, &mut Vec::new(), &mut marks);
    marks
}

fn take_at(node: &mut Node, path: &mut Vec<String>, marks: &mut Vec<MarkedPath>) {
    match &mut node.value {
        Value::Mapping(mapping) => {
            for entry in &mut mapping.entries {
                path.push(entry.key.text.clone());
                match entry.mark {
                    Some(_) => marks.push(path.clone()),
                    None => take_at(&mut entry.value, path, marks),
                }
                path.pop();
            }
            mapping
                .entries
                .retain(|entry| entry.mark != Some(Mark::Reset));
        }
        Value::Sequence(nodes) => {
            for node in nodes {
                // Resets below a list take effect on the entry itself.
                take_at(node, &mut Vec::new(), &mut Vec::new());
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

/// Drops what the paths name.
pub(super) fn apply(tree: &mut Node, marks: &[MarkedPath]) {
    for path in marks {
        drop_at(tree.mapping_mut(), path);
    }
}

/// Drops what the paths name below one service.
pub(super) fn apply_to_service(service: &mut Node, name: &str, marks: &[MarkedPath]) {
    for path in marks {
        if let [section, service_name, rest @ ..] = path.as_slice()
            && section == "services"
            && service_name == name
        {
            drop_at(service.mapping_mut(), rest);
        }
    }
}

fn drop_at(mapping: Option<&mut Mapping>, path: &[String]) {
    let Some(mapping) = mapping else { return };
    match path {
        [] => {}
        [key] => {
            mapping.remove(key);
        }
        [key, rest @ ..] => drop_at(mapping.get_mut(key).and_then(Node::mapping_mut), rest),
    }
}
