//! Suites in an environment that is there already: everything of it is somebody else's.

use std::collections::BTreeSet;

use envrun::config::model::{Peer, Project};
use envrun::name::{RunId, ServiceName};
use envrun::plan::within::{needed, within};
use envrun::plan::{Action, Plan, PlannedNetwork, PlannedVolume, Selection};

use crate::support::{RUN, project};

/// The run whose environment is held.
const HELD: RunId = RunId::from_u128(0xaaaa_bbbb_cccc_4ddd_8eee_ffff_0000_1111);

const SHOP: &str = "
services:
  db: { image: postgres, networks: [back], volumes: ['data:/data'] }
  migrate: { image: app, networks: [back], depends_on: [db] }
  web: { image: app, scale: 2, networks: [front] }
  cache: { image: app }
  smoke: { image: tests, networks: [front], depends_on: [web], x-envrun: { suite: {} } }
  deep:
    image: tests
    network_mode: 'service:web'
    ipc: 'service:cache'
    volumes_from: ['db:ro']
    volumes: ['data:/look', 'own:/own']
    depends_on:
      migrate: { condition: service_completed_successfully }
      smoke: { condition: service_completed_successfully }
      cache: { condition: service_started, required: false }
    x-envrun: { suite: {} }
  linked:
    image: tests
    networks: [back]
    links: ['web:site', 'db']
    x-envrun: { suite: {} }
networks: { back: {}, front: {}, others: { external: true } }
volumes: { data: {}, own: { external: true, name: mine } }
";

fn adopted() -> Project {
    within(&project(SHOP), HELD)
}

#[test]
fn only_suites_are_left_and_everything_else_is_external() {
    let plan = Plan::new(&adopted(), RUN, &Selection::default()).expect("a plan");
    let services: Vec<&str> = plan.services.keys().map(ServiceName::as_str).collect();
    assert_eq!(services, ["deep", "linked", "smoke"]);
    for (key, network) in &plan.networks {
        let name = format!("envrun-aaaabbbbcccc-{key}");
        assert_eq!(*network, PlannedNetwork::External(name));
    }
    let volumes: Vec<_> = plan.volumes.values().collect();
    let external = |name: &str| PlannedVolume::External(name.to_owned());
    assert_eq!(
        volumes,
        [&external("envrun-aaaabbbbcccc-data"), &external("mine")]
    );
    // The containers are this run's own.
    assert_eq!(
        plan.services["smoke"].container_name,
        "envrun-0123456789ab-smoke"
    );
    // Suites still wait for suites, and for nobody else.
    let waits: Vec<&Action> = plan
        .steps
        .iter()
        .map(|step| &step.action)
        .filter(|action| matches!(action, Action::AwaitReady(_) | Action::AwaitCompleted(_)))
        .collect();
    assert_eq!(waits, [] as [&Action; 0]);
    let start = Action::StartContainer("deep".into());
    let start = plan.steps.iter().find(|step| step.action == start);
    let needs = start.expect("a start").needs.iter();
    let smoke = Action::AwaitSuite("smoke".into());
    assert!(
        needs
            .clone()
            .any(|need| plan.steps[need.step.0].action == smoke)
    );
}

#[test]
fn what_is_shared_is_shared_with_the_containers_that_are_there() {
    let project = adopted();
    let deep = &project.services["deep"].sharing;
    let container = |name: &str| {
        Some(Peer::Engine(format!(
            "container:envrun-aaaabbbbcccc-{name}"
        )))
    };
    assert_eq!(deep.network_mode, container("web-1"));
    assert_eq!(deep.ipc, container("cache"));
    let from = &deep.volumes_from[0];
    let database = Peer::Engine("envrun-aaaabbbbcccc-db".to_owned());
    assert_eq!((&from.peer, from.read_only), (&database, true));
    let linked = &project.services["linked"].sharing;
    assert_eq!(linked.links, []);
    assert_eq!(
        linked.external_links,
        ["web:site", "envrun-aaaabbbbcccc-db:db",]
    );
}

#[test]
fn what_has_to_be_there_is_what_the_selected_suites_require() {
    let project = project(SHOP);
    let needed = |suites: &[&str]| -> Vec<String> {
        let suites: Vec<ServiceName> = suites.iter().map(|name| (*name).into()).collect();
        let suites: BTreeSet<&ServiceName> = suites.iter().collect();
        let needed = needed(&project, &suites);
        needed.iter().map(ToString::to_string).collect()
    };
    assert_eq!(needed(&["smoke"]), ["web"]);
    assert_eq!(needed(&["deep"]), ["db", "migrate", "web"]);
    let nobody: [&str; 0] = [];
    assert_eq!(needed(&[]), nobody);
}
