//! An engine for one test alone, which may be stopped, killed and started again: a dockerd in a network
//! namespace of its own, with its own directories. It takes root.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{image, wait};

/// How long it may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The engine. Everything of it is gone when this is dropped.
pub(crate) struct PrivateEngine {
    directory: TempDir,
    namespace: String,
    daemon: Option<Child>,
}

impl PrivateEngine {
    /// Starts an engine that has the base image. `None` where this user may not: the caller says that
    /// it has tested nothing.
    pub(crate) fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let directory = tempfile::Builder::new()
            .prefix("envrun-engine-")
            .tempdir()
            .unwrap();
        let random = uuid::Uuid::new_v4().simple().to_string();
        // A name of a network namespace is one of an interface as well, and those are short.
        let namespace = format!("envrun{}", &random[..8]);
        fs::write(directory.path().join("daemon.json"), "{}").unwrap();
        run(Command::new("ip").args(["netns", "add", &namespace]));
        let mut engine = Self {
            directory,
            namespace,
            daemon: None,
        };
        run(Command::new("ip").args(["-n", &engine.namespace, "link", "set", "lo", "up"]));
        engine.up();
        let mut save = Command::new("docker")
            .args(["save", image::BASE])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let saved = save.stdout.take().unwrap();
        run(engine.docker().arg("load").stdin(saved));
        save.wait().unwrap();
        Some(engine)
    }

    /// The value of `DOCKER_HOST` that leads here.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    /// Docker's own client.
    pub(crate) fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.address());
        command
    }

    /// Starts the daemon and waits until it answers. After a crash it may find its old containerd still
    /// ending, and gives up; whoever looks after a daemon starts it again.
    pub(crate) fn up(&mut self) {
        for _ in 0..5 {
            if self.has_come_up() {
                return;
            }
        }
        let said = fs::read_to_string(self.path("log")).unwrap_or_default();
        let last: Vec<_> = said.lines().rev().take(10).collect();
        panic!("the private engine does not start: {last:#?}");
    }

    fn has_come_up(&mut self) -> bool {
        let storage = Command::new("docker")
            .args(["info", "--format", "{{.Driver}}"])
            .output()
            .unwrap();
        let storage = String::from_utf8_lossy(&storage.stdout).trim().to_owned();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let daemon = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg("dockerd")
            .arg("--config-file")
            .arg(self.path("daemon.json"))
            .arg("--data-root")
            .arg(self.path("data"))
            .arg("--exec-root")
            .arg(self.path("exec"))
            .arg("--pidfile")
            .arg(self.path("pid"))
            .args(["--host", &self.address(), "--storage-driver", &storage])
            // Where the machine's containerd is shared, its containers are told apart by these.
            .args(["--containerd-namespace", &self.namespace])
            .arg("--containerd-plugins-namespace")
            .arg(format!("{}-plugins", self.namespace))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        wait::until("the private engine", PATIENCE, || {
            if self.daemon.as_mut().unwrap().try_wait().unwrap().is_some() {
                return Some(false);
            }
            let mut asking = self.docker();
            asking
                .arg("version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            asking.status().unwrap().success().then_some(true)
        })
    }

    /// Sends the daemon a signal, and waits until it has ended.
    pub(crate) fn down(&mut self, signal: Signal) {
        if let Some(mut daemon) = self.daemon.take() {
            kill_process(Pid::from_child(&daemon), signal).unwrap();
            let status = wait::until("the end of the private engine", PATIENCE, || {
                daemon.try_wait().unwrap()
            });
            assert!(!status.success() || signal == Signal::TERM);
        }
    }

    /// Names of everything that carries the label of a run.
    pub(crate) fn of_run(&self, run: &str) -> Vec<String> {
        let filter = format!("label={}={run}", super::engine::RUN_LABEL);
        let mut names = Vec::new();
        for listing in [
            ["container", "ls", "--all", "--format", "{{.Names}}"].as_slice(),
            &["network", "ls", "--format", "{{.Name}}"],
            &["volume", "ls", "--format", "{{.Name}}"],
            &["image", "ls", "--format", "{{.ID}}"],
        ] {
            let mut command = self.docker();
            command.args(listing).args(["--filter", &filter]);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            names.extend(text.lines().map(str::to_owned));
        }
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for PrivateEngine {
    /// Runs while a panic may be under way, so nothing here panics.
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // Not the gentle way: there is nothing on it that anybody needs.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        // What a daemon leaves when it is killed: its containerd, and the shims with the containers below
        // them, all of which have the directory in their arguments.
        for _ in 0..50 {
            let left = processes_of(self.directory.path());
            if left.is_empty() {
                break;
            }
            for process in left {
                let _ = kill_process(process, Signal::KILL);
            }
            wait::pass(Duration::from_millis(50));
        }
        for mount in mounts_below(self.directory.path()) {
            let _ = Command::new("umount").arg("--lazy").arg(mount).status();
        }
        let _ = Command::new("ip")
            .args(["netns", "del", &self.namespace])
            .status();
    }
}

/// Processes that have the directory in their arguments, and those that they have started.
fn processes_of(directory: &Path) -> Vec<Pid> {
    let wanted = directory.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&arguments).contains(&wanted) {
            found.extend(children_of(id).into_iter().filter_map(Pid::from_raw));
            found.extend(Pid::from_raw(id));
        }
    }
    found
}

fn children_of(process: i32) -> Vec<i32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// Deepest first.
fn mounts_below(directory: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut mounts: Vec<String> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|target| Path::new(target).starts_with(directory))
        .map(str::to_owned)
        .collect();
    mounts.sort();
    mounts.reverse();
    mounts
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
