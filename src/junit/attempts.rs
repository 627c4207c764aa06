//! The attempts of one suite as one: owns what becomes of the attempts that were lost.
//!
//! The last attempt is the verdict, and its cases stand for the suite. What an earlier attempt says
//! about the same case goes with it: as `flakyFailure` and `flakyError` where the case has not failed
//! in the end, as `rerunFailure` and `rerunError` where it has. It must never lose a case that only an
//! earlier attempt has seen, nor let such a case pass for one that the last attempt has passed.

use std::collections::{HashMap, HashSet};

use super::SuiteRecord;
use super::normalise::faults_to_cases;
use super::pieces::{Inner, Piece, dissolve_report};
use super::text;
use super::tree::{Counts, Element, Node, Outcome, Suite, outcome_of};
use super::{LostAttempt, SuiteProblem};

/// Longest text of a lost attempt that a case carries, in bytes: a case of ten attempts has ten.
const LONGEST_TEXT: usize = 64 * 1024;

/// A suite with its attempts put together.
pub(super) struct Joined {
    /// The testsuites of the last attempt, with what earlier ones say, and those that only earlier
    /// attempts have.
    pub(super) pieces: Vec<Piece>,
    /// What is to be said about attempts that were lost as a whole, oldest first: children of the
    /// suite's own case.
    pub(super) lost: Vec<Element>,
}

/// Puts the attempts of a suite together.
pub(super) fn join(record: &SuiteRecord) -> Joined {
    let mut pieces = Vec::new();
    for (path, report) in &record.reports {
        dissolve_report(report, path, &mut pieces);
    }
    if record.lost.is_empty() {
        return Joined {
            pieces,
            lost: Vec::new(),
        };
    }
    let passed = record.problems.is_empty()
        && record
            .reports
            .iter()
            .all(|(_, report)| report.counts().failing() == 0);
    let mut joining = Joining::new(pieces);
    // The newest first: what only lost attempts have seen is shown as the newest of them saw it.
    for (index, attempt) in record.lost.iter().enumerate().rev() {
        joining.add(attempt, index + 1, record.lost.len() + 1);
    }
    Joined {
        pieces: joining.finish(passed),
        lost: whole_attempts(record),
    }
}

/// How many cases of a suite did what, over all of its attempts, as the merged report shows them:
/// those that only lost attempts have seen included, envrun's own left out.
#[must_use]
pub fn counts(record: &SuiteRecord) -> Counts {
    let Joined { pieces, .. } = join(record);
    let suites = pieces.iter().filter_map(|piece| match piece {
        Piece::Suite(inner) => Some(&inner.element),
        Piece::Remark(_) => None,
    });
    suites.map(|suite| Suite::of(suite).counts()).sum()
}

/// What identifies a case, but for its number among those of the same key.
type Key = (String, String, String);

/// A case of the merged suite.
struct Slot {
    /// Which piece it stands in, and which child of it it is.
    piece: usize,
    child: usize,
    /// The lost attempt that it was taken from, counted from 1; nothing for the last attempt.
    only_in: Option<(usize, usize)>,
    /// What earlier attempts say, newest attempt first.
    earlier: Vec<Vec<Element>>,
}

/// The merged suite while it grows.
struct Joining {
    pieces: Vec<Piece>,
    slots: Vec<Slot>,
    /// The slots by the path of the report and the key, in order.
    exact: HashMap<(String, Key), Vec<usize>>,
    /// The slots by the key alone: names of files may differ from attempt to attempt.
    loose: HashMap<Key, Vec<usize>>,
    /// The suites by path and name, and by name alone with an empty path.
    homes: HashMap<(String, String), usize>,
}

fn remember(homes: &mut HashMap<(String, String), usize>, path: &str, name: &str, piece: usize) {
    for path in [path, ""] {
        homes
            .entry((path.to_owned(), name.to_owned()))
            .or_insert(piece);
    }
}

impl Joining {
    fn new(mut pieces: Vec<Piece>) -> Self {
        let mut found = Vec::new();
        let mut homes = HashMap::new();
        for (index, piece) in pieces.iter_mut().enumerate() {
            let Piece::Suite(inner) = piece else { continue };
            faults_to_cases(&mut inner.element);
            remember(&mut homes, &inner.path, &inner.name, index);
            for (child, case) in cases(&inner.element) {
                found.push((inner.path.clone(), key(&inner.name, case), index, child));
            }
        }
        let mut joining = Self {
            pieces,
            slots: Vec::new(),
            exact: HashMap::new(),
            loose: HashMap::new(),
            homes,
        };
        for (path, key, piece, child) in found {
            joining.slot(
                path,
                key,
                Slot {
                    piece,
                    child,
                    only_in: None,
                    earlier: Vec::new(),
                },
            );
        }
        joining
    }

    fn slot(&mut self, path: String, key: Key, slot: Slot) {
        let index = self.slots.len();
        self.exact
            .entry((path, key.clone()))
            .or_default()
            .push(index);
        self.loose.entry(key).or_default().push(index);
        self.slots.push(slot);
    }

    /// Adds what one lost attempt says, the `number`th of `total`.
    fn add(&mut self, attempt: &LostAttempt, number: usize, total: usize) {
        let mut pieces = Vec::new();
        for (path, report) in &attempt.reports {
            dissolve_report(report, path, &mut pieces);
        }
        let mut suites: Vec<Inner> = pieces
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Suite(inner) => Some(inner),
                Piece::Remark(_) => None,
            })
            .collect();
        for suite in &mut suites {
            faults_to_cases(&mut suite.element);
        }
        let matched = self.matches(&suites);
        for (index, suite) in suites.iter().enumerate() {
            for (child, case) in cases(&suite.element) {
                match matched.get(&(index, child)) {
                    Some(slot) => {
                        let earlier = lost_faults(case);
                        self.slots[*slot].earlier.push(earlier);
                    }
                    None => self.only_here(suite, case, (number, total)),
                }
            }
        }
    }

    /// Which slot each case of an attempt belongs to: first by the report's path too, then without.
    /// Each slot is given away once, so that of three cases of one name the second is the second.
    fn matches(&self, suites: &[Inner]) -> HashMap<(usize, usize), usize> {
        let mut matched = HashMap::new();
        let mut taken = HashSet::new();
        let mut next_exact: HashMap<(String, Key), usize> = HashMap::new();
        let mut remaining = Vec::new();
        for (index, suite) in suites.iter().enumerate() {
            for (child, case) in cases(&suite.element) {
                let key = key(&suite.name, case);
                let exact = (suite.path.clone(), key.clone());
                let position = next_exact.entry(exact.clone()).or_default();
                match self
                    .exact
                    .get(&exact)
                    .and_then(|slots| slots.get(*position))
                {
                    Some(slot) => {
                        *position += 1;
                        taken.insert(*slot);
                        matched.insert((index, child), *slot);
                    }
                    None => remaining.push(((index, child), key)),
                }
            }
        }
        let mut next_loose: HashMap<&Key, usize> = HashMap::new();
        for (case, key) in &remaining {
            let Some(slots) = self.loose.get(key) else {
                continue;
            };
            let position = next_loose.entry(key).or_default();
            while let Some(slot) = slots.get(*position) {
                *position += 1;
                if taken.insert(*slot) {
                    matched.insert(*case, *slot);
                    break;
                }
            }
        }
        matched
    }

    /// Adds a case that neither the last attempt nor a newer one has seen.
    fn only_here(&mut self, suite: &Inner, case: &Element, only_in: (usize, usize)) {
        let home = self.homes.get(&(suite.path.clone(), suite.name.clone()));
        let home = home.or_else(|| self.homes.get(&(String::new(), suite.name.clone())));
        let home = home.copied();
        let piece = home.unwrap_or_else(|| {
            let mut element = Element::new("testsuite");
            element.attributes.clone_from(&suite.element.attributes);
            // What it declares about its cases was about an attempt that does not count.
            element.attributes.retain(|(name, _)| name != "time");
            self.pieces.push(Piece::Suite(Inner {
                path: suite.path.clone(),
                name: suite.name.clone(),
                element,
            }));
            let piece = self.pieces.len() - 1;
            remember(&mut self.homes, &suite.path, &suite.name, piece);
            piece
        });
        let Some(Piece::Suite(inner)) = self.pieces.get_mut(piece) else {
            return;
        };
        inner.element.children.push(Node::Element(case.clone()));
        let child = inner.element.children.len() - 1;
        let slot = Slot {
            piece,
            child,
            only_in: Some(only_in),
            earlier: Vec::new(),
        };
        self.slot(suite.path.clone(), key(&suite.name, case), slot);
    }

    /// The pieces, with everything said. `passed` is whether the last attempt has passed.
    fn finish(mut self, passed: bool) -> Vec<Piece> {
        for slot in self.slots {
            let Some(Piece::Suite(inner)) = self.pieces.get_mut(slot.piece) else {
                continue;
            };
            let Some(Node::Element(case)) = inner.element.children.get_mut(slot.child) else {
                continue;
            };
            let mut earlier: Vec<Element> = slot.earlier.into_iter().rev().flatten().collect();
            if let Some((number, total)) = slot.only_in {
                if passed && is_failing(outcome_of(case)) {
                    earlier.extend(lost_faults(case));
                    not_run_again(case, number, total);
                } else {
                    remark(case, number, total);
                }
            }
            name_by_outcome(case, earlier);
        }
        self.pieces
    }
}

/// The cases of a suite without nested ones, with their places among its children.
fn cases(suite: &Element) -> impl Iterator<Item = (usize, &Element)> {
    let children = suite.children.iter().enumerate();
    children.filter_map(|(index, child)| {
        let element = child.as_element()?;
        (element.name == "testcase").then_some((index, element))
    })
}

fn key(suite: &str, case: &Element) -> Key {
    let attribute = |name| case.attribute(name).unwrap_or_default().trim().to_owned();
    (suite.to_owned(), attribute("classname"), attribute("name"))
}

const fn is_failing(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::Errored)
}

/// What a case of a lost attempt says went wrong: what its own tool had tried again, then its fault.
/// They are named as lost attempts of a case that passed in the end; several faults of one attempt are
/// one.
fn lost_faults(case: &Element) -> Vec<Element> {
    let mut lost: Vec<Element> = case
        .elements()
        .filter_map(|child| {
            let kind = child
                .name
                .strip_prefix("rerun")
                .or(child.name.strip_prefix("flaky"))?;
            let name = match kind {
                "Failure" => "flakyFailure",
                "Error" => "flakyError",
                _ => return None,
            };
            let mut element = child.clone();
            name.clone_into(&mut element.name);
            Some(element)
        })
        .collect();
    let name = match outcome_of(case) {
        Outcome::Failed => "flakyFailure",
        Outcome::Errored => "flakyError",
        Outcome::Passed | Outcome::Skipped => return lost,
    };
    let faults: Vec<&Element> = case.elements().filter(|child| child.is_fault()).collect();
    let said = |name: &str| faults.iter().find_map(|fault| fault.attribute(name));
    let texts: Vec<String> = faults
        .iter()
        .map(|fault| fault.text())
        .filter(|text| !text.trim().is_empty())
        .collect();
    let trace = texts.join("\n\n");
    let first_line = || trace.lines().map(str::trim).find(|line| !line.is_empty());
    let message = said("message")
        .filter(|message| !message.trim().is_empty())
        .or_else(first_line)
        .unwrap_or("the report says no more than that it did not pass");
    let kind = said("type").unwrap_or(match name {
        "flakyFailure" => "failure",
        _ => "error",
    });
    let mut element = lost_fault(name, message, kind, &trace);
    for output in ["system-out", "system-err"] {
        let text: String = case
            .elements()
            .filter(|child| child.name == output)
            .map(Element::text)
            .collect();
        push_text(&mut element, output, &text);
    }
    lost.push(element);
    lost
}

fn lost_fault(name: &str, message: &str, kind: &str, trace: &str) -> Element {
    let mut element = Element::new(name);
    element.set_attribute("message", text::truncate_middle(message, 4096));
    element.set_attribute("type", text::truncate_middle(kind, 4096));
    let mut trace_element = Element::new("stackTrace");
    // Readers take the stack from nowhere else, and many show nothing but the stack.
    let trace = match trace.trim().is_empty() {
        true => message,
        false => trace,
    };
    let trace = text::truncate_middle(trace, LONGEST_TEXT).into_owned();
    trace_element.children.push(Node::Text(trace));
    element.children.push(Node::Element(trace_element));
    element
}

fn push_text(element: &mut Element, name: &str, content: &str) {
    if content.trim().is_empty() {
        return;
    }
    let mut child = Element::new(name);
    let content = text::truncate_middle(content, LONGEST_TEXT).into_owned();
    child.children.push(Node::Text(content));
    element.children.push(Node::Element(child));
}

/// Adds what earlier attempts say to a case, under the names that fit what became of it.
fn name_by_outcome(case: &mut Element, earlier: Vec<Element>) {
    let failing = is_failing(outcome_of(case));
    for mut element in earlier {
        if failing {
            element.name = element.name.replacen("flaky", "rerun", 1);
        }
        case.children.push(Node::Element(element));
    }
}

/// A case that failed in a lost attempt, and that an attempt that passed as a whole has not run: not a
/// failure of the suite, and not a pass.
fn not_run_again(case: &mut Element, number: usize, total: usize) {
    case.children.retain(|child| {
        child
            .as_element()
            .is_none_or(|child| !child.is_fault() && child.name != "skipped")
    });
    // They would say otherwise.
    case.attributes
        .retain(|(name, _)| !matches!(name.as_str(), "status" | "result"));
    let mut skipped = Element::new("skipped");
    let message =
        format!("failed in attempt {number} of {total}, and later attempts did not run it");
    skipped.set_attribute("message", message.as_str());
    case.children.push(Node::Element(skipped));
}

/// Says in the output of a case that it is not from the last attempt.
fn remark(case: &mut Element, number: usize, total: usize) {
    let mut output = Element::new("system-out");
    let remark = format!(
        "envrun: this is from attempt {number} of {total}; later attempts did not run it\n"
    );
    output.children.push(Node::Text(remark));
    case.children.push(Node::Element(output));
}

/// What the suite's own case says about attempts that were lost by more than failing cases: a crash, a
/// limit, a report that is missing.
fn whole_attempts(record: &SuiteRecord) -> Vec<Element> {
    let total = record.lost.len() + 1;
    let prefix = match record.problems.is_empty() {
        true => "flaky",
        false => "rerun",
    };
    let numbered = (1_usize..).zip(&record.lost);
    let entries = numbered.filter_map(|(number, attempt)| {
        let failing = attempt
            .reports
            .iter()
            .any(|(_, report)| report.counts().failing() > 0);
        let said = said(attempt, failing)?;
        let kind = if said.is_failure { "Failure" } else { "Error" };
        let message = format!("attempt {number} of {total}: {}", said.message);
        let trace = format!("{message}\n\n{}", said.details);
        let name = format!("{prefix}{kind}");
        let mut element = lost_fault(&name, &message, &said.kind, trace.trim_end());
        push_text(&mut element, "system-out", &attempt.output_tail);
        Some(element)
    });
    entries.collect()
}

/// The problems of an attempt as one. An attempt whose failing cases say everything has none.
fn said(attempt: &LostAttempt, failing: bool) -> Option<SuiteProblem> {
    let mut problems = attempt.problems.iter();
    let Some(first) = problems.next() else {
        return (!failing).then(|| SuiteProblem {
            kind: "Attempt".to_owned(),
            message: "it did not pass".to_owned(),
            details: String::new(),
            is_failure: false,
        });
    };
    let mut whole = first.clone();
    for problem in problems {
        whole.is_failure &= problem.is_failure;
        whole.details = format!(
            "{}\n\n{}\n{}",
            whole.details, problem.message, problem.details
        );
    }
    Some(whole)
}
