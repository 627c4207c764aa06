//! A report of envrun's own: cases that envrun itself has tried, as a report like that of any suite.

use std::time::Duration;

use super::seconds;
use super::text;
use super::tree::{Element, Node, Report};

/// Longest message, in bytes.
const LONGEST_MESSAGE: usize = 4 * 1024;

/// Longest details, in bytes.
const LONGEST_DETAILS: usize = 64 * 1024;

/// A case that envrun has tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedCase {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub duration: Duration,
    /// One line about what came out.
    pub message: String,
    /// Whatever helps.
    pub details: String,
    /// What came out.
    pub verdict: ReportedVerdict,
}

/// What came out of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedVerdict {
    /// It passed.
    Passed,
    /// It failed; with the kind of the failure.
    Failed(&'static str),
    /// It could not be tried; with the kind of the error.
    Error(&'static str),
    /// It was not judged.
    Skipped,
}

/// A report with these cases.
#[must_use]
pub fn own_report(suite: &str, cases: impl Iterator<Item = ReportedCase>) -> Report {
    let mut root = Element::new("testsuite");
    root.set_attribute("name", clean(suite, LONGEST_MESSAGE));
    root.children = cases
        .map(|case| Node::Element(element(suite, &case)))
        .collect();
    Report::new(root, Vec::new(), Vec::new())
}

fn element(suite: &str, case: &ReportedCase) -> Element {
    let mut element = Element::new("testcase");
    element.set_attribute("classname", clean(suite, LONGEST_MESSAGE));
    element.set_attribute("name", clean(&case.name, LONGEST_MESSAGE));
    element.set_attribute("time", seconds::format(seconds::of(case.duration)));
    let message = clean(&case.message, LONGEST_MESSAGE);
    let details = clean(&case.details, LONGEST_DETAILS);
    let mut fault = |name: &str, kind: Option<&str>| {
        let mut fault = Element::new(name);
        fault.set_attribute("message", message.as_str());
        if let Some(kind) = kind {
            fault.set_attribute("type", kind);
            // Some readers drop the attributes of an element with text, so it says everything.
            let text = format!("{message}\n{details}");
            fault.children.push(Node::Text(text));
        }
        element.children.push(Node::Element(fault));
    };
    match case.verdict {
        ReportedVerdict::Passed => {
            let mut output = Element::new("system-out");
            output
                .children
                .push(Node::Text(format!("{message}\n{details}")));
            element.children.push(Node::Element(output));
        }
        ReportedVerdict::Failed(kind) => fault("failure", Some(kind)),
        ReportedVerdict::Error(kind) => fault("error", Some(kind)),
        ReportedVerdict::Skipped => fault("skipped", None),
    }
    element
}

fn clean(content: &str, longest: usize) -> String {
    text::truncate_middle(&text::sanitise(content), longest).into_owned()
}
