//! A container that is spoken to: it understands the protocol of the in-network agent, and sees what
//! the engine in memory knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, WriteHalf};
use tokio::sync::{mpsc, watch};

use super::MemoryEngine;
use super::state::{Arrival, Life};
use crate::agent::wire::{self, Failure, Frame, HEADER, Kind};
use crate::clock;
use crate::engine::{OutputChunk, OutputStream, Session};
use crate::name::ContainerId;

/// How long a question is on its way.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// Bytes that wait for the agent at most.
const ROOM: usize = 1 << 16;

/// Speaks from the container's next start to its end.
pub(super) fn session(
    engine: MemoryEngine,
    container: ContainerId,
    mut life: watch::Receiver<Life>,
) -> Session {
    let id = container.to_string();
    let (input, questions) = tokio::io::duplex(ROOM);
    let (answers, output) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let run = life.borrow().next_run();
        if life.wait_for(|life| life.run >= run).await.is_err() {
            return;
        }
        tokio::select! {
            () = speak(&engine, &container, questions, &answers) => {}
            _ = life.wait_for(|life| life.has_ended(run)) => {}
        }
    });
    Session {
        id,
        output: tokio_stream(output).boxed(),
        input: Box::pin(input),
    }
}

fn tokio_stream(
    output: mpsc::UnboundedReceiver<Bytes>,
) -> impl futures::Stream<Item = Result<OutputChunk, crate::engine::EngineError>> {
    futures::stream::unfold(output, |mut output| async move {
        let bytes = output.recv().await?;
        let stream = OutputStream::Stdout;
        Some((Ok(OutputChunk { stream, bytes }), output))
    })
}

async fn speak(
    engine: &MemoryEngine,
    container: &ContainerId,
    mut questions: DuplexStream,
    answers: &mpsc::UnboundedSender<Bytes>,
) {
    let say = |frame: Frame| answers.send(Bytes::from(frame.to_bytes())).is_ok();
    say(Frame::new(0, Kind::Hello, [wire::VERSION]));
    let mut visitors = Visitors::default();
    let mut header = [0; HEADER];
    while questions.read_exact(&mut header).await.is_ok() {
        let Some((number, kind, length)) = wire::header(header) else {
            return;
        };
        let mut content = vec![0; length];
        if questions.read_exact(&mut content).await.is_err() {
            return;
        }
        clock::pause(ROUND_TRIP).await;
        let frame = Frame::new(number, kind, content);
        if visitors.take(engine, container, answers, &frame).await {
            continue;
        }
        if let Some(answer) = answer(engine, container, &frame)
            && !say(answer)
        {
            return;
        }
    }
}

fn answer(engine: &MemoryEngine, container: &ContainerId, question: &Frame) -> Option<Frame> {
    let number = question.number;
    let failed = |failure: Failure| Some(Frame::new(number, Kind::Failed, [failure as u8]));
    match question.kind {
        Kind::Resolve => {
            let name = String::from_utf8_lossy(&question.content);
            let addresses = engine.lock().resolve_from(container, &name);
            if addresses.is_empty() {
                return failed(Failure::NoSuchName);
            }
            let lines: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Some(Frame::new(number, Kind::Addresses, lines.join("\n")))
        }
        Kind::Connect => {
            let (_limit, address) = wire::number(&question.content)?;
            let address: SocketAddr = String::from_utf8_lossy(address).parse().ok()?;
            match engine
                .lock()
                .arrival(container, address.ip(), Some(address.port()))
            {
                Arrival::Accepted => Some(Frame::new(number, Kind::Connected, [])),
                Arrival::Refused => failed(Failure::Refused),
                Arrival::Dropped => failed(Failure::NoAnswer),
            }
        }
        Kind::Sockets => {
            let table = engine.lock().sockets_beside(container);
            Some(Frame::new(number, Kind::Table, table))
        }
        Kind::Echo => {
            let (_limit, address) = wire::number(&question.content)?;
            let address: std::net::IpAddr = String::from_utf8_lossy(address).parse().ok()?;
            match engine.lock().arrival(container, address, None) {
                Arrival::Accepted => Some(Frame::new(number, Kind::Echoed, 100_u32.to_be_bytes())),
                _ => failed(Failure::NoAnswer),
            }
        }
        // The kernel of an engine in memory filters packets, and holds none back.
        Kind::Change => {
            let words = String::from_utf8_lossy(&question.content).into_owned();
            if words.contains("hold-back") {
                return failed(Failure::Unsupported);
            }
            engine.lock().changes.push(words);
            Some(Frame::new(number, Kind::Changed, []))
        }
        Kind::Data | Kind::End | Kind::Close | Kind::Read => None,
        _ => failed(Failure::Unsupported),
    }
}

/// Connects to a port on which an agent listens.
pub(super) fn visit(engine: &MemoryEngine, port: u16) -> Option<DuplexStream> {
    let (visitor, accepted) = tokio::io::duplex(ROOM);
    let state = engine.lock();
    state.listeners.get(&port)?.send(accepted).ok()?;
    drop(state);
    Some(visitor)
}

/// The connections that an agent has accepted.
#[derive(Default)]
struct Visitors {
    open: std::sync::Arc<tokio::sync::Mutex<BTreeMap<u32, WriteHalf<DuplexStream>>>>,
}

impl Visitors {
    /// Takes a frame that is about them.
    async fn take(
        &mut self,
        engine: &MemoryEngine,
        container: &ContainerId,
        answers: &mpsc::UnboundedSender<Bytes>,
        frame: &Frame,
    ) -> bool {
        if frame.kind == Kind::Listen {
            let words = String::from_utf8_lossy(&frame.content);
            let Ok(address) = words.parse::<SocketAddr>() else {
                return false;
            };
            if !engine.lock().listen(container, address.port()) {
                return false;
            }
            let (sender, visitors) = mpsc::unbounded_channel();
            engine.lock().listeners.insert(address.port(), sender);
            let listening = Frame::new(frame.number, Kind::Listening, words.as_bytes());
            let _ = answers.send(Bytes::from(listening.to_bytes()));
            let open = std::sync::Arc::clone(&self.open);
            tokio::spawn(accept(frame.number, visitors, answers.clone(), open));
            return true;
        }
        if frame.number < wire::ACCEPTED_FROM {
            return false;
        }
        let mut open = self.open.lock().await;
        match frame.kind {
            Kind::Data => {
                if let Some(visitor) = open.get_mut(&frame.number) {
                    let _ = visitor.write_all(&frame.content).await;
                }
            }
            Kind::End | Kind::Close => {
                if let Some(mut visitor) = open.remove(&frame.number) {
                    let _ = visitor.shutdown().await;
                }
            }
            _ => {}
        }
        true
    }
}

async fn accept(
    listener: u32,
    mut visitors: mpsc::UnboundedReceiver<DuplexStream>,
    answers: mpsc::UnboundedSender<Bytes>,
    open: std::sync::Arc<tokio::sync::Mutex<BTreeMap<u32, WriteHalf<DuplexStream>>>>,
) {
    static NEXT: AtomicU32 = AtomicU32::new(wire::ACCEPTED_FROM);
    while let Some(visitor) = visitors.recv().await {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) | wire::ACCEPTED_FROM;
        let (mut incoming, outgoing) = tokio::io::split(visitor);
        open.lock().await.insert(number, outgoing);
        let accepted = Frame::new(number, Kind::Accepted, listener.to_be_bytes());
        let _ = answers.send(Bytes::from(accepted.to_bytes()));
        let answers = answers.clone();
        tokio::spawn(async move {
            let mut piece = vec![0; 1 << 12];
            loop {
                let last = match incoming.read(&mut piece).await {
                    Ok(length) if length > 0 => {
                        let data = Frame::new(number, Kind::Data, &piece[..length]);
                        let _ = answers.send(Bytes::from(data.to_bytes()));
                        continue;
                    }
                    _ => Frame::new(number, Kind::End, []),
                };
                let _ = answers.send(Bytes::from(last.to_bytes()));
                return;
            }
        });
    }
}
