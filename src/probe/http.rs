//! Readiness kinds `http` and `https`: a request is answered as wanted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::future::{Either, select};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{HOST, LOCATION};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use url::Url;

use super::conversation::shown;
use super::dial::Dialler;
use super::tls::{self, Verification};
use super::{Pattern, Reason};

/// Longest body that an expression is looked for in.
const LONGEST_BODY: usize = 256 << 10;

/// Longest head of an answer.
const LONGEST_HEAD: usize = 64 << 10;

/// What is accepted where the user names no status.
const USUAL_STATUS: RangeInclusive<u16> = 200..=399;

/// What is asked for, and what answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Port in the container.
    pub port: u16,
    /// Path with query.
    pub path: String,
    /// Whether only the head is asked for.
    pub head_only: bool,
    /// Headers of the request.
    pub headers: Vec<(String, String)>,
    /// Status wanted; empty accepts 200 to 399.
    pub status: Vec<RangeInclusive<u16>>,
    /// What the body has to match, within its first 256 KiB.
    pub body: Option<Pattern>,
    /// Redirects followed at most, to this container only.
    pub redirects: u32,
    /// `https`, and how the certificate is judged.
    pub tls: Option<Verification>,
}

impl fmt::Display for HttpProbe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.tls.is_some() { "https" } else { "http" };
        write!(formatter, "{kind} {}{}", self.port, self.path)
    }
}

impl HttpProbe {
    /// The name by which the server is asked: the header `Host`, or the service.
    fn host<'name>(&'name self, service: &'name str) -> &'name str {
        let named = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"));
        match named {
            // Without its port.
            Some((_, value)) => match value.rsplit_once(':') {
                Some((host, port)) if port.parse::<u16>().is_ok() => host,
                _ => value,
            },
            None => service,
        }
    }

    fn accepts(&self, status: u16) -> bool {
        match self.status.as_slice() {
            [] => USUAL_STATUS.contains(&status),
            ranges => ranges.iter().any(|range| range.contains(&status)),
        }
    }
}

/// Asks over a new connection, follows what redirects it may, and judges the last answer.
pub(super) async fn attempt(
    dialler: &dyn Dialler,
    (service, address): (&str, IpAddr),
    probe: &HttpProbe,
) -> Result<(), Reason> {
    let host = probe.host(service);
    let scheme = if probe.tls.is_some() { "https" } else { "http" };
    let start = format!("{scheme}://{}:{}", bracketed(host), probe.port);
    let mut url = Url::parse(&start)
        .and_then(|base| base.join(&probe.path))
        .map_err(|error| Reason::NotYet(format!("`{start}` is no address: {error}")))?;
    let mut path = probe.path.clone();
    let mut redirects = 0;
    loop {
        let answer = exchange(dialler, address, (&url, &path), probe).await?;
        let Some(location) = answer.location.filter(|_| probe.redirects > 0) else {
            return judge(probe, answer.status, &answer.body);
        };
        if redirects == probe.redirects {
            let text = format!("redirected more than {redirects} times");
            return Err(Reason::NotYet(text));
        }
        redirects += 1;
        url = within(&url, &location, (host, service, address))?;
        path = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
    }
}

/// A host as it stands in an address.
fn bracketed(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    }
}

/// Where a redirect leads. A probe asks the container and nobody else.
fn within(
    from: &Url,
    location: &str,
    (host, service, address): (&str, &str, IpAddr),
) -> Result<Url, Reason> {
    let url = from
        .join(location)
        .map_err(|_invalid| Reason::NotYet(format!("redirects to `{}`", shown(location))))?;
    let name = url.host_str().unwrap_or_default();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_own = [host, service, "localhost"].contains(&name)
        || name
            .parse::<IpAddr>()
            .is_ok_and(|named| named == address || named.is_loopback());
    if is_own && matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    Err(Reason::NotYet(format!(
        "redirects to `{}`, which is somewhere else",
        shown(url.as_str())
    )))
}

struct Answer {
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
}

async fn exchange(
    dialler: &dyn Dialler,
    address: IpAddr,
    (url, path): (&Url, &str),
    probe: &HttpProbe,
) -> Result<Answer, Reason> {
    let is_secure = url.scheme() == "https";
    let port = url.port_or_known_default().unwrap_or(probe.port);
    let host = url.host_str().unwrap_or_default();
    let mut stream = dialler.dial(SocketAddr::new(address, port)).await?;
    if is_secure {
        // A redirect from `http` may lead here; nothing says that its certificate may be anything.
        let verification = probe.tls.as_ref().unwrap_or(&Verification::Trusted);
        let name = host.trim_start_matches('[').trim_end_matches(']');
        stream = tls::secure(stream, name, verification).await?;
    }
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let mut request = Request::builder()
        .method(if probe.head_only {
            Method::HEAD
        } else {
            Method::GET
        })
        .uri(path)
        .header(HOST, format!("{host}:{port}"))
        .header("user-agent", concat!("envrun/", env!("CARGO_PKG_VERSION")))
        .header("accept", "*/*")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(&error))?;
    for (name, value) in &probe.headers {
        let name = name.parse::<hyper::header::HeaderName>();
        let value = value.parse::<hyper::header::HeaderValue>();
        if let (Ok(name), Ok(value)) = (name, value) {
            request.headers_mut().insert(name, value);
        }
    }
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        answer(response, probe.body.is_some()).await
    };
    // The connection is driven beside the request and dropped with it.
    futures::pin_mut!(exchange, connection);
    match select(exchange, connection).await {
        Either::Left((answer, _connection)) => answer,
        Either::Right((_closed, exchange)) => exchange.await,
    }
}

/// The body is read only where somebody looks at it, and not to its end where it has none.
async fn answer(response: Response<Incoming>, wants_body: bool) -> Result<Answer, Reason> {
    let (head, mut incoming) = response.into_parts();
    let location = head
        .status
        .is_redirection()
        .then(|| head.headers.get(LOCATION))
        .flatten()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut body = Vec::new();
    while wants_body && body.len() < LONGEST_BODY {
        let Some(frame) = incoming.frame().await else {
            break;
        };
        let frame = frame.map_err(|error| broken(&error))?;
        if let Some(data) = frame.data_ref() {
            let room = LONGEST_BODY - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(Answer {
        status: head.status.as_u16(),
        location,
        body,
    })
}

fn judge(probe: &HttpProbe, status: u16, body: &[u8]) -> Result<(), Reason> {
    if !probe.accepts(status) {
        return Err(Reason::NotYet(format!("status {status}")));
    }
    let Some(pattern) = &probe.body else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(body);
    if pattern.matches(&text) {
        return Ok(());
    }
    let beginning: String = text.chars().take(80).collect();
    Err(Reason::NotYet(match shown(&beginning) {
        shown if shown.is_empty() => format!("status {status}, and the body is empty"),
        shown => format!("status {status}, and the body does not match: {shown}"),
    }))
}

/// An error with its sources, in one line.
fn broken(error: &dyn std::error::Error) -> Reason {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    Reason::Closed(shown(&text.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> HttpProbe {
        HttpProbe {
            port: 80,
            path: "/".to_owned(),
            head_only: false,
            headers: Vec::new(),
            status: Vec::new(),
            body: None,
            redirects: 0,
            tls: None,
        }
    }

    #[test]
    fn redirects_lead_nowhere_but_into_the_container() {
        let from = Url::parse("http://web:8080/a").expect("valid");
        let address: IpAddr = "10.232.0.2".parse().expect("valid");
        let lead = |location: &str| {
            within(&from, location, ("web", "web", address)).map(|url| url.to_string())
        };
        assert_eq!(lead("/b?c=1"), Ok("http://web:8080/b?c=1".to_owned()));
        assert_eq!(lead("https://web/b"), Ok("https://web/b".to_owned()));
        assert_eq!(lead("//10.232.0.2/b"), Ok("http://10.232.0.2/b".to_owned()));
        for elsewhere in [
            "http://example.com/",
            "ftp://web/",
            "//10.232.0.3/",
            "http://:",
        ] {
            assert!(lead(elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn status_and_body_are_judged_together() {
        let mut probe = probe();
        assert!(judge(&probe, 302, b"").is_ok());
        assert!(judge(&probe, 404, b"").is_err());
        probe.status = vec![204..=204, 500..=599];
        assert!(judge(&probe, 503, b"").is_ok());
        assert!(judge(&probe, 200, b"").is_err());
        probe.status.clear();
        probe.body = Some(Pattern::new("\"up\""));
        assert!(judge(&probe, 200, b"{\"status\": \"up\"}").is_ok());
        let down = judge(&probe, 200, b"{\"status\":\n \"down\"}");
        let text = down.expect_err("no match").to_string();
        assert_eq!(
            text,
            "status 200, and the body does not match: {\"status\": \"down\"}"
        );
    }

    #[test]
    fn the_host_header_names_the_server() {
        let mut probe = probe();
        assert_eq!(probe.host("web"), "web");
        probe.headers = vec![("host".to_owned(), "shop.example:8443".to_owned())];
        assert_eq!(probe.host("web"), "shop.example");
    }
}
