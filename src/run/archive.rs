//! Tar archives of what is put into containers, made while they are sent.
//!
//! A thread of its own reads the files and writes the archive piece by piece; it ends when nobody wants
//! the pieces any more. Never is a whole file in memory.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use crate::plan::injection::{ArchiveEntry, EntryContent, EntryOwner};

/// How much is sent at once, in bytes.
const PIECE: usize = 128 << 10;

/// Pieces that wait for the engine.
const WAITING: usize = 4;

/// What is wrong with the files of this host, once that is known.
pub(super) type Trouble = Arc<OnceLock<String>>;

/// An archive as a stream. When a file cannot be read, the stream ends with an error, and the reason is
/// told in the second value.
pub(super) fn stream(
    entries: Vec<ArchiveEntry>,
) -> (BoxStream<'static, io::Result<Bytes>>, Trouble) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let trouble = Trouble::default();
    let told = Arc::clone(&trouble);
    tokio::task::spawn_blocking(move || {
        let pieces = Pieces {
            sender: sender.clone(),
            collected: BytesMut::with_capacity(PIECE),
        };
        if let Err(error) = write(Builder::new(pieces), &entries) {
            let _ = told.set(error.to_string());
            let _ = sender.blocking_send(Err(error));
        }
    });
    let pieces = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    (pieces.boxed(), trouble)
}

/// Sends what is written in pieces of one size.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    collected: BytesMut,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        let piece = self.collected.split().freeze();
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.collected.extend_from_slice(bytes);
        if self.collected.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        self.send()
    }
}

fn write(mut archive: Builder<Pieces>, entries: &[ArchiveEntry]) -> io::Result<()> {
    for entry in entries {
        match &entry.content {
            EntryContent::Text(text) => {
                let bytes = text.reveal().as_bytes();
                let mut header = Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mtime(seconds(SystemTime::now()));
                set_owner(&mut header, entry.owner, None);
                archive.append_data(&mut header, &entry.path, bytes)?;
            }
            EntryContent::Path(path) => add_tree(&mut archive, path, entry)?,
            EntryContent::EmptyDirectory => {
                let mut header = Header::new_gnu();
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                header.set_mode(0o755);
                header.set_mtime(seconds(SystemTime::now()));
                archive.append_data(&mut header, &entry.path, io::empty())?;
            }
        }
    }
    archive.into_inner()?.flush()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Says whose an entry is. Who may do what when the file does not say: read, and execute what somebody
/// may execute here.
fn set_owner(header: &mut Header, owner: EntryOwner, here: Option<&Metadata>) {
    const ALL: u32 = 0o7777;
    const EXECUTE: u32 = 0o111;
    let here_mode = here.map_or(0o444, |found| found.permissions().mode() & ALL);
    let is_directory = header.entry_type() == EntryType::Directory;
    let (uid, gid, mode) = match owner {
        EntryOwner::Kept => {
            let (uid, gid) = here.map_or((0, 0), |found| (found.uid(), found.gid()));
            (uid, gid, here_mode)
        }
        EntryOwner::Given { uid, gid, mode } => {
            let mode = match mode {
                // A directory that may be read may be entered.
                Some(mode) if is_directory => mode | (mode & 0o444) >> 2,
                Some(mode) => mode,
                None if is_directory || here_mode & EXECUTE != 0 => 0o555,
                None => 0o444,
            };
            (uid, gid, mode)
        }
    };
    header.set_mode(mode);
    header.set_uid(u64::from(uid));
    header.set_gid(u64::from(gid));
}

/// Adds a file, or a directory with everything in it. Links are followed at the top only. Sockets,
/// pipes and devices are left out: an archive cannot bring them to life elsewhere.
fn add_tree(archive: &mut Builder<Pieces>, top: &Path, entry: &ArchiveEntry) -> io::Result<()> {
    let at = |path: &Path| format!("`{}`", path.display());
    let mut open: Vec<(PathBuf, PathBuf)> = vec![(top.to_owned(), PathBuf::from(&entry.path))];
    while let Some((path, name)) = open.pop() {
        let found = if path == top {
            fs::metadata(&path)
        } else {
            fs::symlink_metadata(&path)
        };
        let found = found.map_err(|error| cannot("read", &at(&path), &error))?;
        let mut header = Header::new_gnu();
        header.set_mtime(u64::try_from(found.mtime()).unwrap_or(0));
        if found.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            set_owner(&mut header, entry.owner, Some(&found));
            archive.append_data(&mut header, &name, io::empty())?;
            let listing =
                fs::read_dir(&path).map_err(|error| cannot("list", &at(&path), &error))?;
            for child in listing {
                let child = child.map_err(|error| cannot("list", &at(&path), &error))?;
                open.push((child.path(), name.join(child.file_name())));
            }
        } else if found.is_symlink() {
            let target =
                fs::read_link(&path).map_err(|error| cannot("read", &at(&path), &error))?;
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            set_owner(&mut header, entry.owner, Some(&found));
            archive.append_link(&mut header, &name, target)?;
        } else if found.is_file() {
            set_owner(&mut header, entry.owner, Some(&found));
            add_file(archive, &mut header, (&path, &name), &found)?;
        }
    }
    Ok(())
}

/// A file has the size that its header says, whoever writes to it meanwhile: what was added is left
/// out, and what was taken away is an error.
fn add_file(
    archive: &mut Builder<Pieces>,
    header: &mut Header,
    (path, name): (&Path, &Path),
    found: &Metadata,
) -> io::Result<()> {
    let shown = format!("`{}`", path.display());
    let file = File::open(path).map_err(|error| cannot("read", &shown, &error))?;
    header.set_size(found.len());
    let mut exact = Exact {
        file,
        left: found.len(),
        shown,
    };
    archive.append_data(header, name, &mut exact)
}

/// A reader of exactly so many bytes.
struct Exact {
    file: File,
    left: u64,
    shown: String,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self
            .file
            .read(&mut buffer[..wanted])
            .map_err(|error| cannot("read", &self.shown, &error))?;
        if count == 0 {
            let message = format!("{} became shorter while it was copied", self.shown);
            return Err(io::Error::other(message));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn cannot(attempt: &str, what: &str, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot {attempt} {what}: {}", error.kind()),
    )
}
