//! Containers that share, and the networks that they are on.

use envrun::engine::ImageFacts;
use envrun::plan::{Plan, PlannedNetwork, Selection, container};

use crate::support::{NEW, RUN, image, plan, project, specification};

#[test]
fn a_container_that_shares_is_created_after_the_one_that_it_shares_with() {
    let compose = "
services:
  app: { image: i, network_mode: 'service:proxy', ipc: 'service:shm', pid: 'service:proxy', volumes_from: ['store:ro', 'container:theirs'] }
  proxy: { image: i }
  shm: { image: i, ipc: shareable }
  store: { image: i, volumes: [/data] }
  old: { image: i, network_mode: bridge, links: ['store:db'] }
  tests: { image: i, links: [store, 'store:db'], external_links: ['theirs:x', other], x-envrun: { suite: true } }
";
    insta::assert_snapshot!(plan(compose, &Selection::default()).expect("a plan"), @"
    plan for project `test`
      0  obtain image `i`  (used by `app`, `old` and 4 more)
      1  create network `default`  (used by `proxy`, `shm` and 2 more)
      2  create container of `app` after 0, 6, 8, 10  (service `app` is part of the environment)
      3  start `app` after 2, 7, 9, 11  (service `app` is part of the environment)
      4  create container of `old` after 0, 10  (service `old` is part of the environment)
      5  start `old` after 4, 11  (service `old` is part of the environment)
      6  create container of `proxy` after 0, 1  (service `proxy` is part of the environment)
      7  start `proxy` after 6  (service `proxy` is part of the environment)
      8  create container of `shm` after 0, 1  (service `shm` is part of the environment)
      9  start `shm` after 8  (service `shm` is part of the environment)
     10  create container of `store` after 0, 1  (service `store` is part of the environment)
     11  start `store` after 10  (service `store` is part of the environment)
     12  create container of `tests` after 0, 1  (suite `tests` is to be run)
     13  start `tests` after 12, 11  (suite `tests` is to be run)
     14  wait until `app` is ready after 3  (service `app` is part of the environment)
     15  wait until `old` is ready after 5  (service `old` is part of the environment)
     16  wait until `proxy` is ready after 7  (`app` waits for it)
     17  wait until `shm` is ready after 9  (`app` waits for it)
     18  wait until `store` is ready after 11  (`app`, `old`, `tests` wait for it)
     19  wait until suite `tests` has ended after 13  (its result is the verdict)
    ");
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let app = specification(&plan, "app", NEW, &image());
    let shown = format!(
        "{:?}\n{:?} {:?} {:?}",
        app.networking, app.ipc, app.pid, app.volumes_from
    );
    insta::assert_snapshot!(shown, @r#"
    Mode("container:id-proxy")
    Some("container:id-shm") Some("container:id-proxy") ["id-store:ro", "theirs"]
    "#);
    insta::assert_snapshot!(specification(&plan, "tests", NEW, &image()).links.join("\n"), @"
    envrun-0123456789ab-store:db
    envrun-0123456789ab-store:store
    envrun-0123456789ab-store:store-1
    envrun-0123456789ab-store:test-store-1
    other:other
    theirs:x
    ");
}

#[test]
fn volumes_from_another_service_are_not_hidden_by_volumes_of_the_image() {
    let image = ImageFacts {
        volumes: vec!["/data".to_owned(), "/logs".to_owned()],
        ..image()
    };
    let targets = |from: &str| {
        let compose = format!(
            "
services:
  base: {{ image: other }}
  store: {{ image: i, volumes: [/data], volumes_from: [base] }}
  web: {{ image: i, volumes_from: [{from}], x-envrun: {{ suite: true }} }}
"
        );
        let plan = Plan::new(&project(&compose), RUN, &Selection::default()).expect("a plan");
        let spec = specification(&plan, "web", NEW, &image);
        let mounts = spec.mounts.into_iter();
        mounts.map(|mount| mount.target).collect::<Vec<_>>()
    };
    assert_eq!(targets("store"), [] as [&str; 0]);
    // Of a container outside of the run nothing is known.
    assert_eq!(targets("container:theirs"), [] as [&str; 0]);
}

#[test]
fn the_network_of_the_highest_priority_is_the_first() {
    let compose = "
services:
  tests:
    image: i
    mac_address: 02:42:ac:11:00:01
    networks:
      a: { mac_address: 02:42:ac:11:00:02 }
      b: { priority: 5 }
      c: { priority: -1 }
    x-envrun: { suite: true }
networks: { a: , b: , c:  }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let planned = &plan.services["tests"];
    let networks: Vec<&str> = planned.networks.iter().map(|key| key.as_str()).collect();
    assert_eq!(networks, ["b", "a", "c"]);
    let macs = |api| {
        let of = |key: &str| container::endpoint(&plan, planned, &key.into(), api);
        let of = |key| of(key).options.mac_address.unwrap_or_default();
        let whole = specification(&plan, "tests", api, &image()).mac_address;
        format!("{whole:?}, a {}, b {}", of("a"), of("b"))
    };
    // An older engine knows the address of a container only.
    assert_eq!(macs((1, 43)), "Some(\"02:42:ac:11:00:01\"), a , b ");
    assert_eq!(macs(NEW), "None, a 02:42:ac:11:00:02, b 02:42:ac:11:00:01");
}

#[test]
fn a_subnet_of_the_file_is_taken_as_it_is_and_others_are_chosen() {
    let compose = "
services:
  tests: { image: i, networks: [fixed, free, six, theirs], x-envrun: { suite: true } }
networks:
  fixed: { ipam: { config: [{ subnet: 10.9.0.0/24, gateway: 10.9.0.254 }] } }
  free: { enable_ipv6: true, ipam: { driver: default, config: [{ subnet: 'fd00:9::/64' }] } }
  six: { enable_ipv4: false, enable_ipv6: true }
  theirs: { ipam: { driver: dhcp } }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let networks = plan.networks.iter().map(|(key, network)| match network {
        PlannedNetwork::Owned { spec, prefix } => {
            let pools = spec.ipam.pools.iter();
            let pools: Vec<String> = pools.map(|pool| pool.subnet.to_string()).collect();
            format!("{key}: {} chosen {prefix:?}", pools.join(" "))
        }
        PlannedNetwork::External(name) => name.clone(),
    });
    insta::assert_snapshot!(networks.collect::<Vec<_>>().join("\n"), @"
    fixed: 10.9.0.0/24 chosen None
    free: fd00:9::/64 chosen Some(28)
    six: fd01:2345:6789:c27a::/64 chosen None
    theirs:  chosen None
    ");
}
