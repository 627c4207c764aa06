//! Buildkite: the log is made of groups, each of which goes on until the next one begins. Failures are shown by an annotation,
//! which takes its agent: see [`crate::report::agent`].

use super::{Dialect, Group, push_line};

/// The words of Buildkite.
#[derive(Default)]
pub(super) struct Buildkite {
    /// A group has ended, and what follows needs another one.
    ended: bool,
}

impl Dialect for Buildkite {
    fn line(&mut self, text: &str, to: &mut String) {
        if std::mem::take(&mut self.ended) {
            push_line(to, "--- envrun");
        }
        push_line(to, text);
    }

    fn open(&mut self, group: &Group, _now: u64, to: &mut String) {
        self.heading(group, to);
    }

    fn close(&mut self, _group: &Group, _now: u64, _to: &mut String) {
        self.ended = true;
    }

    fn heading(&mut self, group: &Group, to: &mut String) {
        self.ended = false;
        let sign = match group.is_open {
            true => "+++",
            false => "---",
        };
        push_line(to, &format!("{sign} {}", group.title));
    }
}
