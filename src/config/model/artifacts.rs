//! `artifacts`: which files of a container are kept, and when.

use super::{MountSource, Service};

/// `artifacts:` of a suite or of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifacts {
    /// Globs of paths in the container, relative to its working directory or absolute; what they match
    /// is kept, and everything in it where it is a directory. Never empty.
    pub paths: Vec<String>,
    /// When they are kept.
    pub when: ArtifactsWhen,
}

/// When artifacts are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArtifactsWhen {
    /// Whatever becomes of the suite, or of the run.
    #[default]
    Always,
    /// When the suite has not passed; those of a service, when the run has not.
    Failure,
}

/// The longest beginning of a glob that names one path: what stands before its first wildcard.
#[must_use]
pub fn literal_part(glob: &str) -> &str {
    let Some(wildcard) = glob.find(['*', '?', '[', '{', '\\']) else {
        return glob.trim_end_matches('/');
    };
    let before = glob.get(..wildcard).unwrap_or_default();
    before.rsplit_once('/').map_or(
        "",
        |(directory, _)| {
            if directory.is_empty() { "/" } else { directory }
        },
    )
}

/// A path of a container, from its root: relative ones begin at the working directory. `.` and doubled
/// separators are left out.
#[must_use]
pub fn from_root(working_dir: &str, path: &str) -> String {
    let parts = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{working_dir}/{path}"),
    };
    let parts: Vec<&str> = parts
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    format!("/{}", parts.join("/"))
}

impl Service {
    /// The file system in memory that hides a path of the container from the engine, which sees only
    /// what is on its storage: the longest target of `tmpfs:` or of such a mount at or above the path.
    /// A mount of another kind below that target brings the path back.
    #[must_use]
    pub fn tmpfs_over(&self, path: &str) -> Option<&str> {
        let is_above = |target: &str| {
            let target = from_root("", target);
            target == "/" || path == target || path.starts_with(&format!("{target}/"))
        };
        let mounts = self.mounts.iter();
        let mounts =
            mounts.map(|mount| (mount.target.as_str(), mount.source == MountSource::Tmpfs));
        let short = self.options.tmpfs.keys();
        let short = short.map(|target| (target.as_str(), true));
        let above = mounts.chain(short).filter(|(target, _)| is_above(target));
        let nearest = above.max_by_key(|(target, _)| from_root("", target).len());
        nearest.and_then(|(target, in_memory)| in_memory.then_some(target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_literal_up_to_its_first_wildcard() {
        assert_eq!(literal_part("screenshots/"), "screenshots");
        assert_eq!(literal_part("out/**/*.png"), "out");
        assert_eq!(literal_part("*.png"), "");
        assert_eq!(literal_part("/var/log/*.log"), "/var/log");
        assert_eq!(literal_part("/*.log"), "/");
        assert_eq!(literal_part("a/b.txt"), "a/b.txt");
    }

    #[test]
    fn relative_paths_begin_at_the_working_directory() {
        assert_eq!(from_root("/app", "out/./a"), "/app/out/a");
        assert_eq!(from_root("/app/", "/var//log/"), "/var/log");
        assert_eq!(from_root("", "a"), "/a");
        assert_eq!(from_root("/", ""), "/");
    }
}
