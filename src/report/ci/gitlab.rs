//! GitLab: sections of the log. Failing tests are shown by its reader of `junit.xml`, values for later jobs come by a file.

use super::{Dialect, Group, Tokens, push_line};

/// The words of GitLab.
pub(super) struct GitLab {
    /// What the names of this run's sections begin with: several runs of one job must not have the same ones.
    prefix: String,
    sections: u32,
}

impl GitLab {
    pub(super) fn new(mut tokens: Tokens) -> Self {
        let token = tokens();
        let prefix = token.chars().take(15).map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-' => letter,
            _ => '_',
        });
        Self {
            prefix: prefix.collect(),
            sections: 0,
        }
    }

    /// The name of the section that was opened last.
    fn name(&self) -> String {
        format!("{}_{}", self.prefix, self.sections)
    }
}

impl Dialect for GitLab {
    fn open(&mut self, group: &Group, now: u64, to: &mut String) {
        self.sections += 1;
        let name = self.name();
        let folded = match group.is_open {
            true => "",
            false => "[collapsed=true]",
        };
        let title = &group.title;
        push_line(
            to,
            &format!("\u{1b}[0Ksection_start:{now}:{name}{folded}\r\u{1b}[0K{title}"),
        );
    }

    fn close(&mut self, _group: &Group, now: u64, to: &mut String) {
        let name = self.name();
        push_line(to, &format!("\u{1b}[0Ksection_end:{now}:{name}\r\u{1b}[0K"));
    }
}
