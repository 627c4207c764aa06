//! What strangers' probes may look at.

use super::super::{Case, load};
use super::errors;

fn case(ready: &str) -> Case {
    let text = format!(
        "services: {{ web: {{ image: i, mem_limit: 64m, x-envrun: {{ ready: {ready} }} }} }}"
    );
    Case::new(&[("compose.yaml", &text)]).untrusted()
}

/// The certificates are the only file of the host that a probe names.
#[test]
fn certificates_outside_of_the_project_are_refused_at_any_depth() {
    for ready in [
        "{ https: { port: 1, ca: /etc/ssl/certs/ca-certificates.crt } }",
        "{ any: [ { https: { port: 1, ca: ../ca.pem } } ] }",
        "{ all: [ { tcp: 1 }, { any: [ { all: [ { https: { port: 1, ca: /etc/passwd } } ] } ] } ] }",
    ] {
        let errors = errors(&case(ready));
        let refused = |error: &String| error.contains("refused to strangers' code");
        assert!(errors.iter().any(refused), "{ready}: {errors:?}");
        // Nothing is said of what is there.
        assert!(
            !errors.iter().any(|error| error.contains("cannot read")),
            "{errors:?}"
        );
    }
}

#[test]
fn everything_else_is_about_the_container_and_fine() {
    let ready =
        "{ all: [ { exec: [a, b] }, { exec: { command: [c] } }, { exec: d }, { log: e }, redis,
        { file: /etc/passwd }, { http: { port: 1, headers: { A: b } } },
        { https: { port: 1, insecure: true } } ] }";
    assert_eq!(errors(&case(ready)), Vec::<String>::new());
    assert!(load(&case(ready).request).is_ok());
}

#[test]
fn a_key_that_nobody_has_decided_about_is_refused_in_lists_too() {
    let errors = errors(&case("{ any: [ { future: { path: /etc } } ] }"));
    let undecided = |error: &String| error.contains("nobody has decided");
    assert!(errors.iter().any(undecided), "{errors:?}");
}
