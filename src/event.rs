//! What happens in a run, as a stream of events. Reporters see nothing else.
//!
//! The serialised form is one JSON object a line in `events.jsonl`: `schema` (version of this
//! format), `at` (RFC 3339, UTC), `elapsed_ms` (since the start of the run), `event` (the kind),
//! and the fields of the kind. Durations are in milliseconds.

mod texts;

use std::time::Duration;

use serde::Serialize;

use crate::engine::{Exit, PullProgress};
use crate::exit_code::Signal;
use crate::name::{NetworkKey, RunId, ServiceName};
use crate::outcome::{
    Explanation, Failure, SuiteResult, TeardownReport, Usage, milliseconds, some_milliseconds,
};

/// Version of the event format; raised when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// Its id.
        run: RunId,
        /// Name of the project.
        project: String,
        /// Version of envrun.
        version: &'static str,
        /// All services that take part, suites and jobs included.
        services: Vec<ServiceName>,
        /// The suites among them.
        suites: Vec<ServiceName>,
    },
    /// The engine has answered.
    EngineFound {
        /// Product name.
        product: String,
        /// Product version.
        version: String,
        /// API version.
        api: String,
    },
    /// Something that the user should know and that does not stop the run.
    Warning {
        /// One line.
        message: String,
    },
    /// What a dead run had left was removed, in the background.
    Swept {
        /// The dead run.
        run: RunId,
        /// Its project.
        project: String,
        /// What was removed: `2 containers, 1 network`.
        removed: String,
    },
    /// A step of the plan begins.
    StepStarted {
        /// Number in the plan.
        step: usize,
        /// What is done to which resource.
        what: String,
        /// Why.
        cause: String,
    },
    /// A step of the plan is done.
    StepFinished {
        /// Number in the plan.
        step: usize,
        /// What was done to which resource.
        what: String,
        /// How long it took.
        #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
        duration: Duration,
    },
    /// An image is pulled; told once more when another place is asked for it.
    PullStarted {
        /// The image, as the file names it.
        image: String,
        /// Its name where it is pulled from.
        from: String,
        /// Why it is pulled.
        reason: String,
    },
    /// A pull goes on.
    PullProgress {
        /// The image.
        image: String,
        /// How far it has come.
        #[serde(flatten)]
        progress: PullProgress,
    },
    /// An attempt to pull has failed, and the next one follows.
    PullRetried {
        /// The image.
        image: String,
        /// Its name where it is pulled from.
        from: String,
        /// Number of the attempt that has failed, from 1.
        attempt: u32,
        /// Attempts at this place at most.
        limit: u32,
        /// Until the next attempt.
        #[serde(rename = "pause_ms", serialize_with = "milliseconds")]
        pause: Duration,
        /// What went wrong.
        reason: String,
    },
    /// An image was pulled.
    PullFinished {
        /// The image.
        image: String,
        /// Its name where it was pulled from.
        from: String,
        /// Bytes that were downloaded.
        bytes: u64,
        /// From the first attempt on.
        #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
        duration: Duration,
    },
    /// An image that services need is there, pulled, built, or found on the engine.
    ImageObtained {
        /// The image as the file names it, or the service whose `build` it is.
        image: String,
        /// Its id on the engine.
        id: String,
        /// Under which digests registries have it, `NAME@sha256:…`; none for what was built here.
        digests: Vec<String>,
        /// Its platform: `linux/amd64`.
        platform: String,
        /// Whether it was built for this run.
        built: bool,
        /// The services that use it.
        services: Vec<ServiceName>,
    },
    /// A network cannot be created before another run has ended.
    NetworkWaits {
        /// The network, by its key in the file.
        network: NetworkKey,
        /// The other run.
        run: RunId,
        /// The project of that run.
        project: String,
        /// What it has: ``subnet `10.9.0.0/24` ``.
        holds: String,
    },
    /// A container could be started, and waits for those that other runs on this machine start.
    StartWaits {
        /// How many other runs start containers, or wait for it too.
        others: usize,
    },
    /// A container has started.
    ServiceStarted {
        /// Its service.
        service: ServiceName,
        /// Published ports that the engine chose: container port to host addresses.
        host_ports: Vec<String>,
    },
    /// A service is ready.
    ServiceReady {
        /// The service.
        service: ServiceName,
        /// Since its start.
        #[serde(rename = "after_ms", serialize_with = "milliseconds")]
        after: Duration,
        /// Which probes passed.
        by: String,
        /// Attempts needed, over all probes.
        attempts: u32,
    },
    /// A job, or a service without a declared probe, has exited with 0.
    ServiceCompleted {
        /// The service.
        service: ServiceName,
        /// Since its start.
        #[serde(rename = "after_ms", serialize_with = "milliseconds")]
        after: Duration,
    },
    /// A container has ended otherwise than it should.
    ServiceDied {
        /// Its service.
        service: ServiceName,
        /// How it ended.
        exit: Exit,
    },
    /// A container has ended, and is started again as `restart` says.
    ServiceRestarting {
        /// Its service.
        service: ServiceName,
        /// How it ended.
        exit: Exit,
        /// Which restart it is, counted from 1.
        restart: u32,
        /// From the end to the start.
        #[serde(rename = "pause_ms", serialize_with = "milliseconds")]
        pause: Duration,
    },
    /// A fault that was asked for is in effect.
    FaultBegun {
        /// By what it is undone.
        fault: String,
        /// What it is: `partition api db`.
        what: String,
        /// The suite that has asked for it.
        suite: Option<ServiceName>,
        /// After which time it is undone, if that was said.
        #[serde(rename = "time_ms", serialize_with = "some_milliseconds")]
        time: Option<Duration>,
    },
    /// A fault that was asked for could not be done.
    FaultFailed {
        /// By what it would have been undone.
        fault: String,
        /// What it is.
        what: String,
        /// The suite that has asked for it.
        suite: Option<ServiceName>,
        /// Why not.
        reason: String,
    },
    /// A fault is undone.
    FaultUndone {
        /// Which.
        fault: String,
        /// What it was.
        what: String,
        /// How long it was in effect.
        #[serde(rename = "after_ms", serialize_with = "milliseconds")]
        after: Duration,
    },
    /// A fault could not be undone.
    FaultStays {
        /// Which.
        fault: String,
        /// What it is.
        what: String,
        /// Why.
        reason: String,
    },
    /// A suite's container has started.
    SuiteStarted {
        /// The suite.
        suite: ServiceName,
        /// Which attempt it is, counted from 1.
        attempt: u32,
    },
    /// A suite has not passed, and is run once more in a new container.
    SuiteRetried {
        /// The suite.
        suite: ServiceName,
        /// Which attempt has not passed, counted from 1.
        attempt: u32,
        /// Attempts at most.
        limit: u32,
        /// How its container ended.
        exit: Option<Exit>,
        /// From start to exit.
        #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
        duration: Duration,
        /// Tests in its reports.
        tests: u64,
        /// Failing tests, errors included.
        failures: u64,
        /// What speaks against a pass apart from failing tests.
        problems: Vec<String>,
        /// The last lines of its output.
        output_tail: Vec<String>,
    },
    /// A suite is judged.
    SuiteFinished {
        /// The suite.
        suite: ServiceName,
        /// The judgement.
        result: SuiteResult,
        /// How often it began.
        attempts: u32,
        /// How its container ended.
        exit: Option<Exit>,
        /// From start to exit.
        #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
        duration: Duration,
        /// Tests in its reports.
        tests: u64,
        /// Failing tests, errors included.
        failures: u64,
        /// Skipped tests.
        skipped: u64,
        /// What speaks against a pass apart from failing tests.
        problems: Vec<String>,
        /// The last lines of its output; for failed suites only.
        output_tail: Vec<String>,
    },
    /// Why a suite, or a service that nobody requires, has failed, as far as that could be found out:
    /// told after the failure itself.
    Explained {
        /// The suite or the service.
        service: ServiceName,
        /// What was found out.
        #[serde(flatten)]
        explanation: Box<Explanation>,
    },
    /// What a container has used: when it has ended, or at the verdict. Not told of one that was never
    /// looked at, since it was over too soon.
    UsageMeasured {
        /// Its service, job or suite.
        service: ServiceName,
        /// What it has used.
        #[serde(flatten)]
        usage: Usage,
    },
    /// Files of a container were kept.
    ArtifactsKept {
        /// Its service or suite.
        service: ServiceName,
        /// The directory below `artifacts/` that they were put into.
        directory: String,
        /// How many.
        files: u64,
        /// Their size together.
        bytes: u64,
        /// How many matched and were left out; `artifacts.json` says which and why.
        left_out: u64,
        /// The globs that nothing has matched.
        unmatched: Vec<String>,
    },
    /// The run is aborted.
    RunAborted {
        /// Why.
        failure: Failure,
    },
    /// A signal asked the run to end.
    SignalReceived {
        /// Which.
        signal: Signal,
    },
    /// The verdict, before teardown begins.
    Verdict {
        /// One line a suite, and the failure.
        summary: VerdictSummary,
    },
    /// The environment is left to a person.
    Held {
        /// The run.
        run: RunId,
        /// For how long.
        #[serde(rename = "time_ms", serialize_with = "milliseconds")]
        time: Duration,
        /// The containers that run.
        services: Vec<ServiceName>,
    },
    /// Teardown begins.
    TeardownStarted,
    /// Teardown is over and verified.
    TeardownFinished {
        /// The run, by which `envrun gc` removes what is left.
        run: RunId,
        /// What it did.
        report: TeardownReport,
    },
    /// The last event.
    RunFinished {
        /// Exit code of the process.
        exit_code: u8,
        /// From the start to here.
        #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
        duration: Duration,
    },
}

/// The verdict as a table.
#[derive(Debug, Clone, Serialize)]
pub struct VerdictSummary {
    /// Whether everything passed.
    pub passed: bool,
    /// One row a suite.
    pub suites: Vec<SuiteRow>,
    /// Why the run was aborted, if it was.
    pub failure: Option<Failure>,
    /// From the start of the run.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
}

/// One row of the table of suites.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteRow {
    /// Its name.
    pub suite: ServiceName,
    /// The judgement.
    pub result: SuiteResult,
    /// How often it began.
    pub attempts: u32,
    /// Tests in its reports; `None` when it has no report.
    pub tests: Option<u64>,
    /// Failing tests, errors included.
    pub failures: u64,
    /// Skipped tests.
    pub skipped: u64,
    /// From start to exit.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The first thing that speaks against a pass.
    pub remark: Option<String>,
}
