//! How many containers a service has, and how they come and go.

use super::{Case, show, show_service};
use crate::config::model::Isolation;

#[test]
fn replicas_are_read_from_both_places() {
    insta::assert_snapshot!(show("
services:
  one: { image: i, scale: 1, deploy: {} }
  three: { image: i, deploy: { replicas: 3 } }
  two: { image: i, scale: '2' }
  none: { image: i, scale: 0 }
"), @"
    project demo in /PARENT/demo
    service none
      image i
      on default
      replicas 0
    service one
      image i
      on default
    service three
      image i
      on default
      replicas 3
    service two
      image i
      on default
      replicas 2
    network default
    ");
}

#[test]
fn replicas_that_cannot_be_are_errors() {
    insta::assert_snapshot!(show_service("image: i\nscale: -1"), @"
      × `scale` must not be negative
       ╭─[compose.yaml:4:12]
     3 │     image: i
     4 │     scale: -1
       ·            ──
       ╰────

    1 error
    ");
    insta::assert_snapshot!(show_service("image: i\ndeploy: { replicas: 1001 }"), @"
      × `replicas` is more than 1000
       ╭─[compose.yaml:4:25]
     3 │     image: i
     4 │     deploy: { replicas: 1001 }
       ·                         ────
       ╰────

    1 error
    ");
}

#[test]
fn a_suite_has_one_replica() {
    insta::assert_snapshot!(show_service("image: i\nscale: 3\nx-envrun: { suite: true }"), @"
      × a suite cannot have 3 replicas
       ╭─[compose.yaml:4:5]
     3 │     image: i
     4 │     scale: 3
       ·     ─────
     5 │     x-envrun: { suite: true }
       ╰────
      help: `x-envrun.suite.shards` is what splits a suite over several containers

    1 error
    ");
    insta::assert_snapshot!(show_service("image: i\ndeploy: { replicas: 0 }\nx-envrun: { suite: true }"), @"
      × a suite cannot have 0 replicas
       ╭─[compose.yaml:4:15]
     3 │     image: i
     4 │     deploy: { replicas: 0 }
       ·               ────────
     5 │     x-envrun: { suite: true }
       ╰────
      help: to leave a suite out, use `--skip` or a profile

    1 error
    ");
}

#[test]
fn a_fixed_address_cannot_belong_to_several_replicas() {
    let shown = show(
        "
services:
  web:
    image: i
    scale: 2
    mac_address: '02:42:ac:11:00:02'
    networks:
      back: { ipv4_address: 10.0.0.5 }
      front:
networks: { back: , front:  }
",
    );
    let errors = shown.split("\n\n").filter(|block| block.starts_with("  ×"));
    insta::assert_snapshot!(errors.collect::<Vec<_>>().join("\n"), @"
     × `mac_address` is fixed, and the service has 2 replicas
      ╭─[compose.yaml:6:5]
    5 │     scale: 2
    6 │     mac_address: '02:42:ac:11:00:02'
      ·     ───────────
    7 │     networks:
      ╰────
     help: leave the address out, or have one replica
     × `ipv4_address` is fixed, and the service has 2 replicas
      ╭─[compose.yaml:8:15]
    7 │     networks:
    8 │       back: { ipv4_address: 10.0.0.5 }
      ·               ────────────
    9 │       front:
      ╰────
     help: leave the address out, or have one replica
     × `10.0.0.5` is asked for on `back`, which has no subnet of its own
      ╭─[compose.yaml:8:29]
    7 │     networks:
    8 │       back: { ipv4_address: 10.0.0.5 }
      ·                             ────────
    9 │       front:
      ╰────
     help: give `back` an `ipam: { config: [{ subnet: … }] }` that holds it
    ");
}

#[test]
fn restart_policies_are_read_in_both_forms() {
    insta::assert_snapshot!(show("
services:
  always: { image: i, restart: always }
  never: { image: i, restart: no }
  quoted: { image: i, restart: 'no' }
  unless: { image: i, restart: unless-stopped }
  failure: { image: i, restart: on-failure }
  thrice: { image: i, restart: 'on-failure:3' }
  zero: { image: i, restart: 'on-failure:0' }
  long: { image: i, deploy: { restart_policy: { condition: on-failure, delay: 5s, max_attempts: 3, window: 2m } } }
  any: { image: i, deploy: { restart_policy: { condition: any } } }
"), @"
    project demo in /PARENT/demo
    service always
      image i
      on default
      restart Restart { condition: Always, attempts: None, delay: 0ns, window: None }
    service any
      image i
      on default
      restart Restart { condition: Always, attempts: None, delay: 0ns, window: None }
    service failure
      image i
      on default
      restart Restart { condition: OnFailure, attempts: None, delay: 0ns, window: None }
    service long
      image i
      on default
      restart Restart { condition: OnFailure, attempts: Some(3), delay: 5s, window: Some(120s) }
    service never
      image i
      on default
    service quoted
      image i
      on default
    service thrice
      image i
      on default
      restart Restart { condition: OnFailure, attempts: Some(3), delay: 0ns, window: None }
    service unless
      image i
      on default
      restart Restart { condition: Always, attempts: None, delay: 0ns, window: None }
    service zero
      image i
      on default
      restart Restart { condition: OnFailure, attempts: None, delay: 0ns, window: None }
    network default
    ");
}

#[test]
fn what_a_restart_policy_does_not_do_is_said() {
    insta::assert_snapshot!(show_service("image: i\ndeploy: { restart_policy: { max_attempts: 3 } }"), @"
    project demo in /PARENT/demo
    service web
      image i
      on default
    network default

      ⚠ `restart_policy` has no `condition`, so nothing is restarted
       ╭─[compose.yaml:4:15]
     4 │     deploy: { restart_policy: { max_attempts: 3 } }
       ·               ──────────────
       ╰────
      help: as with Compose; write `condition: any` or `condition: on-failure`

    1 warning
    ");
    insta::assert_snapshot!(show_service("image: i\nrestart: always\ndeploy: { restart_policy: { condition: none } }"), @"
    project demo in /PARENT/demo
    service web
      image i
      on default
    network default

      ⚠ `restart` has no effect
       ╭─[compose.yaml:4:5]
     4 │     restart: always
       ·     ───────
       ╰────
      help: `deploy.restart_policy` is in force instead, as with Compose

    1 warning
    ");
    insta::assert_snapshot!(show_service("image: i\nrestart: always\nx-envrun: { suite: true }"), @"
    project demo in /PARENT/demo
    suite web
      image i
      on default
      suite junit [] timeout None
    network default

      ⚠ `restart` has no effect on a suite
       ╭─[compose.yaml:4:5]
     4 │     restart: always
       ·     ───────
       ╰────
      help: the first end of a suite is its result

    1 warning
    ");
}

#[test]
fn restart_policies_that_do_not_exist_are_errors() {
    insta::assert_snapshot!(show_service("image: i\nrestart: on-failur"), @"
      × unknown restart policy `on-failur`
       ╭─[compose.yaml:4:14]
     3 │     image: i
     4 │     restart: on-failur
       ·              ─────────
       ╰────
      help: did you mean `on-failure`?

    1 error
    ");
    insta::assert_snapshot!(show_service("image: i\nrestart: 'always:3'"), @"
      × `always` takes no number of restarts
       ╭─[compose.yaml:4:14]
     3 │     image: i
     4 │     restart: 'always:3'
       ·              ──────────
       ╰────
      help: `on-failure:3` does

    1 error
    ");
    insta::assert_snapshot!(show_service("image: i\nrestart: 'on-failure:often'"), @"
      × `often` is no number of restarts
       ╭─[compose.yaml:4:14]
     3 │     image: i
     4 │     restart: 'on-failure:often'
       ·              ──────────────────
       ╰────
      help: write `on-failure:3`

    1 error
    ");
    insta::assert_snapshot!(show_service("image: i\nrestart: false"), @r#"
      × `restart` must be text, found the boolean `false`
       ╭─[compose.yaml:4:14]
     3 │     image: i
     4 │     restart: false
       ·              ─────
       ╰────
      help: quote it: `"false"`

    1 error
    "#);
    insta::assert_snapshot!(show_service("image: i\ndeploy: { restart_policy: { condition: sometimes, every: 5s } }"), @"
      × unknown restart policy `sometimes`
       ╭─[compose.yaml:4:44]
     3 │     image: i
     4 │     deploy: { restart_policy: { condition: sometimes, every: 5s } }
       ·                                            ─────────
       ╰────
      help: write `no`, `always`, `on-failure` or `unless-stopped`

      × unknown key `every` of `restart_policy`
       ╭─[compose.yaml:4:55]
     3 │     image: i
     4 │     deploy: { restart_policy: { condition: sometimes, every: 5s } }
       ·                                                       ─────
       ╰────

    2 errors
    ");
}

#[test]
fn hooks_are_read_with_everything_they_say() {
    insta::assert_snapshot!(show_service("image: i
post_start:
  - command: touch /ready now
  - command: [sh, -c, 'echo $$HOME']
    user: root
    privileged: true
    working_dir: /srv
    environment: [HOME, A=1]
pre_stop:
  - { command: [flush], environment: { B: 2 } }
x-envrun: { stop_grace: 5s, pre_stop: 500ms }"), @r#"
    project demo in /PARENT/demo
    service web
      image i
      on default
      post_start Hook { command: ["touch", "/ready", "now"], user: None, privileged: false, working_dir: None, environment: {} }
      post_start Hook { command: ["sh", "-c", "echo $HOME"], user: Some("root"), privileged: true, working_dir: Some("/srv"), environment: {"A": "1", "HOME": "/home/me"} }
      pre_stop Hook { command: ["flush"], user: None, privileged: false, working_dir: None, environment: {"B": "2"} }
      pre_stop limit 500ms
      stop_grace 5s
    network default
    "#);
}

#[test]
fn hooks_that_cannot_run_are_errors() {
    insta::assert_snapshot!(show_service("image: i
post_start:
  - { user: root }
  - { command: [], shell: sh }
  -
  - touch
pre_stop: { command: [flush] }
x-envrun: { stop_grace: 0s, pre_stop: 3m }"), @r#"
      × an entry of `post_start` has no `command`
       ╭─[compose.yaml:5:9]
     4 │     post_start:
     5 │       - { user: root }
       ·         ──────────────
     6 │       - { command: [], shell: sh }
       ╰────

      × a hook of `post_start` has no command
       ╭─[compose.yaml:6:9]
     5 │       - { user: root }
     6 │       - { command: [], shell: sh }
       ·         ──────────────────────────
     7 │       -
       ╰────
      help: write `command: ["sh", "-c", "…"]`

      × unknown key `shell` of an entry of `post_start`
       ╭─[compose.yaml:6:24]
     5 │       - { user: root }
     6 │       - { command: [], shell: sh }
       ·                        ─────
     7 │       -
       ╰────

      × an entry of `post_start` must be a mapping, found nothing
       ╭─[compose.yaml:7:8]
     6 │       - { command: [], shell: sh }
     7 │       -
       ·        ▲
     8 │       - touch
       ╰────

      × an entry of `post_start` must be a mapping, found the text `touch`
       ╭─[compose.yaml:8:9]
     7 │       -
     8 │       - touch
       ·         ─────
     9 │     pre_stop: { command: [flush] }
       ╰────

      × `pre_stop` must be a list, found a mapping
        ╭─[compose.yaml:9:15]
      8 │       - touch
      9 │     pre_stop: { command: [flush] }
        ·               ────────────────────
     10 │     x-envrun: { stop_grace: 0s, pre_stop: 3m }
        ╰────

      × `stop_grace` must be longer than nothing and at most 100s
        ╭─[compose.yaml:10:29]
      9 │     pre_stop: { command: [flush] }
     10 │     x-envrun: { stop_grace: 0s, pre_stop: 3m }
        ·                             ──
        ╰────
      help: leave it out for the default

      × `pre_stop` must be longer than nothing and at most 100s
        ╭─[compose.yaml:10:43]
      9 │     pre_stop: { command: [flush] }
     10 │     x-envrun: { stop_grace: 0s, pre_stop: 3m }
        ·                                           ──
        ╰────
      help: leave it out for the default

    8 errors
    "#);
}

#[test]
fn a_grace_period_does_not_slow_down_teardown() {
    insta::assert_snapshot!(show_service("image: i\nstop_grace_period: 30s"), @"
    project demo in /PARENT/demo
    service web
      image i
      on default
      option stop_timeout: Some(30)
    network default

      ⚠ `stop_grace_period` of a service has no effect
       ╭─[compose.yaml:4:5]
     4 │     stop_grace_period: 30s
       ·     ─────────────────
       ╰────
      help: teardown kills at once; `x-envrun.stop_grace` asks for a graceful stop

    1 warning
    ");
}

#[test]
fn what_is_not_required_may_be_disabled() {
    insta::assert_snapshot!(show("
services:
  web: { image: i, depends_on: { cache: { condition: service_started, required: false, restart: true } } }
  cache: { image: i, profiles: [never] }
"), @"
    project demo in /PARENT/demo
    service web
      image i
      on default
    network default

      ⚠ service `web` starts without `cache`, which no active profile enables
       ╭─[compose.yaml:3:34]
     3 │   web: { image: i, depends_on: { cache: { condition: service_started, required: false, restart: true } } }
       ·                                  ─────
       ╰────

      ⚠ `restart` of a dependency has no effect
       ╭─[compose.yaml:3:97]
     3 │   web: { image: i, depends_on: { cache: { condition: service_started, required: false, restart: true } } }
       ·                                                                                                 ────
       ╰────
      help: it is about restarts by hand, and nobody makes any in a run

    2 warnings
    ");
}

#[test]
fn containers_before_the_start_are_read() {
    insta::assert_snapshot!(show_service("image: i
pre_start:
  - command: [sh, -c, 'chown -R 999 /data']
    user: root
  - image: migrate
    privileged: true
    working_dir: /srv
    environment: { A: 1 }
    per_replica: true"), @r#"
    project demo in /PARENT/demo
    service web
      image i
      on default
      pre_start PreStart { image: None, command: Some(["sh", "-c", "chown -R 999 /data"]), user: Some("root"), privileged: false, working_dir: None, environment: {}, per_replica: false }
      pre_start PreStart { image: Some("migrate"), command: None, user: None, privileged: true, working_dir: Some("/srv"), environment: {"A": "1"}, per_replica: true }
    network default
    "#);
    insta::assert_snapshot!(show_service("image: i\npre_start: [{ restart: always }]"), @"
      × unknown key `restart` of an entry of `pre_start`
       ╭─[compose.yaml:4:19]
     3 │     image: i
     4 │     pre_start: [{ restart: always }]
       ·                   ───────
       ╰────

    1 error
    ");
}

#[test]
fn the_faults_of_a_suite_are_all_or_named_or_none() {
    use crate::config::model::SuiteFaults;
    let faults = |text: &str| {
        let file = format!(
            "services: {{ web: {{ image: i, x-envrun: {{ suite: {{ faults: {text} }} }} }} }}"
        );
        let project = Case::new(&[("compose.yaml", &file)])
            .load()
            .unwrap()
            .project;
        let service = project.services.values().next();
        let suite = service.and_then(|service| service.suite.clone());
        match suite.and_then(|suite| suite.faults) {
            None => "none".to_owned(),
            Some(SuiteFaults::Any) => "any".to_owned(),
            Some(SuiteFaults::Only(kinds)) => {
                let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                names.join(" ")
            }
        }
    };
    for (text, expected) in [
        ("true", "any"),
        ("false", "none"),
        ("null", "none"),
        ("[]", "none"),
        ("kill", "kill"),
        ("[partition, kill, kill]", "kill partition"),
    ] {
        assert_eq!(faults(text), expected, "{text}");
    }
    insta::assert_snapshot!(show_service(
        "image: i\nx-envrun: { suite: { faults: [partiton, explode] } }"
    ));
    insta::assert_snapshot!(show_service(
        "image: i\nx-envrun: { suite: { faults: { kill: true } } }"
    ));
}

#[test]
fn the_environment_of_a_suite_is_shared_or_its_own() {
    let read = |text: &str| {
        let file = format!(
            "services: {{ web: {{ image: i, x-envrun: {{ suite: {{ isolation: {text} }} }} }} }}"
        );
        let project = Case::new(&[("compose.yaml", &file)])
            .load()
            .unwrap()
            .project;
        project.services["web"].suite.clone().unwrap().isolation
    };
    assert_eq!(read("own"), Isolation::Own);
    for shared in ["shared", "'shared'", "", "null"] {
        assert_eq!(read(shared), Isolation::Shared, "{shared}");
    }
    insta::assert_snapshot!(show_service(
        "image: i\nx-envrun: { suite: { isolation: owm } }"
    ));
    insta::assert_snapshot!(show_service(
        "image: i\nx-envrun: { suite: { isolation: true } }"
    ));
    insta::assert_snapshot!(show_service(
        "image: i\nx-envrun: { suite: { isolation: [own] } }"
    ));
}
