//! Which envrun the action uses: a program that is named, one on the PATH, that of a release, or one
//! that it builds.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Signal, kill_process};

use super::github_runner::Job;
use crate::harness::{Project, image};

/// What releases are called on a machine like this one, by `ci/github/release.js` and by `ci/release`.
const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-musl"
} else {
    "x86_64-unknown-linux-musl"
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn project() -> Project {
    Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command: ['true']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
}

/// A server of releases: the files of a directory by HTTP, and silence for a file `silent`.
fn serve(directory: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut request).unwrap();
            let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
            loop {
                let mut header = String::new();
                if reader.read_line(&mut header).unwrap() == 0 || header == "\r\n" {
                    break;
                }
            }
            if directory.join("silent").exists() {
                silent.push(stream);
                fs::write(directory.join("asked"), "").unwrap();
                continue;
            }
            let (status, body) = match fs::read(directory.join(path.trim_start_matches('/'))) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
        }
    });
    address
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

/// Makes a release of the program under test, as `ci/release` packs it, and serves it. Answers with a
/// job that uses the action by the tag of the release.
fn released<'project>(project: &'project Project, corrupt: bool) -> Job<'project> {
    let releases = project.path("releases");
    let release = releases.join(format!("owner/envrun/releases/download/v{VERSION}"));
    let folder = format!("envrun-{VERSION}-{TARGET}");
    fs::create_dir_all(release.join(&folder)).unwrap();
    let program = release.join(&folder).join("envrun");
    fs::copy(env!("CARGO_BIN_EXE_envrun"), &program).unwrap();
    let archive = format!("{folder}.tar.gz");
    let packed = Command::new("tar")
        .args(["-I", "gzip -1", "-cf", &archive, &folder])
        .current_dir(&release)
        .status();
    assert!(packed.unwrap().success());
    fs::remove_dir_all(release.join(&folder)).unwrap();
    let sum = sha256(&release.join(&archive));
    fs::write(
        release.join("SHA256SUMS"),
        format!("{}  another-file\n{sum}  {archive}\n", "0".repeat(64)),
    )
    .unwrap();
    if corrupt {
        fs::write(release.join(&archive), b"something else").unwrap();
    }
    let address = serve(releases);
    Job::new(project)
        .variable("GITHUB_SERVER_URL", &format!("http://{address}"))
        .variable("GITHUB_ACTION_REPOSITORY", "owner/envrun")
        .variable("GITHUB_ACTION_REF", &format!("v{VERSION}"))
}

#[test]
fn a_release_is_downloaded_once_and_used_again() {
    let project = project();
    let job = released(&project, false);
    let mut step = job.start("first", &[("out", "first")]);
    assert_eq!(step.end(), 0, "{}", step.said());
    assert!(
        step.said().contains("downloading http://127.0.0.1"),
        "{}",
        step.said()
    );
    step.assert_nothing_is_left();
    fs::remove_dir_all(project.path("releases")).unwrap();
    let mut step = job.start("second", &[("out", "second")]);
    assert_eq!(step.end(), 0, "{}", step.said());
    assert!(!step.said().contains("downloading"), "{}", step.said());
    step.assert_nothing_is_left();
}

#[test]
fn a_release_with_another_checksum_is_not_used() {
    let project = project();
    let job = released(&project, true);
    let mut step = job.start("step", &[]);
    assert_eq!(step.end(), 2, "{}", step.said());
    assert!(
        step.said().contains("::error title=envrun::"),
        "{}",
        step.said()
    );
    assert!(step.said().contains("has the checksum"), "{}", step.said());
    assert!(!project.path("runner/_tool/envrun").exists());
    assert_eq!(step.output("result"), "error");
    step.post();
}

#[test]
fn a_version_that_nobody_has_is_an_error() {
    let project = project();
    let job = released(&project, false);
    let mut step = job.start("step", &[("version", "v9.8.7")]);
    assert_eq!(step.end(), 2, "{}", step.said());
    assert!(
        step.said().contains("there is no release of envrun 9.8.7"),
        "{}",
        step.said()
    );
}

#[test]
fn a_download_that_does_not_end_is_cancelled_with_the_job() {
    let project = project();
    let job = released(&project, false);
    project.file("releases/silent", "");
    let mut step = job.start("step", &[]);
    let asked = project.path("releases/asked");
    crate::harness::wait::until("the request", std::time::Duration::from_secs(20), || {
        asked.exists().then_some(())
    });
    assert_eq!(step.cancel().0, 130, "{}", step.said());
    assert_eq!(step.output("result"), "cancelled");
    step.post();
}

#[test]
fn an_envrun_on_the_path_is_used_if_it_has_the_right_version() {
    let project = project();
    let directory = Path::new(env!("CARGO_BIN_EXE_envrun")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let job = Job::new(&project).variable("PATH", &format!("{}:{path}", directory.display()));
    let mut step = job.start("step", &[("version", VERSION)]);
    assert_eq!(step.end(), 0, "{}", step.said());
    assert!(
        step.said().contains(&format!("which is version {VERSION}")),
        "{}",
        step.said()
    );
    step.assert_nothing_is_left();
    let mut step = job.start("other", &[("version", "9.8.7")]);
    assert_eq!(step.end(), 2, "{}", step.said());
}

#[test]
fn inputs_that_name_nothing_are_errors_and_no_commands() {
    let project = project();
    let job = Job::new(&project);
    let mut steps = 0;
    let mut of = |inputs: &[(&str, &str)], words: &str, commands_said: usize| {
        steps += 1;
        let mut step = job.start(&format!("step{steps}"), inputs);
        assert_eq!(step.end(), 2, "{}", step.said());
        let said = step.said();
        assert!(said.contains(words), "{said}");
        // One line is one command, whatever an input says.
        let commands = said.lines().filter(|line| line.starts_with("::"));
        assert_eq!(commands.count(), commands_said, "{said}");
        assert_eq!(step.output("exit-code"), "2");
    };
    of(&[("binary", "not there")], "which is no program", 1);
    of(
        &[("binary", "/bin/true")],
        "does not answer to `--version`",
        1,
    );
    of(
        &[("binary", "a\n::set-env name=PATH::/tmp")],
        "%0A::set-env",
        1,
    );
    of(&[("version", "latest\n::warning::x")], "%0A::warning", 1);
    let program = ("binary", env!("CARGO_BIN_EXE_envrun"));
    // These are told by envrun itself.
    of(&[program, ("directory", "--help")], "--help", 1);
    of(&[program, ("files", "--help")], "--help", 1);
}

/// An action whose sources are a small crate of the same name, which hands over to the program under
/// test: the whole of envrun takes minutes to build.
fn with_small_sources(project: &Project, build_script: &str) -> PathBuf {
    let action = project.path("action");
    fs::create_dir_all(action.join("ci/github")).unwrap();
    let repository = image::repository();
    fs::copy(repository.join("action.yml"), action.join("action.yml")).unwrap();
    for entry in fs::read_dir(repository.join("ci/github")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(
            entry.path(),
            action.join("ci/github").join(entry.file_name()),
        )
        .unwrap();
    }
    project.file(
        "action/Cargo.toml",
        format!("[package]\nname = \"envrun\"\nversion = \"{VERSION}\"\nedition = \"2024\"\n[workspace]\n"),
    );
    project.file(
        "action/Cargo.lock",
        format!("version = 4\n\n[[package]]\nname = \"envrun\"\nversion = \"{VERSION}\"\n"),
    );
    project.file("action/build.rs", build_script);
    project.file(
        "action/src/main.rs",
        format!(
            "use std::os::unix::process::CommandExt;\nfn main() {{ panic!(\"{{}}\", std::process::Command::new({:?}).args(std::env::args_os().skip(1)).exec()) }}\n",
            env!("CARGO_BIN_EXE_envrun")
        ),
    );
    action
}

#[test]
fn without_a_release_it_is_built_from_the_sources_of_the_action() {
    let project = project();
    let mut job = Job::new(&project).variable("GITHUB_ACTION_REF", "main");
    job.action = with_small_sources(&project, "fn main() {}\n");
    let mut step = job.start("step", &[]);
    assert_eq!(step.end(), 0, "{}", step.said());
    assert!(step.said().contains("building envrun"), "{}", step.said());
    assert!(
        project
            .path("runner/_temp/envrun-target/release/envrun")
            .exists()
    );
    step.assert_nothing_is_left();
}

#[test]
fn a_build_that_is_cancelled_ends_with_everything_that_it_has_started() {
    let project = project();
    let mut job = Job::new(&project);
    let noted = project.path("build-script");
    let script = format!(
        "fn main() {{ std::fs::write({:?}, std::process::id().to_string()).unwrap(); std::thread::park(); }}\n",
        noted.display().to_string()
    );
    job.action = with_small_sources(&project, &script);
    let mut step = job.start("step", &[]);
    let builder = crate::harness::wait::until(
        "the build script",
        std::time::Duration::from_secs(60),
        || fs::read_to_string(&noted).ok()?.parse::<i32>().ok(),
    );
    let builder = rustix::process::Pid::from_raw(builder).unwrap();
    assert_eq!(step.cancel().0, 130, "{}", step.said());
    crate::harness::wait::until(
        "the end of the build script",
        std::time::Duration::from_secs(5),
        || {
            rustix::process::test_kill_process(builder)
                .is_err()
                .then_some(())
        },
    );
    assert!(!step.said().contains("::error"), "{}", step.said());
    step.post();
    let _ = kill_process(builder, Signal::KILL);
}

#[test]
fn a_build_that_fails_and_one_without_a_toolchain_say_so() {
    let project = project();
    let mut job = Job::new(&project);
    job.action = with_small_sources(&project, "fn main() { std::process::exit(1) }\n");
    let mut step = job.start("fails", &[]);
    assert_eq!(step.end(), 2, "{}", step.said());
    assert!(
        step.said()
            .contains("building envrun failed with exit code 101"),
        "{}",
        step.said()
    );
    // Nothing but node.
    let directory = project.path("programs");
    fs::create_dir_all(&directory).unwrap();
    let found = Command::new("sh")
        .args(["-c", "command -v node"])
        .output()
        .unwrap();
    let node = String::from_utf8(found.stdout).unwrap();
    std::os::unix::fs::symlink(node.trim(), directory.join("node")).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let job = job
        .variable("PATH", directory.to_str().unwrap())
        .variable("HOME", directory.to_str().unwrap());
    let mut step = job.start("none", &[]);
    assert_eq!(step.end(), 2, "{}", step.said());
    assert!(
        step.said().contains("no cargo to build it with"),
        "{}",
        step.said()
    );
}
