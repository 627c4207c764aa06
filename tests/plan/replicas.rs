//! Replicas, and what runs before their start.

use envrun::engine::{DIRECTORY_LABEL, MountSpecSource};
use envrun::plan::{Plan, Selection, container};

use crate::support::{NEW, RUN, image, project, specification};

const REPLICAS: &str = "
services:
  web: { image: app, scale: 2, volumes: ['/own'], networks: { default: { aliases: [www] } } }
  web-2: { image: app }
  none: { image: app, deploy: { replicas: 0 } }
  migrate: { image: app, scale: 2 }
  checks:
    image: app
    depends_on:
      web: { condition: service_healthy }
      none: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
    x-envrun: { suite: true }
";

#[test]
fn each_replica_has_its_own_steps_and_dependants_wait_for_all_of_them() {
    let plan = Plan::new(&project(REPLICAS), RUN, &Selection::default()).expect("a plan");
    assert_eq!(
        plan.warnings,
        ["service `none` has 0 replicas and is not started, and `checks` starts without it"]
    );
    insta::assert_snapshot!(plan.to_text(), @"
    plan for project `test`
      0  obtain image `app`  (used by `checks`, `migrate-1` and 4 more)
      1  create network `default`  (used by `checks`, `migrate-1` and 4 more)
      2  create container of `checks` after 0, 1  (suite `checks` is to be run)
      3  start `checks` after 2, 15, 16, 17, 18  (suite `checks` is to be run)
      4  create container of `migrate-1` after 0, 1  (job `migrate-1` is waited for)
      5  start `migrate-1` after 4  (job `migrate-1` is waited for)
      6  create container of `migrate-2` after 0, 1  (job `migrate-2` is waited for)
      7  start `migrate-2` after 6  (job `migrate-2` is waited for)
      8  create container of `web--1` after 0, 1  (service `web--1` is part of the environment)
      9  start `web--1` after 8  (service `web--1` is part of the environment)
     10  create container of `web--2` after 0, 1  (service `web--2` is part of the environment)
     11  start `web--2` after 10  (service `web--2` is part of the environment)
     12  create container of `web-2` after 0, 1  (service `web-2` is part of the environment)
     13  start `web-2` after 12  (service `web-2` is part of the environment)
     14  wait until suite `checks` has ended after 3  (its result is the verdict)
     15  wait until `migrate-1` has completed after 5  (`checks` waits for it)
     16  wait until `migrate-2` has completed after 7  (`checks` waits for it)
     17  wait until `web--1` is ready after 9  (`checks` waits for it)
     18  wait until `web--2` is ready after 11  (`checks` waits for it)
     19  wait until `web-2` is ready after 13  (service `web-2` is part of the environment)
    ");
}

#[test]
fn what_is_shared_with_replicas_is_shared_with_the_first_and_links_lead_to_all() {
    let compose = |scale: u32| {
        format!(
            "
services:
  web: {{ image: i, scale: {scale} }}
  inside: {{ image: i, network_mode: 'service:web', volumes_from: ['web:ro'] }}
  tests: {{ image: i, links: ['web:www'], x-envrun: {{ suite: true }} }}
"
        )
    };
    let plan = Plan::new(&project(&compose(2)), RUN, &Selection::default()).expect("a plan");
    let inside = specification(&plan, "inside", NEW, &image());
    let tests = specification(&plan, "tests", NEW, &image());
    let shown = format!(
        "{:?} {:?}\n{}",
        inside.networking,
        inside.volumes_from,
        tests.links.join("\n")
    );
    insta::assert_snapshot!(shown, @r#"
    Mode("container:id-web-1") ["id-web-1:ro"]
    envrun-0123456789ab-web-1:test-web-1
    envrun-0123456789ab-web-1:web-1
    envrun-0123456789ab-web-2:test-web-2
    envrun-0123456789ab-web-2:web-2
    web:www
    "#);
    let nobody = Plan::new(&project(&compose(0)), RUN, &Selection::default());
    insta::assert_snapshot!(nobody.expect_err("no plan").to_string(), @"
    service `inside` shares with `web`, which has 0 replicas
    hint: give `web` a replica, or leave out both
    ");
}

#[test]
fn replicas_share_the_name_of_the_service_and_nothing_else() {
    let plan = Plan::new(&project(REPLICAS), RUN, &Selection::default()).expect("a plan");
    let key = "default".into();
    let told: Vec<String> = plan
        .services
        .values()
        .filter(|planned| planned.of.as_str() == "web")
        .map(|planned| {
            let spec = specification(&plan, planned.service.name.as_str(), NEW, &image());
            format!(
                "{} {:?} {:?} {:?}",
                spec.name,
                container::endpoint(&plan, planned, &key, NEW).aliases,
                spec.mounts[0].source,
                spec.labels
            )
        })
        .collect();
    // The directory is another one each time.
    let told = told
        .join("\n")
        .replace(&plan.labels[DIRECTORY_LABEL], "[DIRECTORY]");
    insta::assert_snapshot!(told, @r#"
    envrun-0123456789ab-web--1 ["web", "web--1", "www"] Volume { name: "envrun-0123456789ab-web--1-volume-0", labels: {"dev.envrun.directory": "[DIRECTORY]", "dev.envrun.lease": "{\"seconds\":1800}", "dev.envrun.project": "test", "dev.envrun.run": "01234567-89ab-4def-8123-456789abcdef"}, subpath: None } {"dev.envrun.directory": "[DIRECTORY]", "dev.envrun.lease": "{\"seconds\":1800}", "dev.envrun.project": "test", "dev.envrun.replica": "web--1", "dev.envrun.run": "01234567-89ab-4def-8123-456789abcdef", "dev.envrun.service": "web"}
    envrun-0123456789ab-web--2 ["web", "web--2", "www"] Volume { name: "envrun-0123456789ab-web--2-volume-0", labels: {"dev.envrun.directory": "[DIRECTORY]", "dev.envrun.lease": "{\"seconds\":1800}", "dev.envrun.project": "test", "dev.envrun.run": "01234567-89ab-4def-8123-456789abcdef"}, subpath: None } {"dev.envrun.directory": "[DIRECTORY]", "dev.envrun.lease": "{\"seconds\":1800}", "dev.envrun.project": "test", "dev.envrun.replica": "web--2", "dev.envrun.run": "01234567-89ab-4def-8123-456789abcdef", "dev.envrun.service": "web"}
    "#);
}

#[test]
fn what_runs_before_a_start_is_a_job_with_the_mounts_of_the_service() {
    let compose = "
services:
  db: { image: postgres }
  web:
    image: app
    scale: 2
    user: app
    entrypoint: [serve]
    volumes: [/own]
    ports: ['80']
    environment: { A: '1', B: '1' }
    depends_on: [db]
    pre_start:
      - { command: [prepare], environment: { B: '2' } }
      - { image: other, per_replica: true, privileged: true }
      - { command: [check] }
  checks: { image: app, depends_on: [web], x-envrun: { suite: true } }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let steps = plan.to_text();
    let starts = steps
        .lines()
        .filter(|line| line.contains("start `") || line.contains("wait until"));
    let starts: Vec<&str> = starts.collect();
    insta::assert_snapshot!(starts.join("\n"), @"
     5  start `checks` after 4, 22, 24  (suite `checks` is to be run)
     7  start `db` after 6  (service `db` is part of the environment)
     9  start `web-1` after 8, 21, 27  (service `web-1` is part of the environment)
    11  start `web-1-pre_start-2` after 10, 21, 26  (job `web-1-pre_start-2` is waited for)
    13  start `web-2` after 12, 21, 27  (service `web-2` is part of the environment)
    15  start `web-2-pre_start-2` after 14, 21, 26  (job `web-2-pre_start-2` is waited for)
    17  start `web-pre_start-1` after 16, 21  (job `web-pre_start-1` is waited for)
    19  start `web-pre_start-3` after 18, 21, 23, 25  (job `web-pre_start-3` is waited for)
    20  wait until suite `checks` has ended after 5  (its result is the verdict)
    21  wait until `db` is ready after 7  (`web-1`, `web-1-pre_start-2` and 4 more wait for it)
    22  wait until `web-1` is ready after 9  (`checks` waits for it)
    23  wait until `web-1-pre_start-2` has completed after 11  (`web-pre_start-3` waits for it)
    24  wait until `web-2` is ready after 13  (`checks` waits for it)
    25  wait until `web-2-pre_start-2` has completed after 15  (`web-pre_start-3` waits for it)
    26  wait until `web-pre_start-1` has completed after 17  (`web-1-pre_start-2`, `web-2-pre_start-2` wait for it)
    27  wait until `web-pre_start-3` has completed after 19  (`web-1`, `web-2` wait for it)
    ");
    let specs: Vec<String> = ["web-1", "web-pre_start-1", "web-2-pre_start-2"]
        .into_iter()
        .map(|name| {
            let planned = &plan.services[name];
            let spec = specification(&plan, name, NEW, &image());
            let volume = match &spec.mounts[0].source {
                MountSpecSource::Volume { name, .. } => name.clone(),
                other => format!("{other:?}"),
            };
            format!(
                "{} {:?} {:?} {:?} {:?} {:?} {volume} {}",
                spec.name,
                container::endpoint(&plan, planned, &"default".into(), NEW).aliases,
                spec.entrypoint,
                spec.command,
                spec.user,
                spec.environment,
                spec.options.privileged
            )
        })
        .collect();
    insta::assert_snapshot!(specs.join("\n"), @r#"
    envrun-0123456789ab-web-1 ["web", "web-1"] Some(["serve"]) None Some("app") {"A": "1", "B": "1"} envrun-0123456789ab-web-1-volume-0 false
    envrun-0123456789ab-web-pre_start-1 ["web-pre_start-1"] None Some(["prepare"]) Some("app") {"A": "1", "B": "2"} envrun-0123456789ab-web-1-volume-0 false
    envrun-0123456789ab-web-2-pre_start-2 ["web-2-pre_start-2"] None None None {"A": "1", "B": "1"} envrun-0123456789ab-web-2-volume-0 true
    "#);
}
