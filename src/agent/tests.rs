//! The real program, run as a process beside the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// The program beside the test; the directory goes with it.
struct Running {
    agent: Option<Agent>,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Running {
    fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("still there")
    }
}

async fn running() -> Running {
    running_by(&[]).await
}

/// The program, started by another one.
async fn running_by(starter: &[&str]) -> Running {
    let directory = tempfile::tempdir().expect("a directory");
    // Whoever starts it may have become somebody else.
    let passable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), passable).expect("ours");
    let path = directory.path().join("agent");
    std::fs::write(&path, program().expect("built")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    // A process that was forked by another test may still hold the file open for writing.
    let mut child = loop {
        let mut words = starter
            .iter()
            .map(std::ffi::OsStr::new)
            .chain([path.as_os_str()]);
        let mut command = Command::new(words.next().expect("at least the program"));
        let spawned = command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                tokio::task::yield_now().await;
            }
            spawned => break spawned.expect("it runs"),
        }
    };
    let input = child.stdin.take().expect("piped");
    let output = child.stdout.take().expect("piped");
    let output = futures::stream::unfold(output, |mut output| async move {
        let mut buffer = vec![0; 7_000];
        match output.read(&mut buffer).await {
            Ok(0) => None,
            Ok(length) => {
                buffer.truncate(length);
                Some((Ok(Bytes::from(buffer)), output))
            }
            Err(error) => Some((Err(error), output)),
        }
    });
    let agent = Agent::greet(input, output.boxed(), LIMIT).await;
    Running {
        agent: Some(agent.expect("it says hello")),
        child,
        _directory: directory,
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

#[tokio::test]
async fn names_are_resolved_and_unknown_ones_are_told_from_silence() {
    let running = running().await;
    let found = running.agent().resolve("localhost", LIMIT).await;
    assert!(found.expect("known").iter().all(IpAddr::is_loopback));
    let unknown = running.agent().resolve("", LIMIT).await;
    assert!(
        matches!(unknown, Err(AgentError::Failed { .. })),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_connection_carries_bytes_both_ways_and_both_ends() {
    let running = running().await;
    let (listener, address) = listener().await;
    let mut stream = running.agent().connect(address, LIMIT).await.expect("open");
    let (mut peer, _) = listener.accept().await.expect("accepted");
    stream.write_all(b"question").await.expect("written");
    stream.shutdown().await.expect("ended");
    let mut question = String::new();
    peer.read_to_string(&mut question).await.expect("read");
    assert_eq!(question, "question");
    peer.write_all(b"answer").await.expect("written");
    drop(peer);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let running = running().await;
    let (listener, address) = listener().await;
    drop(listener);
    let refused = running.agent().dial(address).await.map(drop);
    assert_eq!(refused, Err(DialError::Refused));
}

/// More than the window, to a reader that comes late, and another connection meanwhile.
#[tokio::test]
async fn a_peer_that_never_stops_holds_up_nobody_and_loses_nothing() {
    /// Well beyond what the kernel keeps for a connection.
    const LENGTH: usize = 32 << 20;
    let running = running().await;
    let (listener, address) = listener().await;
    let mut flooded = running.agent().connect(address, LIMIT).await.expect("open");
    let (mut peer, _) = listener.accept().await.expect("accepted");
    let flood = tokio::spawn(async move { peer.write_all(&vec![7; LENGTH]).await });
    let mut other = running.agent().connect(address, LIMIT).await.expect("open");
    let (mut second, _) = listener.accept().await.expect("accepted");
    second.write_all(b"here").await.expect("written");
    let mut here = [0; 4];
    other.read_exact(&mut here).await.expect("not held up");
    assert!(!flood.is_finished(), "the window has an end");
    let mut all = Vec::new();
    flooded.read_to_end(&mut all).await.expect("read");
    assert_eq!(all.len(), LENGTH);
}

#[tokio::test]
async fn it_listens_and_passes_on_what_it_accepts() {
    let running = running().await;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (bound, mut accepted) = running.agent().listen(any, LIMIT).await.expect("listens");
    let mut client = tokio::net::TcpStream::connect(bound).await.expect("open");
    let mut stream = accepted.recv().await.expect("accepted");
    client.write_all(b"hello").await.expect("written");
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.expect("read");
    stream.write_all(b"bye").await.expect("written");
    drop(stream);
    let mut bye = String::new();
    client.read_to_string(&mut bye).await.expect("read");
    assert_eq!((&hello, bye.as_str()), (b"hello", "bye"));
    let sockets = running.agent().sockets(LIMIT).await.expect("told");
    assert!(
        sockets.contains(&format!(":{:04X}", bound.port())),
        "{sockets}"
    );
}

#[tokio::test]
async fn an_agent_that_dies_ends_every_wait() {
    let mut running = running().await;
    let (listener, address) = listener().await;
    let mut stream = running.agent().connect(address, LIMIT).await.expect("open");
    let _peer = listener.accept().await.expect("accepted");
    let agent = running.agent().clone();
    running.child.kill().await.expect("killed");
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.expect("ended"), 0);
    let gone = agent.resolve("localhost", LIMIT).await;
    assert_eq!(gone, Err(AgentError::Gone));
}

#[tokio::test]
async fn it_ends_when_nobody_is_left_to_ask() {
    let mut running = running().await;
    drop(running.agent.take());
    let status = running.child.wait().await.expect("ended");
    assert!(status.success());
}

#[tokio::test]
async fn what_is_no_agent_is_not_spoken_to() {
    let output = futures::stream::iter([Ok(Bytes::from_static(b"exec format error: no agent"))]);
    let stranger = Agent::greet(tokio::io::sink(), output.boxed(), LIMIT).await;
    assert!(matches!(stranger, Err(AgentError::Gone)));
}

/// The program in a network namespace of its own, where it may do as it likes.
async fn apart() -> Running {
    match rustix::process::geteuid().is_root() {
        true => running_by(&["unshare", "--net"]).await,
        false => running_by(&["unshare", "--user", "--map-root-user", "--net"]).await,
    }
}

/// What a program says in the namespaces of the agent.
async fn beside(running: &Running, command: &[&str]) -> String {
    let id = running.child.id().expect("it runs").to_string();
    let mut entering = Command::new("nsenter");
    entering.args(["--target", &id, "--net"]);
    if !rustix::process::geteuid().is_root() {
        entering.args(["--user", "--preserve-credentials"]);
    }
    let output = entering.args(command).output().await.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn lost_packets_are_tables_of_ours_and_no_other_is_touched() {
    let running = apart().await;
    let change = async |words: &str| running.agent().change(words, LIMIT).await.expect(words);
    beside(&running, &["nft", "add table ip theirs"]).await;
    change("try lose").await;
    change("lose envrun_1 100 10.0.0.1 10.0.0.2 fd00::1").await;
    change("lose envrun_2 99").await;
    // Once more, in the place of what was there.
    change("lose envrun_2 30").await;
    insta::assert_snapshot!(beside(&running, &["nft", "list", "ruleset"]).await);
    change("lose-no-more envrun_1").await;
    change("lose-no-more envrun_2").await;
    change("lose-no-more envrun_2").await;
    let left = beside(&running, &["nft", "list", "ruleset"]).await;
    assert_eq!(left, "table ip theirs {\n}\n");
}

#[tokio::test]
async fn what_the_kernel_lacks_or_does_not_allow_is_told_apart_from_nonsense() {
    let running = apart().await;
    let change = async |words: &str| running.agent().change(words, LIMIT).await;
    // A kernel without `netem` says so, and one with it does it and undoes it.
    match change("try hold-back").await {
        Ok(_) => {
            let queues = beside(&running, &["tc", "qdisc", "show", "dev", "lo"]).await;
            assert!(!queues.contains("netem"), "{queues}");
        }
        Err(AgentError::Failed { failure, words }) => {
            assert_eq!(failure, Failure::Unsupported, "{words}");
        }
        Err(error) => panic!("{error}"),
    }
    for nonsense in [
        "",
        "lose",
        "lose t",
        "lose t x",
        "lose t 5 nowhere",
        "hold-back 1",
        "hold-back a b",
    ] {
        let answer = change(nonsense).await;
        let failure = |error| {
            matches!(
                error,
                AgentError::Failed {
                    failure: Failure::Other,
                    ..
                }
            )
        };
        assert!(answer.is_err_and(failure), "{nonsense}");
    }
    let unprivileged = running_by(&["setpriv", "--reuid", "65534", "--clear-groups"]).await;
    if rustix::process::geteuid().is_root() {
        let answer = unprivileged.agent().change("try lose", LIMIT).await;
        let failure = |error| {
            matches!(
                error,
                AgentError::Failed {
                    failure: Failure::Unsupported,
                    ..
                }
            )
        };
        assert!(answer.is_err_and(failure));
    }
}
