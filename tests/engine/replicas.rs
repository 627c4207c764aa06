//! Several containers behind one name.

use std::collections::BTreeSet;

use crate::harness::project::{GATE, UNTIL_OPEN};
use crate::harness::{Project, image};

#[test]
fn the_engines_dns_answers_with_every_replica() {
    let project = Project::new(&format!(
        "
services:
  web:
    image: {base}
    scale: 3
    command: [sleep, infinity]
    ports: [\"80\"]
    healthcheck: {{ test: [CMD, \"true\"] }}
  job: {{ image: {base}, deploy: {{ replicas: 2 }}, command: [bash, -c, 'echo from $$HOSTNAME'] }}
  none: {{ image: {base}, scale: 0 }}
  checks:
    image: {base}
    command: [bash, -c, 'getent ahostsv4 web | cut -d\" \" -f1 | sort -u; for n in 1 2 3; do getent hosts web-$$n; done']
    depends_on:
      web: {{ condition: service_healthy }}
      job: {{ condition: service_completed_successfully }}
      none: {{ condition: service_started }}
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(0);
    let log = String::from_utf8(finished.log("checks")).unwrap();
    let addresses: BTreeSet<&str> = log.lines().filter(|line| !line.contains("web")).collect();
    assert_eq!(addresses.len(), 3, "{log}");
    let named: Vec<&str> = log.lines().filter(|line| line.contains("web")).collect();
    assert_eq!(named.len(), 3, "{log}");
    for replica in ["web-1", "web-2", "web-3"] {
        assert!(finished.has("service_ready", replica));
    }
    // Each replica has a log and a port of its own.
    let ports: BTreeSet<String> = finished
        .events
        .iter()
        .filter(|event| event.kind() == "service_started")
        .filter_map(|event| Some(event.0["host_ports"].as_array()?.first()?.to_string()))
        .collect();
    assert_eq!(ports.len(), 3, "{ports:?}");
    assert_ne!(finished.log("job-1"), finished.log("job-2"));
    assert!(
        finished
            .stderr
            .contains("service `none` has 0 replicas and is not started")
    );
}

#[test]
fn a_replica_that_dies_ends_the_run_and_nothing_is_left_of_the_others() {
    let project = Project::new(&format!(
        "
services:
  web:
    image: {base}
    scale: 3
    {GATE}
    command:
      - bash
      - -c
      - '{UNTIL_OPEN}; [ \"$$(getent hosts web-2 | cut -d\" \" -f1)\" != \"$$(hostname -i)\" ] || exit 3; sleep infinity'
  checks:
    image: {base}
    command: [sleep, infinity]
    depends_on: {{ web: {{ condition: service_started }} }}
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE,
    ));
    let mut run = project.start();
    run.until_suite_started("checks");
    project.open_gate();
    let finished = run.finish();
    let (_, died) = finished.first("service_died");
    assert_eq!(died.text("service"), "web-2");
    finished.assert_code(3);
}
