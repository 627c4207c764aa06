//! `envrun.toml`: found upwards from the project, read with the places of its keys.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{FILE_NAME, Settings, output, parse_starts, pool};
use crate::artifact::Limits;
use crate::ci::Choice;
use crate::config::diagnostic::Problem;
use crate::config::model::reachability::InternetAddress;
use crate::config::source::{Place, Source};
use crate::config::suggest::did_you_mean;
use crate::image::Mirrors;
use crate::image::mirror::{Mirror, registry};
use crate::junit::Profile;
use crate::options::Cidr;

/// Largest file that is read, in bytes.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// The keys of the top level.
const KEYS: &[&str] = &[
    "artifact_limit",
    "ci",
    "concurrent_starts",
    "gc",
    "internet",
    "junit_profile",
    "live",
    "locked",
    "log_limit",
    "mask",
    "mirror",
    "no_mask",
    "parallel",
    "subnet_pool",
    "untrusted",
];

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) settings: Settings,
    /// Where its keys are but for `untrusted`.
    pub(super) others: Vec<Place>,
}

/// Reads the nearest file, in `directory` or above it. Without one, nothing is set.
pub(super) fn nearest(directory: &Path, problems: &mut Vec<Problem>) -> Read {
    let found: Option<PathBuf> = directory
        .ancestors()
        .map(|candidate| candidate.join(FILE_NAME))
        .find(|path| path.is_file());
    let Some(path) = found else {
        return Read::default();
    };
    let shown = path.strip_prefix(directory).unwrap_or(&path).display();
    match read(&path) {
        Ok(text) => parse(&Source::new(shown.to_string(), text, 0), problems),
        Err(error) => {
            problems.push(Problem::error(format!("cannot read `{shown}`: {error}")));
            Read::default()
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE_SIZE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_SIZE {
        let message = format!("it is larger than {} MiB", MAX_FILE_SIZE >> 20);
        return Err(std::io::Error::other(message));
    }
    Ok(text)
}

/// Reads the text of a file.
pub(super) fn parse(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Read {
    let mut settings = Settings::default();
    let mut others = Vec::new();
    let table = match DeTable::parse(source.text()) {
        Ok(table) => table,
        Err(error) => {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            let problem = Problem::error(message);
            problems.push(match error.span() {
                Some(span) => problem.at(&source.place(span)),
                None => problem,
            });
            return Read::default();
        }
    };
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "artifact_limit" => {
                others.push(source.place(key.span()));
                settings.artifact_limit = read_artifact_limit(source, value, problems);
            }
            "ci" => {
                others.push(source.place(key.span()));
                settings.ci = read_ci(source, value, problems);
            }
            "concurrent_starts" => {
                others.push(source.place(key.span()));
                settings.concurrent_starts = read_number(source, value, ("starts", problems));
            }
            "gc" => {
                others.push(source.place(key.span()));
                settings.gc = read_switch(source, value, problems);
            }
            "internet" => {
                others.push(source.place(key.span()));
                settings.internet = read_internet(source, value, problems);
            }
            "junit_profile" => {
                others.push(source.place(key.span()));
                settings.junit_profile = read_junit_profile(source, value, problems);
            }
            "locked" => {
                others.push(source.place(key.span()));
                settings.locked = read_switch(source, value, problems).unwrap_or_default();
            }
            "live" => {
                others.push(source.place(key.span()));
                settings.output.live = output::read_live(source, value, problems);
            }
            "log_limit" => {
                others.push(source.place(key.span()));
                settings.output.log_limit = output::read_limit(source, value, problems);
            }
            "mask" | "no_mask" => {
                others.push(source.place(key.span()));
                let names = output::read_names(source, value, problems).unwrap_or_default();
                match key.get_ref().as_ref() {
                    "mask" => settings.output.mask = names,
                    _ => settings.output.no_mask = names,
                }
            }
            "mirror" => {
                others.push(source.place(key.span()));
                settings.mirrors = read_mirrors(source, value, problems);
            }
            "parallel" => {
                others.push(source.place(key.span()));
                let number = read_number(source, value, ("suites", problems));
                settings.parallel = number.and_then(|number| u32::try_from(number).ok());
            }
            "subnet_pool" => {
                others.push(source.place(key.span()));
                settings.subnet_pool = read_pool(source, value, problems);
            }
            "untrusted" => match value.get_ref().as_bool() {
                Some(untrusted) => settings.untrusted = untrusted,
                None => problems.push(
                    Problem::error("`untrusted` must be `true` or `false`")
                        .at(&source.place(value.span())),
                ),
            },
            name => {
                let problem = Problem::error(format!("unknown key `{name}` of {FILE_NAME}"))
                    .at(&source.place(key.span()));
                problems.push(match did_you_mean(name, KEYS.iter().copied()) {
                    Some(help) => problem.help(help),
                    None => problem.help(format!("the keys are `{}`", KEYS.join("`, `"))),
                });
            }
        }
    }
    Read { settings, others }
}

/// For whom `junit.xml` is written.
fn read_junit_profile(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Profile> {
    let profile = value.get_ref().as_str().and_then(Profile::from_name);
    if profile.is_none() {
        let problem = Problem::error("`junit_profile` must be the name of a profile");
        let problem = problem.at(&source.place(value.span()));
        problems.push(problem.help(Profile::FORM));
    }
    profile
}

/// A size, with a number of files or without.
fn read_artifact_limit(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Limits> {
    let limit = value.get_ref().as_str().and_then(Limits::parse);
    if limit.is_none() {
        let problem = Problem::error("`artifact_limit` must be a text with a size");
        let problem = problem.at(&source.place(value.span()));
        problems.push(problem.help(Limits::FORM));
    }
    limit
}
/// `ci`: the CI system in whose words a run is told.
fn read_ci(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Choice> {
    let chosen = value.get_ref().as_str().map(str::parse::<Choice>);
    let problem = match chosen {
        Some(Ok(chosen)) => return Some(chosen),
        Some(Err(error)) => Problem::error(error.to_string()),
        None => {
            let found = value.get_ref().type_str();
            Problem::error(format!("expected a text, found {found}"))
        }
    };
    let place = source.place(value.span());
    problems.push(problem.at(&place).help(format!("write {}", Choice::FORM)));
    None
}

/// A key that is on or off.
fn read_switch(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<bool> {
    let on = value.get_ref().as_bool();
    if on.is_none() {
        let found = value.get_ref().type_str();
        let problem = Problem::error(format!("expected `true` or `false`, found {found}"));
        problems.push(problem.at(&source.place(value.span())));
    }
    on
}

/// `concurrent_starts` and `parallel`: a number of something.
fn read_number(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    (what, problems): (&str, &mut Vec<Problem>),
) -> Option<usize> {
    let problem = match value.get_ref() {
        DeValue::Integer(integer) => match parse_starts(integer.as_str()) {
            Ok(number) => return Some(number),
            Err(help) => {
                let text = integer.as_str();
                Problem::error(format!("`{text}` is no number of {what}")).help(help)
            }
        },
        other => Problem::error(format!("expected a number, found {}", other.type_str())),
    };
    problems.push(problem.at(&source.place(value.span())));
    None
}

/// `internet`: an address with a port.
fn read_internet(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<InternetAddress> {
    let place = source.place(value.span());
    let Some(text) = value.get_ref().as_str() else {
        let found = value.get_ref().type_str();
        problems.push(Problem::error(format!("expected a text, found {found}")).at(&place));
        return None;
    };
    let address = InternetAddress::parse(text);
    if address.is_none() {
        let problem = Problem::error(format!("`{text}` is no address with a port"));
        problems.push(problem.at(&place).help(InternetAddress::FORM));
    }
    address
}

/// `subnet_pool`: a range of addresses.
fn read_pool(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Cidr> {
    let place = source.place(value.span());
    let Some(text) = value.get_ref().as_str() else {
        let found = value.get_ref().type_str();
        problems.push(Problem::error(format!("expected a text, found {found}")).at(&place));
        return None;
    };
    match pool::parse(text) {
        Ok(pool) => {
            if let Some(help) = pool::warning(&pool) {
                let message = format!("`{text}` has addresses of the internet");
                problems.push(Problem::warning(message).at(&place).help(help));
            }
            Some(pool)
        }
        Err(help) => {
            let problem = Problem::error(format!("`{text}` is no pool of subnets"));
            problems.push(problem.at(&place).help(help));
            None
        }
    }
}

/// `[mirror]`: registries, each with a mirror or a list of mirrors.
fn read_mirrors(
    source: &Arc<Source>,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Mirrors {
    let mut mirrors = Mirrors::default();
    let mut expected = |value: &Spanned<DeValue<'_>>, what: &str| {
        let found = value.get_ref().type_str();
        let problem = Problem::error(format!("expected {what}, found {found}"))
            .at(&source.place(value.span()));
        problems.push(if value.get_ref().is_table() {
            problem.help("the name of a registry with a dot stands in quotes: `\"docker.io\"`")
        } else {
            problem
        });
    };
    let Some(table) = value.get_ref().as_table() else {
        expected(value, "a table from registries to mirrors");
        return mirrors;
    };
    let mut found = Vec::new();
    for (key, value) in table {
        let items: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(array) => array.iter().collect(),
            _ => vec![value],
        };
        // A registry with an empty list has no mirror, whatever files further up would say.
        if items.is_empty() {
            found.push((key, None));
        }
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => found.push((key, Some((text.to_owned(), item.span())))),
                None => expected(item, "a text or a list of texts"),
            }
        }
    }
    for (key, mirror) in found {
        let name = match registry(key.get_ref()) {
            Ok(name) => name,
            Err(_) => {
                problems.push(
                    Problem::error(format!("`{}` is no registry", key.get_ref()))
                        .at(&source.place(key.span()))
                        .help("write it as references do, such as `\"docker.io\"`, in quotes"),
                );
                continue;
            }
        };
        match mirror.map(|(text, span)| (Mirror::parse(&text), text, span)) {
            None => mirrors.add(name, None),
            Some((Ok(mirror), ..)) => mirrors.add(name, Some(mirror)),
            Some((Err(error), text, span)) => problems.push(
                Problem::error(format!("`{text}` is no mirror"))
                    .at(&source.place(span))
                    .help(error.to_string()),
            ),
        }
    }
    mirrors
}
