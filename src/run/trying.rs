//! Tries the reachability matrix: everything at once, by name and by address, from inside the network
//! namespaces of the sources. Says what was seen last and judges nothing, but that it goes on trying until what
//! is promised is kept or time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Semaphore, mpsc};

use super::effect::{Input, Question, TrialTask};
use super::shared::Shared;
use crate::agent::wire::Failure;
use crate::agent::{Agent, AgentError, AgentStream};
use crate::clock;
use crate::name::ServiceName;
use crate::plan::StepId;
use crate::plan::agent::Rights;
use crate::plan::reachability::MOST_PORTS;
use crate::probe::listening;
use crate::reachability::judge::is_kept;
use crate::reachability::{Answer, Look, Named, Seen, TargetSeen, Try, TryKind};

/// How long one try may take. What is not to be reached costs this much, since packets that are dropped are
/// answered by nobody; what is reached answers within milliseconds. The kernel sends a second packet after
/// a second, so a longer limit would only help where packets get lost.
const ONE_TRY: Duration = Duration::from_secs(1);

/// How long it is tried again what is not as promised. Whoever is ready without a probe may begin to listen a
/// moment later; and engines take their rules of isolation out for a moment whenever a network is created,
/// so that a connection slips through that the next one does not follow.
const PROMISED: Duration = Duration::from_secs(5);

/// Pause between two tries of what is promised.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a question to an agent about its own surroundings may take.
const LOOK_AROUND: Duration = Duration::from_secs(2);

/// Most tries of one agent at once: each is a thread there.
const AT_ONCE: usize = 96;

/// Ports for an agent to listen on beside a target: above those that kernels give out and servers use. A
/// port may be taken, so there are several.
const CANARIES: [u16; 6] = [61_511, 62_039, 62_617, 63_149, 63_841, 64_303];

/// An agent with room for so many tries at once.
#[derive(Clone)]
struct Observer {
    agent: Agent,
    room: Arc<Semaphore>,
}

/// What an agent listens on beside a target. The port goes with the agent.
struct Canary {
    port: u16,
    _accepted: mpsc::UnboundedReceiver<AgentStream>,
}

/// Tries everything and tells what was seen.
pub(super) async fn try_all(shared: Arc<Shared>, step: StepId, task: TrialTask) {
    let mut seen = Seen {
        missing: task.missing,
        ..Seen::default()
    };
    let mut agents = shared.observers.take();
    let anew = task.anew.iter().map(|(name, of, container)| {
        let shared = &shared;
        async move {
            let sent = shared.agents.beside(container, Rights::Use).await;
            (name.clone(), of.clone(), sent)
        }
    });
    for (name, of, sent) in join_all(anew).await {
        match sent {
            Ok(agent) => drop(agents.insert(name, agent)),
            Err(error) => {
                agents.remove(&name);
                seen.missing.insert(name, (of, error.to_string()));
            }
        }
    }
    let observers: BTreeMap<ServiceName, Observer> = agents
        .into_iter()
        .map(|(name, agent)| {
            let room = Arc::new(Semaphore::new(AT_ONCE));
            (name, Observer { agent, room })
        })
        .collect();
    let canaries = look_around(&task.targets, &task.questions, &observers, &mut seen).await;
    let targets = seen.targets.clone();
    let looks = task.questions.iter().filter_map(|question| {
        let observer = observers.get(&question.from)?;
        let listening = match &question.target {
            crate::config::model::reachability::Whom::Service(name) => targets.get(name),
            _ => None,
        };
        Some(look(observer, question, listening, &canaries))
    });
    seen.looks = join_all(looks).await;
    shared.send(Input::ReachabilityTried {
        step,
        seen: Box::new(seen),
    });
}

/// Sees what the targets listen on, and has the agents beside them listen where packets count.
async fn look_around(
    targets: &BTreeMap<ServiceName, Vec<ServiceName>>,
    questions: &[Question],
    observers: &BTreeMap<ServiceName, Observer>,
    seen: &mut Seen,
) -> BTreeMap<String, Canary> {
    let counts = |target: &ServiceName| {
        questions
            .iter()
            .any(|one| one.asked.packets && one.target.as_str() == target.as_str())
    };
    let beside = targets.iter().flat_map(|(target, names)| {
        let names = names
            .iter()
            .filter_map(|name| Some((name, observers.get(name)?)));
        names.map(move |(name, observer)| async move {
            // The table first, so that it does not show what listens on our behalf.
            let table = observer.agent.sockets(LOOK_AROUND).await;
            let canary = match counts(target) {
                true => canary(&observer.agent).await,
                false => None,
            };
            (target.clone(), name.to_string(), table, canary)
        })
    });
    let beside: Vec<_> = beside.collect();
    let mut canaries = BTreeMap::new();
    for (target, name, table, canary) in join_all(beside).await {
        let listeners = table
            .map(|table| listening::listeners(&table))
            .unwrap_or_default();
        let of_target: &mut TargetSeen = seen.targets.entry(target).or_default();
        of_target.listening.extend(listeners);
        of_target.listening.sort_unstable();
        of_target.listening.dedup();
        if let Some(canary) = canary {
            canaries.insert(name, canary);
        }
    }
    canaries
}

async fn canary(agent: &Agent) -> Option<Canary> {
    let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
    for port in CANARIES {
        for address in any {
            let listening = agent.listen(SocketAddr::new(address, port), LOOK_AROUND);
            match listening.await {
                Ok((_, accepted)) => {
                    return Some(Canary {
                        port,
                        _accepted: accepted,
                    });
                }
                Err(AgentError::Gone | AgentError::Silent(_)) => return None,
                Err(AgentError::Failed { .. }) => {}
            }
        }
    }
    None
}

/// Looks at one target from one container, again and again while it is not as promised.
async fn look(
    observer: &Observer,
    question: &Question,
    target: Option<&TargetSeen>,
    canaries: &BTreeMap<String, Canary>,
) -> Look {
    let begun = clock::now();
    loop {
        let mut look = look_once(observer, question, target, canaries).await;
        look.took = begun.elapsed();
        let kept = question.promises.iter().all(|pair| is_kept(pair, &look));
        if kept || look.took >= PROMISED || observer.agent.is_gone() {
            return look;
        }
        clock::pause(PAUSE).await;
    }
}

async fn look_once(
    observer: &Observer,
    question: &Question,
    target: Option<&TargetSeen>,
    canaries: &BTreeMap<String, Canary>,
) -> Look {
    let asked = &question.asked;
    let mut ports: BTreeSet<u16> = asked.ports.union(&asked.promised).copied().collect();
    if asked.whole {
        let listening = target.into_iter().flat_map(|target| &target.listening);
        let open = listening
            .filter(|(loopback, _)| !loopback)
            .map(|(_, port)| *port);
        ports.extend(open.take(MOST_PORTS));
    }
    let canary_at = |address: &IpAddr| {
        let mut replicas = question.addresses.iter();
        let (replica, _) = replicas.find(|(_, addresses)| addresses.contains(address))?;
        canaries.get(replica).map(|canary| canary.port)
    };
    let tries_at = |addresses: &[IpAddr]| {
        let mut tries = BTreeSet::new();
        for address in addresses {
            tries.extend(ports.iter().map(|port| (*address, TryKind::Port(*port))));
            if asked.packets {
                tries.insert((*address, TryKind::Echo));
                let canary = canary_at(address);
                tries.extend(canary.map(|port| (*address, TryKind::Canary(port))));
            }
        }
        tries
    };
    let all: Vec<IpAddr> = question.addresses.values().flatten().copied().collect();
    let by_name = async {
        let named = resolve(&observer.agent, &question.name).await;
        let tries = match &named {
            Named::Addresses(addresses) => try_each(observer, tries_at(addresses)).await,
            _ => Vec::new(),
        };
        (named, tries)
    };
    let ((named, by_name), by_address) =
        futures::join!(by_name, try_each(observer, tries_at(&all)));
    Look {
        from: question.from.clone(),
        source: question.source.clone(),
        target: question.target.clone(),
        name: question.name.clone().unwrap_or_default(),
        named,
        by_name,
        addresses: question.addresses.clone(),
        by_address,
        took: Duration::ZERO,
    }
}

async fn resolve(agent: &Agent, name: &Result<String, String>) -> Named {
    let name = match name {
        Ok(name) => name,
        Err(why) => return Named::Nameless(why.clone()),
    };
    // A name that nobody knows may be asked for at name servers far away, and their silence is an answer.
    let Ok(answer) = clock::within(ONE_TRY, agent.resolve(name, ONE_TRY)).await else {
        return match agent.is_gone() {
            true => Named::NotAsked(AgentError::Gone.to_string()),
            false => Named::NoAnswer,
        };
    };
    match answer {
        Ok(addresses) if addresses.is_empty() => Named::Unknown,
        Ok(addresses) => Named::Addresses(addresses),
        Err(AgentError::Failed { failure, words }) => match failure {
            Failure::NoSuchName => Named::Unknown,
            Failure::NoAnswer => Named::NoAnswer,
            _ => Named::NotAsked(words),
        },
        Err(AgentError::Silent(_)) => Named::NoAnswer,
        Err(error @ AgentError::Gone) => Named::NotAsked(error.to_string()),
    }
}

async fn try_each(observer: &Observer, tries: BTreeSet<(IpAddr, TryKind)>) -> Vec<Try> {
    let tries = tries.into_iter().map(|(address, kind)| async move {
        // It is never closed.
        let _room = observer.room.acquire().await;
        let answer = attempt(&observer.agent, address, kind).await;
        Try {
            address,
            kind,
            answer,
        }
    });
    join_all(tries).await
}

async fn attempt(agent: &Agent, address: IpAddr, kind: TryKind) -> Answer {
    let tried = match kind {
        TryKind::Port(port) | TryKind::Canary(port) => {
            let connected = agent.connect(SocketAddr::new(address, port), ONE_TRY);
            connected.await.map(drop)
        }
        TryKind::Echo => agent.echo(address, ONE_TRY).await.map(drop),
    };
    match tried {
        Ok(()) => Answer::Accepted,
        Err(AgentError::Failed { failure, words }) => match failure {
            Failure::Refused => Answer::Refused,
            Failure::NoAnswer => Answer::NoAnswer,
            Failure::Unreachable => Answer::NoWay(plain(&words)),
            // A packet filter of the namespace itself; of echoes also the lack of a right to send any.
            Failure::Unsupported if kind != TryKind::Echo => Answer::NoWay(plain(&words)),
            _ => Answer::NotTried(plain(&words)),
        },
        Err(error) => Answer::NotTried(error.to_string()),
    }
}

/// The words of an I/O error without its number.
fn plain(words: &str) -> String {
    words
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase()
}
