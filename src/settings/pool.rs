//! The pool that subnets of networks are taken from: which ranges may be one.

use std::net::{IpAddr, Ipv4Addr};

use crate::options::Cidr;

/// The shortest prefix of a pool. Anything shorter holds addresses of everybody.
const SHORTEST: u8 = 8;

/// Ranges that no network can have, each with what they are for (RFC 6890).
const UNUSABLE: [(Ipv4Addr, u8, &str); 5] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this host"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "the loopback interface"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local addresses"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "future use"),
];

/// Ranges that are nobody's on the internet: private ones (RFC 1918), those of carriers (RFC 6598),
/// those for benchmarks (RFC 2544).
const PRIVATE: [(Ipv4Addr, u8); 5] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
];

/// What a text says, or the help for whoever wrote it.
pub(super) fn parse(text: &str) -> Result<Cidr, String> {
    let example = "a range of IPv4 addresses, such as `10.232.0.0/14`";
    let pool: Cidr = text.trim().parse().map_err(|_| example.to_owned())?;
    let IpAddr::V4(address) = pool.address else {
        return Err(example.to_owned());
    };
    if pool.prefix < SHORTEST {
        return Err(format!("the prefix is {SHORTEST} at least"));
    }
    // At least eight bits, so it is never shifted by all of them.
    let mask = u32::MAX << (32 - u32::from(pool.prefix));
    let first = Ipv4Addr::from(u32::from(address) & mask);
    if first != address {
        return Err(format!("the range begins at `{first}/{}`", pool.prefix));
    }
    for (base, prefix, what) in UNUSABLE {
        if pool.overlaps(&range(base, prefix)) {
            return Err(format!("`{base}/{prefix}` is for {what}"));
        }
    }
    Ok(pool)
}

/// What the user should know of a pool.
pub(super) fn warning(pool: &Cidr) -> Option<&'static str> {
    let is_private = PRIVATE.iter().any(|(base, prefix)| {
        *prefix <= pool.prefix && range(*base, *prefix).contains(pool.address)
    });
    (!is_private).then_some(
        "containers cannot reach these addresses on the internet; ranges of nobody are `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `100.64.0.0/10`",
    )
}

fn range(base: Ipv4Addr, prefix: u8) -> Cidr {
    Cidr {
        address: base.into(),
        prefix,
    }
}
