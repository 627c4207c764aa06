//! `build:`: what goes into an image, how often it is built, and what is left of it.

use crate::harness::project::held_suite;
use crate::harness::{Project, image};

/// A project whose suite is built in `app` by this Dockerfile, after `FROM` the base image.
fn built(build: &str, dockerfile: &str, suite: &str) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    build: {build}
    command: [bash, -c, '{suite}']
    x-envrun: {{ suite: {{}} }}
"
    ))
    .having("app/Dockerfile", &dockerfile.replace("BASE", image::BASE))
}

#[test]
fn build_arguments_reach_the_build() {
    let project = built(
        "{ context: ./app, args: { COLOUR: green, EMPTY: \"\" } }",
        "FROM BASE\nARG COLOUR=red\nARG EMPTY=full\nRUN echo \"$COLOUR$EMPTY\" > /colour\n",
        "[ \"$$(cat /colour)\" = green ]",
    );
    project.run().assert_code(0);
}

#[test]
fn the_target_stage_is_the_image() {
    let project = built(
        "{ context: ./app, target: wanted }",
        "FROM BASE AS wanted\nRUN touch /wanted\nFROM BASE\nRUN touch /unwanted\n",
        "[ -e /wanted ] && ! [ -e /unwanted ]",
    );
    project.run().assert_code(0);
}

#[test]
fn another_dockerfile_may_be_named() {
    let project = built(
        "{ context: ./app, dockerfile: other/Dockerfile.tests }",
        "FROM BASE\n",
        "[ -e /other ]",
    )
    .having(
        "app/other/Dockerfile.tests",
        &format!("FROM {}\nRUN touch /other\n", image::BASE),
    );
    project.run().assert_code(0);
}

#[test]
fn what_dockerignore_names_is_not_sent() {
    let project = built(
        "./app",
        "FROM BASE\nCOPY . /app\n",
        "cd /app && [ -e kept ] && [ -e logs/kept.log ] && [ -e deep/secret ] && ! [ -e secret ] && ! [ -e logs/x.log ] && ! [ -e deep/x.tmp ]",
    )
    .having("app/.dockerignore", "# a comment\nsecret\nlogs/*.log\n!logs/kept.log\n**/*.tmp\n")
    .having("app/kept", "")
    .having("app/secret", "")
    .having("app/deep/secret", "")
    .having("app/deep/x.tmp", "")
    .having("app/logs/x.log", "")
    .having("app/logs/kept.log", "");
    project.run().assert_code(0);
}

#[test]
fn a_build_that_fails_gives_3_with_the_output_of_its_step() {
    let project = built(
        "./app",
        "FROM BASE\nRUN echo the compiler says no; exit 42\n",
        "true",
    );
    let finished = project.run();
    finished.assert_code(3);
    assert!(
        finished.stderr.contains("the compiler says no"),
        "{}",
        finished.stderr
    );
    let report = finished.junit();
    let case = report
        .of("envrun.environment")
        .into_iter()
        .find(|case| case.result == "error")
        .expect("the failure of the build");
    assert!(case.text.contains("the compiler says no"), "{case:#?}");
    // What failed is the build, and whoever reads the kind or the hint must not look for a
    // registry.
    assert_ne!(case.kind, "ImageMissing", "{case:#?}");
    assert!(!case.text.contains("docker pull"), "{case:#?}");
}

#[test]
fn a_build_without_a_dockerfile_gives_3_and_names_it() {
    let project = built("./nowhere", "FROM BASE\n", "true");
    let finished = project.run();
    assert!([2, 3].contains(&finished.code), "{}", finished.stderr);
    assert!(finished.stderr.contains("nowhere"), "{}", finished.stderr);
}

#[test]
fn services_with_the_same_build_share_one_image_that_is_gone_afterwards() {
    let project = Project::new(&format!(
        "
services:
  server:
    build: ./app
    command: [sleep, infinity]
  checks:
    {held}
    depends_on: [server]
  more:
    build: ./app
    command: [\"true\"]
    x-envrun: {{ suite: {{}} }}
",
        held = held_suite().replace(&format!("image: {}", image::BASE), "build: ./app"),
    ));
    project.file("app/Dockerfile", format!("FROM {}\n", image::BASE));
    let mut run = project.start();
    run.until_suite_started("checks");
    let images = project.engine.inspect(&run.id(), "image");
    assert_eq!(images.len(), 1, "{images:#?}");
    let built = images[0]["Id"].as_str().unwrap().to_owned();
    let server = project.engine.container(&run.id(), "server");
    assert_eq!(server["Image"], built.as_str());
    project.open_gate();
    let finished = run.finish();
    finished.assert_code(0);
    let builds = finished
        .events
        .iter()
        .filter(|event| event.kind() == "step_started" && event.text("what").starts_with("build"));
    assert_eq!(builds.count(), 1);
    assert!(!project.engine.has_image(&built));
}

#[test]
fn the_image_that_a_build_starts_from_stays() {
    let project = built("./app", "FROM BASE\n", "true");
    project.run().assert_code(0);
    assert!(project.engine.has_image(image::BASE));
}
