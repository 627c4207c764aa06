//! `envrun exec` and `envrun shell`: a command in a container of a run, attached to this terminal.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;

use clap::Args;
use futures::StreamExt as _;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{complain, selected};
use crate::engine::{
    Engine, EngineError, ExecSpec, FailureKind, Interaction, OutputStream, Session, TerminalSize,
};
use crate::exit_code::ExitCode;
use crate::name::ContainerId;

/// The first of these that the image has.
const SHELL: &str = "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi";

/// Exit codes of a container's shell for what cannot be executed or found; engines have them too.
const NOT_FOUND: [i64; 2] = [126, 127];

/// What both commands take.
#[derive(Debug, Args)]
struct Common {
    /// The run, by its id or the beginning of it [default: what is held for this directory]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// User, and group after a colon, by name or number [default: that of the container]
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Directory in the container [default: that of the container]
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Variable for the command, `NAME=VALUE`, or `NAME` with the value it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Give it no terminal, also where there is one here
    #[arg(short = 'T', long)]
    no_tty: bool,
}

/// Arguments of `envrun exec`.
#[derive(Debug, Args)]
pub(super) struct ExecArguments {
    #[command(flatten)]
    common: Common,
    /// The service, or one replica of it
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The command and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<String>,
}

/// Arguments of `envrun shell`.
#[derive(Debug, Args)]
pub(super) struct ShellArguments {
    #[command(flatten)]
    common: Common,
    /// The service, or one replica of it [default: the only one that runs]
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
}

pub(super) async fn exec(arguments: ExecArguments) -> ExitCode {
    let service = Some(arguments.service.as_str());
    let ended = run(&arguments.common, service, arguments.command.clone()).await;
    ended.unwrap_or_else(|code| code)
}

/// Opens a shell in the container of a service of a run.
pub(super) async fn shell_in(run: String, service: String) -> ExitCode {
    let common = Common {
        run: Some(run),
        user: None,
        workdir: None,
        env: Vec::new(),
        no_tty: false,
    };
    let service = Some(service);
    shell(ShellArguments { common, service }).await
}

pub(super) async fn shell(arguments: ShellArguments) -> ExitCode {
    let command = ["sh", "-c", SHELL].map(str::to_owned).to_vec();
    let ended = run(&arguments.common, arguments.service.as_deref(), command).await;
    match ended {
        Ok(ExitCode::Command(code)) if NOT_FOUND.contains(&i64::from(code)) => {
            complain("the image may have no shell\nhint: `envrun exec` runs a program that it has");
            ExitCode::Command(code)
        }
        Ok(code) | Err(code) => code,
    }
}

async fn run(
    common: &Common,
    service: Option<&str>,
    command: Vec<String>,
) -> Result<ExitCode, ExitCode> {
    let (engine, found) = selected::find(common.run.as_deref()).await?;
    let container = selected::running(&found, service)?;
    let id = ContainerId::new(container.resource.id.as_str());
    let spec = ExecSpec {
        command,
        user: common.user.clone(),
        working_dir: common.workdir.clone(),
        environment: variables(&common.env)?,
        ..ExecSpec::default()
    };
    let stdin = std::io::stdin();
    let terminal = !common.no_tty && stdin.is_terminal() && std::io::stdout().is_terminal();
    let interaction = Interaction {
        terminal,
        input: true,
    };
    let failed = |error: EngineError| {
        complain(&error.to_string());
        match error.kind {
            FailureKind::Unreachable => ExitCode::Engine,
            _ => ExitCode::Environment,
        }
    };
    let session = engine
        .open_session(&id, &spec, interaction)
        .await
        .map_err(failed)?;
    let name = session.id.clone();
    // From here on the keys belong to the command, Ctrl-C included.
    let before = terminal.then(|| tcgetattr(&stdin).ok()).flatten();
    if let Some(before) = &before {
        let mut raw = before.clone();
        raw.make_raw();
        let _ = tcsetattr(&stdin, OptionalActions::Now, &raw);
    }
    let ended = attach(&engine, session, before.is_some()).await;
    restore(before.as_ref());
    ended.map_err(failed)?;
    let code = engine.session_code(&name).await.map_err(failed)?;
    Ok(ExitCode::Command(u8::try_from(code).unwrap_or(u8::MAX)))
}

fn restore(before: Option<&Termios>) {
    if let Some(before) = before {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
    }
}

fn variables(given: &[String]) -> Result<BTreeMap<String, String>, ExitCode> {
    let mut variables = BTreeMap::new();
    for text in given {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), std::env::var(text).ok()),
        };
        if name.is_empty() {
            complain(&format!("`{text}` names no variable"));
            return Err(ExitCode::Usage);
        }
        // One that is not set here is not set there.
        if let Some(value) = value {
            variables.insert(name.to_owned(), value);
        }
    }
    Ok(variables)
}

/// Passes input and output on until the command has ended.
async fn attach(
    engine: &Arc<dyn Engine>,
    session: Session,
    terminal: bool,
) -> Result<(), EngineError> {
    let Session {
        id,
        mut output,
        mut input,
    } = session;
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut input).await;
        let _ = input.shutdown().await;
    });
    let mut resized = match terminal {
        true => signal(SignalKind::window_change()).ok(),
        false => None,
    };
    if terminal {
        resize(engine, &id).await;
    }
    let mut stdout = tokio::io::stdout();
    let mut stderr = tokio::io::stderr();
    loop {
        let changed = async {
            match &mut resized {
                Some(signals) => signals.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            chunk = output.next() => {
                let Some(chunk) = chunk else { return Ok(()) };
                let chunk = chunk?;
                // Whoever has stopped reading has seen enough.
                let written = match chunk.stream {
                    OutputStream::Stdout => {
                        stdout.write_all(&chunk.bytes).await.and(stdout.flush().await)
                    }
                    OutputStream::Stderr => {
                        stderr.write_all(&chunk.bytes).await.and(stderr.flush().await)
                    }
                };
                if written.is_err() {
                    return Ok(());
                }
            }
            _ = changed => resize(engine, &id).await,
        }
    }
}

/// A terminal of the wrong size is no reason to fail.
async fn resize(engine: &Arc<dyn Engine>, session: &str) {
    if let Ok(size) = tcgetwinsize(std::io::stdout()) {
        let size = TerminalSize {
            columns: size.ws_col,
            rows: size.ws_row,
        };
        let _ = engine.resize_session(session, size).await;
    }
}
