//! Problems of a configuration, and how they are shown.
//!
//! Owns the text that a person reads: message, file, line, caret and help. It never decides what is
//! a problem, and its output depends on nothing but the problems, the width and the colour asked
//! for.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, Severity as MietteSeverity, SourceCode, SourceSpan, SpanContents,
};

use super::source::{Place, Source, clean};

/// A line longer than this (bytes) is not shown with a caret: it would flood the terminal.
const MAX_SHOWN_LINE: usize = 1000;
/// At most this many problems are kept; the rest are only counted, so that a hostile file stays
/// cheap.
const MAX_PROBLEMS: usize = 500;
/// At most this many places are marked for one problem that occurs in many places.
const MAX_LABELS: usize = 12;

/// How grave a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The project loads; something in it is not as the user may think.
    Warning,
    /// The project does not load.
    Error,
}

/// A marked place with a short text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What is there; may be empty.
    pub text: String,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How grave it is.
    pub severity: Severity,
    /// Lower case, no full stop, values in backticks.
    pub message: String,
    /// The places, most important first; empty when the problem is in no file (a missing file).
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// An error without a place.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    /// A warning without a place.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// Adds a place without a text of its own.
    #[must_use]
    pub fn at(self, place: &Place) -> Self {
        self.label(place, "")
    }

    /// Adds a place with a text.
    #[must_use]
    pub fn label(mut self, place: &Place, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            place: place.clone(),
            text: text.into(),
        });
        self
    }

    /// Sets the help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The most important place.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.labels.first().map(|label| &label.place)
    }

    /// The name of the file of the most important place.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.place().map(|place| place.source().name())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place() {
            write!(
                formatter,
                "{}:{}:{}: ",
                place.source().name(),
                place.line(),
                place.column()
            )?;
        }
        formatter.write_str(&self.message)
    }
}

/// All problems of one load, in the order in which they are shown: warnings, then errors, each by
/// place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    /// Errors and warnings beyond the limit, which are only counted.
    dropped: [usize; 2],
    /// Places whose value is known to be wrong, by file and start.
    silenced: HashSet<(usize, usize)>,
}

impl From<Vec<Problem>> for Problems {
    fn from(list: Vec<Problem>) -> Self {
        let mut problems = Self {
            list,
            ..Self::default()
        };
        problems.sort();
        problems
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    /// One line for each problem, without source text.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(formatter, "{problem}")?;
        }
        formatter.write_str(&self.count_line())
    }
}

impl Problems {
    /// Drops all problems to come that start at this place: one problem with a value is enough, and
    /// what the readers say of the value that stands in for it would only mislead.
    pub(super) fn silence(&mut self, place: &Place) {
        self.silenced.insert(place.key());
    }

    /// Whether the value at this place is known to be wrong.
    pub(super) fn is_silenced(&self, place: &Place) -> bool {
        self.silenced.contains(&place.key())
    }

    /// Adds a problem. Past the limit it is only counted.
    pub(super) fn push(&mut self, problem: Problem) {
        if problem
            .place()
            .is_some_and(|place| self.silenced.contains(&place.key()))
        {
            return;
        }
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(problem);
        } else if let Some(count) = self
            .dropped
            .get_mut(usize::from(problem.severity == Severity::Warning))
        {
            *count += 1;
        }
    }

    /// Adds a warning that many places share: places with the same message become labels of one
    /// problem.
    pub(super) fn push_shared(&mut self, problem: Problem) {
        let same = self.list.iter_mut().find(|other| {
            other.severity == problem.severity
                && other.message == problem.message
                && other.file() == problem.file()
        });
        match same {
            Some(other) => {
                for label in problem.labels {
                    if other.labels.len() < MAX_LABELS && !other.labels.contains(&label) {
                        other.labels.push(label);
                    }
                }
            }
            None => self.push(problem),
        }
    }

    /// True when further problems will only be counted, so that their details are not worth the
    /// work.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_PROBLEMS
    }

    /// Puts the problems into the order in which they are shown.
    pub(super) fn sort(&mut self) {
        self.list.sort_by(|left, right| {
            left.severity
                .cmp(&right.severity)
                .then_with(|| match (left.place(), right.place()) {
                    (Some(left), Some(right)) => left.order(right),
                    (left, right) => left.is_some().cmp(&right.is_some()),
                })
        });
    }

    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// The problems as a list.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.list
    }

    /// True when there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Number of problems of one severity, those beyond the limit included.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let dropped = self
            .dropped
            .get(usize::from(severity == Severity::Warning))
            .copied()
            .unwrap_or(0);
        self.list
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
            + dropped
    }

    /// True when the project cannot be loaded.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// The whole text: each problem with file, line, caret and help, and a last line with the
    /// counts. `width` is in columns.
    #[must_use]
    pub fn render(&self, colour: bool, width: usize) -> String {
        let theme = if colour {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width.max(40))
            .with_links(false)
            .without_cause_chain()
            .without_syntax_highlighting()
            .with_context_lines(1);
        let mut text = String::new();
        for problem in &self.list {
            let rendered = Rendered::new(problem);
            let start = text.len();
            if handler.render_report(&mut text, &rendered).is_err() {
                // The handler can only fail on its writer or on a span out of bounds; the plain
                // line still says everything.
                text.truncate(start);
                text.push_str(&clean(&problem.to_string()));
                text.push('\n');
            }
            if !text.ends_with("\n\n") {
                text.push('\n');
            }
        }
        text.push_str(&self.count_line());
        text.push('\n');
        // The handler pads lines to the end; trailing blanks only disturb whoever compares or
        // copies.
        text.lines()
            .map(str::trim_end)
            .flat_map(|line| [line, "\n"])
            .collect()
    }

    fn count_line(&self) -> String {
        let part = |count: usize, noun: &str| match count {
            0 => None,
            1 => Some(format!("1 {noun}")),
            more => Some(format!("{more} {noun}s")),
        };
        let parts = [
            part(self.count(Severity::Error), "error"),
            part(self.count(Severity::Warning), "warning"),
            part(self.dropped.iter().sum(), "more problem").map(|text| format!("{text} not shown")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            "no problems".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

/// A problem in the shape that the report handler takes.
#[derive(Debug)]
struct Rendered {
    severity: MietteSeverity,
    message: String,
    help: Option<String>,
    source: Option<Lines>,
    labels: Vec<LabeledSpan>,
    related: Vec<Rendered>,
}

impl Rendered {
    fn new(problem: &Problem) -> Self {
        let mut rendered = Self {
            severity: match problem.severity {
                Severity::Error => MietteSeverity::Error,
                Severity::Warning => MietteSeverity::Warning,
            },
            message: clean(&problem.message),
            help: problem.help.as_deref().map(clean),
            source: None,
            labels: Vec::new(),
            related: Vec::new(),
        };
        for label in &problem.labels {
            let place = label.place.first_line();
            let source = place.source();
            let line = source.line_range(source.line_of(place.range().start));
            if line.len() > MAX_SHOWN_LINE {
                let position = format!(" ({}:{}:{})", source.name(), place.line(), place.column());
                rendered.message.push_str(&clean(&position));
                continue;
            }
            let text = Some(clean(&label.text)).filter(|text| !text.is_empty());
            let span = LabeledSpan::new(text, place.range().start, place.range().len());
            rendered.mark(source, span);
        }
        rendered
    }

    /// Marks a place; places in another file than the first become a note of their own.
    fn mark(&mut self, source: &Arc<Source>, span: LabeledSpan) {
        let neighbours = self.severity == MietteSeverity::Error;
        let is_same = |lines: &Option<Lines>| {
            lines
                .as_ref()
                .is_none_or(|lines| Arc::ptr_eq(&lines.source, source))
        };
        if is_same(&self.source) {
            self.source = Some(Lines {
                source: Arc::clone(source),
                neighbours,
            });
            self.labels.push(span);
        } else if let Some(note) = self.related.iter_mut().find(|note| is_same(&note.source)) {
            note.labels.push(span);
        } else {
            self.related.push(Self {
                severity: MietteSeverity::Advice,
                message: format!("see also `{}`", clean(source.name())),
                help: None,
                source: Some(Lines {
                    source: Arc::clone(source),
                    neighbours,
                }),
                labels: vec![span],
                related: Vec::new(),
            });
        }
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Rendered {}

impl Diagnostic for Rendered {
    fn severity(&self) -> Option<MietteSeverity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            None
        } else {
            Some(Box::new(self.labels.iter().cloned()))
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.related.is_empty() {
            return None;
        }
        Some(Box::new(
            self.related.iter().map(|note| note as &dyn Diagnostic),
        ))
    }
}

/// The source text as the handler asks for it: whole lines, found by the line index instead of by a
/// scan of the whole file for each label.
#[derive(Debug)]
struct Lines {
    source: Arc<Source>,
    /// Shows the lines around; warnings do without, since they often mark many places.
    neighbours: bool,
}

impl SourceCode for Lines {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let source = &self.source;
        let place = source.place(span.offset()..span.offset() + span.len());
        let first = source.line_of(place.range().start);
        let last = source.line_of(place.range().end);
        let name = source.name().to_owned();
        if lines_before == 0 && lines_after == 0 {
            // Without context the handler only asks for the position of the span.
            let data = source
                .shown()
                .get(place.range())
                .ok_or(MietteError::OutOfBounds)?;
            let column = place.column() - 1;
            let span = (place.range().start, data.len()).into();
            let lines = last - first;
            let data = data.as_bytes();
            return Ok(Box::new(MietteSpanContents::new_named(
                name, data, span, first, column, lines,
            )));
        }
        // A neighbour is shown only when it is a line for people.
        let shows = |line: usize| {
            self.neighbours && (1..=MAX_SHOWN_LINE).contains(&source.line_range(line).len())
        };
        let from = if first > 0 && shows(first - 1) {
            first - 1
        } else {
            first
        };
        let to = if shows(last + 1) { last + 1 } else { last };
        let range = source.line_range(from).start..source.line_range(to).end;
        let data = source
            .shown()
            .get(range.clone())
            .ok_or(MietteError::OutOfBounds)?;
        let span = (range.start, data.len()).into();
        Ok(Box::new(MietteSpanContents::new_named(
            name,
            data.as_bytes(),
            span,
            from,
            0,
            to - from,
        )))
    }
}
