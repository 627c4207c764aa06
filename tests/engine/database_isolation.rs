//! The scenario `database-isolation`: a database on an internal network, seen from within, from beside,
//! and from a host beyond the engine's own.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;

use crate::harness::outside::Outside;
use crate::harness::{Project, Run, image};

fn outside() -> Option<Outside> {
    let outside = Outside::start();
    if outside.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: a host beyond the engine's takes root, and this user is another one"
        );
    }
    outside
}

#[test]
fn nothing_gets_out_of_the_database_and_nobody_outside_gets_to_it() {
    let project = Project::with_postgres("");
    project.engine.require_image(&image::nginx());
    let Some(outside) = outside() else { return };
    let scenario = image::scenario("database-isolation");
    let scenario = scenario.to_str().unwrap();
    let mut command = project.envrun(&["up", scenario, "--for", "10m", "--out", "up"]);
    command.env("INTERNET", outside.address.to_string());
    let mut up = Run::start(&project, command, "up");
    let held = up.ended();
    held.assert_code(0);
    let id = held.id();
    let engine = &project.engine;

    let network = engine.inspect(id, "network").into_iter();
    let internal: Vec<bool> = network
        .filter(|one| one["Name"].as_str().unwrap().ends_with("db-internal-net"))
        .map(|one| one["Internal"].as_bool().unwrap())
        .collect();
    assert_eq!(internal, [true]);
    // From outside, the published port is the only way in.
    let database = engine.container(id, "production-db");
    let networks = database.pointer("/NetworkSettings/Networks");
    let networks = networks.and_then(Value::as_object).unwrap();
    assert_eq!(networks.len(), 1, "{networks:#?}");
    let address = networks.values().next().unwrap()["IPAddress"].as_str();
    let address: Ipv4Addr = address.unwrap().parse().unwrap();
    assert!(outside.is_silent(SocketAddr::from((address, 5432))));
    let proxy = engine.container(id, "nginx-proxy");
    let port = proxy.pointer("/NetworkSettings/Ports/80~1tcp/0/HostPort");
    let port: u16 = port.and_then(Value::as_str).unwrap().parse().unwrap();
    let answer = outside.asks(
        SocketAddr::from((outside.engine, port)),
        "GET /tasks HTTP/1.0\r\n\r\n",
    );
    assert!(answer.contains("200 OK") && answer.contains("\"welcome\""));

    // From inside, the application gets out, and the database does not.
    let mut command = project.envrun(&["run", "--in", id, scenario, "--out", "out"]);
    command.env("INTERNET", outside.address.to_string());
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    let report = finished.junit();
    for (suite, tests) in [
        ("from-app-server", 2),
        ("from-database", 3),
        ("from-proxy", 3),
        ("site", 1),
    ] {
        let cases = report.of(suite);
        assert_eq!(cases.len(), tests, "{suite}");
        assert!(
            cases.iter().all(|case| case.result == "passed"),
            "{cases:#?}"
        );
    }
    let down = project.envrun(&["down", id]).output().unwrap();
    assert_eq!(down.status.code(), Some(0), "{down:?}");
    assert_eq!(engine.of_run(id), []);
}

#[test]
fn a_database_on_a_network_with_a_way_out_fails_its_suite() {
    let project = Project::with_postgres("");
    project.engine.require_image(&image::nginx());
    let Some(outside) = outside() else { return };
    let scenario = project.copy_of_scenario("database-isolation");
    let file = scenario.join("compose.yaml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let leaking = whole.replace("internal: true", "internal: false");
    assert_ne!(whole, leaking);
    std::fs::write(&file, leaking).unwrap();
    let scenario = scenario.to_str().unwrap();
    let mut command = project.command(&[scenario, "--only", "from-database"]);
    command.env("INTERNET", outside.address.to_string());
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(1);
    let report = finished.junit();
    let failed: Vec<&str> = report
        .of("from-database")
        .into_iter()
        .filter(|case| case.result == "failure")
        .map(|case| case.name.as_str())
        .collect();
    // The networks are still two.
    assert_eq!(failed, ["test_it_cannot_get_out"]);
}
