//! Failures explained: each cause is produced for real, by clients and servers as people use them, and
//! told on the terminal, in `junit.xml` and in the events.
//!
//! What people meet, and the test that produces it:
//!
//! | where | what | test |
//! |---|---|---|
//! | 000, break-fix 9.2 | an API on another network than its database | `the_break_fix_is_explained` |
//! | 001, "can't connect to DB" | both not on one network | `the_break_fix_is_explained`, `suites_are_explained_beside_their_failure` (`stranger`) |
//! | 001, "MySQL not ready" | asked before it is ready; init scripts still run | `init_scripts_that_still_run_are_seen`, `asked_too_early` |
//! | 003, issue 1: external services | DNS resolution | `the_outside_is_told_from_the_inside` (`name`, `confined_name`) |
//! | 003, issue 1: external services | routing, `internal` networks | `the_outside_is_told_from_the_inside` (`confined`) |
//! | 003, issue 1: external services | rules of packet filters | `a_packet_filter_is_told_from_a_server_that_is_not_there` |
//! | 003, issue 2: containers cannot communicate | not on the same network | `the_break_fix_is_explained` |
//! | 003, issue 2: containers cannot communicate | default bridge without names | `the_default_bridge_has_no_names` |
//! | 003, issue 2: containers cannot communicate | by address; names; listening; ports | `suites_are_explained_beside_their_failure` |
//! | 003, issue 3: port binding failures | a process or a container has the port | `a_port_of_the_host_that_somebody_has`, `a_port_in_a_shared_network` |
//!
//! "DB lost after restart" (001) is about volumes and "performance" (003, issue 4) about speed: neither
//! is a failure to connect.

mod beyond;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::project::{GATE, UNTIL_OPEN};
use crate::harness::{Finished, Project, image};

/// A cause as it stands in the events.
#[derive(Debug)]
struct Told(Value);

impl Told {
    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    fn evidence(&self) -> String {
        let lines = self.0["evidence"].as_array().unwrap().iter();
        let lines: Vec<&str> = lines.filter_map(Value::as_str).collect();
        lines.join("\n")
    }

    /// Asserts the kind, that it is proven, and a part of the remedy.
    #[track_caller]
    fn assert(&self, kind: &str, remedy: &str) -> &Self {
        assert_eq!(self.text("kind"), kind, "{self:#?}");
        assert!(self.text("remedy").contains(remedy), "{self:#?}");
        assert_eq!(self.0["confirmed"], true, "{self:#?}");
        self
    }
}

/// The first cause of what has ended the run.
#[track_caller]
fn cause(finished: &Finished<'_>) -> Told {
    let (_, event) = finished.first("run_aborted");
    let cause = event.0.pointer("/failure/causes/0");
    Told(
        cause
            .unwrap_or_else(|| panic!("no cause: {:#}", event.0))
            .clone(),
    )
}

/// The first cause of the failure of a suite, or of what the run went on without.
#[track_caller]
fn explained(finished: &Finished<'_>, service: &str) -> Told {
    let (_, event) = finished.about("explained", service);
    Told(event.0["causes"][0].clone())
}

/// A service that does nothing and listens nowhere.
fn idle() -> String {
    format!("image: {}, command: [sleep, infinity]", image::BASE)
}

/// A suite that runs a text in bash once.
fn bash(text: &str, more: &str) -> String {
    format!(
        "{{ image: {}, command: [bash, -c, {text:?}], {more} x-envrun: {{ suite: {{}} }} }}",
        image::BASE
    )
}

#[test]
fn the_break_fix_is_explained() {
    // The resolver gives up after a second and not after ten; the words are psql's own.
    let project = Project::with_postgres(&format!(
        "
services:
  taskflow-db:
    image: {postgres}
    environment: {{ POSTGRES_PASSWORD: secret-of-the-db, POSTGRES_DB: taskflow }}
    networks: [taskflow-backend]
  taskflow-api:
    image: {postgres}
    environment:
      DATABASE_URL: postgres://postgres:secret-of-the-db@taskflow-db:5432/taskflow
      RES_OPTIONS: timeout:1 attempts:1
    entrypoint: [sh, -c, 'until psql \"$$DATABASE_URL\" -c \"SELECT 1\"; do sleep 0.2; done; exec sleep infinity']
    networks: [taskflow-frontend]
    depends_on: [taskflow-db]
    x-envrun: {{ ready: {{ tcp: 8000, deadline: 5s }} }}
  checks: {{ image: {base}, command: ['true'], depends_on: [taskflow-api], x-envrun: {{ suite: {{}} }} }}
networks:
  taskflow-backend: {{}}
  taskflow-frontend: {{ internal: true }}
",
        postgres = image::postgres(),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(3);
    let cause = cause(&finished);
    cause.assert(
        "NoSharedNetwork",
        "`networks: [taskflow-frontend, taskflow-backend]`",
    );
    assert_eq!(cause.text("service"), "taskflow-api");
    assert_eq!(cause.text("target"), "taskflow-db");
    let evidence = cause.evidence();
    assert!(
        evidence.contains("could not translate host name \"taskflow-db\""),
        "{evidence}"
    );
    assert!(
        evidence.contains("`taskflow-db` does not resolve"),
        "{evidence}"
    );

    let failure = &finished.first("run_aborted").1.0["failure"];
    assert_eq!(failure["kind"], "NotReady");
    assert_eq!(failure["state"], "running");
    let probe = &failure["probes"][0];
    assert_eq!(probe["probe"], "tcp 8000");
    assert!(
        probe["because"]
            .as_str()
            .unwrap()
            .contains("x-envrun.ready"),
        "{probe}"
    );
    assert!(probe["attempts"].as_u64().unwrap() > 3, "{probe}");
    assert!(
        probe["last"].as_str().unwrap().contains("refused"),
        "{probe}"
    );
    let moments: Vec<&str> = failure["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(moments.first(), Some(&"created"));
    assert_eq!(moments.last(), Some(&"given up"));

    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: taskflow-api");
    assert_eq!(
        (case.result.as_str(), case.kind.as_str()),
        ("error", "NotReady")
    );
    for text in [&case.text, &finished.stderr] {
        assert!(text.contains("cause: no shared network: `taskflow-api` is on `taskflow-frontend`, `taskflow-db` on `taskflow-backend`"), "{text}");
        assert!(
            text.contains("fix: under `services: taskflow-api:` write"),
            "{text}"
        );
        assert!(text.contains("container: running"), "{text}");
        assert!(!text.contains("secret-of-the-db"), "{text}");
    }
}

#[test]
fn suites_are_explained_beside_their_failure() {
    let server = "import http.server, sys; http.server.HTTPServer((sys.argv[1], 8000), http.server.BaseHTTPRequestHandler).serve_forever()";
    let fetch = |url: &str| {
        format!(
            "{:?}",
            format!("import urllib.request; urllib.request.urlopen('{url}', timeout=20)")
        )
    };
    let python = image::python();
    let project = Project::new(&format!(
        "
services:
  web:
    {python}
    command: [python3, -c, {server:?}, 0.0.0.0]
    ports: ['8001:8000']
    expose: ['8000']
    networks: [net]
    x-envrun: {{ ready: {{ tcp: 8000 }} }}
  shy:
    {python}
    command: [python3, -c, {server:?}, 127.0.0.1]
    networks: [net]
    healthcheck: {{ test: [CMD, bash, -c, 'exec 3<>/dev/tcp/127.0.0.1/8000'], interval: 1s }}
  idle: {{ {idle}, networks: [net] }}
  lonely: {{ {idle}, networks: [apart] }}
  gone: {{ image: {base}, command: ['true'], networks: [net] }}
  port:
    {python}
    command: [python3, -c, {port}]
    environment: {{ API_URL: 'http://web:8001/' }}
    networks: [net]
    depends_on: [web]
    x-envrun: {{ suite: {{}} }}
  loopback:
    {python}
    command: [python3, -c, {shy}]
    environment: {{ API_URL: 'http://shy:8000/' }}
    networks: [net]
    depends_on: {{ shy: {{ condition: service_healthy }} }}
    x-envrun: {{ suite: {{}} }}
  itself:
    {python}
    command: [python3, -c, {localhost}]
    environment: {{ API_URL: 'http://localhost:8000/' }}
    networks: [net]
    depends_on: [web]
    x-envrun: {{ suite: {{}} }}
  nothing: {nothing}
  misspelt: {misspelt}
  ended: {ended}
  stranger: {stranger}
  sound: {sound}
networks: {{ net: {{ internal: true }}, apart: {{ internal: true }} }}
",
        base = image::BASE,
        idle = idle(),
        port = fetch("http://web:8001/"),
        shy = fetch("http://shy:8000/"),
        localhost = fetch("http://localhost:8000/"),
        nothing = bash(
            "exec 3<>/dev/tcp/idle/9000",
            "networks: [net], depends_on: [idle],"
        ),
        misspelt = bash(
            "exec 3<>/dev/tcp/wbe/8000",
            "networks: [net], depends_on: [web],"
        ),
        ended = bash(
            "exec 3<>/dev/tcp/gone/8000",
            "networks: [net], depends_on: [gone],"
        ),
        stranger = bash(
            "exec 3<>/dev/tcp/lonely/8000",
            "networks: [net], depends_on: [lonely],"
        ),
        sound = bash("echo 1 of 3 tests failed; exit 1", "networks: [net],"),
    ));
    let finished = project.run();
    finished.assert_code(1);
    let told = |suite: &str| explained(&finished, suite);
    let port = told("port");
    port.assert(
        "OtherPort",
        "in `API_URL` under `services: port: environment:` make the port `8000`",
    );
    assert!(
        port.evidence().contains("8001 is a port of the host"),
        "{port:#?}"
    );
    told("loopback").assert("LoopbackOnly", "`0.0.0.0:8000`");
    assert!(
        told("loopback").evidence().contains("127.0.0.1:8000"),
        "{finished_stderr}",
        finished_stderr = finished.stderr
    );
    told("itself").assert(
        "Localhost",
        "in `API_URL` under `services: itself: environment:` make the host",
    );
    told("nothing").assert("NothingListens", "");
    told("misspelt").assert("UnknownName", "`web`");
    told("ended").assert("TargetEnded", "logs/gone.log");
    told("stranger").assert("NoSharedNetwork", "`networks: [net, apart]`");
    // One that says nothing of connections gets nothing.
    assert!(!finished.has("explained", "sound"));
    let report = finished.junit();
    for suite in [
        "port", "loopback", "itself", "nothing", "misspelt", "ended", "stranger",
    ] {
        let case = report.of(suite)[0];
        assert!(case.text.contains("cause: "), "{case:#?}");
        assert!(finished.stderr.contains(&format!("{suite}: why it failed")));
    }
}

#[test]
fn the_default_bridge_has_no_names() {
    let project = Project::new(&format!(
        "
services:
  db: {{ {idle} }}
  checks: {{ image: {base}, network_mode: bridge, dns: [127.0.0.1], command: [bash, -c, 'exec 3<>/dev/tcp/db/5432'], depends_on: [db], x-envrun: {{ suite: {{}} }} }}
",
        idle = idle(),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(1);
    explained(&finished, "checks").assert("DefaultBridge", "take `network_mode` away");
}

#[test]
fn a_container_of_another_project_is_found() {
    /// Removes the container, whatever happens.
    struct Stranger(String);
    impl Drop for Stranger {
        fn drop(&mut self) {
            let _ = Command::new("docker")
                .args(["rm", "--force", &self.0])
                .output();
        }
    }
    let name = format!("todo-mysql-{}", uuid::Uuid::new_v4().simple());
    let stranger = Stranger(name.clone());
    let project = Project::new(&format!(
        "services: {{ checks: {}, idle: {{ {} }} }}\nnetworks: {{ default: {{ internal: true }} }}\n",
        bash(&format!("exec 3<>/dev/tcp/{name}/3306"), ""),
        idle(),
    ));
    let started = Command::new("docker")
        .args([
            "run",
            "--detach",
            "--network",
            "none",
            "--name",
            &name,
            image::BASE,
            "sleep",
            "infinity",
        ])
        .output()
        .unwrap();
    assert!(started.status.success(), "{started:?}");
    let finished = project.run();
    finished.assert_code(1);
    explained(&finished, "checks").assert("OtherProject", &name);
    drop(stranger);
}

#[test]
fn wrong_credentials_are_told_without_their_values() {
    let psql = |url: &str| {
        format!(
            "image: {}, environment: {{ DATABASE_URL: '{url}' }}, entrypoint: [sh, -c, 'psql \"$$DATABASE_URL\" -c \"SELECT 1\"'], depends_on: [db], x-envrun: {{ suite: {{}} }}",
            image::postgres()
        )
    };
    let project = Project::with_postgres(&format!(
        "
services:
  db: {{ image: {postgres}, environment: {{ POSTGRES_PASSWORD: right-password, POSTGRES_DB: shop }} }}
  password: {{ {password} }}
  database: {{ {database} }}
  none: {{ {none} }}
",
        postgres = image::postgres(),
        password = psql("postgres://postgres:wrong-password@db/shop"),
        database = psql("postgres://postgres:right-password@db/shoop"),
        none = psql("postgres://postgres@db/shop"),
    ));
    let finished = project.run();
    finished.assert_code(1);
    let password = explained(&finished, "password");
    password.assert(
        "Credentials",
        "let `DATABASE_URL` under `services: password: environment:` say what `POSTGRES_PASSWORD`",
    );
    assert!(
        password.text("message").contains("(28P01)"),
        "{password:#?}"
    );
    assert!(
        password
            .evidence()
            .contains("does not hold what `POSTGRES_PASSWORD` of `db` says"),
        "{password:#?}"
    );
    let database = explained(&finished, "database");
    database.assert("Credentials", "`POSTGRES_DB`");
    assert!(
        database.text("message").contains("(3D000)"),
        "{database:#?}"
    );
    explained(&finished, "none").assert("Credentials", "`POSTGRES_PASSWORD`");
    let report = finished.junit();
    for suite in ["password", "database", "none"] {
        let text = &report.of(suite)[0].text;
        assert!(text.contains("cause: PostgreSQL in `db`"), "{text}");
    }
    for secret in ["right-password", "wrong-password"] {
        assert!(!finished.stderr.contains(secret), "{}", finished.stderr);
    }
}

#[test]
fn a_login_that_mysql_refuses_is_told() {
    let mariadb = image::mariadb();
    let client = |arguments: &str| {
        format!(
            "{{ image: {mariadb}, entrypoint: [mariadb, -h, db, {arguments}, -e, 'SELECT 1'], depends_on: [db], x-envrun: {{ suite: {{}} }} }}"
        )
    };
    let project = Project::new(&format!(
        "
services:
  db: {{ image: {mariadb}, environment: {{ MARIADB_ROOT_PASSWORD: right-password }} }}
  password: {password}
  database: {database}
",
        password = client("-u, root, '-pwrong-password'"),
        database = client("-u, root, '-pright-password', shoop"),
    ));
    project.engine.require_image(&mariadb);
    let finished = project.run();
    finished.assert_code(1);
    let password = explained(&finished, "password");
    password.assert("Credentials", "`MARIADB_ROOT_PASSWORD`");
    assert!(password.text("message").contains("(1045)"), "{password:#?}");
    let database = explained(&finished, "database");
    assert_eq!(database.text("kind"), "Credentials");
    assert!(database.text("message").contains("(1049)"), "{database:#?}");
}

#[test]
fn init_scripts_that_still_run_are_seen() {
    let project = Project::with_postgres(&format!(
        "
services:
  db:
    image: {postgres}
    environment: {{ POSTGRES_PASSWORD: secret }}
    volumes: ['./init:/docker-entrypoint-initdb.d:ro']
    x-envrun: {{ ready: {{ postgres: 5432, deadline: 25s }} }}
  early:
    image: {postgres}
    entrypoint: [sh, -c, '{UNTIL_OPEN}; exec psql -h db -U postgres -c \"SELECT 1\"']
    {GATE}
    depends_on: {{ db: {{ condition: service_started }} }}
    x-envrun: {{ suite: {{}} }}
  checks: {{ image: {base}, command: ['true'], depends_on: [db], x-envrun: {{ suite: {{}} }} }}
",
        postgres = image::postgres(),
        base = image::BASE,
    ));
    project.file("init/10-slow.sql", "SELECT pg_sleep(600);");
    let mut run = project.start();
    let log = run.out.join("logs/db.log");
    crate::harness::wait::until("the init script", Duration::from_secs(60), || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains("10-slow.sql").then_some(())
    });
    project.open_gate();
    run.event("the end of the early one", |event| {
        event.is("explained", "early")
    });
    let finished = run.finish();
    // A failed suite comes before an environment that was never ready.
    finished.assert_code(1);
    explained(&finished, "early").assert("InitRunning", "`db: { condition: service_healthy }`");
    let own = cause(&finished);
    own.assert("InitRunning", "`deadline`");
    assert!(own.evidence().contains("10-slow.sql"), "{own:#?}");
}

#[test]
fn asked_too_early() {
    let project = Project::new(&format!(
        "
services:
  late:
    {python}
    command: [bash, -c, '{UNTIL_OPEN}; exec python3 -m http.server 8000']
    {GATE}
  checks:
    image: {base}
    command: [bash, -c, 'exec 3<>/dev/tcp/late/8000; touch /gate/open; until (exec 3<>/dev/tcp/late/8000) 2>/dev/null; do sleep 0.02; done; exit 1']
    volumes: ['./gate:/gate']
    depends_on: {{ late: {{ condition: service_started }} }}
    x-envrun: {{ suite: {{}} }}
",
        python = image::python(),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(1);
    explained(&finished, "checks").assert("TooEarly", "`late: { condition: service_healthy }`");
}

#[test]
fn a_service_that_listens_elsewhere_than_it_is_asked() {
    let project = |address: &str, port: u16| {
        Project::new(&format!(
            "
services:
  web:
    {python}
    command: [python3, -m, http.server, '{port}', --bind, {address}]
    x-envrun: {{ ready: {{ tcp: 8000, deadline: 3s }} }}
  checks: {{ image: {base}, command: ['true'], depends_on: [web], x-envrun: {{ suite: {{}} }} }}
",
            python = image::python(),
            base = image::BASE,
        ))
    };
    let shy = project("127.0.0.1", 8000);
    let shy = shy.run();
    shy.assert_code(3);
    cause(&shy).assert("LoopbackOnly", "`0.0.0.0`");
    let other = project("0.0.0.0", 5000);
    let other = other.run();
    other.assert_code(3);
    cause(&other).assert("OtherPort", "ready: { tcp: 5000 }");
}

#[test]
fn what_nobody_requires_is_explained_while_the_run_goes_on() {
    let project = Project::new(&format!(
        "
services:
  store: {{ {idle}, networks: [back] }}
  cache:
    image: {base}
    command: [bash, -c, 'exec 3<>/dev/tcp/store/6379']
    networks: [front]
    depends_on: [store]
    x-envrun: {{ ready: {{ tcp: 1, deadline: 60s }} }}
  checks: {{ image: {base}, command: ['true'], networks: [front], depends_on: {{ cache: {{ condition: service_healthy, required: false }} }}, x-envrun: {{ suite: {{}} }} }}
networks: {{ back: {{ internal: true }}, front: {{ internal: true }} }}
",
        idle = idle(),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(0);
    explained(&finished, "cache").assert("NoSharedNetwork", "`networks: [front, back]`");
    let report = finished.junit();
    let case = report.case("envrun.environment", "went on without: cache");
    assert_eq!(case.result, "passed");
    assert!(
        finished.stderr.contains("cache: why it failed"),
        "{}",
        finished.stderr
    );
}
