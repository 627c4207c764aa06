//! Which run a command is about: named by its id or the beginning of it, or else the environment that
//! is held for the directory in which the command is given.

use std::path::{Path, PathBuf};

use super::complain;
use crate::engine::DIRECTORY_LABEL;
use crate::exit_code::ExitCode;
use crate::host::process::Processes;
use crate::lease::Standing;
use crate::name::RunId;
use crate::run::gc::Found;

/// The run whose id is, or begins with, `wanted`. `None` when a whole id belongs to no run of which
/// there is anything; anything else that matches no run or several has been complained of.
pub(super) fn run(wanted: &str, found: Vec<Found>) -> Result<Option<Found>, ExitCode> {
    let wanted = wanted.to_lowercase();
    if let Ok(id) = RunId::parse(&wanted) {
        return Ok(found.into_iter().find(|one| one.run == id));
    }
    let digits = wanted.replace('-', "");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        complain(&format!(
            "`{wanted}` is no id of a run\nhint: `envrun ps` shows the runs there are"
        ));
        return Err(ExitCode::Usage);
    }
    let mut matching: Vec<Found> = found
        .into_iter()
        .filter(|one| one.run.digits().starts_with(&digits))
        .collect();
    match (matching.pop(), matching.len()) {
        (Some(one), 0) => Ok(Some(one)),
        (None, _) => {
            complain(&format!(
                "no run on this engine begins with `{wanted}`\nhint: `envrun ps` shows the runs there are"
            ));
            Err(ExitCode::Usage)
        }
        (Some(_), others) => {
            complain(&format!(
                "{} runs begin with `{wanted}`\nhint: give more of the id",
                others + 1
            ));
            Err(ExitCode::Usage)
        }
    }
}

/// The run that is named, else the one that is held for the project of the directory `here`: the
/// innermost project around it.
pub(super) fn run_or_held(
    wanted: Option<&str>,
    here: &Path,
    found: Vec<Found>,
) -> Result<Found, ExitCode> {
    if let Some(wanted) = wanted {
        return match run(wanted, found)? {
            Some(one) => Ok(one),
            None => {
                complain(&format!(
                    "nothing of run `{wanted}` is on this engine\nhint: `envrun ps` shows the runs there are"
                ));
                Err(ExitCode::Usage)
            }
        };
    }
    let depth = |one: &Found| {
        let directory = directory(one)?;
        here.starts_with(&directory)
            .then(|| directory.components().count())
    };
    let mut held: Vec<(usize, Found)> = found
        .into_iter()
        .filter(|one| matches!(one.standing, Standing::Held { .. }))
        .filter_map(|one| Some((depth(&one)?, one)))
        .collect();
    let deepest = held.iter().map(|(depth, _)| *depth).max();
    held.retain(|(depth, _)| Some(*depth) == deepest);
    match (held.pop(), held.len()) {
        (Some((_, one)), 0) => Ok(one),
        (None, _) => {
            complain(&format!(
                "no environment is held for `{}`\nhint: `envrun up` brings one up; another run is named by its id, and `envrun ps` shows the runs there are",
                here.display()
            ));
            Err(ExitCode::Usage)
        }
        (Some((_, one)), _) => {
            let ids: Vec<String> = held
                .iter()
                .map(|(_, other)| format!("`{}`", other.run.short()))
                .chain([format!("`{}`", one.run.short())])
                .collect();
            complain(&format!(
                "several environments are held for `{}`: {}\nhint: say which by its id",
                here.display(),
                ids.join(", ")
            ));
            Err(ExitCode::Usage)
        }
    }
}

/// The directory of the project of a run.
fn directory(found: &Found) -> Option<PathBuf> {
    let mut belongings = found.belongings.iter();
    belongings
        .find_map(|one| one.labels.get(DIRECTORY_LABEL))
        .map(PathBuf::from)
}

/// Ends the process that would end a held environment at its time, now that there is nothing left to
/// end. One that cannot be found is gone, or finds nothing when it wakes.
pub(super) fn end_keeper(found: &Found) {
    if let Standing::Held {
        keeper: Some(keeper),
        ..
    } = &found.standing
    {
        Processes::look().end(keeper);
    }
}
