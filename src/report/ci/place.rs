//! Where in the repository a test case is: a file that is there, by the name that the repository has for it. It must never name
//! a file that is not in the repository, since a CI system would show the failure beside somebody else's line, or nowhere.

use std::path::{Component, Path, PathBuf};

use crate::junit::Location;

/// A line of a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Place {
    /// The file, relative to the root of the repository.
    pub(in crate::report) file: String,
    /// The line, from 1.
    pub(in crate::report) line: Option<u32>,
}

/// Where files are looked for.
#[derive(Debug, Clone)]
pub(in crate::report) struct Places {
    /// The root of the repository.
    root: PathBuf,
    /// The project's directory.
    project: PathBuf,
}

impl Places {
    /// Files of a repository that is checked out in `root`, with a project in `project`; both are absolute paths.
    pub(in crate::report) fn new(root: PathBuf, project: PathBuf) -> Self {
        Self { root, project }
    }

    /// The place that a report means, if there is a file.
    pub(in crate::report) fn of(&self, location: &Location) -> Option<Place> {
        let named = Path::new(location.file.trim());
        let goes_up = |part: Component<'_>| matches!(part, Component::ParentDir);
        if named.components().any(goes_up) || location.file.chars().any(char::is_control) {
            return None;
        }
        // An absolute path stays as it is when it is joined.
        let mut candidates = [self.root.join(named), self.project.join(named)].into_iter();
        let found = candidates.find(|path| path.starts_with(&self.root) && path.is_file())?;
        let file = found.strip_prefix(&self.root).ok()?.to_str()?.to_owned();
        Some(Place {
            file,
            line: location.line,
        })
    }
}
