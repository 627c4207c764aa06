//! Which subnet a network of the run gets.
//!
//! The engine's own default pools end at about thirty networks, so envrun gives each network an
//! explicit small subnet out of a pool of its own. The choice starts at a hash of the run and the
//! network, so that runs side by side rarely meet, and goes on to the next one on the engine's
//! overlap answer. Subnets that overlap a route of the host are passed over: they would cut the
//! user off from a LAN or VPN.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::names::hash;
use crate::engine::Subnet;
use crate::name::{NetworkKey, RunId};
use crate::options::Cidr;

/// The pool: 10.232.0.0/14 holds 16,384 networks of /28. It lies outside the engine's default pools
/// (172.17.0.0/12 and 192.168.0.0/16), so that it takes nothing from others, and high in
/// 10.0.0.0/8, where few LANs are.
pub const DEFAULT_POOL: Subnet = Subnet {
    base: Ipv4Addr::new(10, 232, 0, 0),
    prefix: 14,
};

/// The smallest subnet ever given: 13 containers.
const SMALLEST_PREFIX: u8 = 28;

/// Addresses of a subnet that no container can have: network, gateway, broadcast.
const RESERVED: usize = 3;

/// Room beyond the planned endpoints, for containers that are attached later (a shell, an agent).
const SPARE: usize = 4;

/// Prefix length of the smallest subnet that has room for `endpoints` containers.
#[must_use]
pub fn prefix_for(endpoints: usize) -> u8 {
    let needed = endpoints.saturating_add(RESERVED + SPARE);
    let mut prefix = SMALLEST_PREFIX;
    while prefix > DEFAULT_POOL.prefix + 2 && (1_usize << (32 - prefix)) < needed {
        prefix -= 1;
    }
    prefix
}

/// The subnets to try for one network, in order. Every subnet of the pool comes up once.
#[derive(Debug, Clone)]
pub struct Candidates {
    pool: Subnet,
    prefix: u8,
    start: u32,
    tried: u32,
    count: u32,
    avoid: Vec<Subnet>,
}

impl Candidates {
    /// Candidates for the network `key` of `run`, none of which overlaps one of `avoid`.
    #[must_use]
    pub fn new(run: RunId, key: &NetworkKey, prefix: u8, pool: Subnet, avoid: &[Subnet]) -> Self {
        let prefix = prefix.clamp(pool.prefix, 30);
        let count = 1_u32 << (prefix - pool.prefix);
        Self {
            pool,
            prefix,
            start: hash_of(run, key) % count,
            tried: 0,
            count,
            avoid: avoid.to_vec(),
        }
    }

    /// How many subnets were given out so far.
    #[must_use]
    pub const fn tried(&self) -> u32 {
        self.tried
    }
}

impl Iterator for Candidates {
    type Item = Subnet;

    fn next(&mut self) -> Option<Subnet> {
        while self.tried < self.count {
            let index = (self.start + self.tried) % self.count;
            self.tried += 1;
            let base = u32::from(self.pool.base) + (index << (32 - self.prefix));
            let subnet = Subnet {
                base: Ipv4Addr::from(base),
                prefix: self.prefix,
            };
            if !self.avoid.iter().any(|other| other.overlaps(&subnet)) {
                return Some(subnet);
            }
        }
        None
    }
}

/// A subnet of IPv6 for the network `key` of `run`, out of the addresses that everybody may take (RFC
/// 4193): forty bits of the run, sixteen of the network. Engines before 27 give out none by
/// themselves, so that a network with IPv6 could not be created.
#[must_use]
pub fn unique_local(run: RunId, key: &NetworkKey) -> Cidr {
    const PREFIX: u128 = 0xfd << 120;
    let of_run = (run.as_u128() >> 88) << 80;
    let of_network = u128::from(hash_of(run, key) & 0xffff) << 64;
    Cidr {
        address: Ipv6Addr::from(PREFIX | of_run | of_network).into(),
        prefix: 64,
    }
}

fn hash_of(run: RunId, key: &NetworkKey) -> u32 {
    let run = run.as_u128().to_be_bytes().into_iter();
    hash(run.chain(key.as_str().bytes()))
}

/// Subnets of the host's routing table in the form of Linux's `/proc/net/route`, the default route
/// left out. Lines that cannot be read are passed over: the engine's overlap answer is the second
/// line of defence.
#[must_use]
pub fn host_routes(table: &str) -> Vec<Subnet> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let destination = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
            let mask = u32::from_str_radix(fields.nth(5)?, 16).ok()?;
            // The kernel prints both in the byte order of the machine, here little-endian.
            let prefix = u8::try_from(mask.count_ones()).ok()?;
            (prefix > 0).then(|| Subnet {
                base: Ipv4Addr::from(destination.to_le_bytes()),
                prefix,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefix_has_room_for_gateway_broadcast_and_spare() {
        assert_eq!(prefix_for(1), 28);
        assert_eq!(prefix_for(9), 28);
        assert_eq!(prefix_for(10), 27);
        assert_eq!(prefix_for(60), 25);
        assert_eq!(prefix_for(1000), 22);
    }

    #[test]
    fn host_routes_are_read_and_avoided() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                     eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\n\
                     tun0\t0000E80A\t00000000\t0001\t0\t0\t0\t0000FFFF\n\
                     broken line\n";
        let routes = host_routes(table);
        assert_eq!(
            routes,
            [Subnet {
                base: Ipv4Addr::new(10, 232, 0, 0),
                prefix: 16
            }]
        );
        let key = NetworkKey::new("default");
        let count = Candidates::new(RunId::from_u128(7), &key, 28, DEFAULT_POOL, &routes).count();
        assert_eq!(count, 3 * 4096);
    }

    proptest! {
        #[test]
        fn candidates_are_distinct_and_inside_the_pool(run: u128, prefix in 20_u8..=28) {
            let key = NetworkKey::new("n");
            let all: Vec<Subnet> = Candidates::new(RunId::from_u128(run), &key, prefix, DEFAULT_POOL, &[]).collect();
            prop_assert_eq!(all.len(), 1 << (prefix - 14));
            prop_assert!(all.iter().all(|subnet| subnet.overlaps(&DEFAULT_POOL)));
            let distinct: BTreeSet<_> = all.iter().collect();
            prop_assert_eq!(distinct.len(), all.len());
        }
    }
}
