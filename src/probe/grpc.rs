//! Readiness kind `grpc`: `grpc.health.v1.Health/Check` says `SERVING`, over HTTP/2 without TLS.
//! Source: gRPC "Health Checking Protocol" and "gRPC over HTTP2".

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::{Either, select};
use hyper::{HeaderMap, Request};
use prost::Message;

use super::Reason;
use super::conversation::shown;
use super::dial::Dialler;

/// Longest answer that is looked at. The right one has a handful of bytes.
const LONGEST: usize = 1024;

const PATH: &str = "/grpc.health.v1.Health/Check";

/// Codes of gRPC.
const OK: &str = "0";
const NOT_FOUND: &str = "5";
const UNIMPLEMENTED: &str = "12";
const UNAVAILABLE: &str = "14";

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Asks once. The target is the name that the server sees as its host, and the address.
pub(super) async fn attempt(
    dialler: &dyn Dialler,
    (host, address): (&str, IpAddr),
    (port, service): (u16, &str),
) -> Result<(), Reason> {
    let stream = dialler.dial(SocketAddr::new(address, port)).await?;
    let (sender, connection) = h2::client::handshake(stream).await.map_err(broken)?;
    let exchange = exchange(sender, format!("http://{host}:{port}{PATH}"), service);
    // The connection is driven beside the exchange and dropped with it.
    futures::pin_mut!(exchange, connection);
    match select(exchange, connection).await {
        Either::Left((answer, _connection)) => answer,
        Either::Right((Err(error), _exchange)) => Err(broken(error)),
        Either::Right((Ok(()), exchange)) => exchange.await,
    }
}

async fn exchange(
    sender: h2::client::SendRequest<Bytes>,
    uri: String,
    service: &str,
) -> Result<(), Reason> {
    let mut sender = sender.ready().await.map_err(broken)?;
    let request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", concat!("envrun/", env!("CARGO_PKG_VERSION")))
        .body(())
        .map_err(|error| Reason::Closed(error.to_string()))?;
    let (response, mut body) = sender.send_request(request, false).map_err(broken)?;
    let asked = HealthCheckRequest {
        service: service.to_owned(),
    };
    body.send_data(framed(&asked), true).map_err(broken)?;
    let (head, mut body) = response.await.map_err(broken)?.into_parts();
    if !head.status.is_success() {
        return Err(Reason::NotYet(format!("status {}", head.status.as_u16())));
    }
    let mut message = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(broken)?;
        let _ = body.flow_control().release_capacity(piece.len());
        if message.len() + piece.len() > LONGEST {
            let text = format!("the answer is longer than {LONGEST} bytes");
            return Err(Reason::Foreign(text));
        }
        message.extend_from_slice(&piece);
    }
    // An answer without a message has its code among the first headers.
    let trailers = body.trailers().await.map_err(broken)?;
    judge(
        trailers.as_ref().unwrap_or(&head.headers),
        &message,
        service,
    )
}

/// A message behind the five bytes of its frame: not compressed, and its length.
fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(length + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or_default());
    frame.extend_from_slice(&message.encode_to_vec());
    frame.freeze()
}

fn judge(trailers: &HeaderMap, message: &[u8], service: &str) -> Result<(), Reason> {
    let trailer = |name: &str| {
        let value = trailers.get(name).map(|value| value.as_bytes());
        shown(&String::from_utf8_lossy(value.unwrap_or_default()))
    };
    let unknown = || Reason::NotYet(format!("the server knows no service `{service}`"));
    match trailer("grpc-status").as_str() {
        OK => {}
        NOT_FOUND => return Err(unknown()),
        UNIMPLEMENTED => {
            let text = "the server has no `grpc.health.v1.Health`".to_owned();
            return Err(Reason::Foreign(text));
        }
        UNAVAILABLE => return Err(Reason::NotYet("unavailable".to_owned())),
        "" => return Err(Reason::Foreign("the answer is not gRPC's".to_owned())),
        code => {
            let text = trailer("grpc-message");
            return Err(Reason::NotYet(
                format!("gRPC code {code} {text}").trim_end().to_owned(),
            ));
        }
    }
    let message = match message {
        [0, _, _, _, _, message @ ..] => message,
        _ => return Err(Reason::Foreign("the answer has no message".to_owned())),
    };
    match HealthCheckResponse::decode(message).map(|answer| answer.status) {
        Ok(1) => Ok(()),
        Ok(2) => Err(Reason::NotYet("NOT_SERVING".to_owned())),
        Ok(3) => Err(unknown()),
        Ok(_) => Err(Reason::NotYet("UNKNOWN".to_owned())),
        Err(error) => Err(Reason::Foreign(error.to_string())),
    }
}

fn broken(error: h2::Error) -> Reason {
    let text = shown(&error.to_string());
    if error.is_io() {
        Reason::Closed(text)
    } else {
        Reason::Foreign(format!("the answer is not HTTP/2's: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: &'static str, status: i32) -> Result<(), Reason> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", hyper::header::HeaderValue::from_static(code));
        judge(
            &trailers,
            &framed(&HealthCheckResponse { status }),
            "orders",
        )
    }

    #[test]
    fn only_serving_is_ready() {
        assert_eq!(answer("0", 1), Ok(()));
        for (code, status, wanted) in [
            ("0", 0, "UNKNOWN"),
            ("0", 2, "NOT_SERVING"),
            ("0", 3, "the server knows no service `orders`"),
            ("5", 1, "the server knows no service `orders`"),
            ("12", 1, "the server has no `grpc.health.v1.Health`"),
            ("14", 1, "unavailable"),
            ("7", 1, "gRPC code 7"),
        ] {
            let reason = answer(code, status).expect_err("not ready").to_string();
            assert_eq!(reason, wanted);
        }
        assert!(judge(&HeaderMap::new(), &[], "").is_err());
    }
}
