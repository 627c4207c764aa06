//! Faults that are asked for on the command line, in an environment that is held or in a run that goes on.

use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;

use super::{HELPER, project};
use crate::harness::{Project, image, wait};

/// An environment that is held, and commands on it.
struct Held<'project> {
    project: &'project Project,
    run: String,
}

impl<'project> Held<'project> {
    fn up(project: &'project Project) -> Self {
        let output = project.envrun(&["up", "--out", "up"]).output().unwrap();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        let line = text.lines().find(|line| line.contains("held for"));
        let run = line.and_then(|line| line.rsplit(' ').next()).unwrap();
        Self {
            project,
            run: run.to_owned(),
        }
    }

    #[track_caller]
    fn fault(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.project.envrun(&[&["fault"], arguments].concat())
    }

    /// Whether the bystander reaches the server.
    fn reaches(&self) -> bool {
        let script = "from helper import *; sys.exit(0 if serves(limit=1) else 1)";
        let run = [
            "exec", "-T", "-w", "/work", "witness", "python3", "-c", script,
        ];
        let output = self.project.envrun(&run).output().unwrap();
        output.status.code() == Some(0)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let _ = self.project.envrun(&["down", &self.run]).output();
    }
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

fn held() -> Project {
    let python = image::python();
    Project::new(&format!(
        "
services:
  api:
    {python}
    command: [python3, -c, 'from helper import *; serve()']
    working_dir: /work
    volumes: ['./work:/work:ro']
    x-envrun: {{ ready: {{ tcp: 7 }} }}
  witness:
    {python}
    command: [sleep, infinity]
    volumes: ['./work:/work:ro']
    x-envrun: {{ ready: {{ deadline: 1m }} }}
    healthcheck: {{ test: ['CMD', 'true'] }}
"
    ))
    .having("work/helper.py", HELPER)
}

#[test]
fn a_held_environment_is_broken_and_made_whole_by_commands() {
    let project = held();
    let held = Held::up(&project);
    assert!(held.reaches());
    for kind in [
        &["partition", "api", "witness"][..],
        &["drop", "api", "--percent", "100"],
        &["disconnect", "api"],
        &["kill", "api"],
        &["pause", "api"],
    ] {
        held.fault(kind, 0);
        assert!(!held.reaches(), "{kind:?}");
        assert!(held.fault(&["list"], 0).contains(kind[0]), "{kind:?}");
        held.fault(&["undo", "--all"], 0);
        wait::until("the server", Duration::from_secs(30), || {
            held.reaches().then_some(())
        });
    }
    held.fault(&["pause", "api"], 0);
    held.fault(&["unpause", "api"], 0);
    held.fault(&["restart", "api"], 0);
    wait::until("the server", Duration::from_secs(30), || {
        held.reaches().then_some(())
    });
    // For a time it waits, and undoes it by itself.
    let text = held.fault(&["partition", "api", "witness", "--for", "300ms"], 0);
    assert!(text.contains("undone"), "{text}");
    assert!(held.reaches());
    // What is wrong is said, and nothing is done.
    for (wrong, words) in [
        (
            &["partition", "api", "witnes"][..],
            "did you mean `witness`?",
        ),
        (&["partition", "api", "api"], "parted from itself"),
        (&["drop", "api", "--percent", "0"], "from 1 to 100"),
        (&["kill", "api", "--for", "0"], "no time at all"),
        (&["disconnect", "api", "front"], "is not on network `front`"),
        (&["undo", "nothing"], "has no fault `nothing`"),
        (&["undo"], "takes the ids"),
        (&["unpause", "api"], "is not paused"),
        (&["explode", "api"], "unknown kind"),
    ] {
        let text = held.fault(wrong, 2);
        assert!(text.contains(words), "{wrong:?}: {text}");
    }
    assert_eq!(held.fault(&["list"], 0).trim(), "ID  FAULT  BY  SINCE");
    // Nothing that was only needed for it is left.
    let left = project.engine.of_run(&held.run);
    let agents = left
        .iter()
        .filter(|one| one.kind == "container" && one.name.contains("_agent"));
    assert_eq!(agents.count(), 0);
}

#[test]
fn what_a_killed_command_has_broken_is_found_on_the_engine() {
    let project = held();
    let held = Held::up(&project);
    let mut command = held.command(&["pause", "api", "--for", "1s"]);
    let mut child = command.spawn().unwrap();
    wait::until("the fault", Duration::from_secs(30), || {
        held.fault(&["list"], 0)
            .contains("pause api for=1s")
            .then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    // The next command finds that its time is over.
    wait::until("the end of the fault", Duration::from_secs(60), || {
        let text = held.fault(&["undo", "--all"], 0);
        (text.contains("undone after its time") || text.contains("undone")).then_some(())
    });
    wait::until("the server", Duration::from_secs(30), || {
        held.reaches().then_some(())
    });
    // A signal ends the time of a fault, and it is undone all the same.
    let mut child = held
        .command(&["pause", "api", "--for", "10m"])
        .spawn()
        .unwrap();
    wait::until("the fault", Duration::from_secs(30), || {
        held.fault(&["list"], 0).contains("for=600s").then_some(())
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(held.reaches());
    // What is still broken when the environment goes is no hindrance.
    held.fault(&["pause", "api"], 0);
    let output = project.envrun(&["down", &held.run]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(project.engine.of_run(&held.run), []);
}

#[test]
fn a_run_that_goes_on_keeps_its_services_and_loses_packets() {
    let project = project(
        "true",
        "begin('pause bystander')\nwhile serves(limit=1):\n    time.sleep(0.05)\nwhile not serves(limit=1):\n    time.sleep(0.05)\n",
    );
    let mut run = project.start();
    run.event("the fault", |event| event.kind() == "fault_begun");
    let id = run.id();
    let command = |arguments: &[&str]| {
        let output = project.envrun(arguments).output().unwrap();
        (output.status.code(), said(&output))
    };
    let (code, text) = command(&["fault", "kill", "api", "--in", &id]);
    assert_eq!(code, Some(2));
    assert!(text.contains("x-envrun.suite.faults"), "{text}");
    let (_, text) = command(&["fault", "list", "--in", &id]);
    assert!(
        text.contains("pause bystander") && text.contains("checks"),
        "{text}"
    );
    let (code, text) = command(&[
        "fault",
        "partition",
        "api",
        "checks",
        "--for",
        "4s",
        "--in",
        &id,
    ]);
    assert_eq!(code, Some(0), "{text}");
    run.finish().assert_code(0);
}
