//! `artifacts`: what is read of it, and what is refused.

use super::super::model::{Artifacts, ArtifactsWhen};
use super::Case;
use crate::name::ServiceName;

fn read(lines: &str) -> Option<Artifacts> {
    let loaded = Case::new(&[("compose.yaml", &compose(lines))]).load();
    let project = loaded
        .unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)))
        .project;
    let unit = ServiceName::new("unit");
    project.services[&unit].artifacts.clone()
}

fn compose(lines: &str) -> String {
    format!("services:\n  unit:\n    image: app\n{lines}")
}

fn problems_of(lines: &str) -> Vec<String> {
    let loaded = Case::new(&[("compose.yaml", &compose(lines))]).load();
    let problems = loaded.expect_err("a problem");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_suite_says_it_below_or_beside_suite_and_a_service_beside() {
    let always = |paths: &[&str]| {
        Some(Artifacts {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            when: ArtifactsWhen::Always,
        })
    };
    let one = read("    x-envrun: { suite: { artifacts: shots/ } }\n");
    assert_eq!(one, always(&["shots/"]));
    let two = read("    x-envrun: { suite: {}, artifacts: [a, /var/log/*.log] }\n");
    assert_eq!(two, always(&["a", "/var/log/*.log"]));
    let long = read("    x-envrun: { artifacts: { paths: [a], when: failure } }\n");
    assert_eq!(long.map(|long| long.when), Some(ArtifactsWhen::Failure));
    assert_eq!(read("    x-envrun: { artifacts: [] }\n"), None);
}

#[test]
fn what_cannot_be_kept_is_an_error_with_its_place() {
    let wrong = [
        (
            "    x-envrun: { artifacts: [../a] }\n",
            "the glob `../a` has a `..`",
        ),
        (
            "    x-envrun: { artifacts: ['/*.log'] }\n",
            "the whole container would be read",
        ),
        (
            "    x-envrun: { artifacts: [/] }\n",
            "the whole container would be read",
        ),
        ("    x-envrun: { artifacts: ['a[']  }\n", "is not valid"),
        (
            "    x-envrun: { artifacts: { when: failure } }\n",
            "`artifacts` has no `paths`",
        ),
        (
            "    x-envrun: { artifacts: { paths: a, when: sometimes } }\n",
            "unknown value `sometimes` of `when`",
        ),
        (
            "    x-envrun: { artifacts: { path: a, paths: a } }\n",
            "path",
        ),
        (
            "    x-envrun: { artifacts: [a], suite: { artifacts: [a] } }\n",
            "stands beside `suite` and below it",
        ),
        (
            "    tmpfs: [/tmp]\n    x-envrun: { artifacts: [/tmp/x/*.log] }\n",
            "which is on the tmpfs `/tmp`",
        ),
        (
            "    working_dir: /app\n    tmpfs: [/app/out]\n    x-envrun: { artifacts: [./out/a] }\n",
            "which is on the tmpfs `/app/out`",
        ),
        (
            "    volumes: [{ type: tmpfs, target: /data }]\n    x-envrun: { artifacts: [/data] }\n",
            "which is on the tmpfs `/data`",
        ),
    ];
    for (lines, message) in wrong {
        let found = problems_of(lines);
        assert!(
            found.iter().any(|problem| problem.contains(message)),
            "{lines}: {found:?}"
        );
    }
}

#[test]
fn what_is_beside_or_below_a_tmpfs_is_fine() {
    for lines in [
        "    tmpfs: [/tmp]\n    x-envrun: { artifacts: [/tmpfile, /var/tmp/] }\n",
        "    tmpfs: [/app/out]\n    x-envrun: { artifacts: [out/] }\n",
        "    tmpfs: [/data]\n    volumes: [/data/kept]\n    x-envrun: { artifacts: [/data/kept/x] }\n",
        "    working_dir: /app\n    tmpfs: [/app/out/cache]\n    x-envrun: { artifacts: [out/] }\n",
    ] {
        assert!(read(lines).is_some(), "{lines}");
    }
}
