//! Several files: discovery, the rules of merging, places in the right file.

use super::Case;

#[test]
fn an_override_is_found_and_merged() {
    let case = Case::new(&[
        (
            "compose.yaml",
            r#"
services:
  web:
    image: base
    build: ./base
    command: [a, b]
    environment: [A=1, B=1]
    labels: { a: 1 }
    ports: ["80:80", "81:81"]
    volumes: ["./src:/src", "data:/data"]
    depends_on: [db]
    networks: [front]
    healthcheck: { test: [CMD, base], interval: 5s }
    env_file: a.env
    tmpfs: /run
    extra_hosts: ["a:1.1.1.1"]
    cap_add: [ONE]
    working_dir: /base
  db: { image: db }
networks: { front: , back: { internal: true } }
volumes: { data: }
"#,
        ),
        (
            "compose.override.yaml",
            r#"
services:
  web:
    image: over
    build: { target: test, args: [X=1] }
    command: over
    environment: { B: 2, C: 3 }
    labels: [b=2]
    ports: ["80:80", "82:82"]
    volumes: ["./other:/src:ro"]
    depends_on: { db: { condition: service_healthy }, cache: { condition: service_started } }
    networks: { back: { aliases: [w] } }
    healthcheck: { test: over, retries: 3 }
    env_file: [b.env]
    tmpfs: [/tmp]
    extra_hosts: { b: 2.2.2.2 }
    cap_add: [TWO, ONE]
    working_dir:
  cache: { image: cache }
networks: { back: { labels: [x=y] } }
"#,
        ),
        ("a.env", "FROM=a\nFILE_A=1\n"),
        ("b.env", "FROM=b\n"),
    ]);
    insta::assert_snapshot!(case.show(), @r#"
    project demo in /PARENT/demo
    service cache
      image cache
      on default
    service db
      image db
      on default
    service web
      image over
      working_dir /base
      build Build { context: "/PARENT/demo/base", dockerfile: "Dockerfile", args: {"X": "1"}, target: Some("test") }
      command ["over"]
      env A=1
      env B=2
      env C=3
      env FILE_A=1
      env FROM=b
      on back {"w"}
      on front
      mount /PARENT/demo/other (created) at /src read-only
      mount volume data at /data
      after cache Started required=true
      after db Healthy required=true
      healthcheck Check { test: Some(["CMD-SHELL", "over"]), interval: Some(5s), timeout: None, retries: Some(3), start_period: None, start_interval: None }
      port 80/tcp from * 80
      port 81/tcp from * 81
      port 82/tcp from * 82
      label a=1
      label b=2
      option cap_add: ["CAP_ONE", "CAP_TWO"]
      option extra_hosts: ["a:1.1.1.1", "b:2.2.2.2"]
      option tmpfs: {"/run": "", "/tmp": ""}
    network back { driver: None, driver_opts: {}, attachable: false, internal: true, enable_ipv4: None, enable_ipv6: None, ipam: Ipam { driver: None, options: {}, pools: [] }, labels: {"x": "y"}, external: None }
    network default
    network front
    volume data
    "#);
}

#[test]
fn files_are_merged_in_the_order_given_and_problems_name_their_file() {
    let case = Case::new(&[
        (
            "ci/a.yaml",
            "services:\n  web:\n    image: i\n    ports: [80]\n    volumes: [./x:/x]\n",
        ),
        (
            "b.yaml",
            "services:\n  web:\n    imagee: j\n    ports: { a: b }\n    depends_on: [wbe]\n",
        ),
    ])
    .files(&["ci/a.yaml", "b.yaml"]);
    insta::assert_snapshot!(case.show(), @"
      ⚠ containers may write to `/PARENT/demo/ci/x`, which runs side by side share
       ╭─[ci/a.yaml:5:15]
     5 │     volumes: [./x:/x]
       ·               ──────
       ╰────
      help: what they create there has the container's owner; `:ro` forbids it, and `x-
            envrun: { bind: copy }` gives each run a copy of its own

      × unknown key `imagee` of a service
       ╭─[b.yaml:3:5]
     2 │   web:
     3 │     imagee: j
       ·     ──────
     4 │     ports: { a: b }
       ╰────
      help: did you mean `image`?

      × `services.web.ports` cannot be merged: a mapping over a list
       ╭─[b.yaml:4:12]
     3 │     imagee: j
     4 │     ports: { a: b }
       ·            ────┬───
       ·                ╰── this
     5 │     depends_on: [wbe]
       ╰────

    Advice:
      ☞ see also `ci/a.yaml`
       ╭─[ci/a.yaml:4:12]
     3 │     image: i
     4 │     ports: [80]
       ·            ──┬─
       ·              ╰── over this
     5 │     volumes: [./x:/x]
       ╰────

      × service `web` depends on `wbe`, which does not exist
       ╭─[b.yaml:5:18]
     4 │     ports: { a: b }
     5 │     depends_on: [wbe]
       ·                  ───
       ╰────
      help: a dependency is the name of a service of this project

    3 errors, 1 warning
    ");
}

#[test]
fn compose_file_names_the_files() {
    let case = Case::new(&[
        (".env", "COMPOSE_FILE=a.yaml:b.yaml\n"),
        ("a.yaml", "services: { web: { image: a } }"),
        ("b.yaml", "services: { web: { image: b } }"),
    ]);
    assert_eq!(
        case.load()
            .unwrap()
            .project
            .services
            .values()
            .next()
            .unwrap()
            .image
            .as_deref(),
        Some("b")
    );
}

#[test]
fn the_project_is_where_its_first_file_is() {
    let case = Case::new(&[
        (
            "sub/compose.yaml",
            "services: { web: { build: ., environment: [A, B] } }",
        ),
        ("sub/.env", "A=sub\nB=sub\n"),
        (".env", "A=asked\n"),
    ])
    .files(&["sub/compose.yaml"]);
    insta::assert_snapshot!(case.show(), @r#"
    project sub in /PARENT/demo/sub
    service web
      build Build { context: "/PARENT/demo/sub", dockerfile: "Dockerfile", args: {}, target: None }
      env A=sub
      env B=sub
      on default
    network default
    "#);
}
