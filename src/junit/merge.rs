//! One report from many: owns which testsuites the merged document has and what they are called.
//!
//! It must never lose a test case of a foreign report, let two testsuites have the same name, or
//! show a suite that had a problem as one that passed.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use time::format_description::well_known::Rfc3339;

use super::normalise::{self, Heading};
use super::own::{self, Fault, OwnCase};
use super::tree::{Counts, Element, Node, Report, Suite};
use super::{ENVIRONMENT_SUITE, SuiteRecord, Summary, seconds, text, write};

/// Most attributes that a nested suite takes over from those around it. What is inherited is
/// written once for each nested suite, so it must be little.
const MOST_INHERITED: usize = 16;

/// Longest name or attribute that a nested suite takes over, in bytes.
const LONGEST_INHERITED: usize = 512;

/// The whole run as one well-formed UTF-8 document: `testsuites`, in it one level of `testsuite`,
/// in those the cases.
#[must_use]
pub fn document(summary: &Summary) -> Vec<u8> {
    let mut merged = Merged {
        names: Names::default(),
        children: Vec::new(),
        started: summary.started,
    };
    merged.environment(summary);
    for suite in &summary.suites {
        merged.suite(suite);
    }
    let counts: Counts = merged
        .children
        .iter()
        .filter_map(Node::as_element)
        .map(|suite| Suite::of(suite).counts())
        .sum();
    let mut root = Element::new("testsuites");
    root.set_attribute("name", summary.project.as_str());
    root.set_attribute("tests", counts.tests.to_string());
    root.set_attribute("failures", counts.failures.to_string());
    root.set_attribute("errors", counts.errors.to_string());
    root.set_attribute("skipped", counts.skipped.to_string());
    root.set_attribute("time", seconds::format(seconds::of(summary.duration)));
    root.set_attribute("timestamp", timestamp(summary.started));
    root.set_attribute("uuid", summary.run.as_str());
    root.children = merged.children;
    write::document(&root)
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
    fn environment(&mut self, summary: &Summary) {
        // The name is taken even where there is nothing to say, so that no suite can pose as the
        // environment.
        let name = self.names.unique(ENVIRONMENT_SUITE);
        if summary.environment.is_empty() {
            return;
        }
        let cases: Vec<_> = summary
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
        self.push(own::testsuite(&name, summary.started, &cases), &name, None);
    }

    fn suite(&mut self, record: &SuiteRecord) {
        let mut pieces = Vec::new();
        for (path, report) in &record.reports {
            dissolve_report(report, path, &mut pieces);
        }
        let foreign = pieces
            .iter()
            .filter(|piece| piece.inner_name.is_some())
            .count();
        let timestamp = record.started.map(timestamp);
        for piece in pieces {
            let Some(inner_name) = piece.inner_name else {
                self.children.push(piece.node);
                continue;
            };
            let Node::Element(mut element) = piece.node else {
                continue;
            };
            let wanted = match foreign {
                1 => record.name.clone(),
                _ => format!("{}/{inner_name}", record.name),
            };
            let name = self.names.unique(&wanted);
            if foreign == 1 {
                let cases = own_cases(record, &case_names(&element, &record.name));
                element
                    .children
                    .extend(own::testcases(self.began(record), &cases.borrowed()));
            }
            self.push(element, &name, timestamp.as_deref());
        }
        if foreign != 1 {
            self.own_suite(record, foreign);
        }
    }

    /// The testsuite of envrun's own for a suite: its problems where they have no foreign testsuite
    /// to stand in, and a passing case where the exit code is all there is.
    fn own_suite(&mut self, record: &SuiteRecord, foreign: usize) {
        if foreign > 0 && record.problems.is_empty() {
            return;
        }
        let cases = own_cases(record, &HashSet::new());
        let name = self.names.unique(&record.name);
        let element = own::testsuite(&name, self.began(record), &cases.borrowed());
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
    names: Vec<String>,
}

/// One case for each problem. With no problem and no report there is one case that passes: the
/// suite passed by its exit code, and must be visible. A report without a testsuite earns no such
/// pass.
fn own_cases<'a>(record: &'a SuiteRecord, taken: &HashSet<String>) -> OwnCases<'a> {
    let count = match record.problems.len() {
        0 if record.reports.is_empty() => 1,
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
    fn borrowed(&self) -> Vec<OwnCase<'_>> {
        let cases = self.names.iter().enumerate().map(|(index, name)| OwnCase {
            name,
            class_name: &self.record.name,
            // The first case stands for the whole suite where there are no others.
            duration: match (index, self.record.reports.is_empty()) {
                (0, true) => self.record.duration,
                _ => std::time::Duration::ZERO,
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

/// A part of a foreign report on its way to the top level of the merged one.
struct Piece {
    /// The name of a testsuite; nothing for a comment or a processing instruction.
    inner_name: Option<String>,
    node: Node,
}

/// What a testsuite takes over from the elements around it, which are not written.
#[derive(Clone, Default)]
struct Surroundings {
    name: String,
    attributes: Vec<(String, String)>,
}

fn dissolve_report(report: &Report, path: &str, pieces: &mut Vec<Piece>) {
    for node in report.outside() {
        pieces.push(Piece {
            inner_name: None,
            node: node.clone(),
        });
    }
    let surroundings = Surroundings {
        name: path.to_owned(),
        attributes: Vec::new(),
    };
    dissolve(report.root(), &surroundings, pieces);
}

/// Lays nested suites side by side, outer before inner. An element that does nothing but group
/// others is not written; its comments are.
fn dissolve(element: &Element, around: &Surroundings, pieces: &mut Vec<Piece>) {
    let (nested, own): (Vec<&Node>, Vec<&Node>) = element
        .children
        .iter()
        .partition(|child| child.as_element().is_some_and(Element::is_suite));
    let remarks_only = own
        .iter()
        .all(|child| matches!(child, Node::Comment(_) | Node::Instruction(_)));
    let is_leaf = element.name == "testsuite" && nested.is_empty();
    let name = match element.attribute("name").map(str::trim) {
        Some(name) if !name.is_empty() => name,
        _ => around.name.as_str(),
    };
    if remarks_only && !is_leaf {
        let remarks = own.into_iter().cloned();
        pieces.extend(remarks.map(|node| Piece {
            inner_name: None,
            node,
        }));
    } else {
        let mut suite = Element::new("testsuite");
        suite.attributes.clone_from(&element.attributes);
        if !nested.is_empty() {
            // What is declared covers the nested suites too, which are counted by themselves.
            suite
                .attributes
                .retain(|(key, _)| !matches!(key.as_str(), "time" | "assertions"));
        }
        for (key, value) in &around.attributes {
            if suite.attribute(key).is_none() {
                suite.set_attribute(key, value.as_str());
            }
        }
        suite.children = own.into_iter().cloned().collect();
        pieces.push(Piece {
            inner_name: Some(name.to_owned()),
            node: Node::Element(suite),
        });
    }
    if nested.is_empty() {
        return;
    }
    let mut inside = around.clone();
    if name.len() <= LONGEST_INHERITED {
        name.clone_into(&mut inside.name);
    }
    for (key, value) in element
        .attributes
        .iter()
        .filter(|attribute| is_inherited(attribute))
    {
        inside.attributes.retain(|(known, _)| known != key);
        if inside.attributes.len() < MOST_INHERITED {
            inside.attributes.push((key.clone(), value.clone()));
        }
    }
    for node in nested {
        if let Node::Element(suite) = node {
            dissolve(suite, &inside, pieces);
        }
    }
}

/// What holds for a nested suite as well as for the one around it: where and when it ran, and which
/// prefixes its names use.
fn is_inherited((key, value): &(String, String)) -> bool {
    let is_shared = matches!(key.as_str(), "hostname" | "timestamp") || key.starts_with("xmlns:");
    is_shared && key.len() + value.len() <= LONGEST_INHERITED
}
