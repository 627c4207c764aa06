//! How long after a server accepts connections its dependant is started: what `ci/bench` prints and
//! checks as the lag of readiness.
//!
//! A chain of servers, each of which waits for the one before. A server notes the time right before it
//! listens, on the clock that all containers of a host share with it. The start of its dependant is
//! noted when the engine is told of it: this program stands between envrun and the engine's socket,
//! and notes when a call to start a container arrives. So everything in between is measured: the pause
//! of the probe, its attempt, the run's decision, and what envrun has to do before it makes the call.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for ci/bench, which reads its output"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// A server that takes its time, and then says when it began to listen.
const SERVER: &str = "import http.server, socketserver, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *words):
        pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    def server_activate(self):
        now = time.time_ns()
        self.socket.listen(64)
        print('listens', now, flush=True)
time.sleep(float(sys.argv[1]))
Server(('', 8000), Handler).serve_forever()
";

/// Measures the lag between the readiness of a server and the start of its dependant.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program.
    envrun: PathBuf,
    /// Directory for what the run leaves behind.
    out: PathBuf,
    /// An image with Python.
    image: String,
    /// How many starts are measured.
    #[arg(default_value_t = 20)]
    starts: usize,
}

/// When calls to start a container arrived, in nanoseconds since the epoch.
type Starts = Arc<Mutex<Vec<u128>>>;

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(lags) => {
            let lags: Vec<String> = lags.iter().map(u128::to_string).collect();
            println!("{}", lags.join(" "));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// The lags in microseconds.
fn measure(arguments: &Arguments) -> Fallible<Vec<u128>> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("server.py"), SERVER)?;
    let compose = compose(&arguments.image, arguments.starts);
    std::fs::write(directory.path().join("compose.yaml"), compose)?;
    let socket = directory.path().join("engine.sock");
    let starts = stand_between(&socket)?;
    let run = Command::new(&arguments.envrun)
        .arg("run")
        .arg(directory.path())
        .arg("--out")
        .arg(&arguments.out)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .output()?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        return Err(format!("the run of the chain failed:\n{said}").into());
    }
    let starts = starts.lock().unwrap_or_else(PoisonError::into_inner);
    if starts.len() != arguments.starts + 1 {
        let count = starts.len();
        return Err(format!("{count} starts, not one more than {}", arguments.starts).into());
    }
    let mut lags = Vec::new();
    for (number, start) in starts.iter().skip(1).enumerate() {
        let listens = listens(&arguments.out, number)?;
        let lag = start
            .checked_sub(listens)
            .ok_or("a dependant was started before its server listened")?;
        lags.push(lag / 1000);
    }
    Ok(lags)
}

/// Servers that wait for each other. Every other one is asked by HTTP, and each takes another time, so
/// that nothing depends on how starts and pauses happen to fall together.
fn compose(image: &str, starts: usize) -> String {
    let mut text = String::from("name: lag\nservices:\n");
    for number in 0..=starts {
        let delay = 137 * number % 700;
        let _ = write!(
            text,
            "  link-{number}:
    image: {image}
    command: [python3, -u, /server.py, '0.{delay:03}']
    volumes: ['./server.py:/server.py:ro']
    pull_policy: never
"
        );
        let _ = match number % 2 {
            0 => writeln!(text, "    x-envrun: {{ ready: {{ tcp: 8000 }} }}"),
            _ => writeln!(text, "    x-envrun: {{ ready: {{ http: 8000 }} }}"),
        };
        if let Some(before) = number.checked_sub(1) {
            let _ = writeln!(text, "    depends_on: [link-{before}]");
        }
    }
    // The last link is the suite that lets the run end.
    let last = format!(
        "    command: [python3, -u, /server.py, '0.{:03}']\n",
        137 * starts % 700
    );
    let Some(at) = text.rfind(&last) else {
        return text;
    };
    text.replace_range(at..at + last.len(), "    command: ['true']\n");
    let Some(at) = text.rfind("    x-envrun:") else {
        return text;
    };
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    text.replace_range(at..end, "    x-envrun: { suite: {} }");
    text
}

/// When a server of the chain began to listen.
fn listens(out: &Path, number: usize) -> Fallible<u128> {
    let log = std::fs::read_to_string(out.join(format!("logs/link-{number}.log")))?;
    let line = log.lines().find_map(|line| line.split_once("listens "));
    let (_, time) = line.ok_or("a server has not said when it listens")?;
    Ok(time.trim().parse()?)
}

/// Listens between envrun and the engine.
fn stand_between(socket: &Path) -> Fallible<Starts> {
    let engine = std::env::var("DOCKER_HOST").unwrap_or_default();
    let engine = match engine.as_str() {
        "" => PathBuf::from("/var/run/docker.sock"),
        host => PathBuf::from(
            host.strip_prefix("unix://")
                .ok_or("the lag can be measured at a unix socket only")?,
        ),
    };
    let listener = UnixListener::bind(socket)?;
    let starts = Starts::default();
    let noted = Arc::clone(&starts);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (engine, starts) = (engine.clone(), Arc::clone(&noted));
            std::thread::spawn(move || pass_on(client, &engine, &starts));
        }
    });
    Ok(starts)
}

/// Passes everything on in both directions.
fn pass_on(mut client: UnixStream, engine: &Path, starts: &Starts) -> io::Result<()> {
    let mut engine = UnixStream::connect(engine)?;
    let (mut answers, mut to_client) = (engine.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let mut piece = [0; 64 << 10];
    loop {
        let count = client.read(&mut piece)?;
        if count == 0 {
            return engine.shutdown(Shutdown::Write);
        }
        // A request begins with a piece of its own.
        let line = piece[..count].split(|byte| *byte == b'\r').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default());
        let mut words = line.split(' ');
        if words.next() == Some("POST") {
            let path = words.next().unwrap_or_default();
            let path = path.split('?').next().unwrap_or_default();
            if path.contains("/containers/") && path.ends_with("/start") {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.unwrap_or_default().as_nanos();
                starts
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(now);
            }
        }
        engine.write_all(&piece[..count])?;
    }
}
