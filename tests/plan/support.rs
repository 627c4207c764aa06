//! What the tests of plans share: projects from text, images, specifications.

use std::collections::BTreeMap;

use envrun::config::model::Project;
use envrun::config::{self, Request};
use envrun::engine::{ContainerSpec, ImageFacts};
use envrun::image::Platform;
use envrun::image::policy::Present;
use envrun::name::{ContainerId, ImageId, NetworkId, RunId};
use envrun::plan::{ImageIndex, Plan, Selection, container};

/// API version of an engine that has everything.
pub(crate) const NEW: (u16, u16) = (1, 51);

pub(crate) const RUN: RunId = RunId::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);

pub(crate) fn project(compose: &str) -> Project {
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join("compose.yaml"), compose).expect("written");
    let request = Request {
        directory: directory.path().to_path_buf(),
        project_name: Some("test".to_owned()),
        environment: BTreeMap::from([("TOKEN".to_owned(), "t".to_owned())]),
        ..Request::default()
    };
    config::load(&request)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)))
        .project
}

pub(crate) fn plan(compose: &str, selection: &Selection) -> Result<String, String> {
    Plan::new(&project(compose), RUN, selection)
        .map(|plan| plan.to_text())
        .map_err(|error| error.to_string())
}

pub(crate) fn image() -> ImageFacts {
    ImageFacts {
        id: ImageId::new("sha256:0"),
        digests: Vec::new(),
        exposed_tcp: Vec::new(),
        volumes: Vec::new(),
        environment: Vec::new(),
        healthcheck: None,
        present: Present {
            platform: Platform::new("linux", "amd64", ""),
            tagged: None,
        },
    }
}

pub(crate) fn postgres() -> ImageFacts {
    ImageFacts {
        exposed_tcp: vec![5432],
        environment: vec!["PGDATA=/data".to_owned(), "PG_MAJOR=15".to_owned()],
        ..image()
    }
}

/// What a service is created with, when everything of the plan is there; networks and containers are
/// called after their service or key.
pub(crate) fn specification(
    plan: &Plan,
    service: &str,
    api: (u16, u16),
    image: &ImageFacts,
) -> ContainerSpec {
    let images = (0..plan.images.len()).map(|index| (ImageIndex(index), image.clone()));
    let networks = plan.networks.keys();
    let containers = plan.services.keys();
    let known = container::Known {
        api,
        attempt: 1,
        images: &images.collect(),
        networks: &networks
            .map(|key| (key.clone(), NetworkId::new(format!("id-{key}"))))
            .collect(),
        containers: &containers
            .map(|name| (name.clone(), ContainerId::new(format!("id-{name}"))))
            .collect(),
    };
    container::specification(plan, &plan.services[service], image, &known)
}
