//! Networks keep apart what the file keeps apart, and connect what it connects.

use crate::harness::{Project, image};

/// A server on every port that is asked of it, from the image that has Python.
fn server(networks: &str) -> String {
    format!(
        "
    {}
    command: [python3, -m, http.server, \"8000\"]
    expose: [\"8000\"]
    networks: {networks}
",
        image::python()
    )
}

#[test]
fn a_container_neither_finds_nor_reaches_one_on_another_network() {
    let project = Project::new(&format!(
        "
services:
  near:{near}
  far:{far}
  checks:
    image: {base}
    volumes: [./gate:/gate:ro, ./suite.sh:/suite.sh:ro]
    command: [bash, /suite.sh]
    networks: [front]
    depends_on: [near, far]
    x-envrun: {{ suite: {{}} }}
networks:
  front:
  back: {{ internal: true }}
",
        near = server("[front]"),
        far = server("[back]"),
        base = image::BASE,
    ));
    // That the near server answers shows that the means to reach one are there. The engine takes
    // its rule of isolation out and puts it in again whenever anybody creates a network, so
    // connections slip through at that moment; networks that are not kept apart would let all of
    // them through, for as long as one tries.
    project.file(
        "suite.sh",
        "connects() { timeout 2 bash -c \"exec 3<>/dev/tcp/$1/8000\"; }
until [ -e /gate/address ]; do sleep 0.02; done
far=$(cat /gate/address)
connects near || { echo 'near cannot be reached'; exit 1; }
! getent hosts far || { echo 'far is found by name'; exit 1; }
for attempt in {1..50}; do connects \"$far\" || exit 0; sleep 0.2; done
echo \"far is reached by its address $far\"; exit 1
",
    );
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    let far = project.engine.container(&id, "far");
    let networks = far
        .pointer("/NetworkSettings/Networks")
        .unwrap()
        .as_object()
        .unwrap();
    assert_eq!(networks.len(), 1, "{networks:#?}");
    let address = networks.values().next().unwrap()["IPAddress"]
        .as_str()
        .unwrap();
    // In one step, so that the suite cannot read half an address.
    project.file("address", address);
    std::fs::rename(project.path("address"), project.path("gate/address")).unwrap();
    let finished = run.finish();
    finished.assert_code(0);
}

#[test]
fn a_service_on_two_networks_is_found_on_both_under_the_names_it_has_there() {
    let project = Project::new(&format!(
        "
services:
  middle:{middle}
  left:
    image: {base}
    command: [bash, -c, \"exec 3<>/dev/tcp/middle/8000 4<>/dev/tcp/lefty/8000\"]
    networks: [one]
    depends_on: [middle]
    x-envrun: {{ suite: {{}} }}
  right:
    image: {base}
    command: [bash, -c, \"exec 3<>/dev/tcp/middle/8000 && ! getent hosts lefty\"]
    networks: [two]
    depends_on: [middle]
    x-envrun: {{ suite: {{}} }}
networks: {{ one: {{}}, two: {{}} }}
",
        middle = server("{ one: { aliases: [lefty] }, two: {} }"),
        base = image::BASE,
    ));
    project.run().assert_code(0);
}
