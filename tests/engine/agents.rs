//! Where this host cannot dial into the networks of a run, the in-network agent probes: in any
//! network, for images without a shell, and with nothing of it left behind. Each run here is in a network
//! namespace of its own, as in a job container: the engine's socket is there, its bridges are not.

use std::process::Command;

use crate::harness::{Finished, Project, image};

/// A server that listens late, on one address only.
const SERVER: &str = r#"
import http.server, sys, time
time.sleep(0.5)
http.server.ThreadingHTTPServer((sys.argv[1], 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
"#;

/// A project with these services besides a suite that depends on `depends_on`.
fn project(services: &str, depends_on: &str) -> Project {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command: ['true']
    depends_on: {depends_on}
    networks: [back]
    x-envrun: {{ suite: {{}} }}
{services}
networks:
  back: {{ internal: true }}
",
        base = image::BASE,
    ));
    project.file("server.py", SERVER);
    project
}

fn server(name: &str, rest: &str) -> String {
    format!(
        "
  {name}:
    {python}
    volumes: [./server.py:/server.py:ro]
    command: [python3, -u, /server.py, 0.0.0.0]
    {rest}
",
        python = image::python(),
    )
}

#[track_caller]
fn by(finished: &Finished<'_>, service: &str) -> String {
    let (_, event) = finished.about("service_ready", service);
    event.text("by").to_owned()
}

#[test]
fn handshakes_reach_an_internal_network_and_the_real_server() {
    let services = format!(
        "
  db:
    image: {postgres}
    environment: {{ POSTGRES_PASSWORD: secret }}
    networks: [back]
{web}",
        postgres = image::postgres(),
        web = server(
            "web",
            "networks: [back]\n    x-envrun: { ready: { http: { port: 8000, status: 200 } } }"
        ),
    );
    let project = project(&services, "[db, web]");
    let finished = project.start_elsewhere().finish();
    finished.assert_code(0);
    assert_eq!(by(&finished, "db"), "postgres 5432");
    assert_eq!(by(&finished, "web"), "http 8000/");
    assert_eq!(finished.on_the_engine(), []);
}

/// No network at all, that of another service, and that of the engine's host.
#[test]
fn an_agent_goes_to_where_no_network_leads() {
    let services = [
        server(
            "alone",
            "network_mode: none\n    x-envrun: { ready: { http: 8000 } }",
        ),
        server("proxy", "networks: [back]\n    expose: [8000]"),
        "
  beside:
    image: debian:bookworm-slim
    command: [sleep, infinity]
    network_mode: 'service:proxy'
    x-envrun: { ready: { tcp: 8000 } }
"
        .to_owned(),
    ]
    .concat();
    let project = project(&services, "[alone, proxy, beside]");
    let finished = project.start_elsewhere().finish();
    finished.assert_code(0);
    assert_eq!(by(&finished, "alone"), "http 8000/");
    assert_eq!(by(&finished, "beside"), "tcp 8000");
    assert_eq!(finished.on_the_engine(), []);
}

/// The agent takes an address that the file gives to nobody, and none where there is no room.
#[test]
fn fixed_addresses_stay_free() {
    let services = server(
        "web",
        "networks: { narrow: { ipv4_address: 10.213.77.5 }, wide: { ipv4_address: 10.213.76.254 } }\n    expose: [8000]",
    );
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command: ['true']
    depends_on: [web]
    networks: [wide]
    x-envrun: {{ suite: {{}} }}
{services}
networks:
  narrow: {{ ipam: {{ config: [{{ subnet: 10.213.77.4/30, gateway: 10.213.77.6 }}] }} }}
  wide: {{ ipam: {{ config: [{{ subnet: 10.213.76.0/24 }}] }} }}
",
        base = image::BASE,
    ));
    project.file("server.py", SERVER);
    let finished = project.start_elsewhere().finish();
    finished.assert_code(0);
    assert_eq!(by(&finished, "web"), "tcp 8000");
}

/// A server that nobody else reaches is not ready, although the agent is in its own namespace.
#[test]
fn a_server_on_its_loopback_address_is_not_ready() {
    let services = server(
        "web",
        "networks: [back]\n    x-envrun: { ready: { tcp: 8000, deadline: 3s } }",
    )
    .replace("0.0.0.0", "127.0.0.1");
    let project = project(&services, "[web]");
    let finished = project.start_elsewhere().finish();
    finished.assert_code(3);
    assert_eq!(finished.on_the_engine(), []);
}

/// An image of one static program has no shell and no `cat` to look with.
#[test]
fn an_image_without_a_shell_is_probed() {
    let project = project(
        "
  bare:
    build: { context: ., dockerfile_inline: \"FROM scratch\\nCOPY agent /agent\\nENTRYPOINT [\\\"/agent\\\"]\\n\" }
    stdin_open: true
    networks: [back]
    x-envrun: { ready: { tcp: 9, deadline: 3s } }
",
        "[bare]",
    );
    let program = envrun::agent::program().expect("this build has one");
    std::fs::write(project.directory().join("agent"), program).expect("written");
    let chmod = Command::new("chmod")
        .arg("755")
        .arg(project.directory().join("agent"))
        .status();
    assert!(chmod.expect("chmod").success());
    let finished = project.start_elsewhere().finish();
    // It serves nothing, and that is what is seen: an answer of its network, not the lack of a command.
    finished.assert_code(3);
    let (_, aborted) = finished.first("run_aborted");
    assert!(
        aborted
            .at("/failure/message")
            .contains("connection refused"),
        "{}",
        aborted.at("/failure/message")
    );
}
