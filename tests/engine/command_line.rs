//! What the program prints, whole. The snapshots are the documentation of its words.

use std::process::Command;

use crate::harness::{Project, image};

fn envrun(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_envrun"));
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        // The help is wrapped at the width of the terminal.
        .env("COLUMNS", "100")
        .env_remove("BASE_IMAGE")
        .env("POSTGRES_IMAGE", "postgres:15");
    command
}

/// Both streams and the exit code, with what differs between machines replaced.
fn shown(mut command: Command, redactions: &[(&str, &str)]) -> String {
    let output = command.output().unwrap();
    let mut text = format!(
        "exit code: {}\n----- stdout\n{}----- stderr\n{}",
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap()
    );
    for (from, to) in redactions {
        text = text.replace(from, to);
    }
    text
}

#[test]
fn help() {
    insta::assert_snapshot!(shown(envrun(&["--help"]), &[]));
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(shown(envrun(&["run", "--help"]), &[]));
}

#[test]
fn help_of_gc() {
    insta::assert_snapshot!(shown(envrun(&["gc", "--help"]), &[]));
}

#[test]
fn help_of_what_is_for_held_environments() {
    for command in ["up", "down", "ps", "logs", "exec", "shell"] {
        let name = format!("help_of_{command}");
        insta::assert_snapshot!(name, shown(envrun(&[command, "--help"]), &[]));
    }
}

#[test]
fn an_unknown_argument() {
    insta::assert_snapshot!(shown(envrun(&["run", "--onyl", "unit"]), &[]));
}

#[test]
fn a_run_id_that_is_none() {
    insta::assert_snapshot!(shown(envrun(&["gc", "--run", "everything"]), &[]));
}

#[test]
fn the_plan_of_the_pipeline() {
    let mut command = envrun(&["plan", "scenarios/ci-pipeline"]);
    command.current_dir(image::repository());
    let repository = image::repository().to_str().unwrap();
    insta::assert_snapshot!(shown(command, &[(repository, "[REPOSITORY]")]));
}

#[test]
fn the_plan_of_one_suite_of_the_pipeline() {
    let mut command = envrun(&["plan", "scenarios/ci-pipeline", "--only", "unit"]);
    command.current_dir(image::repository());
    let repository = image::repository().to_str().unwrap();
    insta::assert_snapshot!(shown(command, &[(repository, "[REPOSITORY]")]));
}

#[test]
fn a_directory_without_a_compose_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    let path = path.to_str().unwrap();
    insta::assert_snapshot!(shown(envrun(&["plan", path]), &[(path, "[DIRECTORY]")]));
}

#[test]
fn all_errors_of_a_broken_file() {
    let project = Project::new(
        "
services:
  db:
    imgae: postgres:15
    depends_on: [datbase]
    ports: [\"5432:fivethousand\"]
    healthcheck: { test: [CMD, \"true\"], interval: soon }
  api:
    image: ${IMAGE:?name the image}
    network_mode: host
    volumes: [data:/data]
    networks: [bakend]
  checks:
    image: tests
    x-envrun: { suite: { junit: 5, shard: 2 } }
networks:
  backend:
x-envrun: { timeout: -1s }
",
    );
    let mut command = envrun(&["run"]);
    command.current_dir(project.directory()).env_remove("IMAGE");
    let path = project.directory().canonicalize().unwrap();
    let redactions = [
        (path.to_str().unwrap(), "[PROJECT]"),
        (&project.name, "[NAME]"),
    ];
    insta::assert_snapshot!(shown(command, &redactions));
    assert!(!project.path("envrun-out").exists());
}

#[test]
fn a_file_that_is_no_yaml() {
    let project = Project::new("services: {\n  db: [\n");
    let mut command = envrun(&["plan"]);
    command.current_dir(project.directory());
    let path = project.directory().canonicalize().unwrap();
    let redactions = [
        (path.to_str().unwrap(), "[PROJECT]"),
        (&project.name, "[NAME]"),
    ];
    insta::assert_snapshot!(shown(command, &redactions));
}
