//! `x-envrun.reachability`: who may reach whom, and what `internet` means.
//!
//! A matrix that names a service that does not exist would test less than it says, so every unknown name
//! is an error.

use std::collections::{BTreeMap, BTreeSet};

use super::super::diagnostic::Problem;
use super::super::model::reachability::{
    HOST, INTERNET, InternetAddress, Reachability, Target, Whom,
};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Mapping, Node, shorten};
use super::context::Context;
use crate::name::ServiceName;

/// Most services in a matrix: their pairs grow with the square.
const MOST_SERVICES: usize = 50;

/// Most targets over all rows.
const MOST_TARGETS: usize = 1000;

/// The name of the suite that a matrix is.
pub(in crate::config) const SUITE: &str = "reachability";

/// The names of services: all of the files, and those that take part.
pub(in crate::config) struct Names<'a> {
    /// All, with the places where they stand.
    pub(in crate::config) all: &'a BTreeMap<String, Place>,
    /// Those whose profiles are active.
    pub(in crate::config) active: &'a BTreeSet<String>,
}

/// Reads the matrix. Null and an empty mapping are none.
pub(in crate::config) fn read_reachability(
    context: &mut Context<'_>,
    node: &Node,
    names: &Names<'_>,
) -> Option<Reachability> {
    if node.is_null() {
        return None;
    }
    let map = context.mapping(node, "reachability")?;
    let mut matrix = Reachability::default();
    let mut named = BTreeSet::new();
    let mut targets = 0;
    for entry in &map.entries {
        let (text, place) = (&entry.key.text, &entry.key.place);
        let source = read_source(context, (text, place), names);
        let mut row = BTreeSet::new();
        for (text, node) in context.text_or_list(&entry.value, text) {
            let target = read_target(context, &text, (&node.place, names));
            let is_self = |target: &Target| Some(target.whom.as_str()) == source_text(&source);
            match target {
                Some(target) if is_self(&target) => {
                    let message = format!("`{target}` is the source itself");
                    let help = "every service reaches itself; take this out";
                    context.error_help(&node.place, message, help);
                }
                Some(target) => {
                    targets += 1;
                    if let Whom::Service(name) = &target.whom {
                        named.insert(name.clone());
                    }
                    row.insert(target);
                }
                None => {}
            }
        }
        if let Some(source) = source {
            named.insert(source.clone());
            matrix.rows.insert(source, row);
        }
    }
    if named.len() > MOST_SERVICES || targets > MOST_TARGETS {
        let message = format!(
            "`reachability` names {} services and {targets} targets",
            named.len()
        );
        let help = format!("{MOST_SERVICES} services and {MOST_TARGETS} targets are the most");
        context.error_help(&node.place, message, help);
    }
    if let Some(place) = names.all.get(SUITE).filter(|_| !matrix.rows.is_empty()) {
        let message =
            format!("service `{SUITE}` is called like the suite of the reachability matrix");
        let problem = Problem::error(message).at(place);
        let problem = problem.label(&node.place, "the matrix is tested as a suite of this name");
        context
            .problems
            .push(problem.help("give the service another name"));
    }
    (!matrix.rows.is_empty()).then_some(matrix)
}

fn source_text(source: &Option<ServiceName>) -> Option<&str> {
    source.as_ref().map(ServiceName::as_str)
}

fn read_source(
    context: &mut Context<'_>,
    (text, place): (&str, &Place),
    names: &Names<'_>,
) -> Option<ServiceName> {
    if matches!(text, HOST | INTERNET) && !names.all.contains_key(text) {
        let message = format!("`{text}` cannot be a source of `reachability`");
        let help = "what is tried is tried from inside a service";
        context.error_help(place, message, help);
        return None;
    }
    if text.contains(':') && !names.all.contains_key(text) {
        let message = format!("`{}` cannot be a source of `reachability`", shorten(text));
        let help = "a source is the name of a service; ports stand behind targets";
        context.error_help(place, message, help);
        return None;
    }
    service(context, (text, place), names)
}

fn read_target(
    context: &mut Context<'_>,
    text: &str,
    (place, names): (&Place, &Names<'_>),
) -> Option<Target> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_word = matches!(name, HOST | INTERNET);
    if is_word && names.all.contains_key(name) {
        let message = format!(
            "`{name}` can be the service of this name, and {}",
            meaning(name)
        );
        let help = "give the service another name";
        context.error_help(place, message, help);
        return None;
    }
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>().ok().filter(|number| *number > 0) {
            Some(number) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(number),
            _ => {
                let message = format!("`{}` is no port", shorten(port));
                let help = "a target is `service:PORT` with a port from 1 to 65535, `service`, `internet`, `host` or `host:PORT`";
                context.error_help(place, message, help);
                return None;
            }
        },
    };
    let whom = match name {
        HOST => Whom::Host,
        INTERNET if port.is_some() => {
            let message = "`internet` has no port of its own";
            let help = "`x-envrun: { internet: 'ADDRESS:PORT' }` says what it means";
            context.error_help(place, message, help);
            return None;
        }
        INTERNET => Whom::Internet,
        _ => Whom::Service(service(context, (name, place), names)?),
    };
    Some(Target { whom, port })
}

fn meaning(word: &str) -> &'static str {
    match word {
        HOST => "the engine's host",
        _ => "what is beyond the engine's host",
    }
}

fn service(
    context: &mut Context<'_>,
    (name, place): (&str, &Place),
    names: &Names<'_>,
) -> Option<ServiceName> {
    if names.active.contains(name) {
        return Some(ServiceName::new(name));
    }
    if names.all.contains_key(name) {
        let message = format!("service `{name}` does not run, since no active profile enables it");
        let help = "activate its profile, or take it out of `reachability`";
        context.error_help(place, message, help);
        return None;
    }
    let message = format!(
        "`reachability` names `{}`, which is no service",
        shorten(name)
    );
    let candidates = names.all.keys().map(String::as_str);
    let help = did_you_mean(name, candidates.chain([HOST, INTERNET]));
    let problem = Problem::error(message).at(place);
    context.problems.push(match help {
        Some(help) => problem.help(help),
        None => problem,
    });
    None
}

/// Reads the address that `internet` means.
pub(in crate::config) fn read_internet(
    context: &mut Context<'_>,
    node: &Node,
) -> Option<InternetAddress> {
    if node.is_null() {
        return None;
    }
    let text = context.filled_text(node, INTERNET)?;
    let address = InternetAddress::parse(&text);
    if address.is_none() {
        let message = format!("`internet` is no address with a port: `{}`", shorten(&text));
        context.error_help(&node.place, message, InternetAddress::FORM);
    }
    address
}

/// The names of services with their places.
pub(in crate::config) fn names(root: &Mapping) -> BTreeMap<String, Place> {
    let services = root.get("services").and_then(Node::mapping);
    let entries = services
        .map(|map| map.entries.as_slice())
        .unwrap_or_default();
    entries
        .iter()
        .map(|entry| (entry.key.text.clone(), entry.key.place.clone()))
        .collect()
}
