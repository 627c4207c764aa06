//! Commands as processes of this host, in process groups of their own.
//!
//! A group is signalled while it has members, which keeps the kernel from giving its number to others.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::oneshot;

use super::reports::{self, Stamps};
use super::{CommandTask, Commands, GRACE, Group, Running};
use crate::clock;
use crate::engine::{Exit, OutputChunk, OutputStream};
use crate::host::process;
use crate::name::RunId;
use crate::run::effect::CollectedReport;
use crate::run::ledger::Record;

/// The variable by which a command, and what it has started, knows the run.
pub const RUN_VARIABLE: &str = "ENVRUN_RUN";

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Pause between two looks at what is being ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The processes of this host.
#[derive(Debug, Default)]
pub struct HostCommands;

impl Commands for HostCommands {
    fn start(&self, task: &CommandTask) -> io::Result<Running> {
        let mut command = Command::new(&task.program);
        command
            .arg0(&task.called)
            .args(&task.arguments)
            .current_dir(&task.directory)
            .envs(&task.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn()?;
        let group = ProcessGroup::of(&child);
        let stdout = child.stdout.take().map(ChildStdout::from_std).transpose()?;
        let stderr = child.stderr.take().map(ChildStderr::from_std).transpose()?;
        let output = stream::select(
            chunks(stdout, OutputStream::Stdout),
            chunks(stderr, OutputStream::Stderr),
        );
        let (end, ended) = oneshot::channel();
        // Not a task: a process that cannot be ended must not keep the runtime from its end.
        std::thread::Builder::new()
            .name("command".to_owned())
            .spawn(move || {
                if let Ok(status) = child.wait() {
                    let _ = end.send(exit(status));
                }
            })?;
        Ok(Running {
            output: output.boxed(),
            ended,
            group: Arc::new(group),
        })
    }

    fn stamps(&self, task: &CommandTask) -> Result<Stamps, String> {
        reports::stamps(&task.directory, &task.globs)
    }

    fn reports(&self, task: &CommandTask, before: &Stamps) -> Result<Vec<CollectedReport>, String> {
        reports::read(&task.directory, &task.globs, before)
    }
}

/// What comes through a pipe.
fn chunks(
    pipe: Option<impl tokio::io::AsyncRead + Send + Unpin + 'static>,
    of: OutputStream,
) -> BoxStream<'static, OutputChunk> {
    let Some(pipe) = pipe else {
        return stream::empty().boxed();
    };
    let read = move |(mut pipe, mut buffer): (_, Vec<u8>)| async move {
        let pipe_end: &mut (dyn tokio::io::AsyncRead + Send + Unpin) = &mut pipe;
        match pipe_end.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(length) => {
                let bytes = Bytes::copy_from_slice(&buffer[..length]);
                Some((OutputChunk { stream: of, bytes }, (pipe, buffer)))
            }
        }
    };
    stream::unfold((pipe, vec![0; CHUNK]), read).boxed()
}

impl Group for ProcessGroup {
    fn record(&self) -> Option<Record> {
        Some(Record::Command {
            pid: u32::try_from(self.leader?.as_raw_pid()).ok()?,
            started: self.started?,
        })
    }

    fn end(&self, kill: bool) {
        if let Some(leader) = self.leader {
            let signal = if kill { Signal::KILL } else { Signal::TERM };
            // What has ended meanwhile needs no signal.
            let _ = kill_process_group(leader, signal);
        }
    }

    fn is_there(&self) -> bool {
        // The kernel counts those that have ended and that nobody waits for, as in a container without an
        // init; they are nothing that has to be ended.
        self.leader.is_some_and(|leader| {
            test_kill_process_group(leader).is_ok()
                && process::has_members(Path::new("/proc"), leader.as_raw_pid())
        })
    }
}

/// The group of a command, which is called by the number of the command itself.
#[derive(Debug, Clone)]
pub struct ProcessGroup {
    leader: Option<Pid>,
    started: Option<u64>,
}

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self {
            leader: Some(Pid::from_child(child)),
            started: process::start_time(Path::new("/proc"), child.id()),
        }
    }
}

/// The end of a process in the words of containers.
fn exit(status: ExitStatus) -> Exit {
    const SIGNALLED: i64 = 128;
    let code = status.code().map(i64::from);
    let signalled = || Some(SIGNALLED + i64::from(status.signal()?));
    Exit {
        code: code.or_else(signalled),
        oom_killed: false,
        error: None,
    }
}

/// Ends the command of a dead run, for its watchdog: blocks until nothing of it is left, or the grace is
/// over and it is killed.
pub fn end_of_dead(run: RunId, records: &[Record]) {
    let Some(last) = records
        .iter()
        .rev()
        .find(|record| matches!(record, Record::CommandIntended | Record::Command { .. }))
    else {
        return;
    };
    let variable = (RUN_VARIABLE, run.to_string());
    let variable = (variable.0, variable.1.as_str());
    let known = match last {
        Record::Command { pid, started } => Some((*pid, *started)),
        _ => None,
    };
    let members = || process::members_of_group(Path::new("/proc"), known, variable);
    for pid in members() {
        process::signal(pid, Signal::TERM);
    }
    let mut waited = Duration::ZERO;
    while waited < GRACE && !members().is_empty() {
        clock::block(LOOK_AGAIN);
        waited += LOOK_AGAIN;
    }
    for pid in members() {
        process::signal(pid, Signal::KILL);
    }
}
