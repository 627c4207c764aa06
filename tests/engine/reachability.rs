//! The reachability matrix on a real engine: seen from inside, by name and by address.

use std::io::Write as _;

use serde_json::Value;

use crate::harness::outside::Outside;
use crate::harness::{Finished, Project, image};

const SUITE: &str = "reachability";

/// A server on this address and port that says nothing.
const SERVER: &str = "import socketserver, sys; socketserver.ThreadingTCPServer((sys.argv[1], int(sys.argv[2])), socketserver.BaseRequestHandler).serve_forever()";

/// The observed matrix as a run has written it: `source -> target` to its verdict.
fn verdicts(project: &Project) -> Vec<String> {
    let text = std::fs::read_to_string(project.path("out/reachability.json")).unwrap();
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["version"], 1);
    let pairs = record["pairs"].as_array().unwrap();
    let lines = pairs.iter().map(|pair| {
        let port = pair["port"]
            .as_u64()
            .map_or_else(String::new, |port| format!(":{port}"));
        let text = |key: &str| pair[key].as_str().unwrap_or("-").to_owned();
        format!(
            "{} -> {}{port} {}, by name {}, by address {}",
            text("source"),
            text("target"),
            text("verdict"),
            text("by_name"),
            text("by_address")
        )
    });
    lines.collect()
}

#[track_caller]
fn broken(finished: &Finished<'_>, case: &str) -> String {
    let report = finished.junit();
    let case = report.case(SUITE, case);
    assert_eq!(
        (case.result.as_str(), case.kind.as_str()),
        ("failure", "PromiseBroken"),
        "{case:#?}"
    );
    case.text.clone()
}

#[test]
fn a_matrix_over_several_networks_holds() {
    let project = Project::new(&format!(
        "
services:
  server:
    {python}
    command: [python3, -u, -c, \"{SERVER}\", '0.0.0.0', '8000']
    networks: [back]
    x-envrun: {{ ready: {{ tcp: 8000 }} }}
  api: {{ image: {base}, command: [sleep, infinity], networks: [back, front], depends_on: [server] }}
  # Nothing but one static program that listens nowhere.
  bare: {{ build: ./bare, stdin_open: true, networks: [front] }}
  checks: {{ image: {base}, command: ['true'], networks: [front], x-envrun: {{ suite: {{}} }} }}
networks:
  back: {{ internal: true }}
  front:
x-envrun:
  internet: ${{OUTSIDE:-192.0.2.1:9}}
  reachability:
    server: [api, host]
    api: [server:8000, bare, internet, host]
    bare: [api, checks, internet, host]
    checks: [api, bare, internet, host]
",
        python = image::python(),
        base = image::BASE,
    ));
    project.file(
        "bare/Dockerfile",
        "FROM scratch\nCOPY program /program\nENTRYPOINT [\"/program\"]\n",
    );
    project.file(
        "bare/program",
        envrun::agent::program().expect("this build has an agent"),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(project.path("bare/program"), mode).unwrap();
    let Some(outside) = Outside::start() else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: a host beyond the engine's takes root"
        );
        return;
    };
    project.file(".env", format!("OUTSIDE={}\n", outside.address));
    let finished = project.run();
    finished.assert_code(0);
    let verdicts = verdicts(&project);
    insta::assert_snapshot!(verdicts.join("\n"), @"
    api -> bare kept, by name answered, by address answered
    api -> checks kept, by name -, by address nothing
    api -> server:8000 kept, by name connected, by address connected
    api -> host kept, by name -, by address answered
    api -> internet kept, by name -, by address connected
    bare -> api kept, by name answered, by address answered
    bare -> checks kept, by name -, by address answered
    bare -> server kept, by name nothing, by address nothing
    bare -> host kept, by name -, by address answered
    bare -> internet kept, by name -, by address connected
    checks -> api kept, by name answered, by address answered
    checks -> bare kept, by name answered, by address answered
    checks -> server kept, by name nothing, by address nothing
    checks -> host kept, by name -, by address answered
    checks -> internet kept, by name -, by address connected
    server -> api kept, by name answered, by address answered
    server -> bare kept, by name nothing, by address nothing
    server -> checks kept, by name -, by address nothing
    server -> host kept, by name -, by address answered
    server -> internet kept, by name -, by address nothing
    ");
    let report = finished.junit();
    assert_eq!(report.of(SUITE).len(), verdicts.len());
    let failing = report
        .of(SUITE)
        .into_iter()
        .find(|case| case.result != "passed");
    assert!(failing.is_none(), "{failing:#?}");
}

#[test]
fn what_is_not_as_promised_fails_the_run_and_names_the_line() {
    let project = Project::new(&format!(
        "
services:
  server:
    {python}
    command: [python3, -u, -c, \"{SERVER}\", '0.0.0.0', '8000']
    networks: [back, front]
    x-envrun: {{ ready: {{ tcp: 8000 }} }}
  deaf:
    {python}
    command: [python3, -u, -c, \"{SERVER}\", '127.0.0.1', '8000']
    networks: [front]
    healthcheck: {{ test: [CMD, 'true'], interval: 1s }}
  api: {{ image: {base}, command: [sleep, infinity], networks: [other] }}
  web: {{ image: {base}, command: [sleep, infinity], networks: [front] }}
  checks: {{ image: {base}, command: ['true'], x-envrun: {{ suite: {{}} }} }}
networks: {{ back: {{}}, front: {{}}, other: {{}} }}
x-envrun:
  reachability:
    api: [server:8000]
    web: [deaf:8000]
    server: []
    deaf: [web]
",
        python = image::python(),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(1);
    let text = broken(&finished, "api -> server:8000: reachable as promised");
    for part in [
        "from `api` by name: `server` does not resolve",
        ":8000 does not answer",
        "likely cause: `api` is on `other`, `server` on `back`, `front`",
        "add `back`, `front` to `services.api.networks`",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let text = broken(&finished, "web -> server: unreachable as promised");
    for part in [
        "from `web` by name: `server` is ",
        ":8000 accepts",
        "take `front` out of `services.web.networks` or `services.server.networks`",
        "or promise it: `web: [server]`",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let text = broken(&finished, "web -> deaf:8000: reachable as promised");
    assert!(text.contains("on its loopback address only"), "{text}");
    // Packets come through although nothing listens there.
    broken(&finished, "server -> deaf: unreachable as promised");
    let report = finished.junit();
    let kept = "deaf -> api: unreachable as promised";
    assert_eq!(report.case(SUITE, kept).result, "passed");
    // The other suite is no worse for it.
    assert_eq!(
        finished.about("suite_finished", "checks").1.text("result"),
        "passed"
    );
}

#[test]
fn the_matrix_is_selected_like_a_suite() {
    let project = Project::new(&format!(
        "
services:
  api: {{ image: {base}, command: [sleep, infinity] }}
  db: {{ image: {base}, command: [sleep, infinity] }}
  checks: {{ image: {base}, command: ['true'], x-envrun: {{ suite: {{}} }} }}
x-envrun: {{ reachability: {{ api: [db], checks: [api, db] }} }}
",
        base = image::BASE,
    ));
    let finished = project.run_with(&["--skip", SUITE]);
    finished.assert_code(0);
    assert!(!project.path("out/reachability.json").exists());
    // The suite does not run, and an agent stands in for it.
    let finished = project.run_with(&["--only", SUITE]);
    finished.assert_code(0);
    assert!(!finished.has("suite_started", "checks"));
    insta::assert_snapshot!(verdicts(&project).join("\n"), @"
    api -> checks kept, by name -, by address nothing
    api -> db kept, by name answered, by address answered
    checks -> api kept, by name answered, by address answered
    checks -> db kept, by name answered, by address answered
    db -> api unjudged, by name answered, by address answered
    db -> checks unjudged, by name -, by address answered
    ");
    let plan = project.envrun(&["plan"]).output().unwrap();
    let plan = String::from_utf8(plan.stdout).unwrap();
    for step in [
        "send an agent beside `api`",
        "send an agent in place of `checks`",
        "try the reachability matrix after",
    ] {
        assert!(plan.contains(step), "no `{step}` in {plan}");
    }
    let graph = project
        .envrun(&["graph", "--observed", "out/reachability.json"])
        .output()
        .unwrap();
    assert!(graph.status.success());
    let graph = String::from_utf8(graph.stdout).unwrap();
    assert!(graph.contains("api -> db"), "{graph}");
    assert!(
        graph.contains("as promised (by name answers, by address answers)"),
        "{graph}"
    );
}
