//! A walk through a directory of the host, in the order and with the choice that builders expect.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::patterns::{Matched, Patterns};

/// Deepest directory that is followed, as a bound for damaged file systems.
const DEEPEST: usize = 256;

/// Which files of a directory are wanted.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::docker) struct Filter {
    /// Only what these cover; `None` is everything.
    pub(in crate::engine::docker) include: Option<Patterns>,
    /// Nothing of what these cover.
    pub(in crate::engine::docker) exclude: Patterns,
}

/// One wanted file, directory or link. A directory comes before what is in it, and only if it is
/// wanted itself or something in it is.
pub(in crate::engine::docker) struct Entry<'a> {
    /// Relative to the root.
    pub(in crate::engine::docker) name: &'a Path,
    /// Of itself: links are not followed.
    pub(in crate::engine::docker) metadata: &'a Metadata,
}

/// An error with the file that it is about.
pub(in crate::engine::docker) fn about(path: &Path, error: &io::Error) -> io::Error {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "it is not there (any more)".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(
        error.kind(),
        format!("cannot read `{}`: {reason}", path.display()),
    )
}

/// Visits everything that is wanted.
///
/// # Errors
/// Something cannot be read, or the visitor has had enough.
pub(in crate::engine::docker) fn walk(
    root: &Path,
    filter: &Filter,
    visit: &mut dyn FnMut(Entry<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut walk = Walk {
        root,
        filter,
        visit,
        open: Vec::new(),
    };
    walk.directory(Path::new(""), &Judged::default(), 0)
}

/// How a path was judged, for what is below it.
#[derive(Default)]
struct Judged {
    include: Matched,
    exclude: Matched,
    wanted: bool,
}

struct Walk<'a> {
    root: &'a Path,
    filter: &'a Filter,
    visit: &'a mut dyn FnMut(Entry<'_>) -> io::Result<()>,
    /// The directories around the current one that were not visited yet, outermost first.
    open: Vec<(PathBuf, Metadata)>,
}

impl Walk<'_> {
    fn directory(&mut self, name: &Path, judged: &Judged, depth: usize) -> io::Result<()> {
        let path = match depth {
            // Joining nothing would end the path with a slash.
            0 => self.root.to_path_buf(),
            _ => self.root.join(name),
        };
        if depth > DEEPEST {
            let message = format!("`{}` is nested too deeply", path.display());
            return Err(io::Error::other(message));
        }
        let read = fs::read_dir(&path).and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| (entry.file_name(), entry.file_type())))
                .collect::<io::Result<Vec<_>>>()
        });
        let mut entries = match read {
            Ok(entries) => entries,
            // Nobody has asked for this directory itself, only for something that may be in it.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && depth > 0
                    && !judged.wanted =>
            {
                return Ok(());
            }
            Err(error) => return Err(about(&path, &error)),
        };
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (file_name, file_type) in entries {
            let name = name.join(file_name);
            let path = self.root.join(&name);
            let file_type = file_type.map_err(|error| about(&path, &error))?;
            let below = self.judge(&name, judged);
            let goes_on = file_type.is_dir() && self.may_go_on(&name, &below);
            if !below.wanted && !goes_on {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).map_err(|error| about(&path, &error))?;
            if below.wanted {
                for (name, metadata) in std::mem::take(&mut self.open) {
                    let (name, metadata) = (&name, &metadata);
                    (self.visit)(Entry { name, metadata })?;
                }
                (self.visit)(Entry {
                    name: &name,
                    metadata: &metadata,
                })?;
            } else {
                self.open.push((name.clone(), metadata));
            }
            if goes_on {
                self.directory(&name, &below, depth + 1)?;
            }
            if self.open.last().is_some_and(|(open, _)| *open == name) {
                self.open.pop();
            }
        }
        Ok(())
    }

    fn judge(&self, name: &Path, parent: &Judged) -> Judged {
        let name = name.to_string_lossy();
        let (included, include) = match &self.filter.include {
            Some(patterns) => patterns.judge(&name, &parent.include),
            None => (true, Matched::default()),
        };
        let (excluded, exclude) = self.filter.exclude.judge(&name, &parent.exclude);
        Judged {
            include,
            exclude,
            wanted: included && !excluded,
        }
    }

    /// Whether a directory can hold something that is wanted.
    fn may_go_on(&self, name: &Path, judged: &Judged) -> bool {
        if judged.wanted {
            return true;
        }
        let name = name.to_string_lossy();
        let include = self.filter.include.as_ref();
        let included = include.is_none_or(|patterns| {
            patterns.covers_all(&judged.include) || patterns.may_cover_below(&name)
        });
        let exclude = &self.filter.exclude;
        included && (!exclude.covers_all(&judged.exclude) || exclude.may_bring_back_below(&name))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn visited(root: &Path, include: &[&str], exclude: &[&str]) -> Vec<String> {
        let filter = Filter {
            include: (!include.is_empty())
                .then(|| Patterns::new(include.iter().copied()).expect("well formed")),
            exclude: Patterns::new(exclude.iter().copied()).expect("well formed"),
        };
        let mut names = Vec::new();
        walk(root, &filter, &mut |entry| {
            names.push(entry.name.to_string_lossy().into_owned());
            Ok(())
        })
        .expect("readable");
        names
    }

    #[test]
    fn directories_come_only_with_what_is_wanted_in_them() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path();
        for file in ["a/b/c", "a/b-c", "a/d", "e/f/g", "h"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("created");
            fs::write(path, file).expect("written");
        }
        fs::create_dir(root.join("e/empty")).expect("created");
        let all = [
            "a", "a/b", "a/b/c", "a/b-c", "a/d", "e", "e/empty", "e/f", "e/f/g", "h",
        ];
        assert_eq!(visited(root, &[], &[]), all);
        assert_eq!(
            visited(root, &["a/b/c", "h"], &[]),
            ["a", "a/b", "a/b/c", "h"]
        );
        assert_eq!(visited(root, &["**/g"], &[]), ["e", "e/f", "e/f/g"]);
        assert_eq!(visited(root, &["e"], &["e/f"]), ["e", "e/empty"]);
        assert_eq!(visited(root, &[], &["*", "!a/b"]), ["a", "a/b", "a/b/c"]);
        assert_eq!(
            visited(root, &["a"], &["*", "!**/c"]),
            ["a", "a/b", "a/b/c"]
        );
        assert_eq!(visited(root, &["nothing"], &[]), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_is_named_unless_it_is_left_out() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("closed")).expect("created");
        let closed = fs::Permissions::from_mode(0o000);
        fs::set_permissions(root.join("closed"), closed).expect("set");
        let result = walk(&root, &Filter::default(), &mut |_entry| Ok(()));
        // The superuser may read everything.
        if let Err(error) = result {
            assert!(
                error.to_string().contains("root/closed`: this user"),
                "{error}"
            );
        }
        assert_eq!(visited(&root, &[], &["closed"]), [""; 0]);
        let missing = walk(&root.join("x"), &Filter::default(), &mut |_entry| Ok(()));
        let missing = missing.expect_err("there is none").to_string();
        assert!(missing.contains("root/x`: it is not there"), "{missing}");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.join("closed"), open).expect("set");
    }
}
