//! GitHub's runner, as far as a step with an action in JavaScript sees it: what it reads from
//! `action.yml`, which variables and files the step gets, which signals, and when.
//!
//! The times, and that signals go to the step's own process alone, are from the runner's sources
//! (`ProcessInvoker.cs`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::yaml;
use crate::harness::events::{self, Event};
use crate::harness::{Project, image, wait};

/// Between SIGINT and SIGTERM of a cancelled job.
const AFTER_INT: Duration = Duration::from_millis(7500);

/// Between SIGTERM and SIGKILL.
const AFTER_TERM: Duration = Duration::from_millis(2500);

/// No step of a test comes near this unless something hangs.
const LONGEST_STEP: Duration = Duration::from_secs(120);

/// A job, whose workspace is the directory of a project.
pub(super) struct Job<'project> {
    pub(super) project: &'project Project,
    /// Where the action is: the top of a repository with an `action.yml`.
    pub(super) action: PathBuf,
    /// Further variables of the job.
    pub(super) variables: BTreeMap<String, String>,
    temporary: PathBuf,
}

impl<'project> Job<'project> {
    /// A job of a runner that has nothing yet. It uses the action of this repository.
    pub(super) fn new(project: &'project Project) -> Self {
        let temporary = project.path("runner/_temp");
        fs::create_dir_all(&temporary).unwrap();
        Self {
            project,
            action: image::repository().to_path_buf(),
            variables: BTreeMap::new(),
            temporary,
        }
    }

    /// Sets a variable of the job.
    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts a step that uses the action. Inputs that it does not name have their defaults.
    #[track_caller]
    pub(super) fn start(&self, name: &str, inputs: &[(&str, &str)]) -> Step<'project> {
        let action = yaml(&self.action.join("action.yml"));
        let text = |pointer: &str| {
            let found = action.pointer(pointer).and_then(|value| value.as_str());
            found.unwrap_or_else(|| panic!("no `{pointer}`")).to_owned()
        };
        assert_eq!(text("/runs/using"), "node24");
        assert_eq!(text("/runs/post-if"), "always()");
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let declared = action.pointer("/inputs").unwrap().as_object().unwrap();
        for (input, about) in declared {
            let default = about.get("default").and_then(|value| value.as_str());
            given.insert(input.clone(), default.unwrap_or_default().to_owned());
        }
        for (input, value) in inputs {
            let known = given.insert((*input).to_owned(), (*value).to_owned());
            assert!(known.is_some(), "the action has no input `{input}`");
        }
        let outputs = action.pointer("/outputs").unwrap().as_object().unwrap();
        let files = self.temporary.join("_runner_file_commands").join(name);
        fs::create_dir_all(&files).unwrap();
        for file in ["output", "state", "summary"] {
            File::create(files.join(file)).unwrap();
        }
        let out = given.get("out").map_or("", String::as_str).to_owned();
        let mut step = Step {
            project: self.project,
            variables: self.variables(&given, &files),
            post: self.action.join(text("/runs/post")),
            outputs: outputs.keys().cloned().collect(),
            out: self.project.path(&out),
            said: files.join("said"),
            files,
            child: None,
        };
        step.child = Some(step.node(&self.action.join(text("/runs/main")), &[]));
        step
    }

    /// What a step finds in its environment: nothing of whoever runs the tests but where programs and
    /// the engine are.
    fn variables(
        &self,
        inputs: &BTreeMap<String, String>,
        files: &Path,
    ) -> BTreeMap<String, String> {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let mut variables: BTreeMap<String, String> = ["PATH", "HOME", "DOCKER_HOST"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        let runner = self.temporary.parent().unwrap();
        for (name, value) in [
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_RUN_ID", "1658821493".to_owned()),
            ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
            ("GITHUB_JOB", "checks".to_owned()),
            ("GITHUB_WORKSPACE", path(self.project.directory())),
            ("GITHUB_OUTPUT", path(&files.join("output"))),
            ("GITHUB_STATE", path(&files.join("state"))),
            ("GITHUB_STEP_SUMMARY", path(&files.join("summary"))),
            ("RUNNER_TEMP", path(&self.temporary)),
            ("RUNNER_TOOL_CACHE", path(&runner.join("_tool"))),
            ("RUNNER_TRACKING_ID", "github_0d5f".to_owned()),
            ("ACTIONS_RUNTIME_TOKEN", "the-runners-own-token".to_owned()),
            // What dead runs have left is for the tests that made it.
            ("ENVRUN_GC", "0".to_owned()),
        ] {
            variables.insert(name.to_owned(), value);
        }
        for (input, value) in inputs {
            let name = input.replace(' ', "_").to_uppercase();
            variables.insert(format!("INPUT_{name}"), value.clone());
        }
        variables.extend(self.variables.clone());
        variables
    }
}

/// A step that may still be going on.
pub(super) struct Step<'project> {
    project: &'project Project,
    variables: BTreeMap<String, String>,
    post: PathBuf,
    outputs: Vec<String>,
    /// Where its reports are.
    pub(super) out: PathBuf,
    said: PathBuf,
    files: PathBuf,
    child: Option<Child>,
}

impl Step<'_> {
    fn node(&self, script: &Path, further: &[(String, String)]) -> Child {
        let output = File::options()
            .create(true)
            .append(true)
            .open(&self.said)
            .unwrap();
        let mut command = Command::new("node");
        command
            .arg(script)
            .env_clear()
            .envs(&self.variables)
            .envs(further.iter().cloned())
            .current_dir(self.project.directory())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0);
        let spawned = command.spawn();
        spawned.unwrap_or_else(|error| panic!("{error}: node is missing, run `ci/setup` first"))
    }

    /// Everything that it has printed.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Process id of the step.
    pub(super) fn process(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it goes on"))
    }

    /// Waits until an event is written that the condition likes.
    #[track_caller]
    pub(super) fn event(&mut self, what: &str, condition: impl Fn(&Event) -> bool) -> Event {
        wait::until(what, LONGEST_STEP, || {
            let found = events::read(&self.out).into_iter().find(&condition);
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            if found.is_none() && ended.is_some() {
                panic!("the step has ended without {what}:\n{}", self.said());
            }
            found
        })
    }

    /// The id of its run.
    #[track_caller]
    pub(super) fn run(&self) -> String {
        events::run_id(&self.out).unwrap_or_else(|| panic!("{}", self.said()))
    }

    /// Waits for the end. The runner does so for the end of what the step prints as well, and so for
    /// everybody who holds that open.
    #[track_caller]
    pub(super) fn end(&mut self) -> i32 {
        let status = self.ended_within(LONGEST_STEP);
        status.unwrap_or_else(|| panic!("the step goes on:\n{}", self.said()))
    }

    /// Its exit code, 128 and more for a signal; `None` while it goes on.
    fn ended_within(&mut self, limit: Duration) -> Option<i32> {
        let child = self.child.as_mut().unwrap();
        let begun = Instant::now();
        let mut status: Option<ExitStatus> = None;
        wait::until("the end of the step", limit * 2, || {
            status = child.try_wait().unwrap();
            (status.is_some() || begun.elapsed() > limit).then_some(())
        });
        let status = status?;
        let signalled = || status.signal().map(|signal| 128 + signal);
        Some(status.code().or_else(signalled).unwrap())
    }

    /// Cancels the job as the runner does. Answers with the exit code of the step and how long it took.
    #[track_caller]
    pub(super) fn cancel(&mut self) -> (i32, Duration) {
        let begun = Instant::now();
        for (signal, patience) in [
            (Signal::INT, AFTER_INT),
            (Signal::TERM, AFTER_TERM),
            (Signal::KILL, LONGEST_STEP),
        ] {
            let _ = kill_process(self.process(), signal);
            if let Some(code) = self.ended_within(patience) {
                return (code, begun.elapsed());
            }
        }
        panic!("the step outlives SIGKILL");
    }

    /// Kills the step's own process, as the runner does with one that does not end.
    pub(super) fn kill(&mut self) {
        kill_process(self.process(), Signal::KILL).unwrap();
        assert_eq!(self.end(), 128 + 9);
    }

    /// What a file of the runner says, read as the runner reads it: `NAME<<DELIMITER` up to a line that
    /// is the delimiter; the last value counts.
    #[track_caller]
    fn values(&self, file: &str) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.files.join(file)).unwrap();
        let mut values = BTreeMap::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let (name, delimiter) = line.split_once("<<").unwrap_or_else(|| panic!("{text}"));
            let value: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            values.insert(name.to_owned(), value.join("\n"));
        }
        values
    }

    /// An output of the step. All that there are have to be declared.
    #[track_caller]
    pub(super) fn output(&self, name: &str) -> String {
        let mut values = self.values("output");
        for given in values.keys().map(String::as_str).chain([name]) {
            let is_declared = self.outputs.iter().any(|declared| declared == given);
            assert!(is_declared, "the action has no output `{given}`");
        }
        values.remove(name).unwrap_or_default()
    }

    /// Runs the last part of the action, which must never fail a job.
    #[track_caller]
    pub(super) fn post(&mut self) -> Duration {
        let state: Vec<(String, String)> = self
            .values("state")
            .into_iter()
            .map(|(name, value)| (format!("STATE_{name}"), value))
            .collect();
        let begun = Instant::now();
        let main = self.child.replace(self.node(&self.post.clone(), &state));
        assert_eq!(self.end(), 0, "{}", self.said());
        self.child = main;
        begun.elapsed()
    }

    /// Asserts that nothing of the run is on the engine.
    #[track_caller]
    pub(super) fn assert_nothing_is_left(&self) {
        let run = events::run_id(&self.out).unwrap();
        assert_eq!(self.project.engine.of_run(&run), [], "{}", self.said());
    }
}

impl Drop for Step<'_> {
    /// A test that fails half-way leaves neither processes nor anything on the engine.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Ok(Some(pid)) = self.noted_process() {
            let _ = kill_process(pid, Signal::KILL);
        }
        if let Some(run) = events::run_id(&self.out) {
            use crate::harness::engine::RUN_LABEL;
            self.project.engine.remove_labelled(RUN_LABEL, &run);
        }
    }
}

impl Step<'_> {
    /// The process of envrun that the step has noted, while it is there.
    pub(super) fn noted_process(&self) -> Result<Option<Pid>, std::num::ParseIntError> {
        let Some(pid) = self.values("state").remove("pid") else {
            return Ok(None);
        };
        let pid: i32 = pid.parse()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_it = line.windows(6).any(|word| word == b"envrun");
        Ok(is_it.then(|| Pid::from_raw(pid)).flatten())
    }
}
