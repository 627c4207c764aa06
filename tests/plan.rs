//! Plans as text, and the rules behind them.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use envrun::config::model::Project;
use envrun::config::{self, Request};
use envrun::engine::{
    ContainerSpec, DIRECTORY_LABEL, ImageFacts, ImageHealthcheck, MountSpecSource, Networking,
};
use envrun::image::mirror::parse_pair;
use envrun::image::policy::Present;
use envrun::image::{Mirrors, Platform};
use envrun::lease::Identity;
use envrun::name::{ContainerId, ImageId, NetworkId, RunId};
use envrun::plan::readiness::requirement;
use envrun::plan::{ImageIndex, Plan, PlannedNetwork, Selection, container, support};

/// API version of an engine that has everything.
const NEW: (u16, u16) = (1, 51);

const RUN: RunId = RunId::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);

fn project(compose: &str) -> Project {
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join("compose.yaml"), compose).expect("written");
    let request = Request {
        directory: directory.path().to_path_buf(),
        project_name: Some("test".to_owned()),
        environment: BTreeMap::from([("TOKEN".to_owned(), "t".to_owned())]),
        ..Request::default()
    };
    config::load(&request)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)))
        .project
}

fn plan(compose: &str, selection: &Selection) -> Result<String, String> {
    Plan::new(&project(compose), RUN, selection)
        .map(|plan| plan.to_text())
        .map_err(|error| error.to_string())
}

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

const PIPELINE: &str = "
services:
  db: { image: postgres, networks: [back], volumes: ['data:/data'] }
  migrate: { image: app, networks: [back], depends_on: { db: { condition: service_healthy } } }
  api:
    image: app
    networks: [back, front]
    depends_on: { migrate: { condition: service_completed_successfully } }
  cache: { image: cache, networks: [front] }
  browser: { image: browser, networks: [front] }
  unit: { image: app, x-envrun: { suite: true } }
  e2e: { image: app, networks: [front], depends_on: [api, browser], x-envrun: { suite: true } }
networks: { back: , front:  }
volumes: { data:  }
";

#[test]
fn everything_is_created_early_and_started_when_it_may() {
    insta::assert_snapshot!(plan(PIPELINE, &Selection::default()).expect("a plan"), @"
    plan for project `test`
      0  obtain image `app`  (used by `api`, `e2e` and 2 more)
      1  obtain image `browser`  (used by `browser`)
      2  obtain image `cache`  (used by `cache`)
      3  obtain image `postgres`  (used by `db`)
      4  create network `back`  (used by `api`, `db`, `migrate`)
      5  create network `default`  (used by `unit`)
      6  create network `front`  (used by `api`, `browser` and 2 more)
      7  create volume `data`  (used by `db`)
      8  create container of `api` after 0, 4  (service `api` is part of the environment)
      9  connect `api` to network `front` after 8, 6  (`api` is on network `front` too)
     10  start `api` after 8, 9, 28  (service `api` is part of the environment)
     11  create container of `browser` after 1, 6  (service `browser` is part of the environment)
     12  start `browser` after 11  (service `browser` is part of the environment)
     13  create container of `cache` after 2, 6  (service `cache` is part of the environment)
     14  start `cache` after 13  (service `cache` is part of the environment)
     15  create container of `db` after 3, 4, 7  (service `db` is part of the environment)
     16  start `db` after 15  (service `db` is part of the environment)
     17  create container of `e2e` after 0, 6  (suite `e2e` is to be run)
     18  start `e2e` after 17, 23, 24  (suite `e2e` is to be run)
     19  create container of `migrate` after 0, 4  (job `migrate` is waited for)
     20  start `migrate` after 19, 26  (job `migrate` is waited for)
     21  create container of `unit` after 0, 5  (suite `unit` is to be run)
     22  start `unit` after 21  (suite `unit` is to be run)
     23  wait until `api` is ready after 10  (`e2e` waits for it)
     24  wait until `browser` is ready after 12  (`e2e` waits for it)
     25  wait until `cache` is ready after 14  (service `cache` is part of the environment)
     26  wait until `db` is ready after 16  (`migrate` waits for it)
     27  wait until suite `e2e` has ended after 18  (its result is the verdict)
     28  wait until `migrate` has completed after 20  (`api` waits for it)
     29  wait until suite `unit` has ended after 22  (its result is the verdict)
    ");
}

#[test]
fn a_selection_leaves_out_what_only_others_need_and_keeps_what_nobody_names() {
    let only = Selection {
        environment_only: false,
        only: vec!["unit".to_owned()],
        skip: Vec::new(),
    };
    insta::assert_snapshot!(plan(PIPELINE, &only).expect("a plan"), @"
    plan for project `test`
      0  obtain image `cache`  (used by `cache`)
      1  obtain image `app`  (used by `unit`)
      2  create network `default`  (used by `unit`)
      3  create network `front`  (used by `cache`)
      4  create container of `cache` after 0, 3  (service `cache` is part of the environment)
      5  start `cache` after 4  (service `cache` is part of the environment)
      6  create container of `unit` after 1, 2  (suite `unit` is to be run)
      7  start `unit` after 6  (suite `unit` is to be run)
      8  wait until `cache` is ready after 5  (service `cache` is part of the environment)
      9  wait until suite `unit` has ended after 7  (its result is the verdict)
    ");
}

#[test]
fn selections_that_match_nothing_are_errors_with_help() {
    let selection = |only: &[&str], skip: &[&str]| Selection {
        environment_only: false,
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        skip: skip.iter().map(|name| (*name).to_owned()).collect(),
    };
    let error = |selection| plan(PIPELINE, &selection).expect_err("no plan");
    insta::assert_snapshot!(error(selection(&["unti"], &[])), @"
    `--only unti` matches no suite
    hint: the suites are `e2e`, `unit`
    ");
    insta::assert_snapshot!(error(selection(&["unit"], &["unit"])), @"`--only` and `--skip` together leave no suite to run");
    insta::assert_snapshot!(plan("services: { web: { image: i } }", &Selection::default()).expect_err("no plan"), @"
    project `test` has no suite
    hint: give a service `x-envrun: { suite: {} }` to make its exit code a verdict
    ");
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

/// The steps that obtain images.
fn images(plan: &str) -> String {
    let lines = plan.lines().filter(|line| line.contains("image"));
    lines.collect::<Vec<_>>().join("\n")
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

fn image() -> ImageFacts {
    ImageFacts {
        id: ImageId::new("sha256:0"),
        exposed_tcp: Vec::new(),
        volumes: Vec::new(),
        environment: Vec::new(),
        healthcheck: None,
        present: Present {
            platform: Platform::new("linux", "amd64", ""),
            tagged: None,
        },
    }
}

fn postgres() -> ImageFacts {
    ImageFacts {
        exposed_tcp: vec![5432],
        environment: vec!["PGDATA=/data".to_owned(), "PG_MAJOR=15".to_owned()],
        ..image()
    }
}

/// What has to pass for the service `web` of a file with this body, in one line.
fn readiness(body: &str, image: &ImageFacts) -> String {
    let compose = format!("services: {{ web: {{ image: i, {body} }} }}");
    let project = project(&compose);
    let requirement = requirement(&project.services["web"], image);
    let probes: Vec<String> = requirement.probes.iter().map(ToString::to_string).collect();
    format!(
        "{} | {:?} | {} | {}",
        probes.join(" and "),
        requirement.deadline,
        if requirement.declared {
            "declared"
        } else {
            "inferred"
        },
        requirement.reason
    )
}

#[test]
fn the_probe_is_chosen_by_the_documented_rules() {
    let exposing = ImageFacts {
        exposed_tcp: vec![80, 443],
        ..image()
    };
    let check = ImageHealthcheck {
        test: vec!["CMD-SHELL".to_owned(), "curl localhost".to_owned()],
        ..ImageHealthcheck::default()
    };
    let checked = ImageFacts {
        healthcheck: Some(check),
        ..exposing.clone()
    };
    let lines = [
        ("nothing at all", readiness("", &image())),
        ("EXPOSE of the image", readiness("", &exposing)),
        (
            "ports over EXPOSE",
            readiness("ports: ['8080:3000', '53:53/udp']", &exposing),
        ),
        (
            "expose of the file",
            readiness("expose: ['9000']", &image()),
        ),
        (
            "HEALTHCHECK over ports",
            readiness("ports: ['80']", &checked),
        ),
        (
            "HEALTHCHECK disabled",
            readiness("healthcheck: { disable: true }", &checked),
        ),
        (
            "healthcheck of the file",
            readiness(
                "healthcheck: { test: [CMD, a], interval: 2s, timeout: 1s, retries: 100, start_period: 10s }",
                &image(),
            ),
        ),
        ("a recognised server", readiness("", &postgres())),
        (
            "its port",
            readiness("environment: { PGPORT: '6000' }", &postgres()),
        ),
        (
            "with a healthcheck",
            readiness("healthcheck: { test: pg_isready }", &postgres()),
        ),
        (
            "another command",
            readiness("command: psql -h db", &postgres()),
        ),
        (
            "said by the user",
            readiness(
                "x-envrun: { ready: { http: { port: 80, path: /up }, tcp: 90 } }",
                &checked,
            ),
        ),
        (
            "deadline of its own",
            readiness("x-envrun: { ready: { deadline: 5s } }", &exposing),
        ),
        (
            "no deadline",
            readiness("x-envrun: { ready: { tcp: 1, deadline: 0s } }", &image()),
        ),
    ];
    let text: Vec<String> = lines
        .iter()
        .map(|(case, line)| format!("{case}: {line}"))
        .collect();
    insta::assert_snapshot!(text.join("\n"), @"
    nothing at all:  | Some(180s) | inferred | nothing to probe: no healthcheck, no port
    EXPOSE of the image: tcp 80 or 443 | Some(180s) | inferred | `EXPOSE` of the image
    ports over EXPOSE: tcp 3000 | Some(180s) | inferred | `ports` and `expose` of the file
    expose of the file: tcp 9000 | Some(180s) | inferred | `ports` and `expose` of the file
    HEALTHCHECK over ports: healthcheck | Some(180s) | declared | `HEALTHCHECK` of the image
    HEALTHCHECK disabled: tcp 80 or 443 | Some(180s) | inferred | `EXPOSE` of the image
    healthcheck of the file: healthcheck | Some(310s) | declared | `healthcheck` of the file
    a recognised server: postgres 5432 | Some(180s) | inferred | image is recognised as PostgreSQL
    its port: postgres 6000 | Some(180s) | inferred | image is recognised as PostgreSQL
    with a healthcheck: healthcheck and postgres 5432 | Some(180s) | declared | `healthcheck` of the file and image is recognised as PostgreSQL
    another command: tcp 5432 | Some(180s) | inferred | `EXPOSE` of the image
    said by the user: http 80/up and tcp 90 | Some(180s) | declared | `x-envrun.ready`
    deadline of its own: tcp 80 or 443 | Some(5s) | inferred | `EXPOSE` of the image
    no deadline: tcp 1 | None | declared | `x-envrun.ready`
    ");
}

#[test]
fn a_suite_is_never_port_probed() {
    let compose = "services: { tests: { image: i, expose: ['80'], x-envrun: { suite: true } } }";
    let project = project(compose);
    assert_eq!(
        requirement(&project.services["tests"], &postgres()).probes,
        []
    );
}

#[test]
fn volumes_of_the_image_become_labelled_volumes_unless_they_are_mounted() {
    let compose = "
services:
  web: { image: i, container_name: fixed, volumes: ['data:/data/', '/cache'], tmpfs: /tmp/x, x-envrun: { suite: true } }
volumes: { data:  }
";
    let image = ImageFacts {
        volumes: vec!["/data".to_owned(), "/logs".to_owned(), "/tmp/x".to_owned()],
        ..image()
    };
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let networks = BTreeMap::from([("default".into(), NetworkId::new("n1"))]);
    let known = container::Known {
        api: NEW,
        images: &BTreeMap::new(),
        networks: &networks,
        containers: &BTreeMap::new(),
    };
    let spec = container::specification(&plan, &plan.services["web"], &image, &known);
    let mounts: Vec<String> = spec
        .mounts
        .iter()
        .map(|mount| match &mount.source {
            MountSpecSource::Volume { name, labels, .. } => {
                format!("{name} {} at {}", labels.len(), mount.target)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    insta::assert_snapshot!(mounts.join("\n"), @"
    envrun-0123456789ab-data 4 at /data
    envrun-0123456789ab-web-volume-1 4 at /cache
    envrun-0123456789ab-web-volume-2 4 at /logs
    ");
    assert_eq!(spec.name, "envrun-0123456789ab-web");
    let Networking::Network(_, endpoint) = spec.networking else {
        panic!("no network");
    };
    assert_eq!(endpoint.aliases, ["web", "fixed"]);
    assert_eq!(spec.labels["dev.envrun.run"], RUN.to_string());
    assert_eq!(spec.labels["dev.envrun.service"], "web");
}

#[test]
fn files_go_into_the_container_or_into_a_volume_that_is_mounted() {
    let compose = "
services:
  plain: { image: app, secrets: [token], configs: [{ source: settings, target: /etc/x }] }
  sealed: { image: app, read_only: true, secrets: [token] }
  mixed:
    image: app
    tmpfs: [/run]
    volumes: ['data:/data']
    secrets: [token]
    configs: [settings, { source: settings, target: /data/x }, { source: settings, target: /database }]
  linked:
    image: app
    tmpfs: [/run]
    configs: [settings, { source: settings, target: /var/run/settings }]
  unit: { image: app, x-envrun: { suite: true } }
volumes: { data: }
secrets: { token: { environment: TOKEN } }
configs: { settings: { content: x } }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    insta::assert_snapshot!(plan.to_text(), @"
    plan for project `test`
      0  obtain image `app`  (used by `linked`, `mixed` and 3 more)
      1  create network `default`  (used by `linked`, `mixed` and 3 more)
      2  create volume `data`  (used by `mixed`)
      3  create container that a volume is filled through after 0  (`linked` uses config `settings`, and has a mount in the way)
      4  put files of `linked` into a volume after 3  (`linked` uses config `settings`, and has a mount in the way)
      5  create container that a volume is filled through after 0  (`mixed` uses config `settings`, secret `token`, and has a mount in the way)
      6  put files of `mixed` into a volume after 5  (`mixed` uses config `settings`, secret `token`, and has a mount in the way)
      7  create container that a volume is filled through after 0  (`sealed` uses secret `token`, and is read-only)
      8  put files of `sealed` into a volume after 7  (`sealed` uses secret `token`, and is read-only)
      9  create container of `linked` after 0, 1, 4  (service `linked` is part of the environment)
     10  start `linked` after 9  (service `linked` is part of the environment)
     11  create container of `mixed` after 0, 1, 2, 6  (service `mixed` is part of the environment)
     12  put files into the container of `mixed` after 11  (`mixed` uses config `settings`)
     13  start `mixed` after 11, 12  (service `mixed` is part of the environment)
     14  create container of `plain` after 0, 1  (service `plain` is part of the environment)
     15  put files into the container of `plain` after 14  (`plain` uses config `settings`, secret `token`)
     16  start `plain` after 14, 15  (service `plain` is part of the environment)
     17  create container of `sealed` after 0, 1, 8  (service `sealed` is part of the environment)
     18  start `sealed` after 17  (service `sealed` is part of the environment)
     19  create container of `unit` after 0, 1  (suite `unit` is to be run)
     20  start `unit` after 19  (suite `unit` is to be run)
     21  wait until `linked` is ready after 10  (service `linked` is part of the environment)
     22  wait until `mixed` is ready after 13  (service `mixed` is part of the environment)
     23  wait until `plain` is ready after 16  (service `plain` is part of the environment)
     24  wait until `sealed` is ready after 18  (service `sealed` is part of the environment)
     25  wait until suite `unit` has ended after 20  (its result is the verdict)
    ");
    let mounted = |service: &str| {
        let mounted = plan.services[service].injection.mounted.iter();
        let targets: Vec<&str> = mounted.map(|mount| mount.target.as_str()).collect();
        targets.join(" ")
    };
    insta::assert_snapshot!(mounted("mixed"), @"/run/secrets/token /data/x");
    // Nothing is written into a container that has a mount below a link.
    insta::assert_snapshot!(mounted("linked"), @"/settings /var/run/settings");
}

const BINDS: &str = "
services:
  unit:
    image: app
    x-envrun: { suite: true }
    volumes:
      - SRC/bound/a:/bound
      - SRC/volume/b/c:/volume
      - SRC/part/d:/part:ro
      - SRC/private/e:/private
      - SRC/layer:/layer
      - SRC/layer/file:/file
      - ./missing:/missing
      - /srv/of-the-host:/host
      - /dev/null:/null
      - /proc/version:/version:ro
      - SRC/volume:/all
      - SRC/volume/to-be-made:/made
  other: { image: app, volumes: ['SRC/layer:/again:ro'] }
";

/// Where a container's mounts come from, one line each.
fn sources(plan: &Plan, service: &str) -> String {
    let image = ImageFacts {
        id: ImageId::new("app"),
        ..image()
    };
    let spec = specification(plan, service, NEW, &image);
    let lines = spec.mounts.iter().map(|mount| {
        let mode = if mount.read_only { " read-only" } else { "" };
        let source = match &mount.source {
            MountSpecSource::Bind { path, .. } => path.display().to_string(),
            MountSpecSource::Volume { name, subpath, .. } => format!("volume {name} {subpath:?}"),
            other => panic!("{other:?}"),
        };
        format!("{} from {source}{mode}", mount.target)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn paths_are_translated_to_what_the_engine_sees_of_a_job_container() {
    use envrun::engine::{ContainerMount, ContainerMountSource};
    use envrun::plan::host::Host;
    let directory = tempfile::tempdir().expect("temporary directory");
    let root = directory.path().canonicalize().expect("it exists");
    for name in ["bound/a", "volume/b/c", "part/d", "private/e", "layer"] {
        std::fs::create_dir_all(root.join(name)).expect("created");
    }
    std::fs::write(root.join("layer/file"), "x").expect("written");
    let shown = root.display().to_string();
    let project = project(&BINDS.replace("SRC", &shown));
    let mount = |name: &str, source, read_only| ContainerMount {
        target: root.join(name),
        source,
        read_only,
    };
    let volume = |subpath: Option<&str>| ContainerMountSource::Volume {
        name: "workspace".to_owned(),
        subpath: subpath.map(str::to_owned),
    };
    let host = Host::Container(vec![
        mount("bound", ContainerMountSource::Bind("/on/host".into()), true),
        mount("volume", volume(None), false),
        mount("part", volume(Some("x/y")), false),
        mount("private", ContainerMountSource::Private, false),
    ]);
    let described = |host| {
        let plan = Plan::on_host(
            &project,
            &Identity::anonymous(RUN),
            &Selection::default(),
            host,
        )
        .expect("a plan");
        let made: Vec<String> = plan
            .directories_to_make()
            .map(|path| path.display().to_string())
            .collect();
        let text = format!(
            "{}\nother: {}\nmade: {made:?}\n{}\n{}",
            sources(&plan, "unit"),
            sources(&plan, "other"),
            plan.warnings.join("\n"),
            plan.to_text()
        );
        text.replace(&shown, "/SRC")
            .replace(&project.directory.display().to_string(), "/PROJECT")
    };
    insta::assert_snapshot!(described(&host), @r#"
    /bound from /on/host/a read-only
    /volume from volume workspace Some("b/c")
    /part from volume workspace Some("x/y/d") read-only
    /private from volume envrun-0123456789ab_copy-1 Some("content")
    /layer from volume envrun-0123456789ab_copy-0 Some("content")
    /file from volume envrun-0123456789ab_copy-2 Some("content")
    /missing from volume envrun-0123456789ab_copy-3 Some("content")
    /host from /srv/of-the-host
    /null from /dev/null
    /version from /proc/version read-only
    /all from volume workspace None
    /made from volume workspace Some("to-be-made")
    other: /again from volume envrun-0123456789ab_copy-0 Some("content") read-only
    made: ["/SRC/volume/to-be-made"]
    the engine cannot see `/SRC/layer`, `/SRC/private/e`, `/SRC/layer/file` and 1 more: the run works on a copy, and what containers write there does not come back
    plan for project `test`
      0  obtain image `app`  (used by `other`, `unit`)
      1  create network `default`  (used by `other`, `unit`)
      2  create container that a volume is filled through after 0  (used by `other`, `unit`)
      3  copy `/SRC/layer` into a volume after 2  (used by `other`, `unit`)
      4  create container that a volume is filled through after 0  (used by `unit`)
      5  copy `/SRC/private/e` into a volume after 4  (used by `unit`)
      6  create container that a volume is filled through after 0  (used by `unit`)
      7  copy `/SRC/layer/file` into a volume after 6  (used by `unit`)
      8  create container that a volume is filled through after 0  (used by `unit`)
      9  copy `/PROJECT/missing` into a volume after 8  (used by `unit`)
     10  create container of `other` after 0, 1, 3  (service `other` is part of the environment)
     11  start `other` after 10  (service `other` is part of the environment)
     12  create container of `unit` after 0, 1, 3, 5, 7, 9  (suite `unit` is to be run)
     13  start `unit` after 12  (suite `unit` is to be run)
     14  wait until `other` is ready after 11  (service `other` is part of the environment)
     15  wait until suite `unit` has ended after 13  (its result is the verdict)
    "#);
    insta::assert_snapshot!(described(&Host::Remote), @r#"
    /bound from volume envrun-0123456789ab_copy-1 Some("content")
    /volume from volume envrun-0123456789ab_copy-2 Some("content")
    /part from volume envrun-0123456789ab_copy-3 Some("content") read-only
    /private from volume envrun-0123456789ab_copy-4 Some("content")
    /layer from volume envrun-0123456789ab_copy-0 Some("content")
    /file from volume envrun-0123456789ab_copy-5 Some("content")
    /missing from volume envrun-0123456789ab_copy-6 Some("content")
    /host from /srv/of-the-host
    /null from /dev/null
    /version from /proc/version read-only
    /all from volume envrun-0123456789ab_copy-7 Some("content")
    /made from /SRC/volume/to-be-made
    other: /again from volume envrun-0123456789ab_copy-0 Some("content") read-only
    made: []
    the engine cannot see `/SRC/layer`, `/SRC/bound/a`, `/SRC/volume/b/c` and 5 more: the run works on a copy, and what containers write there does not come back
    plan for project `test`
      0  obtain image `app`  (used by `other`, `unit`)
      1  create network `default`  (used by `other`, `unit`)
      2  create container that a volume is filled through after 0  (used by `other`, `unit`)
      3  copy `/SRC/layer` into a volume after 2  (used by `other`, `unit`)
      4  create container that a volume is filled through after 0  (used by `unit`)
      5  copy `/SRC/bound/a` into a volume after 4  (used by `unit`)
      6  create container that a volume is filled through after 0  (used by `unit`)
      7  copy `/SRC/volume/b/c` into a volume after 6  (used by `unit`)
      8  create container that a volume is filled through after 0  (used by `unit`)
      9  copy `/SRC/part/d` into a volume after 8  (used by `unit`)
     10  create container that a volume is filled through after 0  (used by `unit`)
     11  copy `/SRC/private/e` into a volume after 10  (used by `unit`)
     12  create container that a volume is filled through after 0  (used by `unit`)
     13  copy `/SRC/layer/file` into a volume after 12  (used by `unit`)
     14  create container that a volume is filled through after 0  (used by `unit`)
     15  copy `/PROJECT/missing` into a volume after 14  (used by `unit`)
     16  create container that a volume is filled through after 0  (used by `unit`)
     17  copy `/SRC/volume` into a volume after 16  (used by `unit`)
     18  create container of `other` after 0, 1, 3  (service `other` is part of the environment)
     19  start `other` after 18  (service `other` is part of the environment)
     20  create container of `unit` after 0, 1, 3, 5, 7, 9, 11, 13, 15, 17  (suite `unit` is to be run)
     21  start `unit` after 20  (suite `unit` is to be run)
     22  wait until `other` is ready after 19  (service `other` is part of the environment)
     23  wait until suite `unit` has ended after 21  (its result is the verdict)
    "#);
    let same = described(&Host::Same);
    assert!(!same.contains("copy"), "{same}");
    assert!(same.contains("/volume from /SRC/volume/b/c\n"), "{same}");
}

/// What a service is created with, when everything of the plan is there; networks and containers are
/// called after their service or key.
fn specification(plan: &Plan, service: &str, api: (u16, u16), image: &ImageFacts) -> ContainerSpec {
    let images = (0..plan.images.len()).map(|index| (ImageIndex(index), image.clone()));
    let networks = plan.networks.keys();
    let containers = plan.services.keys();
    let known = container::Known {
        api,
        images: &images.collect(),
        networks: &networks
            .map(|key| (key.clone(), NetworkId::new(format!("id-{key}"))))
            .collect(),
        containers: &containers
            .map(|name| (name.clone(), ContainerId::new(format!("id-{name}"))))
            .collect(),
    };
    container::specification(plan, &plan.services[service], image, &known)
}

#[test]
fn a_container_that_shares_is_created_after_the_one_that_it_shares_with() {
    let compose = "
services:
  app: { image: i, network_mode: 'service:proxy', ipc: 'service:shm', pid: 'service:proxy', volumes_from: ['store:ro', 'container:theirs'] }
  proxy: { image: i }
  shm: { image: i, ipc: shareable }
  store: { image: i, volumes: [/data] }
  old: { image: i, network_mode: bridge, links: ['store:db'] }
  tests: { image: i, links: [store, 'store:db'], external_links: ['theirs:x', other], x-envrun: { suite: true } }
";
    insta::assert_snapshot!(plan(compose, &Selection::default()).expect("a plan"), @"
    plan for project `test`
      0  obtain image `i`  (used by `app`, `old` and 4 more)
      1  create network `default`  (used by `proxy`, `shm` and 2 more)
      2  create container of `app` after 0, 6, 8, 10  (service `app` is part of the environment)
      3  start `app` after 2, 7, 9, 11  (service `app` is part of the environment)
      4  create container of `old` after 0, 10  (service `old` is part of the environment)
      5  start `old` after 4, 11  (service `old` is part of the environment)
      6  create container of `proxy` after 0, 1  (service `proxy` is part of the environment)
      7  start `proxy` after 6  (service `proxy` is part of the environment)
      8  create container of `shm` after 0, 1  (service `shm` is part of the environment)
      9  start `shm` after 8  (service `shm` is part of the environment)
     10  create container of `store` after 0, 1  (service `store` is part of the environment)
     11  start `store` after 10  (service `store` is part of the environment)
     12  create container of `tests` after 0, 1  (suite `tests` is to be run)
     13  start `tests` after 12, 11  (suite `tests` is to be run)
     14  wait until `app` is ready after 3  (service `app` is part of the environment)
     15  wait until `old` is ready after 5  (service `old` is part of the environment)
     16  wait until `proxy` is ready after 7  (`app` waits for it)
     17  wait until `shm` is ready after 9  (`app` waits for it)
     18  wait until `store` is ready after 11  (`app`, `old`, `tests` wait for it)
     19  wait until suite `tests` has ended after 13  (its result is the verdict)
    ");
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let app = specification(&plan, "app", NEW, &image());
    let shown = format!(
        "{:?}\n{:?} {:?} {:?}",
        app.networking, app.ipc, app.pid, app.volumes_from
    );
    insta::assert_snapshot!(shown, @r#"
    Mode("container:id-proxy")
    Some("container:id-shm") Some("container:id-proxy") ["id-store:ro", "theirs"]
    "#);
    insta::assert_snapshot!(specification(&plan, "tests", NEW, &image()).links.join("\n"), @"
    envrun-0123456789ab-store:db
    envrun-0123456789ab-store:store
    envrun-0123456789ab-store:store-1
    envrun-0123456789ab-store:test-store-1
    other:other
    theirs:x
    ");
}

#[test]
fn volumes_from_another_service_are_not_hidden_by_volumes_of_the_image() {
    let image = ImageFacts {
        volumes: vec!["/data".to_owned(), "/logs".to_owned()],
        ..image()
    };
    let targets = |from: &str| {
        let compose = format!(
            "
services:
  base: {{ image: other }}
  store: {{ image: i, volumes: [/data], volumes_from: [base] }}
  web: {{ image: i, volumes_from: [{from}], x-envrun: {{ suite: true }} }}
"
        );
        let plan = Plan::new(&project(&compose), RUN, &Selection::default()).expect("a plan");
        let spec = specification(&plan, "web", NEW, &image);
        let mounts = spec.mounts.into_iter();
        mounts.map(|mount| mount.target).collect::<Vec<_>>()
    };
    assert_eq!(targets("store"), [] as [&str; 0]);
    // Of a container outside of the run nothing is known.
    assert_eq!(targets("container:theirs"), [] as [&str; 0]);
}

#[test]
fn the_network_of_the_highest_priority_is_the_first() {
    let compose = "
services:
  tests:
    image: i
    mac_address: 02:42:ac:11:00:01
    networks:
      a: { mac_address: 02:42:ac:11:00:02 }
      b: { priority: 5 }
      c: { priority: -1 }
    x-envrun: { suite: true }
networks: { a: , b: , c:  }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let planned = &plan.services["tests"];
    let networks: Vec<&str> = planned.networks.iter().map(|key| key.as_str()).collect();
    assert_eq!(networks, ["b", "a", "c"]);
    let macs = |api| {
        let of = |key: &str| container::endpoint(&plan, planned, &key.into(), api);
        let of = |key| of(key).options.mac_address.unwrap_or_default();
        let whole = specification(&plan, "tests", api, &image()).mac_address;
        format!("{whole:?}, a {}, b {}", of("a"), of("b"))
    };
    // An older engine knows the address of a container only.
    assert_eq!(macs((1, 43)), "Some(\"02:42:ac:11:00:01\"), a , b ");
    assert_eq!(macs(NEW), "None, a 02:42:ac:11:00:02, b 02:42:ac:11:00:01");
}

#[test]
fn what_an_older_engine_lacks_is_known_before_anything_is_created() {
    let compose = "
services:
  tests:
    image: i
    annotations: { a: b }
    platform: linux/amd64
    devices: ['vendor.com/gpu=all']
    healthcheck: { test: x, start_period: 5s, start_interval: 1s }
    networks:
      a: { mac_address: 02:42:ac:11:00:02, interface_name: eth7, gw_priority: 5 }
      b: { priority: 5 }
    volumes:
      - { type: bind, source: /etc, target: /etc, bind: { recursive: readonly } }
      - { type: volume, source: v, target: /v, volume: { subpath: part } }
      - { type: image, source: other, target: /image, image: { subpath: etc } }
    x-envrun: { suite: true }
networks: { a: { enable_ipv4: false }, b:  }
volumes: { v:  }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let lacks = |api| {
        let missing = support::missing(&plan, api).into_iter();
        let lines = missing.map(|one| {
            let how = if one.refused { "refused" } else { "no effect" };
            format!("{}.{} {how}: {}", one.needs.0, one.needs.1, one.what)
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(lacks((1, 40)), @"
    1.43 no effect: `annotations` of service `tests`
    1.41 refused: `platform` of service `tests`
    1.44 refused: `devices` of service `tests`
    1.44 refused: `volumes: /etc: recursive: readonly` of service `tests`
    1.48 refused: `volumes: /image: type: image` of service `tests`
    1.44 refused: `networks: mac_address` of service `tests`
    1.49 refused: `networks: a: interface_name` of service `tests`
    1.48 no effect: `networks: a: gw_priority` of service `tests`
    1.48 no effect: `enable_ipv4: false` of network `a`
    ");
    assert_eq!(lacks(NEW), "");
    let interval = |api| {
        let check = specification(&plan, "tests", api, &image()).healthcheck;
        check.expect("a healthcheck").start_interval
    };
    assert_eq!(interval((1, 43)), Duration::ZERO);
    assert_eq!(interval((1, 44)), Duration::from_secs(1));
}

#[test]
fn a_subnet_of_the_file_is_taken_as_it_is_and_others_are_chosen() {
    let compose = "
services:
  tests: { image: i, networks: [fixed, free, six, theirs], x-envrun: { suite: true } }
networks:
  fixed: { ipam: { config: [{ subnet: 10.9.0.0/24, gateway: 10.9.0.254 }] } }
  free: { enable_ipv6: true, ipam: { driver: default, config: [{ subnet: 'fd00:9::/64' }] } }
  six: { enable_ipv4: false, enable_ipv6: true }
  theirs: { ipam: { driver: dhcp } }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let networks = plan.networks.iter().map(|(key, network)| match network {
        PlannedNetwork::Owned { spec, prefix } => {
            let pools = spec.ipam.pools.iter();
            let pools: Vec<String> = pools.map(|pool| pool.subnet.to_string()).collect();
            format!("{key}: {} chosen {prefix:?}", pools.join(" "))
        }
        PlannedNetwork::External(name) => name.clone(),
    });
    insta::assert_snapshot!(networks.collect::<Vec<_>>().join("\n"), @"
    fixed: 10.9.0.0/24 chosen None
    free: fd00:9::/64 chosen Some(28)
    six: fd01:2345:6789:c27a::/64 chosen None
    theirs:  chosen None
    ");
}

const REPLICAS: &str = "
services:
  web: { image: app, scale: 2, volumes: ['/own'], networks: { default: { aliases: [www] } } }
  web-2: { image: app }
  none: { image: app, deploy: { replicas: 0 } }
  migrate: { image: app, scale: 2 }
  checks:
    image: app
    depends_on:
      web: { condition: service_healthy }
      none: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
    x-envrun: { suite: true }
";

#[test]
fn each_replica_has_its_own_steps_and_dependants_wait_for_all_of_them() {
    let plan = Plan::new(&project(REPLICAS), RUN, &Selection::default()).expect("a plan");
    assert_eq!(
        plan.warnings,
        ["service `none` has 0 replicas and is not started, and `checks` starts without it"]
    );
    insta::assert_snapshot!(plan.to_text(), @"
    plan for project `test`
      0  obtain image `app`  (used by `checks`, `migrate-1` and 4 more)
      1  create network `default`  (used by `checks`, `migrate-1` and 4 more)
      2  create container of `checks` after 0, 1  (suite `checks` is to be run)
      3  start `checks` after 2, 15, 16, 17, 18  (suite `checks` is to be run)
      4  create container of `migrate-1` after 0, 1  (job `migrate-1` is waited for)
      5  start `migrate-1` after 4  (job `migrate-1` is waited for)
      6  create container of `migrate-2` after 0, 1  (job `migrate-2` is waited for)
      7  start `migrate-2` after 6  (job `migrate-2` is waited for)
      8  create container of `web--1` after 0, 1  (service `web--1` is part of the environment)
      9  start `web--1` after 8  (service `web--1` is part of the environment)
     10  create container of `web--2` after 0, 1  (service `web--2` is part of the environment)
     11  start `web--2` after 10  (service `web--2` is part of the environment)
     12  create container of `web-2` after 0, 1  (service `web-2` is part of the environment)
     13  start `web-2` after 12  (service `web-2` is part of the environment)
     14  wait until suite `checks` has ended after 3  (its result is the verdict)
     15  wait until `migrate-1` has completed after 5  (`checks` waits for it)
     16  wait until `migrate-2` has completed after 7  (`checks` waits for it)
     17  wait until `web--1` is ready after 9  (`checks` waits for it)
     18  wait until `web--2` is ready after 11  (`checks` waits for it)
     19  wait until `web-2` is ready after 13  (service `web-2` is part of the environment)
    ");
}

#[test]
fn what_is_shared_with_replicas_is_shared_with_the_first_and_links_lead_to_all() {
    let compose = |scale: u32| {
        format!(
            "
services:
  web: {{ image: i, scale: {scale} }}
  inside: {{ image: i, network_mode: 'service:web', volumes_from: ['web:ro'] }}
  tests: {{ image: i, links: ['web:www'], x-envrun: {{ suite: true }} }}
"
        )
    };
    let plan = Plan::new(&project(&compose(2)), RUN, &Selection::default()).expect("a plan");
    let inside = specification(&plan, "inside", NEW, &image());
    let tests = specification(&plan, "tests", NEW, &image());
    let shown = format!(
        "{:?} {:?}\n{}",
        inside.networking,
        inside.volumes_from,
        tests.links.join("\n")
    );
    insta::assert_snapshot!(shown, @r#"
    Mode("container:id-web-1") ["id-web-1:ro"]
    envrun-0123456789ab-web-1:test-web-1
    envrun-0123456789ab-web-1:web-1
    envrun-0123456789ab-web-1:www
    envrun-0123456789ab-web-2:test-web-2
    envrun-0123456789ab-web-2:web-2
    envrun-0123456789ab-web-2:www
    "#);
    let nobody = Plan::new(&project(&compose(0)), RUN, &Selection::default());
    insta::assert_snapshot!(nobody.expect_err("no plan").to_string(), @"
    service `inside` shares with `web`, which has 0 replicas
    hint: give `web` a replica, or leave out both
    ");
}

#[test]
fn replicas_share_the_name_of_the_service_and_nothing_else() {
    let plan = Plan::new(&project(REPLICAS), RUN, &Selection::default()).expect("a plan");
    let key = "default".into();
    let told: Vec<String> = plan
        .services
        .values()
        .filter(|planned| planned.of.as_str() == "web")
        .map(|planned| {
            let spec = specification(&plan, planned.service.name.as_str(), NEW, &image());
            format!(
                "{} {:?} {:?} {:?}",
                spec.name,
                container::endpoint(&plan, planned, &key, NEW).aliases,
                spec.mounts[0].source,
                spec.labels
            )
        })
        .collect();
    // The directory is another one each time.
    let told = told
        .join("\n")
        .replace(&plan.labels[DIRECTORY_LABEL], "[DIRECTORY]");
    insta::assert_snapshot!(told, @r#"
    envrun-0123456789ab-web--1 ["web", "web--1", "www"] Volume { name: "envrun-0123456789ab-web--1-volume-0", labels: {"dev.envrun.directory": "[DIRECTORY]", "dev.envrun.lease": "{\"seconds\":1800}", "dev.envrun.project": "test", "dev.envrun.run": "01234567-89ab-4def-8123-456789abcdef"}, subpath: None } {"dev.envrun.directory": "[DIRECTORY]", "dev.envrun.lease": "{\"seconds\":1800}", "dev.envrun.project": "test", "dev.envrun.replica": "web--1", "dev.envrun.run": "01234567-89ab-4def-8123-456789abcdef", "dev.envrun.service": "web"}
    envrun-0123456789ab-web--2 ["web", "web--2", "www"] Volume { name: "envrun-0123456789ab-web--2-volume-0", labels: {"dev.envrun.directory": "[DIRECTORY]", "dev.envrun.lease": "{\"seconds\":1800}", "dev.envrun.project": "test", "dev.envrun.run": "01234567-89ab-4def-8123-456789abcdef"}, subpath: None } {"dev.envrun.directory": "[DIRECTORY]", "dev.envrun.lease": "{\"seconds\":1800}", "dev.envrun.project": "test", "dev.envrun.replica": "web--2", "dev.envrun.run": "01234567-89ab-4def-8123-456789abcdef", "dev.envrun.service": "web"}
    "#);
}

#[test]
fn what_runs_before_a_start_is_a_job_with_the_mounts_of_the_service() {
    let compose = "
services:
  db: { image: postgres }
  web:
    image: app
    scale: 2
    user: app
    entrypoint: [serve]
    volumes: [/own]
    ports: ['80']
    environment: { A: '1', B: '1' }
    depends_on: [db]
    pre_start:
      - { command: [prepare], environment: { B: '2' } }
      - { image: other, per_replica: true, privileged: true }
      - { command: [check] }
  checks: { image: app, depends_on: [web], x-envrun: { suite: true } }
";
    let plan = Plan::new(&project(compose), RUN, &Selection::default()).expect("a plan");
    let steps = plan.to_text();
    let starts = steps
        .lines()
        .filter(|line| line.contains("start `") || line.contains("wait until"));
    let starts: Vec<&str> = starts.collect();
    insta::assert_snapshot!(starts.join("\n"), @"
     5  start `checks` after 4, 22, 24  (suite `checks` is to be run)
     7  start `db` after 6  (service `db` is part of the environment)
     9  start `web-1` after 8, 21, 27  (service `web-1` is part of the environment)
    11  start `web-1-pre_start-2` after 10, 21, 26  (job `web-1-pre_start-2` is waited for)
    13  start `web-2` after 12, 21, 27  (service `web-2` is part of the environment)
    15  start `web-2-pre_start-2` after 14, 21, 26  (job `web-2-pre_start-2` is waited for)
    17  start `web-pre_start-1` after 16, 21  (job `web-pre_start-1` is waited for)
    19  start `web-pre_start-3` after 18, 21, 23, 25  (job `web-pre_start-3` is waited for)
    20  wait until suite `checks` has ended after 5  (its result is the verdict)
    21  wait until `db` is ready after 7  (`web-1`, `web-1-pre_start-2` and 4 more wait for it)
    22  wait until `web-1` is ready after 9  (`checks` waits for it)
    23  wait until `web-1-pre_start-2` has completed after 11  (`web-pre_start-3` waits for it)
    24  wait until `web-2` is ready after 13  (`checks` waits for it)
    25  wait until `web-2-pre_start-2` has completed after 15  (`web-pre_start-3` waits for it)
    26  wait until `web-pre_start-1` has completed after 17  (`web-1-pre_start-2`, `web-2-pre_start-2` wait for it)
    27  wait until `web-pre_start-3` has completed after 19  (`web-1`, `web-2` wait for it)
    ");
    let specs: Vec<String> = ["web-1", "web-pre_start-1", "web-2-pre_start-2"]
        .into_iter()
        .map(|name| {
            let planned = &plan.services[name];
            let spec = specification(&plan, name, NEW, &image());
            let volume = match &spec.mounts[0].source {
                MountSpecSource::Volume { name, .. } => name.clone(),
                other => format!("{other:?}"),
            };
            format!(
                "{} {:?} {:?} {:?} {:?} {:?} {volume} {}",
                spec.name,
                container::endpoint(&plan, planned, &"default".into(), NEW).aliases,
                spec.entrypoint,
                spec.command,
                spec.user,
                spec.environment,
                spec.options.privileged
            )
        })
        .collect();
    insta::assert_snapshot!(specs.join("\n"), @r#"
    envrun-0123456789ab-web-1 ["web", "web-1"] Some(["serve"]) None Some("app") {"A": "1", "B": "1"} envrun-0123456789ab-web-1-volume-0 false
    envrun-0123456789ab-web-pre_start-1 ["web-pre_start-1"] None Some(["prepare"]) Some("app") {"A": "1", "B": "2"} envrun-0123456789ab-web-1-volume-0 false
    envrun-0123456789ab-web-2-pre_start-2 ["web-2-pre_start-2"] None None None {"A": "1", "B": "1"} envrun-0123456789ab-web-2-volume-0 true
    "#);
}
