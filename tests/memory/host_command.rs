//! A command on the host as one more suite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use envrun::config::model::Suite;
use envrun::engine::FailureKind;
use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::exit_code::Signal;
use envrun::name::ServiceName;
use envrun::outcome::SuiteResult;
use envrun::plan::{HostCommand, Plan, Selection};
use envrun::run::dispatcher::{Hold, HoldWhen};
use envrun::run::ledger::Record;

use super::commander::{Commander, Doing};
use super::support::{
    Behaviours, FAILING, Finished, PASSING, run_commanding, selected, settings, suite,
};

/// Two networks, one of them internal; a service with several replicas, one in the namespace of another, one
/// on the host's network; a job; a suite.
const FILE: &str = "
services:
  db: { image: app, expose: [5432, 9187], networks: [back] }
  my-queue: { image: app, ports: ['5672'], networks: [back, front] }
  web: { image: app, expose: [80], scale: 2, networks: [front] }
  sidecar: { image: app, network_mode: 'service:db', x-envrun: { ready: { tcp: 9000 } } }
  metrics: { image: app, expose: [9100], network_mode: host, x-envrun: { ready: { log: up } } }
  migrate: { image: app, networks: [back], depends_on: [db] }
  unit:
    image: app
    networks: [back]
    depends_on: { migrate: { condition: service_completed_successfully } }
    x-envrun: { suite: { junit: 'reports/*.xml' } }
networks: { back: { internal: true }, front: {} }
";

fn behaviours() -> Behaviours {
    let serves = |port| Behaviour::serves(port, Duration::from_millis(100));
    Behaviours::from([
        (
            "db",
            Behaviour {
                accepts: BTreeMap::from([
                    (5432, Duration::from_millis(100)),
                    (9000, Duration::from_millis(100)),
                ]),
                ..Behaviour::default()
            },
        ),
        ("my-queue", serves(5672)),
        ("web", serves(80)),
        ("sidecar", serves(9000)),
        (
            "metrics",
            Behaviour {
                output: "up\n",
                ..Behaviour::default()
            },
        ),
        ("migrate", Behaviour::exits(Duration::from_millis(200), 0)),
        ("unit", suite(PASSING, 0)),
    ])
}

fn command(suite: Suite) -> HostCommand {
    HostCommand {
        name: ServiceName::new("npm"),
        is_named: false,
        program: "/usr/bin/npm".into(),
        called: "npm".into(),
        arguments: vec!["test".into()],
        directory: "/project".into(),
        out: "/project/out".into(),
        suite,
        held: Vec::new(),
    }
}

fn plan(compose: &str, suite: Suite) -> Plan {
    selected(
        compose,
        &Selection {
            command: Some(command(suite)),
            ..Selection::default()
        },
    )
}

async fn run(
    engine: &MemoryEngine,
    suite: Suite,
    signals: &[(Duration, Signal)],
    commander: &Arc<Commander>,
) -> Finished {
    let finished = run_commanding(engine, plan(FILE, suite), settings(), signals, commander).await;
    assert_eq!(engine.everything(), []);
    assert_eq!(commander.alive(), 0);
    assert!(is_gone(&finished), "{:?}", finished.told.records());
    finished
}

/// Whether the watchdog was told before each start, and that nothing is left.
fn is_gone(finished: &Finished) -> bool {
    let mut is_there = false;
    for record in finished.told.records() {
        match record {
            Record::CommandIntended => is_there = true,
            Record::Command { .. } => assert!(is_there, "told too late"),
            Record::CommandGone => is_there = false,
            _ => {}
        }
    }
    !is_there
}

fn passes() -> Doing {
    Doing {
        ends: Some((Duration::from_secs(1), 0)),
        output: "12 passing\n",
        ..Doing::default()
    }
}

#[tokio::test(start_paused = true)]
async fn it_runs_beside_the_suites_once_everything_is_ready() {
    let engine = MemoryEngine::new(behaviours());
    let commander = Commander::doing(vec![passes()]);
    let finished = run(&engine, Suite::default(), &[], &commander).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    insta::assert_snapshot!(finished.told.timeline());
    let environments = commander.environments.lock().expect("not poisoned");
    let [environment] = environments.as_slice() else {
        panic!("{environments:?}");
    };
    let lines: Vec<String> = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// Where the networks are out of reach, and only there, ports are published and these are told.
#[tokio::test(start_paused = true)]
async fn beyond_reach_ports_are_published_for_it() {
    let engine = MemoryEngine::new(behaviours()).far_away();
    let commander = Commander::doing(vec![passes()]);
    let finished = run(&engine, Suite::default(), &[], &commander).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    let environments = commander.environments.lock().expect("not poisoned");
    let lines: Vec<String> = environments[0]
        .iter()
        .filter(|(name, _)| !name.starts_with("ENVRUN_"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn its_exit_code_and_its_report_are_the_verdict() {
    for (code, report, globs, expected) in [
        (0, None, vec![], 0),
        (3, None, vec![], 1),
        (139, None, vec![], 1),
        (0, Some(PASSING), vec!["*.xml"], 0),
        (0, Some(FAILING), vec!["*.xml"], 1),
        (1, Some(FAILING), vec!["*.xml"], 1),
        // A promised report that is missing is no pass.
        (0, None, vec!["*.xml"], 1),
    ] {
        let engine = MemoryEngine::new(behaviours());
        let commander = Commander::doing(vec![Doing {
            ends: Some((Duration::from_secs(1), code)),
            report,
            ..Doing::default()
        }]);
        let suite = Suite {
            junit: globs.into_iter().map(str::to_owned).collect(),
            ..Suite::default()
        };
        let finished = run(&engine, suite, &[], &commander).await;
        let outcome = &finished.outcome;
        assert_eq!(
            outcome.exit_code().number(),
            expected,
            "{code} {report:?}: {}",
            finished.told.timeline()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn at_its_limit_it_is_asked_and_then_killed() {
    for (heeds, signals, code) in [
        (Some(Duration::from_millis(500)), vec!["TERM"], 143),
        (None, vec!["TERM", "KILL"], 137),
    ] {
        let engine = MemoryEngine::new(behaviours());
        let commander = Commander::doing(vec![Doing {
            heeds,
            ..Doing::default()
        }]);
        let suite = Suite {
            timeout: Some(Duration::from_secs(5)),
            ..Suite::default()
        };
        let finished = run(&engine, suite, &[], &commander).await;
        let suites = &finished.outcome.suites;
        let npm = suites.iter().find(|one| one.name.as_str() == "npm");
        let npm = npm.expect("it is a suite");
        assert_eq!(npm.result, SuiteResult::Failed);
        assert_eq!(
            npm.problems[0].message,
            "suite `npm` was killed after its limit of 5s"
        );
        assert_eq!(npm.exit.as_ref().and_then(|exit| exit.code), Some(code));
        assert_eq!(*commander.signals.lock().expect("not poisoned"), signals);
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_leaves_in_its_group_is_ended_with_it() {
    let engine = MemoryEngine::new(behaviours());
    let commander = Commander::doing(vec![Doing {
        leaves: true,
        ..passes()
    }]);
    let finished = run(&engine, Suite::default(), &[], &commander).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    let signals = commander.signals.lock().expect("not poisoned");
    assert_eq!(*signals, ["TERM", "KILL"]);
}

/// The first signal asks it, the second kills it at once.
#[tokio::test(start_paused = true)]
async fn signals_end_it() {
    let at = |milliseconds| (Duration::from_millis(milliseconds), Signal::Interrupt);
    for (signals, longest) in [
        (vec![at(5000)], Duration::from_millis(7500)),
        (vec![at(5000), at(5050)], Duration::from_millis(5500)),
    ] {
        let engine = MemoryEngine::new(behaviours());
        let commander = Commander::doing(vec![Doing::default()]);
        let begun = envrun::clock::now();
        let finished = run(&engine, Suite::default(), &signals, &commander).await;
        assert_eq!(finished.outcome.exit_code().number(), 130);
        assert!(begun.elapsed() < longest, "{:?}", begun.elapsed());
        let sent = commander.signals.lock().expect("not poisoned");
        assert_eq!(*sent, ["TERM", "KILL"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_run_fails_and_the_others_go_on() {
    let engine = MemoryEngine::new(behaviours());
    let commander = Commander::doing(vec![Doing {
        is_broken: true,
        ..Doing::default()
    }]);
    let finished = run(&engine, Suite::default(), &[], &commander).await;
    assert_eq!(finished.outcome.exit_code().number(), 1);
    let results: Vec<_> = finished
        .outcome
        .suites
        .iter()
        .map(|one| (one.name.as_str(), one.result))
        .collect();
    assert_eq!(
        results,
        [("npm", SuiteResult::Failed), ("unit", SuiteResult::Passed)]
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_run_once_more_where_that_is_asked_for() {
    let engine = MemoryEngine::new(behaviours());
    let fails = Doing {
        ends: Some((Duration::from_millis(300), 1)),
        leaves: true,
        ..Doing::default()
    };
    let commander = Commander::doing(vec![fails, passes()]);
    let suite = Suite {
        retries: 2,
        ..Suite::default()
    };
    let finished = run(&engine, suite, &[], &commander).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    assert_eq!(finished.outcome.suites[0].result, SuiteResult::Flaky);
    assert_eq!(commander.starts(), 2);
    let environments = commander.environments.lock().expect("not poisoned");
    let attempts: Vec<&String> = environments
        .iter()
        .map(|one| &one["ENVRUN_ATTEMPT"])
        .collect();
    assert_eq!(attempts, ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_ends_it_and_an_environment_that_is_held_has_none() {
    let mut dying = behaviours();
    dying.insert(
        "web-2",
        Behaviour {
            crashes: vec![(Duration::from_secs(4), 1)],
            ..Behaviour::serves(80, Duration::from_millis(100))
        },
    );
    let engine = MemoryEngine::new(dying);
    let commander = Commander::doing(vec![Doing::default()]);
    let finished = run(&engine, Suite::default(), &[], &commander).await;
    assert_eq!(finished.outcome.exit_code().number(), 3);
    assert_eq!(commander.starts(), 1);

    let engine = MemoryEngine::new(behaviours());
    let fails = Doing {
        ends: Some((Duration::from_secs(1), 1)),
        leaves: true,
        ..Doing::default()
    };
    let commander = Commander::doing(vec![fails]);
    let hold = Hold {
        when: HoldWhen::Failed,
        time: Duration::from_secs(600),
        keeper: None,
    };
    let mut settings = settings();
    settings.hold = Some(hold);
    let plan = plan(FILE, Suite::default());
    let finished = run_commanding(&engine, plan, settings, &[], &commander).await;
    assert!(finished.outcome.held.is_some());
    assert_eq!(commander.alive(), 0);
}

/// Each engine call fails and loses its reply in turn: no container, and no process.
#[tokio::test(start_paused = true)]
async fn nothing_remains_whatever_call_fails() {
    let commander = || {
        Commander::doing(vec![Doing {
            leaves: true,
            ..passes()
        }])
    };
    let clean = MemoryEngine::new(behaviours());
    run(&clean, Suite::default(), &[], &commander()).await;
    let calls = clean.calls();
    assert!(calls.len() > 40, "{calls:?}");
    for (call, called) in calls.iter().enumerate() {
        for fault in [
            Fault::Fail {
                call,
                kind: FailureKind::Refused,
            },
            Fault::LoseReply {
                call,
                late: Duration::ZERO,
            },
        ] {
            let engine = MemoryEngine::new(behaviours());
            engine.inject(fault);
            let commander = commander();
            let plan = plan(FILE, Suite::default());
            let finished = run_commanding(&engine, plan, settings(), &[], &commander).await;
            let context = || format!("{fault:?} {called}\n{}", finished.told.timeline());
            assert_eq!(engine.everything(), [], "{}", context());
            assert_eq!(commander.alive(), 0, "{}", context());
            assert!(is_gone(&finished), "{}", context());
            if finished.outcome.exit_code().number() == 0 {
                assert_eq!(commander.starts(), 1, "{}", context());
            }
        }
    }
}

/// The name of a suite is its own.
#[tokio::test(start_paused = true)]
async fn a_name_that_the_file_has_is_not_taken() {
    let compose = FILE.replace("  unit:", "  npm:");
    let plan = plan(&compose, Suite::default());
    let name = plan
        .command
        .as_ref()
        .map(|command| command.name.to_string());
    assert_eq!(name.as_deref(), Some("npm-2"));
}
