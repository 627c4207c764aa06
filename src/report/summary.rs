//! The outcome as a page of Markdown: for the summary of a step of GitHub Actions, an annotation of Buildkite, a comment, a chat. It
//! must never be longer than it is told: a summary that is too long is dropped as a whole.

use std::time::Duration;

use super::ci::annotations::{case_name, failing, fault};
use super::explanation;
use super::markdown::{block, folded, text};
use super::table::seconds;
use crate::junit::text::truncate_middle;
use crate::name::RunId;
use crate::outcome::{Failure, Outcome, SuiteOutcome, SuiteResult, leftover_hint};

/// Most bytes that a step's summary may have in all (GitHub Actions: 1 MiB; annotations of Buildkite: the same).
pub(super) const MOST: usize = 1 << 20;

/// Bytes that stay free for the note on what was left out.
const NOTE: usize = 512;

/// How many failing tests are shown with their details; of the others there is the message.
const DETAILED: usize = 50;

/// Longest message and longest details of a test, and longest output of a service, in bytes.
const LONGEST_MESSAGE: usize = 300;
const LONGEST_DETAILS: usize = 8 * 1024;
const LONGEST_OUTPUT: usize = 16 * 1024;

/// Text that grows up to a limit.
struct Page {
    text: String,
    room: usize,
}

impl Page {
    /// Appends all of a part or nothing of it.
    fn push(&mut self, part: &str) -> bool {
        let fits = self.text.len() + part.len() + NOTE <= self.room;
        if fits {
            self.text.push_str(part);
        }
        fits
    }
}

/// The page, in at most `room` bytes; nothing where there is no room for the least of it.
pub(super) fn page(project: &str, run: RunId, outcome: &Outcome, room: usize) -> String {
    let mut page = Page {
        text: String::new(),
        room,
    };
    let mut left_out = !page.push(&heading(project, run, outcome));
    if let Some(failure) = &outcome.failure {
        left_out |= !page.push(&environment(failure));
    }
    left_out |= !suites(&mut page, outcome);
    left_out |= !problems(&mut page, outcome);
    left_out |= !failures(&mut page, outcome);
    left_out |= !page.push(&timeline(outcome));
    if left_out && page.text.len() + NOTE <= room {
        page.text
            .push_str("\nThere is more than fits here: `junit.xml` has all of it.\n\n");
    }
    page.text
}

/// What teardown has left, if anything.
pub(super) fn leftovers(run: RunId, outcome: &Outcome) -> Option<String> {
    let report = outcome.teardown.as_ref()?;
    let lines = report.leftover_lines();
    (!lines.is_empty()).then(|| {
        format!(
            "### Something is left\n\n{}\nHint: {}\n\n",
            block(&truncate_middle(&lines.join("\n"), LONGEST_OUTPUT)),
            text(&leftover_hint(run))
        )
    })
}

fn heading(project: &str, run: RunId, outcome: &Outcome) -> String {
    let sign = match (outcome.signal, outcome.passed()) {
        (Some(_), _) => "⚪",
        (None, true) => "✅",
        (None, false) => "❌",
    };
    let passed = outcome.suites.iter().filter(|suite| suite.is_pass());
    let counts: crate::junit::Counts = outcome.suites.iter().map(|suite| suite.counts).sum();
    let verdict = super::outputs::result(outcome);
    let mut line = format!(
        "{} of {} suites passed, {} tests, {} failed",
        passed.count(),
        outcome.suites.len(),
        counts.tests,
        counts.failing()
    );
    let flaky = super::outputs::flaky(outcome);
    if flaky > 0 {
        line.push_str(&format!(", {flaky} flaky"));
    }
    format!(
        "## {sign} {}: {verdict}\n\n{line} in {}. Run `{run}`.\n\n",
        text(project),
        seconds(outcome.duration)
    )
}

/// Why there was no verdict of all suites.
fn environment(failure: &Failure) -> String {
    let mut part = format!(
        "### {}\n\n**{}**\n\n",
        match failure.service.as_ref() {
            Some(service) => format!("The environment: {}", text(service.as_str())),
            None => "The environment".to_owned(),
        },
        text(&failure.message)
    );
    if let Some(known) = &failure.explanation {
        let lines = explanation::lines(known).join("\n");
        part.push_str(&block(&truncate_middle(&lines, LONGEST_OUTPUT)));
        part.push('\n');
    }
    if let Some(hint) = &failure.hint {
        part.push_str(&format!("Hint: {}\n\n", text(hint)));
    }
    if !failure.log_tail.is_empty() {
        let tail = failure.log_tail.join("\n");
        let tail = block(&truncate_middle(&tail, LONGEST_OUTPUT));
        part.push_str(&folded("the end of its output", &tail));
    }
    part
}

fn word(result: SuiteResult) -> &'static str {
    match result {
        SuiteResult::Passed => "✅ passed",
        SuiteResult::Flaky => "⚠️ flaky",
        SuiteResult::Failed => "❌ failed",
        SuiteResult::NotRun => "⚪ not run",
    }
}

/// The table of the suites. Answers whether all of it has found room.
fn suites(page: &mut Page, outcome: &Outcome) -> bool {
    if outcome.suites.is_empty() {
        return true;
    }
    let header = "| suite | result | tests | failed | skipped | flaky | time |\n|---|---|--:|--:|--:|--:|--:|\n";
    let mut whole = page.push(header);
    for suite in &outcome.suites {
        let counts = suite.counts;
        let number = |number: u64| match suite.reports.is_empty() {
            true => "–".to_owned(),
            false => number.to_string(),
        };
        whole = whole
            && page.push(&format!(
                "| {} | {} | {} | {} | {} | {} | {} |\n",
                text(suite.name.as_str()),
                word(suite.result),
                number(counts.tests),
                number(counts.failing()),
                number(counts.skipped),
                number(counts.flaky),
                seconds(suite.duration)
            ));
    }
    whole & page.push("\n")
}

/// What speaks against suites apart from failing tests.
fn problems(page: &mut Page, outcome: &Outcome) -> bool {
    let mut whole = true;
    for suite in &outcome.suites {
        for problem in &suite.problems {
            let title = format!(
                "<b>{}</b>: {}",
                text(suite.name.as_str()),
                text(&problem.message)
            );
            let mut details = Vec::new();
            if let Some(known) = &suite.explanation {
                details.extend(explanation::lines(known));
            }
            details.extend(problem.details.lines().map(str::to_owned));
            details.extend(suite.output_tail.iter().cloned());
            let details = details.join("\n");
            let content = match details.trim().is_empty() {
                true => String::new(),
                false => block(&truncate_middle(&details, LONGEST_OUTPUT)),
            };
            whole = whole && page.push(&folded(&title, &content));
        }
    }
    whole
}

/// The failing tests.
fn failures(page: &mut Page, outcome: &Outcome) -> bool {
    let mut failing = outcome
        .suites
        .iter()
        .flat_map(failing)
        .enumerate()
        .peekable();
    if failing.peek().is_none() {
        return true;
    }
    let mut whole = page.push("### Failed tests\n\n");
    for (number, (suite, case)) in failing {
        let (message, details) = fault(&case);
        let title = title(suite, &case_name(&case), &message);
        let part = match number < DETAILED && !details.is_empty() {
            true => folded(&title, &block(&truncate_middle(&details, LONGEST_DETAILS))),
            false => format!("- {title}\n"),
        };
        whole = whole && page.push(&part);
        // Whoever reads it wants to know at once that it is not all.
        if !whole {
            break;
        }
    }
    whole & page.push("\n")
}

fn title(suite: &SuiteOutcome, name: &str, message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let message = truncate_middle(first, LONGEST_MESSAGE);
    let name = truncate_middle(name, LONGEST_MESSAGE);
    let message = match message.trim().is_empty() {
        true => String::new(),
        false => format!(": {}", text(&message)),
    };
    format!(
        "<b>{} {}</b>{message}",
        text(suite.name.as_str()),
        text(&name)
    )
}

/// How long everything has taken.
fn timeline(outcome: &Outcome) -> String {
    let row = |what: &str, duration: Duration, how: &str| {
        format!("| {} | {} | {how} |\n", text(what), seconds(duration))
    };
    let mut rows = String::new();
    for ready in &outcome.readiness {
        let how = match ready.problem {
            None => "ready",
            Some(_) => "not ready",
        };
        rows.push_str(&row(ready.service.as_str(), ready.duration, how));
    }
    for suite in &outcome.suites {
        rows.push_str(&row(
            suite.name.as_str(),
            suite.duration,
            word(suite.result),
        ));
    }
    if rows.is_empty() {
        return String::new();
    }
    folded(
        "how long everything took, from its start",
        &format!("| what | time | |\n|---|--:|---|\n{rows}"),
    )
}
