//! `image`, `platform` and `pull_policy`.

use std::time::Duration;

use super::{Case, show_service};
use crate::image::{Platform, PullPolicy};

/// The pull policy of a service with these lines.
fn policy(lines: &str) -> Option<PullPolicy> {
    let file = format!("services: {{ web: {{ image: x, {lines} }} }}");
    let loaded = Case::new(&[("compose.yaml", &file)]).load();
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false, 90)));
    loaded.project.services["web"].pull_policy
}

#[test]
fn every_policy_is_read() {
    let hours = |hours: u64| Some(PullPolicy::Every(Duration::from_secs(hours * 3_600)));
    for (written, expected) in [
        ("init: true", None),
        ("pull_policy: always", Some(PullPolicy::Always)),
        ("pull_policy: never", Some(PullPolicy::Never)),
        ("pull_policy: missing", Some(PullPolicy::Missing)),
        ("pull_policy: if_not_present", Some(PullPolicy::Missing)),
        ("pull_policy: build", Some(PullPolicy::Build)),
        ("pull_policy: daily", hours(24)),
        ("pull_policy: weekly", hours(7 * 24)),
        ("pull_policy: every_1d12h", hours(36)),
        ("pull_policy: refresh, pull_refresh_after: 2h", hours(2)),
        ("pull_policy: refresh", Some(PullPolicy::Missing)),
    ] {
        assert_eq!(policy(written), expected, "{written}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    insta::assert_snapshot!(show_service("image: Postgres:15\nplatform: linux\npull_policy: allways"), @r#"
      × `Postgres:15` is no reference of an image: names of repositories are lower case
       ╭─[compose.yaml:3:12]
     2 │   web:
     3 │     image: Postgres:15
       ·            ───────────
     4 │     platform: linux
       ╰────
    
      × `linux` is no platform: expected `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT`,
      │ such as `linux/arm64`
       ╭─[compose.yaml:4:15]
     3 │     image: Postgres:15
     4 │     platform: linux
       ·               ─────
     5 │     pull_policy: allways
       ╰────
    
      × `pull_policy` must look like `always`, `never`, `build`, `if_not_present`,
      │ `missing`, `refresh`, `daily`, `weekly`, `every_([0-9]+[wdhms])+`, found the text
      │ `allways`
       ╭─[compose.yaml:5:18]
     4 │     platform: linux
     5 │     pull_policy: allways
       ·                  ───────
       ╰────
    
    3 errors
    "#);
    insta::assert_snapshot!(show_service("image: x\npull_policy: every_1d2\npull_refresh_after: 2h"), @r#"
      ⚠ `pull_refresh_after` has no effect
       ╭─[compose.yaml:5:25]
     5 │     pull_refresh_after: 2h
       ·                         ──
       ╰────
      help: it goes with `pull_policy: refresh`
    
      × `1d2` is no duration: the number has no unit
       ╭─[compose.yaml:4:18]
     3 │     image: x
     4 │     pull_policy: every_1d2
       ·                  ─────────
     5 │     pull_refresh_after: 2h
       ╰────
      help: write it as `12h`, `3d` or `1w`
    
    1 error, 1 warning
    "#);
    insta::assert_snapshot!(show_service("image: x\npull_policy: refresh"), @r#"
    project demo in /PARENT/demo
    service web
      image x
      on default
    network default
    
      ⚠ `pull_policy: refresh` does not say when an image is too old
       ╭─[compose.yaml:4:18]
     4 │     pull_policy: refresh
       ·                  ───────
       ╰────
      help: as with Compose, only a missing image is pulled; write `daily`, `weekly` or
            `every_12h`
    
    1 warning
    "#);
}

#[test]
fn the_platform_may_come_from_the_environment() {
    let file = "services: { a: { image: x }, b: { image: x, platform: linux/arm64/v8 } }";
    let case =
        Case::new(&[("compose.yaml", file)]).variable("DOCKER_DEFAULT_PLATFORM", "linux/x86_64");
    let project = case.load().unwrap().project;
    let platform = |name: &str| project.services[name].platform.clone();
    assert_eq!(platform("a"), Some(Platform::new("linux", "amd64", "")));
    assert_eq!(platform("b"), Some(Platform::new("linux", "arm64", "")));
}

#[test]
fn an_id_of_an_image_will_do() {
    let id = "8a4cac51a66cbd95e0ee29e0e6b3a43a3a0b67f2f6d2b5a0e6d8d2a6f0e5b1c3";
    let file = format!("services: {{ a: {{ image: {id} }}, b: {{ image: 'sha256:{id}' }} }}");
    assert!(Case::new(&[("compose.yaml", &file)]).load().is_ok());
}
