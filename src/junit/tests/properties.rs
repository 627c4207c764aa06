//! What holds for any bytes and any text.

use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;

use super::dialects::ALL;
use super::{merged, record, strict};
use crate::junit::{
    Counts, Element, EnvironmentCase, EnvironmentProblem, Form, LostAttempt, Node, Outcome,
    Profile, Report, SuiteProblem, SuiteRecord, Summary, counts, document, go_test, read, tap,
    text,
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
    fn lost_attempt()(
        reports in vec((nasty(), report()), 0..3), problems in vec(problem(), 0..2), output_tail in nasty(),
        duration in duration(),
    ) -> LostAttempt {
        LostAttempt { reports, problems, output_tail, duration }
    }
}

/// A small report of few names, so that attempts have cases in common.
fn alike() -> impl Strategy<Value = Report> {
    let fault = prop::sample::select(vec![
        "",
        "",
        "<failure message='m'/>",
        "<error>e</error>",
        "<skipped/>",
    ]);
    let case = ("[ab]", "[xy]", fault).prop_map(|(class, name, fault)| {
        format!("<testcase classname='{class}' name='{name}'>{fault}</testcase>")
    });
    let suite = ("[st]", vec(case, 0..5)).prop_map(|(name, cases)| {
        format!("<testsuite name='{name}'>{}</testsuite>", cases.concat())
    });
    vec(suite, 0..3).prop_map(|suites| {
        let text = format!("<testsuites>{}</testsuites>", suites.concat());
        read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    })
}

prop_compose! {
    /// A suite with attempts that are much alike.
    fn tried()(
        attempts in vec((vec(("[12]", alike()), 0..3), vec(problem(), 0..2)), 1..4),
    ) -> SuiteRecord {
        let mut attempts = attempts;
        let (reports, problems) = attempts.pop().unwrap_or_default();
        let lost = attempts.into_iter().map(|(reports, problems)| LostAttempt {
            reports, problems, output_tail: String::new(), duration: Duration::ZERO,
        });
        SuiteRecord { reports, problems, lost: lost.collect(), ..record("tried", &[]) }
    }
}

/// How often each class and name occurs.
fn names(reports: &[(String, Report)]) -> std::collections::BTreeMap<(String, String), usize> {
    let mut names = std::collections::BTreeMap::new();
    for (_, report) in reports {
        for case in report.cases() {
            let name = (case.class_name().to_owned(), case.name().to_owned());
            *names.entry(name).or_default() += 1;
        }
    }
    names
}

prop_compose! {
    fn suite()(
        name in nasty(), started in prop::option::of(moment()), duration in duration(),
        reports in vec((nasty(), report()), 0..3), problems in vec(problem(), 0..3),
        output_tail in nasty(), lost in vec(lost_attempt(), 0..3),
    ) -> SuiteRecord {
        SuiteRecord { name, started, duration, reports, problems, output_tail, lost, properties: vec![("envrun.x".to_owned(), "<1>".to_owned())] }
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
        counts += crate::junit::counts(suite);
        for problem in &suite.problems {
            counts.tests += 1;
            counts.failures += u64::from(problem.is_failure);
            counts.errors += u64::from(!problem.is_failure);
        }
        let lost_as_a_whole = suite.lost.iter().any(|attempt| {
            let failing = |(_, report): &(String, Report)| report.counts().failing() > 0;
            !attempt.problems.is_empty() || !attempt.reports.iter().any(failing)
        });
        if suite.problems.is_empty() && (suite.reports.is_empty() || lost_as_a_whole) {
            counts.tests += 1;
            counts.flaky += u64::from(lost_as_a_whole);
        }
    }
    counts
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _either = read(&bytes);
        let _either = tap::read(&bytes, "t");
        let _either = go_test::read(&bytes);
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
        let bytes = document(&summary, &Form::default());
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
    fn nothing_that_any_attempt_has_seen_is_lost(suite in tried()) {
        let text = merged(vec![suite.clone()]);
        let report = read(text.as_bytes()).expect("it is read again");
        let all = names(&[(String::new(), report.clone())]);
        let attempts = suite.lost.iter().map(|attempt| &attempt.reports).chain([&suite.reports]);
        for attempt in attempts {
            for (name, count) in names(attempt) {
                prop_assert!(all.get(&name).is_some_and(|merged| *merged >= count), "{name:?}");
            }
        }
        let last: Counts = suite.reports.iter().map(|(_, report)| report.counts()).sum();
        let merged = counts(&suite);
        prop_assert!(merged.failures >= last.failures && merged.errors >= last.errors);
        let passed = last.failing() == 0 && suite.problems.is_empty();
        prop_assert_eq!(passed, report.counts().failing() == 0);
        // A flaky case has failed in one attempt and passed in another.
        for case in report.cases() {
            let is_lost = |name: &str| name.starts_with("flaky") || name.starts_with("rerun");
            let lost = case.element().elements().filter(|child| is_lost(&child.name)).count();
            prop_assert!(lost <= suite.lost.len());
            if case.is_flaky() {
                prop_assert_eq!(case.outcome(), Outcome::Passed);
            }
        }
    }

    #[test]
    fn a_case_has_each_output_once(summary in summary()) {
        let report = read(&document(&summary, &Form::default())).expect("it is read again");
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

proptest! {
    // Each of them is written many times.
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_report_is_kept_to_its_size_and_no_failing_case_is_lost(
        mut summary in summary(), tried in tried(), largest in 0_usize..20_000, strict in any::<bool>(),
    ) {
        summary.suites.push(tried);
        let whole = read(&document(&summary, &Form::default())).expect("it is read again").counts();
        let profile = if strict { Profile::Strict } else { Profile::Default };
        let bytes = document(&summary, &Form { profile, largest });
        let text = String::from_utf8(bytes).expect("utf-8");
        strict::check(&text);
        let counts = read(text.as_bytes()).expect("it is read again").counts();
        prop_assert_eq!(counts.failures + counts.errors, whole.failures + whole.errors);
        prop_assert_eq!(counts.skipped, whole.skipped);
    }
}
