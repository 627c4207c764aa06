//! What services share: namespaces, volumes, names, addresses; and how readiness is judged of a
//! service without a network of its own.

use crate::harness::{Project, image};

/// A server on a port, in the words of bash: perl is in every Debian.
fn server(port: u16) -> String {
    let listen = format!(
        "use IO::Socket::INET; my $$s = IO::Socket::INET->new(LocalPort => {port}, Listen => 9, ReuseAddr => 1) or die; \
         while (my $$c = $$s->accept) {{ print $$c qq(hello\\\\n); close $$c }}"
    );
    format!("[perl, -e, \"{listen}\"]")
}

/// A suite that runs a script of bash.
fn suite(script: &str, further: &str) -> String {
    format!(
        "image: {}
    command: [bash, -c, \"{script}\"]
    x-envrun: {{ suite: {{}} }}
    {further}",
        image::BASE
    )
}

#[test]
fn a_service_in_the_network_of_another_is_found_and_judged_there() {
    let project = Project::new(&format!(
        "
services:
  outer: {{ image: {base}, command: [sleep, infinity], ipc: shareable }}
  inner:
    image: {base}
    command: {server}
    network_mode: 'service:outer'
    ipc: 'service:outer'
    pid: 'service:outer'
    x-envrun: {{ ready: {{ tcp: 8000 }} }}
  checks:
    {checks}
",
        base = image::BASE,
        server = server(8000),
        checks = suite("exec 3<>/dev/tcp/outer/8000", "depends_on: [inner]"),
    ));
    let finished = project.run();
    finished.assert_code(0);
    let (outer, _) = finished.about("service_started", "outer");
    let (inner, _) = finished.about("service_started", "inner");
    assert!(outer < inner);
    let (_, ready) = finished.about("service_ready", "inner");
    assert!(ready.text("by").contains("tcp 8000"), "{ready:?}");
}

#[test]
fn a_service_on_the_hosts_network_and_one_without_any_are_judged_too() {
    let port = free_port();
    let project = Project::new(&format!(
        "
services:
  host:
    image: {base}
    command: {on_host}
    network_mode: host
    x-envrun: {{ ready: {{ tcp: {port} }} }}
  alone:
    image: {base}
    command: {alone}
    network_mode: none
    x-envrun: {{ ready: {{ tcp: 8000 }} }}
  checks:
    {checks}
",
        base = image::BASE,
        on_host = server(port),
        alone = server(8000),
        checks = suite("true", "depends_on: [host, alone]"),
    ));
    let finished = project.run();
    finished.assert_code(0);
    assert!(finished.has("service_ready", "host") && finished.has("service_ready", "alone"));
}

/// A port that nothing listens on at this moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn volumes_of_another_service_are_mounted_as_they_are_asked_for() {
    let project = Project::new(&format!(
        "
services:
  store: {{ image: {base}, command: [bash, -c, 'echo kept > /store/file; sleep infinity'], volumes: [/store],
    healthcheck: {{ test: [CMD, test, -s, /store/file], interval: 1s }} }}
  checks:
    {checks}
",
        base = image::BASE,
        checks = suite(
            "grep kept /store/file && ! touch /store/other 2>/dev/null",
            "volumes_from: ['store:ro']\n    depends_on: [store]"
        ),
    ));
    project.run().assert_code(0);
}

#[test]
fn links_are_further_names_and_let_the_other_start_first() {
    let project = Project::new(&format!(
        "
services:
  database: {{ image: {base}, command: {server}, expose: ['8000'] }}
  checks:
    {checks}
",
        base = image::BASE,
        server = server(8000),
        checks = suite(
            "set -e; for name in database db database-1; do getent hosts $$name; done",
            "links: ['database:db']"
        ),
    ));
    project.run().assert_code(0);
}

#[test]
fn addresses_are_those_of_the_file() {
    let random = uuid::Uuid::new_v4().as_bytes()[0];
    let compose = format!(
        "
services:
  server:
    image: {base}
    command: {server}
    expose: ['8000']
    networks: {{ fixed: {{ ipv4_address: 10.230.{random}.77 }} }}
  checks:
    {checks}
networks:
  fixed: {{ ipam: {{ config: [{{ subnet: 10.230.{random}.0/24 }}] }} }}
",
        base = image::BASE,
        server = server(8000),
        checks = suite(
            &format!(
                "exec 3<>/dev/tcp/10.230.{random}.77/8000 && until [ -e /gate/open ]; do sleep 0.02; done"
            ),
            "networks: [fixed]\n    depends_on: [server]\n    volumes: [./gate:/gate:ro]"
        ),
    );
    let project = Project::new(&compose);
    let run = project.start();
    project.open_gate();
    run.finish().assert_code(0);
}

#[test]
fn variables_without_a_value_are_taken_from_the_image() {
    let project = Project::new(&format!(
        "
services:
  checks:
    {checks}
",
        checks = suite(
            "[ -z \\\"$${PATH_OF_NOBODY+set}\\\" ] && [ -z \\\"$${EMPTY}\\\" ] && [ \\\"$${EMPTY+set}\\\" = set ]",
            "environment: { PATH_OF_NOBODY: , EMPTY: '' }"
        ),
    ));
    project.run().assert_code(0);
}
