//! Dials from the host, straight to the containers' own addresses.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use async_trait::async_trait;

use super::{NetworkProbe, Prober, http, postgres, tcp};
use crate::clock;

/// Dials from the network namespace of this process.
#[derive(Debug, Default)]
pub struct HostProber;

#[async_trait]
impl Prober for HostProber {
    /// The gateway of a bridge network is an address of the engine's host. If it is one of ours
    /// too, the bridge is on an interface of our own network namespace; on remote, rootless and
    /// virtual-machine engines it is not. A socket can only be bound to an address of one's own,
    /// which asks the kernel without parsing tables.
    fn reaches(&self, gateway: IpAddr) -> bool {
        UdpSocket::bind(SocketAddr::new(gateway, 0)).is_ok()
    }

    async fn attempt(
        &self,
        probe: &NetworkProbe,
        service: &str,
        address: IpAddr,
        limit: Duration,
    ) -> Result<(), String> {
        let attempt = async {
            match probe {
                NetworkProbe::Tcp { ports } => tcp::attempt(address, ports).await,
                NetworkProbe::Http { port, path, status } => {
                    let wanted = http::Wanted {
                        port: *port,
                        path,
                        status: *status,
                        host: service,
                    };
                    http::attempt(address, &wanted).await
                }
                NetworkProbe::Postgres { port } => postgres::attempt(address, *port).await,
            }
        };
        clock::within(limit, attempt)
            .await
            .unwrap_or_else(|reached| Err(reached.to_string()))
    }
}
