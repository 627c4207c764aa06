//! Foreign reports taken apart: owns which testsuites a document comes to once nested ones are laid
//! side by side.
//!
//! It must never lose a test case, a remark, or what an outer suite says about those in it.

use super::tree::{Element, Node, Report};

/// Most attributes that a nested suite takes over from those around it. What is inherited is
/// written once for each nested suite, so it must be little.
const MOST_INHERITED: usize = 16;

/// Longest name or attribute that a nested suite takes over, in bytes.
const LONGEST_INHERITED: usize = 512;

/// A part of a foreign report on its way to the top level of the merged one.
pub(super) enum Piece {
    /// A comment or a processing instruction.
    Remark(Node),
    /// A testsuite without nested ones.
    Suite(Inner),
}

/// A testsuite of a foreign report, without nested ones.
pub(super) struct Inner {
    /// The path of the report.
    pub(super) path: String,
    /// Its declared name, else that of the suite around it, else the path.
    pub(super) name: String,
    /// The `testsuite`.
    pub(super) element: Element,
}

/// What a testsuite takes over from the elements around it, which are not written.
#[derive(Clone, Default)]
struct Surroundings {
    path: String,
    name: String,
    attributes: Vec<(String, String)>,
}

/// Takes a report apart, in document order.
pub(super) fn dissolve_report(report: &Report, path: &str, pieces: &mut Vec<Piece>) {
    pieces.extend(report.outside().iter().cloned().map(Piece::Remark));
    let surroundings = Surroundings {
        path: path.to_owned(),
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
        pieces.extend(remarks.map(Piece::Remark));
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
        pieces.push(Piece::Suite(Inner {
            path: around.path.clone(),
            name: name.to_owned(),
            element: suite,
        }));
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
