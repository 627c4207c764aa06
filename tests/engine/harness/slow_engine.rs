//! The engine behind a socket of the test that holds back the requests that create something of one
//! kind: what is created late, after whoever asked for it has gone, is otherwise a matter of luck.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{Project, engine, wait};

/// How many requests of that kind are held, how many were passed on, whether the gate is open, and
/// how often somebody has listed containers.
#[derive(Default)]
struct Traffic {
    listings: usize,
    held: usize,
    passed_on: usize,
    open: bool,
}

/// A socket in front of the engine.
pub(crate) struct SlowEngine {
    address: String,
    traffic: Arc<(Mutex<Traffic>, Condvar)>,
}

impl SlowEngine {
    /// Listens in the directory of the project, and holds back requests that begin like this: `POST
    /// /networks/create`, or `POST /containers/*/start` with anything for the star.
    pub(crate) fn holding(project: &Project, request: &'static str) -> Self {
        let path = project.path("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let host = engine::host();
        let Some(behind) = host.strip_prefix("unix://").map(PathBuf::from) else {
            panic!(
                "this test stands between envrun and a unix socket, and the engine is at {host}"
            );
        };
        let traffic = Arc::<(Mutex<Traffic>, Condvar)>::default();
        let shared = Arc::clone(&traffic);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&behind)) else {
                    return;
                };
                let (Ok(back_to), Ok(back_from)) = (client.try_clone(), server.try_clone()) else {
                    return;
                };
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || forward(client, server, request.as_bytes(), &shared));
                std::thread::spawn(move || forward(back_from, back_to, b"", &Arc::default()));
            }
        });
        Self {
            address: format!("unix://{}", path.display()),
            traffic,
        }
    }

    /// The value of `DOCKER_HOST` that leads here.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until a request is being held.
    #[track_caller]
    pub(crate) fn until_holding(&self) {
        wait::until("a request to hold back", Duration::from_secs(30), || {
            (self.traffic.0.lock().unwrap().held > 0).then_some(())
        });
    }

    /// Lets all requests through to the engine, those of clients that have gone included.
    pub(crate) fn let_go(&self) {
        self.traffic.0.lock().unwrap().open = true;
        self.traffic.1.notify_all();
    }

    /// How often somebody has listed containers by this way.
    pub(crate) fn listings(&self) -> usize {
        self.traffic.0.lock().unwrap().listings
    }

    /// Waits until so many requests have been held, those of clients that have gone included.
    #[track_caller]
    pub(crate) fn until_held(&self, count: usize) {
        wait::until("so many requests", Duration::from_secs(60), || {
            (self.held() >= count).then_some(())
        });
    }

    /// How many requests have been held.
    pub(crate) fn held(&self) -> usize {
        self.traffic.0.lock().unwrap().held
    }

    /// How many of the requests have reached the engine.
    pub(crate) fn passed_on(&self) -> usize {
        self.traffic.0.lock().unwrap().passed_on
    }
}

/// Whether a piece begins with a request of this form.
fn is_request(piece: &[u8], form: &[u8]) -> bool {
    if form.is_empty() {
        return false;
    }
    let mut parts = form.split(|byte| *byte == b'*');
    let start = parts.next().unwrap_or_default();
    let line = piece
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    line.starts_with(start)
        && parts.all(|part| line.windows(part.len()).any(|window| window == part))
}

/// Copies until the end of `from`. A client sends its next request after the answer to the last
/// one, so each begins a piece.
fn forward(
    mut from: UnixStream,
    mut to: UnixStream,
    hold: &[u8],
    traffic: &Arc<(Mutex<Traffic>, Condvar)>,
) {
    let mut piece = vec![0_u8; 64 << 10];
    while let Ok(length) = from.read(&mut piece) {
        if length == 0 {
            break;
        }
        let piece = &piece[..length];
        let (lock, changed) = &**traffic;
        if piece.starts_with(b"GET /containers/json") {
            lock.lock().unwrap().listings += 1;
        }
        if is_request(piece, hold) {
            let mut state = lock.lock().unwrap();
            state.held += 1;
            while !state.open {
                state = changed.wait(state).unwrap();
            }
            state.passed_on += 1;
        }
        if to.write_all(piece).is_err() {
            break;
        }
    }
    if hold.is_empty() {
        let _ = to.shutdown(std::net::Shutdown::Write);
    }
}
