//! One refusal for each key that reaches out of a container: what its author reads.

use super::judged;

/// The refusals of one service's lines, each with its place, and the line under the caret.
fn refused(lines: &str) -> String {
    let lines: String = lines
        .lines()
        .flat_map(|line| ["    ", line, "\n"])
        .collect();
    judged(&format!("services:\n  web:\n    image: i\n{lines}"))
}

#[test]
fn a_refusal_has_the_key_its_line_and_a_caret() {
    insta::assert_snapshot!(refused("privileged: true"), @"
      × `services.web.privileged` is refused to strangers' code: it gives all rights on the
      │ host
       ╭─[compose.yaml:4:5]
     3 │     image: i
     4 │     privileged: true
       ·     ──────────
       ╰────

    1 error
    ");
}

#[test]
fn all_refusals_come_together() {
    insta::assert_snapshot!(short(&refused("
privileged: true
cap_add: [SYS_ADMIN]
network_mode: host
pid: host
ipc: host
uts: host
userns_mode: host
cgroup: host
devices: [/dev/fuse]
device_cgroup_rules: ['c 1:3 r']
gpus: all
deploy:
  resources: { reservations: { devices: [{ capabilities: [gpu] }] } }
runtime: kata
cgroup_parent: /x
security_opt: [seccomp=unconfined, 'apparmor:unconfined', 'label:disable', systempaths=unconfined, 'seccomp:./profile.json', 'no-new-privileges:false', 'no-new-privileges:true']
oom_kill_disable: true
oom_score_adj: -5
use_api_socket: true
logging: { driver: syslog, options: { syslog-address: 'tcp://192.0.2.1', max-size: 1m } }
credential_spec: { file: c.json }
volumes_from: ['container:other']
external_links: [other]
sysctls: { kernel.core_pattern: x, net.core.somaxconn: 1, 'net./../kernel/x': 1 }
provider: { type: x }
annotations: { a: b }
storage_opt: { dm.x: y, size: 1g }
ulimits: { rtprio: 99, nofile: 10 }
blkio_config: { weight: 10 }
cpu_rt_runtime: 1
models: [m]
labels: { dev.envrun.run: x, other: y }
ports: ['0.0.0.0:80:80', '127.0.0.1:81:81', '82:82', '192.0.2.1:83:83']
x-envrun: { stop_grace: 10h, pre_stop: 61s }
isolation: hyperv
post_start: [{ command: x, privileged: true }]
pre_stop: [{ command: x, privileged: true }]
pre_start: [{ command: x, privileged: true }]
")), @"
    × `services.web.privileged` is refused to strangers' code: it gives all rights on the
    × `services.web.cap_add` is refused to strangers' code: it gives rights that a
    × `services.web.network_mode` is refused to strangers' code: the network belongs to
    × `services.web.pid` is refused to strangers' code: the namespace belongs to the host,
    × `services.web.ipc` is refused to strangers' code: the namespace belongs to the host,
    × `services.web.uts` is refused to strangers' code: the name of the host belongs to
    × `services.web.userns_mode` is refused to strangers' code: it gives the identities of
    × `services.web.cgroup` is refused to strangers' code: the namespace belongs to the
    × `services.web.devices` is refused to strangers' code: it opens devices of the host
    × `services.web.device_cgroup_rules` is refused to strangers' code: it opens devices
    × `services.web.gpus` is refused to strangers' code: it opens devices of the host
    × `services.web.deploy.resources.reservations.devices` is refused to strangers' code:
    × `services.web.runtime` is refused to strangers' code: it chooses a program of the
    × `services.web.cgroup_parent` is refused to strangers' code: limits are those of the
    × `services.web.security_opt` is refused to strangers' code: `seccomp=unconfined` may
    × `services.web.security_opt` is refused to strangers' code: `apparmor:unconfined` may
    × `services.web.security_opt` is refused to strangers' code: `label:disable` may take
    × `services.web.security_opt` is refused to strangers' code: `systempaths=unconfined`
    × `services.web.security_opt` is refused to strangers' code: `seccomp:./profile.json`
    × `services.web.security_opt` is refused to strangers' code: `no-new-privileges:false`
    × `services.web.oom_kill_disable` is refused to strangers' code: a host without memory
    × `services.web.oom_score_adj` is refused to strangers' code: a host without memory
    × `services.web.use_api_socket` is refused to strangers' code: it gives all rights on
    × `services.web.logging.driver` is refused to strangers' code: the engine would send
    × `services.web.logging.options` is refused to strangers' code: `syslog-address` may
    × `services.web.credential_spec` is refused to strangers' code: it gives away an
    × `services.web.volumes_from` is refused to strangers' code: `container:other` belongs
    × `services.web.external_links` is refused to strangers' code: the container belongs
    × `services.web.sysctls` is refused to strangers' code: `kernel.core_pattern` is one
    × `services.web.sysctls` is refused to strangers' code: `net./../kernel/x` is one for
    × `services.web.provider` is refused to strangers' code: it runs a program of the host
    × `services.web.annotations` is refused to strangers' code: they steer the runtime of
    × `services.web.storage_opt` is refused to strangers' code: `dm.x` steers the storage
    × `services.web.ulimits` is refused to strangers' code: `rtprio` takes from other
    × `services.web.blkio_config` is refused to strangers' code: it names devices of the
    × `services.web.cpu_rt_runtime` is refused to strangers' code: it takes precedence
    × `services.web.models` is refused to strangers' code: models run on the engine's host
    × service `web` uses the model `m`, which does not exist
    × `services.web.labels` is refused to strangers' code: `dev.envrun.run` is a label by
    × `services.web.ports[0].host_ip` is refused to strangers' code: `0.0.0.0` can be
    × `services.web.ports[3].host_ip` is refused to strangers' code: `192.0.2.1` can be
    × `services.web.x-envrun.stop_grace` is refused to strangers' code: teardown waits for
    × `services.web.x-envrun.pre_stop` is refused to strangers' code: teardown waits for
    × `services.web.isolation` is refused to strangers' code: limits hold only under the
    × `services.web.post_start[0].privileged` is refused to strangers' code: it gives all
    × `services.web.pre_stop[0].privileged` is refused to strangers' code: it gives all
    × `services.web.pre_start[0].privileged` is refused to strangers' code: it gives all
    47 errors
    ");
}

/// Only the lines of the messages.
fn short(text: &str) -> String {
    text.lines()
        .filter(|line| {
            line.trim_start().starts_with(['×', '⚠'])
                || line.starts_with("    │")
                || line.ends_with("errors")
        })
        .flat_map(|line| [line.trim(), "\n"])
        .collect()
}

#[test]
fn values_that_ask_for_nothing_pass() {
    let text = refused(
        "
privileged: false
cap_add: []
cap_drop: [ALL]
pid: 'service:other'
ipc: shareable
cgroup: private
devices: []
security_opt: ['no-new-privileges:true', 'seccomp=builtin']
oom_kill_disable: false
oom_score_adj: 100
use_api_socket: false
logging: { driver: local, options: { max-size: 1m } }
sysctls: [net.core.somaxconn=10]
ulimits: { nofile: { soft: 1, hard: 2 } }
x-envrun: { stop_grace: 60s, ready: { tcp: 80 } }
volumes_from: [other]
ports: ['[::1]:80:80']
",
    );
    let text = text.replace("service web", "");
    assert!(!text.contains('×') || text.contains("`other`"), "{text}");
    assert!(!text.contains("strangers' code: "), "{text}");
}

#[test]
fn networks_volumes_secrets_and_configs_are_judged() {
    insta::assert_snapshot!(short(&judged("
services:
  web:
    image: i
    networks: { mine: { driver_opts: { a: b } } }
    network_mode: bridge
  other: { image: i, network_mode: some_network }
  third: { image: i, network_mode: 'container:x', pid: 'container:x', ipc: 'container:x' }
networks:
  mine: { external: true }
  lan: { driver: macvlan, driver_opts: { parent: eth0 } }
  named: { driver_opts: { com.docker.network.bridge.name: docker0, com.docker.network.driver.mtu: 1400, com.docker.network.bridge.host_binding_ipv4: 0.0.0.0 } }
  fixed: { ipam: { driver: x, options: { a: b }, config: [{ subnet: 140.82.112.0/20 }] } }
volumes:
  theirs: { external: true }
  root: { driver_opts: { type: none, device: /, o: 'rw,bind' } }
  nfs: { driver: local, driver_opts: { type: nfs, o: 'addr=192.0.2.1', device: ':/x' } }
  plugin: { driver: rexray }
  plain: { driver: local, labels: [dev.envrun.run=x] }
secrets:
  a: { external: true }
  b: { driver: x, template_driver: y, file: ./b }
configs:
  a: { external: true }
models: { m: { model: x } }
")), @"
    × `services.web.networks.mine.driver_opts` is refused to strangers' code: options of a
    × `services.web.network_mode` is refused to strangers' code: the network belongs to
    × `network_mode` and `networks` exclude each other
    × `services.other.network_mode` is refused to strangers' code: the network belongs to
    × `services.third.network_mode` is refused to strangers' code: the network belongs to
    × `services.third.pid` is refused to strangers' code: the namespace belongs to the
    × `services.third.ipc` is refused to strangers' code: the namespace belongs to the
    × `networks.mine.external` is refused to strangers' code: it belongs to others on this
    × `networks.lan.driver` is refused to strangers' code: its networks are not those of a
    × `networks.lan.driver_opts` is refused to strangers' code: `parent` reaches into the
    × `networks.named.driver_opts` is refused to strangers' code:
    × `networks.named.driver_opts` is refused to strangers' code:
    × `networks.fixed.ipam.driver` is refused to strangers' code: it is a plugin of the
    × `networks.fixed.ipam.options` is refused to strangers' code: options of a driver
    × `networks.fixed.ipam.config` is refused to strangers' code: the host would send what
    × `volumes.theirs.external` is refused to strangers' code: it belongs to others on
    × `volumes.root.driver_opts` is refused to strangers' code: the engine mounts what
    × `volumes.nfs.driver_opts` is refused to strangers' code: the engine mounts what they
    × `volumes.plugin.driver` is refused to strangers' code: it is a plugin of the host
    × `volumes.plain.labels` is refused to strangers' code: `dev.envrun.run` is a label by
    × `secrets.a.external` is refused to strangers' code: it belongs to others on this
    × `secrets.b.driver` is refused to strangers' code: it belongs to others on this
    × `secrets.b.template_driver` is refused to strangers' code: it belongs to others on
    × `configs.a.external` is refused to strangers' code: it belongs to others on this
    × `models` is refused to strangers' code: models run on the engine's host itself
    25 errors
    ");
}

#[test]
fn builds_are_judged() {
    insta::assert_snapshot!(short(&judged(r#"
services:
  a: { build: { context: 'https://example.com/x.git' } }
  b: { build: { context: 'git@example.com:x.git' } }
  c: { build: { context: .., dockerfile: /etc/passwd } }
  d: { build: { context: ., dockerfile: ../../Dockerfile } }
  e: { build: { context: ., ssh: [default], privileged: true, entitlements: [network.host], network: host } }
  f: { build: { context: ., additional_contexts: { a: /etc, b: 'https://x', c: 'docker-image://x', d: 'service:a', e: 'oci-layout:///x', f: ./fine } } }
  g: { build: { context: ., isolation: process, ulimits: { nice: 1 }, labels: { Dev.Envrun.run: x } } }
  h: { build: { dockerfile_inline: FROM scratch, network: mine } }
  i: { build: { dockerfile_inline: '# syntax=evil', network: none, secrets: [s] } }
  j: { build: '~/x' }
  k: { build: { dockerfile_inline: "FROM x\nRUN --mount=type=cache,target=/c x", args: [http_proxy=x, FINE=y], cache_from: [x] } }
  l: { build: { dockerfile_inline: FROM x, args: { BUILDKIT_SYNTAX: evil, HTTPS_PROXY: x } } }
secrets: { s: { file: /etc/passwd } }
"#)), @"
    × `services.a.build.context` is refused to strangers' code: `https://example.com/
    × `services.b.build.context` is refused to strangers' code: `git@example.com:x.git`:
    × `services.c.build.context` is refused to strangers' code: `/PARENT`: it
    × `services.d.build.dockerfile` is refused to strangers' code: `../../Dockerfile`: it
    × `services.e.build.ssh` is refused to strangers' code: it gives away the keys of the
    × `services.e.build.privileged` is refused to strangers' code: it gives all rights on
    × `services.e.build.entitlements` is refused to strangers' code: they give rights that
    × `services.e.build.network` is refused to strangers' code: the network belongs to the
    × `services.f.build.additional_contexts` is refused to strangers' code: `/etc`: it
    × `services.f.build.additional_contexts` is refused to strangers' code: `https://x`:
    × `services.f.build.additional_contexts` is refused to strangers' code: `oci-
    × `services.g.build.isolation` is refused to strangers' code: limits hold only under
    × `services.g.build.ulimits` is refused to strangers' code: `nice` takes from other
    × `services.g.build.labels` is refused to strangers' code: `Dev.Envrun.run` is a label
    × `services.h.build.network` is refused to strangers' code: the network belongs to the
    × `services.i.build.dockerfile_inline` is refused to strangers' code: the Dockerfile
    × `services.i.build.secrets` is refused to strangers' code: what is made of them stays
    × `services.j.build.context` is refused to strangers' code: `/home/me/x`: it leads out
    × `services.k.build.dockerfile_inline` is refused to strangers' code: the Dockerfile
    × `services.k.build.args` is refused to strangers' code: `HTTP_PROXY` changes what the
    × `services.k.build.cache_from` is refused to strangers' code: what it names would get
    × `services.l.build.args` is refused to strangers' code: `BUILDKIT_SYNTAX` changes
    × `services.l.build.args` is refused to strangers' code: `HTTPS_PROXY` changes what
    × `secrets.s.file` is refused to strangers' code: `/etc/passwd`: it leads out of the
    24 errors
    ");
}

#[test]
fn a_file_that_asks_for_nothing_is_left_as_it_is() {
    insta::assert_snapshot!(judged("
services:
  db:
    image: postgres:15
    environment: { POSTGRES_PASSWORD: x }
    healthcheck: { test: [CMD, pg_isready], interval: 1s }
    tmpfs: /tmp
    volumes: ['data:/var/lib/postgresql', './seed.sql:/seed.sql:ro']
    ports: ['5432:5432']
  tests:
    build: { context: ., dockerfile_inline: FROM scratch }
    depends_on: { db: { condition: service_healthy } }
    configs: [c]
    secrets: [s]
    networks: [default, back]
    x-envrun: { suite: { junit: 'r/*.xml', timeout: 5m }, bind: copy }
networks: { back: { internal: true } }
volumes: { data: }
configs: { c: { content: x } }
secrets: { s: { file: ./compose.yaml } }
x-envrun: { timeout: 30m }
"), @r#"
    project demo in /PARENT/demo
    service db
      image postgres:15
      env POSTGRES_PASSWORD=x
      on default
      mount volume data at /var/lib/postgresql
      mount /PARENT/demo/seed.sql (created) at /seed.sql read-only
      healthcheck Check { test: Some(["CMD", "pg_isready"]), interval: Some(1s), timeout: None, retries: None, start_period: None, start_interval: None }
      port 5432/tcp from 127.0.0.1 5432
      option tmpfs: {"/tmp": ""}
    suite tests
      build Build { context: "/PARENT/demo", dockerfile: Inline("FROM scratch"), args: {}, target: None }
      on back
      on default
      file secret `s` at /run/secrets/s
      file config `c` at /c
      after db Healthy required=true
      suite junit ["r/*.xml"] timeout Some(300s)
    network back { driver: None, driver_opts: {}, attachable: false, internal: true, enable_ipv4: None, enable_ipv6: None, ipam: Ipam { driver: None, options: {}, pools: [] }, labels: {}, external: None }
    network default
    volume data
    timeout 1800s
    "#);
}
