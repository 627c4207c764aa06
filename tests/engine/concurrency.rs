//! Any number of runs side by side, without knowing of each other.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::project::{UNTIL_OPEN, held_suite};
use crate::harness::{Engine, Project, Run, events, image, wait};

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

/// As many as the default pools of an engine have networks for, twice over.
const SIXTY: usize = 60;

/// No engine serves sixty runs as quickly as one. Alone on two cores they take less than half of this.
const SIXTY_RUNS: Duration = Duration::from_secs(300);

/// One of everything that could be the same for two runs.
fn small() -> Project {
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    container_name: server
    command: [bash, -c, 'touch /data/ready && exec sleep infinity']
    ports: ['18080:8080']
    volumes: ['data:/data']
    networks: {{ front: {{ aliases: [www] }}, back: {{}} }}
    x-envrun: {{ ready: {{ healthcheck: true }} }}
    healthcheck: {{ test: [CMD, test, -e, /data/ready] }}
  checks:
    image: {base}
    command: [bash, -c, 'for name in server www; do [ $$(getent ahostsv4 $$name | grep -c STREAM) = 1 ] || exit 1; done; {UNTIL_OPEN}']
    volumes: [./gate:/gate:ro]
    depends_on: [server]
    networks: [front]
    x-envrun: {{ suite: {{}} }}
networks: {{ front: {{}}, back: {{}} }}
volumes: {{ data: {{ name: shared-by-all }} }}
",
        base = image::BASE
    ))
}

/// What each of two runs has, and no other.
fn own(engine: &Engine, run: &str) -> Vec<String> {
    let text = |value: &serde_json::Value, pointer: &str| {
        let found = value.pointer(pointer).and_then(serde_json::Value::as_str);
        found
            .unwrap_or_else(|| panic!("no {pointer} in {value}"))
            .to_owned()
    };
    let mut own: Vec<String> = engine.of_run(run).into_iter().map(|one| one.name).collect();
    for network in engine.inspect(run, "network") {
        own.push(text(&network, "/IPAM/Config/0/Subnet"));
    }
    let server = engine.container(run, "server");
    own.push(text(&server, "/NetworkSettings/Ports/8080~1tcp/0/HostPort"));
    own
}

#[test]
fn sixty_runs_at_once_all_pass_and_leave_nothing() {
    let project = small();
    let outs: Vec<String> = (0..SIXTY).map(|number| format!("out-{number}")).collect();
    let mut runs: Vec<Run<'_>> = outs
        .iter()
        .map(|out| Run::start(&project, project.envrun(&["run", "--out", out]), out))
        .collect();
    // All of them are there at the same time.
    for run in &runs {
        wait::until("the suites of all runs", SIXTY_RUNS, || {
            let events = events::read(&run.out);
            events
                .iter()
                .any(|event| event.is("suite_started", "checks"))
                .then_some(())
        });
    }
    let engine = Engine::connect();
    let mut all = BTreeSet::new();
    for run in &mut runs {
        let own = own(&engine, &run.id());
        // Two containers, two networks, a volume; two subnets and a port.
        assert_eq!(own.len(), 8, "{own:?}");
        for one in own {
            assert!(all.insert(one.clone()), "two runs have `{one}`");
        }
    }
    project.open_gate();
    for run in runs {
        let finished = run.finish_within(SIXTY_RUNS);
        finished.assert_code(0);
        assert_eq!(finished.junit().of("checks").len(), 1);
    }
    let left = engine.labelled(crate::harness::engine::PROJECT_LABEL, &project.name);
    assert_eq!(left, []);
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
