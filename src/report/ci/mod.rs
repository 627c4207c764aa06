//! The log of a CI system: what is shown as pieces, and each system's own words for them.
//!
//! [`stage`] makes pieces of events, [`annotations`] of an outcome; a [`Dialect`] says them as one system wants to read them.
//! Everything goes to standard output, in one order: commands in two streams would overtake what they are about. It must never
//! let a text that envrun has not made itself be taken for a command, nor leave a part of the log open.

pub(super) mod annotations;
mod azure;
mod buildkite;
mod github;
mod gitlab;
pub(super) mod harmless;
pub(super) mod place;
mod stage;
mod teamcity;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, SystemTime};

use self::annotations::Annotation;
pub use self::annotations::Complaint;
use self::harmless::harmless;
use self::stage::Stage;
use super::outputs::Output;
use crate::ci::Provider;
use crate::event::Event;
use crate::name::RunId;

/// What a line is about, for those who see colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Caution,
    Bad,
}

/// A part of the log that can be folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// What stands above it.
    title: String,
    /// Whether a reader wants to see it at once, where a system asks that.
    is_open: bool,
}

/// Something to show.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// A line of envrun's words, which may quote others.
    Line(Tone, String),
    /// A line that somebody else has written.
    Foreign(String),
    /// A part that can be folded begins. What was open before ends: they do not nest everywhere.
    Open(Group),
    /// It ends.
    Close,
    /// Something new begins, for systems whose log is made of parts and nothing else.
    Heading(Group),
    /// A failure that the system shows outside of the log.
    Annotation(Annotation),
    /// A test that the system counts.
    Test(Test),
    /// The suite of the tests that follow, or the end of it.
    Tests(Option<String>),
    /// A value that the system must never show.
    Secret(String),
    /// A value that later steps can read.
    Output(Output),
}

/// A test as a system is told of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    /// Its name, with its class.
    pub(super) name: String,
    /// How long it took.
    pub(super) duration: Duration,
    /// What became of it.
    pub(super) result: TestResult,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TestResult {
    /// It passed.
    Passed,
    /// It was not run.
    Skipped,
    /// It failed; with its message, and with whatever helps.
    Failed(String, String),
}

/// How a system wants to read it. Texts have lost everything that it could take for a command, but for those of
/// [`Dialect::foreign`], which are whole lines all the same.
trait Dialect: Send {
    /// A line of envrun's.
    fn line(&mut self, text: &str, to: &mut String) {
        push_line(to, text);
    }

    /// A line of somebody else's.
    fn foreign(&mut self, text: &str, to: &mut String) {
        push_line(to, &harmless(text));
    }

    /// A part begins, at this second since 1970.
    fn open(&mut self, group: &Group, now: u64, to: &mut String);

    /// The part that is open ends.
    fn close(&mut self, group: &Group, now: u64, to: &mut String);

    /// Something new begins.
    fn heading(&mut self, _group: &Group, _to: &mut String) {}

    /// A failure, with texts as they came.
    fn annotation(&mut self, _annotation: &Annotation, _to: &mut String) {}

    /// A test, with texts as they came.
    fn test(&mut self, _test: &Test, _to: &mut String) {}

    /// A suite of tests begins, or ends.
    fn tests(&mut self, _suite: Option<&str>, _to: &mut String) {}

    /// A value that must not be shown, with texts as they came.
    fn secret(&mut self, _value: &str, _to: &mut String) {}

    /// A value for later steps, as it came.
    fn output(&mut self, _output: &Output, _to: &mut String) {}

    /// Whatever has to be said before nothing more is said.
    fn finish(&mut self, _to: &mut String) {}

    /// Whether colours are seen in the log.
    fn has_colours(&self) -> bool {
        true
    }
}

fn push_line(to: &mut String, line: &str) {
    to.push_str(line);
    to.push('\n');
}

/// Tells blocks of somebody else's output apart. Nobody can guess what it gives.
type Tokens = Box<dyn FnMut() -> String + Send>;

/// Where tokens come from.
fn random_tokens() -> Tokens {
    Box::new(|| format!("envrun-{}", RunId::random().digits()))
}

/// The systems whose log has words of its own; the others read plain lines.
pub(super) fn has_words(provider: Provider) -> bool {
    dialect(provider, random_tokens()).is_some()
}

fn dialect(provider: Provider, tokens: Tokens) -> Option<Box<dyn Dialect>> {
    match provider {
        Provider::GitHub | Provider::Gitea => Some(Box::new(github::GitHub::new(tokens))),
        Provider::GitLab => Some(Box::new(gitlab::GitLab::new(tokens))),
        Provider::Buildkite => Some(Box::<buildkite::Buildkite>::default()),
        Provider::Azure => Some(Box::new(azure::Azure)),
        Provider::TeamCity => Some(Box::<teamcity::TeamCity>::default()),
        Provider::Jenkins | Provider::CircleCi | Provider::Generic => None,
    }
}

/// The log of a run.
pub(super) struct Screen {
    dialect: Box<dyn Dialect>,
    stage: Stage,
    open: Option<Group>,
    /// A part that begins with the next line: one without any is not shown, and what is told meanwhile stands before it.
    next: Option<Group>,
    started: SystemTime,
    now: Duration,
    colours: bool,
}

impl Screen {
    /// The log in the words of a system that has some.
    pub(super) fn new(provider: Provider, colours: bool) -> Option<Self> {
        let dialect = dialect(provider, random_tokens())?;
        Some(Self::over(dialect, SystemTime::now(), colours))
    }

    fn over(dialect: Box<dyn Dialect>, started: SystemTime, colours: bool) -> Self {
        Self {
            colours: colours && dialect.has_colours(),
            dialect,
            stage: Stage::default(),
            open: None,
            next: None,
            started,
            now: Duration::ZERO,
        }
    }

    /// What an event is worth, `elapsed` after the start of the run.
    pub(super) fn event(&mut self, elapsed: Duration, event: &Event, directory: &Path) -> String {
        self.now = elapsed;
        let pieces = self.stage.pieces(elapsed, event, directory);
        self.pieces(&pieces)
    }

    /// Pieces, said one after the other.
    pub(super) fn pieces(&mut self, pieces: &[Piece]) -> String {
        let mut said = String::new();
        for piece in pieces {
            self.piece(piece, &mut said);
        }
        said
    }

    /// Whatever has to be said before somebody else can say something. A part that is open stays so.
    pub(super) fn pause(&mut self) -> String {
        let mut said = String::new();
        self.dialect.finish(&mut said);
        said
    }

    /// Ends what is open. It can go on afterwards.
    pub(super) fn finish(&mut self) -> String {
        let mut said = String::new();
        self.close(&mut said);
        self.dialect.finish(&mut said);
        said
    }

    fn piece(&mut self, piece: &Piece, said: &mut String) {
        match piece {
            Piece::Line(tone, text) => {
                self.begin(said);
                let text = painted(&harmless(text), self.colours.then_some(*tone));
                self.dialect.line(&text, said);
            }
            Piece::Foreign(text) => {
                self.begin(said);
                self.dialect.foreign(text, said);
            }
            Piece::Open(group) => {
                self.close(said);
                self.next = Some(Group {
                    title: harmless(&group.title),
                    is_open: group.is_open,
                });
            }
            Piece::Close => self.close(said),
            Piece::Heading(group) => {
                self.close(said);
                self.dialect.heading(group, said);
            }
            Piece::Annotation(annotation) => self.dialect.annotation(annotation, said),
            Piece::Test(test) => self.dialect.test(test, said),
            Piece::Tests(suite) => self.dialect.tests(suite.as_deref(), said),
            Piece::Secret(value) => self.dialect.secret(value, said),
            Piece::Output(output) => self.dialect.output(output, said),
        }
    }

    fn begin(&mut self, said: &mut String) {
        if let Some(group) = self.next.take() {
            self.dialect.open(&group, self.seconds(), said);
            self.open = Some(group);
        }
    }

    fn close(&mut self, said: &mut String) {
        self.next = None;
        if let Some(group) = self.open.take() {
            let now = self.seconds();
            self.dialect.close(&group, now, said);
        }
    }

    /// Now, in seconds since 1970.
    fn seconds(&self) -> u64 {
        let now = self.started.checked_add(self.now);
        let since = now.and_then(|now| now.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.unwrap_or_default().as_secs()
    }
}

/// What is wrong before a run has begun, in the words of a system: for a repository that is checked out in `root`, and a project in
/// `project`, both absolute paths. Empty where it has no words for that.
#[must_use]
pub fn complaints(
    provider: Provider,
    complaints: &[Complaint],
    (root, project): (&Path, &Path),
) -> String {
    let places = place::Places::new(root.to_path_buf(), project.to_path_buf());
    let found = annotations::of_complaints(complaints, &places);
    let pieces: Vec<Piece> = found.into_iter().map(Piece::Annotation).collect();
    let screen = Screen::new(provider, false);
    screen
        .map(|mut screen| screen.pieces(&pieces) + &screen.finish())
        .unwrap_or_default()
}

/// A line in the colour of its tone. The meaning never depends on it.
fn painted(text: &str, tone: Option<Tone>) -> String {
    let colour = match tone {
        None | Some(Tone::Plain) => return text.to_owned(),
        Some(Tone::Good) => 32,
        Some(Tone::Caution) => 33,
        Some(Tone::Bad) => 31,
    };
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}
