use super::*;
use crate::config::model::reachability::{Reachability, Target};
use crate::name::{NetworkKey, ServiceName};

/// Services with their networks: `api=back,front`.
fn model(text: &str) -> Model {
    let places = text.split(' ').map(|one| {
        let (name, networks) = one.split_once('=').unwrap();
        let networks = networks.split(',').filter(|key| !key.is_empty());
        (
            ServiceName::from(name),
            Place::Networks(networks.map(NetworkKey::from).collect()),
        )
    });
    let places: BTreeMap<ServiceName, Place> = places.collect();
    let keys = places.values().flat_map(|place| match place {
        Place::Networks(own) => own.iter().cloned().collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    Model {
        networks: keys
            .map(|key| (key.clone(), key.as_str() == "back"))
            .collect(),
        guests: BTreeMap::new(),
        places,
    }
}

fn matrix() -> Matrix {
    let service = |name: &str, port| Target {
        whom: Whom::Service(name.into()),
        port,
    };
    let internet = Target {
        whom: Whom::Internet,
        port: None,
    };
    let rows = [
        ("e2e", vec![service("api", Some(8000))]),
        ("api", vec![service("db", Some(5432)), internet]),
        ("db", vec![]),
    ];
    let rows = rows.map(|(name, targets)| (name.into(), targets.into_iter().collect()));
    Matrix::of(&Reachability { rows: rows.into() })
}

fn record(verdicts: &[(&str, &str, Option<u16>, Outcome, Extent)]) -> Record {
    let pairs = verdicts
        .iter()
        .map(|(source, target, port, verdict, extent)| RecordedPair {
            source: (*source).to_owned(),
            target: (*target).to_owned(),
            port: *port,
            promised: Promised::Reachable,
            verdict: *verdict,
            by_name: Some(*extent),
            by_address: Some(*extent),
            duration_ms: 3,
            message: "what was seen".to_owned(),
        });
    Record {
        version: 1,
        run: "r".to_owned(),
        project: "demo".to_owned(),
        internet: None,
        pairs: pairs.collect(),
        looks: Vec::new(),
    }
}

fn all(graph: Graph<'_>) -> String {
    format!("{}\n{}\n{}", graph.text(), graph.mermaid(), graph.dot())
}

#[test]
fn promises_stand_beside_what_the_file_makes_of_them() {
    let (model, matrix) = (model("api=back,front db=back e2e=front"), matrix());
    let graph = Graph {
        project: "demo",
        model: &model,
        matrix: Some(&matrix),
        record: None,
    };
    insta::assert_snapshot!(all(graph), @r#"
    networks of project `demo`
      back (internal): api, db
      front: api, e2e

    pair             promised     by the file
    api -> db:5432   reachable    reachable: both are on `back`
    api -> e2e       unreachable  reachable: both are on `front`
    api -> internet  reachable    reachable: `front` is not internal
    db -> api        unreachable  reachable: both are on `back`
    db -> e2e        unreachable  unreachable: `db` is on `back`, `e2e` on `front`
    db -> internet   unreachable  unreachable: `back` is internal
    e2e -> api:8000  reachable    reachable: both are on `front`
    e2e -> db        unreachable  unreachable: `e2e` is on `front`, `db` on `back`
    e2e -> internet  unreachable  reachable: `front` is not internal

    differences
      e2e -> internet: promised to be unreachable, and the file joins them: `front` is not internal

    flowchart LR
      n0{{"back (internal)"}}
      n1{{"front"}}
      n2["api"]
      n3["db"]
      n4["e2e"]
      n5(["internet"])
      n2 -.- n0
      n2 -.- n1
      n3 -.- n0
      n4 -.- n1
      n2 -->|"5432"| n3
      n2 -->|"any"| n5
      n4 -->|"8000"| n2

    digraph "demo" {
      rankdir=LR;
      n0 [label="back (internal)", shape=hexagon];
      n1 [label="front", shape=hexagon];
      n2 [label="api", shape=box];
      n3 [label="db", shape=box];
      n4 [label="e2e", shape=box];
      n5 [label="internet", shape=ellipse];
      n2 -> n0 [dir=none, style=dotted];
      n2 -> n1 [dir=none, style=dotted];
      n3 -> n0 [dir=none, style=dotted];
      n4 -> n1 [dir=none, style=dotted];
      n2 -> n3 [label="5432", style=solid];
      n2 -> n5 [label="any", style=solid];
      n4 -> n2 [label="8000", style=solid];
    }
    "#);
}

#[test]
fn observations_that_differ_are_told() {
    let (model, matrix) = (model("api=front db=back e2e=front"), matrix());
    let record = record(&[
        ("api", "db", Some(5432), Outcome::Broken, Extent::Nothing),
        ("e2e", "api", Some(8000), Outcome::Kept, Extent::Connected),
        ("e2e", "db", None, Outcome::Broken, Extent::Answered),
        ("gone", "api", None, Outcome::Kept, Extent::Nothing),
    ]);
    let graph = Graph {
        project: "demo",
        model: &model,
        matrix: Some(&matrix),
        record: Some(&record),
    };
    insta::assert_snapshot!(all(graph), @r#"
    networks of project `demo`
      back (internal): db
      front: api, e2e

    pair             promised     by the file                                       observed
    api -> db:5432   reachable    unreachable: `api` is on `front`, `db` on `back`  BROKEN (by name no, by address no)
    api -> e2e       unreachable  reachable: both are on `front`                    -
    api -> internet  reachable    reachable: `front` is not internal                -
    db -> api        unreachable  unreachable: `db` is on `back`, `api` on `front`  -
    db -> e2e        unreachable  unreachable: `db` is on `back`, `e2e` on `front`  -
    db -> internet   unreachable  unreachable: `back` is internal                   -
    e2e -> api:8000  reachable    reachable: both are on `front`                    as promised (by name yes, by address yes)
    e2e -> db        unreachable  unreachable: `e2e` is on `front`, `db` on `back`  BROKEN (by name answers, by address answers)
    e2e -> internet  unreachable  reachable: `front` is not internal                -
    gone -> api      -            -                                                 as promised (by name no, by address no)

    differences
      api -> db:5432: promised, and the file parts them: `api` is on `front`, `db` on `back`
      api -> db:5432: observed otherwise: what was seen
      e2e -> db: observed otherwise: what was seen
      e2e -> db: reached, although by the file it is not: `e2e` is on `front`, `db` on `back`
      e2e -> internet: promised to be unreachable, and the file joins them: `front` is not internal
      gone -> api: observed, and the file does not name it any more

    flowchart LR
      n0{{"back (internal)"}}
      n1{{"front"}}
      n2["api"]
      n3["db"]
      n4["e2e"]
      n5["gone"]
      n6(["internet"])
      n2 -.- n1
      n3 -.- n0
      n4 -.- n1
      n2 --x|"5432 not reached"| n3
      n2 -->|"any"| n6
      n4 -->|"8000"| n2
      n4 --x|"reached"| n3
      n5 -->|"any"| n2

    digraph "demo" {
      rankdir=LR;
      n0 [label="back (internal)", shape=hexagon];
      n1 [label="front", shape=hexagon];
      n2 [label="api", shape=box];
      n3 [label="db", shape=box];
      n4 [label="e2e", shape=box];
      n5 [label="gone", shape=box];
      n6 [label="internet", shape=ellipse];
      n2 -> n1 [dir=none, style=dotted];
      n3 -> n0 [dir=none, style=dotted];
      n4 -> n1 [dir=none, style=dotted];
      n2 -> n3 [label="5432 not reached", style=bold, color=red];
      n2 -> n6 [label="any", style=solid];
      n4 -> n2 [label="8000", style=solid];
      n4 -> n3 [label="reached", style=bold, color=red];
      n5 -> n2 [label="any", style=solid];
    }
    "#);
}

#[test]
fn without_promises_the_file_speaks_alone() {
    let model = model("api=back,front db=back e2e=front alone=");
    let graph = Graph {
        project: "demo",
        model: &model,
        matrix: None,
        record: None,
    };
    insta::assert_snapshot!(graph.text(), @"
    networks of project `demo`
      back (internal): api, db
      front: api, e2e
      alone: on no network

    no `x-envrun.reachability` promises anything; by the file

    pair          promised  by the file
    alone -> api  -         unreachable: `alone` is on no network
    alone -> db   -         unreachable: `alone` is on no network
    alone -> e2e  -         unreachable: `alone` is on no network
    api -> alone  -         unreachable: `alone` is on no network
    api -> db     -         reachable: both are on `back`
    api -> e2e    -         reachable: both are on `front`
    db -> alone   -         unreachable: `alone` is on no network
    db -> api     -         reachable: both are on `back`
    db -> e2e     -         unreachable: `db` is on `back`, `e2e` on `front`
    e2e -> alone  -         unreachable: `alone` is on no network
    e2e -> api    -         reachable: both are on `front`
    e2e -> db     -         unreachable: `e2e` is on `front`, `db` on `back`
    ");
}

#[test]
fn hostile_names_stay_labels() {
    let model = model("a=back");
    let record = record(&[
        (
            "a\"] --> evil[\"",
            "b\\\"; evil [label=\"",
            None,
            Outcome::Broken,
            Extent::Connected,
        ),
        (
            "a\u{1b}[31m\nline",
            "`<script>`|{}#;",
            Some(1),
            Outcome::Untried,
            Extent::Nothing,
        ),
    ]);
    let graph = Graph {
        project: "de\"mo\\",
        model: &model,
        matrix: None,
        record: Some(&record),
    };
    insta::assert_snapshot!(all(graph), @r##"
    networks of project `de"mo\`
      back (internal): a

    no `x-envrun.reachability` promises anything; by the file

    pair                                  promised  by the file  observed
    a"] --> evil[" -> b\"; evil [label="  -         -            BROKEN (by name yes, by address yes)
    a�[31m�line -> `<script>`|{}#;:1      -         -            not tried (by name no, by address no)

    differences
      a"] --> evil[" -> b\"; evil [label=": observed otherwise: what was seen
      a"] --> evil[" -> b\"; evil [label=": observed, and the file does not name it any more
      a�[31m�line -> `<script>`|{}#;:1: not observed: what was seen
      a�[31m�line -> `<script>`|{}#;:1: observed, and the file does not name it any more

    flowchart LR
      n0{{"back (internal)"}}
      n1["#96;#60;script#62;#96;#124;#123;#125;#35;#59;"]
      n2["a"]
      n3["a�#91;31m�line"]
      n4["a#34;#93; --#62; evil#91;#34;"]
      n5["b#92;#34;#59; evil #91;label=#34;"]
      n2 -.- n0
      n4 --x|"not reached"| n5
      n3 -->|"1"| n1

    digraph "de\"mo\\" {
      rankdir=LR;
      n0 [label="back (internal)", shape=hexagon];
      n1 [label="`<script>`|{}#;", shape=box];
      n2 [label="a", shape=box];
      n3 [label="a�[31m�line", shape=box];
      n4 [label="a\"] --> evil[\"", shape=box];
      n5 [label="b\\\"; evil [label=\"", shape=box];
      n2 -> n0 [dir=none, style=dotted];
      n4 -> n5 [label="not reached", style=bold, color=red];
      n3 -> n1 [label="1", style=solid];
    }
    "##);
}
