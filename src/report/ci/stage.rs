//! Events as pieces: which of them stand in a part of the log that is folded, and which are seen at once. It must never fold away
//! why a run has failed.

use std::path::Path;
use std::time::Duration;

use super::{Group, Piece, Tone};
use crate::event::Event;
use crate::outcome::SuiteResult;
use crate::report::{plain, pulls::Pacing, table};

/// What is being shown.
#[derive(Default)]
pub(super) struct Stage {
    pacing: Pacing,
    /// The environment begins to start, and nothing else has come in between.
    starts: bool,
}

impl Stage {
    /// What an event is worth, `elapsed` after the start of the run.
    pub(super) fn pieces(
        &mut self,
        elapsed: Duration,
        event: &Event,
        directory: &Path,
    ) -> Vec<Piece> {
        if !self.pacing.allows(elapsed, event) {
            return Vec::new();
        }
        let timed = |tone: Tone, line: String| {
            Piece::Line(tone, format!("{:>8.3}s  {line}", elapsed.as_secs_f64()))
        };
        let own = |tone: Tone, event: &Event| -> Vec<Piece> {
            let lines = plain::lines(event, directory).into_iter();
            lines.map(|line| timed(tone, line)).collect()
        };
        let mut pieces = Vec::new();
        match event {
            Event::RunStarted { .. } => {
                pieces.extend(own(Tone::Plain, event));
                pieces.push(Piece::Open(folded("the environment starts")));
                self.starts = true;
            }
            Event::SuiteStarted { .. } => {
                if std::mem::take(&mut self.starts) {
                    pieces.push(Piece::Close);
                    pieces.push(Piece::Heading(shown("the suites run")));
                }
                pieces.extend(own(Tone::Plain, event));
            }
            Event::SuiteFinished {
                suite,
                result,
                output_tail,
                exit,
                ..
            } => {
                self.leave(&mut pieces);
                let tone = match result {
                    SuiteResult::Passed => Tone::Good,
                    SuiteResult::Failed => Tone::Bad,
                    SuiteResult::Flaky | SuiteResult::NotRun => Tone::Caution,
                };
                let mut without_tail = event.clone();
                if let Event::SuiteFinished {
                    output_tail, exit, ..
                } = &mut without_tail
                {
                    // Where the whole output is comes after the end of it.
                    output_tail.clear();
                    *exit = None;
                }
                pieces.extend(own(tone, &without_tail));
                tail(&mut pieces, suite.as_str(), output_tail);
                let has_passed = matches!(result, SuiteResult::Passed | SuiteResult::Flaky);
                if !has_passed && exit.is_some() {
                    pieces.push(timed(Tone::Plain, plain::whole_output(directory, suite)));
                }
            }
            Event::SuiteRetried {
                suite, output_tail, ..
            } => {
                self.leave(&mut pieces);
                let mut without_tail = event.clone();
                if let Event::SuiteRetried { output_tail, .. } = &mut without_tail {
                    output_tail.clear();
                }
                pieces.extend(own(Tone::Caution, &without_tail));
                tail(&mut pieces, suite.as_str(), output_tail);
            }
            Event::RunAborted { failure } => {
                self.leave(&mut pieces);
                let mut without_tail = failure.clone();
                without_tail.log_tail = Vec::new();
                let aborted = Event::RunAborted {
                    failure: without_tail,
                };
                pieces.push(Piece::Heading(shown("the run is aborted")));
                pieces.extend(own(Tone::Bad, &aborted));
                let about = failure.service.as_ref();
                let title = about.map_or("the engine", |service| service.as_str());
                tail(&mut pieces, title, &failure.log_tail);
                if let (Some(service), false) = (about, failure.log_tail.is_empty()) {
                    pieces.push(timed(Tone::Plain, plain::whole_output(directory, service)));
                }
            }
            Event::SignalReceived { .. } => {
                self.leave(&mut pieces);
                pieces.extend(own(Tone::Caution, event));
            }
            Event::Verdict { summary } => {
                self.leave(&mut pieces);
                pieces.push(Piece::Heading(shown("the verdict")));
                let tone = match summary.passed {
                    true => Tone::Good,
                    false => Tone::Bad,
                };
                let text = table::render(summary);
                let last = text.trim_end().lines().count().saturating_sub(1);
                pieces.extend(text.trim_end().lines().enumerate().map(|(number, line)| {
                    let tone = if number == last { tone } else { Tone::Plain };
                    Piece::Line(tone, line.to_owned())
                }));
            }
            Event::TeardownStarted => {
                self.starts = false;
                pieces.push(Piece::Open(folded("teardown")));
            }
            Event::TeardownFinished { report, .. } => {
                if !report.left.is_empty() {
                    pieces.push(Piece::Close);
                }
                let tone = match report.left.is_empty() {
                    true => Tone::Plain,
                    false => Tone::Caution,
                };
                pieces.extend(own(tone, event));
                pieces.push(Piece::Close);
            }
            Event::Held { .. } | Event::RunFinished { .. } => {
                self.leave(&mut pieces);
                pieces.extend(own(Tone::Plain, event));
            }
            Event::Warning { .. } | Event::FaultStays { .. } => {
                pieces.extend(own(Tone::Caution, event));
            }
            Event::ServiceDied { .. } => pieces.extend(own(Tone::Bad, event)),
            _ => pieces.extend(own(Tone::Plain, event)),
        }
        pieces
    }

    /// Ends what is folded.
    fn leave(&mut self, pieces: &mut Vec<Piece>) {
        self.starts = false;
        pieces.push(Piece::Close);
    }
}

/// The last lines of the output of somebody else, in a part of their own.
fn tail(pieces: &mut Vec<Piece>, of: &str, output: &[String]) {
    if output.is_empty() {
        return;
    }
    pieces.push(Piece::Open(folded(&format!("{of}: the end of its output"))));
    let lines = output.iter();
    pieces.extend(lines.map(|line| Piece::Foreign(format!("{of} | {line}"))));
    pieces.push(Piece::Close);
}

fn folded(title: &str) -> Group {
    Group {
        title: title.to_owned(),
        is_open: false,
    }
}

fn shown(title: &str) -> Group {
    Group {
        title: title.to_owned(),
        is_open: true,
    }
}
