//! Images that have to be pulled: once each, again after what passes, from mirrors, or built instead.

use std::time::Duration;

use envrun::engine::memory::MemoryEngine;
use envrun::event::Event;
use envrun::image::Mirrors;
use envrun::image::mirror::parse_pair;

use super::support::{Behaviours, Finished, PASSING, plan, run, suite};

/// A run of a file with these services and a suite, with these mirrors.
async fn pulled(services: &str, mirrors: &[&str]) -> (Finished, MemoryEngine) {
    let mut configured = Mirrors::default();
    for pair in mirrors {
        let (registry, mirror) = parse_pair(pair).expect(pair);
        configured.add(registry, mirror);
    }
    let compose = format!(
        "services:\n  unit: {{ image: app, depends_on: [one], x-envrun: {{ suite: true }} }}\n{services}"
    );
    let engine = MemoryEngine::new(Behaviours::from([("unit", suite(PASSING, 0))]));
    let finished = run(&engine, plan(&compose).mirrored(&configured), &[]).await;
    (finished, engine)
}

fn calls(engine: &MemoryEngine, verb: &str) -> usize {
    engine.calls().iter().filter(|call| *call == verb).count()
}

/// What was told of pulls, one line each.
fn pulls(finished: &Finished) -> String {
    let lines = finished.told.events().into_iter().filter_map(|event| {
        Some(match event {
            Event::PullStarted { from, reason, .. } => format!("from {from}: {reason}"),
            Event::PullRetried {
                attempt,
                limit,
                pause,
                ..
            } => format!(
                "attempt {attempt} of {limit}, next after {} ms",
                pause.as_millis()
            ),
            Event::PullFinished { from, .. } => format!("got {from}"),
            Event::Warning { message } => format!("warning: {message}"),
            _ => return None,
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn an_image_is_pulled_once_however_many_services_use_it() {
    let services = "
  one: { image: remote/app }
  two: { image: 'docker.io/remote/app:latest' }
  three: { image: remote/app, pull_policy: always }
";
    let (finished, engine) = pulled(services, &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    assert_eq!(calls(&engine, "pull image"), 1);
    insta::assert_snapshot!(pulls(&finished), @r#"
    from docker.io/remote/app: `pull_policy` is `always`
    got docker.io/remote/app
    "#);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_pulled_only_when_the_policy_says_so() {
    for (policy, expected) in [
        ("missing", 0),
        ("if_not_present", 0),
        ("never", 0),
        ("always", 1),
        // The image of the engine in memory has no age.
        ("daily", 1),
    ] {
        let services = format!("  one: {{ image: here, pull_policy: {policy} }}\n");
        let (finished, engine) = pulled(&services, &[]).await;
        assert_eq!(finished.outcome.exit_code().number(), 0, "{policy}");
        assert_eq!(calls(&engine, "pull image"), expected, "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_pulled_and_is_not_there_is_an_error() {
    let (finished, engine) = pulled("  one: { image: remote, pull_policy: never }\n", &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 3);
    assert_eq!(calls(&engine, "pull image"), 0);
    let failure = finished.outcome.failure.expect("a failure");
    insta::assert_snapshot!(failure.message, @"cannot obtain image `remote`: the engine does not have it, and its `pull_policy` forbids to pull it");
    insta::assert_snapshot!(failure.hint.expect("a hint"), @"pull or build it beforehand, or let it be pulled: `pull_policy: missing`");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_tried_again_after_growing_pauses() {
    let (finished, _) = pulled("  one: { image: remote/flaky }\n", &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    insta::assert_snapshot!(pulls(&finished), @r#"
    from docker.io/remote/flaky: the engine does not have it
    attempt 1 of 5, next after 500 ms
    attempt 2 of 5, next after 1000 ms
    got docker.io/remote/flaky
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_stands_before_the_registry_and_leaves_no_name() {
    let mirrors = ["docker.io=mirror.example/hub"];
    let (finished, engine) = pulled("  one: { image: 'remote/app:1' }\n", &mirrors).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    assert_eq!(engine.image_names(), ["docker.io/remote/app:1"]);
    insta::assert_snapshot!(pulls(&finished), @r#"
    from mirror.example/hub/remote/app:1: the engine does not have it
    got mirror.example/hub/remote/app:1
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_lacks_the_image_gives_way_to_the_next_and_to_the_registry() {
    let mirrors = ["docker.io=empty.example", "docker.io=flaky.example"];
    let (finished, engine) = pulled("  one: { image: 'remote/app:1' }\n", &mirrors).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    assert_eq!(engine.image_names(), ["docker.io/remote/app:1"]);
    insta::assert_snapshot!(pulls(&finished), @r#"
    from empty.example/remote/app:1: the engine does not have it
    warning: mirror `empty.example` does not give image `remote/app:1`: manifest for empty.example/remote/app:1 not found: manifest unknown
    from flaky.example/remote/app:1: the mirror before did not give it
    attempt 1 of 2, next after 500 ms
    warning: mirror `flaky.example` does not give image `remote/app:1`: received unexpected HTTP status: 503 Service Unavailable
    from docker.io/remote/app:1: the mirror before did not give it
    got docker.io/remote/app:1
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_image_by_its_digest_keeps_the_name_of_its_mirror() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let services = format!("  one: {{ image: 'remote/app@{digest}' }}\n");
    let (finished, engine) = pulled(&services, &["docker.io=mirror.example"]).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    assert_eq!(
        engine.image_names(),
        [format!("mirror.example/remote/app@{digest}")]
    );
    assert_eq!(calls(&engine, "pull image"), 1);
    // A second run finds it there.
    let again = run(
        &engine,
        plan(&format!(
            "services: {{ unit: {{ image: 'remote/app@{digest}', x-envrun: {{ suite: true }} }} }}"
        ))
        .mirrored(&{
            let mut mirrors = Mirrors::default();
            let (registry, mirror) = parse_pair("docker.io=mirror.example").expect("a mirror");
            mirrors.add(registry, mirror);
            mirrors
        }),
        &[],
    )
    .await;
    assert_eq!(again.outcome.exit_code().number(), 0);
    assert_eq!(calls(&engine, "pull image"), 1);
}

#[tokio::test(start_paused = true)]
async fn beside_build_a_policy_asks_for_the_image_first() {
    let with = |policy: &str, image: &str| {
        format!("  one: {{ image: {image}, build: ., pull_policy: {policy} }}\n")
    };
    // Policy, image, pulls, builds.
    for (policy, image, expected_pulls, expected_builds) in [
        ("build", "here", 0, 1),
        ("never", "here", 0, 0),
        ("never", "remote", 0, 1),
        ("missing", "here", 0, 0),
        ("missing", "remote", 1, 0),
        ("missing", "missing", 1, 1),
        ("always", "missing", 1, 1),
    ] {
        let (finished, engine) = pulled(&with(policy, image), &[]).await;
        let context = format!("{policy} {image}");
        assert_eq!(finished.outcome.exit_code().number(), 0, "{context}");
        assert_eq!(calls(&engine, "pull image"), expected_pulls, "{context}");
        assert_eq!(calls(&engine, "build image"), expected_builds, "{context}");
    }
    let (_, engine) = pulled("  one: { image: remote, build: . }\n", &[]).await;
    assert_eq!(calls(&engine, "pull image"), 0);
    assert_eq!(calls(&engine, "build image"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_does_not_recover_is_given_up_within_the_documented_time() {
    let begun = envrun::clock::now();
    let (finished, engine) = pulled("  one: { image: remote/down }\n", &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 3);
    assert_eq!(calls(&engine, "pull image"), 5);
    let elapsed = begun.elapsed();
    let pauses = Duration::from_millis(7_500);
    assert!(
        elapsed > pauses && elapsed < pauses + Duration::from_secs(6),
        "{elapsed:?}"
    );
    let failure = finished.outcome.failure.expect("a failure");
    insta::assert_snapshot!(failure.message, @"cannot obtain image `remote/down`: received unexpected HTTP status: 503 Service Unavailable (5 attempts)");
    assert_eq!(failure.kind, "RegistryUnavailable");
}
