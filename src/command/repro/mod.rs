//! `envrun repro`: a run done again, from what it has written.

mod bundle;
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;

use self::bundle::Opened;
use super::facts::{self, Sources};
use super::host_command::CommandArguments;
use super::project::{self, ProjectArguments, Replayed, SuiteArguments};
use super::run::{Reporting, Wanted, holding_time, perform};
use super::showing::ShowingArguments;
use super::untrusted::UntrustedArguments;
use super::{complain, down, exec, recording, say};
use crate::config;
use crate::engine::docker::DockerEngine;
use crate::engine::{Engine, PullSpec};
use crate::exit_code::ExitCode;
use crate::image::Reference;
use crate::reachability;
use crate::replay::{
    Bundle, Choice, Comparison, FILE, Facts, Present, Target, choose, compare, differences,
    single_test,
};
use crate::run::dispatcher::HoldWhen;

/// Where the reports of a replay go unless told otherwise.
const DEFAULT_OUTPUT: &str = "envrun-repro";

/// For how long an environment is held for a shell.
const SHELL_TIME: Duration = Duration::from_secs(12 * 3600);

/// Arguments of `envrun repro`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// `run.json` of a run, a directory that holds one, or the artifact of a CI job as it was downloaded:
    /// `.zip` or `.tar.gz`
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Run this suite instead of those that failed
    #[arg(long, value_name = "SUITE")]
    suite: Option<String>,
    /// Run and judge this test alone: its name, or `CLASS::NAME`
    #[arg(long, value_name = "TEST")]
    test: Option<String>,
    /// Bring up the environment, and open a shell in a fresh container of the suite instead of running it
    #[arg(long, conflicts_with_all = ["times", "test"])]
    shell: bool,
    /// When it fails again, keep the environment for this long, and say how to enter it
    #[arg(
        long,
        value_name = "TIME",
        value_parser = holding_time,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30m",
        conflicts_with = "times"
    )]
    hold: Option<Duration>,
    /// Do it so many times, each in a fresh environment, and count the failures
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    times: u32,
    /// Directory of the project [default: the files of the bundle if it has them, else the current one]
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// File with the variables that the bundle does not hold, those of secrets
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Directory for reports and logs
    #[arg(long, value_name = "DIR", default_value = DEFAULT_OUTPUT)]
    out: PathBuf,
    /// Take images by the digests of `envrun.lock` of the project
    #[arg(long)]
    locked: bool,
    #[command(flatten)]
    showing: ShowingArguments,
    #[command(flatten)]
    strangers: UntrustedArguments,
    #[command(flatten)]
    command: CommandArguments,
}

/// What is done again, and with what.
struct Prepared {
    replayed: Replayed,
    choice: Choice,
    bundle: Bundle,
    strangers: UntrustedArguments,
    showing: ShowingArguments,
    /// They go with it.
    _scratch: Vec<TempDir>,
}

pub(super) async fn repro(arguments: Arguments) -> ExitCode {
    let prepared = match prepare(&arguments).await {
        Ok(prepared) => prepared,
        Err(problem) => {
            complain(&problem);
            return ExitCode::Usage;
        }
    };
    if arguments.shell {
        return Box::pin(shell(&arguments, prepared)).await;
    }
    let mut outcomes = Vec::new();
    for number in 1..=arguments.times {
        let out = match arguments.times {
            1 => arguments.out.clone(),
            _ => arguments.out.join(number.to_string()),
        };
        let hold = arguments.hold.map(|time| (HoldWhen::Failed, time));
        let suites = prepared.choice.suites.clone();
        let wanted = Wanted::Run(
            SuiteArguments::as_in(&prepared.bundle.command, suites),
            arguments.command.clone(),
        );
        // What an earlier replay has left there is not the result of this one.
        let _ = std::fs::remove_file(out.join(FILE));
        let code = again(&prepared, wanted, out.clone(), hold).await;
        let comparison = match (compared(&prepared, &out), code) {
            (_, ExitCode::Usage) => return code,
            (Ok(comparison), _) => comparison,
            (Err(problem), _) => {
                complain(&problem);
                Comparison::Unknown
            }
        };
        let lines = comparison.lines();
        if arguments.times > 1 {
            say(&format!(
                "{number} of {}: {}",
                arguments.times,
                lines.first().map_or("", String::as_str)
            ));
        } else {
            lines.iter().for_each(|line| say(line));
        }
        let is_over = matches!(code, ExitCode::Signal(_) | ExitCode::Engine | ExitCode::Bug);
        outcomes.push((code, comparison));
        if is_over {
            break;
        }
    }
    if arguments.times > 1 {
        summary(&outcomes, arguments.times);
    }
    let codes = outcomes.iter().map(|(code, _)| *code);
    codes
        .reduce(ExitCode::strongest)
        .unwrap_or(ExitCode::Passed)
}

fn summary(outcomes: &[(ExitCode, Comparison)], wanted: u32) {
    let count = |is: fn(&Comparison) -> bool| outcomes.iter().filter(|(_, one)| is(one)).count();
    let reproduced = count(Comparison::is_reproduced);
    let other = count(|one| matches!(one, Comparison::Other(_)));
    let ended = match outcomes.len() {
        done if done < wanted as usize => format!(", ended after {done}"),
        _ => String::new(),
    };
    let beside = match other {
        0 => String::new(),
        other => format!(", {other} with another failure"),
    };
    say(&format!(
        "{reproduced} of {wanted} failed as before{beside}{ended}"
    ));
    let mut failures: BTreeMap<&String, usize> = BTreeMap::new();
    for (_, comparison) in outcomes {
        let (again, new): (&[String], &[String]) = match comparison {
            Comparison::Same(again) => (again, &[]),
            Comparison::Part { again, new, .. } => (again, new),
            Comparison::Other(new) => (&[], new),
            Comparison::Passed | Comparison::Unknown => (&[], &[]),
        };
        for failure in again.iter().chain(new) {
            *failures.entry(failure).or_default() += 1;
        }
    }
    for (failure, count) in failures {
        say(&format!("  {count} times: {failure}"));
    }
}

async fn again(
    prepared: &Prepared,
    wanted: Wanted,
    out: PathBuf,
    hold: Option<(HoldWhen, Duration)>,
) -> ExitCode {
    let project = ProjectArguments::replaying(&prepared.replayed, prepared.strangers.clone());
    let reporting = Reporting {
        command: "repro",
        out: Some(out),
        context: false,
        showing: prepared.showing.clone(),
    };
    Box::pin(perform(project, wanted, reporting, hold)).await
}

/// What the second run has come to, held against the first.
fn compared(prepared: &Prepared, out: &Path) -> Result<Comparison, String> {
    let after = bundle::open(&out.join(FILE))?.bundle;
    let target = match (&prepared.choice.test, prepared.choice.suites.first()) {
        (Some(test), Some(suite)) => Target::Test(suite, test),
        _ => Target::Suites(&prepared.choice.suites),
    };
    Ok(compare(&prepared.bundle.results, &after.results, target))
}

/// Everything that can be known before anything starts. What is wrong is one text for people.
async fn prepare(arguments: &Arguments) -> Result<Prepared, String> {
    let Opened {
        bundle, context, ..
    } = &bundle::open(&arguments.bundle)?;
    let choice = choose(
        bundle,
        arguments.suite.as_deref(),
        arguments.test.as_deref(),
    );
    let mut choice = choice.map_err(|error| error.to_string())?;
    if bundle
        .project
        .model
        .pointer("/x-envrun/reachability")
        .is_some()
    {
        // The matrix is no service: it is tried with whatever runs.
        choice.suites.retain(|suite| {
            suite != reachability::SUITE || model::has(&bundle.project.model, suite)
        });
    }
    let suites = &choice.suites;
    if arguments.shell && suites.len() != 1 {
        let names = suites.join("`, `");
        return Err(format!(
            "`--shell` is about one suite\nhint: say which with `--suite`: `{names}`"
        ));
    }
    // What a bundle says runs in containers. On this host runs what a person says.
    if let Some(name) = suites
        .iter()
        .find(|suite| !model::has(&bundle.project.model, suite))
        && arguments.command.is_empty()
    {
        return Err(format!(
            "suite `{name}` was a command on the host, and a bundle runs none here\nhint: give the command again: `envrun repro … --command-name {name} -- COMMAND`, or say by `--suite` which other suite to run"
        ));
    }
    let mut scratch = Vec::new();
    let directory = directory(arguments, context.as_deref(), &mut scratch)?;
    let mut strangers = arguments.strangers.clone();
    strangers.untrusted |= bundle.command.untrusted;
    let variables = variables(bundle, arguments.env_file.as_deref())?;
    let mut model = bundle.project.model.clone();
    if let Some(missing) = model::missing(&model, bundle, &directory) {
        return Err(missing);
    }
    if let Some(test) = &choice.test {
        let suite = suites.first().map(String::as_str).unwrap_or_default();
        let command = model::test_command(&model, suite);
        match command.is_empty() {
            true => say(&format!(
                "suite `{suite}` has no `test_command`, so it runs as a whole and `{}` alone is judged",
                test.title()
            )),
            false => model::set_command(&mut model, suite, &single_test(&command, test)?),
        }
    }
    if let (true, Some(suite)) = (arguments.shell, suites.first()) {
        model::wait_for_shell(&mut model, suite)?;
    }
    let mut replayed = Replayed {
        model: PathBuf::new(),
        directory,
        name: bundle.project.name.clone(),
        variables,
        concurrent_starts: bundle.command.concurrent_starts,
        locked: arguments.locked,
    };
    let engine = DockerEngine::from_environment();
    let images = match &engine {
        Ok(engine) => images(bundle, engine, &mut model).await,
        Err(_) => BTreeMap::new(),
    };
    let written = tempfile::Builder::new().prefix("envrun-repro-").tempdir();
    let written = written.map_err(|error| format!("no temporary directory: {error}"))?;
    replayed.model = written.path().join("compose.json");
    let text = format!("{model:#}\n");
    std::fs::write(&replayed.model, text)
        .map_err(|error| format!("cannot write the model: {error}"))?;
    scratch.push(written);
    let facts = look(bundle, &replayed, engine.ok()).await;
    let present = Present {
        envrun: env!("CARGO_PKG_VERSION").to_owned(),
        host: recording::machine(),
        facts,
        images,
    };
    tell(bundle, &choice, &present, &replayed);
    Ok(Prepared {
        replayed,
        choice,
        bundle: bundle.clone(),
        strangers,
        showing: arguments.showing.clone(),
        _scratch: scratch,
    })
}

fn tell(bundle: &Bundle, choice: &Choice, present: &Present, replayed: &Replayed) {
    let what = match (&choice.test, choice.suites.as_slice()) {
        (Some(test), [suite, ..]) => format!("test `{}` of suite `{suite}`", test.title()),
        (_, []) => "the whole run, whose environment failed".to_owned(),
        (_, suites) => format!("`{}`", suites.join("`, `")),
    };
    say(&format!(
        "run {} of `{}`, {}: {what}, in {}",
        bundle.run,
        bundle.project.name,
        bundle.started,
        replayed.directory.display()
    ));
    let differences = differences(bundle, present);
    if differences.is_empty() {
        say("nothing differs that is known");
    }
    for line in differences {
        say(&format!("differs: {line}"));
    }
    for line in &bundle.facts.unseen {
        say(&format!("not compared: {line}"));
    }
}

/// The directory that the files of the project are in.
fn directory(
    arguments: &Arguments,
    context: Option<&Path>,
    scratch: &mut Vec<TempDir>,
) -> Result<PathBuf, String> {
    let path = match (&arguments.project, context) {
        (Some(path), _) => path.clone(),
        (None, Some(context)) => {
            let unpacked = tempfile::Builder::new().prefix("envrun-repro-").tempdir();
            let unpacked = unpacked.map_err(|error| format!("no temporary directory: {error}"))?;
            bundle::unpack_context(context, unpacked.path())?;
            // Files of it are mounted into containers whose user is another one.
            open_to_all(unpacked.path()).map_err(|error| error.to_string())?;
            let path = unpacked.path().to_path_buf();
            scratch.push(unpacked);
            path
        }
        (None, None) => PathBuf::from("."),
    };
    let shown = path.display().to_string();
    if !path.is_dir() {
        return Err(format!(
            "`{shown}` is not a directory\nhint: `--project` names a copy of the repository"
        ));
    }
    std::path::absolute(&path).map_err(|error| format!("cannot use `{shown}`: {error}"))
}

fn open_to_all(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// The variables that the model may use: those that a bundle must not hold. Of this environment nothing
/// else is seen but what envrun itself is set by.
fn variables(bundle: &Bundle, file: Option<&Path>) -> Result<BTreeMap<String, String>, String> {
    let here = project::environment();
    let mut from_file = BTreeMap::new();
    if let Some(path) = file {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        let lookup = |name: &str| here.get(name).map(String::as_str);
        let parsed = config::dotenv::parse(&text, &lookup);
        from_file = parsed
            .map_err(|errors| {
                let first = errors.first().map_or("", |error| error.message.as_str());
                format!("`{shown}`: {first}")
            })?
            .variables;
    }
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for name in &bundle.secrets {
        match here.get(name).or_else(|| from_file.get(name)) {
            Some(value) => drop(found.insert(name.clone(), value.clone())),
            None => missing.push(format!("`{name}`")),
        }
    }
    if !missing.is_empty() {
        return Err(format!(
            "the run had {} from its environment, which a bundle does not hold: {}\nhint: set them here, or name a file with them by `--env-file`; where the value does not matter, any will do",
            if missing.len() == 1 {
                "a variable"
            } else {
                "variables"
            },
            missing.join(", ")
        ));
    }
    found.extend(
        here.into_iter()
            .filter(|(name, _)| name.starts_with("ENVRUN_")),
    );
    Ok(found)
}

/// Looks at the files here as the run did there.
async fn look(bundle: &Bundle, replayed: &Replayed, engine: Option<DockerEngine>) -> Facts {
    let facts = Arc::<Mutex<Facts>>::default();
    if let Some(engine) = engine {
        facts::ask(&engine, &facts).await;
    }
    let request = config::Request {
        directory: replayed.directory.clone(),
        files: vec![replayed.model.clone()],
        profiles: vec!["*".to_owned()],
        environment: replayed.variables.clone(),
        project_name: Some(replayed.name.clone()),
        project_directory: Some(replayed.directory.clone()),
        ..config::Request::default()
    };
    // What cannot be loaded is told by the run.
    if let (Ok(loaded), Some(portable)) = (
        config::load(&request),
        config::replay::portable(&request, &BTreeSet::new()),
    ) {
        let sources = Sources::of(&portable, &loaded.project)
            .instead_of(&replayed.model, &bundle.project.files);
        let growing = Arc::clone(&facts);
        let _ = tokio::task::spawn_blocking(move || facts::look(&sources, None, &growing)).await;
    }
    facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Which images are here under the names of the bundle. Where a name means another image here and a
/// registry has that of the run by its digest, the model names the digest.
async fn images(
    bundle: &Bundle,
    engine: &DockerEngine,
    model: &mut serde_json::Value,
) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    for image in bundle.images.iter().filter(|image| !image.built) {
        let id = async |name: &str| {
            let facts = engine.inspect_image(name).await.ok().flatten();
            facts.map(|facts| facts.id.as_str().to_owned())
        };
        let here = id(&image.image).await;
        if here.as_deref() == Some(image.id.as_str()) {
            found.insert(image.image.clone(), here);
            continue;
        }
        let mut same = None;
        for digest in &image.digests {
            let Ok(reference) = Reference::parse(digest) else {
                continue;
            };
            if id(digest).await.is_none() {
                let spec = PullSpec {
                    reference,
                    platform: None,
                };
                let _ = engine.pull_image(&spec, &|_| {}).await;
            }
            if let Some(id) = id(digest).await {
                model::set_image(model, &image.services, digest);
                same = Some(id);
                break;
            }
        }
        found.insert(image.image.clone(), same.or(here));
    }
    found
}

/// The environment, held, and a shell in a container of the suite that waits for it.
async fn shell(arguments: &Arguments, prepared: Prepared) -> ExitCode {
    let suite = prepared.choice.suites.first().cloned().unwrap_or_default();
    let time = arguments.hold.unwrap_or(SHELL_TIME);
    let hold = Some((HoldWhen::Up, time));
    let _ = std::fs::remove_file(arguments.out.join(FILE));
    let code = again(&prepared, Wanted::Environment, arguments.out.clone(), hold).await;
    if code != ExitCode::Passed {
        return code;
    }
    let run = match bundle::open(&arguments.out.join(FILE)) {
        Ok(opened) => opened.bundle.run,
        Err(problem) => {
            complain(&problem);
            return ExitCode::Bug;
        }
    };
    if let Some(command) = model::command(&prepared.bundle.project.model, &suite) {
        say(&format!("`{suite}` runs: {command}"));
    }
    let code = exec::shell_in(run.clone(), suite).await;
    match arguments.hold {
        // It was asked to stay.
        Some(_) => code,
        None => match down::down_own(&run).await {
            ExitCode::Passed => code,
            failed => failed,
        },
    }
}
