//! What is shipped for CI systems, run as these systems run it: the action of GitHub by its own
//! protocol, the template for GitLab and the library for Jenkins by small interpreters of what they are
//! written in. The files are also checked against the systems' own schemas.

mod action;
mod action_programs;
mod github_runner;
mod gitlab;
mod gitlab_runner;
mod jenkins;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::image;

/// A file of YAML, read by a reader that is not ours.
#[track_caller]
fn yaml(path: &Path) -> Value {
    const PROGRAM: &str = "import json, sys; from ruamel.yaml import YAML; \
        json.dump(YAML(typ='safe', pure=True).load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new(schemas().join("python"))
        .args(["-c", PROGRAM])
        .arg(path)
        .output()
        .unwrap_or_else(|error| panic!("{error}: run `ci/schemas --fetch-only` first"));
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The programs that `ci/schemas` brings.
fn schemas() -> PathBuf {
    image::repository().join("target/schemas/bin")
}

#[test]
fn what_other_systems_read_has_the_form_that_they_want() {
    let output = Command::new(image::repository().join("ci/schemas"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("validation done").count(), 3, "{said}");
}

#[test]
fn a_wrong_action_is_found_out_by_its_schema() {
    let directory = tempfile::tempdir().unwrap();
    let action = image::repository().join("action.yml");
    let text = std::fs::read_to_string(action).unwrap();
    let wrong = directory.path().join("action.yml");
    std::fs::write(&wrong, text.replace("using: node24", "using: node")).unwrap();
    let output = Command::new(schemas().join("check-jsonschema"))
        .args(["--builtin-schema", "vendor.github-actions"])
        .arg(wrong)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
}
