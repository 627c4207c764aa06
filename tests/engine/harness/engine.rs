//! The engine, asked directly: what there is of a run, and how it looks. Nothing here goes through
//! envrun, which is under test.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, InspectNetworkOptions,
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::wait;

/// The label that everything of a run carries, with the run's id as its value.
pub(crate) const RUN_LABEL: &str = "dev.envrun.run";

/// The label with the name of the project.
pub(crate) const PROJECT_LABEL: &str = "dev.envrun.project";

/// The label of a container with the name of its service.
pub(crate) const SERVICE_LABEL: &str = "dev.envrun.service";

/// One thing on the engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    /// `container`, `network`, `volume` or `image`.
    pub(crate) kind: &'static str,
    /// Its name; for an image its first tag.
    pub(crate) name: String,
    /// What it is removed by.
    pub(crate) id: String,
}

/// A connection to the engine, for synchronous use.
pub(crate) struct Engine {
    runtime: Runtime,
    docker: Docker,
}

impl Engine {
    /// Connects to the engine that `docker` would use.
    pub(crate) fn connect() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let docker = runtime.block_on(async { Docker::connect_with_host(&host()) });
        let docker = docker.unwrap_or_else(|error| panic!("{NO_ENGINE}: {error}"));
        if let Err(error) = runtime.block_on(docker.ping()) {
            panic!("{NO_ENGINE}: {error}");
        }
        Self { runtime, docker }
    }

    /// Panics unless the engine has the image.
    pub(crate) fn require_image(&self, reference: &str) {
        if let Err(error) = self.runtime.block_on(self.docker.inspect_image(reference)) {
            panic!(
                "the image `{reference}` that these tests use is not there: run `ci/setup` first ({error})"
            );
        }
    }

    /// Whether the engine has an image of this name or id.
    pub(crate) fn has_image(&self, reference: &str) -> bool {
        self.runtime
            .block_on(self.docker.inspect_image(reference))
            .is_ok()
    }

    /// Everything whose label `label` has the value `value`, in order of kind and name.
    pub(crate) fn labelled(&self, label: &str, value: &str) -> Vec<Resource> {
        let mut all = self.runtime.block_on(list(&self.docker, label, value));
        all.sort();
        all
    }

    /// Everything that belongs to a run.
    pub(crate) fn of_run(&self, run: &str) -> Vec<Resource> {
        self.labelled(RUN_LABEL, run)
    }

    /// The inspected resources of a run of one kind, with the engine's own field names.
    pub(crate) fn inspect(&self, run: &str, kind: &str) -> Vec<Value> {
        self.of_run(run)
            .into_iter()
            .filter(|resource| resource.kind == kind)
            .map(|resource| self.inspect_one(&resource))
            .collect()
    }

    /// The inspected container of a service of a run.
    pub(crate) fn container(&self, run: &str, service: &str) -> Value {
        let found = self
            .inspect(run, "container")
            .into_iter()
            .find(|inspected| {
                inspected.pointer("/Config/Labels/dev.envrun.service") == Some(&service.into())
            });
        found.unwrap_or_else(|| panic!("the run has no container of `{service}`"))
    }

    pub(crate) fn inspect_one(&self, resource: &Resource) -> Value {
        self.runtime.block_on(async {
            let id = resource.id.as_str();
            let json = match resource.kind {
                "container" => serde_json::to_value(
                    self.docker
                        .inspect_container(id, None::<InspectContainerOptions>)
                        .await
                        .unwrap(),
                ),
                "network" => serde_json::to_value(
                    self.docker
                        .inspect_network(id, None::<InspectNetworkOptions>)
                        .await
                        .unwrap(),
                ),
                "volume" => serde_json::to_value(self.docker.inspect_volume(id).await.unwrap()),
                _ => serde_json::to_value(self.docker.inspect_image(id).await.unwrap()),
            };
            json.unwrap()
        })
    }

    /// Removes everything whose label has this value, for the guards of tests. Never panics: it
    /// runs while a panic may be under way.
    pub(crate) fn remove_labelled(&self, label: &str, value: &str) {
        for _ in 0..REMOVAL_ROUNDS {
            let left = self.labelled(label, value);
            if left.is_empty() {
                return;
            }
            // Containers come first in the order of kinds, so that nothing is in use when its turn
            // comes.
            self.runtime.block_on(async {
                for resource in &left {
                    remove(&self.docker, resource).await;
                }
            });
        }
    }

    /// The file system of a container as a tar.
    pub(crate) fn exported(&self, container: &str) -> Vec<u8> {
        let pieces: Vec<_> = self
            .runtime
            .block_on(self.docker.export_container(container).try_collect())
            .unwrap();
        pieces.concat()
    }

    /// What the engine says of the image that Docker's own client builds in a directory. The image
    /// is gone afterwards.
    pub(crate) fn built_by_docker(&self, directory: &Path, args: &[(&str, &str)]) -> Value {
        let name = format!("envrun-test-{}", uuid::Uuid::new_v4().simple());
        let mut command = Command::new("docker");
        command.args(["build", "--quiet", "--tag", &name]);
        for (key, value) in args {
            command.args(["--build-arg", &format!("{key}={value}")]);
        }
        let output = command.arg(directory).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker build: {said}");
        let inspected = self.runtime.block_on(self.docker.inspect_image(&name));
        let _ = Command::new("docker").args(["image", "rm", &name]).output();
        serde_json::to_value(inspected.unwrap()).unwrap()
    }

    /// Watches the containers of a project die, from now on.
    pub(crate) fn deaths(&self, project: &str) -> Deaths {
        let (sender, receiver) = mpsc::channel();
        let docker = self.docker.clone();
        let filters = HashMap::from([
            ("event", vec!["die".to_owned()]),
            ("label", vec![format!("{PROJECT_LABEL}={project}")]),
        ]);
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                // The engine repeats what happened since, so nothing is lost before the stream is
                // open.
                let since = time::OffsetDateTime::now_utc().unix_timestamp().to_string();
                let options = EventsOptionsBuilder::default()
                    .since(&since)
                    .filters(&filters)
                    .build();
                let mut stream = std::pin::pin!(docker.events(Some(options)));
                while let Some(Ok(event)) = stream.next().await {
                    let service = event
                        .actor
                        .and_then(|actor| actor.attributes)
                        .and_then(|attributes| attributes.get(SERVICE_LABEL).cloned());
                    if let (Some(service), Some(nanoseconds)) = (service, event.time_nano)
                        && sender.send((service, nanoseconds)).is_err()
                    {
                        return;
                    }
                }
            });
        });
        Deaths(receiver)
    }

    /// Runs a call of bollard to its end.
    pub(crate) fn call<T, F: Future<Output = Result<T, bollard::errors::Error>>>(
        &self,
        call: impl FnOnce(Docker) -> F,
    ) -> T {
        self.runtime.block_on(call(self.docker.clone())).unwrap()
    }
}

const NO_ENGINE: &str = "these tests need a container engine, run `ci/setup` first";

/// A removal may be refused while something else is still being removed.
const REMOVAL_ROUNDS: usize = 50;

/// The deaths of containers as the engine tells them.
pub(crate) struct Deaths(mpsc::Receiver<(String, i64)>);

impl Deaths {
    /// When the container of a service died, in nanoseconds since 1970 on the engine's clock.
    #[track_caller]
    pub(crate) fn of(&self, service: &str) -> i64 {
        wait::until(
            "the engine's word of a death",
            Duration::from_secs(5),
            || {
                self.0
                    .try_iter()
                    .find_map(|(name, time)| (name == service).then_some(time))
            },
        )
    }
}

/// The address of the engine that the `docker` command would use, the current context included.
pub(crate) fn host() -> String {
    if let Ok(host) = std::env::var("DOCKER_HOST")
        && !host.is_empty()
    {
        return host;
    }
    let asked = std::process::Command::new("docker")
        .args([
            "context",
            "inspect",
            "--format",
            "{{.Endpoints.docker.Host}}",
        ])
        .output();
    asked
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|host| host.trim().to_owned())
        .filter(|host| !host.is_empty())
        .unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned())
}

async fn list(docker: &Docker, label: &str, value: &str) -> Vec<Resource> {
    let filters = HashMap::from([("label", vec![format!("{label}={value}")])]);
    let containers = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let networks = ListNetworksOptionsBuilder::default()
        .filters(&filters)
        .build();
    let volumes = ListVolumesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let images = ListImagesOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let resource = |kind, name: Option<String>, id: Option<String>| Resource {
        kind,
        name: name.unwrap_or_default().trim_start_matches('/').to_owned(),
        id: id.unwrap_or_default(),
    };
    let containers = docker.list_containers(Some(containers)).await.unwrap();
    let networks = docker.list_networks(Some(networks)).await.unwrap();
    let volumes = docker.list_volumes(Some(volumes)).await.unwrap();
    let images = docker.list_images(Some(images)).await.unwrap();
    let containers = containers.into_iter().map(|container| {
        let name = container.names.and_then(|names| names.into_iter().next());
        resource("container", name, container.id)
    });
    let networks = networks
        .into_iter()
        .map(|network| resource("network", network.name, network.id));
    let volumes = volumes.volumes.unwrap_or_default().into_iter();
    let volumes =
        volumes.map(|volume| resource("volume", Some(volume.name.clone()), Some(volume.name)));
    let images = images.into_iter().map(|image| {
        let name = image.repo_tags.into_iter().next();
        resource("image", name, Some(image.id))
    });
    containers
        .chain(networks)
        .chain(volumes)
        .chain(images)
        .collect()
}

async fn remove(docker: &Docker, resource: &Resource) {
    let id = resource.id.as_str();
    match resource.kind {
        "container" => {
            let options = RemoveContainerOptionsBuilder::default()
                .force(true)
                .v(true)
                .build();
            let _ = docker.remove_container(id, Some(options)).await;
        }
        "network" => drop(docker.remove_network(id).await),
        "volume" => {
            let options = RemoveVolumeOptionsBuilder::default().force(true).build();
            let _ = docker.remove_volume(id, Some(options)).await;
        }
        _ => {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            let _ = docker.remove_image(id, Some(options), None).await;
        }
    }
}
