//! The last resort where the networks of a run cannot be dialled from here: which ports are
//! listened on, read from the container's own `/proc/net/tcp` and `/proc/net/tcp6`.
//!
//! Weaker than a handshake: it sees that a server listens, not that it answers.

use super::NetworkProbe;

/// The command that prints both tables in a container.
pub const COMMAND: [&str; 3] = ["cat", "/proc/net/tcp", "/proc/net/tcp6"];

/// State `LISTEN` in the kernel's table.
const LISTEN: &str = "0A";

/// Judges a probe by the tables: one of its ports is listened on, and not on the loopback address
/// alone, unless there is no other (`loopback_counts`).
///
/// # Errors
/// What was found instead, in words.
pub fn judge(probe: &NetworkProbe, tables: &str, loopback_counts: bool) -> Result<(), String> {
    let wanted: Vec<u16> = match probe {
        NetworkProbe::Tcp { ports } => ports.clone(),
        NetworkProbe::Http { port, .. } | NetworkProbe::Postgres { port } => vec![*port],
    };
    let listeners: Vec<(bool, u16)> = tables.lines().filter_map(listener).collect();
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
        return Err(format!(
            "port {port} is listened on, but on the loopback address only"
        ));
    }
    Err("nothing listens on it".to_owned())
}

/// A listening socket of a line of the table: whether it is bound to loopback, and its port.
fn listener(line: &str) -> Option<(bool, u16)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let loopback = match address.len() {
        8 => address.ends_with("7F"),
        _ => address == "00000000000000000000000001000000",
    };
    Some((loopback, port))
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
        assert!(judge(5432).is_err_and(|why| why.contains("loopback")));
        assert!(judge(54321).is_err_and(|why| why.contains("nothing")));
    }

    #[test]
    fn without_a_network_the_loopback_address_counts() {
        assert_eq!(judge(&tcp(5432), TABLES, true), Ok(()));
        assert!(judge(&tcp(54321), TABLES, true).is_err());
    }
}
