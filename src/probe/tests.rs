//! The protocols of probes against servers that answer rightly, wrongly, slowly, endlessly or not at
//! all. The real servers are asked in the tests of the engine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::dial::{Connection, DialError, Dialler};
use super::*;

/// What a server does with a connection.
type Server = Box<dyn Fn(DuplexStream) -> BoxFuture<'static, ()> + Send + Sync>;

/// Dials a server in this process.
struct InMemory {
    server: Server,
    dialled: Mutex<Vec<SocketAddr>>,
}

#[async_trait]
impl Dialler for InMemory {
    async fn dial(&self, address: SocketAddr) -> Result<Box<dyn Connection>, DialError> {
        self.dialled.lock().expect("not poisoned").push(address);
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn((self.server)(theirs));
        Ok(Box::new(ours))
    }
}

fn dialler(server: Server) -> InMemory {
    InMemory {
        server,
        dialled: Mutex::default(),
    }
}

/// A server that says something when it has heard something, whatever that was; the first of the
/// pieces comes at once where it greets first.
fn says(greets: bool, pieces: Vec<Vec<u8>>) -> InMemory {
    dialler(Box::new(move |mut stream| {
        let pieces = pieces.clone();
        Box::pin(async move {
            let mut heard = [0; 4096];
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 || !greets {
                    let Ok(1..) = stream.read(&mut heard).await else {
                        return;
                    };
                }
                if stream.write_all(piece).await.is_err() {
                    return;
                }
            }
            let _ = stream.read(&mut heard).await;
        })
    }))
}

/// One attempt at a container's port.
async fn ask(dialler: &InMemory, probe: NetworkProbe) -> Result<(), Reason> {
    let address = IpAddr::V4(Ipv4Addr::new(10, 232, 0, 2));
    attempt(dialler, &probe, ("web", address), Duration::from_secs(10)).await
}

const fn server(protocol: Protocol) -> NetworkProbe {
    NetworkProbe::Server { protocol, port: 1 }
}

fn http() -> HttpProbe {
    HttpProbe {
        port: 8080,
        path: "/".to_owned(),
        head_only: false,
        headers: Vec::new(),
        status: Vec::new(),
        body: None,
        redirects: 0,
        tls: None,
    }
}

/// Every probe that is asked over the network, but for those that only connect.
fn talkers() -> Vec<NetworkProbe> {
    let mut probes: Vec<NetworkProbe> = Protocol::ALL.map(server).to_vec();
    probes.push(NetworkProbe::Grpc {
        port: 1,
        service: String::new(),
    });
    probes.push(NetworkProbe::Http(Box::new(http())));
    probes.push(NetworkProbe::Http(Box::new(HttpProbe {
        body: Some(Pattern::new("never")),
        ..http()
    })));
    probes.push(NetworkProbe::Http(Box::new(HttpProbe {
        tls: Some(Verification::Insecure),
        ..http()
    })));
    probes
}

fn mysql_packet(number: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![u8::try_from(body.len()).expect("short"), 0, 0, number];
    packet.extend_from_slice(body);
    packet
}

#[tokio::test]
async fn servers_that_serve_are_ready() {
    let amqp = b"\x01\x00\x00\x00\x00\x00\x0c\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x00\x00";
    let info = b"INFO {\"server_id\":\"x\"}\r\n".to_vec();
    let cases = [
        (
            Protocol::Postgres,
            says(false, vec![b"R\0\0\0\x08\0\0\0\0".to_vec()]),
        ),
        (
            Protocol::Mysql,
            says(
                true,
                vec![
                    mysql_packet(0, b"\x0a8.0.36\0rest"),
                    mysql_packet(2, b"\xff\x15\x04#28000Access denied"),
                ],
            ),
        ),
        (Protocol::Redis, says(false, vec![b"+PONG\r\n".to_vec()])),
        (Protocol::Rabbitmq, says(false, vec![amqp.to_vec()])),
        (
            Protocol::Memcached,
            says(false, vec![b"VERSION 1\r\n".to_vec()]),
        ),
        (Protocol::Nats, says(true, vec![info, b"PONG\r\n".to_vec()])),
        (
            Protocol::Nats,
            says(true, vec![b"INFO {\"tls_required\":true}\r\n".to_vec()]),
        ),
    ];
    for (protocol, dialler) in cases {
        let answer = ask(&dialler, server(protocol)).await;
        assert_eq!(answer, Ok(()), "{protocol}");
    }
}

#[tokio::test]
async fn servers_that_do_not_serve_yet_say_why() {
    let cases = [
        (
            Protocol::Postgres,
            says(
                false,
                vec![b"E\0\0\0\x20SFATAL\0C57P03\0Mstarting up\0\0\0\0".to_vec()],
            ),
            "starting up",
        ),
        (
            Protocol::Mysql,
            says(
                true,
                vec![mysql_packet(0, b"\xff\x10\x04#08004Too many connections")],
            ),
            "error 1040: Too many connections",
        ),
        (
            Protocol::Redis,
            says(false, vec![b"-LOADING Redis is loading\r\n".to_vec()]),
            "LOADING Redis is loading",
        ),
        (
            Protocol::Memcached,
            says(false, vec![b"ERROR Too many open connections\r\n".to_vec()]),
            "ERROR Too many open connections",
        ),
        (
            Protocol::Nats,
            says(
                true,
                vec![
                    b"INFO {}\r\n".to_vec(),
                    b"-ERR 'maximum connections exceeded'\r\n".to_vec(),
                ],
            ),
            "'maximum connections exceeded'",
        ),
    ];
    for (protocol, dialler, why) in cases {
        let answer = ask(&dialler, server(protocol)).await;
        assert_eq!(answer, Err(Reason::NotYet(why.to_owned())), "{protocol}");
    }
    let other = says(false, vec![b"AMQP\0\x01\0\0".to_vec()]);
    let answer = ask(&other, server(Protocol::Rabbitmq)).await;
    assert!(matches!(answer, Err(Reason::Foreign(_))), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_costs_the_limit_and_no_more() {
    for probe in talkers() {
        let silent = dialler(Box::new(|stream| {
            Box::pin(async move {
                let _open = stream;
                std::future::pending::<()>().await;
            })
        }));
        let answer = ask(&silent, probe.clone()).await;
        let limit = Duration::from_secs(10);
        assert_eq!(answer, Err(Reason::Silent(limit)), "{probe}");
    }
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_not_ready() {
    for probe in talkers() {
        let closing = dialler(Box::new(|stream| Box::pin(async move { drop(stream) })));
        let answer = ask(&closing, probe.clone()).await;
        assert!(
            matches!(answer, Err(Reason::Closed(_) | Reason::Foreign(_))),
            "{probe}: {answer:?}"
        );
    }
}

/// Endless answers end by what is read of them at most, or by the limit; garbage ends at once or is
/// waited out. Nobody passes, and nobody panics.
#[tokio::test(start_paused = true)]
async fn garbage_and_endless_answers_are_bounded() {
    let fillings: [&'static [u8]; 8] = [
        b"\0",
        b"\n",
        b"x",
        b"\xff",
        b"\x16\x03\x03\x40\x00",
        b"HTTP/1.1 200 OK\r\nx: ",
        b"INFO {}\r\n",
        b"-",
    ];
    for filling in fillings {
        for probe in talkers() {
            let endless = dialler(Box::new(move |mut stream| {
                Box::pin(async move {
                    let piece = filling.repeat(500);
                    while stream.write_all(&piece).await.is_ok() {}
                })
            }));
            let answer = ask(&endless, probe.clone()).await;
            assert!(answer.is_err(), "{probe} passed with {filling:?}");
        }
    }
}

/// A byte a second: the limit of the attempt holds over all of it.
#[tokio::test(start_paused = true)]
async fn a_slow_drip_ends_with_the_limit() {
    for probe in talkers() {
        let slow = dialler(Box::new(|mut stream| {
            Box::pin(async move {
                // What each protocol would have to go on listening to.
                for byte in b"INFO {                                  " {
                    crate::clock::pause(Duration::from_secs(1)).await;
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            })
        }));
        let begun = crate::clock::now();
        let answer = ask(&slow, probe.clone()).await;
        assert!(answer.is_err(), "{probe}");
        assert!(begun.elapsed() <= Duration::from_secs(10), "{probe}");
    }
}

fn response(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

async fn ask_http(answer: &[u8], probe: HttpProbe) -> Result<(), Reason> {
    let web = says(false, vec![answer.to_vec()]);
    ask(&web, NetworkProbe::Http(Box::new(probe))).await
}

#[tokio::test]
async fn http_answers_are_judged_by_status_and_body() {
    let good = response("200 OK", "{\"status\": \"up\"}");
    assert_eq!(ask_http(&good, http()).await, Ok(()));
    let body = HttpProbe {
        body: Some(Pattern::new("\"status\": *\"up\"")),
        ..http()
    };
    assert_eq!(ask_http(&good, body.clone()).await, Ok(()));
    let other = response("200 OK", "down");
    let answer = ask_http(&other, body).await;
    assert!(matches!(answer, Err(Reason::NotYet(_))), "{answer:?}");
    let answer = ask_http(&response("503 No", ""), http()).await;
    assert_eq!(answer, Err(Reason::NotYet("status 503".to_owned())));
    // A redirect is an answer like others, unless redirects are followed.
    let moved = response("302 Found\r\nlocation: /loop", "");
    assert_eq!(ask_http(&moved, http()).await, Ok(()));
    for redirects in [1, 5] {
        let follow = HttpProbe {
            redirects,
            ..http()
        };
        let web = says(false, vec![moved.clone()]);
        let answer = ask(&web, NetworkProbe::Http(Box::new(follow))).await;
        let why = format!("redirected more than {redirects} times");
        assert_eq!(answer, Err(Reason::NotYet(why)));
        let dialled = web.dialled.lock().expect("not poisoned").len();
        assert_eq!(dialled, redirects as usize + 1);
    }
    let away = response("302 Found\r\nlocation: http://elsewhere.example/", "");
    let follow = HttpProbe {
        redirects: 5,
        ..http()
    };
    let answer = ask_http(&away, follow).await;
    assert!(
        matches!(&answer, Err(Reason::NotYet(why)) if why.contains("somewhere else")),
        "{answer:?}"
    );
}

/// The body is looked at up to its first 256 KiB.
#[tokio::test]
async fn an_endless_body_is_read_to_a_limit() {
    for (beginning, passes) in [("", false), ("up", true)] {
        let endless = dialler(Box::new(move |mut stream| {
            Box::pin(async move {
                let mut heard = [0; 4096];
                let _ = stream.read(&mut heard).await;
                let head = format!("HTTP/1.1 200 OK\r\n\r\n{beginning}");
                let _ = stream.write_all(head.as_bytes()).await;
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            })
        }));
        let probe = HttpProbe {
            body: Some(Pattern::new("^up")),
            ..http()
        };
        let answer = ask(&endless, NetworkProbe::Http(Box::new(probe))).await;
        assert_eq!(answer.is_ok(), passes, "{answer:?}");
    }
}

/// What the readers of files accept at most does not hold up a run for long.
#[test]
fn the_worst_expressions_on_the_longest_lines_take_no_time_to_speak_of() {
    // In all this text, a match may begin anywhere and never ends.
    let text = "a".repeat(8 << 10);
    for pattern in [
        "(a*)*b",
        "(a|aa)+$b",
        "a{300}b",
        "(a+)+(a+)+(a+)+b",
        ".*.*.*=.*b",
    ] {
        let begun = std::time::Instant::now();
        assert!(!Pattern::new(pattern).matches(&text), "{pattern}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{pattern}");
    }
}
