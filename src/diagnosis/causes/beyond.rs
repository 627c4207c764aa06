//! The aim is no service of the run: a name that is wrong, a container of somebody else, the outside.

use std::net::IpAddr;

use super::{Draft, dialled, place, reach};
use crate::config::suggest;
use crate::diagnosis::aims::Aim;
use crate::diagnosis::looks::{Dialled, Seen};
use crate::diagnosis::words::Trouble;
use crate::diagnosis::{Inquiry, remedy};
use crate::outcome::Cause;

/// Why the subject did not reach something that is none of the run's services.
pub(super) fn judge(inquiry: &Inquiry, seen: &Seen, aim: &Aim) -> Option<Cause> {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let node = topology.node(subject)?;
    let reach = reach(seen, aim);
    let resolved = reach.and_then(|reach| reach.resolved.as_ref());
    let is_address = aim.host.parse::<IpAddr>().is_ok();
    let is_given = node.extra_hosts.contains(&aim.host);
    // Whether the name failed, by a look or else by the subject's own words.
    let unresolved = match resolved {
        Some(answer) => answer.is_err() && !is_given,
        None => aim.trouble() == Some(Trouble::Unresolved),
    };
    if !is_address && unresolved {
        return Some(unknown_name(inquiry, seen, aim, resolved.is_some()));
    }
    // Without a word of the subject, nothing says that it has failed.
    if !aim.is_told() {
        return None;
    }
    let draft = || Draft::new(inquiry, aim, &aim.host).seen(reach);
    let trouble = match dialled(seen, aim) {
        Some(Dialled::Accepted) => return None,
        Some(Dialled::Refused) => (Trouble::Refused, true),
        Some(Dialled::Silent) => (Trouble::Silent, true),
        Some(Dialled::Unreachable(_)) => (Trouble::Unreachable, true),
        None => (aim.trouble()?, false),
    };
    if topology.is_confined(subject) && matches!(trouble.0, Trouble::Silent | Trouble::Unreachable)
    {
        return Some(confined(inquiry, aim, draft(), trouble.1));
    }
    let (kind, message, remedy) = match trouble.0 {
        Trouble::Refused => (
            "RefusedOutside",
            format!(
                "{}, outside of the run, refuses `{subject}`: nothing listens there for it",
                place(aim)
            ),
            None,
        ),
        Trouble::Silent | Trouble::Unreachable => (
            "Filtered",
            format!(
                "{}, outside of the run, does not answer `{subject}`: what is sent there is dropped on the way, or nobody is there",
                place(aim)
            ),
            Some("can the engine's host reach it? rules in `DOCKER-USER` and of a firewall on that host apply to containers".to_owned()),
        ),
        _ => return None,
    };
    let cause = draft().cause(kind, message, trouble.1);
    Some(Cause { remedy, ..cause })
}

/// There is no way out.
fn confined(inquiry: &Inquiry, aim: &Aim, draft: Draft<'_>, confirmed: bool) -> Cause {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let networks = topology.networks_of(subject);
    let keys = remedy::listed(networks.iter().map(|key| key.as_str()));
    let service = remedy::in_file(topology, subject);
    let message = if networks.is_empty() {
        format!(
            "{} is outside of the run, and `{subject}` has no network",
            place(aim)
        )
    } else {
        format!(
            "{} is outside of the run, and `{subject}` is on {keys} alone, which is `internal: true` and has no way out",
            place(aim)
        )
    };
    let open = topology
        .networks
        .iter()
        .find(|(_, internal)| !**internal)
        .map(|(key, _)| key);
    let remedy = match open {
        Some(key) => remedy::join(topology, subject, key),
        None => format!(
            "add a network that is not `internal` under the top-level `networks:`, and to `services: {service}: networks:`"
        ),
    };
    Cause {
        remedy: Some(remedy),
        ..draft
            .because(format!("every network of `{service}` is internal"))
            .cause("Internal", message, confirmed)
    }
}

/// Nobody of the run has this name.
fn unknown_name(inquiry: &Inquiry, seen: &Seen, aim: &Aim, confirmed: bool) -> Cause {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let host = aim.host.as_str();
    let service = remedy::in_file(topology, subject);
    let draft = Draft::new(inquiry, aim, host).seen(reach(seen, aim));
    let names = topology.names();
    let absent = topology.absent.as_ref();
    if let Some((suite, _)) = absent.filter(|(_, absent)| absent.contains(host)) {
        let cause = draft
            .because(format!("suite `{suite}` has `isolation: own`"))
            .cause(
                "NotInOwnEnvironment",
                format!(
                    "`{host}` is not in the own environment of suite `{suite}`, which holds what the suite depends on and nothing else"
                ),
                confirmed,
            );
        let remedy = Some(remedy::needs_too(suite.as_str(), host));
        return Cause { remedy, ..cause };
    }
    if let Some(stranger) = seen.strangers.get(host) {
        let of = match &stranger.project {
            Some(project) => format!(" of project `{project}`"),
            None => String::new(),
        };
        let runs = if stranger.running { "runs" } else { "exists" };
        let cause = draft.because(format!("a container `{host}`{of} {runs} on this engine")).cause(
            "OtherProject",
            format!("`{host}` is no service of this file but a container{of}, outside of the run and on none of its networks"),
            true,
        );
        let remedy = Some(format!(
            "add a service for `{host}` to the file, or put both on a network of the engine by `networks: {{ NAME: {{ external: true }} }}`"
        ));
        return Cause { remedy, ..cause };
    }
    if let Some(near) = suggest::nearest(host, names.iter().copied()) {
        let cause = draft
            .because(format!(
                "the names of the run are {}",
                remedy::listed(names.iter().copied().take(20))
            ))
            .cause(
                "UnknownName",
                format!("no service of the run is called `{host}`: did you mean `{near}`?"),
                confirmed,
            );
        let to = remedy::say(service, aim.variable.as_deref(), "host", near);
        return Cause {
            remedy: Some(to),
            ..cause
        };
    }
    if host.contains('.') {
        if topology.is_confined(subject) {
            return confined(inquiry, aim, draft, confirmed);
        }
        let node = topology.node(subject);
        let dns: Vec<&str> = node
            .map(|node| node.dns.iter().map(String::as_str).collect())
            .unwrap_or_default();
        let (why, remedy) = if dns.is_empty() {
            (
                "by the name servers of the engine's host".to_owned(),
                format!(
                    "is the name right, and does it resolve on the engine's host? `dns:` under `services: {service}:` names other servers"
                ),
            )
        } else {
            (
                format!("by {} of its `dns`", remedy::listed(dns)),
                format!("under `services: {service}:` change `dns`, or take it away"),
            )
        };
        let cause = draft.cause(
            "OutsideName",
            format!("`{host}`, outside of the run, does not resolve for `{subject}` {why}"),
            confirmed,
        );
        return Cause {
            remedy: Some(remedy),
            ..cause
        };
    }
    let cause = draft
        .because(format!(
            "the names of the run are {}",
            remedy::listed(names.iter().copied().take(20))
        ))
        .cause(
            "UnknownName",
            format!("no service of the run is called `{host}`"),
            confirmed,
        );
    let remedy = Some(format!(
        "add a service `{host}` to the file, or let `{service}` use one of the names above"
    ));
    Cause { remedy, ..cause }
}
