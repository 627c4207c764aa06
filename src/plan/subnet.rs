//! Which subnet a network of the run gets.
//!
//! The engine's own default pools end at about thirty networks, so envrun gives each network an
//! explicit small subnet out of a pool of its own. The choice starts at a hash of the run and the
//! network, so that runs side by side rarely meet, and goes on to the next one on the engine's
//! overlap answer. Subnets that overlap a route of the host are passed over: they would cut the
//! user off from a LAN or VPN.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::hash;
use super::{Plan, PlannedNetwork};
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

/// The pool in force: the one that was asked for, or envrun's own.
#[must_use]
pub fn pool(asked: Option<Cidr>) -> Subnet {
    match asked.map(|pool| (pool.address, pool.prefix)) {
        Some((IpAddr::V4(base), prefix)) => Subnet { base, prefix },
        _ => DEFAULT_POOL,
    }
}

/// A pool is too small for a plan, however free it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// One network does not fit.
    #[error(
        "the pool `{pool}` has no room for network `{network}`, which needs a /{prefix}\nhint: `--subnet-pool` names a larger one"
    )]
    Network {
        /// The pool.
        pool: Subnet,
        /// The network.
        network: NetworkKey,
        /// What it needs.
        prefix: u8,
    },
    /// All of them together do not fit.
    #[error(
        "the pool `{pool}` has {has} addresses, and the {networks} networks of the project need {needs}\nhint: `--subnet-pool` names a larger one"
    )]
    Together {
        /// The pool.
        pool: Subnet,
        /// Its addresses.
        has: u64,
        /// Networks that need a subnet of it.
        networks: usize,
        /// The addresses that they need.
        needs: u64,
    },
}

/// Whether the networks of a plan find room in an empty pool.
///
/// # Errors
/// They do not.
pub fn has_room(plan: &Plan, pool: Subnet) -> Result<(), NoRoom> {
    let size = |prefix: u8| 1_u64 << (32 - prefix.min(32));
    let (mut networks, mut needs) = (0, 0);
    for (network, planned) in &plan.networks {
        let PlannedNetwork::Owned {
            prefix: Some(prefix),
            ..
        } = *planned
        else {
            continue;
        };
        if prefix < pool.prefix {
            let network = network.clone();
            return Err(NoRoom::Network {
                pool,
                network,
                prefix,
            });
        }
        networks += 1;
        needs += size(prefix);
    }
    let has = size(pool.prefix);
    if needs > has {
        return Err(NoRoom::Together {
            pool,
            has,
            networks,
            needs,
        });
    }
    Ok(())
}

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

/// Subnets that the host has routes to, whichever of its tables they are in; the default route is
/// left out. `read` gives the content of a file of the kernel.
///
/// `/proc/net/fib_trie` has all tables: those of policy routing too, into which VPNs such as WireGuard
/// and Tailscale put theirs. Where it is missing, `/proc/net/route` has the main table. Lines that
/// cannot be read are passed over: the engine's overlap answer is the second line of defence.
#[must_use]
pub fn host_routes(read: impl Fn(&str) -> Option<String>) -> Vec<Subnet> {
    let mut routes = read("/proc/net/fib_trie").map_or_else(
        || main_table(&read("/proc/net/route").unwrap_or_default()),
        |tries| all_tables(&tries),
    );
    routes.sort();
    routes.dedup();
    routes
}

/// Routes in the form of `/proc/net/fib_trie`: a leaf is a line with an address (`|-- 10.8.0.0`), and a
/// line for each route to it follows (`/24 link UNICAST`).
fn all_tables(tries: &str) -> Vec<Subnet> {
    let mut routes = Vec::new();
    let mut base = None;
    for line in tries.lines().map(str::trim_start) {
        if let Some(leaf) = line.strip_prefix("|-- ") {
            base = leaf.trim().parse::<Ipv4Addr>().ok();
        } else if let Some(route) = line.strip_prefix('/') {
            let prefix = route.split_ascii_whitespace().next();
            let prefix = prefix.and_then(|prefix| prefix.parse().ok());
            routes.extend(base.zip(prefix).and_then(|(base, prefix)| {
                (1..=32)
                    .contains(&prefix)
                    .then_some(Subnet { base, prefix })
            }));
        }
    }
    routes
}

/// Routes in the form of `/proc/net/route`.
fn main_table(table: &str) -> Vec<Subnet> {
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

/// The gateway of the default route, from the text of `/proc/net/route`.
#[must_use]
pub fn default_gateway(table: &str) -> Option<Ipv4Addr> {
    let routes = table.lines().skip(1);
    let mut gateways = routes.filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let hexadecimal = |text: &str| u32::from_str_radix(text, 16).ok();
        let destination = hexadecimal(fields.next()?)?;
        let gateway = hexadecimal(fields.next()?)?;
        let mask = hexadecimal(fields.nth(4)?)?;
        let is_default = destination == 0 && mask == 0 && gateway != 0;
        is_default.then(|| Ipv4Addr::from(gateway.to_le_bytes()))
    });
    gateways.next()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_gateway_is_that_of_the_default_route() {
        let head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";
        let near = "eth0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0\n";
        let default = "eth0 00000000 010011AC 0003 0 0 0 00000000 0 0 0\n";
        let found = default_gateway(&format!("{head}{near}{default}"));
        assert_eq!(found, Some(Ipv4Addr::new(172, 17, 0, 1)));
        assert_eq!(default_gateway(&format!("{head}{near}")), None);
        assert_eq!(default_gateway("nonsense\nmore nonsense of it"), None);
    }

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
        let only_main = |name: &str| name.ends_with("/route").then(|| table.to_owned());
        let routes = host_routes(only_main);
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

    #[test]
    fn routes_of_all_tables_are_read() {
        let tries = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.8.0.0/23 2 0 2
        |-- 10.8.0.0
           /24 link UNICAST
           /16 universe UNICAST
        |-- 10.8.1.7
           /32 host LOCAL
Id 51820:
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 100.100.0.0
        /16 universe UNICAST
     |-- nonsense
        /24 link UNICAST
        /99 link UNICAST
";
        let routes = host_routes(|name| name.ends_with("fib_trie").then(|| tries.to_owned()));
        let shown: Vec<String> = routes.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "10.8.0.0/16",
                "10.8.0.0/24",
                "10.8.1.7/32",
                "100.100.0.0/16"
            ]
        );
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
