//! A command on this host: it is run, followed, ended, and its reports are read.
//!
//! What it is run with and what its end means is decided by the dispatcher. It is in a process group of its
//! own, which the run ends: when the command itself has ended, at its limit, and at the end of the run. The
//! watchdog is told before and after the start, so that it ends the group where envrun cannot any more.

pub mod process;
pub mod reports;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::{oneshot, watch};

use self::reports::Stamps;
use super::effect::{CollectedReport, Input};
use super::following::{Masking, hand_on};
use super::ledger::{Ledger, Record};
use super::shared::Shared;
use crate::clock;
use crate::engine::{ContainerFacts, Exit, FailureKind, OutputChunk};
use crate::event::Event;
use crate::name::{ContainerId, RunId, ServiceName};
use crate::probe::Prober;

/// How long a command and what it has left may take to end by SIGTERM.
pub const GRACE: Duration = Duration::from_secs(2);

/// Between two looks at what is left of the group.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How long output may take to arrive once the group is gone: processes that have left the group may hold
/// it open for ever.
const DRAIN: Duration = Duration::from_secs(1);

/// How long what SIGKILL was sent to may take to end.
const KILLED: Duration = Duration::from_secs(5);

/// Something that has happened to a command.
#[derive(Debug)]
pub enum News {
    /// The containers of a held environment were looked at.
    HeldSeen {
        /// State and addresses, of those that are there.
        facts: BTreeMap<ServiceName, ContainerFacts>,
        /// The gateways that are addresses of this host.
        near: BTreeSet<IpAddr>,
    },
    /// It runs.
    Started,
    /// It could not be started, and why.
    NotStarted(String),
    /// It has ended and its output is complete.
    Ended {
        /// How.
        exit: Exit,
        /// Its last output.
        log_tail: Vec<String>,
    },
}

/// Something to be done about a command.
#[derive(Debug)]
pub enum Deed {
    /// Look at the containers of a held environment.
    LookAtHeld(Vec<(ServiceName, ContainerId)>),
    /// Run it.
    Run(Box<CommandTask>),
    /// End it.
    End,
}

/// What is run.
#[derive(Debug, Clone)]
pub struct CommandTask {
    /// The suite.
    pub suite: ServiceName,
    /// The run.
    pub run: RunId,
    /// The program: an absolute path.
    pub program: PathBuf,
    /// As which program it is called.
    pub called: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Variables beside those of this process.
    pub environment: BTreeMap<String, OsString>,
    /// Globs of report files, relative to the directory.
    pub globs: Vec<String>,
}

/// Who runs commands.
pub trait Commands: Send + Sync + 'static {
    /// Starts a command in a process group of its own, with nothing to read.
    ///
    /// # Errors
    /// The system does not run it.
    fn start(&self, task: &CommandTask) -> std::io::Result<Running>;
    /// The report files that there are. May block.
    ///
    /// # Errors
    /// They cannot be listed.
    fn stamps(&self, task: &CommandTask) -> Result<Stamps, String>;
    /// Reads the report files that have been written since. May block.
    ///
    /// # Errors
    /// They cannot be read.
    fn reports(&self, task: &CommandTask, before: &Stamps) -> Result<Vec<CollectedReport>, String>;
}

/// A command that runs.
pub struct Running {
    /// What it writes.
    pub output: BoxStream<'static, OutputChunk>,
    /// Fires when it has ended, whatever it has left.
    pub ended: oneshot::Receiver<Exit>,
    /// Its process group.
    pub group: Arc<dyn Group>,
}

/// A process group.
pub trait Group: Send + Sync + 'static {
    /// What the watchdog has to know to end it.
    fn record(&self) -> Option<Record>;
    /// Asks it to end, or kills it.
    fn end(&self, kill: bool);
    /// Whether there is anything of it, once the command itself has ended.
    fn is_there(&self) -> bool;
}

/// How urgently a command is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// By itself.
    None,
    /// Now, with its grace.
    Soon,
    /// Now.
    AtOnce,
}

/// A command of the run, as the executor holds it.
pub(super) struct Held {
    urgency: watch::Sender<Urgency>,
    over: oneshot::Receiver<()>,
}

impl Held {
    /// Ends it, more urgently than before or not at all.
    pub(super) fn end(&self, urgency: Urgency) {
        self.urgency.send_if_modified(|now| {
            let is_more = urgency > *now;
            *now = urgency.max(*now);
            is_more
        });
    }

    /// Returns when nothing of it is left, or when that cannot be waited for any longer.
    pub(super) async fn over(self, limit: Duration) {
        let _ = clock::within(limit, self.over).await;
    }
}

/// How long the end of a command may take to be over.
pub(super) const END: Duration = Duration::from_secs(10);

/// Prepares a command, and the task that runs it.
pub(super) fn command(
    shared: Arc<Shared>,
    commands: Arc<dyn Commands>,
    ledger: Arc<Ledger>,
    task: CommandTask,
) -> (Held, impl Future<Output = ()> + Send + 'static) {
    let (urgency, wanted) = watch::channel(Urgency::None);
    let (gone, over) = oneshot::channel();
    let performing = async move {
        perform(shared, commands, ledger, (task, wanted)).await;
        let _ = gone.send(());
    };
    (Held { urgency, over }, performing)
}

async fn perform(
    shared: Arc<Shared>,
    commands: Arc<dyn Commands>,
    ledger: Arc<Ledger>,
    (task, wanted): (CommandTask, watch::Receiver<Urgency>),
) {
    let task = Arc::new(task);
    let not_started = |reason: String| shared.send(Input::Command(News::NotStarted(reason)));
    let before = {
        let (commands, task) = (Arc::clone(&commands), Arc::clone(&task));
        match blocking(move || commands.stamps(&task)).await {
            Ok(before) => before,
            Err(reason) => return not_started(reason),
        }
    };
    if *wanted.borrow() != Urgency::None {
        return;
    }
    if let Some(error) = ledger.tell(&Record::CommandIntended) {
        let message = format!(
            "the watchdog does not listen any more ({error}): if envrun is killed, the command goes on"
        );
        shared.report(Event::Warning { message });
    }
    let running = {
        let (commands, task) = (Arc::clone(&commands), Arc::clone(&task));
        let start = move || commands.start(&task).map_err(|error| error.to_string());
        blocking(start).await
    };
    let Running {
        output,
        ended,
        group,
    } = match running {
        Ok(running) => running,
        Err(reason) => {
            ledger.tell(&Record::CommandGone);
            return not_started(reason);
        }
    };
    if let Some(record) = group.record() {
        ledger.tell(&record);
    }
    shared.send(Input::Command(News::Started));
    let (done, complete) = oneshot::channel();
    let following = follow(Arc::clone(&shared), task.suite.clone(), output);
    tokio::spawn(async move {
        following.await;
        let _ = done.send(());
    });
    let exit = end_of(group.as_ref(), ended, wanted.clone()).await;
    end_rest(group.as_ref(), &wanted).await;
    ledger.tell(&Record::CommandGone);
    let _ = clock::within(DRAIN, complete).await;
    let log_tail = shared.tails.tail(&task.suite);
    shared.send(Input::Command(News::Ended { exit, log_tail }));
    let suite = task.suite.clone();
    let collected = blocking(move || commands.reports(&task, &before)).await;
    let (reports, problem) = match collected {
        Ok(reports) => (reports, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    shared.send(Input::Collected {
        suite,
        reports,
        problem,
    });
}

/// Looks at the containers of a held environment.
pub(super) async fn look_at_held(
    shared: Arc<Shared>,
    prober: Arc<dyn Prober>,
    containers: Vec<(ServiceName, ContainerId)>,
) {
    let mut facts = BTreeMap::new();
    let mut near = BTreeSet::new();
    for (name, container) in containers {
        match shared.engine.inspect_container(&container).await {
            Ok(found) => {
                let gateways = found.addresses.values().filter_map(|one| one.gateway);
                near.extend(gateways.filter(|gateway| prober.reaches(*gateway)));
                facts.insert(name, found);
            }
            Err(error) if error.kind == FailureKind::NotFound => {}
            Err(error) => return shared.send(Input::EngineLost(error)),
        }
    }
    shared.send(Input::Command(News::HeldSeen { facts, near }));
}

/// Does what may block on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_panicked| Err("envrun has panicked".to_owned()))
}

/// Passes output on as that of a container.
async fn follow(
    shared: Arc<Shared>,
    suite: ServiceName,
    mut output: BoxStream<'static, OutputChunk>,
) {
    let mut masking = Masking::new(&shared);
    while let Some(chunk) = output.next().await {
        hand_on(&shared, &suite, &masking.push(chunk)).await;
    }
    for chunk in masking.finish() {
        hand_on(&shared, &suite, &chunk).await;
    }
    shared.recorder.output_ended(&suite);
}

/// The end of the command itself, by itself or as it is wanted.
async fn end_of(
    group: &dyn Group,
    mut ended: oneshot::Receiver<Exit>,
    mut wanted: watch::Receiver<Urgency>,
) -> Exit {
    let unknown = || Exit {
        code: None,
        oom_killed: false,
        error: Some("the system does not say how it ended".to_owned()),
    };
    tokio::select! {
        biased;
        exit = &mut ended => return exit.unwrap_or_else(|_gone| unknown()),
        _ = wanted.wait_for(|urgency| *urgency > Urgency::None) => {}
    }
    group.end(false);
    let at_once = async {
        let _ = wanted.wait_for(|urgency| *urgency == Urgency::AtOnce).await;
    };
    tokio::select! {
        biased;
        exit = &mut ended => return exit.unwrap_or_else(|_gone| unknown()),
        () = clock::pause(GRACE) => {}
        () = at_once => {}
    }
    group.end(true);
    match clock::within(KILLED, ended).await {
        Ok(Ok(exit)) => exit,
        _ => unknown(),
    }
}

/// Ends what the command has left in its group.
async fn end_rest(group: &dyn Group, wanted: &watch::Receiver<Urgency>) {
    let begun = clock::now();
    if !group.is_there() {
        return;
    }
    group.end(false);
    while group.is_there() && begun.elapsed() < GRACE && *wanted.borrow() != Urgency::AtOnce {
        clock::pause(LOOK_AGAIN).await;
    }
    if group.is_there() {
        group.end(true);
    }
}
