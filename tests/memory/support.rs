//! One run of a Compose file on the engine in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use envrun::config::{self, Request};
use envrun::engine::OutputChunk;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::event::Event;
use envrun::exit_code::Signal;
use envrun::mask::Masker;
use envrun::name::{RunId, ServiceName};
use envrun::outcome::Outcome;
use envrun::plan::{Plan, Selection, subnet};
use envrun::run::dispatcher::{EngineHost, Settings};
use envrun::run::gate::{Open, StartGate};
use envrun::run::ledger::{IntentSink, Ledger, Record};
use envrun::run::teardown::Limits;
use envrun::run::{Recorder, Wiring};
use tokio::sync::mpsc;

use super::commander::Commander;

/// The run id of every test: names and subnets are the same each time.
pub(crate) const RUN: RunId = RunId::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);

/// What the words by which suites are known are made of.
pub(crate) const SECRET: u128 = 0x5ec;

/// What the containers of each service do.
pub(crate) type Behaviours = BTreeMap<&'static str, Behaviour>;

/// A passing report with one test.
pub(crate) const PASSING: &str =
    r#"<testsuite name="s"><testcase classname="c" name="t" time="0.1"/></testsuite>"#;

/// A report with one failing test.
pub(crate) const FAILING: &str = r#"<testsuite name="s"><testcase classname="c" name="t"><failure message="1 != 2"/></testcase></testsuite>"#;

/// A suite that takes a second and leaves a report.
pub(crate) fn suite(report: &'static str, code: i64) -> Behaviour {
    Behaviour {
        files: BTreeMap::from([("/app/reports/junit.xml", report)]),
        output: "collected 1 item\n",
        ..Behaviour::exits(Duration::from_secs(1), code)
    }
}

/// Reads a Compose file and makes its plan. Its directory stays for as long as the tests run, since a
/// plan may name files of it.
pub(crate) fn plan(compose: &str) -> Plan {
    selected(compose, &Selection::default())
}

/// The plan of the environment without its suites.
pub(crate) fn environment(compose: &str) -> Plan {
    let selection = Selection {
        environment_only: true,
        ..Selection::default()
    };
    selected(compose, &selection)
}

pub(crate) fn selected(compose: &str, selection: &Selection) -> Plan {
    static DIRECTORIES: Mutex<Vec<tempfile::TempDir>> = Mutex::new(Vec::new());
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join("compose.yaml"), compose).expect("written");
    let request = Request {
        directory: directory.path().to_path_buf(),
        project_name: Some("test".to_owned()),
        ..Request::default()
    };
    let loaded =
        config::load(&request).unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)));
    DIRECTORIES.lock().expect("not poisoned").push(directory);
    Plan::new(&loaded.project, RUN, selection).expect("a plan")
}

/// Everything that a run told.
#[derive(Default)]
pub(crate) struct Told {
    /// Where files of containers are kept, once there are any.
    kept: OnceLock<tempfile::TempDir>,
    /// What services wrote while tests failed.
    pub(crate) excerpts: Mutex<Vec<(String, String)>>,
    /// Why there is no such place.
    pub(crate) nowhere: Option<String>,
    events: Mutex<Vec<(Duration, Event)>>,
    records: Mutex<Vec<Record>>,
    /// What was recorded of the output of each service.
    output: Mutex<BTreeMap<String, String>>,
}

/// What a watchdog would read.
struct Pipe(Arc<Told>);

impl IntentSink for Pipe {
    fn pass_on(&self, record: &Record) -> std::io::Result<()> {
        let mut records = self.0.records.lock().expect("not poisoned");
        records.push(record.clone());
        Ok(())
    }
}

impl Told {
    /// What was recorded of the output of a service.
    pub(crate) fn printed(&self, service: &str) -> String {
        let output = self.output.lock().expect("not poisoned");
        output.get(service).cloned().unwrap_or_default()
    }

    /// All events, in order.
    pub(crate) fn events(&self) -> Vec<Event> {
        let events = self.events.lock().expect("not poisoned");
        events.iter().map(|(_, event)| event.clone()).collect()
    }

    /// A file that was kept, by its path.
    pub(crate) fn kept(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.kept.get()?.path().join(path)).ok()
    }

    /// All events with their times since the start of the run.
    pub(crate) fn timed(&self) -> Vec<(Duration, Event)> {
        self.events.lock().expect("not poisoned").clone()
    }

    /// What the watchdog was told, in order.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().expect("not poisoned").clone()
    }

    /// The events that matter to people, one line each with its time.
    pub(crate) fn timeline(&self) -> String {
        let events = self.events.lock().expect("not poisoned");
        let lines = events.iter().filter_map(|(elapsed, event)| {
            let text = match event {
                Event::ServiceStarted { service, .. } => format!("{service} started"),
                Event::ServiceReady { service, by, .. } => format!("{service} ready: {by}"),
                Event::ServiceCompleted { service, .. } => format!("{service} completed"),
                Event::ServiceDied { service, exit } => format!("{service} {exit}"),
                Event::ServiceRestarting {
                    service,
                    exit,
                    restart,
                    pause,
                } => format!("{service} {exit}, restart {restart} in {pause:?}"),
                Event::FaultBegun { fault, what, .. } => format!("fault {fault}: {what}"),
                Event::FaultUndone { fault, after, .. } => {
                    format!("fault {fault} undone after {after:?}")
                }
                Event::FaultFailed { fault, reason, .. } => {
                    format!("fault {fault} failed: {reason}")
                }
                Event::FaultStays { fault, reason, .. } => {
                    format!("fault {fault} stays: {reason}")
                }
                Event::SuiteStarted { suite, attempt: 1 } => format!("{suite} started"),
                Event::SuiteStarted { suite, attempt } => {
                    format!("{suite} started, attempt {attempt}")
                }
                Event::SuiteRetried {
                    suite,
                    attempt,
                    limit,
                    problems,
                    ..
                } => format!("{suite} attempt {attempt} of {limit} lost {problems:?}"),
                Event::SuiteFinished {
                    suite,
                    result,
                    problems,
                    ..
                } => format!("{suite} {result:?} {problems:?}"),
                Event::ArtifactsKept {
                    service,
                    files,
                    left_out,
                    ..
                } => format!("{service}: kept {files}, left out {left_out}"),
                Event::StartWaits { others } => format!("waits for {others}"),
                Event::Warning { message } => format!("warning: {message}"),
                Event::RunAborted { failure } => format!("aborted: {}", failure.message),
                Event::SignalReceived { signal } => signal.name().to_owned(),
                Event::Verdict { summary } => {
                    format!(
                        "verdict: {}",
                        if summary.passed { "passed" } else { "failed" }
                    )
                }
                Event::TeardownStarted => "teardown started".to_owned(),
                Event::TeardownFinished { report, .. } => {
                    format!(
                        "teardown finished: {} removed, {} left",
                        report.removed.len(),
                        report.left.len()
                    )
                }
                Event::Held { time, services, .. } => {
                    let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
                    format!("held for {time:?}: {}", names.join(", "))
                }
                Event::RunFinished { exit_code, .. } => format!("exit code {exit_code}"),
                _ => return None,
            };
            Some(format!("{:>7} ms  {text}", elapsed.as_millis()))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[async_trait]
impl Recorder for Told {
    fn event(&self, elapsed: Duration, event: Event) {
        self.events
            .lock()
            .expect("not poisoned")
            .push((elapsed, event));
    }

    async fn output(&self, service: &ServiceName, chunk: &OutputChunk) {
        let mut output = self.output.lock().expect("not poisoned");
        let text = String::from_utf8_lossy(&chunk.bytes);
        output
            .entry(service.to_string())
            .or_default()
            .push_str(&text);
    }

    fn build_output(&self, _title: &str, _bytes: &[u8]) {}

    fn artifacts(&self) -> Result<PathBuf, String> {
        if let Some(reason) = &self.nowhere {
            return Err(reason.clone());
        }
        let directory = self
            .kept
            .get_or_init(|| tempfile::tempdir().expect("temporary directory"));
        Ok(directory.path().to_path_buf())
    }

    fn excerpt(&self, suite: &ServiceName, test: &str, text: &str) {
        let mut excerpts = self.excerpts.lock().expect("not poisoned");
        excerpts.push((format!("{suite}: {test}"), text.to_owned()));
    }

    async fn kept(&self, _directory: &str, _record: &envrun::artifact::Record) {}

    async fn write(&self, _outcome: &Outcome) -> Vec<String> {
        Vec::new()
    }
}

/// A run and what it told.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) told: Arc<Told>,
}

/// The settings of a usual run.
pub(crate) fn settings() -> Settings {
    Settings {
        subnet_pool: subnet::DEFAULT_POOL,
        avoid_subnets: Vec::new(),
        concurrent_starts: 4,
        hold: None,
        subnet_attempts: 100,
        holder_patience: Duration::from_secs(600),
        artifacts: envrun::artifact::Limits::default(),
        secret: SECRET,
        engine_host: EngineHost::default(),
    }
}

/// Runs a plan; the signals are sent at their times after the start.
pub(crate) async fn run(
    engine: &MemoryEngine,
    plan: Plan,
    signals: &[(Duration, Signal)],
) -> Finished {
    run_with(engine, plan, settings(), signals).await
}

/// The same with other settings.
pub(crate) async fn run_with(
    engine: &MemoryEngine,
    plan: Plan,
    settings: Settings,
    signals: &[(Duration, Signal)],
) -> Finished {
    let commands = Arc::new(Commander::default());
    run_whole(
        engine,
        plan,
        settings,
        signals,
        (Arc::new(Open), commands, Masker::none()),
    )
    .await
}

/// The same with a command on the host.
pub(crate) async fn run_commanding(
    engine: &MemoryEngine,
    plan: Plan,
    settings: Settings,
    signals: &[(Duration, Signal)],
    commands: &Arc<Commander>,
) -> Finished {
    let commands = Arc::clone(commands);
    run_whole(
        engine,
        plan,
        settings,
        signals,
        (Arc::new(Open), commands, Masker::none()),
    )
    .await
}

/// The same behind a gate for container starts.
pub(crate) async fn run_behind(
    engine: &MemoryEngine,
    plan: Plan,
    signals: &[(Duration, Signal)],
    gate: Arc<dyn StartGate>,
) -> Finished {
    let commands = Arc::new(Commander::default());
    run_whole(
        engine,
        plan,
        settings(),
        signals,
        (gate, commands, Masker::none()),
    )
    .await
}

/// The same where some values are secret.
pub(crate) async fn run_masked(engine: &MemoryEngine, plan: Plan, masker: Masker) -> Finished {
    let commands = Arc::new(Commander::default());
    run_whole(
        engine,
        plan,
        settings(),
        &[],
        (Arc::new(Open), commands, masker),
    )
    .await
}

async fn run_whole(
    engine: &MemoryEngine,
    plan: Plan,
    settings: Settings,
    signals: &[(Duration, Signal)],
    (gate, commands, masker): (Arc<dyn StartGate>, Arc<Commander>, Masker),
) -> Finished {
    let told = Arc::new(Told::default());
    let (sender, receiver) = mpsc::unbounded_channel();
    for (after, signal) in signals.iter().copied() {
        let sender = sender.clone();
        tokio::spawn(async move {
            envrun::clock::pause(after).await;
            let _ = sender.send(signal);
        });
    }
    let wiring = Wiring {
        engine: Arc::new(engine.clone()),
        prober: Arc::new(engine.clone()),
        commands,
        recorder: Arc::clone(&told) as Arc<dyn Recorder>,
        ledger: Ledger::new(RUN, Some(Box::new(Pipe(Arc::clone(&told))))),
        gate,
        signals: receiver,
        limits: Limits::default(),
        masker,
    };
    let outcome = Box::pin(envrun::run::run(plan, settings, wiring)).await;
    Finished { outcome, told }
}

/// Runs a Compose file and tells what happened; nothing is left.
pub(crate) async fn timeline(
    behaviours: Behaviours,
    compose: &str,
    signals: &[(Duration, Signal)],
) -> String {
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(compose), signals).await;
    assert_eq!(engine.everything(), []);
    finished.told.timeline()
}
