//! What holds for any bytes and any text.

use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;

use super::dialects::ALL;
use super::{merged, record, strict};
use crate::junit::{
    Counts, Element, EnvironmentCase, EnvironmentProblem, Node, Report, SuiteProblem, SuiteRecord,
    Summary, document, read, text,
};

/// Text with what breaks XML more often than chance would have it.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => any::<char>().prop_map(String::from),
        2 => "[ -~]{0,8}",
        2 => prop::sample::select(vec![
            "]]>", "]]", ">", "<", "&", "&amp;", "&#0;", "&bomb;", "<!--", "-->", "--", "-", "<![CDATA[",
            "?>", "<?xml?>", "\0", "\x1b[31m", "\x1b", "\x07", "\r\n", "\r", "\n", "\t", "\"", "'",
            "\u{fffe}", "\u{ffff}", "\u{85}", "\u{2028}", "\u{feff}", "\u{10ffff}", ":", "xmlns", "{}",
        ]).prop_map(str::to_owned),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Names as JUnit has them, with namespaces, and as nothing has them.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out",
            "system-err", "properties", "property", "flakyFailure", "rerunFailure", "p:x", "q:x", "été",
        ]).prop_map(str::to_owned),
        1 => nasty(),
    ]
}

fn attribute() -> impl Strategy<Value = (String, String)> {
    let key = prop_oneof![
        6 => prop::sample::select(vec![
            "name", "classname", "time", "tests", "failures", "status", "message", "type", "xmlns", "a",
            "xmlns:p", "xmlns:q", "xmlns:xml", "xmlns:xmlns", "p:a", "q:a", "xml:lang", "a:b:c", "timestamp",
        ]).prop_map(str::to_owned),
        1 => nasty(),
    ];
    let value = prop_oneof![
        3 => nasty(),
        2 => prop::sample::select(vec![
            "urn:a", "urn:b", "1,234.5", "NaN", "failed", "notrun",
            "http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/", "urn:{a}",
        ]).prop_map(str::to_owned),
    ];
    (key, value)
}

fn element() -> impl Strategy<Value = Element> {
    let leaf = prop_oneof![
        3 => nasty().prop_map(Node::Text),
        3 => nasty().prop_map(Node::CData),
        1 => nasty().prop_map(Node::Comment),
        1 => nasty().prop_map(Node::Instruction),
    ];
    let node = leaf.prop_recursive(5, 40, 6, |inner| {
        let element = (name(), vec(attribute(), 0..5), vec(inner, 0..6));
        element.prop_map(|(name, attributes, children)| {
            Node::Element(Element {
                name,
                attributes,
                children,
            })
        })
    });
    let root = prop_oneof![Just("testsuites".to_owned()), Just("testsuite".to_owned())];
    (root, vec(attribute(), 0..5), vec(node, 0..6)).prop_map(|(name, attributes, children)| {
        Element {
            name,
            attributes,
            children,
        }
    })
}

fn report() -> impl Strategy<Value = Report> {
    let outside = prop_oneof![
        nasty().prop_map(Node::Comment),
        nasty().prop_map(Node::Instruction)
    ];
    (element(), vec(outside, 0..2))
        .prop_map(|(root, outside)| Report::new(root, outside, Vec::new()))
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..10_000_u64).prop_map(Duration::from_millis),
        Just(Duration::MAX)
    ]
}

fn moment() -> impl Strategy<Value = SystemTime> {
    (0..1_u64 << 40).prop_map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

prop_compose! {
    fn step()(name in nasty(), duration in duration(), problem in prop::option::of(
        (nasty(), nasty(), nasty())
    ), output in nasty()) -> EnvironmentCase {
        let problem = problem.map(|(kind, message, details)| {
            EnvironmentProblem { kind, message, details }
        });
        EnvironmentCase { name, duration, problem, output }
    }
}

prop_compose! {
    fn problem()(
        kind in nasty(), message in nasty(), details in nasty(), is_failure in any::<bool>()
    ) -> SuiteProblem {
        SuiteProblem { kind, message, details, is_failure }
    }
}

prop_compose! {
    fn suite()(
        name in nasty(), started in prop::option::of(moment()), duration in duration(),
        reports in vec((nasty(), report()), 0..3), problems in vec(problem(), 0..3),
        output_tail in nasty(),
    ) -> SuiteRecord {
        SuiteRecord { name, started, duration, reports, problems, output_tail, lost: Vec::new() }
    }
}

prop_compose! {
    fn summary()(
        project in nasty(), run in nasty(), started in moment(), duration in duration(),
        environment in vec(step(), 0..3), suites in vec(suite(), 0..4),
    ) -> Summary {
        Summary { project, run, started, duration, environment, suites }
    }
}

fn suite_of(report: Report) -> SuiteRecord {
    let mut suite = record("damaged", &[]);
    suite.reports.push(("r.xml".to_owned(), report));
    suite
}

/// What a summary must come to: the foreign cases and envrun's own.
fn expected(summary: &Summary) -> Counts {
    let mut counts = Counts::default();
    for step in &summary.environment {
        counts.tests += 1;
        counts.errors += u64::from(step.problem.is_some());
    }
    for suite in &summary.suites {
        counts += suite
            .reports
            .iter()
            .map(|(_, report)| report.counts())
            .sum::<Counts>();
        for problem in &suite.problems {
            counts.tests += 1;
            counts.failures += u64::from(problem.is_failure);
            counts.errors += u64::from(!problem.is_failure);
        }
        counts.tests += u64::from(suite.problems.is_empty() && suite.reports.is_empty());
    }
    counts
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _either = read(&bytes);
    }

    #[test]
    fn a_damaged_report_is_read_or_refused(
        which in prop::sample::select(ALL.to_vec()),
        edits in vec((any::<prop::sample::Index>(), 0_usize..40, vec(any::<u8>(), 0..4)), 1..4),
    ) {
        let mut bytes = which.as_bytes().to_vec();
        for (index, length, replacement) in edits {
            let start = index.index(bytes.len());
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, replacement);
            if bytes.is_empty() {
                break;
            }
        }
        if let Ok(report) = read(&bytes) {
            let counts = report.counts();
            let text = merged(vec![suite_of(report)]);
            let again = read(text.as_bytes()).expect("it is read again");
            prop_assert_eq!(again.counts(), counts);
        }
    }

    #[test]
    fn any_text_in_a_report_is_read_or_refused(pieces in vec(nasty(), 0..6)) {
        let _either = read(format!("<testsuite>{}</testsuite>", pieces.concat()).as_bytes());
        let _either = read(format!("<testsuite name='{}'/>", pieces.concat()).as_bytes());
        let _either = read(format!("<!DOCTYPE {}><testsuite/>", pieces.concat()).as_bytes());
        let _either = read(format!("<!DOCTYPE a [<!{}]><testsuite/>", pieces.concat()).as_bytes());
        let _either = read(format!("{}<testsuite/>{}", pieces.concat(), pieces.concat()).as_bytes());
    }

    #[test]
    fn any_text_can_be_reported(summary in summary()) {
        let bytes = document(&summary);
        let text = String::from_utf8(bytes).expect("utf-8");
        strict::check(&text);
        let report = read(text.as_bytes()).expect("it is read again");
        prop_assert_eq!(report.counts(), expected(&summary));
        prop_assert_eq!(report.notes(), vec![]);
        let suites = report.suites();
        let names: std::collections::HashSet<_> = suites.iter().map(|suite| suite.name()).collect();
        prop_assert_eq!(names.len(), suites.len(), "two testsuites have the same name");
        for suite in suites {
            prop_assert!(!suite.element().elements().any(Element::is_suite), "a nested suite");
        }
    }

    #[test]
    fn a_case_has_each_output_once(summary in summary()) {
        let report = read(&document(&summary)).expect("it is read again");
        for case in report.cases() {
            for name in ["system-out", "system-err"] {
                let outputs = case.element().elements().filter(|child| child.name == name);
                prop_assert!(outputs.count() <= 1);
            }
            prop_assert!(case.element().children.iter().all(|child| child.as_text().is_none()));
        }
    }

    #[test]
    fn cleaning_twice_does_no_harm(text in nasty(), limit in 0_usize..100) {
        let clean = text::sanitise(&text).into_owned();
        prop_assert!(clean.chars().all(text::is_legal));
        prop_assert_eq!(text::sanitise(&clean), clean.as_str());
        prop_assert!(text::truncate_middle(&text, limit).len() <= limit);
        prop_assert_eq!(text::cdata_sections(&text).collect::<String>(), text);
    }
}
