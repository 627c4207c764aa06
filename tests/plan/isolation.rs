//! Suites with an environment of their own: what is there once more, what is not, and what cannot be.

use std::collections::BTreeSet;

use envrun::engine::{EndpointSpec, MountSpecSource};
use envrun::options::Limits;
use envrun::plan::{Plan, PlannedNetwork, PlannedVolume, Selection, container};

use crate::support::{NEW, RUN, image, plan as text, project, specification};

/// A database, a job, two replicas of an API beside a shared namespace; one suite that breaks all of it, and
/// one that is to see nothing of that.
const FILE: &str = "
services:
  db: { image: db, networks: [back], volumes: ['data:/data', './seed:/seed'], x-envrun: { bind: copy } }
  migrate: { image: app, networks: [back], depends_on: { db: { condition: service_healthy } } }
  api:
    image: app
    scale: 2
    networks: { back: {}, front: { aliases: [www] } }
    depends_on: { migrate: { condition: service_completed_successfully } }
  sidecar: { image: app, network_mode: 'service:db', volumes_from: [db] }
  worker: { image: app, networks: [back] }
  unit: { image: app, networks: [back], depends_on: [db], x-envrun: { suite: {} } }
  e2e:
    image: app
    networks: [front]
    depends_on: [api, sidecar]
    x-envrun: { suite: { isolation: own } }
networks: { back: { internal: true }, front: {} }
volumes: { data: {} }
";

fn made(compose: &str, selection: &Selection) -> Plan {
    Plan::new(&project(compose), RUN, selection).expect("a plan")
}

fn only(suites: &[&str]) -> Selection {
    Selection {
        only: suites.iter().map(|name| (*name).to_owned()).collect(),
        ..Selection::default()
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.services.keys().map(|name| name.as_str()).collect()
}

#[test]
fn what_the_suite_needs_is_there_once_more_and_what_only_it_needs_is_not_shared() {
    let plan = made(FILE, &Selection::default());
    assert_eq!(
        names(&plan),
        [
            "db",
            "e2e",
            "e2e.api-1",
            "e2e.api-2",
            "e2e.db",
            "e2e.migrate",
            "e2e.sidecar",
            "unit",
            "worker"
        ]
    );
    let networks: Vec<_> = plan.networks.keys().map(|key| key.as_str()).collect();
    assert_eq!(networks, ["back", "e2e.back", "e2e.front"]);
    let volumes: Vec<_> = plan.volumes.keys().map(|key| key.as_str()).collect();
    assert_eq!(volumes, ["data", "e2e.data"]);
    // The directory of the project is another one each time.
    let text = plan.to_text();
    let lines = text.lines().map(|line| match line.split_once("copy `") {
        Some((before, after)) => {
            let (_, after) = after.split_once("/seed`").expect("the copied path");
            format!("{before}copy `…/seed`{after}")
        }
        None => line.to_owned(),
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn copies_answer_to_the_names_of_the_file_and_to_no_others() {
    let plan = made(FILE, &Selection::default());
    let aliases = |name: &str, network: &str| {
        let planned = &plan.services[name];
        let key = network.into();
        let EndpointSpec { aliases, .. } = container::endpoint(&plan, planned, &key, NEW);
        aliases
    };
    assert_eq!(aliases("e2e.db", "e2e.back"), ["db"]);
    assert_eq!(aliases("e2e.api-2", "e2e.front"), ["api", "api-2", "www"]);
    assert_eq!(aliases("e2e", "e2e.front"), ["e2e"]);
    assert_eq!(plan.services["e2e.db"].title(), "db (of e2e)");
    assert_eq!(plan.services["e2e"].title(), "e2e");
}

#[test]
fn a_copy_has_volumes_namespaces_and_copies_of_the_host_of_its_own() {
    let plan = made(FILE, &Selection::default());
    let volumes = |name: &str| -> BTreeSet<String> {
        let spec = specification(&plan, name, NEW, &image());
        let sources = spec.mounts.into_iter().map(|mount| match mount.source {
            MountSpecSource::Volume { name, .. } => name,
            other => panic!("{other:?}"),
        });
        sources.collect()
    };
    let (shared, own) = (volumes("db"), volumes("e2e.db"));
    assert_eq!((shared.len(), own.len()), (2, 2));
    assert!(shared.is_disjoint(&own), "{shared:?} {own:?}");
    let sidecar = specification(&plan, "e2e.sidecar", NEW, &image());
    assert_eq!(sidecar.volumes_from, ["id-e2e.db"]);
    // The image is obtained once, whoever uses it.
    assert_eq!(plan.images.len(), 2);
    assert_eq!(plan.services["db"].image, plan.services["e2e.db"].image);
    let specs = plan.networks.values().map(|network| match network {
        PlannedNetwork::Owned { spec, .. } => (spec.name.clone(), spec.internal),
        PlannedNetwork::External(name) => panic!("{name}"),
    });
    assert_eq!(
        specs.collect::<Vec<_>>(),
        [
            ("envrun-0123456789ab-back".to_owned(), true),
            ("envrun-0123456789ab-e2e.back".to_owned(), true),
            ("envrun-0123456789ab-e2e.front".to_owned(), false),
        ]
    );
}

#[test]
fn without_a_suite_that_shares_there_is_no_shared_environment() {
    let plan = made(FILE, &only(&["e2e"]));
    assert_eq!(
        names(&plan),
        [
            "e2e",
            "e2e.api-1",
            "e2e.api-2",
            "e2e.db",
            "e2e.migrate",
            "e2e.sidecar"
        ]
    );
    assert_eq!(
        plan.warnings,
        [
            "`worker` is not started: every suite has `isolation: own`, and none of `e2e` depends on it; name it in `depends_on` where it matters"
        ]
    );
    let shared = made(FILE, &only(&["unit"]));
    assert_eq!(names(&shared), ["db", "unit", "worker"]);
}

#[test]
fn two_suites_have_two_environments_and_a_matrix_has_the_shared_one() {
    let compose = "
services:
  db: { image: db }
  one: { image: app, depends_on: [db], x-envrun: { suite: { isolation: own } } }
  two: { image: app, depends_on: [db, one], x-envrun: { suite: { isolation: own } } }
x-envrun: { reachability: { one: ['db:5432'] } }
";
    let plan = made(compose, &Selection::default());
    assert_eq!(names(&plan), ["db", "one", "one.db", "two", "two.db"]);
    let keys: Vec<_> = plan.networks.keys().map(|key| key.as_str()).collect();
    assert_eq!(keys, ["default", "one.default", "two.default"]);
    // A suite is waited for, and never copied.
    let two = &plan.services["two"].service;
    let waits: Vec<_> = two.depends_on.keys().map(|name| name.as_str()).collect();
    assert_eq!(waits, ["one", "two.db"]);
    let trial = plan.reachability.as_ref().expect("a matrix");
    let observers: Vec<_> = trial.observers.keys().map(|name| name.as_str()).collect();
    assert_eq!(observers, ["db", "one"]);
}

#[test]
fn names_that_the_file_has_already_are_left_to_it() {
    let compose = "
services:
  db: { image: db, networks: [back] }
  e2e.db: { image: app, networks: [back, e2e.back] }
  unit: { image: app, networks: [back], depends_on: [e2e.db, db], x-envrun: { suite: {} } }
  e2e: { image: app, networks: [back], depends_on: [db], x-envrun: { suite: { isolation: own } } }
networks: { back: {}, e2e.back: {} }
";
    let plan = made(compose, &Selection::default());
    assert_eq!(names(&plan), ["db", "e2e", "e2e..db", "e2e.db", "unit"]);
    let keys: Vec<_> = plan.networks.keys().map(|key| key.as_str()).collect();
    assert_eq!(keys, ["back", "e2e..back", "e2e.back"]);
}

#[test]
fn what_belongs_to_others_is_used_and_never_copied() {
    let compose = "
services:
  db: { image: db, volumes: ['mine:/mine', 'theirs:/theirs', './here:/here', './read:/read:ro'] }
  e2e: { image: app, networks: [default, outside], depends_on: [db], x-envrun: { suite: { isolation: own } } }
networks: { outside: { external: true, name: corporate } }
volumes: { mine: {}, theirs: { external: true } }
";
    let plan = made(compose, &Selection::default());
    assert_eq!(
        plan.networks["outside"],
        PlannedNetwork::External("corporate".to_owned())
    );
    let owned = |key: &str| matches!(plan.volumes[key], PlannedVolume::Owned(_));
    assert!(owned("e2e.mine") && !owned("theirs"));
    let [warning] = plan.warnings.as_slice() else {
        panic!("{:?}", plan.warnings);
    };
    assert!(warning.contains("may still meet others in"), "{warning}");
    assert!(warning.contains("/here` of this host"), "{warning}");
    assert!(
        warning.contains("the external volume `theirs`"),
        "{warning}"
    );
    assert!(!warning.contains("/read"), "{warning}");
}

/// What only one of can exist is an error where there would be two, and fine where there is one.
#[test]
fn what_cannot_be_doubled_is_an_error() {
    let compose = |network: &str, more: &str| {
        format!(
            "
services:
  db: {{ image: db, networks: [net] }}
  e2e: {{ image: app, networks: [net], depends_on: [db], x-envrun: {{ suite: {{ isolation: own }} }} }}
{more}
networks: {{ net: {network} }}
"
        )
    };
    let sharing =
        "  unit: { image: app, networks: [net], depends_on: [db], x-envrun: { suite: {} } }";
    let fixed = "{ ipam: { config: [{ subnet: 10.9.0.0/24 }] } }";
    let cases = [
        (fixed, sharing),
        (
            "{ driver_opts: { com.docker.network.bridge.name: br9 } }",
            sharing,
        ),
        (
            "{ driver: macvlan, driver_opts: { parent: eth9 } }",
            sharing,
        ),
        ("{ external: true, name: corporate }", sharing),
        (
            "{}",
            "  unit: { image: app, network_mode: 'service:x', depends_on: [db], x-envrun: { suite: { isolation: own } } }\n  x: { image: app, x-envrun: { suite: {} } }",
        ),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(network, more)| {
            text(&compose(network, more), &Selection::default()).expect_err("a plan error")
        })
        .collect();
    insta::assert_snapshot!(said.join("\n\n"));
    for network in [fixed, "{ external: true, name: corporate }"] {
        let alone = text(&compose(network, ""), &Selection::default());
        assert!(alone.is_ok(), "{alone:?}");
    }
}

#[test]
fn strangers_do_not_get_around_their_limits_by_copies() {
    let suite = |number: u32| {
        format!(
            "  own-{number}: {{ image: app, depends_on: [db], x-envrun: {{ suite: {{ isolation: own }} }} }}\n"
        )
    };
    let compose = |count: u32| -> String {
        let suites: String = (0..count).map(suite).collect();
        format!("services:\n  db: {{ image: db, scale: 2 }}\n{suites}")
    };
    let limited = |count: u32| {
        let mut project = project(&compose(count));
        project.limits = Some(Limits::default());
        let plan = Plan::new(&project, RUN, &Selection::default());
        plan.map(|plan| plan.services.len())
            .map_err(|error| error.to_string())
    };
    assert_eq!(limited(16), Ok(48));
    let refused = limited(17).expect_err("51 containers");
    assert!(refused.contains("51 containers"), "{refused}");
    assert_eq!(made(&compose(17), &Selection::default()).services.len(), 51);
}

/// Each part of a suite that is divided is a suite of its own, and so has an environment of its own.
#[test]
fn each_shard_has_its_own_environment() {
    let compose = "
services:
  db: { image: db, volumes: ['data:/data'] }
  e2e: { image: app, depends_on: [db], x-envrun: { suite: { isolation: own, shards: 2, retries: 1 } } }
volumes: { data: {} }
";
    let plan = made(compose, &Selection::default());
    assert_eq!(names(&plan), ["e2e-1", "e2e-1.db", "e2e-2", "e2e-2.db"]);
    let volumes: Vec<_> = plan.volumes.keys().map(|key| key.as_str()).collect();
    assert_eq!(volumes, ["e2e-1.data", "e2e-2.data"]);
    let alone = made(compose, &only(&["e2e-2"]));
    assert_eq!(names(&alone), ["e2e-2", "e2e-2.db"]);
}
