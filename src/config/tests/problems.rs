//! Files that do not load, and what their author reads.

use super::{Case, show};

#[test]
fn all_problems_come_out_together() {
    insta::assert_snapshot!(show(r#"version: "3"
services:
  web:
    imgae: nginx
    ports: 80
    depends_on: [bd]
    networks: [bakend]
    volumes: ["dta:/x"]
    develop: {}
    healthcheck: { interval: 10 }
  db:
    image: postgres
    develop: {}
    environment: { A: [1] }
networks: { backend: }
volumes: { data: }
"#), @r#"
      ⚠ `version` of the project has no effect
       ╭─[compose.yaml:1:1]
     1 │ version: "3"
       · ───────
       ╰────
      help: it is obsolete; remove it

      ⚠ `develop` of a service is not honoured yet
       ╭─[compose.yaml:9:5]
     9 │     develop: {}
       ·     ───────
       ╰────
        ╭─[compose.yaml:13:5]
     13 │     develop: {}
        ·     ───────
        ╰────

      × service `web` has neither `image` nor `build`
       ╭─[compose.yaml:3:3]
     2 │ services:
     3 │   web:
       ·   ───
     4 │     imgae: nginx
       ╰────

      × service `web` has neither `image` nor `build`
       ╭─[compose.yaml:3:3]
     2 │ services:
     3 │   web:
       ·   ───
     4 │     imgae: nginx
       ╰────

      × unknown key `imgae` of a service
       ╭─[compose.yaml:4:5]
     3 │   web:
     4 │     imgae: nginx
       ·     ─────
     5 │     ports: 80
       ╰────
      help: did you mean `image`?

      × `ports` must be a list, found the number `80`
       ╭─[compose.yaml:5:12]
     4 │     imgae: nginx
     5 │     ports: 80
       ·            ──
     6 │     depends_on: [bd]
       ╰────

      × service `web` depends on `bd`, which does not exist
       ╭─[compose.yaml:6:18]
     5 │     ports: 80
     6 │     depends_on: [bd]
       ·                  ──
     7 │     networks: [bakend]
       ╰────
      help: did you mean `db`?

      × service `web` uses the network `bakend`, which does not exist
       ╭─[compose.yaml:7:16]
     6 │     depends_on: [bd]
     7 │     networks: [bakend]
       ·                ──────
     8 │     volumes: ["dta:/x"]
       ╰────
      help: did you mean `backend`?

      × service `web` mounts the volume `dta`, which does not exist
       ╭─[compose.yaml:8:15]
     7 │     networks: [bakend]
     8 │     volumes: ["dta:/x"]
       ·               ────────
     9 │     develop: {}
       ╰────
      help: did you mean `data`?

      × `interval` must be text, found the number `10`
        ╭─[compose.yaml:10:30]
      9 │     develop: {}
     10 │     healthcheck: { interval: 10 }
        ·                              ──
     11 │   db:
        ╰────
      help: write `10s` for seconds; units are `ms`, `s`, `m`, `h`

      × `environment.A` must be text, a number or a boolean, found a list
        ╭─[compose.yaml:14:23]
     13 │     develop: {}
     14 │     environment: { A: [1] }
        ·                       ───
     15 │ networks: { backend: }
        ╰────

    9 errors, 2 warnings
    "#);
}

#[test]
fn cycles_are_named() {
    insta::assert_snapshot!(show(r#"
services:
  a: { image: i, depends_on: [b] }
  b: { image: i, depends_on: [c] }
  c:
    image: i
    depends_on: [a]
  d: { image: i, depends_on: [d, a] }
"#), @r"
      × services wait for each other in a circle: `a → b → c → a`
       ╭─[compose.yaml:3:31]
     2 │ services:
     3 │   a: { image: i, depends_on: [b] }
       ·                               ┬
       ·                               ╰── `a` waits for `b`
     4 │   b: { image: i, depends_on: [c] }
       ·                               ┬
       ·                               ╰── `b` waits for `c`
     5 │   c:
       ╰────
       ╭─[compose.yaml:7:18]
     6 │     image: i
     7 │     depends_on: [a]
       ·                  ┬
       ·                  ╰── `c` waits for `a`
     8 │   d: { image: i, depends_on: [d, a] }
       ╰────
      help: none of them could ever start; take one dependency out

      × service `d` depends on itself
       ╭─[compose.yaml:8:31]
     7 │     depends_on: [a]
     8 │   d: { image: i, depends_on: [d, a] }
       ·                               ─
       ╰────

    2 errors
    ");
}

#[test]
fn dependencies_on_inactive_services_and_suites() {
    insta::assert_snapshot!(show(r#"
services:
  web: { image: i, depends_on: [debug] }
  debug: { image: i, profiles: [debug] }
  tests: { image: i, x-envrun: { suite: true } }
  after:
    image: i
    depends_on: { tests: { condition: service_completed_successfuly } }
"#), @"
      × service `web` depends on `debug`, which no active profile enables
       ╭─[compose.yaml:3:33]
     2 │ services:
     3 │   web: { image: i, depends_on: [debug] }
       ·                                 ─────
     4 │   debug: { image: i, profiles: [debug] }
       ·   ──┬──
       ·     ╰── declared here
     5 │   tests: { image: i, x-envrun: { suite: true } }
       ╰────
      help: activate its profile, or write `required: false`

      × `condition` must be one of `service_started`, `service_healthy`,
      │ `service_completed_successfully`, found the text `service_completed_successfuly`
       ╭─[compose.yaml:8:39]
     7 │     image: i
     8 │     depends_on: { tests: { condition: service_completed_successfuly } }
       ·                                       ─────────────────────────────
       ╰────
      help: did you mean `service_completed_successfully`?

    2 errors
    ");
}

#[test]
fn extension_problems() {
    insta::assert_snapshot!(show(r#"
services:
  a:
    image: i
    healthcheck: { disable: true }
    x-envrun: { ready: { healthcheck: true } }
  b: { image: i, x-envrun: { redy: 1, ready: {} } }
  c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
  d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
  e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
x-envrun: { timeout: 0s, timout: 5m, parallel: -1, fail_fast: 3 }
"#), @r#"
      ⚠ `x-envrunn` has no effect
        ╭─[compose.yaml:10:18]
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ·                  ─────────
        ╰────
      help: did you mean `x-envrun`?

      × service `a` is ready by its healthcheck, which is disabled
       ╭─[compose.yaml:5:5]
     4 │     image: i
     5 │     healthcheck: { disable: true }
       ·     ─────┬─────
       ·          ╰── disabled here
     6 │     x-envrun: { ready: { healthcheck: true } }
       ·                          ───────────
     7 │   b: { image: i, x-envrun: { redy: 1, ready: {} } }
       ╰────
      help: enable the healthcheck, or name another probe

      × unknown key `redy` of `x-envrun`
       ╭─[compose.yaml:7:30]
     6 │     x-envrun: { ready: { healthcheck: true } }
     7 │   b: { image: i, x-envrun: { redy: 1, ready: {} } }
       ·                              ────
     8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
       ╰────
      help: did you mean `ready`?

      × `ready` names no probe
       ╭─[compose.yaml:7:46]
     6 │     x-envrun: { ready: { healthcheck: true } }
     7 │   b: { image: i, x-envrun: { redy: 1, ready: {} } }
       ·                                              ──
     8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
       ╰────
      help: name a probe such as `tcp`, `http`, `log` or `healthcheck`, or leave `ready` out

      × `tcp` must be a whole number from 1 to 65535, found the number `70000`
       ╭─[compose.yaml:8:44]
     7 │   b: { image: i, x-envrun: { redy: 1, ready: {} } }
     8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
       ·                                            ─────
     9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
       ╰────

      × `http` has no `port`
       ╭─[compose.yaml:8:57]
     7 │   b: { image: i, x-envrun: { redy: 1, ready: {} } }
     8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
       ·                                                         ───────────
     9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
       ╰────

      × `path` does not start with `/`: `x`
       ╭─[compose.yaml:8:65]
     7 │   b: { image: i, x-envrun: { redy: 1, ready: {} } }
     8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
       ·                                                                 ─
     9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
       ╰────

      × the glob `/a.xml` is absolute
        ╭─[compose.yaml:9:47]
      8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
      9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
        ·                                               ────────
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ╰────
      help: globs are relative to the working directory of the container

      × the glob `../b.xml` leaves the working directory
        ╭─[compose.yaml:9:57]
      8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
      9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
        ·                                                         ──────────
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ╰────
      help: globs are relative to the working directory of the container

      × the glob `c[.xml` is not valid: unclosed character class; missing ']'
        ╭─[compose.yaml:9:69]
      8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
      9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
        ·                                                                     ────────
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ╰────

      × `timeout` is not a duration: `10`: the number has no unit
        ╭─[compose.yaml:9:89]
      8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
      9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
        ·                                                                                         ──
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ╰────
      help: write `10s` for seconds; units are `ms`, `s`, `m`, `h`

      × `retries` must be a whole number from 0 to 10, found the number `11`
        ╭─[compose.yaml:9:102]
      8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
      9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
        ·                                                                                                      ──
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ╰────

      × `shards` must be a whole number from 1 to 256, or `ci`, found the text `many`
        ╭─[compose.yaml:9:114]
      8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
      9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
        ·                                                                                                                  ────
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ╰────

      × unknown value `maybe` of `flaky`
        ╭─[compose.yaml:9:127]
      8 │   c: { image: i, x-envrun: { ready: { tcp: 70000, http: { path: x } } } }
      9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
        ·                                                                                                                               ─────
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ╰────
      help: `pass` counts a suite that passes after a retry as passed, `fail` as failed

      × `build` has no `x-envrun`
        ╭─[compose.yaml:10:54]
      9 │   d: { image: i, x-envrun: { suite: { junit: ["/a.xml", "../b.xml", "c[.xml"], timeout: 10, retries: 11, shards: many, flaky: maybe } } }
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
        ·                                                      ────────
     11 │ x-envrun: { timeout: 0s, timout: 5m, parallel: -1, fail_fast: 3 }
        ╰────
      help: it may stand on the top level, on a service and on a mount in its long form

      × unknown key `timout` of `x-envrun`
        ╭─[compose.yaml:11:26]
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
     11 │ x-envrun: { timeout: 0s, timout: 5m, parallel: -1, fail_fast: 3 }
        ·                          ──────
        ╰────
      help: did you mean `timeout`?

      × `parallel` must be a whole number from 0 to 1000, found the number `-1`
        ╭─[compose.yaml:11:48]
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
     11 │ x-envrun: { timeout: 0s, timout: 5m, parallel: -1, fail_fast: 3 }
        ·                                                ──
        ╰────

      × `fail_fast` must be true or false, found the number `3`
        ╭─[compose.yaml:11:63]
     10 │   e: { image: i, x-envrunn: {}, build: { context: ., x-envrun: {} } }
     11 │ x-envrun: { timeout: 0s, timout: 5m, parallel: -1, fail_fast: 3 }
        ·                                                               ─
        ╰────

    17 errors, 1 warning
    "#);
}

#[test]
fn what_changes_the_environment_is_refused() {
    insta::assert_snapshot!(show(r#"
include: [other.yaml]
services:
  a: { image: i, extends: { service: b }, network_mode: host }
  b: { build: { dockerfile_inline: "FROM x", context: "https://example.com/x.git" } }
networks:
  n: { external: true, driver: bridge }
"#), @r#"
      × cannot read `other.yaml`: it does not exist
       ╭─[compose.yaml:2:11]
     2 │ include: [other.yaml]
       ·           ─────┬────
       ·                ╰── included here
     3 │ services:
       ╰────

      × `dockerfile_inline` is not supported beside a remote `context`
       ╭─[compose.yaml:5:17]
     4 │   a: { image: i, extends: { service: b }, network_mode: host }
     5 │   b: { build: { dockerfile_inline: "FROM x", context: "https://example.com/x.git" } }
       ·                 ─────────────────
     6 │ networks:
       ╰────
      help: the engine reads the Dockerfile there by itself; clone the repository first

      × `dockerfile_inline` is not supported beside a remote `context`
       ╭─[compose.yaml:5:17]
     4 │   a: { image: i, extends: { service: b }, network_mode: host }
     5 │   b: { build: { dockerfile_inline: "FROM x", context: "https://example.com/x.git" } }
       ·                 ─────────────────
     6 │ networks:
       ╰────
      help: the engine reads the Dockerfile there by itself; clone the repository first

      × `driver` cannot be said of a network that is external
       ╭─[compose.yaml:7:8]
     6 │ networks:
     7 │   n: { external: true, driver: bridge }
       ·        ────┬───        ──────
       ·            ╰── external here
       ╰────

    4 errors
    "#);
}

#[test]
fn files_that_are_not_there_or_not_right() {
    insta::assert_snapshot!(Case::new(&[]).files(&["gone.yaml", "."]).show(), @r"
      × cannot read `gone.yaml`: it does not exist

      × cannot read `.`: it is a directory
      help: name the file in it, such as `./compose.yaml`

    2 errors
    ");
    insta::assert_snapshot!(show("# nothing\n"), @r"
      × `compose.yaml` is empty

    1 error
    ");
    insta::assert_snapshot!(show("- a\n"), @r"
      × `compose.yaml` must be a mapping, found a list
       ╭─[compose.yaml:1:1]
     1 │ - a
       · ───
       ╰────

    1 error
    ");
    insta::assert_snapshot!(show("name: x\n"), @r"
      × no services in `compose.yaml`
      help: a compose file has a top-level key `services`

    1 error
    ");
    insta::assert_snapshot!(show("services: { a: { image: i, profiles: [p] } }"), @r"
      × no service is active
      help: every service has a profile; activate one

    1 error
    ");
    insta::assert_snapshot!(show("services:\n  a:\n   image: i\n  image: j\n b: c\n"), @r"
      × not valid yaml: while parsing a block mapping, did not find expected key
       ╭─[compose.yaml:5:2]
     4 │   image: j
     5 │  b: c
       ·  ─
       ╰────

    1 error
    ");
    insta::assert_snapshot!(Case::new(&[("compose.yaml", "services: { a: { image: i } }"), (".env", "A='x\nB B=1\n")]).show(), @r"
      × the `'` quote is not closed
       ╭─[.env:1:3]
     1 │ A='x
       ·   ──
     2 │ B B=1
       ╰────

      × the name of a variable cannot contain a space
       ╭─[.env:2:1]
     1 │ A='x
     2 │ B B=1
       · ─────
       ╰────

    2 errors
    ");
}

#[test]
fn colour_and_width_are_only_looks() {
    let case = Case::new(&[("compose.yaml", "services: { a: { imagee: i } }\n")]);
    let problems = case.load().unwrap_err();
    let coloured = problems.render(true, 80);
    assert!(coloured.contains("\u{1b}["));
    assert!(!problems.render(false, 80).contains('\u{1b}'));
    assert!(problems.render(false, 0).contains("imagee"));
    insta::assert_snapshot!(problems, @"
    compose.yaml:1:13: service `a` has neither `image` nor `build`
    compose.yaml:1:13: service `a` has neither `image` nor `build`
    compose.yaml:1:18: unknown key `imagee` of a service
    3 errors
    ");
}

#[test]
fn readiness_of_a_suite_is_asked_for_by_nobody() {
    insta::assert_snapshot!(show("
services:
  tests: { image: i, x-envrun: { suite: true, ready: { tcp: 80 } } }
"), @"
    project demo in /PARENT/demo
    suite tests
      image i
      on default
      ready tcp 80 deadline None
      suite junit [] timeout None
    network default

      ⚠ `ready` has no effect on a suite
       ╭─[compose.yaml:3:54]
     3 │   tests: { image: i, x-envrun: { suite: true, ready: { tcp: 80 } } }
       ·                                                      ───────────
       ╰────
      help: a suite is waited for until it ends; its limit is `suite.timeout`

    1 warning
    ");
}
