//! A build context as a tar stream, `.dockerignore` applied with moby's rules.
//!
//! Owners are written as 0:0 and entries come in sorted order, so that the same files give the same
//! cache key on every machine. Rules of `.dockerignore`: patterns are rooted at the context (`foo`
//! does not match `a/foo`), a match of a directory covers what is below it, the last match wins,
//! `!` brings back. Source: Docker documentation, "Build context", and `moby/patternmatcher`.

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// Name under which a Dockerfile from outside the context travels.
const OUTSIDE_DOCKERFILE: &str = ".envrun.Dockerfile";

/// Deepest directory that is followed, as a bound for damaged file systems.
const DEEPEST: usize = 256;

/// What goes into the tar.
#[derive(Debug)]
pub(super) struct Context {
    root: PathBuf,
    ignore: Ignore,
    /// Dockerfile as it is named to the engine.
    pub(super) dockerfile: String,
    outside_dockerfile: Option<PathBuf>,
    /// What travels in place of the text of the Dockerfile.
    rewritten: Option<String>,
}

impl Context {
    /// Looks at a context directory. `dockerfile` is relative to it unless absolute.
    ///
    /// # Errors
    /// The directory or the Dockerfile cannot be read, or a pattern of `.dockerignore` is
    /// malformed.
    pub(super) fn open(root: &Path, dockerfile: &Path) -> io::Result<Self> {
        let named = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
        };
        let path = root.join(dockerfile);
        fs::metadata(&path).map_err(|error| named(&path, error))?;
        let inside = normal(&path)
            .and_then(|path| path.strip_prefix(normal(root)?).ok().map(Path::to_path_buf));
        // A Dockerfile can have ignore rules of its own, which then replace the common ones.
        let own = PathBuf::from(format!("{}.dockerignore", path.display()));
        let common = root.join(".dockerignore");
        let rules = match fs::read_to_string(&own) {
            Ok(text) => text,
            Err(_) => match fs::read_to_string(&common) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(named(&common, error)),
            },
        };
        let (dockerfile, outside_dockerfile) = match inside {
            Some(inside) => (inside.to_string_lossy().into_owned(), None),
            None => (OUTSIDE_DOCKERFILE.to_owned(), Some(path)),
        };
        Ok(Self {
            root: root.to_path_buf(),
            ignore: Ignore::parse(&rules)?,
            dockerfile,
            outside_dockerfile,
            rewritten: None,
        })
    }

    /// Lets another text travel in place of the Dockerfile's, under the same name. One that is no
    /// text is left as it is.
    ///
    /// # Errors
    /// The Dockerfile cannot be read.
    pub(super) fn rewriting(mut self, rewrite: impl FnOnce(&str) -> String) -> io::Result<Self> {
        let path = match &self.outside_dockerfile {
            Some(path) => path.clone(),
            None => self.root.join(&self.dockerfile),
        };
        if let Ok(text) = String::from_utf8(fs::read(path)?) {
            self.rewritten = Some(rewrite(&text)).filter(|rewritten| *rewritten != text);
        }
        Ok(self)
    }

    /// Writes the tar.
    ///
    /// # Errors
    /// A file cannot be read, or changes while it is read, or nobody takes the stream any more.
    pub(super) fn write(&self, sink: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(sink);
        if let Some(path) = &self.outside_dockerfile {
            self.append(&mut tar, path, Path::new(OUTSIDE_DOCKERFILE))?;
        }
        self.directory(&mut tar, Path::new(""), 0)?;
        tar.into_inner()?.flush()
    }

    fn append(
        &self,
        tar: &mut tar::Builder<impl Write>,
        path: &Path,
        name: &Path,
    ) -> io::Result<()> {
        match &self.rewritten {
            Some(text) if name == Path::new(&self.dockerfile) => {
                let mut header = tar::Header::new_gnu();
                header.set_metadata(&fs::metadata(path)?);
                header.set_uid(0);
                header.set_gid(0);
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, name, text.as_bytes())
            }
            _ => append(tar, path, name),
        }
    }

    fn directory(
        &self,
        tar: &mut tar::Builder<impl Write>,
        relative: &Path,
        depth: usize,
    ) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::Error::other(format!(
                "`{}` is nested too deeply",
                relative.display()
            )));
        }
        let mut names: Vec<PathBuf> = fs::read_dir(self.root.join(relative))?
            .map(|entry| entry.map(|entry| relative.join(entry.file_name())))
            .collect::<io::Result<_>>()?;
        names.sort();
        for name in names {
            let path = self.root.join(&name);
            let is_directory = fs::symlink_metadata(&path)?.is_dir();
            // The engine needs these two whatever the rules say.
            let needed = name == Path::new(&self.dockerfile) || name == Path::new(".dockerignore");
            let ignored = self.ignore.covers(&name) && !needed;
            if !ignored {
                self.append(tar, &path, &name)?;
            }
            if is_directory
                && (!ignored
                    || self.ignore.may_bring_back
                    || Path::new(&self.dockerfile).starts_with(&name))
            {
                self.directory(tar, &name, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Appends one file, directory or link; sockets and devices are passed over, as the Docker CLI
/// does.
fn append(tar: &mut tar::Builder<impl Write>, path: &Path, name: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata(&metadata);
    header.set_uid(0);
    header.set_gid(0);
    if metadata.is_symlink() {
        header.set_size(0);
        tar.append_link(&mut header, name, fs::read_link(path)?)
    } else if metadata.is_dir() {
        header.set_size(0);
        tar.append_data(&mut header, name, io::empty())
    } else if metadata.is_file() {
        let size = metadata.len();
        let mut file = Counted {
            file: fs::File::open(path)?.take(size),
            read: 0,
        };
        tar.append_data(&mut header, name, &mut file)?;
        if file.read < size {
            return Err(io::Error::other(format!(
                "`{}` shrank while it was read",
                path.display()
            )));
        }
        Ok(())
    } else {
        Ok(())
    }
}

/// Counts what is read, so that a file that shrank is noticed.
struct Counted {
    file: io::Take<fs::File>,
    read: u64,
}

impl io::Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// The path with `.` and `..` resolved by name; `None` when it climbs above its root.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !result.pop() {
                    return None;
                }
            }
            part => result.push(part),
        }
    }
    Some(result)
}

/// The rules of a `.dockerignore`.
#[derive(Debug, Default)]
struct Ignore {
    rules: Vec<(GlobMatcher, bool)>,
    /// Whether a `!` rule exists: then ignored directories have to be walked too.
    may_bring_back: bool,
}

impl Ignore {
    fn parse(text: &str) -> io::Result<Self> {
        let mut ignore = Self::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (pattern, brings_back) = line
                .strip_prefix('!')
                .map_or((line, false), |rest| (rest.trim(), true));
            let pattern = normal(Path::new(pattern.trim_start_matches('/'))).unwrap_or_default();
            let pattern = pattern.to_string_lossy();
            if pattern.is_empty() {
                continue;
            }
            let glob = GlobBuilder::new(&pattern)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|error| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("`.dockerignore`: {error}"),
                    )
                })?;
            ignore.may_bring_back |= brings_back;
            ignore.rules.push((glob.compile_matcher(), brings_back));
        }
        Ok(ignore)
    }

    fn covers(&self, path: &Path) -> bool {
        let mut covered = false;
        for (glob, brings_back) in &self.rules {
            let matches = path
                .ancestors()
                .filter(|part| !part.as_os_str().is_empty())
                .any(|part| glob.is_match(part));
            if matches {
                covered = !brings_back;
            }
        }
        covered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path, dockerfile: &str) -> Vec<String> {
        let mut bytes = Vec::new();
        Context::open(root, Path::new(dockerfile))
            .expect("opens")
            .write(&mut bytes)
            .expect("writes");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().expect("a tar");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .path()
                    .expect("a path")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    #[test]
    fn dockerignore_follows_the_rules_of_moby() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path();
        for file in [
            "Dockerfile",
            "foo",
            "a/foo",
            "a/keep.md",
            "a/b/c.tmp",
            "docs/x.md",
            "docs/README.md",
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("created");
            fs::write(path, file).expect("written");
        }
        let rules = "# comment\nDockerfile\nfoo\n**/*.tmp\n/docs\n!docs/README.md\n";
        fs::write(root.join(".dockerignore"), rules).expect("written");
        let expected = [
            ".dockerignore",
            "Dockerfile",
            "a",
            "a/b",
            "a/foo",
            "a/keep.md",
            "docs/README.md",
        ];
        assert_eq!(names(root, "Dockerfile"), expected);
    }

    #[test]
    fn another_text_travels_in_place_of_the_dockerfile() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path();
        fs::write(root.join("Dockerfile"), "FROM a").expect("written");
        fs::write(root.join("other"), "FROM a").expect("written");
        let mut bytes = Vec::new();
        Context::open(root, Path::new("Dockerfile"))
            .and_then(|context| context.rewriting(|text| text.replace("a", "mirror/a")))
            .and_then(|context| context.write(&mut bytes))
            .expect("writes");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let texts: Vec<String> = archive
            .entries()
            .expect("a tar")
            .map(|entry| {
                let mut text = String::new();
                entry
                    .expect("an entry")
                    .read_to_string(&mut text)
                    .expect("a text");
                text
            })
            .collect();
        assert_eq!(texts, ["FROM mirror/a", "FROM a"]);
    }

    #[test]
    fn a_dockerfile_outside_of_the_context_travels_along() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let context = directory.path().join("context");
        fs::create_dir(&context).expect("created");
        fs::write(directory.path().join("Other"), "FROM scratch").expect("written");
        assert_eq!(names(&context, "../Other"), [OUTSIDE_DOCKERFILE]);
        let missing = Context::open(&context, Path::new("Dockerfile")).expect_err("there is none");
        assert!(missing.to_string().contains("Dockerfile"), "{missing}");
    }
}
