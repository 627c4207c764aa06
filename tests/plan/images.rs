//! Which images a plan has, where they come from and what they are built from.

use std::collections::BTreeSet;

use envrun::image::Mirrors;
use envrun::image::mirror::parse_pair;
use envrun::plan::{Plan, Selection};

use crate::support::{RUN, project};

/// The plan of a file with images from these mirrors.
fn mirrored(compose: &str, mirrors: &[&str]) -> String {
    let mut configured = Mirrors::default();
    for pair in mirrors {
        let (registry, mirror) = parse_pair(pair).expect(pair);
        configured.add(registry, mirror);
    }
    Plan::new(&project(compose), RUN, &Selection::default())
        .expect("a plan")
        .mirrored(&configured)
        .to_text()
}

/// The steps that obtain images.
fn images(plan: &str) -> String {
    let lines = plan.lines().filter(|line| line.contains("image"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn equal_builds_and_images_of_builds_are_made_once() {
    let compose = "
services:
  api: { build: ., image: example.com/api }
  migrate: { image: example.com/api }
  unit: { build: ., x-envrun: { suite: true } }
  other: { build: { context: ., args: { A: '1' } }, x-envrun: { suite: true } }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let image = |name: &str| plan.services[name].image;
    assert_eq!(plan.images.len(), 2);
    assert_eq!(image("api"), image("migrate"));
    assert_eq!(image("api"), image("unit"));
    assert_ne!(image("api"), image("other"));
}

#[test]
fn replicas_and_what_runs_before_them_are_of_the_build_of_their_service() {
    let compose = "
services:
  web:
    build: .
    scale: 2
    pre_start: [{ command: prepare }]
  job: { build: ., pre_start: [{ command: prepare, image: other }] }
  named: { build: ., image: example.com/web, deploy: { replicas: 2 } }
  checks: { image: example.com/web, depends_on: [web], x-envrun: { suite: true } }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let image = |name: &str| plan.services[name].image;
    for name in ["web-2", "web-pre_start-1", "named-2", "checks", "job"] {
        assert_eq!(image("web-1"), image(name), "{name}");
    }
    assert_ne!(image("job"), image("job-pre_start-1"));
    let titles = plan.images.iter().filter_map(|image| image.build());
    let titles: Vec<&str> = titles.map(|build| build.title.as_str()).collect();
    assert_eq!(titles.len(), 1);
    assert!(["job", "named", "web"].contains(&titles[0]), "{titles:?}");
}

#[test]
fn the_plan_says_when_and_where_from_images_are_pulled() {
    let compose = "
services:
  a: { image: 'postgres:15' }
  b: { image: 'docker.io/library/postgres:15', pull_policy: daily }
  c: { image: 'quay.io/x/y', pull_policy: always }
  d: { image: redis, platform: linux/arm64 }
  e: { image: redis }
  f: { image: app, pull_policy: never, x-envrun: { suite: true } }
";
    insta::assert_snapshot!(images(&mirrored(compose, &[])), @r#"
    0  obtain image `postgres:15`  (used by `a`, `b`; pulled when older than 1d)
    1  obtain image `quay.io/x/y`  (used by `c`; always pulled)
    2  obtain image `redis` for linux/arm64  (used by `d`)
    3  obtain image `redis` after 2  (used by `e`)
    4  obtain image `app`  (used by `f`; never pulled)
    "#);
    let mirrors = ["docker.io=one.example/hub", "docker.io=two.example"];
    insta::assert_snapshot!(images(&mirrored(compose, &mirrors)), @r#"
    0  obtain image `postgres:15`  (used by `a`, `b`; pulled when older than 1d, from `one.example/hub/library/postgres:15`, else from `two.example/library/postgres:15`, else from `docker.io`)
    1  obtain image `quay.io/x/y`  (used by `c`; always pulled)
    2  obtain image `redis` for linux/arm64  (used by `d`; pulled when missing, from `one.example/hub/library/redis`, else from `two.example/library/redis`, else from `docker.io`)
    3  obtain image `redis` after 2  (used by `e`; pulled when missing, from `one.example/hub/library/redis`, else from `two.example/library/redis`, else from `docker.io`)
    4  obtain image `app`  (used by `f`; never pulled)
    "#);
}

#[test]
fn the_plan_says_what_is_built_and_when() {
    let compose = "
services:
  a: { image: app, build: /one, pull_policy: missing }
  b: { image: app, pull_policy: never }
  c: { image: other, build: /two }
  d: { image: third, build: /three, pull_policy: build, x-envrun: { suite: true } }
";
    let mirrors = ["docker.io=one.example/hub"];
    insta::assert_snapshot!(images(&mirrored(compose, &mirrors)), @r#"
    0  obtain image `app`, or build it from `/one`  (used by `a`, `b`; pulled when missing, from `one.example/hub/library/app`, else from `docker.io`; built when it cannot be had; its base images from `one.example`)
    1  build image from `/two`  (used by `c`; its base images from `one.example`)
    2  build image from `/three`  (used by `d`; its base images from `one.example`)
    "#);
}

#[test]
fn what_a_build_is_made_from_is_there_before_it() {
    let compose = "
services:
  base: { build: { context: ., target: base }, image: base, profiles: [] }
  app:
    build:
      context: .
      additional_contexts: { base: 'service:base', files: /files, web: 'docker-image://web:1' }
    x-envrun: { suite: true }
  more:
    build: { context: ., target: more, additional_contexts: { f: /files } }
    x-envrun: { suite: true }
";
    let selection = Selection {
        environment_only: false,
        only: vec!["app".to_owned()],
        ..Selection::default()
    };
    let project = project(compose);
    let text = |selection: &Selection| {
        let plan = Plan::new(&project, RUN, selection).expect("a plan");
        let text = plan.to_text();
        let lines = text.lines().filter(|line| line.contains("build image"));
        let lines: Vec<&str> = lines.collect();
        let directory = project.directory.display().to_string();
        lines.join("\n").replace(&directory, "HERE")
    };
    insta::assert_snapshot!(text(&Selection::default()), @r#"
    0  build image from `HERE`  (used by `base`)
    1  build image from `/files`  (a context of the build of `app`, `more`)
    2  build image from `HERE` after 0, 1  (used by `app`)
    3  build image from `HERE` after 1  (used by `more`)
    "#);
    insta::assert_snapshot!(text(&selection), @r#"
    0  build image from `HERE`  (used by `base`)
    1  build image from `/files`  (a context of the build of `app`)
    2  build image from `HERE` after 0, 1  (used by `app`)
    "#);
    let plan = Plan::new(&project, RUN, &Selection::default()).expect("a plan");
    let names: BTreeSet<String> = plan
        .images
        .iter()
        .filter_map(|image| Some(image.build()?.name.clone()))
        .collect();
    assert_eq!(names.len(), plan.images.len(), "{names:?}");
}
