//! Which files make up the project, and reading them.
//!
//! Owns discovery, the size limit, and the name a file is shown under. Only what is asked for is
//! read; it never looks at the process's environment.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::Problem;
use super::source::Source;

/// Largest file that is read, in bytes.
pub(super) const MAX_FILE_SIZE: u64 = 4 << 20;

/// What stands for standard input in place of a file.
const STANDARD_INPUT: &str = "-";

/// Names under which Compose looks for a file, first one first.
pub(super) const FILE_NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// Names of the file that is merged over a file found by [`FILE_NAMES`].
pub(super) const OVERRIDE_NAMES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The files that were found, first one first.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Problem>,
}

/// Looks for a Compose file in `directory` and then in each directory above it, as Compose does.
pub(super) fn discover(directory: &Path) -> Result<Found, Problem> {
    for candidate in directory.ancestors() {
        let mut found = Found::default();
        for names in [FILE_NAMES, OVERRIDE_NAMES] {
            let there: Vec<PathBuf> = names
                .iter()
                .map(|name| candidate.join(name))
                .filter(|path| path.is_file())
                .collect();
            let Some(first) = there.first() else { break };
            if let Some(second) = there.get(1) {
                found.warnings.push(Problem::warning(format!(
                    "both `{}` and `{}` are there; the first one is read",
                    shown_name(first, directory),
                    shown_name(second, directory)
                )));
            }
            found.files.push(first.clone());
        }
        if !found.files.is_empty() {
            return Ok(found);
        }
    }
    let message = format!(
        "no compose file in `{}` nor in any directory above",
        directory.display()
    );
    Err(Problem::error(message).help(format!(
        "looked for {}; name another file with `-f`",
        quoted(&FILE_NAMES)
    )))
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The name a file is shown under: relative to the directory asked for, where that is possible.
pub(super) fn shown_name(path: &Path, directory: &Path) -> String {
    path.strip_prefix(directory)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Removes `.` and `..` from an absolute path, as Compose does, without asking the file system.
pub(super) fn clean_path(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// Reads a file as UTF-8 text; a byte order mark is removed.
pub(super) fn read(path: &Path, shown: &str, order: usize) -> Result<Arc<Source>, Problem> {
    let fail = |what: String| Problem::error(format!("cannot read `{shown}`: {what}"));
    if shown == STANDARD_INPUT {
        return decode(read_limited(std::io::stdin(), &fail)?, &fail)
            .map(|text| Source::new("standard input", text, order));
    }
    // Opening a named pipe would wait for a writer, so the kind is asked first.
    let metadata = std::fs::metadata(path).map_err(|error| fail(reason(&error)))?;
    if metadata.is_dir() {
        return Err(fail("it is a directory".to_owned()).help(format!(
            "name the file in it, such as `{shown}/compose.yaml`"
        )));
    }
    if !metadata.is_file() {
        return Err(fail("it is not a regular file".to_owned()));
    }
    if metadata.len() > MAX_FILE_SIZE {
        return Err(too_large(&fail));
    }
    let file = File::open(path).map_err(|error| fail(reason(&error)))?;
    let text = decode(read_limited(file, &fail)?, &fail)?;
    Ok(Source::new(shown, text, order))
}

/// Reads everything, up to the limit. A file may grow between the question for its size and the
/// reading.
fn read_limited(from: impl Read, fail: &dyn Fn(String) -> Problem) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(reason(&error)))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_SIZE) {
        return Err(too_large(fail));
    }
    Ok(bytes)
}

fn too_large(fail: &dyn Fn(String) -> Problem) -> Problem {
    fail(format!("it is larger than {} MiB", MAX_FILE_SIZE >> 20))
}

/// The text of a file in UTF-8, or in UTF-16 with a byte order mark.
fn decode(bytes: Vec<u8>, fail: &dyn Fn(String) -> Problem) -> Result<String, Problem> {
    let bytes = from_utf16(&bytes).map(String::into_bytes).unwrap_or(bytes);
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error
            .as_bytes()
            .iter()
            .take(valid)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        fail(format!("it is not utf-8 text, first at line {line}"))
            .help("save the file as utf-8 without a byte order mark of another encoding")
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

/// The text of a file that says by its byte order mark that it is UTF-16.
fn from_utf16(bytes: &[u8]) -> Option<String> {
    let (is_little, rest) = match bytes {
        [0xff, 0xfe, rest @ ..] => (true, rest),
        [0xfe, 0xff, rest @ ..] => (false, rest),
        _ => return None,
    };
    let (pairs, odd) = rest.as_chunks::<2>();
    let unit = |pair: &[u8; 2]| match is_little {
        true => u16::from_le_bytes(*pair),
        false => u16::from_be_bytes(*pair),
    };
    let units: Vec<u16> = pairs.iter().map(unit).collect();
    String::from_utf16(&units).ok().filter(|_| odd.is_empty())
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_without_the_file_system() {
        assert_eq!(clean_path(Path::new("/a/./b/../c/")), Path::new("/a/c"));
        assert_eq!(clean_path(Path::new("/../a")), Path::new("/a"));
    }

    #[test]
    fn discovery_takes_the_first_name_and_its_override() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        for name in ["compose.yml", "docker-compose.yml", "compose.override.yaml"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let found = discover(&below).unwrap();
        let names: Vec<String> = found
            .files
            .iter()
            .map(|path| shown_name(path, directory.path()))
            .collect();
        assert_eq!(names, ["compose.yml", "compose.override.yaml"]);
        assert_eq!(found.warnings.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f.yaml");
        let message = |path: &Path| read(path, "f.yaml", 0).map(|_| ()).unwrap_err().message;
        insta::assert_snapshot!(message(&path), @"cannot read `f.yaml`: it does not exist");
        insta::assert_snapshot!(message(directory.path()), @"cannot read `f.yaml`: it is a directory");
        insta::assert_snapshot!(message(Path::new("/dev/null")), @"cannot read `f.yaml`: it is not a regular file");
        std::fs::write(&path, b"a: 1\nb: \xff\n").unwrap();
        insta::assert_snapshot!(message(&path), @"cannot read `f.yaml`: it is not utf-8 text, first at line 2");
        std::fs::write(&path, "\u{feff}a: 1").unwrap();
        assert_eq!(read(&path, "f.yaml", 0).unwrap().text(), "a: 1");
        File::create(&path)
            .unwrap()
            .set_len(MAX_FILE_SIZE + 1)
            .unwrap();
        insta::assert_snapshot!(message(&path), @"cannot read `f.yaml`: it is larger than 4 MiB");
    }
}
