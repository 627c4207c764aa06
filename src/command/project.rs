//! What the commands have in common: which project, which suites.

mod held;
mod replayed;
mod suites;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use self::held::{held_services, held_within, not_in_held};
pub(super) use self::replayed::Replayed;
pub(super) use self::suites::SuiteArguments;
use super::facts::Sources;
use super::masking::{self, MaskArguments};
use super::untrusted::UntrustedArguments;
use super::{complain, lock, showing, whereabouts};
use crate::config::model::Project;
use crate::config::replay::{self, Portable};
use crate::config::untrusted::Untrusted;
use crate::config::{self, Loaded, Problem, Problems, Request, Severity};
use crate::engine::{Engine, Subnet};
use crate::exit_code::ExitCode;
use crate::lease::Identity;
use crate::mask::Masker;
use crate::name::Shard;
use crate::plan::host::Host;
use crate::plan::subnet;
use crate::plan::{HostCommand, Plan, Selection, within};
use crate::report::colour;
use crate::run::gc::Found;
use crate::settings::{self, Flags, Loaded as Configured, Settings};

/// Which project.
#[derive(Debug, Args)]
pub(super) struct FileArguments {
    /// Directory of the project
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Compose file, `-` for standard input; give it several times to merge. Without it
    /// `compose.yaml` of the directory is used
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the project, instead of `name:` in the file
    #[arg(short, long, value_name = "NAME")]
    project_name: Option<String>,
    /// Directory that relative paths are under, instead of that of the first file
    #[arg(long, value_name = "DIR")]
    project_directory: Option<PathBuf>,
    /// Profile whose services take part; give it several times for several
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// File with variables, instead of `.env`; of several, the later one wins
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,
    /// Take warnings about the files as errors
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    strangers: UntrustedArguments,
    /// The variables of a bundle that is replayed, instead of this process's environment.
    #[arg(skip)]
    variables: Option<BTreeMap<String, String>>,
}

impl FileArguments {
    /// What is asked of the configuration, with the settings that hold for the directory that was
    /// named. Everything that is wrong has been printed when this fails.
    pub(super) fn request(&self, flags: &Flags) -> Result<(Request, Configured), ExitCode> {
        let mut request = self.asked();
        let directory = request.named_directory();
        let configured = configure((&directory, &request), flags)?;
        let is_untrusted = configured.settings.untrusted;
        request.untrusted = self.strangers.untrusted(is_untrusted)?;
        Ok((request, configured))
    }

    /// The same before anybody has said whose code it is.
    fn asked(&self) -> Request {
        Request {
            untrusted: None,
            directory: self.directory.clone(),
            files: self.files.clone(),
            profiles: self.profiles.clone(),
            environment: match &self.variables {
                Some(variables) => variables.clone(),
                None => environment(),
            },
            project_name: self.project_name.clone(),
            env_files: self.env_files.clone(),
            project_directory: self.project_directory.clone(),
        }
    }

    /// What the command line says about the settings, as far as it is about files.
    pub(super) fn flags(&self) -> Flags {
        Flags {
            untrusted: self.strangers.untrusted,
            ..Flags::default()
        }
    }

    /// Loads the project, and the settings that hold for where it was found. A project that was found
    /// elsewhere than where it was looked for may say there that it is that of strangers; then it is
    /// loaded again, as such.
    pub(super) fn load(&self, flags: &Flags) -> Result<(Loaded, Configured, Request), ExitCode> {
        let (mut request, mut configured) = self.request(flags)?;
        let mut loaded = load(&request, &configured)?;
        let directory = loaded.project.directory.clone();
        if request.untrusted.is_none() && directory != request.named_directory() {
            configured = configure((&directory, &request), flags)?;
            if configured.settings.untrusted {
                request.untrusted = self.strangers.untrusted(true)?;
                loaded = load(&request, &configured)?;
            }
        }
        Ok((loaded, configured, request))
    }

    /// Hands on the warnings; with `--strict` they are errors, which have been printed when this
    /// fails.
    pub(super) fn judge(&self, warnings: Vec<Problem>) -> Result<Problems, ExitCode> {
        // The run of the bundle has told them, about files that a person knows.
        if self.variables.is_some() {
            return Ok(Problems::default());
        }
        if !self.strict || warnings.is_empty() {
            return Ok(Problems::from(warnings));
        }
        let errors = warnings.into_iter().map(|problem| Problem {
            severity: Severity::Error,
            ..problem
        });
        show(&Problems::from(errors.collect::<Vec<_>>()));
        complain("warnings are errors with `--strict`");
        Err(ExitCode::Usage)
    }
}

/// The environment of this process, as far as it is text.
pub(super) fn environment() -> BTreeMap<String, String> {
    let variables = std::env::vars_os();
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// What of a project is to be brought up.
pub(super) enum Part {
    /// The environment and its suites.
    Run(SuiteArguments, Option<HostCommand>),
    /// The environment, for suites that are run in it later.
    Environment,
    /// The suites, in an environment that is there.
    Within(SuiteArguments, Option<HostCommand>, Found),
}

impl Part {
    fn suites(&self) -> Option<&SuiteArguments> {
        match self {
            Self::Run(suites, _) | Self::Within(suites, _, _) => Some(suites),
            Self::Environment => None,
        }
    }

    fn command(&self) -> Option<&HostCommand> {
        match self {
            Self::Run(_, command) | Self::Within(_, command, _) => command.as_ref(),
            Self::Environment => None,
        }
    }

    fn selection(&self, project: &Project) -> Result<Selection, ExitCode> {
        Ok(match self.suites() {
            Some(suites) => Selection {
                only: suites.only.clone(),
                skip: suites.skip.clone(),
                command: self.command().cloned(),
                environment_only: false,
                part: suites.shard,
                node: suites.node(project)?,
            },
            None => Selection {
                environment_only: true,
                ..Selection::default()
            },
        })
    }
}

/// Which project, and where its images come from.
#[derive(Debug, Args)]
pub(super) struct ProjectArguments {
    #[command(flatten)]
    files: FileArguments,
    /// Pull the images of a registry from elsewhere: `docker.io=mirror.example/hub`; give it several
    /// times for several
    #[arg(long = "mirror", value_name = "REGISTRY=HOST[/PATH]")]
    mirrors: Vec<String>,
    /// Start so many containers at once, over all runs of this user on this machine; 0 means any number
    /// [default: twice the number of processors, at least 4]
    #[arg(long, value_name = "NUMBER")]
    concurrent_starts: Option<String>,
    /// Take the subnets of networks from this range [default: 10.232.0.0/14]
    #[arg(long, value_name = "CIDR")]
    subnet_pool: Option<String>,
    /// Keep at most so much of the artifacts of each suite and service: a size, or a size and a number of
    /// files [default: 1GiB/10000]
    #[arg(long, value_name = "SIZE[/FILES]")]
    artifact_limit: Option<String>,
    /// Take images by the digests of `envrun.lock`, and fail where one is missing there
    #[arg(long)]
    locked: bool,
    /// Write junit.xml for readers that hold to a schema, such as Jenkins' xUnit plugin: `strict`
    /// [default: default]
    #[arg(long, value_name = "PROFILE")]
    junit_profile: Option<String>,
    /// Leave alone what dead runs have left
    #[arg(long)]
    no_gc: bool,
    #[command(flatten)]
    masks: MaskArguments,
}

impl ProjectArguments {
    /// The directory that was named.
    pub(super) fn directory(&self) -> &Path {
        &self.files.directory
    }

    /// What the command line says about the settings.
    fn flags(&self) -> Flags {
        Flags {
            mirrors: self.mirrors.clone(),
            concurrent_starts: self.concurrent_starts.clone(),
            subnet_pool: self.subnet_pool.clone(),
            artifact_limit: self.artifact_limit.clone(),
            junit_profile: self.junit_profile.clone(),
            no_gc: self.no_gc,
            locked: self.locked,
            output: self.masks.flags(),
            ..self.files.flags()
        }
    }
}

/// A plan, and what else a run needs to know of its project.
pub(super) struct Planned {
    /// The plan.
    pub(super) plan: Plan,
    /// The pool that subnets are taken from.
    pub(super) subnet_pool: Subnet,
    /// Whether this process is in a container of the engine.
    pub(super) in_container: bool,
    /// The settings in force.
    pub(super) settings: Settings,
    /// Hides the secrets of the project and of the settings.
    pub(super) masker: Masker,
    /// What the user should know; what it says is masked.
    pub(super) warnings: Problems,
    /// Directory of the project.
    pub(super) directory: PathBuf,
    /// Which part of the suites this run has, if it is one of several.
    pub(super) shard: Option<Shard>,
    /// How many suites run at once; `None` is any number.
    pub(super) parallel: Option<u32>,
    /// The project as it can be taken elsewhere.
    pub(super) portable: Option<Portable>,
    /// The files that the run reads.
    pub(super) sources: Option<Sources>,
}

/// Whether reports may be written to a directory. Strangers' code is the author of links in its
/// project, and of what the reports say.
pub(super) fn admit_output(arguments: &ProjectArguments, output: &Path) -> Result<(), Problems> {
    let mut request = arguments.files.asked();
    let flags = arguments.flags();
    let configured = settings::load(&request.named_directory(), &request.environment, &flags);
    // Where nobody can say whose code it is, it is strangers'.
    if configured.is_ok_and(|configured| !configured.settings.untrusted) {
        return Ok(());
    }
    request.untrusted = Some(Untrusted::default());
    let admitted = config::untrusted::admit_output(&request, output);
    admitted.map_err(|problem| Problems::from(vec![problem]))
}

/// Loads the project and makes the plan, and hands on the warnings. Everything that is wrong has
/// been printed when this fails. The engine is asked only what it sees of our files.
pub(super) async fn plan(
    arguments: &ProjectArguments,
    part: &Part,
    identity: &Identity,
    engine: Option<&dyn Engine>,
) -> Result<Planned, ExitCode> {
    plan_with(arguments, (part, true), identity, engine).await
}

/// The same for whoever writes `envrun.lock`, so that what is in it so far counts for nothing.
pub(super) async fn plan_to_lock(
    arguments: &ProjectArguments,
    part: &Part,
    identity: &Identity,
    engine: &dyn Engine,
) -> Result<Planned, ExitCode> {
    plan_with(arguments, (part, false), identity, Some(engine)).await
}

async fn plan_with(
    arguments: &ProjectArguments,
    (part, may_lock): (&Part, bool),
    identity: &Identity,
    engine: Option<&dyn Engine>,
) -> Result<Planned, ExitCode> {
    let (mut loaded, configured, request) = arguments.files.load(&arguments.flags())?;
    let masked: BTreeSet<String> = configured.settings.output.mask.iter().cloned().collect();
    let portable = replay::portable(&request, &masked);
    let sources = portable
        .as_ref()
        .map(|portable| Sources::of(portable, &loaded.project));
    // Who runs it knows what is beyond this machine.
    let internet = configured.settings.internet.clone();
    loaded.project.settings.internet = internet.or(loaded.project.settings.internet);
    let mut warnings = loaded.warnings;
    if matches!(part, Part::Within(..)) && loaded.project.settings.reachability.is_some() {
        let message = "the reachability matrix is not tested in an environment that is held";
        warnings.push(Problem::warning(message));
    }
    if matches!(part, Part::Environment) {
        warnings.extend(not_in_held(&loaded.project));
    }
    warnings.extend(configured.warnings);
    let environment = arguments.files.asked().environment;
    let (masker, unmasked) = masking::masker(
        &loaded.project.to_mask,
        &configured.settings.output,
        &environment,
    )?;
    masking::clean(&mut warnings, &masker);
    let warnings = arguments.files.judge(warnings)?;
    if let Some(suites) = part.suites() {
        suites.override_in(&mut loaded.project, &configured.settings);
    }
    let mut selection = part.selection(&loaded.project)?;
    if selection.command.is_some() && configured.settings.untrusted {
        complain(
            "a command on this host cannot be run with `--untrusted`: nothing holds it in the project\nhint: make it a suite with a container, or leave out `--untrusted` where the code is your own",
        );
        return Err(ExitCode::Usage);
    }
    let shard = selection.part.or(selection.node);
    let parallel = loaded.project.settings.parallel;
    let project = match part {
        Part::Within(_, _, held) => {
            held_within(&loaded.project, &selection, held)?;
            if let Some(command) = &mut selection.command {
                command.held = held_services(&loaded.project, held);
            }
            within::within(&loaded.project, held.run)
        }
        Part::Run(..) | Part::Environment => loaded.project,
    };
    let host = match engine {
        Some(engine) => whereabouts::of(engine).await,
        None => Host::default(),
    };
    let mut plan = Plan::on_host(&project, identity, &selection, &host).map_err(|error| {
        complain(&masker.text(&error.to_string()));
        showing::tell_problem(&masker.text(&error.to_string()));
        ExitCode::Usage
    })?;
    // An engine that does not answer is told of by the run.
    if let (Some(engine), Some(_)) = (engine, plan.limits)
        && let Ok(processors) = engine.processors().await
    {
        plan = plan.with_processors(processors);
    }
    // They are about where envrun runs, and not about the files that were judged.
    let here = plan.warnings.iter().map(Problem::warning);
    let here = unmasked.into_iter().chain(here);
    let mut warnings: Vec<Problem> = warnings.into_vec().into_iter().chain(here).collect();
    masking::clean(&mut warnings, &masker);
    let subnet_pool = subnet::pool(configured.settings.subnet_pool);
    subnet::has_room(&plan, subnet_pool).map_err(|error| {
        complain(&error.to_string());
        showing::tell_problem(&error.to_string());
        ExitCode::Usage
    })?;
    let directory = project.directory.clone();
    let mut mirrors = configured.settings.mirrors.clone();
    if may_lock && configured.settings.locked {
        let lock = lock::lock_for(&plan, &directory).map_err(|problem| {
            complain(&problem);
            ExitCode::Usage
        })?;
        plan = plan.locked(&lock);
        mirrors = mirrors.locked(lock);
    }
    Ok(Planned {
        in_container: matches!(host, Host::Container(_)),
        subnet_pool,
        plan: plan.mirrored(&mirrors),
        directory,
        shard,
        parallel,
        settings: configured.settings,
        masker,
        warnings: Problems::from(warnings),
        portable,
        sources,
    })
}

/// The settings that hold for a directory.
fn configure(
    (directory, request): (&Path, &Request),
    flags: &Flags,
) -> Result<Configured, ExitCode> {
    settings::load(directory, &request.environment, flags).map_err(|problems| {
        show(&problems);
        ExitCode::Usage
    })
}

/// Loads a project. Where it cannot be loaded, only what the settings name is known to be secret.
fn load(request: &Request, configured: &Configured) -> Result<Loaded, ExitCode> {
    config::load(request).map_err(|problems| {
        let output = &configured.settings.output;
        match masking::masker(&[], output, &request.environment) {
            Ok((masker, _)) => {
                let mut problems = problems.into_vec();
                masking::clean(&mut problems, &masker);
                show(&Problems::from(problems));
            }
            Err(code) => return code,
        }
        ExitCode::Usage
    })
}

/// Prints problems with their places, if there are any.
pub(super) fn show(problems: &Problems) {
    showing::tell_problems(problems.iter());
    if !problems.is_empty() {
        let colour = colour::wanted(std::io::stderr().is_terminal());
        let _ = std::io::stderr().write_all(problems.render(colour, WIDTH).as_bytes());
    }
}

/// Columns for diagnostics.
const WIDTH: usize = 100;
