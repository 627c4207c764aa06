//! The terminal: a thread that shows events in order, and the only place that prints during a run.
//!
//! Progress goes to standard error, the verdict to standard output.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::ci::{self, Piece, Screen};
use super::colour;
use super::live::Live;
use super::progress::Progress;
use super::pulls::Pacing;
use super::{plain, table};
use crate::ci::Provider;
use crate::clock;
use crate::engine::OutputChunk;
use crate::event::Event;
use crate::name::ServiceName;

/// How long a terminal may take to show what is there before the run goes on without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Live lines.
    Live,
    /// Plain lines with the time since the start.
    Plain,
    /// In the words of a CI system.
    Ci(Provider),
}

impl Style {
    /// In the words of a CI system that has some; live on a terminal that can move its cursor and has a person before it, else
    /// plain.
    #[must_use]
    pub fn detect(shown: Option<Provider>, is_in_ci: bool) -> Self {
        if let Some(provider) = shown {
            return match ci::has_words(provider) {
                true => Self::Ci(provider),
                false => Self::Plain,
            };
        }
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        if std::io::stderr().is_terminal() && !dumb && !is_in_ci {
            Self::Live
        } else {
            Self::Plain
        }
    }
}

enum Message {
    Event(Duration, Box<Event>),
    Pieces(Vec<Piece>),
    Output(ServiceName, OutputChunk, OwnedSemaphorePermit),
    Skipped(ServiceName, u64),
    OutputEnded(ServiceName),
    Flush(oneshot::Sender<()>),
}

/// The way to the thread.
pub(super) struct Terminal {
    messages: mpsc::Sender<Message>,
    /// Nobody reads: it is not waited for a second time.
    unread: AtomicBool,
    /// Room for output that waits to be shown.
    backlog: Arc<Semaphore>,
}

/// Bytes of output that may wait to be shown. Beyond, whoever writes them waits for a while, as it
/// would for a slow pipe.
const BACKLOG: u32 = 1 << 20;

impl Terminal {
    pub(super) fn start(style: Style, directory: PathBuf, live: &BTreeSet<ServiceName>) -> Self {
        let output = Live::new(live, colours_on(style));
        let (sender, receiver) = mpsc::channel();
        // Without a thread there is no output, but the run and its reports are not in danger.
        let _ = std::thread::Builder::new()
            .name("envrun-terminal".to_owned())
            .spawn(move || show_all(style, &directory, output, &receiver));
        Self {
            messages: sender,
            unread: AtomicBool::new(false),
            backlog: Arc::new(Semaphore::new(BACKLOG as usize)),
        }
    }

    /// Shows output of a container. Waits while too much is waiting already; a terminal that takes
    /// nothing for a while is shown no more of it until it reads again.
    pub(super) async fn output(&self, service: &ServiceName, chunk: &OutputChunk) {
        let size = u32::try_from(chunk.bytes.len()).map_or(BACKLOG, |size| size.min(BACKLOG));
        let room = Arc::clone(&self.backlog).acquire_many_owned(size);
        let patience = match self.unread.load(Ordering::Relaxed) {
            true => Duration::ZERO,
            false => PATIENCE,
        };
        let waited = clock::within(patience, room).await;
        self.unread.store(waited.is_err(), Ordering::Relaxed);
        let message = match waited {
            Ok(Ok(permit)) => Message::Output(service.clone(), chunk.clone(), permit),
            _ => Message::Skipped(service.clone(), chunk.bytes.len() as u64),
        };
        let _ = self.messages.send(message);
    }

    /// Shows what nothing has ended.
    pub(super) fn output_ended(&self, service: &ServiceName) {
        let _ = self.messages.send(Message::OutputEnded(service.clone()));
    }

    pub(super) fn show(&self, elapsed: Duration, event: Event) {
        let _ = self.messages.send(Message::Event(elapsed, Box::new(event)));
    }

    /// Shows what a CI system is told beside the events.
    pub(super) fn pieces(&self, pieces: Vec<Piece>) {
        let _ = self.messages.send(Message::Pieces(pieces));
    }

    /// Waits until everything so far is shown, but not for a terminal that nobody reads.
    pub(super) async fn flush(&self) {
        let (sender, shown) = oneshot::channel();
        if self.unread.load(Ordering::Relaxed)
            || self.messages.send(Message::Flush(sender)).is_err()
        {
            return;
        }
        let in_time = clock::within(PATIENCE, shown).await.is_ok();
        self.unread.store(!in_time, Ordering::Relaxed);
    }
}

fn show_all(style: Style, directory: &Path, mut output: Live, messages: &mpsc::Receiver<Message>) {
    let mut live = (style == Style::Live).then(Progress::new);
    let mut screen = match style {
        Style::Ci(provider) => Screen::new(provider, colours_on(style)),
        Style::Live | Style::Plain => None,
    };
    let mut pacing = Pacing::default();
    while let Ok(message) = messages.recv() {
        let lines = match &message {
            Message::Output(service, chunk, _room) => {
                output.lines(service, chunk.stream, &chunk.bytes)
            }
            Message::OutputEnded(service) => output.end(service),
            Message::Skipped(service, bytes) => {
                output.skip(service, *bytes);
                continue;
            }
            _ => Vec::new(),
        };
        if !lines.is_empty() {
            show_lines(lines, live.as_ref(), screen.as_mut());
        }
        match (message, &mut screen) {
            (Message::Output(..) | Message::Skipped(..) | Message::OutputEnded(_), _) => {}
            (Message::Event(elapsed, event), Some(screen)) => {
                print(&screen.event(elapsed, &event, directory));
            }
            (Message::Pieces(pieces), Some(screen)) => print(&screen.pieces(&pieces)),
            (Message::Pieces(_), None) => {}
            (Message::Flush(shown), screen) => {
                if let Some(screen) = screen {
                    print(&screen.pause());
                }
                let _ = std::io::stdout().flush();
                let _ = shown.send(());
            }
            (Message::Event(elapsed, event), None) => {
                if live.is_some() || pacing.allows(elapsed, &event) {
                    show(live.as_mut(), elapsed, &event, directory);
                }
            }
        }
    }
    if let Some(screen) = &mut screen {
        print(&screen.finish());
    }
}

fn show(live: Option<&mut Progress>, elapsed: Duration, event: &Event, directory: &Path) {
    match live {
        Some(live) => {
            live.show(event);
            if worth_a_line(event) {
                for line in plain::lines(event, directory) {
                    live.print(&line);
                }
            }
            if let Event::Verdict { summary } = event {
                live.apart(|| print_verdict(&table::render(summary)));
            }
        }
        None => {
            for line in plain::lines(event, directory) {
                // A closed standard error is no reason to stop.
                let _ = writeln!(std::io::stderr(), "{:>8.3}s  {line}", elapsed.as_secs_f64());
            }
            if let Event::Verdict { summary } = event {
                print_verdict(&table::render(summary));
            }
        }
    }
}

/// On a terminal the live lines show most of it; the rest is printed above them.
fn worth_a_line(event: &Event) -> bool {
    match event {
        Event::SuiteFinished { result, .. } => *result != crate::outcome::SuiteResult::Passed,
        Event::Warning { .. }
        | Event::PullRetried { .. }
        | Event::PullFinished { .. }
        | Event::RunStarted { .. }
        | Event::SuiteRetried { .. }
        | Event::RunAborted { .. }
        | Event::Explained { .. }
        | Event::NetworkWaits { .. }
        | Event::StartWaits { .. }
        | Event::SignalReceived { .. }
        | Event::TeardownFinished { .. }
        | Event::RunFinished { .. } => true,
        _ => false,
    }
}

fn print_verdict(table: &str) {
    print(&format!("{table}\n"));
}

/// Prints on standard output. One that is closed is no reason to stop.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Shows output of containers: above the live lines, or where the rest of the log goes.
fn show_lines(lines: Vec<String>, live: Option<&Progress>, screen: Option<&mut Screen>) {
    if let Some(screen) = screen {
        let pieces: Vec<Piece> = lines.into_iter().map(Piece::Foreign).collect();
        return print(&screen.pieces(&pieces));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    // A closed standard error is no reason to stop.
    let write = || drop(std::io::stderr().lock().write_all(text.as_bytes()));
    match live {
        // All of them at once: the live lines are drawn anew after each time.
        Some(live) => live.apart(write),
        None => write(),
    }
}

/// Whether a style has colours: by [`colour::wanted`], where a log of a CI system that shows them
/// counts as a terminal.
fn colours_on(style: Style) -> bool {
    let shows = match style {
        Style::Ci(_) => true,
        Style::Live | Style::Plain => std::io::stderr().is_terminal(),
    };
    colour::wanted(shows)
}
