//! `build:`, key by key: each has its effect, or says that it has none.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use crate::harness::engine::Engine;
use crate::harness::project::held_suite;
use crate::harness::{Project, image};

/// A project whose suite is built in `app` with these further keys and this Dockerfile after
/// `FROM`, and checks the result.
fn built(keys: &str, dockerfile: &str, check: &str) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    build:
      context: ./app
{keys}
    command: [bash, -ec, '{check}']
    x-envrun: {{ suite: {{}} }}
"
    ))
    .having(
        "app/Dockerfile",
        &format!("FROM {}\n{dockerfile}", image::BASE),
    )
}

fn dockerfile(text: &str) -> String {
    text.replace("BASE", image::BASE)
}

/// The image of the suite `checks` as the engine tells it, while the run holds it.
fn inspected(project: &Project) -> serde_json::Value {
    let mut run = project.start();
    run.until_suite_started("checks");
    let id = run.id();
    let container = project.engine.container(&id, "checks");
    let images = project.engine.inspect(&id, "image");
    let image = images
        .into_iter()
        .find(|image| image["Id"] == container["Image"]);
    project.open_gate();
    run.finish().assert_code(0);
    image.expect("the image of the suite")
}

#[test]
fn a_dockerfile_may_stand_in_the_file_itself_and_leaves_no_trace() {
    let project = built(
        &dockerfile("      dockerfile_inline: |\n        FROM BASE\n        COPY . /app\n        RUN touch /inline"),
        "RUN touch /wrong\n",
        "[ -e /inline ]; [ \"$$(ls -A /app)\" = \"Dockerfile kept\" ] || [ \"$$(ls -A /app | xargs)\" = \"Dockerfile kept\" ]",
    )
    .having("app/kept", "");
    project.run().assert_code(0);
}

#[test]
fn a_dockerfile_may_lie_outside_of_the_context_or_behind_a_link() {
    let project = built(
        "      dockerfile: ../link",
        "RUN touch /wrong\n",
        "[ -e /outside ]; [ \"$$(ls -A /app | xargs)\" = Dockerfile ]",
    )
    .having(
        "far/away",
        &dockerfile("FROM BASE\nCOPY . /app\nRUN touch /outside\n"),
    );
    std::os::unix::fs::symlink("far/away", project.path("link")).unwrap();
    project.run().assert_code(0);
}

#[test]
fn rules_of_the_dockerfile_itself_come_before_those_of_the_context() {
    let project = built(
        "      dockerfile: own/Dockerfile",
        "",
        "[ \"$$(ls -A /app | xargs)\" = \"common own\" ]",
    )
    .having(
        "app/own/Dockerfile",
        &dockerfile("FROM BASE\nCOPY . /app\n"),
    )
    .having("app/own/Dockerfile.dockerignore", "*\n!common\n!own\n")
    .having("app/.dockerignore", "common\n")
    .having("app/common", "")
    .having("app/other", "");
    project.run().assert_code(0);
}

#[test]
fn labels_and_network_and_hosts_and_platform_reach_the_builder() {
    let project = Project::new(&format!(
        "
services:
  checks:
    {}
",
        held_suite().replace(
            &format!("image: {}", image::BASE),
            "build:
      context: ./app
      labels: { com.example.one: first, \"com.example.two\": \"\" }
      network: none
      extra_hosts: [\"seen=192.0.2.7\", \"seen6=2001:db8::7\"]
      platforms: [linux/amd64]
      provenance: false
      sbom: false"
        )
    ));
    project.file(
        "app/Dockerfile",
        dockerfile("FROM BASE\nRUN [ \"$(ls /sys/class/net)\" = lo ]\nRUN grep '192.0.2.7.*seen' /etc/hosts && grep '2001:db8::7.*seen6' /etc/hosts\n"),
    );
    let image = inspected(&project);
    let labels = &image["Config"]["Labels"];
    assert_eq!(labels["com.example.one"], "first", "{labels}");
    assert_eq!(labels["com.example.two"], "", "{labels}");
    assert!(labels["dev.envrun.run"].is_string(), "{labels}");
}

#[test]
fn an_argument_without_a_value_comes_from_the_environment() {
    let project = built(
        "      args: { GIVEN: , MISSING: , FIXED: x }",
        "ARG GIVEN=no\nARG MISSING=default\nARG FIXED\nRUN echo $GIVEN-$MISSING-$FIXED > /args\n",
        "[ \"$$(cat /args)\" = yes-default-x ]",
    );
    let mut command = project.command(&[]);
    command.env("GIVEN", "yes").env_remove("MISSING");
    let run = crate::harness::Run::start(&project, command, "out");
    run.finish().assert_code(0);
}

#[test]
fn additional_contexts_of_every_kind_are_there_and_do_not_mix() {
    let project = Project::new(&format!(
        "
services:
  base:
    build: {{ context: ./base }}
    image: anything:1
    command: [sleep, infinity]
  checks:
    build:
      context: ./app
      additional_contexts:
        base: service:base
        files: ./files
        debian: docker-image://{base}
        replaced: docker-image://{base}
        unused: ./files
    command: [bash, -ec, '[ -e /from-base ]; [ -e /got/shared ]; [ -e /mounted ]; [ -e /version ]; ! [ -e /got/hidden ]; ! [ -e /wrong ]; [ \"$$(ls -A /app | xargs)\" = Dockerfile ]']
    x-envrun: {{ suite: {{}} }}
  again:
    build: {{ context: ./app2, additional_contexts: [files=./files] }}
    command: [bash, -c, '[ -e /shared ]']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    project.file(
        "base/Dockerfile",
        dockerfile("FROM BASE\nRUN touch /from-base\n"),
    );
    project.file("files/shared", "");
    project.file("files/hidden", "");
    project.file("files/.dockerignore", "hidden\n");
    project.file(
        "app/Dockerfile",
        "ARG WHICH=base\nFROM scratch AS replaced\nCOPY nothing /\nFROM $WHICH\nCOPY . /app\nCOPY --from=files \\\n  . /got\nCOPY --from=debian /etc/debian_version /version\nCOPY --from=replaced /etc/passwd /passwd\nRUN --mount=type=bind,from=files,target=/mnt [ -e /mnt/shared ] && touch /mounted\n",
    );
    project.file(
        "app2/Dockerfile",
        dockerfile("FROM BASE\nCOPY --from=files . /\n"),
    );
    let finished = project.run();
    finished.assert_code(0);
    // One directory is one image, however many builds use it.
    let builds = finished
        .events
        .iter()
        .filter(|event| event.kind() == "step_started" && event.text("what").ends_with("/files`"));
    assert_eq!(builds.count(), 1, "{:#?}", finished.events);
}

#[test]
fn a_context_that_is_the_image_of_nobody_is_an_error_with_its_line() {
    let project = built(
        "      additional_contexts: { one: \"service:chekcs\" }",
        "",
        "true",
    );
    let finished = project.run();
    finished.assert_code(2);
    assert!(
        finished
            .stderr
            .contains("builds upon `chekcs`, which does not exist"),
        "{}",
        finished.stderr
    );
    let project = built(
        "      additional_contexts: { one: \"service:checks\" }",
        "",
        "true",
    );
    let finished = project.run();
    finished.assert_code(2);
    assert!(
        finished.stderr.contains("needs its own result"),
        "{}",
        finished.stderr
    );
}

/// The value of the secret in the tests.
const SECRET: &str = "correct-horse-battery";

#[test]
fn secrets_reach_the_command_that_mounts_them_and_nothing_else() {
    let project = Project::new(&format!(
        "
services:
  checks:
    {}
secrets:
  from_file: {{ file: ./token }}
  from_environment: {{ environment: BUILD_TOKEN }}
",
        held_suite().replace(
            &format!("image: {}", image::BASE),
            "build:
      context: .
      dockerfile: app/Dockerfile
      secrets:
        - { source: from_file }
        - { source: from_environment, target: other }"
        )
    ))
    .having("token", &format!("file-{SECRET}\n"))
    .having(".dockerignore", "out*\ntoken\ngate\n")
    .having(
        "app/Dockerfile",
        &dockerfile(&format!(
            "FROM BASE\nCOPY . /app\nRUN --mount=type=secret,id=from_file [ \"$(cat /run/secrets/from_file)\" = \"file-$(echo {} | rev)\" ]\nRUN --mount=type=secret,id=other cat /run/secrets/other && [ \"$(cat /run/secrets/other | rev)\" = \"{}-vne\" ]\nRUN --mount=type=secret,id=missing [ ! -e /run/secrets/missing ]\n",
            reversed(SECRET),
            reversed(SECRET)
        )),
    );
    let mut command = project.command(&[]);
    command.env("BUILD_TOKEN", format!("env-{SECRET}"));
    let mut run = crate::harness::Run::start(&project, command, "out");
    run.until_suite_started("checks");
    let id = run.id();
    let container = project.engine.container(&id, "checks");
    let exported = project.engine.exported(container["Id"].as_str().unwrap());
    let image = project.engine.inspect(&id, "image")[0].to_string();
    project.open_gate();
    run.finish().assert_code(0);
    assert!(!contains(&exported, SECRET.as_bytes()));
    assert!(!image.contains(SECRET));
    for file in [
        "out/logs/builds/checks.log",
        "out/events.jsonl",
        "out.stderr",
    ] {
        let text = fs::read_to_string(project.path(file)).unwrap();
        assert!(!text.contains(SECRET), "{file}: {text}");
    }
    // It was printed, so the log shows that something was taken out.
    let log = fs::read_to_string(project.path("out/logs/builds/checks.log")).unwrap();
    assert!(log.contains("***"), "{log}");
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_secret_that_cannot_be_read_or_does_not_exist_is_named() {
    let project = built(
        "      secrets: [{ source: token }]",
        "RUN --mount=type=secret,id=token,required=true true\n",
        "true",
    );
    let compose = fs::read_to_string(project.path("compose.yaml")).unwrap();
    let finished = project.run();
    finished.assert_code(2);
    assert!(
        finished
            .stderr
            .contains("build secret `token`, which does not exist"),
        "{}",
        finished.stderr
    );
    project.file(
        "compose.yaml",
        format!("{compose}secrets: {{ token: {{ file: ./nowhere }} }}\n"),
    );
    let finished = project.run();
    finished.assert_code(3);
    assert!(
        finished.stderr.contains("secret `token`: cannot read"),
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.contains("nowhere"), "{}", finished.stderr);
}

#[test]
fn an_ssh_agent_can_be_asked_by_a_command_that_mounts_it() {
    let project = built(
        "      ssh: [default]",
        "RUN --mount=type=ssh perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die; syswrite $s, \"ping\"; sysread $s, my $got, 9; die $got unless $got eq \"pong\"'\n",
        "true",
    );
    let path = project.path("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut asked = [0; 4];
            connection.read_exact(&mut asked).unwrap();
            assert_eq!(&asked, b"ping");
            connection.write_all(b"pong").unwrap();
        }
    });
    let mut command = project.command(&[]);
    command.env("SSH_AUTH_SOCK", &path);
    let run = crate::harness::Run::start(&project, command, "out");
    run.finish().assert_code(0);

    let mut command = project.command(&[]);
    command.env_remove("SSH_AUTH_SOCK");
    let run = crate::harness::Run::start(&project, command, "out");
    let finished = run.finish();
    finished.assert_code(2);
    assert!(
        finished.stderr.contains("needs an agent"),
        "{}",
        finished.stderr
    );
}

/// What a build wrote into the image of the service `checks`, which prints it.
fn printed(project: &Project) -> BTreeMap<String, String> {
    let finished = project.run();
    finished.assert_code(0);
    let log = String::from_utf8(finished.log("checks")).unwrap();
    let pairs = log.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_cache_is_used_unless_it_is_said_otherwise() {
    let stages = |project: &str| {
        dockerfile(&format!(
            "FROM BASE AS first\nCOPY kept /\nRUN echo first={project}$(date +%N) > /first\nFROM BASE AS second\nRUN echo second={project}$(date +%N) > /second\nFROM BASE\nCOPY --from=first /first /first\nCOPY --from=second /second /second\n"
        ))
    };
    let print = "cat /first /second";
    let cached = built("", "", print).having("app/kept", "same");
    cached.file("app/Dockerfile", stages(&cached.name));
    let once = printed(&cached);
    // Times and owners of files are nothing to the cache.
    fs::remove_file(cached.path("app/kept")).unwrap();
    cached.file("app/kept", "same");
    let _ = std::os::unix::fs::chown(cached.path("app/kept"), Some(1234), None);
    assert_eq!(printed(&cached), once);
    cached.file("app/kept", "other");
    let changed = printed(&cached);
    assert_ne!(changed["first"], once["first"]);
    assert_eq!(changed["second"], once["second"]);

    for (key, kept) in [("no_cache: true", 0), ("no_cache_filter: [second]", 1)] {
        let project = built(&format!("      {key}"), "", print).having("app/kept", "same");
        project.file("app/Dockerfile", stages(&project.name));
        let (once, again) = (printed(&project), printed(&project));
        let same = once.iter().filter(|(name, value)| again[*name] == **value);
        assert_eq!(same.count(), kept, "{key}");
    }
}

#[test]
fn a_cache_that_cannot_be_had_is_no_failure() {
    let project = built(
        "      cache_from: [\"localhost:1/nothing:1\", \"type=registry,ref=localhost:1/more\", \"type=local,src=x\"]\n      cache_to: [\"type=inline\"]",
        "RUN true\n",
        "true",
    );
    let finished = project.run();
    finished.assert_code(0);
    assert!(
        finished
            .stderr
            .contains("`type=local,src=x` of `cache_from` has no effect"),
        "{}",
        finished.stderr
    );
    assert!(
        finished
            .stderr
            .contains("`cache_to` of `build` has no effect"),
        "{}",
        finished.stderr
    );
}

#[test]
fn pull_asks_the_registry_for_what_the_build_starts_from() {
    // Nothing listens there, so the image cannot be had, although the engine may have one.
    let project = built("      pull: true", "", "true");
    project.file("app/Dockerfile", "FROM localhost:1/base:1\n");
    let finished = project.run();
    finished.assert_code(3);
    assert!(
        finished.stderr.contains("localhost:1"),
        "{}",
        finished.stderr
    );
}

#[test]
fn tags_are_names_for_the_other_services_and_not_for_the_engine() {
    let project = built(
        "      tags: [\"envrun-test-tag:1\"]",
        "RUN touch /tagged\n",
        "[ -e /tagged ]",
    );
    let compose = fs::read_to_string(project.path("compose.yaml")).unwrap();
    project.file(
        "compose.yaml",
        compose.replace(
            "services:\n",
            "services:\n  other:\n    image: envrun-test-tag:1\n    command: [test, -e, /tagged]\n    x-envrun: { suite: {} }\n",
        ),
    );
    project.run().assert_code(0);
    assert!(!project.engine.has_image("envrun-test-tag:1"));
}

#[test]
fn limits_that_the_engine_passes_over_are_said() {
    let project = built(
        "      shm_size: 5m\n      ulimits: { nofile: 1234, nproc: { soft: 100, hard: 200 } }",
        "RUN echo limits=$(ulimit -n)-$(df -k /dev/shm | tail -n 1 | { read _ size _; echo $size; }) > /limits\n",
        "cat /limits",
    );
    let finished = project.run();
    finished.assert_code(0);
    let log = String::from_utf8(finished.log("checks")).unwrap();
    let is_honoured = log.contains("limits=1234-5120");
    for key in ["shm_size", "ulimits"] {
        let is_said = finished
            .stderr
            .contains(&format!("`{key}` in the `build` of `checks` has no effect"));
        assert_eq!(is_said, !is_honoured, "{key}: {log}{}", finished.stderr);
    }
}

#[test]
fn a_network_that_no_build_can_have_is_an_error_before_anything_is_made() {
    let project = built("      network: backend", "", "true");
    let finished = project.run();
    finished.assert_code(4);
    assert!(
        finished.stderr.contains("does not know `network`"),
        "{}",
        finished.stderr
    );
    assert!(!finished.has("step_started", "checks"));
}

#[test]
fn a_remote_context_is_fetched_by_the_engine() {
    // The engine is on this machine, or these tests could not reach its networks either.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [
        (
            "Dockerfile.remote",
            dockerfile("FROM BASE\nCOPY remote /remote\n"),
        ),
        ("remote", "here\n".to_owned()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let body = tar.into_inner().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 4096];
            let count = connection.read(&mut request).unwrap_or(0);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = connection.write_all(head.as_bytes());
            if !request[..count].starts_with(b"HEAD") {
                let _ = connection.write_all(&body);
            }
        }
    });
    let project = built(
        "      dockerfile: Dockerfile.remote",
        "",
        "[ \"$$(cat /remote)\" = here ]",
    );
    let compose = fs::read_to_string(project.path("compose.yaml")).unwrap();
    project.file(
        "compose.yaml",
        compose.replace("./app", &format!("http://{address}/context.tar")),
    );
    project.run().assert_code(0);
}

#[test]
fn the_failing_step_is_named_and_its_whole_output_is_kept() {
    let project = built(
        "",
        "RUN echo before\nRUN for i in $(seq 100); do echo line-$i; done; echo last words >&2; exit 7\n",
        "true",
    );
    let finished = project.run();
    finished.assert_code(3);
    for part in [
        "RUN for i in $(seq 100)",
        "exit code: 7",
        "line-100",
        "last words",
        "logs/builds/checks.log",
    ] {
        assert!(
            finished.stderr.contains(part),
            "{part}: {}",
            finished.stderr
        );
    }
    assert!(!finished.stderr.contains("line-7\n"), "{}", finished.stderr);
    let log = fs::read_to_string(project.path("out/logs/builds/checks.log")).unwrap();
    for part in ["before", "line-1\n", "line-100\n", "last words\n"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn the_image_is_the_one_that_the_engines_own_client_builds() {
    let text = dockerfile(
        "FROM BASE\nARG A=1\nENV X=$A\nLABEL l=v\nWORKDIR /w\nCOPY --chown=1:2 . .\nUSER 12\nEXPOSE 80\nVOLUME /v\nHEALTHCHECK --interval=3s CMD true\nENTRYPOINT [\"/bin/sh\"]\nSTOPSIGNAL SIGINT\n",
    );
    let project = Project::new(&format!(
        "
services:
  checks:
    {}
",
        held_suite().replace(
            &format!("image: {}", image::BASE),
            "entrypoint: []\n    user: root\n    build: { context: ./app, args: { A: two } }"
        )
    ))
    .having("app/Dockerfile", &text)
    .having("app/sub/file", "content")
    .having("app/skipped", "")
    .having("app/.dockerignore", "skipped\n");
    let ours = inspected(&project);
    let theirs = Engine::connect().built_by_docker(&project.path("app"), &[("A", "two")]);
    for key in [
        "Cmd",
        "Entrypoint",
        "Env",
        "ExposedPorts",
        "Healthcheck",
        "StopSignal",
        "User",
        "Volumes",
        "WorkingDir",
    ] {
        // Absent and empty are the same.
        let told = |image: &serde_json::Value| {
            Some(image["Config"][key].clone()).filter(|value| !value.is_null())
        };
        assert_eq!(told(&ours), told(&theirs), "{key}");
    }
    assert_eq!(ours["Config"]["Labels"]["l"], "v");
    assert_eq!(ours["Architecture"], theirs["Architecture"]);
}
