//! The template for GitLab, run on this machine and in a container as GitLab's runner does it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::gitlab_runner::{Executor, Form, Job};
use crate::harness::project::{GATE, UNTIL_OPEN};
use crate::harness::{Project, image};

/// A pipeline that uses the template with what the example uses as well.
fn pipeline(project: &Project, variables: &str) -> PathBuf {
    project.file(
        "pipeline.yml",
        format!(
            "include:
  - local: ci/gitlab/envrun.gitlab-ci.yml
tests:
  extends: .envrun
  variables: {variables}
"
        ),
    );
    project.path("pipeline.yml")
}

/// A project in the job's checkout whose suite `checks` ends with this code, or waits for a gate.
fn project(code: Option<u8>) -> Project {
    let project = Project::new("services: {}\n");
    let (command, gate) = match code {
        Some(code) => (format!("exit {code}"), String::new()),
        None => (UNTIL_OPEN.to_owned(), format!("    {GATE}\n")),
    };
    let compose = format!(
        "
name: {name}
services:
  server:
    image: {base}
    command: [sleep, infinity]
  checks:
    image: {base}
    command: [bash, -c, \"{command}\"]
{gate}    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
  other suite:
    image: {base}
    command: ['false']
    x-envrun: {{ suite: {{}} }}
",
        name = project.name,
        base = image::BASE,
    )
    .replace("  other suite:", "  others:");
    project.file("builds/group/project/a shop/compose.yaml", compose);
    fs::create_dir_all(project.path("builds/group/project/a shop/gate")).unwrap();
    project
}

const VARIABLES: &str = "{ ENVRUN_DIRECTORY: a shop, ENVRUN_ARGUMENTS: --only 'checks' --limit-cpus=1 --untrusted, ENVRUN_OUT: my reports }";

fn job(project: &Project, executor: Executor) -> Job<'_> {
    let pipeline = pipeline(project, VARIABLES);
    Job::new(project, executor, &pipeline, "tests")
}

#[test]
fn jobs_pass_and_fail_with_their_reports_on_both_executors() {
    for executor in [Executor::Shell, Executor::Docker] {
        for code in [0, 3] {
            let project = project(Some(code));
            let mut job = job(&project, executor);
            job.start();
            assert_eq!(job.end(), i32::from(code != 0), "{}", job.said());
            assert!(!job.said().contains("warning:"), "{}", job.said());
            let kept = job.artifacts();
            assert_eq!(kept, ["my reports/", "my reports/junit.xml"]);
            job.assert_nothing_is_left();
            if executor == Executor::Docker {
                // What the container has written belongs to its user.
                remove_as_root(&project);
            }
        }
    }
}

/// Containers write as root, and whoever runs the tests may be somebody else.
fn remove_as_root(project: &Project) {
    let output = Command::new("docker")
        .args(["run", "--rm", "--network=none"])
        .arg(format!("--volume={}:/p", project.path("builds").display()))
        .args([image::BASE, "rm", "-rf", "/p/group"])
        .output();
    assert!(output.unwrap().status.success());
}

#[track_caller]
fn cancelled(executor: Executor) {
    for form in [Form::Pipe, Form::Subshell] {
        let project = project(None);
        let mut job = job(&project, executor).of_form(form);
        job.start();
        job.event("the start of the suite", |event| {
            event.is("suite_started", "checks")
        });
        job.cancel();
        job.assert_nothing_is_left();
        let kept = job.artifacts();
        assert_eq!(kept, ["my reports/", "my reports/junit.xml"], "{form:?}");
        drop(job);
        if executor == Executor::Docker {
            remove_as_root(&project);
        }
    }
}

#[test]
fn a_job_that_is_cancelled_on_a_machine_leaves_nothing() {
    cancelled(Executor::Shell);
}

#[test]
fn a_job_that_is_cancelled_in_a_container_leaves_nothing() {
    cancelled(Executor::Docker);
}

#[test]
fn a_job_whose_container_dies_leaves_nothing_once_its_last_part_has_run() {
    let project = project(None);
    let mut job = job(&project, Executor::Docker);
    job.start();
    job.event("the start of the suite", |event| {
        event.is("suite_started", "checks")
    });
    job.kill_container();
    job.assert_nothing_is_left();
    assert!(job.said().contains("removed of run"), "{}", job.said());
}

#[test]
fn an_environment_that_a_job_holds_is_left_alone() {
    let project = project(Some(1));
    let mut job = job(&project, Executor::Shell)
        .variable("ENVRUN_ARGUMENTS", "--only checks --hold-on-failure 5m");
    job.start();
    assert_eq!(job.end(), 1, "{}", job.said());
    let run = job.run();
    assert_ne!(project.engine.of_run(&run), [], "{}", job.said());
    let ended = project.envrun(&["down", &run]).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    job.assert_nothing_is_left();
}

#[test]
fn a_program_is_downloaded_with_the_right_checksum_only() {
    let project = project(Some(0));
    let folder = project.path("envrun-1.2.3-some-target");
    fs::create_dir(&folder).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_envrun"), folder.join("envrun")).unwrap();
    let archive = project.path("archive.tar.gz");
    let packed = Command::new("tar")
        .args(["-I", "gzip -1", "-cf"])
        .arg(&archive)
        .args(["-C", project.directory().to_str().unwrap()])
        .arg("envrun-1.2.3-some-target")
        .status();
    assert!(packed.unwrap().success());
    let output = Command::new("sha256sum").arg(&archive).output().unwrap();
    let sum = String::from_utf8(output.stdout).unwrap();
    let sum = sum.split(' ').next().unwrap().to_owned();
    let archive = format!("file://{}", archive.display());
    let start = |sum: &str, archive: &str| {
        let mut job = job(&project, Executor::Shell)
            .variable("ENVRUN_BINARY", "not-on-the-path")
            .variable("ENVRUN_ARCHIVE", archive)
            .variable("ENVRUN_ARCHIVE_SHA256", sum);
        job.start();
        job
    };
    let mut right = start(&sum, &archive);
    assert_eq!(right.end(), 0, "{}", right.said());
    right.assert_nothing_is_left();
    fs::remove_dir_all(right.checkout("my reports")).unwrap();
    let mut wrong = start(&"0".repeat(64), &archive);
    assert_eq!(wrong.end(), 2, "{}", wrong.said());
    let mut none = start("", "");
    assert_eq!(none.end(), 2, "{}", none.said());
    assert!(
        none.said().contains("install it on the runner"),
        "{}",
        none.said()
    );
    assert!(none.artifacts().is_empty());
}

#[test]
fn the_example_runs_the_scenario() {
    let project = Project::with_postgres("services: {}\n");
    let copied = project.copy_of_scenario("ci-pipeline");
    let checkout = project.path("builds/group/project");
    fs::create_dir_all(&checkout).unwrap();
    fs::rename(copied.parent().unwrap(), checkout.join("scenarios")).unwrap();
    let example = image::repository().join("ci/gitlab/example.gitlab-ci.yml");
    let mut unit = Job::new(&project, Executor::Docker, &example, "unit");
    unit.start();
    assert_eq!(unit.end(), 0, "{}", unit.said());
    unit.assert_nothing_is_left();
    assert_eq!(unit.artifacts().len(), 2);
    drop(unit);
    let mut all = Job::new(&project, Executor::Shell, &example, "pipeline");
    all.start();
    assert_eq!(all.end(), 0, "{}", all.said());
    all.assert_nothing_is_left();
    drop(all);
    remove_as_root(&project);
}
