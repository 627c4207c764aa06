//! Builds: `POST /build?version=2` (BuildKit), with the files over a session beside it.
//!
//! bollard offers BuildKit only with gRPC and seventy further crates, and cannot read BuildKit's
//! reports without, so this one request is sent with hyper. An engine that declines the session (a
//! proxy before it may) gets a tar; behind TLS the classic builder gets one through bollard.

mod answer;
mod classic;
mod query;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bollard::Docker;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{Stream, StreamExt as _};
use futures::{FutureExt as _, future};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use self::answer::Answer;
use super::connect::Endpoint;
use super::context::Context;
use super::error::root_cause;
use super::pull;
use super::session::{self, Notes, Offer, Refusal};
use crate::engine::{
    BuildContext, BuildOutput, BuildSpec, Builder, ContextImage, EngineError, FailureKind,
    PullReport, PullSpec,
};
use crate::image::dockerfile::{Preparation, Surroundings, UNCACHED, prepare, rewrite};
use crate::image::{Platform, Reference};
use crate::name::ImageId;

/// Size of the pieces in which a tar travels.
const PIECE: usize = 64 << 10;

/// A connection to the engine.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A build with everything in its place.
struct Job<'a> {
    spec: &'a BuildSpec,
    output: &'a BuildOutput,
    attempt: String,
    /// The context, its Dockerfile ready; `None` where the engine fetches both.
    context: Option<Context>,
    /// The arguments, those of ours among them.
    args: BTreeMap<String, String>,
    /// Whether the builder is to look for newer images.
    pull: bool,
}

pub(super) async fn build(
    docker: &Docker,
    endpoint: &Endpoint,
    spec: &BuildSpec,
    output: &BuildOutput,
) -> Result<ImageId, EngineError> {
    let mut job = Job {
        spec,
        output,
        attempt: format!("build image from `{}`", spec.context),
        context: None,
        args: spec.args.clone(),
        pull: spec.options.pull,
    };
    if let BuildContext::Directory(root) = &spec.context {
        let (root, dockerfile) = (root.clone(), spec.dockerfile.clone());
        let opening = tokio::task::spawn_blocking(move || Context::open(&root, &dockerfile));
        let context = opening
            .await
            .map_err(|error| job.fail(FailureKind::Internal, error.to_string()))?
            .map_err(|error| job.fail(FailureKind::NotFound, error.to_string()))?;
        let bases = job.prepare(context)?;
        for reference in &bases {
            pull_base(docker, &job, reference).await?;
        }
    }
    match builder(endpoint) {
        Builder::BuildKit => job.buildkit(endpoint).await,
        Builder::Classic => classic::build(docker, &mut job).await,
    }
}

/// Pulls an image that a build starts from.
async fn pull_base(docker: &Docker, job: &Job<'_>, name: &str) -> Result<(), EngineError> {
    let refused = |reason: String| job.fail(FailureKind::Refused, format!("`{name}`: {reason}"));
    let reference = Reference::parse(name).map_err(|error| refused(error.to_string()))?;
    let platform = job.spec.options.platform.as_deref();
    let platform = platform
        .map(Platform::parse)
        .transpose()
        .map_err(|error| refused(error.to_string()))?;
    let spec = PullSpec {
        reference,
        platform,
    };
    let (sender, mut warnings) = mpsc::unbounded_channel();
    let sink = move |report| {
        if let PullReport::Warning(message) = report {
            // Nobody listens when the build was given up.
            let _ = sender.send(message);
        }
    };
    let pulled = pull::pull(docker, &spec, &sink).await;
    while let Ok(message) = warnings.try_recv() {
        (job.output)(format!("WARNING: {message}\n").as_bytes());
    }
    pulled
}

/// What builds behind an endpoint.
pub(super) fn builder(endpoint: &Endpoint) -> Builder {
    match endpoint {
        Endpoint::Unix(_) | Endpoint::Tcp(_) => Builder::BuildKit,
        Endpoint::Tls(_) => Builder::Classic,
    }
}

impl Job<'_> {
    fn fail(&self, kind: FailureKind, message: String) -> EngineError {
        EngineError {
            attempt: self.attempt.clone(),
            kind,
            message,
        }
    }

    /// Changes the Dockerfile as it has to be for this engine. Answers the images that are to be
    /// pulled before: a builder that was told to pull would look for the run's own images in a
    /// registry, too.
    fn prepare(&mut self, mut context: Context) -> Result<BTreeSet<String>, EngineError> {
        let spec = self.spec;
        let names: BTreeSet<String> = spec.contexts.keys().cloned().collect();
        let surroundings = Surroundings {
            arguments: &spec.args,
            contexts: &names,
        };
        let mirrored = rewrite(&context.dockerfile, surroundings, &spec.mirrors);
        let contexts = spec.contexts.iter();
        let contexts = contexts
            .map(|(name, image)| (name.clone(), self.image_of(image)))
            .collect();
        let prepared = prepare(
            &mirrored,
            &Preparation {
                arguments: &spec.args,
                contexts: &contexts,
                uncached: &spec.options.no_cache_filter,
            },
        );
        context.dockerfile = prepared.text;
        if prepared.uncached {
            // Names of images are unique for their run, as the value has to be.
            self.args.insert(UNCACHED.to_owned(), spec.name.clone());
        }
        self.context = Some(context);
        let images = || spec.contexts.values();
        if !self.pull || !images().any(|image| matches!(image, ContextImage::Built(_))) {
            return Ok(BTreeSet::new());
        }
        self.pull = false;
        let mut bases = prepared.bases.map_err(|error| {
            let message = format!("{error}, so `pull` cannot be combined with contexts here");
            self.fail(FailureKind::Refused, message)
        })?;
        bases.extend(images().filter_map(|image| match image {
            ContextImage::Reference(_) => Some(self.image_of(image)),
            ContextImage::Built(_) => None,
        }));
        Ok(bases)
    }

    /// The name that stands for an additional context, a mirror's where there is one.
    fn image_of(&self, image: &ContextImage) -> String {
        let mirror = match image {
            ContextImage::Built(_) => None,
            ContextImage::Reference(name) => Reference::parse(name)
                .ok()
                .and_then(|reference| self.spec.mirrors.of(&reference).into_iter().next()),
        };
        mirror.map_or_else(|| image.name().to_owned(), |mirror| mirror.to_string())
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Box<dyn Wire>, EngineError> {
        let stream: io::Result<Box<dyn Wire>> = match endpoint {
            Endpoint::Unix(path) => UnixStream::connect(path)
                .await
                .map(|stream| Box::new(stream) as _),
            Endpoint::Tcp(address) | Endpoint::Tls(address) => TcpStream::connect(address.as_str())
                .await
                .map(|stream| Box::new(stream) as _),
        };
        stream.map_err(|error| self.fail(FailureKind::Unreachable, error.to_string()))
    }

    async fn buildkit(mut self, endpoint: &Endpoint) -> Result<ImageId, EngineError> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let offer = Offer {
            context: self.context.take(),
            secrets: self.spec.secrets.clone(),
            ssh: self.spec.ssh.clone(),
        };
        let stream = self.connect(endpoint).await?;
        match session::open(stream, &id, offer).boxed().await {
            Ok((session, notes)) => {
                let stream = self.connect(endpoint).await?;
                let uri = query::of(&self, Some(&id), session::DOCKERFILE);
                let body = Empty::new().map_err(|never| match never {}).boxed();
                let serving = session.serve().boxed();
                self.exchange(stream, uri, body, (serving, notes))
                    .boxed()
                    .await
            }
            Err(Refusal::Lost(message)) => Err(self.fail(FailureKind::Unreachable, message)),
            Err(Refusal::Declined(offer, message)) => {
                if !(self.spec.secrets.is_empty() && self.spec.ssh.is_empty()) {
                    let message =
                        format!("secrets and `ssh` need the engine's `/session`, but {message}");
                    return Err(self.fail(FailureKind::Refused, message));
                }
                let stream = self.connect(endpoint).await?;
                let name = offer.context.as_ref().map(Context::name_in_tar);
                let uri = query::of(&self, None, name.as_deref().unwrap_or_default());
                let body = match offer.context {
                    Some(context) => {
                        let frames = tar_of(context).map(|piece| piece.map(Frame::data));
                        BodyExt::boxed(StreamBody::new(frames))
                    }
                    None => Empty::new().map_err(|never| match never {}).boxed(),
                };
                let nothing = (future::pending().boxed(), Notes::default());
                self.exchange(stream, uri, body, nothing).await
            }
        }
    }

    /// Sends the request and reads the answer while the session is served. Dropping this drops the
    /// connections, and that ends the build.
    async fn exchange(
        &self,
        stream: Box<dyn Wire>,
        uri: String,
        body: BoxBody<Bytes, io::Error>,
        (serving, notes): (BoxFuture<'_, ()>, Notes),
    ) -> Result<ImageId, EngineError> {
        let lost = |error: hyper::Error| self.fail(FailureKind::Unreachable, root_cause(&error));
        let request = hyper::Request::post(uri)
            .header("host", "docker")
            .header("content-type", "application/x-tar")
            .body(body)
            .map_err(|error| self.fail(FailureKind::Internal, error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(lost)?;
        let said = notes.clone();
        let exchange = async move {
            let response = sender.send_request(request).await.map_err(lost)?;
            let status = response.status();
            let mut body = response.into_body();
            let mut answer = Answer::new(self.output, said);
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.map_err(lost)?.into_data() {
                    answer
                        .push(&data)
                        .map_err(|message| self.fail(FailureKind::Internal, message))?;
                }
            }
            if !status.is_success() {
                return Err(self.fail(FailureKind::Refused, answer.refusal()));
            }
            answer
                .finish()
                .map_err(|message| self.fail(FailureKind::Internal, message))
        };
        // The engine may close what it does not need any more before it answers.
        let beside = future::join(connection, serving);
        futures::pin_mut!(exchange);
        let result = match future::select(exchange, beside.boxed()).await {
            future::Either::Left((result, _)) => result,
            future::Either::Right(((Err(error), ()), _)) => Err(lost(error)),
            future::Either::Right(((Ok(()), ()), exchange)) => exchange.await,
        };
        // What failed here is the reason of what the engine has to say.
        result.map_err(|error| match notes.take_problem() {
            Some(message) => self.fail(FailureKind::Internal, message),
            None => error,
        })
    }
}

/// The context as a tar in a stream that a blocking task fills.
fn tar_of(context: Context) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static {
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
