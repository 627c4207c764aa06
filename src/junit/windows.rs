//! When the cases of a report ran, as far as it tells, and what is put to a case afterwards.
//!
//! Few reports say when a case began. Where one does not, the cases of a testsuite are taken to have run
//! one after the other in the order of the report, which gives the earliest moment at which each can have
//! begun; what the testsuite took beyond its cases may have been spent before any of them, so a window is
//! longer by that. Cases that together took longer than their testsuite ran side by side, and then each may
//! have run at any time of it. All of this is an estimate, and says so.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::text::sanitise;
use super::tree::{Element, Node, Outcome, Report};

/// How far a moment of a report may be outside of the time of its suite and still be believed: clocks
/// write whole seconds, and are read a moment apart.
const TOLERANCE: Duration = Duration::from_secs(2);

/// The longest time that a window is longer by, for what a testsuite took beyond its cases.
const MOST_SLACK: Duration = Duration::from_secs(10);

/// How much of its testsuite's time cases may take together and still have run one after the other:
/// durations are rounded.
const SIDE_BY_SIDE: f64 = 1.05;

/// When a case that did not pass ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestWindow {
    /// Its place among all cases of the report.
    pub case: usize,
    /// Its class and its name, or its name alone.
    pub title: String,
    /// No later than its beginning.
    pub from: SystemTime,
    /// No earlier than its end.
    pub until: SystemTime,
    /// Whether the report does not say it, and it was concluded.
    pub is_estimate: bool,
}

/// When those cases ran that did not pass, in the order of the report, at most `most`. The suite itself ran
/// from `began` to `ended`, and so did all of its cases.
#[must_use]
pub fn windows(
    report: &Report,
    (began, ended): (SystemTime, SystemTime),
    most: usize,
) -> Vec<TestWindow> {
    let within = |moment: SystemTime| moment.clamp(began, ended.max(began));
    let believed = |element: &Element| {
        let (moment, precision) = moment(element.attribute("timestamp")?)?;
        let fits = moment + TOLERANCE >= began && moment <= ended + TOLERANCE;
        fits.then_some((moment, precision))
    };
    let mut found = Vec::new();
    let mut number = 0;
    let mut cursor = began;
    for suite in report.suites() {
        let cases: Vec<_> = suite.cases().collect();
        let seconds = |seconds: Option<f64>| seconds.map(span).unwrap_or_default();
        let together: Duration = cases.iter().map(|case| seconds(case.seconds())).sum();
        let (start, precision) = believed(suite.element()).unwrap_or((cursor, Duration::ZERO));
        let declared = suite.element().attribute("time");
        let declared = declared.and_then(super::seconds::parse).map(span);
        let end = match declared {
            Some(declared) => within(start + declared.max(together) + precision),
            None => ended,
        };
        let beside = declared.is_some_and(|declared| together > declared.mul_f64(SIDE_BY_SIDE))
            || start + together > ended + TOLERANCE;
        let slack = end.duration_since(start + together).unwrap_or_default();
        let slack = slack.min(MOST_SLACK);
        let mut before = Duration::ZERO;
        for case in cases {
            let place = number;
            number += 1;
            let took = seconds(case.seconds());
            let begins = start + before;
            before = before.saturating_add(took);
            let failed = matches!(case.outcome(), Outcome::Failed | Outcome::Errored);
            if !failed || case.element().name != "testcase" || found.len() == most {
                continue;
            }
            let (from, until, is_estimate) = match believed(case.element()) {
                Some((moment, precision)) => (moment, moment + took + precision, false),
                None if beside => (start, end, true),
                None => (begins, begins + took + slack, true),
            };
            let title = match case.class_name() {
                "" => case.name().to_owned(),
                class => format!("{class}.{}", case.name()),
            };
            found.push(TestWindow {
                case: place,
                title,
                from: within(from),
                until: within(until),
                is_estimate,
            });
        }
        cursor = within(start + declared.unwrap_or(together).max(together));
    }
    found
}

/// A moment as reports write it, and how much later it may have been: many write whole seconds. One without
/// a zone is taken as UTC, as it is in most containers.
fn moment(text: &str) -> Option<(SystemTime, Duration)> {
    let text = text.trim().replacen(' ', "T", 1);
    let parsed = OffsetDateTime::parse(&text, &Rfc3339);
    let parsed = parsed.or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339));
    let precision = match text.contains('.') {
        true => Duration::ZERO,
        false => Duration::from_secs(1),
    };
    Some((SystemTime::from(parsed.ok()?), precision))
}

/// A duration of a report; nonsense is none. None is longer than a day.
fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .min(Duration::from_secs(24 * 3600))
}

impl Report {
    /// Adds to the output of cases, by their places among all cases, after what is their own. However many
    /// outputs a case has then, the merged report has one.
    pub fn append_outputs(&mut self, outputs: &BTreeMap<usize, String>) {
        let mut number = 0;
        append(self.root_mut(), &mut number, outputs);
    }
}

/// Goes through the cases in the order of [`Report::cases`].
fn append(element: &mut Element, number: &mut usize, outputs: &BTreeMap<usize, String>) {
    let children = element.children.iter_mut();
    let mut nested = Vec::new();
    for child in children {
        let Node::Element(child) = child else {
            continue;
        };
        if child.is_suite() {
            nested.push(child);
        } else if child.name == "testcase" || child.is_fault() {
            if let Some(text) = outputs.get(number).filter(|_| child.name == "testcase") {
                let mut output = Element::new("system-out");
                let text = sanitise(text).into_owned();
                output.children.push(Node::Text(text));
                child.children.push(Node::Element(output));
            }
            *number += 1;
        }
    }
    for suite in nested {
        append(suite, number, outputs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment of the second suite, by milliseconds.
    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + milliseconds)
    }

    fn of(report: &str) -> Vec<(String, i64, i64, bool)> {
        let report = super::super::read(report.as_bytes()).expect("readable");
        let since = |moment: SystemTime| {
            let since = moment.duration_since(at(0)).expect("after the beginning");
            i64::try_from(since.as_millis()).expect("small")
        };
        windows(&report, (at(0), at(10_000)), 100)
            .into_iter()
            .map(|one| {
                (
                    one.title,
                    since(one.from),
                    since(one.until),
                    one.is_estimate,
                )
            })
            .collect()
    }

    #[test]
    fn cases_come_one_after_the_other_and_what_is_left_of_the_time_may_be_before() {
        let found = of(r#"<testsuite name="s" time="6">
            <testcase classname="c" name="a" time="1"/>
            <testcase classname="c" name="b" time="2"><failure/></testcase>
            <testcase name="d" time="1"><error/></testcase></testsuite>"#);
        assert_eq!(
            found,
            [
                ("c.b".to_owned(), 1000, 5000, true),
                ("d".to_owned(), 3000, 6000, true)
            ]
        );
    }

    #[test]
    fn a_moment_of_the_report_counts_where_it_fits() {
        // 1,700,000,000 is 2023-11-14T22:13:20Z.
        let found = of(r#"<testsuites>
            <testsuite name="s" time="1" timestamp="2023-11-14T22:13:23.000">
              <testcase name="a" time="1"><failure/></testcase></testsuite>
            <testsuite name="t" time="1" timestamp="1999-01-01T00:00:00">
              <testcase name="b" time="1"><failure/></testcase></testsuite>
            <testsuite name="u" time="5">
              <testcase name="c" time="1" timestamp="2023-11-14T23:13:26.500+01:00"><failure/></testcase>
            </testsuite></testsuites>"#);
        assert_eq!(
            found,
            [
                ("a".to_owned(), 3000, 4000, true),
                ("b".to_owned(), 4000, 5000, true),
                ("c".to_owned(), 6500, 7500, false),
            ]
        );
    }

    #[test]
    fn cases_that_ran_side_by_side_may_have_run_at_any_time() {
        let found = of(r#"<testsuite name="s" time="3">
            <testcase name="a" time="2.5"/><testcase name="b" time="2.5"><failure/></testcase></testsuite>"#);
        assert_eq!(found, [("b".to_owned(), 0, 5000, true)]);
    }

    #[test]
    fn nonsense_stays_within_the_suite() {
        let found = of(r#"<testsuite name="s" time="1e300" timestamp="x">
            <testcase name="a" time="-5"><failure/></testcase>
            <testcase name="b" time="1e18"><failure/></testcase></testsuite>"#);
        for (title, from, until, _) in found {
            assert!(
                (0..=10_000).contains(&from) && from <= until && until <= 10_000,
                "{title}"
            );
        }
    }

    #[test]
    fn what_is_added_comes_after_the_own_output_of_the_right_case() {
        let report = r#"<testsuites><testsuite name="s"><testcase name="a"/>
            <testcase name="b"><failure/><system-out>own</system-out></testcase>
            <testsuite name="n"><testcase name="c"><error/></testcase></testsuite>
            </testsuite></testsuites>"#;
        let mut report = super::super::read(report.as_bytes()).expect("readable");
        let outputs = [(1, "added".to_owned()), (2, "more\u{0}".to_owned())];
        report.append_outputs(&outputs.into());
        let texts: Vec<String> = report
            .cases()
            .iter()
            .map(|case| case.element().text())
            .collect();
        assert_eq!(texts[0], "");
        assert_eq!(texts[1], "ownadded");
        assert!(texts[2].starts_with("more"), "{}", texts[2]);
    }
}
