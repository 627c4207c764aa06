//! One run of `envrun run`: watched while it lives, judged when it has ended, and cleaned after
//! whatever happens.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::engine::{RUN_LABEL, Resource};
use super::events::{self, Event};
use super::{Project, junit, wait};

/// A run may build images and wait for its turn at a busy engine. No test comes near this unless
/// something hangs.
const LONGEST_RUN: Duration = Duration::from_secs(120);

/// A run that may still be going on.
pub(crate) struct Run<'project> {
    project: &'project Project,
    child: Child,
    status: Option<ExitStatus>,
    stdout: PathBuf,
    stderr: PathBuf,
    /// Its output directory.
    pub(crate) out: PathBuf,
}

impl<'project> Run<'project> {
    /// Starts `command`, whose reports go to `out` in the project.
    pub(crate) fn start(project: &'project Project, mut command: Command, out: &str) -> Self {
        let stderr = project.path(&format!("{out}.stderr"));
        command.stderr(File::create(stderr).unwrap());
        Self::with_own_stderr(project, command, out)
    }

    /// The same for a command whose standard error is set already, so that nothing is known of what
    /// it says there.
    pub(crate) fn with_own_stderr(
        project: &'project Project,
        mut command: Command,
        out: &str,
    ) -> Self {
        let stdout = project.path(&format!("{out}.stdout"));
        let stderr = project.path(&format!("{out}.stderr"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            // In a group of its own, a signal that a test sends to the group cannot reach the
            // tests.
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            project,
            child,
            status: None,
            stdout,
            stderr,
            out: project.path(out),
        }
    }

    /// Waits until an event is written that the condition likes.
    #[track_caller]
    pub(crate) fn event(&mut self, what: &str, condition: impl Fn(&Event) -> bool) -> Event {
        wait::until(what, LONGEST_RUN, || {
            let found = events::read(&self.out).into_iter().find(&condition);
            if found.is_none() && self.has_ended() {
                panic!("envrun has ended without {what}:\n{}", self.said());
            }
            found
        })
    }

    /// Waits until the container of a suite has started.
    #[track_caller]
    pub(crate) fn until_suite_started(&mut self, suite: &str) {
        self.event("the start of the suite", |event| {
            event.is("suite_started", suite)
        });
    }

    /// The id of the run.
    #[track_caller]
    pub(crate) fn id(&mut self) -> String {
        self.event("its beginning", |event| event.kind() == "run_started")
            .text("run")
            .to_owned()
    }

    /// Process id of envrun.
    pub(crate) fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to envrun alone.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.process(), signal).unwrap();
    }

    /// How many signals envrun has received.
    pub(crate) fn signals(&self) -> usize {
        events::read(&self.out)
            .iter()
            .filter(|event| event.kind() == "signal_received")
            .count()
    }

    /// Waits until envrun has received so many signals, or has ended.
    #[track_caller]
    pub(crate) fn until_signals(&mut self, count: usize) {
        wait::until("the signal", Duration::from_secs(5), || {
            (self.signals() >= count || self.has_ended()).then_some(())
        });
    }

    /// Process id of the watchdog of this run, once it is there.
    #[track_caller]
    pub(crate) fn watchdog(&mut self) -> Pid {
        let run = self.id();
        wait::until("the watchdog of the run", Duration::from_secs(5), || {
            watchdog_of(&run)
        })
    }

    fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().unwrap();
        }
        self.status.is_some()
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until the process has ended, however it does.
    #[track_caller]
    pub(crate) fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let begun = Instant::now();
        while !self.has_ended() {
            if begun.elapsed() > deadline {
                panic!("envrun goes on after {deadline:?}:\n{}", self.said());
            }
            wait::until("the end of envrun", deadline * 2, || {
                (self.has_ended() || begun.elapsed() > deadline).then_some(())
            });
        }
        self.status.unwrap()
    }

    /// Waits for the end and checks what holds for every run that ends by itself: it leaves nothing
    /// on the engine.
    #[track_caller]
    pub(crate) fn finish(self) -> Finished<'project> {
        self.finish_within(LONGEST_RUN)
    }

    /// The same for a run that may take longer than others.
    #[track_caller]
    pub(crate) fn finish_within(mut self, deadline: Duration) -> Finished<'project> {
        let finished = self.ended_within(deadline);
        if let Some(run) = events::run_id(&self.out) {
            assert_eq!(self.project.engine.of_run(&run), [], "left behind");
        }
        finished
    }

    /// Waits for the end of a run that may have to leave something on the engine. It is removed when
    /// the run is dropped.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> Finished<'project> {
        self.ended_within(LONGEST_RUN)
    }

    #[track_caller]
    fn ended_within(&mut self, deadline: Duration) -> Finished<'project> {
        let status = self.wait(deadline);
        let events = events::read(&self.out);
        assert_eq!(events::problems(&events), [""; 0], "by docs/schemas");
        Finished {
            project: self.project,
            code: status
                .code()
                .unwrap_or_else(|| panic!("killed by signal {:?}", status.signal())),
            stdout: fs::read_to_string(&self.stdout).unwrap(),
            stderr: self.said(),
            events,
            out: self.out.clone(),
        }
    }

    /// Waits until nothing of this run is on the engine.
    #[track_caller]
    pub(crate) fn until_nothing_is_left(&self, deadline: Duration) {
        let run = events::run_id(&self.out).unwrap();
        let mut left: Vec<Resource> = Vec::new();
        let begun = Instant::now();
        wait::until("an engine without the run", deadline * 2, || {
            left = self.project.engine.of_run(&run);
            (left.is_empty() || begun.elapsed() > deadline).then_some(())
        });
        assert_eq!(left, [], "still there after {deadline:?}");
    }
}

impl Drop for Run<'_> {
    /// A test that fails half-way must leave neither a process nor anything on the engine.
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if let Some(run) = events::run_id(&self.out) {
            self.project.engine.remove_labelled(RUN_LABEL, &run);
        }
        if std::thread::panicking() {
            let said = self.said();
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("---- what envrun said:\n{said}----\n").as_bytes(),
            );
        }
    }
}

/// The process that watches over a run, found by its arguments.
pub(crate) fn watchdog_of(run: &str) -> Option<Pid> {
    fs::read_dir("/proc").unwrap().find_map(|entry| {
        let entry = entry.ok()?;
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let arguments = fs::read(entry.path().join("cmdline")).ok()?;
        let mut arguments = arguments.split(|byte| *byte == 0);
        let is_it = arguments.nth(1) == Some(b"watchdog") && arguments.next()? == run.as_bytes();
        is_it.then(|| Pid::from_raw(id)).flatten()
    })
}

/// A run that has ended by itself. It holds on to the project, in whose directory its reports are.
pub(crate) struct Finished<'project> {
    project: &'project Project,
    /// Exit code.
    pub(crate) code: i32,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it said beside.
    pub(crate) stderr: String,
    /// Its events.
    pub(crate) events: Vec<Event>,
    pub(crate) out: PathBuf,
}

impl Finished<'_> {
    /// Asserts the exit code, and shows what envrun said when it is another one.
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "exit code; envrun said:\n{}", self.stderr);
        self
    }

    /// `junit.xml`.
    #[track_caller]
    pub(crate) fn junit(&self) -> junit::Report {
        let bytes = fs::read(self.out.join("junit.xml"));
        junit::Report::parse(&bytes.expect("there is no junit.xml"))
    }

    /// The id of the run.
    #[track_caller]
    pub(crate) fn id(&self) -> &str {
        self.first("run_started").1.text("run")
    }

    /// Everything of the project that is on the engine.
    pub(crate) fn on_the_engine(&self) -> Vec<Resource> {
        self.project
            .engine
            .labelled(super::engine::PROJECT_LABEL, &self.project.name)
    }

    /// The log of a service, byte by byte.
    #[track_caller]
    pub(crate) fn log(&self, service: &str) -> Vec<u8> {
        fs::read(self.out.join(format!("logs/{service}.log"))).expect("there is no log")
    }

    /// The first event that the condition likes, and its place among the events.
    #[track_caller]
    pub(crate) fn event(&self, what: &str, condition: impl Fn(&Event) -> bool) -> (usize, &Event) {
        self.events
            .iter()
            .enumerate()
            .find(|(_, event)| condition(event))
            .unwrap_or_else(|| panic!("no event `{what}` in {:#?}", self.events))
    }

    /// The first event of a kind.
    #[track_caller]
    pub(crate) fn first(&self, kind: &str) -> (usize, &Event) {
        self.event(kind, |event| event.kind() == kind)
    }

    /// The first event of a kind about a service.
    #[track_caller]
    pub(crate) fn about(&self, kind: &str, service: &str) -> (usize, &Event) {
        self.event(kind, |event| event.is(kind, service))
    }

    /// Whether there is an event of a kind about a service.
    pub(crate) fn has(&self, kind: &str, service: &str) -> bool {
        self.events.iter().any(|event| event.is(kind, service))
    }
}
