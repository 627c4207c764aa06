//! Packets that are held back: the queueing discipline `netem` (`linux/pkt_sched.h`) on the interfaces
//! of this namespace, under a handle of ours. What somebody else has put there is not touched.

use std::io;
use std::time::Duration;

use crate::netlink::{ACKNOWLEDGE, Attributes, Batch, CREATE, DUMP, EXCLUSIVE, Socket};

/// The part of the kernel that knows interfaces.
const ROUTES: i32 = 0;

/// Messages.
const GET_LINK: u16 = 18;
const NEW_QUEUE: u16 = 36;
const DELETE_QUEUE: u16 = 37;

/// In the place of all others.
const ROOT: u32 = 0xffff_ffff;

/// The handle by which ours is known.
const OURS: u32 = 0xe4b7_0000;

/// The flag of a loopback interface.
const LOOPBACK: u32 = 8;

/// The index of the loopback interface of every namespace.
const LOOPBACK_INDEX: i32 = 1;

/// Packets that wait at most, as `tc` has it.
const LIMIT: u32 = 1000;

/// Nanoseconds of a tick, in which the first field counts.
const TICK: u128 = 64;

/// Error numbers: nothing is queued there; it is not ours.
const NO_ENTRY: i32 = 2;
const INVALID: i32 = 22;

/// Holds back what is sent over the networks of this namespace.
pub(crate) fn hold_back(delay: Duration, jitter: Duration) -> io::Result<()> {
    let socket = Socket::open(ROUTES)?;
    let interfaces = interfaces(&socket)?;
    for interface in &interfaces {
        if let Err(error) = socket.ask(&queue(*interface, delay, jitter)) {
            // All or none.
            for interface in interfaces {
                let _ = socket.ask(&without(interface));
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Lets everything go as it came.
pub(crate) fn hold_back_no_more() -> io::Result<()> {
    let socket = Socket::open(ROUTES)?;
    for interface in interfaces(&socket)? {
        remove(&socket, interface)?;
    }
    Ok(())
}

/// Tries whether the kernel can do it, where nothing is sent.
pub(crate) fn try_it() -> io::Result<()> {
    let socket = Socket::open(ROUTES)?;
    let moment = Duration::from_millis(1);
    socket.ask(&queue(LOOPBACK_INDEX, moment, moment))?;
    remove(&socket, LOOPBACK_INDEX)
}

fn remove(socket: &Socket, interface: i32) -> io::Result<()> {
    match socket.ask(&without(interface)) {
        Err(error) if matches!(error.raw_os_error(), Some(NO_ENTRY | INVALID)) => Ok(()),
        asked => asked,
    }
}

/// The indices of all interfaces but loopback ones.
fn interfaces(socket: &Socket) -> io::Result<Vec<i32>> {
    let mut batch = Batch::default();
    batch.message((GET_LINK, DUMP), &[0; 16], &Attributes::default());
    let links = socket.list(&batch)?;
    // Family, type, index, flags.
    let found = links.iter().filter_map(|link| {
        let index = i32::from_ne_bytes(*link.get(4..)?.first_chunk()?);
        let flags = u32::from_ne_bytes(*link.get(8..)?.first_chunk()?);
        (flags & LOOPBACK == 0).then_some(index)
    });
    Ok(found.collect())
}

fn queue(interface: i32, delay: Duration, jitter: Duration) -> Batch {
    let ticks = |time: Duration| u32::try_from(time.as_nanos() / TICK).unwrap_or(u32::MAX);
    let nanoseconds = |time: Duration| {
        let count = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        count.to_ne_bytes()
    };
    // Delay, limit, loss, gap, duplicates, jitter; then what is finer than ticks.
    let mut options = Vec::new();
    for field in [ticks(delay), LIMIT, 0, 0, 0, ticks(jitter)] {
        options.extend(field.to_ne_bytes());
    }
    let exact = Attributes::default()
        .with(10, &nanoseconds(delay))
        .with(11, &nanoseconds(jitter));
    options.extend(exact.bytes());
    let attributes = Attributes::default().text(1, "netem").with(2, &options);
    let mut batch = Batch::default();
    let flags = CREATE | EXCLUSIVE | ACKNOWLEDGE;
    batch.message((NEW_QUEUE, flags), &place(interface), &attributes);
    batch
}

fn without(interface: i32) -> Batch {
    let mut batch = Batch::default();
    let message = (DELETE_QUEUE, ACKNOWLEDGE);
    batch.message(message, &place(interface), &Attributes::default());
    batch
}

/// Where a queue is: family, interface, handle, parent, and a field that is not used.
fn place(interface: i32) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(interface.to_ne_bytes());
    bytes.extend(OURS.to_ne_bytes());
    bytes.extend(ROOT.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes
}
