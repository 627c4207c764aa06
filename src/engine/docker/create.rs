//! From the specification of a container to the body of the call that creates it.

use std::collections::{BTreeSet, HashMap};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings,
    HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigIsolationEnum,
    HostConfigLogConfig, NetworkingConfig, PortBinding, ResourcesBlkioWeightDevice,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum, ThrottleDevice,
};

use super::mounts::Mounts;
use crate::engine::{ContainerSpec, EndpointSpec, HealthcheckSpec, Networking};
use crate::options::{ContainerOptions, Protocol, Resources};

/// The body of the call.
pub(super) fn body(spec: &ContainerSpec, mounts: Mounts) -> ContainerCreateBody {
    let port_key = |port: u16, protocol: Protocol| format!("{port}/{protocol}");
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &spec.published {
        // Host port 0: the engine chooses a free one.
        let binding = PortBinding {
            host_ip: port.host_ip.clone(),
            host_port: Some("0".to_owned()),
        };
        bindings
            .entry(port_key(port.port, port.protocol))
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    let published = spec.published.iter().map(|port| (port.port, port.protocol));
    let exposed: BTreeSet<(u16, Protocol)> =
        published.chain(spec.exposed.iter().copied()).collect();
    let exposed = exposed
        .into_iter()
        .map(|(port, protocol)| port_key(port, protocol))
        .collect();
    let options = &spec.options;
    let host_config = HostConfig {
        network_mode: Some(match &spec.networking {
            Networking::Network(id, _) => id.to_string(),
            Networking::Mode(mode) => mode.clone(),
        }),
        ipc_mode: spec.ipc.clone(),
        pid_mode: spec.pid.clone(),
        volumes_from: filled(spec.volumes_from.clone()),
        links: filled(spec.links.clone()),
        port_bindings: Some(bindings),
        binds: filled(mounts.binds),
        mounts: filled(mounts.mounts),
        ..host_config(options)
    };
    ContainerCreateBody {
        image: Some(spec.image.to_string()),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        env: Some(
            spec.environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                // A name alone takes away what the image says.
                .chain(spec.unset_environment.iter().cloned())
                .collect(),
        ),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        hostname: spec.hostname.clone(),
        domainname: options.domainname.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        // These only say what `docker attach` would do; they are set so that the container looks as
        // Compose's does.
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(options.tty),
        attach_stdin: Some(spec.converses),
        open_stdin: Some(options.stdin_open || spec.converses),
        stdin_once: Some(spec.converses),
        stop_signal: options.stop_signal.clone(),
        stop_timeout: options.stop_timeout.map(signed),
        healthcheck: spec.healthcheck.as_ref().map(health),
        exposed_ports: Some(exposed),
        host_config: Some(host_config),
        networking_config: match &spec.networking {
            Networking::Network(id, endpoint) => Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(id.to_string(), settings(endpoint))])),
            }),
            Networking::Mode(_) => None,
        },
        ..ContainerCreateBody::default()
    }
}

/// The part of the host's configuration that comes from the options alone.
fn host_config(options: &ContainerOptions) -> HostConfig {
    let unconfined = options.system_paths_unconfined;
    HostConfig {
        // Restarts are performed by envrun: the engine's own policy would raise leftovers after a
        // reboot.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        annotations: filled(options.annotations.clone().into_iter().collect()),
        cap_add: filled(options.cap_add.clone()),
        cap_drop: filled(options.cap_drop.clone()),
        cgroupns_mode: options
            .cgroup
            .as_ref()
            .and_then(|mode| match mode.as_str() {
                "host" => Some(HostConfigCgroupnsModeEnum::HOST),
                "private" => Some(HostConfigCgroupnsModeEnum::PRIVATE),
                _ => None,
            }),
        dns: filled(options.dns.clone()),
        dns_options: filled(options.dns_opt.clone()),
        dns_search: filled(options.dns_search.clone()),
        extra_hosts: filled(options.extra_hosts.clone()),
        group_add: filled(options.group_add.clone()),
        init: options.init,
        isolation: options
            .isolation
            .as_ref()
            .and_then(|isolation| match isolation.as_str() {
                "default" => Some(HostConfigIsolationEnum::DEFAULT),
                "process" => Some(HostConfigIsolationEnum::PROCESS),
                "hyperv" => Some(HostConfigIsolationEnum::HYPERV),
                _ => None,
            }),
        log_config: options.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: Some(logging.driver.clone()),
            config: filled(logging.options.clone().into_iter().collect()),
        }),
        masked_paths: unconfined.then(Vec::new),
        oom_score_adj: Some(options.oom_score_adj),
        privileged: Some(options.privileged),
        readonly_paths: unconfined.then(Vec::new),
        readonly_rootfs: Some(options.read_only),
        runtime: options.runtime.clone(),
        security_opt: filled(options.security_opt.clone()),
        shm_size: options.shm_size.map(signed),
        storage_opt: filled(options.storage_opt.clone().into_iter().collect()),
        sysctls: filled(options.sysctls.clone().into_iter().collect()),
        tmpfs: filled(options.tmpfs.clone().into_iter().collect()),
        userns_mode: options.userns_mode.clone(),
        uts_mode: options.uts.clone(),
        ..resources(&options.resources)
    }
}

/// The part of the host's configuration that limits what the container may use.
fn resources(resources: &Resources) -> HostConfig {
    let blkio = &resources.blkio;
    let rates = |rates: &[(String, u64)]| {
        let rate = |(path, rate): &(String, u64)| ThrottleDevice {
            path: Some(path.clone()),
            rate: Some(signed(*rate)),
        };
        filled(rates.iter().map(rate).collect::<Vec<_>>())
    };
    let weights = blkio
        .weight_device
        .iter()
        .map(|(path, weight)| ResourcesBlkioWeightDevice {
            path: Some(path.clone()),
            weight: Some(usize::from(*weight)),
        });
    let devices = resources.devices.iter().map(|device| DeviceMapping {
        path_on_host: Some(device.source.clone()),
        path_in_container: Some(device.target.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    });
    let requests = resources
        .device_requests
        .iter()
        .map(|request| DeviceRequest {
            driver: Some(request.driver.clone()),
            count: Some(request.count),
            device_ids: filled(request.ids.clone()),
            capabilities: request
                .capabilities
                .clone()
                .map(|capabilities| vec![capabilities]),
            options: filled(request.options.clone().into_iter().collect()),
        });
    let ulimits = resources.ulimits.iter().map(|ulimit| ResourcesUlimits {
        name: Some(ulimit.name.clone()),
        soft: Some(ulimit.soft),
        hard: Some(ulimit.hard),
    });
    HostConfig {
        blkio_weight: Some(blkio.weight),
        blkio_weight_device: filled(weights.collect()),
        blkio_device_read_bps: rates(&blkio.read_bps),
        blkio_device_read_iops: rates(&blkio.read_iops),
        blkio_device_write_bps: rates(&blkio.write_bps),
        blkio_device_write_iops: rates(&blkio.write_iops),
        cgroup_parent: resources.cgroup_parent.clone(),
        cpu_count: Some(resources.cpu_count),
        cpu_percent: Some(resources.cpu_percent),
        cpu_period: Some(resources.cpu_period),
        cpu_quota: Some(resources.cpu_quota),
        cpu_realtime_period: Some(resources.cpu_rt_period),
        cpu_realtime_runtime: Some(resources.cpu_rt_runtime),
        cpu_shares: Some(resources.cpu_shares),
        cpuset_cpus: resources.cpuset.clone(),
        device_cgroup_rules: filled(resources.device_cgroup_rules.clone()),
        device_requests: filled(requests.collect()),
        devices: filled(devices.collect()),
        memory: Some(signed(resources.memory)),
        memory_reservation: Some(signed(resources.memory_reservation)),
        memory_swap: Some(resources.memory_swap),
        memory_swappiness: resources.memory_swappiness,
        nano_cpus: Some(resources.nano_cpus),
        oom_kill_disable: Some(resources.oom_kill_disable),
        pids_limit: resources.pids_limit,
        ulimits: filled(ulimits.collect()),
        ..HostConfig::default()
    }
}

/// How a container hangs on a network.
pub(super) fn settings(endpoint: &EndpointSpec) -> EndpointSettings {
    /// The option of the driver that names the interface.
    const INTERFACE: &str = "com.docker.network.endpoint.ifname";
    let options = &endpoint.options;
    let mut driver_opts: HashMap<String, String> =
        options.driver_opts.clone().into_iter().collect();
    if let Some(name) = &options.interface_name {
        driver_opts
            .entry(INTERFACE.to_owned())
            .or_insert_with(|| name.clone());
    }
    let ipam = EndpointIpamConfig {
        ipv4_address: options.ipv4_address.map(|address| address.to_string()),
        ipv6_address: options.ipv6_address.map(|address| address.to_string()),
        link_local_ips: filled(
            options
                .link_local_ips
                .iter()
                .map(ToString::to_string)
                .collect(),
        ),
    };
    EndpointSettings {
        aliases: Some(endpoint.aliases.clone()),
        driver_opts: filled(driver_opts),
        gw_priority: filled(options.gw_priority),
        // This one only shows before the start, as it does with Compose.
        ip_address: ipam.ipv4_address.clone(),
        ipam_config: filled(ipam),
        links: filled(endpoint.links.clone()),
        mac_address: options.mac_address.clone(),
        ..EndpointSettings::default()
    }
}

/// A list or mapping that is left out when it is empty.
pub(super) fn filled<T: Default + PartialEq>(items: T) -> Option<T> {
    (items != T::default()).then_some(items)
}

/// The API has no number beyond 63 bits.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn health(check: &HealthcheckSpec) -> HealthConfig {
    let nanoseconds = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).ok();
    HealthConfig {
        test: (!check.test.is_empty()).then(|| check.test.clone()),
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        retries: Some(i64::from(check.retries)),
        start_period: nanoseconds(check.start_period),
        start_interval: (!check.start_interval.is_zero())
            .then_some(check.start_interval)
            .and_then(nanoseconds),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::name::{ImageId, NetworkId};
    use crate::options::{Blkio, CDI_DRIVER, Device, EndpointOptions, Logging, Ulimit};

    fn none() -> Mounts {
        Mounts {
            binds: Vec::new(),
            mounts: Vec::new(),
        }
    }

    fn bare() -> ContainerSpec {
        ContainerSpec {
            name: "c".to_owned(),
            labels: BTreeMap::new(),
            image: ImageId::new("sha256:0"),
            command: None,
            entrypoint: None,
            environment: BTreeMap::new(),
            unset_environment: BTreeSet::new(),
            platform: None,
            working_dir: None,
            user: None,
            hostname: None,
            networking: Networking::Mode("none".to_owned()),
            mac_address: None,
            ipc: None,
            pid: None,
            volumes_from: Vec::new(),
            links: Vec::new(),
            mounts: Vec::new(),
            published: Vec::new(),
            exposed: Vec::new(),
            healthcheck: None,
            converses: false,
            options: ContainerOptions::default(),
        }
    }

    /// What the body has that the body of a bare container has not, one field a line.
    fn shown(spec: &ContainerSpec) -> String {
        let value = |spec: &ContainerSpec| serde_json::to_value(body(spec, none())).unwrap();
        let (usual, all) = (value(&bare()), value(spec));
        let mut lines = Vec::new();
        for (path, usual, all) in [
            ("", &usual, &all),
            ("HostConfig.", &usual["HostConfig"], &all["HostConfig"]),
        ] {
            let fields = all.as_object().into_iter().flatten();
            for (name, field) in fields.filter(|(name, _)| *name != "HostConfig") {
                if *field != usual[name] {
                    lines.push(format!("{path}{name}: {field}"));
                }
            }
        }
        lines.sort();
        lines.join("\n")
    }

    fn pairs(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    fn texts(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn every_option_has_its_field() {
        let text = |text: &str| Some(text.to_owned());
        let options = ContainerOptions {
            annotations: pairs("a", "b"),
            cap_add: texts("CAP_A"),
            cap_drop: texts("CAP_B"),
            cgroup: text("private"),
            dns: texts("192.0.2.1"),
            dns_opt: texts("use-vc"),
            dns_search: texts("example.org"),
            domainname: text("domain"),
            extra_hosts: texts("host:192.0.2.2"),
            group_add: texts("mail"),
            init: Some(true),
            isolation: text("hyperv"),
            logging: Some(Logging {
                driver: "local".to_owned(),
                options: pairs("max-size", "1m"),
            }),
            // Engines get this one as part of an endpoint, or from the plan.
            mac_address: text("02:42:ac:11:00:02"),
            oom_score_adj: 5,
            privileged: true,
            read_only: true,
            resources: Resources::default(),
            runtime: text("runc"),
            security_opt: texts("label=disable"),
            system_paths_unconfined: true,
            shm_size: Some(6),
            stdin_open: true,
            stop_signal: text("SIGINT"),
            stop_timeout: Some(7),
            storage_opt: pairs("size", "1G"),
            sysctls: pairs("net.core.somaxconn", "1"),
            tmpfs: pairs("/tmp", "size=1m"),
            tty: true,
            userns_mode: text("host"),
            uts: text("host"),
        };
        insta::assert_snapshot!(shown(&ContainerSpec { options, ..bare() }), @r#"
        Domainname: "domain"
        HostConfig.Annotations: {"a":"b"}
        HostConfig.CapAdd: ["CAP_A"]
        HostConfig.CapDrop: ["CAP_B"]
        HostConfig.CgroupnsMode: "private"
        HostConfig.Dns: ["192.0.2.1"]
        HostConfig.DnsOptions: ["use-vc"]
        HostConfig.DnsSearch: ["example.org"]
        HostConfig.ExtraHosts: ["host:192.0.2.2"]
        HostConfig.GroupAdd: ["mail"]
        HostConfig.Init: true
        HostConfig.Isolation: "hyperv"
        HostConfig.LogConfig: {"Config":{"max-size":"1m"},"Type":"local"}
        HostConfig.MaskedPaths: []
        HostConfig.OomScoreAdj: 5
        HostConfig.Privileged: true
        HostConfig.ReadonlyPaths: []
        HostConfig.ReadonlyRootfs: true
        HostConfig.Runtime: "runc"
        HostConfig.SecurityOpt: ["label=disable"]
        HostConfig.ShmSize: 6
        HostConfig.StorageOpt: {"size":"1G"}
        HostConfig.Sysctls: {"net.core.somaxconn":"1"}
        HostConfig.Tmpfs: {"/tmp":"size=1m"}
        HostConfig.UTSMode: "host"
        HostConfig.UsernsMode: "host"
        OpenStdin: true
        StopSignal: "SIGINT"
        StopTimeout: 7
        Tty: true
        "#);
    }

    #[test]
    fn every_limit_has_its_field() {
        let rate = |rate: u64| vec![("/dev/x".to_owned(), rate)];
        let resources = Resources {
            blkio: Blkio {
                weight: 11,
                weight_device: vec![("/dev/x".to_owned(), 12)],
                read_bps: rate(13),
                read_iops: rate(14),
                write_bps: rate(15),
                write_iops: rate(16),
            },
            cgroup_parent: Some("parent".to_owned()),
            cpu_count: 17,
            cpu_percent: 18,
            cpu_period: 19,
            cpu_quota: 20,
            cpu_rt_period: 21,
            cpu_rt_runtime: 22,
            cpu_shares: 23,
            cpuset: Some("0,1".to_owned()),
            device_cgroup_rules: texts("a 7:* rmw"),
            device_requests: vec![crate::options::DeviceRequest {
                driver: CDI_DRIVER.to_owned(),
                count: -1,
                ids: texts("vendor.com/gpu=all"),
                capabilities: Some(texts("gpu")),
                options: pairs("a", "b"),
            }],
            devices: vec![Device {
                source: "/dev/x".to_owned(),
                target: "/dev/y".to_owned(),
                permissions: "r".to_owned(),
            }],
            memory: 24,
            memory_reservation: 25,
            memory_swap: -1,
            memory_swappiness: Some(26),
            nano_cpus: 27,
            oom_kill_disable: true,
            pids_limit: Some(28),
            ulimits: vec![Ulimit {
                name: "nofile".to_owned(),
                soft: 29,
                hard: 30,
            }],
        };
        let options = ContainerOptions {
            resources,
            ..ContainerOptions::default()
        };
        insta::assert_snapshot!(shown(&ContainerSpec { options, ..bare() }), @r#"
        HostConfig.BlkioDeviceReadBps: [{"Path":"/dev/x","Rate":13}]
        HostConfig.BlkioDeviceReadIOps: [{"Path":"/dev/x","Rate":14}]
        HostConfig.BlkioDeviceWriteBps: [{"Path":"/dev/x","Rate":15}]
        HostConfig.BlkioDeviceWriteIOps: [{"Path":"/dev/x","Rate":16}]
        HostConfig.BlkioWeight: 11
        HostConfig.BlkioWeightDevice: [{"Path":"/dev/x","Weight":12}]
        HostConfig.CgroupParent: "parent"
        HostConfig.CpuCount: 17
        HostConfig.CpuPercent: 18
        HostConfig.CpuPeriod: 19
        HostConfig.CpuQuota: 20
        HostConfig.CpuRealtimePeriod: 21
        HostConfig.CpuRealtimeRuntime: 22
        HostConfig.CpuShares: 23
        HostConfig.CpusetCpus: "0,1"
        HostConfig.DeviceCgroupRules: ["a 7:* rmw"]
        HostConfig.DeviceRequests: [{"Capabilities":[["gpu"]],"Count":-1,"DeviceIDs":["vendor.com/gpu=all"],"Driver":"cdi","Options":{"a":"b"}}]
        HostConfig.Devices: [{"CgroupPermissions":"r","PathInContainer":"/dev/y","PathOnHost":"/dev/x"}]
        HostConfig.Memory: 24
        HostConfig.MemoryReservation: 25
        HostConfig.MemorySwap: -1
        HostConfig.MemorySwappiness: 26
        HostConfig.NanoCpus: 27
        HostConfig.OomKillDisable: true
        HostConfig.PidsLimit: 28
        HostConfig.Ulimits: [{"Hard":30,"Name":"nofile","Soft":29}]
        "#);
    }

    #[test]
    fn an_endpoint_has_what_the_file_says() {
        let endpoint = EndpointSpec {
            aliases: texts("a"),
            links: texts("c:b"),
            options: EndpointOptions {
                driver_opts: pairs("x", "y"),
                gw_priority: 3,
                interface_name: Some("eth7".to_owned()),
                ipv4_address: Some([10, 0, 0, 5].into()),
                ipv6_address: "fd00::5".parse().ok(),
                link_local_ips: vec![[169, 254, 8, 8].into()],
                mac_address: Some("02:42:ac:11:00:02".to_owned()),
            },
        };
        let spec = ContainerSpec {
            networking: Networking::Network(NetworkId::new("n"), endpoint),
            ..bare()
        };
        let body = serde_json::to_value(body(&spec, none())).unwrap();
        let shown = &body["NetworkingConfig"]["EndpointsConfig"]["n"];
        insta::assert_snapshot!(serde_json::to_string_pretty(shown).unwrap(), @r#"
        {
          "Aliases": [
            "a"
          ],
          "DriverOpts": {
            "com.docker.network.endpoint.ifname": "eth7",
            "x": "y"
          },
          "GwPriority": 3,
          "IPAMConfig": {
            "IPv4Address": "10.0.0.5",
            "IPv6Address": "fd00::5",
            "LinkLocalIPs": [
              "169.254.8.8"
            ]
          },
          "IPAddress": "10.0.0.5",
          "Links": [
            "c:b"
          ],
          "MacAddress": "02:42:ac:11:00:02"
        }
        "#);
    }
}
