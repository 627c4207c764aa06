//! Environments that are held for a person: brought up, entered, used by suites, ended by hand or by
//! time.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::run::watchdog_of;
use crate::harness::{Finished, Project, Run, image, wait};

fn shop() -> Project {
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sh, -c, 'echo serving; echo problem >&2; exec sleep infinity']
    environment: {{ COLOUR: green }}
    volumes: [\"data:/data\"]
    networks: [back]
  prepare:
    image: {base}
    command: [sh, -c, 'echo prepared >> /data/log']
    volumes: [\"data:/data\"]
    networks: [back]
  checks:
    image: {base}
    command: [sh, -c, 'getent hosts server && echo checked >> /data/log && cat /data/log']
    volumes: [\"data:/data\"]
    networks: [back]
    depends_on:
      server: {{ condition: service_started }}
      prepare: {{ condition: service_completed_successfully }}
    x-envrun: {{ suite: {{}} }}
networks: {{ back: {{}} }}
volumes: {{ data: {{}} }}
",
        base = image::BASE
    ))
}

/// An environment that is up. Whatever happens, it goes with the test.
struct Held<'project> {
    project: &'project Project,
    run: String,
}

impl<'project> Held<'project> {
    fn up(project: &'project Project, time: &str) -> Self {
        let output = project
            .envrun(&["up", "--for", time, "--out", "up"])
            .output()
            .unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        let line = text.lines().find(|line| line.contains("held for"));
        let run = line.and_then(|line| line.rsplit(' ').next()).unwrap();
        Self {
            project,
            run: run.to_owned(),
        }
    }

    fn services(&self) -> Vec<String> {
        let all = self.project.engine.of_run(&self.run).into_iter();
        let containers = all.filter(|one| one.kind == "container");
        containers
            .map(|one| one.name.rsplit('-').next().unwrap_or_default().to_owned())
            .collect()
    }

    fn keeper(&self) -> Option<Pid> {
        watchdog_of(&self.run)
    }

    #[track_caller]
    fn until_gone(&self, deadline: Duration) {
        wait::until("the end of the environment", deadline, || {
            (self.project.engine.of_run(&self.run).is_empty() && self.keeper().is_none())
                .then_some(())
        });
    }

    /// Runs the suites in it.
    fn suites(&self, arguments: &[&str]) -> Finished<'project> {
        let mut all = vec!["--in", &self.run];
        all.extend(arguments);
        Run::start(self.project, self.project.command(&all), "out").finish()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper() {
            let _ = kill_process(keeper, Signal::KILL);
        }
        let engine = &self.project.engine;
        engine.remove_labelled(crate::harness::engine::RUN_LABEL, &self.run);
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn envrun(project: &Project, arguments: &[&str]) -> Output {
    project
        .envrun(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn an_environment_is_up_without_its_suites_until_it_is_taken_down() {
    let project = shop();
    let held = Held::up(&project, "10m");
    assert_eq!(held.services(), ["prepare", "server"]);
    let shown = stdout(&envrun(&project, &["ps"]));
    let row = shown.lines().find(|line| line.contains(&held.run));
    assert!(row.unwrap().contains("held for 9m5"), "{shown}");
    let shown = stdout(&envrun(&project, &["ps", &held.run[..8]]));
    assert!(shown.contains("Exited (0)"), "{shown}");
    // It is what is held for this directory, also further down.
    std::fs::create_dir(project.path("below")).unwrap();
    let down = project
        .envrun(&["down"])
        .current_dir(project.path("below"))
        .output()
        .unwrap();
    assert_eq!(down.status.code(), Some(0), "{down:?}");
    assert_eq!(project.engine.of_run(&held.run), []);
    held.until_gone(Duration::from_secs(5));
    let again = envrun(&project, &["down"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("no environment is held for"));
}

#[test]
fn an_environment_ends_at_its_time_with_nobody_there() {
    let project = shop();
    let held = Held::up(&project, "3s");
    assert!(held.keeper().is_some());
    held.until_gone(Duration::from_secs(20));
}

#[test]
fn suites_run_in_a_held_environment_again_and_again_and_leave_it_as_it_is() {
    let project = shop();
    let held = Held::up(&project, "10m");
    let before = project.engine.of_run(&held.run);
    for round in 1..=2 {
        let finished = held.suites(&[]);
        finished.assert_code(0);
        let log = String::from_utf8(finished.log("checks")).unwrap();
        assert_eq!(log.matches("prepared").count(), 1, "{log}");
        assert_eq!(log.matches("checked").count(), round, "{log}");
        assert_eq!(project.engine.of_run(&held.run), before);
        // Whatever the suites needed of their own is gone.
        assert_eq!(finished.on_the_engine(), before);
    }
}

#[test]
fn a_suite_in_a_held_environment_that_is_killed_takes_nothing_with_it() {
    let project = shop();
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let compose = compose.replace("&& cat /data/log", "&& exec sleep 600");
    project.file("compose.yaml", compose);
    let held = Held::up(&project, "10m");
    let before = project.engine.of_run(&held.run);
    let mut run = Run::start(&project, project.command(&["--in", &held.run]), "out");
    run.until_suite_started("checks");
    run.watchdog();
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(5));
    run.until_nothing_is_left(Duration::from_secs(15));
    assert_eq!(project.engine.of_run(&held.run), before);
}

#[test]
fn suites_are_refused_where_what_they_need_does_not_run() {
    let project = shop();
    let held = Held::up(&project, "10m");
    let name = format!("envrun-{}-server", &held.run.replace('-', "")[..12]);
    let killed = Command::new("docker").args(["kill", &name]).output();
    assert!(killed.unwrap().status.success());
    let output = envrun(&project, &["run", "--in", &held.run, "--out", "out"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = stderr(&output);
    assert!(text.contains("service `server` of run"), "{text}");
    assert!(text.contains("does not run: Exited (137)"), "{text}");
}

#[test]
fn commands_run_in_the_containers_with_input_output_and_exit_code() {
    let project = shop();
    let held = Held::up(&project, "10m");
    let output = envrun(
        &project,
        &[
            "exec",
            "server",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 9",
        ],
    );
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    assert_eq!(
        (stdout(&output), stderr(&output)),
        ("out\n".to_owned(), "err\n".to_owned())
    );

    let arguments = [
        "exec",
        "--run",
        &held.run,
        "-u",
        "nobody",
        "-w",
        "/tmp",
        "-e",
        "SIZE=big",
        "server",
        "sh",
        "-c",
        "id -un; pwd; echo $COLOUR $SIZE; cat",
    ];
    let mut child = project
        .envrun(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"some input\n").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(stdout(&output), "nobody\n/tmp\ngreen big\nsome input\n");

    for (arguments, code, words) in [
        (
            &["exec", "nobody", "true"][..],
            2,
            "it has `prepare`, `server`",
        ),
        (&["exec", "prepare", "true"], 3, "does not run: Exited (0)"),
        (&["exec", "server", "/no/such/program"], 126, ""),
        (
            &["exec", "--run", "0000", "server", "true"],
            2,
            "no run on this engine begins",
        ),
        (
            &["exec", "--run", "x", "server", "true"],
            2,
            "is no id of a run",
        ),
        (&["exec", "server"], 2, "COMMAND"),
    ] {
        let output = envrun(&project, arguments);
        let found = output.status.code().unwrap();
        assert!(found == code || (code == 126 && found == 127), "{output:?}");
        assert!(stderr(&output).contains(words), "{output:?}");
    }
}

#[test]
fn a_shell_has_the_terminal() {
    let project = shop();
    let _held = Held::up(&project, "10m");
    // `script` gives the command a terminal, and takes what would be typed from its input.
    let line = format!("{} shell server", env!("CARGO_BIN_EXE_envrun"));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(project.directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"tty && echo $((40+2)) $COLOUR; exit 5\n").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(input);
    let text = stdout(&output);
    assert!(text.contains("/dev/pts/"), "{text}");
    assert!(text.contains("42 green"), "{text}");
    assert_eq!(output.status.code(), Some(5), "{text}");
}

#[test]
fn logs_of_a_held_environment_are_there_and_followed() {
    let project = shop();
    let held = Held::up(&project, "10m");
    let output = envrun(&project, &["logs"]);
    assert!(
        stdout(&output).contains("server  | serving\n"),
        "{output:?}"
    );
    assert!(
        stderr(&output).contains("server  | problem\n"),
        "{output:?}"
    );
    let output = envrun(&project, &["logs", "prepare"]);
    assert_eq!(stdout(&output), "");
    let mut following = project
        .envrun(&["logs", "--follow", "server"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let down = envrun(&project, &["down", &held.run]);
    assert_eq!(down.status.code(), Some(0), "{down:?}");
    // The end of the container is the end of its log.
    wait::until("the end of the log", Duration::from_secs(10), || {
        following.try_wait().unwrap()
    });
}

#[test]
fn a_run_that_fails_is_held_when_that_is_asked_for() {
    let project = shop();
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let compose = compose.replace("cat /data/log", "cat /data/log && false");
    project.file("compose.yaml", compose);
    let arguments = ["run", "--hold-on-failure", "10m", "--out", "out"];
    let output = envrun(&project, &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = stderr(&output);
    let run = text.lines().find(|line| line.contains("held for 10m"));
    let run = run.and_then(|line| line.rsplit(' ').next()).unwrap();
    let held = Held {
        project: &project,
        run: run.to_owned(),
    };
    for hint in ["envrun shell --run", "envrun logs --run", "envrun down"] {
        assert!(text.contains(hint), "{text}");
    }
    assert_eq!(held.services(), ["checks", "prepare", "server"]);
    let entered = envrun(&project, &["exec", "server", "cat", "/data/log"]);
    assert_eq!(stdout(&entered), "prepared\nchecked\n");
    let down = envrun(&project, &["down", &run[..13]]);
    assert_eq!(down.status.code(), Some(0), "{down:?}");
    assert_eq!(project.engine.of_run(run), []);
}

#[test]
fn times_that_cannot_be_are_refused_before_anything_starts() {
    let project = shop();
    for arguments in [
        &["up", "--for", "0s"][..],
        &["up", "--for", "soon"],
        &["up", "--for", "31d"],
        &["run", "--hold-on-failure", "-1m"],
        &["run", "--hold-on-failure", "5m", "--in", "abc"],
    ] {
        let output = envrun(&project, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!project.path("envrun-out").exists());
    }
}

#[test]
fn a_project_of_suites_alone_has_nothing_to_hold() {
    let project = Project::new(&format!(
        "services: {{ checks: {{ image: {}, x-envrun: {{ suite: {{}} }} }} }}\n",
        image::BASE
    ));
    let output = envrun(&project, &["up"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("nothing but suites"), "{output:?}");
}

#[test]
fn an_environment_that_does_not_come_up_leaves_nothing() {
    let project = shop();
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let compose = compose.replace("echo prepared >> /data/log", "exit 4");
    project.file("compose.yaml", compose);
    let output = envrun(&project, &["up", "--out", "up"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let left = project
        .engine
        .labelled(crate::harness::engine::PROJECT_LABEL, &project.name);
    assert_eq!(left, []);
}
