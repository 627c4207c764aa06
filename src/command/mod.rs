//! The command line: one file a command. The wiring of engine, reporters and watchdog happens here
//! and nowhere else.

mod config;
mod down;
mod exec;
mod facts;
mod fault;
mod gc;
mod graph;
mod host_command;
mod lock;
mod logs;
mod masking;
mod plan;
mod project;
mod ps;
mod recording;
mod repro;
mod run;
mod selected;
mod showing;
mod signals;
mod starts;
mod untrusted;
mod up;
mod watchdog;
mod whereabouts;

use std::io::Write as _;

use clap::{Parser, Subcommand};

use crate::exit_code::ExitCode;

/// Ephemeral test environments for CI from a Compose file.
#[derive(Debug, Parser)]
#[command(name = "envrun", version, about, after_help = ExitCode::TABLE)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring up the environment, run its suites, write the reports, tear everything down
    Run(run::Arguments),
    /// Print the resolved model, as `docker compose config` does
    Config(config::Arguments),
    /// Print every step that `run` would take, and why, without doing anything
    Plan(plan::Arguments),
    /// Write the digests of the project's images into `envrun.lock`, for `--locked`
    Lock(lock::Arguments),
    /// Show who can reach whom: by the file, as promised, and as the last run has observed
    Graph(graph::Arguments),
    /// Bring up the environment without its suites, and hold it
    Up(up::Arguments),
    /// Remove a held environment
    Down(down::Arguments),
    /// Show the runs on the engine, or the containers of one
    Ps(ps::Arguments),
    /// Show what the containers of a run have written
    Logs(logs::Arguments),
    /// Run a command in a container of a run
    Exec(exec::ExecArguments),
    /// Open a shell in a container of a run
    Shell(exec::ShellArguments),
    /// Pause, kill, part or disconnect services of a run, and undo it
    Fault(fault::Arguments),
    /// Do a run again, from the `run.json` that it has written: what failed, in the same environment
    Repro(repro::Arguments),
    /// Remove what dead runs have left behind
    Gc(gc::Arguments),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(run) = watchdog::wanted(std::env::args_os()) {
        return watchdog::watchdog(run);
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which goes where.
            let code = if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Passed
            };
            let _ = error.print();
            return code;
        }
    };
    match arguments.command {
        Command::Config(arguments) => config::config(&arguments),
        Command::Graph(arguments) => graph::graph(&arguments),
        Command::Plan(arguments) => block_on(plan::plan(arguments)),
        Command::Lock(arguments) => block_on(lock::lock(arguments)),
        Command::Run(arguments) => block_on(run::run(arguments)),
        Command::Up(arguments) => block_on(up::up(arguments)),
        Command::Down(arguments) => block_on(down::down(arguments)),
        Command::Ps(arguments) => block_on(ps::ps(arguments)),
        Command::Logs(arguments) => block_on(logs::logs(arguments)),
        Command::Exec(arguments) => block_on(exec::exec(arguments)),
        Command::Shell(arguments) => block_on(exec::shell(arguments)),
        Command::Fault(arguments) => block_on(fault::fault(arguments)),
        Command::Repro(arguments) => block_on(repro::repro(arguments)),
        Command::Gc(arguments) => block_on(gc::gc(arguments)),
    }
}

/// Runs a future on a runtime of its own.
fn block_on(future: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start: {error}"));
            return ExitCode::Bug;
        }
    };
    let code = runtime.block_on(future);
    // Removals that were outwaited go on in the engine; nothing here is worth waiting for any more.
    runtime.shutdown_background();
    code
}

/// Threads for the run: the work is waiting, not computing.
const WORKERS: usize = 2;

/// Prints an error on standard error: the one form that all commands share.
fn complain(message: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(std::io::stderr(), "error: {message}");
}

/// Prints a line on standard output.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
