//! `envrun gc`: removes what dead runs have left behind.

use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::{complain, down, say, selected};
use crate::ci::{self, Ci};
use crate::config::duration;
use crate::exit_code::ExitCode;
use crate::lease::{Standing, rough};
use crate::name::BuildId;
use crate::run::gc::{self, Found};
use crate::run::teardown::Limits;

/// Arguments of `envrun gc`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("named").args(["run", "build"]).multiple(true))]
pub(super) struct Arguments {
    /// Remove this run, by its id or the beginning of it; an environment that is held, too
    #[arg(long, value_name = "ID", conflicts_with_all = ["all", "older_than", "project"])]
    run: Option<String>,
    /// Only runs of this build of a CI system; without an ID, of the build that this is a part of
    #[arg(
        long,
        value_name = "ID",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with = "run"
    )]
    build: Option<String>,
    /// With `--run` or `--build`: also if it is in another container or on another host, where nobody can
    /// see from here whether it is alive
    #[arg(long, requires = "named")]
    force: bool,
    /// Remove environments that are held for a person, too
    #[arg(long)]
    all: bool,
    /// Only runs of this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Leave alone what is younger: `90s`, `30m`, `24h`
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    older_than: Option<Duration>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    /// Why a run is left alone; `None`: it is removed.
    fn spares(&self, found: &Found) -> Option<String> {
        let standing = &found.standing;
        let by_name = self.run.is_some();
        match standing {
            Standing::Alive { .. } => return Some(standing.to_string()),
            Standing::Held { .. } if !self.all && !by_name => return Some(standing.to_string()),
            Standing::Elsewhere { .. } if !self.force => return Some(standing.to_string()),
            _ => {}
        }
        let least = self.older_than?;
        (found.age < least).then(|| format!("younger than {}", rough(least)))
    }
}

/// The build that is asked for.
fn wanted_build(asked: &str) -> Result<BuildId, ExitCode> {
    let found = match asked.is_empty() {
        true => Ci::build(|name| std::env::var(name).ok()),
        false => BuildId::new(asked),
    };
    found.ok_or_else(|| {
        complain(&format!(
            "nothing says which build this is\nhint: name it, `envrun gc --build ID`; `envrun ps` shows those there are. In CI it is told by the variables of the system, or by `{}`",
            ci::BUILD
        ));
        ExitCode::Usage
    })
}

pub(super) async fn gc(arguments: Arguments) -> ExitCode {
    let build = match arguments.build.as_deref().map(wanted_build).transpose() {
        Ok(build) => build,
        Err(code) => return code,
    };
    let (engine, found) = match selected::all().await {
        Ok(all) => all,
        Err(code) => return code,
    };
    let found = match &arguments.run {
        None => found,
        Some(wanted) => match selected::run(wanted, found) {
            Ok(Some(one)) => vec![one],
            // What it may still have been creating has never come to be.
            Ok(None) => return ExitCode::Passed,
            Err(code) => return code,
        },
    };
    let is_wanted = |one: &Found| {
        let project = arguments.project.as_ref();
        project.is_none_or(|name| *name == one.project) && (build.is_none() || build == one.build)
    };
    let found: Vec<Found> = found.into_iter().filter(is_wanted).collect();
    if let (Some(build), true) = (&build, found.is_empty()) {
        say(&format!("nothing of build `{build}` is on this engine"));
    }
    let mut code = ExitCode::Passed;
    let mut doomed = Vec::new();
    for one in found {
        match arguments.spares(&one) {
            None => doomed.push(one),
            Some(reason) if arguments.run.is_some() => return refuse(&one, &reason),
            Some(reason) if arguments.dry_run => {
                say(&format!("would keep {}: {reason}", described(&one)));
            }
            // Whoever asks for a build wants to know of all of it.
            Some(reason) if build.is_some() => {
                say(&format!("kept {}: {reason}", described(&one)));
            }
            Some(_) => {}
        }
    }
    if arguments.dry_run {
        for one in &doomed {
            say(&format!(
                "would remove {}: {}",
                described(one),
                one.standing
            ));
        }
        return code;
    }
    let removals = doomed.into_iter().map(|one| {
        let engine = Arc::clone(&engine);
        async move {
            let report = gc::remove(&engine, one.run, Limits::default()).await;
            (one, report)
        }
    });
    for (one, report) in futures::future::join_all(removals).await {
        code = code.strongest(down::told(&one, &report));
    }
    code
}

fn described(found: &Found) -> String {
    format!(
        "run {} of `{}`, {} old, {}",
        found.run,
        found.project,
        rough(found.age),
        found.inventory()
    )
}

fn refuse(found: &Found, reason: &str) -> ExitCode {
    let hint = down::needed(found).unwrap_or_default();
    complain(&format!(
        "run {} is not removed: it is {reason}\nhint: {hint}",
        found.run
    ));
    ExitCode::Usage
}
