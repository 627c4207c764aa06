//! Readiness kind `http`: a GET is answered with the status that is wanted.

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::TokioIo;

/// What is asked for, and what answer is wanted.
pub(super) struct Wanted<'probe> {
    pub(super) port: u16,
    pub(super) path: &'probe str,
    pub(super) status: Option<u16>,
    pub(super) host: &'probe str,
}

/// Sends one GET over a new connection and looks at the status line; the body is not read.
pub(super) async fn attempt(address: IpAddr, wanted: &Wanted<'_>) -> Result<(), String> {
    let stream = super::tcp::connect(address, wanted.port).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| chain(&error))?;
    let request = Request::get(wanted.path)
        .header("host", format!("{}:{}", wanted.host, wanted.port))
        .header("user-agent", concat!("envrun/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| chain(&error))?;
    // The connection is driven beside the request and dropped with it.
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| chain(&error))?;
        let status = response.status();
        let good = match wanted.status {
            Some(code) => status.as_u16() == code,
            None => status.is_success() || status.is_redirection(),
        };
        if good {
            Ok(())
        } else {
            Err(format!("status {}", status.as_u16()))
        }
    };
    futures::pin_mut!(exchange, connection);
    match futures::future::select(exchange, connection).await {
        futures::future::Either::Left((answer, _connection)) => answer,
        futures::future::Either::Right((_closed, exchange)) => exchange.await,
    }
}

/// An error with its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text.to_lowercase()
}
