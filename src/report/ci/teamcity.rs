//! TeamCity: service messages. Tests are told one by one, as they stand in the reports; what is no test is a build problem.
//!
//! The messages are told at the verdict, and not left to a later reading of `junit.xml` (`importData`): the file is written once
//! more after teardown, and an import would then either come too late for a job that is ended meanwhile, or twice.

use std::fmt::Write as _;

use super::annotations::{Annotation, Level};
use super::{Dialect, Group, Test, TestResult, push_line};
use crate::junit::text::truncate_middle;
use crate::report::outputs::Output;

/// Longest description of a build problem, in characters.
const LONGEST_PROBLEM: usize = 4000;

/// Longest message of a test, and longest details, in bytes.
const LONGEST_MESSAGE: usize = 4 * 1024;
const LONGEST_DETAILS: usize = 64 * 1024;

/// The words of TeamCity.
#[derive(Default)]
pub(super) struct TeamCity {
    /// The suite whose tests are told.
    suite: Option<String>,
}

impl TeamCity {
    /// A message of the tests of a suite, which all are of one flow.
    fn of_suite(&self, name: &str, attributes: &[(&str, &str)], to: &mut String) {
        let flow = self.suite.as_deref().unwrap_or_default();
        let flow = format!("envrun-{flow}");
        let attributes = [attributes, &[("flowId", flow.as_str())]].concat();
        message(name, &attributes, to);
    }
}

impl Dialect for TeamCity {
    fn open(&mut self, group: &Group, _now: u64, to: &mut String) {
        message("blockOpened", &[("name", &group.title)], to);
    }

    fn close(&mut self, group: &Group, _now: u64, to: &mut String) {
        message("blockClosed", &[("name", &group.title)], to);
    }

    fn annotation(&mut self, annotation: &Annotation, to: &mut String) {
        // Failing tests are told as what they are.
        if annotation.is_test {
            return;
        }
        let text = format!("{}: {}", annotation.title, annotation.message);
        let text = truncate_middle(&text, LONGEST_PROBLEM);
        match annotation.level {
            Level::Error => message("buildProblem", &[("description", &text)], to),
            Level::Warning => message("message", &[("text", &text), ("status", "WARNING")], to),
        }
    }

    fn test(&mut self, test: &Test, to: &mut String) {
        let name = ("name", test.name.as_str());
        let milliseconds = test.duration.as_millis().to_string();
        match &test.result {
            TestResult::Skipped => self.of_suite("testIgnored", &[name], to),
            TestResult::Passed => {
                self.of_suite("testStarted", &[name], to);
                self.of_suite("testFinished", &[name, ("duration", &milliseconds)], to);
            }
            TestResult::Failed(message, details) => {
                let message = truncate_middle(message, LONGEST_MESSAGE);
                let details = truncate_middle(details, LONGEST_DETAILS);
                let texts = [name, ("message", &message), ("details", &details)];
                self.of_suite("testStarted", &[name], to);
                self.of_suite("testFailed", &texts, to);
                self.of_suite("testFinished", &[name, ("duration", &milliseconds)], to);
            }
        }
    }

    fn tests(&mut self, suite: Option<&str>, to: &mut String) {
        match suite {
            Some(name) => {
                self.suite = Some(name.to_owned());
                self.of_suite("testSuiteStarted", &[("name", name)], to);
            }
            None => {
                let name = self.suite.clone().unwrap_or_default();
                self.of_suite("testSuiteFinished", &[("name", &name)], to);
                self.suite = None;
            }
        }
    }

    fn output(&mut self, output: &Output, to: &mut String) {
        let name = format!("envrun.{}", output.name);
        message(
            "setParameter",
            &[("name", &name), ("value", &output.value)],
            to,
        );
    }

    fn has_colours(&self) -> bool {
        false
    }
}

fn message(name: &str, attributes: &[(&str, &str)], to: &mut String) {
    let mut line = format!("##teamcity[{name}");
    for (key, value) in attributes {
        let _ = write!(line, " {key}='{}'", value_of(value));
    }
    line.push(']');
    push_line(to, &line);
}

/// A value of an attribute. What is no ASCII is written by its number, in units of UTF-16, since the agent may read the output of a
/// build in whatever character set its machine has.
fn value_of(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' => value.push_str("||"),
            '\'' => value.push_str("|'"),
            '[' => value.push_str("|["),
            ']' => value.push_str("|]"),
            '\n' => value.push_str("|n"),
            '\r' => value.push_str("|r"),
            ' '..='~' | '\t' => value.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(value, "|0x{unit:04X}");
                }
            }
        }
    }
    value
}
