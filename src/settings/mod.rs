//! The configuration of envrun itself, as opposed to that of a project: the nearest `envrun.toml`,
//! then the `ENVRUN_*` variables, then flags, each over the one before.
//!
//! A setting is a field of [`Settings`], a key of the file ([`file`]), a variable ([`VARIABLES`])
//! and a flag of the command line. All that is wrong is told at once, with its place where it has
//! one. It touches neither an engine nor the network.

mod file;
mod output;
mod pool;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::output::{Live, Output, OutputFlags};
use crate::artifact::Limits;
use crate::ci::Choice;
use crate::config::diagnostic::{Problem, Problems, Severity};
use crate::config::model::reachability::InternetAddress;
use crate::config::suggest::nearest;
use crate::image::Mirrors;
use crate::image::mirror::parse_pair;
use crate::junit::Profile;
use crate::options::Cidr;

/// Name of the file.
pub const FILE_NAME: &str = "envrun.toml";

/// Mirrors, as `REGISTRY=MIRROR` with commas between.
const MIRROR: &str = "ENVRUN_MIRROR";

/// How many containers are started at once.
const CONCURRENT_STARTS: &str = "ENVRUN_CONCURRENT_STARTS";

/// The CI system in whose words a run is told.
const CI: &str = "ENVRUN_CI";

/// The id of the build, which [`crate::ci`] reads.
const BUILD: &str = crate::ci::BUILD;

/// Whether a run removes what dead runs have left.
const GC: &str = "ENVRUN_GC";

/// How many suites run at once.
const PARALLEL: &str = "ENVRUN_PARALLEL";

/// The pool that subnets are taken from.
const SUBNET_POOL: &str = "ENVRUN_SUBNET_POOL";

/// Whether the project is that of strangers.
const UNTRUSTED: &str = "ENVRUN_UNTRUSTED";

/// The address that a target `internet` of the reachability matrix means.
const INTERNET: &str = "ENVRUN_INTERNET";

/// How much is kept of the files of a container.
const ARTIFACT_LIMIT: &str = "ENVRUN_ARTIFACT_LIMIT";

/// Whether images are taken by the digests of `envrun.lock`.
const LOCKED: &str = "ENVRUN_LOCKED";

/// For whom `junit.xml` is written.
const JUNIT_PROFILE: &str = "ENVRUN_JUNIT_PROFILE";

/// The variables that are read.
const VARIABLES: &[&str] = &[
    ARTIFACT_LIMIT,
    JUNIT_PROFILE,
    MIRROR,
    output::LIVE,
    output::LOG_LIMIT,
    output::MASK,
    output::NO_MASK,
    BUILD,
    CI,
    CONCURRENT_STARTS,
    GC,
    INTERNET,
    PARALLEL,
    LOCKED,
    SUBNET_POOL,
    UNTRUSTED,
];

/// The prefix of all variables of envrun.
const PREFIX: &str = "ENVRUN_";

/// What the command line says about the settings.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--mirror`, each `REGISTRY=MIRROR`.
    pub mirrors: Vec<String>,
    /// `--artifact-limit`.
    pub artifact_limit: Option<String>,
    /// `--junit-profile`.
    pub junit_profile: Option<String>,
    /// `--concurrent-starts`.
    pub concurrent_starts: Option<String>,
    /// `--no-gc`.
    pub no_gc: bool,
    /// `--untrusted`.
    pub untrusted: bool,
    /// `--subnet-pool`.
    pub subnet_pool: Option<String>,
    /// `--locked`.
    pub locked: bool,
    /// What is said of output.
    pub output: OutputFlags,
}

/// The settings in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where the images of registries are pulled from instead.
    pub mirrors: Mirrors,
    /// How many containers are started at once, over all runs on this machine; 0 means any number.
    /// `None`: as many as suit this machine.
    pub concurrent_starts: Option<usize>,
    /// The CI system in whose words a run is told; `None` leaves it to what is around envrun.
    pub ci: Option<Choice>,
    /// How many suites of a run run at once; 0 means any number. `None` leaves it to the project.
    pub parallel: Option<u32>,
    /// Whether a run removes what dead runs have left; `None` means that it does.
    pub gc: Option<bool>,
    /// The project is that of strangers. Each of the three can switch it on, and none can switch it
    /// off for another.
    pub untrusted: bool,
    /// Images are taken by the digests of `envrun.lock`.
    pub locked: bool,
    /// The pool that subnets of networks are taken from; `None`: envrun's own.
    pub subnet_pool: Option<Cidr>,
    /// The address that a target `internet` of the reachability matrix means; `None` leaves it to the
    /// project, and to the default.
    pub internet: Option<InternetAddress>,
    /// How much is kept of the files of each suite and service; `None`: as much as is usual.
    pub artifact_limit: Option<Limits>,
    /// For whom `junit.xml` is written.
    pub junit_profile: Option<Profile>,
    /// What of output is shown, kept and hidden.
    pub output: Output,
}

/// Settings, and what the user should know of them.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Warnings.
    pub warnings: Vec<Problem>,
}

/// Loads the settings that hold for a project in `directory`, an absolute path.
///
/// The file may be the strangers' own. Where the caller says that they are strangers, it is not read
/// at all, since even an error would show what a link in its place leads to; where only the file says
/// so, nothing else in it counts.
///
/// # Errors
/// Everything that is wrong with the file, the variables and the flags.
pub fn load(
    directory: &Path,
    environment: &BTreeMap<String, String>,
    flags: &Flags,
) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let by_caller = flags.untrusted || untrusted(environment, &mut problems);
    let file::Read {
        settings: mut from_file,
        others,
    } = match by_caller {
        true => file::Read::default(),
        false => file::nearest(directory, &mut problems),
    };
    let untrusted = by_caller || from_file.untrusted;
    if untrusted {
        from_file = Settings::default();
        problems.extend(others.iter().map(|place| {
            let key = place.text();
            let message = format!("`{key}` of {FILE_NAME} has no effect for strangers' code");
            let help = "say it by a flag or a variable";
            Problem::warning(message).at(place).help(help)
        }));
    }
    let pairs = environment
        .get(MIRROR)
        .map(|text| text.split(',').map(str::trim).map(str::to_owned))
        .into_iter()
        .flatten()
        .filter(|pair| !pair.is_empty());
    let from_environment = mirrors(&format!("variable `{MIRROR}`"), pairs, &mut problems);
    let from_flags = mirrors("`--mirror`", flags.mirrors.iter().cloned(), &mut problems);
    let starts = [
        ("`--concurrent-starts`", flags.concurrent_starts.as_ref()),
        (
            "variable `ENVRUN_CONCURRENT_STARTS`",
            set(environment, CONCURRENT_STARTS),
        ),
    ];
    let starts = starts.map(|(origin, text)| {
        let parsed = parse_starts(text?).map_err(|help| {
            let text = text.map_or("", String::as_str);
            Problem::error(format!("{origin} is no number of starts: `{text}`")).help(help)
        });
        parsed.map_err(|problem| problems.push(problem)).ok()
    });
    let parallel = set(environment, PARALLEL).and_then(|text| {
        let number = parse_starts(text).map_err(|help| {
            let message = format!("variable `{PARALLEL}` is no number of suites: `{text}`");
            problems.push(Problem::error(message).help(help));
        });
        u32::try_from(number.ok()?).ok()
    });
    let locked = set(environment, LOCKED).and_then(|text| switch(LOCKED, text, &mut problems));
    let gc = set(environment, GC).and_then(|text| switch(GC, text, &mut problems));
    let ci = set(environment, CI).and_then(|text| {
        let chosen = text.parse::<Choice>().map_err(|error| {
            let message = format!("variable `{CI}` names no CI system: {error}");
            problems.push(Problem::error(message).help(format!("write {}", Choice::FORM)));
        });
        chosen.ok()
    });
    let pools = [
        ("`--subnet-pool`", flags.subnet_pool.as_ref()),
        (
            "variable `ENVRUN_SUBNET_POOL`",
            set(environment, SUBNET_POOL),
        ),
    ];
    let pools = pools.map(|(origin, text)| {
        let text = text?;
        let problem = match pool::parse(text) {
            Ok(pool) => match pool::warning(&pool) {
                None => return Some(pool),
                Some(help) => {
                    let message = format!("{origin} has addresses of the internet: `{text}`");
                    problems.push(Problem::warning(message).help(help));
                    return Some(pool);
                }
            },
            Err(help) => {
                Problem::error(format!("{origin} is no pool of subnets: `{text}`")).help(help)
            }
        };
        problems.push(problem);
        None
    });
    let internet = set(environment, INTERNET).and_then(|text| {
        let address = InternetAddress::parse(text);
        if address.is_none() {
            let message = format!("variable `{INTERNET}` is no address with a port: `{text}`");
            problems.push(Problem::error(message).help(InternetAddress::FORM));
        }
        address
    });
    let limits = [
        ("`--artifact-limit`", flags.artifact_limit.as_ref()),
        (
            "variable `ENVRUN_ARTIFACT_LIMIT`",
            set(environment, ARTIFACT_LIMIT),
        ),
    ];
    let limits = limits.map(|(origin, text)| {
        let text = text?;
        let limit = Limits::parse(text);
        if limit.is_none() {
            let message = format!("{origin} is no limit of artifacts: `{text}`");
            problems.push(Problem::error(message).help(Limits::FORM));
        }
        limit
    });
    let profiles = [
        ("`--junit-profile`", flags.junit_profile.as_ref()),
        (
            "variable `ENVRUN_JUNIT_PROFILE`",
            set(environment, JUNIT_PROFILE),
        ),
    ];
    let profiles = profiles.map(|(origin, text)| {
        let text = text?;
        let profile = Profile::from_name(text);
        if profile.is_none() {
            let message = format!("{origin} is no profile of reports: `{text}`");
            problems.push(Problem::error(message).help(Profile::FORM));
        }
        profile
    });
    let output = output::combine(from_file.output, environment, &flags.output, &mut problems);
    problems.extend(environment.keys().filter_map(|name| misspelt(name)));
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Err(Problems::from(problems));
    }
    Ok(Loaded {
        settings: Settings {
            mirrors: from_flags.or(from_environment).or(from_file.mirrors),
            concurrent_starts: starts
                .into_iter()
                .flatten()
                .next()
                .or(from_file.concurrent_starts),
            subnet_pool: pools.into_iter().flatten().next().or(from_file.subnet_pool),
            ci: ci.or(from_file.ci),
            parallel: parallel.or(from_file.parallel),
            gc: flags.no_gc.then_some(false).or(gc).or(from_file.gc),
            internet: internet.or(from_file.internet),
            artifact_limit: limits
                .into_iter()
                .flatten()
                .next()
                .or(from_file.artifact_limit),
            locked: flags.locked || locked.unwrap_or(from_file.locked),
            junit_profile: profiles
                .into_iter()
                .flatten()
                .next()
                .or(from_file.junit_profile),
            output,
            untrusted,
        },
        warnings: problems,
    })
}

/// A variable; one that is empty is not set.
fn set<'environment>(
    environment: &'environment BTreeMap<String, String>,
    name: &str,
) -> Option<&'environment String> {
    environment.get(name).filter(|value| !value.is_empty())
}

/// A variable that is on or off.
fn switch(name: &str, text: &str, problems: &mut Vec<Problem>) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => {
            let problem = format!("variable `{name}` is neither on nor off: `{text}`");
            problems.push(Problem::error(problem).help("`1` is on, `0` is off"));
            None
        }
    }
}

/// The largest number of starts, or of suites, at once; beyond it a number is a mistake.
const MOST_STARTS: usize = 1000;

/// A number of starts, or of suites, at once; else how it is written.
fn parse_starts(text: &str) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| *number <= MOST_STARTS)
        .ok_or_else(|| format!("a number up to {MOST_STARTS}; 0 means any number at once"))
}

/// What the variable says. A text that is neither yes nor no is an error: who misspells it means to
/// be safe.
fn untrusted(environment: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> bool {
    let Some(text) = environment.get(UNTRUSTED) else {
        return false;
    };
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "0" | "false" => false,
        "1" | "true" | "yes" | "on" => true,
        _ => {
            let message = format!("variable `{UNTRUSTED}` is neither yes nor no: `{text}`");
            let help = "write `1`, or `0` for code that you trust";
            problems.push(Problem::error(message).help(help));
            true
        }
    }
}

/// Mirrors from texts without a place of their own.
fn mirrors(
    origin: &str,
    pairs: impl Iterator<Item = String>,
    problems: &mut Vec<Problem>,
) -> Mirrors {
    let mut mirrors = Mirrors::default();
    for pair in pairs {
        match parse_pair(&pair) {
            Ok((registry, mirror)) => mirrors.add(registry, mirror),
            Err(error) => problems.push(
                Problem::error(format!("{origin} names no mirror: `{pair}`"))
                    .help(error.to_string()),
            ),
        }
    }
    mirrors
}

/// A variable that is none of envrun's, but nearly: a user may have others with this prefix.
fn misspelt(name: &str) -> Option<Problem> {
    if !name.starts_with(PREFIX) || VARIABLES.contains(&name) {
        return None;
    }
    let candidate = nearest(name, VARIABLES.iter().copied())?;
    let help = format!("did you mean `{candidate}`?");
    Some(Problem::warning(format!("variable `{name}` has no effect")).help(help))
}

#[cfg(test)]
mod tests;
