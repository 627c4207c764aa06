//! A JUnit document in memory: owns the tree of elements and what is computed from it.
//!
//! It must never trust a count that a document declares about itself: everything is counted from
//! the test cases. The tree keeps what it does not understand, and its texts are already sanitised.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::sync::Arc;

use super::location::{Location, PathMap};
use super::seconds;

/// Something inside an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element with its content.
    Element(Element),
    /// Text, with its references resolved.
    Text(String),
    /// The text of one or of several adjacent CDATA sections.
    CData(String),
    /// A comment, without its markers.
    Comment(String),
    /// A processing instruction, without its markers.
    Instruction(String),
}

impl Node {
    /// The element, if the node is one.
    #[must_use]
    pub const fn as_element(&self) -> Option<&Element> {
        match self {
            Self::Element(element) => Some(element),
            _ => None,
        }
    }

    /// The characters, if the node is text or CDATA.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::CData(text) => Some(text),
            _ => None,
        }
    }
}

/// An element, owned: its name and attributes as they are written, its content in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// The qualified name, with its prefix unless that is the prefix of the root element.
    pub name: String,
    /// Names and values in document order. A name may occur twice in a sloppy document.
    pub attributes: Vec<(String, String)>,
    /// The content in document order.
    pub children: Vec<Node>,
}

impl Element {
    /// An empty element.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            attributes: Vec::new(),
            children: Vec::new(),
        }
    }

    /// The value of the first attribute of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Sets the first attribute of this name, or appends it.
    pub fn set_attribute(&mut self, name: &str, value: impl Into<String>) {
        match self.attributes.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value.into(),
            None => self.attributes.push((name.to_owned(), value.into())),
        }
    }

    /// The child elements in document order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(Node::as_element)
    }

    /// All characters inside the element, those of its descendants included.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.collect_text(&mut text);
        text
    }

    fn collect_text(&self, text: &mut String) {
        for child in &self.children {
            match child {
                Node::Element(element) => element.collect_text(text),
                Node::Text(part) | Node::CData(part) => text.push_str(part),
                Node::Comment(_) | Node::Instruction(_) => {}
            }
        }
    }

    /// Whether the element groups suites: `testsuites` or `testsuite`.
    pub(super) fn is_suite(&self) -> bool {
        matches!(self.name.as_str(), "testsuites" | "testsuite")
    }

    /// Whether the element says that something went wrong: `failure` or `error`.
    pub(super) fn is_fault(&self) -> bool {
        matches!(self.name.as_str(), "failure" | "error")
    }

    fn rewrite(&mut self, replace: &mut dyn FnMut(&str) -> Option<String>) {
        for (_, value) in &mut self.attributes {
            rewrite_text(value, replace);
        }
        for child in &mut self.children {
            rewrite_node(child, replace);
        }
    }
}

fn rewrite_node(node: &mut Node, replace: &mut dyn FnMut(&str) -> Option<String>) {
    match node {
        Node::Element(element) => element.rewrite(replace),
        Node::Text(text) | Node::CData(text) | Node::Comment(text) | Node::Instruction(text) => {
            rewrite_text(text, replace);
        }
    }
}

fn rewrite_text(text: &mut String, replace: &mut dyn FnMut(&str) -> Option<String>) {
    if let Some(replaced) = replace(text) {
        *text = replaced;
    }
}

/// How many test cases there are, and how many of them did not pass. Each case is counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All test cases.
    pub tests: u64,
    /// Cases that failed an assertion.
    pub failures: u64,
    /// Cases that broke otherwise, and faults that a suite reports outside any case.
    pub errors: u64,
    /// Cases that were not run.
    pub skipped: u64,
    /// Cases that passed after they had failed or broken. They are no failures.
    pub flaky: u64,
}

impl Counts {
    /// Cases that failed or broke.
    #[must_use]
    pub const fn failing(&self) -> u64 {
        self.failures + self.errors
    }

    fn record(&mut self, case: &Case<'_>) {
        self.tests += 1;
        match case.outcome() {
            Outcome::Passed => self.flaky += u64::from(case.is_flaky()),
            Outcome::Failed => self.failures += 1,
            Outcome::Errored => self.errors += 1,
            Outcome::Skipped => self.skipped += 1,
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            tests: self.tests + other.tests,
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
            flaky: self.flaky + other.flaky,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Self::add)
    }
}

/// What became of one test case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran, and nothing says otherwise. A flaky case that passed in the end has passed.
    Passed,
    /// It has a `failure`.
    Failed,
    /// It has an `error` and no `failure`.
    Errored,
    /// It has a `skipped`, or its status says that it was not run.
    Skipped,
}

/// What a `testcase` element says about itself, by its content first and by its `status` or
/// `result` attribute where there is no such content: a disabled case of GoogleTest has only the
/// attribute, and must not be taken for a pass.
pub(super) fn outcome_of(case: &Element) -> Outcome {
    let has = |name: &str| case.elements().any(|child| child.name == name);
    if has("failure") {
        return Outcome::Failed;
    }
    if has("error") {
        return Outcome::Errored;
    }
    if has("skipped") {
        return Outcome::Skipped;
    }
    let declared = ["status", "result"].map(|name| {
        case.attribute(name)
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    });
    let any = |words: &[&str]| declared.iter().any(|word| words.contains(&word.as_str()));
    if any(&["failed", "failure", "fail"]) {
        Outcome::Failed
    } else if any(&["error", "errored", "broken"]) {
        Outcome::Errored
    } else if any(&["notrun", "disabled", "skipped", "suppressed", "ignored"]) {
        Outcome::Skipped
    } else {
        Outcome::Passed
    }
}

/// One suite of a report: a `testsuite`, or the root `testsuites` where cases stand directly in it.
#[derive(Debug, Clone, Copy)]
pub struct Suite<'report> {
    element: &'report Element,
    paths: Option<&'report PathMap>,
}

impl<'report> Suite<'report> {
    pub(super) const fn of(element: &'report Element) -> Self {
        Self {
            element,
            paths: None,
        }
    }

    /// The element itself.
    #[must_use]
    pub const fn element(&self) -> &'report Element {
        self.element
    }

    /// The declared name, or nothing.
    #[must_use]
    pub fn name(&self) -> &'report str {
        self.element.attribute("name").unwrap_or_default()
    }

    /// The cases that stand directly in this suite, those of nested suites excluded. A fault that
    /// the suite reports outside any case is delivered like a case.
    pub fn cases(&self) -> impl Iterator<Item = Case<'report>> + use<'report> {
        let Self {
            element: suite,
            paths,
        } = *self;
        suite
            .elements()
            .filter(|child| child.name == "testcase" || child.is_fault())
            .map(move |element| Case {
                element,
                suite,
                paths,
            })
    }

    /// What its own cases come to, those of nested suites excluded.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.cases().for_each(|case| counts.record(&case));
        counts
    }
}

/// One test case of a report, or a fault that a suite reports outside any case.
#[derive(Debug, Clone, Copy)]
pub struct Case<'report> {
    element: &'report Element,
    suite: &'report Element,
    paths: Option<&'report PathMap>,
}

impl<'report> Case<'report> {
    /// The `testcase`, or the `failure` or `error` outside any case.
    #[must_use]
    pub const fn element(&self) -> &'report Element {
        self.element
    }

    /// The declared name of the case; that of the suite for a fault outside any case.
    #[must_use]
    pub fn name(&self) -> &'report str {
        let named = if self.element.is_fault() {
            self.suite
        } else {
            self.element
        };
        named.attribute("name").unwrap_or_default()
    }

    /// The declared class name, or nothing.
    #[must_use]
    pub fn class_name(&self) -> &'report str {
        self.element.attribute("classname").unwrap_or_default()
    }

    /// Whether it passed after an attempt that did not: it has a `flakyFailure` or a `flakyError`, as
    /// Surefire writes them and as the merged report has them for attempts that were lost.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        let mut children = self.element.elements();
        let lost =
            children.any(|child| matches!(child.name.as_str(), "flakyFailure" | "flakyError"));
        lost && self.outcome() == Outcome::Passed
    }

    /// Where to look for it in the sources, if the report says so: by the `file` attribute, else by
    /// the first lines of its fault.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        let unknown = PathMap::default();
        Location::of(self.element, self.suite, self.paths.unwrap_or(&unknown))
    }

    /// The declared source file.
    #[must_use]
    pub fn file(&self) -> Option<&'report str> {
        self.element.attribute("file")
    }

    /// The declared name of the suite in which the case stands, or nothing.
    #[must_use]
    pub fn suite_name(&self) -> &'report str {
        self.suite.attribute("name").unwrap_or_default()
    }

    /// The declared duration in seconds, where it can be understood.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        self.element.attribute("time").and_then(seconds::parse)
    }

    /// What became of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.element.name.as_str() {
            "failure" => Outcome::Failed,
            "error" => Outcome::Errored,
            _ => outcome_of(self.element),
        }
    }

    /// The message of its first failure or error: the attribute, else the first line of the text.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let fault = if self.element.is_fault() {
            self.element
        } else {
            self.element.elements().find(|child| child.is_fault())?
        };
        let message = fault
            .attribute("message")
            .filter(|message| !message.trim().is_empty());
        message.map(str::to_owned).or_else(|| {
            let text = fault.text();
            text.lines()
                .map(str::trim)
                .find(|line| !line.is_empty())
                .map(str::to_owned)
        })
    }
}

/// Something about a report that a person should know, and that is no reason to refuse it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A suite declares another number than its cases come to.
    DeclaredMismatch {
        /// The suite's declared name.
        suite: String,
        /// The attribute: `tests`, `failures`, `errors` or `skipped`.
        attribute: &'static str,
        /// The value that the attribute has.
        declared: String,
        /// What the cases come to, nested suites included.
        counted: u64,
    },
    /// Bytes that mean nothing in the document's encoding were replaced.
    BytesReplaced,
    /// A document type declaration was left out.
    DoctypeDropped,
    /// Text before or after the root element was left out.
    TextOutsideRoot,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeclaredMismatch {
                suite,
                attribute,
                declared,
                counted,
            } => write!(
                formatter,
                "testsuite `{suite}` declares {attribute}=`{declared}`, its cases come to `{counted}`"
            ),
            Self::BytesReplaced => {
                formatter.write_str("bytes that are no text in the declared encoding were replaced")
            }
            Self::DoctypeDropped => formatter.write_str("a document type declaration was left out"),
            Self::TextOutsideRoot => {
                formatter.write_str("text outside the root element was left out")
            }
        }
    }
}

/// A JUnit document that was read: everything in it, whether understood or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    root: Element,
    outside: Vec<Node>,
    notes: Vec<Note>,
    paths: Arc<PathMap>,
}

impl Report {
    pub(super) fn new(root: Element, outside: Vec<Node>, notes: Vec<Note>) -> Self {
        Self {
            root,
            outside,
            notes,
            paths: Arc::default(),
        }
    }

    /// Makes paths of the repository of the paths in the container that it was written in: those of
    /// `file` attributes at once, others when a case is [located](Case::location). To be done once.
    pub fn map_paths(&mut self, paths: &Arc<PathMap>) {
        paths.apply(&mut self.root);
        self.paths = Arc::clone(paths);
    }

    /// The root element: `testsuites` or `testsuite`.
    #[must_use]
    pub const fn root(&self) -> &Element {
        &self.root
    }

    /// The same, to be changed.
    pub(super) const fn root_mut(&mut self) -> &mut Element {
        &mut self.root
    }

    /// Comments and processing instructions before and after the root element.
    #[must_use]
    pub fn outside(&self) -> &[Node] {
        &self.outside
    }

    /// Every suite at any depth, outer before inner. A root `testsuites` is one of them only where
    /// it holds cases itself.
    #[must_use]
    pub fn suites(&self) -> Vec<Suite<'_>> {
        let mut suites = Vec::new();
        collect_suites(&self.root, &self.paths, &mut suites);
        suites
    }

    /// Every case at any depth, and every fault that a suite reports outside any case.
    #[must_use]
    pub fn cases(&self) -> Vec<Case<'_>> {
        self.suites().iter().flat_map(Suite::cases).collect()
    }

    /// What the cases come to, whatever the document declares.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.suites().iter().map(Suite::counts).sum()
    }

    /// What a person should know about the document, its declared counts that do not hold among it.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = self.notes.clone();
        mismatches(&self.root, &mut notes);
        notes
    }

    /// Passes every text and every attribute value through `replace`, which answers with another
    /// text or with nothing to leave it. Secrets are masked this way, after references are
    /// resolved.
    pub fn rewrite(&mut self, replace: &mut dyn FnMut(&str) -> Option<String>) {
        self.root.rewrite(replace);
        for node in &mut self.outside {
            rewrite_node(node, replace);
        }
    }
}

fn collect_suites<'report>(
    element: &'report Element,
    paths: &'report PathMap,
    suites: &mut Vec<Suite<'report>>,
) {
    let suite = Suite {
        element,
        paths: Some(paths),
    };
    if element.name == "testsuite" || suite.cases().next().is_some() {
        suites.push(suite);
    }
    for nested in element.elements().filter(|child| child.is_suite()) {
        collect_suites(nested, paths, suites);
    }
}

/// Compares what each suite declares with what its cases come to, nested suites included, since
/// that is how the tools that nest count.
fn mismatches(element: &Element, notes: &mut Vec<Note>) -> Counts {
    let position = notes.len();
    let mut counts = Suite::of(element).counts();
    for nested in element.elements().filter(|child| child.is_suite()) {
        counts += mismatches(nested, notes);
    }
    let pairs = [
        ("tests", counts.tests),
        ("failures", counts.failures),
        ("errors", counts.errors),
        ("skipped", counts.skipped),
    ];
    let mut own = Vec::new();
    for (attribute, counted) in pairs {
        let Some(declared) = element.attribute(attribute) else {
            continue;
        };
        if declared.trim().replace(',', "").parse() != Ok(counted) {
            own.push(Note::DeclaredMismatch {
                suite: element.attribute("name").unwrap_or_default().to_owned(),
                attribute,
                declared: declared.to_owned(),
                counted,
            });
        }
    }
    notes.splice(position..position, own);
    counts
}
