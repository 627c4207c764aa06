//! The aim is a service of the run.

use super::{Draft, NOTHING_LISTENS, dialled, place, reach};
use crate::config::model::Condition;
use crate::diagnosis::Inquiry;
use crate::diagnosis::aims::Aim;
use crate::diagnosis::looks::{Dialled, Seen};
use crate::diagnosis::remedy;
use crate::diagnosis::topology::{Place, Standing};
use crate::diagnosis::words::{self, Trouble};
use crate::name::ServiceName;
use crate::outcome::Cause;
use crate::probe::listening::is_loopback;

/// Why the subject did not reach a service.
pub(super) fn judge(
    inquiry: &Inquiry,
    seen: &Seen,
    aim: &Aim,
    target: &ServiceName,
) -> Option<Cause> {
    let topology = &inquiry.topology;
    if topology.is_together(&inquiry.subject, target) {
        // Its own name, or that of one in the same namespace: only listening can be wrong.
        return listening(inquiry, seen, aim, target);
    }
    no_network(inquiry, seen, aim, target)
        .or_else(|| not_running(inquiry, aim, target))
        .or_else(|| not_named(inquiry, seen, aim, target))
        .or_else(|| listening(inquiry, seen, aim, target))
        .or_else(|| filtered(inquiry, seen, aim, target))
        .or_else(|| too_early(inquiry, seen, aim, target))
}

/// They have no network in common.
fn no_network(inquiry: &Inquiry, seen: &Seen, aim: &Aim, target: &ServiceName) -> Option<Cause> {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    if matches!(dialled(seen, aim), Some(Dialled::Accepted)) {
        return None;
    }
    let ours = topology.networks_of(subject);
    let theirs = topology.networks_of(target);
    let name = remedy::in_file(topology, target);
    let draft = Draft::new(inquiry, aim, name);
    let service = remedy::in_file(topology, subject);
    let (whose, other, place) = match (topology.place(subject), topology.place(target)) {
        (Place::Own(_), Place::Own(_)) => {
            if !topology.shared(subject, target).is_empty() {
                return None;
            }
            let draft = draft
                .because(format!("`{service}` is on {}", keys(&ours)))
                .because(format!("`{name}` is on {}", keys(&theirs)))
                .seen(reach(seen, aim));
            let cause = draft.cause(
                "NoSharedNetwork",
                format!("no shared network: `{service}` is on {}, `{name}` on {}, so neither can resolve or reach the other", keys(&ours), keys(&theirs)),
                true,
            );
            let Place::Own(owner) = topology.place(subject) else {
                return None;
            };
            let network = theirs.iter().next();
            let remedy = network.map(|network| remedy::join(topology, owner, network));
            return Some(Cause { remedy, ..cause });
        }
        (Place::Bridge, Place::Bridge) if aim.host.parse::<std::net::IpAddr>().is_ok() => {
            return None;
        }
        (Place::Own(_), place) => (target, subject, place),
        (place, _) => (subject, target, place),
    };
    let whose_name = remedy::in_file(topology, whose);
    let on = topology.networks_of(other);
    let (kind, message) = match place {
        Place::Bridge => (
            "DefaultBridge",
            format!(
                "`{whose_name}` is on the engine's default bridge (`network_mode: bridge`), where no container has a name and none of the project's networks is, so `{service}` cannot find `{name}`"
            ),
        ),
        Place::Nowhere => (
            "NoSharedNetwork",
            format!(
                "no shared network: `{whose_name}` has no network at all (`network_mode: none`), so `{service}` cannot reach `{name}`"
            ),
        ),
        Place::Host => (
            "NoSharedNetwork",
            format!(
                "no shared network: `{whose_name}` is on the host's own network (`network_mode: host`), where no service has a name, so `{service}` cannot find `{name}`"
            ),
        ),
        Place::Elsewhere(mode) => (
            "NoSharedNetwork",
            format!(
                "no shared network: `{whose_name}` is on `{mode}` (`network_mode`), and not on the project's networks, so `{service}` cannot find `{name}`"
            ),
        ),
        Place::Own(_) => return None,
    };
    // A linked container is found over the default bridge all the same.
    let links = topology.node(subject).map(|node| &node.links);
    if links.is_some_and(|links| links.iter().any(|(linked, _)| linked == target)) {
        return None;
    }
    let cause = draft.seen(reach(seen, aim)).cause(kind, message, true);
    Some(Cause {
        remedy: Some(remedy::stand_on(topology, whose, &on)),
        ..cause
    })
}

/// It is not there.
fn not_running(inquiry: &Inquiry, aim: &Aim, target: &ServiceName) -> Option<Cause> {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let node = topology.node(target)?;
    let name = remedy::in_file(topology, target);
    let draft = Draft::new(inquiry, aim, name);
    let waits = topology
        .node(subject)
        .and_then(|node| node.depends_on.get(target));
    match &node.standing {
        Standing::Running { .. } => None,
        Standing::NotStarted => {
            let cause = draft.because(format!("`{name}` had not been started")).cause(
                "NotStarted",
                format!("`{subject}` wants {}, and `{name}` was not started yet: its name does not resolve before", place(aim)),
                true,
            );
            let remedy = waits
                .is_none()
                .then(|| remedy::wait_for(topology, subject, target));
            Some(Cause { remedy, ..cause })
        }
        Standing::Ended(how) => {
            let cause = draft.because(format!("`{name}` {how}")).cause(
                "TargetEnded",
                format!("`{subject}` wants {}, and `{name}` {how}: its name does not resolve any more, and nothing listens", place(aim)),
                true,
            );
            let remedy = Some(format!("see why `{name}` ended: `logs/{target}.log`"));
            Some(Cause { remedy, ..cause })
        }
    }
}

/// The name is one that the target has on another network, or the name server does not say it.
fn not_named(inquiry: &Inquiry, seen: &Seen, aim: &Aim, target: &ServiceName) -> Option<Cause> {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let reach = reach(seen, aim);
    let resolved = reach.and_then(|reach| reach.resolved.as_ref());
    let unresolved = match resolved {
        Some(answer) => answer.is_err(),
        None => aim.trouble() == Some(Trouble::Unresolved),
    };
    if !unresolved || aim.host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let name = remedy::in_file(topology, target);
    let draft = Draft::new(inquiry, aim, name).seen(reach);
    let shared = topology.shared(subject, target);
    if !topology.is_named_on_shared(subject, target, &aim.host) {
        let node = topology.node(target)?;
        let elsewhere = node
            .networks
            .iter()
            .filter(|(_, names)| names.iter().any(|one| one.eq_ignore_ascii_case(&aim.host)));
        let elsewhere: Vec<&str> = elsewhere.map(|(key, _)| key.as_str()).collect();
        let cause = draft
            .because(format!(
                "`{name}` is called so on {} alone",
                remedy::listed(elsewhere)
            ))
            .cause(
                "AliasElsewhere",
                format!(
                    "`{}` is a name of `{name}`, but not on {}, which is where `{subject}` is",
                    aim.host,
                    keys(&shared)
                ),
                true,
            );
        let to = remedy::say(
            remedy::in_file(topology, subject),
            aim.variable.as_deref(),
            "host",
            name,
        );
        return Some(Cause {
            remedy: Some(to),
            ..cause
        });
    }
    let node = topology.node(subject)?;
    let cause = draft.cause(
        "Unresolved",
        format!(
            "`{}` does not resolve where `{subject}` is, although both are on {}",
            aim.host,
            keys(&shared)
        ),
        resolved.is_some(),
    );
    let remedy = (!node.dns.is_empty()).then(|| {
        let service = remedy::in_file(topology, subject);
        format!("under `services: {service}:` take `dns` away: the engine's own server knows the names of the project")
    });
    Some(Cause { remedy, ..cause })
}

/// It refuses: nothing listens there, or not for others, or elsewhere.
fn listening(inquiry: &Inquiry, seen: &Seen, aim: &Aim, target: &ServiceName) -> Option<Cause> {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let port = aim.port?;
    let refused = match dialled(seen, aim) {
        Some(dialled) => *dialled == Dialled::Refused,
        None => aim.trouble() == Some(Trouble::Refused),
    };
    if !refused {
        return None;
    }
    let node = topology.node(target)?;
    let name = remedy::in_file(topology, target);
    let draft = Draft::new(inquiry, aim, name).seen(reach(seen, aim));
    let service = remedy::in_file(topology, subject);
    let output = seen.outputs.get(target);
    let init = output.and_then(|lines| words::init_scripts(lines.iter().map(String::as_str)));
    if let Some((server, line)) = init {
        let cause = draft.because(format!("`{name}` says: {line}")).cause(
            "InitRunning",
            format!(
                "`{name}` still runs its init scripts, and {} does not listen before they are done",
                server.name()
            ),
            true,
        );
        let remedy = Some(remedy::wait_for(topology, subject, target));
        return Some(Cause { remedy, ..cause });
    }
    let Some(listeners) = seen.listeners.get(target) else {
        if node.ports.is_empty() || node.ports.contains(&port) {
            return None;
        }
        return Some(other_port(target, draft, &known(node), false));
    };
    let here: Vec<_> = listeners.iter().filter(|one| one.port() == port).collect();
    if here.is_empty() {
        let others: Vec<u16> = listeners
            .iter()
            .filter(|one| !is_loopback(one.ip()))
            .map(|one| one.port())
            .collect();
        if others.is_empty() {
            let draft = draft.because(format!("nothing listens on port {port} in `{name}`"));
            let cause = draft.cause(
                NOTHING_LISTENS,
                format!(
                    "{} refuses `{service}`: nothing listens on port {port} in `{name}`",
                    place(aim)
                ),
                true,
            );
            let remedy = (!is_waited_for(inquiry, target))
                .then(|| remedy::wait_for(topology, subject, target));
            return Some(Cause { remedy, ..cause });
        }
        return Some(other_port(target, draft, &others, true));
    }
    if here.iter().all(|one| is_loopback(one.ip())) {
        let at: Vec<String> = here.iter().map(|one| one.to_string()).collect();
        let at = at.join(", ");
        let cause = draft.because(format!("`{name}` listens on {at}")).cause(
            "LoopbackOnly",
            format!("`{name}` listens on {at} only, which no other container can reach"),
            true,
        );
        let remedy = Some(format!(
            "let the server in `{name}` listen on `0.0.0.0:{port}` (all addresses) in place of the loopback address"
        ));
        return Some(Cause { remedy, ..cause });
    }
    // It listens now, so it did not then.
    too_early(inquiry, seen, aim, target)
}

fn known(node: &crate::diagnosis::topology::Node) -> Vec<u16> {
    node.ports.iter().copied().collect()
}

/// It listens, but not there.
fn other_port(target: &ServiceName, draft: Draft<'_>, others: &[u16], confirmed: bool) -> Cause {
    let (inquiry, aim) = (draft.inquiry, draft.aim);
    let topology = &inquiry.topology;
    let service = remedy::in_file(topology, &inquiry.subject);
    let name = remedy::in_file(topology, target);
    let port = aim.port.unwrap_or_default();
    let mut others: Vec<u16> = others.to_vec();
    others.sort_unstable();
    others.dedup();
    others.truncate(8);
    let texts: Vec<String> = others.iter().map(u16::to_string).collect();
    let node = topology.node(target);
    let inner = node.and_then(|node| node.published.get(&port).copied());
    let mut draft = draft.because(format!(
        "`{name}` listens on {}, and not on {port}",
        texts.join(", ")
    ));
    if let Some(inner) = inner {
        draft = draft.because(format!(
            "`ports` of `{name}` says `{port}:{inner}`: {port} is a port of the host, and between containers it is {inner}"
        ));
    }
    let to = inner
        .filter(|inner| others.contains(inner))
        .or_else(|| others.first().copied());
    let cause = draft.cause(
        "OtherPort",
        format!(
            "`{service}` wants port {port} of `{name}`, which listens on {}",
            texts.join(", ")
        ),
        confirmed,
    );
    Cause {
        remedy: to.map(|to| remedy::say(service, aim.variable.as_deref(), "port", &to.to_string())),
        ..cause
    }
}

/// Nobody answers, although there is a way.
fn filtered(inquiry: &Inquiry, seen: &Seen, aim: &Aim, target: &ServiceName) -> Option<Cause> {
    let topology = &inquiry.topology;
    let name = remedy::in_file(topology, target);
    let subject = &inquiry.subject;
    let dialled = dialled(seen, aim);
    let (silent, confirmed) = match dialled {
        Some(Dialled::Silent | Dialled::Unreachable(_)) => (true, true),
        Some(_) => (false, false),
        None => (
            matches!(aim.trouble(), Some(Trouble::Silent | Trouble::Unreachable)),
            false,
        ),
    };
    if !silent {
        return None;
    }
    let draft = Draft::new(inquiry, aim, name).seen(reach(seen, aim));
    let shared = keys(&topology.shared(subject, target));
    let cause = draft.cause(
        "Filtered",
        format!("{} does not answer `{subject}`, although both are on {shared}: what is sent to it is dropped on the way, by a packet filter in `{name}` or on the engine's host", place(aim)),
        confirmed,
    );
    let remedy = Some(format!(
        "look for rules in `{name}` (`iptables -S`, needs `NET_ADMIN`) and in `DOCKER-USER` of the engine's host"
    ));
    Some(Cause { remedy, ..cause })
}

/// It answers now, so it was asked before it was ready.
fn too_early(inquiry: &Inquiry, seen: &Seen, aim: &Aim, target: &ServiceName) -> Option<Cause> {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let clue = aim.clue.as_ref()?;
    let node = topology.node(target)?;
    let name = remedy::in_file(topology, target);
    let mut draft = Draft::new(inquiry, aim, name).seen(reach(seen, aim));
    if clue.trouble == Trouble::StartingUp {
        draft = draft.because(format!("`{name}` has answered that it is starting"));
    }
    if is_waited_for(inquiry, target) {
        // It was ready and refuses no more: there is nothing in the file that would help.
        return None;
    }
    let answers_now = matches!(dialled(seen, aim), Some(Dialled::Accepted));
    let is_early = clue.trouble == Trouble::StartingUp
        || matches!(clue.trouble, Trouble::Refused | Trouble::Unresolved)
            && (answers_now || !node.is_ready());
    if !is_early {
        return None;
    }
    let now = if answers_now {
        "which answers by now"
    } else {
        "which was not ready"
    };
    let cause = draft
        .because(format!("`{subject}` does not wait until `{name}` is ready"))
        .cause(
            "TooEarly",
            format!(
                "`{subject}` asked {} before it was ready, {now}",
                place(aim)
            ),
            answers_now || clue.trouble == Trouble::StartingUp,
        );
    Some(Cause {
        remedy: Some(remedy::wait_for(topology, subject, target)),
        ..cause
    })
}

/// Whether the subject starts after the target is ready.
fn is_waited_for(inquiry: &Inquiry, target: &ServiceName) -> bool {
    let node = inquiry.topology.node(&inquiry.subject);
    let condition = node.and_then(|node| node.depends_on.get(target));
    matches!(
        condition,
        Some(Condition::Ready | Condition::Healthy | Condition::CompletedSuccessfully)
    )
}

fn keys(networks: &std::collections::BTreeSet<&crate::name::NetworkKey>) -> String {
    remedy::listed(networks.iter().map(|key| key.as_str()))
}
