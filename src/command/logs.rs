//! `envrun logs`: what the containers of a run have written.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use futures::StreamExt as _;

use super::{complain, selected};
use crate::engine::{Belonging, Engine, LogsSpec, OutputStream};
use crate::exit_code::ExitCode;
use crate::name::ContainerId;

/// Arguments of `envrun logs`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The services, or single replicas of them [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// The run, by its id or the beginning of it [default: what is held for this directory]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Go on until the containers end
    #[arg(short, long)]
    follow: bool,
    /// Only this many of the last lines of each container
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<u32>,
    /// Begin each line with its time
    #[arg(short, long)]
    timestamps: bool,
}

pub(super) async fn logs(arguments: Arguments) -> ExitCode {
    let (engine, found) = match selected::find(arguments.run.as_deref()).await {
        Ok(found) => found,
        Err(code) => return code,
    };
    let containers = match selected::containers(&found, &arguments.services) {
        Ok(containers) => containers,
        Err(code) => return code,
    };
    let spec = LogsSpec {
        follow: arguments.follow,
        tail: arguments.tail,
        timestamps: arguments.timestamps,
    };
    let names = containers.iter().map(|one| selected::replica(one).chars());
    let width = names.map(Iterator::count).max().unwrap_or(0);
    // Lines of different containers must not mix.
    let output = Arc::new(Mutex::new(()));
    let printing = containers.into_iter().map(|container| {
        let prefix = format!("{:<width$} | ", selected::replica(container));
        print(Arc::clone(&engine), container, prefix, spec, &output)
    });
    let answers = futures::future::join_all(printing).await;
    let mut code = ExitCode::Passed;
    for error in answers.into_iter().filter_map(Result::err) {
        complain(&error);
        code = ExitCode::Engine;
    }
    code
}

/// Prints the output of a container line by line.
async fn print(
    engine: Arc<dyn Engine>,
    container: &Belonging,
    prefix: String,
    spec: LogsSpec,
    output: &Mutex<()>,
) -> Result<(), String> {
    let id = ContainerId::new(container.resource.id.as_str());
    let failed = |error: crate::engine::EngineError| error.to_string();
    let mut chunks = engine.logs(&id, &spec).await.map_err(failed)?;
    let mut partial = [Vec::new(), Vec::new()];
    let write = |stream: usize, line: &[u8]| {
        let _alone = output.lock().unwrap_or_else(PoisonError::into_inner);
        let text = [prefix.as_bytes(), line, b"\n"].concat();
        // Nobody reads on: then there is nothing more to do.
        if stream == 0 {
            std::io::stdout().write_all(&text).is_ok()
        } else {
            std::io::stderr().write_all(&text).is_ok()
        }
    };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(failed)?;
        let stream = usize::from(chunk.stream == OutputStream::Stderr);
        partial[stream].extend_from_slice(&chunk.bytes);
        while let Some(end) = partial[stream].iter().position(|byte| *byte == b'\n') {
            let rest = partial[stream].split_off(end + 1);
            let line = std::mem::replace(&mut partial[stream], rest);
            if !write(stream, &line[..end]) {
                return Ok(());
            }
        }
    }
    for (stream, line) in partial.iter().enumerate() {
        if !line.is_empty() {
            write(stream, line);
        }
    }
    Ok(())
}
