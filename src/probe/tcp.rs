//! Readiness kind `tcp`: a connection is accepted.

use std::net::{IpAddr, SocketAddr};

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::Reason;
use super::dial::{DialError, Dialler};

/// Connects to any one of the ports.
pub(super) async fn attempt(
    dialler: &dyn Dialler,
    address: IpAddr,
    ports: &[u16],
) -> Result<(), Reason> {
    let mut connections: FuturesUnordered<_> = ports
        .iter()
        .map(|port| dialler.dial(SocketAddr::new(address, *port)))
        .collect();
    let mut last = DialError::Other("no port to connect to".to_owned());
    while let Some(connection) = connections.next().await {
        match connection {
            Ok(_stream) => return Ok(()),
            Err(reason) => last = reason,
        }
    }
    Err(Reason::Dial(last))
}
