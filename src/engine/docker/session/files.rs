//! `moby.filesync.v1`: the files that a build asks for.
//!
//! The engine names a directory and what it wants of it, gets a list, and then asks for the content
//! of single files. So a file that no instruction copies never travels. Sources: `moby/buildkit`,
//! `session/filesync`; `tonistiigi/fsutil`, `types/wire.proto` and `types/stat.proto`.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};

use hyper::http::HeaderMap;
use tokio::sync::mpsc;

use super::Notes;
use super::follow::follow;
use super::rpc::{Failed, INTERNAL, Incoming, NOT_FOUND, Outgoing};
use crate::engine::docker::context::{Context, Filter, Patterns, about, walk};

pub(super) const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";

/// The name of the Dockerfile to the builder, whatever it is called here.
pub(in crate::engine::docker) const DOCKERFILE: &str = "Dockerfile";

/// Size of the pieces in which a file travels.
const PIECE: usize = 32 << 10;

/// Pieces that wait to be sent.
const WAITING: usize = 16;

#[derive(Clone, PartialEq, prost::Message)]
struct Packet {
    #[prost(enumeration = "PacketType", tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    stat: Option<Stat>,
    #[prost(uint32, tag = "3")]
    id: u32,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum PacketType {
    Stat = 0,
    Request = 1,
    Data = 2,
    End = 3,
    Error = 4,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Stat {
    #[prost(bytes = "vec", tag = "1")]
    path: Vec<u8>,
    #[prost(uint32, tag = "2")]
    mode: u32,
    #[prost(int64, tag = "5")]
    size: i64,
    #[prost(int64, tag = "6")]
    modified: i64,
    #[prost(bytes = "vec", tag = "7")]
    link: Vec<u8>,
}

/// What the engine wants of which directory.
#[derive(Debug, Default)]
pub(super) struct Asked {
    directory: String,
    include: Vec<String>,
    exclude: Vec<String>,
    follow: Vec<String>,
}

impl Asked {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = |name: &str| -> Vec<String> {
            let encoded = headers
                .get(format!("{name}-encoded"))
                .is_some_and(|value| value == "1");
            headers
                .get_all(name)
                .iter()
                .map(|value| {
                    let value = value.as_bytes();
                    if encoded {
                        // The same encoding as that of a query's values.
                        let pairs = [b"v=".as_slice(), value].concat();
                        let pair = url::form_urlencoded::parse(&pairs).next();
                        pair.map(|(_, value)| value.into_owned())
                            .unwrap_or_default()
                    } else {
                        String::from_utf8_lossy(value).into_owned()
                    }
                })
                .collect()
        };
        Self {
            directory: values("dir-name").into_iter().next().unwrap_or_default(),
            include: values("include-patterns"),
            exclude: values("exclude-patterns"),
            follow: values("followpaths"),
        }
    }

    fn filter(&self, root: &Path) -> Result<Filter, String> {
        let mut include = self.include.clone();
        let mut is_limited = !include.is_empty();
        if !self.follow.is_empty()
            && let Some(followed) = follow(root, &self.follow)
        {
            is_limited = true;
            include.extend(followed);
        }
        let include = Patterns::new(include.iter().map(String::as_str))?;
        Ok(Filter {
            include: is_limited.then_some(include),
            exclude: Patterns::new(self.exclude.iter().map(String::as_str))?,
        })
    }
}

/// The content behind an entry of the list.
#[derive(Debug, Clone)]
enum Content {
    File { path: PathBuf, size: u64 },
    Text(Arc<str>),
}

type Contents = Arc<Mutex<BTreeMap<u32, Content>>>;

/// Answers one call: the list first, then what is asked for, until the engine has it all.
pub(super) async fn serve(
    context: &Context,
    asked: Asked,
    (incoming, outgoing): (&mut Incoming, &mut Outgoing),
    notes: &Notes,
) -> Result<(), Failed> {
    let (packets, mut to_send) = mpsc::channel::<io::Result<Packet>>(WAITING);
    let (requests, requested) = blocking::channel::<u32>();
    let contents = Contents::default();
    match asked.directory.as_str() {
        "dockerfile" => {
            let texts = texts(context);
            let (packets, contents) = (packets.clone(), Arc::clone(&contents));
            tokio::task::spawn_blocking(move || list_texts(&texts, &contents, &packets));
        }
        "context" => {
            let filter = asked
                .filter(&context.root)
                .map_err(|problem| Failed::new(INTERNAL, problem))?;
            let root = context.root.clone();
            let (packets, contents) = (packets.clone(), Arc::clone(&contents));
            tokio::task::spawn_blocking(move || list(&root, &filter, &contents, &packets));
        }
        other => {
            let message = format!("no access allowed to dir \"{other}\"");
            return Err(Failed::new(NOT_FOUND, message));
        }
    }
    tokio::task::spawn_blocking(move || {
        for id in requested {
            let mut all = contents.lock().unwrap_or_else(PoisonError::into_inner);
            let content = all.remove(&id);
            drop(all);
            if let Some(content) = content
                && content.send(id, &packets).is_none()
            {
                return;
            }
        }
    });
    let receive = async {
        while let Some(packet) = incoming.next::<Packet>().await? {
            match packet.kind() {
                PacketType::Request => {
                    // The reader has ended only after an error, which is on its way.
                    let _ = requests.send(packet.id);
                }
                PacketType::End => return Ok(()),
                PacketType::Error => {
                    let message = String::from_utf8_lossy(&packet.data).into_owned();
                    return Err(Failed::new(INTERNAL, message));
                }
                PacketType::Stat | PacketType::Data => {}
            }
        }
        Err(Failed::new(INTERNAL, "the engine ended the transfer early"))
    };
    let send = async {
        while let Some(packet) = to_send.recv().await {
            match packet {
                Ok(packet) => outgoing.send(&packet).await?,
                Err(error) => {
                    let message = error.to_string();
                    notes.problem(message.clone());
                    outgoing
                        .send(&simple(PacketType::Error, message.clone().into()))
                        .await?;
                    return Err(Failed::new(INTERNAL, message));
                }
            }
        }
        Ok::<(), Failed>(())
    };
    {
        futures::pin_mut!(receive, send);
        match futures::future::select(receive, send).await {
            futures::future::Either::Left((result, _)) => result?,
            futures::future::Either::Right((Err(error), _)) => return Err(error),
            futures::future::Either::Right((Ok(()), receive)) => receive.await?,
        }
    }
    outgoing.send(&simple(PacketType::End, Vec::new())).await
}

fn simple(kind: PacketType, data: Vec<u8>) -> Packet {
    Packet {
        kind: kind.into(),
        stat: None,
        id: 0,
        data,
    }
}

/// The files beside the Dockerfile that the builder looks for, and itself.
fn texts(context: &Context) -> Vec<(String, Arc<str>)> {
    let mut texts = vec![(
        DOCKERFILE.to_owned(),
        Arc::from(context.dockerfile.as_str()),
    )];
    if let Some(rules) = &context.own_rules {
        texts.push((
            format!("{DOCKERFILE}.dockerignore"),
            Arc::from(rules.as_str()),
        ));
    }
    texts
}

fn list_texts(
    texts: &[(String, Arc<str>)],
    contents: &Contents,
    packets: &mpsc::Sender<io::Result<Packet>>,
) {
    for (id, (name, text)) in (0..).zip(texts) {
        let mut all = contents.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, Content::Text(Arc::clone(text)));
        drop(all);
        let stat = Stat {
            path: name.clone().into_bytes(),
            mode: 0o644,
            size: i64::try_from(text.len()).unwrap_or(i64::MAX),
            modified: 0,
            link: Vec::new(),
        };
        if put_stat(packets, Some(stat)).is_none() {
            return;
        }
    }
    put_stat(packets, None);
}

/// Sends the list of a directory. Ends early where nobody listens any more.
fn list(
    root: &Path,
    filter: &Filter,
    contents: &Contents,
    packets: &mpsc::Sender<io::Result<Packet>>,
) {
    let mut next = 0;
    let walked = walk(root, filter, &mut |entry| {
        let path = root.join(entry.name);
        let Some(stat) = stat(&path, entry.name, entry.metadata)? else {
            return Ok(());
        };
        if entry.metadata.is_file() {
            let mut all = contents.lock().unwrap_or_else(PoisonError::into_inner);
            let size = entry.metadata.len();
            all.insert(next, Content::File { path, size });
        }
        next += 1;
        put_stat(packets, Some(stat)).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    });
    match walked {
        Ok(()) => {
            put_stat(packets, None);
        }
        Err(error) => {
            let _ = packets.blocking_send(Err(error));
        }
    }
}

fn put_stat(packets: &mpsc::Sender<io::Result<Packet>>, stat: Option<Stat>) -> Option<()> {
    let packet = Packet {
        kind: PacketType::Stat.into(),
        stat,
        id: 0,
        data: Vec::new(),
    };
    packets.blocking_send(Ok(packet)).ok()
}

/// An entry of the list, `None` for sockets and devices, which are passed over as the Docker CLI
/// does. Owners are left at 0:0. Two names of one file are two files.
fn stat(path: &Path, name: &Path, metadata: &Metadata) -> io::Result<Option<Stat>> {
    let kind = metadata.file_type();
    let is_device = kind.is_block_device() || kind.is_char_device();
    if kind.is_socket() || is_device {
        return Ok(None);
    }
    let link = if kind.is_symlink() {
        let target = fs::read_link(path).map_err(|error| about(path, &error))?;
        target.into_os_string().into_vec()
    } else {
        Vec::new()
    };
    let size = if kind.is_file() { metadata.len() } else { 0 };
    Ok(Some(Stat {
        path: name.as_os_str().as_bytes().to_vec(),
        mode: go_mode(metadata),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        modified: metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec()),
        link,
    }))
}

/// The mode in the bits that Go has for it.
fn go_mode(metadata: &Metadata) -> u32 {
    let kind = metadata.file_type();
    let mode = metadata.mode();
    let bits = [
        (kind.is_dir(), 31),
        (kind.is_symlink(), 27),
        (kind.is_fifo(), 25),
        (mode & 0o4000 != 0, 23),
        (mode & 0o2000 != 0, 22),
        (mode & 0o1000 != 0, 20),
    ];
    let bits = bits.into_iter().filter(|(is_set, _)| *is_set);
    bits.fold(mode & 0o777, |mode, (_, bit)| mode | 1 << bit)
}

impl Content {
    /// Sends the content and its end; `None` when nothing more is to be sent.
    fn send(&self, id: u32, packets: &mpsc::Sender<io::Result<Packet>>) -> Option<()> {
        let put = |data: &[u8]| {
            let packet = Packet {
                id,
                ..simple(PacketType::Data, data.to_vec())
            };
            packets.blocking_send(Ok(packet)).ok()
        };
        match self {
            Self::Text(text) => {
                for piece in text.as_bytes().chunks(PIECE) {
                    put(piece)?;
                }
            }
            Self::File { path, size } => {
                if let Err(error) = send_file(path, *size, &put) {
                    let _ = packets.blocking_send(Err(error));
                    return None;
                }
            }
        }
        // Nothing is the end of the file.
        put(&[])
    }
}

/// What is sent has to be what the list says. A file that has changed in between would make an
/// image that never was on this host.
fn send_file(path: &Path, size: u64, put: &dyn Fn(&[u8]) -> Option<()>) -> io::Result<()> {
    let failed = |error: io::Error| about(path, &error);
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut buffer = vec![0; PIECE];
    let mut sent = 0;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        sent += count as u64;
        if sent > size {
            break;
        }
        put(&buffer[..count]).ok_or(io::ErrorKind::BrokenPipe)?;
    }
    if sent == size {
        return Ok(());
    }
    let message = format!("`{}` changed while it was read", path.display());
    Err(io::Error::other(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_from_the_headers() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("dir-name", "context"),
            ("include-patterns", "a%20b%C3%A4"),
            ("include-patterns", "c+d"),
            ("include-patterns-encoded", "1"),
            ("exclude-patterns", "x%20y"),
        ] {
            headers.append(name, value.parse().expect("a value"));
        }
        let asked = Asked::of(&headers);
        assert_eq!(asked.directory, "context");
        assert_eq!(asked.include, ["a bä", "c d"]);
        assert_eq!(asked.exclude, ["x%20y"]);
        assert!(asked.follow.is_empty());
    }

    #[test]
    fn a_file_that_is_not_what_it_was_is_named() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        fs::write(&path, "12345").expect("written");
        let put = |_data: &[u8]| Some(());
        send_file(&path, 5, &put).expect("as it was");
        for size in [4, 6] {
            let error = send_file(&path, size, &put)
                .expect_err("changed")
                .to_string();
            assert!(error.contains("file` changed while it was read"), "{error}");
        }
        fs::remove_file(&path).expect("removed");
        let error = send_file(&path, 5, &put).expect_err("gone").to_string();
        assert!(error.contains("file`: it is not there"), "{error}");
    }
}
