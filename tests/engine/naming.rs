//! What a run makes on the engine: labelled, named after the run, on small subnets of its own, and
//! never under a name or a port that another run could want as well.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpStream};

use crate::harness::engine::{PROJECT_LABEL, RUN_LABEL, SERVICE_LABEL};
use crate::harness::project::{UNTIL_OPEN, held_suite};
use crate::harness::{Project, Run, image};

#[test]
fn every_resource_carries_the_labels_of_the_run_and_a_name_that_begins_with_envrun() {
    let project = Project::new(&format!(
        "
services:
  built:
    build: ./built
    volumes: [\"data:/data\", \"/unnamed\", ./gate:/gate:ro]
    command: [bash, -c, \"{UNTIL_OPEN}\"]
    labels: {{ own: kept }}
  checks:
    {held}
    depends_on: [built]
networks: {{ default: {{ name: a-global-name }} }}
volumes: {{ data: {{ name: another-global-name }} }}
",
        held = held_suite(),
    ));
    project.file(
        "built/Dockerfile",
        format!("FROM {}\nVOLUME /declared\n", image::BASE),
    );
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    let all = project.engine.of_run(&id);
    let of_kind = |kind: &str| all.iter().filter(|resource| resource.kind == kind).count();
    assert_eq!(of_kind("container"), 2, "{all:#?}");
    assert_eq!(of_kind("network"), 1, "{all:#?}");
    assert_eq!(of_kind("volume"), 3, "{all:#?}");
    assert_eq!(of_kind("image"), 1, "{all:#?}");
    for resource in &all {
        assert!(resource.name.starts_with("envrun-"), "{resource:?}");
    }
    // Whatever carries the label of the project carries that of the run: nothing of it is missed by
    // either.
    assert_eq!(project.engine.labelled(PROJECT_LABEL, &project.name), all);
    let container = project.engine.container(&id, "built");
    let labels = container.pointer("/Config/Labels").unwrap();
    assert_eq!(labels[RUN_LABEL], id.as_str());
    assert_eq!(labels[SERVICE_LABEL], "built");
    assert_eq!(labels["own"], "kept");
    // Every volume of the container is one of those; an anonymous one would have another name.
    let volumes: BTreeSet<&str> = all
        .iter()
        .filter(|resource| resource.kind == "volume")
        .map(|resource| resource.name.as_str())
        .collect();
    let mounted: BTreeSet<&str> = container["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|mount| mount["Name"].as_str())
        .collect();
    assert_eq!(mounted, volumes);
    project.open_gate();
    run.finish().assert_code(0);
}

#[test]
fn the_volume_that_a_database_image_declares_is_labelled_and_removed() {
    let project = Project::with_postgres(&format!(
        "
services:
  db:
    image: {}
    environment: {{ POSTGRES_PASSWORD: secret }}
  checks:
    {}
    depends_on: {{ db: {{ condition: service_started }} }}
",
        image::postgres(),
        held_suite(),
    ));
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    let volumes = project.engine.inspect(&id, "volume");
    assert_eq!(volumes.len(), 1, "{volumes:#?}");
    let container = project.engine.container(&id, "db");
    let mounted = container["Mounts"].as_array().unwrap();
    assert_eq!(mounted.len(), 1, "{mounted:#?}");
    assert_eq!(mounted[0]["Name"], volumes[0]["Name"]);
    assert_eq!(mounted[0]["Destination"], "/var/lib/postgresql/data");
    project.open_gate();
    run.finish().assert_code(0);
}

/// Two services with everything that only one run at a time could have, if it were taken at its
/// word.
fn greedy() -> Project {
    Project::new(&format!(
        "
services:
  server:
    {python}
    command: [python3, -m, http.server, \"8000\"]
    container_name: the-one-and-only
    hostname: the-one
    ports: [\"127.0.0.1:18000:8000\"]
    networks: {{ front: {{ aliases: [www.example.test] }} }}
  checks:
    image: {base}
    volumes: [./gate:/gate:ro]
    command:
      - bash
      - -c
      - |
        set -e
        for name in server the-one-and-only www.example.test; do exec 3<>/dev/tcp/$$name/8000; done
        {UNTIL_OPEN}
    networks: [front]
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
networks: {{ front: {{ name: the-only-network }} }}
",
        python = image::python(),
        base = image::BASE,
    ))
}

#[test]
fn a_service_is_found_by_its_name_its_container_name_and_its_aliases() {
    let project = greedy();
    project.open_gate();
    let finished = project.run();
    finished.assert_code(0);
}

#[test]
fn a_container_name_and_a_host_port_do_not_keep_two_runs_apart() {
    let project = greedy();
    let mut one = Run::start(&project, project.envrun(&["run", "--out", "one"]), "one");
    let mut other = Run::start(
        &project,
        project.envrun(&["run", "--out", "other"]),
        "other",
    );
    one.until_suite_started("checks");
    other.until_suite_started("checks");
    for run in [&mut one, &mut other] {
        let id = run.id();
        let container = project.engine.container(&id, "server");
        let name = container["Name"].as_str().unwrap();
        assert!(name.starts_with("/envrun-"), "{name}");
        let started = run.event("the start of the server", |event| {
            event.is("service_started", "server")
        });
        let published = started.0["host_ports"][0].as_str().unwrap().to_owned();
        let address = published.rsplit(' ').next().unwrap();
        let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
        assert_ne!(port, 18000, "{published}");
        assert!(address.starts_with("127.0.0.1:"), "{published}");
        TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
    project.open_gate();
    one.finish().assert_code(0);
    other.finish().assert_code(0);
}

#[test]
fn subnets_are_small_and_lie_in_the_pool_of_envrun() {
    let project = Project::new(&format!(
        "
services:
  checks:
    {}
    networks: [one, two, three]
networks: {{ one: {{}}, two: {{}}, three: {{ internal: true }} }}
",
        held_suite()
    ));
    let mut run = project.start();
    run.until_suite_started("checks");
    let networks = project.engine.inspect(&run.id(), "network");
    assert_eq!(networks.len(), 3);
    for network in &networks {
        let subnet = network
            .pointer("/IPAM/Config/0/Subnet")
            .unwrap()
            .as_str()
            .unwrap();
        let (address, prefix) = subnet.split_once('/').unwrap();
        let address: Ipv4Addr = address.parse().unwrap();
        let prefix: u8 = prefix.parse().unwrap();
        assert!(prefix >= 26, "{subnet}");
        let [first, second, ..] = address.octets();
        assert!(first == 10 && (232..236).contains(&second), "{subnet}");
    }
    let internal: Vec<_> = networks
        .iter()
        .map(|network| &network["Internal"])
        .collect();
    assert_eq!(
        internal
            .iter()
            .filter(|flag| flag.as_bool() == Some(true))
            .count(),
        1
    );
    project.open_gate();
    run.finish().assert_code(0);
}

#[test]
fn the_engines_own_restart_policy_stays_off() {
    let project = Project::new(&format!(
        "services:\n  checks:\n    {}\n    restart: always\n",
        held_suite()
    ));
    let mut run = project.start();
    run.until_suite_started("checks");
    let container = project.engine.container(&run.id(), "checks");
    let policy = container.pointer("/HostConfig/RestartPolicy/Name");
    let policy = policy
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    assert!(["", "no"].contains(&policy), "{policy}");
    assert_eq!(
        container.pointer("/HostConfig/AutoRemove"),
        Some(&false.into())
    );
    project.open_gate();
    run.finish().assert_code(0);
}
