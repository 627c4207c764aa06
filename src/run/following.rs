//! Follows the output of a container from before its start to its end, and takes it up again where a
//! connection breaks: the engine keeps the whole, and how much was seen is counted.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::oneshot;

use super::shared::Shared;
use crate::clock;
use crate::engine::{EngineError, FailureKind, OutputChunk, OutputStream, Seen};
use crate::event::Event;
use crate::mask;
use crate::name::{ContainerId, ServiceName};

/// How much later than the end of its output the end of a container may be known.
const END_KNOWN: Duration = Duration::from_millis(250);

/// Pause before output is taken up again.
const TAKE_UP: Duration = Duration::from_millis(100);

/// Attempts in a row that brought nothing.
const ATTEMPTS: u32 = 20;

type Output = BoxStream<'static, Result<OutputChunk, EngineError>>;

/// What whoever waits for the end of a container has of its output.
pub(super) struct Following {
    /// To be told that the container has ended.
    pub(super) ended: oneshot::Sender<()>,
    /// Fires when the output is complete.
    pub(super) complete: oneshot::Receiver<()>,
}

/// The other ends of the same.
pub(super) struct Follower {
    ended: oneshot::Receiver<()>,
    _complete: oneshot::Sender<()>,
}

/// Connects the two.
pub(super) fn channel() -> (Following, Follower) {
    let (end, ended) = oneshot::channel();
    let (done, complete) = oneshot::channel();
    let following = Following {
        ended: end,
        complete,
    };
    let follower = Follower {
        ended,
        _complete: done,
    };
    (following, follower)
}

/// How a stream of output came to its end.
enum End {
    /// It was closed: by the end of the container, or by whoever is between.
    Closed,
    Broken(EngineError),
}

/// Passes output on until the container has ended and all of it is there.
///
/// An attached stream that nobody reads blocks the container, so it is read whatever happens to the
/// run.
pub(super) async fn follow(
    shared: Arc<Shared>,
    service: ServiceName,
    container: ContainerId,
    output: Output,
    mut follower: Follower,
) {
    let mut masking = Masking::new(&shared);
    read(
        &shared,
        (&service, &container),
        (output, &mut masking),
        &mut follower,
    )
    .await;
    // The last line may be without an end, and its end the beginning of a secret.
    for chunk in masking.finish() {
        hand_on(&shared, &service, &chunk).await;
    }
    shared.recorder.output_ended(&service);
}

/// Secrets are searched for in each stream by itself, over all pieces and connections.
pub(super) struct Masking([(OutputStream, mask::Stream); 2]);

impl Masking {
    pub(super) fn new(shared: &Shared) -> Self {
        let streams = [OutputStream::Stdout, OutputStream::Stderr];
        Self(streams.map(|stream| (stream, shared.masker.stream())))
    }

    /// What of a chunk, and of those before it, can be shown.
    pub(super) fn push(&mut self, mut chunk: OutputChunk) -> OutputChunk {
        for (stream, masking) in &mut self.0 {
            if *stream == chunk.stream {
                chunk.bytes = masking.push(&chunk.bytes);
            }
        }
        chunk
    }

    /// What is left at the end.
    pub(super) fn finish(&mut self) -> [OutputChunk; 2] {
        self.0.each_mut().map(|(stream, masking)| OutputChunk {
            stream: *stream,
            bytes: masking.finish(),
        })
    }
}

/// Hands output on to everybody who shows or keeps it.
pub(super) async fn hand_on(shared: &Shared, service: &ServiceName, chunk: &OutputChunk) {
    if !chunk.bytes.is_empty() {
        shared.tails.push(service, chunk.stream, &chunk.bytes);
        let at = shared.begun.elapsed();
        shared
            .recent
            .push(service, (chunk.stream, &chunk.bytes), at);
        shared.recorder.output(service, chunk).await;
    }
}

async fn read(
    shared: &Arc<Shared>,
    (service, container): (&ServiceName, &ContainerId),
    (mut output, masking): (Output, &mut Masking),
    follower: &mut Follower,
) {
    let mut fruitless = 0;
    let mut has_ended = false;
    loop {
        let before = shared.seen(container);
        let end = pass_on(shared, (service, container), output, masking).await;
        if shared.seen(container) != before {
            fruitless = 0;
        }
        if !has_ended {
            // Told by whoever waits for the container; also when nobody does, since it never started.
            has_ended = clock::within(END_KNOWN, &mut follower.ended).await.is_ok();
        }
        let reason = match end {
            End::Closed if has_ended || !may_say_more(shared, container).await => return,
            End::Closed => "the connection was closed".to_owned(),
            End::Broken(error) if error.kind == FailureKind::NotFound => return,
            End::Broken(error) => error.message,
        };
        fruitless += 1;
        if fruitless == ATTEMPTS {
            let message = format!("the log of `{service}` is not complete: {reason}");
            return shared.report(Event::Warning { message });
        }
        clock::pause(TAKE_UP).await;
        output = shared
            .engine
            .output_after(container, shared.seen(container));
    }
}

/// Whether the container runs, or has not started yet. Where the engine does not say, it may.
async fn may_say_more(shared: &Shared, container: &ContainerId) -> bool {
    match shared.engine.inspect_container(container).await {
        Ok(facts) => facts.running || facts.exit.is_none(),
        Err(error) => error.kind != FailureKind::NotFound,
    }
}

async fn pass_on(
    shared: &Shared,
    (service, container): (&ServiceName, &ContainerId),
    mut output: Output,
    masking: &mut Masking,
) -> End {
    while let Some(chunk) = output.next().await {
        let chunk = match chunk {
            Ok(chunk) if chunk.bytes.is_empty() => continue,
            Ok(chunk) => chunk,
            Err(error) => return End::Broken(error),
        };
        shared.saw(container, &chunk);
        // Probes wait for what the container says, and tell nobody of it.
        shared.listeners.hear(service, chunk.stream, &chunk.bytes);
        shared
            .spools
            .hear(service, container, chunk.stream, &chunk.bytes);
        hand_on(shared, service, &masking.push(chunk)).await;
    }
    End::Closed
}

impl Shared {
    fn seen(&self, container: &ContainerId) -> Seen {
        let seen = self.lock_seen();
        seen.get(container).copied().unwrap_or_default()
    }

    fn saw(&self, container: &ContainerId, chunk: &OutputChunk) {
        let mut seen = self.lock_seen();
        seen.entry(container.clone()).or_default().add(chunk);
    }
}
