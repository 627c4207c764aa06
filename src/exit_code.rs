//! The one table of exit codes.
//!
//! Where several apply, [`ExitCode::strongest`] decides: signal, 4, 1, 3, 6, 5. A teardown problem
//! never replaces a test verdict.

/// Exit code of the `envrun` process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: every suite ran to its end and passed, and nothing is left.
    Passed,
    /// 1: a suite failed, or its report lies or is missing.
    SuiteFailed,
    /// 2: wrong usage or configuration; nothing was started.
    Usage,
    /// 3: the environment did not become ready, or died.
    Environment,
    /// 4: the engine could not be reached, or refused.
    Engine,
    /// 5: passed, but something was left behind.
    Leftovers,
    /// 6: a report could not be written.
    Report,
    /// 70: a bug of envrun (`EX_SOFTWARE` of sysexits.h).
    Bug,
    /// What the command gave that `exec` or `shell` ran.
    Command(u8),
    /// 129, 130, 143: ended by SIGHUP, SIGINT, SIGTERM.
    Signal(Signal),
}

/// A signal that ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Signal {
    /// SIGHUP: the terminal or the CI's shell went away.
    #[serde(rename = "SIGHUP")]
    Hangup,
    /// SIGINT: Ctrl-C, or a CI's first word of cancellation.
    #[serde(rename = "SIGINT")]
    Interrupt,
    /// SIGTERM.
    #[serde(rename = "SIGTERM")]
    Terminate,
}

impl Signal {
    /// Its name in the form `SIGINT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

impl ExitCode {
    /// The number given to the operating system.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::SuiteFailed => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::Engine => 4,
            Self::Leftovers => 5,
            Self::Report => 6,
            Self::Bug => 70,
            Self::Command(code) => code,
            Self::Signal(Signal::Hangup) => 129,
            Self::Signal(Signal::Interrupt) => 130,
            Self::Signal(Signal::Terminate) => 143,
        }
    }

    /// Order of precedence: the smaller wins.
    const fn rank(self) -> u8 {
        match self {
            // A command stands alone.
            Self::Bug | Self::Command(_) => 0,
            Self::Signal(_) => 1,
            Self::Usage => 2,
            Self::Engine => 3,
            Self::SuiteFailed => 4,
            Self::Environment => 5,
            Self::Report => 6,
            Self::Leftovers => 7,
            Self::Passed => 8,
        }
    }

    /// The one of the two that takes precedence.
    #[must_use]
    pub fn strongest(self, other: Self) -> Self {
        if other.rank() < self.rank() {
            other
        } else {
            self
        }
    }

    /// The table as the help text and the README show it.
    pub const TABLE: &'static str = "\
Exit codes:
  0    every suite ran to its end and passed
  1    a suite failed, or its report lies or is missing
  2    wrong usage or configuration; nothing was started
  3    the environment did not become ready, or died
  4    the engine could not be reached, or refused
  5    passed, but something was left behind
  6    a report could not be written
  70   a bug of envrun
  129, 130, 143   ended by SIGHUP, SIGINT, SIGTERM
Where several apply: signal, 4, 1, 3, 6, 5.";
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::{ExitCode, Signal};

    #[test]
    fn precedence_is_signal_4_1_3_6_5() {
        let order = [
            ExitCode::Signal(Signal::Interrupt),
            ExitCode::Engine,
            ExitCode::SuiteFailed,
            ExitCode::Environment,
            ExitCode::Report,
            ExitCode::Leftovers,
            ExitCode::Passed,
        ];
        for (index, stronger) in order.iter().enumerate() {
            for weaker in &order[index..] {
                assert_eq!(stronger.strongest(*weaker), *stronger);
                assert_eq!(weaker.strongest(*stronger), *stronger);
            }
        }
    }
}
