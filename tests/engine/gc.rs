//! What dead runs have left is found and removed, and nothing else is: not what a live run has, wherever
//! it runs and whatever the clocks say, and not what is not ours.
//!
//! What dead runs have left is everybody's to remove, so these tests run one at a time (see
//! `.config/nextest.toml`, and [`alone`]), and no other test's run looks for it. What they ask `gc` for is
//! of their own projects, since somebody may hold an environment on this engine.

use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use envrun::host::process::Processes;
use envrun::lease::{Lease, Neighbours as _, Owner};
use rustix::process::{Signal, kill_process};

use crate::harness::engine::RUN_LABEL;
use crate::harness::project::held_suite;
use crate::harness::{Project, Run, image, wait};

static ALONE: Mutex<()> = Mutex::new(());

/// Holds off the other tests of this file where they are threads of one process.
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a run has left, made without a run.
struct Planted<'project> {
    project: &'project Project,
    run: String,
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "docker {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl<'project> Planted<'project> {
    /// A container, a network and a volume with this lease.
    fn new(project: &'project Project, lease: &Lease) -> Self {
        let run = uuid::Uuid::new_v4();
        let planted = Self {
            project,
            run: run.to_string(),
        };
        let name = planted.name("thing");
        let labels = planted.labels(lease);
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        // The network is the engine's to number: nothing is attached to it.
        docker(&[&["volume", "create", "--name", &name], labels.as_slice()].concat());
        docker(
            &[
                &["network", "create", "--driver", "bridge", "--internal"],
                labels.as_slice(),
                &[&name],
            ]
            .concat(),
        );
        docker(
            &[
                &["create", "--name", &name, "--network", "none"],
                labels.as_slice(),
                &[image::BASE, "true"],
            ]
            .concat(),
        );
        assert_eq!(planted.left(), 3);
        planted
    }

    fn labels(&self, lease: &Lease) -> Vec<String> {
        let lease = lease.to_label();
        [
            format!("{RUN_LABEL}={}", self.run),
            format!("dev.envrun.lease={lease}"),
            format!("dev.envrun.project={}", self.project.name),
        ]
        .into_iter()
        .flat_map(|label| ["--label".to_owned(), label])
        .collect()
    }

    fn name(&self, key: &str) -> String {
        format!("envrun-{}-{key}", &self.run.replace('-', "")[..12])
    }

    fn left(&self) -> usize {
        self.project.engine.of_run(&self.run).len()
    }

    #[track_caller]
    fn assert_gone(&self, output: &Output) {
        assert_eq!(self.left(), 0, "{output:?}");
    }

    #[track_caller]
    fn assert_kept(&self, output: &Output) {
        assert_eq!(self.left(), 3, "{output:?}");
    }
}

impl Drop for Planted<'_> {
    fn drop(&mut self) {
        self.project.engine.remove_labelled(RUN_LABEL, &self.run);
    }
}

fn gc(project: &Project, arguments: &[&str]) -> Output {
    let of_project = ["gc", "--project", &project.name];
    let arguments = match arguments {
        ["--run", ..] => [&["gc"], arguments].concat(),
        _ => [&of_project, arguments].concat(),
    };
    project.envrun(&arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// This process.
fn this() -> Owner {
    Processes::look().this().unwrap().clone()
}

/// A process that was beside this one and has ended.
fn ended() -> Owner {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let owner = Processes::look().of(child.id()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    owner
}

fn of(owner: Owner) -> Lease {
    Lease::of(Some(owner))
}

/// A process elsewhere, by what differs.
fn elsewhere() -> Vec<(&'static str, Owner)> {
    let nobody = ended();
    let other = "other".to_owned();
    vec![
        (
            "another host",
            Owner {
                host: other.clone(),
                ..nobody.clone()
            },
        ),
        (
            "another boot",
            Owner {
                boot: other,
                ..nobody.clone()
            },
        ),
        (
            "another pid namespace",
            Owner {
                pid_namespace: nobody.pid_namespace + 1,
                ..nobody
            },
        ),
    ]
}

#[test]
fn what_a_dead_process_has_left_is_removed_and_told() {
    let _alone = alone();
    let project = Project::new("");
    let planted = Planted::new(&project, &of(ended()));
    let output = gc(&project, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    planted.assert_gone(&output);
    let told = format!(
        "removed of run {} of `{}`: 1 container, 1 network, 1 volume\n",
        planted.run, project.name
    );
    assert!(stdout(&output).contains(&told), "{}", stdout(&output));
}

#[test]
fn a_pid_that_another_process_has_by_now_protects_nothing() {
    let _alone = alone();
    let project = Project::new("");
    let reused = Owner {
        started: this().started - 1,
        ..this()
    };
    let planted = Planted::new(&project, &of(reused));
    planted.assert_gone(&gc(&project, &[]));
}

#[test]
fn what_a_living_process_has_is_kept_whatever_is_asked_for() {
    let _alone = alone();
    let project = Project::new("");
    // Its time is long over, which does not matter: it is alive.
    let planted = Planted::new(
        &project,
        &Lease {
            seconds: 0,
            ..of(this())
        },
    );
    for arguments in [&[][..], &["--all"], &["--older-than", "0s"]] {
        let output = gc(&project, arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        planted.assert_kept(&output);
    }
    for arguments in [
        &["--run", &planted.run][..],
        &["--run", &planted.run, "--force"],
    ] {
        let output = gc(&project, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let hint = format!("hint: `kill -INT {}` ends it", std::process::id());
        assert!(stderr(&output).contains(&hint), "{output:?}");
        planted.assert_kept(&output);
    }
    let output = project.envrun(&["down", &planted.run]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    planted.assert_kept(&output);
}

#[test]
fn of_a_process_elsewhere_only_time_tells() {
    let _alone = alone();
    let project = Project::new("");
    for (what, owner) in elsewhere() {
        let fresh = Planted::new(&project, &of(owner.clone()));
        let over = Planted::new(
            &project,
            &Lease {
                seconds: 0,
                ..of(owner)
            },
        );
        let output = gc(&project, &["--all"]);
        fresh.assert_kept(&output);
        over.assert_gone(&output);
        let output = gc(&project, &["--run", &fresh.run]);
        assert_eq!(output.status.code(), Some(2), "{what}: {output:?}");
        assert!(stderr(&output).contains("`envrun gc --run"), "{output:?}");
        fresh.assert_kept(&output);
        let output = gc(&project, &["--run", &fresh.run, "--force"]);
        assert_eq!(output.status.code(), Some(0), "{what}: {output:?}");
        fresh.assert_gone(&output);
    }
}

#[test]
fn the_newest_lease_of_a_run_protects_all_of_it() {
    let _alone = alone();
    let project = Project::new("");
    let (_, owner) = elsewhere().remove(0);
    let planted = Planted::new(
        &project,
        &Lease {
            seconds: 0,
            ..of(owner.clone())
        },
    );
    let renewed = planted.labels(&of(owner));
    let renewed: Vec<&str> = renewed.iter().map(String::as_str).collect();
    let name = planted.name("lease-1");
    docker(&[&["volume", "create", "--name", &name], renewed.as_slice()].concat());
    let output = gc(&project, &["--all"]);
    assert_eq!(planted.left(), 4, "{output:?}");
}

#[test]
fn what_is_held_is_kept_until_its_time_unless_all_is_asked_for() {
    let _alone = alone();
    let project = Project::new("");
    let hour = Duration::from_secs(3600);
    let held = Planted::new(&project, &Lease::held(Some(ended()), hour));
    held.assert_kept(&gc(&project, &[]));
    held.assert_gone(&gc(&project, &["--all"]));
    let over = Planted::new(&project, &Lease::held(Some(ended()), Duration::ZERO));
    over.assert_gone(&gc(&project, &[]));
    let named = Planted::new(&project, &Lease::held(Some(ended()), hour));
    let output = gc(&project, &["--run", &named.run[..13]]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    named.assert_gone(&output);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let _alone = alone();
    let project = Project::new("");
    let dead = Planted::new(&project, &of(ended()));
    let alive = Planted::new(&project, &of(this()));
    let output = gc(&project, &["--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    dead.assert_kept(&output);
    let text = stdout(&output);
    assert!(
        text.contains(&format!("would remove run {}", dead.run)),
        "{text}"
    );
    assert!(
        text.contains(&format!("would keep run {}", alive.run)),
        "{text}"
    );
    assert!(
        text.contains(&format!("alive, process {}", std::process::id())),
        "{text}"
    );
}

#[test]
fn what_is_younger_than_asked_for_is_kept() {
    let _alone = alone();
    let project = Project::new("");
    let planted = Planted::new(&project, &of(ended()));
    planted.assert_kept(&gc(&project, &["--older-than", "1h"]));
    planted.assert_gone(&gc(&project, &["--older-than", "0s"]));
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let _alone = alone();
    let project = Project::new("");
    let planted = Planted::new(&project, &of(ended()));
    let labels = planted.labels(&of(ended()));
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let strange = format!("strange-{}", project.name);
    // It has the labels, as whatever is made of an image of a run inherits them, but no name of ours.
    docker(
        &[
            &["create", "--name", &strange, "--network", "none"],
            labels.as_slice(),
            &[image::BASE, "true"],
        ]
        .concat(),
    );
    // It has a name like ours, but no label.
    let similar = planted.name("similar");
    docker(&["volume", "create", "--name", &similar]);
    let output = gc(&project, &["--all"]);
    let inspected = docker(&["inspect", "--format", "{{.Name}}", &strange]);
    assert_eq!(inspected, format!("/{strange}"), "{output:?}");
    assert_eq!(
        docker(&["volume", "inspect", "--format", "{{.Name}}", &similar]),
        similar
    );
    docker(&["rm", &strange]);
    docker(&["volume", "rm", &similar]);
    planted.assert_gone(&output);
}

/// A run whose suite waits for the gate, started through another program.
fn through<'project>(project: &'project Project, program: &[&str]) -> Run<'project> {
    let mut command = Command::new(program[0]);
    command
        .args(&program[1..])
        .arg(env!("CARGO_BIN_EXE_envrun"))
        .args(["run", "--out", "out"])
        .current_dir(project.directory())
        .env("NO_COLOR", "1")
        .env("ENVRUN_GC", "0")
        .env_remove("CI");
    Run::start(project, command, "out")
}

fn gc_through(project: &Project, program: &[&str]) -> Output {
    Command::new(program[0])
        .args(&program[1..])
        .arg(env!("CARGO_BIN_EXE_envrun"))
        .args(["gc", "--all", "--project", &project.name])
        .output()
        .unwrap()
}

fn held() -> Project {
    Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()))
}

const PLAIN: [&str; 1] = ["env"];
const OTHER_PROCESSES: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
/// A host of another name and another boot, as far as programs can tell.
const OTHER_HOST: [&str; 6] = [
    "unshare",
    "--uts",
    "--mount",
    "sh",
    "-c",
    "hostname other && cat /proc/sys/kernel/random/uuid > /dev/shm/boot-$$ && \
     mount --bind /dev/shm/boot-$$ /proc/sys/kernel/random/boot_id && rm /dev/shm/boot-$$ && \
     exec \"$0\" \"$@\"",
];
/// A clock that is wrong by three days.
const LATER: [&str; 4] = ["faketime", "-f", "+3d", "env"];
const EARLIER: [&str; 4] = ["faketime", "-f", "-3d", "env"];

#[test]
fn a_live_run_survives_gc_from_anywhere_and_gc_here_wherever_it_runs() {
    let _alone = alone();
    let places: [&[&str]; 5] = [&PLAIN, &OTHER_PROCESSES, &OTHER_HOST, &LATER, &EARLIER];
    for place in places {
        let project = held();
        let mut run = through(&project, place);
        run.until_suite_started("checks");
        let id = run.id();
        let before = project.engine.of_run(&id);
        for other in places {
            let output = gc_through(&project, other);
            assert_eq!(output.status.code(), Some(0), "{other:?}: {output:?}");
            assert_eq!(
                project.engine.of_run(&id),
                before,
                "a run through {place:?}, gc through {other:?}: {output:?}"
            );
        }
        project.open_gate();
        run.finish().assert_code(0);
    }
}

#[test]
fn runs_that_begin_while_gc_is_at_work_are_not_disturbed() {
    let _alone = alone();
    let projects: Vec<Project> = (0..4)
        .map(|_| {
            Project::new(&format!(
                "
services:
  server:
    image: {base}
    command: [sleep, infinity]
    volumes: [\"data:/data\"]
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
volumes: {{ data: {{}} }}
",
                base = image::BASE
            ))
        })
        .collect();
    std::thread::scope(|scope| {
        let runs: Vec<_> = projects
            .iter()
            .map(|project| {
                scope.spawn(|| {
                    for _ in 0..2 {
                        project.run().assert_code(0);
                    }
                })
            })
            .collect();
        while !runs.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            for project in &projects {
                let output = gc(project, &["--all", "--older-than", "0s"]);
                assert_eq!(output.status.code(), Some(0), "{output:?}");
            }
        }
    });
}

#[test]
fn every_run_removes_what_dead_runs_have_left_and_says_so() {
    let _alone = alone();
    let project = held();
    let planted = Planted::new(&project, &of(ended()));
    let mut command = project.command(&[]);
    command.env("ENVRUN_GC", "1");
    let mut run = Run::start(&project, command, "out");
    let swept = run.event("what was removed", |event| {
        event.kind() == "swept" && event.text("run") == planted.run
    });
    assert_eq!(swept.text("removed"), "1 container, 1 network, 1 volume");
    assert_eq!(planted.left(), 0);
    project.open_gate();
    run.finish().assert_code(0);
}

#[test]
fn a_run_that_is_told_not_to_leaves_what_dead_runs_have_left() {
    let _alone = alone();
    let project = held();
    let planted = Planted::new(&project, &of(ended()));
    project.open_gate();
    project.run().assert_code(0);
    assert_eq!(planted.left(), 3);
}

#[test]
fn a_run_whose_process_was_killed_with_its_watchdog_is_dead_at_once() {
    let _alone = alone();
    let project = held();
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    // The watchdog first: it would be at work otherwise.
    kill_process(run.watchdog(), Signal::KILL).unwrap();
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(5));
    assert!(!project.engine.of_run(&id).is_empty());

    // Another run on the same engine is none of its business.
    let other = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut going_on = other.start();
    going_on.until_suite_started("checks");
    let before = other.engine.of_run(&going_on.id());

    let output = gc(&project, &["--run", &id]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(project.engine.of_run(&id), []);
    assert_eq!(other.engine.of_run(&going_on.id()), before);
    other.open_gate();
    going_on.finish().assert_code(0);
}

#[test]
fn gc_of_a_run_that_left_nothing_succeeds() {
    let project = Project::new("");
    let nobody = uuid::Uuid::new_v4().to_string();
    let output = gc(&project, &["--run", &nobody]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn an_image_of_a_run_that_somebody_has_named_stays_his() {
    let _alone = alone();
    let project = held().having(
        "built/Dockerfile",
        &format!("FROM {}\nRUN touch /made\n", image::BASE),
    );
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let own = compose.replace(&format!("image: {}", image::BASE), "build: ./built");
    project.file("compose.yaml", own);
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    let built = format!("envrun-{}-checks", &id.replace('-', "")[..12]);
    let kept = format!("kept-{}", project.name);
    docker(&["tag", &built, &kept]);
    project.open_gate();
    run.wait(Duration::from_secs(60));
    let finished = wait::until("an image with one name", Duration::from_secs(10), || {
        let names = docker(&["image", "inspect", "--format", "{{.RepoTags}}", &kept]);
        (names == format!("[{kept}:latest]")).then_some(names)
    });
    docker(&["image", "rm", &kept]);
    assert_eq!(finished, format!("[{kept}:latest]"));
    assert_eq!(run.wait(Duration::from_secs(1)).code(), Some(0));
}

/// A job finds by its build what it has left, and leaves alone what other jobs have.
#[test]
fn by_its_build_a_job_finds_what_it_has_left() {
    let _alone = alone();
    let project = Project::new(&format!("services:\n  held:\n    {}\n", held_suite()));
    let build = format!("job-{}", uuid::Uuid::new_v4());
    let mut command = project.command(&[]);
    command.envs([("GITLAB_CI", "true"), ("CI_JOB_ID", &build)]);
    let mut run = Run::start(&project, command, "out");
    run.until_suite_started("held");
    let id = run.id();
    let named = format!("gitlab-{build}");
    let shown = project.envrun(&["ps"]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let row = shown.lines().find(|line| line.contains(&id)).unwrap();
    assert!(row.ends_with(&named), "{shown}");
    // What is alive is kept, whoever asks.
    let output = project.envrun(&["gc", "--build", &named]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains(&format!("kept run {id}")), "{said}");
    let watchdog = run.watchdog();
    kill_process(watchdog, Signal::KILL).unwrap();
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(10));
    // Of another job of the same system nothing is there, and nothing is removed for it.
    let mut other = project.envrun(&["gc", "--build"]);
    other.envs([("GITLAB_CI", "true"), ("CI_JOB_ID", "0")]);
    let output = other.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!project.engine.of_run(&id).is_empty());
    let mut same = project.envrun(&["gc", "--build"]);
    same.envs([("GITLAB_CI", "true"), ("CI_JOB_ID", &build)]);
    let output = same.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains(&format!("removed of run {id}")), "{said}");
    assert!(project.engine.of_run(&id).is_empty());
    // Outside of CI nobody knows which build is meant.
    let output = project.envrun(&["gc", "--build"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
