//! GitLab's runner, as far as a job sees it: `include` and `extends` resolved, variables, the shell
//! script that the runner makes of `script` and `after_script`, the two executors, and how each ends a
//! job that is cancelled.
//!
//! How the script is made is from the runner's sources (`shells/bash.go`), what a cancelled job gets
//! from `helpers/process` (the shell executor's) and from `executors/docker`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Map, Value};

use super::yaml;
use crate::harness::events::{self, Event};
use crate::harness::{Project, engine, image, wait};

/// The shell executor would wait for ten minutes, which nothing here needs.
const GRACE_OF_SHELL: Duration = Duration::from_secs(30);

/// What a container has after SIGTERM.
const GRACE_OF_CONTAINER: Duration = Duration::from_secs(10);

const LONGEST_JOB: Duration = Duration::from_secs(120);

/// Where a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Executor {
    /// On this machine.
    Shell,
    /// In a container with the engine's socket.
    Docker,
}

/// How a section of a job becomes a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Behind a pipe, until version 18: a signal ends the inner shell at once.
    Pipe,
    /// In a subshell that ends with 1 at SIGTERM.
    Subshell,
}

/// A job of a pipeline.
pub(super) struct Job<'project> {
    project: &'project Project,
    executor: Executor,
    form: Form,
    definition: Map<String, Value>,
    variables: BTreeMap<String, String>,
    /// The repository's checkout, as this machine sees it.
    checkout: PathBuf,
    said: PathBuf,
    child: Option<Child>,
}

/// Takes what a job extends as its beginning: mappings are merged, everything else is replaced.
fn merge(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A job of a pipeline file with everything that it includes and extends.
#[track_caller]
fn resolved(pipeline: &Path, root: &Path, name: &str) -> Map<String, Value> {
    let file = yaml(pipeline);
    let mut jobs = Map::new();
    let includes = file.get("include").and_then(Value::as_array);
    for include in includes.into_iter().flatten() {
        let local = include.get("local").and_then(Value::as_str).unwrap();
        let included = yaml(&root.join(local.trim_start_matches('/')));
        merge(&mut jobs, included.as_object().unwrap());
    }
    merge(&mut jobs, file.as_object().unwrap());
    let mut job = jobs.get(name).and_then(Value::as_object).unwrap().clone();
    while let Some(base) = job.remove("extends") {
        let base = base.as_str().expect("one base is all that is used here");
        let mut whole = jobs.get(base).and_then(Value::as_object).unwrap().clone();
        merge(&mut whole, &job);
        job = whole;
    }
    job
}

impl<'project> Job<'project> {
    /// A job of a pipeline, whose checkout is a directory `builds/group/project` of the project. The
    /// pipeline's files are those of this repository unless the pipeline is somewhere else.
    #[track_caller]
    pub(super) fn new(
        project: &'project Project,
        executor: Executor,
        pipeline: &Path,
        name: &str,
    ) -> Self {
        let definition = resolved(pipeline, image::repository(), name);
        let checkout = project.path("builds/group/project");
        fs::create_dir_all(&checkout).unwrap();
        let builds = match executor {
            Executor::Shell => project.path("builds"),
            Executor::Docker => PathBuf::from("/builds"),
        };
        let directory = builds.join("group/project").display().to_string();
        let program = match executor {
            Executor::Shell => env!("CARGO_BIN_EXE_envrun"),
            Executor::Docker => "/usr/local/bin/envrun",
        };
        // The runs of a job are found by it, so no two jobs of an engine may have the same.
        let job = (uuid::Uuid::new_v4().as_u128() >> 80).to_string();
        let mut variables: BTreeMap<String, String> = [
            ("CI", "true"),
            ("GITLAB_CI", "true"),
            ("CI_JOB_ID", job.as_str()),
            ("CI_PIPELINE_ID", "815"),
            ("CI_PROJECT_DIR", directory.as_str()),
            ("ENVRUN_BINARY", program),
            // What dead runs have left is for the tests that made it.
            ("ENVRUN_GC", "0"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let of_job = definition.get("variables").and_then(Value::as_object);
        for (name, value) in of_job.into_iter().flatten() {
            let text = value.as_str().unwrap().to_owned();
            // The settings of a project stand over what a job says.
            variables
                .entry(name.clone())
                .and_modify(|own| {
                    if name != "ENVRUN_BINARY" {
                        own.clone_from(&text);
                    }
                })
                .or_insert(text);
        }
        Self {
            project,
            executor,
            form: Form::Subshell,
            definition,
            variables,
            checkout,
            said: project.path("job.log"),
            child: None,
        }
    }

    /// Sets a variable in the settings of the project, which stand over those of the job.
    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Has its scripts in this form.
    pub(super) fn of_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Where the checkout is for this machine.
    pub(super) fn checkout(&self, name: &str) -> PathBuf {
        self.checkout.join(name)
    }

    fn out(&self) -> PathBuf {
        self.checkout(&self.variables["ENVRUN_OUT"])
    }

    /// A text with its variables, as the runner expands it in paths.
    fn expanded(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.variables {
            text = text.replace(&format!("${name}"), value);
        }
        text
    }

    /// The paths of `artifacts`, reports included, of which there is something; each has to lie in the
    /// checkout.
    #[track_caller]
    pub(super) fn artifacts(&self) -> Vec<String> {
        let artifacts = self.definition.get("artifacts").unwrap();
        assert_eq!(artifacts.get("when"), Some(&"always".into()));
        let paths = artifacts.get("paths").and_then(Value::as_array).unwrap();
        let report = artifacts.pointer("/reports/junit").unwrap();
        let all = paths.iter().chain([report]);
        let all = all.map(|path| self.expanded(path.as_str().unwrap()));
        all.filter(|path| self.checkout(path).exists()).collect()
    }

    /// The script that the runner makes of a section: everything in one `eval`, so that the commands have
    /// an empty standard input, and the shell's own errors end the job.
    fn script(&self, section: &str) -> String {
        let lines = self.definition.get(section).and_then(Value::as_array);
        let mut commands = String::new();
        for (name, value) in &self.variables {
            writeln!(commands, "export {name}={}", quoted(value)).unwrap();
        }
        writeln!(commands, "cd {}", quoted(&self.variables["CI_PROJECT_DIR"])).unwrap();
        for line in lines.unwrap() {
            writeln!(commands, "{}", line.as_str().unwrap()).unwrap();
        }
        let commands = quoted(&commands);
        let evaluated = match self.form {
            Form::Pipe => format!(": | eval {commands}"),
            Form::Subshell => format!("(trap 'exit 1' TERM; eval {commands}) < /dev/null"),
        };
        let options = "if set -o | grep pipefail > /dev/null; then set -o pipefail; fi; set -o errexit\nset +o noclobber";
        format!("{options}\n{evaluated}\nexit 0\n")
    }

    fn container(&self) -> String {
        format!("{}-gitlab", self.project.name)
    }

    /// Starts a shell with a script in its standard input.
    fn shell(&self, section: &str) -> Child {
        let output = File::options()
            .create(true)
            .append(true)
            .open(&self.said)
            .unwrap();
        let mut command = match self.executor {
            Executor::Shell => {
                let mut command = Command::new("bash");
                command.env_clear();
                for name in ["PATH", "HOME", "DOCKER_HOST"] {
                    command.envs(std::env::var_os(name).map(|value| (name, value)));
                }
                command
            }
            Executor::Docker => self.in_container(),
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap();
        let script = self.script(section);
        let mut input = child.stdin.take().unwrap();
        input.write_all(script.as_bytes()).unwrap();
        child
    }

    /// A container of a job: the checkout's parent, the program and the engine's socket are mounted.
    fn in_container(&self) -> Command {
        let host = engine::host();
        let socket = host.strip_prefix("unix://").unwrap();
        let label = format!("{}={}", engine::PROJECT_LABEL, self.project.name);
        let mut command = Command::new("docker");
        command
            .args(["run", "--rm", "--interactive", "--network=none"])
            .args(["--name", &self.container(), "--label", &label])
            .arg(format!("--volume={socket}:/run/docker.sock"))
            .arg(format!(
                "--volume={}:/builds",
                self.project.path("builds").display()
            ))
            .arg(format!(
                "--volume={}:/usr/local/bin/envrun:ro",
                env!("CARGO_BIN_EXE_envrun")
            ))
            .args([image::BASE, "sh"]);
        command
    }

    /// Starts the job.
    pub(super) fn start(&mut self) {
        self.child = Some(self.shell("script"));
    }

    /// Everything that it has printed.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Waits until an event is written that the condition likes.
    #[track_caller]
    pub(super) fn event(&mut self, what: &str, condition: impl Fn(&Event) -> bool) {
        wait::until(what, LONGEST_JOB, || {
            let found = events::read(&self.out()).into_iter().find(&condition);
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                found.is_some() || ended.is_none(),
                "the job has ended without {what}:\n{}",
                self.said()
            );
            found
        });
    }

    /// Waits for the end of the shell: its exit code, 128 and more for a signal.
    #[track_caller]
    fn ended_within(&mut self, limit: Duration) -> i32 {
        let child = self.child.as_mut().unwrap();
        let status = wait::until("the end of the job", limit, || child.try_wait().unwrap());
        let signalled = || status.signal().map(|signal| 128 + signal);
        status.code().or_else(signalled).unwrap()
    }

    /// Waits for the end of `script`, and runs `after_script`, whose exit code nobody asks for. Here it
    /// has to be 0 all the same.
    #[track_caller]
    pub(super) fn end(&mut self) -> i32 {
        let code = self.ended_within(LONGEST_JOB);
        self.after();
        code
    }

    #[track_caller]
    fn after(&mut self) {
        self.child = Some(self.shell("after_script"));
        assert_eq!(self.ended_within(LONGEST_JOB), 0, "{}", self.said());
        let left = fs::read_dir(self.project.path("builds/group")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["project"], "beside the checkout");
    }

    /// Cancels the job as the executor does, and runs `after_script`.
    #[track_caller]
    pub(super) fn cancel(&mut self) {
        match self.executor {
            Executor::Shell => {
                let shell = Pid::from_child(self.child.as_ref().unwrap());
                kill_process_group(shell, Signal::TERM).unwrap();
                self.ended_within(GRACE_OF_SHELL);
            }
            Executor::Docker => {
                let container = self.container();
                let all = ["exec", &container, "sh", "-c", "kill -TERM -1"];
                Command::new("docker").args(all).output().unwrap();
                self.ended_within(GRACE_OF_CONTAINER);
            }
        }
        self.after();
    }

    /// Kills everything of the job at once: the runner's machine, or its container, has died.
    #[track_caller]
    pub(super) fn kill_container(&mut self) {
        let container = self.container();
        let output = Command::new("docker").args(["kill", &container]).output();
        assert!(output.unwrap().status.success());
        self.ended_within(GRACE_OF_CONTAINER);
        // The name is free a moment later.
        wait::until("the end of the container", LONGEST_JOB, || {
            let output = Command::new("docker")
                .args(["container", "inspect", &container])
                .output();
            (!output.unwrap().status.success()).then_some(())
        });
        self.after();
    }

    /// The id of its run.
    #[track_caller]
    pub(super) fn run(&self) -> String {
        events::run_id(&self.out()).unwrap_or_else(|| panic!("{}", self.said()))
    }

    /// Asserts that nothing of the run is on the engine.
    #[track_caller]
    pub(super) fn assert_nothing_is_left(&self) {
        let left = self.project.engine.of_run(&self.run());
        assert_eq!(left, [], "{}", self.said());
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let container = self.container();
        let _ = Command::new("docker")
            .args(["rm", "--force", "--volumes", &container])
            .output();
        if let Some(run) = events::run_id(&self.out()) {
            self.project.engine.remove_labelled(engine::RUN_LABEL, &run);
        }
    }
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
