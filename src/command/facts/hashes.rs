//! SHA-256 of files, within bounds: a run must not pay for a directory of gigabytes.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

/// Bytes that are read for all hashes of a run together.
const MOST_BYTES: u64 = 512 << 20;

/// Files of one directory that is mounted.
const MOST_FILES: usize = 2000;

/// Deepest directory that is followed.
const DEEPEST: usize = 64;

/// The hashes of a run, and how much of the bounds is left.
pub(super) struct Hashes {
    bytes_left: u64,
}

impl Default for Hashes {
    fn default() -> Self {
        Self {
            bytes_left: MOST_BYTES,
        }
    }
}

impl Hashes {
    /// A file, or every file below a directory, in order. Links in a directory count by where they
    /// lead; sockets and the like do not count.
    pub(super) fn below(
        &mut self,
        path: &Path,
        left_out: &[PathBuf],
    ) -> Result<Vec<(PathBuf, String)>, String> {
        let metadata = fs::metadata(path).map_err(|error| words(&error))?;
        if metadata.is_file() {
            let hash = self.one(path, false)?;
            return Ok(vec![(path.to_path_buf(), hash)]);
        }
        if !metadata.is_dir() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        collect(path, left_out, (&mut files, 0))?;
        files.sort();
        let hashed = files.into_iter().map(|(path, link)| {
            let hash = self.one(&path, link)?;
            Ok((path, hash))
        });
        hashed.collect()
    }

    /// One file, or where a link leads.
    pub(super) fn one(&mut self, path: &Path, link: bool) -> Result<String, String> {
        let about = |error: std::io::Error| format!("`{}`: {}", path.display(), words(&error));
        let mut context = Context::new(&SHA256);
        if link {
            let target = fs::read_link(path).map_err(about)?;
            context.update(b"link ");
            context.update(target.as_os_str().as_encoded_bytes());
            return Ok(hexadecimal(context));
        }
        let known = fs::metadata(path).map_err(about)?;
        // Whoever opens a pipe waits for somebody at its other end.
        if !known.is_file() {
            return Err(format!("`{}` is no file", path.display()));
        }
        if known.len() > self.bytes_left {
            self.bytes_left = 0;
            return Err(too_much());
        }
        let mut file = File::open(path).map_err(about)?;
        let mut piece = vec![0; 64 << 10];
        loop {
            let length = file.read(&mut piece).map_err(about)?;
            if length == 0 {
                return Ok(hexadecimal(context));
            }
            let left = self.bytes_left.checked_sub(length as u64);
            self.bytes_left = left.ok_or_else(|| {
                self.bytes_left = 0;
                too_much()
            })?;
            context.update(piece.get(..length).unwrap_or_default());
        }
    }
}

fn too_much() -> String {
    format!(
        "more than {} MiB of files are not looked at",
        MOST_BYTES >> 20
    )
}

fn collect(
    directory: &Path,
    left_out: &[PathBuf],
    (files, depth): (&mut Vec<(PathBuf, bool)>, usize),
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err("it is nested too deeply".to_owned());
    }
    let entries = fs::read_dir(directory).map_err(|error| words(&error))?;
    for entry in entries {
        let entry = entry.map_err(|error| words(&error))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| words(&error))?;
        if left_out.contains(&path) {
            continue;
        }
        if kind.is_dir() {
            collect(&path, left_out, (files, depth + 1))?;
        } else if kind.is_file() || kind.is_symlink() {
            files.push((path, kind.is_symlink()));
        }
        if files.len() > MOST_FILES {
            return Err(format!(
                "it has more than {MOST_FILES} files, which are not compared"
            ));
        }
    }
    Ok(())
}

fn words(error: &std::io::Error) -> String {
    error.kind().to_string()
}

/// A hash over many files.
pub(super) struct Whole(Context);

impl Default for Whole {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Whole {
    /// Adds a file; the order counts.
    pub(super) fn add(&mut self, name: &str, executable: bool, hash: &str) {
        let mode = if executable { "x" } else { "-" };
        // Nothing in front of the name can be a part of it: the length says where it ends.
        let line = format!("{} {name}\n{mode} {hash}\n", name.len());
        self.0.update(line.as_bytes());
    }

    /// The hash.
    pub(super) fn finish(self) -> String {
        hexadecimal(self.0)
    }
}

/// The hash of a text.
pub(super) fn of_text(text: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(text.as_bytes());
    hexadecimal(context)
}

fn hexadecimal(context: Context) -> String {
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_sha256sum() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("a");
        fs::write(&file, "hello\n").expect("written");
        let hash = Hashes::default().one(&file, false).expect("readable");
        let expected = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(hash, expected);
        assert_eq!(of_text("hello\n"), expected);
    }

    #[test]
    fn a_directory_is_its_files_and_links_but_not_what_the_run_writes() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path();
        for name in ["b", "a/c", "out/junit.xml"] {
            fs::create_dir_all(root.join(name).parent().expect("a parent")).expect("made");
            fs::write(root.join(name), name).expect("written");
        }
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).expect("linked");
        let out = [root.join("out")];
        let found = Hashes::default().below(root, &out).expect("readable");
        let names: Vec<_> = found
            .iter()
            .map(|(path, _)| path.strip_prefix(root).expect("inside"))
            .collect();
        assert_eq!(names, [Path::new("a/c"), Path::new("b"), Path::new("link")]);
        assert_eq!(found[2].1, of_text("link /etc/passwd"));
    }

    #[test]
    fn what_is_too_much_is_said() {
        let directory = tempfile::tempdir().expect("temporary directory");
        for number in 0..=MOST_FILES {
            fs::write(directory.path().join(number.to_string()), "").expect("written");
        }
        let error = Hashes::default()
            .below(directory.path(), &[])
            .expect_err("too many");
        assert!(error.contains("more than 2000 files"), "{error}");
        let mut hashes = Hashes { bytes_left: 3 };
        fs::write(directory.path().join("0"), "four").expect("written");
        let error = hashes
            .one(&directory.path().join("0"), false)
            .expect_err("too much");
        assert!(error.contains("512 MiB"), "{error}");
    }
}
