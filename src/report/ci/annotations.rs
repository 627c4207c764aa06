//! Failures as a CI system shows them outside of its log: beside the line of a file, or on the page of the job. It must never show
//! so many that the system drops some by its own choice.

use super::place::{Place, Places};
use super::{Piece, Test, TestResult};
use crate::junit::text::{sanitise, truncate_middle};
use crate::junit::{self, Case, Location};
use crate::name::RunId;
use crate::outcome::{Outcome, SuiteOutcome, SuiteResult, leftover_hint};
use std::time::Duration;

/// Most annotations of a level: GitHub shows ten of a step, and so does Azure Pipelines of a task.
const MOST: usize = 10;

/// Longest title, in bytes.
const LONGEST_TITLE: usize = 250;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Level {
    /// The job fails because of it.
    Error,
    /// It does not.
    Warning,
}

/// A failure outside of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Annotation {
    /// How bad it is.
    pub(in crate::report) level: Level,
    /// Where it is.
    pub(in crate::report) place: Option<Place>,
    /// What has failed, in one line.
    pub(in crate::report) title: String,
    /// How.
    pub(in crate::report) message: String,
    /// Whether it is a test, which some systems are told otherwise.
    pub(in crate::report) is_test: bool,
}

impl Annotation {
    fn new(level: Level, title: &str, message: &str) -> Self {
        Self {
            level,
            place: None,
            title: truncate_middle(&sanitise(title).replace(['\n', '\r'], " "), LONGEST_TITLE)
                .into_owned(),
            message: sanitise(message).trim().to_owned(),
            is_test: false,
        }
    }

    /// The message, cut in its middle where it has more bytes than that.
    pub(super) fn message_within(&self, limit: usize) -> String {
        truncate_middle(&self.message, limit).into_owned()
    }
}

/// The failures of a run at its verdict, the most important ones first.
pub(in crate::report) fn of_verdict(outcome: &Outcome, places: &Places) -> Vec<Annotation> {
    let mut errors = Vec::new();
    if let Some(failure) = &outcome.failure {
        let mut message = failure.message.clone();
        for cause in failure.explanation.iter().flat_map(|known| &known.causes) {
            message.push_str(&format!("\n{}", cause.message));
        }
        if let Some(hint) = &failure.hint {
            message.push_str(&format!("\nhint: {hint}"));
        }
        let title = format!("environment: {}", failure.kind);
        errors.push(Annotation::new(Level::Error, &title, &message));
    }
    for suite in &outcome.suites {
        // Why a suite did not run is told above.
        if suite.result == SuiteResult::NotRun && outcome.failure.is_some() {
            continue;
        }
        if let (SuiteResult::Flaky, false) = (suite.result, suite.is_pass()) {
            errors.push(flaky_suite(Level::Error, suite));
        }
        errors.extend(suite.problems.iter().map(|problem| {
            let title = format!("{}: {}", suite.name, problem.kind);
            Annotation::new(Level::Error, &title, &problem.message)
        }));
    }
    let failing = outcome.suites.iter().flat_map(failing);
    let mut failing = failing.peekable();
    // Files are looked for only where they are shown.
    while errors.len() < MOST
        && let Some((suite, case)) = failing.next()
    {
        let title = format!("{}: {}", suite.name, case_name(&case));
        let (message, details) = fault(&case);
        let message = match details.starts_with(&message) || details.is_empty() {
            true if !details.is_empty() => details,
            true => message,
            false => format!("{message}\n{details}"),
        };
        errors.push(Annotation {
            place: case.location().and_then(|location| places.of(&location)),
            is_test: true,
            ..Annotation::new(Level::Error, &title, &message)
        });
    }
    let left = failing.count();
    limited(
        &mut errors,
        left,
        "more failures are in the log and in `junit.xml`",
    );
    let flaky = outcome.suites.iter().flat_map(|suite| {
        let cases = suite.reports.iter().flat_map(|(_, report)| report.cases());
        cases.filter(Case::is_flaky).map(move |case| (suite, case))
    });
    let mut flaky = flaky.peekable();
    let suites = outcome.suites.iter();
    let mut warnings: Vec<Annotation> = suites
        .filter(|suite| suite.result == SuiteResult::Flaky && suite.is_pass())
        .map(|suite| flaky_suite(Level::Warning, suite))
        .collect();
    while warnings.len() < MOST
        && let Some((suite, case)) = flaky.next()
    {
        let title = format!("{}: {} is flaky", suite.name, case_name(&case));
        let message = "it failed, and passed when it was tried again";
        warnings.push(Annotation {
            place: case.location().and_then(|location| places.of(&location)),
            is_test: true,
            ..Annotation::new(Level::Warning, &title, message)
        });
    }
    let left = flaky.count();
    limited(&mut warnings, left, "more flaky tests are in `junit.xml`");
    errors.append(&mut warnings);
    errors
}

/// Something that is wrong before a run has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong, over as many lines as it takes.
    pub message: String,
    /// Where: a file and a line of it, from 1.
    pub place: Option<(String, usize)>,
}

/// What is wrong before a run has begun.
pub(super) fn of_complaints(complaints: &[Complaint], places: &Places) -> Vec<Annotation> {
    let errors = complaints.iter().take(MOST).map(|complaint| {
        let location = complaint.place.as_ref().map(|(file, line)| Location {
            file: file.clone(),
            line: u32::try_from(*line).ok(),
        });
        Annotation {
            place: location.and_then(|location| places.of(&location)),
            ..Annotation::new(Level::Error, "envrun: configuration", &complaint.message)
        }
    });
    let mut errors: Vec<Annotation> = errors.collect();
    let left = complaints.len().saturating_sub(MOST);
    limited(&mut errors, left, "more problems are in the log");
    errors
}

/// A suite that has passed, but not at once.
fn flaky_suite(level: Level, suite: &SuiteOutcome) -> Annotation {
    let title = format!("{} is flaky", suite.name);
    let mut message = format!("it passed at attempt {}", suite.attempts);
    for (number, lost) in suite.lost.iter().enumerate() {
        message.push_str(&format!("\nattempt {}: {}", number + 1, lost.reason()));
    }
    Annotation::new(level, &title, &message)
}

/// Keeps to the limit: where more are left, the last one says how many.
fn limited(annotations: &mut Vec<Annotation>, left: usize, what: &str) {
    let beyond = annotations.len().saturating_sub(MOST) + left;
    if beyond == 0 {
        return;
    }
    annotations.truncate(MOST - 1);
    let level = annotations
        .first()
        .map_or(Level::Error, |first| first.level);
    let title = format!("and {} more", beyond + 1);
    annotations.push(Annotation::new(
        level,
        &title,
        &format!("{} {what}", beyond + 1),
    ));
}

/// What teardown has left, once it is known.
pub(in crate::report) fn of_teardown(run: RunId, outcome: &Outcome) -> Vec<Annotation> {
    let left = outcome
        .teardown
        .iter()
        .filter(|report| !report.left.is_empty());
    left.map(|report| {
        let lines = report.leftover_lines().join("\n");
        let message = format!("{lines}\nhint: {}", leftover_hint(run));
        Annotation::new(Level::Warning, "teardown: something is left", &message)
    })
    .collect()
}

/// The failing cases of a suite.
pub(in crate::report) fn failing(
    suite: &SuiteOutcome,
) -> impl Iterator<Item = (&SuiteOutcome, Case<'_>)> {
    let cases = suite.reports.iter().flat_map(|(_, report)| report.cases());
    let is_failing = |case: &Case<'_>| {
        matches!(
            case.outcome(),
            junit::Outcome::Failed | junit::Outcome::Errored
        )
    };
    cases.filter(is_failing).map(move |case| (suite, case))
}

/// The name of a case with its class, where that says more.
pub(in crate::report) fn case_name(case: &Case<'_>) -> String {
    let (class, name) = (case.class_name().trim(), case.name().trim());
    let named = match (class.is_empty(), name.is_empty()) {
        (true, true) => "a test without a name".to_owned(),
        (true, false) => name.to_owned(),
        (false, true) => class.to_owned(),
        (false, false) => format!("{class} {name}"),
    };
    sanitise(&named).replace(['\n', '\r'], " ")
}

/// The same as one name, its parts joined as TeamCity takes them apart.
fn qualified_name(case: &Case<'_>) -> String {
    let (class, name) = (case.class_name().trim(), case.name().trim());
    match class.is_empty() || name.is_empty() {
        true => case_name(case),
        false => sanitise(&format!("{class}.{name}")).replace(['\n', '\r'], " "),
    }
}

/// The message of a failing case and its details.
pub(in crate::report) fn fault(case: &Case<'_>) -> (String, String) {
    let message = case.message().unwrap_or_default();
    let mut elements = case.element().elements();
    let fault = elements.find(|child| child.name == "failure" || child.name == "error");
    let details = fault.map(junit::Element::text).unwrap_or_default();
    let details = sanitise(details.trim()).into_owned();
    (sanitise(message.trim()).into_owned(), details)
}

/// All tests of a run, for systems that count them by themselves. A suite without a report is one test.
pub(in crate::report) fn tests(outcome: &Outcome) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for suite in &outcome.suites {
        pieces.push(Piece::Tests(Some(suite.name.to_string())));
        let cases = suite.reports.iter().flat_map(|(_, report)| report.cases());
        let before = pieces.len();
        pieces.extend(cases.map(|case| {
            let result = match case.outcome() {
                junit::Outcome::Passed => TestResult::Passed,
                junit::Outcome::Skipped => TestResult::Skipped,
                junit::Outcome::Failed | junit::Outcome::Errored => {
                    let (message, details) = fault(&case);
                    TestResult::Failed(message, details)
                }
            };
            let seconds = case.seconds().unwrap_or_default();
            Piece::Test(Test {
                name: qualified_name(&case),
                duration: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
                result,
            })
        }));
        if pieces.len() == before {
            let result = match suite.result {
                SuiteResult::NotRun => TestResult::Skipped,
                SuiteResult::Failed => {
                    let problems = suite.problems.iter();
                    let problems: Vec<&str> = problems.map(|one| one.message.as_str()).collect();
                    TestResult::Failed(problems.join("\n"), suite.output_tail.join("\n"))
                }
                SuiteResult::Passed | SuiteResult::Flaky => TestResult::Passed,
            };
            pieces.push(Piece::Test(Test {
                name: suite.name.to_string(),
                duration: suite.duration,
                result,
            }));
        }
        pieces.push(Piece::Tests(None));
    }
    pieces
}
