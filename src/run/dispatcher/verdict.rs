//! What the end of a suite, of a step and of the run means. Pure, and part of the dispatcher.

use std::time::Duration;

use super::Dispatcher;
use crate::engine::{EngineError, FailureKind};
use crate::event::{Event, SuiteRow, VerdictSummary};
use crate::image::failure::{PullFailure, classify};
use crate::image::{PullPolicy, Reference};
use crate::junit::{self, SuiteProblem};
use crate::name::ServiceName;
use crate::outcome::{Failure, FailureClass, Outcome, SuiteOutcome, SuiteResult};
use crate::plan::support::Missing;
use crate::plan::{Action, Plan, PlannedImage, PlannedService, Pull};
use crate::run::effect::{CollectedReport, Effect};

/// A duration as people read it: `0.42s`, `30s`.
pub(super) fn seconds(duration: Duration) -> String {
    let text = format!("{:.2}", duration.as_secs_f64());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A suite's container has ended: its reports are collected, if it has any.
pub(super) fn suite_exited(
    dispatcher: &mut Dispatcher,
    now: Duration,
    planned: &PlannedService,
    log_tail: Vec<String>,
) {
    let name = planned.service.name.clone();
    let globs = planned
        .service
        .suite
        .as_ref()
        .map(|suite| suite.junit.clone())
        .unwrap_or_default();
    dispatcher.suite_ended(now, &name, log_tail);
    match dispatcher.collection_of(&name) {
        Some((container, working_dir)) if !globs.is_empty() => {
            dispatcher.effect(Effect::Collect {
                suite: name,
                container,
                working_dir,
                globs,
            });
        }
        _ => judge_suite(dispatcher, now, &name, Vec::new(), None),
    }
}

/// Judges a suite by its exit and its reports.
pub(super) fn judge_suite(
    dispatcher: &mut Dispatcher,
    now: Duration,
    name: &ServiceName,
    reports: Vec<CollectedReport>,
    unreadable: Option<String>,
) {
    if dispatcher
        .outcome
        .suites
        .iter()
        .any(|suite| suite.name == *name)
    {
        return;
    }
    let suite = dispatcher
        .plan
        .services
        .get(name)
        .and_then(|planned| planned.service.suite.clone())
        .unwrap_or_default();
    let state = &dispatcher.services[name];
    let exit = state.exit.clone();
    let code = exit.as_ref().and_then(|exit| exit.code);
    let mut problems = if state.timed_out {
        let limit = suite.timeout.unwrap_or_default();
        vec![problem(
            "Timeout",
            format!(
                "suite `{name}` was killed after its limit of {}",
                seconds(limit)
            ),
            true,
        )]
    } else if let Some(reason) = unreadable {
        vec![problem(
            "ReportUnreadable",
            format!("the reports of suite `{name}` could not be read: {reason}"),
            false,
        )]
    } else {
        junit::judge(code, &reports, !suite.junit.is_empty())
    };
    if dispatcher.hooks_were_cut_off(name) && !state.timed_out {
        problems.push(problem(
            "HookCutOff",
            format!("suite `{name}` ended before its `post_start` hooks were done"),
            false,
        ));
    }
    if let Some(exit) = exit.as_ref().filter(|exit| exit.oom_killed) {
        problems.push(problem(
            "OutOfMemory",
            format!("suite `{name}` {exit}"),
            false,
        ));
    }
    let reports: Vec<(String, junit::Report)> = reports
        .into_iter()
        .filter_map(|(path, report)| report.ok().map(|report| (path, report)))
        .collect();
    let mut counts = junit::Counts::default();
    for (_, report) in &reports {
        counts += report.counts();
    }
    let passed = problems.is_empty() && code == Some(0) && counts.failures + counts.errors == 0;
    let outcome = SuiteOutcome {
        name: name.clone(),
        result: if passed {
            SuiteResult::Passed
        } else {
            SuiteResult::Failed
        },
        exit,
        started: dispatcher.wall_clock_start(name),
        duration: dispatcher.suite_duration(now, name),
        reports,
        problems,
        counts,
        output_tail: dispatcher.suite_tail(name),
        explanation: None,
    };
    dispatcher.report(Event::SuiteFinished {
        suite: name.clone(),
        result: outcome.result,
        exit: outcome.exit.clone(),
        duration: outcome.duration,
        tests: outcome.counts.tests,
        failures: outcome.counts.failures + outcome.counts.errors,
        skipped: outcome.counts.skipped,
        problems: outcome
            .problems
            .iter()
            .map(|problem| problem.message.clone())
            .collect(),
        output_tail: if passed {
            Vec::new()
        } else {
            outcome.output_tail.clone()
        },
    });
    dispatcher.outcome.suites.push(outcome);
    dispatcher.suite_done(now, name, passed);
    if !passed {
        dispatcher.explain_suite(name);
    }
}

/// Suites that wait for the success of a suite that has failed will never run.
pub(super) fn skip_unreachable_suites(dispatcher: &mut Dispatcher) {
    for name in unjudged(dispatcher) {
        let action = match dispatcher.is_matrix(&name) {
            true => Action::TryReachability,
            false => Action::StartContainer(name.clone()),
        };
        let never = dispatcher
            .step_of(&action)
            .is_some_and(|step| dispatcher.can_never_begin(step));
        if never {
            let message =
                format!("suite `{name}` never started, since a suite that it waits for has failed");
            push_not_run(dispatcher, Duration::ZERO, &name, "NeverStarted", &message);
        }
    }
}

/// The run's limit was reached: suites that run have failed, the others have not run.
pub(super) fn cut_off_suites(dispatcher: &mut Dispatcher, now: Duration) {
    for name in unjudged(dispatcher) {
        if dispatcher.suite_began(&name).is_some() {
            let message = format!("suite `{name}` was cut off by the limit of the run");
            push_not_run(dispatcher, now, &name, "Timeout", &message);
            if let Some(suite) = dispatcher.outcome.suites.last_mut() {
                suite.result = SuiteResult::Failed;
            }
        }
    }
}

fn unjudged(dispatcher: &Dispatcher) -> Vec<ServiceName> {
    dispatcher
        .plan
        .suites()
        .map(|planned| planned.service.name.clone())
        .chain(dispatcher.matrix_suite())
        .filter(|name| {
            !dispatcher
                .outcome
                .suites
                .iter()
                .any(|suite| suite.name == *name)
        })
        .collect()
}

fn push_not_run(
    dispatcher: &mut Dispatcher,
    now: Duration,
    name: &ServiceName,
    kind: &str,
    message: &str,
) {
    let started = dispatcher.wall_clock_start(name);
    let outcome = SuiteOutcome {
        name: name.clone(),
        result: SuiteResult::NotRun,
        exit: None,
        started,
        duration: dispatcher.suite_duration(now, name),
        reports: Vec::new(),
        problems: vec![problem(kind, message.to_owned(), false)],
        counts: junit::Counts::default(),
        output_tail: Vec::new(),
        explanation: None,
    };
    dispatcher.outcome.suites.push(outcome);
}

/// The verdict: nothing that comes later changes it. Reports are written, then teardown begins.
pub(super) fn conclude(dispatcher: &mut Dispatcher, now: Duration) {
    let cause = dispatcher
        .outcome
        .failure
        .as_ref()
        .map_or_else(String::new, |failure| failure.message.clone());
    for name in unjudged(dispatcher) {
        let (kind, message) = if dispatcher.suite_began(&name).is_some() {
            ("CutOff", format!("suite `{name}` was cut off: {cause}"))
        } else {
            (
                "NeverStarted",
                format!("suite `{name}` never started: {cause}"),
            )
        };
        push_not_run(dispatcher, now, &name, kind, &message);
    }
    dispatcher
        .outcome
        .suites
        .sort_by(|one, other| one.name.cmp(&other.name));
    dispatcher.outcome.duration = now;
    let summary = summary(&dispatcher.outcome);
    dispatcher.effect(Effect::Abandon);
    dispatcher.report(Event::Verdict { summary });
    dispatcher.effect(Effect::WriteReports { last: false });
    dispatcher.end();
}

fn summary(outcome: &Outcome) -> VerdictSummary {
    VerdictSummary {
        passed: outcome.passed(),
        suites: outcome
            .suites
            .iter()
            .map(|suite| SuiteRow {
                suite: suite.name.clone(),
                result: suite.result,
                tests: (!suite.reports.is_empty()).then_some(suite.counts.tests),
                failures: suite.counts.failures + suite.counts.errors,
                skipped: suite.counts.skipped,
                duration: suite.duration,
                remark: suite
                    .problems
                    .first()
                    .map(|problem| problem.message.clone()),
            })
            .collect(),
        failure: outcome.failure.clone(),
        duration: outcome.duration,
    }
}

/// What it means that the engine does not answer any more.
pub(super) fn engine_lost(error: &EngineError) -> Failure {
    Failure {
        class: FailureClass::Engine,
        kind: "EngineUnreachable",
        service: None,
        message: error.to_string(),
        log_tail: Vec::new(),
        hint: Some(engine_hint(error)),
        explanation: None,
    }
}

fn engine_hint(error: &EngineError) -> String {
    let message = error.message.to_lowercase();
    if message.contains("permission denied") {
        "this user may not use the engine's socket: join the group that owns it (`docker`), or run as root".to_owned()
    } else {
        "is the engine running? `docker info` tells; `DOCKER_HOST` names another one".to_owned()
    }
}

/// What it means that the engine lacks what the plan needs.
pub(super) fn engine_too_old(has: (u16, u16), needs: (u16, u16)) -> Failure {
    Failure {
        class: FailureClass::Engine,
        kind: "EngineTooOld",
        service: None,
        message: format!(
            "the engine speaks API {}.{}, and `build` needs {}.{}",
            has.0, has.1, needs.0, needs.1
        ),
        log_tail: Vec::new(),
        hint: Some(
            "update the engine, or build the images beforehand and name them with `image`"
                .to_owned(),
        ),
        explanation: None,
    }
}

/// What the engine does not have, in words.
pub(super) fn lacks(has: (u16, u16), missing: &Missing) -> String {
    let (major, minor) = missing.needs;
    format!(
        "{} needs API {major}.{minor}, and the engine speaks {}.{}",
        missing.what, has.0, has.1
    )
}

/// The engine does not have what the run cannot do without.
pub(super) fn engine_lacks(has: (u16, u16), missing: &[Missing]) -> Failure {
    let all: Vec<String> = missing.iter().map(|one| lacks(has, one)).collect();
    Failure {
        class: FailureClass::Engine,
        kind: "EngineTooOld",
        service: None,
        message: all.join("; "),
        log_tail: Vec::new(),
        hint: Some("update the engine, or take this out of the file".to_owned()),
        explanation: None,
    }
}

/// What it means that a build asks for what its builder does not know.
pub(super) fn builder_lacks(title: &str, keys: &[&str]) -> Failure {
    Failure {
        class: FailureClass::Engine,
        kind: "BuilderLacks",
        service: None,
        message: format!(
            "the engine's builder does not know `{}` in the `build` of `{title}`",
            keys.join("`, `")
        ),
        log_tail: Vec::new(),
        hint: Some(
            "take it out, or build the image beforehand and name it with `image`".to_owned(),
        ),
        explanation: None,
    }
}

/// What the failure of a step means for the run.
///
/// The message is in the user's terms: the step and what the engine says about it. Further lines of
/// the engine's words (a failed build's output) go with the log.
pub(super) fn step_failure(
    plan: &Plan,
    action: &Action,
    error: &EngineError,
    mut log_tail: Vec<String>,
) -> Failure {
    let service = match action {
        Action::CreateContainer(name)
        | Action::ConnectNetwork(name, _)
        | Action::Inject(name)
        | Action::StartContainer(name) => Some(name.clone()),
        _ => None,
    };
    let unreachable = error.kind == FailureKind::Unreachable;
    let (class, kind, hint) = match action {
        _ if unreachable => (
            FailureClass::Engine,
            "EngineUnreachable",
            Some(engine_hint(error)),
        ),
        // The engine could not even say whether it has the image.
        Action::ObtainImage(_) if is_of_the_engine(error) => {
            (FailureClass::Engine, "EngineRefused", None)
        }
        Action::ObtainImage(index) => match plan.images.get(index.0) {
            Some(PlannedImage::Reference(pull)) => {
                let (kind, hint) = image_failure(pull, &error.message);
                (FailureClass::Environment, kind, Some(hint))
            }
            image => {
                // A build that printed nothing has no log.
                let build = image.and_then(PlannedImage::build);
                let build = build.filter(|_| error.message.contains('\n'));
                let hint = build.map(|spec| {
                    let title = &spec.title;
                    format!("all that it printed is in `logs/builds/{title}.log` of the output directory")
                });
                (FailureClass::Environment, "BuildFailed", hint)
            }
        },
        Action::StartContainer(_) => (FailureClass::Environment, "StartFailed", None),
        Action::Fill(_) | Action::Inject(_) => (FailureClass::Environment, "CopyFailed", None),
        _ => (FailureClass::Engine, "EngineRefused", None),
    };
    let mut words = error.message.lines();
    let first = words.next().unwrap_or_default();
    log_tail.extend(words.map(str::to_owned));
    Failure {
        class,
        kind,
        service,
        message: format!("cannot {}: {first}", plan.describe(action)),
        log_tail,
        hint,
        explanation: None,
    }
}

/// Whether the engine has failed at a question to itself, and neither a registry nor a build.
fn is_of_the_engine(error: &EngineError) -> bool {
    error.kind == FailureKind::Internal && error.attempt.starts_with("inspect image")
}

/// The kind of a failure to have an image, and what can be done about it.
fn image_failure(pull: &Pull, message: &str) -> (&'static str, String) {
    let registry = pull.reference.as_ref().map_or("", Reference::registry);
    if pull.policy == PullPolicy::Never {
        let hint = "pull or build it beforehand, or let it be pulled: `pull_policy: missing`";
        return ("ImageMissing", hint.to_owned());
    }
    match classify(message) {
        PullFailure::Denied => (
            "ImageDenied",
            format!(
                "is the name right? if it is private, log in as this user: `docker login {registry}`"
            ),
        ),
        PullFailure::RateLimited(_) => (
            "RegistryUnavailable",
            format!(
                "log in (`docker login {registry}`) for a higher limit, or name a mirror: `--mirror {registry}=HOST`"
            ),
        ),
        PullFailure::Passing | PullFailure::Unreachable => (
            "RegistryUnavailable",
            format!(
                "can the engine reach the registry `{registry}`? another one that has its images is named by `--mirror {registry}=HOST`"
            ),
        ),
        PullFailure::Platform => (
            "ImageMissing",
            "does the image exist for this platform? `docker manifest inspect` tells; `platform:` names another one".to_owned(),
        ),
        PullFailure::NotFound | PullFailure::Reference | PullFailure::Other => (
            "ImageMissing",
            "is the name right, and its tag? `docker pull` tells".to_owned(),
        ),
    }
}

fn problem(kind: &str, message: String, is_failure: bool) -> SuiteProblem {
    SuiteProblem {
        kind: kind.to_owned(),
        message,
        details: String::new(),
        is_failure,
    }
}
