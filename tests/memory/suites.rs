//! Suites that are run once more, in parts, at most so many at once, or not at all once one has failed.

use std::time::Duration;

use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::engine::{Resource, ResourceKind};
use envrun::event::Event;
use envrun::exit_code::Signal;
use envrun::outcome::SuiteResult;

use super::support::{Behaviours, FAILING, Finished, PASSING, plan, run, suite, timeline};

/// A suite with two retries.
const RETRIED: &str = "
services:
  e2e: { image: app, x-envrun: { suite: { junit: 'reports/*.xml', retries: 2 } } }
";

/// A suite with a report that hangs.
fn hanging() -> Behaviour {
    Behaviour {
        exits: None,
        ..suite(PASSING, 0)
    }
}

/// The result of a suite.
fn result(finished: &Finished, name: &str) -> SuiteResult {
    let mut suites = finished.outcome.suites.iter();
    let suite = suites.find(|suite| suite.name.as_str() == name);
    suite.expect("the suite is known").result
}

#[tokio::test(start_paused = true)]
async fn a_suite_that_fails_once_is_flaky_and_no_failure() {
    let behaviours = Behaviours::from([("e2e#1", suite(FAILING, 1)), ("e2e#2", suite(PASSING, 0))]);
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(RETRIED), &[]).await;
    insta::assert_snapshot!(finished.told.timeline(), @"
     336 ms  e2e started
    1339 ms  e2e attempt 1 of 3 lost []
    1582 ms  e2e started, attempt 2
    2585 ms  e2e Flaky []
    2585 ms  verdict: passed
    2585 ms  teardown started
    2694 ms  teardown finished: 3 removed, 0 left
    2694 ms  exit code 0
    ");
    let suite = &finished.outcome.suites[0];
    assert_eq!(suite.result, SuiteResult::Flaky);
    assert_eq!(suite.attempts, 2);
    assert_eq!(suite.lost.len(), 1);
    assert_eq!(suite.lost[0].counts.failing(), 1);
    assert_eq!(suite.lost[0].reports.len(), 1);
    assert_eq!(suite.counts.failing(), 0);
    assert!(finished.outcome.passed());
    assert_eq!(engine.everything(), []);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_a_container_of_its_own_that_is_told_before_it_is_made() {
    let behaviours = Behaviours::from([("e2e", suite(FAILING, 1))]);
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(RETRIED), &[]).await;
    assert_eq!(result(&finished, "e2e"), SuiteResult::Failed);
    assert_eq!(finished.outcome.suites[0].attempts, 3);
    assert_eq!(finished.outcome.suites[0].lost.len(), 2);
    assert_eq!(finished.outcome.exit_code().number(), 1);
    let report = finished.outcome.teardown.expect("torn down");
    let mut names: Vec<String> = report
        .removed
        .into_iter()
        .filter(|one| one.kind == ResourceKind::Container)
        .map(|one: Resource| one.name)
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "envrun-0123456789ab-e2e",
            "envrun-0123456789ab_2-e2e",
            "envrun-0123456789ab_3-e2e"
        ]
    );
    let records = finished.told.records();
    for name in names {
        let intended = records.iter().position(|record| {
            matches!(record, envrun::run::ledger::Record::Intend { name: one, .. } if *one == name)
        });
        assert!(intended.is_some(), "{name} was never told");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flaky_suite_fails_where_the_file_says_so() {
    let behaviours = Behaviours::from([("e2e#1", suite(FAILING, 1)), ("e2e#2", suite(PASSING, 0))]);
    let engine = MemoryEngine::new(behaviours);
    let compose = RETRIED.replace("retries: 2", "retries: 2, flaky: fail");
    let finished = run(&engine, plan(&compose), &[]).await;
    assert_eq!(result(&finished, "e2e"), SuiteResult::Flaky);
    assert!(!finished.outcome.passed());
    assert_eq!(finished.outcome.exit_code().number(), 1);
}

/// The limit of the first attempt must not end the second, and the second has its own.
#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_own_limit() {
    let compose = RETRIED.replace("retries: 2", "retries: 2, timeout: 3s");
    let slow = Behaviour {
        exits: Some((Duration::from_millis(2_500), 0)),
        ..suite(PASSING, 0)
    };
    let behaviours = Behaviours::from([
        ("e2e#1", suite(FAILING, 1)),
        ("e2e#2", hanging()),
        ("e2e#3", slow),
    ]);
    let told = timeline(behaviours, &compose, &[]).await;
    insta::assert_snapshot!(told, @r#"
     336 ms  e2e started
    1339 ms  e2e attempt 1 of 3 lost []
    1582 ms  e2e started, attempt 2
    4598 ms  e2e attempt 2 of 3 lost ["suite `e2e` was killed after its limit of 3s"]
    4841 ms  e2e started, attempt 3
    7344 ms  e2e Flaky []
    7344 ms  verdict: passed
    7344 ms  teardown started
    7453 ms  teardown finished: 4 removed, 0 left
    7453 ms  exit code 0
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_missing_is_an_attempt_that_was_lost() {
    let mute = Behaviour {
        files: [].into(),
        ..suite(PASSING, 0)
    };
    let behaviours = Behaviours::from([("e2e#1", mute), ("e2e", suite(PASSING, 0))]);
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(RETRIED), &[]).await;
    assert_eq!(result(&finished, "e2e"), SuiteResult::Flaky);
    let lost = &finished.outcome.suites[0].lost[0];
    assert_eq!(lost.problems[0].kind, "ReportMissing");
}

/// What is mounted outlives an attempt: the report that the first one has left there does not make the
/// second one pass. In the file system of the container it cannot be left over.
#[tokio::test(start_paused = true)]
async fn a_report_that_an_earlier_attempt_has_left_in_a_volume_is_none() {
    let behaviours =
        || Behaviours::from([("e2e#1", suite(PASSING, 1)), ("e2e#2", suite(PASSING, 0))]);
    let mounted = "
services:
  e2e: { image: app, volumes: ['kept:/app/reports'], x-envrun: { suite: { junit: 'reports/*.xml', retries: 1 } } }
volumes: { kept: }
";
    let finished = run(&MemoryEngine::new(behaviours()), plan(mounted), &[]).await;
    assert_eq!(result(&finished, "e2e"), SuiteResult::Failed);
    let kinds = finished.outcome.suites[0].problems.iter();
    let kinds: Vec<&str> = kinds.map(|problem| problem.kind.as_str()).collect();
    assert_eq!(kinds, ["ReportMissing", "ReportStale"]);
    let finished = run(&MemoryEngine::new(behaviours()), plan(RETRIED), &[]).await;
    assert_eq!(result(&finished, "e2e"), SuiteResult::Flaky);
}

#[tokio::test(start_paused = true)]
async fn a_suite_is_not_retried_once_the_environment_has_died() {
    let compose = "
services:
  db: { image: app, expose: [5432] }
  e2e: { image: app, depends_on: [db], x-envrun: { suite: { retries: 2 } } }
";
    let dying = Behaviour {
        exits: Some((Duration::from_millis(1_300), 1)),
        ..Behaviour::serves(5432, Duration::from_millis(100))
    };
    let behaviours = Behaviours::from([
        ("db", dying),
        ("e2e", Behaviour::exits(Duration::from_millis(400), 1)),
    ]);
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(compose), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 3);
    assert_eq!(result(&finished, "e2e"), SuiteResult::NotRun);
    let suite = &finished.outcome.suites[0];
    assert_eq!(suite.problems[0].kind, "CutOff");
    // What it has lost before is not forgotten.
    assert_eq!(suite.lost.len(), 1, "{}", finished.told.timeline());
    assert_eq!(engine.everything(), []);
}

/// Whoever waits for a suite waits for its last attempt.
#[tokio::test(start_paused = true)]
async fn what_depends_on_a_suite_waits_for_its_final_verdict() {
    let compose = "
services:
  seed: { image: app, x-envrun: { suite: { retries: 1 } } }
  after: { image: app, depends_on: { seed: { condition: service_completed_successfully } }, x-envrun: { suite: {} } }
  anyhow: { image: app, depends_on: [seed], x-envrun: { suite: {} } }
";
    let second = Duration::from_secs(1);
    let flaky = Behaviours::from([
        ("seed#1", Behaviour::exits(second, 1)),
        ("seed#2", Behaviour::exits(second, 0)),
        ("after", Behaviour::exits(second, 0)),
        ("anyhow", Behaviour::exits(second, 0)),
    ]);
    let mut failing = flaky.clone();
    failing.insert("seed#2", Behaviour::exits(second, 1));
    insta::assert_snapshot!(timeline(flaky, compose, &[]).await, @r#"
     336 ms  seed started
    1336 ms  seed attempt 1 of 2 lost ["exited with `1`"]
    1579 ms  seed started, attempt 2
    2579 ms  seed Flaky []
    2815 ms  after started
    2815 ms  anyhow started
    3815 ms  after Passed []
    3815 ms  anyhow Passed []
    3815 ms  verdict: passed
    3815 ms  teardown started
    3921 ms  teardown finished: 5 removed, 0 left
    3921 ms  exit code 0
    "#);
    insta::assert_snapshot!(timeline(failing, compose, &[]).await, @r#"
     336 ms  seed started
    1336 ms  seed attempt 1 of 2 lost ["exited with `1`"]
    1579 ms  seed started, attempt 2
    2579 ms  seed Failed ["exited with `1`"]
    2815 ms  anyhow started
    3815 ms  anyhow Passed []
    3815 ms  verdict: failed
    3815 ms  teardown started
    3921 ms  teardown finished: 5 removed, 0 left
    3921 ms  exit code 1
    "#);
}

/// One signal at every five milliseconds from the end of the first attempt to the start of the second.
#[tokio::test(start_paused = true)]
async fn nothing_remains_when_a_signal_comes_between_two_attempts() {
    let behaviours = Behaviours::from([("e2e#1", suite(FAILING, 1)), ("e2e#2", suite(PASSING, 0))]);
    let retried = |event: &Event| matches!(event, Event::SuiteRetried { .. });
    let mut between = 0;
    for millisecond in (1_000..2_000).step_by(5) {
        let engine = MemoryEngine::new(behaviours.clone());
        let signals = [(Duration::from_millis(millisecond), Signal::Terminate)];
        let finished = run(&engine, plan(RETRIED), &signals).await;
        envrun::clock::pause(Duration::from_secs(60)).await;
        assert_eq!(engine.everything(), [], "{}", finished.told.timeline());
        assert_eq!(finished.outcome.exit_code().number(), 143);
        assert_eq!(result(&finished, "e2e"), SuiteResult::NotRun);
        let events = finished.told.events();
        let starts = |event: &&Event| matches!(event, Event::SuiteStarted { .. });
        let started = events.iter().filter(starts).count();
        if events.iter().any(retried) && started == 1 {
            between += 1;
            assert_eq!(finished.outcome.suites[0].problems[0].kind, "CutOff");
        }
    }
    assert!(between > 0, "no signal came between the attempts");
}

/// Suites of different lengths, one of which others wait for.
const SEVERAL: &str = "
services:
  a: { image: app, x-envrun: { suite: {} } }
  b: { image: app, x-envrun: { suite: { shards: 3 } } }
  c: { image: app, x-envrun: { suite: {} } }
  d: { image: app, depends_on: { c: { condition: service_completed_successfully } }, x-envrun: { suite: {} } }
x-envrun: { parallel: 2 }
";

fn several() -> Behaviours {
    let ends = |millis, code| Behaviour::exits(Duration::from_millis(millis), code);
    Behaviours::from([
        ("a", ends(500, 0)),
        ("b", ends(1_000, 0)),
        ("c", ends(1_500, 0)),
        ("d", ends(200, 0)),
    ])
}

/// The most suites that ran at once, by what was told.
fn most_at_once(finished: &Finished) -> usize {
    let (mut running, mut most) = (0_usize, 0);
    for event in finished.told.events() {
        match event {
            Event::SuiteStarted { .. } => running += 1,
            Event::SuiteFinished { .. } | Event::SuiteRetried { .. } => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    most
}

#[tokio::test(start_paused = true)]
async fn so_many_suites_run_at_once_and_those_that_are_waited_for_go_first() {
    let engine = MemoryEngine::new(several());
    let finished = run(&engine, plan(SEVERAL), &[]).await;
    insta::assert_snapshot!(finished.told.timeline(), @"
     336 ms  c started
     579 ms  a started
    1079 ms  a Passed []
    1315 ms  b-1 started
    1836 ms  c Passed []
    2072 ms  b-2 started
    2315 ms  b-1 Passed []
    2551 ms  b-3 started
    3072 ms  b-2 Passed []
    3308 ms  d started
    3508 ms  d Passed []
    3551 ms  b-3 Passed []
    3551 ms  verdict: passed
    3551 ms  teardown started
    3657 ms  teardown finished: 7 removed, 0 left
    3657 ms  exit code 0
    ");
    assert_eq!(most_at_once(&finished), 2);
    let unlimited = SEVERAL.replace("parallel: 2", "parallel: 0");
    let finished = run(&MemoryEngine::new(several()), plan(&unlimited), &[]).await;
    assert_eq!(most_at_once(&finished), 5);
    let shards: Vec<String> = finished
        .outcome
        .suites
        .iter()
        .filter(|suite| suite.of.as_str() == "b")
        .filter_map(|suite| Some(format!("{} {}", suite.name, suite.shard?)))
        .collect();
    assert_eq!(shards, ["b-1 1/3", "b-2 2/3", "b-3 3/3"]);
}

/// One that waits for its turn has not started, so its limit has not begun; and another attempt does not
/// wait behind those that have not had one.
#[tokio::test(start_paused = true)]
async fn a_turn_lasts_over_all_attempts_and_waiting_for_it_costs_no_time() {
    let compose = "
services:
  a: { image: app, x-envrun: { suite: { retries: 1 } } }
  b: { image: app, x-envrun: { suite: { timeout: 1500ms } } }
x-envrun: { parallel: 1 }
";
    let second = Duration::from_secs(1);
    let behaviours = Behaviours::from([
        ("a#1", Behaviour::exits(second, 1)),
        ("a#2", Behaviour::exits(second, 0)),
        ("b", Behaviour::exits(second, 0)),
    ]);
    insta::assert_snapshot!(timeline(behaviours, compose, &[]).await, @r#"
     336 ms  a started
    1336 ms  a attempt 1 of 2 lost ["exited with `1`"]
    1579 ms  a started, attempt 2
    2579 ms  a Flaky []
    2815 ms  b started
    3815 ms  b Passed []
    3815 ms  verdict: passed
    3815 ms  teardown started
    3921 ms  teardown finished: 4 removed, 0 left
    3921 ms  exit code 0
    "#);
}

#[tokio::test(start_paused = true)]
async fn the_first_suite_that_definitively_fails_ends_the_others() {
    let compose = SEVERAL
        .replace("parallel: 2", "parallel: 3, fail_fast: true")
        .replace(
            "a: { image: app, x-envrun: { suite: {} } }",
            "a: { image: app, x-envrun: { suite: { retries: 1 } } }",
        );
    let mut behaviours = several();
    behaviours.insert("a#1", Behaviour::exits(Duration::from_millis(100), 1));
    behaviours.insert("a#2", Behaviour::exits(Duration::from_millis(100), 3));
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(&compose), &[]).await;
    insta::assert_snapshot!(finished.told.timeline(), @r#"
     336 ms  c started
     579 ms  a started
     579 ms  b-1 started
     679 ms  a attempt 1 of 2 lost ["exited with `1`"]
     922 ms  a started, attempt 2
    1022 ms  a Failed ["exited with `3`"]
    1025 ms  verdict: failed
    1025 ms  teardown started
    1131 ms  teardown finished: 8 removed, 0 left
    1131 ms  exit code 1
    "#);
    let suites = finished.outcome.suites.iter().map(|suite| {
        let problem = suite.problems.first().map(|one| one.message.as_str());
        format!(
            "{} {:?} {}",
            suite.name,
            suite.result,
            problem.unwrap_or_default()
        )
    });
    insta::assert_snapshot!(suites.collect::<Vec<_>>().join("\n"), @"
    a Failed exited with `3`
    b-1 NotRun suite `b-1` was cut off: suite `a` has failed, and `fail_fast` ends the others
    b-2 NotRun suite `b-2` never started: suite `a` has failed, and `fail_fast` ends the others
    b-3 NotRun suite `b-3` never started: suite `a` has failed, and `fail_fast` ends the others
    c NotRun suite `c` was cut off: suite `a` has failed, and `fail_fast` ends the others
    d NotRun suite `d` never started: suite `a` has failed, and `fail_fast` ends the others
    ");
    assert_eq!(finished.outcome.exit_code().number(), 1);
    assert_eq!(engine.everything(), []);
}

#[tokio::test(start_paused = true)]
async fn without_fail_fast_all_suites_run() {
    let mut behaviours = several();
    behaviours.insert("a", Behaviour::exits(Duration::from_millis(100), 1));
    let finished = run(&MemoryEngine::new(behaviours), plan(SEVERAL), &[]).await;
    let not_run = |suite: &&envrun::outcome::SuiteOutcome| suite.result == SuiteResult::NotRun;
    assert_eq!(finished.outcome.suites.iter().filter(not_run).count(), 0);
    assert_eq!(finished.outcome.exit_code().number(), 1);
}

/// A suite that has ended when another one fails is judged by what it has left, and is not run once more.
#[tokio::test(start_paused = true)]
async fn what_has_ended_when_another_one_fails_is_judged_by_what_it_has_left() {
    let compose = "
services:
  a: { image: app, x-envrun: { suite: {} } }
  b: { image: app, x-envrun: { suite: { junit: 'reports/*.xml', retries: 3 } } }
x-envrun: { fail_fast: true }
";
    let mut judged = 0;
    for millis in 990..1_010 {
        let behaviours = Behaviours::from([
            ("a", Behaviour::exits(Duration::from_millis(millis), 1)),
            ("b", suite(FAILING, 1)),
        ]);
        let engine = MemoryEngine::new(behaviours);
        let finished = run(&engine, plan(compose), &[]).await;
        assert_eq!(finished.outcome.exit_code().number(), 1);
        assert_eq!(engine.everything(), []);
        let b = &finished.outcome.suites[1];
        match b.result {
            SuiteResult::Failed => judged += 1,
            SuiteResult::NotRun => assert_eq!(b.problems[0].kind, "CutOff"),
            other => panic!("{other:?}\n{}", finished.told.timeline()),
        }
    }
    assert!(
        judged > 0,
        "the reports of `b` were never being read when `a` failed"
    );
}

/// Nothing is no limit, and so is zero: of a suite, of a run, of a job.
#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_is_none() {
    let compose = "
services:
  job: { image: app, x-envrun: { ready: { deadline: 0s } } }
  e2e:
    image: app
    depends_on: { job: { condition: service_completed_successfully } }
    x-envrun: { suite: { timeout: 0s } }
x-envrun: { timeout: 0s }
";
    let hour = Duration::from_secs(3_600);
    for compose in [compose.to_owned(), compose.replace("0s", "null")] {
        let behaviours = Behaviours::from([
            ("job", Behaviour::exits(hour, 0)),
            ("e2e", Behaviour::exits(hour, 0)),
        ]);
        let finished = run(&MemoryEngine::new(behaviours), plan(&compose), &[]).await;
        assert!(finished.outcome.passed(), "{}", finished.told.timeline());
        assert!(finished.outcome.duration > 2 * hour);
    }
}
