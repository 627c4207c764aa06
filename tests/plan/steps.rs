//! The steps of a plan as text, and which suites take part.

use std::time::Duration;

use envrun::plan::{Plan, Selection, support};

use crate::support::{NEW, RUN, image, plan, project, specification};

const PIPELINE: &str = "
services:
  db: { image: postgres, networks: [back], volumes: ['data:/data'] }
  migrate: { image: app, networks: [back], depends_on: { db: { condition: service_healthy } } }
  api:
    image: app
    networks: [back, front]
    depends_on: { migrate: { condition: service_completed_successfully } }
  cache: { image: cache, networks: [front] }
  browser: { image: browser, networks: [front] }
  unit: { image: app, x-envrun: { suite: true } }
  e2e: { image: app, networks: [front], depends_on: [api, browser], x-envrun: { suite: true } }
networks: { back: , front:  }
volumes: { data:  }
";

#[test]
fn everything_is_created_early_and_started_when_it_may() {
    insta::assert_snapshot!(plan(PIPELINE, &Selection::default()).expect("a plan"), @"
    plan for project `test`
      0  obtain image `app`  (used by `api`, `e2e` and 2 more)
      1  obtain image `browser`  (used by `browser`)
      2  obtain image `cache`  (used by `cache`)
      3  obtain image `postgres`  (used by `db`)
      4  create network `back`  (used by `api`, `db`, `migrate`)
      5  create network `default`  (used by `unit`)
      6  create network `front`  (used by `api`, `browser` and 2 more)
      7  create volume `data`  (used by `db`)
      8  create container of `api` after 0, 4  (service `api` is part of the environment)
      9  connect `api` to network `front` after 8, 6  (`api` is on network `front` too)
     10  start `api` after 8, 9, 28  (service `api` is part of the environment)
     11  create container of `browser` after 1, 6  (service `browser` is part of the environment)
     12  start `browser` after 11  (service `browser` is part of the environment)
     13  create container of `cache` after 2, 6  (service `cache` is part of the environment)
     14  start `cache` after 13  (service `cache` is part of the environment)
     15  create container of `db` after 3, 4, 7  (service `db` is part of the environment)
     16  start `db` after 15  (service `db` is part of the environment)
     17  create container of `e2e` after 0, 6  (suite `e2e` is to be run)
     18  start `e2e` after 17, 23, 24  (suite `e2e` is to be run)
     19  create container of `migrate` after 0, 4  (job `migrate` is waited for)
     20  start `migrate` after 19, 26  (job `migrate` is waited for)
     21  create container of `unit` after 0, 5  (suite `unit` is to be run)
     22  start `unit` after 21  (suite `unit` is to be run)
     23  wait until `api` is ready after 10  (`e2e` waits for it)
     24  wait until `browser` is ready after 12  (`e2e` waits for it)
     25  wait until `cache` is ready after 14  (service `cache` is part of the environment)
     26  wait until `db` is ready after 16  (`migrate` waits for it)
     27  wait until suite `e2e` has ended after 18  (its result is the verdict)
     28  wait until `migrate` has completed after 20  (`api` waits for it)
     29  wait until suite `unit` has ended after 22  (its result is the verdict)
    ");
}

#[test]
fn a_selection_leaves_out_what_only_others_need_and_keeps_what_nobody_names() {
    let only = Selection {
        only: vec!["unit".to_owned()],
        ..Selection::default()
    };
    insta::assert_snapshot!(plan(PIPELINE, &only).expect("a plan"), @"
    plan for project `test`
      0  obtain image `cache`  (used by `cache`)
      1  obtain image `app`  (used by `unit`)
      2  create network `default`  (used by `unit`)
      3  create network `front`  (used by `cache`)
      4  create container of `cache` after 0, 3  (service `cache` is part of the environment)
      5  start `cache` after 4  (service `cache` is part of the environment)
      6  create container of `unit` after 1, 2  (suite `unit` is to be run)
      7  start `unit` after 6  (suite `unit` is to be run)
      8  wait until `cache` is ready after 5  (service `cache` is part of the environment)
      9  wait until suite `unit` has ended after 7  (its result is the verdict)
    ");
}

#[test]
fn selections_that_match_nothing_are_errors_with_help() {
    let selection = |only: &[&str], skip: &[&str]| Selection {
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        skip: skip.iter().map(|name| (*name).to_owned()).collect(),
        ..Selection::default()
    };
    let error = |selection| plan(PIPELINE, &selection).expect_err("no plan");
    insta::assert_snapshot!(error(selection(&["unti"], &[])), @"
    `--only unti` matches no suite
    hint: the suites are `e2e`, `unit`
    ");
    insta::assert_snapshot!(error(selection(&["unit"], &["unit"])), @"`--only` and `--skip` together leave no suite to run");
    insta::assert_snapshot!(plan("services: { web: { image: i } }", &Selection::default()).expect_err("no plan"), @"
    project `test` has no suite, and there is no command
    hint: `envrun run -- COMMAND` runs a command on this host in the environment, and `x-envrun: { suite: {} }` makes a service a suite; either way the exit code is the verdict
    ");
}

#[test]
fn what_an_older_engine_lacks_is_known_before_anything_is_created() {
    let compose = "
services:
  tests:
    image: i
    annotations: { a: b }
    platform: linux/amd64
    devices: ['vendor.com/gpu=all']
    healthcheck: { test: x, start_period: 5s, start_interval: 1s }
    networks:
      a: { mac_address: 02:42:ac:11:00:02, interface_name: eth7, gw_priority: 5 }
      b: { priority: 5 }
    volumes:
      - { type: bind, source: /etc, target: /etc, bind: { recursive: readonly } }
      - { type: volume, source: v, target: /v, volume: { subpath: part } }
      - { type: image, source: other, target: /image, image: { subpath: etc } }
    x-envrun: { suite: true }
networks: { a: { enable_ipv4: false }, b:  }
volumes: { v:  }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let lacks = |api| {
        let missing = support::missing(&plan, api).into_iter();
        let lines = missing.map(|one| {
            let how = if one.refused { "refused" } else { "no effect" };
            format!("{}.{} {how}: {}", one.needs.0, one.needs.1, one.what)
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(lacks((1, 40)), @"
    1.43 no effect: `annotations` of service `tests`
    1.41 refused: `platform` of service `tests`
    1.44 refused: `devices` of service `tests`
    1.44 refused: `volumes: /etc: recursive: readonly` of service `tests`
    1.48 refused: `volumes: /image: type: image` of service `tests`
    1.44 refused: `networks: mac_address` of service `tests`
    1.49 refused: `networks: a: interface_name` of service `tests`
    1.48 no effect: `networks: a: gw_priority` of service `tests`
    1.48 no effect: `enable_ipv4: false` of network `a`
    ");
    assert_eq!(lacks(NEW), "");
    let interval = |api| {
        let check = specification(&plan, "tests", api, &image()).healthcheck;
        check.expect("a healthcheck").start_interval
    };
    assert_eq!(interval((1, 43)), Duration::ZERO);
    assert_eq!(interval((1, 44)), Duration::from_secs(1));
}
