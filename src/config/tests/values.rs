//! Values that cannot be what they stand for, and what their author reads.

use super::{show, show_service};

#[test]
fn wrong_types_say_what_was_expected_and_found() {
    insta::assert_snapshot!(show_service(r#"
image: 1.10
build: [a]
command: { a: b }
environment: text
tty: maybe
user: 1000
cap_add: NET_ADMIN
mem_limit: lots
ports: [true, {}, "x:80"]
"#), @r#"
      × `image` must be text, found the number `1.10`
       ╭─[compose.yaml:4:12]
     3 │
     4 │     image: 1.10
       ·            ────
     5 │     build: [a]
       ╰────
      help: quote it: `"1.10"`

      × `build` must be text or a mapping, found a list
       ╭─[compose.yaml:5:12]
     4 │     image: 1.10
     5 │     build: [a]
       ·            ───
     6 │     command: { a: b }
       ╰────

      × `command` must be text or a list, found a mapping
       ╭─[compose.yaml:6:14]
     5 │     build: [a]
     6 │     command: { a: b }
       ·              ────────
     7 │     environment: text
       ╰────

      × `environment` must be a mapping or a list, found the text `text`
       ╭─[compose.yaml:7:18]
     6 │     command: { a: b }
     7 │     environment: text
       ·                  ────
     8 │     tty: maybe
       ╰────

      × `tty` must be `true` or `false`, found the text `maybe`
       ╭─[compose.yaml:8:10]
     7 │     environment: text
     8 │     tty: maybe
       ·          ─────
     9 │     user: 1000
       ╰────

      × `user` must be text, found the number `1000`
        ╭─[compose.yaml:9:11]
      8 │     tty: maybe
      9 │     user: 1000
        ·           ────
     10 │     cap_add: NET_ADMIN
        ╰────
      help: quote it: `"1000"`

      × `cap_add` must be a list, found the text `NET_ADMIN`
        ╭─[compose.yaml:10:14]
      9 │     user: 1000
     10 │     cap_add: NET_ADMIN
        ·              ─────────
     11 │     mem_limit: lots
        ╰────

      × `mem_limit` must be a size, found the text `lots`
        ╭─[compose.yaml:11:16]
     10 │     cap_add: NET_ADMIN
     11 │     mem_limit: lots
        ·                ────
     12 │     ports: [true, {}, "x:80"]
        ╰────
      help: write bytes, or a number with `k`, `m` or `g`

      × an entry of `ports` must be a number, text or a mapping, found the boolean `true`
        ╭─[compose.yaml:12:13]
     11 │     mem_limit: lots
     12 │     ports: [true, {}, "x:80"]
        ·             ────
        ╰────

      × a port has no `target`
        ╭─[compose.yaml:12:19]
     11 │     mem_limit: lots
     12 │     ports: [true, {}, "x:80"]
        ·                   ──
        ╰────

      × a port has no `target`
        ╭─[compose.yaml:12:19]
     11 │     mem_limit: lots
     12 │     ports: [true, {}, "x:80"]
        ·                   ──
        ╰────

      × `x:80` is not a port: `x` is not a number
        ╭─[compose.yaml:12:23]
     11 │     mem_limit: lots
     12 │     ports: [true, {}, "x:80"]
        ·                       ──────
        ╰────
      help: write `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, such as `8080:80`

    12 errors
    "#);
}

#[test]
fn interpolation_problems_point_into_the_value() {
    insta::assert_snapshot!(show_service(r#"
image: "a:${1x}"
hostname: ${HOST:?set it first}
working_dir: "/é/${UNSET}"
user: "${"
"#), @r#"
      ⚠ variable `UNSET` is not set; it becomes an empty text
       ╭─[compose.yaml:6:22]
     6 │     working_dir: "/é/${UNSET}"
       ·                      ────────
       ╰────
      help: set it, or write a default: `${UNSET:-…}`

      × `${` is not followed by the name of a variable
       ╭─[compose.yaml:4:15]
     3 │
     4 │     image: "a:${1x}"
       ·               ─────
     5 │     hostname: ${HOST:?set it first}
       ╰────
      help: write `${NAME}`, `${NAME:-default}`, or `$$` for a `$` itself

      × required variable `HOST` is missing a value: set it first
       ╭─[compose.yaml:5:15]
     4 │     image: "a:${1x}"
     5 │     hostname: ${HOST:?set it first}
       ·               ─────────────────────
     6 │     working_dir: "/é/${UNSET}"
       ╰────
      help: set `HOST` in the environment or in `.env`

      × `${` is not closed
       ╭─[compose.yaml:7:12]
     6 │     working_dir: "/é/${UNSET}"
     7 │     user: "${"
       ·            ──
       ╰────
      help: write `${NAME}`, `${NAME:-default}`, or `$$` for a `$` itself

    3 errors, 1 warning
    "#);
}

#[test]
fn values_that_cannot_be() {
    insta::assert_snapshot!(show(r#"
services:
  "bad name": { image: i }
  a:
    image: i
    ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
    volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
    command: echo "open
    entrypoint: run && more
    extra_hosts: [x]
    healthcheck: { test: [echo, hi], interval: 1x, retries: -1 }
    env_file: [gone.env, { required: true }]
    depends_on: { b: {} }
  b:
"#), @r#"
      ⚠ no shell runs `entrypoint`, so `&& more` is dropped
       ╭─[compose.yaml:9:17]
     9 │     entrypoint: run && more
       ·                 ───────────
       ╰────
      help: as Compose does; for a shell, write `entrypoint: ["sh", "-c", "…"]`

      × `bad name` cannot be the name of a service
       ╭─[compose.yaml:3:3]
     2 │ services:
     3 │   "bad name": { image: i }
       ·   ──────────
     4 │   a:
       ╰────
      help: a name has letters, digits, `.`, `_` and `-`

      × `target` must be a whole number from 1 to 65535, found the number `0`
       ╭─[compose.yaml:6:13]
     5 │     image: i
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
       ·             ─────
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ╰────

      × `70000` is not a port: `70000` is not between 0 and 65535
       ╭─[compose.yaml:6:20]
     5 │     image: i
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
       ·                    ───────
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ╰────
      help: write `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, such as `8080:80`

      × `1-2:1-3` is not a port: the ranges differ in length: 2 and 3
       ╭─[compose.yaml:6:29]
     5 │     image: i
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
       ·                             ─────────
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ╰────
      help: write `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, such as `8080:80`

      × `5-4` is not a port: the range `5-4` ends before it starts
       ╭─[compose.yaml:6:40]
     5 │     image: i
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
       ·                                        ─────
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ╰────
      help: write `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, such as `8080:80`

      × `a.b:1:2` is not a port: `a.b` is not an address
       ╭─[compose.yaml:6:47]
     5 │     image: i
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
       ·                                               ─────────
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ╰────
      help: write `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, such as `8080:80`

      × `1:2:3:4` is not a port: an address with colons stands in brackets: `[1:2]`
       ╭─[compose.yaml:6:69]
     5 │     image: i
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
       ·                                                                     ─────────
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ╰────
      help: write `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, such as `8080:80`

      × the target `a:b` is not an absolute path
       ╭─[compose.yaml:7:15]
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ·               ─────
     8 │     command: echo "open
       ╰────
      help: a target starts with `/`

      × the target `ro` is not an absolute path
       ╭─[compose.yaml:7:22]
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ·                      ───────────
     8 │     command: echo "open
       ╰────
      help: a target starts with `/`

      × `:/x` is not a mount: there is nothing between two colons, or before or after one
       ╭─[compose.yaml:7:35]
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ·                                   ─────
     8 │     command: echo "open
       ╰────
      help: write `SOURCE:TARGET` or `SOURCE:TARGET:ro`

      × `type` must be one of `bind`, `volume`, `tmpfs`, `cluster`, `npipe`, `image`, found
      │ the text `bindd`
       ╭─[compose.yaml:7:50]
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ·                                                  ─────
     8 │     command: echo "open
       ╰────
      help: did you mean `bind`?

      × a mount of type `bind` has no `source`
       ╭─[compose.yaml:7:82]
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ·                                                                                  ──────────────────────────
     8 │     command: echo "open
       ╰────

      × a mount of type `bind` has no `source`
       ╭─[compose.yaml:7:82]
     6 │     ports: ["0:0", "70000", "1-2:1-3", "5-4", "a.b:1:2", "80/sctp", "1:2:3:4"]
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
       ·                                                                                  ──────────────────────────
     8 │     command: echo "open
       ╰────

      × `command` cannot be split into words: a `"` quote is not closed
       ╭─[compose.yaml:8:14]
     7 │     volumes: ["a:b", "x:/y:ro:z", ":/x", { type: bindd, source: a, target: /t }, { type: bind, target: /u }]
     8 │     command: echo "open
       ·              ──────────
     9 │     entrypoint: run && more
       ╰────

      × `extra_hosts` has no address in `x`
        ╭─[compose.yaml:10:19]
      9 │     entrypoint: run && more
     10 │     extra_hosts: [x]
        ·                   ─
     11 │     healthcheck: { test: [echo, hi], interval: 1x, retries: -1 }
        ╰────
      help: write `NAME=ADDRESS`

      × `test` starts with `CMD`, `CMD-SHELL` or `NONE`, found `echo`
        ╭─[compose.yaml:11:27]
     10 │     extra_hosts: [x]
     11 │     healthcheck: { test: [echo, hi], interval: 1x, retries: -1 }
        ·                           ────
     12 │     env_file: [gone.env, { required: true }]
        ╰────
      help: write `["CMD", …]`, or a text for a shell

      × the list of `test` must start with `CMD`, `CMD-SHELL` or `NONE`, found `echo`
        ╭─[compose.yaml:11:27]
     10 │     extra_hosts: [x]
     11 │     healthcheck: { test: [echo, hi], interval: 1x, retries: -1 }
        ·                           ────
     12 │     env_file: [gone.env, { required: true }]
        ╰────
      help: write `["CMD", …]`, or the command as one text

      × `interval` is not a duration: `1x`: unknown unit
        ╭─[compose.yaml:11:48]
     10 │     extra_hosts: [x]
     11 │     healthcheck: { test: [echo, hi], interval: 1x, retries: -1 }
        ·                                                ──
     12 │     env_file: [gone.env, { required: true }]
        ╰────
      help: write a duration such as `10s` or `1m30s`

      × `retries` must be a whole number from 0 on, found the number `-1`
        ╭─[compose.yaml:11:61]
     10 │     extra_hosts: [x]
     11 │     healthcheck: { test: [echo, hi], interval: 1x, retries: -1 }
        ·                                                             ──
     12 │     env_file: [gone.env, { required: true }]
        ╰────

      × cannot read `gone.env`: it does not exist
        ╭─[compose.yaml:12:16]
     11 │     healthcheck: { test: [echo, hi], interval: 1x, retries: -1 }
     12 │     env_file: [gone.env, { required: true }]
        ·                ────────
     13 │     depends_on: { b: {} }
        ╰────

      × an entry of `env_file` has no `path`
        ╭─[compose.yaml:12:26]
     11 │     healthcheck: { test: [echo, hi], interval: 1x, retries: -1 }
     12 │     env_file: [gone.env, { required: true }]
        ·                          ──────────────────
     13 │     depends_on: { b: {} }
        ╰────

      × a dependency has no `condition`
        ╭─[compose.yaml:13:19]
     12 │     env_file: [gone.env, { required: true }]
     13 │     depends_on: { b: {} }
        ·                   ─
     14 │   b:
        ╰────

      × `services.b` must be a mapping, found nothing
        ╭─[compose.yaml:14:3]
     13 │     depends_on: { b: {} }
     14 │   b:
        ·   ─
        ╰────

    23 errors, 1 warning
    "#);
}
