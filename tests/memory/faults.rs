//! Every engine call fails in turn, and loses its reply in turn, and nothing remains.

use std::time::Duration;

use envrun::engine::FailureKind;
use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::exit_code::Signal;
use envrun::image::Mirrors;
use envrun::image::mirror::parse_pair;
use envrun::plan::Plan;
use envrun::reachability::SUITE;

use super::reachability::{TWO_NETWORKS, two_networks};
use super::support::{Behaviours, FAILING, PASSING, plan, run, suite};

/// A suite and nothing else.
const ONE_SUITE: &str = "
services:
  unit: { image: app, x-envrun: { suite: { junit: 'reports/*.xml' } } }
";

/// Two networks, a named volume, volumes of the image, builds that need each other, a job, probes
/// of three kinds, three suites; secrets and configs that go into a container, and into a volume; a
/// copy of the project.
const PIPELINE: &str = "
services:
  db: { image: postgres, networks: [back], volumes: ['data:/backup'], secrets: [password] }
  migrate:
    build: .
    networks: [back]
    depends_on: { db: { condition: service_healthy } }
  api:
    build: .
    networks: [back, front]
    depends_on: { migrate: { condition: service_completed_successfully } }
    x-envrun: { ready: { http: { port: 3000, path: /health } } }
  queue:
    image: volume
    read_only: true
    configs: [settings]
    networks: [back]
    healthcheck: { test: [CMD, ping], interval: 1s }
  unit:
    build: { context: ., additional_contexts: { files: /files, base: 'service:api' } }
    networks: [front]
    volumes: ['.:/work']
    x-envrun: { bind: copy, suite: { junit: 'reports/*.xml' } }
  integration:
    build: .
    networks: [back]
    depends_on: [queue, migrate]
    x-envrun: { suite: { junit: 'reports/*.xml' } }
  e2e: { build: ., networks: [front], depends_on: [api], x-envrun: { suite: {} } }
networks: { back: { internal: true }, front: {} }
volumes: { data: {} }
secrets: { password: { file: compose.yaml } }
configs: { settings: { content: 'x=1' } }
";

/// Containers that share namespaces and volumes, on a network whose subnet the file fixes.
const SHARING: &str = "
services:
  proxy: { image: app, networks: [fixed] }
  app:
    image: app
    network_mode: 'service:proxy'
    ipc: 'service:store'
    volumes_from: ['store:ro']
    x-envrun: { ready: { tcp: 3000 } }
  store: { image: volume, ipc: shareable, networks: [fixed] }
  unit:
    image: app
    depends_on: [app]
    links: [store]
    networks: [fixed]
    x-envrun: { suite: { junit: 'reports/*.xml' } }
networks: { fixed: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } } }
";

/// Replicas, one of which crashes and is started again; hooks; a job that is tried twice; a service
/// that is taken leave of.
const LIFECYCLE: &str = "
services:
  web:
    image: app
    expose: [80]
    scale: 2
    restart: always
    pre_start: [{ command: [prepare] }]
    post_start: [{ command: [seed] }]
    pre_stop: [{ command: [flush] }]
    x-envrun: { stop_grace: 1s }
  migrate: { image: app, restart: 'on-failure:1' }
  unit:
    image: app
    depends_on:
      web: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
    x-envrun: { suite: { junit: 'reports/*.xml' } }
";

fn lifecycle() -> Behaviours {
    let web = Behaviour {
        stops: Some(Duration::from_millis(30)),
        ..Behaviour::serves(80, Duration::from_millis(20))
    };
    let crashing = Behaviour {
        crashes: vec![
            (Duration::from_millis(50), 1),
            (Duration::from_millis(700), 1),
        ],
        ..web.clone()
    };
    let migrate = Behaviour {
        crashes: vec![(Duration::from_millis(100), 1)],
        ..Behaviour::exits(Duration::from_millis(100), 0)
    };
    Behaviours::from([
        ("web", web),
        ("web-2", crashing),
        (
            "web-pre_start-1",
            Behaviour::exits(Duration::from_millis(50), 0),
        ),
        ("migrate", migrate),
        ("unit", suite(PASSING, 0)),
    ])
}

/// A service that nobody requires and a suite that say that they reach nothing, and a service that dies
/// of it: all of them are looked into.
const EXPLAINED: &str = "
services:
  db: { image: app, expose: [5432], networks: [back] }
  cache: { image: app, networks: [front], expose: [6379] }
  unit: { image: app, networks: [back], depends_on: [db], x-envrun: { suite: {} } }
  e2e:
    image: app
    networks: [front]
    depends_on: { cache: { condition: service_healthy, required: false }, api: { condition: service_healthy } }
    x-envrun: { suite: {} }
  api:
    image: app
    expose: [80]
    networks: [front]
    environment: { DATABASE_URL: 'postgres://u:p@db:5432/x' }
networks: { back: {}, front: {} }
";

/// A suite and services whose files are kept: of a suite that fails, of a service that runs, of one that is
/// taken leave of before, of a job.
const KEPT: &str = "
services:
  db:
    image: app
    x-envrun: { ready: { tcp: 5432 }, artifacts: [/var/log/db/] }
  web:
    image: app
    pre_stop: [{ command: [flush] }]
    x-envrun: { ready: { tcp: 80 }, stop_grace: 1s, artifacts: { paths: ['coverage/**'], when: failure } }
  unit:
    image: app
    depends_on: [db, web]
    x-envrun: { suite: { junit: 'reports/*.xml', artifacts: [reports/, screenshots/, '*.log'] } }
";

fn kept() -> Behaviours {
    let files = |behaviour: Behaviour, path| Behaviour {
        files: [(path, "kept")].into(),
        ..behaviour
    };
    let serves = |port| Behaviour::serves(port, Duration::from_millis(20));
    Behaviours::from([
        ("db", files(serves(5432), "/var/log/db/x.log")),
        ("web", files(serves(80), "/app/coverage/x.json")),
        ("unit", suite(FAILING, 1)),
    ])
}

fn explained() -> Behaviours {
    let says = |after, output| Behaviour {
        output,
        ..Behaviour::exits(Duration::from_millis(after), 1)
    };
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(20))),
        ("cache", says(30, "Error: getaddrinfo ENOTFOUND db\n")),
        ("unit", says(20, "dial tcp: lookup bd: no such host\n")),
        ("api", says(900, "Error: connect ECONNREFUSED db:5432\n")),
    ])
}

/// A suite in two parts of which one does not pass at once, on two networks and with a volume of its
/// image, and one that waits for them.
const RETRIED: &str = "
services:
  db: { image: app, expose: [5432], networks: [back] }
  e2e:
    image: volume
    networks: [back, front]
    depends_on: [db]
    secrets: [password]
    x-envrun: { suite: { junit: 'reports/*.xml', retries: 2, shards: 2 } }
  after:
    image: app
    networks: [front]
    depends_on: { e2e: { condition: service_completed_successfully } }
    x-envrun: { suite: {} }
networks: { back: {}, front: {} }
secrets: { password: { file: compose.yaml } }
";

fn retried() -> Behaviours {
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(20))),
        ("e2e-1#1", suite(FAILING, 1)),
        ("e2e", suite(PASSING, 0)),
        ("after", Behaviour::exits(Duration::from_millis(50), 0)),
    ])
}

fn pipeline() -> Behaviours {
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(1400))),
        ("migrate", Behaviour::exits(Duration::from_millis(200), 0)),
        ("api", Behaviour::serves(3000, Duration::from_millis(120))),
        (
            "queue",
            Behaviour {
                exec: Some((1, Duration::from_millis(800))),
                ..Behaviour::default()
            },
        ),
        ("unit", suite(PASSING, 0)),
        ("integration", suite(PASSING, 0)),
        ("e2e", Behaviour::exits(Duration::from_millis(500), 0)),
    ])
}

/// An image that has to be pulled, one that is pulled at the second attempt, one that is built since
/// no registry has it.
const PULLED: &str = "
services:
  db: { image: remote/postgres }
  cache: { image: remote/flaky, pull_policy: always }
  api: { image: missing/api, build: ., pull_policy: missing }
  unit: { image: remote/app, x-envrun: { suite: { junit: 'reports/*.xml' } } }
";

/// A suite with an environment of its own beside one that shares: a database with a volume, a job, an API
/// in the namespace of another service.
pub(super) const ISOLATED: &str = "
services:
  db: { image: app, expose: [5432], networks: [back], volumes: ['data:/data'] }
  migrate: { image: app, networks: [back], depends_on: [db] }
  api:
    image: app
    network_mode: 'service:db'
    depends_on: { migrate: { condition: service_completed_successfully } }
    x-envrun: { ready: { tcp: 5432 } }
  unit: { image: app, networks: [back], depends_on: [db], x-envrun: { suite: { junit: 'reports/*.xml' } } }
  e2e:
    image: app
    networks: [back]
    depends_on: [api]
    x-envrun: { suite: { junit: 'reports/*.xml', isolation: own } }
networks: { back: {} }
volumes: { data: {} }
";

pub(super) fn isolated() -> Behaviours {
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(100))),
        (
            "e2e.db",
            Behaviour::serves(5432, Duration::from_millis(300)),
        ),
        (
            "e2e.migrate",
            Behaviour::exits(Duration::from_millis(200), 0),
        ),
        ("unit", suite(PASSING, 0)),
        ("e2e", suite(PASSING, 0)),
    ])
}

/// Services on networks that cannot be dialled from here, one of them without a spare address; one
/// without any network; one that is started again.
const FAR: &str = "
services:
  db: { image: app, expose: [5432], networks: [back, front] }
  web: { image: app, expose: [80], networks: [front], restart: always }
  tight: { image: app, expose: [90], networks: [narrow] }
  alone: { image: app, network_mode: none, x-envrun: { ready: { tcp: 7000 } } }
  unit:
    image: app
    depends_on: [db, web, tight, alone]
    networks: [front]
    x-envrun: { suite: { junit: 'reports/*.xml' } }
networks:
  back: { internal: true }
  front: {}
  narrow: { ipam: { config: [{ subnet: 10.9.9.0/30 }] } }
";

fn far() -> Behaviours {
    let crashing = Behaviour {
        crashes: vec![(Duration::from_millis(100), 1)],
        ..Behaviour::serves(80, Duration::from_millis(300))
    };
    Behaviours::from([
        ("db", Behaviour::serves(5432, Duration::from_millis(400))),
        ("web", crashing),
        ("tight", Behaviour::serves(90, Duration::from_millis(50))),
        ("alone", Behaviour::serves(7000, Duration::from_millis(50))),
        ("unit", suite(PASSING, 0)),
    ])
}

/// The engine of a case.
fn engine(name: &str, behaviours: Behaviours) -> MemoryEngine {
    let engine = MemoryEngine::new(behaviours);
    if name == FAR_AWAY {
        engine.far_away()
    } else {
        engine
    }
}

/// The case whose networks cannot be dialled from here.
const FAR_AWAY: &str = "far away";

/// Name, Compose file, behaviours, signals.
type Case = (
    &'static str,
    &'static str,
    Behaviours,
    Vec<(Duration, Signal)>,
);

/// A passing run, a larger one, one whose database dies, one whose suite fails, one that is
/// interrupted half-way, one with restarts and hooks.
fn cases() -> Vec<Case> {
    let mut dying = pipeline();
    dying.insert("db", Behaviour::exits(Duration::from_millis(300), 1));
    let mut failing = pipeline();
    failing.insert("unit", suite(FAILING, 1));
    let one = Behaviours::from([("unit", suite(PASSING, 0))]);
    let mut sharing = one.clone();
    sharing.insert("proxy", Behaviour::serves(3000, Duration::from_millis(50)));
    // What is promised does not accept.
    let mut deaf = two_networks();
    deaf.insert("db", Behaviour::default());
    let interrupt = vec![(Duration::from_millis(400), Signal::Interrupt)];
    vec![
        ("one suite", ONE_SUITE, one, Vec::new()),
        ("pipeline", PIPELINE, pipeline(), Vec::new()),
        ("sharing", SHARING, sharing, Vec::new()),
        ("dying database", PIPELINE, dying, Vec::new()),
        ("failing suite", PIPELINE, failing, Vec::new()),
        ("interrupted", PIPELINE, pipeline(), interrupt),
        ("pulled", PULLED, pipeline(), Vec::new()),
        ("lifecycle", LIFECYCLE, lifecycle(), Vec::new()),
        ("matrix", TWO_NETWORKS, two_networks(), Vec::new()),
        ("broken matrix", TWO_NETWORKS, deaf, Vec::new()),
        ("explained", EXPLAINED, explained(), Vec::new()),
        ("retried", RETRIED, retried(), Vec::new()),
        ("kept", KEPT, kept(), Vec::new()),
        (FAR_AWAY, FAR, far(), Vec::new()),
        ("isolated", ISOLATED, isolated(), Vec::new()),
    ]
}

/// How long after the end of a run the engine is looked at again, for effects that come late.
const LATER: Duration = Duration::from_secs(60);

/// Runs every case once for each of its calls, with the fault that `fault` makes of the call's
/// number.
async fn nothing_remains(fault: impl Fn(usize) -> Fault) {
    for (name, compose, behaviours, signals) in cases() {
        let plan = mirrored(plan(compose));
        let clean = engine(name, behaviours.clone());
        let expected = run(&clean, plan.clone(), &signals)
            .await
            .outcome
            .exit_code();
        let calls = clean.calls();
        assert!(calls.len() > 10, "{name} makes only {} calls", calls.len());
        for (number, verb) in calls.iter().enumerate() {
            let engine = engine(name, behaviours.clone());
            let fault = fault(number);
            engine.inject(fault);
            let finished = run(&engine, plan.clone(), &signals).await;
            let context = || {
                format!(
                    "{name}, call {number} ({verb}), {fault:?}\n{}",
                    finished.told.timeline()
                )
            };
            assert_eq!(engine.everything(), [], "{}", context());
            assert_no_mirror_names(&engine, fault, &context);
            let report = finished
                .outcome
                .teardown
                .as_ref()
                .unwrap_or_else(|| panic!("no teardown: {}", context()));
            assert_eq!(report.left, [], "{}", context());
            envrun::clock::pause(LATER).await;
            assert_eq!(
                engine.everything(),
                [],
                "something came late: {}",
                context()
            );
            // A fault may make a passing run fail, never a failing one pass.
            let code = finished.outcome.exit_code().number();
            if expected.number() != 0 {
                assert_ne!(code, 0, "{}", context());
            }
            if code == 0 {
                assert!(
                    finished
                        .outcome
                        .suites
                        .iter()
                        .all(|suite| suite.exit.is_some() || suite.name.as_str() == SUITE),
                    "{}",
                    context()
                );
            }
        }
    }
}

/// The images of one registry come from a mirror that has everything but what is `missing`.
fn mirrored(plan: Plan) -> Plan {
    let mut mirrors = Mirrors::default();
    let (registry, mirror) = parse_pair("docker.io=mirror.example/hub").expect("a mirror");
    mirrors.add(registry, mirror);
    plan.mirrored(&mirrors)
}

/// A name that a mirror gave is taken away again, unless that very call went wrong.
fn assert_no_mirror_names(engine: &MemoryEngine, fault: Fault, context: &dyn Fn() -> String) {
    let (Fault::Fail { call, .. } | Fault::LoseReply { call, .. }) = fault;
    let calls = engine.calls();
    if calls.get(call).is_some_and(|verb| verb == "untag image") {
        return;
    }
    let left: Vec<String> = engine
        .image_names()
        .into_iter()
        .filter(|name| name.starts_with("mirror.example"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "{}", context());
}

#[tokio::test(start_paused = true)]
async fn every_call_is_refused_in_turn() {
    nothing_remains(|call| Fault::Fail {
        call,
        kind: FailureKind::Refused,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_call_fails_inside_the_engine_in_turn() {
    nothing_remains(|call| Fault::Fail {
        call,
        kind: FailureKind::Internal,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_call_finds_its_resource_busy_in_turn() {
    nothing_remains(|call| Fault::Fail {
        call,
        kind: FailureKind::Busy,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_call_finds_nothing_in_turn() {
    nothing_remains(|call| Fault::Fail {
        call,
        kind: FailureKind::NotFound,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_connection_breaks_before_the_call_in_turn() {
    nothing_remains(|call| Fault::Fail {
        call,
        kind: FailureKind::Unreachable,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_reply_is_lost_in_turn() {
    nothing_remains(|call| Fault::LoseReply {
        call,
        late: Duration::ZERO,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_reply_is_lost_and_the_effect_comes_five_seconds_later_in_turn() {
    nothing_remains(|call| Fault::LoseReply {
        call,
        late: Duration::from_secs(5),
    })
    .await;
}

/// The faults above must be able to fail the test: an engine that loses a create beyond the limit
/// does leave something behind.
#[tokio::test(start_paused = true)]
async fn an_effect_beyond_the_limit_is_seen_by_these_tests() {
    let engine = MemoryEngine::new(Behaviours::from([("unit", suite(PASSING, 0))]));
    let clean = MemoryEngine::new(Behaviours::from([("unit", suite(PASSING, 0))]));
    run(&clean, plan(ONE_SUITE), &[]).await;
    let call = clean
        .calls()
        .iter()
        .position(|verb| verb == "create network")
        .expect("a network is created");
    engine.inject(Fault::LoseReply {
        call,
        late: Duration::from_secs(3600),
    });
    run(&engine, plan(ONE_SUITE), &[]).await;
    envrun::clock::pause(Duration::from_secs(7200)).await;
    assert_eq!(engine.everything().len(), 1);
}

/// Interrupted at every millisecond, so that the end of each call falls into each part of teardown
/// once.
#[tokio::test(start_paused = true)]
async fn nothing_remains_whenever_the_run_is_interrupted() {
    let one = Behaviours::from([("unit", suite(PASSING, 0))]);
    let cases = [
        ("one suite", ONE_SUITE, one, 1_000),
        ("pipeline", PIPELINE, pipeline(), 1_000),
        ("pulled", PULLED, pipeline(), 1_500),
        ("lifecycle", LIFECYCLE, lifecycle(), 2_000),
        ("retried", RETRIED, retried(), 3_000),
        (FAR_AWAY, FAR, far(), 1_000),
    ];
    for (name, compose, behaviours, until) in cases {
        let plan = mirrored(plan(compose));
        for millisecond in 0..until {
            let engine = engine(name, behaviours.clone());
            let signals = [(Duration::from_millis(millisecond), Signal::Interrupt)];
            let finished = run(&engine, plan.clone(), &signals).await;
            envrun::clock::pause(LATER).await;
            assert_eq!(
                engine.everything(),
                [],
                "interrupted after {millisecond} ms\n{}",
                finished.told.timeline()
            );
            assert_eq!(finished.outcome.exit_code().number(), 130);
            let names = engine.image_names();
            assert!(
                !names.iter().any(|name| name.starts_with("mirror.example")),
                "interrupted after {millisecond} ms: {names:?}"
            );
        }
    }
}

/// The first signal lets the containers be taken leave of; the second may come at any moment of it.
#[tokio::test(start_paused = true)]
async fn nothing_remains_whenever_the_second_signal_comes() {
    let plan = plan(LIFECYCLE);
    for millisecond in 0..500 {
        let engine = MemoryEngine::new(lifecycle());
        let first = Duration::from_millis(2_000);
        let signals = [first, first + Duration::from_millis(millisecond)];
        let signals = signals.map(|at| (at, Signal::Terminate));
        let finished = run(&engine, plan.clone(), &signals).await;
        envrun::clock::pause(LATER).await;
        assert_eq!(
            engine.everything(),
            [],
            "interrupted again after {millisecond} ms\n{}",
            finished.told.timeline()
        );
        assert_eq!(finished.outcome.exit_code().number(), 143);
    }
}
