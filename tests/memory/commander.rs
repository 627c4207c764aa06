//! Commands on the host that are none: what they do is written down, in the paused time of tests.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use envrun::engine::{Exit, OutputChunk, OutputStream};
use envrun::junit;
use envrun::run::effect::CollectedReport;
use envrun::run::host_command::reports::{Stamps, stamps};
use envrun::run::host_command::{CommandTask, Commands, Group, Running};
use envrun::run::ledger::Record;
use futures::{StreamExt as _, stream};
use tokio::sync::{Notify, oneshot};

/// What one start of the command does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doing {
    /// It ends by itself so long after its start, with this code; `None`: it does not.
    pub(crate) ends: Option<(Duration, i64)>,
    /// How long after SIGTERM it ends; `None`: it ignores it.
    pub(crate) heeds: Option<Duration>,
    /// Whether something of its group stays until it is killed.
    pub(crate) leaves: bool,
    /// What it prints.
    pub(crate) output: &'static str,
    /// The report that it writes.
    pub(crate) report: Option<&'static str>,
    /// The system does not run it.
    pub(crate) is_broken: bool,
}

/// Runs them.
#[derive(Default)]
pub(crate) struct Commander {
    doings: Mutex<Vec<Doing>>,
    /// What each start was given.
    pub(crate) environments: Mutex<Vec<BTreeMap<String, String>>>,
    /// The signals that were sent, and when after the first start.
    pub(crate) signals: Arc<Mutex<Vec<&'static str>>>,
    groups: Mutex<Vec<Arc<Pretended>>>,
    reports: Mutex<Option<&'static str>>,
}

impl Commander {
    /// Starts do these one after the other, and the last one for good.
    pub(crate) fn doing(doings: Vec<Doing>) -> Arc<Self> {
        Arc::new(Self {
            doings: Mutex::new(doings),
            ..Self::default()
        })
    }

    /// How many process groups have members.
    pub(crate) fn alive(&self) -> usize {
        let groups = self.groups.lock().expect("not poisoned");
        groups.iter().filter(|group| group.is_there()).count()
    }

    /// How often something was started.
    pub(crate) fn starts(&self) -> usize {
        self.groups.lock().expect("not poisoned").len()
    }
}

/// A process group that is none.
struct Pretended {
    number: u32,
    doing: Doing,
    leads: AtomicBool,
    rest: AtomicBool,
    asked: Notify,
    killed: Notify,
    signals: Arc<Mutex<Vec<&'static str>>>,
}

impl Group for Pretended {
    fn record(&self) -> Option<Record> {
        Some(Record::Command {
            pid: self.number,
            started: 1,
        })
    }

    fn end(&self, kill: bool) {
        let name = if kill { "KILL" } else { "TERM" };
        self.signals.lock().expect("not poisoned").push(name);
        if kill {
            self.rest.store(false, Ordering::SeqCst);
            self.killed.notify_one();
        } else {
            self.asked.notify_one();
        }
    }

    fn is_there(&self) -> bool {
        self.leads.load(Ordering::SeqCst) || self.rest.load(Ordering::SeqCst)
    }
}

impl Commands for Commander {
    fn start(&self, task: &CommandTask) -> io::Result<Running> {
        let environment = task.environment.iter();
        let environment = environment
            .map(|(name, value)| (name.clone(), value.to_string_lossy().into_owned()))
            .collect();
        self.environments
            .lock()
            .expect("not poisoned")
            .push(environment);
        let mut doings = self.doings.lock().expect("not poisoned");
        let doing = if doings.len() > 1 {
            doings.remove(0)
        } else {
            doings.first().cloned().unwrap_or_default()
        };
        if doing.is_broken {
            return Err(io::Error::other("Exec format error (os error 8)"));
        }
        *self.reports.lock().expect("not poisoned") = doing.report;
        let mut groups = self.groups.lock().expect("not poisoned");
        let group = Arc::new(Pretended {
            number: 1000 + u32::try_from(groups.len()).expect("few"),
            leads: AtomicBool::new(true),
            rest: AtomicBool::new(doing.leaves),
            asked: Notify::new(),
            killed: Notify::new(),
            signals: Arc::clone(&self.signals),
            doing: doing.clone(),
        });
        groups.push(Arc::clone(&group));
        let (end, ended) = oneshot::channel();
        let leader = Arc::clone(&group);
        tokio::spawn(async move {
            let code = life(&leader).await;
            leader.leads.store(false, Ordering::SeqCst);
            let _ = end.send(Exit {
                code: Some(code),
                oom_killed: false,
                error: None,
            });
        });
        let chunk = OutputChunk {
            stream: OutputStream::Stdout,
            bytes: Bytes::from_static(doing.output.as_bytes()),
        };
        Ok(Running {
            output: stream::iter([chunk]).boxed(),
            ended,
            group,
        })
    }

    fn stamps(&self, _task: &CommandTask) -> Result<Stamps, String> {
        stamps(Path::new("/nonexistent"), &[])
    }

    fn reports(
        &self,
        _task: &CommandTask,
        _before: &Stamps,
    ) -> Result<Vec<CollectedReport>, String> {
        let report = *self.reports.lock().expect("not poisoned");
        let report = report.map(|text| ("report.xml".to_owned(), junit::read(text.as_bytes())));
        Ok(report.into_iter().collect())
    }
}

/// From the start to the exit code.
async fn life(group: &Pretended) -> i64 {
    let by_itself = async {
        match group.doing.ends {
            Some((after, code)) => {
                envrun::clock::pause(after).await;
                code
            }
            None => std::future::pending().await,
        }
    };
    let asked = async {
        group.asked.notified().await;
        match group.doing.heeds {
            Some(after) => {
                envrun::clock::pause(after).await;
                143
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        code = by_itself => code,
        () = group.killed.notified() => 137,
        code = asked => code,
    }
}
