//! The strict profile: owns what of a testsuite is left for readers that hold to a schema.
//!
//! The rules are those that Jenkins' xUnit plugin (`junit-10.xsd`) and Surefire
//! (`surefire-test-report-3.0.xsd`) publish, both at once as far as the elements inside a test case
//! go. It must never change what became of a case.

use super::seconds;
use super::tree::{Element, Node};

const ROOT: [&str; 5] = ["name", "time", "tests", "failures", "errors"];
const SUITE: [&str; 14] = [
    "name",
    "tests",
    "failures",
    "errors",
    "group",
    "time",
    "skipped",
    "timestamp",
    "hostname",
    "id",
    "package",
    "file",
    "log",
    "url",
];
const CASE: [&str; 4] = ["name", "classname", "group", "time"];

/// Leaves of a whole document what the schemas have.
pub(super) fn document(root: &mut Element) {
    only(root, &ROOT);
    for node in &mut root.children {
        if let Node::Element(element) = node {
            suite(element);
        }
    }
    keep(root, |element| element.name == "testsuite");
}

/// Leaves the attributes of these names, each once.
fn only(element: &mut Element, names: &[&str]) {
    let mut seen = Vec::new();
    element.attributes.retain(|(name, _)| {
        let fits = names.contains(&name.as_str()) && !seen.contains(name);
        if fits {
            seen.push(name.clone());
        }
        fits
    });
}

/// Leaves the elements that fit and nothing else; comments are no concern of a schema, and what they
/// hold is said elsewhere.
fn keep(element: &mut Element, fits: impl Fn(&Element) -> bool) {
    element
        .children
        .retain(|child| child.as_element().is_some_and(&fits));
}

fn suite(suite: &mut Element) {
    only(suite, &SUITE);
    for node in &mut suite.children {
        let Node::Element(element) = node else {
            continue;
        };
        match element.name.as_str() {
            "testcase" => case(element),
            "properties" => properties(element),
            "system-out" | "system-err" => plain(element, &[]),
            _ => {}
        }
    }
    keep(suite, |element| {
        matches!(
            element.name.as_str(),
            "testcase" | "properties" | "system-out" | "system-err"
        )
    });
}

fn properties(properties: &mut Element) {
    properties.attributes.clear();
    for node in &mut properties.children {
        if let Node::Element(property) = node {
            let value = match property.attribute("value") {
                Some(value) => value.to_owned(),
                // Some tools write long values as text.
                None => property.text(),
            };
            property.set_attribute("value", value);
            only(property, &["name", "value"]);
            property.children.clear();
        }
    }
    keep(properties, |property| {
        property.name == "property" && property.attribute("name").is_some()
    });
}

fn case(case: &mut Element) {
    only(case, &CASE);
    if case.attribute("name").is_none() {
        case.set_attribute("name", "");
    }
    let time = case.attribute("time").and_then(seconds::parse);
    case.set_attribute("time", seconds::format(time.unwrap_or_default()));
    for node in &mut case.children {
        let Node::Element(element) = node else {
            continue;
        };
        match element.name.as_str() {
            "failure" | "error" => {
                plain(element, &["message", "type"]);
                typed(element);
            }
            "skipped" => plain(element, &["message"]),
            "system-out" | "system-err" => plain(element, &[]),
            "rerunFailure" | "flakyFailure" | "rerunError" | "flakyError" => again(element),
            _ => {}
        }
    }
    keep(case, |element| {
        matches!(
            element.name.as_str(),
            "failure"
                | "error"
                | "skipped"
                | "rerunFailure"
                | "flakyFailure"
                | "rerunError"
                | "flakyError"
                | "system-out"
                | "system-err"
        )
    });
    for name in ["skipped", "error"] {
        join(case, name);
    }
}

/// Leaves the text of an element, and these attributes.
fn plain(element: &mut Element, attributes: &[&str]) {
    only(element, attributes);
    let text = element.text();
    element.children = match text.is_empty() {
        true => Vec::new(),
        false => vec![Node::Text(text)],
    };
}

/// Surefire's schema wants a type.
fn typed(element: &mut Element) {
    if element.attribute("type").is_none() {
        let kind = match element.name.ends_with("ailure") {
            true => "failure",
            false => "error",
        };
        element.set_attribute("type", kind);
    }
}

/// A lost attempt: a stack, then each output once.
fn again(element: &mut Element) {
    only(element, &["message", "type"]);
    typed(element);
    let parts = ["stackTrace", "system-out", "system-err"].map(|name| {
        let text: String = element
            .elements()
            .filter(|child| child.name == name)
            .map(Element::text)
            .collect();
        (name, text)
    });
    element.children = parts
        .into_iter()
        .filter(|(name, text)| *name == "stackTrace" || !text.is_empty())
        .map(|(name, text)| {
            let mut part = Element::new(name);
            if !text.is_empty() {
                part.children.push(Node::Text(text));
            }
            Node::Element(part)
        })
        .collect();
}

/// Makes one element of several of a name, where the schema has one.
fn join(case: &mut Element, name: &str) {
    let mut first: Option<usize> = None;
    let mut more = String::new();
    let mut index = 0;
    case.children.retain(|child| {
        let here = index;
        index += 1;
        let Some(element) = child.as_element().filter(|element| element.name == name) else {
            return true;
        };
        if first.is_none() {
            first = Some(here);
            return true;
        }
        more.push_str("\n\n");
        more.push_str(&element.text());
        false
    });
    let Some(Node::Element(element)) = first.and_then(|index| case.children.get_mut(index)) else {
        return;
    };
    match element.children.first_mut() {
        _ if more.is_empty() => {}
        Some(Node::Text(text)) => text.push_str(&more),
        _ => element.children.push(Node::Text(more)),
    }
}
