//! `run.json` of a run that begins: what was asked for, and whoever finds out the rest beside the run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::facts;
use super::project::Planned;
use crate::ci::Ci;
use crate::config::replay::{Portable, is_secret};
use crate::engine::docker::DockerEngine;
use crate::name::RunId;
use crate::replay::{
    Bundle, CommandLine, Facts, KIND, Machine, Order, ProjectPart, Recording, Results,
    SCHEMA_VERSION, State,
};
use crate::report::Reporters;

/// What a run is recorded with.
pub(super) struct Subject<'a> {
    /// The run.
    pub(super) run: RunId,
    /// What was asked for.
    pub(super) command: CommandLine,
    /// The engine, if one can be addressed.
    pub(super) engine: Option<DockerEngine>,
    /// The output directory.
    pub(super) output: &'a Path,
    /// Whether the files are put into an archive there.
    pub(super) context: bool,
}

/// Lets the reporters keep `run.json`, and begins to look at what the run reads.
pub(super) fn keep(reporters: &Reporters, planned: &mut Planned, subject: Subject<'_>) {
    let Some(portable) = planned.portable.take() else {
        return;
    };
    let facts = Arc::<Mutex<Facts>>::default();
    let growing = Arc::clone(&facts);
    let sources = planned
        .sources
        .take()
        .map(|sources| sources.leaving_out(subject.output));
    let archive: Option<PathBuf> = subject.context.then(|| subject.output.to_path_buf());
    let engine = subject.engine.clone();
    let looking = tokio::spawn(async move {
        let files = Arc::clone(&growing);
        let files = tokio::task::spawn_blocking(move || {
            if let Some(sources) = sources {
                facts::look(&sources, archive.as_deref(), &files);
            }
        });
        if let Some(engine) = engine {
            facts::ask(&engine, &growing).await;
        }
        let _ = files.await;
    });
    let secrets = portable.values.clone();
    let bundle = bundle(subject, portable);
    let recording = Recording::new(bundle, secrets, planned.masker.clone());
    reporters.keep(recording, facts, looking);
}

fn bundle(subject: Subject<'_>, portable: Portable) -> Bundle {
    let untrusted = subject.command.untrusted;
    let environment = |name: &str| std::env::var(name).ok().filter(|_| !untrusted);
    let inside = |path: &PathBuf| {
        let path = path.strip_prefix(&portable.directory).unwrap_or(path);
        path.to_string_lossy().into_owned()
    };
    Bundle {
        kind: KIND.to_owned(),
        schema: SCHEMA_VERSION,
        state: State::Running,
        envrun: env!("CARGO_PKG_VERSION").to_owned(),
        run: subject.run.to_string(),
        started: OffsetDateTime::from(SystemTime::now())
            .format(&Rfc3339)
            .unwrap_or_default(),
        project: ProjectPart {
            name: portable.name.clone(),
            files: portable.files.iter().map(inside).collect(),
            model: portable.model.clone(),
        },
        settings: super::project::environment()
            .into_iter()
            .filter(|(name, _)| !untrusted && name.starts_with("ENVRUN_") && !is_secret(name))
            .collect(),
        ci: Ci::detect(environment).and_then(|ci| serde_json::to_value(ci).ok()),
        command: subject.command,
        variables: portable.variables,
        secrets: portable.secrets,
        facts: Facts::default(),
        host: machine(),
        images: Vec::new(),
        order: Order::default(),
        results: Results::default(),
    }
}

/// This machine.
pub(super) fn machine() -> Machine {
    Machine {
        os: std::env::consts::OS.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
    }
}
