//! Messages of gRPC on a stream of HTTP/2: each has five bytes before it, and the status comes
//! last.

use bytes::{Buf as _, Bytes, BytesMut};
use futures::future::poll_fn;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use hyper::http::{HeaderMap, HeaderValue, Response};
use prost::Message;

/// Largest message that is taken: the engine's limit for what it sends.
const LARGEST: usize = 16 << 20;

/// Status codes of gRPC.
pub(super) const NOT_FOUND: u32 = 5;
pub(super) const UNIMPLEMENTED: u32 = 12;
pub(super) const INTERNAL: u32 = 13;

/// Why a call has failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) code: u32,
    pub(super) message: String,
}

impl Failed {
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }
}

impl From<h2::Error> for Failed {
    fn from(error: h2::Error) -> Self {
        Self::new(INTERNAL, error.to_string())
    }
}

/// The messages that come in.
pub(super) struct Incoming {
    stream: RecvStream,
    buffer: BytesMut,
}

impl Incoming {
    pub(super) fn new(stream: RecvStream) -> Self {
        let buffer = BytesMut::new();
        Self { stream, buffer }
    }

    /// The next message, `None` at the end.
    pub(super) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Failed> {
        loop {
            if self.buffer.len() >= 5 {
                let is_plain = self.buffer[0] == 0;
                let length = (&self.buffer[1..5]).get_u32() as usize;
                if !is_plain || length > LARGEST {
                    return Err(Failed::new(INTERNAL, "a message that cannot be taken"));
                }
                if self.buffer.len() >= 5 + length {
                    self.buffer.advance(5);
                    let message = M::decode(self.buffer.split_to(length));
                    let message =
                        message.map_err(|error| Failed::new(INTERNAL, error.to_string()))?;
                    return Ok(Some(message));
                }
            }
            let Some(data) = self.stream.data().await else {
                return Ok(None);
            };
            let data = data?;
            self.stream.flow_control().release_capacity(data.len())?;
            self.buffer.extend_from_slice(&data);
        }
    }
}

/// The messages that go out.
pub(super) struct Outgoing(SendStream<Bytes>);

impl Outgoing {
    /// Begins the answer to a call.
    pub(super) fn begin(mut respond: SendResponse<Bytes>) -> Result<Self, h2::Error> {
        let mut response = Response::new(());
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
        Ok(Self(respond.send_response(response, false)?))
    }

    /// Sends a message, as fast as the other side takes it.
    pub(super) async fn send(&mut self, message: &impl Message) -> Result<(), Failed> {
        let length = message.encoded_len();
        let mut bytes = BytesMut::with_capacity(5 + length);
        bytes.extend_from_slice(&[0]);
        let size =
            u32::try_from(length).map_err(|error| Failed::new(INTERNAL, error.to_string()))?;
        bytes.extend_from_slice(&size.to_be_bytes());
        message
            .encode(&mut bytes)
            .map_err(|error| Failed::new(INTERNAL, error.to_string()))?;
        let mut bytes = bytes.freeze();
        while !bytes.is_empty() {
            self.0.reserve_capacity(bytes.len());
            let room = poll_fn(|context| self.0.poll_capacity(context)).await;
            let Some(room) = room else {
                return Err(Failed::new(INTERNAL, "the engine has closed the stream"));
            };
            let piece = bytes.split_to(room?.min(bytes.len()));
            self.0.send_data(piece, false)?;
        }
        Ok(())
    }

    /// Ends the answer.
    pub(super) fn end(mut self, result: Result<(), Failed>) {
        let (code, message) = match result {
            Ok(()) => (0, String::new()),
            Err(failed) => (failed.code, failed.message),
        };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(code));
        if let Ok(message) = HeaderValue::from_str(&percent_encoded(&message)) {
            trailers.insert("grpc-message", message);
        }
        // Nobody is there to be told that the stream is gone.
        let _ = self.0.send_trailers(trailers);
    }
}

/// A status message as gRPC wants it.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
