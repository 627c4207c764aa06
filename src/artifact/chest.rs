//! The directory that the files of one container are put into.
//!
//! It is entered step by step from an open directory, and no step follows a link: somebody who can write
//! there, such as a container that mounts the project, cannot lead a file elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use tar::EntryType;

use super::record::{Kept, Record};
use super::selection::normal;
use super::{Limits, Names, Selection, size};
use crate::mask::Masker;

/// Links that are followed one after the other.
const LONGEST_CHAIN: usize = 8;

/// Links of one container that are remembered until all files are there.
const MOST_LINKS: usize = 10_000;

/// Names that are tried where one is taken by something that was there before.
const ATTEMPTS: u32 = 100;

/// How much is copied at once, in bytes.
const PIECE: usize = 64 << 10;

/// The directory of one container while it is filled.
pub struct Chest {
    directory: OwnedFd,
    limits: Limits,
    /// Takes secrets out of what is kept.
    masker: Masker,
    selection: Selection,
    names: Names,
    record: Record,
    matched: BTreeSet<usize>,
    /// What was kept, by its path in the container.
    kept: BTreeMap<Vec<u8>, Kept>,
    /// What leads to something else: its path, and that of the other.
    links: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Why an archive was not unpacked to its end.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It cannot be read, or is damaged.
    #[error("the archive of `{path}` is not whole: {source}")]
    Archive {
        /// The path in the container.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// Its path in the directory.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl Chest {
    /// Makes `owner` in `directory`, or opens it where it is there; a link is refused. The name must be
    /// one part of a path.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(
        directory: &Path,
        owner: &str,
        selection: Selection,
        (limits, masker): (Limits, Masker),
    ) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(directory, flags, Mode::empty())?;
        Ok(Self {
            directory: step_into(&parent, owner)?,
            limits,
            masker,
            selection,
            names: Names::default(),
            record: Record::default(),
            matched: BTreeSet::new(),
            kept: BTreeMap::new(),
            links: BTreeMap::new(),
        })
    }

    /// Keeps what is meant of an archive of the path `root` of the container, which is read to its end.
    ///
    /// # Errors
    /// It breaks off, or a file cannot be written; what came before stays.
    pub fn unpack(&mut self, root: &str, archive: impl Read) -> Result<(), UnpackError> {
        let damaged = |source| UnpackError::Archive {
            path: root.to_owned(),
            source,
        };
        let root_path = root.trim_end_matches('/').as_bytes();
        let parent = root_path
            .iter()
            .rposition(|byte| *byte == b'/')
            .and_then(|end| root_path.get(..end))
            .unwrap_or_default();
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let name = entry.path_bytes().into_owned();
            let Some(path) = below(parent, &name) else {
                self.record
                    .leave_out(&name, "its name leads out of the archive");
                continue;
            };
            let matching = self.selection.matching(&path);
            let kind = entry.header().entry_type();
            if matching.is_empty() || kind == EntryType::Directory {
                continue;
            }
            self.matched.extend(matching);
            match kind {
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    let header = entry.header();
                    let about = About {
                        bytes: entry.size(),
                        executable: header.mode().unwrap_or(0) & 0o111 != 0,
                        changed: header.mtime().unwrap_or(0),
                    };
                    self.keep(&path, &about, &mut entry).map_err(|failed| {
                        let source = failed.source;
                        match failed.written {
                            Some(path) => UnpackError::Write { path, source },
                            None => damaged(source),
                        }
                    })?;
                }
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                    let target = match (kind, target.first()) {
                        (EntryType::Link, _) => below(parent, &target),
                        (_, Some(b'/')) => normal(&target),
                        _ => {
                            let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                            let directory = path.get(..end).unwrap_or_default();
                            normal(&[directory, &target].join(&b'/'))
                        }
                    };
                    match target {
                        Some(target) if self.links.len() < MOST_LINKS => {
                            self.links.insert(path, target);
                        }
                        Some(_) => self.record.leave_out(
                            &path,
                            format!("a link, and the first {MOST_LINKS} are kept"),
                        ),
                        None => self
                            .record
                            .leave_out(&path, "a link that leads out of the container"),
                    }
                }
                EntryType::Char | EntryType::Block => self.record.leave_out(&path, "a device"),
                EntryType::Fifo => self.record.leave_out(&path, "a named pipe"),
                _ => self.record.leave_out(&path, "no regular file"),
            }
        }
        Ok(())
    }

    /// Notes why there may be more than was kept.
    pub fn problem(&mut self, message: String, unwritable: bool) {
        self.record.problems.push(message);
        self.record.unwritable |= unwritable;
    }

    /// Turns links into copies of what they lead to, where that was kept, and says what has come of all.
    #[must_use]
    pub fn close(mut self) -> Record {
        let links = std::mem::take(&mut self.links);
        for path in links.keys() {
            let mut target = path;
            for _ in 0..LONGEST_CHAIN {
                target = match links.get(target) {
                    Some(next) => next,
                    None => break,
                };
            }
            let shown = String::from_utf8_lossy(target).into_owned();
            let Some(kept) = self.kept.get(target).cloned() else {
                let reason = format!("a link to `{shown}`, which is not among what is kept");
                self.record.leave_out(path, reason);
                continue;
            };
            if let Err(problem) = self.copy(path, &kept) {
                self.problem(problem, true);
                break;
            }
        }
        let globs = self.selection.globs().enumerate();
        let unmatched = globs.filter(|(number, _)| !self.matched.contains(number));
        self.record.unmatched = unmatched.map(|(_, glob)| glob.to_owned()).collect();
        self.record.files = self.kept.into_values().collect();
        self.record.files.sort();
        self.record
    }

    fn copy(&mut self, path: &[u8], kept: &Kept) -> Result<(), String> {
        let failed = |source: io::Error| format!("cannot copy `{}`: {source}", kept.path);
        let mut file = self.reopen(&kept.path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let about = About {
            bytes: kept.bytes,
            executable: is_executable(&metadata),
            changed: metadata
                .modified()
                .ok()
                .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
                .map_or(0, |time| time.as_secs()),
        };
        self.keep(path, &about, &mut file)
            .map_err(|error| failed(error.source))
    }

    /// Puts a file into the directory, unless that is too much.
    fn keep(
        &mut self,
        path: &[u8],
        about: &About,
        content: &mut impl Read,
    ) -> Result<(), KeepError> {
        if self.kept.contains_key(path) {
            self.record.leave_out(path, "the second file of this name");
            return Ok(());
        }
        if self.kept.len() as u64 >= self.limits.files {
            let reason = format!("more than {} files", self.limits.files);
            self.record.leave_out(path, reason);
            return Ok(());
        }
        let left = self.limits.bytes.saturating_sub(self.record.bytes);
        if about.bytes > left {
            let reason = format!(
                "its {} are beyond the limit of {}",
                size(about.bytes),
                size(self.limits.bytes)
            );
            self.record.leave_out(path, reason);
            return Ok(());
        }
        let place = self.selection.place(path);
        let (name, mut file, parent) = self.create(place)?;
        let written = |source| KeepError {
            written: Some(name.clone()),
            source,
        };
        let transferred = transfer((content, about.bytes), &mut file, &self.masker);
        if let Err((at_reading, source)) = transferred {
            // Half a file would pass for a whole one.
            let last = name.rsplit('/').next().unwrap_or(&name);
            let _ = rustix::fs::unlinkat(&parent, last, AtFlags::empty());
            return Err(match at_reading {
                true => KeepError {
                    written: None,
                    source,
                },
                false => written(source),
            });
        }
        // Secrets that were taken out have made it another size.
        let bytes = file.metadata().map_or(about.bytes, |known| known.len());
        if about.executable {
            let mode = rustix::fs::fstat(&file).map_err(|error| written(error.into()))?;
            // Whoever may read it may run it, and no more than that.
            let read = Mode::from_raw_mode(mode.st_mode & 0o777);
            let run = Mode::from_raw_mode((read.bits() & 0o444) >> 2);
            let _ = rustix::fs::fchmod(&file, read | run);
        }
        let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(about.changed));
        if let Some(changed) = changed {
            // Not every file system has every time.
            let _ = file.set_modified(changed);
        }
        self.record.bytes += bytes;
        self.kept.insert(
            path.to_owned(),
            Kept {
                path: name,
                from: String::from_utf8_lossy(path).into_owned(),
                bytes,
            },
        );
        Ok(())
    }

    /// Makes a file that was not there, and the directories above it.
    fn create(&mut self, place: &[u8]) -> Result<(String, File, OwnedFd), KeepError> {
        let mut attempts = 0;
        loop {
            let name = self.names.give(place);
            let failed = |source: io::Error| KeepError {
                written: Some(name.clone()),
                source,
            };
            let (parent, last) = self.parent_of(&name).map_err(failed)?;
            // With O_EXCL not even a link at the end is followed.
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            match rustix::fs::openat(&parent, last, flags, Mode::from_raw_mode(0o666)) {
                Ok(file) => return Ok((name.clone(), File::from(file), parent)),
                Err(Errno::EXIST) if attempts < ATTEMPTS => attempts += 1,
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// The open directory of a path, whose directories are made, and its last part.
    fn parent_of<'name>(&self, name: &'name str) -> io::Result<(OwnedFd, &'name str)> {
        let (directories, last) = name.rsplit_once('/').unwrap_or(("", name));
        let mut open = self.directory.try_clone()?;
        for part in directories.split('/').filter(|part| !part.is_empty()) {
            open = step_into(&open, part)?;
        }
        Ok((open, last))
    }

    fn reopen(&self, name: &str) -> io::Result<File> {
        let (parent, last) = self.parent_of(name)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(
            &parent,
            last,
            flags,
            Mode::empty(),
        )?))
    }
}

/// Writes a file of our own as `owner/name` in `directory`. It must not be there yet, and no link is
/// followed on the way. Both must be one part of a path.
///
/// # Errors
/// It cannot be written.
pub fn put(directory: &Path, owner: &str, name: &str, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::open(directory, flags, Mode::empty())?;
    let owner = step_into(&parent, owner)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&owner, name, flags, Mode::from_raw_mode(0o666))?;
    File::from(file).write_all(content)
}

/// What is said of a file in an archive.
struct About {
    bytes: u64,
    executable: bool,
    /// Seconds since 1970.
    changed: u64,
}

struct KeepError {
    /// The file that could not be written; `None`: the archive could not be read.
    written: Option<String>,
    source: io::Error,
}

/// Makes a directory, or takes the one that is there, and opens it; never through a link.
fn step_into(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent.as_fd(), name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Copies exactly so many bytes, without secrets. The error says whether it was at reading.
fn transfer(
    (from, mut bytes): (&mut impl Read, u64),
    to: &mut File,
    masker: &Masker,
) -> Result<(), (bool, io::Error)> {
    let mut masking = masker.stream();
    let mut piece = vec![0; PIECE];
    while bytes > 0 {
        let most = usize::try_from(bytes).map_or(PIECE, |bytes| bytes.min(PIECE));
        let room = piece.get_mut(..most).unwrap_or_default();
        let read = match from.read(room) {
            Ok(0) => {
                let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err((true, error));
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err((true, error)),
        };
        let got = room.get(..read).unwrap_or_default();
        let shown = masking.push(&Bytes::copy_from_slice(got));
        to.write_all(&shown).map_err(|error| (false, error))?;
        bytes = bytes.saturating_sub(read as u64);
    }
    to.write_all(&masking.finish())
        .map_err(|error| (false, error))
}

fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

/// The path from the root of an entry in the archive of something in `parent`; `None` when its name is
/// absolute, empty or has a `..`.
fn below(parent: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut parts = name.split(|byte| *byte == b'/');
    if name.is_empty()
        || name.starts_with(b"/")
        || name.contains(&0)
        || parts.any(|part| part == b"..")
    {
        return None;
    }
    normal(&[parent, name].join(&b'/'))
}
