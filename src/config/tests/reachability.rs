//! `x-envrun.reachability` and `x-envrun.internet`.

use super::{Case, show};
use crate::config::model::reachability::InternetAddress;

/// What a file with three services gives whose `x-envrun` has these lines.
fn show_matrix(lines: &str) -> String {
    let services = "services:\n  api: { image: i }\n  db: { image: i }\n  e2e: { image: i, x-envrun: { suite: {} } }\n";
    let lines: String = lines.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    show(&format!("{services}x-envrun:\n{lines}"))
}

/// The lines about the matrix.
fn matrix(lines: &str) -> String {
    let shown = show_matrix(lines);
    let lines = shown.lines().filter(|line| {
        line.starts_with("reaches") || line.starts_with("internet") || line.contains(['×', '⚠'])
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn rows_are_read_in_all_forms() {
    insta::assert_snapshot!(matrix("reachability:\n  e2e: [api:8000]\n  api: [db:5432, 'db', internet, 'host', host:8080]\n  db:"), @"
    reaches api: db, db:5432, host, host:8080, internet
    reaches db:
    reaches e2e: api:8000
    ");
    insta::assert_snapshot!(matrix("reachability: { e2e: api, api: [] }\ninternet: 203.0.113.10:443"), @"
    reaches api:
    reaches e2e: api
    internet 203.0.113.10:443
    ");
    // Two files may say the same, which counts once.
    insta::assert_snapshot!(matrix("reachability: { api: [db, db, 'db:1', 'db:1'] }"), @"reaches api: db, db:1");
    for nothing in ["reachability:", "reachability: {}", "internet:"] {
        assert_eq!(matrix(nothing), "");
    }
}

#[test]
fn what_is_no_service_is_an_error_with_a_suggestion() {
    insta::assert_snapshot!(show_matrix("reachability:\n  ap: [db]\n  api: [dbb:5432, nothing-like-it, hosts]"), @"
      × `reachability` names `ap`, which is no service
       ╭─[compose.yaml:7:5]
     6 │   reachability:
     7 │     ap: [db]
       ·     ──
     8 │     api: [dbb:5432, nothing-like-it, hosts]
       ╰────
      help: did you mean `api`?

      × `reachability` names `dbb`, which is no service
       ╭─[compose.yaml:8:11]
     7 │     ap: [db]
     8 │     api: [dbb:5432, nothing-like-it, hosts]
       ·           ────────
       ╰────
      help: did you mean `db`?

      × `reachability` names `nothing-like-it`, which is no service
       ╭─[compose.yaml:8:21]
     7 │     ap: [db]
     8 │     api: [dbb:5432, nothing-like-it, hosts]
       ·                     ───────────────
       ╰────

      × `reachability` names `hosts`, which is no service
       ╭─[compose.yaml:8:38]
     7 │     ap: [db]
     8 │     api: [dbb:5432, nothing-like-it, hosts]
       ·                                      ─────
       ╰────
      help: did you mean `host`?

    4 errors
    ");
    insta::assert_snapshot!(show_matrix("reachability:\n  internet: [db]\n  host: []\n  db:5432: []"), @"
      × `internet` cannot be a source of `reachability`
       ╭─[compose.yaml:7:5]
     6 │   reachability:
     7 │     internet: [db]
       ·     ────────
     8 │     host: []
       ╰────
      help: what is tried is tried from inside a service

      × `host` cannot be a source of `reachability`
       ╭─[compose.yaml:8:5]
     7 │     internet: [db]
     8 │     host: []
       ·     ────
     9 │     db:5432: []
       ╰────
      help: what is tried is tried from inside a service

      × `db:5432` cannot be a source of `reachability`
       ╭─[compose.yaml:9:5]
     8 │     host: []
     9 │     db:5432: []
       ·     ───────
       ╰────
      help: a source is the name of a service; ports stand behind targets

    3 errors
    ");
}

#[test]
fn what_means_nothing_is_an_error() {
    insta::assert_snapshot!(show_matrix("reachability:\n  api: [api, api:80]\n  db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]"), @"
      × `api` is the source itself
       ╭─[compose.yaml:7:11]
     6 │   reachability:
     7 │     api: [api, api:80]
       ·           ───
     8 │     db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]
       ╰────
      help: every service reaches itself; take this out

      × `api:80` is the source itself
       ╭─[compose.yaml:7:16]
     6 │   reachability:
     7 │     api: [api, api:80]
       ·                ──────
     8 │     db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]
       ╰────
      help: every service reaches itself; take this out

      × `0` is no port
       ╭─[compose.yaml:8:10]
     7 │     api: [api, api:80]
     8 │     db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]
       ·          ─────
       ╰────
      help: a target is `service:PORT` with a port from 1 to 65535, `service`, `internet`,
            `host` or `host:PORT`

      × `65536` is no port
       ╭─[compose.yaml:8:17]
     7 │     api: [api, api:80]
     8 │     db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]
       ·                 ─────────
       ╰────
      help: a target is `service:PORT` with a port from 1 to 65535, `service`, `internet`,
            `host` or `host:PORT`

      × `` is no port
       ╭─[compose.yaml:8:28]
     7 │     api: [api, api:80]
     8 │     db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]
       ·                            ──────
       ╰────
      help: a target is `service:PORT` with a port from 1 to 65535, `service`, `internet`,
            `host` or `host:PORT`

      × `http` is no port
       ╭─[compose.yaml:8:36]
     7 │     api: [api, api:80]
     8 │     db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]
       ·                                    ────────
       ╰────
      help: a target is `service:PORT` with a port from 1 to 65535, `service`, `internet`,
            `host` or `host:PORT`

      × `+1` is no port
       ╭─[compose.yaml:8:46]
     7 │     api: [api, api:80]
     8 │     db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]
       ·                                              ────────
       ╰────
      help: a target is `service:PORT` with a port from 1 to 65535, `service`, `internet`,
            `host` or `host:PORT`

      × `internet` has no port of its own
       ╭─[compose.yaml:8:56]
     7 │     api: [api, api:80]
     8 │     db: [api:0, api:65536, 'api:', api:http, 'api:+1', internet:443]
       ·                                                        ────────────
       ╰────
      help: `x-envrun: { internet: 'ADDRESS:PORT' }` says what it means

    8 errors
    ");
    insta::assert_snapshot!(show_matrix("reachability: [api]"), @"
      × `reachability` must be a mapping, found a list
       ╭─[compose.yaml:6:17]
     5 │ x-envrun:
     6 │   reachability: [api]
       ·                 ─────
       ╰────

    1 error
    ");
    insta::assert_snapshot!(show_matrix("reachability: { api: { db: 5432 } }\ninternet: example.com"), @"
      × `api` must be text or a list of texts, found a mapping
       ╭─[compose.yaml:6:24]
     5 │ x-envrun:
     6 │   reachability: { api: { db: 5432 } }
       ·                        ────────────
     7 │   internet: example.com
       ╰────

      × `internet` is no address with a port: `example.com`
       ╭─[compose.yaml:7:13]
     6 │   reachability: { api: { db: 5432 } }
     7 │   internet: example.com
       ·             ───────────
       ╰────
      help: write `ADDRESS:PORT`, such as `192.0.2.10:443`, `[2001:db8::1]:443` or
            `example.com:443`

    2 errors
    ");
}

#[test]
fn names_that_mean_two_things_are_errors() {
    insta::assert_snapshot!(show("
services:
  api: { image: i }
  host: { image: i }
  internet: { image: i }
  reachability: { image: i }
x-envrun: { reachability: { api: [host, internet] } }
"), @"
      × service `reachability` is called like the suite of the reachability matrix
       ╭─[compose.yaml:6:3]
     5 │   internet: { image: i }
     6 │   reachability: { image: i }
       ·   ────────────
     7 │ x-envrun: { reachability: { api: [host, internet] } }
       ·                           ────────────┬────────────
       ·                                       ╰── the matrix is tested as a suite of this name
       ╰────
      help: give the service another name

      × `host` can be the service of this name, and the engine's host
       ╭─[compose.yaml:7:35]
     6 │   reachability: { image: i }
     7 │ x-envrun: { reachability: { api: [host, internet] } }
       ·                                   ────
       ╰────
      help: give the service another name

      × `internet` can be the service of this name, and what is beyond the engine's host
       ╭─[compose.yaml:7:41]
     6 │   reachability: { image: i }
     7 │ x-envrun: { reachability: { api: [host, internet] } }
       ·                                         ────────
       ╰────
      help: give the service another name

    3 errors
    ");
    // Without a matrix they are names like any other.
    let fine = show(
        "services: { host: { image: i }, internet: { image: i }, reachability: { image: i } }",
    );
    assert!(!fine.contains('×'), "{fine}");
}

#[test]
fn who_does_not_run_cannot_be_tried() {
    let case = Case::new(&[(
        "compose.yaml",
        "services: { api: { image: i }, db: { image: i, profiles: [full] } }\nx-envrun: { reachability: { api: [db] } }\n",
    )]);
    insta::assert_snapshot!(case.show(), @"
      × service `db` does not run, since no active profile enables it
       ╭─[compose.yaml:2:35]
     1 │ services: { api: { image: i }, db: { image: i, profiles: [full] } }
     2 │ x-envrun: { reachability: { api: [db] } }
       ·                                   ──
       ╰────
      help: activate its profile, or take it out of `reachability`

    1 error
    ");
    let shown = case.profiles(&["full"]).show();
    assert!(!shown.contains('×'), "{shown}");
}

#[test]
fn a_matrix_has_an_end() {
    let names: Vec<String> = (0..51).map(|number| format!("s{number}")).collect();
    let services = names.iter().map(|name| format!("{name}: {{ image: i }}"));
    let services: Vec<String> = services.collect();
    let text = format!(
        "services: {{ {} }}\nx-envrun: {{ reachability: {{ s0: [{}] }} }}\n",
        services.join(", "),
        names[1..].join(", ")
    );
    assert!(show(&text).contains("× `reachability` names 51 services and 50 targets"));
}

#[test]
fn files_are_merged_row_by_row() {
    let case = Case::new(&[
        (
            "a.yaml",
            "services: { api: { image: i }, db: { image: i } }\nx-envrun: { reachability: { api: [db:1] } }\n",
        ),
        (
            "b.yaml",
            "services: {}\nx-envrun: { reachability: { api: [db:2], db: [] } }\n",
        ),
    ]);
    let shown = case.files(&["a.yaml", "b.yaml"]).show();
    let rows: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("reaches"))
        .collect();
    assert_eq!(rows, ["reaches api: db:1, db:2", "reaches db:"]);
}

#[test]
fn an_address_has_a_port() {
    for (text, read) in [
        ("192.0.2.10:443", Some("192.0.2.10:443")),
        ("[2001:db8::1]:443", Some("[2001:db8::1]:443")),
        ("[2001:DB8:0::1]:443", Some("[2001:db8::1]:443")),
        ("example.com:80", Some("example.com:80")),
        ("a_b.c-d:1", Some("a_b.c-d:1")),
        ("192.0.2.10", None),
        ("192.0.2.10:0", None),
        ("192.0.2.10:65536", None),
        ("192.0.2:80", None),
        ("300.1.1.1:80", None),
        ("2001:db8::1:443", None),
        ("[2001:db8::1]", None),
        ("[x]:1", None),
        (":443", None),
        ("example.com:+443", None),
        ("example.com: 443", None),
        ("http://example.com:80", None),
        ("example..com:80", None),
        ("-x:80", None),
        ("", None),
    ] {
        let address = InternetAddress::parse(text).map(|address| address.to_string());
        assert_eq!(address.as_deref(), read, "{text}");
    }
}
