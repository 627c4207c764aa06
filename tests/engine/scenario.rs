//! The scenario that the repository ships: the pipeline that most projects have.

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
    copy(&image::pipeline(), &project.path("scenario"));
    let migration = project.path("scenario/app/migrations/001_tasks.sql");
    std::fs::write(migration, "CREATE TABEL tasks ();").unwrap();
    let command = project.envrun(&["run", "scenario", "--out", "out", "--skip", "unit"]);
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(3);
    let report = finished.junit();
    let case = report.case("envrun.environment", "ready: migrate");
    assert!(case.text.contains("syntax error"), "{case:#?}");
    for suite in ["e2e", "integration"] {
        assert_eq!(report.of(suite)[0].kind, "NeverStarted");
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
