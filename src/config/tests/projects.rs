//! Files that load, and what they become.

use super::{Case, show, show_service};

#[test]
fn the_file_of_a_small_application() {
    insta::assert_snapshot!(show(r#"
name: Task Flow
services:
  db:
    image: postgres:15
    environment: { POSTGRES_PASSWORD: secret, PGPORT: 5432, FSYNC: off, DEBUG: true, MODE: 0440 }
    networks: [backend]
    healthcheck: { test: pg_isready -U postgres, interval: 1s, timeout: 5s, retries: 10 }
  migrate:
    image: taskflow-api
    command: ["npm", "run", "migrate"]
    depends_on: { db: { condition: service_healthy } }
    networks: [backend]
  api:
    image: taskflow-api
    depends_on: { migrate: { condition: service_completed_successfully } }
    networks: { backend: { aliases: [server, api] }, frontend: }
    x-envrun: { ready: { http: { port: 8000, path: /health }, deadline: 1m } }
  e2e:
    image: taskflow-tests
    command: npm run "test e2e"
    depends_on: [api]
    networks: [frontend]
    x-envrun: { suite: { junit: "reports/*.xml", timeout: 10m } }
networks:
  backend: { internal: true }
  frontend:
  unused:
x-envrun: { timeout: 30m }
x-other: { anything: goes }
"#), @r#"
    project taskflow in /PARENT/demo
    service api
      image taskflow-api
      on backend {"api", "server"}
      on frontend
      after migrate CompletedSuccessfully required=true
      ready http 8000/health deadline Some(60s)
    service db
      image postgres:15
      env DEBUG=true
      env FSYNC=off
      env MODE=288
      env PGPORT=5432
      env POSTGRES_PASSWORD=secret
      on backend
      healthcheck Check { test: Some(["CMD-SHELL", "pg_isready -U postgres"]), interval: Some(1s), timeout: Some(5s), retries: Some(10), start_period: None, start_interval: None }
    suite e2e
      image taskflow-tests
      command ["npm", "run", "test e2e"]
      on frontend
      after api Ready required=true
      suite junit ["reports/*.xml"] timeout Some(600s)
    job migrate
      image taskflow-api
      command ["npm", "run", "migrate"]
      on backend
      after db Healthy required=true
    network backend { driver: None, driver_opts: {}, attachable: false, internal: true, enable_ipv4: None, enable_ipv6: None, ipam: Ipam { driver: None, options: {}, pools: [] }, labels: {}, external: None }
    network frontend
    timeout 1800s
    "#);
}

#[test]
fn ports_in_all_forms() {
    insta::assert_snapshot!(show_service(r#"
image: i
ports:
  - 80
  - "8080:80"
  - 8080:80
  - "127.0.0.1:8443:443/tcp"
  - "127.0.0.1::90"
  - "[::1]:6060:6060/udp"
  - "3000-3002"
  - "9000-9001:5000-5001"
  - "7000-7010:70"
  - { target: 8081, published: 81, host_ip: 0.0.0.0, protocol: udp, mode: host, name: web }
  - { target: "8082", published: "8000-8010" }
expose: [3000, "3001-3002", "3000/tcp", "53/udp"]
"#), @"
    project demo in /PARENT/demo
    service web
      image i
      on default
      port 80/tcp from * -
      port 80/tcp from * 8080
      port 443/tcp from 127.0.0.1 8443
      port 90/tcp from 127.0.0.1 -
      port 6060/udp from ::1 6060
      port 3000/tcp from * -
      port 3001/tcp from * -
      port 3002/tcp from * -
      port 5000/tcp from * 9000
      port 5001/tcp from * 9001
      port 70/tcp from * 7000-7010
      port 8081/udp from 0.0.0.0 81
      port 8082/tcp from * 8000-8010
      expose 3000/tcp 3001/tcp 3002/tcp 53/udp
    network default
    ");
}

#[test]
fn mounts_in_all_forms() {
    insta::assert_snapshot!(show(r#"
services:
  web:
    image: i
    volumes:
      - /anonymous
      - data:/data/
      - ./src:/src:ro
      - ../up:/up
      - ~/.cache:/cache:rw,z
      - /etc/hosts:/etc/hosts:ro
      - { type: bind, source: ./long, target: /long, read_only: true }
      - { type: bind, source: ./made, target: /made, bind: { create_host_path: true } }
      - { type: volume, source: data, target: /data }
      - { type: volume, target: /nameless }
      - { type: tmpfs, target: /fast, tmpfs: { size: 64m, mode: 01777 } }
    tmpfs: ["/run", "/tmp:size=1m"]
volumes:
  data:
  unused: { driver: local, driver_opts: { type: tmpfs, o: 5 }, labels: [a=b] }
  theirs: { external: true, name: real-name }
"#), @r#"
    project demo in /PARENT/demo
    service web
      image i
      on default
      mount anonymous at /anonymous
      mount volume data at /data
      mount /PARENT/demo/src (created) at /src read-only
      mount /PARENT/up (created) at /up
      mount /home/me/.cache (created) at /cache, selinux: Some("z")
      mount /etc/hosts (created) at /etc/hosts read-only
      mount /PARENT/demo/long at /long read-only
      mount /PARENT/demo/made (created) at /made
      mount anonymous at /nameless
      mount tmpfs at /fast, size: Some(67108864), mode: Some(1023)
      option tmpfs: {"/run": "", "/tmp": "size=1m"}
    network default
    volume data
    volume theirs Volume { driver: None, driver_opts: {}, labels: {}, external: Some("real-name") }
    volume unused Volume { driver: Some("local"), driver_opts: {"o": "5", "type": "tmpfs"}, labels: {"a": "b"}, external: None }

      ⚠ containers may write to `/PARENT/up`, which runs side by side share
       ╭─[compose.yaml:9:9]
     9 │       - ../up:/up
       ·         ─────────
       ╰────
      help: what they create there has the container's owner; `:ro` forbids it, and `x-
            envrun: { bind: copy }` gives each run a copy of its own

      ⚠ containers may write to `/home/me/.cache`, which runs side by side share
        ╭─[compose.yaml:10:9]
     10 │       - ~/.cache:/cache:rw,z
        ·         ────────────────────
        ╰────
      help: what they create there has the container's owner; `:ro` forbids it, and `x-
            envrun: { bind: copy }` gives each run a copy of its own

      ⚠ containers may write to `/PARENT/demo/made`, which runs side by side share
        ╭─[compose.yaml:13:9]
     13 │       - { type: bind, source: ./made, target: /made, bind: { create_host_path: true } }
        ·         ───────────────────────────────────────────────────────────────────────────────
        ╰────
      help: what they create there has the container's owner; `:ro` forbids it, and `x-
            envrun: { bind: copy }` gives each run a copy of its own

    3 warnings
    "#);
}

#[test]
fn builds_in_both_forms() {
    insta::assert_snapshot!(show(r#"
services:
  short: { build: ./dir }
  long:
    image: tagged
    build:
      context: ..
      dockerfile: docker/Dockerfile
      target: test
      args: [A=1, "B=x=y", HOME, GONE]
  mapped:
    build: { args: { N: 1.10, HOME: , EMPTY: "" } }
"#), @r#"
    project demo in /PARENT/demo
    service long
      image tagged
      build Build { context: "/PARENT", dockerfile: "docker/Dockerfile", args: {"A": "1", "B": "x=y", "HOME": "/home/me"}, target: Some("test") }
      on default
    service mapped
      build Build { context: "/PARENT/demo", dockerfile: "Dockerfile", args: {"EMPTY": "", "HOME": "/home/me", "N": "1.1"}, target: None }
      on default
    service short
      build Build { context: "/PARENT/demo/dir", dockerfile: "Dockerfile", args: {}, target: None }
      on default
    network default
    "#);
}

#[test]
fn commands_healthchecks_and_options() {
    insta::assert_snapshot!(show(r#"
services:
  a:
    image: i
    command: sh -c 'echo "$$HOME" && exit 0'
    entrypoint: []
    healthcheck: { test: [NONE] }
    init: true
    privileged: "true"
    read_only: yes
    tty: false
    stop_signal: SIGINT
    cap_add: [NET_ADMIN, NET_ADMIN]
    cap_drop: [ALL]
    shm_size: 64m
    mem_limit: 1073741824
    extra_hosts: ["a:1.2.3.4", "b=[::1]", "gw:host-gateway"]
    labels: [one, two=2]
    working_dir: /w
    user: "1000:1000"
    hostname: h
    container_name: con
  b:
    image: i
    command: ""
    entrypoint: null
    healthcheck: { disable: true, test: "x" }
    extra_hosts: { a: 1.2.3.4, b: "::1" }
    labels: { one: , two: 2 }
  c:
    image: i
    healthcheck: { test: [CMD-SHELL, "x || y"], start_period: 1m30s, start_interval: 500ms, retries: "5" }
"#), @r#"
    project demo in /PARENT/demo
    service a
      image i
      working_dir /w
      user 1000:1000
      hostname h
      container_name con
      entrypoint []
      command ["sh", "-c", "echo \"$HOME\" && exit 0"]
      on default
      healthcheck disabled
      label one=
      label two=2
      option cap_add: ["CAP_NET_ADMIN"]
      option cap_drop: ["ALL"]
      option extra_hosts: ["a:1.2.3.4", "b:::1", "gw:host-gateway"]
      option init: Some(true)
      option privileged: true
      option read_only: true
      option shm_size: Some(67108864)
      option stop_signal: Some("SIGINT")
      option memory: 1073741824
    service b
      image i
      command []
      on default
      healthcheck disabled
      label one=
      label two=2
      option extra_hosts: ["a:1.2.3.4", "b:::1"]
    service c
      image i
      on default
      healthcheck Check { test: Some(["CMD-SHELL", "x || y"]), interval: None, timeout: None, retries: Some(5), start_period: Some(90s), start_interval: Some(500ms) }
    network default

      ⚠ `yes` is read as `true`
        ╭─[compose.yaml:10:16]
     10 │     read_only: yes
        ·                ───
        ╰────
      help: since YAML 1.2 only `true` and `false` are booleans

    1 warning
    "#);
}

#[test]
fn readiness_and_suites_in_all_forms() {
    insta::assert_snapshot!(show(r#"
services:
  a: { image: i, x-envrun: { ready: { tcp: 1, postgres: { port: 2 }, http: 3, healthcheck: true, deadline: 0 } } }
  b: { image: i, x-envrun: { ready: { http: { port: 80, path: "/x?y=1", status: 204 }, tcp: { port: 5 } } } }
  c: { image: i, x-envrun: { ready: healthcheck } }
  d: { image: i, x-envrun: { suite: true } }
  e: { image: i, x-envrun: { suite: {} } }
  f: { image: i, x-envrun: { suite: { junit: [a.xml, "b/**/*.xml"], shards: 4, retries: 1 } } }
  g: { image: i, x-envrun: { suite: false }, x-anything: 1 }
  h: { image: i, x-envrun: }
x-envrun: { reachability: { a: [b] } }
"#), @r#"
    project demo in /PARENT/demo
    service a
      image i
      on default
      ready tcp 1, Postgres 2, http 3/, Healthcheck deadline Some(0ns)
    service b
      image i
      on default
      ready ReadyHttp { port: 80, path: "/x?y=1", head_only: false, headers: [], status: [204..=204], body: None, redirects: 0, tls: None }, tcp 5 deadline None
    service c
      image i
      on default
      ready Healthcheck deadline None
    suite d
      image i
      on default
      suite junit [] timeout None
    suite e
      image i
      on default
      suite junit [] timeout None
    suite f
      image i
      on default
      suite junit ["a.xml", "b/**/*.xml"] timeout None
    service g
      image i
      on default
    service h
      image i
      on default
    network default
    reaches a: b
    "#);
}

#[test]
fn variables_come_from_the_host_then_from_dotenv() {
    let case = Case::new(&[
        (
            "compose.yaml",
            r#"
services:
  web:
    image: "${IMAGE:-none}:${TAG}"
    env_file:
      - one.env
      - { path: two.env, required: false }
      - { path: gone.env, required: false }
    environment:
      - OWN=own $PROJECT ${COMPOSE_PROJECT_NAME}
      - PROJECT
      - FROM_DOTENV
      - NOWHERE
      - REMOVED
  gone: { image: i, profiles: [never], env_file: missing.env }
"#,
        ),
        (
            ".env",
            "TAG=dotenv\nFROM_DOTENV='quoted $x'\nIMAGE=dotenv\n",
        ),
        (
            "one.env",
            "A=1\nREMOVED=x\nSEES=$OWN_ABOVE-$TAG\nOWN=file\n",
        ),
        ("two.env", "A=2\n"),
    ])
    .variable("IMAGE", "host")
    .variable("PROJECT", "p");
    insta::assert_snapshot!(case.show(), @"
    project demo in /PARENT/demo
    service web
      image host:dotenv
      env A=2
      env FROM_DOTENV=quoted $x
      env OWN=own p demo
      env PROJECT=p
      env SEES=-dotenv
      env NOWHERE unset
      env REMOVED unset
      on default
    network default

      ⚠ variable `OWN_ABOVE` is not set; it becomes an empty text
       ╭─[one.env:3:6]
     3 │ SEES=$OWN_ABOVE-$TAG
       ·      ───────────────
       ╰────

    1 warning
    ");
}

#[test]
fn profiles_leave_services_out() {
    let file = r#"
services:
  web: { image: i, depends_on: { debug: { condition: service_started, required: false } } }
  debug: { image: i, profiles: [debug, all], networks: [extra] }
networks: { extra: }
"#;
    insta::assert_snapshot!(show(file), @"
    project demo in /PARENT/demo
    service web
      image i
      on default
    network default

      ⚠ service `web` starts without `debug`, which no active profile enables
       ╭─[compose.yaml:3:34]
     3 │   web: { image: i, depends_on: { debug: { condition: service_started, required: false } } }
       ·                                  ─────
       ╰────

    1 warning
    ");
    let case = Case::new(&[("compose.yaml", file)]);
    insta::assert_snapshot!(case.profiles(&["debug"]).show(), @r"
    project demo in /PARENT/demo
    service debug
      image i
      on extra
    service web
      image i
      on default
      after debug Started required=false
    network default
    network extra
    ");
    let case = Case::new(&[("compose.yaml", file)]).variable("COMPOSE_PROFILES", "x, all");
    assert_eq!(case.load().unwrap().project.services.len(), 2);
    let case = Case::new(&[("compose.yaml", file)]).profiles(&["*"]);
    assert_eq!(case.load().unwrap().project.services.len(), 2);
}

#[test]
fn the_project_name_is_normalised() {
    let name = |case: Case| case.load().unwrap().project.name;
    let plain = "services: { a: { image: i } }";
    let named = "name: My_App.2\nservices: { a: { image: i } }";
    assert_eq!(name(Case::new(&[("compose.yaml", plain)])), "demo");
    assert_eq!(name(Case::new(&[("compose.yaml", named)])), "my_app2");
    let case = Case::new(&[
        ("compose.yaml", named),
        (".env", "COMPOSE_PROJECT_NAME=from-env"),
    ]);
    assert_eq!(name(case), "from-env");
    let mut case = Case::new(&[("compose.yaml", named)]);
    case.request.project_name = Some("given".to_owned());
    assert_eq!(name(case), "given");
    let case = Case::new(&[("-_Sub Dir/compose.yaml", plain)]).files(&["-_Sub Dir/compose.yaml"]);
    assert_eq!(name(case), "subdir");
}

#[test]
fn anchors_merge_keys_and_extensions_are_yaml_as_usual() {
    insta::assert_snapshot!(show(r#"
x-base: &base
  image: base
  environment: &env { A: 1, B: 2 }
services:
  one: { <<: *base, image: one }
  two:
    <<: *base
    environment: { <<: *env, B: 3 }
"#), @r"
    project demo in /PARENT/demo
    service one
      image one
      env A=1
      env B=2
      on default
    service two
      image base
      env A=1
      env B=3
      on default
    network default
    ");
}
