//! Where the paths of strangers' files may lead: into the project's directory, with every link
//! followed.
//!
//! Links are followed by hand, so that nothing outside is ever asked for: whether a path outside
//! exists must make no difference to what is said.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::super::Request;
use super::super::diagnostic::Problem;
use super::super::files::clean_path;
use super::super::format::is_windows_absolute;
use super::Untrusted;

/// Most links on the way to one path, as in the kernel.
const MAX_LINKS: usize = 40;

/// Directories that are the host itself: a project whose directory holds one of them confines nothing.
const HOST: [&str; 8] = [
    "/dev", "/etc", "/proc", "/run", "/sys", "/usr", "/var/lib", "/var/run",
];

/// The project's directory, and what else is kept from strangers' files.
#[derive(Debug, Clone)]
pub(in crate::config) struct Confines {
    /// The directory as it was named, absolute and clean.
    named: PathBuf,
    /// The same with all links followed.
    real: PathBuf,
    /// What `~` stands for, so that it is refused and does not become a name in the project.
    home: String,
    /// Variables of the process that the files do not see.
    hidden: BTreeSet<String>,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::config) enum Outside {
    #[error("it leads out of the project's directory")]
    Away,
    #[error("where it leads cannot be seen")]
    Unknown,
    #[error("it leads in a circle")]
    Circle,
}

impl Confines {
    /// Confines a load to a directory.
    pub(in crate::config) fn new(
        request: &Request,
        untrusted: &Untrusted,
        directory: &Path,
    ) -> Result<Self, Problem> {
        let shown = directory.display();
        let real = directory.canonicalize().map_err(|error| {
            Problem::error(format!("cannot use directory `{shown}`: {}", error.kind()))
        })?;
        let home = request
            .environment
            .get("HOME")
            .filter(|home| !home.is_empty());
        let real_home = home.and_then(|home| Path::new(home).canonicalize().ok());
        let mut host = HOST.iter().map(Path::new).chain(real_home.as_deref());
        if let Some(held) = host.find(|place| place.starts_with(&real)) {
            let message = format!(
                "strangers' code cannot be confined to `{shown}`, which holds `{}`",
                held.display()
            );
            let help = "check the project out into a directory of its own";
            return Err(Problem::error(message).help(help));
        }
        let seen = untrusted.visible(&request.environment);
        let names = request.environment.keys();
        Ok(Self {
            named: directory.to_owned(),
            real,
            home: home.cloned().unwrap_or_else(|| "/".to_owned()),
            hidden: names
                .filter(|name| !seen.contains_key(*name))
                .cloned()
                .collect(),
        })
    }

    /// What `~` stands for.
    pub(in crate::config) fn home(&self) -> &str {
        &self.home
    }

    /// Whether the process has a variable of this name that the files do not see.
    pub(in crate::config) fn hides(&self, variable: &str) -> bool {
        self.hidden.contains(variable)
    }

    /// Where a path leads, if that is in the project's directory. What does not exist leads to where
    /// it would be made.
    pub(in crate::config) fn resolve(&self, path: &Path) -> Result<PathBuf, Outside> {
        let has_steps_up = path
            .components()
            .any(|part| matches!(part, Component::ParentDir));
        if has_steps_up {
            // Some take `link/..` by name and some by where the link leads; both must be inside.
            self.follow(&clean_path(path))?;
        }
        self.follow(path)
    }

    /// The same for a text of a file: `directory` is what relative paths are under.
    pub(super) fn resolve_text(&self, text: &str, directory: &Path) -> Result<PathBuf, Outside> {
        if text.starts_with('~') || is_windows_absolute(text) {
            return Err(Outside::Away);
        }
        self.resolve(&absolute(text, directory))
    }

    /// The same for a file that whoever calls has named: outside of the project's directory it is
    /// his own, but a name in the directory may be a stranger's link.
    pub(in crate::config) fn resolve_named(&self, path: &Path) -> Result<PathBuf, Outside> {
        if self.below(path).is_none() {
            return Ok(path.to_owned());
        }
        self.resolve(path)
    }

    /// Refuses a file that is about to be read.
    pub(in crate::config) fn admit(&self, path: &Path, shown: &str) -> Result<(), Problem> {
        refuse(self.resolve(path), shown)
    }

    /// The same for a file that whoever calls has named.
    pub(in crate::config) fn admit_named(&self, path: &Path, shown: &str) -> Result<(), Problem> {
        refuse(self.resolve_named(path), shown)
    }

    /// What of a path is below the project's directory, in either of its names.
    fn below<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.strip_prefix(&self.named)
            .or_else(|_| path.strip_prefix(&self.real))
            .ok()
    }

    fn follow(&self, path: &Path) -> Result<PathBuf, Outside> {
        let below = self.below(path).ok_or(Outside::Away)?;
        let mut open: VecDeque<Step> = steps(below).collect();
        let mut at = self.real.clone();
        let mut links = 0;
        while let Some(step) = open.pop_front() {
            let name = match step {
                Step::Up if at == self.real => return Err(Outside::Away),
                Step::Up => {
                    at.pop();
                    continue;
                }
                Step::Down(name) => name,
            };
            at.push(&name);
            match std::fs::symlink_metadata(&at) {
                Ok(found) if found.is_symlink() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Outside::Circle);
                    }
                    let target = std::fs::read_link(&at).map_err(|_| Outside::Unknown)?;
                    let below = if target.is_absolute() {
                        at.clone_from(&self.real);
                        self.below(&target).ok_or(Outside::Away)?
                    } else {
                        at.pop();
                        &target
                    };
                    for step in steps(below).collect::<Vec<_>>().into_iter().rev() {
                        open.push_front(step);
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(_) => return Err(Outside::Unknown),
            }
        }
        Ok(at)
    }
}

enum Step {
    Up,
    Down(OsString),
}

fn steps(path: &Path) -> impl Iterator<Item = Step> {
    path.components().filter_map(|part| match part {
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Down(name.to_owned())),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

/// A path as the readers make it of a text.
pub(super) fn absolute(text: &str, directory: &Path) -> PathBuf {
    if text.starts_with('/') {
        PathBuf::from(text)
    } else {
        clean_path(&directory.join(text))
    }
}

fn refuse(resolved: Result<PathBuf, Outside>, shown: &str) -> Result<(), Problem> {
    resolved.map(drop).map_err(|why| {
        let message = format!("`{shown}` is not read for strangers' code: {why}");
        Problem::error(message)
            .help("with `--untrusted`, a project reads files of its own directory")
    })
}
