//! What the job that a run is a part of is told of the outcome: annotations, tests, values for later steps, a summary. It must never
//! hold up teardown, and what it cannot write is a problem like that of any other report.

use std::io::Write as _;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ci::annotations;
use super::ci::place::Places;
use super::ci::{Piece, Screen};
use super::directory::{OUTPUTS, absolute};
use super::outputs::{self, Output};
use super::problem::{FileProblem, summary as problem_lines};
use super::writer::Writer;
use super::{agent, outside, summary};
use crate::ci::{Ci, Provider};
use crate::exit_code::ExitCode;
use crate::name::RunId;
use crate::outcome::Outcome;

/// Where a run is shown apart from its own directory.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The CI system around this process.
    pub ci: Option<Ci>,
    /// The one in whose words the run is told; `None`: in no system's.
    pub shown: Option<Provider>,
    /// A file that the Markdown summary is written to.
    pub summary: Option<PathBuf>,
    /// What the CI system is told never to show, one value or line each.
    pub secrets: Vec<String>,
}

impl Surroundings {
    /// The CI system, if the run is told in its words: nobody else is told anything by its files.
    fn told(&self) -> Option<&Ci> {
        self.ci
            .as_ref()
            .filter(|ci| self.shown == Some(ci.provider))
    }
}

/// Tells the job how a run has ended that has never begun: there is nothing to say but its exit code.
///
/// # Errors
/// It cannot be written.
pub async fn tell_ending(around: &Surroundings, code: ExitCode) -> Result<(), String> {
    let outputs = outputs::of_code(code);
    if let Some(mut screen) = around
        .shown
        .and_then(|provider| Screen::new(provider, false))
    {
        let pieces: Vec<Piece> = outputs.iter().cloned().map(Piece::Output).collect();
        // A closed standard output is no reason to fail.
        let _ = std::io::stdout().write_all(screen.pieces(&pieces).as_bytes());
    }
    let path = around.told().and_then(|ci| ci.step_outputs.clone());
    let written = match path {
        Some(path) => outside::append(path, heredoc(&outputs)).await,
        None => Ok(()),
    };
    written.map_err(|problem| problem_lines(&[problem]).join("\n"))
}

/// The lines of `$GITHUB_OUTPUT`.
fn heredoc(values: &[Output]) -> String {
    let delimiter = format!("envrun-{}", RunId::random().digits());
    outputs::github(values, &delimiter)
}

/// The job of a run.
pub(super) struct Job {
    surroundings: Surroundings,
    project: String,
    run: RunId,
    /// The output directory, as an absolute path.
    out: PathBuf,
    places: Places,
    told: Mutex<Told>,
}

/// What the job was told already.
#[derive(Default)]
struct Told {
    verdict: bool,
    outputs: Vec<Output>,
    /// What could not be written.
    problems: Vec<FileProblem>,
}

impl Job {
    pub(super) fn new(
        surroundings: Surroundings,
        (project, directory): (&str, &Path),
        run: RunId,
        out: &Path,
    ) -> Self {
        let root = surroundings.ci.as_ref().and_then(|ci| ci.workspace.clone());
        let root = root.unwrap_or_else(|| absolute(Path::new(".")));
        Self {
            surroundings,
            project: project.to_owned(),
            run,
            out: absolute(out),
            places: Places::new(root, directory.to_path_buf()),
            told: Mutex::default(),
        }
    }

    /// What the log is told before anything else: what it must never show. In a file nobody takes that for a command, and there the
    /// values would only be written down.
    pub(super) fn secrets(&self, log: impl AsFd) -> Vec<Piece> {
        if self.surroundings.told().is_none() || is_file(log) {
            return Vec::new();
        }
        let values = self.surroundings.secrets.iter().cloned();
        values.map(Piece::Secret).collect()
    }

    /// What the log is told of an outcome: everything at the verdict, later what has changed.
    pub(super) fn pieces(&self, outcome: &Outcome) -> Vec<Piece> {
        let Some(provider) = self.surroundings.shown else {
            return Vec::new();
        };
        let told = self.told();
        let mut pieces = Vec::new();
        if !told.verdict {
            if provider == Provider::TeamCity {
                pieces.extend(annotations::tests(outcome));
            }
            let found = annotations::of_verdict(outcome, &self.places);
            pieces.extend(found.into_iter().map(Piece::Annotation));
        }
        let found = annotations::of_teardown(self.run, outcome);
        pieces.extend(found.into_iter().map(Piece::Annotation));
        let outputs = self.outputs(outcome).into_iter();
        let new = outputs.filter(|output| !told.outputs.contains(output));
        pieces.extend(new.map(Piece::Output));
        pieces
    }

    /// Writes the files. To be called once after [`Job::pieces`], which tells what has changed since.
    pub(super) async fn write(&self, outcome: &Outcome, writer: &Writer) {
        let outputs = self.outputs(outcome);
        let (is_first, is_new) = {
            let mut told = self.told();
            let is_first = !std::mem::replace(&mut told.verdict, true);
            let is_new = told.outputs != outputs;
            told.outputs = outputs.clone();
            (is_first, is_new)
        };
        let is_last = outcome.teardown.is_some() || outcome.held.is_some();
        if is_new {
            self.write_outputs(&outputs, writer).await;
        }
        if is_first {
            self.write_summary(outcome).await;
        }
        if is_last {
            self.write_leftovers(outcome).await;
        }
    }

    /// Says it where that takes a program of the CI system. Answers with what the log should say of it.
    pub(super) async fn announce(&self, outcome: &Outcome) -> Option<String> {
        let ci = self.surroundings.told()?;
        let is_fine = outcome.passed() && outputs::flaky(outcome) == 0;
        if ci.provider != Provider::Buildkite || is_fine {
            return None;
        }
        let page = summary::page(&self.project, self.run, outcome, summary::MOST);
        let style = match outcome.passed() {
            true => "warning",
            false => "error",
        };
        agent::annotate(&format!("envrun-{}", self.run), style, page).await
    }

    /// What could not be written, one line a cause.
    pub(super) fn problems(&self) -> Vec<String> {
        problem_lines(&self.told().problems)
    }

    fn outputs(&self, outcome: &Outcome) -> Vec<Output> {
        outputs::outputs(self.run, outcome, &self.out)
    }

    async fn write_outputs(&self, outputs: &[Output], writer: &Writer) {
        let Some(ci) = self.surroundings.told() else {
            return;
        };
        // Another job reads them on another machine, where only the names in the repository are the same.
        let shown: Vec<Output> = outputs
            .iter()
            .map(|output| Output {
                name: output.name,
                value: match ci.shown(Path::new(&output.value)) {
                    root if root.as_os_str().is_empty() => ".".to_owned(),
                    path => path.display().to_string(),
                },
            })
            .collect();
        if let Some(path) = ci.step_outputs.clone() {
            self.note(outside::append(path, heredoc(&shown)).await);
        }
        let text = outputs::dotenv(&shown).into_bytes();
        writer.report(OUTPUTS, text).await;
    }

    async fn write_summary(&self, outcome: &Outcome) {
        let page = |room| summary::page(&self.project, self.run, outcome, room);
        if let Some(path) = self.surroundings.summary.clone() {
            self.note(outside::replace(path, page(summary::MOST)).await);
        }
        self.append_to_summary(page).await;
    }

    /// What teardown has left is known when the summary is there already.
    async fn write_leftovers(&self, outcome: &Outcome) {
        if let Some(part) = summary::leftovers(self.run, outcome) {
            let fitting = |room| {
                if part.len() <= room {
                    part
                } else {
                    String::new()
                }
            };
            self.append_to_summary(fitting).await;
        }
    }

    /// Appends to the summary of the step what `text` makes of the bytes that fit below what is there.
    async fn append_to_summary(&self, text: impl FnOnce(usize) -> String) {
        let told = self.surroundings.told();
        let Some(path) = told.and_then(|ci| ci.step_summary.clone()) else {
            return;
        };
        let written = match outside::length(path.clone()).await {
            Ok(there) => {
                let there = usize::try_from(there).unwrap_or(usize::MAX);
                // One is for the line that it begins with.
                let text = text(summary::MOST.saturating_sub(there).saturating_sub(1));
                match text.is_empty() {
                    true => Ok(()),
                    false => outside::append(path, text).await,
                }
            }
            Err(problem) => Err(problem),
        };
        self.note(written);
    }

    fn note(&self, written: Result<(), FileProblem>) {
        let mut told = self.told();
        if let Err(problem) = written
            && !told.problems.contains(&problem)
        {
            told.problems.push(problem);
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a stream is a plain file.
fn is_file(stream: impl AsFd) -> bool {
    let owned = stream.as_fd().try_clone_to_owned();
    let metadata = owned.and_then(|descriptor| std::fs::File::from(descriptor).metadata());
    metadata.is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(shown: Provider) -> Surroundings {
        Surroundings {
            ci: Ci::detect(|name| (name == "GITHUB_ACTIONS").then(|| "true".to_owned())),
            shown: Some(shown),
            summary: None,
            secrets: vec!["correct horse".to_owned(), "battery 100%".to_owned()],
        }
    }

    fn job(shown: Provider) -> Job {
        let project = ("shop", Path::new("/w"));
        Job::new(
            around(shown),
            project,
            RunId::from_u128(7),
            Path::new("/w/out"),
        )
    }

    #[test]
    fn secrets_are_told_to_the_system_that_is_there_and_to_no_file() {
        let (_reader, pipe) = std::io::pipe().expect("a pipe");
        let pieces = job(Provider::GitHub).secrets(&pipe);
        let mut screen = Screen::new(Provider::GitHub, false).expect("it has words");
        assert_eq!(
            screen.pieces(&pieces),
            "::add-mask::correct horse\n::add-mask::battery 100%25\n"
        );
        let file = tempfile::tempfile().expect("a file");
        assert_eq!(job(Provider::GitHub).secrets(&file), []);
        // A person who wants to see how it would look is shown no secrets.
        assert_eq!(job(Provider::Azure).secrets(&pipe), []);
    }
}
