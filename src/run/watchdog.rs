//! The watchdog: a detached process that reaps by label when envrun dies without a word.
//!
//! It holds the reading end of a pipe whose writing end only the run holds. Every intent goes down
//! that pipe before its call, so when the pipe closes without [`Record::Done`], the watchdog knows
//! which creates may still be in flight and waits for them: an empty listing alone proves nothing.
//! It starts nothing and asks the engine nothing until then.

use std::io::{BufRead, BufReader, Read as _, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::ledger::{IntentSink, Record};
use crate::name::RunId;

/// Hidden subcommand that this process is started with.
pub const SUBCOMMAND: &str = "watchdog";

/// What the watchdog says once it is detached.
const READY: &[u8] = b"r";

/// Variables that the watchdog keeps. Everything else is dropped: CI systems kill at the end of a
/// job what carries their tracking variables (`RUNNER_TRACKING_ID`, `JENKINS_NODE_COOKIE`,
/// `BUILD_ID`).
const KEPT_VARIABLES: [&str; 10] = [
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "HOME",
    "PATH",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
];

/// Why there is no watchdog.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// The path of this program cannot be told.
    #[error("cannot find the program to start as watchdog: {0}")]
    Program(std::io::Error),
    /// It could not be started.
    #[error("cannot start the watchdog: {0}")]
    Start(std::io::Error),
    /// It ended before it was detached.
    #[error("the watchdog ended before it was detached")]
    Ended,
}

/// The run's end of the pipe. The process behind it is never waited for: it outlives this one when
/// it has to.
#[derive(Debug)]
pub struct Watchdog {
    pipe: Mutex<ChildStdin>,
    pid: u32,
}

impl Watchdog {
    /// Starts the watchdog of a run and returns once it is detached from this process's session.
    /// Blocks for the few milliseconds that an `exec` takes.
    ///
    /// # Errors
    /// It could not be started. A run without a watchdog is possible, but a SIGKILL is then left to
    /// `envrun gc`.
    pub fn start(run: RunId) -> Result<Self, WatchdogError> {
        let program = std::env::current_exe().map_err(WatchdogError::Program)?;
        let mut command = Command::new(program);
        command
            .args([SUBCOMMAND, &run.to_string()])
            .env_clear()
            .envs(
                KEPT_VARIABLES
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().map_err(WatchdogError::Start)?;
        let mut ready = [0_u8; READY.len()];
        let detached = child
            .stdout
            .take()
            .map(|mut stdout| stdout.read_exact(&mut ready));
        match (child.stdin.take(), detached) {
            (Some(pipe), Some(Ok(()))) => {
                Self::over(pipe, child.id()).map_err(WatchdogError::Start)
            }
            _ => Err(WatchdogError::Ended),
        }
    }

    /// A watchdog that reads from this pipe. One that does not read must not hold up the run, so a
    /// record that the pipe has no room for is an error.
    fn over(pipe: ChildStdin, pid: u32) -> std::io::Result<Self> {
        let flags = fcntl_getfl(&pipe)?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok(Self {
            pipe: Mutex::new(pipe),
            pid,
        })
    }

    /// Its pid.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }
}

impl IntentSink for Watchdog {
    fn pass_on(&self, record: &Record) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        // One write a record: a line is far below the size up to which a pipe writes atomically.
        self.pipe
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&line)
    }
}

/// How the run ended, seen from the watchdog.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has torn down everything itself.
    Clean,
    /// The pipe closed without a word; these were its records.
    Dead(Vec<Record>),
    /// The run is over, and its environment is left to a person for this long.
    Held(Duration),
}

/// Detaches this process from its session, says so on `announce`, and reads the pipe until it
/// closes.
///
/// # Errors
/// The announcement could not be written: the run is gone already, and nothing was created.
pub fn stand_guard(pipe: impl std::io::Read, mut announce: impl Write) -> std::io::Result<Ending> {
    close_inherited();
    // A process that leads its group already (a shell with job control started it by hand) cannot
    // open a session; it is detached from the run's group all the same.
    let _ = rustix::process::setsid();
    announce.write_all(READY)?;
    announce.flush()?;
    drop(announce);
    let mut records: Vec<Record> = Vec::new();
    let mut pipe = BufReader::with_capacity(4096, pipe);
    let mut line = String::new();
    loop {
        line.clear();
        match pipe.read_line(&mut line) {
            // A broken pipe is an end like any other.
            Ok(0) | Err(_) => return Ok(Ending::Dead(records)),
            Ok(_) => match serde_json::from_str(&line) {
                Ok(Record::Done) => return Ok(Ending::Clean),
                Ok(Record::Hold { seconds }) => {
                    return Ok(Ending::Held(Duration::from_secs(seconds)));
                }
                // A settled intent needs no memory: what was created is found by its label.
                Ok(Record::Settle { kind, name }) => {
                    records.retain(|record| {
                        *record
                            != Record::Intend {
                                kind,
                                name: name.clone(),
                            }
                    });
                }
                // There is one command at a time, and of an earlier one nothing is left.
                Ok(Record::CommandGone) => records.retain(|record| {
                    !matches!(record, Record::CommandIntended | Record::Command { .. })
                }),
                Ok(
                    record @ (Record::Intend { .. }
                    | Record::CommandIntended
                    | Record::Command { .. }),
                ) => records.push(record),
                // A line cut off by the death of its writer.
                Err(_) => {}
            },
        }
    }
}

/// Closes every descriptor but the standard ones. Whoever started envrun may have left some open, and a
/// CI system waits for the end of its pipes before it takes a step for over. Nothing of this process
/// has a descriptor yet.
fn close_inherited() {
    const FIRST: i32 = 3;
    let Ok(listed) = std::fs::read_dir("/dev/fd") else {
        return;
    };
    let open: Vec<i32> = listed
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor >= FIRST)
        .collect();
    for descriptor in open {
        // The one by which the directory was read is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ResourceKind;

    #[test]
    fn only_unanswered_intents_are_remembered_and_done_is_a_clean_end() {
        let dead = "{\"record\":\"intend\",\"kind\":\"network\",\"name\":\"a\"}\n\
                    {\"record\":\"intend\",\"kind\":\"container\",\"name\":\"b\"}\n\
                    {\"record\":\"settle\",\"kind\":\"network\",\"name\":\"a\"}\n{\"record\":\"int";
        let ending = stand_guard(dead.as_bytes(), Vec::new()).expect("announced");
        let expected = Record::Intend {
            kind: ResourceKind::Container,
            name: "b".to_owned(),
        };
        assert_eq!(ending, Ending::Dead(vec![expected]));
        let held = "{\"record\":\"hold\",\"seconds\":7}\n";
        assert_eq!(
            stand_guard(held.as_bytes(), Vec::new()).expect("announced"),
            Ending::Held(Duration::from_secs(7))
        );
        let clean = "{\"record\":\"done\"}\n";
        assert_eq!(
            stand_guard(clean.as_bytes(), Vec::new()).expect("announced"),
            Ending::Clean
        );
    }

    #[test]
    fn a_watchdog_that_does_not_read_holds_up_nothing() {
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::piped())
            .spawn()
            .expect("started");
        let pipe = child.stdin.take().expect("piped");
        let watchdog = Watchdog::over(pipe, child.id()).expect("a pipe");
        let record = Record::Settle {
            kind: ResourceKind::Container,
            name: "a".repeat(63),
        };
        let refused = (0..100_000).find_map(|_| watchdog.pass_on(&record).err());
        child.kill().expect("killed");
        child.wait().expect("ended");
        let refused = refused.expect("a pipe has an end");
        assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
    }
}
