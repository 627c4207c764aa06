//! What a service wanted to reach: as its output says, else as its variables and `depends_on` say.

use super::endpoint::Endpoint;
use super::topology::{Wish, is_local};
use super::words::{self, Clue, Trouble};
use super::{Inquiry, Occasion};
use crate::name::ServiceName;

/// Ends of connections that are looked into at most.
const AIMS: usize = 6;

/// One end of a connection that the subject wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aim {
    /// Name or address.
    pub(super) host: String,
    /// Port, as far as it is known.
    pub(super) port: Option<u16>,
    /// What the subject has said about it.
    pub(super) clue: Option<Clue>,
    /// The variable that names it.
    pub(super) variable: Option<String>,
}

impl Aim {
    /// How the connection has failed, if the subject has said so.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.clue.as_ref().map(|clue| clue.trouble)
    }

    /// Whether the subject has said that it failed.
    pub(super) const fn is_told(&self) -> bool {
        self.clue.is_some()
    }
}

/// What the subject wanted to reach, the most telling first.
pub(super) fn aims(inquiry: &Inquiry, output: &[String]) -> Vec<Aim> {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let wishes = topology.wishes(subject);
    let clues = words::clues(output.iter().map(String::as_str));
    let mut aims: Vec<Aim> = Vec::new();
    // The last words are nearest to the end.
    for clue in clues.into_iter().rev() {
        if clue.trouble == Trouble::PortTaken || is_own_denial(inquiry, &clue) {
            continue;
        }
        match &clue.endpoint.host {
            Some(_) => add(&mut aims, of_clue(inquiry, &wishes, clue)),
            None => {
                for aim in of_silent_clue(inquiry, &wishes, &clue) {
                    add(&mut aims, aim);
                }
            }
        }
    }
    // Without a word, only what the model or a look proves will count.
    if inquiry.occasion != Occasion::Suite && inquiry.occasion != Occasion::NotStarted {
        for wish in &wishes {
            if let Some(host) = &wish.endpoint.host {
                let aim = Aim {
                    host: host.clone(),
                    port: wish.endpoint.port,
                    clue: None,
                    variable: Some(wish.variable.clone()),
                };
                add(&mut aims, aim);
            }
        }
    }
    aims.truncate(AIMS);
    aims
}

/// Adds an aim, unless more is known of the same one already.
fn add(aims: &mut Vec<Aim>, aim: Aim) {
    let same = aims.iter_mut().find(|one| {
        one.host == aim.host && (one.port == aim.port || one.port.is_none() || aim.port.is_none())
    });
    match same {
        Some(known) => {
            known.port = known.port.or(aim.port);
            known.variable = known.variable.take().or(aim.variable);
        }
        None => aims.push(aim),
    }
}

/// The denials in the log of a server are its answers to others.
fn is_own_denial(inquiry: &Inquiry, clue: &Clue) -> bool {
    let Trouble::Denied(denial) = clue.trouble else {
        return false;
    };
    // A client may be of the same image, so a suite and a job are none, and neither is who names the
    // other end.
    let node = inquiry.topology.node(&inquiry.subject);
    inquiry.occasion != Occasion::Suite
        && clue.endpoint.is_empty()
        && node.is_some_and(|node| !node.completes && node.ports.contains(&denial.server.port()))
}

/// What a clue with a host is about.
fn of_clue(inquiry: &Inquiry, wishes: &[Wish], clue: Clue) -> Aim {
    let topology = &inquiry.topology;
    let host = clue.endpoint.host.clone().unwrap_or_default();
    let wish = wishes.iter().find(|wish| {
        let theirs = wish.endpoint.host.as_deref().unwrap_or_default();
        let same_service = topology.meant(&inquiry.subject, theirs).is_some()
            && topology.meant(&inquiry.subject, theirs) == topology.meant(&inquiry.subject, &host);
        let same_port = match (wish.endpoint.port, clue.endpoint.port) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        (theirs == host || same_service || is_local(theirs) && is_local(&host)) && same_port
    });
    Aim {
        port: clue
            .endpoint
            .port
            .or_else(|| wish.and_then(|wish| wish.endpoint.port))
            .or_else(|| usual_port(&clue)),
        variable: wish.map(|wish| wish.variable.clone()),
        host,
        clue: Some(clue),
    }
}

fn usual_port(clue: &Clue) -> Option<u16> {
    match clue.trouble {
        Trouble::Denied(denial) => Some(denial.server.port()),
        _ => None,
    }
}

/// What a clue without a host may be about: what the variables name, else what is waited for.
fn of_silent_clue(inquiry: &Inquiry, wishes: &[Wish], clue: &Clue) -> Vec<Aim> {
    let topology = &inquiry.topology;
    let fits = |endpoint: &Endpoint| match (clue.trouble, endpoint.port) {
        (Trouble::Denied(denial), Some(port)) => port == denial.server.port(),
        _ => match (clue.endpoint.port, endpoint.port) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        },
    };
    let by_wish = wishes
        .iter()
        .filter(|wish| fits(&wish.endpoint))
        .filter_map(|wish| {
            Some(Aim {
                host: wish.endpoint.host.clone()?,
                port: wish.endpoint.port.or_else(|| usual_port(clue)),
                clue: Some(clue.clone()),
                variable: Some(wish.variable.clone()),
            })
        });
    let found: Vec<Aim> = by_wish.collect();
    if !found.is_empty() {
        return found;
    }
    let node = topology.node(&inquiry.subject);
    let waited_for = node.into_iter().flat_map(|node| node.depends_on.keys());
    let candidates: Vec<(&ServiceName, Option<u16>)> = waited_for
        .filter_map(|name| {
            let other = topology.node(name)?;
            let ports = other.ports.iter().copied();
            let port = usual_port(clue)
                .filter(|port| other.ports.contains(port))
                .or_else(|| ports.clone().next().filter(|_| ports.len() == 1));
            // What has done its work is reached by nobody.
            (!other.completes).then_some((name, port))
        })
        .collect();
    // A denial comes from the one server of its kind.
    let of_kind: Vec<_> = candidates
        .iter()
        .filter(|(_, port)| port.is_some() && *port == usual_port(clue))
        .copied()
        .collect();
    let candidates = if of_kind.is_empty() {
        candidates
    } else {
        of_kind
    };
    candidates
        .into_iter()
        .map(|(name, port)| Aim {
            host: topology
                .node(name)
                .map_or_else(|| name.to_string(), |node| node.of.clone()),
            port,
            clue: Some(clue.clone()),
            variable: None,
        })
        .collect()
}
