//! One report from many: owns which testsuites the merged document has and what they are called.
//!
//! It must never lose a test case of a foreign report, let two testsuites have the same name, or
//! show a suite that had a problem as one that passed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use time::format_description::well_known::Rfc3339;

use super::attempts::{self, Joined};
use super::form::{Form, Profile};
use super::normalise::{self, Heading};
use super::own::{self, Fault, OwnCase};
use super::pieces::Piece;
use super::tree::{Counts, Element, Node, Suite};
use super::{ENVIRONMENT_SUITE, SuiteRecord, Summary, seconds, size, strict, text, write};

/// The whole run as one well-formed UTF-8 document: `testsuites`, in it one level of `testsuite`,
/// in those the cases.
#[must_use]
pub fn document(summary: &Summary, form: &Form) -> Vec<u8> {
    let mut merged = Merged {
        names: Names::default(),
        children: Vec::new(),
        started: summary.started,
    };
    merged.environment(summary, None);
    for suite in &summary.suites {
        merged.suite(suite);
    }
    let mut root = Element::new("testsuites");
    root.children = merged.children;
    count(&mut root, summary);
    if let Some(left_out) = size::fit(&mut root, form.largest) {
        let mut anew = Merged {
            names: Names::default(),
            children: Vec::new(),
            started: summary.started,
        };
        anew.environment(summary, Some(&left_out));
        // The environment comes first where there is one.
        let has_environment = !summary.environment.is_empty();
        let rest = root.children.split_off(usize::from(has_environment));
        root.children = anew.children;
        root.children.extend(rest);
        recount(&mut root);
        count(&mut root, summary);
    }
    if form.profile == Profile::Strict {
        strict::document(&mut root);
    }
    write::document(&root)
}

/// Heads the document with what it comes to.
fn count(root: &mut Element, summary: &Summary) {
    let counts: Counts = root.elements().map(|suite| Suite::of(suite).counts()).sum();
    root.set_attribute("name", summary.project.as_str());
    root.set_attribute("tests", counts.tests.to_string());
    root.set_attribute("failures", counts.failures.to_string());
    root.set_attribute("errors", counts.errors.to_string());
    root.set_attribute("skipped", counts.skipped.to_string());
    root.set_attribute("time", seconds::format(seconds::of(summary.duration)));
    root.set_attribute("timestamp", timestamp(summary.started));
    root.set_attribute("uuid", summary.run.as_str());
}

/// Has every suite declare what is left of it.
fn recount(root: &mut Element) {
    for child in &mut root.children {
        if let Node::Element(suite) = child {
            normalise::counts(suite);
        }
    }
}

/// The moment in ISO 8601, in UTC, with whole seconds.
fn timestamp(time: SystemTime) -> String {
    // Formatting cannot fail for a moment within the years that RFC 3339 has.
    own::moment(time).format(&Rfc3339).unwrap_or_default()
}

/// The merged document while it grows.
struct Merged {
    names: Names,
    children: Vec<Node>,
    started: SystemTime,
}

impl Merged {
    /// What the environment did, and what was left out of the report.
    fn environment(&mut self, summary: &Summary, left_out: Option<&str>) {
        // The name is taken even where there is nothing to say, so that no suite can pose as the
        // environment.
        let name = self.names.unique(ENVIRONMENT_SUITE);
        if summary.environment.is_empty() && left_out.is_none() {
            return;
        }
        let mut cases: Vec<_> = summary
            .environment
            .iter()
            .map(|step| OwnCase {
                name: &step.name,
                class_name: ENVIRONMENT_SUITE,
                duration: step.duration,
                fault: Fault::of_step(step),
                output: &step.output,
            })
            .collect();
        cases.extend(left_out.map(|output| OwnCase {
            name: "junit.xml",
            class_name: ENVIRONMENT_SUITE,
            duration: Duration::ZERO,
            fault: None,
            output,
        }));
        self.push(own::testsuite(&name, summary.started, &cases), &name, None);
    }

    fn suite(&mut self, record: &SuiteRecord) {
        let Joined { pieces, lost } = attempts::join(record);
        let foreign = pieces
            .iter()
            .filter(|piece| matches!(piece, Piece::Suite(_)))
            .count();
        let timestamp = record.started.map(timestamp);
        let mut properties = record.properties.as_slice();
        for piece in pieces {
            let mut inner = match piece {
                Piece::Remark(node) => {
                    self.children.push(node);
                    continue;
                }
                Piece::Suite(inner) => inner,
            };
            let wanted = match foreign {
                1 => record.name.clone(),
                _ => format!("{}/{}", record.name, inner.name),
            };
            let name = self.names.unique(&wanted);
            if foreign == 1 {
                let cases = own_cases(record, &lost, &case_names(&inner.element, &record.name));
                let began = self.began(record);
                inner
                    .element
                    .children
                    .extend(cases.testcases(began).into_iter().map(Node::Element));
            }
            // The first testsuite stands for the whole suite.
            add_properties(&mut inner.element, std::mem::take(&mut properties));
            self.push(inner.element, &name, timestamp.as_deref());
        }
        if foreign != 1 {
            self.own_suite(record, &lost, foreign);
        }
    }

    /// The testsuite of envrun's own for a suite: its problems where they have no foreign testsuite
    /// to stand in, and a passing case where the exit code is all there is.
    fn own_suite(&mut self, record: &SuiteRecord, lost: &[Element], foreign: usize) {
        let says_all = foreign > 0 && !record.reports.is_empty();
        if says_all && record.problems.is_empty() && lost.is_empty() {
            return;
        }
        let cases = own_cases(record, lost, &HashSet::new());
        let name = self.names.unique(&record.name);
        let mut element = own::testsuite(&name, self.began(record), &cases.borrowed());
        if foreign == 0 {
            add_properties(&mut element, &record.properties);
        }
        let mut children = element.children.iter_mut();
        let first = children.find_map(|child| match child {
            Node::Element(case) if case.name == "testcase" => Some(case),
            _ => None,
        });
        if let Some(case) = first {
            cases.add_lost(case);
        }
        self.push(element, &name, None);
    }

    fn began(&self, record: &SuiteRecord) -> SystemTime {
        record.started.unwrap_or(self.started)
    }

    fn push(&mut self, mut element: Element, name: &str, timestamp: Option<&str>) {
        normalise::suite(&mut element, &Heading { name, timestamp });
        self.children.push(Node::Element(element));
    }
}

/// The cases of envrun's own for one suite, with the names that they were given.
struct OwnCases<'a> {
    record: &'a SuiteRecord,
    /// What the first of them says about attempts that were lost as a whole.
    lost: &'a [Element],
    names: Vec<String>,
}

/// One case for each problem. There is one case that passes where the suite passed by its exit code,
/// and must be visible, or where an attempt was lost as a whole. A report without a testsuite earns no
/// such pass.
fn own_cases<'a>(
    record: &'a SuiteRecord,
    lost: &'a [Element],
    taken: &HashSet<String>,
) -> OwnCases<'a> {
    let count = match record.problems.len() {
        0 if record.reports.is_empty() || !lost.is_empty() => 1,
        problems => problems,
    };
    let mut numbers = 1_usize..;
    let names = std::iter::from_fn(|| {
        numbers
            .by_ref()
            .map(numbered_case)
            .find(|name| !taken.contains(name))
    });
    OwnCases {
        record,
        lost,
        names: names.take(count).collect(),
    }
}

fn numbered_case(number: usize) -> String {
    match number {
        1 => "suite".to_owned(),
        _ => format!("suite ({number})"),
    }
}

impl OwnCases<'_> {
    fn testcases(&self, began: SystemTime) -> Vec<Element> {
        let mut cases = own::testcases(began, &self.borrowed());
        if let Some(case) = cases.first_mut() {
            self.add_lost(case);
        }
        cases
    }

    /// Has a case say what there is to be said of attempts that were lost as a whole.
    fn add_lost(&self, case: &mut Element) {
        let lost = self.lost.iter().cloned().map(Node::Element);
        case.children.extend(lost);
    }

    fn borrowed(&self) -> Vec<OwnCase<'_>> {
        let cases = self.names.iter().enumerate().map(|(index, name)| OwnCase {
            name,
            class_name: &self.record.name,
            // The first case stands for the whole suite where there are no others.
            duration: match (index, self.record.reports.is_empty()) {
                (0, true) => self.record.duration,
                _ => Duration::ZERO,
            },
            fault: self.record.problems.get(index).map(Fault::of_suite),
            output: if index == 0 {
                &self.record.output_tail
            } else {
                ""
            },
        });
        cases.collect()
    }
}

/// Adds properties of ours to those that a testsuite has.
fn add_properties(suite: &mut Element, properties: &[(String, String)]) {
    if properties.is_empty() {
        return;
    }
    let added = properties.iter().map(|(name, value)| {
        let mut property = Element::new("property");
        property.set_attribute("name", text::sanitise(name));
        property.set_attribute("value", text::sanitise(value));
        Node::Element(property)
    });
    let known = suite.children.iter_mut().find_map(|child| match child {
        Node::Element(child) if child.name == "properties" => Some(child),
        _ => None,
    });
    match known {
        Some(known) => known.children.extend(added),
        None => {
            let mut all = Element::new("properties");
            all.children.extend(added);
            suite.children.insert(0, Node::Element(all));
        }
    }
}

/// The names of the cases of this class: GitLab drops the second of two cases with the same suite,
/// class and name.
fn case_names(suite: &Element, class_name: &str) -> HashSet<String> {
    Suite::of(suite)
        .cases()
        .filter(|case| case.class_name() == class_name)
        .map(|case| case.name().to_owned())
        .collect()
}

/// The names of testsuites that are taken.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    next: HashMap<String, usize>,
}

impl Names {
    /// The wanted name, or the same with the first number in parentheses that makes it unique.
    fn unique(&mut self, wanted: &str) -> String {
        let wanted = text::sanitise(wanted).into_owned();
        if self.taken.insert(wanted.clone()) {
            return wanted;
        }
        let next = self.next.entry(wanted.clone()).or_insert(2);
        loop {
            let name = format!("{wanted} ({next})");
            *next += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}
