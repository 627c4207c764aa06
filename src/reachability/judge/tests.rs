use std::collections::BTreeMap;

use super::*;
use crate::config::model::reachability::{Reachability, Target};
use crate::name::ServiceName;
use crate::reachability::seen::TargetSeen;

const ADDRESS: &str = "10.0.0.2";
const SECOND: &str = "10.0.0.3";

fn one(address: &str, kind: TryKind, answer: Answer) -> Try {
    Try {
        address: address.parse().unwrap(),
        kind,
        answer,
    }
}

/// What is made of `api -> db` where the row of `api` says this and these tries were made, by name and by
/// address alike.
fn judged(row: &str, tries: &[Try]) -> Case {
    judged_at(
        row,
        tries,
        &[ADDRESS],
        Named::Addresses(vec![ADDRESS.parse().unwrap()]),
    )
}

fn judged_at(row: &str, tries: &[Try], addresses: &[&str], named: Named) -> Case {
    let target = |port| Target {
        whom: Whom::Service("db".into()),
        port,
    };
    let (own, of_db) = match row {
        "db:5432" => (Some(target(Some(5432))), None),
        "db" => (Some(target(None)), None),
        "back" => {
            let whom = Whom::Service("api".into());
            (None, Some(Target { whom, port: None }))
        }
        _ => (None, None),
    };
    let matrix = Matrix::of(&Reachability {
        rows: [
            ("api".into(), own.into_iter().collect()),
            ("db".into(), of_db.into_iter().collect()),
        ]
        .into(),
    });
    let is_named = matches!(named, Named::Addresses(_));
    let by_name = tries
        .iter()
        .filter(|one| is_named && one.address.to_string() == ADDRESS);
    let replicas = addresses.iter().enumerate();
    let seen = Seen {
        looks: vec![Look {
            from: "api".into(),
            source: "api".into(),
            target: Whom::Service("db".into()),
            name: "db".to_owned(),
            by_name: by_name.cloned().collect(),
            named,
            addresses: replicas
                .map(|(number, address)| (format!("db-{number}"), vec![address.parse().unwrap()]))
                .collect(),
            by_address: tries.to_vec(),
            took: Duration::from_millis(3),
        }],
        missing: BTreeMap::new(),
        targets: BTreeMap::from([(
            ServiceName::from("db"),
            TargetSeen {
                listening: vec![(false, 5433)],
            },
        )]),
    };
    let cases = judge(&matrix, &Model::default(), &seen);
    let mut cases = cases.into_iter();
    cases
        .find(|case| case.pair.source.as_str() == "api")
        .unwrap()
}

fn port(answer: Answer) -> Try {
    one(ADDRESS, TryKind::Port(5432), answer)
}

fn canary(answer: Answer) -> Try {
    one(ADDRESS, TryKind::Canary(61_511), answer)
}

fn echo(answer: Answer) -> Try {
    one(ADDRESS, TryKind::Echo, answer)
}

#[test]
fn each_answer_counts_for_what_it_shows() {
    use Answer::{Accepted, NoAnswer, Refused};
    use Verdict::{Broken, Kept, Untried};
    let no_way = || Answer::NoWay("no route".to_owned());
    let not_tried = || Answer::NotTried("the agent has ended".to_owned());
    for (row, tries, verdict) in [
        ("db:5432", vec![port(Accepted)], Kept),
        ("db:5432", vec![port(Refused)], Broken),
        ("db:5432", vec![port(NoAnswer)], Broken),
        ("db:5432", vec![port(no_way())], Broken),
        ("db:5432", vec![port(not_tried())], Untried),
        // Another port is not the one that was promised.
        ("db:5432", vec![port(Refused), canary(Accepted)], Broken),
        ("db", vec![port(Accepted)], Kept),
        ("db", vec![port(Refused)], Kept),
        ("db", vec![canary(Accepted)], Kept),
        ("db", vec![echo(Accepted)], Kept),
        ("db", vec![echo(NoAnswer), canary(NoAnswer)], Broken),
        (
            "none",
            vec![port(NoAnswer), canary(NoAnswer), echo(NoAnswer)],
            Kept,
        ),
        ("none", vec![port(Accepted)], Broken),
        ("none", vec![canary(Accepted)], Broken),
        ("none", vec![echo(Accepted)], Broken),
        // A refusal is an answer, unless a better sign says that nothing comes through.
        ("none", vec![port(Refused)], Broken),
        ("none", vec![port(Refused), canary(NoAnswer)], Kept),
        ("none", vec![port(Refused), canary(Refused)], Kept),
        ("none", vec![port(Refused), canary(not_tried())], Untried),
        // What could not be tried is no silence.
        ("none", vec![port(not_tried()), canary(NoAnswer)], Untried),
        ("none", vec![port(not_tried()), echo(NoAnswer)], Untried),
        ("none", vec![echo(not_tried())], Untried),
        ("none", vec![echo(not_tried()), canary(NoAnswer)], Kept),
        ("none", Vec::new(), Untried),
        ("back", vec![port(Refused)], Kept),
        ("back", vec![port(Accepted)], Broken),
        ("back", Vec::new(), Kept),
    ] {
        let case = judged(row, &tries);
        assert_eq!(
            case.verdict, verdict,
            "{row} {tries:?}\n{}\n{}",
            case.message, case.details
        );
    }
}

#[test]
fn the_name_and_the_address_are_two_questions() {
    let accepted = [port(Answer::Accepted)];
    for (row, named, verdict) in [
        ("db:5432", Named::Unknown, Verdict::Broken),
        ("db:5432", Named::NoAnswer, Verdict::Broken),
        (
            "db:5432",
            Named::Nameless("it has none".to_owned()),
            Verdict::Kept,
        ),
        (
            "db:5432",
            Named::NotAsked("gone".to_owned()),
            Verdict::Untried,
        ),
        ("none", Named::Unknown, Verdict::Broken),
    ] {
        let case = judged_at(row, &accepted, &[ADDRESS], named.clone());
        assert_eq!(case.verdict, verdict, "{row} {named:?}");
    }
    let silent = [port(Answer::NoAnswer), canary(Answer::NoAnswer)];
    let case = judged_at("none", &silent, &[ADDRESS], Named::Unknown);
    assert_eq!(case.verdict, Verdict::Kept);
    let case = judged_at(
        "none",
        &silent,
        &[ADDRESS],
        Named::NotAsked("gone".to_owned()),
    );
    assert_eq!(case.verdict, Verdict::Untried);
}

#[test]
fn all_replicas_are_to_be_reached_and_none_is_not_to_be() {
    let second = |answer| one(SECOND, TryKind::Port(5432), answer);
    let named = || Named::Addresses(vec![ADDRESS.parse().unwrap()]);
    let both = [ADDRESS, SECOND];
    for (row, answers, verdict) in [
        (
            "db:5432",
            [Answer::Accepted, Answer::Accepted],
            Verdict::Kept,
        ),
        (
            "db:5432",
            [Answer::Accepted, Answer::Refused],
            Verdict::Broken,
        ),
        (
            "none",
            [Answer::NoAnswer, Answer::Accepted],
            Verdict::Broken,
        ),
        ("none", [Answer::NoAnswer, Answer::NoAnswer], Verdict::Kept),
    ] {
        let [first, other] = answers;
        let case = judged_at(row, &[port(first), second(other)], &both, named());
        assert_eq!(case.verdict, verdict, "{row} {}", case.message);
    }
}

#[test]
fn a_port_that_nobody_listens_on_is_told_with_those_that_are() {
    let case = judged("db:5432", &[port(Answer::Refused)]);
    assert!(
        case.details
            .contains("does not listen on 5432, but on 5433"),
        "{}",
        case.details
    );
}
