//! One event of each kind, with everything in it that it can have. The compiler wants one of each.

use std::time::Duration;

use envrun::engine::{Exit, PullProgress, Resource, ResourceKind};
use envrun::event::{Event, SuiteRow, VerdictSummary};
use envrun::exit_code::Signal;
use envrun::name::{NetworkKey, RunId, ServiceName};
use envrun::outcome::{
    Cause, Explanation, Failure, FailureClass, Leftover, Moment, PeakBy, ProbeRecord, SuiteResult,
    TeardownReport, Usage,
};

/// Lists a sample of each variant, and fails to compile where one is left out.
macro_rules! samples {
    ($($variant:ident => $sample:expr;)*) => {
        /// The samples with the names of their variants, in the order of `Event`.
        pub(crate) fn samples() -> Vec<(&'static str, Event)> {
            // An event that is not listed here is an error of this match.
            let listed = |event: &Event| match event { $(Event::$variant { .. } => stringify!($variant),)* };
            let all = vec![$((stringify!($variant), $sample)),*];
            for (variant, event) in &all {
                assert_eq!(listed(event), *variant);
            }
            all
        }
    };
}

samples! {
    RunStarted => Event::RunStarted {
        run: run(),
        project: text("shop"),
        version: "1.2.3",
        services: vec![service("db")],
        suites: vec![service("e2e")],
    };
    EngineFound => Event::EngineFound { product: text("Docker Engine"), version: text("28.5"), api: text("1.51") };
    Warning => Event::Warning { message: text("look out") };
    Swept => Event::Swept { run: run(), project: text("old"), removed: text("2 containers") };
    StepStarted => Event::StepStarted { step: 3, what: text("create network"), cause: text("used by db") };
    StepFinished => Event::StepFinished { step: 3, what: text("create network"), duration: TIME };
    PullStarted => Event::PullStarted { image: text("a"), from: text("docker.io/library/a"), reason: text("missing") };
    PullProgress => Event::PullProgress { image: text("a"), progress: PullProgress::default() };
    PullRetried => Event::PullRetried {
        image: text("a"),
        from: text("docker.io/library/a"),
        attempt: 1,
        limit: 5,
        pause: TIME,
        reason: text("503"),
    };
    PullFinished => Event::PullFinished { image: text("a"), from: text("docker.io/library/a"), bytes: 7, duration: TIME };
    ImageObtained => Event::ImageObtained {
        image: text("a"),
        id: text("sha256:0"),
        digests: vec![text("a@sha256:0")],
        platform: text("linux/amd64"),
        built: false,
        services: vec![service("db")],
    };
    NetworkWaits => Event::NetworkWaits {
        network: NetworkKey::new("back"),
        run: run(),
        project: text("other"),
        holds: text("bridge `br-1`"),
    };
    StartWaits => Event::StartWaits { others: 2 };
    ServiceStarted => Event::ServiceStarted { service: service("db"), host_ports: vec![text("80/tcp: 0.0.0.0:49153")] };
    ServiceReady => Event::ServiceReady { service: service("db"), after: TIME, by: text("tcp 5432"), attempts: 4 };
    ServiceCompleted => Event::ServiceCompleted { service: service("migrate"), after: TIME };
    ServiceDied => Event::ServiceDied { service: service("db"), exit: exit() };
    ServiceRestarting => Event::ServiceRestarting { service: service("db"), exit: exit(), restart: 1, pause: TIME };
    FaultBegun => Event::FaultBegun {
        fault: text("1"),
        what: text("kill db"),
        suite: Some(service("e2e")),
        time: Some(TIME),
    };
    FaultFailed => Event::FaultFailed { fault: text("1"), what: text("kill db"), suite: None, reason: text("gone") };
    FaultUndone => Event::FaultUndone { fault: text("1"), what: text("kill db"), after: TIME };
    FaultStays => Event::FaultStays { fault: text("1"), what: text("kill db"), reason: text("gone") };
    SuiteStarted => Event::SuiteStarted { suite: service("e2e"), attempt: 2 };
    SuiteRetried => Event::SuiteRetried {
        suite: service("e2e"),
        attempt: 1,
        limit: 3,
        exit: Some(exit()),
        duration: TIME,
        tests: 3,
        failures: 1,
        problems: vec![text("exit code 1")],
        output_tail: vec![text("1 failed")],
    };
    SuiteFinished => Event::SuiteFinished {
        suite: service("e2e"),
        result: SuiteResult::Failed,
        attempts: 2,
        exit: Some(exit()),
        duration: TIME,
        tests: 3,
        failures: 1,
        skipped: 1,
        problems: vec![text("exit code 1")],
        output_tail: vec![text("1 failed")],
    };
    Explained => Event::Explained { service: service("db"), explanation: Box::new(explanation()) };
    UsageMeasured => Event::UsageMeasured {
        service: service("db"),
        usage: Usage {
            memory_peak_bytes: 30 << 20,
            memory_peak_by: PeakBy::Kernel,
            memory_limit_bytes: Some(64 << 20),
            cpu: TIME,
            samples: 3,
            unseen: Some(TIME),
        },
    };
    ArtifactsKept => Event::ArtifactsKept {
        service: service("e2e"),
        directory: text("e2e"),
        files: 3,
        bytes: 1024,
        left_out: 1,
        unmatched: vec![text("videos/")],
    };
    RunAborted => Event::RunAborted { failure: failure() };
    SignalReceived => Event::SignalReceived { signal: Signal::Terminate };
    Verdict => Event::Verdict {
        summary: VerdictSummary {
            passed: false,
            suites: vec![SuiteRow {
                suite: service("e2e"),
                result: SuiteResult::NotRun,
                attempts: 0,
                tests: None,
                failures: 0,
                skipped: 0,
                duration: TIME,
                remark: Some(text("never started")),
            }],
            failure: Some(failure()),
            duration: TIME,
        },
    };
    Held => Event::Held { run: run(), time: TIME, services: vec![service("db")] };
    TeardownStarted => Event::TeardownStarted;
    TeardownFinished => Event::TeardownFinished {
        run: run(),
        report: TeardownReport {
            removed: vec![resource()],
            already_gone: vec![resource()],
            left: vec![Leftover { resource: resource(), reason: text("in use") }],
            duration: TIME,
        },
    };
    RunFinished => Event::RunFinished { exit_code: 1, duration: TIME };
}

const TIME: Duration = Duration::from_millis(1500);

fn text(text: &str) -> String {
    text.to_owned()
}

fn service(name: &str) -> ServiceName {
    ServiceName::new(name)
}

fn run() -> RunId {
    RunId::from_u128(7)
}

fn exit() -> Exit {
    Exit {
        code: Some(137),
        oom_killed: true,
        error: Some(text("no such program")),
    }
}

fn resource() -> Resource {
    Resource {
        kind: ResourceKind::Volume,
        id: text("v"),
        name: text("v"),
    }
}

fn explanation() -> Explanation {
    Explanation {
        state: Some(text("running")),
        probes: vec![ProbeRecord {
            probe: text("tcp 5432"),
            because: text("image"),
            attempts: 3,
            last: text("refused"),
        }],
        timeline: vec![Moment {
            at: TIME,
            what: text("started"),
        }],
        causes: vec![Cause {
            kind: "LoopbackOnly",
            service: service("api"),
            target: Some(text("db:5432")),
            message: text("it listens on loopback"),
            evidence: vec![text("127.0.0.1:5432")],
            remedy: Some(text("listen on 0.0.0.0")),
            confirmed: true,
        }],
        unseen: Some(text("no agent")),
    }
}

fn failure() -> Failure {
    Failure {
        class: FailureClass::Environment,
        kind: "NotReady",
        service: Some(service("db")),
        message: text("not ready"),
        log_tail: vec![text("starting")],
        hint: Some(text("wait longer")),
        explanation: Some(Box::new(explanation())),
    }
}
