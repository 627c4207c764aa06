//! Suites that are divided, and which of their parts take part.

use envrun::name::Shard;
use envrun::plan::{Plan, PlanError, Selection};

use crate::support::{NEW, RUN, image, project, specification};

const DIVIDED: &str = "
services:
  db: { image: postgres }
  e2e:
    image: app
    depends_on: [db]
    environment: { ENVRUN_SHARD_INDEX: mine }
    x-envrun: { suite: { shards: 4, retries: 1 } }
  api-unit: { image: app, x-envrun: { suite: true } }
  api-load: { image: app, x-envrun: { suite: true } }
  report:
    image: app
    depends_on: { e2e: { condition: service_completed_successfully } }
    x-envrun: { suite: true }
";

fn selection(only: &[&str], skip: &[&str], part: Option<(u32, u32)>) -> Selection {
    Selection {
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        skip: skip.iter().map(|name| (*name).to_owned()).collect(),
        part: part.and_then(|(index, total)| Shard::new(index, total)),
        ..Selection::default()
    }
}

/// The suites of a plan, each with its shard.
fn suites(compose: &str, selection: &Selection) -> Result<String, PlanError> {
    let plan = Plan::new(&project(compose), RUN, selection)?;
    let suites = plan.suites().map(|planned| {
        let shard = planned.shard.map(|shard| format!(" ({shard})"));
        format!("{}{}", planned.service.name, shard.unwrap_or_default())
    });
    Ok(suites.collect::<Vec<_>>().join(", "))
}

#[test]
fn each_shard_is_a_suite_of_its_own_and_dependants_wait_for_all_of_them() {
    let all = Selection::default();
    let plan = Plan::new(&project(DIVIDED), RUN, &all).expect("a plan");
    insta::assert_snapshot!(plan.to_text(), @"
    plan for project `test`
      0  obtain image `app`  (used by `api-load`, `api-unit` and 5 more)
      1  obtain image `postgres`  (used by `db`)
      2  create network `default`  (used by `api-load`, `api-unit` and 6 more)
      3  create container of `api-load` after 0, 2  (suite `api-load` is to be run)
      4  start `api-load` after 3  (suite `api-load` is to be run)
      5  create container of `api-unit` after 0, 2  (suite `api-unit` is to be run)
      6  start `api-unit` after 5  (suite `api-unit` is to be run)
      7  create container of `db` after 1, 2  (service `db` is part of the environment)
      8  start `db` after 7  (service `db` is part of the environment)
      9  create container of `e2e-1` after 0, 2  (suite `e2e-1` is to be run)
     10  start `e2e-1` after 9, 21  (suite `e2e-1` is to be run)
     11  create container of `e2e-2` after 0, 2  (suite `e2e-2` is to be run)
     12  start `e2e-2` after 11, 21  (suite `e2e-2` is to be run)
     13  create container of `e2e-3` after 0, 2  (suite `e2e-3` is to be run)
     14  start `e2e-3` after 13, 21  (suite `e2e-3` is to be run)
     15  create container of `e2e-4` after 0, 2  (suite `e2e-4` is to be run)
     16  start `e2e-4` after 15, 21  (suite `e2e-4` is to be run)
     17  create container of `report` after 0, 2  (suite `report` is to be run)
     18  start `report` after 17, 22, 23, 24, 25  (suite `report` is to be run)
     19  wait until suite `api-load` has ended after 4  (its result is the verdict)
     20  wait until suite `api-unit` has ended after 6  (its result is the verdict)
     21  wait until `db` is ready after 8  (`e2e-1`, `e2e-2` and 2 more wait for it)
     22  wait until suite `e2e-1` has ended after 10  (its result is the verdict)
     23  wait until suite `e2e-2` has ended after 12  (its result is the verdict)
     24  wait until suite `e2e-3` has ended after 14  (its result is the verdict)
     25  wait until suite `e2e-4` has ended after 16  (its result is the verdict)
     26  wait until suite `report` has ended after 18  (its result is the verdict)
    ");
    for (name, index) in [("e2e-1", "0"), ("e2e-4", "3")] {
        let spec = specification(&plan, name, NEW, &image());
        let value = |name: &str| spec.environment.get(name).map(String::as_str);
        assert_eq!(value("ENVRUN_SHARD_INDEX"), Some(index));
        assert_eq!(value("ENVRUN_SHARD_TOTAL"), Some("4"));
    }
}

#[test]
fn names_of_shards_and_patterns_select() {
    let of = |only: &[&str], skip: &[&str]| suites(DIVIDED, &selection(only, skip, None));
    let ok = |only: &[&str], skip: &[&str]| of(only, skip).expect("a plan");
    assert_eq!(ok(&["e2e-2"], &[]), "e2e-2 (2/4)");
    assert_eq!(ok(&["e2e-[13]"], &[]), "e2e-1 (1/4), e2e-3 (3/4)");
    assert_eq!(ok(&["api-*"], &[]), "api-load, api-unit");
    assert_eq!(
        ok(&["e2e"], &["e2e-4"]),
        "e2e-1 (1/4), e2e-2 (2/4), e2e-3 (3/4)"
    );
    assert_eq!(ok(&[], &["e2e", "report", "*load"]), "api-unit");
    // Whoever depends on a suite depends on all of it.
    let all = "e2e-1 (1/4), e2e-2 (2/4), e2e-3 (3/4), e2e-4 (4/4), report";
    assert_eq!(ok(&["report"], &[]), all);
    assert_eq!(ok(&["report", "e2e-2"], &[]), all);
    let error = |only: &[&str]| of(only, &[]).expect_err("no plan").to_string();
    insta::assert_snapshot!(error(&["e2e-5"]), @"
    `--only e2e-5` matches no suite
    hint: the suites are `api-load`, `api-unit`, `e2e` with 4 shards, `report`
    ");
    insta::assert_snapshot!(error(&["web-*"]), @"
    `--only web-*` matches no suite
    hint: the suites are `api-load`, `api-unit`, `e2e` with 4 shards, `report`
    ");
    insta::assert_snapshot!(error(&["e2e-[1"]), @"
    `--only e2e-[1` is no pattern: unclosed character class; missing ']'
    hint: `api-*` matches every name that begins so
    ");
    insta::assert_snapshot!(error(&[""]), @"
    `--only ` matches no suite
    hint: the suites are `api-load`, `api-unit`, `e2e` with 4 shards, `report`
    ");
}

#[test]
fn several_runs_divide_the_shards_and_lose_none() {
    for total in 1..=4 {
        let mut seen: Vec<String> = Vec::new();
        for index in 1..=total {
            let part = selection(&["e2e"], &[], Some((index, total)));
            let of_run = suites(DIVIDED, &part).expect("a plan");
            seen.extend(of_run.split(", ").map(str::to_owned));
        }
        seen.sort();
        assert_eq!(
            seen,
            ["e2e-1 (1/4)", "e2e-2 (2/4)", "e2e-3 (3/4)", "e2e-4 (4/4)"],
            "{total} runs"
        );
    }
    let error = |only: &[&str], part| {
        let selection = selection(only, &[], Some(part));
        suites(DIVIDED, &selection)
            .expect_err("no plan")
            .to_string()
    };
    insta::assert_snapshot!(error(&["e2e"], (1, 5)), @"
    `--shard 1/5` divides suite `e2e` over 5 runs, and it has 4 shards
    hint: give it `shards: 5` or more, or say `shards: ci` to have as many as there are runs
    ");
    insta::assert_snapshot!(error(&["api-unit"], (1, 2)), @"
    `--shard 1/2` divides nothing, since no suite that takes part has shards
    hint: give a suite `shards: ci`, or a number of shards
    ");
    insta::assert_snapshot!(error(&["e2e-2"], (1, 2)), @"
    `--only` and `--skip` leave nothing of suite `e2e` that `--shard 1/2` takes
    hint: leave out one of them
    ");
    // What is not divided runs in each.
    let beside = suites(DIVIDED, &selection(&["e2e", "api-unit"], &[], Some((2, 2))));
    assert_eq!(
        beside.expect("a plan"),
        "api-unit, e2e-2 (2/4), e2e-4 (4/4)"
    );
}

#[test]
fn the_ci_system_divides_only_what_asks_for_it() {
    let asks = DIVIDED.replace("shards: 4", "shards: ci");
    let node = Selection {
        node: Shard::new(3, 8),
        ..selection(&["e2e"], &[], None)
    };
    assert_eq!(suites(&asks, &node).expect("a plan"), "e2e-3 (3/8)");
    // A matrix of GitLab says the same, and is no reason to leave anything out.
    let all = "e2e-1 (1/4), e2e-2 (2/4), e2e-3 (3/4), e2e-4 (4/4)";
    assert_eq!(suites(DIVIDED, &node).expect("a plan"), all);
    // What is said by hand stands over it; without any, there is one part.
    let said = Selection {
        part: Shard::new(1, 2),
        ..node
    };
    assert_eq!(suites(&asks, &said).expect("a plan"), "e2e-1 (1/2)");
    let alone = selection(&["e2e"], &[], None);
    assert_eq!(suites(&asks, &alone).expect("a plan"), "e2e (1/1)");
}

#[test]
fn shards_are_called_otherwise_where_a_service_has_the_name_whatever_is_selected() {
    let compose = "
services:
  e2e: { image: app, x-envrun: { suite: { shards: 2 } } }
  e2e-2: { image: app, x-envrun: { suite: true } }
";
    let names = |only: &[&str]| suites(compose, &selection(only, &[], None)).expect("a plan");
    assert_eq!(names(&[]), "e2e--1 (1/2), e2e--2 (2/2), e2e-2");
    assert_eq!(names(&["e2e"]), "e2e--1 (1/2), e2e--2 (2/2)");
    assert_eq!(names(&["e2e-2"]), "e2e-2");
}

#[test]
fn nobody_shares_with_a_container_that_is_replaced() {
    let compose = "
services:
  spy: { image: app, network_mode: 'service:e2e' }
  e2e: { image: app, x-envrun: { suite: { retries: 1 } } }
";
    let error = suites(compose, &Selection::default()).expect_err("no plan");
    insta::assert_snapshot!(error, @"
    service `spy` shares with suite `e2e`, which gets another container when it is run once more
    hint: leave out `suite.retries` of `e2e`, or let it share with `spy`
    ");
    let once = compose.replace("retries: 1", "retries: 0");
    assert_eq!(suites(&once, &Selection::default()).expect("a plan"), "e2e");
}
