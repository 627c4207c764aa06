//! Options of a container that nothing between the file and the engine interprets: they are read and
//! checked, and then they travel unchanged to the engine.
//!
//! One vocabulary for the model and for the engine, since a copy of it in each would only be another
//! place in which an option can get lost. What is decided on the way (networks, mounts, names of
//! other services) is not here. Sizes are in bytes, zero means that nothing was said.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Options of a container, each named after its key in a Compose file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerOptions {
    /// `annotations:` for the runtime.
    pub annotations: BTreeMap<String, String>,
    /// `cap_add:` as the engine spells capabilities.
    pub cap_add: Vec<String>,
    /// `cap_drop:`.
    pub cap_drop: Vec<String>,
    /// `cgroup:`: `host` or `private`.
    pub cgroup: Option<String>,
    /// `dns:`, addresses of servers.
    pub dns: Vec<String>,
    /// `dns_opt:`.
    pub dns_opt: Vec<String>,
    /// `dns_search:`.
    pub dns_search: Vec<String>,
    /// `domainname:`.
    pub domainname: Option<String>,
    /// `extra_hosts:`, each as `name:address`; an address may be `host-gateway`.
    pub extra_hosts: Vec<String>,
    /// `group_add:`, names or numbers.
    pub group_add: Vec<String>,
    /// `init:`: a process that reaps zombies.
    pub init: Option<bool>,
    /// `isolation:` of Windows.
    pub isolation: Option<String>,
    /// `logging:`.
    pub logging: Option<Logging>,
    /// `mac_address:`.
    pub mac_address: Option<String>,
    /// `oom_score_adj:`.
    pub oom_score_adj: i64,
    /// `privileged:`: all rights on the host.
    pub privileged: bool,
    /// `read_only:`: the root file system.
    pub read_only: bool,
    /// Limits and devices.
    pub resources: Resources,
    /// `runtime:`.
    pub runtime: Option<String>,
    /// `security_opt:`; a seccomp profile stands here with its content.
    pub security_opt: Vec<String>,
    /// `security_opt: [systempaths=unconfined]`: no path of `/proc` and `/sys` is masked.
    pub system_paths_unconfined: bool,
    /// `shm_size:`.
    pub shm_size: Option<u64>,
    /// `stdin_open:`.
    pub stdin_open: bool,
    /// `stop_signal:`.
    pub stop_signal: Option<String>,
    /// `stop_grace_period:` in whole seconds.
    pub stop_timeout: Option<u64>,
    /// `storage_opt:`.
    pub storage_opt: BTreeMap<String, String>,
    /// `sysctls:`.
    pub sysctls: BTreeMap<String, String>,
    /// `tmpfs:`: target to options (empty when none).
    pub tmpfs: BTreeMap<String, String>,
    /// `tty:`.
    pub tty: bool,
    /// `userns_mode:`.
    pub userns_mode: Option<String>,
    /// `uts:`.
    pub uts: Option<String>,
}

/// Limits on what a container may use, and the devices that it is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// `blkio_config:`.
    pub blkio: Blkio,
    /// `cgroup_parent:`.
    pub cgroup_parent: Option<String>,
    /// `cpu_count:` of Windows.
    pub cpu_count: i64,
    /// `cpu_percent:` of Windows, in hundredths of a percent.
    pub cpu_percent: i64,
    /// `cpu_period:` in microseconds.
    pub cpu_period: i64,
    /// `cpu_quota:` in microseconds.
    pub cpu_quota: i64,
    /// `cpu_rt_period:` in microseconds.
    pub cpu_rt_period: i64,
    /// `cpu_rt_runtime:` in microseconds.
    pub cpu_rt_runtime: i64,
    /// `cpu_shares:`.
    pub cpu_shares: i64,
    /// `cpuset:`.
    pub cpuset: Option<String>,
    /// `device_cgroup_rules:`.
    pub device_cgroup_rules: Vec<String>,
    /// `gpus:`, `deploy.resources.reservations.devices`, and devices of `devices:` by their name in
    /// the Container Device Interface.
    pub device_requests: Vec<DeviceRequest>,
    /// `devices:`.
    pub devices: Vec<Device>,
    /// `mem_limit:` or `deploy.resources.limits.memory`.
    pub memory: u64,
    /// `mem_reservation:` or `deploy.resources.reservations.memory`.
    pub memory_reservation: u64,
    /// `memswap_limit:`; -1 is no limit.
    pub memory_swap: i64,
    /// `mem_swappiness:`.
    pub memory_swappiness: Option<i64>,
    /// `cpus:` or `deploy.resources.limits.cpus`, in billionths of a processor.
    pub nano_cpus: i64,
    /// `oom_kill_disable:`.
    pub oom_kill_disable: bool,
    /// `pids_limit:` or `deploy.resources.limits.pids`; -1 is no limit.
    pub pids_limit: Option<i64>,
    /// `ulimits:`, ascending by name.
    pub ulimits: Vec<Ulimit>,
}

/// The most that a container of strangers' code may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, swap included.
    pub memory: u64,
    /// Billionths of a processor.
    pub nano_cpus: i64,
    /// Processes and threads.
    pub pids: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            nano_cpus: 2_000_000_000,
            pids: 512,
        }
    }
}

/// The option by which no process gets more rights than its parent has.
const NO_NEW_PRIVILEGES: &str = "no-new-privileges";

/// The period of `cpu_quota` where nothing is said, in microseconds.
const CPU_PERIOD: i64 = 100_000;

/// The share of the processors that a container has unless it asks for another one.
const CPU_SHARES: i64 = 1024;

impl Limits {
    /// Lowers what is above the limits, and sets what is not said. It is done to the options that go
    /// to the engine, so that no spelling of a file and no container that a plan adds gets past it.
    pub fn hold(&self, options: &mut ContainerOptions) {
        self.hold_resources(&mut options.resources);
        options.shm_size = options.shm_size.map(|size| size.min(self.memory));
        let security = &mut options.security_opt;
        security.retain(|option| !option.starts_with(NO_NEW_PRIVILEGES));
        security.push(format!("{NO_NEW_PRIVILEGES}:true"));
    }

    fn hold_resources(&self, resources: &mut Resources) {
        let memory = match resources.memory {
            0 => self.memory,
            asked => asked.min(self.memory),
        };
        resources.memory = memory;
        resources.memory_reservation = resources.memory_reservation.min(memory);
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        resources.memory_swap = match resources.memory_swap {
            0 => signed(memory),
            asked if asked > 0 => asked.min(signed(self.memory)),
            _ => signed(self.memory),
        };
        if resources.nano_cpus != 0 || !self.allows_quota(resources) {
            // The engine takes one of the two forms.
            resources.cpu_quota = 0;
            resources.cpu_period = 0;
            resources.nano_cpus = match resources.nano_cpus {
                asked if asked > 0 => asked.min(self.nano_cpus),
                _ => self.nano_cpus,
            };
        }
        resources.cpu_shares = resources.cpu_shares.min(CPU_SHARES);
        resources.pids_limit = Some(match resources.pids_limit {
            Some(asked) if asked > 0 => asked.min(self.pids),
            _ => self.pids,
        });
    }

    /// Whether the older form of a limit of processors is there and within the limit.
    fn allows_quota(&self, resources: &Resources) -> bool {
        let period = match resources.cpu_period {
            0 => CPU_PERIOD,
            period => period,
        };
        let asked = i128::from(resources.cpu_quota) * 1_000_000_000;
        resources.cpu_quota > 0
            && period > 0
            && asked <= i128::from(self.nano_cpus) * i128::from(period)
    }
}

/// `blkio_config:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blkio {
    /// `weight:`, 10 to 1000.
    pub weight: u16,
    /// `weight_device:`: path and weight.
    pub weight_device: Vec<(String, u16)>,
    /// `device_read_bps:`: path and bytes in a second.
    pub read_bps: Vec<(String, u64)>,
    /// `device_read_iops:`: path and operations in a second.
    pub read_iops: Vec<(String, u64)>,
    /// `device_write_bps:`.
    pub write_bps: Vec<(String, u64)>,
    /// `device_write_iops:`.
    pub write_iops: Vec<(String, u64)>,
}

/// A device of the engine's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// What may be done: letters of `rwm`.
    pub permissions: String,
}

/// The driver of requests for devices by their name in the Container Device Interface.
pub const CDI_DRIVER: &str = "cdi";

/// Devices that a driver of the engine chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Driver; empty leaves the choice to the engine.
    pub driver: String,
    /// How many, -1 for all.
    pub count: i64,
    /// Which ones.
    pub ids: Vec<String>,
    /// What they must be able to do, all of it; `None` for a request by name.
    pub capabilities: Option<Vec<String>>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// One of `ulimits:`; -1 is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// Its name, as `nofile`.
    pub name: String,
    /// The limit in force.
    pub soft: i64,
    /// How far a process may raise it.
    pub hard: i64,
}

/// Details of a mount, each named after its key in a Compose file. Which of them matter depends on
/// the type of the mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// `consistency:`.
    pub consistency: Option<String>,
    /// `bind.propagation`.
    pub propagation: Option<String>,
    /// `bind.recursive`.
    pub recursive: Option<Recursive>,
    /// `bind.selinux`: `z` (shared) or `Z` (private).
    pub selinux: Option<String>,
    /// `volume.nocopy`: the content of the image is not copied into an empty volume.
    pub no_copy: bool,
    /// `volume.labels`, for a volume without a name.
    pub labels: BTreeMap<String, String>,
    /// `volume.subpath` and `image.subpath`.
    pub subpath: Option<String>,
    /// `tmpfs.size`.
    pub size: Option<u64>,
    /// `tmpfs.mode`.
    pub mode: Option<u32>,
}

/// What becomes of the mounts below a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recursive {
    /// `disabled`: they are left out.
    Disabled,
    /// `writable`: they stay writable in a mount that is read-only.
    Writable,
    /// `readonly`: they become read-only with it, or the mount fails.
    ReadOnly,
}

/// How a container hangs on one network, each named after its key in a Compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointOptions {
    /// `driver_opts:`.
    pub driver_opts: BTreeMap<String, String>,
    /// `gw_priority:`: the network with the highest gives the default route.
    pub gw_priority: i64,
    /// `interface_name:`.
    pub interface_name: Option<String>,
    /// `ipv4_address:`.
    pub ipv4_address: Option<Ipv4Addr>,
    /// `ipv6_address:`.
    pub ipv6_address: Option<Ipv6Addr>,
    /// `link_local_ips:`.
    pub link_local_ips: Vec<IpAddr>,
    /// `mac_address:`.
    pub mac_address: Option<String>,
}

/// `ipam:` of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ipam {
    /// `driver:`.
    pub driver: Option<String>,
    /// `options:` of the driver.
    pub options: BTreeMap<String, String>,
    /// `config:`.
    pub pools: Vec<AddressPool>,
}

/// One entry of `ipam.config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPool {
    /// `subnet:`.
    pub subnet: Cidr,
    /// `ip_range:`: where addresses are given out.
    pub ip_range: Option<Cidr>,
    /// `gateway:`.
    pub gateway: Option<IpAddr>,
    /// `aux_addresses:`: addresses that are not given out, by name.
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// Addresses of one prefix, as `10.1.0.0/24` or `fd00::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// An address of it.
    pub address: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

impl Cidr {
    /// Whether an address has this prefix.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                u32::from(own) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.prefix <= other.prefix {
            self.contains(other.address)
        } else {
            other.contains(self.address)
        }
    }

    /// The first address, which an engine gives to the gateway when nothing is said.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from((u32::from(address) & mask) | 1))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from((u128::from(address) & mask) | 1))
            }
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

/// A text is no prefix of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address with the length of a prefix")]
pub struct NotCidr;

impl FromStr for Cidr {
    type Err = NotCidr;

    fn from_str(text: &str) -> Result<Self, NotCidr> {
        let (address, prefix) = text.split_once('/').ok_or(NotCidr)?;
        let address: IpAddr = address.parse().map_err(|_| NotCidr)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.parse().map_err(|_| NotCidr)?;
        if prefix > longest {
            return Err(NotCidr);
        }
        Ok(Self { address, prefix })
    }
}

/// Protocol of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, the only one that is ever probed.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// `logging:`. envrun attaches to the output, so every driver will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logging {
    /// Driver; empty for the engine's default.
    pub driver: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}
