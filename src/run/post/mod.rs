//! Where suites say which faults they wish: an agent listens on their networks, and what comes in is
//! understood here. Nothing is published on a host.
//!
//! Who asks is told by a word in the address that only one suite was given. What is done about a wish
//! is decided by the dispatcher.

mod http;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use self::http::Answer;
use self::http::Asked;
use super::effect::Input;
use super::shared::Shared;
use crate::agent::AgentStream;
use crate::engine::EndpointSpec;
use crate::fault::{Order, Request};
use crate::name::{NetworkId, ServiceName};

/// The port on which it listens.
pub const PORT: u16 = 7070;

/// How long the agent may take to listen.
const LISTEN: Duration = Duration::from_secs(10);

/// How many requests are heard at once. Each is a small thing, and nobody needs more.
const AT_ONCE: usize = 32;

/// What a suite wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A fault.
    Begin(Request),
    /// That a frozen service goes on.
    Unpause(String),
    /// That a fault of its own is undone.
    Undo(String),
    /// That all of its own are.
    UndoAll,
    /// To know which faults there are.
    List,
}

/// By which an answer finds whoever waits for it.
pub type Ticket = u64;

/// Those who wait for an answer.
#[derive(Default)]
pub(super) struct Waiting {
    last: Mutex<Ticket>,
    open: Mutex<BTreeMap<Ticket, oneshot::Sender<Answer>>>,
}

impl Waiting {
    fn ask(&self) -> (Ticket, oneshot::Receiver<Answer>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(*last, sender);
        (*last, receiver)
    }

    /// Answers. Nobody may wait any more.
    pub(super) fn answer(&self, ticket: Ticket, answer: Answer) {
        let waiting = self.lock().remove(&ticket);
        let _ = waiting.map(|waiting| waiting.send(answer));
    }

    /// Nobody is answered any more.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Ticket, oneshot::Sender<Answer>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens on networks for the suites of these words.
pub(super) async fn open(
    shared: Arc<Shared>,
    networks: Vec<(NetworkId, EndpointSpec)>,
    suites: BTreeMap<String, ServiceName>,
) {
    let failed = |reason: String| shared.send(Input::PostOpened(Err(reason)));
    let agent = match shared.agents.on(networks).await {
        Ok(agent) => agent,
        Err(error) => return failed(error.to_string()),
    };
    let any = [
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)),
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
    ];
    let mut listening = agent.listen(any[0], LISTEN).await;
    if listening.is_err() {
        // A kernel without IPv6.
        listening = agent.listen(any[1], LISTEN).await;
    }
    let accepted = match listening {
        Ok((_, accepted)) => accepted,
        Err(error) => return failed(error.to_string()),
    };
    shared.send(Input::PostOpened(Ok(())));
    serve(&shared, accepted, &Arc::new(suites)).await;
    drop(agent);
}

async fn serve(
    shared: &Arc<Shared>,
    mut accepted: mpsc::UnboundedReceiver<AgentStream>,
    suites: &Arc<BTreeMap<String, ServiceName>>,
) {
    let heard = Arc::new(AtomicUsize::new(0));
    while let Some(mut stream) = accepted.recv().await {
        let (shared, suites) = (Arc::clone(shared), Arc::clone(suites));
        let heard = Arc::clone(&heard);
        let others = heard.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let answer = match others < AT_ONCE {
                true => hear(&shared, &suites, &mut stream).await,
                false => Answer::refusal(503, "too many requests at once", None),
            };
            http::answer(&mut stream, &answer).await;
            heard.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Hears one request and waits for its answer.
async fn hear(
    shared: &Shared,
    suites: &BTreeMap<String, ServiceName>,
    stream: &mut AgentStream,
) -> Answer {
    let asked = match http::read(stream).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let (suite, wish) = match understand(&asked, suites) {
        Ok(understood) => understood,
        Err(answer) => return answer,
    };
    let (ticket, answer) = shared.waiting.ask();
    shared.send(Input::Wished {
        ticket,
        suite,
        wish,
    });
    let over = || Answer::refusal(503, "the run is over", None);
    answer.await.unwrap_or_else(|_| over())
}

/// Whose wish a request is, and which.
fn understand(
    asked: &Asked,
    suites: &BTreeMap<String, ServiceName>,
) -> Result<(ServiceName, Wish), Answer> {
    let nothing = || {
        let hint = "`POST $ENVRUN_FAULTS_URL/partition?a=api&b=db&for=5s`, `GET $ENVRUN_FAULTS_URL`, `DELETE $ENVRUN_FAULTS_URL/faults/ID`";
        Answer::refusal(404, "there is nothing at this address", Some(hint))
    };
    let Some((word, path)) = asked.path.split_first() else {
        return Err(nothing());
    };
    let suite = suites.get(word).ok_or_else(nothing)?.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let order = |order: Result<Order, _>| match order {
        Ok(Order::Begin(request)) => Ok(Wish::Begin(request)),
        Ok(Order::Unpause(service)) => Ok(Wish::Unpause(service)),
        Err(error) => Err(Answer::wrong(400, &error)),
    };
    let wish = match (asked.method.as_str(), path.as_slice()) {
        ("GET", [] | ["faults"]) => Wish::List,
        ("DELETE", [] | ["faults"]) => Wish::UndoAll,
        ("DELETE", ["faults", id]) => Wish::Undo((*id).to_owned()),
        ("POST", [] | ["faults"]) => order(Order::parse_text(&asked.body))?,
        ("POST", [kind]) => {
            let pairs = asked.pairs.iter();
            let pairs: Vec<String> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let words = std::iter::once(*kind).chain(pairs.iter().map(String::as_str));
            order(Order::parse(words))?
        }
        (_, [] | ["faults", ..] | [_]) => {
            return Err(Answer::refusal(
                405,
                "this is asked for in another way",
                None,
            ));
        }
        _ => return Err(nothing()),
    };
    Ok((suite, wish))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &[&str], pairs: &[(&str, &str)], body: &str) -> Asked {
        Asked {
            method: method.to_owned(),
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            pairs: pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    fn understood(asked: &Asked) -> Result<Wish, u16> {
        let suites = BTreeMap::from([("secret".to_owned(), ServiceName::new("e2e"))]);
        match understand(asked, &suites) {
            Ok((suite, wish)) => {
                assert_eq!(suite.as_str(), "e2e");
                Ok(wish)
            }
            Err(answer) => Err(answer.status),
        }
    }

    #[test]
    fn only_whoever_knows_the_word_is_heard() {
        for path in [
            &[][..],
            &["faults"],
            &["wrong"],
            &["wrong", "faults"],
            &["secre", "kill"],
        ] {
            assert_eq!(
                understood(&asked("GET", path, &[], "")),
                Err(404),
                "{path:?}"
            );
        }
    }

    #[test]
    fn both_ways_to_wish_are_the_same() {
        let pairs = [("a", "api"), ("b", "db"), ("for", "5s")];
        let one = understood(&asked("POST", &["secret", "partition"], &pairs, ""));
        let other = understood(&asked(
            "POST",
            &["secret"],
            &[],
            "partition api db for=5s\n",
        ));
        assert!(matches!(one, Ok(Wish::Begin(_))));
        assert_eq!(one, other);
        let undo = understood(&asked("DELETE", &["secret", "faults", "3"], &[], ""));
        assert_eq!(undo, Ok(Wish::Undo("3".to_owned())));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (method, path, body, status) in [
            ("POST", &["secret", "explode"][..], "", 400),
            ("POST", &["secret"], "", 400),
            ("POST", &["secret", "kill", "db"], "", 404),
            ("PUT", &["secret", "faults"], "", 405),
            ("GET", &["secret", "kill"], "", 405),
            ("POST", &["secret", "faults", "1"], "", 405),
        ] {
            let answer = understood(&asked(method, path, &[], body));
            assert_eq!(answer, Err(status), "{method} {path:?}");
        }
        // A value cannot bring in further words.
        let pairs = [("service", "db for=5s")];
        let wish = understood(&asked("POST", &["secret", "kill"], &pairs, ""));
        let Ok(Wish::Begin(request)) = wish else {
            unreachable!("{wish:?}");
        };
        assert_eq!(request.time, None);
    }
}
