//! As much of HTTP/1.1 (RFC 9112) as a suite needs to say what it wishes: one request a connection, of
//! bounded size.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::clock;
use crate::fault::RequestError;

/// Bytes of a request line and its headers at most.
const HEAD: usize = 8 << 10;

/// Bytes of a body at most.
const BODY: usize = 4 << 10;

/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long an answer may take to be read.
const DEPARTURE: Duration = Duration::from_secs(10);

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: String,
    /// The parts of the path, decoded.
    pub(super) path: Vec<String>,
    /// The pairs of the query, and of a form in the body.
    pub(super) pairs: Vec<(String, String)>,
    /// The body as text.
    pub(super) body: String,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The content.
    pub content: Value,
}

impl Answer {
    /// An answer.
    #[must_use]
    pub const fn new(status: u16, content: Value) -> Self {
        Self { status, content }
    }

    /// A refusal.
    #[must_use]
    pub fn refusal(status: u16, problem: &str, hint: Option<&str>) -> Self {
        let mut content = json!({ "error": problem });
        if let Some(hint) = hint {
            content["hint"] = Value::from(hint);
        }
        Self { status, content }
    }

    /// The refusal of what makes no sense.
    #[must_use]
    pub fn wrong(status: u16, error: &RequestError) -> Self {
        Self::refusal(status, &error.problem, Some(&error.hint))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            201 => "Created",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            409 => "Conflict",
            410 => "Gone",
            411 => "Length Required",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            _ => "Bad Request",
        };
        let content = format!("{}\n", self.content);
        let head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.status,
            content.len()
        );
        [head, content].concat().into_bytes()
    }
}

/// Reads a request.
///
/// # Errors
/// It is none, or too long, or too slow; with what is to be answered.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Asked, Answer> {
    clock::within(ARRIVAL, arrive(stream))
        .await
        .unwrap_or_else(|reached| Err(Answer::refusal(408, &reached.to_string(), None)))
}

async fn arrive(stream: &mut (impl AsyncRead + Unpin)) -> Result<Asked, Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > HEAD {
            return Err(Answer::refusal(431, "the headers are too long", None));
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    let length = length(&head)?;
    while body.len() < length {
        more(stream, &mut body).await?;
    }
    body.truncate(length);
    let Ok(body) = String::from_utf8(body) else {
        return Err(wrong("the body is no text"));
    };
    asked(&head, body)
}

async fn more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<(), Answer> {
    match stream.read_buf(bytes).await {
        Ok(length) if length > 0 => Ok(()),
        _ => Err(wrong("the request ends too early")),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn wrong(problem: &str) -> Answer {
    Answer::refusal(400, problem, None)
}

/// How long the body is.
fn length(head: &str) -> Result<usize, Answer> {
    let headers = head.split("\r\n").skip(1);
    let mut length = None;
    for header in headers {
        let Some((name, value)) = header.split_once(':') else {
            return Err(wrong("a header has no colon"));
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Answer::refusal(
                411,
                "a body needs a `Content-Length`",
                None,
            ));
        }
        if name.eq_ignore_ascii_case("content-length") {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            // One that is too large for a number is too large.
            let said = value.parse().unwrap_or(usize::MAX);
            if !is_number || length.is_some_and(|length| length != said) {
                return Err(wrong("`Content-Length` is no number"));
            }
            length = Some(said);
        }
    }
    let length = length.unwrap_or(0);
    if length > BODY {
        return Err(Answer::refusal(413, "the body is too long", None));
    }
    Ok(length)
}

fn asked(head: &str, body: String) -> Result<Asked, Answer> {
    let line = head.split("\r\n").next().unwrap_or_default();
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = words.as_slice() else {
        return Err(wrong("the request line has not three words"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(wrong("the request is not of HTTP/1"));
    }
    // Whoever believes to speak to a proxy names the host as well.
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decoded = |text: &str, plus| {
        decode(text, plus).ok_or_else(|| wrong("the address is not well encoded"))
    };
    let path: Result<Vec<String>, Answer> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| decoded(part, false))
        .collect();
    let mut pairs = Vec::new();
    let form = body.trim();
    let form = if form.contains(char::is_whitespace) {
        ""
    } else {
        form
    };
    for pair in query.split('&').chain(form.split('&')) {
        if let Some((name, value)) = pair.split_once('=') {
            pairs.push((decoded(name, true)?, decoded(value, true)?));
        } else if !pair.is_empty() && !query.is_empty() {
            return Err(wrong("the query is no list of `NAME=VALUE`"));
        }
    }
    Ok(Asked {
        method: (*method).to_owned(),
        path: path?,
        pairs,
        body,
    })
}

/// What stands behind percent signs (RFC 3986), and in forms behind plus signs.
fn decode(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Writes an answer. Whoever does not read it has no use for it.
pub(super) async fn answer(stream: &mut (impl AsyncWrite + Unpin), answer: &Answer) {
    let bytes = answer.to_bytes();
    let writing = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    let _ = clock::within(DEPARTURE, writing).await;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn status(request: &[u8]) -> Result<Asked, u16> {
        let mut request = request;
        arrive(&mut request).await.map_err(|answer| answer.status)
    }

    #[tokio::test]
    async fn requests_are_read_as_curl_and_python_write_them() {
        let asked = status(
            b"POST /token/partition?a=api&b=my%2Ddb&for=5s HTTP/1.1\r\nHost: x:7070\r\nContent-Length: 0\r\n\r\n",
        );
        let asked = asked.await.expect("a request");
        assert_eq!(asked.path, ["token", "partition"]);
        let pairs: Vec<String> = asked
            .pairs
            .iter()
            .map(|(a, b)| format!("{a}={b}"))
            .collect();
        assert_eq!(pairs, ["a=api", "b=my-db", "for=5s"]);
        let form = b"POST http://x:7070/token/drop HTTP/1.0\r\ncontent-length: 16\r\n\r\na=api&percent=30trailing";
        let asked = status(form).await.expect("a request");
        assert_eq!(asked.path, ["token", "drop"]);
        assert_eq!(asked.pairs.len(), 2);
        let text = b"POST /token HTTP/1.1\r\nContent-Length: 15\r\n\r\npause db for=1s";
        let asked = status(text).await.expect("a request");
        assert_eq!(
            (asked.body.as_str(), asked.pairs.len()),
            ("pause db for=1s", 0)
        );
    }

    #[tokio::test]
    async fn what_is_no_request_is_answered() {
        let long = [b"GET /".as_slice(), &[b'a'; 10_000]].concat();
        for (request, expected) in [
            (b"".as_slice(), 400),
            (b"GET / HTTP/1.1\r\n", 400),
            (b"GET /\r\n\r\n", 400),
            (b"GET / HTTP/2\r\n\r\n", 400),
            (b"GET /%zz HTTP/1.1\r\n\r\n", 400),
            (b"GET /%ff HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
                400,
            ),
            (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12", 400),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                413,
            ),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                411,
            ),
            (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n\xff\xfe", 400),
            (&long, 431),
        ] {
            assert_eq!(
                status(request).await,
                Err(expected),
                "{}",
                String::from_utf8_lossy(request)
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), prefix in "(GET|POST) /[a-z%?&=]{0,20}( HTTP/1.1\r\n\r\n)?") {
            let request = [prefix.as_bytes(), &bytes].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let _ = runtime.block_on(status(&request));
        }
    }
}
