//! What is lowered, and what is set where nothing is said.

use super::super::{Case, load};
use super::judged;
use crate::config::model::Limits;
use crate::options::ContainerOptions;

fn lowered(lines: &str) -> String {
    let case = Case::new(&[(
        "compose.yaml",
        &format!("services:\n  web:\n    image: i\n{lines}"),
    )]);
    let loaded = load(&case.untrusted().request).unwrap();
    let mut options = loaded.project.services["web"].options.clone();
    loaded.project.limits.unwrap().hold(&mut options);
    let resources = options.resources;
    let mut text = format!(
        "memory {} swap {} reserved {} nano {} quota {}/{} shares {} pids {:?} shm {:?} {:?}\n",
        resources.memory,
        resources.memory_swap,
        resources.memory_reservation,
        resources.nano_cpus,
        resources.cpu_quota,
        resources.cpu_period,
        resources.cpu_shares,
        resources.pids_limit,
        options.shm_size,
        options.security_opt,
    );
    for warning in loaded.warnings {
        text.push_str(&format!("{warning}\n"));
    }
    text
}

#[test]
fn limits_hold_where_nothing_is_said() {
    insta::assert_snapshot!(lowered(""), @r#"memory 2147483648 swap 2147483648 reserved 0 nano 2000000000 quota 0/0 shares 0 pids Some(512) shm None ["no-new-privileges:true"]"#);
}

#[test]
fn less_than_the_limits_stays() {
    insta::assert_snapshot!(lowered("
    mem_limit: 512m
    mem_reservation: 1m
    memswap_limit: 1g
    cpus: 0.5
    pids_limit: 10
    shm_size: 1m
    cpu_shares: 100
    security_opt: [no-new-privileges, seccomp=builtin]
"), @r#"memory 536870912 swap 1073741824 reserved 1048576 nano 500000000 quota 0/0 shares 100 pids Some(10) shm Some(1048576) ["seccomp=builtin", "no-new-privileges:true"]"#);
    insta::assert_snapshot!(lowered("
    cpu_quota: 50000
    cpu_period: 100000
    deploy: { resources: { limits: { memory: 1g, pids: 5 } } }
"), @r#"memory 1073741824 swap 1073741824 reserved 0 nano 0 quota 50000/100000 shares 0 pids Some(5) shm None ["no-new-privileges:true"]"#);
}

#[test]
fn more_than_the_limits_is_lowered_with_its_line() {
    insta::assert_snapshot!(lowered("
    mem_limit: 3g
    mem_reservation: 3g
    memswap_limit: -1
    cpus: 64
    pids_limit: -1
    shm_size: 8g
    cpu_shares: 262144
"), @r#"
    memory 2147483648 swap 2147483648 reserved 2147483648 nano 2000000000 quota 0/0 shares 1024 pids Some(512) shm Some(2147483648) ["no-new-privileges:true"]
    compose.yaml:5:5: `mem_limit` of service `web` is lowered to the limit for strangers' code
    compose.yaml:6:5: `mem_reservation` of service `web` is lowered to the limit for strangers' code
    compose.yaml:7:5: `memswap_limit` of service `web` is lowered to the limit for strangers' code
    compose.yaml:8:5: `cpus` of service `web` is lowered to the limit for strangers' code
    compose.yaml:9:5: `pids_limit` of service `web` is lowered to the limit for strangers' code
    compose.yaml:10:5: `shm_size` of service `web` is lowered to the limit for strangers' code
    compose.yaml:11:5: `cpu_shares` of service `web` is lowered to the limit for strangers' code
    "#);
    insta::assert_snapshot!(lowered("
    cpu_quota: 900000
    memswap_limit: 8g
    deploy: { resources: { limits: { memory: 4g, pids: 100000 }, reservations: { memory: 3g } } }
"), @r#"
    memory 2147483648 swap 2147483648 reserved 2147483648 nano 2000000000 quota 0/0 shares 0 pids Some(512) shm None ["no-new-privileges:true"]
    compose.yaml:5:5: `cpu_quota` of service `web` is lowered to the limit for strangers' code
    compose.yaml:6:5: `memswap_limit` of service `web` is lowered to the limit for strangers' code
    compose.yaml:7:38: `deploy.resources.limits.memory` of service `web` is lowered to the limit for strangers' code
    compose.yaml:7:50: `deploy.resources.limits.pids` of service `web` is lowered to the limit for strangers' code
    compose.yaml:7:82: `deploy.resources.reservations.memory` of service `web` is lowered to the limit for strangers' code
    "#);
    insta::assert_snapshot!(lowered("
    cpu_period: 1000
    deploy: { resources: { limits: { cpus: '8' } } }
"), @r#"
    memory 2147483648 swap 2147483648 reserved 0 nano 2000000000 quota 0/0 shares 0 pids Some(512) shm None ["no-new-privileges:true"]
    compose.yaml:5:5: `cpu_period` of service `web` is lowered to the limit for strangers' code
    compose.yaml:6:38: `deploy.resources.limits.cpus` of service `web` is lowered to the limit for strangers' code
    "#);
    insta::assert_snapshot!(lowered("
    mem_limit: 0
    cpus: 0
    pids_limit: 0
    cpu_quota: -1
"), @r#"
    memory 2147483648 swap 2147483648 reserved 0 nano 2000000000 quota 0/0 shares 0 pids Some(512) shm None ["no-new-privileges:true"]
    compose.yaml:8:5: `cpu_quota` of service `web` is lowered to the limit for strangers' code
    "#);
}

#[test]
fn a_warning_shows_the_line() {
    insta::assert_snapshot!(judged("services: { web: { image: i, mem_limit: 64g } }"), @"
    project demo in /PARENT/demo
    service web
      image i
      on default
      option memory: 68719476736
    network default

      ⚠ `mem_limit` of service `web` is lowered to the limit for strangers' code
       ╭─[compose.yaml:1:30]
     1 │ services: { web: { image: i, mem_limit: 64g } }
       ·                              ─────────
       ╰────
      help: `--limit-memory` sets another limit

    1 warning
    ");
}

#[test]
fn the_number_of_containers_is_limited() {
    insta::assert_snapshot!(judged("
services:
  one: { image: i, scale: 20 }
  two: { image: i, deploy: { replicas: 15 }, pre_start: [{ command: x, per_replica: true }, { command: y }] }
"), @"
      × the project has 51 containers, and strangers' code may have 50
       ╭─[compose.yaml:4:30]
     3 │   one: { image: i, scale: 20 }
     4 │   two: { image: i, deploy: { replicas: 15 }, pre_start: [{ command: x, per_replica: true }, { command: y }] }
       ·                              ────────
       ╰────

    1 error
    ");
    let text = judged("services: { one: { image: i, scale: 50 } }");
    assert!(!text.contains('×'), "{text}");
}

#[test]
fn the_numbers_of_networks_and_volumes_are_limited() {
    let project = |networks: usize, volumes: usize| {
        let names = |prefix: &str, count: usize| -> Vec<String> {
            (0..count)
                .map(|number| format!("{prefix}{number}"))
                .collect()
        };
        let declared = |names: &[String]| -> String {
            names
                .iter()
                .map(|name| format!("  {name}: {{}}\n"))
                .collect()
        };
        let (networks, volumes) = (names("n", networks), names("v", volumes));
        let text = format!(
            "services: {{ web: {{ image: i, networks: [{}] }} }}\nnetworks:\n{}volumes:\n{}",
            networks.join(", "),
            declared(&networks),
            declared(&volumes),
        );
        super::errors(&Case::new(&[("compose.yaml", &text)]).untrusted())
    };
    assert_eq!(project(20, 100), [""; 0]);
    insta::assert_snapshot!(project(21, 101).join("\n"), @"
    compose.yaml:2:1: the project has 21 networks, and strangers' code may have 20
    compose.yaml:24:1: the project has 101 volumes, and strangers' code may have 100
    ");
}

#[test]
fn ports_are_published_on_the_loopback_address() {
    let case = Case::new(&[(
        "compose.yaml",
        "services: { web: { image: i, ports: ['80', '81:81/udp', '[::1]:82:82'] } }",
    )]);
    let addresses = |case: &Case| -> Vec<Option<String>> {
        let project = load(&case.request).unwrap().project;
        let ports = project.services["web"].ports.iter();
        ports.map(|port| port.host_ip.clone()).collect()
    };
    assert_eq!(addresses(&case), [None, None, Some("::1".to_owned())]);
    let local = Some("127.0.0.1".to_owned());
    assert_eq!(
        addresses(&case.untrusted()),
        [local.clone(), local, Some("::1".to_owned())]
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_gets_past_the_limits(
            memory: u64, swap: i64, reservation: u64, nano: i64, quota: i64, period: i64, pids: Option<i64>,
            shm: Option<u64>,
        ) {
            let limits = Limits { memory: 1 << 30, nano_cpus: 1_500_000_000, pids: 64 };
            let mut options = ContainerOptions { shm_size: shm, ..ContainerOptions::default() };
            let resources = &mut options.resources;
            resources.memory = memory;
            resources.memory_swap = swap;
            resources.memory_reservation = reservation;
            resources.nano_cpus = nano;
            resources.cpu_quota = quota;
            resources.cpu_period = period;
            resources.pids_limit = pids;
            limits.hold(&mut options);
            let held = &options.resources;
            prop_assert!((1..=limits.memory).contains(&held.memory));
            prop_assert!((1..=1 << 30).contains(&held.memory_swap));
            prop_assert!(held.memory_reservation <= held.memory);
            prop_assert!(held.pids_limit.is_some_and(|pids| (1..=64).contains(&pids)));
            prop_assert!(options.shm_size.is_none_or(|size| size <= limits.memory));
            if held.nano_cpus == 0 {
                let period = if held.cpu_period == 0 { 100_000 } else { held.cpu_period };
                prop_assert!(held.cpu_quota > 0 && period > 0);
                prop_assert!(held.cpu_quota as f64 / period as f64 <= 1.5);
            } else {
                prop_assert!((1..=limits.nano_cpus).contains(&held.nano_cpus));
                prop_assert_eq!((held.cpu_quota, held.cpu_period), (0, 0));
            }
            prop_assert!(options.security_opt.contains(&"no-new-privileges:true".to_owned()));
            let once = options.clone();
            limits.hold(&mut options);
            prop_assert_eq!(options, once);
        }
    }
}
