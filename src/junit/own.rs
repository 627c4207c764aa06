//! envrun's own testsuites: owns how a step of the environment or a problem of a suite becomes a
//! test case.
//!
//! They are built with `junit-report`, which writes any text as it is; so every text is sanitised
//! and bounded before it goes in, and what comes out is read back and merged like a foreign report.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use junit_report::{ReportBuilder, TestCase, TestCaseBuilder, TestSuiteBuilder};
use time::OffsetDateTime;

use super::read::parse;
use super::text;
use super::tree::{Element, Node};
use super::{EnvironmentCase, SuiteProblem};

/// Longest message, in bytes: it stands in an attribute and in one line of a list.
const LONGEST_MESSAGE: usize = 4 * 1024;

/// Longest details of a problem, in bytes.
const LONGEST_DETAILS: usize = 256 * 1024;

/// Longest output of a suite, in bytes.
const LONGEST_OUTPUT: usize = 1024 * 1024;

/// Longest name, in bytes.
const LONGEST_NAME: usize = 1024;

/// Longest duration of one case: ten years, so that the sum over any number of cases that fits in
/// memory stays in range.
const LONGEST_DURATION: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The last second that RFC 3339 can spell: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// A test case of envrun's own.
pub(super) struct OwnCase<'a> {
    pub(super) name: &'a str,
    pub(super) class_name: &'a str,
    pub(super) duration: Duration,
    pub(super) fault: Option<Fault<'a>>,
    pub(super) output: &'a str,
}

/// Why a case of envrun's own did not pass.
pub(super) struct Fault<'a> {
    kind: &'a str,
    message: &'a str,
    details: &'a str,
    is_failure: bool,
}

impl<'a> Fault<'a> {
    /// The fault of a step of the environment: an error, whatever it is.
    pub(super) fn of_step(step: &'a EnvironmentCase) -> Option<Self> {
        step.problem.as_ref().map(|problem| Self {
            kind: &problem.kind,
            message: &problem.message,
            details: &problem.details,
            is_failure: false,
        })
    }

    /// The fault that a suite's problem is.
    pub(super) fn of_suite(problem: &'a SuiteProblem) -> Self {
        Self {
            kind: &problem.kind,
            message: &problem.message,
            details: &problem.details,
            is_failure: problem.is_failure,
        }
    }
}

/// The moment with whole seconds, within what RFC 3339 can spell.
pub(super) fn moment(time: SystemTime) -> OffsetDateTime {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs().min(LAST_SECOND));
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A `testsuite` with these cases.
pub(super) fn testsuite(name: &str, started: SystemTime, cases: &[OwnCase<'_>]) -> Element {
    let mut suite = TestSuiteBuilder::new(&bounded(name, LONGEST_NAME));
    suite.set_timestamp(moment(started));
    suite.add_testcases(cases.iter().map(testcase));
    let report = ReportBuilder::new().add_testsuite(suite.build()).build();
    let mut bytes = Vec::new();
    let written = report
        .write_xml(&mut bytes)
        .map_err(|error| error.to_string());
    let read = written.and_then(|()| {
        parse(&String::from_utf8_lossy(&bytes), Vec::new()).map_err(|error| error.to_string())
    });
    match read {
        Ok(report) => report
            .root()
            .elements()
            .find(|child| child.name == "testsuite")
            .map_or_else(
                || unreadable(name, "no testsuite came out"),
                without_placeholders,
            ),
        Err(reason) => unreadable(name, &reason),
    }
}

/// The `testcase` elements of these cases, to be added to a testsuite.
pub(super) fn testcases(started: SystemTime, cases: &[OwnCase<'_>]) -> Vec<Element> {
    let suite = testsuite("", started, cases);
    let children = suite.children.into_iter();
    let elements = children.filter_map(|child| match child {
        Node::Element(element) => Some(element),
        _ => None,
    });
    elements.collect()
}

/// `junit-report` always writes an id that restarts at zero, a made-up package and `localhost`;
/// none of them says anything.
fn without_placeholders(suite: &Element) -> Element {
    let mut suite = suite.clone();
    suite
        .attributes
        .retain(|(name, _)| !matches!(name.as_str(), "id" | "package" | "hostname"));
    suite
}

/// What stands in for a testsuite of ours that could not be read back: the sanitiser leaves no text
/// for which that happens, but if it did, the run must not look as if nothing had gone wrong.
fn unreadable(name: &str, reason: &str) -> Element {
    let mut fault = Element::new("error");
    fault.set_attribute("type", "ReportUnreadable");
    fault.set_attribute(
        "message",
        format!("envrun could not write its own testsuite: {reason}"),
    );
    let mut case = Element::new("testcase");
    case.set_attribute("name", "report");
    case.set_attribute("classname", name);
    case.children.push(Node::Element(fault));
    let mut suite = Element::new("testsuite");
    suite.set_attribute("name", name);
    suite.children.push(Node::Element(case));
    suite
}

fn testcase(case: &OwnCase<'_>) -> TestCase {
    let name = bounded(case.name, LONGEST_NAME);
    let duration = time::Duration::try_from(case.duration.min(LONGEST_DURATION))
        .unwrap_or(time::Duration::ZERO);
    let mut builder = match &case.fault {
        None => TestCaseBuilder::success(&name, duration),
        Some(fault) => {
            let kind = bounded(fault.kind, LONGEST_NAME);
            let message = bounded(fault.message, LONGEST_MESSAGE);
            let mut builder = if fault.is_failure {
                TestCaseBuilder::failure(&name, duration, &kind, &message)
            } else {
                TestCaseBuilder::error(&name, duration, &kind, &message)
            };
            builder.set_trace(&text::split_cdata(&body(&message, fault.details)));
            builder
        }
    };
    builder.set_classname(&bounded(case.class_name, LONGEST_NAME));
    let output = bounded(case.output, LONGEST_OUTPUT);
    if !output.trim().is_empty() {
        builder.set_system_out(&text::split_cdata(&output));
    }
    builder.build()
}

/// The message and then the details: readers that show only the body show the message too.
fn body(message: &str, details: &str) -> String {
    let details = bounded(details, LONGEST_DETAILS);
    if details.trim().is_empty() {
        message.to_owned()
    } else if details.starts_with(message) {
        details.into_owned()
    } else {
        format!("{message}\n\n{details}")
    }
}

fn bounded(content: &str, limit: usize) -> Cow<'_, str> {
    match text::sanitise(content) {
        Cow::Borrowed(clean) => text::truncate_middle(clean, limit),
        Cow::Owned(clean) => Cow::Owned(text::truncate_middle(&clean, limit).into_owned()),
    }
}
