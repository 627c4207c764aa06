//! Services that wait for each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::super::diagnostic::{Problem, Problems};
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, shorten};

/// What each service waits for, with the place that says so.
type Edges<'r> = BTreeMap<&'r str, BTreeMap<&'r str, &'r Place>>;

/// Names each circle among the active services once. Works without recursion, since a chain of
/// services may be long.
pub(in crate::config) fn check(root: &Mapping, active: &BTreeSet<String>, problems: &mut Problems) {
    let edges = edges(root, active);
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in edges.keys() {
        // The path from `start`, with the dependencies of each step that are still to be tried.
        let mut path: Vec<&str> = Vec::new();
        let mut on_path: BTreeSet<&str> = BTreeSet::new();
        let mut todo: Vec<Vec<&str>> = vec![vec![start]];
        while let Some(next) = todo.last_mut() {
            let Some(name) = next.pop() else {
                todo.pop();
                if let Some(name) = path.pop() {
                    on_path.remove(name);
                    done.insert(name);
                }
                continue;
            };
            if on_path.contains(name) {
                report(&edges, &path, name, problems);
                continue;
            }
            if done.contains(name) {
                continue;
            }
            let Some(needs) = edges.get(name) else {
                continue;
            };
            path.push(name);
            on_path.insert(name);
            todo.push(needs.keys().rev().copied().collect());
        }
    }
}

fn edges<'r>(root: &'r Mapping, active: &BTreeSet<String>) -> Edges<'r> {
    let services = root.get("services").and_then(Node::mapping);
    let services = services.into_iter().flat_map(|map| &map.entries);
    services
        .filter(|entry| active.contains(&entry.key.text))
        .map(|entry| {
            let needs = entry.value.get("depends_on").and_then(Node::mapping);
            let needs = needs.into_iter().flat_map(|map| &map.entries);
            // A service that waits for itself is reported by itself.
            let needs = needs
                .filter(|need| need.key.text != entry.key.text)
                .map(|need| (need.key.text.as_str(), &need.key.place));
            (entry.key.text.as_str(), needs.collect())
        })
        .collect()
}

fn report(edges: &Edges<'_>, path: &[&str], name: &str, problems: &mut Problems) {
    const MAX_SHOWN: usize = 12;
    let start = path.iter().position(|other| *other == name).unwrap_or(0);
    let cycle: Vec<&str> = path
        .iter()
        .skip(start)
        .copied()
        .chain(std::iter::once(name))
        .collect();
    let mut names: Vec<String> = cycle.iter().map(|name| shorten(name)).collect();
    if names.len() > MAX_SHOWN {
        names.splice(MAX_SHOWN - 1..names.len() - 1, ["…".to_owned()]);
    }
    let mut problem = Problem::error(format!(
        "services wait for each other in a circle: `{}`",
        names.join(" → ")
    ));
    for pair in cycle.windows(2).take(MAX_SHOWN) {
        let [from, to] = pair else { continue };
        if let Some(place) = edges.get(from).and_then(|needs| needs.get(to)) {
            problem = problem.label(place, format!("`{from}` waits for `{to}`"));
        }
    }
    problems.push(problem.help("none of them could ever start; take one dependency out"));
}
