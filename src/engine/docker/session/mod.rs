//! A session of BuildKit: what a build asks its client for while it goes on.
//!
//! The engine turns the connection around and becomes a client of gRPC on it. It is offered the
//! files of the context, the secrets and the SSH agents of this one build, and the user's credentials
//! for the registries of its base images, and nothing else. Source:
//! `moby/buildkit`, package `session`. gRPC is a page of code on top of HTTP/2, and the six
//! methods that are offered are simpler than a framework for any number of them.

pub(super) use self::files::DOCKERFILE;

mod agent;
mod credentials;
mod files;
mod follow;
mod rpc;
mod secrets;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use h2::RecvStream;
use h2::server::SendResponse;
use http_body_util::Empty;
use hyper::http::{HeaderValue, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use self::rpc::{Failed, Incoming, Outgoing, UNIMPLEMENTED};
use super::context::Context;
use super::error::root_cause;
use crate::engine::BuildSecret;

/// What is read of a connection before the engine is told to wait: enough for the few requests that
/// it makes, while files go the other way.
const WINDOW: u32 = 1 << 20;

const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// What a build may ask for.
#[derive(Debug)]
pub(super) struct Offer {
    /// The files and the Dockerfile; `None` where the engine fetches them by itself.
    pub(super) context: Option<Context>,
    /// Secrets by id.
    pub(super) secrets: BTreeMap<String, BuildSecret>,
    /// Sockets of SSH agents by id.
    pub(super) ssh: BTreeMap<String, PathBuf>,
}

/// What is known on this side of a build alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    problem: Option<String>,
    handed_out: Vec<String>,
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(formatter)
    }
}

/// Shortest line of a secret that is masked: shorter ones stand in anything.
const SHORTEST_MASKED: usize = 8;

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What went wrong here, which the engine may tell in other words or not at all. The first one
    /// is kept: what follows comes from it.
    fn problem(&self, message: String) {
        self.lock().problem.get_or_insert(message);
    }

    pub(super) fn take_problem(&self) -> Option<String> {
        self.lock().problem.take()
    }

    /// That a command gets to see a secret, and may print it.
    fn handed_out(&self, secret: &[u8]) {
        let text = String::from_utf8_lossy(secret);
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| line.len() >= SHORTEST_MASKED);
        let mut noted = self.lock();
        noted.handed_out.extend(lines.map(str::to_owned));
        // The longest first, since one may stand in another.
        noted
            .handed_out
            .sort_by_key(|line| std::cmp::Reverse(line.len()));
    }

    /// The text without the secrets that were handed out.
    pub(super) fn masked(&self, text: String) -> String {
        let noted = self.lock();
        noted.handed_out.iter().fold(text, |text, secret| {
            if text.contains(secret) {
                text.replace(secret, "***")
            } else {
                text
            }
        })
    }
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The connection broke.
    Lost(String),
    /// The engine answered that it does not do that; the offer is given back.
    Declined(Box<Offer>, String),
}

/// An open session.
pub(super) struct Session<S> {
    connection: h2::server::Connection<S, Bytes>,
    shared: Arc<Shared>,
}

struct Shared {
    offer: Offer,
    notes: Notes,
}

/// The stream that a session runs on.
pub(super) type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// Opens a session with this id over a connection to the engine.
pub(super) async fn open(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    id: &str,
    offer: Offer,
) -> Result<(Session<Upgraded>, Notes), Refusal> {
    let lost = |error: hyper::Error| Refusal::Lost(root_cause(&error));
    let mut request = Request::post("/session").body(Empty::<Bytes>::new());
    if let Ok(request) = &mut request {
        let headers = request.headers_mut();
        headers.insert("host", HeaderValue::from_static("docker"));
        headers.insert("connection", HeaderValue::from_static("Upgrade"));
        headers.insert("upgrade", HeaderValue::from_static("h2c"));
        let pairs = [
            ("x-docker-expose-session-uuid", id),
            ("x-docker-expose-session-name", "envrun"),
            // With a key of its own the engine never takes files of an earlier build for those of
            // this one, however alike their sizes and times are.
            ("x-docker-expose-session-sharedkey", id),
        ];
        let methods = [
            files::METHOD,
            secrets::METHOD,
            agent::CHECK,
            agent::FORWARD,
            credentials::METHOD,
            HEALTH,
        ];
        let methods = methods.map(|method| ("x-docker-expose-session-grpc-method", method));
        for (name, value) in pairs.into_iter().chain(methods) {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(name, value);
            }
        }
    }
    let request = request.map_err(|error| Refusal::Lost(error.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(lost)?;
    let connection = connection.with_upgrades();
    let exchange = async move {
        let mut response = sender.send_request(request).await.map_err(Ok)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status();
            let message = format!("it answers {status} when a session is asked for");
            return Err(Err(message));
        }
        hyper::upgrade::on(&mut response).await.map_err(Ok)
    };
    // The connection ends when it is handed over, or when there is nothing more to say on it.
    let (upgraded, _) = futures::future::join(exchange, connection).await;
    let upgraded = match upgraded {
        Ok(upgraded) => upgraded,
        Err(Ok(error)) => return Err(lost(error)),
        Err(Err(message)) => return Err(Refusal::Declined(Box::new(offer), message)),
    };
    let connection = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(TokioIo::new(upgraded))
        .await
        .map_err(|error| Refusal::Lost(error.to_string()))?;
    let notes = Notes::default();
    let shared = Arc::new(Shared {
        offer,
        notes: notes.clone(),
    });
    Ok((Session { connection, shared }, notes))
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Answers calls until the engine closes the connection. Dropping the future ends the session
    /// with everything that it is sending.
    pub(super) async fn serve(mut self) {
        let mut calls = FuturesUnordered::new();
        loop {
            tokio::select! {
                call = self.connection.accept() => match call {
                    Some(Ok((request, respond))) => {
                        calls.push(answer(Arc::clone(&self.shared), request, respond));
                    }
                    _ => return,
                },
                Some(()) = calls.next(), if !calls.is_empty() => {}
            }
        }
    }
}

async fn answer(shared: Arc<Shared>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let (head, body) = request.into_parts();
    let mut incoming = Incoming::new(body);
    let Ok(mut outgoing) = Outgoing::begin(respond) else {
        return;
    };
    let calls = (&mut incoming, &mut outgoing);
    let result = match head.uri.path() {
        files::METHOD => match &shared.offer.context {
            Some(context) => {
                let asked = files::Asked::of(&head.headers);
                files::serve(context, asked, calls, &shared.notes).await
            }
            None => Err(Failed::new(rpc::NOT_FOUND, "this build has no directory")),
        },
        secrets::METHOD => secrets::serve(&shared.offer.secrets, calls, &shared.notes).await,
        agent::CHECK => agent::check(&shared.offer.ssh, calls).await,
        agent::FORWARD => agent::forward(&shared.offer.ssh, &head.headers, calls).await,
        credentials::METHOD => credentials::serve(calls).await,
        HEALTH => health(calls).await,
        method => Err(Failed::new(UNIMPLEMENTED, format!("there is no {method}"))),
    };
    outgoing.end(result);
}

/// `grpc.health.v1`: whether the session is alive.
async fn health((_, outgoing): (&mut Incoming, &mut Outgoing)) -> Result<(), Failed> {
    #[derive(Clone, PartialEq, prost::Message)]
    struct HealthCheckResponse {
        #[prost(int32, tag = "1")]
        status: i32,
    }
    const SERVING: i32 = 1;
    outgoing
        .send(&HealthCheckResponse { status: SERVING })
        .await
}

/// The content of a secret's file.
fn read_secret(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| super::context::about(path, &error))
}
