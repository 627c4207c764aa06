//! The library for Jenkins, run by Groovy in the version that Jenkins has, on an agent of ours:
//! `jenkins/Agent.groovy` says what it does as Jenkins does it, and what not.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::harness::events::{self, Event};
use crate::harness::project::held_suite;
use crate::harness::run::watchdog_of;
use crate::harness::{Project, engine, image, wait};

const LONGEST_BUILD: Duration = Duration::from_secs(120);

/// A build, whose workspace is the directory of a project.
struct Build<'project> {
    project: &'project Project,
    child: Child,
    said: PathBuf,
}

impl<'project> Build<'project> {
    /// Starts the pipeline of a file.
    fn start(project: &'project Project, pipeline: &Path) -> Self {
        let said = project.path("build.log");
        let output = File::create(&said).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_envrun")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let tests = image::repository().join("tests/engine/integrations/jenkins");
        let mut command = Command::new("groovy");
        command
            .arg(tests.join("Agent.groovy"))
            .arg(pipeline)
            .arg(image::repository().join("ci/jenkins/vars"))
            .arg(project.directory())
            .env("PATH", format!("{}:{path}", program.display()))
            .env("JAVA_HOME", java())
            // A build takes seconds, so it is not worth optimising its code.
            .env("JAVA_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
            .env("ENVRUN_GC", "0")
            .env_remove("CI")
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{error}: run `ci/setup` first"));
        Self {
            project,
            child,
            said,
        }
    }

    /// Starts a scripted pipeline of one step.
    fn of_step(project: &'project Project, step: &str) -> Self {
        project.file(
            "pipeline.groovy",
            format!("echo \"exit code ${{{step}}}\"\n"),
        );
        Self::start(project, &project.path("pipeline.groovy"))
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    #[track_caller]
    fn event(&mut self, what: &str, out: &str, condition: impl Fn(&Event) -> bool) -> Event {
        let out = self.project.path(out);
        wait::until(what, LONGEST_BUILD, || {
            let found = events::read(&out).into_iter().find(&condition);
            let ended = self.child.try_wait().unwrap();
            assert!(found.is_some() || ended.is_none(), "{}", self.said());
            found
        })
    }

    fn abort(&self) {
        self.project.file("abort", "");
    }

    /// Waits for the end, and asserts the result of the build.
    #[track_caller]
    fn end(&mut self, result: &str) -> String {
        wait::until("the end of the build", LONGEST_BUILD, || {
            self.child.try_wait().unwrap()
        });
        let said = self.said();
        let last = said.lines().last();
        assert_eq!(last, Some(format!("result: {result}").as_str()), "{said}");
        for out in ["envrun-out", "envrun-out/unit", "envrun-out/all"] {
            if let Some(run) = events::run_id(&self.project.path(out)) {
                assert_eq!(self.project.engine.of_run(&run), [], "{said}");
            }
        }
        said
    }
}

impl Drop for Build<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let label = engine::PROJECT_LABEL;
        self.project
            .engine
            .remove_labelled(label, &self.project.name);
    }
}

/// Where Java is, which Debian's `groovy` looks for in one place only.
fn java() -> PathBuf {
    let found = Command::new("sh")
        .args(["-c", "readlink -f \"$(command -v java)\""])
        .output()
        .unwrap();
    let program = String::from_utf8(found.stdout).unwrap();
    let program = Path::new(program.trim());
    program
        .ancestors()
        .nth(2)
        .unwrap_or_else(|| panic!("java is missing: run `ci/setup` first"))
        .to_owned()
}

/// Two suites: one that ends with this code, one that fails.
fn project(code: u8) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command: [sh, -c, 'exit {code}']
    x-envrun: {{ suite: {{}} }}
  others:
    image: {base}
    command: ['false']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
}

fn held() -> Project {
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
  checks:
    {held}
    depends_on: [server]
",
        base = image::BASE,
        held = held_suite(),
    ))
}

#[track_caller]
fn until_suite_started(build: &mut Build<'_>) {
    build.event("the start of the suite", "envrun-out", |event| {
        event.is("suite_started", "checks")
    });
}

#[test]
fn a_build_passes_and_publishes_its_reports() {
    let project = project(0);
    fs::create_dir(project.path("a shop")).unwrap();
    fs::rename(
        project.path("compose.yaml"),
        project.path("a shop/it's.yaml"),
    )
    .unwrap();
    let mut build = Build::of_step(
        &project,
        "envrun(directory: 'a shop', files: [\"it's.yaml\"], skip: ['others'], arguments: ['--limit-cpus=1', '--untrusted'])",
    );
    let said = build.end("SUCCESS");
    assert!(said.contains(" cases, 0 failing"), "{said}");
    assert!(!said.contains("archived: 0"), "{said}");
    assert!(said.contains("exit code 0"), "{said}");
    assert!(!said.contains("caught:"), "{said}");
}

#[test]
fn a_failed_suite_fails_the_build_or_makes_it_unstable() {
    let project = project(0);
    let mut failed = Build::of_step(&project, "envrun()");
    let said = failed.end("FAILURE");
    assert!(said.contains(" cases, 1 failing"), "{said}");
    assert!(
        said.contains("ended by: envrun: exit code 1 (a suite failed"),
        "{said}"
    );
    drop(failed);
    let mut unstable = Build::of_step(&project, "envrun(unstable: true, archive: false)");
    let said = unstable.end("UNSTABLE");
    assert!(said.contains("exit code 1\n"), "{said}");
    assert!(!said.contains("archived:"), "{said}");
}

#[test]
fn wrong_parameters_fail_the_build_before_anything_starts() {
    let project = project(0);
    let steps = [
        ("envrun(folder: 'shop')", "there is no parameter `folder`"),
        ("envrun(out: 'a b')", "which has blanks"),
        ("envrun(directory: '--help')", "exit code 2"),
    ];
    let caught = |(step, _): &(&str, &str)| {
        format!("catchError(message: 'wrong', buildResult: 'FAILURE') {{ {step} }}\n")
    };
    project.file(
        "pipeline.groovy",
        steps.iter().map(caught).collect::<String>(),
    );
    let mut build = Build::start(&project, &project.path("pipeline.groovy"));
    let said = build.end("FAILURE");
    for (_, words) in steps {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(said.matches("caught: wrong").count(), steps.len(), "{said}");
    assert!(!project.path("envrun-out/events.jsonl").exists());
}

#[test]
fn a_build_that_is_aborted_publishes_its_reports_and_leaves_nothing() {
    let project = held();
    let mut build = Build::of_step(&project, "envrun()");
    until_suite_started(&mut build);
    build.abort();
    let said = build.end("ABORTED");
    assert!(said.contains("junit: envrun-out/junit.xml"), "{said}");
    let written = events::read(&project.path("envrun-out"));
    assert!(
        written
            .iter()
            .any(|event| event.kind() == "signal_received")
    );
    assert!(written.iter().any(|event| event.kind() == "verdict"));
}

#[test]
fn what_a_killed_run_of_a_build_has_left_is_removed() {
    let project = held();
    let mut build = Build::of_step(&project, "envrun()");
    until_suite_started(&mut build);
    let begun = build.event("its beginning", "envrun-out", |event| {
        event.kind() == "run_started"
    });
    let run = begun.text("run").to_owned();
    let owner = project.engine.inspect(&run, "container");
    assert!(!owner.is_empty());
    kill_process(watchdog_of(&run).unwrap(), Signal::KILL).unwrap();
    kill_process(envrun_in(&project), Signal::KILL).unwrap();
    let said = build.end("FAILURE");
    assert!(said.contains("removed of run"), "{said}");
    assert!(said.contains("exit code 137"), "{said}");
}

/// The process of envrun whose working directory is the workspace.
fn envrun_in(project: &Project) -> rustix::process::Pid {
    let workspace = project.directory().canonicalize().unwrap();
    let found = fs::read_dir("/proc").unwrap().find_map(|entry| {
        let path = entry.ok()?.path();
        let is_there = fs::read_link(path.join("cwd")).ok()? == workspace;
        let program = fs::read_link(path.join("exe")).ok()?;
        let is_it = is_there && program == Path::new(env!("CARGO_BIN_EXE_envrun"));
        is_it.then(|| path.file_name()?.to_str()?.parse::<i32>().ok())?
    });
    rustix::process::Pid::from_raw(found.unwrap()).unwrap()
}

#[test]
fn the_pipelines_that_are_shipped_run_the_scenario() {
    let project = Project::with_postgres("services: {}\n");
    project.copy_of_scenario("ci-pipeline");
    for pipeline in ["Jenkinsfile", "Jenkinsfile.plain"] {
        let path = image::repository().join("ci/jenkins").join(pipeline);
        let mut build = Build::start(&project, &path);
        let said = build.end("SUCCESS");
        assert!(said.contains("0 failing"), "{said}");
        assert!(!said.contains("caught:"), "{said}");
    }
}
