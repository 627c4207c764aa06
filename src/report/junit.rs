//! `junit.xml`: the outcome as one JUnit document.
//!
//! What the environment did stands in a testsuite of its own, as errors where it went wrong, so
//! that an infrastructure failure can be taken neither for a failing test nor for a pass.

use std::time::{Duration, SystemTime};

use super::explanation;
use crate::junit::{
    self, EnvironmentCase, EnvironmentProblem, Form, Profile, SuiteProblem, SuiteRecord, Summary,
};
use crate::name::RunId;
use crate::outcome::{Failure, LostAttempt, Outcome, PeakBy, SuiteOutcome, Usage, leftover_hint};

pub(super) fn document(
    (project, run): (&str, RunId),
    started: SystemTime,
    outcome: &Outcome,
    profile: Profile,
) -> Vec<u8> {
    let summary = Summary {
        project: project.to_owned(),
        run: run.to_string(),
        started,
        duration: outcome.duration,
        environment: environment(run, outcome),
        suites: outcome
            .suites
            .iter()
            .map(|suite| SuiteRecord {
                name: suite.name.to_string(),
                started: suite.started,
                duration: suite.duration,
                reports: suite.reports.clone(),
                problems: problems(suite),
                output_tail: suite.output_tail.join("\n"),
                lost: suite.lost.iter().map(lost).collect(),
                properties: outcome
                    .usage
                    .get(&suite.name)
                    .map(properties)
                    .unwrap_or_default(),
            })
            .collect(),
    };
    let form = Form {
        profile,
        ..Form::default()
    };
    junit::document(&summary, &form)
}

/// An attempt that did not pass and was followed by another one.
fn lost(attempt: &LostAttempt) -> junit::LostAttempt {
    junit::LostAttempt {
        reports: attempt.reports.clone(),
        problems: attempt.problems.clone(),
        output_tail: attempt.output_tail.join("\n"),
        duration: attempt.duration,
    }
}

/// What a suite has used, as far as it was seen.
fn properties(usage: &Usage) -> Vec<(String, String)> {
    let by = match usage.memory_peak_by {
        PeakBy::Kernel => "kernel",
        PeakBy::Samples => "samples",
    };
    let properties = [
        ("memory_peak_bytes", usage.memory_peak_bytes.to_string()),
        ("memory_peak_by", by.to_owned()),
        ("cpu_ms", usage.cpu.as_millis().to_string()),
    ];
    let named = properties.map(|(name, value)| (format!("envrun.{name}"), value));
    named.into()
}

/// The problems of a suite; what explains them goes with the first.
fn problems(suite: &SuiteOutcome) -> Vec<SuiteProblem> {
    let mut problems = suite.problems.clone();
    if let (Some(first), Some(explanation)) = (problems.first_mut(), &suite.explanation) {
        let lines = explanation::lines(explanation).join("\n");
        first.details = joined([lines, std::mem::take(&mut first.details)]);
    }
    problems
}

/// Texts below each other, the empty ones left out.
fn joined<const NUMBER: usize>(texts: [String; NUMBER]) -> String {
    let texts: Vec<String> = texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect();
    texts.join("\n\n")
}

fn environment(run: RunId, outcome: &Outcome) -> Vec<EnvironmentCase> {
    let mut cases: Vec<EnvironmentCase> = outcome
        .readiness
        .iter()
        .map(|readiness| EnvironmentCase {
            name: format!("ready: {}", readiness.title),
            duration: readiness.duration,
            problem: readiness.problem.as_ref().map(problem),
            output: String::new(),
        })
        .collect();
    // It is no error that the run goes on without what nobody requires, and it is told all the same.
    cases.extend(outcome.without.iter().map(|failure| {
        let service = failure.service.as_ref().map(ToString::to_string);
        let EnvironmentProblem {
            message, details, ..
        } = problem(failure);
        EnvironmentCase {
            name: format!("went on without: {}", service.unwrap_or_default()),
            duration: Duration::ZERO,
            problem: None,
            output: joined([message, details]),
        }
    }));
    // A failure that belongs to no service's readiness has a case of its own.
    let shown = |failure: &Failure| {
        outcome
            .readiness
            .iter()
            .any(|one| one.problem.as_ref() == Some(failure))
    };
    if let Some(failure) = outcome.failure.as_ref().filter(|failure| !shown(failure)) {
        cases.push(EnvironmentCase {
            name: "run".to_owned(),
            duration: outcome.duration,
            problem: Some(problem(failure)),
            output: String::new(),
        });
    }
    if let Some(report) = &outcome.teardown {
        let details = report.leftover_lines();
        cases.push(EnvironmentCase {
            name: "teardown".to_owned(),
            duration: report.duration,
            problem: (!details.is_empty()).then(|| EnvironmentProblem {
                kind: "Leftovers".to_owned(),
                message: report.summary(),
                details: format!("{}\nhint: {}", details.join("\n"), leftover_hint(run)),
            }),
            output: String::new(),
        });
    }
    cases
}

fn problem(failure: &Failure) -> EnvironmentProblem {
    let explanation = failure.explanation.as_ref();
    let explanation = explanation.map(|explanation| explanation::lines(explanation).join("\n"));
    let mut details = joined([explanation.unwrap_or_default(), failure.log_tail.join("\n")]);
    if let Some(hint) = &failure.hint {
        details = format!("{details}\nhint: {hint}").trim_start().to_owned();
    }
    EnvironmentProblem {
        kind: failure.kind.to_owned(),
        message: failure.message.clone(),
        details,
    }
}
