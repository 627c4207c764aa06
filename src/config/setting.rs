//! Where a project is: its directory, its files, and the variables that they may use.
//!
//! Owns what whoever calls and `.env` say of that, before a file is read. It reads no file but `.env`
//! and what stands for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use super::diagnostic::{Problem, Problems};
use super::untrusted::Confines;
use super::variables::{EnvFile, add_files};
use super::yaml::shorten;
use super::{Request, files};

/// Where a project is, and the variables that its files may use.
pub(super) struct Setting {
    /// The directory that was asked for.
    asked: PathBuf,
    /// The directory that relative paths are under.
    pub(super) directory: PathBuf,
    pub(super) variables: BTreeMap<String, String>,
    /// The files with variables that somebody named.
    env_files: Vec<PathBuf>,
    /// Whether `.env` is looked for.
    looks_for_env: bool,
    /// Where the files may lead, if they are not trusted.
    pub(super) confines: Option<Rc<Confines>>,
}

impl Setting {
    /// What is known before the files are found: they may be named by a variable of `.env`.
    pub(super) fn new(
        request: &Request,
        (asked, confines): (PathBuf, Option<Rc<Confines>>),
        (order, problems): (&mut usize, &mut Problems),
    ) -> Option<Self> {
        let first = request.files.iter().find(|file| file.as_os_str() != "-");
        let directory = match (&request.project_directory, first) {
            (Some(directory), _) => {
                let directory = asked.join(directory);
                files::clean_path(&directory)
            }
            (None, Some(file)) => {
                let file = files::clean_path(&asked.join(file));
                file.parent().unwrap_or(&file).to_owned()
            }
            (None, None) => asked.clone(),
        };
        let mut env_files = request.env_files.clone();
        if env_files.is_empty()
            && let Some(list) = request.environment.get("COMPOSE_ENV_FILES")
        {
            let names = list.split(',').filter(|name| !name.is_empty());
            env_files = names.map(PathBuf::from).collect();
        }
        let looks_for_env = match request.environment.get("COMPOSE_DISABLE_ENV_FILE") {
            None => true,
            Some(text) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => false,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => true,
                _ => {
                    let shown = shorten(text);
                    let message = format!(
                        "`COMPOSE_DISABLE_ENV_FILE` must be `true` or `false`, found `{shown}`"
                    );
                    problems.push(Problem::error(message));
                    return None;
                }
            },
        };
        let mut setting = Self {
            asked,
            directory,
            variables: match &request.untrusted {
                Some(untrusted) => untrusted.visible(&request.environment),
                None => request.environment.clone(),
            },
            env_files,
            looks_for_env,
            confines,
        };
        let working = setting.asked.display().to_string();
        setting.variables.entry("PWD".to_owned()).or_insert(working);
        setting.add_variables((order, problems));
        Some(setting)
    }

    fn add_variables(&mut self, (order, problems): (&mut usize, &mut Problems)) {
        let mut files: Vec<EnvFile<'_>> = self
            .env_files
            .iter()
            .map(|file| EnvFile {
                path: files::clean_path(&self.asked.join(file)),
                named: true,
                place: None,
            })
            .collect();
        if files.is_empty() && self.looks_for_env {
            files.push(EnvFile {
                path: self.directory.join(".env"),
                named: false,
                place: None,
            });
        }
        let confines = self.confines.as_deref();
        let reading = (self.asked.as_path(), order, confines);
        add_files(&mut self.variables, &files, reading, problems);
    }

    /// Looks for files. Those of strangers are in their directory and not above it, where they would
    /// be somebody else's.
    fn discover(&self) -> Result<files::Found, Problem> {
        let found = files::discover(&self.directory)?;
        let first = found.files.first().and_then(|file| file.parent());
        if self.confines.is_some() && first != Some(&self.directory) {
            let message = format!("no compose file in `{}`", self.directory.display());
            let help = "with `--untrusted`, none is looked for in the directories above; name the \
                        project's directory";
            return Err(Problem::error(message).help(help));
        }
        Ok(found)
    }

    /// Refuses files that lead where strangers' files may not; `by_caller` are those that whoever
    /// calls has named.
    fn admit(
        &self,
        files: Vec<(PathBuf, String)>,
        by_caller: bool,
        problems: &mut Problems,
    ) -> Option<Vec<(PathBuf, String)>> {
        let Some(confines) = &self.confines else {
            return Some(files);
        };
        let refused = files.iter().filter_map(|(path, shown)| {
            let admitted = match (shown.as_str(), by_caller) {
                ("-", true) => Ok(()),
                (_, true) => confines.admit_named(path, shown),
                // From a file, this would be standard input.
                ("-", false) => Err(Problem::error("`.env` names no file: `-`")),
                (_, false) => confines.admit(path, shown),
            };
            admitted.err()
        });
        let refused: Vec<Problem> = refused.collect();
        let all_admitted = refused.is_empty();
        refused
            .into_iter()
            .for_each(|problem| problems.push(problem));
        all_admitted.then_some(files)
    }

    /// The project's directory is that of its first file, unless another one was given. Its `.env`
    /// counts too, below what is known already.
    pub(super) fn move_to(
        &mut self,
        request: &Request,
        files: &[(PathBuf, String)],
        (order, problems): (&mut usize, &mut Problems),
    ) {
        let first = files.iter().find(|(_, shown)| shown != "-");
        let parent = first.and_then(|(path, _)| path.parent());
        let Some(parent) = parent.filter(|_| request.project_directory.is_none()) else {
            return;
        };
        if parent != self.directory {
            self.directory = parent.to_owned();
            if self.env_files.is_empty() {
                self.add_variables((order, problems));
            }
        }
    }
}

/// The files to read, absolute, each with the name it is shown under.
pub(super) fn find_files(
    request: &Request,
    setting: &Setting,
    problems: &mut Problems,
) -> Option<Vec<(PathBuf, String)>> {
    let variables = &setting.variables;
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
        given = list.split(separator).map(PathBuf::from).collect();
    }
    if !given.is_empty() {
        let absolute = |path: PathBuf| {
            let shown = path.display().to_string();
            (files::clean_path(&setting.asked.join(path)), shown)
        };
        let files: Vec<_> = given.into_iter().map(absolute).collect();
        let variable = request.environment.get("COMPOSE_FILE");
        let by_caller = !request.files.is_empty() || variable.is_some_and(|list| !list.is_empty());
        return setting.admit(files, by_caller, problems);
    }
    match setting.discover() {
        Ok(found) => {
            found
                .warnings
                .into_iter()
                .for_each(|warning| problems.push(warning));
            let shown = |path: PathBuf| {
                let shown = files::shown_name(&path, &setting.asked);
                (path, shown)
            };
            let files = found.files.into_iter().map(shown).collect();
            setting.admit(files, false, problems)
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}
