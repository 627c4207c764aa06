//! What goes into a build, for whoever compares two of them: the files that would be sent.

use std::io;
use std::path::{Path, PathBuf};

use super::{Context, Filter, walk};
use crate::engine::DockerfileSource;

/// What goes into a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFiles {
    /// The text of the Dockerfile, as it is there.
    pub dockerfile: String,
    /// Everything that would be sent, in order of its names.
    pub files: Vec<BuildFile>,
}

/// A file or a link that would be sent. Directories show in the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFile {
    /// Relative to the context.
    pub name: PathBuf,
    /// On this host.
    pub path: PathBuf,
    /// Whether its owner may execute it.
    pub executable: bool,
    /// It is a link and not a file.
    pub link: bool,
    /// Its size in bytes.
    pub size: u64,
}

/// Looks at what goes into a build of a directory, with `.dockerignore` applied.
///
/// # Errors
/// The directory, the Dockerfile or the rules cannot be read.
pub fn build_files(root: &Path, dockerfile: &DockerfileSource) -> io::Result<BuildFiles> {
    let context = Context::open(root, dockerfile)?;
    let filter = Filter {
        include: None,
        exclude: context.exclude.clone(),
    };
    let mut files = Vec::new();
    walk(root, &filter, &mut |entry| {
        let metadata = entry.metadata;
        if metadata.is_file() || metadata.is_symlink() {
            files.push(BuildFile {
                name: entry.name.to_path_buf(),
                path: root.join(entry.name),
                executable: is_executable(metadata),
                link: metadata.is_symlink(),
                size: metadata.len(),
            });
        }
        Ok(())
    })?;
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(BuildFiles {
        dockerfile: context.dockerfile,
        files,
    })
}

/// The text of the Dockerfile of a build.
///
/// # Errors
/// The directory, the Dockerfile or the rules beside it cannot be read.
pub fn dockerfile_text(root: &Path, dockerfile: &DockerfileSource) -> io::Result<String> {
    Context::open(root, dockerfile).map(|context| context.dockerfile)
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.is_file() && metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &std::fs::Metadata) -> bool {
    false
}
