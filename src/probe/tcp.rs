//! Readiness kind `tcp`: a connection is accepted.

use std::net::{IpAddr, SocketAddr};

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::TcpStream;

/// Connects to any one of the ports.
pub(super) async fn attempt(address: IpAddr, ports: &[u16]) -> Result<(), String> {
    let mut connections: FuturesUnordered<_> =
        ports.iter().map(|port| connect(address, *port)).collect();
    let mut last = "no port to connect to".to_owned();
    while let Some(connection) = connections.next().await {
        match connection {
            Ok(_stream) => return Ok(()),
            Err(reason) => last = reason,
        }
    }
    Err(last)
}

/// Opens a connection, with the reason in plain words when there is none.
pub(super) async fn connect(address: IpAddr, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(SocketAddr::new(address, port))
        .await
        .map_err(|error| plain(&error))?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The words of an I/O error without its number.
pub(super) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}
