//! `envrun run -- COMMAND`: a command on this host, in the environment of the file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, test_kill_process};

use crate::harness::{Finished, Project, Run, engine, image, wait};

/// A server that says what it is asked for, and a client of the shell.
fn web() -> String {
    format!(
        "
services:
  my-web:
    {python}
    command: [python3, -m, http.server, '8000']
    working_dir: /srv
    expose: ['8000']
",
        python = image::python()
    )
}

/// The command that writes down its environment.
const SHOW: &str = "env | grep -E '^(MY_|DB_|ENVRUN_)' | sort > shown; exec 3<>/dev/tcp/$MY_WEB_HOST/$MY_WEB_PORT; printf 'GET / HTTP/1.0\r\n\r\n' >&3; head -1 <&3";

fn start<'project>(project: &'project Project, arguments: &[&str]) -> Run<'project> {
    let mut all = vec!["run", "--out", "out"];
    all.extend(arguments);
    let command = project.envrun(&all);
    Run::start(project, command, "out")
}

fn run<'project>(project: &'project Project, arguments: &[&str]) -> Finished<'project> {
    start(project, arguments).finish()
}

fn shown(project: &Project) -> BTreeMap<String, String> {
    let text = fs::read_to_string(project.path("shown")).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The process that has written its number into a file, once it is there.
fn process(project: &Project, file: &str) -> Pid {
    wait::until("the number of a process", Duration::from_secs(60), || {
        let text = fs::read_to_string(project.path(file)).ok()?;
        Pid::from_raw(text.strip_suffix('\n')?.parse().ok()?)
    })
}

fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // One that has ended and that nobody has waited for is gone as well.
    test_kill_process(pid).is_ok() && stat.is_ok_and(|text| !text.contains(") Z "))
}

#[track_caller]
fn until_gone(pid: Pid, deadline: Duration) {
    wait::until("the end of a process", deadline, || {
        (!is_alive(pid)).then_some(())
    });
}

#[test]
fn without_a_suite_in_the_file_it_is_the_only_one_and_finds_the_services() {
    let project = Project::new(&web());
    let finished = run(&project, &["--", "bash", "-c", SHOW]);
    finished.assert_code(0);
    assert!(
        String::from_utf8(finished.log("bash"))
            .unwrap()
            .contains("200 OK")
    );
    let shown = shown(&project);
    assert_eq!(shown["MY_WEB_PORT"], "8000");
    assert_eq!(shown["MY_WEB_PORT_8000"], "8000");
    assert_eq!(shown["ENVRUN_RUN"], finished.id());
    assert_eq!(
        Path::new(&shown["ENVRUN_OUT"]),
        project.path("out").canonicalize().unwrap()
    );
    // On this host the containers themselves are reached, and nothing is published.
    assert!(shown["MY_WEB_HOST"].starts_with("10."), "{shown:?}");
    let (_, started) = finished.about("service_started", "my-web");
    assert_eq!(started.at("/host_ports/0"), "");
    let (begun, _) = finished.about("suite_started", "bash");
    assert!(finished.about("service_ready", "my-web").0 < begun);
    let report = finished.junit();
    assert!(
        report.suites.iter().any(|suite| suite == "bash"),
        "{:?}",
        report.suites
    );
}

#[test]
fn postgres_answers_a_command_with_its_suites_beside_it() {
    let project = Project::with_postgres(&format!(
        "
services:
  db:
    image: {image}
    environment: {{ POSTGRES_PASSWORD: secret }}
  schema:
    image: {image}
    environment: {{ PGHOST: db, PGUSER: postgres, PGPASSWORD: secret }}
    entrypoint: [psql, -v, ON_ERROR_STOP=1, -c, 'create table done (at int)']
    depends_on: {{ db: {{ condition: service_healthy }} }}
    x-envrun: {{ ready: {{ completed: true }} }}
  unit: {{ image: {base}, command: ['true'], x-envrun: {{ suite: {{}} }} }}
",
        image = image::postgres(),
        base = image::BASE,
    ));
    // The start of the protocol: SSLRequest, which the server answers with one letter.
    let script = "import os, socket\n\
        server = socket.create_connection((os.environ['DB_HOST'], int(os.environ['DB_PORT'])), 5)\n\
        server.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))\n\
        assert server.recv(1) in (b'N', b'S')\n\
        open('report.xml', 'w').write('<testsuite name=\"ssl\"><testcase name=\"asked\"/></testsuite>')\n";
    let finished = run(
        &project,
        &[
            "--command-name",
            "handshake",
            "--junit",
            "*.xml",
            "--",
            "python3",
            "-c",
            script,
        ],
    );
    finished.assert_code(0);
    let report = finished.junit();
    assert_eq!(
        report.of("handshake").len() + report.of("ssl").len(),
        1,
        "{:?}",
        report.suites
    );
    assert!(
        finished.about("service_completed", "schema").0
            < finished.about("suite_started", "handshake").0
    );
    assert!(finished.has("suite_finished", "unit"));

    // The report is there now, and a second run that writes none must not pass by it.
    let stale = run(
        &project,
        &[
            "--command-name",
            "handshake",
            "--junit",
            "*.xml",
            "--skip",
            "unit",
            "--",
            "true",
        ],
    );
    stale.assert_code(1);
    assert!(
        stale.stderr.contains("not written since"),
        "{}",
        stale.stderr
    );
}

#[test]
fn its_exit_and_its_signal_are_told() {
    let project = Project::new(&web());
    run(&project, &["--", "bash", "-c", "exit 7"]).assert_code(1);
    let killed = run(&project, &["--", "bash", "-c", "kill -SEGV $$"]);
    killed.assert_code(1);
    assert!(killed.stderr.contains("SIGSEGV"), "{}", killed.stderr);
    let late = run(&project, &["--timeout", "500ms", "--", "sleep", "600"]);
    late.assert_code(1);
    assert!(
        late.stderr.contains("was killed after its limit of 0.5s"),
        "{}",
        late.stderr
    );
    // Nothing to read, and a working directory of its own.
    let input = run(
        &project,
        &["--", "bash", "-c", "! read -r line && [ -e compose.yaml ]"],
    );
    input.assert_code(0);
}

#[test]
fn what_it_leaves_running_is_ended_with_it() {
    let project = Project::new(&web());
    let script = "sleep 600 & echo $! > polite
        bash -c 'trap \"\" TERM; echo $$ > stubborn; while :; do sleep 0.1; done' &
        until [ -s stubborn ]; do sleep 0.02; done";
    let finished = run(&project, &["--", "bash", "-c", script]);
    finished.assert_code(0);
    for file in ["polite", "stubborn"] {
        assert!(!is_alive(process(&project, file)), "{file}");
    }
}

#[test]
fn an_interrupt_ends_it_before_envrun_ends() {
    let project = Project::new(&web());
    let script =
        "trap 'echo told > told; exit 3' TERM; echo $$ > number; while :; do sleep 0.05; done";
    let run = start(&project, &["--", "bash", "-c", script]);
    let command = process(&project, "number");
    run.signal(Signal::INT);
    let finished = run.finish();
    finished.assert_code(130);
    assert!(!is_alive(command));
    assert!(project.path("told").exists());
}

#[test]
fn after_sigkill_the_watchdog_ends_its_group() {
    let project = Project::new(&web());
    let script = "echo $$ > number; sleep 600 & echo $! > child
        trap '' TERM; while :; do sleep 0.1; done";
    let mut run = start(&project, &["--", "bash", "-c", script]);
    let (command, child) = (process(&project, "number"), process(&project, "child"));
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(10));
    until_gone(child, Duration::from_secs(10));
    until_gone(command, Duration::from_secs(10));
    run.until_nothing_is_left(Duration::from_secs(30));
}

/// The command has gone, and what it has left in its group is still known by its environment.
#[test]
fn after_sigkill_the_rest_of_a_group_is_ended_too() {
    let project = Project::new(&web());
    // What the first one leaves ignores SIGTERM, so that envrun is still waiting for it when it dies.
    let script = "bash -c 'trap \"\" TERM; echo $$ > left; while :; do sleep 0.1; done' &
        until [ -s left ]; do sleep 0.02; done";
    let mut run = start(&project, &["--", "bash", "-c", script]);
    let left = process(&project, "left");
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(10));
    until_gone(left, Duration::from_secs(10));
    run.until_nothing_is_left(Duration::from_secs(30));
}

#[test]
fn any_bytes_and_many_of_them_are_its_output() {
    let project = Project::new(&web());
    let finished = run(
        &project,
        &[
            "--",
            "bash",
            "-c",
            "printf 'a\\0\\377\\033[31mb\\n'; head -c 20971520 /dev/zero | tr '\\0' x; echo end >&2",
        ],
    );
    finished.assert_code(0);
    let log = finished.log("bash");
    assert!(log.len() >= 20 << 20, "{}", log.len());
    let crosses = log.iter().filter(|byte| **byte == b'x').count();
    assert_eq!(crosses, 20 << 20);
    assert!(log.windows(2).any(|two| two == b"\0\xff"));
    finished.junit();
}

/// A process that leaves the group and holds the output does not hold up the run. It is not ended.
#[test]
fn one_that_leaves_the_group_holds_up_nothing() {
    let project = Project::new(&web());
    let begun = Instant::now();
    let finished = run(
        &project,
        &[
            "--",
            "bash",
            "-c",
            "setsid bash -c 'echo $$ > away; exec sleep 20' & until [ -s away ]; do sleep 0.02; done",
        ],
    );
    finished.assert_code(0);
    assert!(begun.elapsed() < Duration::from_secs(15));
    let away = process(&project, "away");
    assert!(is_alive(away));
    rustix::process::kill_process(away, Signal::KILL).unwrap();
}

#[test]
fn what_cannot_be_run_is_told_before_anything_starts() {
    let project = Project::new(&web());
    project.file("plain", "no program");
    let said = |arguments: &[&str]| {
        let mut all = vec!["run", "--out", "none"];
        all.extend(arguments);
        let output = project.envrun(&all).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        assert!(!project.path("none/events.jsonl").exists());
        String::from_utf8(output.stderr).unwrap()
    };
    let neither = said(&[]);
    assert!(
        neither.contains("`envrun run -- COMMAND`") && neither.contains("suite: {}"),
        "{neither}"
    );
    assert!(said(&["--", "no-such-program"]).contains("not on the PATH"));
    assert!(said(&["--", "./plain"]).contains("not executable"));
    assert!(said(&["--", "."]).contains("directory"));
    assert!(said(&["--junit", "*.xml"]).contains("COMMAND"));
    assert!(said(&["--junit", "/tmp/*.xml", "--", "true"]).contains("absolute"));
    assert!(said(&["--junit", "[", "--", "true"]).contains("glob"));
    assert!(said(&["--timeout", "5", "--", "true"]).contains("--timeout"));
    assert!(said(&["--command-name", "../x", "--", "true"]).contains("letters"));
    assert!(said(&["--command-name", "my-web", "--", "true"]).contains("already"));
    project.file(
        "compose.yaml",
        format!("services: {{ web: {{ image: {} }} }}", image::BASE),
    );
    let strangers = said(&["--untrusted", "--", "true"]);
    assert!(
        strangers.contains("cannot be run with `--untrusted`"),
        "{strangers}"
    );
}

#[test]
fn it_runs_in_a_held_environment_too() {
    let project = Project::new(&web());
    let command = project.envrun(&["up", "--for", "5m", "--out", "up"]);
    let mut up = Run::start(&project, command, "up");
    let held = up.ended();
    held.assert_code(0);
    let id = held.id().to_owned();
    let finished = run(&project, &["--in", &id, "--", "bash", "-c", SHOW]);
    finished.assert_code(0);
    assert_eq!(shown(&project)["MY_WEB_PORT"], "8000");
    let down = project.envrun(&["down", &id]).output().unwrap();
    assert_eq!(down.status.code(), Some(0), "{down:?}");
}

/// In a job container the engine's networks are out of reach: ports are published on the bridge that leads to
/// the engine's host, and only there.
#[test]
fn in_a_job_container_it_finds_published_ports() {
    let project = Project::new(&format!(
        "
services:
  my-web: {{ image: {}, expose: ['80'] }}
",
        image::server("web")
    ));
    project.engine.require_image(&image::server("web"));
    let host = engine::host();
    let socket = host.strip_prefix("unix://").expect("a socket");
    let directory = project.directory().display();
    let script =
        "echo \"at $MY_WEB_HOST $MY_WEB_PORT\"; exec 3<>/dev/tcp/$MY_WEB_HOST/$MY_WEB_PORT";
    let output = std::process::Command::new("docker")
        .args(["run", "--rm", "--name", &format!("{}-job", project.name)])
        .args([
            "--label",
            &format!("{}={}", engine::PROJECT_LABEL, project.name),
        ])
        .arg(format!("--volume={socket}:/run/docker.sock"))
        .arg(format!(
            "--volume={}:/usr/local/bin/envrun:ro",
            env!("CARGO_BIN_EXE_envrun")
        ))
        .arg(format!("--volume={directory}:{directory}"))
        .arg(format!("--workdir={directory}"))
        .args([
            image::BASE,
            "envrun",
            "run",
            "--no-gc",
            "--out",
            "out",
            "--",
            "bash",
            "-c",
            script,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let log = fs::read_to_string(project.path("out/logs/bash.log")).unwrap();
    assert!(
        log.starts_with("at 172.") || log.starts_with("at 192.168."),
        "{log}"
    );
    assert!(!log.contains(" 80\n"), "{log}");
}
