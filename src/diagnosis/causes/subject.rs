//! What is wrong with the failing service itself: it listens elsewhere than it is probed, it cannot
//! listen at all, it still runs its init scripts.

use std::collections::BTreeSet;

use super::NOTHING_LISTENS;
use crate::diagnosis::looks::{Look, Seen};
use crate::diagnosis::words::{self, Trouble};
use crate::diagnosis::{Inquiry, Occasion, Place, remedy};
use crate::outcome::Cause;
use crate::probe::listening::is_loopback;

/// What is worth a look at the subject itself.
pub(in crate::diagnosis) fn looks(inquiry: &Inquiry, output: &[String]) -> Vec<Look> {
    let mut looks = Vec::new();
    let node = inquiry.topology.node(&inquiry.subject);
    if !inquiry.probed.is_empty() && node.is_some_and(|node| node.runs()) {
        looks.push(Look::Listeners(inquiry.subject.clone()));
    }
    if let Some(port) = taken(inquiry, output).and_then(|(port, _)| port) {
        match inquiry.topology.place(&inquiry.subject) {
            Place::Own(owner) if owner != &inquiry.subject => {
                looks.push(Look::Listeners(owner.clone()));
            }
            Place::Own(_) if inquiry.occasion != Occasion::NotStarted => {}
            _ => looks.push(Look::HostPort(port)),
        }
    }
    looks
}

/// The causes that lie with the subject.
pub(in crate::diagnosis) fn of_subject(inquiry: &Inquiry, seen: &Seen) -> Option<Cause> {
    port_taken(inquiry, seen)
        .or_else(|| init_running(inquiry, seen))
        .or_else(|| listens_elsewhere(inquiry, seen))
}

/// The port that could not be had, and the words of it.
fn taken(inquiry: &Inquiry, output: &[String]) -> Option<(Option<u16>, String)> {
    let clues = words::clues(output.iter().map(String::as_str));
    let clue = clues
        .into_iter()
        .rev()
        .find(|clue| clue.trouble == Trouble::PortTaken)?;
    let node = inquiry.topology.node(&inquiry.subject);
    let only = |ports: &BTreeSet<u16>| ports.first().copied().filter(|_| ports.len() == 1);
    let port = clue
        .endpoint
        .port
        .or_else(|| bound_port(&clue.line))
        .or_else(|| only(&inquiry.probed))
        .or_else(|| node.and_then(|node| only(&node.numbers)))
        .or_else(|| node.and_then(|node| only(&node.ports)));
    Some((port, clue.line))
}

/// The port in `bind() to 0.0.0.0:80 failed`, `listen tcp :8080: bind: …`, `:::3000`, `port 8000`.
fn bound_port(line: &str) -> Option<u16> {
    let after = |mark: &str| {
        let (_, rest) = line.rsplit_once(mark)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let by_word = ["port ", "port: ", "Port "].into_iter().find_map(after);
    by_word.or_else(|| {
        let pieces = line.split(':').skip(1);
        let numbers = pieces.filter_map(|piece| {
            let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u16>().ok().filter(|port| *port > 0)
        });
        numbers.last()
    })
}

fn port_taken(inquiry: &Inquiry, seen: &Seen) -> Option<Cause> {
    let (port, line) = taken(inquiry, &seen.output)?;
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let service = remedy::in_file(topology, subject);
    let mut evidence = vec![match inquiry.occasion {
        Occasion::NotStarted => format!("the engine says: {line}"),
        _ => format!("`{subject}` says: {line}"),
    }];
    let what = port.map_or_else(|| "its port".to_owned(), |port| format!("port {port}"));
    let holder = port.and_then(|port| seen.holders.get(&port));
    evidence.extend(holder.map(|holder| format!("on this host, {holder} listens on it")));
    let place = topology.place(subject);
    let (message, remedy, confirmed) = match place {
        Place::Own(owner) if owner != subject => {
            let owner_name = remedy::in_file(topology, owner);
            let listeners = seen.listeners.get(owner);
            let is_seen = port.is_some_and(|port| {
                listeners.is_some_and(|all| all.iter().any(|one| one.port() == port))
            });
            if is_seen {
                evidence.push(format!("{what} is listened on where `{owner_name}` is"));
            }
            (
                format!(
                    "{what} is taken where `{service}` is: it is in the network of `{owner_name}` (`network_mode: service:{owner_name}`), and a port there is one for all of them"
                ),
                format!(
                    "let `{service}` listen on another port, or give it a network of its own: take `network_mode` away"
                ),
                is_seen,
            )
        }
        Place::Host => (
            format!(
                "{what} of the host is taken, and `{service}` is on the host's own network (`network_mode: host`)"
            ),
            format!(
                "end what has {what}, or take `network_mode: host` away: then the port is the container's own"
            ),
            holder.is_some(),
        ),
        _ if inquiry.occasion == Occasion::NotStarted => (
            format!("{what} of the host is taken, so `{service}` could not be started"),
            format!(
                "end what has {what}, or leave the choice to the engine: `ports: [\"CONTAINER_PORT\"]`"
            ),
            true,
        ),
        _ => (
            format!(
                "{what} is taken in `{service}` itself: two programs in it want the same one, or the first one still runs"
            ),
            format!("let only one program in `{service}` listen on {what}"),
            false,
        ),
    };
    Some(Cause {
        kind: "PortTaken",
        service: subject.clone(),
        target: port.map(|port| port.to_string()),
        message,
        evidence,
        remedy: Some(remedy),
        confirmed,
    })
}

fn init_running(inquiry: &Inquiry, seen: &Seen) -> Option<Cause> {
    if inquiry.occasion != Occasion::NotReady {
        return None;
    }
    let (server, line) = words::init_scripts(seen.output.iter().map(String::as_str))?;
    let subject = &inquiry.subject;
    let service = remedy::in_file(&inquiry.topology, subject);
    Some(Cause {
        kind: "InitRunning",
        service: subject.clone(),
        target: None,
        message: format!(
            "`{subject}` still runs its init scripts: {} listens for others when they are done",
            server.name()
        ),
        evidence: vec![format!("`{subject}` says: {line}")],
        remedy: Some(format!(
            "give it more time: under `services: {service}: x-envrun: ready:` write a longer `deadline`"
        )),
        confirmed: true,
    })
}

/// It is probed on a port, and listens on another one or for itself alone.
fn listens_elsewhere(inquiry: &Inquiry, seen: &Seen) -> Option<Cause> {
    if inquiry.occasion != Occasion::NotReady || inquiry.probed.is_empty() {
        return None;
    }
    let subject = &inquiry.subject;
    let topology = &inquiry.topology;
    // Others in the same network namespace listen there too.
    let listeners = seen.listeners.get(subject)?;
    let service = remedy::in_file(topology, subject);
    let wanted: Vec<_> = listeners
        .iter()
        .filter(|one| inquiry.probed.contains(&one.port()))
        .collect();
    let ports: Vec<String> = inquiry.probed.iter().map(u16::to_string).collect();
    let ports = ports.join(" or ");
    let draft = |kind, message: String, evidence: String, remedy: Option<String>| Cause {
        kind,
        service: subject.clone(),
        target: None,
        message,
        evidence: vec![evidence],
        remedy,
        confirmed: true,
    };
    if !wanted.is_empty() {
        let all: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let all = all.join(", ");
        return wanted.iter().all(|one| is_loopback(one.ip())).then(|| {
            draft(
                "LoopbackOnly",
                format!("`{subject}` listens on {all} only, which nobody outside of its container can reach"),
                format!("in `{subject}`: {all} is listened on"),
                Some(format!("let the server in `{service}` listen on `0.0.0.0` (all addresses) in place of the loopback address")),
            )
        });
    }
    let mut others: Vec<u16> = listeners
        .iter()
        .filter(|one| !is_loopback(one.ip()))
        .map(|one| one.port())
        .collect();
    others.sort_unstable();
    others.dedup();
    others.truncate(8);
    let texts: Vec<String> = others.iter().map(u16::to_string).collect();
    let texts = texts.join(", ");
    match others.first() {
        None => Some(draft(
            NOTHING_LISTENS,
            format!("nothing in `{subject}` listens on port {ports}"),
            format!("in `{subject}`: no port is listened on for others"),
            None,
        )),
        Some(first) => Some(draft(
            "OtherPort",
            format!("`{subject}` listens on {texts}, and is asked on port {ports}"),
            format!("in `{subject}`: {texts} is listened on"),
            Some(format!(
                "under `services: {service}:` write `x-envrun: {{ ready: {{ tcp: {first} }} }}`, or let the server listen on port {ports}"
            )),
        )),
    }
}
