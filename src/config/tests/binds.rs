//! Bind mounts: copies, and the warning about those that are written to.

use super::{Case, show};
use crate::config::model::{MountSource, PathKind};

#[test]
fn a_copy_is_asked_for_at_three_levels_and_the_innermost_counts() {
    insta::assert_snapshot!(show(r#"services:
  all: { image: a, volumes: [./one:/one, /etc/localtime:/etc/localtime:ro] }
  none: { image: a, volumes: [./one:/one:ro], x-envrun: { bind: mount } }
  some:
    image: a
    volumes:
      - ./one:/one:ro
      - { type: bind, source: ./two, target: /two, bind: { create_host_path: true }, x-envrun: { bind: copy } }
    x-envrun: { bind: mount }
x-envrun: { bind: copy }
"#), @"
    project demo in /PARENT/demo
    service all
      image a
      on default
      mount /PARENT/demo/one (created) at /one as a copy
      mount /etc/localtime (created) at /etc/localtime read-only
    service none
      image a
      on default
      mount /PARENT/demo/one (created) at /one read-only
    service some
      image a
      on default
      mount /PARENT/demo/one (created) at /one read-only
      mount /PARENT/demo/two (created) at /two as a copy
    network default
    ");
}

#[test]
fn a_mount_that_is_written_to_is_warned_of_once() {
    let case = Case::new(&[(
        "compose.yaml",
        r#"services:
  a: { image: a, volumes: [./data:/data, ./read:/read:ro, /dev/null:/null, /var/run/docker.sock:/s] }
  b: { image: a, volumes: [./data:/data] }
  c: { image: a, volumes: [./unused:/data], profiles: [never] }
"#,
    )]);
    insta::assert_snapshot!(case.show(), @"
    project demo in /PARENT/demo
    service a
      image a
      on default
      mount /PARENT/demo/data (created) at /data
      mount /PARENT/demo/read (created) at /read read-only
      mount /dev/null (created) at /null
      mount /var/run/docker.sock (created) at /s
    service b
      image a
      on default
      mount /PARENT/demo/data (created) at /data
    network default

      ⚠ containers may write to `/PARENT/demo/data`, which runs side by side share
       ╭─[compose.yaml:2:28]
     2 │   a: { image: a, volumes: [./data:/data, ./read:/read:ro, /dev/null:/null, /var/run/docker.sock:/s] }
       ·                            ────────────
       ╰────
       ╭─[compose.yaml:3:28]
     3 │   b: { image: a, volumes: [./data:/data] }
       ·                            ────────────
       ╰────
      help: what they create there has the container's owner; `:ro` forbids it, and `x-
            envrun: { bind: copy }` gives each run a copy of its own

    1 warning
    ");
}

#[test]
fn what_has_no_copy_is_an_error() {
    insta::assert_snapshot!(show(r#"services:
  a:
    image: a
    volumes:
      - { type: bind, source: /dev/null, target: /null, x-envrun: { bind: copy } }
      - { type: bind, source: ./gone, target: /gone, x-envrun: { bind: copy } }
      - { type: bind, source: ./gone, target: /other, read_only: true, x-envrun: { bind: clone, suite: true } }
"#), @"
      × `/dev/null` is neither a file nor a directory, so it has no copy
       ╭─[compose.yaml:5:9]
     4 │     volumes:
     5 │       - { type: bind, source: /dev/null, target: /null, x-envrun: { bind: copy } }
       ·         ──────────────────────────────────────────────────────────────────────────
     6 │       - { type: bind, source: ./gone, target: /gone, x-envrun: { bind: copy } }
       ╰────
      help: leave out `bind: copy`

      × `/PARENT/demo/gone` does not exist, so it has no copy
       ╭─[compose.yaml:6:9]
     5 │       - { type: bind, source: /dev/null, target: /null, x-envrun: { bind: copy } }
     6 │       - { type: bind, source: ./gone, target: /gone, x-envrun: { bind: copy } }
       ·         ───────────────────────────────────────────────────────────────────────
     7 │       - { type: bind, source: ./gone, target: /other, read_only: true, x-envrun: { bind: clone, suite: true } }
       ╰────
      help: create it, or write `bind: { create_host_path: true }`

      × unknown value `clone` of `bind`
       ╭─[compose.yaml:7:90]
     6 │       - { type: bind, source: ./gone, target: /gone, x-envrun: { bind: copy } }
     7 │       - { type: bind, source: ./gone, target: /other, read_only: true, x-envrun: { bind: clone, suite: true } }
       ·                                                                                          ─────
       ╰────
      help: `copy` gives each run a copy of its own, `mount` is the host's path itself

      × unknown key `suite` of `x-envrun` of a mount
       ╭─[compose.yaml:7:97]
     6 │       - { type: bind, source: ./gone, target: /gone, x-envrun: { bind: copy } }
     7 │       - { type: bind, source: ./gone, target: /other, read_only: true, x-envrun: { bind: clone, suite: true } }
       ·                                                                                                 ─────
       ╰────

    4 errors
    ");
}

#[test]
fn what_is_at_the_path_is_looked_at_through_links() {
    let case = Case::new(&[
        (
            "compose.yaml",
            "services: { a: { image: a, volumes: ['./link/f:/f:ro', './link/new/er:/n:ro', './dir:/d:ro'] } }",
        ),
        ("dir/f", "x"),
    ]);
    let root = case.request.directory.clone();
    std::os::unix::fs::symlink("dir", root.join("link")).unwrap();
    let project = case.load().unwrap().project;
    let real_root = root.canonicalize().unwrap();
    let found: Vec<(String, PathKind)> = project.services["a"]
        .mounts
        .iter()
        .map(|mount| match &mount.source {
            MountSource::Bind { found, .. } => {
                let below = found.real.strip_prefix(&real_root).unwrap();
                (below.display().to_string(), found.kind)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted = [
        ("dir/f", PathKind::File),
        ("dir/new/er", PathKind::Missing),
        ("dir", PathKind::Directory),
    ];
    assert_eq!(found, wanted.map(|(path, kind)| (path.to_owned(), kind)));
}
