//! The stream of `go test -json`: owns what of its events is a test, and when a stream lies.
//!
//! Packages come interleaved, between lines that are no events: what a build prints, what a wrapper
//! says. A package that ends badly without a failing test, a test that never ends, and a package that
//! never ends each have a case of their own, as an error. It must never take a test without a result
//! for a pass.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::composed::{Composed, Fault, Verdict, output};
use super::decode::decode;
use super::read::{MAX_DOCUMENT, ReadError};
use super::seconds;
use super::tap::MOST_TESTS;
use super::text;
use super::tree::{Element, Node, Note, Report};

/// Longest text of a fault, in bytes: the output of a package may be megabytes.
const LONGEST_DETAILS: usize = 256 * 1024;

/// One line, as `go doc test2json` describes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'line> {
    #[serde(borrow)]
    action: Cow<'line, str>,
    #[serde(borrow, default)]
    time: Option<Cow<'line, str>>,
    #[serde(borrow, default)]
    package: Option<Cow<'line, str>>,
    #[serde(borrow, default)]
    import_path: Option<Cow<'line, str>>,
    #[serde(borrow, default)]
    test: Option<Cow<'line, str>>,
    #[serde(borrow, default)]
    output: Option<Cow<'line, str>>,
    #[serde(borrow, default)]
    failed_build: Option<Cow<'line, str>>,
    #[serde(default)]
    elapsed: Option<f64>,
}

/// Reads a stream.
///
/// # Errors
/// The stream is empty, too large, or holds no event.
pub fn read(bytes: &[u8]) -> Result<Report, ReadError> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(ReadError::TooLarge {
            size: bytes.len(),
            limit: MAX_DOCUMENT,
        });
    }
    let decoded = decode(bytes);
    if decoded.text.trim().is_empty() {
        return Err(ReadError::Empty);
    }
    let mut stream = Stream::default();
    for line in decoded.text.lines() {
        stream.line(line);
        if stream.tests > MOST_TESTS {
            return Err(ReadError::TooManyTests { limit: MOST_TESTS });
        }
    }
    if stream.packages.is_empty() && stream.builds.is_empty() {
        return Err(ReadError::NotTests {
            format: "`go test -json`",
        });
    }
    let mut notes = Vec::new();
    if decoded.replaced {
        notes.push(Note::BytesReplaced);
    }
    Ok(stream.report(notes))
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    Skipped,
}

/// One run of a test.
#[derive(Debug, Default)]
struct Test {
    name: String,
    output: String,
    end: Option<End>,
    seconds: Option<f64>,
}

#[derive(Debug, Default)]
struct Package {
    name: String,
    /// In the order in which they began. One that runs several times (`-count`) is there as often.
    tests: Vec<Test>,
    /// The last run of each test.
    last: HashMap<String, usize>,
    output: String,
    end: Option<End>,
    seconds: Option<f64>,
    began: Option<String>,
    failed_build: Option<String>,
}

#[derive(Default)]
struct Stream {
    packages: Vec<Package>,
    by_name: HashMap<String, usize>,
    /// What builds have printed, by what was built, in order.
    builds: Vec<(String, String)>,
    /// Lines that are no events. They are in the log; here they explain a build that failed.
    others: String,
    tests: usize,
}

impl Stream {
    fn line(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        let event = match line.starts_with('{') {
            true => serde_json::from_str::<Event<'_>>(line).ok(),
            false => None,
        };
        match event {
            Some(event) if self.event(&event) => {}
            _ => {
                self.others.push_str(line);
                self.others.push('\n');
            }
        }
    }

    /// Whether it is an event of `go test`.
    fn event(&mut self, event: &Event<'_>) -> bool {
        let action = event.action.as_ref();
        if matches!(action, "build-output" | "build-fail") {
            let built = event.import_path.as_deref().or(event.package.as_deref());
            let said = event.output.as_deref().unwrap_or_default();
            self.build(built.unwrap_or_default(), said);
            return true;
        }
        let end = match action {
            "pass" | "bench" => Some(End::Passed),
            "fail" => Some(End::Failed),
            "skip" => Some(End::Skipped),
            "start" | "run" | "pause" | "cont" | "output" | "attr" | "artifacts" => None,
            _ => return false,
        };
        let Some(package) = event.package.as_deref() else {
            return false;
        };
        let package = self.package(package);
        if package.began.is_none() {
            package.began = event.time.as_deref().map(str::to_owned);
        }
        let seconds = event
            .elapsed
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let said = event.output.as_deref().unwrap_or_default();
        let Some(name) = event.test.as_deref().filter(|name| !name.is_empty()) else {
            package.output.push_str(said);
            if end.is_some() {
                package.end = end;
                package.seconds = seconds;
                package.failed_build = event.failed_build.as_deref().map(str::to_owned);
            }
            return true;
        };
        let (test, is_new) = package.test(name, action == "run");
        test.output.push_str(said);
        if end.is_some() {
            // A test that has failed stays so, whatever else is said of it.
            if test.end != Some(End::Failed) {
                test.end = end;
            }
            test.seconds = seconds;
        }
        self.tests += usize::from(is_new);
        true
    }

    fn package(&mut self, name: &str) -> &mut Package {
        let index = match self.by_name.get(name) {
            Some(index) => *index,
            None => {
                self.packages.push(Package {
                    name: name.to_owned(),
                    ..Package::default()
                });
                self.by_name
                    .insert(name.to_owned(), self.packages.len() - 1);
                self.packages.len() - 1
            }
        };
        &mut self.packages[index]
    }

    fn build(&mut self, built: &str, said: &str) {
        match self.builds.iter_mut().find(|(name, _)| name == built) {
            Some((_, output)) => output.push_str(said),
            None => self.builds.push((built.to_owned(), said.to_owned())),
        }
    }

    fn report(self, notes: Vec<Note>) -> Report {
        let mut root = Element::new("testsuites");
        let mut told: Vec<&str> = Vec::new();
        for package in &self.packages {
            if let Some(built) = &package.failed_build {
                told.push(built);
            }
        }
        let untold: Vec<(String, String)> = self
            .builds
            .iter()
            .filter(|(built, _)| {
                // `example.com/tasks [example.com/tasks.test]` is the build for the tests of the first.
                let own = built.split(' ').next().unwrap_or(built);
                !told.contains(&built.as_str()) && !self.by_name.contains_key(own)
            })
            .cloned()
            .collect();
        for package in self.packages {
            let suite = package.suite(&self.builds, &self.others);
            // A package without tests is nothing to be reported.
            if suite.elements().any(|child| child.name == "testcase") {
                root.children.push(Node::Element(suite));
            }
        }
        // A build that failed, and of whose package nothing more is heard.
        for (built, said) in untold {
            let mut suite = Element::new("testsuite");
            suite.set_attribute("name", text::sanitise(&built));
            let fault = fault("BuildFailed", format!("`{built}` does not build"), said);
            let case = errored(&built, "build", fault);
            suite.children.push(Node::Element(case.element()));
            root.children.push(Node::Element(suite));
        }
        Report::new(root, Vec::new(), notes)
    }
}

impl Package {
    /// The test that an event is about, and whether it is a new one.
    fn test(&mut self, name: &str, begins: bool) -> (&mut Test, bool) {
        let known = self.last.get(name).copied();
        let known = known.filter(|index| !begins || self.tests[*index].end.is_none());
        let is_new = known.is_none();
        let index = known.unwrap_or_else(|| {
            self.tests.push(Test {
                name: name.to_owned(),
                ..Test::default()
            });
            self.last.insert(name.to_owned(), self.tests.len() - 1);
            self.tests.len() - 1
        });
        (&mut self.tests[index], is_new)
    }

    fn suite(self, builds: &[(String, String)], others: &str) -> Element {
        let mut suite = Element::new("testsuite");
        suite.set_attribute("name", text::sanitise(&self.name));
        if let Some(seconds) = self.seconds {
            suite.set_attribute("time", seconds::format(seconds));
        }
        if let Some(began) = &self.began {
            suite.set_attribute("timestamp", text::sanitise(began));
        }
        let failing = self
            .tests
            .iter()
            .any(|test| test.end != Some(End::Passed) && test.end != Some(End::Skipped));
        let own = self.own_case(builds, others, failing);
        let printed = readable(&self.output);
        for test in self.tests {
            let case = test.case(&self.name, self.end, &printed);
            suite.children.push(Node::Element(case.element()));
        }
        if let Some(case) = own {
            suite.children.push(Node::Element(case.element()));
        } else if !printed.trim().is_empty() {
            suite.children.push(Node::Element(output(&printed)));
        }
        suite
    }

    /// What is wrong with a package that none of its tests says.
    fn own_case(
        &self,
        builds: &[(String, String)],
        others: &str,
        failing: bool,
    ) -> Option<Composed> {
        let name = &self.name;
        let output = readable(&self.output);
        let Some(end) = self.end else {
            let message = format!("the stream ends before package `{name}` does");
            return Some(errored(name, "package", fault("NoResult", message, output)));
        };
        if end != End::Failed {
            return None;
        }
        let is_of = |built: &str| {
            self.failed_build.as_deref() == Some(built)
                || built.split(' ').next() == Some(name.as_str())
        };
        let mut said: String = builds
            .iter()
            .filter(|(built, _)| is_of(built))
            .map(|(_, said)| said.as_str())
            .collect();
        let did_not_build = self.failed_build.is_some()
            || !said.is_empty()
            || ["[build failed]", "[setup failed]"]
                .iter()
                .any(|mark| self.output.contains(mark));
        if did_not_build {
            if said.is_empty() {
                // Go before 1.24 prints it beside the events.
                others.clone_into(&mut said);
            }
            let message = format!("package `{name}` does not build");
            let details = format!("{said}{output}");
            return Some(errored(
                name,
                "build",
                fault("BuildFailed", message, details),
            ));
        }
        if failing {
            return None;
        }
        let message = format!("package `{name}` failed, and none of its tests did");
        let details = match output.trim().is_empty() {
            true => others.to_owned(),
            false => output,
        };
        Some(errored(
            name,
            "package",
            fault("PackageFailed", message, details),
        ))
    }
}

impl Test {
    fn case(self, package: &str, end: Option<End>, printed: &str) -> Composed {
        let output = readable(&self.output);
        let lines = || {
            output
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
        };
        let verdict = match self.end {
            Some(End::Passed) => Verdict::Passed,
            Some(End::Skipped) => Verdict::Skipped(lines().next().unwrap_or_default().to_owned()),
            Some(End::Failed) => {
                let panicked = lines().find(|line| line.starts_with("panic: "));
                let message = panicked.or_else(|| lines().next());
                let message =
                    message.map_or_else(|| format!("{} failed", self.name), str::to_owned);
                Verdict::Failed(fault("failed", message, output.clone()))
            }
            None => {
                let message = match end {
                    Some(_) => format!("package `{package}` ended before the test did"),
                    None => "the stream ends before the test does".to_owned(),
                };
                Verdict::Errored(fault("NoResult", message, format!("{output}{printed}")))
            }
        };
        let output = match verdict {
            Verdict::Passed | Verdict::Skipped(_) => output,
            Verdict::Failed(_) | Verdict::Errored(_) => String::new(),
        };
        Composed {
            class_name: package.to_owned(),
            name: self.name,
            seconds: self.seconds,
            verdict,
            output,
        }
    }
}

fn errored(package: &str, name: &str, fault: Fault) -> Composed {
    Composed {
        class_name: package.to_owned(),
        name: name.to_owned(),
        verdict: Verdict::Errored(fault),
        ..Composed::default()
    }
}

fn fault(kind: &'static str, message: String, details: String) -> Fault {
    let details = text::truncate_middle(&details, LONGEST_DETAILS).into_owned();
    Fault {
        kind,
        message,
        details,
    }
}

/// Output without the lines that only frame it.
fn readable(output: &str) -> String {
    let frames = ["=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME "];
    let ends = ["--- PASS: ", "--- FAIL: ", "--- SKIP: "];
    let kept = output.split_inclusive('\n').filter(|line| {
        let line = line.trim_start_matches('\u{16}');
        !frames.iter().any(|frame| line.starts_with(frame))
            && !ends.iter().any(|end| line.trim_start().starts_with(end))
            && !matches!(line.trim_end(), "PASS" | "FAIL")
    });
    kept.collect()
}
