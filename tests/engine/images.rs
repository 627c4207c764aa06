//! Images out of registries: how often they are asked, what is tried again, who may pull, mirrors.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::harness::registry::{Access, NOBODY, PASSWORD, Registry, Trouble, USER};
use super::harness::{Finished, Project, Run};

const APP: &str = "team/app:1";

fn registry() -> Registry {
    Registry::with_access(Access::Everybody, &[APP])
}

/// A project whose only service is a suite of this image, with further lines.
fn suite(image: &str, more: &str) -> Project {
    Project::new(&format!(
        "services:\n  checks:\n    image: {image}\n    x-envrun: {{ suite: {{}} }}\n{more}"
    ))
}

/// Runs to the end with one more variable.
fn run_with_variable<'project>(
    project: &'project Project,
    variables: &[(&str, &str)],
) -> Finished<'project> {
    let mut command = project.command(&[]);
    command.envs(variables.iter().copied());
    Run::start(project, command, "out").finish()
}

fn count(finished: &Finished<'_>, kind: &str) -> usize {
    let events = finished.events.iter();
    events.filter(|event| event.kind() == kind).count()
}

/// The kind of the failure that has ended a run.
fn failure<'run>(finished: &'run Finished<'_>) -> &'run str {
    finished.first("run_aborted").1.at("/failure/kind")
}

fn warnings(finished: &Finished<'_>) -> String {
    let warnings = finished
        .events
        .iter()
        .filter(|event| event.kind() == "warning")
        .map(|event| event.text("message").to_owned());
    warnings.collect::<Vec<_>>().join("\n")
}

#[test]
fn three_services_of_one_image_are_one_pull() {
    let registry = registry();
    let image = registry.name(APP);
    let compose = |policy: &str| {
        format!(
            "services:
  one: {{ image: '{image}', command: [wait], pull_policy: {policy} }}
  two: {{ image: '{image}', command: [wait] }}
  checks:
    image: '{image}'
    depends_on: [one, two]
    x-envrun: {{ suite: {{}} }}
"
        )
    };
    let project = Project::new(&compose("missing"));
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(registry.pulls(), 1);
    let (_, pulled) = finished.first("pull_finished");
    assert_eq!(pulled.text("image"), image);
    let (_, progress) = finished.first("pull_progress");
    assert!(progress.number("layers") >= 1);
    // It is there now, and stays: images that were pulled are shared by all runs.
    project.run().assert_code(0);
    assert_eq!(registry.pulls(), 1);
    let project = Project::new(&compose("always"));
    project.run().assert_code(0);
    assert_eq!(registry.pulls(), 2);
    let project = Project::new(&compose("weekly"));
    project.run().assert_code(0);
    assert_eq!(registry.pulls(), 2);
}

#[test]
fn an_image_that_was_tagged_too_long_ago_is_pulled_again_and_is_young_then() {
    let registry = registry();
    let project = suite(&registry.name(APP), "    pull_policy: every_1s\n");
    project.run().assert_code(0);
    // A run takes a while, teardown included, but whether that is a second nobody knows.
    super::harness::wait::until("an old image", std::time::Duration::from_secs(30), || {
        let before = registry.pulls();
        project.run().assert_code(0);
        (registry.pulls() > before).then_some(())
    });
    // It was up to date, and its time is noted all the same.
    let project = suite(&registry.name(APP), "    pull_policy: every_1h\n");
    let before = registry.pulls();
    project.run().assert_code(0);
    assert_eq!(registry.pulls(), before);
}

#[test]
fn what_must_not_be_pulled_is_not_asked_for() {
    let registry = registry();
    let project = suite(&registry.name(APP), "    pull_policy: never\n");
    let finished = project.run();
    finished.assert_code(3);
    assert_eq!(failure(&finished), "ImageMissing");
    assert_eq!(registry.pulls(), 0);
}

#[test]
fn a_registry_in_trouble_is_asked_again_after_growing_pauses() {
    let registry = registry();
    registry.trouble(&[
        Trouble::Status(503),
        Trouble::Close,
        Trouble::Wait("retry-after: 2.5s, allowed: 1/minute"),
    ]);
    let project = suite(&registry.name(APP), "");
    let finished = project.run();
    finished.assert_code(0);
    let pauses: Vec<u64> = finished
        .events
        .iter()
        .filter(|event| event.kind() == "pull_retried")
        .map(|event| event.number("pause_ms"))
        .collect();
    assert_eq!(pauses, [500, 1_000, 2_500], "{}", finished.stderr);
    assert_eq!(registry.pulls(), 4);
    assert!(
        finished.stderr.contains("attempt 1 of 5 has failed"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_missing_tag_fails_at_once() {
    let registry = registry();
    let project = suite(&registry.name("team/app:nope"), "");
    let finished = project.run();
    finished.assert_code(3);
    assert_eq!(failure(&finished), "ImageMissing");
    assert_eq!(registry.pulls(), 1);
    assert_eq!(count(&finished, "pull_retried"), 0);
}

#[test]
fn a_platform_that_the_image_is_not_for_fails_at_once() {
    let registry = registry();
    let project = suite(&registry.name(APP), "    platform: linux/s390x\n");
    let finished = project.run();
    finished.assert_code(3);
    assert_eq!(count(&finished, "pull_retried"), 0);
    assert!(
        finished.stderr.contains("linux/s390x"),
        "{}",
        finished.stderr
    );
    let project = suite(
        &registry.name(APP),
        &format!("    platform: linux/{}\n", std::env::consts::ARCH),
    );
    project.run().assert_code(0);
}

#[test]
fn credentials_come_from_the_docker_configuration() {
    let registry = Registry::with_access(Access::Password, &[APP]);
    let project = suite(&registry.name(APP), "");
    let configuration = project.path("docker");
    let configured = |text: &str| {
        project.file("docker/config.json", text);
        run_with_variable(
            &project,
            &[("DOCKER_CONFIG", configuration.to_str().unwrap())],
        )
    };

    let finished = configured("{}");
    finished.assert_code(3);
    assert_eq!(failure(&finished), "ImageDenied");
    assert_eq!(count(&finished, "pull_retried"), 0);
    assert!(
        finished.stderr.contains("docker login"),
        "{}",
        finished.stderr
    );

    let finished = configured("{ not JSON");
    finished.assert_code(3);
    assert!(
        warnings(&finished).contains("cannot be understood"),
        "{}",
        finished.stderr
    );

    let auth = base64(&format!("{USER}:{PASSWORD}"));
    let address = &registry.address;
    let finished = configured(&format!(
        r#"{{"auths":{{"{address}":{{"auth":"{auth}"}}}}}}"#
    ));
    finished.assert_code(0);
    assert_eq!(warnings(&finished), "");
    assert!(!finished.stderr.contains(PASSWORD));
}

#[test]
fn a_build_starts_from_what_is_in_a_private_registry() {
    let registry = Registry::with_access(Access::Password, &[APP]);
    let project = suite("unused", "").having(
        "app/Dockerfile",
        &format!("FROM {}\nLABEL built=yes\n", registry.name(APP)),
    );
    let compose = fs::read_to_string(project.path("compose.yaml")).unwrap();
    project.file(
        "compose.yaml",
        compose.replace("image: unused", "build: ./app"),
    );
    let configuration = project.path("docker");
    let configured = |text: &str| {
        project.file("docker/config.json", text);
        run_with_variable(
            &project,
            &[("DOCKER_CONFIG", configuration.to_str().unwrap())],
        )
    };
    configured("{}").assert_code(3);
    let auth = base64(&format!("{USER}:{PASSWORD}"));
    let address = &registry.address;
    let finished = configured(&format!(
        r#"{{"auths":{{"{address}":{{"auth":"{auth}"}}}}}}"#
    ));
    finished.assert_code(0);
    assert!(!finished.stderr.contains(PASSWORD));
}

#[test]
fn credentials_come_from_helpers() {
    let registry = Registry::with_access(Access::Password, &[APP]);
    let project = suite(&registry.name(APP), "");
    let address = &registry.address;
    project.file(
        "docker/config.json",
        format!(r#"{{"credHelpers":{{"{address}":"envrun-test"}}}}"#),
    );
    let helper = project.path("bin/docker-credential-envrun-test");
    let path = format!(
        "{}:{}",
        project.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let configuration = project.path("docker");
    let run = |script: &str| {
        project.file(
            "bin/docker-credential-envrun-test",
            format!("#!/bin/sh\n{script}\n"),
        );
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        run_with_variable(
            &project,
            &[
                ("DOCKER_CONFIG", configuration.to_str().unwrap()),
                ("PATH", &path),
            ],
        )
    };

    let finished = run("cat >/dev/null; echo the keychain is locked >&2; exit 1");
    finished.assert_code(3);
    assert_eq!(failure(&finished), "ImageDenied");
    let told = warnings(&finished);
    assert!(
        told.contains("docker-credential-envrun-test") && told.contains("the keychain is locked"),
        "{told}"
    );

    let finished = run("cat >/dev/null; echo credentials not found in native keychain; exit 1");
    finished.assert_code(3);
    assert_eq!(warnings(&finished), "");

    let finished = run(&format!(
        "cat >\"$0.asked\"; printf '%s' '{{\"ServerURL\":\"\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'"
    ));
    finished.assert_code(0);
    let asked = fs::read_to_string(project.path("bin/docker-credential-envrun-test.asked"));
    assert_eq!(asked.unwrap(), *address);

    fs::remove_file(&helper).unwrap();
    registry.own(&registry.name(APP));
    super::harness::registry::docker(&["image", "rm", &registry.name(APP)]);
    let finished = run_with_variable(
        &project,
        &[("DOCKER_CONFIG", configuration.to_str().unwrap())],
    );
    finished.assert_code(3);
    assert!(
        warnings(&finished).contains("cannot be run"),
        "{}",
        finished.stderr
    );
}

fn base64(text: &str) -> String {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut child = Command::new("base64")
        .arg("--wrap=0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// A name of an image at a registry that nobody can reach.
fn unreachable(registry: &Registry) -> String {
    let name = format!("{NOBODY}/{}/app:1", uuid::Uuid::new_v4().simple());
    registry.own(&name);
    name
}

/// A registry that holds the images of [`NOBODY`], and one of them.
fn mirrored() -> (Registry, String) {
    let name = format!("{}/app:1", uuid::Uuid::new_v4().simple());
    let registry = Registry::with_access(Access::Everybody, &[&format!("hub/{name}")]);
    let image = format!("{NOBODY}/{name}");
    registry.own(&image);
    (registry, image)
}

#[test]
fn a_mirror_gives_the_image_under_the_name_of_the_file() {
    let (registry, image) = mirrored();
    let project = suite(&image, "");
    let mirror = format!("{NOBODY}={}/hub", registry.address);
    let finished = project.run_with(&["--mirror", &mirror]);
    finished.assert_code(0);
    let (_, pulled) = finished.first("pull_finished");
    assert!(
        pulled.text("from").starts_with(&registry.address),
        "{pulled:?}"
    );
    assert!(project.engine.has_image(&image));
    assert!(
        !project
            .engine
            .has_image(&image.replace(NOBODY, &format!("{}/hub", registry.address)))
    );
    // Later runs find it, with or without the mirror.
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(count(&finished, "pull_started"), 0);
    assert_eq!(registry.pulls(), 1);
}

#[test]
fn a_mirror_that_does_not_have_it_gives_way() {
    let registry = registry();
    let image = registry.name(APP);
    let project = suite(&image, "");
    // The first mirror is gone, the second one does not have the image.
    let mirrors = format!("{0}={NOBODY}, {0}={0}/elsewhere", registry.address);
    let finished = run_with_variable(&project, &[("ENVRUN_MIRROR", &mirrors)]);
    finished.assert_code(0);
    let told = warnings(&finished);
    assert!(told.contains(&format!("mirror `{NOBODY}`")), "{told}");
    assert!(told.contains("elsewhere"), "{told}");
    assert_eq!(finished.first("pull_finished").1.text("from"), image);
    assert_eq!(registry.pulls(), 2);
}

#[test]
fn builds_start_from_mirrors() {
    let (registry, image) = mirrored();
    let project = Project::new(
        "services:\n  checks:\n    build: { context: ., args: { BASE: unused } }\n    x-envrun: { suite: {} }\n",
    );
    project.file(
        "Dockerfile",
        format!("ARG IMAGE={image}\nFROM \\\n  $IMAGE AS one\nFROM one\nCOPY --from={image} /program /again\n"),
    );
    // The first mirror is gone, so the build goes on with the second one.
    project.file(
        "envrun.toml",
        format!(
            "[mirror]\n\"{NOBODY}\" = [\"127.0.0.1:2\", \"{}/hub\"]\n",
            registry.address
        ),
    );
    let finished = project.run();
    finished.assert_code(0);
    assert!(registry.pulls() >= 1);
    assert!(
        warnings(&finished).contains("127.0.0.1:2"),
        "{}",
        finished.stderr
    );
}

#[test]
fn the_plan_names_the_mirrors_by_their_precedence() {
    let registry = Registry::start();
    let image = unreachable(&registry);
    let project = suite(&image, "    pull_policy: always\n");
    project.file(
        "envrun.toml",
        format!("mirror = {{ \"{NOBODY}\" = \"file.example/hub\" }}\n"),
    );
    let plan = |variable: Option<&str>, flags: &[&str]| {
        let mut arguments = vec!["plan"];
        arguments.extend(flags);
        let mut command = project.envrun(&arguments);
        command.envs(variable.map(|value| ("ENVRUN_MIRROR", value)));
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let variable = format!("{NOBODY}=variable.example");
    let flag = format!("{NOBODY}=flag.example");
    let from_file = plan(None, &[]);
    assert!(
        from_file.contains(&format!(
            "always pulled, from `{}`, else from `{NOBODY}`",
            image.replace(NOBODY, "file.example/hub")
        )),
        "{from_file}"
    );
    assert!(plan(Some(&variable), &[]).contains("from `variable.example/"));
    let from_flag = plan(Some(&variable), &["--mirror", &flag]);
    assert!(
        from_flag.contains("from `flag.example/") && !from_flag.contains("variable.example"),
        "{from_flag}"
    );
    let wrong = project
        .envrun(&["plan", "--mirror", "docker.io"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}
