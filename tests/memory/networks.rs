//! Networks that need what somebody else has.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use envrun::engine::memory::MemoryEngine;
use envrun::engine::{RunOf, Subnet};
use envrun::event::Event;
use envrun::exit_code::Signal;
use envrun::name::RunId;
use envrun::plan::subnet::Candidates;
use envrun::run::dispatcher::Settings;

use crate::support::{Finished, RUN, plan, run_with, settings, suite};

const CHOSEN: &str = "
services:
  checks: { image: checks, x-envrun: { suite: {} } }
";

const FIXED: &str = "
services:
  checks: { image: checks, networks: [fixed], x-envrun: { suite: {} } }
networks: { fixed: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } } }
";

const fn subnet(last: u8, prefix: u8) -> Subnet {
    Subnet {
        base: Ipv4Addr::new(10, 9, 0, last),
        prefix,
    }
}

fn other_run() -> RunOf {
    RunOf {
        run: RunId::from_u128(7),
        project: "other".to_owned(),
    }
}

fn engine() -> MemoryEngine {
    MemoryEngine::new(BTreeMap::from([("checks", suite("", 0))]))
}

/// A pool with room for two networks.
fn small_pool() -> Settings {
    Settings {
        subnet_pool: subnet(0, 27),
        ..settings()
    }
}

fn vacate_after(engine: &MemoryEngine, after: Duration, subnet: Subnet) {
    let engine = engine.clone();
    tokio::spawn(async move {
        envrun::clock::pause(after).await;
        engine.vacate(subnet);
    });
}

/// For whom a run has said that it waits, and for what.
fn waits(finished: &Finished) -> Vec<String> {
    let waits = finished
        .told
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::NetworkWaits { run, holds, .. } => Some(format!("{}: {holds}", run.short())),
            _ => None,
        });
    waits.collect()
}

fn calls(engine: &MemoryEngine, verb: &str) -> usize {
    engine.calls().iter().filter(|call| *call == verb).count()
}

fn message(finished: &Finished) -> String {
    let failure = finished.outcome.failure.as_ref().expect("a failure");
    failure.message.clone()
}

#[tokio::test(start_paused = true)]
async fn a_fixed_subnet_that_another_run_has_is_waited_for() {
    let engine = engine();
    engine.occupy_for(subnet(128, 25), other_run());
    vacate_after(&engine, Duration::from_secs(60), subnet(128, 25));
    let finished = run_with(&engine, plan(FIXED), settings(), &[]).await;
    assert!(finished.outcome.passed(), "{}", finished.told.timeline());
    assert_eq!(waits(&finished), ["000000000000: subnet `10.9.0.128/25`"]);
    assert_eq!(calls(&engine, "create network"), 2);
    // It is looked about every two seconds, and the run goes on soon after.
    let looks = calls(&engine, "networks");
    assert!((25..40).contains(&looks), "{looks}");
    assert!(finished.outcome.duration < Duration::from_secs(65));
    assert_eq!(engine.everything(), []);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_end_is_named_after_a_while() {
    let engine = engine();
    engine.occupy_for(subnet(0, 24), other_run());
    let finished = run_with(&engine, plan(FIXED), settings(), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 4);
    assert_eq!(
        message(&finished),
        "network `fixed` has waited 600s for run 00000000-0000-0000-0000-000000000007 of project `other`, which holds subnet `10.9.0.0/24`"
    );
    let waited = finished.outcome.duration;
    assert!(waited >= Duration::from_secs(600) && waited < Duration::from_secs(605));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_ended_while_its_network_waits_leaves_nothing() {
    let engine = engine();
    engine.occupy_for(subnet(0, 24), other_run());
    let signals = [(Duration::from_secs(9), Signal::Interrupt)];
    let finished = run_with(&engine, plan(FIXED), settings(), &signals).await;
    assert_eq!(finished.outcome.exit_code().number(), 130);
    assert!(finished.outcome.duration < Duration::from_secs(10));
    assert_eq!(engine.everything(), []);
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_waited_for() {
    let engine = engine();
    // One of two may go, the other one stays.
    engine.occupy_for(subnet(0, 28), other_run());
    engine.occupy(subnet(64, 28));
    let finished = run_with(&engine, plan(FIXED), settings(), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 4);
    assert!(message(&finished).contains("network `taken` holds subnet `10.9.0.64/28`"));
    assert!(waits(&finished).is_empty());
    assert!(finished.outcome.duration < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_pool_waits_for_the_first_run_that_ends() {
    let engine = engine();
    engine.occupy_for(subnet(0, 28), other_run());
    engine.occupy_for(subnet(16, 28), other_run());
    vacate_after(&engine, Duration::from_secs(30), subnet(16, 28));
    let finished = run_with(&engine, plan(CHOSEN), small_pool(), &[]).await;
    assert!(finished.outcome.passed(), "{}", finished.told.timeline());
    assert_eq!(
        waits(&finished),
        ["000000000000: subnet `10.9.0.0/28` of the pool `10.9.0.0/27`"]
    );
    assert!(finished.outcome.duration < Duration::from_secs(35));
}

#[tokio::test(start_paused = true)]
async fn routes_of_the_engines_own_networks_come_and_go_with_them() {
    let engine = engine();
    engine.occupy_for(subnet(0, 28), other_run());
    engine.occupy(subnet(16, 28));
    vacate_after(&engine, Duration::from_secs(30), subnet(0, 28));
    // Both are routes of this host when the run begins, with the host's own addresses in them.
    let settings = Settings {
        avoid_subnets: vec![subnet(0, 28), subnet(1, 32), subnet(16, 28)],
        ..small_pool()
    };
    let finished = run_with(&engine, plan(CHOSEN), settings, &[]).await;
    assert!(finished.outcome.passed(), "{}", finished.told.timeline());
    // Nothing was tried in vain.
    assert_eq!(calls(&engine, "create network"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_strangers_is_an_error_at_once_and_so_is_a_route() {
    let engine = engine();
    engine.occupy(subnet(0, 28));
    engine.occupy(subnet(16, 28));
    let finished = run_with(&engine, plan(CHOSEN), small_pool(), &[]).await;
    assert!(
        message(&finished)
            .starts_with("no free subnet for network `default` in pool `10.9.0.0/27`")
    );
    assert!(finished.outcome.duration < Duration::from_secs(1));

    let settings = Settings {
        avoid_subnets: vec![subnet(0, 16)],
        ..small_pool()
    };
    let finished = run_with(&self::engine(), plan(CHOSEN), settings, &[]).await;
    assert_eq!(
        message(&finished),
        "no free subnet for network `default` in pool `10.9.0.0/27`, where the host has a route to `10.9.0.0/16`"
    );
}

#[tokio::test(start_paused = true)]
async fn many_networks_of_others_cost_one_refused_call() {
    let engine = engine();
    let first = Candidates::new(RUN, &"default".into(), 28, settings().subnet_pool, &[]);
    for taken in first.take(500) {
        engine.occupy(taken);
    }
    let finished = run_with(&engine, plan(CHOSEN), settings(), &[]).await;
    assert!(finished.outcome.passed(), "{}", finished.told.timeline());
    assert_eq!(calls(&engine, "create network"), 2);
}
