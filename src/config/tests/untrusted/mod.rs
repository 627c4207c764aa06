//! Strangers' code: that every key has a decision, and what the decisions come to.

mod environment;
mod escapes;
mod limits;
mod paths;
mod probes;
mod refusals;

use super::super::format::schema::{resolve, root};
use super::super::keys;
use super::super::untrusted::table::{self, Decision};
use super::coverage::walk;
use super::{Case, Problems, load};
use serde_json::Value as Json;

/// What a file is told as strangers' code.
fn judged(text: &str) -> String {
    Case::new(&[("compose.yaml", text)]).untrusted().show()
}

/// The messages of all errors, each with its place.
fn errors(case: &Case) -> Vec<String> {
    let Err(problems) = load(&case.request) else {
        return Vec::new();
    };
    lines(&problems)
}

fn lines(problems: &Problems) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Whether a part of the schema has keys of its own.
fn has_keys(part: &'static Json) -> bool {
    let part = resolve(part);
    let branches = part.get("oneOf").and_then(Json::as_array);
    let mut branches = branches.into_iter().flatten();
    part.get("properties").is_some()
        || part.get("items").is_some_and(has_keys)
        || branches.any(has_keys)
        || part
            .get("patternProperties")
            .and_then(Json::as_object)
            .is_some_and(|patterns| {
                patterns
                    .iter()
                    .any(|(pattern, of)| pattern != "^x-" && has_keys(of))
            })
}

/// The part of the schema at a path of the table.
fn part_at(path: &[String]) -> Option<&'static Json> {
    fn step(part: &'static Json, path: &[String]) -> Option<&'static Json> {
        let part = resolve(part);
        let Some((first, rest)) = path.split_first() else {
            return Some(part);
        };
        let branches = part.get("oneOf").and_then(Json::as_array);
        let branches = branches.into_iter().flatten();
        let own = match first.as_str() {
            "[]" => part.get("items"),
            "*" => part
                .get("patternProperties")
                .and_then(Json::as_object)
                .and_then(|patterns| patterns.iter().find(|(pattern, _)| *pattern != "^x-"))
                .map(|(_, of)| of),
            key => part.get("properties").and_then(|keys| keys.get(key)),
        };
        own.and_then(|own| step(own, rest))
            .or_else(|| branches.into_iter().find_map(|branch| step(branch, path)))
    }
    step(root(), path)
}

/// What decides about a key: its own decision, or one above it that covers what is below.
fn decided(path: &[String]) -> Result<(), String> {
    for length in 1..=path.len() {
        let name = path[..length].join(".");
        // Lists and names are no keys.
        if matches!(path[length - 1].as_str(), "[]" | "*") && !table::has(&name) {
            continue;
        }
        match table::of(&name) {
            Some(Decision::Idle | Decision::Refused(_) | Decision::Judged(_)) => return Ok(()),
            Some(Decision::Below | Decision::Open | Decision::JudgedBelow(_)) => {}
            Some(Decision::Fine) => {
                return match part_at(&path[..length]) {
                    Some(part) if has_keys(part) => Err(format!("{name}: has keys of its own")),
                    _ => Ok(()),
                };
            }
            None => return Err(format!("{name}: has no decision")),
        }
    }
    Ok(())
}

#[test]
fn every_key_of_the_published_schema_has_a_decision() {
    let mut keys = Vec::new();
    walk(root(), &[], &mut keys);
    assert!(keys.len() > 250, "only {} keys", keys.len());
    let undecided: Vec<String> = keys
        .iter()
        .filter_map(|key| decided(&key.path).err())
        .collect();
    assert!(undecided.is_empty(), "{undecided:#?}");
}

#[test]
fn the_table_names_no_key_twice_and_none_that_is_not_there() {
    let mut seen = std::collections::BTreeSet::new();
    for group in table::groups() {
        let keys = group
            .fine
            .iter()
            .chain(group.others.iter().map(|(key, _)| key));
        for key in keys {
            let path = match group.path {
                "" => (*key).to_owned(),
                path => format!("{path}.{key}"),
            };
            assert!(seen.insert(path.clone()), "{path} stands twice");
            if path.contains("x-envrun") {
                continue;
            }
            let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
            assert!(part_at(&parts).is_some(), "there is no key {path}");
        }
    }
}

/// Our own keys are not in the published schema, but in a table of their own.
#[test]
fn every_key_of_our_own_has_a_decision() {
    let mut count = 0;
    for section in keys::SECTIONS {
        if !section.path.contains(keys::EXTENSION) {
            continue;
        }
        let path = section.path.replace("[]", ".[]");
        for rule in section.keys {
            count += 1;
            let key = format!("{path}.{}", rule.key);
            assert!(table::has(&key), "{key} has no decision");
        }
    }
    assert!(count > 15, "only {count} keys");
}

/// A key that nobody has decided about is refused, even if all else takes it.
#[test]
fn the_table_knows_no_key_of_another_specification() {
    for path in ["services.*.future", "future", "services.*.build.future"] {
        assert!(!table::has(path));
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        assert!(decided(&path).is_err());
    }
}
