//! Dials from the host, straight to the containers' own addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use async_trait::async_trait;

use super::dial::HostDialler;
use super::{NetworkProbe, Prober, Reason};

/// A port to name where none matters: nothing is sent.
const DISCARD: u16 = 9;

/// Dials from the network namespace of this process.
#[derive(Debug, Default)]
pub struct HostProber;

#[async_trait]
impl Prober for HostProber {
    /// The gateway of a bridge network is an address of the engine's host. If it is one of ours
    /// too, the bridge is on an interface of our own network namespace; on remote, rootless and
    /// virtual-machine engines it is not. To an address of one's own the kernel goes from that
    /// address itself, which it tells of a datagram socket without sending anything. (That a socket
    /// can be bound to it is no sign: in a namespace without any route, every address can.)
    fn reaches(&self, gateway: IpAddr) -> bool {
        let any: IpAddr = match gateway {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let from = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
            socket.connect(SocketAddr::new(gateway, DISCARD))?;
            socket.local_addr()
        });
        from.is_ok_and(|from| from.ip() == gateway)
    }

    async fn attempt(
        &self,
        probe: &NetworkProbe,
        service: &str,
        address: IpAddr,
        limit: Duration,
    ) -> Result<(), Reason> {
        super::attempt(&HostDialler, probe, (service, address), limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_our_own_is_near() {
        assert!(HostProber.reaches(Ipv4Addr::LOCALHOST.into()));
        // An address of documentation (RFC 5737), which nobody has.
        assert!(!HostProber.reaches(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
