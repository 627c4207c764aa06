//! `build:` in all its keys, and what is said about those that cannot be.

use super::{Case, show};

#[test]
fn every_key_of_a_build_is_read() {
    let mut case = Case::new(&[(
        "compose.yaml",
        r#"
services:
  base: { build: ./base }
  web:
    build:
      context: ./app
      dockerfile_inline: "FROM base\n"
      additional_contexts: { b: "service:base", i: "docker-image://x:1", d: ../d }
      labels: [a=b]
      tags: ["t:1"]
      secrets: [{ source: file, target: id }, { source: env }, { source: gone }]
      ssh: ["default", "other=/run/agent"]
      cache_from: [img, "type=registry,ref=r/x"]
      network: host
      shm_size: "67108864"
      platforms: [linux/arm64]
      pull: true
      no_cache: true
      no_cache_filter: one
      extra_hosts: ["h=192.0.2.1"]
      ulimits: { nofile: 10, nproc: { soft: 1, hard: -1 } }
  remote: { build: "https://example.com/x.git#v1:sub" }
secrets: { file: { file: ./s }, env: { environment: TOKEN }, gone: { environment: GONE } }
"#,
    )]);
    for (key, value) in [("TOKEN", "never shown"), ("SSH_AUTH_SOCK", "/run/own")] {
        let environment = &mut case.request.environment;
        environment.insert(key.to_owned(), value.to_owned());
    }
    insta::assert_snapshot!(case.show(), @r#"
    project demo in /PARENT/demo
    service base
      build Build { context: "/PARENT/demo/base", dockerfile: "Dockerfile", args: {}, target: None }
      on default
    service remote
      build Build { context: Remote("https://example.com/x.git#v1:sub"), dockerfile: "Dockerfile", args: {}, target: None }
      on default
    service web
      build Build { context: "/PARENT/demo/app", dockerfile: Inline("FROM base\n"), args: {}, target: None }
        contexts {"b": Service(ServiceName("base")), "d": Directory("/PARENT/d"), "i": Image("x:1")}
        labels {"a": "b"}
        tags ["t:1"]
        secrets {"env": Value(Hidden(…)), "id": File("/PARENT/demo/s")}
        ssh {"default": "/run/own", "other": "/run/agent"}
        options BuildOptions { cache_from: ["img", "r/x"], network: Some("host"), shm_size: Some(67108864), platform: Some("linux/arm64"), pull: true, no_cache: true, no_cache_filter: ["one"], extra_hosts: ["h:192.0.2.1"], ulimits: [Ulimit { name: "nofile", soft: 10, hard: 10 }, Ulimit { name: "nproc", soft: 1, hard: -1 }] }
      on default
    network default

      ⚠ variable `GONE` is not set
        ╭─[compose.yaml:23:83]
     23 │ secrets: { file: { file: ./s }, env: { environment: TOKEN }, gone: { environment: GONE } }
        ·                                                                                   ────
        ╰────
      help: the build goes without secret `gone`

    1 warning
    "#);
}

#[test]
fn what_a_build_cannot_have_is_said_with_its_line() {
    insta::assert_snapshot!(show(r#"
services:
  a:
    build:
      context: .
      dockerfile: D
      dockerfile_inline: FROM x
      additional_contexts: { x: "https://example.com/x.git", y: "service:bb", empty: "" }
      secrets: [{ source: toke }, { source: ext }, { target: x }, { source: token, mode: "0400" }]
      ssh: [default]
      ulimits: { nofile: many, nproc: { } }
      cache_to: [type=inline]
      entitlements: [network.host]
      privileged: true
      provenance: true
      sbom: false
  b: { build: { context: ., additional_contexts: { x: "service:c" } } }
  c: { build: { context: ., platforms: [linux/amd64, linux/arm64], additional_contexts: { x: "service:b" } } }
  r: { build: { context: "git@example.com:x", no_cache_filter: [x], additional_contexts: { x: . } } }
secrets: { token: { file: ./t }, ext: { external: true } }
"#), @r#"
      ⚠ `mode` of a secret of a build has no effect
       ╭─[compose.yaml:9:84]
     9 │       secrets: [{ source: toke }, { source: ext }, { target: x }, { source: token, mode: "0400" }]
       ·                                                                                    ────
       ╰────
      help: `RUN --mount=type=secret` sets it

      ⚠ `cache_to` of `build` has no effect
        ╭─[compose.yaml:12:7]
     12 │       cache_to: [type=inline]
        ·       ────────
        ╰────
      help: the engine's own cache is the only one written

      ⚠ `entitlements` of `build` has no effect
        ╭─[compose.yaml:13:7]
     13 │       entitlements: [network.host]
        ·       ────────────
        ╰────
      help: the engine's build endpoint grants none; a `RUN` that needs one fails

      ⚠ `privileged` of `build` is not honoured yet
        ╭─[compose.yaml:14:7]
     14 │       privileged: true
        ·       ──────────
        ╰────

      ⚠ `provenance` of `build` is not honoured yet
        ╭─[compose.yaml:15:7]
     15 │       provenance: true
        ·       ──────────
        ╰────

      ⚠ of `platforms`, only the engine's own is built
        ╭─[compose.yaml:18:29]
     18 │   c: { build: { context: ., platforms: [linux/amd64, linux/arm64], additional_contexts: { x: "service:b" } } }
        ·                             ─────────
        ╰────
      help: a run has one image of a service; `platform` of the service chooses another

      × `dockerfile` and `dockerfile_inline` exclude each other
       ╭─[compose.yaml:7:26]
     6 │       dockerfile: D
     7 │       dockerfile_inline: FROM x
       ·                          ──────
     8 │       additional_contexts: { x: "https://example.com/x.git", y: "service:bb", empty: "" }
       ╰────

      × context `x` is `https://example.com/x.git`, which is not supported
       ╭─[compose.yaml:8:30]
     7 │       dockerfile_inline: FROM x
     8 │       additional_contexts: { x: "https://example.com/x.git", y: "service:bb", empty: "" }
       ·                              ─
     9 │       secrets: [{ source: toke }, { source: ext }, { target: x }, { source: token, mode: "0400" }]
       ╰────
      help: an additional context is a directory, `docker-image://…` or `service:…`

      × service `a` builds upon `bb`, which does not exist
       ╭─[compose.yaml:8:65]
     7 │       dockerfile_inline: FROM x
     8 │       additional_contexts: { x: "https://example.com/x.git", y: "service:bb", empty: "" }
       ·                                                                 ────────────
     9 │       secrets: [{ source: toke }, { source: ext }, { target: x }, { source: token, mode: "0400" }]
       ╰────

      × context `empty` has no value
       ╭─[compose.yaml:8:79]
     7 │       dockerfile_inline: FROM x
     8 │       additional_contexts: { x: "https://example.com/x.git", y: "service:bb", empty: "" }
       ·                                                                               ─────
     9 │       secrets: [{ source: toke }, { source: ext }, { target: x }, { source: token, mode: "0400" }]
       ╰────

      × service `a` uses the build secret `toke`, which does not exist
        ╭─[compose.yaml:9:27]
      8 │       additional_contexts: { x: "https://example.com/x.git", y: "service:bb", empty: "" }
      9 │       secrets: [{ source: toke }, { source: ext }, { target: x }, { source: token, mode: "0400" }]
        ·                           ────
     10 │       ssh: [default]
        ╰────
      help: did you mean `token`?

      × secret `ext` cannot be used by a build
        ╭─[compose.yaml:9:35]
      8 │       additional_contexts: { x: "https://example.com/x.git", y: "service:bb", empty: "" }
      9 │       secrets: [{ source: toke }, { source: ext }, { target: x }, { source: token, mode: "0400" }]
        ·                                   ───────────────
     10 │       ssh: [default]
        ╰────
      help: a secret of a build has `file` or `environment`

      × `default` of `ssh` needs an agent, and there is none
        ╭─[compose.yaml:10:13]
      9 │       secrets: [{ source: toke }, { source: ext }, { target: x }, { source: token, mode: "0400" }]
     10 │       ssh: [default]
        ·             ───────
     11 │       ulimits: { nofile: many, nproc: { } }
        ╰────
      help: start `ssh-agent`, which sets SSH_AUTH_SOCK

      × `ulimits` must be a whole number, found the text `many`
        ╭─[compose.yaml:11:26]
     10 │       ssh: [default]
     11 │       ulimits: { nofile: many, nproc: { } }
        ·                          ────
     12 │       cache_to: [type=inline]
        ╰────

      × `nproc` has no `soft`
        ╭─[compose.yaml:11:32]
     10 │       ssh: [default]
     11 │       ulimits: { nofile: many, nproc: { } }
        ·                                ─────
     12 │       cache_to: [type=inline]
        ╰────

      × the build of `b` needs its own result
        ╭─[compose.yaml:17:52]
     16 │       sbom: false
     17 │   b: { build: { context: ., additional_contexts: { x: "service:c" } } }
        ·                                                    ─
     18 │   c: { build: { context: ., platforms: [linux/amd64, linux/arm64], additional_contexts: { x: "service:b" } } }
        ╰────
      help: take one `service:` out of the circle

      × the build of `c` needs its own result
        ╭─[compose.yaml:18:91]
     17 │   b: { build: { context: ., additional_contexts: { x: "service:c" } } }
     18 │   c: { build: { context: ., platforms: [linux/amd64, linux/arm64], additional_contexts: { x: "service:b" } } }
        ·                                                                                           ─
     19 │   r: { build: { context: "git@example.com:x", no_cache_filter: [x], additional_contexts: { x: . } } }
        ╰────
      help: take one `service:` out of the circle

      × `no_cache_filter` is not supported beside a remote `context`
        ╭─[compose.yaml:19:47]
     18 │   c: { build: { context: ., platforms: [linux/amd64, linux/arm64], additional_contexts: { x: "service:b" } } }
     19 │   r: { build: { context: "git@example.com:x", no_cache_filter: [x], additional_contexts: { x: . } } }
        ·                                               ───────────────
     20 │ secrets: { token: { file: ./t }, ext: { external: true } }
        ╰────
      help: the engine reads the Dockerfile there by itself; clone the repository first

      × `additional_contexts` is not supported beside a remote `context`
        ╭─[compose.yaml:19:69]
     18 │   c: { build: { context: ., platforms: [linux/amd64, linux/arm64], additional_contexts: { x: "service:b" } } }
     19 │   r: { build: { context: "git@example.com:x", no_cache_filter: [x], additional_contexts: { x: . } } }
        ·                                                                     ───────────────────
     20 │ secrets: { token: { file: ./t }, ext: { external: true } }
        ╰────
      help: the engine reads the Dockerfile there by itself; clone the repository first

    13 errors, 6 warnings
    "#);
}
