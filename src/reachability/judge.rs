//! Whether what was seen is as promised.
//!
//! By name and by address are two questions: both must be answered by yes where a target is to be reached,
//! and by no where it is not. A try that could not be made is never an answer.

mod text;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::expected::Model;
use super::matrix::{Matrix, Pair, Promise};
use super::seen::{Answer, Look, Named, Seen, Try, TryKind};
use crate::config::model::reachability::Whom;

/// How much of a target was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Nothing.
    Nothing,
    /// Packets come through.
    Answered,
    /// A connection was accepted.
    Connected,
}

/// The judgement on a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As promised.
    Kept,
    /// Not as promised.
    Broken,
    /// It could not be tried.
    Untried,
    /// Nothing was promised.
    Unjudged,
}

/// A pair with what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The pair.
    pub pair: Pair,
    /// The judgement.
    pub verdict: Verdict,
    /// What was reached by the name of the target; `None` where it has none or it could not be tried.
    pub by_name: Option<Reached>,
    /// What was reached by its addresses; `None` where it has none or it could not be tried.
    pub by_address: Option<Reached>,
    /// One line: what was seen, and what was promised.
    pub message: String,
    /// What was seen in all detail, and the likely cause with the line to change.
    pub details: String,
    /// How long the tries took.
    pub took: Duration,
}

/// Judges all pairs.
#[must_use]
pub fn judge(matrix: &Matrix, model: &Model, seen: &Seen) -> Vec<Case> {
    let pairs = matrix.pairs.iter();
    pairs.map(|pair| case(pair, model, seen)).collect()
}

/// Whether what is promised to be reached was, by one look.
#[must_use]
pub fn is_kept(pair: &Pair, look: &Look) -> bool {
    let ways = (way_by_name(look, pair), way_by_address(look, pair));
    verdict(pair, &ways.0, &ways.1) == Verdict::Kept
}

/// What one way of asking came to: by name, or by address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// There is nothing to ask for.
    None,
    /// It could not be asked, and why.
    Untried(String),
    /// What was reached by each of those that have to be: the least and the most of it.
    Seen(Reached, Reached),
}

impl Way {
    /// The same for several containers, all of which count.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, other) | (other, Self::None) => other,
            (Self::Seen(least, most), Self::Seen(other_least, other_most)) => {
                Self::Seen(least.min(other_least), most.max(other_most))
            }
            // A connection is a connection, whatever could not be tried beside it.
            (Self::Untried(why), Self::Seen(_, most))
            | (Self::Seen(_, most), Self::Untried(why)) => match most {
                Reached::Nothing => Self::Untried(why),
                most => Self::Seen(Reached::Nothing, most),
            },
            (Self::Untried(why), Self::Untried(_)) => Self::Untried(why),
        }
    }

    fn most(&self) -> Option<Reached> {
        match self {
            Self::Seen(_, most) => Some(*most),
            _ => None,
        }
    }
}

fn case(pair: &Pair, model: &Model, seen: &Seen) -> Case {
    let looks: Vec<&Look> = seen
        .looks
        .iter()
        .filter(|look| look.source == pair.source && look.target == pair.target.whom)
        .collect();
    let missing = seen.missing.values().find(|(of, _)| *of == pair.source);
    let mut by_name = Way::None;
    let mut by_address = Way::None;
    for look in &looks {
        by_name = by_name.and(way_by_name(look, pair));
        by_address = by_address.and(way_by_address(look, pair));
    }
    if let Some((_, why)) = missing {
        by_address = by_address.and(Way::Untried(why.clone()));
    } else if looks.is_empty() {
        by_address = Way::Untried("it was not tried".to_owned());
    }
    let verdict = verdict(pair, &by_name, &by_address);
    let (message, details) = text::of(
        (pair, verdict),
        (&by_name, &by_address),
        &looks,
        (model, seen),
    );
    Case {
        pair: pair.clone(),
        verdict,
        by_name: by_name.most(),
        by_address: by_address.most(),
        message,
        details,
        took: looks.iter().map(|look| look.took).max().unwrap_or_default(),
    }
}

fn verdict(pair: &Pair, by_name: &Way, by_address: &Way) -> Verdict {
    let ways = [by_name, by_address];
    let untried = ways.iter().any(|way| matches!(way, Way::Untried(_)));
    let reached = |enough: Reached| ways.iter().any(|way| way.most() >= Some(enough));
    let all = |enough: Reached| {
        let mut seen = ways
            .iter()
            .filter(|way| !matches!(way, Way::None))
            .peekable();
        seen.peek().is_some()
            && seen.all(|way| matches!(way, Way::Seen(least, _) if *least >= enough))
    };
    let nothing_to_ask = *by_name == Way::None && *by_address == Way::None;
    match pair.promise {
        Promise::Nothing => Verdict::Unjudged,
        Promise::Reachable => {
            let enough = match pair.target.port {
                Some(_) => Reached::Connected,
                None if pair.target.whom == Whom::Internet => Reached::Connected,
                None => Reached::Answered,
            };
            if all(enough) {
                Verdict::Kept
            } else if untried {
                Verdict::Untried
            } else {
                Verdict::Broken
            }
        }
        Promise::Unreachable | Promise::Closed => {
            let enough = match pair.promise {
                Promise::Closed => Reached::Connected,
                _ => Reached::Answered,
            };
            // Without an address there is nothing that could be reached.
            if reached(enough) {
                Verdict::Broken
            } else if untried && !nothing_to_ask {
                Verdict::Untried
            } else {
                Verdict::Kept
            }
        }
    }
}

fn way_by_name(look: &Look, pair: &Pair) -> Way {
    match &look.named {
        Named::Nameless(_) => Way::None,
        Named::Unknown | Named::NoAnswer => Way::Seen(Reached::Nothing, Reached::Nothing),
        Named::NotAsked(why) => Way::Untried(why.clone()),
        Named::Addresses(_) => {
            let tries: Vec<&Try> = look.by_name.iter().collect();
            match reached(&tries, pair) {
                Ok(reached) => Way::Seen(reached, reached),
                Err(why) => Way::Untried(why),
            }
        }
    }
}

/// Every replica of the target has to be reached at one of its addresses at least.
fn way_by_address(look: &Look, pair: &Pair) -> Way {
    let replicas = look
        .addresses
        .values()
        .filter(|addresses| !addresses.is_empty());
    let ways = replicas.map(|addresses| {
        let own: BTreeSet<&IpAddr> = addresses.iter().collect();
        let tries = look.by_address.iter();
        let tries: Vec<&Try> = tries.filter(|one| own.contains(&one.address)).collect();
        match reached(&tries, pair) {
            Ok(reached) => Way::Seen(reached, reached),
            Err(why) => Way::Untried(why),
        }
    });
    ways.fold(Way::None, Way::and)
}

/// The most that was reached by some tries, or why nothing can be said.
///
/// A refusal is an answer only where nothing better tells: the packet filter of a host refuses in the same
/// words as a kernel without a listener. Where the agent beside the target was tried as well, it decides.
fn reached(tries: &[&Try], pair: &Pair) -> Result<Reached, String> {
    let counts = |one: &Try| match (one.kind, pair.target.port) {
        (TryKind::Port(port), Some(wanted)) => port == wanted,
        (TryKind::Canary(_) | TryKind::Echo, Some(_)) => false,
        (_, None) => true,
    };
    let canary_at = |address: IpAddr| {
        tries.iter().any(|one| {
            one.address == address
                && matches!(one.kind, TryKind::Canary(_))
                && !matches!(one.answer, Answer::NotTried(_))
        })
    };
    let mut most = Reached::Nothing;
    let mut untried = None;
    for one in tries.iter().filter(|one| counts(one)) {
        let reached = match (&one.answer, one.kind) {
            (Answer::Accepted, TryKind::Port(_)) => Reached::Connected,
            (Answer::Accepted, _) => Reached::Answered,
            (Answer::Refused, TryKind::Port(_)) if !canary_at(one.address) => Reached::Answered,
            (Answer::Refused | Answer::NoAnswer | Answer::NoWay(_), _) => Reached::Nothing,
            // Not every kernel lets containers send echoes, and they are only one sign of several.
            (Answer::NotTried(_), TryKind::Echo) => Reached::Nothing,
            (Answer::NotTried(why), _) => {
                untried.get_or_insert_with(|| why.clone());
                Reached::Nothing
            }
        };
        most = most.max(reached);
    }
    // A target that listens on nothing accepts nothing; that no packet comes through has to be seen.
    let is_told = |one: &&&Try| counts(one) && !matches!(one.answer, Answer::NotTried(_));
    if pair.promise != Promise::Closed && !tries.iter().any(|one| is_told(&one)) {
        untried.get_or_insert_with(|| "there was nothing that could be tried".to_owned());
    }
    match untried {
        Some(why) if most < Reached::Connected => Err(why),
        _ => Ok(most),
    }
}

#[cfg(test)]
mod tests;
