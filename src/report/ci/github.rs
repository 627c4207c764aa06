//! GitHub Actions, Gitea and Forgejo: workflow commands.
//!
//! A command of the newer form is a line that begins with `::`, one of the older form has `##[` anywhere. The output of others
//! stands between a `stop-commands` and its token, so it may hold whatever it holds. Groups do not nest.

use super::annotations::{Annotation, Level};
use super::harmless::one_line;
use super::{Dialect, Group, Tokens, harmless, push_line};

/// Longest message of an annotation that is shown whole, in bytes: the runner cuts at 4096 characters.
const LONGEST_MESSAGE: usize = 4000;

/// The words of GitHub.
pub(super) struct GitHub {
    tokens: Tokens,
    /// Commands are stopped until this is said.
    stopped: Option<String>,
}

impl GitHub {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            stopped: None,
        }
    }

    fn command(&mut self, command: &str, to: &mut String) {
        self.resume(to);
        push_line(to, command);
    }

    fn resume(&mut self, to: &mut String) {
        if let Some(token) = self.stopped.take() {
            push_line(to, &format!("::{token}::"));
        }
    }
}

impl Dialect for GitHub {
    fn foreign(&mut self, text: &str, to: &mut String) {
        if self.stopped.is_none() {
            let token = (self.tokens)();
            push_line(to, &format!("::stop-commands::{token}"));
            self.stopped = Some(token);
        }
        push_line(to, &one_line(text));
    }

    fn open(&mut self, group: &Group, _now: u64, to: &mut String) {
        self.command(&format!("::group::{}", data(&group.title)), to);
    }

    fn close(&mut self, _group: &Group, _now: u64, to: &mut String) {
        self.command("::endgroup::", to);
    }

    fn annotation(&mut self, annotation: &Annotation, to: &mut String) {
        let level = match annotation.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let mut properties = Vec::new();
        if let Some(place) = &annotation.place {
            properties.push(format!("file={}", property(&place.file)));
            properties.extend(place.line.map(|line| format!("line={line}")));
        }
        properties.push(format!("title={}", property(&harmless(&annotation.title))));
        let message = data(&annotation.message_within(LONGEST_MESSAGE));
        self.command(
            &format!("::{level} {}::{message}", properties.join(",")),
            to,
        );
    }

    fn secret(&mut self, value: &str, to: &mut String) {
        self.command(&format!("::add-mask::{}", data(value)), to);
    }

    fn finish(&mut self, to: &mut String) {
        self.resume(to);
    }
}

/// The data of a command. `%` comes first: it is what the others are made of.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
