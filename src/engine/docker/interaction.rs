//! Logs of containers, and commands in them with their input and output at hand.

use bollard::Docker;
use bollard::exec::{ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::{AttachContainerOptionsBuilder, LogsOptionsBuilder};
use futures::stream::{BoxStream, StreamExt as _};

use super::containers::{exec_config, output_chunk};
use super::error::translate;
use crate::engine::{
    EngineError, ExecSpec, FailureKind, Interaction, LogsSpec, OutputChunk, Session, TerminalSize,
};
use crate::name::ContainerId;

pub(super) fn logs(
    docker: &Docker,
    container: &ContainerId,
    spec: &LogsSpec,
) -> BoxStream<'static, Result<OutputChunk, EngineError>> {
    let attempt = format!("read the logs of container `{container}`");
    let tail = spec
        .tail
        .map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .follow(spec.follow)
        .timestamps(spec.timestamps)
        .tail(&tail)
        .build();
    docker
        .logs(container.as_str(), Some(options))
        .map(move |chunk| {
            chunk
                .map(output_chunk)
                .map_err(|error| translate(&attempt, error))
        })
        .boxed()
}

pub(super) async fn open(
    docker: &Docker,
    container: &ContainerId,
    spec: &ExecSpec,
    interaction: Interaction,
) -> Result<Session, EngineError> {
    let attempt = format!("run `{spec}` in container `{container}`");
    let failed = |error| translate(&attempt, error);
    let config = ExecConfig {
        attach_stdin: Some(interaction.input),
        tty: Some(interaction.terminal),
        ..exec_config(spec)
    };
    let created = docker
        .create_exec(container.as_str(), config)
        .await
        .map_err(failed)?;
    let options = StartExecOptions {
        tty: interaction.terminal,
        ..StartExecOptions::default()
    };
    let started = docker
        .start_exec(&created.id, Some(options))
        .await
        .map_err(failed)?;
    match started {
        StartExecResults::Attached { output, input } => {
            let attempt = attempt.clone();
            Ok(Session {
                id: created.id,
                output: output
                    .map(move |chunk| {
                        chunk
                            .map(output_chunk)
                            .map_err(|error| translate(&attempt, error))
                    })
                    .boxed(),
                input,
            })
        }
        StartExecResults::Detached => Err(EngineError {
            attempt,
            kind: FailureKind::Internal,
            message: "the engine did not attach to it".to_owned(),
        }),
    }
}

pub(super) async fn converse(
    docker: &Docker,
    container: &ContainerId,
) -> Result<Session, EngineError> {
    let attempt = format!("speak to container `{container}`");
    let options = AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdin(true)
        .stdout(true)
        .stderr(true)
        .build();
    let attached = docker
        .attach_container(container.as_str(), Some(options))
        .await
        .map_err(|error| translate(&attempt, error))?;
    Ok(Session {
        id: container.to_string(),
        output: attached
            .output
            .map(move |chunk| {
                chunk
                    .map(output_chunk)
                    .map_err(|error| translate(&attempt, error))
            })
            .boxed(),
        input: attached.input,
    })
}

pub(super) async fn resize(
    docker: &Docker,
    session: &str,
    size: TerminalSize,
) -> Result<(), EngineError> {
    let options = ResizeExecOptions {
        height: size.rows,
        width: size.columns,
    };
    docker
        .resize_exec(session, options)
        .await
        .map_err(|error| translate("tell a command the size of the terminal", error))
}

pub(super) async fn code(docker: &Docker, session: &str) -> Result<i64, EngineError> {
    let attempt = "ask how a command has ended";
    let inspected = docker
        .inspect_exec(session)
        .await
        .map_err(|error| translate(attempt, error))?;
    inspected.exit_code.ok_or_else(|| EngineError {
        attempt: attempt.to_owned(),
        kind: FailureKind::Internal,
        message: "the engine does not know its exit code".to_owned(),
    })
}
