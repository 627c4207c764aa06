//! `junit.xml`: the outcome as one JUnit document.
//!
//! What the environment did stands in a testsuite of its own, as errors where it went wrong, so
//! that an infrastructure failure can be taken neither for a failing test nor for a pass.

use std::time::SystemTime;

use crate::junit::{self, EnvironmentCase, EnvironmentProblem, SuiteRecord, Summary};
use crate::name::RunId;
use crate::outcome::{Failure, Outcome, leftover_hint};

pub(super) fn document(
    project: &str,
    run: RunId,
    started: SystemTime,
    outcome: &Outcome,
) -> Vec<u8> {
    junit::document(&Summary {
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
                problems: suite.problems.clone(),
                output_tail: suite.output_tail.join("\n"),
            })
            .collect(),
    })
}

fn environment(run: RunId, outcome: &Outcome) -> Vec<EnvironmentCase> {
    let mut cases: Vec<EnvironmentCase> = outcome
        .readiness
        .iter()
        .map(|readiness| EnvironmentCase {
            name: format!("ready: {}", readiness.service),
            duration: readiness.duration,
            problem: readiness.problem.as_ref().map(problem),
        })
        .collect();
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
        });
    }
    cases
}

fn problem(failure: &Failure) -> EnvironmentProblem {
    let mut details = failure.log_tail.join("\n");
    if let Some(hint) = &failure.hint {
        details = format!("{details}\nhint: {hint}").trim_start().to_owned();
    }
    EnvironmentProblem {
        kind: failure.kind.to_owned(),
        message: failure.message.clone(),
        details,
    }
}
