//! From the rows of a file to the pairs: owns what is promised of each.
//!
//! All services that a matrix names, as source or as target, are tried against each other, and each of them
//! against `host` and `internet` where these are named. What a row does not say must be unreachable, with
//! one exception: networks have no direction, so whoever is reached by another can answer it. Of the way
//! back of a promise only connections are judged, and of a service without a row of its own it is not
//! judged at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::model::reachability::{Reachability, Target, Whom};
use crate::name::ServiceName;

/// What is promised of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// The target is reached: its port accepts, or without a port anything of it answers.
    Reachable,
    /// Nothing of the target answers.
    Unreachable,
    /// No port of the target accepts a connection. That packets go to and fro follows from another promise.
    Closed,
    /// Nothing.
    Nothing,
}

impl fmt::Display for Promise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Reachable => "reachable",
            Self::Unreachable | Self::Closed => "unreachable",
            Self::Nothing => "nothing promised",
        })
    }
}

/// One pair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// From where it is tried.
    pub source: ServiceName,
    /// What is tried.
    pub target: Target,
    /// What is promised.
    pub promise: Promise,
}

impl fmt::Display for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} -> {}", self.source, self.target)
    }
}

impl Pair {
    /// The name of the test case: it stays the same whatever comes out.
    #[must_use]
    pub fn case_name(&self) -> String {
        match self.promise {
            Promise::Nothing => format!("{self}: nothing promised"),
            promise => format!("{self}: {promise} as promised"),
        }
    }
}

/// All pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// In order of source and target.
    pub pairs: Vec<Pair>,
    /// The ports that the file names for each target.
    pub ports: BTreeMap<Whom, BTreeSet<u16>>,
}

impl Matrix {
    /// The pairs of a file's rows.
    #[must_use]
    pub fn of(matrix: &Reachability) -> Self {
        let targets = || matrix.rows.values().flatten();
        let mut ports: BTreeMap<Whom, BTreeSet<u16>> = BTreeMap::new();
        for target in targets() {
            ports
                .entry(target.whom.clone())
                .or_default()
                .extend(target.port);
        }
        for source in matrix.rows.keys() {
            ports.entry(Whom::Service(source.clone())).or_default();
        }
        let members = ports.keys().filter_map(|whom| match whom {
            Whom::Service(name) => Some(name),
            _ => None,
        });
        let members: Vec<&ServiceName> = members.collect();
        let mut pairs = Vec::new();
        for source in members {
            for (whom, named) in &ports {
                if *whom != Whom::Service(source.clone()) {
                    pair(matrix, source, (whom, named), &mut pairs);
                }
            }
        }
        Self { pairs, ports }
    }

    /// The services that are named, in order.
    pub fn members(&self) -> impl Iterator<Item = &ServiceName> {
        self.ports.keys().filter_map(|whom| match whom {
            Whom::Service(name) => Some(name),
            _ => None,
        })
    }

    /// The pairs from one service to another.
    pub fn between<'a>(
        &'a self,
        source: &'a ServiceName,
        whom: &'a Whom,
    ) -> impl Iterator<Item = &'a Pair> {
        let pairs = self.pairs.iter();
        pairs.filter(move |pair| pair.source == *source && pair.target.whom == *whom)
    }
}

/// The pairs of one source and one target: one for each port that is promised or kept from it, else one.
fn pair(
    matrix: &Reachability,
    source: &ServiceName,
    (whom, ports): (&Whom, &BTreeSet<u16>),
    pairs: &mut Vec<Pair>,
) {
    let mut add = |port: Option<u16>, promise: Promise| {
        pairs.push(Pair {
            source: source.clone(),
            target: Target {
                whom: whom.clone(),
                port,
            },
            promise,
        });
    };
    let row = matrix.rows.get(source);
    let promised: BTreeSet<Option<u16>> = row
        .into_iter()
        .flatten()
        .filter(|target| target.whom == *whom)
        .map(|target| target.port)
        .collect();
    if promised.is_empty() {
        let back = match whom {
            Whom::Service(name) => matrix.rows.get(name).is_some_and(|row| {
                row.iter()
                    .any(|target| target.whom == Whom::Service(source.clone()))
            }),
            Whom::Host | Whom::Internet => false,
        };
        return match (back, row) {
            (false, _) => add(None, Promise::Unreachable),
            (true, Some(_)) => add(None, Promise::Closed),
            (true, None) => add(None, Promise::Nothing),
        };
    }
    for port in &promised {
        add(*port, Promise::Reachable);
    }
    // Who may reach any port may reach those that others are promised.
    if !promised.contains(&None) {
        let kept = ports
            .iter()
            .filter(|port| !promised.contains(&Some(**port)));
        kept.for_each(|port| add(Some(*port), Promise::Closed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `api=db:5432,host; db=` as rows.
    pub(crate) fn rows(text: &str) -> Reachability {
        let rows = text.split(';').map(|row| {
            let (source, targets) = row.trim().split_once('=').unwrap();
            let targets = targets.split(',').filter(|target| !target.is_empty());
            let targets = targets.map(|target| {
                let (name, port) = match target.split_once(':') {
                    Some((name, port)) => (name, Some(port.parse().unwrap())),
                    None => (target, None),
                };
                let whom = match name {
                    "host" => Whom::Host,
                    "internet" => Whom::Internet,
                    name => Whom::Service(name.into()),
                };
                Target { whom, port }
            });
            (source.into(), targets.collect())
        });
        Reachability {
            rows: rows.collect(),
        }
    }

    fn pairs(text: &str) -> String {
        let matrix = Matrix::of(&rows(text));
        let names = matrix.pairs.iter().map(|pair| match pair.promise {
            Promise::Closed => format!("{} (connections)", pair.case_name()),
            _ => pair.case_name(),
        });
        names.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_pair_of_named_services_is_there() {
        insta::assert_snapshot!(pairs("e2e=api:8000;api=db:5432"), @"
        api -> db:5432: reachable as promised
        api -> e2e: unreachable as promised (connections)
        db -> api: nothing promised
        db -> e2e: unreachable as promised
        e2e -> api:8000: reachable as promised
        e2e -> db: unreachable as promised
        ");
    }

    #[test]
    fn an_empty_row_promises_that_nothing_is_reached() {
        insta::assert_snapshot!(pairs("api=db:5432;db="), @"
        api -> db:5432: reachable as promised
        db -> api: unreachable as promised (connections)
        ");
    }

    #[test]
    fn host_and_internet_are_targets_of_all_where_they_are_named() {
        insta::assert_snapshot!(pairs("api=internet,host:8080;db=host"), @"
        api -> db: unreachable as promised
        api -> host:8080: reachable as promised
        api -> internet: reachable as promised
        db -> api: unreachable as promised
        db -> host: reachable as promised
        db -> internet: unreachable as promised
        ");
    }

    #[test]
    fn a_port_of_another_row_is_kept_from_whoever_was_not_promised_it() {
        insta::assert_snapshot!(pairs("api=db:5432;admin=db:5432,db:9000;any=db"), @"
        admin -> any: unreachable as promised
        admin -> api: unreachable as promised
        admin -> db:5432: reachable as promised
        admin -> db:9000: reachable as promised
        any -> admin: unreachable as promised
        any -> api: unreachable as promised
        any -> db: reachable as promised
        api -> admin: unreachable as promised
        api -> any: unreachable as promised
        api -> db:5432: reachable as promised
        api -> db:9000: unreachable as promised (connections)
        db -> admin: nothing promised
        db -> any: nothing promised
        db -> api: nothing promised
        ");
    }

    #[test]
    fn eight_services_make_fifty_six_pairs() {
        let matrix = Matrix::of(&rows("a=b;b=c;c=d;d=e;e=f;f=g;g=h;h="));
        assert_eq!(matrix.pairs.len(), 56);
    }

    proptest::proptest! {
        /// Each source meets each other target, nothing meets itself, no pair stands twice, and all that
        /// is promised is there.
        #[test]
        fn the_pairs_are_those_of_all_that_is_named(
            edges in proptest::collection::vec((0_u8..6, 0_u8..8, proptest::option::of(1_u16..4)), 1..20),
        ) {
            let mut matrix = Reachability::default();
            for (source, target, port) in edges {
                let name = |number: u8| ServiceName::new(format!("s{number}"));
                let row = matrix.rows.entry(name(source)).or_default();
                let target = match target {
                    6 => Target { whom: Whom::Host, port },
                    7 => Target { whom: Whom::Internet, port: None },
                    number if number == source => continue,
                    number => Target { whom: Whom::Service(name(number)), port },
                };
                row.insert(target);
            }
            let found = Matrix::of(&matrix);
            let members: Vec<&ServiceName> = found.members().collect();
            for source in &members {
                for whom in found.ports.keys() {
                    let own = *whom == Whom::Service((*source).clone());
                    assert_eq!(found.between(source, whom).count() == 0, own);
                }
            }
            let all: BTreeSet<_> = found.pairs.iter().map(|pair| (&pair.source, &pair.target)).collect();
            assert_eq!(all.len(), found.pairs.len());
            for (source, target) in matrix.rows.iter().flat_map(|(source, row)| row.iter().map(move |target| (source, target))) {
                let promised = found.pairs.iter().find(|pair| pair.source == *source && pair.target == *target);
                assert_eq!(promised.map(|pair| pair.promise), Some(Promise::Reachable));
            }
            let promised = found.pairs.iter().filter(|pair| pair.promise == Promise::Reachable).count();
            assert_eq!(promised, matrix.rows.values().map(BTreeSet::len).sum::<usize>());
        }
    }
}
