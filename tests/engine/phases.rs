//! A signal at every phase of a run of ten services with everything that takes time: from the signal
//! to the end of the process with nothing left it is less than five seconds, and there is a report.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::harness::faulty_engine::FaultyEngine;
use crate::harness::project::held_suite;
use crate::harness::registry::{Access, Registry, Trouble};
use crate::harness::run::watchdog_of;
use crate::harness::{Finished, Project, Run, image, junit, wait};

/// From the signal to the end of the process, with nothing left on the engine.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Ten services on two networks: volumes of their own, replicas, hooks at both ends, a grace, a secret,
/// a restart policy, and a suite that waits for all of them. `lines` are those of a further service,
/// or of nothing.
fn ten_services(further: &str) -> Project {
    let base = image::BASE;
    let plain: String = (3..=10)
        .map(|number| {
            format!(
                "  service{number}:
    image: {base}
    command: [sleep, infinity]
    networks: [front, back]
    volumes: [\"data{number}:/data\"]
"
            )
        })
        .collect();
    let volumes: String = (3..=10)
        .map(|number| format!("data{number}: {{}}, "))
        .collect();
    let all: String = (1..=10)
        .map(|number| format!("service{number}, "))
        .collect();
    let project = Project::new(&format!(
        "
services:
  service1:
    image: {base}
    command: [bash, -c, 'trap \"exit 0\" TERM; while :; do sleep 0.05; done']
    networks: [front]
    secrets: [password]
    pre_stop: [{{ command: [bash, -c, \"true\"] }}]
    x-envrun: {{ stop_grace: 60s }}
  service2:
    image: {base}
    command: [sleep, infinity]
    scale: 2
    networks: [back]
    post_start: [{{ command: [bash, -c, \"true\"] }}]
    restart: always
{plain}{further}  checks:
    {held}
    networks: [front, back]
    depends_on: [{all}]
networks: {{ front: {{}}, back: {{ internal: true }} }}
volumes: {{ {volumes} }}
secrets: {{ password: {{ file: ./password }} }}
",
        held = held_suite(),
    ));
    project.file("password", "correct horse battery staple");
    project
}

/// Sends the signal, waits for the end, and checks what holds after every signal.
#[track_caller]
fn gone_after<'project>(
    run: Run<'project>,
    signal: Signal,
    phase: &str,
    within: Duration,
) -> Finished<'project> {
    let sent = Instant::now();
    run.signal(signal);
    // Looks at the engine as well.
    let finished = run.finish();
    let took = sent.elapsed();
    let _ = writeln!(std::io::stderr(), "gone after {took:?}: {phase}");
    let code = 128 + signal.as_raw();
    finished.assert_code(code);
    assert!(took < within, "{phase}: {took:?}:\n{}", finished.stderr);
    assert_interrupted(&finished.junit());
    finished
}

#[track_caller]
fn assert_interrupted(report: &junit::Report) {
    let environment = report.of("envrun.environment");
    assert!(
        environment.iter().any(|case| case.kind == "Interrupted"),
        "{:#?}",
        report.cases
    );
}

#[test]
fn while_an_image_is_pulled() {
    let registry = Registry::with_access(Access::Everybody, &["team/slow:1"]);
    registry.trouble(&[Trouble::Stall; 8]);
    let image = registry.name("team/slow:1");
    let project = ten_services(&format!("  pulled: {{ image: \"{image}\", scale: 1 }}\n"));
    let mut run = project.start();
    run.event("the pull", |event| event.kind() == "pull_started");
    wait::until("the pull at the registry", Duration::from_secs(20), || {
        (registry.pulls() > 0).then_some(())
    });
    gone_after(run, Signal::INT, "pulling", GONE_WITHIN);
}

#[test]
fn while_an_image_is_built() {
    let project = ten_services("  built: { build: ./built }\n");
    let dockerfile = format!(
        "FROM {}\nRUN echo {} && sleep 60\n",
        image::BASE,
        project.name
    );
    project.file("built/Dockerfile", dockerfile);
    let mut run = project.start();
    let log = project.path("out/logs/builds/built.log");
    run.event("the build", |event| {
        event.kind() == "step_started" && event.text("what").starts_with("build image")
    });
    wait::until("the step that sleeps", Duration::from_secs(60), || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        said.contains("sleep 60").then_some(())
    });
    gone_after(run, Signal::TERM, "building", GONE_WITHIN);
}

#[test]
fn while_networks_and_containers_are_created() {
    for (what, signal) in [
        ("create network", Signal::HUP),
        ("create container", Signal::INT),
    ] {
        let project = ten_services("");
        let mut run = project.start();
        run.event(what, |event| {
            event.kind() == "step_started" && event.text("what").starts_with(what)
        });
        gone_after(run, signal, what, GONE_WITHIN);
    }
}

#[test]
fn while_containers_start() {
    let project = ten_services("");
    let mut run = project.start();
    run.event("a start", |event| event.kind() == "service_started");
    gone_after(run, Signal::TERM, "starting", GONE_WITHIN);
}

#[test]
fn while_a_service_is_waited_for() {
    let project = ten_services(&format!(
        "  never: {{ image: {}, command: [sleep, infinity], x-envrun: {{ ready: {{ tcp: 9 }} }} }}\n",
        image::BASE
    ));
    let compose = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let compose = compose.replace("depends_on: [", "depends_on: [never, ");
    project.file("compose.yaml", compose);
    let mut run = project.start();
    run.event("its start", |event| event.is("service_started", "never"));
    gone_after(run, Signal::INT, "waiting", GONE_WITHIN);
}

#[test]
fn while_suites_run() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let project = ten_services("");
        let mut run = project.start();
        run.until_suite_started("checks");
        gone_after(run, signal, "running suites", GONE_WITHIN);
    }
}

#[test]
fn while_it_is_torn_down_the_first_signal_skips_graces() {
    let stubborn = format!(
        "  stubborn: {{ image: {}, command: [sleep, infinity], x-envrun: {{ stop_grace: 60s }} }}\n",
        image::BASE
    );
    let project = ten_services(&stubborn);
    let mut run = project.start();
    run.until_suite_started("checks");
    project.open_gate();
    run.event("the beginning of the teardown", |event| {
        event.kind() == "teardown_started"
    });
    let sent = Instant::now();
    run.signal(Signal::TERM);
    let finished = run.finish();
    let took = sent.elapsed();
    assert!(took < GONE_WITHIN, "{took:?}:\n{}", finished.stderr);
    // The verdict was out before the signal, and stays.
    finished.assert_code(0);
    assert_eq!(finished.junit().of("checks")[0].result, "passed");
}

/// A service that does not end by its stop signal and has a minute to do so, and a suite.
fn stubborn() -> Project {
    Project::new(&format!(
        "
services:
  stubborn:
    image: {base}
    command: [sleep, infinity]
    x-envrun: {{ stop_grace: 60s }}
  checks:
    {held}
    depends_on: [stubborn]
",
        base = image::BASE,
        held = held_suite()
    ))
}

#[test]
fn the_second_signal_skips_a_grace_of_a_minute() {
    let project = stubborn();
    let mut run = project.start();
    run.until_suite_started("checks");
    run.signal(Signal::INT);
    run.event("the beginning of the teardown", |event| {
        event.kind() == "teardown_started"
    });
    let id = run.id();
    // The suite asks for no grace, and goes only with the others.
    assert!(!project.engine.of_run(&id).is_empty());
    let sent = Instant::now();
    run.signal(Signal::INT);
    let finished = run.finish();
    finished.assert_code(130);
    assert!(sent.elapsed() < GONE_WITHIN, "{:?}", sent.elapsed());
    assert_interrupted(&finished.junit());
}

#[test]
fn the_third_signal_ends_envrun_and_says_exactly_what_to_do() {
    let project = stubborn();
    let engine = FaultyEngine::holding(&project, "DELETE /containers/*");
    let mut command = project.command(&[]);
    command.env("DOCKER_HOST", engine.address());
    let mut run = Run::start(&project, command, "out");
    run.until_suite_started("checks");
    let id = run.id();
    for signal in [Signal::INT, Signal::TERM, Signal::INT] {
        let before = run.signals();
        run.signal(signal);
        run.until_signals(before + 1);
    }
    let sent = Instant::now();
    let finished = run.ended();
    assert!(sent.elapsed() < GONE_WITHIN, "{:?}", sent.elapsed());
    finished.assert_code(130);
    let command = format!("`envrun gc --run {id}` removes what is left");
    assert!(finished.stderr.contains(&command), "{}", finished.stderr);
    assert_interrupted(&finished.junit());
    engine.let_go();
    run.until_nothing_is_left(Duration::from_secs(20));
    // What was printed can be typed.
    let output = project.envrun(&["gc", "--run", &id]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    wait::until("the end of the watchdog", Duration::from_secs(80), || {
        watchdog_of(&id).is_none().then_some(())
    });
}

#[test]
fn while_files_are_uploaded_and_while_a_hook_runs_and_while_a_restart_is_waited_for() {
    let base = image::BASE;
    let uploading = Project::new(&format!(
        "services:\n  checks:\n    {}\n    secrets: [password]\nsecrets: {{ password: {{ file: ./password }} }}\n",
        held_suite()
    ))
    .having("password", "correct horse battery staple");
    let engine = FaultyEngine::holding(&uploading, "PUT /containers/*/archive");
    let mut command = uploading.command(&[]);
    command.env("DOCKER_HOST", engine.address());
    let mut run = Run::start(&uploading, command, "out");
    engine.until_holding();
    run.id();
    gone_after(run, Signal::TERM, "uploading", GONE_WITHIN);
    engine.let_go();

    let hooked = Project::new(&format!(
        "services:\n  server:\n    image: {base}\n    command: [sleep, infinity]\n    {gate}\n    post_start: [{{ command: [bash, -c, 'until [ -e /gate/open ]; do sleep 0.1; done'] }}]\n  checks: {{ image: {base}, depends_on: [server], x-envrun: {{ suite: {{}} }} }}\n",
        gate = crate::harness::project::GATE,
    ));
    let mut run = hooked.start();
    run.event("its start", |event| event.is("service_started", "server"));
    gone_after(run, Signal::HUP, "a hook", GONE_WITHIN);

    let crashing = Project::new(&format!(
        "services:\n  server: {{ image: {base}, command: [\"false\"], restart: always, expose: [80], x-envrun: {{ ready: {{ tcp: 80 }} }} }}\n  checks: {{ image: {base}, depends_on: [server], x-envrun: {{ suite: {{}} }} }}\n",
    ));
    let mut run = crashing.start();
    run.event("a long pause", |event| {
        event.is("service_restarting", "server") && event.number("pause_ms") >= 800
    });
    gone_after(run, Signal::INT, "a pause before a restart", GONE_WITHIN);
}

/// Before there is a plan: the file comes through a pipe that nobody closes.
#[test]
fn before_there_is_a_plan() {
    let project = Project::new("");
    project.file("out/junit.xml", "<testsuites/>");
    let mut command = project.command(&["-f", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::create(project.path("stderr")).unwrap())
        .spawn()
        .unwrap();
    // Waiting for a child closes the pipe that the child still holds.
    let _open = child.stdin.take();
    let process = rustix::process::Pid::from_child(&child);
    wait::until("its handlers", Duration::from_secs(10), || {
        handles(process, Signal::TERM).then_some(())
    });
    let sent = Instant::now();
    kill_process(process, Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    assert!(sent.elapsed() < GONE_WITHIN);
    let report = std::fs::read(project.path("out/junit.xml")).unwrap();
    assert_interrupted(&junit::Report::parse(&report));
    let said = std::fs::read_to_string(project.path("stderr")).unwrap();
    assert_eq!(
        said,
        "error: ended by SIGTERM before anything was started\n"
    );
}

/// Whether a process has a handler of its own for a signal.
fn handles(process: rustix::process::Pid, signal: Signal) -> bool {
    let status = format!("/proc/{}/status", process.as_raw_nonzero());
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
}

/// An engine that never answers is found out before the run knows it, and a signal does not wait for
/// it.
#[test]
fn while_an_engine_that_is_hung_is_asked_who_it_is() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let engine = FaultyEngine::start(&project);
    engine.fault("*", crate::harness::faulty_engine::Fault::Stall);
    let mut command = project.command(&[]);
    command.env("DOCKER_HOST", engine.address());
    let mut run = Run::start(&project, command, "out");
    engine.until_hit();
    run.id();
    let finished = gone_after(run, Signal::INT, "asking a hung engine", GONE_WITHIN);
    assert_ne!(finished.junit().of("checks")[0].result, "passed");
}

/// A directory whose every `fdatasync` takes half a minute.
#[test]
fn while_reports_are_written_to_a_slow_directory() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    project.file(
        "slow.c",
        "#include <unistd.h>\nint fdatasync(int file) { sleep(30); return 0; }\n",
    );
    let library = project.path("slow.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &project.path("slow.c")])
        .status();
    assert!(compiled.unwrap().success());
    let mut command = project.command(&[]);
    command.env("LD_PRELOAD", &library);
    let mut run = Run::start(&project, command, "out");
    run.until_suite_started("checks");
    let id = run.id();
    let sent = Instant::now();
    run.signal(Signal::TERM);
    // The engine is clean long before the directory has taken anything.
    run.until_nothing_is_left(GONE_WITHIN);
    assert!(sent.elapsed() < GONE_WITHIN);
    let finished = run.finish();
    finished.assert_code(143);
    assert!(
        finished.stderr.contains("took nothing within 10s"),
        "{}",
        finished.stderr
    );
    assert_eq!(watchdog_of(&id), None);
}

#[test]
fn a_reader_that_has_seen_enough_ends_neither_the_run_nor_its_reports() {
    let project = Project::new(&format!(
        "services:\n  checks: {{ image: {}, command: [\"true\"], x-envrun: {{ suite: {{}} }} }}\n",
        image::BASE
    ));
    let script = "\"$0\" run --out out 2>&1 <&- | head -1; exit ${PIPESTATUS[0]}";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_envrun")])
        .current_dir(project.directory())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = std::fs::read(project.path("out/junit.xml")).unwrap();
    let report = junit::Report::parse(&report);
    assert_eq!(report.of("checks")[0].result, "passed");
    assert_eq!(
        report.case("envrun.environment", "teardown").result,
        "passed"
    );
}

#[test]
fn closed_standard_streams_end_neither_the_run_nor_its_reports() {
    let project = Project::new(&format!(
        "services:\n  checks: {{ image: {}, command: [\"true\"], x-envrun: {{ suite: {{}} }} }}\n",
        image::BASE
    ));
    let status = Command::new("bash")
        .args(["-c", "exec \"$0\" run --out out <&- >&- 2>&-"])
        .arg(env!("CARGO_BIN_EXE_envrun"))
        .current_dir(project.directory())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    // None of the files has become a standard stream.
    let mut events = String::new();
    File::open(project.path("out/events.jsonl"))
        .unwrap()
        .read_to_string(&mut events)
        .unwrap();
    assert!(events.lines().all(|line| line.starts_with("{\"schema\"")));
    let report = std::fs::read(project.path("out/junit.xml")).unwrap();
    assert_eq!(
        junit::Report::parse(&report).of("checks")[0].result,
        "passed"
    );
}

#[test]
fn in_the_background_with_all_signals_ignored() {
    for (name, signal) in [
        ("INT", Signal::INT),
        ("TERM", Signal::TERM),
        ("HUP", Signal::HUP),
    ] {
        let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("trap '' {name}; exec \"$@\""), "bash"])
            .args([env!("CARGO_BIN_EXE_envrun"), "run", "--out", "out"])
            .current_dir(project.directory());
        let mut run = Run::start(&project, command, "out");
        run.until_suite_started("checks");
        gone_after(run, signal, "ignored signals", GONE_WITHIN);
    }
}
