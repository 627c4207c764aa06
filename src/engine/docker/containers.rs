//! Containers.

use std::collections::{BTreeMap, HashMap};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, EndpointSettings, ExecConfig, HealthConfig, HostConfig, NetworkingConfig,
    PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
    KillContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures::stream::{BoxStream, StreamExt as _};

use super::error::{removal, translate};
use super::mounts::Mounts;
use crate::engine::{
    ContainerFacts, ContainerSpec, EngineError, ExecOutcome, Exit, FailureKind, HealthcheckSpec,
    NetworkAddress, OutputChunk, OutputStream, Removal, Resource, ResourceKind,
};
use crate::name::{ContainerId, NetworkId};

/// How much of a command's output is kept, in bytes. Large enough for the kernel's tables of
/// listening sockets.
const EXEC_TAIL: usize = 256 << 10;

pub(super) async fn create(
    docker: &Docker,
    spec: &ContainerSpec,
    mounts: Mounts,
) -> Result<ContainerId, EngineError> {
    let attempt = format!("create container `{}`", spec.name);
    let options = CreateContainerOptionsBuilder::default()
        .name(&spec.name)
        .build();
    docker
        .create_container(Some(options), body(spec, mounts))
        .await
        .map(|created| ContainerId::new(created.id))
        .map_err(|error| translate(&attempt, error))
}

fn body(spec: &ContainerSpec, mounts: Mounts) -> ContainerCreateBody {
    let protocol = |udp: bool| if udp { "udp" } else { "tcp" };
    let port_key = |port: u16, udp: bool| format!("{port}/{}", protocol(udp));
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for (port, host_ip, udp) in &spec.published {
        // Host port 0: the engine chooses a free one.
        let binding = PortBinding {
            host_ip: host_ip.clone(),
            host_port: Some("0".to_owned()),
        };
        bindings
            .entry(port_key(*port, *udp))
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    let options = &spec.options;
    let list = |items: &[String]| (!items.is_empty()).then(|| items.to_vec());
    ContainerCreateBody {
        image: Some(spec.image.to_string()),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        env: Some(
            spec.environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        hostname: spec.hostname.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        tty: Some(options.tty),
        stop_signal: options.stop_signal.clone(),
        healthcheck: spec.healthcheck.as_ref().map(health),
        exposed_ports: Some(bindings.keys().cloned().collect()),
        host_config: Some(HostConfig {
            network_mode: Some(
                spec.network
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), |(id, _)| id.to_string()),
            ),
            port_bindings: Some(bindings),
            binds: (!mounts.binds.is_empty()).then_some(mounts.binds),
            mounts: (!mounts.mounts.is_empty()).then_some(mounts.mounts),
            // Restarts are performed by envrun: the engine's own policy would raise leftovers after
            // a reboot.
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            init: options.init,
            privileged: Some(options.privileged),
            readonly_rootfs: Some(options.read_only),
            cap_add: list(&options.cap_add),
            cap_drop: list(&options.cap_drop),
            shm_size: options.shm_size.and_then(|bytes| i64::try_from(bytes).ok()),
            memory: options
                .mem_limit
                .and_then(|bytes| i64::try_from(bytes).ok()),
            extra_hosts: list(&options.extra_hosts),
            tmpfs: (!options.tmpfs.is_empty()).then(|| options.tmpfs.clone().into_iter().collect()),
            ..HostConfig::default()
        }),
        networking_config: spec
            .network
            .as_ref()
            .map(|(id, endpoint)| NetworkingConfig {
                endpoints_config: Some(HashMap::from([(
                    id.to_string(),
                    EndpointSettings {
                        aliases: Some(endpoint.aliases.clone()),
                        ..EndpointSettings::default()
                    },
                )])),
            }),
        ..ContainerCreateBody::default()
    }
}

fn health(check: &HealthcheckSpec) -> HealthConfig {
    let nanoseconds = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).ok();
    HealthConfig {
        test: (!check.test.is_empty()).then(|| check.test.clone()),
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        retries: Some(i64::from(check.retries)),
        start_period: nanoseconds(check.start_period),
        start_interval: None,
    }
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

fn output_chunk(output: LogOutput) -> OutputChunk {
    let stream = match output {
        LogOutput::StdErr { .. } => OutputStream::Stderr,
        _ => OutputStream::Stdout,
    };
    OutputChunk {
        stream,
        bytes: output.into_bytes(),
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
                address: parse(endpoint.ip_address)?,
                gateway: parse(endpoint.gateway),
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
    let working_dir = inspected
        .config
        .and_then(|config| config.working_dir)
        .unwrap_or_default();
    Ok(ContainerFacts {
        running,
        exit,
        addresses,
        host_ports,
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

pub(super) async fn exec(
    docker: &Docker,
    container: &ContainerId,
    command: &[String],
) -> Result<ExecOutcome, EngineError> {
    let attempt = format!("run `{}` in container `{container}`", command.join(" "));
    let failed = |error| translate(&attempt, error);
    let config = ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.to_vec()),
        ..ExecConfig::default()
    };
    let created = docker
        .create_exec(container.as_str(), config)
        .await
        .map_err(failed)?;
    let started = docker
        .start_exec(&created.id, None::<StartExecOptions>)
        .await
        .map_err(failed)?;
    let mut tail: Vec<u8> = Vec::new();
    if let StartExecResults::Attached { mut output, .. } = started {
        while let Some(chunk) = output.next().await {
            let chunk = chunk.map_err(failed)?.into_bytes();
            tail.extend_from_slice(&chunk);
            let excess = tail.len().saturating_sub(EXEC_TAIL);
            tail.drain(..excess);
        }
    }
    let inspected = docker.inspect_exec(&created.id).await.map_err(failed)?;
    let code = inspected.exit_code.ok_or_else(|| EngineError {
        attempt: attempt.clone(),
        kind: FailureKind::Internal,
        message: "the engine does not know its exit code".to_owned(),
    })?;
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
) -> Result<Vec<Resource>, EngineError> {
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(filter)
        .build();
    let listed = docker
        .list_containers(Some(options))
        .await
        .map_err(|error| translate("list containers", error))?;
    Ok(listed
        .into_iter()
        .filter_map(|container| {
            let id = container.id?;
            let name = container
                .names
                .and_then(|names| names.into_iter().next())
                .unwrap_or_else(|| id.clone());
            Some(Resource {
                kind: ResourceKind::Container,
                id,
                name: name.trim_start_matches('/').to_owned(),
            })
        })
        .collect())
}
