//! From what is known to causes: one aim after the other, each judged by the first rule that explains
//! it. A cause that the model or a look proves is confirmed.

mod beyond;
mod names;
mod service;
mod subject;

use super::aims::Aim;
use super::looks::{Dialled, Look, Reach, Seen};
use super::topology::is_local;
use super::words::Trouble;
use super::{Inquiry, credentials};
use crate::name::ServiceName;
use crate::outcome::Cause;

pub(super) use self::subject::{looks as looks_at_subject, of_subject};

/// The kind of the cause that nothing listens.
pub(super) const NOTHING_LISTENS: &str = "NothingListens";

/// What is worth a look for one aim.
pub(super) fn looks(inquiry: &Inquiry, aim: &Aim) -> Vec<Look> {
    let mut looks = Vec::new();
    let topology = &inquiry.topology;
    if is_local(&aim.host) {
        // Whoever may be meant, by its port.
        let candidates = names::meant_by_port(inquiry, aim);
        looks.extend(candidates.into_iter().cloned().map(Look::Listeners));
        looks.push(Look::Listeners(inquiry.subject.clone()));
        return looks;
    }
    looks.push(Look::Reach {
        host: aim.host.clone(),
        port: aim.port,
    });
    match topology.meant(&inquiry.subject, &aim.host) {
        Some(target) if topology.node(target).is_some_and(|node| node.runs()) => {
            looks.push(Look::Listeners(target.clone()));
            looks.push(Look::Output(target.clone()));
        }
        Some(_) => {}
        None if aim.host.parse::<std::net::IpAddr>().is_err() => {
            looks.push(Look::Stranger(aim.host.clone()));
        }
        None => {}
    }
    looks
}

/// What an aim failed by.
pub(super) fn judge(inquiry: &Inquiry, seen: &Seen, aim: &Aim) -> Option<Cause> {
    if let Some(Trouble::Denied(denial)) = aim.trouble() {
        return Some(credentials::cause(inquiry, aim, denial));
    }
    if is_local(&aim.host) {
        return names::localhost(inquiry, seen, aim);
    }
    match inquiry.topology.meant(&inquiry.subject, &aim.host) {
        Some(target) => service::judge(inquiry, seen, aim, target),
        None => beyond::judge(inquiry, seen, aim),
    }
}

/// A cause in the making.
pub(super) struct Draft<'inquiry> {
    inquiry: &'inquiry Inquiry,
    aim: &'inquiry Aim,
    target: String,
    evidence: Vec<String>,
}

impl<'inquiry> Draft<'inquiry> {
    /// One that begins with what the subject has said.
    pub(super) fn new(inquiry: &'inquiry Inquiry, aim: &'inquiry Aim, target: &str) -> Self {
        let subject = &inquiry.subject;
        let evidence = match (&aim.clue, &aim.variable) {
            (Some(clue), _) => format!("`{subject}` says: {}", clue.line),
            (None, Some(variable)) => {
                format!("`{variable}` of `{subject}` names {}", place(aim))
            }
            (None, None) => format!("`{subject}` waits for `{target}`"),
        };
        Self {
            inquiry,
            aim,
            target: target.to_owned(),
            evidence: vec![evidence],
        }
    }

    /// One with something more that speaks for it.
    pub(super) fn because(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// One with what a look has seen of the way.
    pub(super) fn seen(mut self, reach: Option<&Reach>) -> Self {
        self.evidence.extend(
            reach.and_then(|reach| {
                told(&self.inquiry.subject, &self.aim.host, self.aim.port, reach)
            }),
        );
        self
    }

    /// The cause.
    pub(super) fn cause(self, kind: &'static str, message: String, confirmed: bool) -> Cause {
        Cause {
            kind,
            service: self.inquiry.subject.clone(),
            target: Some(self.target),
            message,
            evidence: self.evidence,
            remedy: None,
            confirmed,
        }
    }
}

/// What a look has seen of the way to an end.
fn told(subject: &ServiceName, host: &str, port: Option<u16>, reach: &Reach) -> Option<String> {
    let from = format!("seen from where `{subject}` is");
    match (&reach.resolved, &reach.dialled, port) {
        (Some(Err(reason)), ..) => Some(format!("{from}: `{host}` does not resolve: {reason}")),
        (_, Some((address, dialled)), _) => {
            let answer = match dialled {
                Dialled::Accepted => "accepts connections".to_owned(),
                Dialled::Refused => "refuses connections".to_owned(),
                Dialled::Silent => "does not answer".to_owned(),
                Dialled::Unreachable(words) => format!("cannot be reached: {words}"),
            };
            Some(format!("{from}: `{host}` at {address} {answer}"))
        }
        (Some(Ok(addresses)), None, _) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Some(format!("{from}: `{host}` is {}", addresses.join(", ")))
        }
        _ => None,
    }
}

/// An aim in words: `db:5432`, `db`.
pub(super) fn place(aim: &Aim) -> String {
    match aim.port {
        Some(port) if aim.host.contains(':') => format!("`[{}]:{port}`", aim.host),
        Some(port) => format!("`{}:{port}`", aim.host),
        None => format!("`{}`", aim.host),
    }
}

/// What was seen of the way to an aim.
pub(super) fn reach<'seen>(seen: &'seen Seen, aim: &Aim) -> Option<&'seen Reach> {
    seen.reached.get(&(aim.host.clone(), aim.port))
}

/// What became of the connection that was tried.
pub(super) fn dialled<'seen>(seen: &'seen Seen, aim: &Aim) -> Option<&'seen Dialled> {
    let (_, dialled) = reach(seen, aim)?.dialled.as_ref()?;
    Some(dialled)
}
