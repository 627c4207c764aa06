//! Options of a container that go to the engine as they are, and what may be wrong with them.

use super::{Case, show_service};

#[test]
fn options_that_nothing_interprets() {
    insta::assert_snapshot!(show_service(
        r#"
image: i
annotations: { com.example.note: 5 }
cap_add: [net_admin, CAP_SYS_TIME, NET_ADMIN]
cgroup: private
dns: 8.8.8.8
dns_opt: [use-vc]
dns_search: [example.com, example.com]
domainname: example.com
extra_hosts: ["h=1.1.1.1", "h=1.1.1.2", "gw:host-gateway"]
group_add: [mail, 1000]
isolation: default
logging: { driver: json-file, options: { max-file: 3, max-size: 1m } }
oom_score_adj: -500
runtime: runc
security_opt: ["no-new-privileges:true", no-new-privileges, label=disable, systempaths=unconfined]
stdin_open: true
stop_grace_period: 1m1s500ms
storage_opt: { size: 1G }
sysctls: { net.core.somaxconn: 1024 }
userns_mode: host
uts: host
"#
    ), @r#"
    project demo in /PARENT/demo
    service web
      image i
      on default
      option annotations: {"com.example.note": "5"}
      option cap_add: ["CAP_NET_ADMIN", "CAP_SYS_TIME"]
      option cgroup: Some("private")
      option dns: ["8.8.8.8"]
      option dns_opt: ["use-vc"]
      option dns_search: ["example.com"]
      option domainname: Some("example.com")
      option extra_hosts: ["h:1.1.1.1", "h:1.1.1.2", "gw:host-gateway"]
      option group_add: ["mail", "1000"]
      option isolation: Some("default")
      option logging: Some(Logging {driver: "json-file", options: {"max-file": "3", "max-size": "1m"}})
      option oom_score_adj: -500
      option runtime: Some("runc")
      option security_opt: ["no-new-privileges:true", "no-new-privileges", "label=disable"]
      option system_paths_unconfined: true
      option stdin_open: true
      option stop_timeout: Some(61)
      option storage_opt: {"size": "1G"}
      option sysctls: {"net.core.somaxconn": "1024"}
      option userns_mode: Some("host")
      option uts: Some("host")
    network default

      ⚠ `stop_grace_period` of a service has no effect
        ╭─[compose.yaml:20:5]
     20 │     stop_grace_period: 1m1s500ms
        ·     ─────────────────
        ╰────
      help: teardown kills at once; `x-envrun.stop_grace` asks for a graceful stop

    1 warning
    "#);
}

#[test]
fn resources_in_the_older_and_the_newer_spelling() {
    insta::assert_snapshot!(show_service(
        r#"
image: i
blkio_config:
  weight: 300
  weight_device: [{ path: /dev/sda, weight: 400 }]
  device_read_bps: [{ path: /dev/sda, rate: 12mb }]
  device_read_iops: [{ path: /dev/sda, rate: 120 }]
  device_write_bps: [{ path: /dev/sdb, rate: "1024" }]
  device_write_iops: [{ path: /dev/sdb, rate: 30 }]
cgroup_parent: m-parent
cpu_count: 2
cpu_percent: 50
cpu_period: 100000
cpu_quota: "50000"
cpu_rt_period: 1400
cpu_rt_runtime: 400
cpu_shares: 73
cpus: 0.1
cpuset: 0,1
deploy:
  resources:
    limits: { cpus: "0.1", memory: 50M, pids: 100 }
    reservations:
      memory: 20M
      devices: [{ capabilities: [gpu, tpu], driver: nvidia, count: all, options: { a: b } }]
device_cgroup_rules: ["c 1:3 mr"]
devices:
  - { source: /dev/null, target: /dev/nothing, permissions: r }
  - "vendor.com/gpu=all"
  - /dev/fuse
gpus: [{ device_ids: [a, b] }]
mem_limit: 52428800
mem_swappiness: 10
memswap_limit: -1
oom_kill_disable: true
ulimits: { nproc: 65535, nofile: { soft: 200, hard: 400 }, core: -1 }
"#
    ), @r#"
    project demo in /PARENT/demo
    service web
      image i
      on default
      option blkio: Blkio {weight: 300, weight_device: [("/dev/sda", 400)], read_bps: [("/dev/sda", 12582912)], read_iops: [("/dev/sda", 120)], write_bps: [("/dev/sdb", 1024)], write_iops: [("/dev/sdb", 30)]}
      option cgroup_parent: Some("m-parent")
      option cpu_count: 2
      option cpu_percent: 5000
      option cpu_period: 100000
      option cpu_quota: 50000
      option cpu_rt_period: 1400
      option cpu_rt_runtime: 400
      option cpu_shares: 73
      option cpuset: Some("0,1")
      option device_cgroup_rules: ["c 1:3 mr"]
      option device_requests: [DeviceRequest {driver: "nvidia", count: -1, ids: [], capabilities: Some(["gpu", "tpu"]), options: {"a": "b"}}, DeviceRequest {driver: "cdi", count: 0, ids: ["vendor.com/gpu=all"], capabilities: None, options: {}}, DeviceRequest {driver: "", count: 0, ids: ["a", "b"], capabilities: Some(["gpu"]), options: {}}]
      option devices: [Device {source: "/dev/null", target: "/dev/nothing", permissions: "r"}, Device {source: "/dev/fuse", target: "/dev/fuse", permissions: "rwm"}]
      option memory: 52428800
      option memory_reservation: 20971520
      option memory_swap: -1
      option memory_swappiness: Some(10)
      option nano_cpus: 100000000
      option oom_kill_disable: true
      option pids_limit: Some(100)
      option ulimits: [Ulimit {name: "core", soft: -1, hard: -1}, Ulimit {name: "nofile", soft: 200, hard: 400}, Ulimit {name: "nproc", soft: 65535, hard: 65535}]
    network default
    "#);
}

#[test]
fn a_seccomp_profile_is_taken_by_its_content() {
    let files = [
        (
            "compose.yaml",
            "services: { web: { image: i, security_opt: ['seccomp=./p.json', 'seccomp:unconfined'] } }",
        ),
        ("p.json", "{\n  \"a b\\\" c\": [ 1, \"x y\" ]\n}\n"),
    ];
    insta::assert_snapshot!(Case::new(&files).show(), @r#"
    project demo in /PARENT/demo
    service web
      image i
      on default
      option security_opt: ["seccomp={\"a b\\\" c\":[1,\"x y\"]}", "seccomp:unconfined"]
    network default
    "#);
}

#[test]
fn wrong_options_are_errors_with_their_lines() {
    insta::assert_snapshot!(show_service(
        r#"
image: i
cgroup: shared
uts: "service:db"
oom_score_adj: 2000
cpus: fast
pids_limit: many
memswap_limit: -2
mem_limit: 1g
deploy: { mode: global, resources: { limits: { memory: 2g } } }
security_opt: [nothing, "seccomp=./missing.json"]
devices: ["a:b:c:d", { target: /dev/x }]
ulimits: { nofile: lots }
blkio_config: { weight: 5000, device_read_bps: [{ rate: 5 }] }
gpus: none
"#
    ), @r#"
      ⚠ `mode` of `deploy` has no effect
        ╭─[compose.yaml:12:15]
     12 │     deploy: { mode: global, resources: { limits: { memory: 2g } } }
        ·               ────
        ╰────
      help: only Swarm does this

      × `cgroup` must be one of `host`, `private`, found the text `shared`
       ╭─[compose.yaml:5:13]
     4 │     image: i
     5 │     cgroup: shared
       ·             ──────
     6 │     uts: "service:db"
       ╰────

      × service `web` depends on `db`, which does not exist
       ╭─[compose.yaml:6:10]
     5 │     cgroup: shared
     6 │     uts: "service:db"
       ·          ────────────
     7 │     oom_score_adj: 2000
       ╰────
      help: a dependency is the name of a service of this project

      × `uts` cannot be `service:db`
       ╭─[compose.yaml:6:10]
     5 │     cgroup: shared
     6 │     uts: "service:db"
       ·          ────────────
     7 │     oom_score_adj: 2000
       ╰────
      help: it can only be `host`

      × `oom_score_adj` must be at most 1000, found the number `2000`
       ╭─[compose.yaml:7:20]
     6 │     uts: "service:db"
     7 │     oom_score_adj: 2000
       ·                    ────
     8 │     cpus: fast
       ╰────

      × `cpus` must be a number, found the text `fast`
       ╭─[compose.yaml:8:11]
     7 │     oom_score_adj: 2000
     8 │     cpus: fast
       ·           ────
     9 │     pids_limit: many
       ╰────

      × `pids_limit` must be a whole number, found the text `many`
        ╭─[compose.yaml:9:17]
      8 │     cpus: fast
      9 │     pids_limit: many
        ·                 ────
     10 │     memswap_limit: -2
        ╰────

      × `memswap_limit` is not a size: `-2`
        ╭─[compose.yaml:10:20]
      9 │     pids_limit: many
     10 │     memswap_limit: -2
        ·                    ──
     11 │     mem_limit: 1g
        ╰────
      help: write a size such as `64m`, `1.5gb` or `1024`

      × `mem_limit` and `deploy.resources.limits.memory` differ
        ╭─[compose.yaml:11:16]
     10 │     memswap_limit: -2
     11 │     mem_limit: 1g
        ·                ──
     12 │     deploy: { mode: global, resources: { limits: { memory: 2g } } }
        ·                                                            ──
     13 │     security_opt: [nothing, "seccomp=./missing.json"]
        ╰────

      × `nothing` is not `option=value`
        ╭─[compose.yaml:13:20]
     12 │     deploy: { mode: global, resources: { limits: { memory: 2g } } }
     13 │     security_opt: [nothing, "seccomp=./missing.json"]
        ·                    ───────
     14 │     devices: ["a:b:c:d", { target: /dev/x }]
        ╰────

      × cannot use the seccomp profile `/PARENT/demo/missing.json`: there is no such
      │ file
        ╭─[compose.yaml:13:29]
     12 │     deploy: { mode: global, resources: { limits: { memory: 2g } } }
     13 │     security_opt: [nothing, "seccomp=./missing.json"]
        ·                             ────────────────────────
     14 │     devices: ["a:b:c:d", { target: /dev/x }]
        ╰────

      × `a:b:c:d` is not a device
        ╭─[compose.yaml:14:15]
     13 │     security_opt: [nothing, "seccomp=./missing.json"]
     14 │     devices: ["a:b:c:d", { target: /dev/x }]
        ·               ─────────
     15 │     ulimits: { nofile: lots }
        ╰────
      help: write `SOURCE:TARGET:PERMISSIONS`, or the long form with `source` and `target`

      × `devices` must be a mapping, found the text `a:b:c:d`
        ╭─[compose.yaml:14:15]
     13 │     security_opt: [nothing, "seccomp=./missing.json"]
     14 │     devices: ["a:b:c:d", { target: /dev/x }]
        ·               ─────────
     15 │     ulimits: { nofile: lots }
        ╰────

      × an entry of `devices` has no `source`
        ╭─[compose.yaml:14:26]
     13 │     security_opt: [nothing, "seccomp=./missing.json"]
     14 │     devices: ["a:b:c:d", { target: /dev/x }]
        ·                          ──────────────────
     15 │     ulimits: { nofile: lots }
        ╰────

      × `nofile` must be a whole number, found the text `lots`
        ╭─[compose.yaml:15:24]
     14 │     devices: ["a:b:c:d", { target: /dev/x }]
     15 │     ulimits: { nofile: lots }
        ·                        ────
     16 │     blkio_config: { weight: 5000, device_read_bps: [{ rate: 5 }] }
        ╰────

      × `weight` must be a whole number from 0 to 1000, found the number `5000`
        ╭─[compose.yaml:16:29]
     15 │     ulimits: { nofile: lots }
     16 │     blkio_config: { weight: 5000, device_read_bps: [{ rate: 5 }] }
        ·                             ────
     17 │     gpus: none
        ╰────

      × a limit of `blkio_config` has no `path`
        ╭─[compose.yaml:16:53]
     15 │     ulimits: { nofile: lots }
     16 │     blkio_config: { weight: 5000, device_read_bps: [{ rate: 5 }] }
        ·                                                     ───────────
     17 │     gpus: none
        ╰────

      × `gpus` must be `all`, found the text `none`
        ╭─[compose.yaml:17:11]
     16 │     blkio_config: { weight: 5000, device_read_bps: [{ rate: 5 }] }
     17 │     gpus: none
        ·           ────
        ╰────

    17 errors, 1 warning
    "#);
}
