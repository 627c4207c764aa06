//! The command after `--`: it is found before anything starts.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rustix::fs::{Access, access};

use super::complain;
use crate::config::duration;
use crate::config::model::Suite;
use crate::exit_code::ExitCode;
use crate::name::ServiceName;
use crate::plan::HostCommand;
use crate::plan::command::name_of;
use crate::run::host_command::reports;

/// A command on this host, as one more suite.
#[derive(Debug, Clone, Args)]
pub(super) struct CommandArguments {
    /// Name of the suite that COMMAND is [default: the name of its file]
    #[arg(long, value_name = "NAME", requires = "command", value_parser = command_name)]
    command_name: Option<String>,
    /// Report files that COMMAND writes, relative to the working directory; give it several times for
    /// several. Files that it has not written do not count
    #[arg(long, value_name = "GLOB", requires = "command", value_parser = glob)]
    junit: Vec<String>,
    /// Limit of COMMAND: `90s`, `10m`; 0s is none [default: none]
    #[arg(long, value_name = "TIME", requires = "command", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Run COMMAND once more where it has not passed, so often at most
    #[arg(long, value_name = "NUMBER", requires = "command", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=10))]
    retries: u32,
    /// Run this command on this host as one more suite, once everything is ready. It finds service `my-db`
    /// by `MY_DB_HOST` and `MY_DB_PORT`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Longest name of a suite that is given on the command line.
const LONGEST_NAME: usize = 60;

/// A name that a service of a file could have, and a log file.
fn command_name(text: &str) -> Result<String, String> {
    let is_plain = text
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    let begins = text
        .chars()
        .next()
        .is_some_and(|letter| letter.is_ascii_alphanumeric());
    if is_plain && begins && text.len() <= LONGEST_NAME {
        return Ok(text.to_owned());
    }
    Err(format!(
        "it has to be letters, digits, `_`, `-` and `.`, the first a letter or digit, and {LONGEST_NAME} at most"
    ))
}

fn glob(text: &str) -> Result<String, String> {
    reports::check(text).map(|()| text.to_owned())
}

impl CommandArguments {
    /// Whether there is no command.
    pub(super) fn is_empty(&self) -> bool {
        self.command.is_empty()
    }

    /// The command, if there is one; what is wrong with it has been printed when this fails.
    pub(super) fn find(self, out: &Path) -> Result<Option<HostCommand>, ExitCode> {
        let mut words = self.command.into_iter();
        let Some(called) = words.next() else {
            return Ok(None);
        };
        let wrong = |message: &str| {
            complain(message);
            ExitCode::Usage
        };
        let directory = std::env::current_dir()
            .map_err(|error| wrong(&format!("cannot tell the working directory: {error}")))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = resolve(&called, &directory, &path).map_err(|why| {
            wrong(&format!(
                "cannot run `{}`: {why}\nhint: nothing was started; no shell is between, so what needs one is `-- sh -c '…'`",
                called.to_string_lossy()
            ))
        })?;
        let is_named = self.command_name.is_some();
        Ok(Some(HostCommand {
            name: match self.command_name {
                Some(name) => ServiceName::new(name),
                None => name_of(&program),
            },
            is_named,
            called,
            arguments: words.collect(),
            out: directory.join(out),
            suite: Suite {
                junit: self.junit,
                timeout: self.timeout,
                retries: self.retries,
                ..Suite::default()
            },
            program,
            directory,
            held: Vec::new(),
        }))
    }
}

/// The program that a name means, as a shell would find it.
fn resolve(called: &OsStr, directory: &Path, path: &OsStr) -> Result<PathBuf, String> {
    if called.is_empty() {
        return Err("it is empty".to_owned());
    }
    if called.as_encoded_bytes().contains(&b'/') {
        let program = directory.join(called);
        return match judge(&program) {
            None => Ok(program),
            Some(why) => Err(why),
        };
    }
    let mut reason = None;
    for entry in std::env::split_paths(path) {
        let program = directory.join(entry).join(called);
        match judge(&program) {
            None => return Ok(program),
            // What is there and cannot be run says more than what is not there.
            Some(why) if program.exists() => {
                reason.get_or_insert(format!("`{}` {why}", program.display()));
            }
            Some(_) => {}
        }
    }
    Err(reason.unwrap_or_else(|| "it is not on the PATH".to_owned()))
}

/// Why a file is no program that we may run.
fn judge(program: &Path) -> Option<String> {
    match std::fs::metadata(program) {
        Err(error) => Some(format!("it cannot be found: {}", error.kind())),
        Ok(metadata) if metadata.is_dir() => Some("it is a directory".to_owned()),
        Ok(metadata) if !metadata.is_file() => Some("it is no file".to_owned()),
        Ok(_) => access(program, Access::EXEC_OK)
            .err()
            .map(|_error| "it is not executable".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(path: &Path, mode: u32) {
        std::fs::write(path, "#!/bin/sh\n").expect("written");
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).expect("set");
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let here = directory.path();
        for name in ["one", "two"] {
            std::fs::create_dir(here.join(name)).expect("made");
        }
        write(&here.join("one/tool"), 0o644);
        write(&here.join("two/tool"), 0o755);
        write(&here.join("one/plain"), 0o644);
        let path = std::env::join_paths([here.join("one"), here.join("two")]).expect("a PATH");
        let find = |called: &str| resolve(OsStr::new(called), here, &path);
        assert_eq!(find("tool"), Ok(here.join("two/tool")));
        assert_eq!(find("./two/tool"), Ok(here.join("./two/tool")));
        let plain = here.join("one/plain");
        assert_eq!(
            find("plain"),
            Err(format!("`{}` it is not executable", plain.display()))
        );
        assert_eq!(find("one/plain"), Err("it is not executable".to_owned()));
        assert_eq!(find("./one"), Err("it is a directory".to_owned()));
        assert_eq!(find("nothing"), Err("it is not on the PATH".to_owned()));
        assert!(find("./nothing").is_err() && find("").is_err());
    }

    #[test]
    fn names_are_those_of_files_and_services() {
        for name in ["npm", "a.b-c_d", "9"] {
            assert_eq!(command_name(name), Ok(name.to_owned()));
        }
        for name in ["", "-a", "../x", "a/b", "a b", "ä", &"x".repeat(61)] {
            assert!(command_name(name).is_err(), "{name}");
        }
    }
}
