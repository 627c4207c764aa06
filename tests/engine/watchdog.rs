//! Nobody has to survive for the engine to be clean: not envrun, not its process group, and with
//! `gc` not even the watchdog.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::harness::faulty_engine::FaultyEngine;
use crate::harness::project::held_suite;
use crate::harness::run::watchdog_of;
use crate::harness::{Project, Run, image, wait};

/// From the death of envrun to an engine without its run.
const REAPED_WITHIN: Duration = Duration::from_secs(10);

/// After a creation whose answer nobody heard, the watchdog looks on for a minute.
const WATCHFUL_FOR: Duration = Duration::from_secs(80);

fn held() -> Project {
    Project::new(&format!(
        "
services:
  server:
    build: ./built
    command: [sleep, infinity]
    volumes: [\"data:/data\"]
  checks:
    {held}
    depends_on: [server]
volumes: {{ data: {{}} }}
",
        held = held_suite(),
    ))
    .having(
        "built/Dockerfile",
        &format!("FROM {}\nVOLUME /declared\n", image::BASE),
    )
}

/// Waits until the watchdog has done its work, and checks that it was good.
#[track_caller]
fn assert_reaped(mut run: Run<'_>, project: &Project) {
    let id = run.id();
    run.wait(Duration::from_secs(5));
    run.until_nothing_is_left(REAPED_WITHIN);
    wait::until("the end of the watchdog", WATCHFUL_FOR, || {
        watchdog_of(&id).is_none().then_some(())
    });
    // Nothing has appeared after it went.
    assert_eq!(project.engine.of_run(&id), []);
}

#[test]
fn sigkill_while_suites_run_leaves_nothing() {
    let project = held();
    let mut run = project.start();
    run.until_suite_started("checks");
    run.signal(Signal::KILL);
    assert_reaped(run, &project);
}

#[test]
fn sigkill_while_containers_are_created_leaves_nothing() {
    let services: String = (0..8)
        .map(|number| {
            format!(
                "  server{number}:\n    image: {}\n    command: [sleep, infinity]\n",
                image::BASE
            )
        })
        .collect();
    let project = Project::new(&format!(
        "services:\n{services}  checks:\n    {}\n",
        held_suite()
    ));
    let mut run = project.start();
    run.event("the first container", |event| {
        event.kind() == "step_started" && event.text("what").starts_with("create container")
    });
    run.signal(Signal::KILL);
    assert_reaped(run, &project);
}

/// From the death of envrun to the last moment at which anything of ten services was there, on an
/// engine that has nothing else to do. The engine is only idle where the test runner sees to it.
fn promised() -> Duration {
    let is_alone = std::env::var_os("NEXTEST").is_some();
    Duration::from_secs(if is_alone { 3 } else { 15 })
}

#[track_caller]
fn ten_services_are_gone_in_time(moment: &str, at: impl Fn(&mut Run<'_>)) {
    let services: String = (0..9)
        .map(|number| {
            format!(
                "  server{number}:\n    image: {}\n    command: [sleep, infinity]\n    volumes: [\"data{number}:/data\"]\n    networks: [back, front]\n",
                image::BASE
            )
        })
        .collect();
    let volumes: String = (0..9).map(|number| format!("  data{number}:\n")).collect();
    let project = Project::new(&format!(
        "services:\n{services}  checks:\n    {}\nnetworks: {{ back: {{}}, front: {{}} }}\nvolumes:\n{volumes}",
        held_suite()
    ));
    let mut run = project.start();
    let id = run.id();
    at(&mut run);
    let killed = std::time::Instant::now();
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(5));
    let mut last_seen = Duration::ZERO;
    // It looks on for what may still appear, so its end is later.
    wait::until("the end of the watchdog", WATCHFUL_FOR, || {
        let listed = killed.elapsed();
        if !project.engine.of_run(&id).is_empty() {
            last_seen = listed;
        }
        watchdog_of(&id).is_none().then_some(())
    });
    assert_eq!(project.engine.of_run(&id), []);
    assert!(
        last_seen < promised(),
        "killed while {moment}: {last_seen:?}"
    );
    let figure = format!("killed while {moment}: something was there for {last_seen:?}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), figure.as_bytes());
}

#[test]
fn alone_ten_services_that_run_are_gone_three_seconds_after_sigkill() {
    ten_services_are_gone_in_time("everything runs", |run| run.until_suite_started("checks"));
}

#[test]
fn alone_ten_services_that_are_created_are_gone_three_seconds_after_sigkill() {
    ten_services_are_gone_in_time("containers are created and started", |run| {
        run.event("the third start", |event| {
            event.is("service_started", "server2")
        });
    });
}

/// Kills envrun while its first request of this kind is on the way, and lets the request arrive
/// when envrun is dead and the watchdog has begun to look.
#[track_caller]
fn what_arrives_late_is_reaped(request: &'static str) {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let engine = FaultyEngine::holding(&project, request);
    let mut command = project.command(&[]);
    command.env("DOCKER_HOST", engine.address());
    let mut run = Run::start(&project, command, "out");
    let id = run.id();
    run.watchdog();
    engine.until_holding();
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(5));
    // An empty listing proves nothing to the watchdog, which knows what was asked for, and looks
    // again.
    let before = engine.listings();
    wait::until(
        "a second look of the watchdog",
        Duration::from_secs(5),
        || (engine.listings() >= before + 2 && project.engine.of_run(&id).is_empty()).then_some(()),
    );
    engine.let_go();
    wait::until("the end of the watchdog", WATCHFUL_FOR, || {
        watchdog_of(&id).is_none().then_some(())
    });
    assert!(engine.passed_on() > 0);
    assert_eq!(project.engine.of_run(&id), []);
}

#[test]
fn a_container_that_is_created_after_the_death_of_envrun_is_reaped() {
    what_arrives_late_is_reaped("POST /containers/create");
}

#[test]
fn a_network_that_is_created_after_the_death_of_envrun_is_reaped() {
    what_arrives_late_is_reaped("POST /networks/create");
}

#[test]
fn the_watchdog_survives_the_death_of_the_process_group() {
    let project = held();
    let mut run = project.start();
    run.until_suite_started("checks");
    run.watchdog();
    kill_process_group(run.process(), Signal::KILL).unwrap();
    assert_reaped(run, &project);
}

#[test]
fn the_watchdog_carries_none_of_the_variables_by_which_ci_systems_kill() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut command = project.command(&[]);
    let tracking = [
        "RUNNER_TRACKING_ID",
        "JENKINS_NODE_COOKIE",
        "JENKINS_SERVER_COOKIE",
        "BUILD_ID",
    ];
    for name in tracking {
        command.env(name, "a-job");
    }
    let mut run = Run::start(&project, command, "out");
    let watchdog = run.watchdog();
    let environment =
        std::fs::read(format!("/proc/{}/environ", watchdog.as_raw_nonzero())).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    for name in tracking {
        assert!(!environment.contains(name), "{name} in {environment}");
    }
    project.open_gate();
    run.finish().assert_code(0);
}

/// The numbers of `/proc/PID/stat` from the state on.
fn stat(process: Pid) -> Vec<String> {
    let path = format!("/proc/{}/stat", process.as_raw_nonzero());
    let text = std::fs::read_to_string(path).unwrap();
    let (_, fields) = text.rsplit_once(") ").unwrap();
    fields.split(' ').map(str::to_owned).collect()
}

#[test]
fn the_watchdog_has_a_session_of_its_own_and_nothing_of_whoever_started_envrun() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut command = Command::new("bash");
    command
        .args(["-c", "exec \"$@\" 7>inherited 9<&1", "bash"])
        .arg(env!("CARGO_BIN_EXE_envrun"))
        .args(["run", "--no-gc", "--out", "out"])
        .current_dir(project.directory());
    let mut run = Run::start(&project, command, "out");
    let watchdog = run.watchdog();
    run.until_suite_started("checks");
    let number = watchdog.as_raw_nonzero().to_string();
    let fields = stat(watchdog);
    let (group, session, terminal) = (&fields[2], &fields[3], &fields[4]);
    assert_eq!((group, session), (&number, &number));
    assert_eq!(terminal, "0", "it has a terminal");
    let open = std::fs::read_dir(format!("/proc/{number}/fd")).unwrap();
    let open: Vec<(String, String)> = open
        .map(|entry| {
            let entry = entry.unwrap();
            let target = std::fs::read_link(entry.path()).unwrap();
            (
                entry.file_name().into_string().unwrap(),
                target.display().to_string(),
            )
        })
        .collect();
    let is_own = |(number, target): &(String, String)| match number.as_str() {
        "0" | "1" => target.starts_with("pipe:"),
        "2" => target == "/dev/null",
        _ => false,
    };
    assert!(open.iter().all(is_own), "{open:?}");
    let directory = std::fs::read_link(format!("/proc/{number}/cwd")).unwrap();
    assert_eq!(directory.to_str(), Some("/"));
    project.open_gate();
    run.finish().assert_code(0);
}

#[test]
fn a_watchdog_that_is_stopped_disturbs_nothing() {
    let project = held();
    let mut run = project.start();
    kill_process(run.watchdog(), Signal::STOP).unwrap();
    project.open_gate();
    let watchdog = run.watchdog();
    run.finish().assert_code(0);
    // It reads that the run is over as soon as it may.
    kill_process(watchdog, Signal::CONT).unwrap();
    let gone = || {
        rustix::process::test_kill_process(watchdog)
            .is_err()
            .then_some(())
    };
    wait::until("the end of the watchdog", Duration::from_secs(10), gone);
}

#[test]
fn the_watchdog_goes_with_a_run_that_ends_by_itself() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut run = project.start();
    let id = run.id();
    run.watchdog();
    project.open_gate();
    run.finish().assert_code(0);
    wait::until("the end of the watchdog", Duration::from_secs(5), || {
        watchdog_of(&id).is_none().then_some(())
    });
}
