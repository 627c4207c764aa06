//! What the failure of a step and the end of the run mean. Pure, and part of the dispatcher.

use std::time::Duration;

use super::Dispatcher;
use crate::engine::{EngineError, FailureKind};
use crate::event::{Event, SuiteRow, VerdictSummary};
use crate::image::failure::{PullFailure, classify};
use crate::image::{PullPolicy, Reference};
use crate::outcome::{Failure, FailureClass, Outcome, SuiteOutcome, SuiteResult};
use crate::plan::support::Missing;
use crate::plan::{Action, Plan, PlannedImage, Pull};
use crate::run::effect::Effect;

/// A duration as people read it: `0.42s`, `30s`.
pub(super) fn seconds(duration: Duration) -> String {
    let text = format!("{:.2}", duration.as_secs_f64());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The verdict: nothing that comes later changes it. Reports are written, then teardown begins.
pub(super) fn conclude(dispatcher: &mut Dispatcher, now: Duration) {
    let cause = dispatcher
        .outcome
        .failure
        .as_ref()
        .map_or_else(String::new, |failure| failure.message.clone());
    for name in dispatcher.unjudged() {
        dispatcher.leave_unjudged(now, &name, &cause);
    }
    dispatcher
        .outcome
        .suites
        .sort_by(|one, other| one.name.cmp(&other.name));
    dispatcher.outcome.duration = now;
    let summary = summary(&dispatcher.outcome);
    dispatcher.effect(Effect::Abandon);
    dispatcher.tell_usage();
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
                attempts: suite.attempts,
                tests: (!suite.reports.is_empty()).then_some(suite.counts.tests),
                failures: suite.counts.failures + suite.counts.errors,
                skipped: suite.counts.skipped,
                duration: suite.duration,
                remark: remark(suite),
            })
            .collect(),
        failure: outcome.failure.clone(),
        duration: outcome.duration,
    }
}

/// What has to be said of a suite beside its row: the first thing that speaks against a pass, or why
/// there were several attempts.
fn remark(suite: &SuiteOutcome) -> Option<String> {
    let problem = suite.problems.first();
    if let Some(problem) = problem {
        return Some(problem.message.clone());
    }
    let lost = suite.lost.last()?;
    let attempt = suite.lost.len();
    Some(match suite.result {
        SuiteResult::Flaky => format!(
            "passed at attempt {}; attempt {attempt} did not: {}",
            suite.attempts,
            lost.reason()
        ),
        _ => format!("none of {} attempts passed", suite.attempts),
    })
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
