//! `secrets:` and `configs:`.

use super::{Case, show};
use crate::config::model::{Hidden, InjectedContent};

const USES: &str = r#"services:
  web:
    image: nginx
    secrets:
      - token
      - { source: token, target: renamed, uid: "1000", gid: "5", mode: 0440 }
      - { source: key, target: /etc/ssl/key.pem, mode: "0400" }
    configs:
      - settings
      - { source: tree, target: etc/tree, mode: 288 }
secrets:
  token: { environment: TOKEN }
  key: { file: ./key.pem }
  unused: { file: ./nowhere }
  elsewhere: { external: true }
configs:
  settings: { content: "port=${PORT:-80} $$x" }
  tree: { file: tree }
"#;

fn case(text: &str) -> Case {
    Case::new(&[("compose.yaml", text), ("key.pem", "K"), ("tree/leaf", "L")])
        .variable("TOKEN", "s3cret")
}

#[test]
fn a_service_gets_what_it_uses_at_its_default_or_given_place() {
    let loaded = case(USES).load().unwrap();
    assert_eq!(loaded.warnings, []);
    let web = loaded.project.services.values().next().unwrap();
    let shown: Vec<String> = web
        .injected
        .iter()
        .map(|file| {
            let content = match &file.content {
                InjectedContent::Path(path) => {
                    format!("from {}", path.file_name().unwrap().to_string_lossy())
                }
                InjectedContent::Text(text) => format!("`{}`", text.reveal()),
            };
            let mode = file.mode.map_or("-".to_owned(), |mode| format!("{mode:o}"));
            format!(
                "{} {} at {} of {}:{} mode {mode}, {content}",
                file.kind, file.source, file.target, file.uid, file.gid
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    secret token at /run/secrets/token of 0:0 mode -, `s3cret`
    secret token at /run/secrets/renamed of 1000:5 mode 440, `s3cret`
    secret key at /etc/ssl/key.pem of 0:0 mode 400, from key.pem
    config settings at /settings of 0:0 mode -, `port=80 $x`
    config tree at /etc/tree of 0:0 mode 440, from tree
    ");
}

#[test]
fn the_value_is_in_no_debugging_output() {
    let loaded = case(USES).load().unwrap();
    let shown = format!("{:?}", loaded.project);
    assert!(shown.contains("Hidden(…)"));
    assert!(!shown.contains("s3cret"), "{shown}");
    assert_eq!(format!("{:?}", Hidden::new("x")), "Hidden(…)");
}

#[test]
fn what_cannot_be_injected_is_an_error_where_it_is_said() {
    insta::assert_snapshot!(show(r#"services:
  web:
    image: nginx
    secrets: [gone, unset, swarm, vault, nothing, both, tokn]
    configs: [{ source: odd, uid: postgres, mode: rw-r--r-- }, { target: /x }]
  again: { image: nginx, secrets: [gone] }
secrets:
  gone: { file: ./gone }
  unset: { environment: NOT_THERE }
  swarm: { external: true }
  vault: { driver: vault }
  nothing: {}
  both: { file: compose.yaml, environment: HOME }
  token: { environment: HOME }
configs:
  odd: { content: x }
"#), @"
      × service `web` uses the secret `tokn`, which does not exist
       ╭─[compose.yaml:4:57]
     3 │     image: nginx
     4 │     secrets: [gone, unset, swarm, vault, nothing, both, tokn]
       ·                                                         ────
     5 │     configs: [{ source: odd, uid: postgres, mode: rw-r--r-- }, { target: /x }]
       ╰────
      help: did you mean `token`?

      × `uid` must be a number, found `postgres`
       ╭─[compose.yaml:5:35]
     4 │     secrets: [gone, unset, swarm, vault, nothing, both, tokn]
     5 │     configs: [{ source: odd, uid: postgres, mode: rw-r--r-- }, { target: /x }]
       ·                                   ────────
     6 │   again: { image: nginx, secrets: [gone] }
       ╰────
      help: names differ from image to image; `id` in the container tells the number

      × `mode` must be the mode of a file, found the text `rw-r--r--`
       ╭─[compose.yaml:5:51]
     4 │     secrets: [gone, unset, swarm, vault, nothing, both, tokn]
     5 │     configs: [{ source: odd, uid: postgres, mode: rw-r--r-- }, { target: /x }]
       ·                                                   ─────────
     6 │   again: { image: nginx, secrets: [gone] }
       ╰────
      help: write it in base 8: `0440`

      × a config of a service has no `source`
       ╭─[compose.yaml:5:64]
     4 │     secrets: [gone, unset, swarm, vault, nothing, both, tokn]
     5 │     configs: [{ source: odd, uid: postgres, mode: rw-r--r-- }, { target: /x }]
       ·                                                                ──────────────
     6 │   again: { image: nginx, secrets: [gone] }
       ╰────

      × the file `/PARENT/demo/gone` of the secret `gone` does not exist
       ╭─[compose.yaml:8:17]
     7 │ secrets:
     8 │   gone: { file: ./gone }
       ·                 ──────
     9 │   unset: { environment: NOT_THERE }
       ╰────

      × the environment variable `NOT_THERE` that the secret `unset` needs is not set
        ╭─[compose.yaml:9:25]
      8 │   gone: { file: ./gone }
      9 │   unset: { environment: NOT_THERE }
        ·                         ─────────
     10 │   swarm: { external: true }
        ╰────
      help: set it, or write it into `.env`; an empty value is allowed

      × the secret `swarm` is external
        ╭─[compose.yaml:10:12]
      9 │   unset: { environment: NOT_THERE }
     10 │   swarm: { external: true }
        ·            ────────
     11 │   vault: { driver: vault }
        ╰────
      help: only Swarm keeps such; give it a `file` or an `environment` variable instead

      × `driver` of the secret `vault` is not supported
        ╭─[compose.yaml:11:12]
     10 │   swarm: { external: true }
     11 │   vault: { driver: vault }
        ·            ──────
     12 │   nothing: {}
        ╰────
      help: only Swarm knows it, and the secret would have another content

      × secret `nothing` has no content
        ╭─[compose.yaml:12:3]
     11 │   vault: { driver: vault }
     12 │   nothing: {}
        ·   ───────
     13 │   both: { file: compose.yaml, environment: HOME }
        ╰────
      help: give one of `file`, `environment`

      × secret `both` has both `file` and `environment`
        ╭─[compose.yaml:13:11]
     12 │   nothing: {}
     13 │   both: { file: compose.yaml, environment: HOME }
        ·           ────                ───────────
     14 │   token: { environment: HOME }
        ╰────

    10 errors
    ");
}

#[test]
fn a_target_counts_once() {
    insta::assert_snapshot!(show(r#"services:
  web:
    image: nginx
    volumes: [data:/etc/one/]
    configs:
      - { source: a, target: /etc/one }
      - { source: a, target: /etc/two }
      - { source: b, target: /etc/two }
      - { source: b, target: /etc/two }
volumes: { data: }
configs:
  a: { content: a }
  b: { content: b }
"#), @"
    project demo in /PARENT/demo
    service web
      image nginx
      on default
      mount volume data at /etc/one
      file config `b` at /etc/two
    network default
    volume data

      ⚠ the config `a` has no effect: `/etc/one` is mounted over
       ╭─[compose.yaml:6:9]
     6 │       - { source: a, target: /etc/one }
       ·         ───────────────────────────────
       ╰────
      help: as in Compose, the mount wins

    1 warning
    ");
}
