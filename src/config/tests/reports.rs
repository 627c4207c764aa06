//! Where suites leave their reports, as a file says it.

use super::show;

#[test]
fn reports_are_files_or_the_output() {
    let shown = show(
        r#"
services:
  a: { image: i, x-envrun: { suite: { tap: stdout } } }
  b: { image: i, x-envrun: { suite: { tap: [stdout, "out/*.tap"], go_test: ./stdout } } }
  c: { image: i, x-envrun: { suite: { go_test: ["stdout"], junit: r.xml, paths: { /app: ./app, example.com/x: . } } } }
"#,
    );
    insta::assert_snapshot!(shown, @r#"
    project demo in /PARENT/demo
    suite a
      image i
      on default
      suite junit [] timeout None
      tap [] stdout true
    suite b
      image i
      on default
      suite junit [] timeout None
      tap ["out/*.tap"] stdout true
      go_test ["./stdout"] stdout false
    suite c
      image i
      on default
      suite junit ["r.xml"] timeout None
      go_test [] stdout true
      paths {"/app": "./app", "example.com/x": "."}
    network default
    "#);
}

#[test]
fn what_can_never_be_a_report_is_told_with_its_place() {
    let shown = show(
        r#"
services:
  a: { image: i, x-envrun: { suite: { tap: stdout, go_test: stdout } } }
  b: { image: i, x-envrun: { suite: { tap: /tmp/a.tap, go_test: [../b.json, "c["] } } }
  c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
  d: { image: i, working_dir: /w, tmpfs: [/w/out], x-envrun: { suite: { junit: "out/*.xml", tap: [stdout, "./out/a.tap"] } } }
  e:
    image: i
    working_dir: /w
    tmpfs: [/w]
    volumes: ["results:/w/out"]
    x-envrun: { suite: { go_test: [stdout, "out/*.json"], junit: "*.xml" } }
volumes: { results: }
"#,
    );
    insta::assert_snapshot!(shown, @r#"
      × the output cannot be both TAP and that of `go test -json`
       ╭─[compose.yaml:3:61]
     2 │ services:
     3 │   a: { image: i, x-envrun: { suite: { tap: stdout, go_test: stdout } } }
       ·                                                             ──────
     4 │   b: { image: i, x-envrun: { suite: { tap: /tmp/a.tap, go_test: [../b.json, "c["] } } }
       ╰────
      help: let one of them write a file

      × the glob `/tmp/a.tap` is absolute
       ╭─[compose.yaml:4:44]
     3 │   a: { image: i, x-envrun: { suite: { tap: stdout, go_test: stdout } } }
     4 │   b: { image: i, x-envrun: { suite: { tap: /tmp/a.tap, go_test: [../b.json, "c["] } } }
       ·                                            ──────────
     5 │   c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
       ╰────
      help: globs are relative to the working directory of the container

      × the glob `../b.json` leaves the working directory
       ╭─[compose.yaml:4:66]
     3 │   a: { image: i, x-envrun: { suite: { tap: stdout, go_test: stdout } } }
     4 │   b: { image: i, x-envrun: { suite: { tap: /tmp/a.tap, go_test: [../b.json, "c["] } } }
       ·                                                                  ─────────
     5 │   c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
       ╰────
      help: globs are relative to the working directory of the container

      × the glob `c[` is not valid: unclosed character class; missing ']'
       ╭─[compose.yaml:4:77]
     3 │   a: { image: i, x-envrun: { suite: { tap: stdout, go_test: stdout } } }
     4 │   b: { image: i, x-envrun: { suite: { tap: /tmp/a.tap, go_test: [../b.json, "c["] } } }
       ·                                                                             ────
     5 │   c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
       ╰────

      × `` is no path in the container
       ╭─[compose.yaml:5:52]
     4 │   b: { image: i, x-envrun: { suite: { tap: /tmp/a.tap, go_test: [../b.json, "c["] } } }
     5 │   c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
       ·                                                    ─
     6 │   d: { image: i, working_dir: /w, tmpfs: [/w/out], x-envrun: { suite: { junit: "out/*.xml", tap: [stdout, "./out/a.tap"] } } }
       ╰────
      help: write an absolute path such as `/app`, or the name of a Go module

      × `/app/../x` is no path in the container
       ╭─[compose.yaml:5:66]
     4 │   b: { image: i, x-envrun: { suite: { tap: /tmp/a.tap, go_test: [../b.json, "c["] } } }
     5 │   c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
       ·                                                                  ─
     6 │   d: { image: i, working_dir: /w, tmpfs: [/w/out], x-envrun: { suite: { junit: "out/*.xml", tap: [stdout, "./out/a.tap"] } } }
       ╰────
      help: write an absolute path such as `/app`, or the name of a Go module

      × the path `/srv/app` is absolute
       ╭─[compose.yaml:5:75]
     4 │   b: { image: i, x-envrun: { suite: { tap: /tmp/a.tap, go_test: [../b.json, "c["] } } }
     5 │   c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
       ·                                                                           ────────
     6 │   d: { image: i, working_dir: /w, tmpfs: [/w/out], x-envrun: { suite: { junit: "out/*.xml", tap: [stdout, "./out/a.tap"] } } }
       ╰────
      help: paths are relative to the directory of the project, as in `/app: ./app`

      × `junit` names `out/*.xml`, which is on the tmpfs `/w/out`: an engine sees no file
      │ there
       ╭─[compose.yaml:6:80]
     5 │   c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
     6 │   d: { image: i, working_dir: /w, tmpfs: [/w/out], x-envrun: { suite: { junit: "out/*.xml", tap: [stdout, "./out/a.tap"] } } }
       ·                                                                                ───────────
     7 │   e:
       ╰────
      help: let `d` write to a directory that is no tmpfs, or mount a volume at `/w/out`

      × `tap` names `out/a.tap`, which is on the tmpfs `/w/out`: an engine sees no file
      │ there
       ╭─[compose.yaml:6:107]
     5 │   c: { image: i, x-envrun: { suite: { paths: { "": a, /app/../x: b, /app: /srv/app } } } }
     6 │   d: { image: i, working_dir: /w, tmpfs: [/w/out], x-envrun: { suite: { junit: "out/*.xml", tap: [stdout, "./out/a.tap"] } } }
       ·                                                                                                           ─────────────
     7 │   e:
       ╰────
      help: let `d` write to a directory that is no tmpfs, or mount a volume at `/w/out`

      × `junit` names `*.xml`, which is on the tmpfs `/w`: an engine sees no file there
        ╭─[compose.yaml:12:66]
     11 │     volumes: ["results:/w/out"]
     12 │     x-envrun: { suite: { go_test: [stdout, "out/*.json"], junit: "*.xml" } }
        ·                                                                  ───────
     13 │ volumes: { results: }
        ╰────
      help: let `e` write to a directory that is no tmpfs, or mount a volume at `/w`

    10 errors
    "#);
}
