//! The Test Anything Protocol, versions 12 to 14: owns what of a stream is a test, and when a stream
//! lies.
//!
//! A stream lies when its plan is missing, or names another number of tests than there are, or when it
//! stops half-way: then a case of its own says so, as an error. It must never take a test that was
//! planned and did not run, or one that is `TODO`, for a pass.

mod line;

use std::collections::HashSet;

use self::line::{Directive, Line, Point, parse};
use super::composed::{Composed, Fault, Verdict, output};
use super::decode::decode;
use super::read::{MAX_DOCUMENT, ReadError};
use super::tree::{Element, Node, Note, Report};

/// Most tests of one stream.
pub const MOST_TESTS: usize = 1_000_000;

/// Deepest nesting of subtests; deeper lines are plain output.
const DEEPEST: usize = 64;

/// Stands for the name of a subtest that is not known yet: no line of a stream holds a line break.
const UNNAMED: &str = "\n";

/// What a subtest is indented by.
const INDENT: usize = 4;

/// Reads a stream. `class_name` is the class of the tests that stand in no subtest.
///
/// # Errors
/// The stream is empty, too large, or holds neither a plan nor a test.
pub fn read(bytes: &[u8], class_name: &str) -> Result<Report, ReadError> {
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
    let mut stream = Stream::new(class_name);
    for line in decoded.text.split('\n') {
        stream.line(line.strip_suffix('\r').unwrap_or(line));
        if stream.tests > MOST_TESTS {
            return Err(ReadError::TooManyTests { limit: MOST_TESTS });
        }
    }
    let mut notes = Vec::new();
    if decoded.replaced {
        notes.push(Note::BytesReplaced);
    }
    stream.finish(notes)
}

/// One level of tests.
#[derive(Debug, Default)]
struct Level {
    name: String,
    points: Vec<Point>,
    plan: Option<(usize, Option<String>)>,
    /// What is wrong with it.
    lies: Vec<String>,
    /// The cases of a subtest whose own line is still to come.
    pending: Option<Vec<Composed>>,
    /// The name that the next subtest is given by a comment.
    announced: Option<String>,
}

struct Stream {
    class_name: String,
    /// The levels that are open, the outermost first.
    levels: Vec<Level>,
    /// The indentation of the YAML block that is open.
    block: Option<usize>,
    bail_out: Option<String>,
    outside: String,
    tests: usize,
    is_tap: bool,
}

impl Stream {
    fn new(class_name: &str) -> Self {
        Self {
            class_name: class_name.to_owned(),
            levels: vec![Level::default()],
            block: None,
            bail_out: None,
            outside: String::new(),
            tests: 0,
            is_tap: false,
        }
    }

    fn line(&mut self, line: &str) {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if let Some(block) = self.block {
            if indent == block && content.trim_end() == "..." {
                self.block = None;
                return;
            }
            // A block that is never closed must not swallow the tests after it.
            let ends =
                indent < block && matches!(parse(content), Line::Point(_) | Line::Plan { .. });
            if !ends {
                let content = line.get(block.min(indent)..).unwrap_or(content);
                return self.diagnostic(content);
            }
            self.block = None;
        }
        let current = (self.levels.len() - 1) * INDENT;
        if indent == current + 2 && content.trim_end() == "---" && self.has_point() {
            self.block = Some(indent);
            return;
        }
        if !indent.is_multiple_of(INDENT) || indent > current + INDENT {
            return self.other(line);
        }
        let said = parse(content);
        if matches!(said, Line::Other) {
            return self.other(line);
        }
        if indent > current {
            // A comment alone opens no level, unless it announces a subtest.
            if matches!(said, Line::Comment(_) | Line::Close) || self.levels.len() > DEEPEST {
                return self.other(line);
            }
            let level = self.level();
            let name = level.announced.take();
            let name = name.or_else(|| {
                level
                    .points
                    .last()
                    .filter(|point| point.opens)
                    .map(|point| point.description.clone())
            });
            self.levels.push(Level {
                name: name.unwrap_or_default(),
                ..Level::default()
            });
        }
        while (self.levels.len() - 1) * INDENT > indent {
            self.close();
        }
        self.say(said, content);
    }

    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn has_point(&self) -> bool {
        self.levels
            .last()
            .is_some_and(|level| !level.points.is_empty())
    }

    fn diagnostic(&mut self, content: &str) {
        if let Some(point) = self.level().points.last_mut() {
            point.diagnostics.push_str(content);
            point.diagnostics.push('\n');
        }
    }

    /// A line that is no part of the protocol: the output of a test.
    fn other(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        self.outside.push_str(line);
        self.outside.push('\n');
    }

    fn say(&mut self, said: Line<'_>, content: &str) {
        match said {
            Line::Version => self.is_tap = true,
            Line::Pragma | Line::Close | Line::Other => {}
            Line::Plan { count, reason } => {
                self.is_tap = true;
                let reason = reason.map(str::to_owned);
                let level = self.level();
                if level.plan.is_some() {
                    level.lies.push(format!("a second plan: `{content}`"));
                } else {
                    level.plan = Some((count, reason));
                }
            }
            Line::Point(mut point) => {
                self.is_tap = true;
                self.tests += 1;
                let level = self.level();
                level.announced = None;
                if let Some(children) = level.pending.take() {
                    point.children = named(children, &point.description);
                    point.has_children = true;
                }
                level.points.push(point);
            }
            Line::BailOut(reason) => {
                self.is_tap = true;
                // A subtest bails out for all that is around it, which say so again.
                self.bail_out
                    .get_or_insert_with(|| reason.trim().to_owned());
            }
            Line::Subtest(name) => {
                let name = name.trim().to_owned();
                // Within the indentation of the subtest it names the level itself.
                let nested = self.levels.len() > 1;
                let level = self.level();
                if nested
                    && level.points.is_empty()
                    && level.plan.is_none()
                    && level.name.is_empty()
                {
                    level.name = name;
                } else {
                    level.announced = Some(name);
                }
            }
            Line::Comment(comment) => match self.level().points.last_mut() {
                Some(point) => {
                    point.remarks.push_str(comment);
                    point.remarks.push('\n');
                }
                None => self.other(content),
            },
        }
    }

    /// Ends the innermost level: its cases belong to the test that follows it, or to the one that
    /// opened it.
    fn close(&mut self) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        let mut path: Vec<&str> = vec![&self.class_name];
        path.extend(self.levels.iter().skip(1).map(|level| level.name.as_str()));
        // One that nothing announced has the name of the test that follows it.
        path.push(match level.name.is_empty() {
            true => UNNAMED,
            false => &level.name,
        });
        path.retain(|name| !name.is_empty());
        let class_name = path.join(" > ");
        let bailed_out = self.bail_out.is_some();
        let cases = level.cases(&class_name, bailed_out);
        let parent = self.level();
        match parent.points.last_mut().filter(|point| point.opens) {
            Some(point) => {
                point.opens = false;
                point.has_children = true;
                point.children = named(cases, &point.description);
            }
            None => parent.pending.get_or_insert_default().extend(cases),
        }
    }

    fn finish(mut self, notes: Vec<Note>) -> Result<Report, ReadError> {
        while self.levels.len() > 1 {
            self.close();
        }
        if !self.is_tap {
            return Err(ReadError::NotTests { format: "TAP" });
        }
        let class_name = std::mem::take(&mut self.class_name);
        let bail_out = self.bail_out.take();
        let mut cases = Vec::new();
        if let Some(mut level) = self.levels.pop() {
            if let Some(orphans) = level.pending.take() {
                cases.extend(named(orphans, "subtest"));
                if bail_out.is_none() {
                    level
                        .lies
                        .push("the stream ends inside a subtest".to_owned());
                }
            }
            cases.extend(level.cases(&class_name, bail_out.is_some()));
        }
        if let Some(reason) = bail_out {
            let message = match reason.is_empty() {
                true => "Bail out!".to_owned(),
                false => format!("Bail out! {reason}"),
            };
            cases.push(error(&class_name, "Bail out!", "BailOut", message));
        }
        let mut suite = Element::new("testsuite");
        let elements = cases.into_iter().map(Composed::element);
        suite.children = elements.map(Node::Element).collect();
        if !self.outside.is_empty() {
            suite.children.push(Node::Element(output(&self.outside)));
        }
        Ok(Report::new(suite, Vec::new(), notes))
    }
}

/// Puts the name of a subtest where it was not known yet.
fn named(mut cases: Vec<Composed>, name: &str) -> Vec<Composed> {
    let name = if name.is_empty() { "subtest" } else { name };
    for case in &mut cases {
        case.class_name = case.class_name.replace(UNNAMED, name);
    }
    cases
}

impl Level {
    /// The tests of a level as cases, and what is wrong with it.
    fn cases(mut self, class_name: &str, bailed_out: bool) -> Vec<Composed> {
        let mut seen = HashSet::new();
        for (index, point) in self.points.iter_mut().enumerate() {
            let number = *point.number.get_or_insert(index + 1);
            if !seen.insert(number) {
                self.lies
                    .push(format!("test {number} is there more than once"));
            }
        }
        let ran = self.points.len();
        match &self.plan {
            Some((0, reason)) if ran == 0 => {
                let reason = reason.clone().unwrap_or_default();
                return vec![Composed {
                    class_name: class_name.to_owned(),
                    name: "all tests".to_owned(),
                    verdict: Verdict::Skipped(reason),
                    ..Composed::default()
                }];
            }
            // Who bails out says why there are fewer.
            Some((planned, _)) if *planned > ran && bailed_out => {}
            Some((planned, _)) if *planned != ran => {
                self.lies
                    .push(format!("{planned} tests were planned, and {ran} ran"));
            }
            Some((planned, _)) => {
                if let Some(number) = seen
                    .iter()
                    .find(|number| **number == 0 || *number > planned)
                {
                    self.lies.push(format!(
                        "test {number} is not one of the {planned} planned ones"
                    ));
                }
            }
            None if bailed_out => {}
            None => self.lies.push(format!(
                "there is no plan, and {ran} tests ran: the stream may have stopped early"
            )),
        }
        let mut cases = Vec::new();
        for point in self.points {
            point.cases(class_name, &mut cases);
        }
        if !self.lies.is_empty() {
            cases.push(error(class_name, "TAP plan", "Plan", self.lies.join("; ")));
        }
        cases
    }
}

fn error(class_name: &str, name: &str, kind: &'static str, message: String) -> Composed {
    Composed {
        class_name: class_name.to_owned(),
        name: name.to_owned(),
        verdict: Verdict::Errored(Fault {
            kind,
            details: message.clone(),
            message,
        }),
        ..Composed::default()
    }
}

impl Point {
    /// The test as a case. One with subtests is made of those, unless it failed and none of them says
    /// why.
    fn cases(mut self, class_name: &str, cases: &mut Vec<Composed>) {
        let failing =
            |case: &Composed| matches!(case.verdict, Verdict::Failed(_) | Verdict::Errored(_));
        if self.has_children {
            let mut children = std::mem::take(&mut self.children);
            if let Some((directive, reason)) = &self.directive {
                // What holds for the test as a whole holds for what it is made of.
                for child in children.iter_mut().filter(|child| failing(child)) {
                    child.verdict = Verdict::Skipped(directive.said(reason));
                }
            }
            let told = self.ok || children.iter().any(failing);
            let is_empty = children.is_empty();
            cases.append(&mut children);
            if !is_empty && (told || self.directive.is_some()) {
                return;
            }
        }
        let number = self.number.unwrap_or_default();
        let name = match self.description.is_empty() {
            true => format!("test {number}"),
            false => self.description.clone(),
        };
        let verdict = match (&self.directive, self.ok) {
            (Some((Directive::Todo, _)), true) | (None, true) => Verdict::Passed,
            (Some((directive, reason)), _) => Verdict::Skipped(directive.said(reason)),
            (None, false) => Verdict::Failed(self.fault(&name)),
        };
        let output = match verdict {
            Verdict::Failed(_) => String::new(),
            _ => format!("{}{}", self.diagnostics, self.remarks),
        };
        cases.push(Composed {
            class_name: class_name.to_owned(),
            name,
            seconds: self.seconds.or_else(|| duration(&self.diagnostics)),
            verdict,
            output,
        });
    }

    fn fault(&self, name: &str) -> Fault {
        let said = ["message", "error"]
            .iter()
            .find_map(|key| value(&self.diagnostics, key));
        let remark = || {
            let remarks = self.remarks.lines();
            let mut remarks = remarks.map(|line| line.trim_start_matches('#').trim());
            remarks.find(|line| !line.is_empty()).map(str::to_owned)
        };
        Fault {
            kind: "not ok",
            message: said
                .or_else(remark)
                .unwrap_or_else(|| format!("not ok: {name}")),
            details: format!("{}{}", self.diagnostics, self.remarks),
        }
    }
}

/// The value of a key at the beginning of a line of a YAML block. The block is for people; no more of
/// it is understood than this.
fn value(diagnostics: &str, key: &str) -> Option<String> {
    let mut lines = diagnostics.lines();
    while let Some(line) = lines.next() {
        let Some(value) = line
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(':'))
        else {
            continue;
        };
        let value = value.trim();
        if matches!(value.trim_end_matches(['-', '+']), "|" | ">") {
            let block = lines.map(str::trim).find(|line| !line.is_empty());
            return block.map(str::to_owned);
        }
        let value = value.trim_matches(['"', '\'']);
        return (!value.is_empty()).then(|| value.to_owned());
    }
    None
}

/// How long a test took, as Node.js tells it.
fn duration(diagnostics: &str) -> Option<f64> {
    let milliseconds: f64 = value(diagnostics, "duration_ms")?.parse().ok()?;
    (milliseconds.is_finite() && milliseconds >= 0.0).then_some(milliseconds / 1000.0)
}
