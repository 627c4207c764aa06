//! A build context: the directory, its `.dockerignore`, and the Dockerfile as it is sent.
//!
//! Files reach the engine in one of two ways, both with the same choice of files: BuildKit asks for
//! what it needs over a session, everything else gets a tar. Owners are written as 0:0 and entries
//! come in sorted order, so that the same files give the same cache key on every machine.

mod inputs;
mod patterns;
mod tree;

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Component, Path, PathBuf};

pub use self::inputs::{BuildFile, BuildFiles, build_files, dockerfile_text};
pub(super) use self::patterns::Patterns;
pub(super) use self::tree::{Filter, about, walk};
use crate::engine::DockerfileSource;

/// Name under which a Dockerfile travels in a tar that is not a file of the context.
const RESERVED: &str = ".envrun.Dockerfile";

const IGNORE_FILE: &str = ".dockerignore";

/// Largest Dockerfile or `.dockerignore` that is read.
const LARGEST_TEXT: u64 = 8 << 20;

/// A context directory that was looked at.
#[derive(Debug)]
pub(super) struct Context {
    /// The directory.
    pub(super) root: PathBuf,
    /// The Dockerfile's text, to be changed before it is sent.
    pub(super) dockerfile: String,
    /// Rules that belong to the Dockerfile, and then replace those of the context.
    pub(super) own_rules: Option<String>,
    exclude: Patterns,
    /// Where the Dockerfile is in the context, if it is a file of it.
    inside: Option<PathBuf>,
}

impl Context {
    /// Looks at a context directory.
    ///
    /// # Errors
    /// The directory or the Dockerfile cannot be read, or a pattern of the rules is malformed.
    pub(super) fn open(root: &Path, dockerfile: &DockerfileSource) -> io::Result<Self> {
        let directory = fs::metadata(root).map_err(|error| about(root, &error))?;
        if !directory.is_dir() {
            let message = format!("`{}` is not a directory", root.display());
            return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
        }
        let (text, path) = match dockerfile {
            DockerfileSource::Text(text) => (text.clone(), None),
            DockerfileSource::File(name) => {
                let path = existing(root.join(name));
                let text = read(&path)?;
                let text = text.ok_or_else(|| about(&path, &io::ErrorKind::NotFound.into()))?;
                (text, Some(path))
            }
        };
        let own = path.as_ref().map(|path| with_suffix(path, IGNORE_FILE));
        let own_rules = match &own {
            Some(path) => read(path)?,
            None => None,
        };
        let (rules, source) = match (&own_rules, own) {
            (Some(rules), Some(path)) => (rules.clone(), path),
            _ => {
                let path = root.join(IGNORE_FILE);
                (read(&path)?.unwrap_or_default(), path)
            }
        };
        let exclude = Patterns::parse(&rules).map_err(|problem| {
            let message = format!("`{}`: {problem}", source.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        let inside = path.as_deref().and_then(normal).and_then(|path| {
            let inside = path.strip_prefix(normal(root)?).ok()?;
            Some(inside.to_path_buf())
        });
        Ok(Self {
            root: root.to_path_buf(),
            dockerfile: text,
            own_rules,
            exclude,
            inside,
        })
    }

    /// The name of the Dockerfile in the tar.
    pub(super) fn name_in_tar(&self) -> String {
        match &self.inside {
            Some(inside) => inside.to_string_lossy().into_owned(),
            None => RESERVED.to_owned(),
        }
    }

    /// Writes the context as a tar. A builder that gets one copies from all of it, so a Dockerfile
    /// that is no file of the context is listed in the `.dockerignore` that travels along, which
    /// makes the classic builder take it away.
    ///
    /// # Errors
    /// A file cannot be read, or changes while it is read, or nobody takes the stream any more.
    pub(super) fn write(&self, sink: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(sink);
        let dockerfile = self.name_in_tar();
        let mut own = vec![(dockerfile, self.dockerfile.clone())];
        if self.inside.is_none() {
            let rules = read(&self.root.join(IGNORE_FILE))?;
            let further = if rules.is_some() { "" } else { IGNORE_FILE };
            let rules = rules.unwrap_or_default();
            own.push((
                IGNORE_FILE.to_owned(),
                format!("{rules}\n{RESERVED}\n{further}\n"),
            ));
        }
        for (name, text) in &own {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes())?;
        }
        let filter = Filter {
            include: None,
            exclude: self.exclude.clone(),
        };
        walk(&self.root, &filter, &mut |entry| {
            if own.iter().any(|(name, _)| Path::new(name) == entry.name) {
                return Ok(());
            }
            append(&mut tar, &self.root.join(entry.name), &entry)
        })?;
        // The classic builder reads the rules again, to know whether they cover the Dockerfile.
        if self.inside.is_some()
            && let Some(rules) = read(&self.root.join(IGNORE_FILE))?
        {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(rules.len() as u64);
            tar.append_data(&mut header, IGNORE_FILE, rules.as_bytes())?;
        }
        tar.into_inner()?.flush()
    }
}

/// The standard name may be written in lower case.
fn existing(path: PathBuf) -> PathBuf {
    let lower = path.with_file_name("dockerfile");
    let is_standard = path.file_name().is_some_and(|name| name == "Dockerfile");
    if is_standard && !path.exists() && lower.exists() {
        lower
    } else {
        path
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The text of a file, `None` when there is none.
fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(about(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST_TEXT)
        .read_to_end(&mut bytes)
        .map_err(|error| about(path, &error))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => {
            let message = format!("`{}` is not a text in utf-8", path.display());
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
    }
}

/// Appends one file, directory or link; sockets and devices are passed over, as the Docker CLI
/// does.
fn append(
    tar: &mut tar::Builder<impl Write>,
    path: &Path,
    entry: &tree::Entry<'_>,
) -> io::Result<()> {
    let (name, metadata) = (entry.name, entry.metadata);
    let mut header = tar::Header::new_gnu();
    header.set_metadata(metadata);
    header.set_uid(0);
    header.set_gid(0);
    if metadata.is_symlink() {
        header.set_size(0);
        let target = fs::read_link(path).map_err(|error| about(path, &error))?;
        tar.append_link(&mut header, name, target)
    } else if metadata.is_dir() {
        header.set_size(0);
        tar.append_data(&mut header, name, io::empty())
    } else if metadata.is_file() {
        let size = metadata.len();
        let file = fs::File::open(path).map_err(|error| about(path, &error))?;
        let mut file = Counted {
            file: file.take(size),
            read: 0,
        };
        tar.append_data(&mut header, name, &mut file)?;
        if file.read < size {
            let message = format!("`{}` shrank while it was read", path.display());
            return Err(io::Error::other(message));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(root: &Path, dockerfile: &str) -> io::Result<Context> {
        Context::open(root, &DockerfileSource::File(dockerfile.into()))
    }

    /// Name and content of every entry.
    fn entries(context: &Context) -> Vec<(String, String)> {
        let mut bytes = Vec::new();
        context.write(&mut bytes).expect("writes");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().expect("a tar");
        entries
            .map(|entry| {
                let mut entry = entry.expect("an entry");
                let path = entry.path().expect("a path");
                let name = path.to_string_lossy().into_owned();
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                (name, text)
            })
            .collect()
    }

    fn names(context: &Context) -> Vec<String> {
        let mut names: Vec<String> = entries(context).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        names
    }

    fn file(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("created");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn what_the_rules_name_does_not_travel_but_the_dockerfile_does() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path();
        for name in [
            "Dockerfile",
            "foo",
            "a/foo",
            "a/b/c.tmp",
            "docs/x.md",
            "docs/README.md",
        ] {
            file(root, name, name);
        }
        let rules = "# comment\nDockerfile\nfoo\n**/*.tmp\n/docs\n!docs/README.md\n";
        file(root, ".dockerignore", rules);
        let context = opened(root, "Dockerfile").expect("opens");
        let expected = [
            ".dockerignore",
            "Dockerfile",
            "a",
            "a/b",
            "a/foo",
            "docs",
            "docs/README.md",
        ];
        assert_eq!(names(&context), expected);
        // Rules that belong to the Dockerfile replace them all.
        file(root, "Dockerfile.dockerignore", "a\ndocs\nfoo\n");
        let context = opened(root, "Dockerfile").expect("opens");
        assert_eq!(
            names(&context),
            [".dockerignore", "Dockerfile", "Dockerfile.dockerignore"]
        );
        file(root, "Dockerfile.dockerignore", "a[");
        let error = opened(root, "Dockerfile")
            .expect_err("malformed")
            .to_string();
        assert!(
            error.contains("Dockerfile.dockerignore`: the pattern `a[`"),
            "{error}"
        );
    }

    #[test]
    fn a_dockerfile_outside_of_the_context_travels_along_and_is_listed_for_removal() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path().join("context");
        file(&root, "x", "");
        file(directory.path(), "Other", "FROM scratch");
        let context = opened(&root, "../Other").expect("opens");
        assert_eq!(names(&context), [IGNORE_FILE, RESERVED, "x"]);
        let rules = entries(&context)
            .into_iter()
            .find(|(name, _)| name == IGNORE_FILE);
        let (_, rules) = rules.expect("the rules");
        assert_eq!(
            rules.split_whitespace().collect::<Vec<_>>(),
            [RESERVED, IGNORE_FILE]
        );
        let missing = opened(&root, "Dockerfile").expect_err("there is none");
        assert!(missing.to_string().contains("Dockerfile"), "{missing}");
        let missing = opened(&root.join("x"), "Dockerfile").expect_err("no directory");
        assert!(
            missing.to_string().contains("is not a directory"),
            "{missing}"
        );
    }

    #[test]
    fn a_link_to_a_dockerfile_is_followed_and_lower_case_is_known() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path().join("context");
        file(directory.path(), "Other", "FROM other");
        file(&root, "dockerfile", "FROM lower");
        let text = |name: &str| opened(&root, name).expect("opens").dockerfile;
        assert_eq!(text("Dockerfile"), "FROM lower");
        std::os::unix::fs::symlink("../Other", root.join("Dockerfile")).expect("linked");
        assert_eq!(text("Dockerfile"), "FROM other");
    }
}
