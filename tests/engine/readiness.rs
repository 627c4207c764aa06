//! Ready means ready: what depends on a service starts once the service really answers, and not at
//! a guess. Suites and jobs here try once and never again, so they pass only if they were started
//! in time.

use crate::harness::{Finished, Project, image};

/// A server that listens late, and answers `503` to the first few requests.
const SERVER: &str = r#"
import http.server, os, sys, time

unready = int(sys.argv[2])

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global unready
        ready = unready == 0
        unready -= 0 if ready else 1
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

time.sleep(float(sys.argv[1]))
http.server.ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()
"#;

/// A project with the server above as `server`, which has these further lines, and a suite `checks`
/// that depends on it and runs a script.
fn project(server: &str, arguments: &str, suite: &str) -> Project {
    let project = Project::new(&format!(
        "
services:
  server:
    {python}
    volumes: [./server.py:/server.py:ro]
    command: [python3, -u, /server.py, {arguments}]
    {server}
  checks:
    image: {base}
    volumes: [./suite.sh:/suite.sh:ro]
    command: [bash, /suite.sh]
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
networks:
  back: {{ internal: true }}
",
        python = image::python(),
        base = image::BASE,
    ));
    project.file("server.py", SERVER);
    project.file("suite.sh", suite);
    project
}

/// Connects once.
const CONNECT: &str = "exec 3<>/dev/tcp/server/8000";

/// Asks once, and wants success.
const GET: &str = "set -e
exec 3<>/dev/tcp/server/8000
printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3
read -r status <&3
[[ $status == *' 200 '* ]]";

/// By which probes the service became ready.
#[track_caller]
fn by<'finished>(finished: &'finished Finished<'_>, service: &str) -> &'finished str {
    finished.about("service_ready", service).1.text("by")
}

#[test]
fn an_exposed_port_is_waited_for_before_dependants_start() {
    let project = project("expose: [\"8000\"]", "'0.5', '0'", CONNECT);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished, "server"), "tcp 8000");
}

#[test]
fn a_port_of_the_image_is_waited_for_when_the_file_names_none() {
    // The image is that of the scenario's API, which exposes 3000.
    let project = project(
        "environment: { PORT: \"3000\" }",
        "'0.5', '0'",
        "exec 3<>/dev/tcp/server/3000",
    );
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished, "server"), "tcp 3000");
}

#[test]
fn an_http_probe_waits_for_success_and_not_for_an_answer() {
    let project = project(
        "x-envrun: { ready: { http: { port: 8000, path: / } } }",
        "'0', '30'",
        GET,
    );
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished, "server"), "http 8000/");
    assert!(
        finished
            .about("service_ready", "server")
            .1
            .number("attempts")
            > 30
    );
}

#[test]
fn a_service_on_an_internal_network_is_probed_from_outside_all_the_same() {
    let project = project(
        "expose: [\"8000\"]\n    networks: [back]",
        "'0.5', '0'",
        CONNECT,
    );
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    project.file(
        "compose.yaml",
        compose.replace(
            "    depends_on: [server]",
            "    networks: [back]\n    depends_on: [server]",
        ),
    );
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished, "server"), "tcp 8000");
}

#[test]
fn a_healthcheck_is_asked_long_before_its_interval_is_over() {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [bash, -c, \"sleep 0.3; touch /tmp/ok; exec sleep infinity\"]
    healthcheck: {{ test: [CMD, test, -e, /tmp/ok], interval: 30s, retries: 3 }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: {{ server: {{ condition: service_healthy }} }}
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished, "server"), "healthcheck");
    let after = finished
        .about("service_ready", "server")
        .1
        .number("after_ms");
    assert!((300..10_000).contains(&after), "ready after {after} ms");
}

#[test]
fn service_started_waits_for_the_start_and_no_more() {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
    x-envrun: {{ ready: {{ tcp: 9 }} }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: {{ server: {{ condition: service_started }} }}
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(0);
    assert!(!finished.has("service_ready", "server"));
    let (server, _) = finished.about("service_started", "server");
    let (checks, _) = finished.about("suite_started", "checks");
    assert!(server < checks);
}

#[test]
fn a_database_is_ready_after_its_initialisation_and_not_during_it() {
    // The healthcheck is the one that everybody writes, and it is wrong: the temporary server of
    // the initialisation answers it over the unix socket.
    let project = Project::with_postgres(&format!(
        "
services:
  db:
    image: {postgres}
    environment: {{ POSTGRES_PASSWORD: secret }}
    volumes: [\"./init:/docker-entrypoint-initdb.d:ro\"]
    healthcheck: {{ test: [CMD-SHELL, pg_isready -U postgres], interval: 1s, timeout: 5s, retries: 60 }}
  query:
    image: {postgres}
    environment: {{ PGPASSWORD: secret }}
    command: [psql, -h, db, -U, postgres, -v, ON_ERROR_STOP=1, -c, \"SELECT * FROM made_last\"]
    depends_on: {{ db: {{ condition: service_healthy }} }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: {{ query: {{ condition: service_completed_successfully }} }}
    x-envrun: {{ suite: {{}} }}
",
        postgres = image::postgres(),
        base = image::BASE,
    ));
    project.file(
        "init/10-slow.sql",
        "SELECT pg_sleep(3); CREATE TABLE made_last (id int);",
    );
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished, "db"), "healthcheck and postgres 5432");
    let after = finished.about("service_ready", "db").1.number("after_ms");
    assert!(after > 3000, "ready after {after} ms");
}

#[test]
fn a_service_that_dies_before_it_is_ready_is_not_waited_for() {
    // It says 0, but it was declared to listen, so it has not done what it was there for.
    for code in [0, 4] {
        let project = Project::new(&format!(
            "
services:
  server:
    image: {base}
    command: [bash, -c, \"echo about to go; exit {code}\"]
    x-envrun: {{ ready: {{ tcp: 8000, deadline: 1h }} }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
",
            base = image::BASE
        ));
        let finished = project.run();
        finished.assert_code(3);
        let report = finished.junit();
        let case = report.case("envrun.environment", "ready: server");
        assert_eq!(case.kind, "Died");
        assert!(case.message.contains("before it was ready"), "{case:#?}");
        assert!(case.message.contains(&code.to_string()), "{case:#?}");
        assert!(case.text.contains("about to go"), "{case:#?}");
    }
}

#[test]
fn a_deadline_says_how_often_was_asked_and_what_the_last_answer_was() {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [bash, -c, \"echo not listening; exec sleep infinity\"]
    x-envrun: {{ ready: {{ tcp: 8000, deadline: 700ms }} }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(3);
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: server");
    assert_eq!(case.kind, "NotReady");
    for part in [
        "not ready after 0.7",
        "attempts, last: connection refused",
        "tcp 8000",
    ] {
        assert!(case.message.contains(part), "{part}: {case:#?}");
    }
    assert!(case.text.contains("not listening"), "{case:#?}");
}

#[test]
fn a_server_that_never_says_200_shows_its_last_answer() {
    let project = project(
        "x-envrun: { ready: { http: { port: 8000, path: /health }, deadline: 1500ms } }",
        "'0', '1000000'",
        GET,
    );
    let finished = project.run();
    finished.assert_code(3);
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: server");
    assert!(case.message.contains("503"), "{case:#?}");
}

#[test]
fn a_healthcheck_that_never_passes_shows_its_last_output() {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
    healthcheck: {{ test: [CMD-SHELL, \"echo no disk; exit 1\"], interval: 1s }}
    x-envrun: {{ ready: {{ healthcheck: true, deadline: 1s }} }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run();
    finished.assert_code(3);
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: server");
    assert!(case.message.contains("exit code 1: no disk"), "{case:#?}");
}
