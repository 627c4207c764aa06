//! Messages to the kernel's configuration of networks (`linux/netlink.h`), and its answers.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use crate::kernel;

/// `linux/socket.h` and `linux/netlink.h`.
const NETLINK: i32 = 16;
const RAW: i32 = 3;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Flags of a message.
pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACKNOWLEDGE: u16 = 4;
pub(crate) const EXCLUSIVE: u16 = 0x200;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;

/// Marks an attribute that holds attributes.
const NESTED: u16 = 1 << 15;

/// Bytes of the header of a message.
const HEADER: usize = 16;

/// The kernel answers while it is asked, so only a fault of it takes this long.
const ANSWER: Duration = Duration::from_secs(5);

/// Messages that go to the kernel together.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Number of the last message.
    last: u32,
    /// How many of them are to be acknowledged.
    acknowledged: usize,
}

impl Batch {
    /// Adds a message: its header, what its kind begins with, and its attributes.
    pub(crate) fn message(
        &mut self,
        (kind, flags): (u16, u16),
        begin: &[u8],
        attributes: &Attributes,
    ) {
        self.last += 1;
        self.acknowledged += usize::from(flags & ACKNOWLEDGE != 0);
        let length = HEADER + aligned(begin.len()) + attributes.0.len();
        self.bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | REQUEST).to_ne_bytes());
        self.bytes.extend(self.last.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(begin);
        pad(&mut self.bytes);
        self.bytes.extend(&attributes.0);
    }
}

/// Attributes of a message: a length, a kind and a value each, on boundaries of four bytes.
#[derive(Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// An attribute with this value.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        pad(&mut self.0);
        self
    }

    /// A text, which ends with a zero.
    pub(crate) fn text(self, kind: u16, text: &str) -> Self {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.with(kind, &value)
    }

    /// A number with the most significant byte first, as the packet filter has them.
    pub(crate) fn number(self, kind: u16, number: u32) -> Self {
        self.with(kind, &number.to_be_bytes())
    }

    /// An attribute that holds others.
    pub(crate) fn nested(self, kind: u16, inner: Self) -> Self {
        self.with(kind | NESTED, &inner.0)
    }

    /// The bytes, for what is put together otherwise.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(aligned(bytes.len()), 0);
}

/// A conversation with a part of the kernel.
pub(crate) struct Socket(UdpSocket);

impl Socket {
    /// Opens one to the part of this number.
    pub(crate) fn open(part: i32) -> io::Result<Self> {
        // Sending and receiving messages is the same call as for datagrams, and without an address they
        // go to the kernel.
        let socket = UdpSocket::from(kernel::open_socket(NETLINK, RAW, part)?);
        socket.set_read_timeout(Some(ANSWER))?;
        Ok(Self(socket))
    }

    /// Sends messages and waits for all acknowledgements; the first refusal is the error.
    pub(crate) fn ask(&self, batch: &Batch) -> io::Result<()> {
        self.0.send(&batch.bytes)?;
        let mut missing = batch.acknowledged;
        let mut refusal = None;
        while missing > 0 {
            let answers = match self.receive() {
                Ok(answers) => answers,
                // After a refusal the kernel need not go on with the others.
                Err(error) => return Err(refusal.unwrap_or(error)),
            };
            for (kind, content) in messages(&answers) {
                let Some(code) = content.first_chunk::<4>().filter(|_| kind == ERROR) else {
                    continue;
                };
                missing = missing.saturating_sub(1);
                let code = i32::from_ne_bytes(*code);
                if code != 0 && refusal.is_none() {
                    refusal = Some(io::Error::from_raw_os_error(-code));
                    // What is left of the answers is there already, or does not come.
                    self.0.set_read_timeout(Some(Duration::from_millis(1)))?;
                }
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// Sends a question whose answer is a list, and returns the contents of its messages.
    pub(crate) fn list(&self, batch: &Batch) -> io::Result<Vec<Vec<u8>>> {
        self.0.send(&batch.bytes)?;
        let mut list = Vec::new();
        loop {
            let answers = self.receive()?;
            for (kind, content) in messages(&answers) {
                match kind {
                    DONE => return Ok(list),
                    ERROR => {
                        let code = content.first_chunk::<4>().copied().unwrap_or_default();
                        return Err(io::Error::from_raw_os_error(-i32::from_ne_bytes(code)));
                    }
                    _ => list.push(content.to_vec()),
                }
            }
        }
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut answers = vec![0; 1 << 16];
        let length = self.0.recv(&mut answers)?;
        answers.truncate(length);
        Ok(answers)
    }
}

/// The messages in what was received: the kind of each and what follows its header.
fn messages(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some((header, _)) = bytes.split_first_chunk::<HEADER>() {
        let [a, b, c, d, e, f, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).unwrap_or(0);
        let Some(content) = bytes.get(HEADER..length) else {
            break;
        };
        found.push((u16::from_ne_bytes([e, f]), content));
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    found
}
