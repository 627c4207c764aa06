//! Causes outside of the containers: packet filters, the outside, ports of the host.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use super::{bash, cause, explained, idle};
use crate::harness::outside::Outside;
use crate::harness::project::UNTIL_OPEN;
use crate::harness::{Project, image};

#[test]
#[expect(clippy::print_stderr, reason = "what could not be tried is said")]
fn the_outside_is_told_from_the_inside() {
    let Some(outside) = Outside::start() else {
        return eprintln!("nothing was tested: a host beyond the engine's host takes root");
    };
    let address = outside.address.ip();
    let port = outside.address.port();
    let connect = |port: u16| format!("exec 3<>/dev/tcp/{address}/{port}");
    let postgres = image::postgres();
    // Its own limit, since bash waits for two minutes.
    let patient = format!(
        "{{ image: {postgres}, environment: {{ PGCONNECT_TIMEOUT: '3' }}, entrypoint: [psql, -h, '{address}', -p, '{port}', -U, a, -c, ''], networks: [back], x-envrun: {{ suite: {{}} }} }}"
    );
    let project = Project::new(&format!(
        "
services:
  idle: {{ {idle}, networks: [out] }}
  reached: {reached}
  refused: {refused}
  confined: {confined}
  confined_name: {confined_name}
  name: {name}
networks: {{ out: {{}}, back: {{ internal: true }} }}
",
        idle = idle(),
        reached = bash(&connect(port), "networks: [out],"),
        refused = bash(&connect(1), "networks: [out],"),
        confined = patient,
        confined_name = bash("exec 3<>/dev/tcp/api.example.test/443", "networks: [back],"),
        name = bash(
            "exec 3<>/dev/tcp/api.example.test/443",
            &format!("networks: [out], dns: ['{address}'],")
        ),
    ));
    let finished = project.run();
    finished.assert_code(1);
    // There is a way out.
    assert!(!finished.has("explained", "reached"));
    let told = |suite: &str| explained(&finished, suite);
    assert_eq!(told("refused").text("kind"), "RefusedOutside");
    let confined = told("confined");
    confined.assert("Internal", "`networks: [back, out]`");
    assert!(
        confined.evidence().contains("does not answer")
            || confined.evidence().contains("cannot be reached"),
        "{confined:#?}"
    );
    told("confined_name").assert("Internal", "`networks: [back, out]`");
    told("name").assert("OutsideName", "`dns`");
}

#[test]
#[expect(clippy::print_stderr, reason = "what could not be tried is said")]
fn a_packet_filter_is_told_from_a_server_that_is_not_there() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("nothing was tested: a packet filter takes root");
    }
    let project = Project::new(&format!(
        "
services:
  web:
    {python}
    command: [python3, -m, http.server, '8000']
    x-envrun: {{ ready: {{ tcp: 8000 }} }}
  checks:
    {python}
    command: [sh, -c, '{UNTIL_OPEN}; exec python3 /app/client.py']
    volumes: ['./gate:/gate:ro', './client.py:/app/client.py:ro']
    depends_on: [web]
    x-envrun: {{ suite: {{}} }}
",
        python = image::python(),
    ))
    .having(
        "client.py",
        "import socket\nsocket.create_connection((\"web\", 8000), 2)\n",
    );
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    let container = project.engine.container(&id, "web");
    let process = container
        .pointer("/State/Pid")
        .and_then(Value::as_u64)
        .unwrap();
    let filtered = Command::new("nsenter")
        .arg(format!("--net=/proc/{process}/ns/net"))
        .args([
            "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "8000", "-j", "DROP",
        ])
        .output()
        .unwrap();
    assert!(filtered.status.success(), "{filtered:?}");
    project.open_gate();
    let finished = run.finish();
    finished.assert_code(1);
    let cause = explained(&finished, "checks");
    cause.assert("Filtered", "DOCKER-USER");
    assert!(cause.evidence().contains("does not answer"), "{cause:#?}");
}

#[test]
fn a_port_of_the_host_that_somebody_has() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let project = Project::new(&format!(
        "
services:
  web:
    {python}
    network_mode: host
    command: [python3, -m, http.server, '{port}']
    x-envrun: {{ ready: {{ exec: [\"false\"], deadline: 60s }} }}
  checks: {{ image: {base}, command: ['true'], depends_on: [web], x-envrun: {{ suite: {{}} }} }}
",
        python = image::python(),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(3);
    let cause = cause(&finished);
    cause.assert("PortTaken", &format!("port {port}"));
    let holder = format!("process {}", std::process::id());
    assert!(cause.evidence().contains(&holder), "{cause:#?}");
}

#[test]
fn a_port_in_a_shared_network() {
    let project = Project::new(&format!(
        "
services:
  proxy:
    {python}
    command: [python3, -m, http.server, '8000']
    x-envrun: {{ ready: {{ tcp: 8000 }} }}
  web:
    {python}
    network_mode: service:proxy
    command: [python3, -m, http.server, '8000']
    depends_on: [proxy]
    x-envrun: {{ ready: {{ exec: [\"false\"], deadline: 60s }} }}
  checks: {{ image: {base}, command: ['true'], depends_on: [web], x-envrun: {{ suite: {{}} }} }}
",
        python = image::python(),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(3);
    let cause = cause(&finished);
    cause.assert("PortTaken", "listen on another port");
    assert!(cause.text("message").contains("`proxy`"), "{cause:#?}");
}
