//! What services share, and how they hang on networks.

use super::{show, show_service};

#[test]
fn namespaces_volumes_and_links() {
    insta::assert_snapshot!(show(
        r#"
services:
  app:
    image: i
    network_mode: "service:proxy"
    ipc: "container:theirs"
    pid: host
    volumes_from: [store, "store:ro", "container:theirs:ro"]
  proxy: { image: i, network_mode: none, links: [store, "store:db"], external_links: [a, "b:c"] }
  store: { image: i, ipc: shareable, use_api_socket: true }
"#
    ), @r#"
    project demo in /PARENT/demo
    service app
      image i
      after proxy Started required=true
      after store Started required=true
      shares network_mode: Some(Service(ServiceName("proxy")))
      shares ipc: Some(Engine("container:theirs"))
      shares pid: Some(Engine("host"))
      shares volumes_from: [VolumesFrom {peer: Service(ServiceName("store")), read_only: false}, VolumesFrom {peer: Service(ServiceName("store")), read_only: true}, VolumesFrom {peer: Engine("theirs"), read_only: true}]
    service proxy
      image i
      after store Started required=true
      shares network_mode: Some(Engine("none"))
      shares links: [(ServiceName("store"), "store"), (ServiceName("store"), "db")]
      shares external_links: ["a:a", "b:c"]
    service store
      image i
      on default
      mount /var/run/docker.sock (created) at /var/run/docker.sock
      shares ipc: Some(Engine("shareable"))
    network default

      ⚠ `use_api_socket` mounts the socket without your credentials for registries
        ╭─[compose.yaml:10:38]
     10 │   store: { image: i, ipc: shareable, use_api_socket: true }
        ·                                      ──────────────
        ╰────

    1 warning
    "#);
}

#[test]
fn what_cannot_be_shared_is_an_error() {
    insta::assert_snapshot!(show(
        r#"
services:
  a: { image: i, network_mode: host, networks: [default], ports: [80] }
  b: { image: i, network_mode: "service:nobody" }
  c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
  d: { image: i, ipc: public, pid: "service:" }
  e: { image: i, volumes_from: ["a:rx"], network_mode: "service:e" }
  f: { image: i, pid: "service:g" }
  g: { image: i, volumes_from: [f] }
  h: { image: i, volumes_from: [absent], depends_on: { absent: { condition: service_started, required: false } } }
  absent: { image: i, profiles: [never] }
"#
    ), @r#"
      ⚠ `ports` has no effect with `network_mode: host`
       ╭─[compose.yaml:3:59]
     3 │   a: { image: i, network_mode: host, networks: [default], ports: [80] }
       ·                                                           ─────
       ╰────
      help: its ports are the host's own, and no two runs can have the same

      ⚠ service `h` starts without `absent`, which no active profile enables
        ╭─[compose.yaml:10:56]
     10 │   h: { image: i, volumes_from: [absent], depends_on: { absent: { condition: service_started, required: false } } }
        ·                                                        ──────
        ╰────

      × `network_mode` and `networks` exclude each other
       ╭─[compose.yaml:3:32]
     2 │ services:
     3 │   a: { image: i, network_mode: host, networks: [default], ports: [80] }
       ·                                ────             ───────
     4 │   b: { image: i, network_mode: "service:nobody" }
       ╰────

      × service `b` shares the network of `nobody`, which does not exist
       ╭─[compose.yaml:4:32]
     3 │   a: { image: i, network_mode: host, networks: [default], ports: [80] }
     4 │   b: { image: i, network_mode: "service:nobody" }
       ·                                ────────────────
     5 │   c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
       ╰────

      × service `b` depends on `nobody`, which does not exist
       ╭─[compose.yaml:4:32]
     3 │   a: { image: i, network_mode: host, networks: [default], ports: [80] }
     4 │   b: { image: i, network_mode: "service:nobody" }
       ·                                ────────────────
     5 │   c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
       ╰────
      help: a dependency is the name of a service of this project

      × `ports` cannot be said of a service that uses the network of another
       ╭─[compose.yaml:5:45]
     4 │   b: { image: i, network_mode: "service:nobody" }
     5 │   c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
       ·                                             ─────
     6 │   d: { image: i, ipc: public, pid: "service:" }
       ╰────
      help: say it of the other, whose network it is

      × `hostname` cannot be said of a service that uses the network of another
       ╭─[compose.yaml:5:58]
     4 │   b: { image: i, network_mode: "service:nobody" }
     5 │   c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
       ·                                                          ────────
     6 │   d: { image: i, ipc: public, pid: "service:" }
       ╰────
      help: say it of the other, whose network it is

      × `dns` cannot be said of a service that uses the network of another
       ╭─[compose.yaml:5:71]
     4 │   b: { image: i, network_mode: "service:nobody" }
     5 │   c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
       ·                                                                       ───
     6 │   d: { image: i, ipc: public, pid: "service:" }
       ╰────
      help: say it of the other, whose network it is

      × `ipc` cannot be `public`
       ╭─[compose.yaml:6:23]
     5 │   c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
     6 │   d: { image: i, ipc: public, pid: "service:" }
       ·                       ──────
     7 │   e: { image: i, volumes_from: ["a:rx"], network_mode: "service:e" }
       ╰────
      help: it is one of `host`, `none`, `private`, `shareable`, `service:NAME`,
            `container:NAME`

      × service `d` depends on ``, which does not exist
       ╭─[compose.yaml:6:36]
     5 │   c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
     6 │   d: { image: i, ipc: public, pid: "service:" }
       ·                                    ──────────
     7 │   e: { image: i, volumes_from: ["a:rx"], network_mode: "service:e" }
       ╰────
      help: did you mean `a`?

      × `pid` cannot be `service:`
       ╭─[compose.yaml:6:36]
     5 │   c: { image: i, network_mode: "service:a", ports: [80], hostname: c, dns: 192.0.2.1 }
     6 │   d: { image: i, ipc: public, pid: "service:" }
       ·                                    ──────────
     7 │   e: { image: i, volumes_from: ["a:rx"], network_mode: "service:e" }
       ╰────
      help: it is one of `host`, `service:NAME`, `container:NAME`

      × `a:rx` is not `service[:ro]`
       ╭─[compose.yaml:7:33]
     6 │   d: { image: i, ipc: public, pid: "service:" }
     7 │   e: { image: i, volumes_from: ["a:rx"], network_mode: "service:e" }
       ·                                 ──────
     8 │   f: { image: i, pid: "service:g" }
       ╰────
      help: write `service`, `service:ro` or `container:name`

      × service `e` depends on itself
       ╭─[compose.yaml:7:56]
     6 │   d: { image: i, ipc: public, pid: "service:" }
     7 │   e: { image: i, volumes_from: ["a:rx"], network_mode: "service:e" }
       ·                                                        ───────────
     8 │   f: { image: i, pid: "service:g" }
       ╰────

      × services wait for each other in a circle: `f → g → f`
        ╭─[compose.yaml:8:23]
      7 │   e: { image: i, volumes_from: ["a:rx"], network_mode: "service:e" }
      8 │   f: { image: i, pid: "service:g" }
        ·                       ─────┬─────
        ·                            ╰── `f` waits for `g`
      9 │   g: { image: i, volumes_from: [f] }
        ·                                 ┬
        ·                                 ╰── `g` waits for `f`
     10 │   h: { image: i, volumes_from: [absent], depends_on: { absent: { condition: service_started, required: false } } }
        ╰────
      help: none of them could ever start; take one dependency out

      × service `h` shares with `absent`, which does not run
        ╭─[compose.yaml:10:33]
      9 │   g: { image: i, volumes_from: [f] }
     10 │   h: { image: i, volumes_from: [absent], depends_on: { absent: { condition: service_started, required: false } } }
        ·                                 ──────
     11 │   absent: { image: i, profiles: [never] }
        ╰────
      help: activate its profile, or take this out

    13 errors, 2 warnings
    "#);
}

#[test]
fn mounts_with_all_their_details() {
    insta::assert_snapshot!(show(
        r#"
services:
  web:
    image: i
    volumes:
      - { type: bind, source: /a, target: /a, consistency: cached, bind: { propagation: rslave, recursive: readonly } }
      - { type: bind, source: /a, target: /b, bind: { create_host_path: true, selinux: Z } }
      - { type: bind, source: /a, target: /c, bind: { selinux: z } }
      - { type: bind, source: /a, target: /d, bind: { propagation: sideways, recursive: enabled } }
      - { type: volume, source: data, target: /e, volume: { nocopy: true, subpath: part, labels: { a: b } } }
      - { type: image, source: "other:1", target: /f, image: { subpath: etc } }
      - { type: image, target: /g }
      - { type: npipe, source: x, target: /h }
volumes: { data: }
"#
    ), @r#"
      ⚠ containers may write to `/a`, which runs side by side share
       ╭─[compose.yaml:6:9]
     6 │       - { type: bind, source: /a, target: /a, consistency: cached, bind: { propagation: rslave, recursive: readonly } }
       ·         ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
       ╰────
       ╭─[compose.yaml:7:9]
     7 │       - { type: bind, source: /a, target: /b, bind: { create_host_path: true, selinux: Z } }
       ·         ────────────────────────────────────────────────────────────────────────────────────
       ╰────
       ╭─[compose.yaml:8:9]
     8 │       - { type: bind, source: /a, target: /c, bind: { selinux: z } }
       ·         ────────────────────────────────────────────────────────────
       ╰────
       ╭─[compose.yaml:9:9]
     9 │       - { type: bind, source: /a, target: /d, bind: { propagation: sideways, recursive: enabled } }
       ·         ───────────────────────────────────────────────────────────────────────────────────────────
       ╰────
      help: what they create there has the container's owner; `:ro` forbids it, and `x-
            envrun: { bind: copy }` gives each run a copy of its own

      ⚠ `selinux` has no effect on this mount
       ╭─[compose.yaml:8:55]
     8 │       - { type: bind, source: /a, target: /c, bind: { selinux: z } }
       ·                                                       ───────
       ╰────
      help: the engine takes it only with `create_host_path: true`, and without
            `propagation` and `recursive`

      × `propagation` cannot be `sideways`
        ╭─[compose.yaml:9:68]
      8 │       - { type: bind, source: /a, target: /c, bind: { selinux: z } }
      9 │       - { type: bind, source: /a, target: /d, bind: { propagation: sideways, recursive: enabled } }
        ·                                                                    ────────
     10 │       - { type: volume, source: data, target: /e, volume: { nocopy: true, subpath: part, labels: { a: b } } }
        ╰────
      help: it is one of `private`, `rprivate`, `shared`, `rshared`, `slave`, `rslave`

      × a mount of type `image` has no `source`
        ╭─[compose.yaml:12:9]
     11 │       - { type: image, source: "other:1", target: /f, image: { subpath: etc } }
     12 │       - { type: image, target: /g }
        ·         ───────────────────────────
     13 │       - { type: npipe, source: x, target: /h }
        ╰────

      × mounts of type `npipe` are not supported
        ╭─[compose.yaml:13:17]
     12 │       - { type: image, target: /g }
     13 │       - { type: npipe, source: x, target: /h }
        ·                 ─────
     14 │ volumes: { data: }
        ╰────
      help: named pipes are of Windows, cluster volumes of Swarm

    3 errors, 2 warnings
    "#);
}

#[test]
fn mounts_without_a_mistake_keep_their_details() {
    insta::assert_snapshot!(show_service(
        r#"
image: i
volumes:
  - { type: bind, source: /a, target: /a, consistency: cached, bind: { propagation: rslave, recursive: readonly } }
  - { type: bind, source: /a, target: /b, bind: { create_host_path: true, selinux: Z } }
  - { type: volume, target: /e, volume: { nocopy: true, subpath: part, labels: { a: b } } }
  - { type: image, source: "other:1", target: /f, image: { subpath: etc } }
"#
    ), @r#"
    project demo in /PARENT/demo
    service web
      image i
      on default
      mount /a at /a, consistency: Some("cached"), propagation: Some("rslave"), recursive: Some(ReadOnly)
      mount /a (created) at /b, selinux: Some("Z")
      mount anonymous at /e, no_copy: true, labels: {"a": "b"}, subpath: Some("part")
      mount image other:1 at /f, subpath: Some("etc")
    network default

      ⚠ containers may write to `/a`, which runs side by side share
       ╭─[compose.yaml:6:9]
     6 │       - { type: bind, source: /a, target: /a, consistency: cached, bind: { propagation: rslave, recursive: readonly } }
       ·         ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
       ╰────
       ╭─[compose.yaml:7:9]
     7 │       - { type: bind, source: /a, target: /b, bind: { create_host_path: true, selinux: Z } }
       ·         ────────────────────────────────────────────────────────────────────────────────────
       ╰────
      help: what they create there has the container's owner; `:ro` forbids it, and `x-
            envrun: { bind: copy }` gives each run a copy of its own

    1 warning
    "#);
}

#[test]
fn networks_and_addresses() {
    insta::assert_snapshot!(show(
        r#"
services:
  web:
    image: i
    networks:
      back:
        aliases: [b]
        driver_opts: { x: 5 }
        gw_priority: 2
        interface_name: eth7
        ipv4_address: 10.9.0.5
        ipv6_address: "fd00::5"
        link_local_ips: [169.254.8.8]
        mac_address: 02:42:ac:11:00:02
        priority: 7
      theirs: { ipv4_address: 192.0.2.5 }
networks:
  back:
    attachable: true
    enable_ipv4: true
    enable_ipv6: true
    ipam:
      driver: default
      options: { a: b }
      config:
        - { subnet: 10.9.0.0/24, ip_range: 10.9.0.128/25, gateway: 10.9.0.254, aux_addresses: { printer: 10.9.0.9 } }
        - { subnet: "fd00::/64" }
  theirs: { external: true }
"#
    ), @r#"
    project demo in /PARENT/demo
    service web
      image i
      on back {"b"} driver_opts: {"x": "5"}, gw_priority: 2, interface_name: Some("eth7"), ipv4_address: Some(10.9.0.5), ipv6_address: Some(fd00::5), link_local_ips: [169.254.8.8], mac_address: Some("02:42:ac:11:00:02")
      on theirs ipv4_address: Some(192.0.2.5)
    network back { driver: None, driver_opts: {}, attachable: true, internal: false, enable_ipv4: Some(true), enable_ipv6: Some(true), ipam: Ipam { driver: Some("default"), options: {"a": "b"}, pools: [AddressPool { subnet: Cidr { address: 10.9.0.0, prefix: 24 }, ip_range: Some(Cidr { address: 10.9.0.128, prefix: 25 }), gateway: Some(10.9.0.254), aux_addresses: {"printer": 10.9.0.9} }, AddressPool { subnet: Cidr { address: fd00::, prefix: 64 }, ip_range: None, gateway: None, aux_addresses: {} }] }, labels: {}, external: None }
    network theirs { driver: None, driver_opts: {}, attachable: false, internal: false, enable_ipv4: None, enable_ipv6: None, ipam: Ipam { driver: None, options: {}, pools: [] }, labels: {}, external: Some("theirs") }
    "#);
}

#[test]
fn addresses_without_a_subnet_for_them_are_errors() {
    insta::assert_snapshot!(show(
        r#"
services:
  web:
    image: i
    networks:
      free: { ipv4_address: 10.9.0.5 }
      fixed: { ipv4_address: 10.8.0.5, ipv6_address: "fd00::5" }
      wrong: { ipv4_address: "fd00::5", priority: high }
networks:
  free:
  fixed: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } }
  wrong: { ipam: { config: [{ gateway: 10.9.0.1 }, { subnet: 10.9.0.0 }, { subnet: 10.9.0.0/33 }] } }
"#
    ), @r#"
      × `10.9.0.5` is asked for on `free`, which has no subnet of its own
       ╭─[compose.yaml:6:29]
     5 │     networks:
     6 │       free: { ipv4_address: 10.9.0.5 }
       ·                             ────────
     7 │       fixed: { ipv4_address: 10.8.0.5, ipv6_address: "fd00::5" }
       ╰────
      help: give `free` an `ipam: { config: [{ subnet: … }] }` that holds it

      × `10.8.0.5` is not in `10.9.0.0/24`, the subnet of `fixed`
       ╭─[compose.yaml:7:30]
     6 │       free: { ipv4_address: 10.9.0.5 }
     7 │       fixed: { ipv4_address: 10.8.0.5, ipv6_address: "fd00::5" }
       ·                              ────────
     8 │       wrong: { ipv4_address: "fd00::5", priority: high }
       ╰────
      help: give `fixed` an `ipam: { config: [{ subnet: … }] }` that holds it

      × `fd00::5` is asked for on `fixed`, which has no subnet of its own
       ╭─[compose.yaml:7:54]
     6 │       free: { ipv4_address: 10.9.0.5 }
     7 │       fixed: { ipv4_address: 10.8.0.5, ipv6_address: "fd00::5" }
       ·                                                      ─────────
     8 │       wrong: { ipv4_address: "fd00::5", priority: high }
       ╰────
      help: give `fixed` an `ipam: { config: [{ subnet: … }] }` that holds it

      × `ipv4_address` cannot be `fd00::5`
       ╭─[compose.yaml:8:30]
     7 │       fixed: { ipv4_address: 10.8.0.5, ipv6_address: "fd00::5" }
     8 │       wrong: { ipv4_address: "fd00::5", priority: high }
       ·                              ─────────
     9 │ networks:
       ╰────
      help: write an address of IPv4, such as `10.1.0.5`

      × `priority` must be a number, found the text `high`
       ╭─[compose.yaml:8:51]
     7 │       fixed: { ipv4_address: 10.8.0.5, ipv6_address: "fd00::5" }
     8 │       wrong: { ipv4_address: "fd00::5", priority: high }
       ·                                                   ────
     9 │ networks:
       ╰────

      × an entry of `ipam.config` has no `subnet`
        ╭─[compose.yaml:12:29]
     11 │   fixed: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } }
     12 │   wrong: { ipam: { config: [{ gateway: 10.9.0.1 }, { subnet: 10.9.0.0 }, { subnet: 10.9.0.0/33 }] } }
        ·                             ─────────────────────
        ╰────
      help: without it, the engine refuses the rest

      × `subnet` cannot be `10.9.0.0`
        ╭─[compose.yaml:12:62]
     11 │   fixed: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } }
     12 │   wrong: { ipam: { config: [{ gateway: 10.9.0.1 }, { subnet: 10.9.0.0 }, { subnet: 10.9.0.0/33 }] } }
        ·                                                              ────────
        ╰────
      help: write an address and the length of its prefix: `10.1.0.0/24`

      × `subnet` cannot be `10.9.0.0/33`
        ╭─[compose.yaml:12:84]
     11 │   fixed: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } }
     12 │   wrong: { ipam: { config: [{ gateway: 10.9.0.1 }, { subnet: 10.9.0.0 }, { subnet: 10.9.0.0/33 }] } }
        ·                                                                                    ───────────
        ╰────
      help: write an address and the length of its prefix: `10.1.0.0/24`

    8 errors
    "#);
}
