//! What envrun and its agent say to each other: frames over the agent's standard input and output.
//!
//! A frame is a header of nine bytes (the number of what it is about, its kind, the length of its
//! content, numbers with the most significant byte first) and the content. Whoever asks chooses the
//! number; connections that the agent accepts have numbers of the agent's, with the highest bit set.
//!
//! This file is part of both programs, so it uses nothing but the standard library.

/// Version of this protocol. Both sides come from one build, so it only tells a stranger.
pub const VERSION: u8 = 1;

/// Bytes of the header.
pub const HEADER: usize = 9;

/// Longest content of a frame, in bytes. The longest is a table of sockets.
pub const LONGEST: usize = 1 << 20;

/// Most bytes of a connection that are on their way to envrun and were not read there yet.
pub const WINDOW: usize = 256 << 10;

/// Numbers from here on are those of accepted connections.
pub const ACCEPTED_FROM: u32 = 1 << 31;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The agent is there; content: the version.
    Hello = 0,
    /// Asks for the addresses of a name; content: the name.
    Resolve = 1,
    /// The addresses, one a line.
    Addresses = 2,
    /// Asks for a connection; content: the limit in milliseconds (four bytes), then `address:port`.
    Connect = 3,
    /// The connection is open.
    Connected = 4,
    /// Bytes of a connection.
    Data = 5,
    /// No more bytes in this direction.
    End = 6,
    /// The connection is not needed any more, or is broken.
    Close = 7,
    /// What was asked for failed; content: a [`Failure`], then words.
    Failed = 8,
    /// Asks for the kernel's tables of sockets.
    Sockets = 9,
    /// The tables.
    Table = 10,
    /// Asks to listen; content: `address:port`.
    Listen = 11,
    /// It listens; content: `address:port`.
    Listening = 12,
    /// Somebody has connected; the number is that of the connection, the content that of the
    /// listener (four bytes).
    Accepted = 13,
    /// Bytes of a connection were read; content: how many (four bytes).
    Read = 14,
    /// Asks for a change of the packet filter or the queues; content: words.
    Change = 15,
    /// The change is made; content: words.
    Changed = 16,
    /// Asks for an echo; content: the limit in milliseconds (four bytes), then the address.
    Echo = 17,
    /// The echo has come; content: how long it took, in microseconds (four bytes).
    Echoed = 18,
}

impl Kind {
    /// The kind of this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Hello,
            1 => Self::Resolve,
            2 => Self::Addresses,
            3 => Self::Connect,
            4 => Self::Connected,
            5 => Self::Data,
            6 => Self::End,
            7 => Self::Close,
            8 => Self::Failed,
            9 => Self::Sockets,
            10 => Self::Table,
            11 => Self::Listen,
            12 => Self::Listening,
            13 => Self::Accepted,
            14 => Self::Read,
            15 => Self::Change,
            16 => Self::Changed,
            17 => Self::Echo,
            18 => Self::Echoed,
            _ => return None,
        })
    }
}

/// The way something failed: the first byte of a [`Kind::Failed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    /// The host answered that nothing listens.
    Refused = 1,
    /// Nobody answered in time.
    NoAnswer = 2,
    /// The network or the kernel said that there is no way.
    Unreachable = 3,
    /// There is no such name.
    NoSuchName = 4,
    /// The kernel cannot do that, or the agent may not.
    Unsupported = 5,
    /// Anything else.
    Other = 6,
}

impl Failure {
    /// The failure of this number; one that is not known is [`Failure::Other`].
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Refused,
            2 => Self::NoAnswer,
            3 => Self::Unreachable,
            4 => Self::NoSuchName,
            5 => Self::Unsupported,
            _ => Self::Other,
        }
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is about.
    pub number: u32,
    /// What it is.
    pub kind: Kind,
    /// Its content.
    pub content: Vec<u8>,
}

impl Frame {
    /// A frame.
    #[must_use]
    pub fn new(number: u32, kind: Kind, content: impl Into<Vec<u8>>) -> Self {
        Self {
            number,
            kind,
            content: content.into(),
        }
    }

    /// The frame as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.content.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER + self.content.len());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.content);
        bytes
    }
}

/// Number, kind and length of content of a header; `None` if it is none.
#[must_use]
pub fn header(bytes: [u8; HEADER]) -> Option<(u32, Kind, usize)> {
    let [a, b, c, d, kind, e, f, g, h] = bytes;
    let length = usize::try_from(u32::from_be_bytes([e, f, g, h])).ok()?;
    let kind = Kind::from_number(kind)?;
    (length <= LONGEST).then_some((u32::from_be_bytes([a, b, c, d]), kind, length))
}

/// The number in the first four bytes, and what follows.
#[must_use]
pub fn number(content: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = content.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*first), rest))
}
