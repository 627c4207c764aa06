//! One echo of ICMP, over a datagram socket, for which engines give containers the right
//! (`net.ipv4.ping_group_range`).

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::wire::{Failure, Frame, Kind};
use crate::{Voice, failure_of, kernel};

/// Address families and protocols of the kernel (`linux/socket.h`, `linux/in.h`, `linux/in6.h`).
const INET: i32 = 2;
const INET6: i32 = 10;
const DATAGRAM: i32 = 2;
const ICMP: i32 = 1;
const ICMP6: i32 = 58;

/// Types of an echo request (RFC 792, RFC 4443).
const REQUEST: u8 = 8;
const REQUEST6: u8 = 128;

/// Asks for an echo and says what came of it.
pub(crate) fn echo(voice: &Voice, number: u32, limit: u32, address: &str) {
    let Ok(address) = address.parse::<IpAddr>() else {
        return voice.fail(number, Failure::Other, "not an address");
    };
    match round_trip(address, Duration::from_millis(u64::from(limit.max(1)))) {
        Ok(took) => {
            let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            voice.say(&Frame::new(number, Kind::Echoed, took.to_be_bytes()));
        }
        Err(error) => voice.fail(number, failure_of(&error), &error.to_string()),
    }
}

fn round_trip(address: IpAddr, limit: Duration) -> std::io::Result<Duration> {
    let (domain, protocol, request) = match address {
        IpAddr::V4(_) => (INET, ICMP, REQUEST),
        IpAddr::V6(_) => (INET6, ICMP6, REQUEST6),
    };
    // Sending and receiving datagrams is the same for all protocols of the family.
    let socket = UdpSocket::from(kernel::open_socket(domain, DATAGRAM, protocol)?);
    socket.connect(SocketAddr::new(address, 0))?;
    socket.set_read_timeout(Some(limit))?;
    // The kernel fills in the identifier and the checksum of such a socket, and of the checksum for
    // IPv4 only the sum of the rest.
    let mut packet = [request, 0, 0, 0, 0, 0, 0, 1, b'e', b'n', b'v', b'r', b'u', b'n', 0, 0];
    let sum = checksum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    let begun = Instant::now();
    socket.send(&packet)?;
    let mut answer = [0; 64];
    socket.recv(&mut answer)?;
    Ok(begun.elapsed())
}

/// The sum of RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}
