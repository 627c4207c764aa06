//! Which run a command is about: named by its id or the beginning of it, or else the environment that
//! is held for the directory in which the command is given.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::complain;
use crate::engine::docker::DockerEngine;
use crate::engine::{
    Belonging, DIRECTORY_LABEL, Engine, EngineError, REPLICA_LABEL, ResourceKind, SERVICE_LABEL,
};
use crate::exit_code::ExitCode;
use crate::host::process::Processes;
use crate::lease::Standing;
use crate::name::RunId;
use crate::run::gc::{self, Found};
use crate::run::watchdog;

/// Connects to the engine and finds the run there that is named, or that is held for this directory.
pub(super) async fn find(wanted: Option<&str>) -> Result<(Arc<dyn Engine>, Found), ExitCode> {
    let (engine, found) = all().await?;
    let here = std::env::current_dir()
        .and_then(|here| here.canonicalize())
        .unwrap_or_default();
    run_or_held(wanted, &here, found).map(|one| (engine, one))
}

/// Connects to the engine and finds all runs there.
pub(super) async fn all() -> Result<(Arc<dyn Engine>, Vec<Found>), ExitCode> {
    let failed = |error: EngineError| {
        complain(&error.to_string());
        ExitCode::Engine
    };
    let engine: Arc<dyn Engine> = Arc::new(DockerEngine::from_environment().map_err(failed)?);
    let found = gc::survey(&engine, &Processes::look()).await;
    Ok((engine, found.map_err(failed)?))
}

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
    let leases = found
        .belongings
        .iter()
        .filter_map(|one| one.granted().lease);
    let keeper = leases
        .filter(|lease| lease.held)
        .find_map(|lease| lease.owner);
    if let Some(keeper) = keeper {
        let run = found.run.to_string();
        Processes::look().end(&keeper, &[watchdog::SUBCOMMAND, &run]);
    }
}

/// What tells a container from the others of its run: the name of its service, or of the replica.
pub(super) fn replica(container: &Belonging) -> &str {
    let name = container.labels.get(REPLICA_LABEL);
    name.map_or(container.resource.name.as_str(), String::as_str)
}

/// The containers of these services, in order of name; of all services when none is named.
pub(super) fn containers<'found>(
    found: &'found Found,
    services: &[String],
) -> Result<Vec<&'found Belonging>, ExitCode> {
    // What has no service is there to fill volumes, and has nothing to say.
    let mut all: Vec<&Belonging> = found
        .belongings
        .iter()
        .filter(|one| {
            one.resource.kind == ResourceKind::Container && one.labels.contains_key(REPLICA_LABEL)
        })
        .collect();
    all.sort_by_key(|one| replica(one));
    let is = |one: &Belonging, name: &str| {
        replica(one) == name || one.labels.get(SERVICE_LABEL).is_some_and(|of| of == name)
    };
    if let Some(unknown) = services
        .iter()
        .find(|name| !all.iter().any(|one| is(one, name)))
    {
        let names: Vec<String> = all
            .iter()
            .map(|one| format!("`{}`", replica(one)))
            .collect();
        complain(&format!(
            "run {} has no container of `{unknown}`\nhint: it has {}",
            found.run,
            if names.is_empty() {
                "none at all".to_owned()
            } else {
                names.join(", ")
            }
        ));
        return Err(ExitCode::Usage);
    }
    all.retain(|one| services.is_empty() || services.iter().any(|name| is(one, name)));
    Ok(all)
}

/// The running container of a service, the first of several replicas; without a name, the only one
/// that runs.
pub(super) fn running<'found>(
    found: &'found Found,
    service: Option<&str>,
) -> Result<&'found Belonging, ExitCode> {
    let named: Vec<String> = service.map(str::to_owned).into_iter().collect();
    let all = containers(found, &named)?;
    let running: Vec<&Belonging> = all
        .iter()
        .copied()
        .filter(|one| one.status.starts_with("Up"))
        .collect();
    match (running.as_slice(), service) {
        ([first, ..], Some(_)) | ([first], None) => Ok(first),
        ([], _) => {
            let state = all.first().map_or("", |one| one.status.as_str());
            complain(&format!(
                "{} of run {} does not run: {state}\nhint: `envrun logs --run {}` shows what it has written",
                service.map_or_else(|| "a container".to_owned(), |name| format!("`{name}`")),
                found.run,
                found.run.short()
            ));
            Err(ExitCode::Environment)
        }
        (several, None) => {
            let names: Vec<String> = several
                .iter()
                .map(|one| format!("`{}`", replica(one)))
                .collect();
            complain(&format!(
                "run {} has several containers\nhint: say which: {}",
                found.run,
                names.join(", ")
            ));
            Err(ExitCode::Usage)
        }
    }
}
