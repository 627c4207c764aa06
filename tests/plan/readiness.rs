//! Which probes decide that a service is ready.

use std::time::Duration;

use envrun::engine::{ImageFacts, ImageHealthcheck};
use envrun::plan::readiness::{outlook as readiness_outlook, requirement};
use envrun::probe::Kind;

use crate::support::{image, postgres, project};

/// What has to pass for the service `web` of a file with this body, in one line.
fn readiness(body: &str, image: &ImageFacts) -> String {
    // A body may name an image of its own.
    let image_key = if body.starts_with("image:") {
        ""
    } else {
        "image: i, "
    };
    let compose = format!("services: {{ web: {{ {image_key}{body} }} }}");
    let project = project(&compose);
    let requirement = requirement(&project.services["web"], image);
    format!(
        "{} | {:?} | {} | {}",
        requirement.tree,
        requirement.deadline,
        if requirement.declared {
            "declared"
        } else {
            "inferred"
        },
        requirement.reason
    )
}

#[test]
fn the_probe_is_chosen_by_the_documented_rules() {
    let exposing = ImageFacts {
        exposed_tcp: vec![80, 443],
        ..image()
    };
    let check = ImageHealthcheck {
        test: vec!["CMD-SHELL".to_owned(), "curl localhost".to_owned()],
        ..ImageHealthcheck::default()
    };
    let checked = ImageFacts {
        healthcheck: Some(check),
        ..exposing.clone()
    };
    let lines = [
        ("nothing at all", readiness("", &image())),
        ("EXPOSE of the image", readiness("", &exposing)),
        (
            "ports over EXPOSE",
            readiness("ports: ['8080:3000', '53:53/udp']", &exposing),
        ),
        (
            "expose of the file",
            readiness("expose: ['9000']", &image()),
        ),
        (
            "HEALTHCHECK over ports",
            readiness("ports: ['80']", &checked),
        ),
        (
            "HEALTHCHECK disabled",
            readiness("healthcheck: { disable: true }", &checked),
        ),
        (
            "healthcheck of the file",
            readiness(
                "healthcheck: { test: [CMD, a], interval: 2s, timeout: 1s, retries: 100, start_period: 10s }",
                &image(),
            ),
        ),
        ("a recognised server", readiness("", &postgres())),
        (
            "its port",
            readiness("environment: { PGPORT: '6000' }", &postgres()),
        ),
        (
            "with a healthcheck",
            readiness("healthcheck: { test: pg_isready }", &postgres()),
        ),
        (
            "another command",
            readiness("command: psql -h db", &postgres()),
        ),
        (
            "said by the user",
            readiness(
                "x-envrun: { ready: { http: { port: 80, path: /up }, tcp: 90 } }",
                &checked,
            ),
        ),
        (
            "deadline of its own",
            readiness("x-envrun: { ready: { deadline: 5s } }", &exposing),
        ),
        (
            "no deadline",
            readiness("x-envrun: { ready: { tcp: 1, deadline: 0s } }", &image()),
        ),
    ];
    let text: Vec<String> = lines
        .iter()
        .map(|(case, line)| format!("{case}: {line}"))
        .collect();
    insta::assert_snapshot!(text.join("\n"), @"
    nothing at all:  | Some(180s) | inferred | nothing to probe: no healthcheck, no port
    EXPOSE of the image: tcp 80 or 443 | Some(180s) | inferred | `EXPOSE` of the image
    ports over EXPOSE: tcp 3000 | Some(180s) | inferred | `ports` and `expose` of the file
    expose of the file: tcp 9000 | Some(180s) | inferred | `ports` and `expose` of the file
    HEALTHCHECK over ports: healthcheck | Some(180s) | declared | `HEALTHCHECK` of the image
    HEALTHCHECK disabled: tcp 80 or 443 | Some(180s) | inferred | `EXPOSE` of the image
    healthcheck of the file: healthcheck | Some(310s) | declared | `healthcheck` of the file
    a recognised server: postgres 5432 | Some(180s) | inferred | image is recognised as PostgreSQL by `PGDATA` and `PG_MAJOR`
    its port: postgres 6000 | Some(180s) | inferred | image is recognised as PostgreSQL by `PGDATA` and `PG_MAJOR`
    with a healthcheck: healthcheck and postgres 5432 | Some(180s) | declared | `healthcheck` of the file and image is recognised as PostgreSQL by `PGDATA` and `PG_MAJOR`
    another command: tcp 5432 | Some(180s) | inferred | `EXPOSE` of the image
    said by the user: http 80/up and tcp 90 | Some(180s) | declared | `x-envrun.ready`
    deadline of its own: tcp 80 or 443 | Some(5s) | inferred | `EXPOSE` of the image
    no deadline: tcp 1 | None | declared | `x-envrun.ready`
    ");
}

#[test]
fn a_suite_is_never_port_probed() {
    let compose = "services: { tests: { image: i, expose: ['80'], x-envrun: { suite: true } } }";
    let project = project(compose);
    let requirement = requirement(&project.services["tests"], &postgres());
    assert!(requirement.tree.is_empty());
}

/// An image that exposes these ports and sets these variables.
fn server(exposed_tcp: &[u16], environment: &[&str]) -> ImageFacts {
    ImageFacts {
        exposed_tcp: exposed_tcp.to_vec(),
        environment: environment.iter().map(|&entry| entry.to_owned()).collect(),
        ..image()
    }
}

/// What has to pass for a service that is such a server, and why, for short.
fn recognised(body: &str, image: &ImageFacts) -> String {
    let line = readiness(body, image);
    let mut parts = line.split(" | ");
    let tree = parts.next().unwrap_or_default().to_owned();
    let reason = parts.last().unwrap_or_default();
    format!("{tree}: {reason}")
}

#[test]
fn servers_are_recognised_by_what_their_images_set_and_expose() {
    let redis = server(&[6379], &["REDIS_VERSION=7.2.4"]);
    let mysql = server(
        &[3306, 33060],
        &["MYSQL_MAJOR=8.0", "MYSQL_VERSION=8.0.36-1.el8"],
    );
    let mariadb = server(&[3306], &["MARIADB_VERSION=1:11.4.2+maria~ubu2404"]);
    let rabbit = server(
        &[4369, 5671, 5672, 15691, 15692, 25672],
        &["RABBITMQ_VERSION=3.13.1"],
    );
    let nats = server(&[4222, 6222, 8222], &[]);
    let memcached = server(&[11211], &["MEMCACHED_VERSION=1.6.27"]);
    let plain = |port| server(&[port], &[]);
    let lines = [
        ("redis", recognised("", &redis)),
        (
            "valkey",
            recognised("", &server(&[6379], &["VALKEY_DOWNLOAD_URL=x"])),
        ),
        ("mysql", recognised("", &mysql)),
        ("mariadb", recognised("", &mariadb)),
        (
            "bitnami",
            recognised("", &server(&[3306], &["BITNAMI_APP_NAME=mariadb"])),
        ),
        ("rabbitmq", recognised("", &rabbit)),
        ("nats", recognised("", &nats)),
        ("memcached", recognised("", &memcached)),
        // Where the image says nothing but its port, its name does.
        (
            "by name",
            recognised("image: docker.io/library/redis:8", &plain(6379)),
        ),
        (
            "by another name",
            recognised("image: example.org/shop", &plain(6379)),
        ),
        (
            "built upon",
            recognised("image: redis, build: .", &plain(6379)),
        ),
        // A name without the port is none.
        ("name alone", recognised("image: redis:8", &image())),
        ("options", recognised("command: --appendonly yes", &redis)),
        (
            "configuration",
            recognised("command: /etc/redis.conf", &redis),
        ),
        (
            "moved by it",
            recognised("command: /etc/redis.conf, expose: ['7000']", &redis),
        ),
        (
            "server",
            recognised("command: /usr/local/bin/redis-server --save ''", &redis),
        ),
        (
            "client",
            recognised("command: redis-cli -h cache monitor", &redis),
        ),
        ("entrypoint", recognised("entrypoint: /start.sh", &redis)),
        (
            "tls",
            recognised("command: redis-server --tls-port 6379 --port 0", &redis),
        ),
        (
            "port",
            recognised("command: redis-server --port 7000", &redis),
        ),
        ("port=", recognised("command: mysqld --port=3307", &mysql)),
        ("-P", recognised("command: --sql-mode=x -P3308", &mysql)),
        (
            "-p",
            recognised(
                "command: ['-c', 'max_connections=9', '-p', '5433']",
                &postgres(),
            ),
        ),
        (
            "-c port",
            recognised("command: postgres -c port=5434", &postgres()),
        ),
        (
            "no network",
            recognised("command: mysqld --skip-networking", &mysql),
        ),
        (
            "variable",
            recognised("environment: { MYSQL_TCP_PORT: '3310' }", &mysql),
        ),
        (
            "unreadable port",
            recognised("command: redis-server --port $$PORT", &redis),
        ),
        ("with ports", recognised("ports: ['15672:15672']", &rabbit)),
        (
            "declared without a port",
            recognised("command: --port 7000, x-envrun: { ready: redis }", &redis),
        ),
    ];
    let text: Vec<String> = lines
        .iter()
        .map(|(case, line)| format!("{case}: {line}"))
        .collect();
    insta::assert_snapshot!(text.join("\n"), @"
    redis: redis 6379: image is recognised as Redis or Valkey by `REDIS_VERSION`
    valkey: redis 6379: image is recognised as Redis or Valkey by `VALKEY_DOWNLOAD_*`
    mysql: mysql 3306: image is recognised as MySQL or MariaDB by `MYSQL_MAJOR` and `MYSQL_VERSION`
    mariadb: mysql 3306: image is recognised as MySQL or MariaDB by `MARIADB_VERSION`
    bitnami: mysql 3306: image is recognised as MySQL or MariaDB by `BITNAMI_APP_NAME=mariadb`
    rabbitmq: rabbitmq 5672: image is recognised as RabbitMQ by `RABBITMQ_VERSION`
    nats: nats 4222: image is recognised as NATS by the ports 4222 and 6222 and 8222
    memcached: memcached 11211: image is recognised as memcached by `MEMCACHED_VERSION`
    by name: redis 6379: image is recognised as Redis or Valkey by its name and the port 6379
    by another name: tcp 6379: `EXPOSE` of the image
    built upon: tcp 6379: `EXPOSE` of the image
    name alone: : nothing to probe: no healthcheck, no port
    options: redis 6379: image is recognised as Redis or Valkey by `REDIS_VERSION`
    configuration: redis 6379: image is recognised as Redis or Valkey by `REDIS_VERSION`
    moved by it: tcp 7000: `ports` and `expose` of the file
    server: redis 6379: image is recognised as Redis or Valkey by `REDIS_VERSION`
    client: tcp 6379: `EXPOSE` of the image
    entrypoint: tcp 6379: `EXPOSE` of the image
    tls: tcp 6379: `EXPOSE` of the image
    port: redis 7000: image is recognised as Redis or Valkey by `REDIS_VERSION`
    port=: mysql 3307: image is recognised as MySQL or MariaDB by `MYSQL_MAJOR` and `MYSQL_VERSION`
    -P: mysql 3308: image is recognised as MySQL or MariaDB by `MYSQL_MAJOR` and `MYSQL_VERSION`
    -p: postgres 5433: image is recognised as PostgreSQL by `PGDATA` and `PG_MAJOR`
    -c port: postgres 5434: image is recognised as PostgreSQL by `PGDATA` and `PG_MAJOR`
    no network: tcp 3306 or 33060: `EXPOSE` of the image
    variable: mysql 3310: image is recognised as MySQL or MariaDB by `MYSQL_MAJOR` and `MYSQL_VERSION`
    unreadable port: tcp 6379: `EXPOSE` of the image
    with ports: rabbitmq 5672: image is recognised as RabbitMQ by `RABBITMQ_VERSION`
    declared without a port: redis 7000: `x-envrun.ready`
    ");
}

#[test]
fn declared_probes_are_taken_as_they_are() {
    let line = |ready: &str| readiness(&format!("x-envrun: {{ ready: {ready} }}"), &image());
    let lines = [
        line("{ any: [ { tcp: 1, log: up }, { all: [ { http: 2 }, { file: /a } ] } ], exec: x }"),
        line("{ tcp: { port: 1, successes: 3 } }"),
        line("{ any: [ completed, { tcp: 1 } ] }"),
        line("{ any: [ healthcheck, { tcp: 1 } ] }"),
        line("{ log: { pattern: a, times: 2 }, grpc: { port: 3, service: s }, https: 443 }"),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    ((tcp 1 and log `up`) or (http 2/ and file /a)) and exec `x` | Some(180s) | declared | `x-envrun.ready`
    tcp 1 3 times in a row | Some(180s) | declared | `x-envrun.ready`
    completed or tcp 1 | Some(180s) | inferred | `x-envrun.ready`
    tcp 1 | Some(180s) | declared | `x-envrun.ready`
    log `a` 2 times and grpc 3 `s` and https 443/ | Some(180s) | declared | `x-envrun.ready`
    ");
}

/// Nothing else would ever say that it is ready, so it must not be taken for ready.
#[test]
fn a_healthcheck_that_nobody_has_is_an_error_and_no_readiness() {
    let project = project("services: { web: { image: i, x-envrun: { ready: healthcheck } } }");
    assert!(!requirement(&project.services["web"], &image()).is_possible);
}

#[test]
fn a_file_in_memory_is_looked_for_by_a_command() {
    let by_command = |path: &str| {
        let project = project(&format!(
            "services: {{ web: {{ image: i, tmpfs: [/run], volumes: [{{ type: tmpfs, target: /cache/ }}], x-envrun: {{ ready: {{ file: {path} }} }} }} }}"
        ));
        let tree = requirement(&project.services["web"], &image()).tree;
        let leaves = tree.leaves();
        matches!(&leaves[0].kind, Kind::File(file) if file.by_command)
    };
    for path in [
        "/run/a",
        "/var/run/a",
        "/cache/b",
        "/cache",
        "/dev/shm/x",
        "//run/./a",
    ] {
        assert!(by_command(path), "{path}");
    }
    for path in ["/runner", "/tmp/a", "/var/cache/b"] {
        assert!(!by_command(path), "{path}");
    }
}

#[test]
fn zero_is_no_deadline_of_a_probe() {
    let deadline = |text: &str| {
        let ready = format!("x-envrun: {{ ready: {{ tcp: {{ port: 1, deadline: {text} }} }} }}");
        let compose = format!("services: {{ web: {{ image: i, {ready} }} }}");
        let project = project(&compose);
        requirement(&project.services["web"], &image())
            .tree
            .leaves()[0]
            .pace
            .deadline
    };
    assert_eq!(deadline("0"), None);
    assert_eq!(deadline("~"), None);
    assert_eq!(deadline("3s"), Some(Duration::from_secs(3)));
}

#[test]
fn what_will_decide_is_said_before_the_images_are_known() {
    let outlook = |body: &str| {
        let compose = format!("services: {{ web: {{ {body} }} }}");
        readiness_outlook(&project(&compose).services["web"])
    };
    let lines = [
        outlook("image: shop"),
        outlook("image: shop, ports: ['80', '443']"),
        outlook("image: postgres:15"),
        outlook("image: mirror.example/library/redis"),
        outlook("image: shop, healthcheck: { test: x }"),
        outlook("image: shop, healthcheck: { disable: true }, ports: ['80']"),
        outlook("image: shop, x-envrun: { ready: { http: 80, deadline: 0 } }"),
        outlook(
            "image: shop, x-envrun: { ready: { any: [ { tcp: 1 }, healthcheck ], deadline: 5s } }",
        ),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    by the `HEALTHCHECK` of the image, if it has one, and the handshake of the server, if the image is recognised as one; with neither by any port of its `EXPOSE`, else the start
    by the `HEALTHCHECK` of the image, if it has one, and the handshake of the server, if the image is recognised as one; with neither by tcp 80 or 443, from `ports` and `expose`
    by the `HEALTHCHECK` of the image, if it has one, and the handshake of PostgreSQL, if the image is one, as its name says; with neither by any port of its `EXPOSE`, else the start
    by the `HEALTHCHECK` of the image, if it has one, and the handshake of Redis or Valkey, if the image is one, as its name says; with neither by any port of its `EXPOSE`, else the start
    by healthcheck, from the file, and the handshake of the server, if the image is recognised as one
    by the handshake of the server, if the image is recognised as one; else by tcp 80, from `ports` and `expose`
    by http 80/, from `x-envrun.ready`, without a deadline
    by tcp 1 or healthcheck, from `x-envrun.ready`, within 5s
    ");
}
