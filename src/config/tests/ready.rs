//! `x-envrun.ready`: every kind in every form, and what is said of mistakes.

use super::show;

#[test]
fn every_kind_has_a_short_and_a_long_form() {
    insta::assert_snapshot!(show(r#"
services:
  short:
    image: i
    x-envrun:
      ready:
        all:
          - { tcp: 1 }
          - { http: 2 }
          - { https: 3 }
          - { log: "listening on .*:80" }
          - { exec: "test -e /ready && true" }
          - { exec: [test, -e, /ready] }
          - { file: /run/ready }
          - { grpc: 4 }
          - { postgres: }
          - { mysql: true }
          - { mariadb: 6 }
          - { redis: {} }
          - rabbitmq
          - { memcached: 7 }
          - { nats: 8 }
          - healthcheck
  long:
    image: i
    x-envrun:
      ready:
        http:
          { port: 80, path: /up, method: HEAD, status: [200-299, 401], headers: { Host: a.example, X-N: 3 }, redirects: true }
        https: { port: 443, insecure: true, body: "\"up\"", status: 200, redirects: 3 }
        log: { pattern: ready, stream: stderr, times: 2, deadline: 5s }
        exec: { command: [a, b], successes: 3, timeout: 2s, interval: 100ms, deadline: 1m }
        file: { path: /a, not_empty: true }
        grpc: { port: 5, service: orders }
        redis: { port: 1, successes: 2 }
        healthcheck: { successes: 2 }
        deadline: 2m
"#), @r#"
    project demo in /PARENT/demo
    service long
      image i
      on default
      ready ReadyHttp { port: 80, path: "/up", head_only: true, headers: [("Host", "a.example"), ("X-N", "3")], status: [200..=299, 401..=401], body: None, redirects: 10, tls: None }, ReadyHttp { port: 443, path: "/", head_only: false, headers: [], status: [200..=200], body: Some("\"up\""), redirects: 3, tls: Some(Insecure) }, Log { pattern: "ready", stream: Some(Stderr), times: 2 } (deadline: Some(5s)), Exec { command: ["a", "b"] } (successes: Some(3) timeout: Some(2s) interval: Some(100ms) deadline: Some(60s)), File { path: "/a", not_empty: true }, Grpc { port: 5, service: "orders" }, Redis 1 (successes: Some(2)), Healthcheck (successes: Some(2)) deadline Some(120s)
    service short
      image i
      on default
      ready tcp 1, http 2/, ReadyHttp { port: 3, path: "/", head_only: false, headers: [], status: [], body: None, redirects: 0, tls: Some(Trusted) }, Log { pattern: "listening on .*:80", stream: None, times: 1 }, Exec { command: ["/bin/sh", "-c", "test -e /ready && true"] }, Exec { command: ["test", "-e", "/ready"] }, File { path: "/run/ready", not_empty: false }, Grpc { port: 4, service: "" }, Postgres, Mysql, Mysql 6, Redis, Rabbitmq, Memcached 7, Nats 8, Healthcheck deadline None
    network default
    "#);
}

#[test]
fn lists_may_stand_in_each_other_and_what_stands_beside_each_other_is_all() {
    insta::assert_snapshot!(show("
services:
  a: { image: i, x-envrun: { ready: { any: [ { tcp: 1, log: a }, { any: [ { all: [ { tcp: 2 }, { tcp: 3 } ] }, completed ] } ] } } }
  b: { image: i, x-envrun: { ready: completed } }
  c: { image: i, x-envrun: { ready: { any: [ { tcp: 1 }, { completed: true } ] } } }
  d: { image: i, x-envrun: { ready: { all: [ { tcp: 1 } ], any: [ { tcp: 2 }, { tcp: 3 } ], tcp: 4 } } }
  e: { image: i, x-envrun: { ready: { healthcheck: false, deadline: 1s } } }
"), @r#"
    project demo in /PARENT/demo
    service a
      image i
      on default
      ready any [tcp 1, Log { pattern: "a", stream: None, times: 1 }, any [tcp 2, tcp 3, Completed]] deadline None
    job b
      image i
      on default
      ready Completed deadline None
    service c
      image i
      on default
      ready any [tcp 1, Completed] deadline None
    service d
      image i
      on default
      ready tcp 1, any [tcp 2, tcp 3], tcp 4 deadline None
    service e
      image i
      on default
      ready  deadline Some(1s)
    network default
    "#);
}

/// What 0 and nothing mean: the readers hand both on, and `probe::machine` and `plan::readiness` hold
/// what they say.
#[test]
fn zero_and_none_are_told_apart() {
    insta::assert_snapshot!(show("
services:
  zero: { image: i, x-envrun: { ready: { tcp: { port: 1, timeout: 0, interval: 0s, deadline: 0 }, deadline: 0 } } }
  none: { image: i, x-envrun: { ready: { tcp: { port: 1, timeout: , interval: , deadline: , successes: }, deadline: } } }
"), @"
    project demo in /PARENT/demo
    service none
      image i
      on default
      ready tcp 1 deadline None
    service zero
      image i
      on default
      ready tcp 1 (timeout: Some(0ns) interval: Some(0ns) deadline: Some(0ns)) deadline Some(0ns)
    network default
    ");
}

#[test]
fn mistakes_are_told_with_their_place_and_what_to_do() {
    insta::assert_snapshot!(show(r#"
services:
  counts: { image: i, x-envrun: { ready: { tcp: { port: 0, successes: 0 }, log: { pattern: a, times: 0 } } } }
  patterns: { image: i, x-envrun: { ready: { log: "(", http: { port: 1, body: "[" } } } }
  streams: { image: i, x-envrun: { ready: { log: { pattern: a, stream: both } } } }
  nothing: { image: i, x-envrun: { ready: { all: [], any: 3 } } }
  entries: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, ~, tpc, { prot: 1 } ] } } }
  entry: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, tpc ] } } }
  ended: { image: i, x-envrun: { ready: { completed: true, tcp: 1 } } }
  inner: { image: i, x-envrun: { ready: { all: [ completed, { any: [ completed, { tcp: 1 } ] } ] } } }
  status: { image: i, x-envrun: { ready: { http: { port: 1, status: 299-200 }, https: { port: 2, status: [ok] } } } }
  method: { image: i, x-envrun: { ready: { http: { port: 1, method: POST }, https: { port: 1, method: HEAD, body: a } } } }
  tls: { image: i, x-envrun: { ready: { http: { port: 1, insecure: true }, https: { port: 1, ca: ./nowhere.pem } } } }
  both: { image: i, x-envrun: { ready: { https: { port: 1, ca: ./a.pem, insecure: true } } } }
  headers: { image: i, x-envrun: { ready: { http: { port: 1, headers: { "a b": c, Connection: close, X: "a\nb", Y: } } } } }
  files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
  paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
  paces: { image: i, x-envrun: { ready: { log: { pattern: a, successes: 2 }, tcp: { port: 1, interval: 5 } } } }
"#), @r#"
      × `port` must be a whole number from 1 to 65535, found the number `0`
       ╭─[compose.yaml:3:57]
     2 │ services:
     3 │   counts: { image: i, x-envrun: { ready: { tcp: { port: 0, successes: 0 }, log: { pattern: a, times: 0 } } } }
       ·                                                         ─
     4 │   patterns: { image: i, x-envrun: { ready: { log: "(", http: { port: 1, body: "[" } } } }
       ╰────

      × `successes` must be a whole number from 1 to 1000, found the number `0`
       ╭─[compose.yaml:3:71]
     2 │ services:
     3 │   counts: { image: i, x-envrun: { ready: { tcp: { port: 0, successes: 0 }, log: { pattern: a, times: 0 } } } }
       ·                                                                       ─
     4 │   patterns: { image: i, x-envrun: { ready: { log: "(", http: { port: 1, body: "[" } } } }
       ╰────

      × `times` must be a whole number from 1 to 1000, found the number `0`
       ╭─[compose.yaml:3:102]
     2 │ services:
     3 │   counts: { image: i, x-envrun: { ready: { tcp: { port: 0, successes: 0 }, log: { pattern: a, times: 0 } } } }
       ·                                                                                                      ─
     4 │   patterns: { image: i, x-envrun: { ready: { log: "(", http: { port: 1, body: "[" } } } }
       ╰────

      × `log` is not a regular expression: `(`: found open group without closing ')'
       ╭─[compose.yaml:4:51]
     3 │   counts: { image: i, x-envrun: { ready: { tcp: { port: 0, successes: 0 }, log: { pattern: a, times: 0 } } } }
     4 │   patterns: { image: i, x-envrun: { ready: { log: "(", http: { port: 1, body: "[" } } } }
       ·                                                   ───
     5 │   streams: { image: i, x-envrun: { ready: { log: { pattern: a, stream: both } } } }
       ╰────
      help: characters such as `(`, `[`, `*` and `?` stand for themselves behind a `\`

      × `body` is not a regular expression: `[`: found unclosed character class
       ╭─[compose.yaml:4:79]
     3 │   counts: { image: i, x-envrun: { ready: { tcp: { port: 0, successes: 0 }, log: { pattern: a, times: 0 } } } }
     4 │   patterns: { image: i, x-envrun: { ready: { log: "(", http: { port: 1, body: "[" } } } }
       ·                                                                               ───
     5 │   streams: { image: i, x-envrun: { ready: { log: { pattern: a, stream: both } } } }
       ╰────
      help: characters such as `(`, `[`, `*` and `?` stand for themselves behind a `\`

      × unknown stream `both`
       ╭─[compose.yaml:5:72]
     4 │   patterns: { image: i, x-envrun: { ready: { log: "(", http: { port: 1, body: "[" } } } }
     5 │   streams: { image: i, x-envrun: { ready: { log: { pattern: a, stream: both } } } }
       ·                                                                        ────
     6 │   nothing: { image: i, x-envrun: { ready: { all: [], any: 3 } } }
       ╰────
      help: the streams are `stdout`, `stderr` and `any`

      × `all` is empty
       ╭─[compose.yaml:6:50]
     5 │   streams: { image: i, x-envrun: { ready: { log: { pattern: a, stream: both } } } }
     6 │   nothing: { image: i, x-envrun: { ready: { all: [], any: 3 } } }
       ·                                                  ──
     7 │   entries: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, ~, tpc, { prot: 1 } ] } } }
       ╰────

      × `any` must be a list of probes, found the number `3`
       ╭─[compose.yaml:6:59]
     5 │   streams: { image: i, x-envrun: { ready: { log: { pattern: a, stream: both } } } }
     6 │   nothing: { image: i, x-envrun: { ready: { all: [], any: 3 } } }
       ·                                                           ─
     7 │   entries: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, ~, tpc, { prot: 1 } ] } } }
       ╰────
      help: write `any: [{ tcp: 8000 }, { log: … }]`

      × an entry of `any` names no probe
       ╭─[compose.yaml:7:52]
     6 │   nothing: { image: i, x-envrun: { ready: { all: [], any: 3 } } }
     7 │   entries: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, ~, tpc, { prot: 1 } ] } } }
       ·                                                    ────────────────
     8 │   entry: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, tpc ] } } }
       ╰────

      × a deadline belongs to one probe, or to `ready` as a whole
       ╭─[compose.yaml:7:54]
     6 │   nothing: { image: i, x-envrun: { ready: { all: [], any: 3 } } }
     7 │   entries: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, ~, tpc, { prot: 1 } ] } } }
       ·                                                      ────────
     8 │   entry: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, tpc ] } } }
       ╰────
      help: write it into the probe: `tcp: { port: 8000, deadline: 30s }`

      × an entry of `any` names no probe
       ╭─[compose.yaml:8:50]
     7 │   entries: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, ~, tpc, { prot: 1 } ] } } }
     8 │   entry: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, tpc ] } } }
       ·                                                  ────────────────
     9 │   ended: { image: i, x-envrun: { ready: { completed: true, tcp: 1 } } }
       ╰────

      × a deadline belongs to one probe, or to `ready` as a whole
       ╭─[compose.yaml:8:52]
     7 │   entries: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, ~, tpc, { prot: 1 } ] } } }
     8 │   entry: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, tpc ] } } }
       ·                                                    ────────
     9 │   ended: { image: i, x-envrun: { ready: { completed: true, tcp: 1 } } }
       ╰────
      help: write it into the probe: `tcp: { port: 8000, deadline: 30s }`

      × `completed` cannot be asked for together with another probe
        ╭─[compose.yaml:9:43]
      8 │   entry: { image: i, x-envrun: { ready: { any: [ { deadline: 3s }, tpc ] } } }
      9 │   ended: { image: i, x-envrun: { ready: { completed: true, tcp: 1 } } }
        ·                                           ─────────
     10 │   inner: { image: i, x-envrun: { ready: { all: [ completed, { any: [ completed, { tcp: 1 } ] } ] } } }
        ╰────
      help: a container that has ended shows nothing else; put it into an `any`, or alone

      × `completed` cannot be asked for together with another probe
        ╭─[compose.yaml:10:50]
      9 │   ended: { image: i, x-envrun: { ready: { completed: true, tcp: 1 } } }
     10 │   inner: { image: i, x-envrun: { ready: { all: [ completed, { any: [ completed, { tcp: 1 } ] } ] } } }
        ·                                                  ─────────
     11 │   status: { image: i, x-envrun: { ready: { http: { port: 1, status: 299-200 }, https: { port: 2, status: [ok] } } } }
        ╰────
      help: a container that has ended shows nothing else; put it into an `any`, or alone

      × `completed` cannot be asked for together with another probe
        ╭─[compose.yaml:10:70]
      9 │   ended: { image: i, x-envrun: { ready: { completed: true, tcp: 1 } } }
     10 │   inner: { image: i, x-envrun: { ready: { all: [ completed, { any: [ completed, { tcp: 1 } ] } ] } } }
        ·                                                                      ─────────
     11 │   status: { image: i, x-envrun: { ready: { http: { port: 1, status: 299-200 }, https: { port: 2, status: [ok] } } } }
        ╰────
      help: a container that has ended shows nothing else; put it into an `any`, or alone

      × `status` must be a number from 100 to 599, a range such as `200-299`, or a list of
      │ these, found the text `299-200`
        ╭─[compose.yaml:11:69]
     10 │   inner: { image: i, x-envrun: { ready: { all: [ completed, { any: [ completed, { tcp: 1 } ] } ] } } }
     11 │   status: { image: i, x-envrun: { ready: { http: { port: 1, status: 299-200 }, https: { port: 2, status: [ok] } } } }
        ·                                                                     ───────
     12 │   method: { image: i, x-envrun: { ready: { http: { port: 1, method: POST }, https: { port: 1, method: HEAD, body: a } } } }
        ╰────

      × `status` must be a number from 100 to 599, a range such as `200-299`, or a list of
      │ these, found the text `ok`
        ╭─[compose.yaml:11:107]
     10 │   inner: { image: i, x-envrun: { ready: { all: [ completed, { any: [ completed, { tcp: 1 } ] } ] } } }
     11 │   status: { image: i, x-envrun: { ready: { http: { port: 1, status: 299-200 }, https: { port: 2, status: [ok] } } } }
        ·                                                                                                           ──
     12 │   method: { image: i, x-envrun: { ready: { http: { port: 1, method: POST }, https: { port: 1, method: HEAD, body: a } } } }
        ╰────

      × unknown `method` of a probe: `POST`
        ╭─[compose.yaml:12:69]
     11 │   status: { image: i, x-envrun: { ready: { http: { port: 1, status: 299-200 }, https: { port: 2, status: [ok] } } } }
     12 │   method: { image: i, x-envrun: { ready: { http: { port: 1, method: POST }, https: { port: 1, method: HEAD, body: a } } } }
        ·                                                                     ────
     13 │   tls: { image: i, x-envrun: { ready: { http: { port: 1, insecure: true }, https: { port: 1, ca: ./nowhere.pem } } } }
        ╰────
      help: it is `GET` or `HEAD`: a probe is sent many times, and must change nothing

      × an answer to `HEAD` has no body
        ╭─[compose.yaml:12:115]
     11 │   status: { image: i, x-envrun: { ready: { http: { port: 1, status: 299-200 }, https: { port: 2, status: [ok] } } } }
     12 │   method: { image: i, x-envrun: { ready: { http: { port: 1, method: POST }, https: { port: 1, method: HEAD, body: a } } } }
        ·                                                                                                                   ─
     13 │   tls: { image: i, x-envrun: { ready: { http: { port: 1, insecure: true }, https: { port: 1, ca: ./nowhere.pem } } } }
        ╰────
      help: leave `method` out, or `body`

      × unknown key `insecure` of an http probe
        ╭─[compose.yaml:13:58]
     12 │   method: { image: i, x-envrun: { ready: { http: { port: 1, method: POST }, https: { port: 1, method: HEAD, body: a } } } }
     13 │   tls: { image: i, x-envrun: { ready: { http: { port: 1, insecure: true }, https: { port: 1, ca: ./nowhere.pem } } } }
        ·                                                          ────────
     14 │   both: { image: i, x-envrun: { ready: { https: { port: 1, ca: ./a.pem, insecure: true } } } }
        ╰────

      × cannot read certificates from `./nowhere.pem`: entity not found
        ╭─[compose.yaml:13:98]
     12 │   method: { image: i, x-envrun: { ready: { http: { port: 1, method: POST }, https: { port: 1, method: HEAD, body: a } } } }
     13 │   tls: { image: i, x-envrun: { ready: { http: { port: 1, insecure: true }, https: { port: 1, ca: ./nowhere.pem } } } }
        ·                                                                                                  ─────────────
     14 │   both: { image: i, x-envrun: { ready: { https: { port: 1, ca: ./a.pem, insecure: true } } } }
        ╰────
      help: `ca` is a file with certificates of authorities in PEM, on this host

      × `ca` has no effect beside `insecure`
        ╭─[compose.yaml:14:64]
     13 │   tls: { image: i, x-envrun: { ready: { http: { port: 1, insecure: true }, https: { port: 1, ca: ./nowhere.pem } } } }
     14 │   both: { image: i, x-envrun: { ready: { https: { port: 1, ca: ./a.pem, insecure: true } } } }
        ·                                                                ───────
     15 │   headers: { image: i, x-envrun: { ready: { http: { port: 1, headers: { "a b": c, Connection: close, X: "a\nb", Y: } } } } }
        ╰────
      help: with `insecure` no certificate is looked at

      × `a b` is not the name of a header
        ╭─[compose.yaml:15:73]
     14 │   both: { image: i, x-envrun: { ready: { https: { port: 1, ca: ./a.pem, insecure: true } } } }
     15 │   headers: { image: i, x-envrun: { ready: { http: { port: 1, headers: { "a b": c, Connection: close, X: "a\nb", Y: } } } } }
        ·                                                                         ─────
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
        ╰────

      × the header `Connection` is that of the connection
        ╭─[compose.yaml:15:83]
     14 │   both: { image: i, x-envrun: { ready: { https: { port: 1, ca: ./a.pem, insecure: true } } } }
     15 │   headers: { image: i, x-envrun: { ready: { http: { port: 1, headers: { "a b": c, Connection: close, X: "a\nb", Y: } } } } }
        ·                                                                                   ──────────
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
        ╰────
      help: leave it out

      × the value of the header `X` cannot be sent
        ╭─[compose.yaml:15:105]
     14 │   both: { image: i, x-envrun: { ready: { https: { port: 1, ca: ./a.pem, insecure: true } } } }
     15 │   headers: { image: i, x-envrun: { ready: { http: { port: 1, headers: { "a b": c, Connection: close, X: "a\nb", Y: } } } } }
        ·                                                                                                         ──────
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
        ╰────
      help: it may have printable ASCII characters, at most 8192

      × `headers.Y` must be text or a number, found nothing
        ╭─[compose.yaml:15:113]
     14 │   both: { image: i, x-envrun: { ready: { https: { port: 1, ca: ./a.pem, insecure: true } } } }
     15 │   headers: { image: i, x-envrun: { ready: { http: { port: 1, headers: { "a b": c, Connection: close, X: "a\nb", Y: } } } } }
        ·                                                                                                                 ─
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
        ╰────

      × the path `ready` is not absolute
        ╭─[compose.yaml:16:49]
     15 │   headers: { image: i, x-envrun: { ready: { http: { port: 1, headers: { "a b": c, Connection: close, X: "a\nb", Y: } } } } }
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
        ·                                                 ─────
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
        ╰────
      help: it is a path in the container, such as `/run/ready`

      × `exec` names no command
        ╭─[compose.yaml:16:62]
     15 │   headers: { image: i, x-envrun: { ready: { http: { port: 1, headers: { "a b": c, Connection: close, X: "a\nb", Y: } } } } }
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
        ·                                                              ──
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
        ╰────

      × `file` has no `path`
        ╭─[compose.yaml:17:49]
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
        ·                                                 ──
     18 │   paces: { image: i, x-envrun: { ready: { log: { pattern: a, successes: 2 }, tcp: { port: 1, interval: 5 } } } }
        ╰────

      × `exec` has no `command`
        ╭─[compose.yaml:17:59]
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
        ·                                                           ──
     18 │   paces: { image: i, x-envrun: { ready: { log: { pattern: a, successes: 2 }, tcp: { port: 1, interval: 5 } } } }
        ╰────

      × `log` has no `pattern`
        ╭─[compose.yaml:17:68]
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
        ·                                                                    ──
     18 │   paces: { image: i, x-envrun: { ready: { log: { pattern: a, successes: 2 }, tcp: { port: 1, interval: 5 } } } }
        ╰────

      × `grpc` has no `port`
        ╭─[compose.yaml:17:78]
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
        ·                                                                              ──
     18 │   paces: { image: i, x-envrun: { ready: { log: { pattern: a, successes: 2 }, tcp: { port: 1, interval: 5 } } } }
        ╰────

      × `tcp` has no `port`
        ╭─[compose.yaml:17:87]
     16 │   files: { image: i, x-envrun: { ready: { file: ready, exec: [] } } }
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
        ·                                                                                       ──
     18 │   paces: { image: i, x-envrun: { ready: { log: { pattern: a, successes: 2 }, tcp: { port: 1, interval: 5 } } } }
        ╰────

      × unknown key `successes` of a log probe
        ╭─[compose.yaml:18:62]
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
     18 │   paces: { image: i, x-envrun: { ready: { log: { pattern: a, successes: 2 }, tcp: { port: 1, interval: 5 } } } }
        ·                                                              ─────────
        ╰────

      × `interval` is not a duration: `5`: the number has no unit
        ╭─[compose.yaml:18:104]
     17 │   paths: { image: i, x-envrun: { ready: { file: {}, exec: {}, log: {}, grpc: {}, tcp: {} } } }
     18 │   paces: { image: i, x-envrun: { ready: { log: { pattern: a, successes: 2 }, tcp: { port: 1, interval: 5 } } } }
        ·                                                                                                        ─
        ╰────
      help: write `5s` for seconds; units are `ms`, `s`, `m`, `h`

    35 errors
    "#);
}

#[test]
fn endless_nesting_and_endless_lists_are_refused() {
    let deep = format!("{}{{ tcp: 1 }}{}", "{ any: [".repeat(9), "] }".repeat(9));
    let long = vec!["{ tcp: 1 }"; 101].join(", ");
    let shown = show(&format!(
        "services:\n  a: {{ image: i, x-envrun: {{ ready: {deep} }} }}\n  b: {{ image: i, x-envrun: {{ ready: {{ any: [{long}] }} }} }}\n"
    ));
    for message in ["more than 8 deep", "more than 100 probes"] {
        assert!(shown.contains(message), "{shown}");
    }
    // Endless text is not compiled.
    let pattern = "a".repeat(1001);
    let file =
        format!("services: {{ a: {{ image: i, x-envrun: {{ ready: {{ log: {pattern} }} }} }} }}");
    assert!(show(&file).contains("longer than 1000 bytes"));
    let file =
        "services: { a: { image: i, x-envrun: { ready: { log: '((a{1000}){1000}){1000}' } } } }";
    assert!(show(file).contains("is not a regular expression"));
}

#[test]
fn expressions_that_people_write_are_small_enough() {
    for pattern in [
        r"database system is ready to accept connections",
        r"^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] (INFO|WARN) +\w+: listening on [\w.:-]{1,80}:\d{2,5}$",
        r"Started \S+ in [\d.]+ seconds \(process running for [\d.]+\)",
        r#""status" *: *"(up|ok|healthy|pass)""#,
        r"(?i)ready for (start up|connections)\. +version: '[^']{1,60}'",
    ] {
        let pattern = pattern.replace('\'', "''");
        let file = format!(
            "services: {{ a: {{ image: i, x-envrun: {{ ready: {{ log: '{pattern}' }} }} }} }}"
        );
        assert!(show(&file).contains("ready Log"), "{}", show(&file));
    }
}
