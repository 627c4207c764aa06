//! Containers.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, ContainerSummary, ExecConfig, ExecInspectResponse};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
    KillContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use bollard::{Docker, body_full};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};

use super::error::{removal, translate};
use super::mounts::Mounts;
use super::{again, create, since_1970};
use crate::clock;
use crate::engine::{
    Belonging, ContainerFacts, ContainerSpec, EngineError, ExecOutcome, ExecSpec, Exit,
    FailureKind, NetworkAddress, OutputChunk, OutputStream, Removal, Resource, ResourceKind, Seen,
};
use crate::name::{ContainerId, NetworkId};

/// How much of a command's output is kept, in bytes. Large enough for the kernel's tables of
/// listening sockets.
const EXEC_TAIL: usize = 256 << 10;

/// Pauses between two questions about a command whose output was cut off, growing.
const EXEC_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_EXEC_PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn create(
    docker: &Docker,
    spec: &ContainerSpec,
    mounts: Mounts,
) -> Result<ContainerId, EngineError> {
    let attempt = format!("create container `{}`", spec.name);
    let mut options = CreateContainerOptionsBuilder::default().name(&spec.name);
    if let Some(platform) = &spec.platform {
        options = options.platform(platform);
    }
    let options = options.build();
    let body = create::body(spec, mounts);
    let body_with_address = match &spec.mac_address {
        Some(address) => Some(
            with_mac_address(&body, address).map_err(|error| EngineError {
                attempt: attempt.clone(),
                kind: FailureKind::Internal,
                message: error.to_string(),
            })?,
        ),
        None => None,
    };
    let docker = match body_with_address {
        Some(bytes) => docker
            .clone()
            .with_request_modifier(move |request| request.map(|_| body_full(bytes.clone()))),
        None => docker.clone(),
    };
    docker
        .create_container(Some(options), body)
        .await
        .map(|created| ContainerId::new(created.id))
        .map_err(|error| translate(&attempt, error))
}

/// The body with a hardware address for the whole container, which engines before API 1.44 want and
/// bollard's types have lost.
fn with_mac_address(body: &ContainerCreateBody, address: &str) -> Result<Bytes, serde_json::Error> {
    let mut body = serde_json::to_value(body)?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("MacAddress".to_owned(), address.into());
    }
    serde_json::to_vec(&body).map(Bytes::from)
}

pub(super) async fn attach(
    docker: &Docker,
    container: &ContainerId,
) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
    let attempt = format!("attach to container `{container}`");
    let options = AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdout(true)
        .stderr(true)
        .build();
    let attached = docker
        .attach_container(container.as_str(), Some(options))
        .await
        .map_err(|error| translate(&attempt, error))?;
    Ok(attached
        .output
        .map(move |chunk| {
            chunk
                .map(output_chunk)
                .map_err(|error| translate(&attempt, error))
        })
        .boxed())
}

/// From the engine's own log of the container, which it keeps from the first byte of the first start on.
pub(super) fn output_after(
    docker: &Docker,
    container: &ContainerId,
    mut seen: Seen,
) -> BoxStream<'static, Result<OutputChunk, EngineError>> {
    let attempt = format!("read the output of container `{container}`");
    let options = LogsOptionsBuilder::default()
        .follow(true)
        .stdout(true)
        .stderr(true)
        .build();
    docker
        .logs(container.as_str(), Some(options))
        .map(move |chunk| match chunk {
            Ok(chunk) => Ok(seen.cut(output_chunk(chunk))),
            Err(error) => Err(translate(&attempt, error)),
        })
        .boxed()
}

pub(super) fn output_chunk(output: LogOutput) -> OutputChunk {
    let stream = match output {
        LogOutput::StdErr { .. } => OutputStream::Stderr,
        _ => OutputStream::Stdout,
    };
    OutputChunk {
        stream,
        bytes: output.into_bytes(),
    }
}

pub(super) async fn pause(docker: &Docker, container: &ContainerId) -> Result<(), EngineError> {
    let paused = docker.pause_container(container.as_str()).await;
    paused.map_err(|error| translate(&format!("pause container `{container}`"), error))
}

pub(super) async fn unpause(docker: &Docker, container: &ContainerId) -> Result<(), EngineError> {
    let unpaused = docker.unpause_container(container.as_str()).await;
    match unpaused.map_err(|error| translate(&format!("unpause container `{container}`"), error)) {
        // Docker answers 409 (500 before 23), Podman 500 in other words.
        Err(error) if error.message.contains("is not paused") => Ok(()),
        unpaused => unpaused,
    }
}

pub(super) async fn start(docker: &Docker, container: &ContainerId) -> Result<(), EngineError> {
    docker
        .start_container(container.as_str(), None::<StartContainerOptions>)
        .await
        .map_err(|error| translate(&format!("start container `{container}`"), error))
}

pub(super) async fn kill(docker: &Docker, container: &ContainerId) -> Result<(), EngineError> {
    docker
        .kill_container(container.as_str(), None::<KillContainerOptions>)
        .await
        .map_err(|error| translate(&format!("kill container `{container}`"), error))
}

pub(super) async fn stop(
    docker: &Docker,
    container: &ContainerId,
    grace: Duration,
) -> Result<(), EngineError> {
    // The engine knows whole seconds only, and zero would be a kill.
    let seconds = grace.as_millis().div_ceil(1000);
    let options = StopContainerOptionsBuilder::default()
        .t(i32::try_from(seconds).unwrap_or(i32::MAX))
        .build();
    docker
        .stop_container(container.as_str(), Some(options))
        .await
        .map_err(|error| translate(&format!("stop container `{container}`"), error))
}

pub(super) async fn inspect(
    docker: &Docker,
    container: &ContainerId,
) -> Result<ContainerFacts, EngineError> {
    let attempt = format!("inspect container `{container}`");
    let inspected = docker
        .inspect_container(container.as_str(), None::<InspectContainerOptions>)
        .await
        .map_err(|error| translate(&attempt, error))?;
    let state = inspected.state.unwrap_or_default();
    let running = state.running.unwrap_or(false);
    let has_run = state
        .finished_at
        .as_deref()
        .is_some_and(|at| !at.starts_with("0001-"));
    let exit = (!running && has_run).then(|| Exit {
        code: state.exit_code,
        oom_killed: state.oom_killed.unwrap_or(false),
        error: state.error.filter(|error| !error.is_empty()),
    });
    let settings = inspected.network_settings.unwrap_or_default();
    let parse = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let addresses: BTreeMap<NetworkId, NetworkAddress> = settings
        .networks
        .unwrap_or_default()
        .into_values()
        .filter_map(|endpoint| {
            let address = NetworkAddress {
                address: parse(endpoint.ip_address)
                    .or_else(|| parse(endpoint.global_ipv6_address))?,
                gateway: parse(endpoint.gateway).or_else(|| parse(endpoint.ipv6_gateway)),
            };
            Some((NetworkId::new(endpoint.network_id?), address))
        })
        .collect();
    let host_ports = settings
        .ports
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(port, hosts)| {
            let hosts = hosts?
                .into_iter()
                .map(|host| {
                    format!(
                        "{}:{}",
                        host.host_ip.unwrap_or_default(),
                        host.host_port.unwrap_or_default()
                    )
                })
                .collect();
            Some((port, hosts))
        })
        .collect();
    let config = inspected.config.unwrap_or_default();
    let exposed = config.exposed_ports.unwrap_or_default();
    let exposed_tcp = exposed
        .into_iter()
        .filter_map(|port| port.strip_suffix("/tcp")?.parse().ok())
        .collect();
    let working_dir = config.working_dir.unwrap_or_default();
    Ok(ContainerFacts {
        running,
        exit,
        addresses,
        host_ports,
        exposed_tcp,
        working_dir,
    })
}

/// `not-running` and only after the start has returned: `next-exit` can hang.
pub(super) async fn wait(docker: &Docker, container: &ContainerId) -> Result<(), EngineError> {
    let options = WaitContainerOptionsBuilder::default()
        .condition("not-running")
        .build();
    let mut answers = docker
        .wait_container(container.as_str(), Some(options))
        .boxed();
    match answers.next().await {
        // A non-zero exit arrives as an error.
        Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => Ok(()),
        Some(Err(error)) => Err(translate(
            &format!("wait for container `{container}`"),
            error,
        )),
        None => Err(EngineError {
            attempt: format!("wait for container `{container}`"),
            kind: FailureKind::Unreachable,
            message: "the connection was closed".to_owned(),
        }),
    }
}

pub(super) fn exec_config(spec: &ExecSpec) -> ExecConfig {
    ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(spec.command.clone()),
        user: spec.user.clone(),
        privileged: Some(spec.privileged),
        working_dir: spec.working_dir.clone(),
        env: (!spec.environment.is_empty()).then(|| {
            let variables = spec.environment.iter();
            variables
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        }),
        ..ExecConfig::default()
    }
}

pub(super) async fn exec(
    docker: &Docker,
    container: &ContainerId,
    spec: &ExecSpec,
) -> Result<ExecOutcome, EngineError> {
    let attempt = format!("run `{spec}` in container `{container}`");
    let failed = |error| translate(&attempt, error);
    let created = docker
        .create_exec(container.as_str(), exec_config(spec))
        .await
        .map_err(failed)?;
    let started = docker
        .start_exec(&created.id, None::<StartExecOptions>)
        .await
        .map_err(failed);
    let mut tail: Vec<u8> = Vec::new();
    let lost = match started {
        Ok(StartExecResults::Attached { mut output, .. }) => {
            // A stream that breaks costs the rest of the output, and not what the command came to.
            while let Some(Ok(chunk)) = output.next().await {
                tail.extend_from_slice(&chunk.into_bytes());
                let excess = tail.len().saturating_sub(EXEC_TAIL);
                tail.drain(..excess);
            }
            None
        }
        Ok(StartExecResults::Detached) => None,
        // It may have started all the same.
        Err(error) if error.kind == FailureKind::Unreachable => Some(error),
        Err(error) => return Err(error),
    };
    let mut pause = EXEC_PAUSE;
    let code = loop {
        let inspected = again::reading(|| async {
            let answer = docker.inspect_exec(&created.id).await;
            answer.map_err(failed)
        });
        match inspected.await? {
            ExecInspectResponse {
                exit_code: Some(code),
                ..
            } => break code,
            ExecInspectResponse {
                running: Some(true),
                ..
            } => {}
            _ => {
                return Err(lost.unwrap_or_else(|| EngineError {
                    attempt: attempt.clone(),
                    kind: FailureKind::Internal,
                    message: "the engine does not know its exit code".to_owned(),
                }));
            }
        }
        clock::pause(pause).await;
        pause = (pause * 2).min(LONGEST_EXEC_PAUSE);
    };
    Ok(ExecOutcome {
        code,
        output_tail: String::from_utf8_lossy(&tail).into_owned(),
    })
}

/// Kills and removes at once, anonymous volumes included.
pub(super) async fn remove(docker: &Docker, resource: &Resource) -> Result<Removal, EngineError> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    removal(
        resource,
        docker.remove_container(&resource.id, Some(options)).await,
    )
}

pub(super) async fn list(
    docker: &Docker,
    filter: &HashMap<String, Vec<String>>,
) -> Result<Vec<Belonging>, EngineError> {
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(filter)
        .build();
    let listed = docker
        .list_containers(Some(options))
        .await
        .map_err(|error| translate("list containers", error))?;
    let belonging = |container: ContainerSummary| {
        let names: Vec<String> = container
            .names
            .unwrap_or_default()
            .into_iter()
            .map(|name| name.trim_start_matches('/').to_owned())
            // Those by which linked containers know it have a part for each container.
            .filter(|name| !name.contains('/'))
            .collect();
        let resource = Resource {
            kind: ResourceKind::Container,
            id: container.id?,
            name: names.first()?.clone(),
        };
        let labels = container.labels.unwrap_or_default().into_iter().collect();
        let belonging = Belonging::new(resource, &names, labels)?;
        Some(Belonging {
            created: container.created.and_then(since_1970),
            status: container.status.unwrap_or_default(),
            ..belonging
        })
    };
    Ok(listed.into_iter().filter_map(belonging).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_handed_on_with_all_its_rights() {
        let spec = ExecSpec {
            command: vec!["id".to_owned()],
            user: Some("nobody".to_owned()),
            privileged: true,
            working_dir: Some("/srv".to_owned()),
            environment: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
        };
        let config = exec_config(&spec);
        assert_eq!(config.privileged, Some(true));
        assert_eq!(config.user.as_deref(), Some("nobody"));
        assert_eq!(config.working_dir.as_deref(), Some("/srv"));
        assert_eq!(config.env, Some(vec!["A=1".to_owned()]));
        let plain = exec_config(&ExecSpec::plain(&spec.command));
        assert_eq!(plain.privileged, Some(false));
        assert_eq!(
            (plain.user, plain.working_dir, plain.env),
            (None, None, None)
        );
    }
}
