//! Compose files with spans, merged, interpolated and typed.
//!
//! Owns everything between the files and the [`model`]: reading, YAML, variables, merging, typing
//! and checking. All problems come out together, each with file, line and help. It touches no
//! engine, no clock and no network, and it never reads the process's environment: that is given in
//! [`Request`].

mod check;
pub mod diagnostic;
pub mod dotenv;
pub mod duration;
mod files;
pub mod interpolate;
pub mod keys;
mod merge;
pub mod model;
mod read;
pub mod size;
pub mod source;
pub mod suggest;
mod variables;
pub mod words;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::diagnostic::{Problem, Problems, Severity};
use self::model::{Project, Settings};
use self::read::Context;
use self::variables::{Replacer, add_dotenv};
use self::yaml::{Node, Value, shorten};

/// What is to be loaded, and everything that it may depend on.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The directory to look in: the one given by the user, else the working directory.
    pub directory: PathBuf,
    /// The files given by the user, relative to `directory` unless absolute; later ones are merged
    /// over earlier ones. When empty, `COMPOSE_FILE` decides, else the files are looked for.
    pub files: Vec<PathBuf>,
    /// The active profiles; `*` stands for all. When empty, `COMPOSE_PROFILES` decides.
    pub profiles: Vec<String>,
    /// The host's environment.
    pub environment: BTreeMap<String, String>,
    /// The project name given by the user.
    pub project_name: Option<String>,
}

/// A project that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The project.
    pub project: Project,
    /// What is not as the user may think; in the order in which it is shown.
    pub warnings: Vec<Problem>,
}

/// Loads a project.
///
/// The project's directory is that of the first file. Its `.env` is read, and the one of
/// [`Request::directory`], which wins; the host's environment wins over both.
///
/// # Errors
/// All problems that were found, warnings included, if at least one of them is an error.
pub fn load(request: &Request) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let loaded = load_into(request, &mut problems);
    problems.sort();
    match loaded {
        Some(project) if !problems.has_errors() => Ok(Loaded {
            project,
            warnings: problems.into_vec(),
        }),
        _ => Err(problems),
    }
}

fn load_into(request: &Request, problems: &mut Problems) -> Option<Project> {
    let asked = match std::path::absolute(&request.directory) {
        Ok(path) => files::clean_path(&path),
        Err(error) => {
            let shown = request.directory.display();
            let message = format!("cannot use directory `{shown}`: {error}");
            problems.push(Problem::error(message));
            return None;
        }
    };
    if !asked.is_dir() {
        let message = format!("`{}` is not a directory", request.directory.display());
        problems.push(Problem::error(message).help("name a file with `-f`"));
        return None;
    }
    let mut order = 0;
    let mut variables = request.environment.clone();
    add_dotenv(&mut variables, (&asked, &asked), &mut order, problems);
    let files = find_files(request, &asked, &variables, problems)?;
    let directory = match files.first().and_then(|(path, _)| path.parent()) {
        Some(parent) => parent.to_owned(),
        None => asked.clone(),
    };
    if directory != asked {
        add_dotenv(&mut variables, (&directory, &asked), &mut order, problems);
    }

    let mut trees = Vec::new();
    for (path, shown) in &files {
        trees.extend(read_tree(path, shown, order, problems));
        order += 1;
    }
    let name = project_name(request, &variables, (&trees, &directory), problems);
    variables.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());

    let mut replacer = Replacer::new(&variables);
    let mut root: Option<Node> = None;
    for mut tree in trees {
        replacer.file(&mut tree, problems);
        root = Some(match root {
            Some(base) => merge::merge(base, tree, problems),
            None => tree,
        });
    }
    let root = root?;
    let root = root.mapping()?;

    let mut context = Context::new(&variables, &directory, order);
    std::mem::swap(&mut context.problems, problems);
    context.check_keys(root, &keys::TOP_LEVEL);
    let profiles = active_profiles(request, &variables);
    let is_active = |wanted: &[String]| {
        wanted.is_empty()
            || profiles
                .iter()
                .any(|profile| profile == "*" || wanted.contains(profile))
    };
    let parts = check::Parts {
        services: read::read_services(&mut context, root, &is_active),
        networks: read::read_networks(&mut context, root),
        volumes: read::read_volumes(&mut context, root),
    };
    let settings = read::read_settings(&mut context, root);
    let has_services = !parts.services.is_empty();
    let mut project = empty_project(name, &directory, settings);
    check::assemble(&mut context, parts, &mut project);
    std::mem::swap(&mut context.problems, problems);
    if project.services.is_empty() && !problems.has_errors() {
        problems.push(if has_services {
            Problem::error("no service is active").help("every service has a profile; activate one")
        } else {
            let shown: Vec<String> = files
                .iter()
                .map(|(_, shown)| format!("`{shown}`"))
                .collect();
            Problem::error(format!("no services in {}", shown.join(" and ")))
                .help("a compose file has a top-level key `services`")
        });
    }
    Some(project)
}

fn empty_project(name: String, directory: &Path, settings: Settings) -> Project {
    Project {
        name,
        directory: directory.to_owned(),
        services: BTreeMap::new(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        settings,
    }
}

/// The files to read, absolute, each with the name it is shown under.
fn find_files(
    request: &Request,
    asked: &Path,
    variables: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Option<Vec<(PathBuf, String)>> {
    let mut given = request.files.clone();
    if given.is_empty()
        && let Some(list) = variables
            .get("COMPOSE_FILE")
            .filter(|list| !list.is_empty())
    {
        let separator = variables
            .get("COMPOSE_PATH_SEPARATOR")
            .filter(|text| !text.is_empty());
        let separator = separator.map_or(":", String::as_str);
        given = list
            .split(separator)
            .filter(|part| !part.is_empty())
            .map(PathBuf::from)
            .collect();
    }
    if !given.is_empty() {
        let absolute = |path: PathBuf| {
            let shown = path.display().to_string();
            (files::clean_path(&asked.join(path)), shown)
        };
        return Some(given.into_iter().map(absolute).collect());
    }
    match files::discover(asked) {
        Ok(found) => {
            found
                .warnings
                .into_iter()
                .for_each(|warning| problems.push(warning));
            let shown = |path: PathBuf| {
                let shown = files::shown_name(&path, asked);
                (path, shown)
            };
            Some(found.files.into_iter().map(shown).collect())
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// The tree of one file, whose root is a mapping.
fn read_tree(path: &Path, shown: &str, order: usize, problems: &mut Problems) -> Option<Node> {
    if shown == "-" {
        problems.push(Problem::error(
            "reading a compose file from standard input is not supported",
        ));
        return None;
    }
    let source = match files::read(path, shown, order) {
        Ok(source) => source,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let errors = problems.count(Severity::Error);
    let root = yaml::parse(&source, problems);
    match root {
        Some(root) if matches!(root.value, Value::Mapping(_)) => Some(root),
        Some(root) => {
            let message = format!("`{shown}` must be a mapping, found {}", root.describe());
            problems.push(Problem::error(message).at(&root.place));
            None
        }
        None => {
            if problems.count(Severity::Error) == errors {
                problems.push(Problem::error(format!("`{shown}` is empty")));
            }
            None
        }
    }
}

/// The name of the project, in Compose's order: given, `COMPOSE_PROJECT_NAME`, `name:`, the
/// directory's.
fn project_name(
    request: &Request,
    variables: &BTreeMap<String, String>,
    (trees, directory): (&[Node], &Path),
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
    let written = trees
        .iter()
        .rev()
        .filter_map(|tree| tree.mapping()?.get("name"))
        .next();
    if let Some(node) = written
        && let Value::Scalar(scalar) = &node.value
    {
        let lookup = |name: &str| variables.get(name).map(String::as_str);
        // An error of interpolation is reported when the whole tree is interpolated.
        let text = interpolate::interpolate(&scalar.text, &lookup);
        let text = text.map_or_else(|_| String::new(), |done| done.text);
        let name = normalise(&text);
        if name.is_empty() && !text.is_empty() {
            let message = format!("`name` has no letter or digit: `{}`", shorten(&text));
            problems.push(Problem::error(message).at(&node.place));
        }
        if !text.is_empty() {
            return name;
        }
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
