//! Ways around the judgement that an attacker would try.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::super::{Case, load};
use super::{errors, judged};

/// What no error may show.
const SECRET: &str = "SECRET-OF-THE-HOST=1";

/// A project beside a file that is not its own, and a link to it under each name.
fn linked(files: &[(&str, &str)], links: &[&str]) -> Case {
    let case = Case::new(files).untrusted();
    let outside = case.directory.path().join("outside.yaml");
    std::fs::write(&outside, format!("{SECRET}\n= [\n")).unwrap();
    for link in links {
        let path = case.request.directory.join(link);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&outside, path).unwrap();
    }
    case
}

/// The messages; nothing of what is outside may be in what is shown.
#[track_caller]
fn said(case: &Case) -> String {
    let shown = case.show();
    assert!(!shown.contains("SECRET-OF"), "{shown}");
    let errors = errors(case);
    assert!(!errors.is_empty(), "{shown}");
    let top = case.directory.path().display().to_string();
    errors.join("\n").replace(&top, "/PARENT")
}

const PLAIN: &str = "services: { web: { image: i } }";

#[test]
fn files_outside_are_refused_before_they_are_read() {
    let said = |compose: &str, link: &str| said(&linked(&[("compose.yaml", compose)], &[link]));
    insta::assert_snapshot!(said(PLAIN, ".env"), @"`.env` is not read for strangers' code: it leads out of the project's directory");
    insta::assert_snapshot!(said("include: [more.yaml]", "more.yaml"), @"compose.yaml:1:11: `more.yaml` is not read for strangers' code: it leads out of the project's directory");
    insta::assert_snapshot!(said("include: [../outside.yaml]", "x"), @"compose.yaml:1:11: `/PARENT/outside.yaml` is not read for strangers' code: it leads out of the project's directory");
    insta::assert_snapshot!(said("include: [{ path: other.yaml, env_file: x.env }]", "x.env"), @"
    compose.yaml:1:19: cannot read `other.yaml`: it does not exist
    compose.yaml:1:41: `x.env` is not read for strangers' code: it leads out of the project's directory
    ");
    insta::assert_snapshot!(said("include: [{ path: a.yaml, project_directory: .. }]", "a.yaml"), @"
    compose.yaml:1:19: `a.yaml` is not read for strangers' code: it leads out of the project's directory
    compose.yaml:1:46: `/PARENT` is not read for strangers' code: it leads out of the project's directory
    ");
    insta::assert_snapshot!(said("services: { web: { extends: { file: x.yaml, service: a } } }", "x.yaml"), @"
    compose.yaml:1:13: service `web` has neither `image` nor `build`
    compose.yaml:1:13: service `web` has neither `image` nor `build`
    compose.yaml:1:37: `x.yaml` is not read for strangers' code: it leads out of the project's directory
    ");
    insta::assert_snapshot!(said("services: { web: { image: i, env_file: x.env } }", "x.env"), @"compose.yaml:1:40: `services.web.env_file[0].path` is refused to strangers' code: `/PARENT/demo/x.env`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { image: i, env_file: [{ path: ../outside.yaml, required: false, format: raw }] } }", "x"), @"compose.yaml:1:49: `services.web.env_file[0].path` is refused to strangers' code: `/PARENT/outside.yaml`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { image: i, label_file: [x.env] } }", "x.env"), @"compose.yaml:1:43: `services.web.label_file[0]` is refused to strangers' code: `/PARENT/demo/x.env`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { image: i, security_opt: ['seccomp:x.json'] } }", "x.json"), @"compose.yaml:1:45: `services.web.security_opt` is refused to strangers' code: `seccomp:x.json` may take away what confines a container");
    insta::assert_snapshot!(said("services: { web: { image: i, secrets: [s] } }\nsecrets: { s: { file: x } }", "x"), @"compose.yaml:2:23: `secrets.s.file` is refused to strangers' code: `/PARENT/demo/x`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { build: . } }", ".dockerignore"), @"compose.yaml:1:27: `services.web.build.context` is refused to strangers' code: `.dockerignore`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { build: . } }", "Dockerfile"), @"compose.yaml:1:27: `services.web.build.dockerfile` is refused to strangers' code: `Dockerfile`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { build: . } }", "dockerfile"), @"compose.yaml:1:27: `services.web.build.dockerfile` is refused to strangers' code: `dockerfile`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { build: . } }", "Dockerfile.dockerignore"), @"compose.yaml:1:27: `services.web.build.dockerfile` is refused to strangers' code: `Dockerfile.dockerignore`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { build: { dockerfile: ci/D } } }", "ci/D.dockerignore"), @"compose.yaml:1:41: `services.web.build.dockerfile` is refused to strangers' code: `ci/D.dockerignore`: it leads out of the project's directory");
    insta::assert_snapshot!(said("services: { web: { build: { dockerfile_inline: FROM scratch, additional_contexts: { a: ./ctx } } } }", "ctx/.dockerignore"), @"compose.yaml:1:88: `services.web.build.additional_contexts` is refused to strangers' code: `ctx/.dockerignore`: it leads out of the project's directory");
}

#[test]
fn the_file_itself_may_be_a_link_and_is_not_read_then() {
    insta::assert_snapshot!(said(&linked(&[], &["compose.yaml"])), @"`compose.yaml` is not read for strangers' code: it leads out of the project's directory");
    insta::assert_snapshot!(said(&linked(&[("compose.yaml", PLAIN)], &["compose.override.yaml"])), @"`compose.override.yaml` is not read for strangers' code: it leads out of the project's directory");
    insta::assert_snapshot!(said(&linked(&[], &["named.yaml"]).files(&["named.yaml"])), @"`named.yaml` is not read for strangers' code: it leads out of the project's directory");
    insta::assert_snapshot!(said(&linked(&[(".env", "COMPOSE_FILE=../outside.yaml")], &[])), @"`../outside.yaml` is not read for strangers' code: it leads out of the project's directory");
    insta::assert_snapshot!(said(&linked(&[(".env", "COMPOSE_FILE=-")], &[])), @"`.env` names no file: `-`");
    insta::assert_snapshot!(said(&linked(&[(".env", "COMPOSE_FILE=x.yaml")], &["x.yaml"])), @"`x.yaml` is not read for strangers' code: it leads out of the project's directory");
}

#[test]
fn a_file_above_the_project_is_somebody_elses() {
    let case = Case::new(&[("compose.yaml", PLAIN), ("below/x", "")]);
    let mut below = case.untrusted();
    below.request.directory.push("below");
    insta::assert_snapshot!(said(&below), @"no compose file in `/PARENT/demo/below`");
}

#[test]
fn what_whoever_calls_names_is_his_own() {
    let case = Case::new(&[("compose.yaml", PLAIN)]);
    let own = case.directory.path().join("own.yaml");
    std::fs::write(&own, "services: { web: { hostname: '${HOST_NAME}' } }").unwrap();
    let variables = case.directory.path().join("own.env");
    std::fs::write(&variables, "HOST_NAME=h").unwrap();
    let mut case = case.files(&["compose.yaml", "../own.yaml"]).untrusted();
    case.request.env_files = vec!["../own.env".into()];
    let project = load(&case.request).unwrap().project;
    assert_eq!(project.services["web"].hostname.as_deref(), Some("h"));
    // It is judged like all the rest: after merging, nobody can tell who has said what.
    std::fs::write(&own, "services: { web: { privileged: true } }").unwrap();
    insta::assert_snapshot!(said(&case), @"../own.yaml:1:20: `services.web.privileged` is refused to strangers' code: it gives all rights on the host");
}

#[test]
fn binds_are_judged_in_every_form() {
    let mount = |mount: &str| {
        let text = format!("services: {{ web: {{ image: i, volumes: [{mount}] }} }}");
        let case = linked(&[("compose.yaml", &text), ("sub/x", "")], &["link"]);
        let root = &case.request.directory;
        symlink("/var/run", root.join("run")).unwrap();
        symlink("run/docker.sock", root.join("docker.sock")).unwrap();
        let _listener = UnixListener::bind(root.join("own.sock")).unwrap();
        let errors = errors(&case);
        assert!(
            errors
                .iter()
                .any(|error| error.contains("refused to strangers' code")),
            "{mount}: {errors:?}"
        );
    };
    for source in [
        "/",
        "/etc",
        "/var/run",
        "/var/run/docker.sock",
        "/run/docker.sock",
        "//etc",
        "/./etc",
        "..",
        "../",
        "../outside.yaml",
        "./..",
        "./sub/../..",
        "~",
        "~/",
        "~/.ssh",
        "~root",
        "./link",
        "./run/docker.sock",
        "./docker.sock",
        "./own.sock",
        "/proc/self/root",
        "/proc/1/root/etc",
        "/dev/null",
        "/sys",
        "C:/x",
        "./missing/../../x",
    ] {
        mount(&format!("\"{source}:/x\""));
        mount(&format!("\"{source}:/x:ro\""));
        mount(&format!(
            "{{ type: bind, source: \"{source}\", target: /x }}"
        ));
        mount(&format!(
            "{{ type: bind, source: \"{source}\", target: /x, read_only: true, x-envrun: {{ bind: copy }} }}"
        ));
        mount(&format!(
            "{{ type: bind, source: \"${{X:-{source}}}\", target: /x }}"
        ));
    }
    mount(r"'C:\Users:/x'");
    mount(r"'\\.\pipe\docker_engine:/x'");
    mount("{ type: npipe, source: x, target: /x }");
    mount("{ type: cluster, source: x, target: /x }");
    mount("'./sub:/x:rshared'");
    mount("{ type: bind, source: ./sub, target: /x, bind: { propagation: slave } }");
}

#[test]
fn every_way_to_write_a_key_is_judged() {
    let refused = |files: &[(&str, &str)]| {
        let case = Case::new(files).untrusted();
        let errors = errors(&case);
        let all = errors.join("\n");
        assert!(
            all.contains("services.web.privileged` is refused"),
            "{files:?}: {all}"
        );
    };
    let refused_in = |text: &str| refused(&[("compose.yaml", text)]);
    refused_in("services: { web: { image: i, privileged: '${X:-true}' } }");
    refused_in("services: { web: { image: i, privileged: yes } }");
    refused_in("services: { web: { image: i, privileged: 'TRUE' } }");
    refused_in("x-a: &a { privileged: true }\nservices: { web: { <<: *a, image: i } }");
    refused_in(
        "x-a: &a { privileged: true }\nx-b: &b { <<: *a }\nservices: { web: { <<: [*b], image: i } }",
    );
    refused_in("x-s: &s { image: i, privileged: true }\nservices: { web: *s }");
    refused_in(
        "services: { web: { image: i, extends: base }, base: { image: i, privileged: true } }",
    );
    refused_in(
        "services: { web: { image: i, profiles: [never], privileged: true }, x: { image: i } }",
    );
    refused_in("services: { web: { image: i } }\n---\nservices: { web: { privileged: true } }");
    refused_in("services: { web: { image: i, privileged: !override true } }");
    refused(&[
        ("compose.yaml", "services: { web: { image: i } }"),
        (
            "compose.override.yaml",
            "services: { web: { privileged: true } }",
        ),
    ]);
    refused(&[
        ("compose.yaml", "include: [more.yaml]"),
        (
            "more.yaml",
            "services: { web: { image: i, privileged: true } }",
        ),
    ]);
    refused(&[
        (
            "compose.yaml",
            "services: { web: { extends: { file: more.yaml, service: x } } }",
        ),
        (
            "more.yaml",
            "services: { x: { image: i, privileged: true } }",
        ),
    ]);
    refused(&[
        (
            "compose.yaml",
            "services: { web: { image: i, privileged: '${P}' } }",
        ),
        (".env", "P=true"),
    ]);
}

#[test]
fn what_is_reset_is_not_there() {
    let case = Case::new(&[
        (
            "compose.yaml",
            "services: { web: { image: i, privileged: true, volumes: ['/:/x'] } }",
        ),
        (
            "compose.override.yaml",
            "services: { web: { privileged: !reset null, volumes: !override ['./a:/x:ro'] } }",
        ),
    ]);
    let project = load(&case.untrusted().request).unwrap().project;
    assert!(!project.services["web"].options.privileged);
}

#[test]
fn labels_of_files_are_judged_too() {
    let case = Case::new(&[
        (
            "compose.yaml",
            "services: { web: { image: i, label_file: l } }",
        ),
        ("l", "dev.envrun.run=x\n"),
    ]);
    insta::assert_snapshot!(said(&case.untrusted()), @"compose.yaml:1:30: `services.web.labels` is refused to strangers' code: `dev.envrun.run` is a label by which envrun cleans up");
}

#[test]
fn what_is_refused_is_neither_looked_at_nor_typed() {
    // The readers would say whether the files are there.
    let text = |path: &str| {
        judged(&format!(
            "services: {{ web: {{ image: i, secrets: [s], volumes: ['{path}:/x'] }} }}\nsecrets: {{ s: {{ file: {path} }} }}"
        ))
        .replace(path, "PATH")
    };
    assert_eq!(text("/etc/hostnam1"), text("/etc/hostname"));
}

#[test]
fn what_a_stranger_may_write_to_is_a_copy_and_what_is_mounted_has_no_links() {
    let case = Case::new(&[
        (
            "compose.yaml",
            "
services:
  web:
    image: i
    volumes: ['./data:/a', './link:/b:ro', { type: bind, source: ./data, target: /c, x-envrun: { bind: mount } }, './new:/d']
",
        ),
        ("data/x", ""),
    ])
    .untrusted();
    symlink("data", case.request.directory.join("link")).unwrap();
    let loaded = load(&case.request).unwrap();
    let root = case.request.directory.canonicalize().unwrap();
    let mounts = loaded.project.services["web"].mounts.iter();
    let mounts: Vec<String> = mounts
        .map(|mount| match &mount.source {
            super::super::MountSource::Bind { path, copy, .. } => {
                let path = path.strip_prefix(&root).unwrap().display();
                format!("{path} at {}, copy {copy}", mount.target)
            }
            other => format!("{other:?}"),
        })
        .collect();
    insta::assert_snapshot!(mounts.join("\n"), @"
    data at /a, copy true
    data at /b, copy false
    data at /c, copy true
    new at /d, copy true
    ");
    insta::assert_snapshot!(loaded.warnings[0].to_string(), @"compose.yaml:5:15: strangers' code works on a copy of what it may write to");
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn the_same_files_are_read_where_they_are_trusted() {
    let mut case = linked(
        &[(
            "compose.yaml",
            "services: { web: { image: i, privileged: true, env_file: x.env } }",
        )],
        &[],
    );
    symlink(
        case.directory.path().join("fine.env"),
        case.request.directory.join("x.env"),
    )
    .unwrap();
    std::fs::write(case.directory.path().join("fine.env"), "A=b").unwrap();
    assert!(load(&case.request).is_err());
    case.request.untrusted = None;
    let web = &load(&case.request).unwrap().project.services["web"];
    assert!(web.options.privileged);
    assert_eq!(web.environment["A"], "b");
}

#[test]
fn a_dockerfile_that_reaches_for_what_builds_share_is_refused() {
    let compose = ("compose.yaml", "services: { web: { build: ./app } }");
    let said = |name: &str, text: &str| {
        let case = Case::new(&[compose, (name, text)]);
        said(&case.untrusted())
    };
    insta::assert_snapshot!(said("app/Dockerfile", "# syntax=evil/frontend\nFROM scratch"), @"compose.yaml:1:27: `services.web.build.dockerfile` is refused to strangers' code: `app/Dockerfile` is read by the program `evil/frontend`, which the engine shares with the builds of others");
    insta::assert_snapshot!(said("app/dockerfile", "FROM x\nRUN --mount=type=cache,target=/c x"), @"compose.yaml:1:27: `services.web.build.dockerfile` is refused to strangers' code: `app/dockerfile` mounts a cache, which the engine shares with the builds of others");
    let fine = Case::new(&[
        compose,
        (
            "app/Dockerfile",
            "# syntax=docker/dockerfile:1\nFROM scratch",
        ),
    ]);
    assert!(load(&fine.untrusted().request).is_ok());
}
