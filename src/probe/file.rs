//! Readiness kind `file`: a path exists in the container.
//!
//! The engine is asked for it, so that nothing in the image is needed. It does not see what lies on a
//! `tmpfs` of a running container; there a command in the container looks.

use std::fmt;

use super::Reason;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProbe {
    /// Absolute path in the container.
    pub path: String,
    /// Whether it has to have a content.
    pub not_empty: bool,
    /// Whether the engine cannot see it, so that a command has to look.
    pub by_command: bool,
}

impl fmt::Display for FileProbe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "file {}", self.path)
    }
}

/// What the engine has found at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Something without a content.
    Empty,
    /// Something with a content.
    Filled,
}

impl FileProbe {
    /// The command that looks, where the engine cannot.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let question = if self.not_empty { "-s" } else { "-e" };
        ["test", question, &self.path].map(str::to_owned).to_vec()
    }

    /// Judges what was found.
    ///
    /// # Errors
    /// What is missing.
    pub fn judge(&self, found: Found) -> Result<(), Reason> {
        match found {
            Found::Filled => Ok(()),
            Found::Empty if !self.not_empty => Ok(()),
            Found::Empty => Err(Reason::NotYet("it is empty".to_owned())),
            Found::Nothing => Err(Reason::NotYet("it is not there".to_owned())),
        }
    }

    /// Judges the exit code of [`Self::command`].
    ///
    /// # Errors
    /// What is missing, or why it could not be looked for.
    pub fn judge_command(&self, code: i64, output: &str) -> Result<(), Reason> {
        match code {
            0 => Ok(()),
            1 if self.not_empty => Err(Reason::NotYet("it is not there, or empty".to_owned())),
            1 => Err(Reason::NotYet("it is not there".to_owned())),
            _ => super::command::judge(code, output),
        }
    }
}
