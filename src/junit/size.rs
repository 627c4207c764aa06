//! A report that is too large for its readers: owns what is left out of it, in which order.
//!
//! It must never lose a case that did not pass, and what is left out is told in the report itself.

use super::text;
use super::tree::{Element, Node, Outcome, outcome_of};
use super::write;

/// Longest texts that are left, in bytes, one after the other until the document fits. The last is
/// enough for a message.
const LONGEST_TEXTS: [usize; 5] = [64 * 1024, 16 * 1024, 4 * 1024, 1024, 256];

/// What was left out of a document, in words; nothing where it fits as it is.
pub(super) fn fit(root: &mut Element, largest: usize) -> Option<String> {
    if write::size(root) <= largest {
        return None;
    }
    let mut said = Vec::new();
    let dropped = without_output_of_passed(root);
    if dropped > 0 {
        said.push(format!(
            "the output of {dropped} cases that passed or were skipped"
        ));
    }
    let mut size = write::size(root);
    let mut limits = LONGEST_TEXTS.into_iter();
    while size > largest
        && let Some(limit) = limits.next()
    {
        let cut = cut_texts(root, limit);
        if cut > 0 {
            said.retain(|part: &String| !part.starts_with("the middle"));
            said.push(format!(
                "the middle of every text longer than {limit} bytes"
            ));
            size = write::size(root);
        }
    }
    if size > largest {
        let dropped = without_passed(root, size - largest);
        if dropped > 0 {
            said.push(format!("{dropped} cases that passed"));
        }
    }
    let size = largest / 1_000_000;
    Some(format!(
        "left out, so that the report is not larger than {size} MB: {}",
        said.join("; ")
    ))
}

/// The testsuites of a document.
fn suites(root: &mut Element) -> impl Iterator<Item = &mut Element> {
    let children = root.children.iter_mut();
    children.filter_map(|child| match child {
        Node::Element(element) if element.name == "testsuite" => Some(element),
        _ => None,
    })
}

fn is_output(node: &Node) -> bool {
    node.as_element()
        .is_some_and(|element| matches!(element.name.as_str(), "system-out" | "system-err"))
}

fn without_output_of_passed(root: &mut Element) -> usize {
    let mut dropped = 0;
    for suite in suites(root) {
        for child in &mut suite.children {
            let Node::Element(case) = child else { continue };
            if case.name != "testcase"
                || !matches!(outcome_of(case), Outcome::Passed | Outcome::Skipped)
            {
                continue;
            }
            let before = case.children.len();
            case.children.retain(|child| !is_output(child));
            dropped += usize::from(case.children.len() < before);
        }
    }
    dropped
}

/// Cuts every text and every value that is longer. Answers with how many there were.
fn cut_texts(root: &mut Element, limit: usize) -> usize {
    let mut cut = 0;
    let mut shorten = |content: &str| -> Option<String> {
        (content.len() > limit).then(|| {
            cut += 1;
            text::truncate_middle(content, limit).into_owned()
        })
    };
    for suite in suites(root) {
        for child in &mut suite.children {
            shorten_node(child, &mut shorten);
        }
    }
    cut
}

fn shorten_node(node: &mut Node, shorten: &mut dyn FnMut(&str) -> Option<String>) {
    match node {
        Node::Element(element) => {
            for (_, value) in &mut element.attributes {
                if let Some(shorter) = shorten(value) {
                    *value = shorter;
                }
            }
            for child in &mut element.children {
                shorten_node(child, shorten);
            }
        }
        Node::Text(text) | Node::CData(text) | Node::Comment(text) | Node::Instruction(text) => {
            if let Some(shorter) = shorten(text) {
                *text = shorter;
            }
        }
    }
}

/// Leaves out cases that passed, the last ones first, until what is written is this many bytes less.
fn without_passed(root: &mut Element, mut excess: usize) -> usize {
    let mut dropped = 0;
    let mut suites: Vec<&mut Element> = suites(root).collect();
    for suite in suites.iter_mut().rev() {
        let mut kept = Vec::with_capacity(suite.children.len());
        for child in std::mem::take(&mut suite.children).into_iter().rev() {
            let passed = child
                .as_element()
                .is_some_and(|case| case.name == "testcase" && outcome_of(case) == Outcome::Passed);
            let size = match child.as_element() {
                Some(element) if passed && excess > 0 => write::size(element),
                _ => 0,
            };
            if size == 0 {
                kept.push(child);
                continue;
            }
            excess = excess.saturating_sub(size);
            dropped += 1;
        }
        kept.reverse();
        suite.children = kept;
    }
    dropped
}
