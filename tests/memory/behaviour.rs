//! What a run does, told as a timeline.

use std::time::{Duration, SystemTime};

use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::engine::{Builder, Capabilities, Subnet};
use envrun::event::Event;
use envrun::exit_code::Signal;
use envrun::outcome::SuiteResult;
use envrun::plan::subnet::{Candidates, DEFAULT_POOL};
use envrun::run::dispatcher::{Dispatcher, EngineHost, Settings};
use envrun::run::effect::{Effect, Input};

use super::support::{Behaviours, FAILING, PASSING, RUN, plan, run, suite, timeline};

const SERVICES: &str = "
services:
  db: { image: postgres }
  migrate: { image: app, depends_on: [db] }
  api: { image: app, expose: [80], depends_on: { migrate: { condition: service_completed_successfully } } }
  unit: { image: app, x-envrun: { suite: { junit: 'reports/*.xml' } } }
  e2e: { image: app, depends_on: [api], x-envrun: { suite: { junit: 'reports/*.xml', timeout: 5s } } }
";

fn behaviours() -> Behaviours {
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(1400))),
        ("migrate", Behaviour::exits(Duration::from_millis(200), 0)),
        ("api", Behaviour::serves(80, Duration::from_millis(120))),
        ("unit", suite(PASSING, 0)),
        ("e2e", suite(PASSING, 0)),
    ])
}

#[tokio::test(start_paused = true)]
async fn everything_starts_the_moment_that_it_may() {
    insta::assert_snapshot!(timeline(behaviours(), SERVICES, &[]).await, @"
     336 ms  db started
     593 ms  unit started
    1596 ms  unit Passed []
    1733 ms  db ready: postgres 5432
    1969 ms  migrate started
    2169 ms  migrate completed
    2405 ms  api started
    2522 ms  api ready: tcp 80
    2758 ms  e2e started
    3761 ms  e2e Passed []
    3761 ms  verdict: passed
    3761 ms  teardown started
    3870 ms  teardown finished: 7 removed, 0 left
    3870 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_before_it_is_ready_ends_the_run_at_once() {
    let mut behaviours = behaviours();
    let dying = Behaviour {
        output: "no password given\n",
        ..Behaviour::exits(Duration::from_millis(50), 1)
    };
    behaviours.insert("db", dying);
    insta::assert_snapshot!(timeline(behaviours, SERVICES, &[]).await, @"
    336 ms  db started
    386 ms  db exited with code 1
    389 ms  aborted: service `db` exited with code 1 before it was ready
    389 ms  verdict: failed
    389 ms  teardown started
    495 ms  teardown finished: 7 removed, 0 left
    495 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_while_suites_run_ends_the_run() {
    let mut behaviours = behaviours();
    let dying = Behaviour {
        accepts: [(80, Duration::ZERO)].into(),
        ..Behaviour::exits(Duration::from_millis(600), 139)
    };
    behaviours.insert("api", dying);
    insta::assert_snapshot!(timeline(behaviours, SERVICES, &[]).await, @"
     336 ms  db started
     593 ms  unit started
    1596 ms  unit Passed []
    1733 ms  db ready: postgres 5432
    1969 ms  migrate started
    2169 ms  migrate completed
    2405 ms  api started
    2406 ms  api ready: tcp 80
    2642 ms  e2e started
    3005 ms  api exited with code 139 (SIGSEGV)
    3008 ms  aborted: service `api` exited with code 139 (SIGSEGV) while the run was going on
    3008 ms  verdict: failed
    3008 ms  teardown started
    3114 ms  teardown finished: 7 removed, 0 left
    3114 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_failing_job_ends_the_run_and_its_suites_never_start() {
    let mut behaviours = behaviours();
    behaviours.insert("migrate", Behaviour::exits(Duration::from_millis(200), 3));
    insta::assert_snapshot!(timeline(behaviours, SERVICES, &[]).await, @"
     336 ms  db started
     593 ms  unit started
    1596 ms  unit Passed []
    1733 ms  db ready: postgres 5432
    1969 ms  migrate started
    2169 ms  migrate exited with code 3
    2172 ms  aborted: job `migrate` exited with code 3
    2172 ms  verdict: failed
    2172 ms  teardown started
    2278 ms  teardown finished: 7 removed, 0 left
    2278 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_failing_suite_does_not_stop_the_others() {
    let mut behaviours = behaviours();
    behaviours.insert("unit", suite(FAILING, 1));
    insta::assert_snapshot!(timeline(behaviours, SERVICES, &[]).await, @"
     336 ms  db started
     593 ms  unit started
    1596 ms  unit Failed []
    1733 ms  db ready: postgres 5432
    1969 ms  migrate started
    2169 ms  migrate completed
    2405 ms  api started
    2522 ms  api ready: tcp 80
    2758 ms  e2e started
    3761 ms  e2e Passed []
    3761 ms  verdict: failed
    3761 ms  teardown started
    3870 ms  teardown finished: 7 removed, 0 left
    3870 ms  exit code 1
    ");
}

#[tokio::test(start_paused = true)]
async fn a_suite_beyond_its_limit_is_killed_and_has_failed() {
    let mut behaviours = behaviours();
    behaviours.insert("e2e", Behaviour::default());
    insta::assert_snapshot!(timeline(behaviours, SERVICES, &[]).await, @r#"
     336 ms  db started
     593 ms  unit started
    1596 ms  unit Passed []
    1733 ms  db ready: postgres 5432
    1969 ms  migrate started
    2169 ms  migrate completed
    2405 ms  api started
    2522 ms  api ready: tcp 80
    2758 ms  e2e started
    7774 ms  e2e Failed ["suite `e2e` was killed after its limit of 5s"]
    7777 ms  verdict: failed
    7777 ms  teardown started
    7883 ms  teardown finished: 7 removed, 0 left
    7883 ms  exit code 1
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_run_with_a_verdict_before_teardown() {
    let signals = [(Duration::from_millis(700), Signal::Terminate)];
    insta::assert_snapshot!(timeline(behaviours(), SERVICES, &signals).await, @"
    336 ms  db started
    593 ms  unit started
    700 ms  SIGTERM
    700 ms  aborted: the run was ended by SIGTERM
    700 ms  verdict: failed
    700 ms  teardown started
    806 ms  teardown finished: 7 removed, 0 left
    806 ms  exit code 143
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_listens_is_given_up_at_its_deadline() {
    let mut behaviours = behaviours();
    behaviours.insert("api", Behaviour::default());
    insta::assert_snapshot!(timeline(behaviours, SERVICES, &[]).await, @"
       336 ms  db started
       593 ms  unit started
      1596 ms  unit Passed []
      1733 ms  db ready: postgres 5432
      1969 ms  migrate started
      2169 ms  migrate completed
      2405 ms  api started
    182879 ms  aborted: service `api` not ready after 180s (tcp 80: 17142 attempts, last: connection refused; probed because of `ports` and `expose` of the file)
    182879 ms  verdict: failed
    182879 ms  teardown started
    182985 ms  teardown finished: 9 removed, 0 left
    182985 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_without_a_declared_probe_that_exits_0_has_completed() {
    let compose = "
services:
  seed: { image: app, expose: [80] }
  unit: { image: app, depends_on: [seed], x-envrun: { suite: { junit: 'reports/*.xml' } } }
";
    let behaviours = Behaviours::from([
        ("seed", Behaviour::exits(Duration::from_millis(100), 0)),
        ("unit", suite(PASSING, 0)),
    ]);
    insta::assert_snapshot!(timeline(behaviours, compose, &[]).await, @"
     336 ms  seed started
     436 ms  seed completed
     672 ms  unit started
    1675 ms  unit Passed []
    1675 ms  verdict: passed
    1675 ms  teardown started
    1784 ms  teardown finished: 3 removed, 0 left
    1784 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn suites_that_wait_for_the_success_of_a_failed_one_never_start_and_are_no_pass() {
    let compose = "
services:
  smoke: { image: app, x-envrun: { suite: {} } }
  full:
    image: app
    depends_on: { smoke: { condition: service_completed_successfully } }
    x-envrun: { suite: {} }
  after: { image: app, depends_on: [smoke], x-envrun: { suite: {} } }
";
    let behaviours = Behaviours::from([
        ("smoke", Behaviour::exits(Duration::from_millis(100), 1)),
        ("full", Behaviour::exits(Duration::from_millis(100), 0)),
        ("after", Behaviour::exits(Duration::from_millis(100), 0)),
    ]);
    insta::assert_snapshot!(timeline(behaviours, compose, &[]).await, @r#"
    336 ms  smoke started
    436 ms  smoke Failed ["exited with `1`"]
    672 ms  after started
    772 ms  after Passed []
    772 ms  verdict: failed
    772 ms  teardown started
    878 ms  teardown finished: 4 removed, 0 left
    878 ms  exit code 1
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_taken_subnet_is_followed_by_the_next_one() {
    let key = "default".into();
    let first = Candidates::new(RUN, &key, 28, DEFAULT_POOL, &[])
        .next()
        .expect("a candidate");
    let engine = MemoryEngine::new(behaviours());
    engine.occupy(first);
    let finished = run(&engine, plan(SERVICES), &[]).await;
    assert!(finished.outcome.passed(), "{}", finished.told.timeline());
    let creates = engine
        .calls()
        .iter()
        .filter(|verb| *verb == "create network")
        .count();
    assert_eq!(creates, 2);
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_pool_is_an_engine_failure_that_says_so() {
    let engine = MemoryEngine::new(behaviours());
    engine.occupy(Subnet {
        base: [10, 232, 0, 0].into(),
        prefix: 14,
    });
    let finished = run(&engine, plan(SERVICES), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 4);
    let failure = finished.outcome.failure.expect("a failure");
    insta::assert_snapshot!(failure.message, @"no free subnet for network `default` in pool `10.232.0.0/14`, last answer: Pool overlaps with other one on this address space");
}

/// A service in the network of another, on a subnet that the file fixes.
const SHARED: &str = "
services:
  proxy: { image: app, networks: [fixed] }
  api:
    image: app
    network_mode: 'service:proxy'
    x-envrun: { ready: { tcp: 3000 } }
  unit: { image: app, depends_on: [api], networks: [fixed], x-envrun: { suite: true } }
networks: { fixed: { internal: true, ipam: { config: [{ subnet: 10.9.0.0/24 }] } } }
";

#[tokio::test(start_paused = true)]
async fn a_service_in_the_network_of_another_is_dialled_there() {
    let mut behaviours = behaviours();
    behaviours.insert("proxy", Behaviour::serves(3000, Duration::from_millis(100)));
    insta::assert_snapshot!(timeline(behaviours, SHARED, &[]).await, @"
     336 ms  proxy started
     336 ms  proxy ready: nothing to probe: no healthcheck, no port
     572 ms  api started
     573 ms  api ready: tcp 3000
     815 ms  unit started
    1815 ms  unit Passed []
    1815 ms  verdict: passed
    1815 ms  teardown started
    1921 ms  teardown finished: 4 removed, 0 left
    1921 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_subnet_of_the_file_that_is_taken_is_an_error_and_never_another_subnet() {
    let engine = MemoryEngine::new(behaviours());
    engine.occupy(Subnet {
        base: [10, 9, 0, 128].into(),
        prefix: 25,
    });
    let finished = run(&engine, plan(SHARED), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 4);
    let failure = finished.outcome.failure.expect("a failure");
    insta::assert_snapshot!(failure.message, @"what the file fixes for network `fixed` is not free: Pool overlaps with other one on this address space: network `taken` holds subnet `10.9.0.128/25`");
    let creates = engine.calls();
    let creates = creates.iter().filter(|verb| *verb == "create network");
    assert_eq!(creates.count(), 1);
}

/// What a dispatcher does when an engine with this version of the API answers.
fn described(compose: &str, api: (u16, u16)) -> Vec<String> {
    let settings = Settings {
        subnet_pool: DEFAULT_POOL,
        avoid_subnets: Vec::new(),
        concurrent_starts: 4,
        hold: None,
        subnet_attempts: 100,
        holder_patience: Duration::from_secs(600),
        artifacts: envrun::artifact::Limits::default(),
        secret: 0,
        engine_host: EngineHost::default(),
    };
    let mut dispatcher = Dispatcher::new(plan(compose), settings, SystemTime::UNIX_EPOCH);
    let _ = dispatcher.handle(Duration::ZERO, Input::Begin);
    let capabilities = Capabilities {
        architecture: String::new(),
        product: "old".to_owned(),
        version: "1".to_owned(),
        api,
        builder: Builder::BuildKit,
    };
    let input = Input::EngineDescribed(capabilities);
    let effects = dispatcher.handle(Duration::ZERO, input);
    let told = effects.into_iter().filter_map(|effect| match effect {
        Effect::Report(Event::Warning { message }) => Some(format!("warning: {message}")),
        Effect::Report(Event::RunAborted { failure }) => {
            Some(format!("error: {}", failure.message))
        }
        Effect::Perform(..) => Some("work begins".to_owned()),
        _ => None,
    });
    told.collect()
}

#[test]
fn what_the_engine_lacks_is_said_before_anything_is_created() {
    let compose = "
services:
  unit:
    image: app
    annotations: { a: b }
    networks: { default: { interface_name: eth7 } }
    volumes: [{ type: image, source: app, target: /image }]
    x-envrun: { suite: true }
";
    insta::assert_snapshot!(described(compose, (1, 41)).join("\n"), @"
    warning: `annotations` of service `unit` needs API 1.43, and the engine speaks 1.41, so it has no effect
    error: `volumes: /image: type: image` of service `unit` needs API 1.48, and the engine speaks 1.41; `networks: default: interface_name` of service `unit` needs API 1.49, and the engine speaks 1.41
    ");
    assert_eq!(described(compose, (1, 49)), ["work begins", "work begins"]);
    let annotated =
        "services: { unit: { image: app, annotations: { a: b }, x-envrun: { suite: true } } }";
    insta::assert_snapshot!(described(annotated, (1, 42)).join("\n"), @"
    warning: `annotations` of service `unit` needs API 1.43, and the engine speaks 1.42, so it has no effect
    work begins
    work begins
    ");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_the_run_cuts_off_what_is_still_going_on() {
    let compose = format!("{SERVICES}\nx-envrun: {{ timeout: 2500ms }}\n");
    let engine = MemoryEngine::new(behaviours());
    let finished = run(&engine, plan(&compose), &[]).await;
    assert_eq!(engine.everything(), []);
    let results: Vec<_> = finished
        .outcome
        .suites
        .iter()
        .map(|suite| (suite.name.as_str(), suite.result))
        .collect();
    assert_eq!(
        results,
        [("e2e", SuiteResult::NotRun), ("unit", SuiteResult::Passed)]
    );
    assert_eq!(finished.outcome.exit_code().number(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_third_signal_leaves_at_once() {
    let engine = MemoryEngine::new(behaviours());
    let at = |milliseconds| (Duration::from_millis(milliseconds), Signal::Interrupt);
    let finished = run(&engine, plan(SERVICES), &[at(700), at(701), at(702)]).await;
    assert_eq!(finished.outcome.exit_code().number(), 130);
    assert!(finished.outcome.teardown.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_job_beyond_its_deadline_is_killed_and_ends_the_run() {
    let compose = "
services:
  migrate: { image: app, x-envrun: { ready: { deadline: 2s } } }
  unit:
    image: app
    depends_on: { migrate: { condition: service_completed_successfully } }
    x-envrun: { suite: true }
";
    let behaviours = Behaviours::from([("migrate", Behaviour::default())]);
    insta::assert_snapshot!(timeline(behaviours, compose, &[]).await, @"
     336 ms  migrate started
    2349 ms  migrate exited with code 137 (SIGKILL)
    2352 ms  aborted: job `migrate` not completed after 2s
    2352 ms  verdict: failed
    2352 ms  teardown started
    2458 ms  teardown finished: 3 removed, 0 left
    2458 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_nowhere_is_named_in_the_users_terms() {
    let compose = "services: { unit: { image: missing, x-envrun: { suite: true } } }";
    let engine = MemoryEngine::new(Behaviours::new());
    let finished = run(&engine, plan(compose), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 3);
    insta::assert_snapshot!(finished.outcome.failure.expect("a failure").message, @"cannot obtain image `missing`: manifest for docker.io/library/missing:latest not found: manifest unknown");
}

#[tokio::test(start_paused = true)]
async fn a_service_with_nothing_to_probe_is_ready_at_its_start() {
    let compose = "
services:
  worker: { image: app }
  unit: { image: app, depends_on: [worker], x-envrun: { suite: true } }
";
    let behaviours = Behaviours::from([("unit", suite(PASSING, 0))]);
    insta::assert_snapshot!(timeline(behaviours, compose, &[]).await, @"
     336 ms  worker started
     336 ms  worker ready: nothing to probe: no healthcheck, no port
     579 ms  unit started
    1579 ms  unit Passed []
    1579 ms  verdict: passed
    1579 ms  teardown started
    1685 ms  teardown finished: 3 removed, 0 left
    1685 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn reports_at_the_root_of_a_container_are_an_error_and_not_a_copy_of_all_of_it() {
    let compose = "
services:
  unit: { image: app, working_dir: /, x-envrun: { suite: { junit: '*.xml' } } }
";
    let behaviours = Behaviours::from([("unit", suite(PASSING, 0))]);
    insta::assert_snapshot!(timeline(behaviours, compose, &[]).await, @r#"
     336 ms  unit started
    1336 ms  unit Failed ["the reports of suite `unit` could not be read: the globs begin at `/`, so the whole container would have to be read: let the suite write its reports into a directory of their own"]
    1339 ms  verdict: failed
    1339 ms  teardown started
    1445 ms  teardown finished: 2 removed, 0 left
    1445 ms  exit code 1
    "#);
}
