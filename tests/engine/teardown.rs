//! Teardown removes what is the run's and nothing else, whatever others do to it meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest,
    NetworkCreateRequest, VolumeCreateRequest,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};

use crate::harness::engine::{RUN_LABEL, Resource};
use crate::harness::project::held_suite;
use crate::harness::run::watchdog_of;
use crate::harness::{Project, image, wait};

#[test]
fn what_others_made_under_names_like_ours_survives() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    let short: String = id
        .chars()
        .filter(|letter| *letter != '-')
        .take(12)
        .collect();
    let foreign = Foreign::make(&project, &format!("envrun-{short}-foreign"));
    project.open_gate();
    run.finish().assert_code(0);
    // Long after the run, its watchdog has nothing to do with it either.
    wait::until("the end of the watchdog", Duration::from_secs(10), || {
        watchdog_of(&id).is_none().then_some(())
    });
    let there = project.engine.labelled(Foreign::LABEL, &foreign.value);
    assert_eq!(there.len(), 3, "{there:#?}");
}

#[test]
fn a_network_that_somebody_else_has_joined_is_removed_all_the_same() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut run = project.start();
    run.until_suite_started("checks");
    let foreign = Foreign::make(&project, &format!("test-{}", uuid::Uuid::new_v4().simple()));
    let networks = project.engine.inspect(&run.id(), "network");
    let network = networks[0]["Id"].as_str().unwrap();
    let container = foreign.id("container");
    project.engine.call(async |docker| {
        let request = NetworkConnectRequest {
            container: container.clone(),
            endpoint_config: Some(EndpointSettings::default()),
        };
        docker.connect_network(network, request).await?;
        docker
            .start_container(
                &container,
                None::<bollard::query_parameters::StartContainerOptions>,
            )
            .await
    });
    let before = project.engine.inspect_one(&foreign.resource("container"));
    project.open_gate();
    run.finish().assert_code(0);
    // It was only put out of the network: it runs as before, on the network that is its own.
    let after = project.engine.inspect_one(&foreign.resource("container"));
    assert_eq!(after.pointer("/State/Running"), Some(&true.into()));
    assert_eq!(
        after.pointer("/State/StartedAt"),
        before.pointer("/State/StartedAt")
    );
    let networks = |inspected: &serde_json::Value| {
        let networks = inspected.pointer("/NetworkSettings/Networks");
        let networks = networks.and_then(serde_json::Value::as_object).unwrap();
        networks.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!((networks(&before).len(), networks(&after).len()), (2, 1));
}

/// Removes the container of a service from under a run, as a tidy colleague would.
fn remove_container(project: &Project, run: &str, service: &str) {
    let container = project.engine.container(run, service);
    let id = container["Id"].as_str().unwrap();
    project.engine.call(async |docker| {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        docker.remove_container(id, Some(options)).await
    });
}

#[test]
fn a_suite_whose_container_somebody_removes_has_not_passed() {
    let project = Project::new(&format!("services:\n  checks:\n    {}\n", held_suite()));
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    remove_container(&project, &id, "checks");
    let finished = run.finish();
    finished.assert_code(1);
    assert_ne!(finished.junit().of("checks")[0].result, "passed");
}

#[test]
fn a_service_whose_container_somebody_removes_ends_the_run_with_3() {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [sleep, infinity]
  checks:
    {held}
    depends_on: [server]
",
        base = image::BASE,
        held = held_suite(),
    ));
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    remove_container(&project, &id, "server");
    let finished = run.finish();
    finished.assert_code(3);
    assert_eq!(
        finished.first("run_aborted").1.at("/failure/service"),
        "server"
    );
}

/// A container, a network and a volume that are not envrun's, although they look like it. They
/// carry a label of the test and are removed by it.
pub(crate) struct Foreign<'project> {
    project: &'project Project,
    pub(crate) value: String,
}

impl<'project> Foreign<'project> {
    pub(crate) const LABEL: &'static str = "dev.envrun.test.foreign";

    pub(crate) fn make(project: &'project Project, name: &str) -> Self {
        let random = uuid::Uuid::new_v4();
        let value = random.to_string();
        let [third, fourth, ..] = *random.as_bytes();
        let subnet = format!("198.18.{third}.{}/28", fourth & 0xf0);
        let foreign = Self { project, value };
        // The label of another run is no licence either.
        let labels: HashMap<String, String> = [
            (Self::LABEL.to_owned(), foreign.value.clone()),
            (format!("{RUN_LABEL}.other"), "x".to_owned()),
        ]
        .into();
        project.engine.call(async |docker| {
            let volume = VolumeCreateRequest {
                name: Some(name.to_owned()),
                labels: Some(labels.clone()),
                ..VolumeCreateRequest::default()
            };
            docker.create_volume(volume).await?;
            let network = NetworkCreateRequest {
                name: name.to_owned(),
                labels: Some(labels.clone()),
                // The pools of the engine are small, so it takes its addresses from the range for
                // benchmarks (RFC 2544), anywhere in it, so that two tests do not meet.
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig {
                        subnet: Some(subnet.clone()),
                        ..IpamConfig::default()
                    }]),
                    ..Ipam::default()
                }),
                ..NetworkCreateRequest::default()
            };
            docker.create_network(network).await?;
            let container = ContainerCreateBody {
                image: Some(image::BASE.to_owned()),
                cmd: Some(vec!["sleep".to_owned(), "infinity".to_owned()]),
                labels: Some(labels.clone()),
                ..ContainerCreateBody::default()
            };
            let options = CreateContainerOptionsBuilder::default().name(name).build();
            docker.create_container(Some(options), container).await
        });
        foreign
    }

    /// The thing of this kind.
    fn resource(&self, kind: &str) -> Resource {
        let all = self.project.engine.labelled(Self::LABEL, &self.value);
        all.into_iter()
            .find(|resource| resource.kind == kind)
            .unwrap()
    }

    fn id(&self, kind: &str) -> String {
        self.resource(kind).id
    }
}

impl Drop for Foreign<'_> {
    fn drop(&mut self) {
        self.project
            .engine
            .remove_labelled(Self::LABEL, &self.value);
    }
}
