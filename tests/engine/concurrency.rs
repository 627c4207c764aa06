//! Any number of runs side by side, without knowing of each other.

use crate::harness::project::held_suite;
use crate::harness::{Engine, Project, Run, image};

/// Runs the scenario so many times at once.
#[track_caller]
fn pipelines_side_by_side(count: usize) {
    let project = Project::with_postgres("");
    let scenario = image::pipeline();
    let scenario = scenario.to_str().unwrap();
    let outs: Vec<String> = (0..count).map(|number| format!("out-{number}")).collect();
    let runs: Vec<Run<'_>> = outs
        .iter()
        .map(|out| {
            Run::start(
                &project,
                project.envrun(&["run", scenario, "--out", out]),
                out,
            )
        })
        .collect();
    for run in runs {
        let finished = run.finish();
        finished.assert_code(0);
        let report = finished.junit();
        for suite in ["unit", "integration", "e2e"] {
            assert!(!report.of(suite).is_empty());
        }
    }
}

#[test]
fn two_runs_of_the_pipeline_side_by_side_both_pass() {
    pipelines_side_by_side(2);
}

#[test]
fn four_runs_of_the_pipeline_side_by_side_all_pass() {
    pipelines_side_by_side(4);
}

#[test]
fn the_end_of_one_run_does_not_touch_another() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut one = Run::start(&project, project.envrun(&["run", "--out", "one"]), "one");
    let mut other = Run::start(
        &project,
        project.envrun(&["run", "--out", "other"]),
        "other",
    );
    one.until_suite_started("checks");
    other.until_suite_started("checks");
    let id = other.id();
    let engine = Engine::connect();
    let before = engine.of_run(&id);
    one.signal(rustix::process::Signal::TERM);
    one.finish().assert_code(143);
    assert_eq!(engine.of_run(&id), before);
    project.open_gate();
    other.finish().assert_code(0);
}

#[test]
fn an_output_directory_serves_one_run_at_a_time() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut one = project.start();
    one.until_suite_started("checks");
    let second = project.command(&[]).output().unwrap();
    assert_eq!(second.status.code(), Some(2), "{second:?}");
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("--out"),
        "{second:?}"
    );
    project.open_gate();
    // The reports of the first are its own still.
    let finished = one.finish();
    finished.assert_code(0);
    finished.junit();
}

#[test]
fn two_runs_without_a_chosen_output_directory_both_report() {
    let project = Project::new(&format!(
        "
services:
  checks:
    {}
  other:
    image: {}
    command: [\"true\"]
    x-envrun: {{ suite: {{}} }}
",
        held_suite(),
        image::BASE
    ));
    let mut one = Run::start(&project, project.envrun(&["run"]), "envrun-out");
    one.until_suite_started("checks");
    // The first is held, so the second cannot but meet it.
    let second = project
        .envrun(&["run", "--only", "other"])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(0), "{second:?}");
    project.open_gate();
    one.finish().assert_code(0);
    let reports = std::fs::read_dir(project.directory())
        .unwrap()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("junit.xml").is_file())
        .count();
    assert_eq!(reports, 2);
}
