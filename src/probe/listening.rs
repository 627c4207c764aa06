//! The last resort where the networks of a run cannot be dialled from here: which ports are
//! listened on, read from the container's own `/proc/net/tcp` and `/proc/net/tcp6`.
//!
//! Weaker than a handshake: it sees that a server listens, not that it answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{NetworkProbe, Reason};

/// The command that prints both tables in a container.
pub const COMMAND: [&str; 3] = ["cat", "/proc/net/tcp", "/proc/net/tcp6"];

/// State `LISTEN` in the kernel's table.
const LISTEN: &str = "0A";

/// Judges a probe by the tables: one of its ports is listened on, and not on the loopback address
/// alone, unless there is no other (`loopback_counts`).
///
/// # Errors
/// What was found instead, in words.
pub fn judge(probe: &NetworkProbe, tables: &str, loopback_counts: bool) -> Result<(), Reason> {
    let wanted = probe.ports();
    let listeners = listeners(tables);
    if listeners
        .iter()
        .any(|(loopback, port)| (loopback_counts || !loopback) && wanted.contains(port))
    {
        return Ok(());
    }
    if let Some((_, port)) = listeners
        .iter()
        .find(|(loopback, port)| *loopback && wanted.contains(port))
    {
        return Err(Reason::LoopbackOnly(*port));
    }
    Err(Reason::NotYet("nothing listens on it".to_owned()))
}

/// The listening sockets of the tables: whether each is bound to the loopback address, and its port.
#[must_use]
pub fn listeners(tables: &str) -> Vec<(bool, u16)> {
    tables.lines().filter_map(listener).collect()
}

/// A listening socket of a line of the table: whether it is bound to loopback, and its port.
fn listener(line: &str) -> Option<(bool, u16)> {
    let bound = bound(line)?;
    Some((is_loopback(bound.ip()), bound.port()))
}

/// The addresses that are listened on, as the kernel's tables say. Lines that are none are passed
/// over.
#[must_use]
pub fn addresses(tables: &str) -> Vec<SocketAddr> {
    tables.lines().filter_map(bound).collect()
}

/// Whether an address is reached from its own host alone, also where it is spelt in IPv6.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The address of a listening socket in a line of the tables. The kernel writes addresses as words in
/// the order of the machine's bytes, which is taken for that of this one: little end first.
fn bound(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |digits: &str| {
        u32::from_str_radix(digits, 16)
            .ok()
            .map(|word| word.to_le_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(address)?)),
        32 if address.is_ascii() => {
            let mut bytes = [0; 16];
            for (place, part) in bytes.chunks_exact_mut(4).zip(address.as_bytes().chunks(8)) {
                place.copy_from_slice(&word(std::str::from_utf8(part).ok()?)?);
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n\
        0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n\
        1: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 2\n\
        2: 0200E80A:D431 0300E80A:1538 01 00000000:00000000 00:00000000 00000000 0 0 3\n\
        0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0 0\n";

    fn tcp(port: u16) -> NetworkProbe {
        NetworkProbe::Tcp { ports: vec![port] }
    }

    #[test]
    fn listening_ports_are_told_from_loopback_and_from_nothing() {
        let judge = |port: u16| judge(&tcp(port), TABLES, false);
        assert_eq!(judge(3000), Ok(()));
        assert_eq!(judge(8080), Ok(()));
        assert!(judge(5432).is_err_and(|why| why.to_string().contains("loopback")));
        assert!(judge(54321).is_err_and(|why| why.to_string().contains("nothing")));
    }

    #[test]
    fn addresses_are_read_in_both_families_and_loopback_is_known_in_every_spelling() {
        let tables = "\
            0: 0100007F:1538 00000000:0000 0A\n\
            1: 0B0000E0:1539 00000000:0000 0A\n\
            0: 00000000000000000000000001000000:0050 0:0 0A\n\
            1: 0000000000000000FFFF00000100007F:0051 0:0 0A\n\
            2: 0000000000000000FFFF00000200E80A:0052 0:0 0A\n\
            3: 000080FE000000000000000002000000:0053 0:0 0A\n\
            4: short:0053 0:0 0A\n\
            5: \u{e9}00000000000000000000000000000:0053 0:0 0A\n\
            ::::\n";
        let found = addresses(tables);
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "127.0.0.1:5432",
                "224.0.0.11:5433",
                "[::1]:80",
                "[::ffff:127.0.0.1]:81",
                "[::ffff:10.232.0.2]:82",
                "[fe80::2]:83",
            ]
        );
        let loopback = found.iter().map(|one| is_loopback(one.ip()));
        let loopback: Vec<bool> = loopback.collect();
        assert_eq!(loopback, [true, false, true, true, false, false]);
    }

    #[test]
    fn without_a_network_the_loopback_address_counts() {
        assert_eq!(judge(&tcp(5432), TABLES, true), Ok(()));
        assert!(judge(&tcp(54321), TABLES, true).is_err());
    }
}
