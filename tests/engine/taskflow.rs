//! The scenarios `taskflow` and `taskflow-broken`: two networks, what they keep apart, and what becomes
//! of an API that somebody has forgotten to put on one of them.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::run::watchdog_of;
use crate::harness::{Engine, Project, Run, image, wait};

const BY_NAME: &str = "test_the_name_of_the_database_does_not_resolve";
const BY_ADDRESS: &str = "test_the_address_of_the_database_cannot_be_reached";

/// The networks that a container is on, without the run's part of their names.
fn networks_of(engine: &Engine, run: &str, service: &str) -> Vec<String> {
    let container = engine.container(run, service);
    let networks = container.pointer("/NetworkSettings/Networks");
    let names = networks.and_then(Value::as_object).unwrap().keys();
    names
        .map(|name| name.splitn(3, '-').last().unwrap().to_owned())
        .collect()
}

#[test]
fn the_api_is_reached_from_the_frontend_and_the_database_is_not() {
    let project = Project::with_postgres("");
    let finished = project.run_scenario("taskflow", &[]);
    finished.assert_code(0);
    let report = finished.junit();
    assert_eq!(report.of("e2e").len(), 29);
    // The same is promised in the file, and tried by envrun: three services, each to each.
    let matrix = report.of("reachability");
    assert_eq!(matrix.len(), 6, "{matrix:#?}");
    assert!(matrix.iter().all(|case| case.result == "passed"));
    let proof = report.of("proof");
    assert!(proof.iter().all(|case| case.result == "passed"));
    let names: Vec<&str> = proof.iter().map(|case| case.name.as_str()).collect();
    let [found, answers, name, address] = names.as_slice() else {
        panic!("{names:?}");
    };
    assert_eq!(*found, "test_the_api_is_found_by_name");
    assert_eq!(
        *answers,
        "test_the_api_answers_with_what_is_in_the_database"
    );
    assert_eq!(*name, BY_NAME);
    // The address is one that answers on the backend.
    let located = String::from_utf8(finished.log("locate")).unwrap();
    let (_, of_database) = located.trim().rsplit_once(' ').unwrap();
    let of_database = of_database.strip_suffix(":5432").unwrap();
    assert_eq!(*address, format!("{BY_ADDRESS}[{of_database}]"));
    assert_eq!(
        finished.stderr.matches("warning:").count(),
        0,
        "{}",
        finished.stderr
    );
}

#[test]
fn the_proof_fails_where_the_networks_are_not_kept_apart() {
    let project = Project::with_postgres("");
    let scenario = project.copy_of_scenario("taskflow");
    let file = scenario.join("compose.yaml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let (before, proof) = whole.split_once("\n  proof:\n").unwrap();
    let leaking = proof.replacen("networks: [", "networks: [taskflow-backend, ", 1);
    std::fs::write(&file, format!("{before}\n  proof:\n{leaking}")).unwrap();
    let finished = project.run_with(&[scenario.to_str().unwrap(), "--only", "proof"]);
    finished.assert_code(1);
    let report = finished.junit();
    for case in report.of("proof") {
        let is_of_the_database = case.name.contains("the_database_") || case.name == BY_NAME;
        let expected = if is_of_the_database {
            "failure"
        } else {
            "passed"
        };
        let of_data = case.name.ends_with("in_the_database");
        assert!(of_data || case.result == expected, "{case:#?}");
    }
}

#[test]
fn an_api_on_the_wrong_network_is_never_ready_until_the_running_container_is_connected() {
    let project = Project::with_postgres("");
    let scenario = image::scenario("taskflow-broken");
    let scenario = scenario.to_str().unwrap();
    let mut run = Run::start(
        &project,
        project.command(&["--hold-on-failure", "10m", scenario]),
        "out",
    );
    let broken = run.ended();
    broken.assert_code(3);
    // The database and the migration are not to blame, and no test is.
    assert!(broken.has("service_ready", "taskflow-db"));
    assert!(broken.has("service_completed", "migrate"));
    let report = broken.junit();
    assert_eq!(report.of("e2e")[0].kind, "NeverStarted");
    let case = report.case("envrun.environment", "ready: taskflow-api");
    assert_eq!(case.result, "error");
    // The cause is named, with both of them and with the line that is missing.
    for told in [
        "cause: no shared network: `taskflow-api` is on `taskflow-frontend`, `taskflow-db` on `taskflow-backend`",
        "could not translate host name \"taskflow-db\"",
        "under `services: taskflow-api:` write `networks: [taskflow-frontend, taskflow-backend]`",
    ] {
        assert!(case.text.contains(told), "{told}: {}", case.text);
        assert!(broken.stderr.contains(told), "{told}");
    }

    let id = broken.id().to_owned();
    let engine = &project.engine;
    assert_eq!(
        networks_of(engine, &id, "taskflow-api"),
        ["taskflow-frontend"]
    );
    assert_eq!(
        networks_of(engine, &id, "taskflow-db"),
        ["taskflow-backend"]
    );
    let within = |out: &str| {
        let command = project.envrun(&["run", "--in", &id, scenario, "--out", out]);
        Run::start(&project, command, out).finish()
    };
    // As it is, the suite runs and fails.
    within("before").assert_code(1);

    let container = engine.container(&id, "taskflow-api");
    let began = container.pointer("/State/StartedAt").cloned();
    let resources = engine.of_run(&id);
    let network = resources
        .iter()
        .find(|one| one.kind == "network" && one.name.ends_with("-taskflow-backend"));
    let connected = Command::new("docker")
        .args(["network", "connect", &network.unwrap().name])
        .arg(container["Id"].as_str().unwrap())
        .output()
        .unwrap();
    assert!(connected.status.success(), "{connected:?}");
    let after = within("after");
    after.assert_code(0);
    assert_eq!(after.junit().of("e2e").len(), 29);
    // It is the same container, and was never started again.
    let container = engine.container(&id, "taskflow-api");
    assert_eq!(container.pointer("/State/StartedAt").cloned(), began);

    let down = project.envrun(&["down", &id]).output().unwrap();
    assert_eq!(down.status.code(), Some(0), "{down:?}");
    assert_eq!(engine.of_run(&id), []);
    wait::until("the end of the keeper", Duration::from_secs(20), || {
        watchdog_of(&id).is_none().then_some(())
    });

    // With the line that the diagnosis names, the file needs no healing.
    let line = broken
        .stderr
        .split_once("`services: taskflow-api:` write `");
    let (line, _) = line.unwrap().1.split_once('`').unwrap();
    let copy = project.copy_of_scenario("taskflow-broken");
    let file = copy.join("compose.yaml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let (before, after) = whole.split_once("\n  taskflow-api:\n").unwrap();
    let mended = after.replacen("networks: [taskflow-frontend]", line, 1);
    assert_ne!(mended, after);
    std::fs::write(&file, format!("{before}\n  taskflow-api:\n{mended}")).unwrap();
    let command = project.envrun(&["run", copy.to_str().unwrap(), "--out", "mended"]);
    Run::start(&project, command, "mended")
        .finish()
        .assert_code(0);
}
