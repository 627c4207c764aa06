//! A container is the same whoever creates it from the file, envrun or the reference: compared is
//! what the engine itself says of it. What differs on purpose is named in `src/ARCHITECTURE.md`, and
//! taken out of both before the comparison.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Map, Value, json};

use crate::harness::Project;

mod canonical;

use canonical::{GLOBAL_NAME, Names, container, network, volume};

/// Longest time that a removal of everything may take on a busy engine.
const REMOVED_WITHIN: Duration = Duration::from_secs(60);

/// The step after which every container hangs on all of its networks.
const SECOND_NETWORK: &str = "connect `attached` to network `plain`";

/// The name of the service on which the others wait.
const GATE: &str = "gate";

/// The label by which the reference finds what it has created.
const REFERENCE_PROJECT: &str = "com.docker.compose.project";

/// Everything of one tool, in canonical form.
type Everything = BTreeMap<String, Value>;

#[test]
fn containers_networks_and_volumes_are_those_of_the_reference() {
    let definitions = include_str!("equality/containers.yaml");
    // Other runs of this test may be under way on the same engine.
    let random = uuid::Uuid::new_v4();
    let definitions = definitions
        .replace("10.231.0.", &format!("10.231.{}.", random.as_bytes()[0]))
        .replace(GLOBAL_NAME, &format!("{GLOBAL_NAME}-{random}"));
    let project = Project::new(&definitions).having("files/file", "").having(
        "profile.json",
        "{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\"\n}\n",
    );
    // One after the other, since both want the same addresses.
    let ours = created_by_envrun(&project);
    let reference = created_by_reference(&project);
    let differences = differences(&ours, &reference);
    assert!(
        differences.is_empty(),
        "what envrun creates (+) differs from what the reference creates (-):\n{differences}"
    );
}

/// What envrun creates, and then removes.
fn created_by_envrun(project: &Project) -> Everything {
    let mut run = project.start();
    let id = run.id();
    let containers = services(project).into_iter();
    let containers = containers.map(|service| format!("create container of `{service}`"));
    for step in containers.chain([SECOND_NETWORK.to_owned()]) {
        run.event(&step, |event| {
            event.kind() == "step_finished" && event.text("what") == step
        });
    }
    let names = Names::of_envrun(&id, &project.name);
    let everything = canonical(project, "dev.envrun.run", &id, names);
    run.signal(Signal::TERM);
    run.wait(REMOVED_WITHIN);
    run.until_nothing_is_left(REMOVED_WITHIN);
    everything
}

/// What the reference creates, and then removes.
fn created_by_reference(project: &Project) -> Everything {
    let removal = Removal(project);
    reference(project, &["create", "--pull", "never"]);
    let names = Names::of_reference(&project.name);
    let everything = canonical(project, REFERENCE_PROJECT, &project.name, names);
    drop(removal);
    everything
}

/// Removes what the reference has created, whatever becomes of the test.
struct Removal<'project>(&'project Project);

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        let engine = &self.0.engine;
        engine.remove_labelled(REFERENCE_PROJECT, &self.0.name);
    }
}

/// Runs the reference with these arguments; it must succeed.
fn reference(project: &Project, arguments: &[&str]) {
    let executable = executable();
    let output = Command::new(&executable)
        .args(["--project-name", &project.name])
        .args(arguments)
        .current_dir(project.directory())
        .output()
        .unwrap_or_else(|error| {
            let executable = executable.display();
            panic!("cannot run `{executable}` ({error}): `ci/reference --fetch-only` brings it")
        });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// The executable of the reference.
pub(crate) fn executable() -> PathBuf {
    match std::env::var_os("COMPOSE_REFERENCE") {
        Some(named) => named.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/reference/docker-compose"),
    }
}

/// The names of the services of the file.
fn services(project: &Project) -> Vec<String> {
    let text = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let of_services = text.lines().skip_while(|line| *line != "services:").skip(1);
    let of_services = of_services.take_while(|line| !line.starts_with(char::is_alphabetic));
    of_services
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '))
        .map(str::to_owned)
        .collect()
}

/// Everything with a label, as the engine's own client shows it, in canonical form.
fn canonical(project: &Project, label: &str, value: &str, mut names: Names) -> Everything {
    let found = project.engine.labelled(label, value);
    let inspected: Vec<(&str, Value)> = found
        .iter()
        .map(|resource| (resource.kind, inspect(resource.kind, &resource.id)))
        .collect();
    for (kind, shown) in &inspected {
        names.learn(kind, shown);
    }
    let mut everything = Everything::new();
    for (kind, shown) in &inspected {
        let name = names.of(shown["Name"].as_str().unwrap_or_default());
        let (name, shown) = match *kind {
            "container" if name == GATE => continue,
            "container" => (name, container(shown, &names)),
            "network" => (name, network(shown, &names)),
            "volume" if names.is_nameless(&name) => continue,
            "volume" => (name, volume(shown)),
            other => panic!("an unexpected {other}"),
        };
        everything.insert(format!("{kind} {name}"), shown);
    }
    everything
}

/// What `docker inspect` shows, word by word: a library's types might leave something out.
fn inspect(kind: &str, id: &str) -> Value {
    let output = Command::new("docker")
        .args([kind, "inspect", id])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let shown: Vec<Value> = serde_json::from_slice(&output.stdout).expect(&said);
    shown.into_iter().next().expect(&said)
}

/// The differences, one path a line.
fn differences(ours: &Everything, reference: &Everything) -> String {
    let object = |everything: &Everything| {
        Value::Object(everything.clone().into_iter().collect::<Map<_, _>>())
    };
    let mut lines = Vec::new();
    compare("", &object(ours), &object(reference), &mut lines);
    lines.join("\n")
}

fn compare(path: &str, ours: &Value, reference: &Value, lines: &mut Vec<String>) {
    if ours == reference {
        return;
    }
    if let (Value::Object(one), Value::Object(other)) = (ours, reference) {
        let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(json!(null));
            compare(&format!("{path}/{key}"), &of(one), &of(other), lines);
        }
        return;
    }
    lines.push(format!("{path}\n  + {ours}\n  - {reference}"));
}
