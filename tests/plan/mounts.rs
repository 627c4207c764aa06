//! What is mounted into containers and what is put into them.

use std::collections::BTreeMap;

use envrun::engine::{ImageFacts, MountSpecSource, Networking};
use envrun::lease::Identity;
use envrun::name::{ImageId, NetworkId};
use envrun::plan::{Plan, Selection, container};

use crate::support::{NEW, RUN, image, project, specification};

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
        attempt: 1,
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
