//! The agent: a small program of envrun in a network namespace of a run. It resolves names, opens
//! connections and listens there on behalf of envrun, which speaks to it over standard input and
//! output (`wire.rs`), and does nothing by itself. It ends when its input ends.
//!
//! Compiled by `build.rs`, statically and with the standard library alone, and put into an image of
//! nothing but itself. What it relays is understood by envrun, not here, so that every protocol
//! exists once.

#[path = "../wire.rs"]
#[allow(dead_code, reason = "the other side needs the rest")]
mod wire;

mod change;
mod connections;
mod delay;
mod echo;
mod filter;
mod kernel;
mod names;
mod netlink;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use connections::Connections;
use wire::{Failure, Frame, HEADER, Kind};

/// Stack of a thread, in bytes: each does one small thing.
const STACK: usize = 128 << 10;

/// Files with the kernel's tables of sockets, as this network namespace has them.
const SOCKET_TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The way to envrun.
#[derive(Clone)]
pub(crate) struct Voice(Arc<Mutex<std::io::Stdout>>);

impl Voice {
    /// Says one frame. Without a listener there is nothing left to do.
    pub(crate) fn say(&self, frame: &Frame) {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if output
            .write_all(&frame.to_bytes())
            .and_then(|()| output.flush())
            .is_err()
        {
            std::process::exit(0);
        }
    }

    /// Says that something failed.
    pub(crate) fn fail(&self, number: u32, failure: Failure, words: &str) {
        let mut content = vec![failure as u8];
        content.extend_from_slice(words.as_bytes());
        self.say(&Frame::new(number, Kind::Failed, content));
    }
}

/// The way in which an I/O error is told.
pub(crate) fn failure_of(error: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::NoAnswer,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Failure::Unreachable,
        ErrorKind::PermissionDenied | ErrorKind::Unsupported => Failure::Unsupported,
        _ => Failure::Other,
    }
}

fn main() {
    // As the first process of a container it would be deaf to signals; its input tells it to end.
    let voice = Voice(Arc::new(Mutex::new(std::io::stdout())));
    voice.say(&Frame::new(0, Kind::Hello, [wire::VERSION]));
    let connections = Connections::new(voice.clone());
    let mut input = std::io::stdin().lock();
    let mut header = [0; HEADER];
    while input.read_exact(&mut header).is_ok() {
        let Some((number, kind, length)) = wire::header(header) else {
            break;
        };
        let mut content = vec![0; length];
        if input.read_exact(&mut content).is_err() {
            break;
        }
        handle(&voice, &connections, Frame::new(number, kind, content));
    }
}

/// Does what a frame asks for; whatever may take time in a thread of its own.
fn handle(voice: &Voice, connections: &Connections, frame: Frame) {
    let number = frame.number;
    match frame.kind {
        Kind::Data => connections.write(number, frame.content),
        Kind::End => connections.end(number),
        Kind::Close => connections.close(number),
        Kind::Read => {
            if let Some((bytes, _)) = wire::number(&frame.content) {
                connections.was_read(number, bytes);
            }
        }
        Kind::Resolve => {
            aside(voice, number, move |voice| {
                names::resolve(voice, number, &text(&frame.content));
            });
        }
        Kind::Connect => {
            let connections = connections.clone();
            aside(voice, number, move |voice| {
                connect(voice, &connections, number, &frame.content);
            });
        }
        Kind::Listen => {
            let connections = connections.clone();
            aside(voice, number, move |voice| {
                listen(voice, &connections, number, &text(&frame.content));
            });
        }
        Kind::Sockets => {
            let tables = SOCKET_TABLES.map(|path| std::fs::read_to_string(path).unwrap_or_default());
            let mut table = tables.concat();
            table.truncate(table.floor_char_boundary(wire::LONGEST));
            voice.say(&Frame::new(number, Kind::Table, table));
        }
        Kind::Echo => {
            aside(voice, number, move |voice| match wire::number(&frame.content) {
                Some((limit, address)) => echo::echo(voice, number, limit, &text(address)),
                None => voice.fail(number, Failure::Other, "not understood"),
            });
        }
        Kind::Change => {
            aside(voice, number, move |voice| {
                change::change(voice, number, &text(&frame.content));
            });
        }
        _ => voice.fail(number, Failure::Other, "not understood"),
    }
}

fn text(content: &[u8]) -> String {
    String::from_utf8_lossy(content).into_owned()
}

/// Does something in a thread of its own.
pub(crate) fn aside(voice: &Voice, number: u32, work: impl FnOnce(&Voice) + Send + 'static) {
    let aside = voice.clone();
    let spawned = thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || work(&aside));
    if let Err(error) = spawned {
        voice.fail(number, Failure::Other, &error.to_string());
    }
}

fn connect(voice: &Voice, connections: &Connections, number: u32, content: &[u8]) {
    let parsed = wire::number(content)
        .and_then(|(limit, address)| Some((limit, text(address).parse::<SocketAddr>().ok()?)));
    let Some((limit, address)) = parsed else {
        return voice.fail(number, Failure::Other, "not an address");
    };
    let limit = Duration::from_millis(u64::from(limit.max(1)));
    match TcpStream::connect_timeout(&address, limit) {
        Ok(stream) => {
            let connected = Frame::new(number, Kind::Connected, []);
            connections.serve(number, stream, Some(&connected));
        }
        Err(error) => voice.fail(number, failure_of(&error), &error.to_string()),
    }
}

fn listen(voice: &Voice, connections: &Connections, number: u32, address: &str) {
    static NEXT: AtomicU32 = AtomicU32::new(wire::ACCEPTED_FROM);
    let listener = match TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(error) => return voice.fail(number, failure_of(&error), &error.to_string()),
    };
    let bound = listener
        .local_addr()
        .map_or_else(|_| address.to_owned(), |address| address.to_string());
    voice.say(&Frame::new(number, Kind::Listening, bound));
    for stream in listener.incoming().flatten() {
        let accepted = NEXT.fetch_add(1, Ordering::Relaxed) | wire::ACCEPTED_FROM;
        let told = Frame::new(accepted, Kind::Accepted, number.to_be_bytes());
        connections.serve(accepted, stream, Some(&told));
    }
}
