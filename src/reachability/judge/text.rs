//! What is said about a pair: what was promised, what was seen by name and by address, and what is the
//! likely cause, with the line to change.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Reached, Verdict, Way};
use crate::config::model::reachability::Whom;
use crate::reachability::expected::{Expectation, Model, list};
use crate::reachability::matrix::{Pair, Promise};
use crate::reachability::seen::{Answer, Look, Named, Seen, Try, TryKind};

/// Most tries that are told of one look: the ports of a service may be many.
const MOST_TRIES: usize = 16;

/// The line and the details.
pub(super) fn of(
    (pair, verdict): (&Pair, Verdict),
    (by_name, by_address): (&Way, &Way),
    looks: &[&Look],
    (model, seen): (&Model, &Seen),
) -> (String, String) {
    let Pair { source, target, .. } = pair;
    let ways = format!(
        "{}, {}",
        way("by name", by_name),
        way("by address", by_address)
    );
    let was = match verdict {
        Verdict::Kept => format!("`{source}` {} `{target}`, as promised", reaches(pair)),
        Verdict::Broken => format!("`{source}` {} `{target}`", fails(pair)),
        Verdict::Untried => format!("it cannot be told whether `{source}` reaches `{target}`"),
        Verdict::Unjudged => format!("nothing is promised of `{source}` reaching `{target}`"),
    };
    let message = format!("{was}: {ways}");
    let mut details = String::new();
    let promised = match pair.promise {
        Promise::Reachable => format!("promised: `{source}` reaches `{target}`"),
        Promise::Unreachable => format!(
            "promised: nothing of `{target}` answers `{source}`, since its row does not name it"
        ),
        Promise::Closed if target.port.is_some() => format!(
            "promised: `{target}` accepts no connection of `{source}`, whose row names other ports of it only"
        ),
        Promise::Closed => format!(
            "promised: no port of `{target}` accepts a connection of `{source}`; packets go to and fro, since `{target}` may reach `{source}`"
        ),
        Promise::Nothing => format!(
            "promised: nothing. Networks have no direction, so what `{source}` is reached by it can answer; a row `{source}: []` lets its connections be judged"
        ),
    };
    let _ = writeln!(details, "{promised}");
    for look in looks {
        seen_by(look, pair, &mut details);
    }
    let expected = model.expected(source, &target.whom);
    let model_says = match &expected {
        Expectation::Reachable(why) => format!("by the file they reach each other: {why}"),
        Expectation::Unreachable(why) => format!("by the file they do not reach each other: {why}"),
        Expectation::Unknown(why) => format!("the file does not tell: {why}"),
    };
    let _ = writeln!(details, "{model_says}");
    if verdict == Verdict::Broken {
        let cause = cause(pair, (by_name, by_address), looks, (model, &expected, seen));
        let _ = writeln!(details, "{cause}");
    }
    (message, details)
}

fn reaches(pair: &Pair) -> &'static str {
    match pair.promise {
        Promise::Reachable => "reaches",
        _ => "does not reach",
    }
}

fn fails(pair: &Pair) -> &'static str {
    match pair.promise {
        Promise::Reachable => "was promised to reach, and does not reach,",
        _ => "was promised not to reach, and reaches,",
    }
}

fn way(what: &str, way: &Way) -> String {
    match way {
        Way::None => format!("{what} there is nothing to try"),
        Way::Untried(why) => format!("{what} it could not be tried ({why})"),
        Way::Seen(least, most) if least != most => format!("{what} only some of it"),
        Way::Seen(_, Reached::Nothing) => format!("{what} no"),
        Way::Seen(_, Reached::Answered) => format!("{what} it answers"),
        Way::Seen(_, Reached::Connected) => format!("{what} yes"),
    }
}

/// What was seen from one container.
fn seen_by(look: &Look, pair: &Pair, text: &mut String) {
    let from = &look.from;
    let name = &look.name;
    let named = match &look.named {
        Named::Nameless(why) => format!("no name was tried, since {why}"),
        Named::Unknown => format!("`{name}` does not resolve"),
        Named::NoAnswer => format!("`{name}` did not resolve in time"),
        Named::NotAsked(why) => format!("`{name}` could not be asked for: {why}"),
        Named::Addresses(_) => {
            format!("`{name}` is {}", tries(&look.by_name, pair))
        }
    };
    let _ = writeln!(text, "from `{from}` by name: {named}");
    let addresses = match look.addresses.values().all(Vec::is_empty) {
        true => "there is none that is known".to_owned(),
        false => tries(&look.by_address, pair),
    };
    let _ = writeln!(text, "from `{from}` by address: {addresses}");
}

fn tries(tries: &[Try], pair: &Pair) -> String {
    let concerns = |one: &&Try| match (one.kind, pair.target.port) {
        (TryKind::Port(port), Some(wanted)) => port == wanted,
        (_, Some(_)) => false,
        (_, None) => true,
    };
    let told: Vec<String> = tries
        .iter()
        .filter(concerns)
        .map(|one| format!("{} {}", spot(one), answer(one)))
        .collect();
    match told.len() {
        0 => "nothing listens there that could be tried".to_owned(),
        count if count > MOST_TRIES => {
            format!(
                "{}, and {} more",
                told[..MOST_TRIES].join(", "),
                count - MOST_TRIES
            )
        }
        _ => told.join(", "),
    }
}

fn spot(one: &Try) -> String {
    let address = one.address;
    match one.kind {
        TryKind::Port(port) => std::net::SocketAddr::new(address, port).to_string(),
        TryKind::Canary(port) => format!(
            "{} (a port of envrun's)",
            std::net::SocketAddr::new(address, port)
        ),
        TryKind::Echo => format!("{address} (echo)"),
    }
}

fn answer(one: &Try) -> String {
    match (&one.answer, one.kind) {
        (Answer::Accepted, TryKind::Echo) => "answers".to_owned(),
        (Answer::Accepted, _) => "accepts".to_owned(),
        (Answer::Refused, _) => "refuses".to_owned(),
        (Answer::NoAnswer, _) => "does not answer".to_owned(),
        (Answer::NoWay(why), _) => format!("cannot be reached ({why})"),
        (Answer::NotTried(why), _) => format!("was not tried ({why})"),
    }
}

/// The likely cause of a broken promise, and what to change.
fn cause(
    pair: &Pair,
    (by_name, by_address): (&Way, &Way),
    looks: &[&Look],
    (model, expected, seen): (&Model, &Expectation, &Seen),
) -> String {
    match (pair.promise, expected) {
        (Promise::Reachable, Expectation::Unreachable(why)) => {
            format!("likely cause: {why}\nhint: {}", join(pair, model))
        }
        (Promise::Reachable, _) => match listening(pair, (by_name, by_address), looks, seen) {
            Some(cause) => format!("likely cause: {cause}"),
            None => "likely cause: something between them filters, or the name is one that others have too".to_owned(),
        },
        (_, Expectation::Reachable(why)) => {
            format!("likely cause: {why}\nhint: {}", part(pair, model))
        }
        _ => "likely cause: they meet outside of what the file describes, such as by published ports or by rules of the engine's host".to_owned(),
    }
}

/// How to bring two together.
fn join(pair: &Pair, model: &Model) -> String {
    let source = &pair.source;
    match &pair.target.whom {
        Whom::Service(target) => {
            let of_target: BTreeSet<_> = model.networks_of(target).into_iter().collect();
            match of_target.is_empty() {
                true => {
                    format!("give `{target}` a network of `{source}`: `services.{target}.networks`")
                }
                false => format!(
                    "add {} to `services.{source}.networks`, or take `{}` out of the row of `{source}`",
                    list(of_target.into_iter()),
                    pair.target
                ),
            }
        }
        Whom::Internet => format!(
            "give `services.{source}.networks` a network without `internal: true`, or take `internet` out of the row of `{source}`"
        ),
        Whom::Host => format!(
            "give `services.{source}.networks` a network, or take `host` out of the row of `{source}`"
        ),
    }
}

/// How to part two.
fn part(pair: &Pair, model: &Model) -> String {
    let source = &pair.source;
    match &pair.target.whom {
        Whom::Service(target) => {
            let shared = model.shared(source, target);
            let promise = format!("or promise it: `{source}: [{}]`", pair.target);
            if shared.is_empty() {
                return format!("give each of them a network of its own, {promise}");
            }
            if pair.promise == Promise::Closed {
                return format!(
                    "another promise has them share a network, so only `{target}` can refuse: let it listen elsewhere, {promise}"
                );
            }
            let shared = list(shared.into_iter());
            format!(
                "take {shared} out of `services.{source}.networks` or `services.{target}.networks`, {promise}"
            )
        }
        Whom::Internet => format!(
            "`internal: true` on {} takes the way out, or promise it: `{source}: [internet]`",
            list(model.networks_of(source).into_iter())
        ),
        Whom::Host => format!(
            "an `internal` network has the host's address as well, so only the host's packet filter or `network_mode: none` keeps `{source}` from it; or promise it: `{source}: [{}]`",
            pair.target
        ),
    }
}

/// What the sockets beside the target say about a port that was not reached.
fn listening(
    pair: &Pair,
    (by_name, by_address): (&Way, &Way),
    looks: &[&Look],
    seen: &Seen,
) -> Option<String> {
    let target = &pair.target.whom;
    let resolves = looks
        .iter()
        .all(|look| matches!(look.named, Named::Addresses(_) | Named::Nameless(_)));
    if !resolves && by_address.most() > Some(Reached::Nothing) {
        return Some(format!(
            "the name `{target}` does not resolve there, although its address is reached"
        ));
    }
    let (Whom::Service(name), Some(port)) = (target, pair.target.port) else {
        return None;
    };
    let found = seen.targets.get(name)?;
    let on = |wanted: bool| {
        let mut listeners = found.listening.iter();
        listeners.any(|(loopback, listened)| *listened == port && *loopback == wanted)
    };
    if on(false) {
        let refused = looks
            .iter()
            .flat_map(|look| look.by_address.iter().chain(&look.by_name));
        let is_refused =
            |one: &Try| one.kind == TryKind::Port(port) && one.answer == Answer::Refused;
        let refused = refused.into_iter().any(is_refused);
        let by_name = by_name.most() < by_address.most();
        return match (refused, by_name) {
            (true, _) => Some(format!(
                "`{name}` listens on {port}, so a packet filter refuses, or it began only after it was tried"
            )),
            (_, true) => Some(format!("the name `{target}` leads elsewhere")),
            _ => None,
        };
    }
    if on(true) {
        return Some(format!(
            "`{name}` listens on {port} on its loopback address only\nhint: let it listen on 0.0.0.0"
        ));
    }
    let others: BTreeSet<u16> = found
        .listening
        .iter()
        .filter(|(loopback, _)| !loopback)
        .map(|(_, port)| *port)
        .collect();
    Some(match others.is_empty() {
        true => format!(
            "nothing listens in `{name}`\nhint: is it ready before it listens? `x-envrun: {{ ready: {{ tcp: {port} }} }}` waits for that"
        ),
        false => {
            let others: Vec<String> = others.iter().map(u16::to_string).collect();
            format!(
                "`{name}` does not listen on {port}, but on {}",
                others.join(", ")
            )
        }
    })
}
