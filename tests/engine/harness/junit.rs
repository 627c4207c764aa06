//! `junit.xml` as a strict reader sees it: a document that is not well-formed fails the test.

use std::collections::BTreeSet;

use quick_xml::events::{BytesStart, Event};

/// The testsuite in which envrun tells of the environment.
const ENVIRONMENT: &str = "envrun.environment";

/// One `testcase`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Case {
    /// Name of the `testsuite` around it.
    pub(crate) suite: String,
    /// Its name.
    pub(crate) name: String,
    /// `passed`, or the element that says otherwise: `failure`, `error`, `skipped`.
    pub(crate) result: String,
    /// Attribute `type` of that element.
    pub(crate) kind: String,
    /// Attribute `message` of that element.
    pub(crate) message: String,
    /// All text in the case.
    pub(crate) text: String,
}

/// A parsed report.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Names of the testsuites, in order.
    pub(crate) suites: Vec<String>,
    /// All cases, in order.
    pub(crate) cases: Vec<Case>,
}

impl Report {
    /// Reads a whole document.
    #[track_caller]
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("junit.xml is not UTF-8");
        assert_only_xml_characters(text);
        let mut reader = quick_xml::Reader::from_str(text);
        let mut report = Self::default();
        let mut depth = 0_usize;
        loop {
            let event = reader
                .read_event()
                .unwrap_or_else(|error| panic!("junit.xml is not well-formed: {error}\n{text}"));
            match event {
                Event::Start(element) => {
                    depth += 1;
                    report.open(&element);
                }
                Event::Empty(element) => report.open(&element),
                Event::End(_) => depth -= 1,
                Event::Text(content) => report.add(&content.decode().unwrap()),
                Event::CData(content) => report.add(&content.decode().unwrap()),
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(depth, 0, "junit.xml ends within an element");
        // Readers drop the second of two cases with one name, whatever it says, and the second of
        // two suites.
        let mut names = BTreeSet::new();
        for case in report.cases.iter().filter(|case| case.suite == ENVIRONMENT) {
            assert!(names.insert(&case.name), "two cases `{}`", case.name);
        }
        let mut names = BTreeSet::new();
        for suite in &report.suites {
            assert!(names.insert(suite), "two testsuites `{suite}`");
        }
        report
    }

    fn open(&mut self, element: &BytesStart<'_>) {
        let attribute = |wanted: &str| {
            element
                .attributes()
                .map(|attribute| attribute.expect("junit.xml has a broken attribute"))
                .find(|attribute| attribute.key.as_ref() == wanted.as_bytes())
                .map(|attribute| {
                    let value = String::from_utf8(attribute.value.into_owned()).unwrap();
                    quick_xml::escape::unescape(&value).unwrap().into_owned()
                })
                .unwrap_or_default()
        };
        match element.name().as_ref() {
            b"testsuite" => self.suites.push(attribute("name")),
            b"testcase" => self.cases.push(Case {
                suite: self.suites.last().cloned().unwrap_or_default(),
                name: attribute("name"),
                result: "passed".to_owned(),
                ..Case::default()
            }),
            name @ (b"failure" | b"error" | b"skipped") => {
                let case = self.cases.last_mut().expect("a result outside of a case");
                case.result = String::from_utf8_lossy(name).into_owned();
                case.kind = attribute("type");
                case.message = attribute("message");
            }
            _ => {}
        }
    }

    fn add(&mut self, text: &str) {
        if let Some(case) = self.cases.last_mut() {
            case.text.push_str(text);
        }
    }

    /// The case of this name in this testsuite.
    #[track_caller]
    pub(crate) fn case(&self, suite: &str, name: &str) -> &Case {
        self.cases
            .iter()
            .find(|case| case.suite == suite && case.name == name)
            .unwrap_or_else(|| panic!("no case `{name}` of `{suite}` in {:#?}", self.cases))
    }

    /// The cases of one testsuite.
    pub(crate) fn of(&self, suite: &str) -> Vec<&Case> {
        self.cases
            .iter()
            .filter(|case| case.suite == suite)
            .collect()
    }
}

/// The characters that XML 1.0 allows; a parser may be more generous.
#[track_caller]
fn assert_only_xml_characters(text: &str) {
    let wrong = text.chars().find(|letter| {
        !matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    });
    assert_eq!(wrong, None, "junit.xml has a character that XML forbids");
}
