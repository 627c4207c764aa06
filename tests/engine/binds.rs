//! Bind mounts: a copy where one is asked for, and the right files wherever envrun itself runs.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::project::held_suite;
use crate::harness::{Project, Run, engine, image};

fn base() -> &'static str {
    image::BASE
}

#[test]
fn a_copy_has_the_files_as_they_are_and_keeps_what_is_written_from_the_host() {
    let project = Project::new(&format!(
        "
services:
  first:
    image: {base}
    command: [bash, -c, 'echo written > /data/new; echo more >> /one.txt']
    volumes: ['./data:/data', './one.txt:/one.txt']
  second:
    image: {base}
    depends_on: {{ first: {{ condition: service_completed_successfully }} }}
    command: [bash, -c, 'cat /data/new /one.txt; cd /data; find . ! -name new -printf \"%m %U:%G %y %P %l\\n\" | sort; ls -A /etc/empty; mount | grep -c \"on /data\"']
    volumes: ['./data:/data', './one.txt:/one.txt', './empty:/etc/empty', './made:/etc/apt']
    x-envrun: {{ suite: {{}} }}
x-envrun: {{ bind: copy }}
",
        base = base()
    ))
    .having("data/sub/script", "x")
    .having("one.txt", "one\n");
    std::fs::create_dir(project.path("empty")).unwrap();
    let mode = |name: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(project.path(name), permissions).unwrap();
    };
    mode("data", 0o2750);
    mode("data/sub/script", 0o751);
    std::os::unix::fs::symlink("sub/script", project.path("data/link")).unwrap();
    std::os::unix::fs::chown(project.path("data/sub/script"), Some(1234), Some(4321)).unwrap();
    // Nobody can copy a socket, and nobody misses it.
    let _socket = std::os::unix::net::UnixListener::bind(project.path("data/socket")).unwrap();
    let finished = project.run();
    finished.assert_code(0);
    let log = String::from_utf8(finished.log("second")).unwrap();
    let owner = std::fs::metadata(project.path("data")).unwrap();
    let own = format!("{}:{}", owner.uid(), owner.gid());
    let script = "751 1234:4321 f sub/script";
    let wanted = format!(
        "written\none\nmore\n2750 {own} d  \n{script} \n2755 {own} d sub \n777 {own} l link sub/script\n1\n"
    );
    // The mode of the directory in between is that of whoever runs the tests.
    let sub = std::fs::metadata(project.path("data/sub")).unwrap().mode() & 0o7777;
    let wanted = wanted.replace("2755", &format!("{sub:o}"));
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&log), sorted(&wanted));
    assert!(!project.path("data/new").exists());
    assert_eq!(
        std::fs::read_to_string(project.path("one.txt")).unwrap(),
        "one\n"
    );
    assert!(!project.path("made").exists());
}

#[test]
fn a_mount_that_is_written_to_is_warned_of_with_its_line() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command: ['true']
    volumes: ['./data:/data', './gate:/gate:ro']
    x-envrun: {{ suite: {{}} }}
",
        base = base()
    ));
    let finished = project.run();
    finished.assert_code(0);
    let warnings: Vec<&str> = finished
        .events
        .iter()
        .filter(|event| event.kind() == "warning")
        .map(|event| event.text("message"))
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("compose.yaml:7"), "{warnings:?}");
}

#[test]
fn sigkill_while_a_large_directory_is_copied_leaves_nothing() {
    let project = Project::new(&format!(
        "services:\n  checks:\n    {held}\n    x-envrun: {{ bind: copy, suite: {{}} }}\n",
        held = held_suite().replace("    x-envrun: { suite: {} }", "")
    ));
    let big = std::fs::File::create(project.path("gate/big")).unwrap();
    big.set_len(1 << 30).unwrap();
    let mut run = project.start();
    run.event("the copy", |event| {
        event.kind() == "step_started" && event.text("what").starts_with("copy ")
    });
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(5));
    run.until_nothing_is_left(Duration::from_secs(20));
}

#[test]
fn a_signal_while_a_large_directory_is_copied_does_not_wait_for_it() {
    let project = Project::new(&format!(
        "services:\n  checks:\n    {held}\n    x-envrun: {{ bind: copy, suite: {{}} }}\n",
        held = held_suite().replace("    x-envrun: { suite: {} }", "")
    ));
    let big = std::fs::File::create(project.path("gate/big")).unwrap();
    // More than any engine takes in the time that is given below.
    big.set_len(1 << 40).unwrap();
    let mut run = project.start();
    run.event("the copy", |event| {
        event.kind() == "step_started" && event.text("what").starts_with("copy ")
    });
    run.signal(Signal::TERM);
    run.wait(Duration::from_secs(7));
    assert_eq!(run.finish().code, 143);
}

/// A container in which envrun runs as a job does: with the program, and with the engine's socket. It
/// goes when the test does.
struct JobContainer<'project> {
    project: &'project Project,
    name: String,
}

impl<'project> JobContainer<'project> {
    fn start(project: &'project Project, options: &[&str]) -> Self {
        let host = engine::host();
        let socket = host
            .strip_prefix("unix://")
            .expect("this test mounts the engine's socket");
        let name = format!("{}-job", project.name);
        let label = format!("{}={}", engine::PROJECT_LABEL, project.name);
        let output = docker(&["run", "--detach", "--name", &name])
            .args(["--label", &label, "--network", "none"])
            // Not `/var/run/docker.sock`, although it is found there: some engines (28.5) copy nothing
            // into a container that has a mount below a link.
            .arg(format!("--volume={socket}:/run/docker.sock"))
            .arg(format!(
                "--volume={}:/usr/local/bin/envrun:ro",
                env!("CARGO_BIN_EXE_envrun")
            ))
            .args(options)
            .args([base(), "sleep", "infinity"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        Self { project, name }
    }

    /// Puts a file of the project into the container.
    fn put(&self, file: &str, to: &str) {
        let from = self.project.path(file).display().to_string();
        let to = format!("{}:{to}", self.name);
        assert!(docker(&["cp", &from, &to]).status().unwrap().success());
    }

    /// Runs a command in it, and gives its exit code and everything that it printed.
    fn run(&self, directory: &str, command: &[&str]) -> (Option<i32>, String) {
        let output = docker(&["exec", "--workdir", directory, &self.name])
            .args(command)
            .output()
            .unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        text.push_str(&String::from_utf8(output.stderr).unwrap());
        (output.status.code(), text)
    }

    /// Runs the project, and gives the log of its suite.
    #[track_caller]
    fn passes(&self, directory: &str) -> (String, String) {
        let (code, said) = self.run(directory, &["envrun", "run", "--out", "/tmp/out"]);
        assert_eq!(code, Some(0), "{said}");
        let (_, log) = self.run("/", &["cat", "/tmp/out/logs/checks.log"]);
        let (_, events) = self.run("/", &["cat", "/tmp/out/events.jsonl"]);
        let run = events
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|event| Some(event.get("run")?.as_str()?.to_owned()))
            .unwrap();
        assert_eq!(self.project.engine.of_run(&run), [], "left behind");
        (log, said)
    }
}

impl Drop for JobContainer<'_> {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.name]).output();
    }
}

fn docker(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments);
    command
}

/// Mounts a directory, a file, a directory that is not there yet, the engine's socket and, through a
/// link, another file.
fn in_a_job() -> Project {
    Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command: [bash, /suite.sh]
    volumes:
      - ./data:/data
      - ./suite.sh:/suite.sh:ro
      - ./made:/made
      - ./link:/linked:ro
      - /var/run/docker.sock:/engine.sock
    x-envrun: {{ suite: {{}} }}
",
        base = base()
    ))
    .having("data/leaf", "a leaf\n")
    .having(
        "suite.sh",
        "cat /data/leaf /linked; echo back > /data/back; echo new > /made/new; test -S /engine.sock && echo socket",
    )
}

const SEEN: &str = "a leaf\na leaf\nsocket\n";

#[test]
fn a_job_container_with_the_project_bound_into_it() {
    let project = in_a_job();
    std::os::unix::fs::symlink("data/leaf", project.path("link")).unwrap();
    let bound = format!(
        "--volume={}:/elsewhere/project",
        project.directory().display()
    );
    let job = JobContainer::start(&project, &[&bound]);
    let (log, said) = job.passes("/elsewhere/project");
    assert_eq!(log, SEEN);
    assert!(!said.contains("the engine cannot see"), "{said}");
    // What is written comes back, as it does outside of containers.
    let read = |name: &str| std::fs::read_to_string(project.path(name)).unwrap();
    assert_eq!(
        (read("data/back"), read("made/new")),
        ("back\n".into(), "new\n".into())
    );
}

#[test]
fn a_job_container_with_the_project_on_a_volume() {
    let project = in_a_job();
    std::os::unix::fs::symlink("data/leaf", project.path("link")).unwrap();
    // An anonymous volume goes with its container.
    let job = JobContainer::start(&project, &["--volume=/builds"]);
    let directory = format!("{}/.", project.directory().display());
    let to = format!("{}:/builds/", job.name);
    assert!(docker(&["cp", &directory, &to]).status().unwrap().success());
    let (log, said) = job.passes("/builds");
    assert_eq!(log, SEEN);
    assert!(!said.contains("the engine cannot see"), "{said}");
    let (_, back) = job.run("/builds", &["cat", "data/back", "made/new"]);
    assert_eq!(back, "back\nnew\n");
}

#[test]
fn a_job_container_with_the_project_in_its_own_layer() {
    let project = in_a_job();
    std::os::unix::fs::symlink("data/leaf", project.path("link")).unwrap();
    let job = JobContainer::start(&project, &[]);
    job.run("/", &["mkdir", "/project"]);
    for name in ["compose.yaml", "data", "suite.sh", "link"] {
        job.put(name, "/project/");
    }
    let (log, said) = job.passes("/project");
    assert_eq!(log, SEEN);
    // Once for all of them.
    assert_eq!(said.matches("the engine cannot see").count(), 1, "{said}");
    let (code, _) = job.run("/project", &["test", "-e", "data/back"]);
    assert_eq!(code, Some(1));
    let (_, plan) = job.run("/project", &["envrun", "plan"]);
    assert!(
        plan.contains("copy `/project/data` into a volume"),
        "{plan}"
    );
}

/// Passes connections to the engine on from an address that is not a loopback one, as if the engine
/// were another host: the address of the engine's own bridge on this host.
fn remote_engine(project: &Project) -> String {
    let bridge = project.engine.call(|docker| async move {
        docker
            .inspect_network(
                "bridge",
                None::<bollard::query_parameters::InspectNetworkOptions>,
            )
            .await
    });
    let subnet = bridge
        .ipam
        .and_then(|ipam| ipam.config?.into_iter().next()?.subnet)
        .expect("the engine's bridge has a subnet");
    let inside = subnet.split('/').next().unwrap();
    // Connecting a datagram socket sends nothing, and says by which address one would be sent.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    probe.connect((inside, 9)).unwrap();
    let listener = TcpListener::bind((probe.local_addr().unwrap().ip(), 0)).unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let host = engine::host();
    let socket = host.strip_prefix("unix://").unwrap().to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, UnixStream::connect(&socket)) else {
                return;
            };
            let (Ok(back_to), Ok(back_from)) = (client.try_clone(), server.try_clone()) else {
                return;
            };
            std::thread::spawn(move || forward_to_engine(client, server));
            std::thread::spawn(move || forward_to_client(back_from, back_to));
        }
    });
    address
}

fn forward_to_engine(mut from: TcpStream, mut to: UnixStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn forward_to_client(mut from: UnixStream, mut to: TcpStream) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length) = from.read(&mut piece) {
        if length == 0 || to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

#[test]
fn a_remote_engine_gets_copies() {
    let project = in_a_job();
    std::os::unix::fs::symlink("data/leaf", project.path("link")).unwrap();
    let mut command = project.command(&[]);
    command.env("DOCKER_HOST", remote_engine(&project));
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    assert_eq!(String::from_utf8(finished.log("checks")).unwrap(), SEEN);
    assert!(finished.stderr.contains("the engine cannot see"));
    assert!(!project.path("data/back").exists());
    assert!(!project.path("made").exists());
}
