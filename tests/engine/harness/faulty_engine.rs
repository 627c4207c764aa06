//! The engine behind a socket of the test, which does to chosen requests what engines and what is
//! between do to clients in bad hours.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::{Project, engine, wait};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not reach the engine, and is answered with this status and this message.
    Answer(u16, &'static str),
    /// It does not reach the engine, and the connection is closed.
    Close,
    /// It does not reach the engine, and what comes back is no HTTP.
    Garbage,
    /// The engine does what is asked, and the connection is closed in place of its answer.
    LoseReply,
    /// Of the engine's answer so many bytes arrive after its head, and then the connection is closed.
    CutAfter(usize),
    /// Nothing happens, for ever.
    Stall,
    /// Nothing happens before the gate is opened.
    Hold,
    /// It reaches the engine this much later.
    Delay(Duration),
}

struct Rule {
    /// `METHOD /path/with/*`, or `*` for everything.
    pattern: String,
    fault: Fault,
    /// How many more requests it hits.
    left: usize,
    /// How many it has hit.
    hits: usize,
}

#[derive(Default)]
struct Traffic {
    rules: Vec<Rule>,
    requests: Vec<String>,
    /// Held requests, and those of them that were passed on.
    held: usize,
    passed_on: usize,
    open: bool,
    /// Connections by the request that they are for.
    streams: Vec<(String, UnixStream)>,
}

/// A socket in front of the engine.
pub(crate) struct FaultyEngine {
    path: PathBuf,
    traffic: Arc<(Mutex<Traffic>, Condvar)>,
}

impl FaultyEngine {
    /// Listens in the directory of the project, in front of the engine that all tests use.
    pub(crate) fn start(project: &Project) -> Self {
        let host = engine::host();
        let Some(behind) = host.strip_prefix("unix://").map(PathBuf::from) else {
            panic!(
                "this test stands between envrun and a unix socket, and the engine is at {host}"
            );
        };
        let path = project.path("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let traffic = Arc::<(Mutex<Traffic>, Condvar)>::default();
        let shared = Arc::clone(&traffic);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let (behind, shared) = (behind.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(client, &behind, &shared));
            }
        });
        Self { path, traffic }
    }

    /// The same, which holds back the requests that this pattern matches.
    pub(crate) fn holding(project: &Project, pattern: &str) -> Self {
        let engine = Self::start(project);
        engine.fault(pattern, Fault::Hold);
        engine
    }

    /// The value of `DOCKER_HOST` that leads here.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Lets every request that the pattern matches meet the fault.
    pub(crate) fn fault(&self, pattern: &str, fault: Fault) {
        self.fault_times(pattern, fault, usize::MAX);
    }

    /// The same for the next so many requests.
    pub(crate) fn fault_times(&self, pattern: &str, fault: Fault, times: usize) {
        self.lock().rules.push(Rule {
            pattern: pattern.to_owned(),
            fault,
            left: times,
            hits: 0,
        });
    }

    /// How many requests have met a fault.
    pub(crate) fn hits(&self) -> usize {
        self.lock().rules.iter().map(|rule| rule.hits).sum()
    }

    /// Waits until a request has met a fault.
    #[track_caller]
    pub(crate) fn until_hit(&self) {
        wait::until("a request for the fault", Duration::from_secs(60), || {
            (self.hits() > 0).then_some(())
        });
    }

    /// Takes all faults back, those of requests that are stalled included: they end.
    pub(crate) fn heal(&self) {
        self.lock().rules.clear();
        self.cut("*");
    }

    /// Cuts the connections of requests that the pattern matches. Returns how many there were.
    pub(crate) fn cut(&self, pattern: &str) -> usize {
        let streams = std::mem::take(&mut self.lock().streams);
        let (cut, kept): (Vec<_>, Vec<_>) = streams
            .into_iter()
            .partition(|(request, _)| matches(pattern, request));
        self.lock().streams.extend(kept);
        for (_, stream) in &cut {
            let _ = stream.shutdown(Shutdown::Both);
        }
        cut.len()
    }

    /// Takes the socket away and cuts every connection: nobody is there.
    pub(crate) fn go_away(&self) {
        std::fs::rename(&self.path, self.path.with_extension("away")).unwrap();
        self.cut("*");
    }

    /// Puts it back.
    pub(crate) fn come_back(&self) {
        std::fs::rename(self.path.with_extension("away"), &self.path).unwrap();
    }

    /// Waits until a request is being held.
    #[track_caller]
    pub(crate) fn until_holding(&self) {
        self.until_held(1);
    }

    /// Waits until so many requests have been held, those of clients that have gone included.
    #[track_caller]
    pub(crate) fn until_held(&self, count: usize) {
        wait::until("requests to hold back", Duration::from_secs(60), || {
            (self.held() >= count).then_some(())
        });
    }

    /// How many requests have been held.
    pub(crate) fn held(&self) -> usize {
        self.lock().held
    }

    /// Lets held requests through to the engine, those of clients that have gone included.
    pub(crate) fn let_go(&self) {
        self.lock().open = true;
        self.traffic.1.notify_all();
    }

    /// How often somebody has listed containers by this way.
    pub(crate) fn listings(&self) -> usize {
        let traffic = self.lock();
        let requests = traffic.requests.iter();
        requests
            .filter(|request| matches("GET /containers/json", request))
            .count()
    }

    /// How many of the held requests have reached the engine.
    pub(crate) fn passed_on(&self) -> usize {
        self.lock().passed_on
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.0.lock().unwrap()
    }
}

/// Whether a request, `METHOD /path?query`, is meant. A `*` stands for one part of the path.
fn matches(pattern: &str, request: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let path = request.split('?').next().unwrap_or_default();
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    pattern.clone().count() == path.clone().count()
        && pattern
            .zip(path)
            .all(|(wanted, part)| wanted == "*" || wanted == part)
}

/// How long a client may take to notice that it was answered.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves the one request of a connection, and closes it: there are more handles to it than this one.
fn serve(mut client: UnixStream, behind: &PathBuf, traffic: &Arc<(Mutex<Traffic>, Condvar)>) {
    if let Some((head, rest)) = read_head(&mut client) {
        pass(&mut client, behind, traffic, (&head, &rest));
    }
    let _ = client.shutdown(Shutdown::Both);
}

fn pass(
    client: &mut UnixStream,
    behind: &PathBuf,
    traffic: &Arc<(Mutex<Traffic>, Condvar)>,
    (head, rest): (&[u8], &[u8]),
) {
    let request = request_of(head);
    let fault = meet(&request, client, &traffic.0);
    match fault {
        Some(Fault::Answer(status, message)) => {
            let body = format!("{{\"message\":\"{message}\"}}");
            let length = body.len();
            let _ = client.write_all(
                format!(
                    "HTTP/1.1 {status} Fault\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .as_bytes(),
            );
            // An upload goes on meanwhile. Were the connection closed on it, the answer would be lost.
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.set_read_timeout(Some(LAST_WORDS));
            let _ = std::io::copy(client, &mut std::io::sink());
            return;
        }
        Some(Fault::Close) => return,
        Some(Fault::Garbage) => {
            let _ = client.write_all(b"\x00\xffgarbage\r\n\r\nof another protocol\x01");
            return;
        }
        Some(Fault::Stall) => {
            // Until the client has lost its patience, or the test its interest.
            let mut piece = [0; 4096];
            while client.read(&mut piece).is_ok_and(|length| length > 0) {}
            return;
        }
        Some(Fault::Hold) => {
            let (lock, changed) = &**traffic;
            let mut state = lock.lock().unwrap();
            state.held += 1;
            while !state.open {
                state = changed.wait(state).unwrap();
            }
            state.passed_on += 1;
        }
        Some(Fault::Delay(time)) => wait::pass(time),
        Some(Fault::LoseReply | Fault::CutAfter(_)) | None => {}
    }
    let Ok(mut server) = UnixStream::connect(behind) else {
        return;
    };
    if server.write_all(&one_request(head)).is_err() || server.write_all(rest).is_err() {
        return;
    }
    let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        // Whoever asked has gone, and the engine is to know.
        let _ = to.shutdown(Shutdown::Both);
    });
    answer(client, &mut server, fault);
    let _ = server.shutdown(Shutdown::Both);
}

/// Notes a request and what it meets.
fn meet(request: &str, client: &UnixStream, traffic: &Mutex<Traffic>) -> Option<Fault> {
    let mut traffic = traffic.lock().unwrap();
    traffic.requests.push(request.to_owned());
    if let Ok(stream) = client.try_clone() {
        traffic.streams.push((request.to_owned(), stream));
    }
    let rule = traffic
        .rules
        .iter_mut()
        .find(|rule| rule.left > 0 && matches(&rule.pattern, request))?;
    rule.left -= 1;
    rule.hits += 1;
    Some(rule.fault)
}

/// Passes the engine's answer on, as far as the fault lets it.
fn answer(client: &mut UnixStream, server: &mut UnixStream, fault: Option<Fault>) {
    let limit = match fault {
        Some(Fault::LoseReply) => {
            // The head of the answer says that it is done.
            let _ = read_head(server);
            return;
        }
        Some(Fault::CutAfter(limit)) => limit,
        _ => {
            let _ = std::io::copy(server, client);
            return;
        }
    };
    let Some((head, rest)) = read_head(server) else {
        return;
    };
    let _ = client.write_all(&head);
    let first = rest.len().min(limit);
    let _ = client.write_all(&rest[..first]);
    let _ = std::io::copy(&mut server.take((limit - first) as u64), client);
}

/// A head with its empty line, and what has come after it.
fn read_head(stream: &mut UnixStream) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        if let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = all.split_off(end + 4);
            return Some((all, rest));
        }
        let length = stream.read(&mut piece).ok()?;
        if length == 0 {
            return None;
        }
        all.extend_from_slice(&piece[..length]);
    }
}

/// `METHOD /path?query`, without the version of the API.
fn request_of(head: &[u8]) -> String {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    let plain = path
        .strip_prefix("/v1.")
        .and_then(|versioned| versioned.find('/').map(|slash| &versioned[slash..]))
        .unwrap_or(path);
    format!("{method} {plain}")
}

/// The head of a request that is the only one of its connection, unless it takes the connection over.
fn one_request(head: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    if text.to_lowercase().contains("\r\nupgrade:") {
        return head.to_vec();
    }
    let mut lines: Vec<&str> = text.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.to_lowercase().starts_with("connection:"));
    lines.push("Connection: close");
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}
