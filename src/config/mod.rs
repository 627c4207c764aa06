//! Compose files with spans, merged, interpolated and typed.
//!
//! Owns everything between the files and the [`model`]. Three stages follow each other: `format`
//! makes one canonical tree of the files, `print` shows it as Compose shows it, `read` types what a
//! run needs. All problems come out together, each with file, line and help. It touches no engine,
//! no clock and no network, and it never reads the process's environment: that is given in
//! [`Request`].

mod binds;
mod check;
pub mod diagnostic;
pub mod dotenv;
pub mod duration;
mod files;
mod format;
pub mod interpolate;
pub mod keys;
pub mod model;
mod print;
mod read;
pub mod replay;
mod setting;
pub mod size;
pub mod source;
pub mod suggest;
pub mod untrusted;
mod variables;
pub mod words;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use self::diagnostic::{Problem, Problems, Severity};
use self::format::{Asked, File, Loader, Scope};
use self::model::{Project, Settings};
use self::read::Context;
use self::setting::{Setting, find_files};
use self::untrusted::{Confines, Untrusted};
use self::yaml::{Mapping, Node, Value, shorten};
use crate::mask::Secret;

/// What is to be loaded, and everything that it may depend on.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The directory to look in: the one given by the user, else the working directory.
    pub directory: PathBuf,
    /// The files given by the user, relative to `directory` unless absolute, `-` for standard
    /// input; later ones are merged over earlier ones. When empty, `COMPOSE_FILE` decides, else
    /// the files are looked for.
    pub files: Vec<PathBuf>,
    /// The active profiles; `*` stands for all. When empty, `COMPOSE_PROFILES` decides.
    pub profiles: Vec<String>,
    /// The host's environment.
    pub environment: BTreeMap<String, String>,
    /// The project name given by the user.
    pub project_name: Option<String>,
    /// Files with variables, instead of `.env`. When empty, `COMPOSE_ENV_FILES` decides.
    pub env_files: Vec<PathBuf>,
    /// The directory that relative paths are under, instead of that of the first file.
    pub project_directory: Option<PathBuf>,
    /// The files are those of somebody who may not run code on this host; `None` trusts them.
    pub untrusted: Option<Untrusted>,
}

impl Request {
    /// The directory that whoever calls has named as that of the project, absolute as far as that is
    /// known. Neither a file nor `.env` can change it.
    #[must_use]
    pub fn named_directory(&self) -> PathBuf {
        let asked = std::path::absolute(&self.directory);
        let asked = asked.unwrap_or_else(|_| self.directory.clone());
        untrusted::directory(self, &files::clean_path(&asked))
    }
}

/// A project that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The project.
    pub project: Project,
    /// What is not as the user may think; in the order in which it is shown.
    pub warnings: Vec<Problem>,
}

/// The resolved model of a project, as `docker compose config` prints it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The model. `$` is written as `$$`, so that it can be read again.
    pub json: serde_json::Value,
    /// What is not as the user may think, and what a run could not do; in the order in which it is
    /// shown.
    pub warnings: Vec<Problem>,
}

impl Resolved {
    /// The model as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        print::to_yaml(&self.json)
    }
}

/// Loads a project for a run.
///
/// # Errors
/// All problems that were found, warnings included, if at least one of them is an error.
pub fn load(request: &Request) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let canonical = canonical(request, &mut problems);
    let project = canonical.map(|canonical| {
        let mut project = type_project(&canonical, &mut problems);
        confine(&mut project, (request, &canonical), &mut problems);
        if project.services.is_empty() && !problems.has_errors() {
            problems.push(nothing_to_run(&canonical));
        }
        project
    });
    problems.sort();
    match project {
        Some(project) if !problems.has_errors() => Ok(Loaded {
            project,
            warnings: problems.into_vec(),
        }),
        _ => Err(problems),
    }
}

/// Resolves a project without running it. What the Compose specification allows and a run could not
/// do is a warning here.
///
/// # Errors
/// All problems that were found, warnings included, if at least one of them is an error.
pub fn resolve(request: &Request) -> Result<Resolved, Problems> {
    let mut problems = Problems::default();
    let canonical = canonical(request, &mut problems);
    match canonical {
        Some(canonical) if !problems.has_errors() => {
            let mut of_a_run = Problems::default();
            let mut project = type_project(&canonical, &mut of_a_run);
            confine(&mut project, (request, &canonical), &mut of_a_run);
            for problem in of_a_run.into_vec() {
                problems.push_shared(Problem {
                    severity: Severity::Warning,
                    ..problem
                });
            }
            problems.sort();
            Ok(Resolved {
                json: canonical.json,
                warnings: problems.into_vec(),
            })
        }
        _ => {
            problems.sort();
            Err(problems)
        }
    }
}

/// A project after the stage `format`.
struct Canonical {
    name: String,
    directory: PathBuf,
    variables: BTreeMap<String, String>,
    root: Node,
    /// The services whose profiles are active.
    active: BTreeSet<String>,
    json: serde_json::Value,
    /// The names of the files, as they are shown.
    shown: Vec<String>,
    /// The files are those of strangers.
    confined: bool,
    /// What the files have asked of the outside.
    asked: Asked,
}

/// Goes from the files to the canonical tree, and checks it.
fn canonical(request: &Request, problems: &mut Problems) -> Option<Canonical> {
    let asked = absolute_directory(&request.directory, problems)?;
    let confines = confines(request, &asked, problems).map_err(|problem| problems.push(problem));
    let mut order = 0;
    let mut setting = Setting::new(
        request,
        (asked.clone(), confines.ok()?),
        (&mut order, problems),
    )?;
    let files = find_files(request, &setting, problems)?;
    setting.move_to(request, &files, (&mut order, problems));
    let Setting {
        directory,
        mut variables,
        confines,
        ..
    } = setting;

    let mut loader = Loader::new(problems, &asked, order);
    let mut parsed = Vec::new();
    for (path, shown) in &files {
        parsed.extend(loader.read(path, shown));
    }
    let name = project_name(request, &variables, (&parsed, &directory), loader.problems);
    variables.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let scope = Scope {
        variables,
        directory,
        confines,
    };
    let has_all = parsed.len() == files.len();
    let root = loader.layers(parsed, &scope, &[]);
    let mut asked_for = loader.asked();
    let mut order = loader.order;
    let shown: Vec<String> = files.into_iter().map(|(_, shown)| shown).collect();
    let Some(mut root) =
        root.filter(|root| root.mapping().is_some_and(|map| !map.entries.is_empty()))
    else {
        if has_all && !problems.has_errors() {
            let shown: Vec<String> = shown.iter().map(|name| format!("`{name}`")).collect();
            let verb = if shown.len() == 1 { "is" } else { "are" };
            problems.push(Problem::error(format!(
                "{} {verb} empty",
                shown.join(" and ")
            )));
        }
        return None;
    };
    let map = root.mapping_mut()?;
    format::normalise(map, &name, &scope.variables);
    let active = format::active_services(map, &active_profiles(request, &scope.variables));
    let trusted = judged(map, &scope, problems);
    // What is refused is not read either.
    if trusted {
        format::resolve_files(
            map,
            &active,
            format::env_files::Reading {
                variables: &scope.variables,
                shown_from: &asked,
                order: &mut order,
                asked: &mut asked_for,
                problems,
            },
        );
    }
    format::consistency::check(map, &active, problems);
    format::cycles::check(map, &active, problems);
    if !(trusted && labelled(map, &scope, problems)) {
        return None;
    }
    let json = print::print(map, &name, &active, problems);
    Some(Canonical {
        name,
        directory: scope.directory,
        variables: scope.variables,
        root,
        active,
        json,
        shown,
        confined: scope.confines.is_some(),
        asked: asked_for,
    })
}

/// Where the files of strangers may lead; `None` where they are trusted.
fn confines(
    request: &Request,
    asked: &Path,
    problems: &mut Problems,
) -> Result<Option<Rc<Confines>>, Problem> {
    let Some(untrusted) = &request.untrusted else {
        return Ok(None);
    };
    untrusted
        .missing(&request.environment)
        .for_each(|problem| problems.push(problem));
    let directory = untrusted::directory(request, asked);
    Confines::new(request, untrusted, &directory).map(|confines| Some(Rc::new(confines)))
}

/// Whether the files may say what they say.
fn judged(root: &Mapping, scope: &Scope, problems: &mut Problems) -> bool {
    let confines = scope.confines.as_deref();
    confines.is_none_or(|confines| untrusted::judge(root, (confines, &scope.directory), problems))
}

/// The same for labels that come out of files.
fn labelled(root: &Mapping, scope: &Scope, problems: &mut Problems) -> bool {
    let confines = scope.confines.as_deref();
    confines.is_none_or(|confines| {
        untrusted::judge_labels(root, (confines, &scope.directory), problems)
    })
}

/// Confines the project of strangers, which has passed the judgement.
fn confine(
    project: &mut Project,
    (request, canonical): (&Request, &Canonical),
    problems: &mut Problems,
) {
    if let (Some(untrusted), Some(root)) = (&request.untrusted, canonical.root.mapping()) {
        untrusted::apply(project, root, untrusted, problems);
        // Handed through by name by whoever calls, wherever the files put it.
        let passed = untrusted.passed.iter();
        project.to_mask.extend(passed.filter_map(|name| {
            let value = request.environment.get(name)?;
            let origin = format!("variable `{name}`");
            Some(Secret::by_name(name.as_str(), origin, value.as_str()))
        }));
    }
}

/// Types what a run needs of a canonical tree.
fn type_project(canonical: &Canonical, problems: &mut Problems) -> Project {
    let mut project = Project {
        name: canonical.name.clone(),
        directory: canonical.directory.clone(),
        services: BTreeMap::new(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        settings: Settings::default(),
        limits: None,
        to_mask: Vec::new(),
    };
    let Some(root) = canonical.root.mapping() else {
        return project;
    };
    let mut context = Context::new(&canonical.variables, &canonical.directory);
    context.confined = canonical.confined;
    std::mem::swap(&mut context.problems, problems);
    context.check_keys(root, &keys::TOP_LEVEL);
    let parts = check::Parts {
        services: read::read_services(&mut context, root, &canonical.active),
        networks: read::read_networks(&mut context, root),
        volumes: read::read_volumes(&mut context, root),
        files: read::injected::read_declared(&mut context, root),
    };
    project.settings = read::read_settings(&mut context, root, &canonical.active);
    check::assemble(&mut context, parts, &mut project);
    project.to_mask = std::mem::take(&mut context.to_mask);
    std::mem::swap(&mut context.problems, problems);
    project
}

fn nothing_to_run(canonical: &Canonical) -> Problem {
    let services = canonical.root.get("services").and_then(Node::mapping);
    if services.is_some_and(|services| !services.entries.is_empty()) {
        return Problem::error("no service is active")
            .help("every service has a profile; activate one");
    }
    let shown: Vec<String> = canonical
        .shown
        .iter()
        .map(|shown| format!("`{shown}`"))
        .collect();
    Problem::error(format!("no services in {}", shown.join(" and ")))
        .help("a compose file has a top-level key `services`")
}

fn absolute_directory(directory: &Path, problems: &mut Problems) -> Option<PathBuf> {
    let absolute = match std::path::absolute(directory) {
        Ok(path) => files::clean_path(&path),
        Err(error) => {
            let shown = directory.display();
            let message = format!("cannot use directory `{shown}`: {error}");
            problems.push(Problem::error(message));
            return None;
        }
    };
    if !absolute.is_dir() {
        let message = format!("`{}` is not a directory", directory.display());
        problems.push(Problem::error(message).help("name a file with `-f`"));
        return None;
    }
    Some(absolute)
}

/// The name of the project, in Compose's order: given, `COMPOSE_PROJECT_NAME`, `name:`, the
/// directory's.
fn project_name(
    request: &Request,
    variables: &BTreeMap<String, String>,
    (files, directory): (&[File], &Path),
    problems: &mut Problems,
) -> String {
    let from_variable = variables
        .get("COMPOSE_PROJECT_NAME")
        .filter(|name| !name.is_empty());
    let given = request
        .project_name
        .as_ref()
        .filter(|name| !name.is_empty())
        .or(from_variable);
    if let Some(given) = given {
        let name = normalise(given);
        if name != *given {
            let shown = shorten(given);
            problems.push(
                Problem::error(format!("`{shown}` cannot be the name of a project"))
                    .help("a name has lower-case letters, digits, `-` and `_`, and starts with a letter or digit"),
            );
        }
        return name;
    }
    let trees = files.iter().flat_map(|file| &file.documents);
    let written = trees
        .filter_map(|tree| tree.get("name"))
        .rfind(|node| matches!(&node.value, Value::Scalar(scalar) if !scalar.text.is_empty()));
    if let Some(node) = written
        && let Value::Scalar(scalar) = &node.value
    {
        let lookup = |name: &str| variables.get(name).map(String::as_str);
        // An error of interpolation is reported when the whole tree is interpolated.
        let text = interpolate::interpolate(&scalar.text, &lookup);
        let text = text.map_or_else(|_| String::new(), |done| done.text);
        let name = normalise(&text);
        if name.is_empty() {
            let message = format!("`name` has no letter or digit: `{}`", shorten(&text));
            problems.push(Problem::error(message).at(&node.place));
        }
        return name;
    }
    let base = directory.file_name().unwrap_or_default().to_string_lossy();
    let name = normalise(&base);
    if name.is_empty() {
        let message = format!(
            "the directory `{}` gives no project name",
            directory.display()
        );
        problems.push(Problem::error(message).help("write a top-level `name`"));
    }
    name
}

/// A name as Compose normalises it: lower case, without what is not `[a-z0-9_-]`, starting with a
/// letter or a digit.
fn normalise(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        .collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

fn active_profiles(request: &Request, variables: &BTreeMap<String, String>) -> Vec<String> {
    if !request.profiles.is_empty() {
        return request.profiles.clone();
    }
    let list = variables
        .get("COMPOSE_PROFILES")
        .map(String::as_str)
        .unwrap_or_default();
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
