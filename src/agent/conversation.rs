//! The conversation with one agent: what was asked for and not answered yet, and the two tasks that
//! carry frames to it and from it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::stream::{AgentStream, Incoming};
use super::wire::{self, Failure, Frame, HEADER, Kind};
use super::{AgentError, plain};

/// What is known of a conversation. Its end comes when nobody is left to ask anything.
pub(super) struct Conversation {
    frames: mpsc::UnboundedSender<Frame>,
    open: Arc<Mutex<Open>>,
}

/// What waits for frames, by number.
#[derive(Default)]
struct Open {
    /// The last number given.
    last: u32,
    /// `true` once the agent is gone.
    is_over: bool,
    greeting: Option<oneshot::Sender<u8>>,
    answers: BTreeMap<u32, oneshot::Sender<Frame>>,
    streams: BTreeMap<u32, mpsc::UnboundedSender<Bytes>>,
    listeners: BTreeMap<u32, Listener>,
}

struct Listener {
    conversation: Weak<Conversation>,
    accepted: mpsc::UnboundedSender<AgentStream>,
}

/// A question. Whoever drops it does not wait for the answer any more.
pub(super) struct Call<'conversation> {
    conversation: &'conversation Conversation,
    number: u32,
    answer: Option<oneshot::Receiver<Frame>>,
    is_stream: bool,
}

impl Conversation {
    /// Begins to speak; the receiver hears the version of the agent.
    pub(super) fn begin(
        input: impl AsyncWrite + Send + 'static,
        output: BoxStream<'static, io::Result<Bytes>>,
    ) -> (Self, oneshot::Receiver<u8>) {
        let (greeting, greeted) = oneshot::channel();
        let open = Arc::new(Mutex::new(Open {
            greeting: Some(greeting),
            ..Open::default()
        }));
        let (frames, outgoing) = mpsc::unbounded_channel();
        tokio::spawn(speak(input, outgoing));
        tokio::spawn(listen(output, Arc::clone(&open)));
        (Self { frames, open }, greeted)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }

    /// Whether the agent is gone.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// A question with one answer.
    pub(super) fn call(&self) -> Call<'_> {
        let (sender, answer) = oneshot::channel();
        let mut open = self.lock();
        let number = open.next();
        if !open.is_over {
            open.answers.insert(number, sender);
        }
        Call {
            conversation: self,
            number,
            answer: Some(answer),
            is_stream: false,
        }
    }

    /// A question whose answer is a connection, and what comes in on it.
    pub(super) fn call_for_stream(&self) -> (Call<'_>, Incoming) {
        let (sender, incoming) = mpsc::unbounded_channel();
        let mut call = self.call();
        call.is_stream = true;
        let mut open = self.lock();
        if !open.is_over {
            open.streams.insert(call.number, sender);
        }
        drop(open);
        (call, incoming)
    }

    /// A question whose answer is a listener, and what it accepts.
    pub(super) fn call_for_listener(
        conversation: &Arc<Self>,
    ) -> (Call<'_>, mpsc::UnboundedReceiver<AgentStream>) {
        let (accepted, receiver) = mpsc::unbounded_channel();
        let call = conversation.call();
        let listener = Listener {
            conversation: Arc::downgrade(conversation),
            accepted,
        };
        conversation.lock().listeners.insert(call.number, listener);
        (call, receiver)
    }

    /// Says something to the agent. One that is gone does not hear it, and its end is told otherwise.
    pub(super) fn say(&self, number: u32, kind: Kind, content: impl Into<Vec<u8>>) -> bool {
        self.frames.send(Frame::new(number, kind, content)).is_ok()
    }

    /// Forgets a connection, and has the agent do so.
    pub(super) fn close(&self, number: u32) {
        self.lock().streams.remove(&number);
        self.say(number, Kind::Close, []);
    }
}

impl Open {
    fn next(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1) % wire::ACCEPTED_FROM;
        self.last
    }

    /// Takes in one frame.
    fn hear(&mut self, frame: Frame) {
        let number = frame.number;
        match frame.kind {
            Kind::Hello => {
                let version = frame.content.first().copied().unwrap_or(0);
                let greeting = self.greeting.take();
                let _ = greeting.map(|greeting| greeting.send(version));
            }
            Kind::Data => {
                if let Some(stream) = self.streams.get(&number) {
                    let _ = stream.send(Bytes::from(frame.content));
                }
            }
            // What comes in has ended; what goes out is not concerned.
            Kind::End | Kind::Close => drop(self.streams.remove(&number)),
            Kind::Accepted => self.accepted(&frame),
            _ => {
                let answer = self.answers.remove(&number);
                let _ = answer.map(|answer| answer.send(frame));
            }
        }
    }

    fn accepted(&mut self, frame: &Frame) {
        let listener = wire::number(&frame.content).and_then(|(number, _)| {
            let listener = self.listeners.get(&number)?;
            Some((listener.conversation.upgrade()?, listener.accepted.clone()))
        });
        let Some((conversation, accepted)) = listener else {
            return;
        };
        let (sender, incoming) = mpsc::unbounded_channel();
        self.streams.insert(frame.number, sender);
        let stream = AgentStream::new(conversation, frame.number, incoming);
        if let Err(unwanted) = accepted.send(stream) {
            // Dropping it closes it, which takes the lock that is held here.
            tokio::spawn(async move { drop(unwanted) });
        }
    }

    fn end(&mut self) {
        self.is_over = true;
        self.greeting = None;
        self.answers.clear();
        self.streams.clear();
        self.listeners.clear();
    }
}

impl Call<'_> {
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn say(&self, kind: Kind, content: Vec<u8>) {
        self.conversation.say(self.number, kind, content);
    }

    /// The answer.
    pub(super) async fn answer(mut self) -> Result<Frame, AgentError> {
        let Some(answer) = self.answer.take() else {
            return Err(AgentError::Gone);
        };
        let frame = match answer.await {
            Ok(frame) => frame,
            Err(_gone) => return Err(AgentError::Gone),
        };
        if frame.kind != Kind::Failed {
            self.is_stream = false;
            return Ok(frame);
        }
        let (failure, words) = match frame.content.split_first() {
            Some((failure, words)) => (Failure::from_number(*failure), words),
            None => (Failure::Other, [].as_slice()),
        };
        Err(AgentError::Failed {
            failure,
            words: plain(&String::from_utf8_lossy(words)),
        })
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.conversation.lock().answers.remove(&self.number);
        // Of a connection that nobody waits for any more, or that was not opened.
        if self.is_stream {
            self.conversation.close(self.number);
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries frames to the agent; its input ends when nobody is left to ask anything.
async fn speak(
    input: impl AsyncWrite + Send + 'static,
    mut frames: mpsc::UnboundedReceiver<Frame>,
) {
    tokio::pin!(input);
    while let Some(frame) = frames.recv().await {
        let sent = async {
            input.write_all(&frame.to_bytes()).await?;
            input.flush().await
        };
        // That it is gone is seen by the end of its output.
        if sent.await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}

/// Carries frames from the agent until its output ends, or is no output of an agent.
async fn listen(mut output: BoxStream<'static, io::Result<Bytes>>, open: Arc<Mutex<Open>>) {
    let mut heard = BytesMut::new();
    'output: while let Some(Ok(bytes)) = output.next().await {
        heard.extend_from_slice(&bytes);
        while let Some(first) = heard.first_chunk::<HEADER>() {
            let Some((number, kind, length)) = wire::header(*first) else {
                break 'output;
            };
            if heard.len() < HEADER + length {
                break;
            }
            heard.advance(HEADER);
            let content = heard.split_to(length);
            lock(&open).hear(Frame::new(number, kind, content.to_vec()));
        }
    }
    lock(&open).end();
}
