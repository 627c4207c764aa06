//! Which files of a container are meant, and from where it has to be read for that.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use globset::{Glob, GlobBuilder, GlobMatcher};

/// The files that a list of globs means, in a container with a working directory.
#[derive(Debug, Clone)]
pub struct Selection {
    working_dir: String,
    globs: Vec<Wanted>,
}

#[derive(Debug, Clone)]
struct Wanted {
    /// As it was written.
    glob: String,
    /// The path, unless only what is in it is wanted.
    itself: Option<GlobMatcher>,
    /// What is in it, where it is a directory.
    inside: GlobMatcher,
    /// From where it is read; with a `/` at the end where it must be a directory.
    root: String,
}

/// Why a list of globs means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// It cannot be read.
    #[error("`{0}` is no valid glob")]
    Glob(String),
    /// It begins at the root.
    #[error(
        "`{0}` begins at `/`, so the whole container would have to be read: name a directory first"
    )]
    WholeContainer(String),
}

impl Selection {
    /// What `globs` mean. Relative ones begin at `working_dir`; a directory means everything in it.
    ///
    /// # Errors
    /// One of them is no glob, or begins at the root.
    pub fn new(working_dir: &str, globs: &[String]) -> Result<Self, SelectionError> {
        let working_dir = joined("/", working_dir);
        let globs = globs
            .iter()
            .map(|glob| Wanted::new(&working_dir, glob))
            .collect::<Result<_, _>>()?;
        Ok(Self { working_dir, globs })
    }

    /// The paths whose archives hold everything that is meant, none of them within another.
    #[must_use]
    pub fn roots(&self) -> Vec<String> {
        let all: BTreeSet<&str> = self.globs.iter().map(|one| one.root.as_str()).collect();
        let within = |one: &str, other: &str| {
            let other = other.trim_end_matches('/');
            one.strip_prefix(other)
                .is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
        };
        // Of `a` and `a/`, which are the same directory unless it is a link, the latter is read.
        let slashed = |one: &str| !one.ends_with('/') && all.contains(format!("{one}/").as_str());
        all.iter()
            .filter(|one| !slashed(one) && !all.iter().any(|other| within(one, other)))
            .map(|one| (*one).to_owned())
            .collect()
    }

    /// Which of the globs, by their places in the list, mean this path from the root.
    pub(super) fn matching(&self, path: &[u8]) -> Vec<usize> {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let mut matching = Vec::new();
        for (number, one) in self.globs.iter().enumerate() {
            let itself = one.itself.as_ref();
            if itself.is_some_and(|glob| glob.is_match(path)) || one.inside.is_match(path) {
                matching.push(number);
            }
        }
        matching
    }

    /// Where a file of this path is put: its path from the working directory, and that from the root
    /// where it is elsewhere.
    pub(super) fn place<'path>(&self, path: &'path [u8]) -> &'path [u8] {
        let inside = match self.working_dir.as_str() {
            "/" => None,
            directory => path.strip_prefix(directory.as_bytes()),
        };
        let inside = inside.and_then(|rest| rest.strip_prefix(b"/"));
        inside.unwrap_or_else(|| path.strip_prefix(b"/").unwrap_or(path))
    }

    /// The globs as they were written.
    pub(super) fn globs(&self) -> impl Iterator<Item = &str> {
        self.globs.iter().map(|one| one.glob.as_str())
    }
}

impl Wanted {
    fn new(working_dir: &str, glob: &str) -> Result<Self, SelectionError> {
        let invalid = || SelectionError::Glob(glob.to_owned());
        let named = glob.trim_start_matches("./");
        let bare = named.trim_end_matches('/');
        // The working directory is literal, whatever characters it holds.
        let is_absolute = named.starts_with('/');
        let pattern = match is_absolute {
            true => bare.to_owned(),
            false => format!(
                "{}/{bare}",
                globset::escape(working_dir.trim_end_matches('/'))
            ),
        };
        let whole: &[_] = &['*', '?', '[', '{', '\\'];
        let wildcard = bare.find(whole);
        let root = match wildcard {
            // What it is decides: a file, or a directory with everything in it.
            None => {
                let path = joined(if is_absolute { "/" } else { working_dir }, bare);
                match named.ends_with('/') {
                    true => format!("{}/", path.trim_end_matches('/')),
                    false => path,
                }
            }
            Some(at) => {
                let before = bare.get(..at).unwrap_or_default();
                let directory = before
                    .rsplit_once('/')
                    .map_or("", |(directory, _)| directory);
                let directory = match (is_absolute, directory) {
                    (true, "") => "/".to_owned(),
                    _ => joined(working_dir, directory),
                };
                format!("{}/", directory.trim_end_matches('/'))
            }
        };
        if root.trim_end_matches('/').is_empty() {
            return Err(SelectionError::WholeContainer(glob.to_owned()));
        }
        let compile = |pattern: &str| -> Result<GlobMatcher, SelectionError> {
            let built: Glob = GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .map_err(|_| invalid())?;
            Ok(built.compile_matcher())
        };
        let itself = match named.ends_with('/') {
            true => None,
            false => Some(compile(&pattern)?),
        };
        Ok(Self {
            glob: glob.to_owned(),
            itself,
            inside: compile(&format!("{pattern}/**"))?,
            root,
        })
    }
}

/// A path from the root, without `.`, doubled separators and `..`.
fn joined(directory: &str, path: &str) -> String {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{directory}/{path}"),
    };
    String::from_utf8_lossy(&normal(whole.as_bytes()).unwrap_or_default()).into_owned()
}

/// The same path from the root without `.`, doubled separators and `..`; `None` when it leads above the
/// root.
pub(super) fn normal(path: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let mut whole = vec![b'/'];
    whole.extend(parts.join(&b'/'));
    Some(whole)
}
