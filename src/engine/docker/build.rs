//! Builds: BuildKit through `POST /build?version=2` with a plain tar and no session.
//!
//! bollard offers BuildKit only with a gRPC session and seventy further crates, and cannot read
//! BuildKit's reports without, so this one request is sent with hyper. Where the engine is behind
//! TLS, the classic builder is used through bollard.

use std::collections::{BTreeSet, HashMap};
use std::io;

use bollard::Docker;
use bollard::query_parameters::BuildImageOptionsBuilder;
use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use super::connect::Endpoint;
use super::context::Context;
use super::error::{root_cause, translate};
use super::trace::Trace;
use crate::engine::{BuildSpec, EngineError, FailureKind};
use crate::image::dockerfile::{Surroundings, rewrite};
use crate::name::ImageId;

/// Size of the pieces in which the context travels.
const PIECE: usize = 64 << 10;

/// Longest line of the engine's answer.
const LONGEST_REPORT: usize = 16 << 20;

/// One line of the engine's answer.
#[derive(Deserialize)]
struct Report {
    id: Option<String>,
    aux: Option<serde_json::Value>,
    error: Option<String>,
}

pub(super) async fn build(
    docker: &Docker,
    endpoint: &Endpoint,
    spec: &BuildSpec,
) -> Result<ImageId, EngineError> {
    let attempt = format!("build image from `{}`", spec.context.display());
    let fail = |kind, message: String| EngineError {
        attempt: attempt.clone(),
        kind,
        message,
    };
    let wanted = spec.clone();
    let context = tokio::task::spawn_blocking(move || open(&wanted))
        .await
        .map_err(|error| fail(FailureKind::Internal, error.to_string()))?
        .map_err(|error| fail(FailureKind::NotFound, error.to_string()))?;
    match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            let stream =
                stream.map_err(|error| fail(FailureKind::Unreachable, error.to_string()))?;
            buildkit(stream, spec, context, &attempt).await
        }
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect(address.as_str()).await;
            let stream =
                stream.map_err(|error| fail(FailureKind::Unreachable, error.to_string()))?;
            buildkit(stream, spec, context, &attempt).await
        }
        Endpoint::Tls(_) => classic(docker, spec, context, &attempt).await,
    }
}

/// The context, with mirrors in the Dockerfile: the engine resolves `FROM` by itself.
fn open(spec: &BuildSpec) -> io::Result<Context> {
    let context = Context::open(&spec.context, &spec.dockerfile)?;
    if spec.mirrors.is_empty() {
        return Ok(context);
    }
    let surroundings = Surroundings {
        arguments: &spec.args,
        contexts: &BTreeSet::new(),
    };
    context.rewriting(|text| rewrite(text, surroundings, &spec.mirrors))
}

/// The context as a stream that a blocking task fills.
fn stream(context: Context) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(8);
    tokio::task::spawn_blocking(move || {
        let pieces = Pieces {
            sender: sender.clone(),
        };
        if let Err(error) = context.write(io::BufWriter::with_capacity(PIECE, pieces)) {
            // Nobody listens when the build was given up.
            let _ = sender.blocking_send(Err(error));
        }
    });
    futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
}

struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Ok(Bytes::copy_from_slice(bytes));
        self.sender
            .blocking_send(piece)
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn query(spec: &BuildSpec, context: &Context) -> String {
    let json = |map: &std::collections::BTreeMap<String, String>| {
        serde_json::to_string(map).unwrap_or_default()
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("version", "2")
        .append_pair("t", &spec.name)
        .append_pair("dockerfile", &context.dockerfile)
        .append_pair("buildargs", &json(&spec.args))
        .append_pair("labels", &json(&spec.labels))
        .append_pair("rm", "1")
        .append_pair("forcerm", "1");
    if let Some(target) = &spec.target {
        query.append_pair("target", target);
    }
    query.finish()
}

async fn buildkit(
    stream_to_engine: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    spec: &BuildSpec,
    context: Context,
    attempt: &str,
) -> Result<ImageId, EngineError> {
    let fail = |kind, message: String| EngineError {
        attempt: attempt.to_owned(),
        kind,
        message,
    };
    let lost = |error: hyper::Error| fail(FailureKind::Unreachable, root_cause(&error));
    let uri = format!("/build?{}", query(spec, &context));
    let body = StreamBody::new(stream(context).map(|piece| piece.map(Frame::data)));
    let request = hyper::Request::post(uri)
        .header("host", "docker")
        .header("content-type", "application/x-tar")
        .body(body)
        .map_err(|error| fail(FailureKind::Internal, error.to_string()))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream_to_engine))
            .await
            .map_err(lost)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(lost)?;
        let status = response.status();
        let mut body = response.into_body();
        let mut reading = Reading::default();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(lost)?.into_data() {
                reading
                    .push(&data)
                    .map_err(|message| fail(FailureKind::Internal, message))?;
            }
        }
        if !status.is_success() {
            let message = String::from_utf8_lossy(&reading.buffer).trim().to_owned();
            return Err(fail(FailureKind::Refused, message));
        }
        reading
            .finish()
            .map_err(|message| fail(FailureKind::Internal, message))
    };
    // The connection is driven beside the exchange, and dropped with it: that ends the build.
    futures::pin_mut!(exchange, connection);
    match futures::future::select(exchange, connection).await {
        futures::future::Either::Left((result, _connection)) => result,
        futures::future::Either::Right((Ok(()), exchange)) => exchange.await,
        futures::future::Either::Right((Err(error), _exchange)) => Err(lost(error)),
    }
}

/// The engine's answer, line by line.
#[derive(Default)]
struct Reading {
    buffer: Vec<u8>,
    trace: Trace,
    image: Option<ImageId>,
    error: Option<String>,
}

impl Reading {
    fn push(&mut self, data: &[u8]) -> Result<(), String> {
        self.buffer.extend_from_slice(data);
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            self.line(&line);
        }
        if self.buffer.len() > LONGEST_REPORT {
            return Err("the engine's answer cannot be understood: a line has no end".to_owned());
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        let Ok(report) = serde_json::from_slice::<Report>(line) else {
            return;
        };
        match (report.id.as_deref(), report.aux) {
            (Some("moby.buildkit.trace"), Some(serde_json::Value::String(encoded))) => {
                self.trace.record(&encoded)
            }
            (_, Some(aux)) => {
                self.image = aux
                    .get("ID")
                    .and_then(|id| id.as_str())
                    .map(ImageId::new)
                    .or(self.image.take());
            }
            _ => {}
        }
        if let Some(error) = report.error {
            self.error = Some(error);
        }
    }

    fn finish(mut self) -> Result<ImageId, String> {
        let last = std::mem::take(&mut self.buffer);
        self.line(&last);
        match (self.error, self.image) {
            (Some(error), _) => Err(match self.trace.failure() {
                Some(step) => format!("{error}\n{step}"),
                None => error,
            }),
            (None, Some(image)) => Ok(image),
            (None, None) => Err("the engine's answer ended without an image".to_owned()),
        }
    }
}

async fn classic(
    docker: &Docker,
    spec: &BuildSpec,
    context: Context,
    attempt: &str,
) -> Result<ImageId, EngineError> {
    let pairs = |map: &std::collections::BTreeMap<String, String>| -> HashMap<String, String> {
        map.clone().into_iter().collect()
    };
    let mut options = BuildImageOptionsBuilder::default()
        .t(&spec.name)
        .dockerfile(&context.dockerfile)
        .buildargs(&pairs(&spec.args))
        .labels(&pairs(&spec.labels))
        .rm(true)
        .forcerm(true);
    if let Some(target) = &spec.target {
        options = options.target(target);
    }
    let body = bollard::body_try_stream(stream(context));
    let mut reports = docker
        .build_image(options.build(), None, Some(body))
        .boxed();
    let mut image = None;
    while let Some(report) = reports.next().await {
        let report = report.map_err(|error| translate(attempt, error))?;
        image = report
            .aux
            .and_then(|aux| aux.id)
            .map(ImageId::new)
            .or(image);
    }
    image.ok_or_else(|| EngineError {
        attempt: attempt.to_owned(),
        kind: FailureKind::Internal,
        message: "the engine's answer ended without an image".to_owned(),
    })
}
