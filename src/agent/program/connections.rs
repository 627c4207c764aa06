//! Open connections: one thread reads what comes in, another writes what is to go out, so that a peer
//! that does not read holds up nobody but itself.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::wire::{Frame, Kind, WINDOW};
use crate::{Voice, aside};

/// Bytes read at once.
const PIECE: usize = 16 << 10;

/// All of them.
#[derive(Clone)]
pub(crate) struct Connections {
    voice: Voice,
    open: Arc<Mutex<BTreeMap<u32, Open>>>,
}

struct Open {
    stream: TcpStream,
    /// `None` is the end of what is to go out.
    outgoing: Sender<Option<Vec<u8>>>,
    credit: Arc<Credit>,
}

/// How many bytes may still be sent to envrun before it has read some.
struct Credit {
    left: Mutex<usize>,
    more: Condvar,
}

impl Credit {
    /// Takes up to `wanted`, at least one byte; waits while there is none.
    fn take(&self, wanted: usize) -> usize {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self
            .more
            .wait_while(left, |left| *left == 0)
            .unwrap_or_else(PoisonError::into_inner);
        let taken = wanted.min(*left);
        *left -= taken;
        taken
    }

    fn give(&self, bytes: usize) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(bytes);
        self.more.notify_one();
    }
}

impl Connections {
    pub(crate) fn new(voice: Voice) -> Self {
        Self {
            voice,
            open: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes on a connection, and tells of it before anything comes from it.
    pub(crate) fn serve(&self, number: u32, stream: TcpStream, told: Option<&Frame>) {
        let _ = stream.set_nodelay(true);
        let copies = stream.try_clone().and_then(|one| Ok((one, stream.try_clone()?)));
        let (incoming, outgoing) = match copies {
            Ok(copies) => copies,
            Err(error) => {
                return self.voice.fail(number, crate::failure_of(&error), &error.to_string());
            }
        };
        let (sender, receiver) = mpsc::channel();
        let credit = Arc::new(Credit {
            left: Mutex::new(WINDOW),
            more: Condvar::new(),
        });
        let open = Open {
            stream,
            outgoing: sender,
            credit: Arc::clone(&credit),
        };
        self.lock().insert(number, open);
        if let Some(told) = told {
            self.voice.say(told);
        }
        aside(&self.voice, number, move |_voice| write_all(outgoing, &receiver));
        let connections = self.clone();
        aside(&self.voice, number, move |voice| {
            let last = read_all(voice, number, incoming, &credit);
            voice.say(&Frame::new(number, last, []));
            if last == Kind::Close {
                connections.close(number);
            }
        });
    }

    pub(crate) fn write(&self, number: u32, bytes: Vec<u8>) {
        if let Some(open) = self.lock().get(&number) {
            let _ = open.outgoing.send(Some(bytes));
        }
    }

    pub(crate) fn end(&self, number: u32) {
        if let Some(open) = self.lock().get(&number) {
            let _ = open.outgoing.send(None);
        }
    }

    pub(crate) fn was_read(&self, number: u32, bytes: u32) {
        if let Some(open) = self.lock().get(&number) {
            open.credit.give(usize::try_from(bytes).unwrap_or(0));
        }
    }

    pub(crate) fn close(&self, number: u32) {
        let closed = self.lock().remove(&number);
        if let Some(open) = closed {
            // What is to go out still does, as with any connection that is closed.
            let _ = open.outgoing.send(None);
            let _ = open.stream.shutdown(Shutdown::Read);
            // A reader that waits for credit is to see the end.
            open.credit.give(PIECE);
        }
    }
}

fn write_all(mut stream: TcpStream, outgoing: &Receiver<Option<Vec<u8>>>) {
    while let Ok(Some(bytes)) = outgoing.recv() {
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// Passes on what comes in; returns how it ended.
fn read_all(voice: &Voice, number: u32, mut stream: TcpStream, credit: &Credit) -> Kind {
    let mut piece = [0; PIECE];
    loop {
        let room = credit.take(PIECE);
        match stream.read(&mut piece[..room]) {
            Ok(0) => return Kind::End,
            Ok(length) => {
                credit.give(room - length);
                voice.say(&Frame::new(number, Kind::Data, &piece[..length]));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => credit.give(room),
            Err(_) => return Kind::Close,
        }
    }
}
