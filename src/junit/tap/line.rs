//! One line of the Test Anything Protocol: owns the grammar.
//!
//! It must never know what stood in another line.

use super::super::composed::Composed;

/// What a line says.
pub(super) enum Line<'line> {
    Version,
    Plan {
        count: usize,
        reason: Option<&'line str>,
    },
    Point(Point),
    BailOut(&'line str),
    Pragma,
    Subtest(&'line str),
    Comment(&'line str),
    /// The end of a subtest in braces.
    Close,
    Other,
}

/// A test as its line tells it, and what follows it.
#[derive(Debug, Default)]
pub(super) struct Point {
    pub(super) ok: bool,
    pub(super) number: Option<usize>,
    pub(super) description: String,
    pub(super) directive: Option<(Directive, String)>,
    pub(super) seconds: Option<f64>,
    /// The line ends with a brace: its subtests follow.
    pub(super) opens: bool,
    /// The lines of its YAML block, without their indentation.
    pub(super) diagnostics: String,
    /// Comments and output after it.
    pub(super) remarks: String,
    /// The cases of its subtests.
    pub(super) children: Vec<Composed>,
    pub(super) has_children: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directive {
    Skip,
    Todo,
}

impl Directive {
    pub(super) fn said(self, reason: &str) -> String {
        match (self, reason.trim()) {
            (Self::Skip, reason) => reason.to_owned(),
            (Self::Todo, "") => "TODO".to_owned(),
            (Self::Todo, reason) => format!("TODO: {reason}"),
        }
    }
}

/// What a line says, given without its indentation.
pub(super) fn parse(content: &str) -> Line<'_> {
    let content = content.trim_end();
    if let Some(rest) = content.strip_prefix("TAP version ") {
        if rest.trim().parse::<u32>().is_ok() {
            return Line::Version;
        }
        return Line::Other;
    }
    if let Some(rest) = content.strip_prefix('#') {
        let rest = rest.trim_start();
        return match rest.strip_prefix("Subtest:") {
            Some(name) => Line::Subtest(name),
            None => Line::Comment(content),
        };
    }
    if let Some(rest) = content.strip_prefix("1..") {
        return plan(rest).unwrap_or(Line::Other);
    }
    if content.len() >= 9
        && content.is_char_boundary(9)
        && content[..9].eq_ignore_ascii_case("bail out!")
    {
        return Line::BailOut(&content[9..]);
    }
    if let Some(rest) = content.strip_prefix("pragma ") {
        let is_pragma = rest.trim_start().starts_with(['+', '-']);
        return if is_pragma { Line::Pragma } else { Line::Other };
    }
    if content == "}" {
        return Line::Close;
    }
    let (ok, rest) = match (content.strip_prefix("ok"), content.strip_prefix("not ok")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Line::Other,
    };
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return Line::Other;
    }
    Line::Point(point(ok, rest))
}

fn plan(rest: &str) -> Option<Line<'_>> {
    let (count, reason) = match rest.split_once('#') {
        Some((count, reason)) => (count, Some(reason.trim())),
        None => (rest, None),
    };
    let reason = reason.map(|reason| {
        let head = reason
            .get(..4)
            .filter(|head| head.eq_ignore_ascii_case("skip"));
        let rest = head.map_or(reason, |_| &reason[4..]);
        rest.trim_start_matches(|c: char| c.is_alphabetic())
            .trim_start_matches(':')
            .trim()
    });
    let count = count.trim().parse().ok()?;
    Some(Line::Plan { count, reason })
}

/// What stands after `ok`.
fn point(ok: bool, rest: &str) -> Point {
    let mut rest = rest.trim();
    let opens = rest == "{" || rest.ends_with(" {");
    if opens {
        rest = rest[..rest.len() - 1].trim_end();
    }
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let after = &rest[digits..];
    let is_number = digits > 0 && (after.is_empty() || after.starts_with([' ', '\t']));
    let number = is_number.then(|| rest[..digits].parse().ok()).flatten();
    if number.is_some() {
        rest = after.trim_start();
    }
    let rest = rest
        .strip_prefix("- ")
        .unwrap_or(if rest == "-" { "" } else { rest });
    let (description, said) = split(rest);
    let mut point = Point {
        ok,
        number,
        description: unescaped(description.trim()),
        opens,
        ..Point::default()
    };
    match said {
        Some(Said::Directive(directive, reason)) => point.directive = Some((directive, reason)),
        Some(Said::Seconds(seconds)) => point.seconds = Some(seconds),
        None => {}
    }
    point
}

/// What stands after a `#`.
enum Said {
    Directive(Directive, String),
    Seconds(f64),
}

fn said(text: &str) -> Option<Said> {
    let text = text.trim();
    let word = |word: &str| {
        let head = text.get(..word.len())?;
        head.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
    };
    // `# skipped`, too.
    if let Some(rest) = word("skip") {
        let reason = rest.trim_start_matches(|c: char| c.is_alphabetic());
        return Some(Said::Directive(Directive::Skip, plain_reason(reason)));
    }
    let todo = word("todo").filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
    if let Some(reason) = todo {
        return Some(Said::Directive(Directive::Todo, plain_reason(reason)));
    }
    time(text).map(Said::Seconds)
}

fn plain_reason(reason: &str) -> String {
    reason
        .trim()
        .trim_start_matches([':', '-'])
        .trim()
        .to_owned()
}

/// `time=12.5ms`, as node-tap has it.
fn time(said: &str) -> Option<f64> {
    let value = said.strip_prefix("time=")?.split_whitespace().next()?;
    let (number, factor) = match (value.strip_suffix("ms"), value.strip_suffix('s')) {
        (Some(number), _) => (number, 0.001),
        (_, Some(number)) => (number, 1.0),
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * factor)
}

/// The description, and what stands after the first `#` that is not escaped and begins something.
fn split(rest: &str) -> (&str, Option<Said>) {
    let mut escaped = false;
    for (position, character) in rest.char_indices() {
        if character == '#'
            && !escaped
            && let Some(said) = said(&rest[position + 1..])
        {
            return (&rest[..position], Some(said));
        }
        escaped = character == '\\' && !escaped;
    }
    (rest, None)
}

fn unescaped(text: &str) -> String {
    text.replace("\\#", "#").replace("\\\\", "\\")
}
