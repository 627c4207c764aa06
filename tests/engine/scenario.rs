//! The scenario `ci-pipeline`, the pipeline that most projects have, and what holds for all scenarios.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::equality;
use crate::harness::{Project, Run, image};

#[test]
fn the_pipeline_passes_with_its_three_suites_named() {
    let project = Project::with_postgres("");
    let scenario = image::pipeline();
    let command = project.envrun(&["run", scenario.to_str().unwrap(), "--out", "out"]);
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    let report = finished.junit();
    for suite in ["e2e", "integration", "unit"] {
        assert!(
            report.suites.iter().any(|name| name == suite),
            "{:?}",
            report.suites
        );
        assert!(report.of(suite).iter().all(|case| case.result == "passed"));
        assert!(finished.stdout.contains(suite));
        assert!(!finished.log(suite).is_empty());
    }
    // The unit tests need nothing, so they are over before the database is ready.
    let (unit, _) = finished.about("suite_finished", "unit");
    let (migrated, _) = finished.about("service_completed", "migrate");
    assert!(unit < migrated);
    let (ready, _) = finished.about("service_ready", "db");
    assert!(ready < migrated);
    let (api, _) = finished.about("service_ready", "api");
    let (e2e, _) = finished.about("suite_started", "e2e");
    assert!(migrated < api && api < e2e);
    assert_eq!(
        finished.stderr.matches("warning:").count(),
        0,
        "{}",
        finished.stderr
    );
}

#[test]
fn a_mistake_in_a_migration_gives_3_and_no_suite_is_blamed() {
    let project = Project::with_postgres("");
    let scenario = project.copy_of_scenario("ci-pipeline");
    let migration = scenario.join("app/migrations/001_tasks.sql");
    std::fs::write(migration, "CREATE TABEL tasks ();").unwrap();
    let scenario = scenario.to_str().unwrap();
    let command = project.envrun(&["run", scenario, "--out", "out", "--skip", "unit"]);
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(3);
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: migrate");
    assert!(case.text.contains("syntax error"), "{case:#?}");
    for suite in ["e2e", "integration"] {
        assert_eq!(report.of(suite)[0].kind, "NeverStarted");
    }
}

/// What a program prints when it is asked for the configuration of a scenario.
fn configuration(mut program: Command, scenario: &Path) -> Value {
    let output = program
        .args(["config", "--format", "json"])
        .current_dir(scenario)
        .output()
        .unwrap_or_else(|error| panic!("{program:?}: {error}: see `ci/reference --fetch-only`"));
    assert!(output.status.success(), "{program:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn compose_reads_every_scenario_as_envrun_does() {
    let project = Project::new("");
    let mut read = Vec::new();
    for entry in std::fs::read_dir(image::scenario("")).unwrap() {
        let scenario = entry.unwrap().path();
        if !scenario.join("compose.yaml").exists() {
            continue;
        }
        let ours = configuration(project.envrun(&[]), &scenario);
        let theirs = configuration(Command::new(equality::executable()), &scenario);
        assert_eq!(ours, theirs, "{}", scenario.display());
        read.push(ours["name"].as_str().unwrap().to_owned());
        let described = std::fs::read_to_string(scenario.join("README.md")).unwrap();
        assert!(described.contains("## Running it"), "{read:?}");
    }
    assert!(read.len() >= 6, "{read:?}");
}
