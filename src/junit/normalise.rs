//! A testsuite as every reader takes it: owns the order of its parts and the repairs that readers
//! need.
//!
//! It must never change what a suite says: parts are moved, joined or spelled out, not dropped,
//! apart from declared counts, which are computed anew.

use std::collections::HashSet;

use super::seconds;
use super::text;
use super::tree::{Element, Node, Outcome, Suite, outcome_of};

/// Longest class name that a fault outside any case is given, in bytes.
const LONGEST_CLASS_NAME: usize = 256;

/// Most attributes that the joined output of a case collects from its parts.
const MOST_OUTPUT_ATTRIBUTES: usize = 64;

/// What a testsuite gets in the merged document.
pub(super) struct Heading<'a> {
    /// Its name, unique in the document.
    pub(super) name: &'a str,
    /// When it began, for a suite that does not say so itself.
    pub(super) timestamp: Option<&'a str>,
}

/// Brings a `testsuite` without nested suites into the form in which it is written.
pub(super) fn suite(suite: &mut Element, heading: &Heading<'_>) {
    "testsuite".clone_into(&mut suite.name);
    faults_to_cases(suite);
    for child in &mut suite.children {
        if let Node::Element(element) = child
            && element.name == "testcase"
        {
            case(element);
        }
    }
    join_output(suite);
    suite.children.sort_by_key(suite_rank);
    attributes(suite, heading);
}

/// Declares what the cases come to.
pub(super) fn counts(suite: &mut Element) {
    let counts = Suite::of(suite).counts();
    suite.set_attribute("tests", counts.tests.to_string());
    suite.set_attribute("failures", counts.failures.to_string());
    suite.set_attribute("errors", counts.errors.to_string());
    suite.set_attribute("skipped", counts.skipped.to_string());
}

/// Heads the attributes with those that are ours to say, computed from the cases.
fn attributes(suite: &mut Element, heading: &Heading<'_>) {
    let cases = Suite::of(suite);
    let declared = suite.attribute("time").and_then(seconds::parse);
    let time = declared.unwrap_or_else(|| cases.cases().filter_map(|case| case.seconds()).sum());
    let old = std::mem::take(&mut suite.attributes);
    suite.set_attribute("name", heading.name);
    self::counts(suite);
    suite.set_attribute("time", seconds::format(time));
    let ours: HashSet<String> = suite
        .attributes
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    suite
        .attributes
        .extend(old.into_iter().filter(|(name, _)| !ours.contains(name)));
    if let (None, Some(timestamp)) = (suite.attribute("timestamp"), heading.timestamp) {
        suite.set_attribute("timestamp", timestamp);
    }
}

/// A fault outside any case becomes a case, since readers look nowhere else.
pub(super) fn faults_to_cases(suite: &mut Element) {
    // Many faults in a suite with a long name must not multiply that name.
    let class_name = suite.attribute("name").unwrap_or_default();
    let class_name = text::truncate_middle(class_name, LONGEST_CLASS_NAME).into_owned();
    let mut number = 0_usize;
    for child in &mut suite.children {
        let Node::Element(element) = child else {
            continue;
        };
        if !element.is_fault() {
            continue;
        }
        number += 1;
        let name = match number {
            1 => "outside any test case".to_owned(),
            _ => format!("outside any test case ({number})"),
        };
        let mut case = Element::new("testcase");
        case.set_attribute("name", name);
        case.set_attribute("classname", class_name.as_str());
        case.children.push(Node::Element(std::mem::take(element)));
        *element = case;
    }
}

/// Brings a `testcase` into the order that Surefire's schema gives, with one `system-out` and one
/// `system-err`, a message in both places, and a duration that every reader understands.
fn case(case: &mut Element) {
    spell_out_status(case);
    for child in &mut case.children {
        let Node::Element(element) = child else {
            continue;
        };
        if element.is_fault() {
            message_in_both_places(element);
        } else if is_lost_attempt(&element.name) {
            stack_in_its_place(element);
        }
    }
    join_output(case);
    case.children.sort_by_key(case_rank);
    let time = case.attribute("time").map(str::to_owned);
    match time {
        Some(time) if !seconds::is_plain(&time) => match seconds::parse(&time) {
            Some(seconds) => case.set_attribute("time", seconds.to_string()),
            // A time that is no number makes some readers fail, and tells none of them anything.
            None => case.attributes.retain(|(name, _)| name != "time"),
        },
        _ => {}
    }
}

/// Adds the element that readers look for where only an attribute says that the case did not pass.
fn spell_out_status(case: &mut Element) {
    let has = case
        .elements()
        .any(|child| child.is_fault() || child.name == "skipped");
    let name = match outcome_of(case) {
        _ if has => return,
        Outcome::Passed => return,
        Outcome::Failed => "failure",
        Outcome::Errored => "error",
        Outcome::Skipped => "skipped",
    };
    let mut element = Element::new(name);
    if element.is_fault() {
        let status = case
            .attribute("status")
            .or_else(|| case.attribute("result"));
        let message = format!(
            "the report gives the status `{}`",
            status.unwrap_or_default()
        );
        element.set_attribute("type", "status");
        element.set_attribute("message", message);
    }
    case.children.push(Node::Element(element));
}

/// Puts the message into the attribute and into the body. GitLab drops the attributes of an element
/// that has text; lists show only the attribute.
fn message_in_both_places(fault: &mut Element) {
    let body = fault.text();
    let message = fault
        .attribute("message")
        .unwrap_or_default()
        .trim()
        .to_owned();
    if message.is_empty() {
        if let Some(line) = body.lines().map(str::trim).find(|line| !line.is_empty()) {
            fault.set_attribute("message", text::truncate_middle(line, 1024));
        }
        return;
    }
    // Line ends in an attribute are spaces to most readers, so they are no difference.
    if squeezed(&body).contains(&squeezed(&message)) {
        return;
    }
    let line = if body.trim().is_empty() {
        message
    } else {
        format!("{message}\n")
    };
    match fault.children.first_mut() {
        Some(Node::Text(text) | Node::CData(text)) => text.insert_str(0, &line),
        _ => fault.children.insert(0, Node::Text(line)),
    }
}

/// Whether an element tells of an attempt of the case that was lost.
fn is_lost_attempt(name: &str) -> bool {
    matches!(
        name,
        "rerunFailure" | "flakyFailure" | "rerunError" | "flakyError"
    )
}

/// Puts text that stands directly in a lost attempt, as Surefire before 2.22.1 and nextest write it,
/// into a `stackTrace`: Jenkins takes the stack from nowhere else, and Surefire's schema has it first.
fn stack_in_its_place(lost: &mut Element) {
    // White space is layout here.
    lost.children
        .retain(|child| child.as_text().is_none_or(|text| !text.trim().is_empty()));
    let has_stack = lost.elements().any(|child| child.name == "stackTrace");
    if !has_stack {
        let (mut text, others): (Vec<Node>, Vec<Node>) = std::mem::take(&mut lost.children)
            .into_iter()
            .partition(|child| child.as_text().is_some());
        if let Some(Node::Text(last)) = text.last_mut() {
            last.truncate(last.trim_end().len());
        }
        let message = lost.attribute("message").unwrap_or_default();
        if text.is_empty() && !message.is_empty() {
            text.push(Node::Text(message.to_owned()));
        }
        lost.children = others;
        lost.children.push(Node::Element(Element {
            children: text,
            ..Element::new("stackTrace")
        }));
    }
    lost.children.sort_by_key(lost_rank);
}

fn lost_rank(node: &Node) -> u8 {
    match node.as_element().map(|element| element.name.as_str()) {
        Some("stackTrace") => 0,
        Some("system-out") => 1,
        Some("system-err") => 2,
        _ => 3,
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Leaves exactly one `system-out` and one `system-err`, if any: GitLab's parser gives up on two.
/// Text that stands directly in the element joins `system-out`, because GitLab drops everything
/// else of an element that has text.
fn join_output(element: &mut Element) {
    let mut outputs: [Option<Element>; 2] = [None, None];
    let mut others = Vec::with_capacity(element.children.len());
    for child in std::mem::take(&mut element.children) {
        match child {
            Node::Element(output) if output.name == "system-out" => join(&mut outputs[0], output),
            Node::Element(output) if output.name == "system-err" => join(&mut outputs[1], output),
            Node::Text(_) | Node::CData(_) => {
                if child.as_text().is_some_and(|text| !text.trim().is_empty()) {
                    let mut output = Element::new("system-out");
                    output.children.push(child);
                    join(&mut outputs[0], output);
                }
            }
            other => others.push(other),
        }
    }
    others.extend(outputs.into_iter().flatten().map(Node::Element));
    element.children = others;
}

fn join(output: &mut Option<Element>, more: Element) {
    let Some(first) = output else {
        *output = Some(more);
        return;
    };
    for (name, value) in more.attributes {
        if first.attributes.len() < MOST_OUTPUT_ATTRIBUTES && first.attribute(&name).is_none() {
            first.attributes.push((name, value));
        }
    }
    let ends_line = first
        .children
        .last()
        .and_then(Node::as_text)
        .is_none_or(|text| text.is_empty() || text.ends_with('\n'));
    if !ends_line
        && !more.children.is_empty()
        && let Some(Node::Text(text) | Node::CData(text)) = first.children.last_mut()
    {
        text.push('\n');
    }
    for child in more.children {
        match (first.children.last_mut(), child) {
            (Some(Node::CData(text)), Node::CData(part))
            | (Some(Node::Text(text)), Node::Text(part)) => text.push_str(&part),
            (_, child) => first.children.push(child),
        }
    }
}

fn suite_rank(node: &Node) -> u8 {
    match node.as_element().map(|element| element.name.as_str()) {
        Some("properties") => 0,
        Some("system-out") => 3,
        Some("system-err") => 4,
        Some("testcase") | None => 1,
        Some(_) => 2,
    }
}

/// The order of Surefire's schema. `properties`, which it does not know, come first, as pytest
/// writes them; what nobody knows comes last.
fn case_rank(node: &Node) -> u8 {
    const ORDER: [&str; 10] = [
        "properties",
        "failure",
        "rerunFailure",
        "flakyFailure",
        "skipped",
        "error",
        "rerunError",
        "flakyError",
        "system-out",
        "system-err",
    ];
    let Some(element) = node.as_element() else {
        return 0;
    };
    (0..)
        .zip(ORDER)
        .find(|(_, name)| *name == element.name)
        .map_or(u8::MAX, |(rank, _)| rank)
}
