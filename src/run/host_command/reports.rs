//! The report files of a command on this host.
//!
//! A file counts when it has been written since the command has begun: what an earlier run has left there
//! must not pass for a result. That is told by what the file system says of a file before and after, and
//! not by clocks.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::junit;
use crate::run::effect::CollectedReport;

/// Largest report file, in bytes.
const LARGEST_REPORT: u64 = 64 << 20;

/// Most report files.
const MOST_REPORTS: usize = 10_000;

/// Most entries of directories that are looked at.
const MOST_ENTRIES: usize = 2_000_000;

/// How deep directories are looked through.
const DEEPEST: usize = 100;

/// The report files that there are, each as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(BTreeMap<PathBuf, Stamp>);

/// By what the file system tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Notes which files match.
///
/// # Errors
/// There are too many, or a glob is none.
pub fn stamps(directory: &Path, globs: &[String]) -> Result<Stamps, String> {
    let mut found = BTreeMap::new();
    let mut seen = 0;
    let matcher = matcher(globs)?;
    for top in tops(globs) {
        let mut walk = Walk {
            directory,
            matcher: &matcher,
            seen: &mut seen,
            found: &mut found,
        };
        walk.through(&directory.join(top), 0)?;
    }
    Ok(Stamps(found))
}

/// Reads the files that match and are not as they were before.
///
/// # Errors
/// There are too many, one is too large, or cannot be read.
pub fn read(
    directory: &Path,
    globs: &[String],
    before: &Stamps,
) -> Result<Vec<CollectedReport>, String> {
    let Stamps(now) = stamps(directory, globs)?;
    let unchanged = now
        .iter()
        .filter(|(path, stamp)| before.0.get(*path) == Some(stamp))
        .count();
    let written = now
        .into_iter()
        .filter(|(path, stamp)| before.0.get(path) != Some(stamp));
    let written: Vec<PathBuf> = written.map(|(path, _)| path).collect();
    if written.is_empty() && unchanged > 0 {
        let (files, verb) = if unchanged == 1 {
            ("file", "matches, and was")
        } else {
            ("files", "match, and were")
        };
        return Err(format!(
            "{unchanged} {files} {verb} there before the command began and not written since"
        ));
    }
    if written.len() > MOST_REPORTS {
        return Err(format!("more than {MOST_REPORTS} files match"));
    }
    written
        .into_iter()
        .map(|path| {
            let shown = path.to_string_lossy().into_owned();
            let report =
                read_one(&directory.join(&path)).map_err(|why| format!("`{shown}` {why}"))?;
            Ok((shown, junit::read(&report)))
        })
        .collect()
}

fn read_one(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {}", error.kind());
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // It may still grow while it is read.
    let mut file = file.take(LARGEST_REPORT + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_REPORT {
        return Err(format!("is larger than {LARGEST_REPORT} bytes"));
    }
    Ok(bytes)
}

struct Walk<'walk> {
    directory: &'walk Path,
    matcher: &'walk GlobSet,
    seen: &'walk mut usize,
    found: &'walk mut BTreeMap<PathBuf, Stamp>,
}

impl Walk<'_> {
    /// Looks through a directory. Links to directories are not followed, since they may lead round in
    /// circles; links to files are.
    fn through(&mut self, directory: &Path, depth: usize) -> Result<(), String> {
        // What is not there, or may not be read, has no reports; the judge knows what that means.
        let Ok(entries) = fs::read_dir(directory) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            *self.seen += 1;
            if *self.seen > MOST_ENTRIES {
                return Err(format!(
                    "the globs are to be looked for in more than {MOST_ENTRIES} files: name the directory of the reports"
                ));
            }
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && depth < DEEPEST {
                self.through(&path, depth + 1)?;
                continue;
            }
            let Ok(relative) = path.strip_prefix(self.directory) else {
                continue;
            };
            if self.matcher.is_match(relative)
                && let Ok(metadata) = fs::metadata(&path)
                && metadata.is_file()
            {
                self.found
                    .insert(relative.to_path_buf(), Stamp::of(&metadata));
            }
        }
        Ok(())
    }
}

fn matcher(globs: &[String]) -> Result<GlobSet, String> {
    let invalid = |error: globset::Error| format!("no valid glob: {error}");
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let glob = GlobBuilder::new(plain(glob))
            .literal_separator(true)
            .build();
        set.add(glob.map_err(invalid)?);
    }
    set.build().map_err(invalid)
}

/// The directories above the first wildcard of each glob, those that are in another one left out.
fn tops(globs: &[String]) -> Vec<PathBuf> {
    let tops: Vec<PathBuf> = globs.iter().map(|glob| top(glob)).collect();
    let mut outermost: Vec<PathBuf> = Vec::new();
    for top in &tops {
        let is_inside = |other: &PathBuf| other != top && top.starts_with(other);
        if !tops.iter().any(is_inside) && !outermost.contains(top) {
            outermost.push(top.clone());
        }
    }
    outermost
}

fn top(glob: &str) -> PathBuf {
    let mut directory = PathBuf::new();
    let mut parts = plain(glob).split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() || part.contains(['*', '?', '[', '{', '\\']) {
            break;
        }
        directory.push(part);
    }
    directory
}

fn plain(glob: &str) -> &str {
    glob.trim_start_matches("./")
}

/// Whether a glob can be one of report files; else what is wrong with it.
///
/// # Errors
/// It is absolute, leaves the directory, or is no glob.
pub fn check(glob: &str) -> Result<(), String> {
    if glob.starts_with('/') {
        return Err("it is absolute, and globs are relative to the working directory".to_owned());
    }
    if glob.split('/').any(|part| part == "..") {
        return Err("it leaves the working directory".to_owned());
    }
    if glob.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    matcher(std::slice::from_ref(&glob.to_owned())).map(|_valid| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuite name="s"><testcase name="t"/></testsuite>"#;

    fn globs(globs: &[&str]) -> Vec<String> {
        globs.iter().map(|glob| (*glob).to_owned()).collect()
    }

    #[test]
    fn only_what_has_been_written_since_counts() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path();
        fs::create_dir(path.join("reports")).expect("made");
        for name in ["old", "rewritten", "replaced"] {
            fs::write(path.join(format!("reports/{name}.xml")), REPORT).expect("written");
        }
        let all = globs(&["reports/*.xml"]);
        let before = stamps(path, &all).expect("stamps");
        assert_eq!(
            read(path, &all, &before).map(|found| found.len()),
            Err(
                "3 files match, and were there before the command began and not written since"
                    .to_owned()
            )
        );
        // The same content, at a time that is certainly another one.
        while stamps(path, &all).expect("stamps") == before {
            fs::write(path.join("reports/rewritten.xml"), REPORT).expect("written");
        }
        fs::write(path.join("new"), REPORT).expect("written");
        fs::rename(path.join("new"), path.join("reports/replaced.xml")).expect("moved");
        fs::write(path.join("reports/new.xml"), REPORT).expect("written");
        let found = read(path, &all, &before).expect("read");
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "reports/new.xml",
                "reports/replaced.xml",
                "reports/rewritten.xml"
            ]
        );
        assert!(found.iter().all(|(_, report)| report.is_ok()));
    }

    #[test]
    fn links_lead_to_files_and_not_round_in_circles() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path();
        fs::create_dir_all(path.join("a/b")).expect("made");
        std::os::unix::fs::symlink(path, path.join("a/b/circle")).expect("linked");
        fs::write(path.join("real"), REPORT).expect("written");
        std::os::unix::fs::symlink(path.join("real"), path.join("a/link.xml")).expect("linked");
        fs::create_dir(path.join("a/directory.xml")).expect("made");
        let found = stamps(path, &globs(&["**/*.xml"])).expect("stamps");
        assert_eq!(
            found.0.keys().collect::<Vec<_>>(),
            [Path::new("a/link.xml")]
        );
        assert_eq!(stamps(path, &globs(&["none/*.xml"])), Ok(Stamps::default()));
    }

    #[test]
    fn globs_that_cannot_match_are_told_of() {
        assert_eq!(check("reports/**/*.xml"), Ok(()));
        for glob in ["/tmp/*.xml", "../*.xml", "a/../b", "[", "", "{a"] {
            assert!(check(glob).is_err(), "{glob}");
        }
    }
}
