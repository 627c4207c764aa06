//! Test cases that were told in other words than JUnit's: owns how they are spelled as elements.
//!
//! It must never add to what was told.

use super::seconds;
use super::text;
use super::tree::{Element, Node};

/// Longest name, class name or message, in bytes.
const LONGEST_LINE: usize = 4 * 1024;

/// A test case.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) class_name: String,
    pub(super) name: String,
    /// How long it took, if that was told.
    pub(super) seconds: Option<f64>,
    pub(super) verdict: Verdict,
    /// What it has printed, where that is not part of the verdict.
    pub(super) output: String,
}

/// What became of a test case.
#[derive(Debug, Default)]
pub(super) enum Verdict {
    #[default]
    Passed,
    Skipped(String),
    Failed(Fault),
    Errored(Fault),
}

/// What went wrong.
#[derive(Debug, Default)]
pub(super) struct Fault {
    pub(super) kind: &'static str,
    pub(super) message: String,
    pub(super) details: String,
}

impl Composed {
    /// The case as a `testcase`.
    pub(super) fn element(self) -> Element {
        let mut case = Element::new("testcase");
        case.set_attribute("classname", line(&self.class_name));
        case.set_attribute("name", line(&self.name));
        if let Some(seconds) = self.seconds {
            case.set_attribute("time", seconds::format(seconds));
        }
        match self.verdict {
            Verdict::Passed => {}
            Verdict::Skipped(reason) => {
                let mut skipped = Element::new("skipped");
                if !reason.trim().is_empty() {
                    skipped.set_attribute("message", line(reason.trim()));
                }
                case.children.push(Node::Element(skipped));
            }
            Verdict::Failed(fault) => case.children.push(Node::Element(fault.element("failure"))),
            Verdict::Errored(fault) => case.children.push(Node::Element(fault.element("error"))),
        }
        if !self.output.trim().is_empty() {
            case.children.push(Node::Element(output(&self.output)));
        }
        case
    }
}

impl Fault {
    fn element(self, name: &str) -> Element {
        let mut fault = Element::new(name);
        fault.set_attribute("message", line(&self.message));
        fault.set_attribute("type", self.kind);
        let details = clean(&self.details);
        if !details.trim().is_empty() {
            fault.children.push(Node::Text(details));
        }
        fault
    }
}

/// A `system-out` with this text.
pub(super) fn output(content: &str) -> Element {
    let mut output = Element::new("system-out");
    output.children.push(Node::Text(clean(content)));
    output
}

fn line(content: &str) -> String {
    text::truncate_middle(&clean(content), LONGEST_LINE).into_owned()
}

fn clean(content: &str) -> String {
    text::sanitise(&text::normalise_lines(content)).into_owned()
}
