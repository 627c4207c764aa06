//! How many containers a service has, and how they come and go.

use super::{show, show_service};

#[test]
fn replicas_are_read_from_both_places() {
    insta::assert_snapshot!(show("
services:
  one: { image: i, scale: 1, deploy: {} }
  three: { image: i, deploy: { replicas: 3 } }
  two: { image: i, scale: '2' }
  none: { image: i, scale: 0 }
"), @"
    project demo in /PARENT/demo
    service none
      image i
      on default
      replicas 0
    service one
      image i
      on default
    service three
      image i
      on default
      replicas 3
    service two
      image i
      on default
      replicas 2
    network default
    ");
}

#[test]
fn replicas_that_cannot_be_are_errors() {
    insta::assert_snapshot!(show_service("image: i\nscale: -1"), @"
      × `scale` must not be negative
       ╭─[compose.yaml:4:12]
     3 │     image: i
     4 │     scale: -1
       ·            ──
       ╰────

    1 error
    ");
    insta::assert_snapshot!(show_service("image: i\ndeploy: { replicas: 1001 }"), @"
      × `replicas` is more than 1000
       ╭─[compose.yaml:4:25]
     3 │     image: i
     4 │     deploy: { replicas: 1001 }
       ·                         ────
       ╰────

    1 error
    ");
}

#[test]
fn a_suite_has_one_replica() {
    insta::assert_snapshot!(show_service("image: i\nscale: 3\nx-envrun: { suite: true }"), @"
      × a suite cannot have 3 replicas
       ╭─[compose.yaml:4:5]
     3 │     image: i
     4 │     scale: 3
       ·     ─────
     5 │     x-envrun: { suite: true }
       ╰────
      help: `x-envrun.suite.shards` is what splits a suite over several containers

    1 error
    ");
    insta::assert_snapshot!(show_service("image: i\ndeploy: { replicas: 0 }\nx-envrun: { suite: true }"), @"
      × a suite cannot have 0 replicas
       ╭─[compose.yaml:4:15]
     3 │     image: i
     4 │     deploy: { replicas: 0 }
       ·               ────────
     5 │     x-envrun: { suite: true }
       ╰────
      help: to leave a suite out, use `--skip` or a profile

    1 error
    ");
}

#[test]
fn a_fixed_address_cannot_belong_to_several_replicas() {
    let shown = show(
        "
services:
  web:
    image: i
    scale: 2
    mac_address: '02:42:ac:11:00:02'
    networks:
      back: { ipv4_address: 10.0.0.5 }
      front:
networks: { back: , front:  }
",
    );
    let errors = shown.split("\n\n").filter(|block| block.starts_with("  ×"));
    insta::assert_snapshot!(errors.collect::<Vec<_>>().join("\n"), @"
     × `mac_address` is fixed, and the service has 2 replicas
      ╭─[compose.yaml:6:5]
    5 │     scale: 2
    6 │     mac_address: '02:42:ac:11:00:02'
      ·     ───────────
    7 │     networks:
      ╰────
     help: leave the address out, or have one replica
     × `ipv4_address` is fixed, and the service has 2 replicas
      ╭─[compose.yaml:8:15]
    7 │     networks:
    8 │       back: { ipv4_address: 10.0.0.5 }
      ·               ────────────
    9 │       front:
      ╰────
     help: leave the address out, or have one replica
    ");
}
