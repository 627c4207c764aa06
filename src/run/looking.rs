//! Looks at the network of the run to explain a failure: as the inquiry says, all at once, for a
//! bounded time. What was seen by then is what counts.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, Shared as SharedFuture, join_all};
use futures::{FutureExt as _, StreamExt as _};

use super::agents::NoAgent;
use super::effect::{ExplainTask, Input, View};
use super::holder;
use super::shared::Shared;
use crate::agent::wire::Failure;
use crate::agent::{Agent, AgentError};
use crate::clock;
use crate::diagnosis::looks::{Dialled, Look, Reach, Seen, Stranger};
use crate::diagnosis::{LINE_BYTES, LINES};
use crate::engine::{Distance, FailureKind, LogsSpec, OutputStream};
use crate::name::{ContainerId, ServiceName};
use crate::plan::agent::Rights;
use crate::probe::listening;

/// How long the output of the failed service may take to be read.
const READING: Duration = Duration::from_secs(1);

/// How long an agent may take to come. It takes 0.3 s, and longer only where the engine is busy.
const COMING: Duration = Duration::from_secs(8);

/// How long one look may take once its agent is there; all are made at once. They take milliseconds,
/// and longer only where somebody does not answer.
const LOOKING: Duration = Duration::from_secs(3);

/// How long a name may take to resolve. The engine's own server knows the names of its networks at
/// once; it passes on those that it does not know, and where there is no way out nobody ever answers.
const RESOLVING: Duration = Duration::from_millis(1500);

/// How long a connection may take. Whoever does not answer within it in networks of one host does not
/// answer.
const DIALLING: Duration = Duration::from_secs(1);

/// How long the kernel's tables may take.
const TABLES: Duration = Duration::from_secs(1);

/// Addresses of one name that are tried.
const ADDRESSES: usize = 2;

/// Bytes of output that are read.
const OUTPUT_BYTES: usize = 4 << 20;

type ComingAgent = SharedFuture<BoxFuture<'static, Result<Agent, NoAgent>>>;

/// Makes the looks and tells what was seen.
pub(super) async fn explain(shared: Arc<Shared>, task: ExplainTask) {
    let service = task.service.clone();
    let mut seen = Seen::default();
    let mut is_there = true;
    if let Some(container) = &task.container {
        match output(&shared, container).await {
            Ok(lines) => seen.output = lines,
            Err(kind) => is_there = kind != FailureKind::Unreachable,
        }
    }
    // What is at hand is the newest, and may be all that there is.
    for line in &task.output {
        if !seen.output.contains(line) {
            seen.output.push(line.clone());
        }
    }
    let looks = task.inquiry.looks(&seen.output);
    if is_there && !looks.is_empty() {
        let looking = Looking {
            beside: coming_agents(&shared, &task, &looks),
            view: coming_view(&shared, &task, &looks),
            shared: Arc::clone(&shared),
            seen: Mutex::new(seen),
        };
        join_all(looks.into_iter().map(|look| looking.make(look))).await;
        seen = looking
            .seen
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
    }
    shared.send(Input::Explained { service, seen });
}

/// The last output of a container, from the engine, which keeps more of it than we do.
async fn output(shared: &Shared, container: &ContainerId) -> Result<Vec<String>, FailureKind> {
    let spec = LogsSpec {
        follow: false,
        tail: u32::try_from(LINES).ok(),
        timestamps: false,
    };
    let mut lines = Lines::default();
    let reading = async {
        let mut chunks = shared
            .engine
            .logs(container, &spec)
            .await
            .map_err(|error| error.kind)?;
        let mut bytes = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| error.kind)?;
            bytes += chunk.bytes.len();
            lines.push(chunk.stream, &chunk.bytes);
            if bytes > OUTPUT_BYTES {
                break;
            }
        }
        Ok(())
    };
    match clock::within(READING, reading).await {
        Ok(Err(kind)) => Err(kind),
        Ok(Ok(())) | Err(_) => Ok(lines.finish()),
    }
}

/// Output by lines, each cut, and the two streams kept apart.
#[derive(Default)]
struct Lines {
    done: Vec<String>,
    partial: BTreeMap<OutputStream, Vec<u8>>,
}

impl Lines {
    fn push(&mut self, stream: OutputStream, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let partial = self.partial.entry(stream).or_default();
            let room = LINE_BYTES.saturating_sub(partial.len()).min(text.len());
            partial.extend_from_slice(&text[..room]);
            if text.len() < piece.len() {
                let line = std::mem::take(partial);
                self.done.push(readable(&line));
            }
        }
    }

    fn finish(self) -> Vec<String> {
        let rest = self.partial.values().filter(|line| !line.is_empty());
        let rest: Vec<String> = rest.map(|line| readable(line)).collect();
        self.done.into_iter().chain(rest).collect()
    }
}

fn readable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .trim_end_matches('\r')
        .to_owned()
}

/// The agents that were sent out for looks. Each is asked again by later inquiries, so there are no
/// more of them than places.
#[derive(Default)]
pub(super) struct Scouts(Mutex<BTreeMap<Vec<String>, ComingAgent>>);

impl Scouts {
    /// The agent at a place, which is sent there unless it is there.
    fn at(&self, place: Vec<String>, send: impl FnOnce() -> ComingAgent) -> ComingAgent {
        let mut scouts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of_use = |agent: &&mut ComingAgent| match agent.peek() {
            Some(Ok(agent)) => !agent.is_gone(),
            Some(Err(_)) => false,
            None => true,
        };
        match scouts.get_mut(&place).filter(is_of_use) {
            Some(agent) => agent.clone(),
            None => {
                let agent = send();
                scouts.insert(place, agent.clone());
                agent
            }
        }
    }
}

/// An agent beside each container where it is looked what is listened on.
fn coming_agents(
    shared: &Arc<Shared>,
    task: &ExplainTask,
    looks: &[Look],
) -> BTreeMap<ServiceName, ComingAgent> {
    let names = looks.iter().filter_map(|look| match look {
        Look::Listeners(name) => Some(name),
        _ => None,
    });
    names
        .filter_map(|name| Some((name.clone(), beside(shared, task.beside.get(name)?))))
        .collect()
}

fn beside(shared: &Arc<Shared>, container: &ContainerId) -> ComingAgent {
    shared.scouts.at(vec![container.to_string()], || {
        let agents = Arc::clone(&shared.agents);
        let container = container.clone();
        let coming = async move { agents.beside(&container, Rights::Use).await };
        coming.boxed().shared()
    })
}

/// An agent that sees what the subject sees, if something is looked at from there.
fn coming_view(shared: &Arc<Shared>, task: &ExplainTask, looks: &[Look]) -> Option<ComingAgent> {
    let is_wanted = |look: &Look| matches!(look, Look::Reach { .. });
    if !looks.iter().any(is_wanted) {
        return None;
    }
    match &task.view {
        View::Beside(container) => Some(beside(shared, container)),
        View::On(networks) if !networks.is_empty() => {
            let place = networks.iter().map(|(id, _)| id.to_string());
            Some(shared.scouts.at(place.collect(), || {
                let agents = Arc::clone(&shared.agents);
                let networks = networks.clone();
                let coming = async move { agents.on(networks).await };
                coming.boxed().shared()
            }))
        }
        View::On(_) | View::None => None,
    }
}

/// The looks of one inquiry.
struct Looking {
    shared: Arc<Shared>,
    view: Option<ComingAgent>,
    beside: BTreeMap<ServiceName, ComingAgent>,
    seen: Mutex<Seen>,
}

impl Looking {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, look: Look) {
        match look {
            Look::Reach { host, port } => {
                let Some(agent) = self.agent(self.view.as_ref()).await else {
                    return;
                };
                let mut seen = Reach::default();
                let looking = reach(&agent, &host, port, &mut seen);
                let _ = clock::within(LOOKING, looking).await;
                self.lock().reached.insert((host, port), seen);
            }
            Look::Listeners(name) => {
                let Some(agent) = self.agent(self.beside.get(&name)).await else {
                    return;
                };
                if let Ok(tables) = agent.sockets(TABLES).await {
                    let listeners = listening::addresses(&tables);
                    // Name servers of the engine listen on the loopback address too.
                    let listeners = listeners.into_iter().filter(|one| !is_engines(*one));
                    self.lock().listeners.insert(name, listeners.collect());
                }
            }
            Look::Output(name) => {
                let lines = self.shared.tails.tail(&name);
                self.lock().outputs.insert(name, lines);
            }
            Look::Stranger(name) => self.stranger(name).await,
            Look::HostPort(port) => {
                if self.shared.engine.distance() != Distance::Socket {
                    return;
                }
                let found = tokio::task::spawn_blocking(move || holder::of(port)).await;
                if let Ok(Some(holder)) = found {
                    self.lock().holders.insert(port, holder);
                }
            }
        }
    }

    async fn agent(&self, coming: Option<&ComingAgent>) -> Option<Agent> {
        let reason = match clock::within(COMING, coming?.clone()).await {
            Ok(Ok(agent)) => return Some(agent),
            Ok(Err(reason)) => reason.to_string(),
            Err(reached) => format!(
                "the in-network agent was not there within {:?}",
                reached.limit
            ),
        };
        let unseen = format!("the network could not be looked at: {reason}");
        self.lock().unseen.get_or_insert(unseen);
        None
    }

    /// A container of this name. Engines take the beginning of an id for a name, so what could be one
    /// is not asked for.
    async fn stranger(&self, name: String) {
        if name.chars().all(|letter| letter.is_ascii_hexdigit()) {
            return;
        }
        let id = ContainerId::new(name.as_str());
        let inspected = clock::within(LOOKING, self.shared.engine.inspect_container(&id)).await;
        if let Ok(Ok(facts)) = inspected {
            let stranger = Stranger {
                running: facts.running,
                project: None,
            };
            self.lock().strangers.insert(name, stranger);
        }
    }
}

/// The engine's name server in a container listens on 127.0.0.11.
fn is_engines(address: SocketAddr) -> bool {
    address.ip() == IpAddr::from([127, 0, 0, 11])
}

/// The addresses of a name. Silence is an answer: it comes of names that are passed on to somebody who
/// is not there.
async fn resolve(agent: &Agent, host: &str) -> Result<Vec<IpAddr>, AgentError> {
    let resolving = clock::within(RESOLVING, agent.resolve(host, RESOLVING));
    resolving.await.unwrap_or_else(|reached| {
        Err(AgentError::Failed {
            failure: Failure::NoAnswer,
            words: format!("no name server answers within {:?}", reached.limit),
        })
    })
}

/// What comes of an attempt to reach a host, as an agent sees it.
async fn reach(agent: &Agent, host: &str, port: Option<u16>, reach: &mut Reach) {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => match resolve(agent, host).await {
            Ok(addresses) => {
                reach.resolved = Some(Ok(addresses.clone()));
                addresses
            }
            Err(AgentError::Failed { failure, words }) => {
                let reason = match failure {
                    Failure::NoSuchName => "no such name".to_owned(),
                    _ => words,
                };
                reach.resolved = Some(Err(reason));
                return;
            }
            // That is no answer about the name.
            Err(_) => return,
        },
    };
    let Some(port) = port else {
        return;
    };
    for address in addresses.into_iter().take(ADDRESSES) {
        let address = SocketAddr::new(address, port);
        let dialled = match agent.connect(address, DIALLING).await {
            Ok(_) => Dialled::Accepted,
            Err(AgentError::Failed { failure, words }) => match failure {
                Failure::Refused => Dialled::Refused,
                Failure::NoAnswer => Dialled::Silent,
                _ => Dialled::Unreachable(words),
            },
            Err(_) => continue,
        };
        let is_answer = dialled != Dialled::Silent;
        reach.dialled = Some((address, dialled));
        if is_answer {
            break;
        }
    }
}
