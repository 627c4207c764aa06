//! A host of ours beyond the engine's host: a network namespace behind it, reached by a cable of its own.
//! It stands for the internet, which no test may reach. It takes root.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::wait;

/// How long silence has to last to be one.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long connections may go on to slip through.
const SLIPPING: Duration = Duration::from_secs(15);

/// The host. Its namespace and its cable are gone when this is dropped.
pub(crate) struct Outside {
    namespace: String,
    /// Where it answers to connections.
    pub(crate) address: SocketAddr,
    /// The engine's host as it is seen from there.
    pub(crate) engine: Ipv4Addr,
}

impl Outside {
    /// Makes the host. `None` where this user may not: the caller says that it has tested nothing.
    pub(crate) fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let random = uuid::Uuid::new_v4();
        let [first, second, third, ..] = *random.as_bytes();
        // A part of the range for tests of networks, of which nobody has a route to anywhere.
        let engine = Ipv4Addr::new(198, 18 + first % 2, second, (third & 0b1111_1100) + 1);
        let own = Ipv4Addr::from(u32::from(engine) + 1);
        let name = format!("envrun{}", &random.simple().to_string()[..8]);
        ip(&["netns", "add", &name]);
        let mut outside = Self {
            namespace: name.clone(),
            address: SocketAddr::from((own, 0)),
            engine,
        };
        let near = &name;
        ip(&[
            "link", "add", near, "type", "veth", "peer", "name", "out0", "netns", near,
        ]);
        ip(&["address", "add", &format!("{engine}/30"), "dev", near]);
        ip(&["link", "set", near, "up"]);
        for inside in [
            ["link", "set", "lo", "up"].as_slice(),
            &["address", "add", &format!("{own}/30"), "dev", "out0"],
            &["link", "set", "out0", "up"],
            &["route", "add", "default", "via", &engine.to_string()],
        ] {
            ip(&[["-n", &name].as_slice(), inside].concat());
        }
        let listener = outside.within(move || TcpListener::bind((own, 0)).unwrap());
        outside.address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(b"outside\n");
            }
        });
        Some(outside)
    }

    /// Does something in a thread that is on this host. Its sockets stay there.
    fn within<T: Send + 'static>(&self, action: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.namespace)).unwrap();
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            action()
        });
        thread.join().unwrap()
    }

    /// Whether nobody answers, not even that nobody listens. The engine takes its rules of isolation out
    /// for a moment whenever somebody creates a network, and then connections slip through.
    pub(crate) fn is_silent(&self, target: SocketAddr) -> bool {
        let begun = Instant::now();
        let is_silent = move || match TcpStream::connect_timeout(&target, PATIENCE) {
            Ok(_) => false,
            Err(error) => error.kind() != ErrorKind::ConnectionRefused,
        };
        while !self.within(is_silent) {
            if begun.elapsed() > SLIPPING {
                return false;
            }
            wait::pass(Duration::from_millis(200));
        }
        true
    }

    /// What a server says to a request from there.
    pub(crate) fn asks(&self, target: SocketAddr, request: &'static str) -> String {
        self.within(move || {
            let mut stream = TcpStream::connect_timeout(&target, PATIENCE * 5).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
    }
}

impl Drop for Outside {
    /// Runs while a panic may be under way, so nothing here panics. The cable goes with its end; it is
    /// removed all the same, since a socket that is still open keeps the namespace.
    fn drop(&mut self) {
        for arguments in [
            ["link", "del", &self.namespace],
            ["netns", "del", &self.namespace],
        ] {
            let _ = Command::new("ip").args(arguments).output();
        }
    }
}

#[track_caller]
fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {output:?}");
}
