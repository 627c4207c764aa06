//! `localhost`, where another container is meant.

use super::{Draft, place};
use crate::diagnosis::aims::Aim;
use crate::diagnosis::looks::Seen;
use crate::diagnosis::{Inquiry, remedy};
use crate::name::ServiceName;
use crate::outcome::Cause;

/// The services that may be meant by a port of this container: those that name it, first those that
/// are waited for.
pub(super) fn meant_by_port<'inquiry>(
    inquiry: &'inquiry Inquiry,
    aim: &Aim,
) -> Vec<&'inquiry ServiceName> {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let waited_for = topology.node(subject).map(|node| &node.depends_on);
    let waits_for = |name: &ServiceName| waited_for.is_some_and(|all| all.contains_key(name));
    let is_other = |name: &ServiceName| !topology.is_together(subject, name);
    let mut found: Vec<&ServiceName> = topology
        .services
        .iter()
        .filter(|(name, node)| {
            is_other(name)
                && aim.port.is_some_and(|port| {
                    node.ports.contains(&port) || node.published.contains_key(&port)
                })
        })
        .map(|(name, _)| name)
        .collect();
    found.sort_by_key(|name| !waits_for(name));
    found
}

/// The subject has asked itself.
pub(super) fn localhost(inquiry: &Inquiry, seen: &Seen, aim: &Aim) -> Option<Cause> {
    let subject = &inquiry.subject;
    let topology = &inquiry.topology;
    let clue_or_variable = aim.is_told() || aim.variable.is_some();
    let own = seen.listeners.get(subject);
    let serves_itself = own.is_some_and(|all| all.iter().any(|one| Some(one.port()) == aim.port));
    if !clue_or_variable || serves_itself {
        return None;
    }
    let target = meant_by_port(inquiry, aim).into_iter().next();
    let Some(target) = target else {
        // A program may well ask itself. Only its own words make it a cause.
        aim.is_told().then_some(())?;
        let cause = Draft::new(inquiry, aim, &aim.host).cause(
            "Localhost",
            format!(
                "`{subject}` connects to itself at {}, and nothing listens there: `localhost` in a container is that container alone",
                place(aim)
            ),
            own.is_some(),
        );
        let service = remedy::in_file(topology, subject);
        let what = "the name of the service that is meant in place of";
        return Some(Cause {
            remedy: Some(match &aim.variable {
                Some(variable) => format!(
                    "in `{variable}` under `services: {service}: environment:` write {what} `{}`",
                    aim.host
                ),
                None => format!("let `{service}` use {what} `{}`", aim.host),
            }),
            ..cause
        });
    };
    let node = topology.node(target)?;
    let port = aim.port.unwrap_or_default();
    let name = remedy::in_file(topology, target);
    let mut draft = Draft::new(inquiry, aim, name);
    let inner = node.published.get(&port).copied().unwrap_or(port);
    draft = draft.because(if node.ports.contains(&port) {
        format!("`{name}` has port {port} in the Compose file")
    } else {
        format!("`{name}` publishes its port {inner} as {port} of the host")
    });
    let listeners = seen.listeners.get(target);
    let serves = listeners.is_some_and(|all| all.iter().any(|one| one.port() == inner));
    if serves {
        draft = draft.because(format!("`{name}` listens on port {inner}"));
    }
    let cause = draft.cause(
        "Localhost",
        format!(
            "`{subject}` connects to itself at {}, where `{name}` is meant: `localhost` in a container is that container alone",
            place(aim)
        ),
        // What the file says of ports is no proof: it takes the subject's own words, and a look.
        aim.is_told() && (own.is_some() || serves),
    );
    let service = remedy::in_file(topology, subject);
    let to = if inner == port {
        name.to_owned()
    } else {
        format!("{name}:{inner}")
    };
    Some(Cause {
        remedy: Some(remedy::say(service, aim.variable.as_deref(), "host", &to)),
        ..cause
    })
}
