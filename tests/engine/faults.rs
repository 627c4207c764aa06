//! What happens to a run when the engine, or what is between, does not do as it should: the run goes on
//! where it can, else it ends with the right code, the cause in one line, and nothing left.

use std::time::{Duration, Instant};

use crate::harness::faulty_engine::{Fault, FaultyEngine};
use crate::harness::project::{GATE, UNTIL_OPEN};
use crate::harness::run::watchdog_of;
use crate::harness::{Finished, Project, Run, image, wait};

/// A project that uses every verb: networks, a volume, a secret, hooks, a healthcheck, a suite with a
/// report.
fn every_verb() -> Project {
    let base = image::BASE;
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
    networks: [front, back]
    volumes: [\"data:/data\"]
    secrets: [password]
    post_start: [{{ command: [bash, -c, 'echo hooked > /data/hook'] }}]
    healthcheck: {{ test: [CMD, test, -e, /data/hook], interval: 100ms }}
  checks:
    image: {base}
    working_dir: /work
    networks: [front]
    {GATE}
    depends_on: {{ server: {{ condition: service_healthy }} }}
    command:
      - bash
      - -c
      - |
        {UNTIL_OPEN}
        mkdir -p reports
        echo '<testsuite name=\"s\"><testcase classname=\"c\" name=\"t\"/></testsuite>' > reports/a.xml
        echo done
    x-envrun: {{ suite: {{ junit: 'reports/*.xml' }} }}
networks: {{ front: {{}}, back: {{}} }}
volumes: {{ data: {{}} }}
secrets: {{ password: {{ file: ./password }} }}
"
    ))
    .having("password", "correct horse battery staple")
}

fn start<'project>(project: &'project Project, engine: &FaultyEngine) -> Run<'project> {
    let mut command = project.command(&[]);
    command.env("DOCKER_HOST", engine.address());
    Run::start(project, command, "out")
}

/// What is true of every end: the code, a report that agrees, and one line of cause.
#[track_caller]
fn assert_end(finished: &Finished<'_>, code: i32, what: &str) {
    assert_eq!(finished.code, code, "{what}:\n{}", finished.stderr);
    let causes = finished.stderr.matches("error: ").count();
    let report = finished.junit();
    let passed = report
        .of("checks")
        .iter()
        .all(|case| case.result == "passed");
    if code == 0 {
        assert!(passed, "{what}: {:#?}", report.cases);
        assert_eq!(causes, 0, "{what}:\n{}", finished.stderr);
    } else {
        assert!(!passed, "{what}: {:#?}", report.cases);
        assert_eq!(causes, 1, "{what}:\n{}", finished.stderr);
    }
}

/// Every verb of a run, and what comes of it when the first such request meets trouble: an answer of
/// 500, a connection that is closed before the engine hears of it, an answer that is lost, and
/// garbage. What only reads is asked again; what has taken effect is found; what is told as refused,
/// and what the engine may still get, ends the run.
const VERBS: &[(&str, [i32; 4])] = &[
    ("GET /version", [0, 0, 0, 0]),
    ("GET /images/*/json", [0, 0, 0, 0]),
    ("POST /networks/create", [4, 4, 0, 4]),
    ("POST /volumes/create", [4, 4, 0, 4]),
    ("POST /containers/create", [4, 4, 0, 4]),
    ("PUT /containers/*/archive", [3, 4, 4, 4]),
    ("POST /networks/*/connect", [4, 4, 4, 4]),
    ("POST /containers/*/attach", [0, 0, 0, 0]),
    ("POST /containers/*/start", [3, 4, 0, 4]),
    ("GET /containers/*/json", [0, 0, 0, 0]),
    ("POST /containers/*/wait", [0, 0, 0, 0]),
    ("POST /containers/*/exec", [3, 4, 4, 4]),
    ("POST /exec/*/start", [3, 4, 0, 4]),
    ("GET /exec/*/json", [0, 0, 0, 0]),
    ("GET /containers/*/archive", [0, 0, 0, 0]),
    ("GET /containers/json", [0, 0, 0, 0]),
    ("GET /networks", [0, 0, 0, 0]),
    ("GET /volumes", [0, 0, 0, 0]),
    ("GET /images/json", [0, 0, 0, 0]),
    ("DELETE /containers/*", [0, 0, 0, 0]),
    ("DELETE /networks/*", [0, 0, 0, 0]),
    ("DELETE /volumes/*", [0, 0, 0, 0]),
];

/// Runs the whole project once for each verb, with one fault each.
#[track_caller]
fn every_verb_meets(fault: Fault, column: usize) {
    let mut wrong = Vec::new();
    for (verb, codes) in VERBS {
        let project = every_verb();
        project.open_gate();
        let engine = FaultyEngine::start(&project);
        engine.fault_times(verb, fault, 1);
        let finished = start(&project, &engine).finish();
        assert_eq!(engine.hits(), 1, "nobody has asked `{verb}`");
        let what = format!("{verb} {fault:?}");
        if finished.code == codes[column] {
            assert_end(&finished, codes[column], &what);
        } else {
            let said = finished
                .stderr
                .lines()
                .filter(|line| line.contains("error"));
            let said: Vec<_> = said.collect();
            wrong.push(format!("{what}: {} {said:?}", finished.code));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_verb_is_answered_with_500_once() {
    every_verb_meets(Fault::Answer(500, "trouble inside"), 0);
}

#[test]
fn every_verb_is_cut_off_once_before_the_engine_hears_of_it() {
    every_verb_meets(Fault::Close, 1);
}

#[test]
fn every_verb_loses_its_answer_once() {
    every_verb_meets(Fault::LoseReply, 2);
}

#[test]
fn every_verb_is_answered_with_garbage_once() {
    every_verb_meets(Fault::Garbage, 3);
}

#[test]
fn an_engine_that_is_slow_at_everything_is_waited_for() {
    let project = every_verb();
    project.open_gate();
    let engine = FaultyEngine::start(&project);
    engine.fault("*", Fault::Delay(Duration::from_millis(500)));
    let finished = start(&project, &engine).finish();
    assert_end(&finished, 0, "slow");
}

#[test]
fn removals_that_are_refused_for_a_while_are_tried_again() {
    for (verb, status, message) in [
        (
            "DELETE /containers/*",
            409,
            "removal of container x is already in progress",
        ),
        ("DELETE /networks/*", 403, "network x has active endpoints"),
        ("DELETE /volumes/*", 409, "volume is in use"),
        ("GET /volumes", 500, "plugin is gone"),
    ] {
        let project = every_verb();
        project.open_gate();
        let engine = FaultyEngine::start(&project);
        engine.fault_times(verb, Fault::Answer(status, message), 6);
        let finished = start(&project, &engine).finish();
        assert_end(&finished, 0, verb);
        assert!(engine.hits() >= 3, "{verb}: {}", engine.hits());
    }
}

/// Streams that are open while a suite runs, all cut again and again: the engine is well, so the run
/// goes on, the suite passes, and not a byte of its output is missing or there twice.
#[test]
fn a_suite_passes_although_its_streams_are_cut() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    {GATE}
    command: [bash, -c, 'for i in $$(seq 300); do echo out $$i; echo err $$i >&2; sleep 0.01; done; {UNTIL_OPEN}; echo last']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let engine = FaultyEngine::start(&project);
    let mut run = start(&project, &engine);
    run.until_suite_started("checks");
    let mut cuts = [0; 3];
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        for (count, stream) in cuts.iter_mut().zip([
            "POST /containers/*/attach",
            "GET /containers/*/logs",
            "POST /containers/*/wait",
        ]) {
            *count += engine.cut(stream);
        }
        wait::pass(Duration::from_millis(300));
    }
    assert!(cuts.iter().all(|count| *count > 0), "{cuts:?}");
    project.open_gate();
    let finished = run.finish();
    assert_end(&finished, 0, "cut streams");
    let log = String::from_utf8(finished.log("checks")).unwrap();
    let of = |stream: &str| {
        let lines = log.lines().filter(|line| line.starts_with(stream));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = |stream: &str| {
        (1..=300)
            .map(|i| format!("{stream} {i}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("out"), expected("out"));
    assert_eq!(of("err"), expected("err"));
    assert_eq!(log.lines().filter(|line| *line == "last").count(), 1);
}

#[test]
fn a_wait_that_is_never_answered_does_not_keep_the_end_of_a_suite_from_being_seen() {
    let project = every_verb();
    project.open_gate();
    let engine = FaultyEngine::start(&project);
    engine.fault("POST /containers/*/wait", Fault::Stall);
    let finished = start(&project, &engine).finish();
    assert_end(&finished, 0, "waits that stall");
}

#[test]
fn an_archive_that_breaks_off_is_read_again() {
    let project = every_verb();
    project.open_gate();
    let engine = FaultyEngine::start(&project);
    engine.fault_times("GET /containers/*/archive", Fault::CutAfter(700), 2);
    let finished = start(&project, &engine).finish();
    assert_end(&finished, 0, "archives");
    assert_eq!(engine.hits(), 2);
}

#[test]
fn a_hook_whose_output_is_cut_off_is_waited_for() {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
    {GATE}
    post_start: [{{ command: [bash, -c, '{UNTIL_OPEN}; touch /hooked'] }}]
    healthcheck: {{ test: [CMD, test, -e, /hooked], interval: 100ms }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: {{ server: {{ condition: service_healthy }} }}
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let engine = FaultyEngine::start(&project);
    let run = start(&project, &engine);
    wait::until("the hook", Duration::from_secs(60), || {
        (engine.cut("POST /exec/*/start") > 0).then_some(())
    });
    project.open_gate();
    assert_end(&run.finish(), 0, "a hook");
}

#[test]
fn a_kill_that_is_lost_is_sent_again() {
    let project = Project::new(&format!(
        "services:\n  checks:\n    image: {}\n    command: [sleep, infinity]\n    x-envrun: {{ suite: {{ timeout: 1s }} }}\n",
        image::BASE
    ));
    for fault in [
        Fault::Answer(500, "trouble inside"),
        Fault::Close,
        Fault::LoseReply,
    ] {
        let _ = std::fs::remove_file(project.path("engine.sock"));
        let engine = FaultyEngine::start(&project);
        engine.fault_times("POST /containers/*/kill", fault, 2);
        let finished = start(&project, &engine).finish();
        finished.assert_code(1);
        assert_eq!(finished.junit().of("checks")[0].kind, "Timeout");
        assert!(engine.hits() > 0);
    }
}

#[test]
fn an_engine_that_nobody_reaches_for_some_seconds_is_waited_for() {
    let project = every_verb();
    let engine = FaultyEngine::start(&project);
    let mut run = start(&project, &engine);
    run.until_suite_started("checks");
    engine.go_away();
    wait::pass(Duration::from_secs(3));
    engine.come_back();
    project.open_gate();
    let finished = run.finish();
    assert_end(&finished, 0, "away while a suite runs");

    let project = every_verb();
    let engine = FaultyEngine::start(&project);
    engine.fault("DELETE /containers/*", Fault::Hold);
    let mut run = start(&project, &engine);
    run.until_suite_started("checks");
    project.open_gate();
    engine.until_holding();
    engine.go_away();
    wait::pass(Duration::from_secs(3));
    engine.come_back();
    engine.let_go();
    assert_end(&run.finish(), 0, "away while it is torn down");
}

/// The engine stops answering for ever while a suite runs: the run ends by its own limits, says that
/// and what may be left, and the watchdog removes it when the engine is back.
#[track_caller]
fn lost_for_ever(hang: bool) {
    let project = every_verb();
    let engine = FaultyEngine::start(&project);
    let mut run = start(&project, &engine);
    run.until_suite_started("checks");
    let id = run.id();
    run.watchdog();
    if hang {
        engine.fault("*", Fault::Stall);
        engine.cut("*");
    } else {
        engine.go_away();
    }
    let begun = Instant::now();
    let finished = run.ended();
    assert!(
        begun.elapsed() < Duration::from_secs(75),
        "{:?}",
        begun.elapsed()
    );
    assert_end(&finished, 4, "lost for ever");
    let left = project.engine.of_run(&id);
    assert!(left.len() >= 5, "{left:#?}");
    assert_told(
        &finished,
        &id,
        &left.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
    );
    // Nobody has to do it by hand.
    assert!(watchdog_of(&id).is_some());
    if hang {
        engine.heal();
    } else {
        engine.come_back();
    }
    run.until_nothing_is_left(Duration::from_secs(40));
    wait::until("the end of the watchdog", Duration::from_secs(80), || {
        watchdog_of(&id).is_none().then_some(())
    });
}

/// Each of these is told as left on the terminal, in `junit.xml` and in the events, with what to do.
#[track_caller]
fn assert_told(finished: &Finished<'_>, id: &str, names: &[&str]) {
    let hint = format!("`envrun gc --run {id}` removes what is left");
    assert!(
        finished.stderr.contains(&format!("hint: {hint}")),
        "{}",
        finished.stderr
    );
    let report = finished.junit();
    let case = report.case("envrun.environment", "teardown");
    assert_eq!(
        (case.result.as_str(), case.kind.as_str()),
        ("error", "Leftovers")
    );
    assert!(case.text.contains(&hint), "{}", case.text);
    let (_, event) = finished.first("teardown_finished");
    assert_eq!(event.text("run"), id);
    let told = event.0.pointer("/report/left").unwrap().to_string();
    for name in names {
        assert!(
            finished.stderr.contains(name),
            "{name}:\n{}",
            finished.stderr
        );
        assert!(case.text.contains(name), "{name}: {}", case.text);
        assert!(told.contains(name), "{name}: {told}");
    }
}

#[test]
fn an_engine_that_hangs_for_ever_ends_the_run_with_4_and_a_list() {
    lost_for_ever(true);
}

#[test]
fn an_engine_that_is_gone_for_ever_ends_the_run_with_4_and_a_list() {
    lost_for_ever(false);
}

/// One removal that is never done keeps nothing else there, and is told.
#[track_caller]
fn cannot_be_removed(verb: &'static str, kind: &str, fault: Fault, reason: &str) {
    let project = every_verb();
    project.open_gate();
    let engine = FaultyEngine::start(&project);
    engine.fault(verb, fault);
    let mut run = start(&project, &engine);
    let id = run.id();
    let finished = run.ended();
    finished.assert_code(5);
    let left = project.engine.of_run(&id);
    assert!(
        !left.is_empty() && left.iter().all(|one| one.kind == kind),
        "{left:#?}"
    );
    assert_told(
        &finished,
        &id,
        &left.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
    );
    assert!(finished.stderr.contains(reason), "{}", finished.stderr);
    // The suite has passed, and that is still told.
    assert_eq!(finished.junit().of("checks")[0].result, "passed");
    engine.heal();
    run.until_nothing_is_left(Duration::from_secs(40));
}

#[test]
fn networks_that_cannot_be_removed_give_5_and_a_list() {
    cannot_be_removed(
        "DELETE /networks/*",
        "network",
        Fault::Answer(403, "network has active endpoints"),
        "network has active endpoints",
    );
}

#[test]
fn volumes_whose_removal_is_never_answered_give_5_and_a_list() {
    cannot_be_removed(
        "DELETE /volumes/*",
        "volume",
        Fault::Stall,
        "the engine has not answered its removal within",
    );
}
