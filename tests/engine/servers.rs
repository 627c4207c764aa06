//! Every kind of server is asked in its own protocol, and is ready when it serves. The dependants here
//! ask once and never again, so they pass only if they were started in time.

use crate::harness::{Finished, Project, image};

/// A project with a server of this image as `server`, and a suite `client` in the same image that runs
/// these words once the server is ready.
fn project(kind: &str, server: &str, client: &str) -> Project {
    let image = image::server(kind);
    let project = Project::new(&format!(
        "
services:
  server:
    image: {image}
    {server}
  client:
    image: {image}
    entrypoint: {client}
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
"
    ));
    project.engine.require_image(&image);
    project
}

/// By which probes the server became ready.
#[track_caller]
fn by<'finished>(finished: &'finished Finished<'_>) -> &'finished str {
    finished.about("service_ready", "server").1.text("by")
}

/// Why the server did not become ready.
#[track_caller]
fn why_not(project: &Project) -> String {
    let finished = project.run();
    finished.assert_code(3);
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: server");
    assert_eq!(case.kind, "NotReady");
    case.message.clone()
}

#[test]
fn redis_is_recognised_and_asked() {
    let client = "[sh, -c, '[ \"$$(redis-cli -h server SET a b)\" = OK ]']";
    let project = project("redis", "stop_signal: SIGTERM", client);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished), "redis 6379");
}

/// It listens and accepts all the time.
#[test]
fn redis_that_still_loads_its_data_is_not_ready() {
    let image = image::server("redis");
    let redis = "[redis-server, --protected-mode, no, --dir, /data, --save, '']";
    let project = Project::new(&format!(
        "
services:
  fill:
    image: {image}
    entrypoint: [bash, -ec]
    command:
      - redis-server --dir /data --save '' --enable-debug-command yes --daemonize yes;
        until redis-cli DEBUG POPULATE 300 key 10; do sleep 0.05; done;
        redis-cli SHUTDOWN SAVE;
        test -s /data/dump.rdb
    volumes: [data:/data]
  server:
    image: {image}
    entrypoint: {redis}
    command: [--key-load-delay, '10000', --loading-process-events-interval-bytes, '1024']
    volumes: [data:/data]
    depends_on: {{ fill: {{ condition: service_completed_successfully }} }}
    x-envrun: {{ ready: redis }}
  client:
    image: {image}
    entrypoint: [sh, -c, '[ \"$$(redis-cli -h server EXISTS key:299)\" = 1 ]']
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
volumes:
  data:
"
    ));
    project.engine.require_image(&image);
    let finished = project.run();
    finished.assert_code(0);
    let (_, ready) = finished.about("service_ready", "server");
    // 300 keys at 10 ms each.
    assert!(ready.number("after_ms") > 1000, "{ready:?}");
}

#[test]
fn memcached_is_recognised_and_asked() {
    let client = "[bash, -c, 'exec 3<>/dev/tcp/server/11211; printf \"set a 0 0 1\\r\\nb\\r\\n\" >&3; read -r line <&3; [[ $$line == STORED* ]]']";
    let project = project("memcached", "command: [-m, '16']", client);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished), "memcached 11211");
}

#[test]
fn nats_is_recognised_by_its_ports_and_asked_at_the_port_of_its_options() {
    let client =
        "[bash, -c, 'exec 3<>/dev/tcp/server/4223; read -r line <&3; [[ $$line == INFO* ]]']";
    let project = project("nats", "command: [-p, '4223']", client);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished), "nats 4223");
}

#[test]
fn rabbitmq_is_recognised_and_asked() {
    let client = "[bash, -c, 'exec 3<>/dev/tcp/server/5672; printf \"AMQP\\\\0\\\\0\\\\x09\\\\x01\" >&3; [[ $$(head -c 1 <&3 | od -An -tu1) -eq 1 ]]']";
    let project = project("rabbitmq", "hostname: rabbit", client);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished), "rabbitmq 5672");
}

#[test]
fn a_grpc_server_is_ready_when_its_health_service_says_so() {
    let client = r#"[python3, -c, "import grpc; from grpc_health.v1 import health_pb2 as p, health_pb2_grpc as g; assert g.HealthStub(grpc.insecure_channel('server:50051')).Check(p.HealthCheckRequest(service='orders'), timeout=9).status == 1"]"#;
    let server = "command: ['3']
    x-envrun: { ready: { grpc: { port: 50051, service: orders } } }";
    let project = project("grpc", server, client);
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(by(&finished), "grpc 50051 `orders`");
    let (_, ready) = finished.about("service_ready", "server");
    assert!(ready.number("after_ms") > 1000, "{ready:?}");
}

#[test]
fn a_grpc_server_that_knows_no_such_service_says_so() {
    let server = "x-envrun: { ready: { grpc: { port: 50051, service: nobody }, deadline: 3s } }";
    let project = project("grpc", server, "['true']");
    let why = why_not(&project);
    assert!(
        why.contains("the server knows no service `nobody`"),
        "{why}"
    );
}

/// A refused password is an answer of a server that serves.
#[test]
fn servers_that_want_a_password_are_ready_without_one() {
    let (redis, nats) = (image::server("redis"), image::server("nats"));
    let project = Project::new(&format!(
        "
services:
  cache:
    image: {redis}
    command: [--requirepass, secret-of-the-cache]
  queue:
    image: {nats}
    command: [--user, somebody, --pass, secret-of-the-queue]
  client:
    image: {redis}
    entrypoint: [redis-cli, -h, cache, -a, secret-of-the-cache, PING]
    depends_on: [cache, queue]
    x-envrun: {{ suite: {{}} }}
"
    ));
    for image in [redis, nats] {
        project.engine.require_image(&image);
    }
    let finished = project.run();
    finished.assert_code(0);
    for (service, by) in [("cache", "redis 6379"), ("queue", "nats 4222")] {
        assert_eq!(finished.about("service_ready", service).1.text("by"), by);
    }
}

/// Whoever listens is not whoever is meant.
#[test]
fn a_server_of_another_protocol_is_not_ready() {
    for (probe, name) in [
        ("redis", "Redis"),
        ("memcached", "memcached"),
        ("rabbitmq", "AMQP"),
    ] {
        let server = format!("x-envrun: {{ ready: {{ {probe}: 80, deadline: 2s }} }}");
        let why = why_not(&project("web", &server, "['true']"));
        assert!(
            why.contains(&format!("the answer is not {name}'s")),
            "{why}"
        );
    }
}

/// A certificate for `server`, made by openssl, as files of the project.
fn certify(project: &Project) {
    std::fs::create_dir_all(project.path("certificate")).unwrap();
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=server"])
        .args(["-addext", "subjectAltName=DNS:server"])
        .arg("-keyout")
        .arg(project.path("certificate/server.key"))
        .arg("-out")
        .arg(project.path("certificate/server.pem"))
        .output()
        .expect("openssl, see ci/setup");
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn a_web_server_is_asked_in_every_way() {
    let server = "volumes: [\"./certificate:/certificate:ro\"]
    x-envrun:
      ready:
        all:
          - http: { port: 80, path: /body, body: '\"status\": *\"up\"', successes: 3 }
          - http: { port: 80, path: /head, method: HEAD, status: 204 }
          - http: { port: 80, path: /header, headers: { X-Probe: 'yes' } }
          - http: { port: 80, path: /moved, redirects: 1, body: '\"up\"', status: 200 }
          - http: { port: 80, path: /moved, status: [300-399, 500] }
          - http: { port: 80, path: /teapot, status: 418 }
          - https: { port: 443, path: /body, insecure: true, body: '\"up\"' }
          - https: { port: 443, path: /body, ca: ./certificate/server.pem }
          - any: [ { tcp: 9 }, { tcp: 443 } ]
          - file: { path: /run/nginx.pid, not_empty: true }
          - exec: 'test -e /etc/nginx/server.pem'
          - log: 'GET /body'
        deadline: 30s";
    let project = project("web", server, "['true']");
    certify(&project);
    let finished = project.run();
    finished.assert_code(0);
    let by = by(&finished);
    assert_eq!(by.split(" and ").count(), 12, "{by}");
    assert!(by.contains("tcp 443") && !by.contains("tcp 9"), "{by}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let server = "x-envrun: { ready: { https: 443, deadline: 3s } }";
    let why = why_not(&project("web", server, "['true']"));
    assert!(why.contains("tls: invalid peer certificate"), "{why}");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let server = "volumes: [\"./certificate:/certificate:ro\"]
    x-envrun: { ready: { https: { port: 443, ca: ./certificate/server.pem, headers: { Host: other } }, deadline: 3s } }";
    let project = project("web", server, "['true']");
    certify(&project);
    let why = why_not(&project);
    assert!(why.contains("tls: invalid peer certificate"), "{why}");
}

#[test]
fn redirects_end_at_their_limit_and_at_the_container() {
    for (path, why) in [
        ("/loop", "redirected more than 3 times"),
        (
            "/away",
            "redirects to `http://elsewhere.example/`, which is somewhere else",
        ),
    ] {
        let server = format!(
            "x-envrun: {{ ready: {{ http: {{ port: 80, path: {path}, redirects: 3 }}, deadline: 2s }} }}"
        );
        let message = why_not(&project("web", &server, "['true']"));
        assert!(message.contains(why), "{message}");
    }
}

/// The same protocols, over connections that the in-network agent opens.
#[test]
fn every_server_is_asked_through_the_agent_as_well() {
    let kinds = ["redis", "memcached", "nats", "rabbitmq", "grpc", "web"];
    let mut compose = String::from("\nservices:\n");
    for kind in kinds {
        let ready = match kind {
            "grpc" => "x-envrun: { ready: { grpc: 50051 } }",
            "web" => {
                "x-envrun: { ready: { http: 80, https: { port: 443, insecure: true, path: /body, body: up } } }"
            }
            "rabbitmq" => "hostname: rabbit",
            _ => "init: true",
        };
        let image = image::server(kind);
        compose.push_str(&format!("  {kind}:\n    image: {image}\n    {ready}\n"));
    }
    compose.push_str(&format!(
        "  db:\n    image: {}\n    environment: {{ MARIADB_ROOT_PASSWORD: secret }}\n",
        image::mariadb()
    ));
    compose.push_str(&format!(
        "  client:\n    image: {}\n    command: ['true']\n    depends_on: [db, {}]\n    x-envrun: {{ suite: {{}} }}\n",
        image::BASE,
        kinds.join(", ")
    ));
    let project = Project::new(&compose);
    for kind in kinds {
        project.engine.require_image(&image::server(kind));
    }
    project.engine.require_image(&image::mariadb());
    let finished = project.start_elsewhere().finish();
    finished.assert_code(0);
    for (service, by) in [
        ("redis", "redis 6379"),
        ("memcached", "memcached 11211"),
        ("nats", "nats 4222"),
        ("rabbitmq", "rabbitmq 5672"),
        ("grpc", "grpc 50051"),
        ("web", "http 80/ and https 443/body"),
        ("db", "mysql 3306"),
    ] {
        assert_eq!(finished.about("service_ready", service).1.text("by"), by);
    }
    assert_eq!(finished.on_the_engine(), []);
}
