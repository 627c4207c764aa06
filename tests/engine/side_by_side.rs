//! What runs on one machine share, and how they make room for each other.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::faulty_engine::FaultyEngine;
use crate::harness::project::held_suite;
use crate::harness::{Project, Run, events, image, wait};

/// More container starts than the limits of these tests allow at once.
fn several_starts() -> Project {
    Project::new(&format!(
        "
services:
  one: {{ image: {base}, command: [sleep, infinity] }}
  two: {{ image: {base}, command: [sleep, infinity] }}
  checks:
    image: {base}
    command: [\"true\"]
    depends_on: [one, two]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
}

/// Starts a run that talks to `engine`, with a limit of `limit` starts at once.
fn start<'project>(
    project: &'project Project,
    engine: &FaultyEngine,
    limit: &str,
    out: &str,
) -> Run<'project> {
    let mut command = project.envrun(&["run", "--out", out]);
    command
        .env("DOCKER_HOST", engine.address())
        .env("ENVRUN_CONCURRENT_STARTS", limit);
    Run::start(project, command, out)
}

fn says_that_it_waits(run: &Run<'_>) -> bool {
    let events = events::read(&run.out);
    events.iter().any(|event| event.kind() == "start_waits")
}

#[test]
fn runs_side_by_side_start_no_more_containers_at_once_than_the_limit() {
    let project = several_starts();
    let engine = FaultyEngine::holding(&project, "POST /containers/*/start");
    let outs = ["one", "two", "three"];
    let runs = outs.map(|out| start(&project, &engine, "2", out));
    engine.until_held(2);
    // With two starts under way, a run that has none of them waits; those are at least one, and with
    // one start each the third waits for both.
    wait::until("a run that waits", Duration::from_secs(60), || {
        let waiting = runs.iter().filter(|run| says_that_it_waits(run)).count();
        (waiting >= 2).then_some(())
    });
    assert_eq!((engine.held(), engine.passed_on()), (2, 0));
    engine.let_go();
    let mut lines = 0;
    for run in runs {
        let finished = run.finish();
        finished.assert_code(0);
        let line = |line: &str| line.contains("waiting for") && line.contains("other run");
        lines += usize::from(finished.stderr.lines().any(line));
    }
    assert!(lines >= 2, "{lines} runs have said that they wait");
    assert_eq!(engine.passed_on(), 9);
}

#[test]
fn a_run_that_is_killed_while_it_starts_a_container_makes_room_at_once() {
    let project = several_starts();
    let engine = FaultyEngine::holding(&project, "POST /containers/*/start");
    let mut first = start(&project, &engine, "1", "first");
    engine.until_held(1);
    let mut second = start(&project, &engine, "1", "second");
    let waits = second.event("its waiting", |event| event.kind() == "start_waits");
    assert_eq!(waits.0["others"], 1);
    assert_eq!(engine.held(), 1);
    first.watchdog();
    first.signal(Signal::KILL);
    engine.until_held(2);
    engine.let_go();
    second.finish().assert_code(0);
    first.wait(Duration::from_secs(5));
    first.until_nothing_is_left(Duration::from_secs(30));
}

#[test]
fn a_run_that_is_ended_while_it_waits_for_others_starts_nothing_more() {
    let project = several_starts();
    let engine = FaultyEngine::holding(&project, "POST /containers/*/start");
    let first = start(&project, &engine, "1", "first");
    engine.until_held(1);
    let mut second = start(&project, &engine, "1", "second");
    second.event("its waiting", |event| event.kind() == "start_waits");
    second.signal(Signal::TERM);
    // Its teardown waits for nobody.
    second.finish().assert_code(143);
    assert_eq!(engine.held(), 1);
    engine.let_go();
    first.finish().assert_code(0);
    assert_eq!(engine.passed_on(), 3);
}

/// A project with one held suite on a network that is written like this.
fn on_network(network: &str) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    {held}
    networks: [one]
networks:
  one: {network}
",
        held = held_suite(),
    ))
}

/// Two random bytes, for what has to be unique on the engine's host.
fn random() -> (u8, u8) {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    (bytes[0], bytes[1])
}

/// Runs a project twice at once; the second run waits for the first one, and says for what.
#[track_caller]
fn second_waits_for_first(project: &Project, holds: &str) {
    let mut first = Run::start(project, project.envrun(&["run", "--out", "first"]), "first");
    first.until_suite_started("checks");
    let mut second = Run::start(
        project,
        project.envrun(&["run", "--out", "second"]),
        "second",
    );
    let waits = second.event("its waiting", |event| event.kind() == "network_waits");
    assert_eq!(
        (waits.text("run"), waits.text("holds")),
        (first.id().as_str(), holds)
    );
    project.open_gate();
    first.finish().assert_code(0);
    let finished = second.finish();
    finished.assert_code(0);
    let line = format!("waiting for run {}", waits.text("run"));
    assert!(finished.stderr.contains(&line), "{}", finished.stderr);
}

#[test]
fn a_run_waits_for_the_run_that_has_its_subnet() {
    let (one, two) = random();
    let subnet = format!("10.230.{one}.{}/28", two & 0xf0);
    let network = format!("{{ ipam: {{ config: [{{ subnet: {subnet} }}] }} }}");
    second_waits_for_first(&on_network(&network), &format!("subnet `{subnet}`"));
}

#[test]
fn a_run_waits_for_the_run_that_has_its_bridge() {
    let (one, two) = random();
    let bridge = format!("envr-{one:02x}{two:02x}");
    let network = format!("{{ driver_opts: {{ com.docker.network.bridge.name: {bridge} }} }}");
    second_waits_for_first(&on_network(&network), &format!("bridge `{bridge}`"));
}

/// A network of nobody's run, which is removed at the end of the test.
struct Stranger {
    name: String,
}

impl Stranger {
    fn new(arguments: &[&str]) -> Self {
        let name = format!("envrun-test-{}", uuid::Uuid::new_v4().simple());
        let mut command = Command::new("docker");
        let command = command
            .args(["network", "create"])
            .args(arguments)
            .arg(&name);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self { name }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["network", "rm", &self.name])
            .output();
    }
}

#[test]
fn a_network_that_is_no_runs_is_not_waited_for() {
    let (one, two) = random();
    let subnet = format!("10.230.{one}.{}/28", two & 0xf0);
    let bridge = format!("envr-{one:02x}{two:02x}");
    let option = format!("com.docker.network.bridge.name={bridge}");
    let stranger = Stranger::new(&["--subnet", &subnet, "--opt", &option]);
    for network in [
        format!("{{ ipam: {{ config: [{{ subnet: {subnet} }}] }} }}"),
        format!("{{ driver_opts: {{ com.docker.network.bridge.name: {bridge} }} }}"),
    ] {
        let project = on_network(&network);
        let finished = project.run();
        finished.assert_code(4);
        assert!(
            finished.stderr.contains(&stranger.name),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn a_pool_for_two_networks_serves_four_runs() {
    let (one, two) = random();
    let pool = format!("10.240.{one}.{}/27", two & 0xe0);
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let outs = ["one", "two", "three", "four"];
    let runs = outs.map(|out| {
        let arguments = ["run", "--out", out, "--subnet-pool", &pool];
        Run::start(&project, project.envrun(&arguments), out)
    });
    let count = |kind: &str| {
        let has = |run: &&Run<'_>| {
            events::read(&run.out)
                .iter()
                .any(|event| event.kind() == kind)
        };
        runs.iter().filter(has).count()
    };
    wait::until("two runs that wait", Duration::from_secs(60), || {
        (count("suite_started") == 2 && count("network_waits") == 2).then_some(())
    });
    project.open_gate();
    for run in runs {
        run.finish().assert_code(0);
    }
}

#[test]
fn a_pool_that_cannot_serve_the_project_is_refused_before_anything_starts() {
    let project = Project::new(&format!(
        "
services:
  checks: {{ image: {}, networks: [one, two, three], x-envrun: {{ suite: {{}} }} }}
networks: {{ one: {{}}, two: {{}}, three: {{}} }}
",
        image::BASE
    ));
    for (pool, word) in [
        (
            "10.240.0.0/29",
            "has no room for network `one`, which needs a /28",
        ),
        (
            "10.240.0.0/27",
            "has 32 addresses, and the 3 networks of the project need 48",
        ),
        ("10.240.0.1/24", "the range begins at `10.240.0.0/24`"),
        ("127.0.0.0/16", "is for the loopback interface"),
        ("pool", "is no pool of subnets"),
    ] {
        let output = project.command(&["--subnet-pool", pool]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "{said}");
    }
    assert!(!project.path("out/events.jsonl").exists());
}

#[test]
fn a_name_on_an_external_network_belongs_to_one_run_at_a_time() {
    let shared = Stranger::new(&[]);
    let project = |networks: &str| {
        Project::new(&format!(
            "
services:
  database: {{ image: {base}, command: [sleep, infinity], networks: {networks} }}
  checks:
    {held}
    depends_on: [database]
    networks: [own]
networks:
  own: {{}}
  shared: {{ external: true, name: {name} }}
",
            base = image::BASE,
            held = held_suite(),
            name = shared.name,
        ))
    };
    let first = project("{ shared: { aliases: [db] }, own: {} }");
    let mut holder = first.start();
    holder.until_suite_started("checks");
    // By another alias, by the name of the service, on the first network or a further one.
    for networks in [
        "{ shared: {} }",
        "{ own: { priority: 9 }, shared: { priority: 1 } }",
    ] {
        let second = project(networks);
        let finished = second.run();
        finished.assert_code(4);
        for word in ["the name `database`", &holder.id()] {
            assert!(finished.stderr.contains(word), "{}", finished.stderr);
        }
    }
    first.open_gate();
    holder.finish().assert_code(0);
    // Now it is free.
    let after = project("{ shared: {} }");
    after.open_gate();
    after.run().assert_code(0);
}
