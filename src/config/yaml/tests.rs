//! Tests of the tree that a text gives.

use std::fmt::Write as _;

use super::super::diagnostic::Problems;
use super::super::source::Source;
use super::{Mark, Node, Value, parse};

/// The tree in one line, or the problems.
fn show(text: &str) -> String {
    let source = Source::new("f.yaml", text, 0);
    let mut problems = Problems::default();
    let roots = parse(&source, &mut problems);
    let mut out = String::new();
    for (index, root) in roots.iter().enumerate() {
        out.push_str(if index > 0 { " --- " } else { "" });
        write(root, &mut out);
    }
    if roots.is_empty() {
        out.push_str("(nothing)");
    }
    if !problems.is_empty() {
        write!(out, "\n{problems}").unwrap();
    }
    out
}

fn write(node: &Node, out: &mut String) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Scalar(scalar) if scalar.plain => out.push_str(&scalar.text),
        Value::Scalar(scalar) => write!(out, "{:?}", scalar.text).unwrap(),
        Value::Sequence(nodes) => {
            out.push('[');
            for (index, node) in nodes.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(node, out);
            }
            out.push(']');
        }
        Value::Mapping(mapping) => {
            out.push('{');
            for (index, entry) in mapping.entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write!(out, "{}: ", entry.key.text).unwrap();
                match entry.mark {
                    Some(Mark::Reset) => out.push_str("!reset "),
                    Some(Mark::Override) => out.push_str("!override "),
                    None => {}
                }
                write(&entry.value, out);
            }
            out.push('}');
        }
    }
}

#[test]
fn keeps_styles_and_order() {
    insta::assert_snapshot!(
        show("b: 'x'\na: [1, \"1\", ~, ]\nn:\nl: |\n  t\nm: !!str 5\ni: !!int \"7\"\n"),
        @r#"{b: "x", a: [1, "1", null], n: null, l: "t\n", m: "5", i: 7}"#
    );
    insta::assert_snapshot!(show("# only a comment\n"), @"(nothing)");
    insta::assert_snapshot!(show("---\n~\n"), @"null");
}

#[test]
fn anchors_aliases_and_merge_keys() {
    insta::assert_snapshot!(
        show("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{y: 9}, *a], z: 0}\nd: *a\n"),
        @"{a: {x: 1, y: 2}, b: {y: 3, x: 1}, c: {z: 0, y: 9, x: 1}, d: {x: 1, y: 2}}"
    );
    insta::assert_snapshot!(show("a: {<<: 5}"), @r"
    {a: {}}
    f.yaml:1:9: `<<` merges a mapping or a list of mappings, found the number `5`
    1 error
    ");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    insta::assert_snapshot!(show("a: 1\nb: 2\na: 3\n"), @r"
    {a: 1, b: 2}
    f.yaml:3:1: key `a` is given twice
    1 error
    ");
    insta::assert_snapshot!(show("a: [1, 2"), @r"
    (nothing)
    f.yaml:1:4: not valid yaml: unclosed bracket '['
    1 error
    ");
    insta::assert_snapshot!(show("a: !reset null\nb: !foo [1]"), @"
    {a: !reset null, b: [1]}
    f.yaml:2:9: unknown tag `!foo` has no effect
    1 warning
    ");
    insta::assert_snapshot!(show("a: 1\n---\nb: 2\n"), @"{a: 1} --- {b: 2}");
    insta::assert_snapshot!(show("? [a]\n: 1\n"), @r"
    {: 1}
    f.yaml:1:3: a key must be text, found a list
    1 error
    ");
    insta::assert_snapshot!(show("a: &a [*a]"), @r"
    (nothing)
    f.yaml:1:8: the alias stands inside the node that it names
    1 error
    ");
}

#[test]
fn a_bomb_of_aliases_is_a_problem_and_not_the_end_of_memory() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..30 {
        let below = format!("*a{}", level - 1);
        let list = [below.as_str(); 9].join(",");
        writeln!(text, "a{level}: &a{level} [{list}]").unwrap();
    }
    assert!(show(&text).contains("the document is too large"));
}

#[test]
fn depth_is_bounded_through_aliases_too() {
    insta::assert_snapshot!(show(&"[".repeat(100_000)), @r"
    (nothing)
    f.yaml:1:129: not valid yaml: recursion limit exceeded
    1 error
    ");
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..20 {
        let (open, close) = ("[".repeat(100), "]".repeat(100));
        writeln!(text, "a{level}: &a{level} {open}*a{}{close}", level - 1).unwrap();
    }
    assert!(show(&text).contains("nested deeper than 128 levels"));
}
