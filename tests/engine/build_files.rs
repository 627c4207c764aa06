//! The files of a build: all kinds of them, many bytes of them, and both ways for them to travel.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use crate::harness::{Finished, Project, Run, engine, image};

fn copying(check: &str) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    build: ./app
    command: [bash, -ec, '{check}']
    x-envrun: {{ suite: {{}} }}
"
    ))
    .having(
        "app/Dockerfile",
        &format!("FROM {}\nCOPY . /app\n", image::BASE),
    )
}

/// A context with everything that a file system has to offer.
fn varied() -> Project {
    let long = format!("{}/{}", "d".repeat(120), "n".repeat(200));
    let project = copying(&format!(
        "cd /app; [ \"$$(cat {long})\" = long ]; [ \"$$(readlink link)\" = file ]; [ \"$$(readlink broken)\" = ../nowhere ]; cmp file hard; [ $$(stat -c %a script) = 4755 ]; [ $$(stat -c %u:%g script) = 0:0 ]; [ $$(stat -c %s sparse) = 30000000 ]; [ -d empty ]; ! [ -e socket ]; [ -e \"with space ä\" ]; [ $$(ls many | wc -l) = 500 ]"
    ))
    .having("app/file", "content")
    .having(&format!("app/{long}"), "long")
    .having("app/script", "")
    .having("app/with space ä", "");
    let app = project.path("app");
    symlink("file", app.join("link")).unwrap();
    symlink("../nowhere", app.join("broken")).unwrap();
    fs::hard_link(app.join("file"), app.join("hard")).unwrap();
    let mode = fs::Permissions::from_mode(0o4755);
    fs::set_permissions(app.join("script"), mode).unwrap();
    File::create(app.join("sparse"))
        .unwrap()
        .set_len(30_000_000)
        .unwrap();
    fs::create_dir(app.join("empty")).unwrap();
    for number in 0..500 {
        project.file(&format!("app/many/{number}"), "");
    }
    drop(UnixListener::bind(app.join("socket")).unwrap());
    project
}

#[test]
fn files_of_every_kind_arrive_as_they_are() {
    varied().run().assert_code(0);
}

/// The engine behind a socket that declines sessions, as a proxy with a list of endpoints does.
fn without_sessions(project: &Project) -> Run<'_> {
    let path = project.path("proxy.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let behind = engine::host().trim_start_matches("unix://").to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(mut client), Ok(mut server)) = (client, UnixStream::connect(&behind)) else {
                return;
            };
            std::thread::spawn(move || {
                let mut first = vec![0; 64 << 10];
                let count = client.read(&mut first).unwrap_or(0);
                if first.starts_with(b"POST /session") {
                    let _ =
                        client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
                    return;
                }
                let _ = server.write_all(&first[..count]);
                let (mut back_from, mut back_to) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut back_from, &mut back_to);
                    let _ = back_to.shutdown(std::net::Shutdown::Both);
                });
                let _ = std::io::copy(&mut client, &mut server);
                let _ = server.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    let mut command = project.command(&[]);
    command.env("DOCKER_HOST", format!("unix://{}", path.display()));
    Run::start(project, command, "out")
}

#[test]
fn an_engine_that_declines_a_session_gets_a_tar() {
    let project = varied();
    without_sessions(&project).finish().assert_code(0);
}

#[test]
fn an_engine_that_declines_a_session_gets_no_secret_and_says_so() {
    let project = copying("true").having("token", "value-of-the-token");
    let compose = fs::read_to_string(project.path("compose.yaml")).unwrap();
    let build = "build: { context: ./app, secrets: [{ source: token }] }";
    project.file(
        "compose.yaml",
        format!(
            "{}secrets: {{ token: {{ file: ./token }} }}\n",
            compose.replace("build: ./app", build)
        ),
    );
    let finished: Finished<'_> = without_sessions(&project).finish();
    finished.assert_code(3);
    assert!(
        finished.stderr.contains("need the engine's `/session`"),
        "{}",
        finished.stderr
    );
}

/// The most memory that a process has had, in kilobytes.
fn peak(process: rustix::process::Pid) -> Option<u64> {
    let path = format!("/proc/{}/status", process.as_raw_nonzero());
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_large_context_is_never_in_memory_as_a_whole() {
    const SIZE: u64 = 500 << 20;
    // The suite goes on until it has been measured.
    let project = copying("until [ -e /gate/open ]; do sleep 0.02; done");
    let compose = fs::read_to_string(project.path("compose.yaml")).unwrap();
    let gate = crate::harness::project::GATE;
    project.file(
        "compose.yaml",
        compose.replace("    command:", &format!("    {gate}\n    command:")),
    );
    project.file(
        "app/Dockerfile",
        format!("FROM {}\nCOPY large /large\nRUN [ $(stat -c %s /large) = {SIZE} ] && rm /large\nFROM {0}\nCOPY --from=0 /etc/hostname /\n", image::BASE),
    );
    let large = File::create(project.path("app/large")).unwrap();
    large.set_len(SIZE).unwrap();
    // Nothing copies this one, so it never travels.
    let unused = File::create(project.path("app/unused")).unwrap();
    unused.set_len(1 << 40).unwrap();
    let mut run = project.start();
    run.until_suite_started("checks");
    let peak = peak(run.process()).expect("it still runs");
    project.open_gate();
    run.finish().assert_code(0);
    assert!(peak < 80_000, "{peak} kB at most");
}

#[test]
fn a_file_that_shrinks_while_it_is_read_ends_the_build_with_its_name() {
    // What `run.json` says of a context is found out from files of 512 MiB at most, so only the build opens it.
    const SIZE: u64 = 600 << 20;
    let project = copying("true");
    let large = File::create(project.path("app/large")).unwrap();
    large.set_len(SIZE).unwrap();
    let mut run = project.start();
    run.event("the build", |event| {
        event.kind() == "step_started" && event.text("what").starts_with("build")
    });
    let open = format!("/proc/{}/fd", run.process().as_raw_nonzero());
    let path = project.path("app/large");
    crate::harness::wait::until("the transfer", Duration::from_secs(60), || {
        let mut files = fs::read_dir(&open).unwrap();
        let is_it = |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|to| to == path);
        files.any(|file| file.is_ok_and(is_it)).then_some(())
    });
    large.set_len(1).unwrap();
    let finished = run.finish();
    finished.assert_code(3);
    assert!(
        finished.stderr.contains("large` changed while it was read"),
        "{}",
        finished.stderr
    );
}
