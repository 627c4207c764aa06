//! Which probes decide that a service is ready.

use envrun::engine::{ImageFacts, ImageHealthcheck};
use envrun::plan::readiness::requirement;

use crate::support::{image, postgres, project};

/// What has to pass for the service `web` of a file with this body, in one line.
fn readiness(body: &str, image: &ImageFacts) -> String {
    let compose = format!("services: {{ web: {{ image: i, {body} }} }}");
    let project = project(&compose);
    let requirement = requirement(&project.services["web"], image);
    let probes: Vec<String> = requirement.probes.iter().map(ToString::to_string).collect();
    format!(
        "{} | {:?} | {} | {}",
        probes.join(" and "),
        requirement.deadline,
        if requirement.declared {
            "declared"
        } else {
            "inferred"
        },
        requirement.reason
    )
}

#[test]
fn the_probe_is_chosen_by_the_documented_rules() {
    let exposing = ImageFacts {
        exposed_tcp: vec![80, 443],
        ..image()
    };
    let check = ImageHealthcheck {
        test: vec!["CMD-SHELL".to_owned(), "curl localhost".to_owned()],
        ..ImageHealthcheck::default()
    };
    let checked = ImageFacts {
        healthcheck: Some(check),
        ..exposing.clone()
    };
    let lines = [
        ("nothing at all", readiness("", &image())),
        ("EXPOSE of the image", readiness("", &exposing)),
        (
            "ports over EXPOSE",
            readiness("ports: ['8080:3000', '53:53/udp']", &exposing),
        ),
        (
            "expose of the file",
            readiness("expose: ['9000']", &image()),
        ),
        (
            "HEALTHCHECK over ports",
            readiness("ports: ['80']", &checked),
        ),
        (
            "HEALTHCHECK disabled",
            readiness("healthcheck: { disable: true }", &checked),
        ),
        (
            "healthcheck of the file",
            readiness(
                "healthcheck: { test: [CMD, a], interval: 2s, timeout: 1s, retries: 100, start_period: 10s }",
                &image(),
            ),
        ),
        ("a recognised server", readiness("", &postgres())),
        (
            "its port",
            readiness("environment: { PGPORT: '6000' }", &postgres()),
        ),
        (
            "with a healthcheck",
            readiness("healthcheck: { test: pg_isready }", &postgres()),
        ),
        (
            "another command",
            readiness("command: psql -h db", &postgres()),
        ),
        (
            "said by the user",
            readiness(
                "x-envrun: { ready: { http: { port: 80, path: /up }, tcp: 90 } }",
                &checked,
            ),
        ),
        (
            "deadline of its own",
            readiness("x-envrun: { ready: { deadline: 5s } }", &exposing),
        ),
        (
            "no deadline",
            readiness("x-envrun: { ready: { tcp: 1, deadline: 0s } }", &image()),
        ),
    ];
    let text: Vec<String> = lines
        .iter()
        .map(|(case, line)| format!("{case}: {line}"))
        .collect();
    insta::assert_snapshot!(text.join("\n"), @"
    nothing at all:  | Some(180s) | inferred | nothing to probe: no healthcheck, no port
    EXPOSE of the image: tcp 80 or 443 | Some(180s) | inferred | `EXPOSE` of the image
    ports over EXPOSE: tcp 3000 | Some(180s) | inferred | `ports` and `expose` of the file
    expose of the file: tcp 9000 | Some(180s) | inferred | `ports` and `expose` of the file
    HEALTHCHECK over ports: healthcheck | Some(180s) | declared | `HEALTHCHECK` of the image
    HEALTHCHECK disabled: tcp 80 or 443 | Some(180s) | inferred | `EXPOSE` of the image
    healthcheck of the file: healthcheck | Some(310s) | declared | `healthcheck` of the file
    a recognised server: postgres 5432 | Some(180s) | inferred | image is recognised as PostgreSQL
    its port: postgres 6000 | Some(180s) | inferred | image is recognised as PostgreSQL
    with a healthcheck: healthcheck and postgres 5432 | Some(180s) | declared | `healthcheck` of the file and image is recognised as PostgreSQL
    another command: tcp 5432 | Some(180s) | inferred | `EXPOSE` of the image
    said by the user: http 80/up and tcp 90 | Some(180s) | declared | `x-envrun.ready`
    deadline of its own: tcp 80 or 443 | Some(5s) | inferred | `EXPOSE` of the image
    no deadline: tcp 1 | None | declared | `x-envrun.ready`
    ");
}

#[test]
fn a_suite_is_never_port_probed() {
    let compose = "services: { tests: { image: i, expose: ['80'], x-envrun: { suite: true } } }";
    let project = project(compose);
    assert_eq!(
        requirement(&project.services["tests"], &postgres()).probes,
        []
    );
}
