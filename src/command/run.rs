//! `envrun run`: the main job.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::host_command::CommandArguments;
use super::project::{self, Part, Planned, ProjectArguments, SuiteArguments};
use super::showing::ShowingArguments;
use super::{complain, recording, selected, signals, starts};
use crate::ci::Ci;
use crate::clock;
use crate::config::duration;
use crate::engine::docker::DockerEngine;
use crate::engine::{Engine, EngineError};
use crate::event::Event;
use crate::exit_code::{ExitCode, Signal};
use crate::host::process::Processes;
use crate::lease::{Identity, Lease, Neighbours as _};
use crate::name::RunId;
use crate::outcome::TeardownReport;
use crate::plan::subnet;
use crate::probe::host::HostProber;
use crate::report::{self, DEFAULT_DIRECTORY, OutputDirectory, Reporters, Surroundings};
use crate::run::dispatcher::{EngineHost, Hold, HoldWhen, Settings};
use crate::run::gc::{self, Found};
use crate::run::host_command::process::HostCommands;
use crate::run::ledger::{IntentSink, Ledger};
use crate::run::teardown::Limits;
use crate::run::watchdog::Watchdog;
use crate::run::{Recorder, Wiring};

/// Arguments of `envrun run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    project: ProjectArguments,
    #[command(flatten)]
    suites: SuiteArguments,
    /// Run the suites in an environment that is held, by the id of its run or the beginning of it
    #[arg(long = "in", value_name = "RUN", conflicts_with = "hold_on_failure")]
    within: Option<String>,
    /// Directory for reports and logs [default: envrun-out]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    showing: ShowingArguments,
    /// When a suite or the environment fails, keep everything for this long, and say how to enter it:
    /// `30m`, `2h`
    #[arg(long, value_name = "TIME", value_parser = holding_time)]
    hold_on_failure: Option<Duration>,
    /// Put the files that the run reads into the output directory too, so that `envrun repro` needs no
    /// copy of the repository; files of secrets are left out
    #[arg(long)]
    bundle_context: bool,
    #[command(flatten)]
    command: CommandArguments,
}

/// Reads the time for which an environment is held.
pub(super) fn holding_time(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text).map_err(|error| error.to_string())?;
    if time < Duration::from_secs(1) {
        return Err("it has to be a second at least".to_owned());
    }
    if time > LONGEST_HOLD {
        return Err("it can be 30 days at most".to_owned());
    }
    Ok(time)
}

/// The longest time for which an environment is held.
const LONGEST_HOLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// Subnets tried for one network before the pool counts as exhausted. Each costs one refused call.
const SUBNET_ATTEMPTS: u32 = 1000;

/// How long a network waits for another run that has what only one network can have. As long as most
/// runs take, and short enough for a job to fail by itself.
const HOLDER_PATIENCE: Duration = Duration::from_secs(600);

/// What there is before anything is started.
struct Prepared {
    planned: Planned,
    processes: Processes,
    engine: Result<DockerEngine, EngineError>,
    directory: OutputDirectory,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let hold = arguments
        .hold_on_failure
        .map(|time| (HoldWhen::Failed, time));
    let wanted = match arguments.within {
        None => Wanted::Run(arguments.suites, arguments.command),
        Some(run) => Wanted::Within(arguments.suites, arguments.command, run),
    };
    let reporting = Reporting {
        command: "run",
        out: arguments.out,
        context: arguments.bundle_context,
        showing: arguments.showing,
    };
    Box::pin(perform(arguments.project, wanted, reporting, hold)).await
}

/// What is told of a run, and where.
pub(super) struct Reporting {
    /// The command that asks for it.
    pub(super) command: &'static str,
    /// The output directory that was asked for.
    pub(super) out: Option<PathBuf>,
    /// Whether the files that are read are kept there.
    pub(super) context: bool,
    /// How it is shown.
    pub(super) showing: ShowingArguments,
}

/// What of a project is asked for.
pub(super) enum Wanted {
    /// The environment and its suites.
    Run(SuiteArguments, CommandArguments),
    /// The environment.
    Environment,
    /// The suites, in the held environment of this run.
    Within(SuiteArguments, CommandArguments, String),
}

impl Wanted {
    /// Finds the run and the command that are named.
    async fn part(self, out: &Path) -> Result<Part, ExitCode> {
        Ok(match self {
            Self::Run(suites, command) => Part::Run(suites, command.find(out)?),
            Self::Environment => Part::Environment,
            Self::Within(suites, command, run) => {
                let command = command.find(out)?;
                let (_, held) = selected::find(Some(&run)).await?;
                Part::Within(suites, command, held)
            }
        })
    }
}

/// Brings a project up, runs what is to be run in it, and tears it down or holds it.
pub(super) async fn perform(
    project: ProjectArguments,
    wanted: Wanted,
    reporting: Reporting,
    hold: Option<(HoldWhen, Duration)>,
) -> ExitCode {
    let Reporting {
        command,
        out,
        context,
        showing,
    } = reporting;
    let suites = match &wanted {
        Wanted::Run(suites, _) | Wanted::Within(suites, ..) => Some(suites),
        Wanted::Environment => None,
    };
    let mut command = project.described(command, suites);
    // Before anything else, so that there is a report whenever a signal comes.
    let (hand_back, mut signals) = match signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&format!("cannot listen for signals: {error}"));
            return ExitCode::Bug;
        }
    };
    let around = showing.listen(project.directory());
    let run = RunId::random();
    let begun = SystemTime::now();
    // A task of its own: the file may come through a pipe that stays open, the directory may be slow.
    let mut preparing = tokio::spawn(prepare(
        project,
        wanted,
        (out.clone(), showing.summary.clone()),
        run,
    ));
    let prepared = tokio::select! {
        biased;
        Some(signal) = signals.recv() => {
            match clock::within(ALMOST_PREPARED, &mut preparing).await {
                Ok(Ok(Ok(prepared))) => {
                    // The run has hardly anything to end, and can say which suites it is about.
                    let _ = hand_back.send(signal);
                    Ok(Ok(prepared))
                }
                _ => {
                    let code = interrupted(out, run, begun, signal).await;
                    return never_begun(&around, code).await;
                }
            }
        }
        prepared = &mut preparing => prepared,
    };
    let Prepared {
        mut planned,
        processes,
        engine,
        directory,
    } = match prepared {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(code)) => return never_begun(&around, code).await,
        Err(_panicked) => return never_begun(&around, ExitCode::Bug).await,
    };
    let output = directory.path().to_path_buf();
    let Planned {
        plan,
        settings,
        masker,
        ..
    } = &planned;
    let mut handling = match showing.handling(&settings.output, plan, masker) {
        Ok(handling) => handling,
        Err(code) => return never_begun(&around, code).await,
    };
    handling.profile = settings.junit_profile.unwrap_or_default();
    let (mut surroundings, style) = showing.surroundings(settings.ci);
    surroundings.secrets = masker.values().map(str::to_owned).collect();
    let reporters = Reporters::new(&planned.plan, directory, style, surroundings, handling);
    command.untrusted = planned.settings.untrusted;
    command.shard = planned.shard.map(|shard| shard.to_string());
    command.parallel = planned.parallel;
    command.locked = planned.settings.locked;
    command.concurrent_starts = planned.settings.concurrent_starts;
    let subject = recording::Subject {
        run,
        command,
        engine: engine.as_ref().ok().cloned(),
        output: &output,
        context,
    };
    recording::keep(&reporters, &mut planned, subject);
    let Planned {
        plan,
        subnet_pool,
        in_container,
        settings: configured,
        masker,
        warnings,
        ..
    } = planned;
    for warning in warnings.iter() {
        let message = warning.to_string();
        reporters.event(Duration::ZERO, Event::Warning { message });
    }
    let starts = configured
        .concurrent_starts
        .unwrap_or_else(starts::default_limit);
    let mut settings = Settings {
        subnet_pool,
        avoid_subnets: subnet::host_routes(|name| std::fs::read_to_string(name).ok()),
        // A run alone has the whole limit.
        concurrent_starts: if starts == 0 { usize::MAX } else { starts },
        hold: hold.map(|(when, time)| Hold {
            when,
            time,
            keeper: None,
        }),
        subnet_attempts: SUBNET_ATTEMPTS,
        holder_patience: HOLDER_PATIENCE,
        engine_host: match &engine {
            Ok(engine) => engine_host(engine, in_container),
            Err(_) => EngineHost::default(),
        },
        artifacts: configured.artifact_limit.unwrap_or_default(),
        secret: RunId::random().as_u128(),
    };
    let recorder = Arc::clone(&reporters) as Arc<dyn Recorder>;
    for directory in plan.directories_to_make() {
        if let Err(error) = std::fs::create_dir_all(directory) {
            let message = format!("cannot make `{}`: {}", directory.display(), error.kind());
            reporters.event(Duration::ZERO, Event::Warning { message });
        }
    }
    let engine = match engine {
        Ok(engine) => Arc::new(engine),
        Err(error) => {
            let outcome = crate::run::without_engine(plan, settings, &recorder, error).await;
            reporters.close().await;
            return outcome.exit_code();
        }
    };
    let watchdog = tokio::task::spawn_blocking(move || Watchdog::start(run)).await;
    let sink = match watchdog {
        Ok(Ok(watchdog)) => {
            if let Some(hold) = &mut settings.hold {
                hold.keeper = processes.of(watchdog.pid());
            }
            Some(Box::new(watchdog) as Box<dyn IntentSink>)
        }
        Ok(Err(error)) => {
            let message =
                format!("{error}: if envrun is killed, `envrun gc --run {run}` has to clean up");
            reporters.event(Duration::ZERO, Event::Warning { message });
            None
        }
        Err(_panicked) => None,
    };
    let gate = starts::gate(run, &engine.address(), starts, &recorder);
    let engine: Arc<dyn Engine> = engine;
    if configured.gc != Some(false) {
        tokio::spawn(sweep(Arc::clone(&engine), processes, Arc::clone(&recorder)));
    }
    let wiring = Wiring {
        gate,
        masker,
        engine,
        prober: Arc::new(HostProber),
        commands: Arc::new(HostCommands),
        recorder,
        ledger: Ledger::new(run, sink),
        signals,
        limits: Limits::default(),
    };
    let outcome = crate::run::run(plan, settings, wiring).await;
    reporters.close().await;
    for problem in &outcome.report_problems {
        complain(problem);
    }
    if outcome.teardown.is_none() && outcome.held.is_none() {
        complain(&format!(
            "left without waiting for teardown; `envrun gc --run {run}` removes what is left"
        ));
    }
    outcome.exit_code()
}

/// Where ports that the engine publishes are found from here: from a container of the engine, at the host that
/// its default route leads to.
fn engine_host(engine: &DockerEngine, in_container: bool) -> EngineHost {
    if let Some(host) = engine.remote_host() {
        return EngineHost {
            host: Some(host),
            publish_on: None,
        };
    }
    if !in_container {
        return EngineHost::default();
    }
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let gateway = subnet::default_gateway(&routes).map(|gateway| gateway.to_string());
    EngineHost {
        host: gateway.clone(),
        publish_on: gateway,
    }
}

/// Removes what dead runs have left, beside the run that begins. What goes wrong there is for `envrun
/// gc` to say, and what is not done when the run is over is left to the next one.
async fn sweep(engine: Arc<dyn Engine>, processes: Processes, recorder: Arc<dyn Recorder>) {
    let begun = clock::now();
    let tell = |dead: Found, report: TeardownReport| {
        if report.removed.is_empty() {
            return;
        }
        let kinds = report.removed.iter().map(|resource| resource.kind);
        let removed = gc::inventory(kinds);
        let (run, project) = (dead.run, dead.project);
        recorder.event(
            begun.elapsed(),
            Event::Swept {
                run,
                project,
                removed,
            },
        );
    };
    // An engine that does not answer is what the run ends with.
    let _ = gc::sweep(&engine, &processes, Limits::default(), &tell).await;
}

async fn prepare(
    project: ProjectArguments,
    wanted: Wanted,
    (out, summary): (Option<PathBuf>, Option<PathBuf>),
    run: RunId,
) -> Result<Prepared, ExitCode> {
    let asked = out
        .as_deref()
        .unwrap_or_else(|| Path::new(DEFAULT_DIRECTORY));
    let part = wanted.part(asked).await?;
    let processes = Processes::look();
    let identity = Identity {
        run,
        lease: Lease::of(processes.this().cloned()),
        build: Ci::build(|name| std::env::var(name).ok()),
    };
    let engine = DockerEngine::from_environment();
    let known = engine.as_ref().ok().map(|engine| engine as &dyn Engine);
    let admitted = project::admit_output(&project, asked);
    // What stands in the way of a summary is no reason to leave old reports where they are.
    let summary = summary.map(|summary| project::admit_output(&project, &summary));
    let planned = match project::plan(&project, &part, &identity, known).await {
        Ok(planned) => planned,
        Err(code) => {
            // What is wrong has been said.
            if admitted.is_ok() {
                OutputDirectory::clear(out.as_deref());
            }
            return Err(code);
        }
    };
    if let Err(problems) = admitted.and(summary.unwrap_or(Ok(()))) {
        project::show(&problems);
        return Err(ExitCode::Usage);
    }
    let directory = OutputDirectory::open(out.as_deref(), run).map_err(|error| {
        complain(&error.to_string());
        ExitCode::Usage
    })?;
    Ok(Prepared {
        planned,
        processes,
        engine,
        directory,
    })
}

/// Tells a later step of the job how a run ends that has never begun.
async fn never_begun(around: &Surroundings, code: ExitCode) -> ExitCode {
    if let Err(problem) = report::tell_ending(around, code).await {
        complain(&problem);
    }
    code
}

/// How long a signal waits for a plan that is almost made.
const ALMOST_PREPARED: Duration = Duration::from_millis(500);

/// How long the report of a run that has not begun may take.
const EARLY_REPORT: Duration = Duration::from_secs(2);

/// A signal has come before there was a plan: nothing was started, and the report says so.
async fn interrupted(
    out: Option<PathBuf>,
    run: RunId,
    begun: SystemTime,
    signal: Signal,
) -> ExitCode {
    let outcome = crate::run::interrupted_before_plan(begun, signal);
    let code = outcome.exit_code();
    complain(&format!(
        "ended by {} before anything was started",
        signal.name()
    ));
    let writing = tokio::task::spawn_blocking(move || {
        let directory =
            OutputDirectory::open(out.as_deref(), run).map_err(|error| error.to_string())?;
        report::write_without_plan(&directory, run, &outcome)
    });
    match clock::within(EARLY_REPORT, writing).await {
        Ok(Ok(Err(problem))) => complain(&problem),
        Err(reached) => complain(&format!("cannot write `junit.xml`: {reached}")),
        Ok(_) => {}
    }
    code
}
